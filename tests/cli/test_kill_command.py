"""
Goal: `riskguard kill` halts, whatever is typed and whatever is broken. The flag comes first and needs only the
standard library; the exit status says what was reached: 0 everywhere, 5 on this host, 4 nowhere.

How fast the flag is on disk is measured in benchmarks/, not here.
"""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.cli.shell import BUY, COMMAND, Answer, Shell
from tests.core.tables import Row, table

GLOBAL, LEADER = "GLOBAL", "ACCOUNT:leader"


def scopes(shell: Shell) -> set[str]:
    """Return the scopes of all flags that stand."""
    return {unquote(name.partition("~")[0]) for name in shell.flags()}


def kill(shell: Shell, *words: str, **more: str) -> Answer:
    return shell("kill", *words, "--no-wait", "--json", **more)


# -- what is typed -----------------------------------------------------------------------------------------------------

TYPED = table("""
    words                                   scope    plan    says
    -                                       GLOBAL   cancel  -
    --all                                   GLOBAL   cancel  -
    leader                                  LEADER   cancel  -
    leader --reason fat                     LEADER   cancel  -
    --reason fat leader                     LEADER   cancel  -
    --reason=fat --by=desk leader           LEADER   cancel  -
    leader --plan halt                      LEADER   halt    -
    leader --plan=cancel                    LEADER   cancel  -
    leader --plan flatten                   LEADER   cancel  needs a terminal
    leader --plan broker                    LEADER   cancel  needs a terminal
    leader --plan everything                LEADER   cancel  is none of
    leader --plan                           LEADER   cancel  is none of
    leader --reason                         LEADER   cancel  -
    leader --db                             LEADER   cancel  -
    leader --all                            GLOBAL   cancel  -
    leader --reason --all                   GLOBAL   cancel  -
    leader --reason --plan halt             LEADER   halt    -
    leader follower                         GLOBAL   cancel  not clear which account
    nobody                                  GLOBAL   cancel  is not in the database
    Leader                                  GLOBAL   cancel  is not in the database
    leader --reson fat                      GLOBAL   cancel  is no option
    --acount leader                         GLOBAL   cancel  is no option
    --account leader                        GLOBAL   cancel  is no option
    leader --force                          LEADER   cancel  is no option
    leader --reson=fat                      LEADER   cancel  is no option
    leader -y                               LEADER   cancel  is no option
    -- leader                               GLOBAL   cancel  is no option
    ../../etc                               GLOBAL   cancel  is not in the database
    GLOBAL                                  GLOBAL   cancel  is not in the database
    leader%2F                               GLOBAL   cancel  is not in the database
""")


@pytest.mark.parametrize("row", TYPED, ids=str)
def test_whatever_is_typed_halts(shell: Shell, row: Row) -> None:
    """Status 0 and a flag in both directories; doubt about the account halts everything, and says so."""
    # Half a second for the account's name is the kill's own bound; past it, on a busy machine, it halts everything.
    got = kill(shell, *([] if row.words == "-" else row.words.split()), TEST_LOOK_S="30")

    assert got.status == 0, got.err
    assert got.document["halted"] is True
    scope = {"GLOBAL": GLOBAL, "LEADER": LEADER}[row.scope]
    assert got.document["scope"] == scope
    assert scope in scopes(shell)
    assert len(shell.flags()) == shell.places * len(scopes(shell)), "one beside the database, one of the host"
    assert got.document["plan"] == row.plan
    said = " ".join(got.document["notes"])
    assert (said == "") if row.says == "-" else (row.says in said)
    assert shell("check", *BUY).status == 3


@pytest.mark.parametrize("junk", ["\udcff", "--wh\udcff", "\x1b[31m", "a b", "", "x" * 300, "~", "\n"])
def test_bytes_that_are_no_name_halt_everything(shell: Shell, junk: str) -> None:
    """What names no account cannot be left trading: GLOBAL, whatever the bytes are, and no traceback."""
    got = kill(shell, junk)

    assert got.status == 0, got.err
    assert GLOBAL in scopes(shell)
    assert "Traceback" not in got.err
    assert shell("check", *BUY).status == 3


def test_a_reason_that_is_no_text_is_kept_as_far_as_it_is(shell: Shell) -> None:
    """The row is written, the flag can be adopted: a stray byte must not cost the database's half of the kill."""
    got = kill(shell, "leader", "--reason", "fat \udcff finger", "--by", "de\udcffsk")

    assert got.status == 0, got.document
    ((reason, by),) = shell.rows(
        "SELECT reason, activated_by FROM traders_control WHERE control_type = 'KILL_SWITCH' AND kill_switch_status = 'ACTIVE'"
    )
    assert (reason, by) == ("fat ? finger", "de?sk")


def test_who_and_why_are_kept(shell: Shell) -> None:
    """`--by` and `--reason` stand in the row, the journal, the flag and the refusals; RISKGUARD_BY is the default."""
    assert kill(shell, "leader", "--reason", "fat finger", "--by", "anita").status == 0
    assert kill(shell, "leader", RISKGUARD_BY="bina").status == 0

    bodies = [
        json.loads(body) for (body,) in shell.rows("SELECT body FROM decisions WHERE kind = 'KILL' ORDER BY sequence")
    ]
    assert [(each["by"], each["reason"]) for each in bodies] == [("anita", "fat finger"), ("bina", "")]
    flag = next((shell.home / "halt").glob("*"))
    assert json.loads(flag.read_text())["by"] in ("anita", "bina")


def test_a_repeated_kill_always_adds_a_row(shell: Shell) -> None:
    """Killing the killed is no mistake: each kill has its own flags, journal entry and row."""
    for count in (1, 2, 3):
        assert kill(shell, "leader").status == 0
        assert len(shell.flags()) == shell.places * count
        assert shell.rows("SELECT count(*) FROM decisions WHERE kind = 'KILL' AND account = 'leader'") == [(count,)]


def test_help_halts_nothing(shell: Shell) -> None:
    """The one word that is a question."""
    got = shell("kill", "--help")

    assert got.status == 0 and "Exit status: 0 halted; 4 NOT halted; 5 halted on this host" in got.out
    assert shell.flags() == []


def test_the_report_is_plain_words(shell: Shell) -> None:
    """Without --json: one line says what is halted, the rest what is proven about the orders."""
    got = shell("kill", "leader", "--reason", "test")

    assert got.status == 0
    assert got.out.count("HALTED: account leader (kill ") == 1
    assert "leader: DONE at WATCH (proven)" in got.out
    assert got.err == ""


# -- standard library only, until the flag is on disk ------------------------------------------------------------------

SPY = """
import os, sys

def seen(event, arguments):
    if event == "open" and "/halt/" in str(arguments[0]) and "~" in str(arguments[0]) and not os.path.exists(SEEN):
        os.close(os.open(SEEN, os.O_CREAT | os.O_WRONLY))
        with open(SEEN, "w") as file:
            file.write("\\n".join(sorted(sys.modules)))

SEEN = os.environ["SEEN"]
sys.addaudithook(seen)
"""


def test_only_the_standard_library_is_imported_before_the_flag(shell: Shell) -> None:
    """At the moment the flag file is opened, nothing but the standard library and a few files of ours is loaded."""
    spy = shell.directory / "spy"
    spy.mkdir()
    (spy / "sitecustomize.py").write_text(SPY)
    seen = shell.directory / "seen"

    got = shell.cold("kill", "leader", "--no-wait", PYTHONPATH=str(spy), SEEN=str(seen))

    assert got.status == 0, got.err
    loaded = seen.read_text().split("\n")
    ours = {name for name in loaded if name.split(".")[0] == "riskguard"}
    foreign = (
        {name.split(".")[0] for name in loaded} - sys.stdlib_module_names - {"riskguard", "__main__", "sitecustomize"}
    )
    # What the environment itself loads at start-up (an editable install's finder) is there before any of us.
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    assert foreign - {name.split(".")[0] for name in bare.stdout.split()} == set()
    assert ours == {
        "riskguard", "riskguard.cli", "riskguard.cli.kill", "riskguard.cli.main", "riskguard.home", "riskguard.services",
        "riskguard.services.kill", "riskguard.services.kill.killswitch", "riskguard.services.kill.lookup", "riskguard.store",
        "riskguard.store.halt",
    }  # fmt: skip


# -- what is broken ----------------------------------------------------------------------------------------------------

HOLD_THE_LOCK = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(600)
"""


@pytest.mark.sqlite_only("what happens to a file; the server's faults are in tests/postgres")
def test_a_locked_database_halts_the_host_and_is_told_later(shell: Shell) -> None:
    """A stopped process holds the write lock: status 5, the flag halts; once the lock is free the flag is adopted."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_LOCK, str(shell.database)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    os.kill(holder.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        got = shell("kill", "leader", "--reason", "locked out", "--json")
        took_s = time.monotonic() - began
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()

    assert got.status == 5, got.out + got.err
    assert got.document["halted"] is True and scopes(shell) == {LEADER}
    assert took_s < 30
    assert shell.rows("SELECT count(*) FROM decisions WHERE kind = 'KILL'") == [(0,)]

    assert shell("check", *BUY).status == 3

    ((body,),) = shell.rows("SELECT body FROM decisions WHERE kind = 'KILL' AND account = 'leader'")
    assert json.loads(body)["reason"] == "locked out"
    assert shell.rows("SELECT count(*) FROM kill_runs") == [(1,)]


def missing(shell: Shell) -> None:
    shell.database.unlink()


def empty(shell: Shell) -> None:
    shell.database.write_bytes(b"")


def garbage(shell: Shell) -> None:
    shell.database.write_bytes(b"no pages here\n" * 4_000)


def a_directory(shell: Shell) -> None:
    shell.database.unlink()
    shell.database.mkdir()


def another_schema(shell: Shell) -> None:
    shell.write("PRAGMA user_version = 99")


@pytest.mark.sqlite_only("what happens to a file; the server's faults are in tests/postgres")
@pytest.mark.parametrize("break_it", [missing, empty, garbage, a_directory, another_schema])
def test_a_broken_database_does_not_stop_a_kill(shell: Shell, break_it: object) -> None:
    """Status 5: everything is halted on this host, because nobody can say which account is meant; no file is made."""
    break_it(shell)  # type: ignore[operator]
    before = sorted(path.name for path in shell.directory.glob("risk.db*"))

    got = kill(shell, "leader")

    assert got.status == 5, got.out + got.err
    assert "Traceback" not in got.err
    assert LEADER in scopes(shell)
    assert another_schema is break_it or GLOBAL in scopes(shell)
    assert sorted(path.name for path in shell.directory.glob("risk.db*") if "-" not in path.name) == [
        name for name in before if "-" not in name
    ]


@pytest.mark.sqlite_only("what happens to a file; the server's faults are in tests/postgres")
def test_it_never_creates_a_database(shell: Shell, tmp_path: Path) -> None:
    """In an empty directory with an empty home: status 5, flags and no database."""
    place = tmp_path / "empty"
    place.mkdir()

    got = kill(shell, RISKGUARD_DB=f"sqlite:///{place / 'risk.db'}", RISKGUARD_HOME=str(place / "home"))

    assert got.status == 5
    assert not list(place.rglob("*.db*"))
    assert list((place / "halt").iterdir()) and list((place / "home" / "halt").iterdir())


@pytest.mark.sqlite_only("what happens to a file; the server's faults are in tests/postgres")
def test_init_after_such_a_kill_is_halted(shell: Shell, tmp_path: Path) -> None:
    """A halt that stood before the database did is obeyed by its first check."""
    place = {
        "RISKGUARD_DB": f"sqlite:///{tmp_path / 'new' / 'risk.db'}",
        "RISKGUARD_HOME": str(tmp_path / "new" / "home"),
    }
    assert kill(shell, **place).status == 5

    assert shell("init", **place).status == 0

    assert shell("check", *BUY, **place).status == 3


@pytest.mark.sqlite_only("what happens to a file; the server's faults are in tests/postgres")
def test_nothing_can_be_written_anywhere(shell: Shell) -> None:
    """Neither directory can hold a flag and there is no database: status 4, said on standard error."""
    (shell.directory / "file").write_text("not a directory")
    nowhere = {"RISKGUARD_DB": "sqlite:////proc/none/risk.db", "RISKGUARD_HOME": str(shell.directory / "file" / "home")}

    got = shell("kill", "leader", **nowhere)
    told = kill(shell, "leader", **nowhere)

    assert got.status == told.status == 4
    assert got.err.startswith("NOT HALTED") and "Traceback" not in got.err
    assert told.document["halted"] is False and told.document["flags"] == []


@pytest.mark.sqlite_only("what happens to a file; the server's faults are in tests/postgres")
def test_one_directory_is_enough(shell: Shell) -> None:
    """The host's directory is gone for good: the flag beside the database and the row still halt."""
    shutil.rmtree(shell.home)
    shell.home.write_text("not a directory")

    got = kill(shell, "leader")

    assert got.status == 0, got.document
    assert len(got.document["flags"]) == 1


def test_a_lost_halt_directory_is_made_again(shell: Shell) -> None:
    """`halt/` was deleted: that halts everybody by itself, and still does; the kill leaves its own flags there too."""
    if shell.places == 2:
        shutil.rmtree(shell.directory / "halt")
    shutil.rmtree(shell.home / "halt")

    assert kill(shell, "leader").status == 0
    assert len(shell.flags()) == 2 * shell.places


@pytest.mark.parametrize("db", ["postgresql://nobody@localhost/none", "mysql://", "sqlite://", "://", "nonsense:///x"])
def test_a_database_we_cannot_reach_halts_the_host(shell: Shell, db: str) -> None:
    """A URL of another kind: the host's flag halts, status 5."""
    got = kill(shell, "leader", "--db", db)

    assert got.status == 5, got.out + got.err
    assert "Traceback" not in got.err
    assert scopes(shell) >= {GLOBAL}


# -- plans, terminals, followers ---------------------------------------------------------------------------------------


def test_flatten_at_a_terminal_is_done(shell: Shell) -> None:
    """A person at a terminal may close positions: the plan is kept, in the document and in the kill run."""
    parent, child = pty.openpty()
    done = subprocess.run(
        [str(COMMAND), "kill", "leader", "--plan", "flatten", "--no-wait", "--json"], stdin=child, capture_output=True,
        text=True, env=shell.environment(), cwd=shell.directory, timeout=60, check=False,
    )  # fmt: skip
    os.close(child)
    os.close(parent)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["plan"] == "flatten"
    assert shell.rows("SELECT kill_plan FROM kill_runs") == [("flatten",)]


def test_whoever_reads_us_may_leave(shell: Shell) -> None:
    """Standard output is closed: the kill stands, follows its run, and its status says so."""
    process = shell.start("kill", "leader")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()

    assert process.wait(60) == 0, said
    assert "Traceback" not in said
    assert scopes(shell) == {LEADER}


def test_ctrl_c_stops_the_following_not_the_halt(shell: Shell) -> None:
    """Interrupted after the flag: status 0, no traceback, the halt stands and the run is left to the next sweep."""
    process = shell.start("kill", "leader")
    for _ in range(600):
        with suppress(sqlite3.Error):  # a server never refuses a reader
            if shell.rows("SELECT count(*) FROM kill_runs WHERE state = 'OPEN'") == [(1,)]:
                break
        time.sleep(0.02)
    time.sleep(0.5)  # the following has begun; it takes two reads two seconds apart
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert "HALTED: account leader" in out
    assert scopes(shell) == {LEADER}


def test_a_kill_of_one_account_leaves_the_other(shell: Shell) -> None:
    """`leader` is halted, `second` trades; a GLOBAL kill halts both."""
    assert shell("init", "--account", "second").status == 0
    assert kill(shell, "leader").status == 0

    assert shell("check", *BUY, "--id", "l1").status == 3
    assert shell("check", "--account", "second", *BUY, "--id", "s1").status == 0

    assert kill(shell).status == 0
    assert shell("check", "--account", "second", *BUY, "--qty", "9", "--id", "s2").status == 3


def test_module_and_command_are_the_same_kill(shell: Shell) -> None:
    """`python -m riskguard.cli.kill` works when the script directory is not on the path."""
    done = subprocess.run(
        [sys.executable, "-m", "riskguard.cli.kill", "leader", "--no-wait"], env=shell.environment(), cwd=shell.directory,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert scopes(shell) == {LEADER}
