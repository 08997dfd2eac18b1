"""
The halt on disk: flag files and prepared spares; and how a flag becomes a row.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from riskguard.core.state import TradingState
from riskguard.services.kill import latch
from riskguard.store import halt
from riskguard.store.generation import read_generation
from riskguard.store.queries import kill_rows
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, START, Desk


def directories(tmp_path: Path) -> tuple[Path, Path]:
    made = tmp_path / "beside", tmp_path / "host"
    for each in made:
        halt.prepare(each)
    return made


def named(*paths: Path) -> tuple[str, ...]:
    return tuple(str(path / halt.HALT) for path in paths)


# -- names ----------------------------------------------------------------------------------------------------------

NAMES = table("""
    name                      scope           kill_id
    GLOBAL~00ab               GLOBAL          00ab
    ACCOUNT%3Aleader~00ab     ACCOUNT:leader  00ab
    ACCOUNT:leader~00ab       ACCOUNT:leader  00ab
    ACCOUNT%3Aa~b~00ab        ACCOUNT:a~b     00ab
    ACCOUNT%3A~00ab           GLOBAL          00ab
    STRATEGY%3Ax~00ab         GLOBAL          00ab
    leader~00ab               GLOBAL          00ab
    leader                    GLOBAL          leader
    GLOBAL                    GLOBAL          GLOBAL
    GLOBAL~                   GLOBAL          GLOBAL~
    ~00ab                     GLOBAL          00ab
    global~00ab               GLOBAL          00ab
    %ff%fe~00ab               GLOBAL          00ab
    GLOBAL~a b                GLOBAL          a%20b
    please stop.txt           GLOBAL          please%20stop.txt
    .nfs0001                  GLOBAL          .nfs0001
""")


@pytest.mark.parametrize("row", NAMES, ids=str)
def test_a_name_that_cannot_be_read_halts_everything(row: Row) -> None:
    """The safe reading of a file somebody put there by hand, or a disk mangled."""
    assert halt.parse_flag(row.name) == (row.scope, row.kill_id)


@pytest.mark.parametrize("account", ["leader", "a/b", "..", "a~b", "100%", "ACCOUNT:x", "~", "%2F", "-rf", "*"])
def test_any_account_name_survives_its_file_name(account: str, tmp_path: Path) -> None:
    """Percent-encoded: no name leaves the directory, and each is read back as itself."""
    beside, host = directories(tmp_path)
    kill_id = halt.new_kill_id()
    standing = halt.raise_flag((beside, host), halt.scope_name(account), kill_id, "")

    assert [path.parent for path in standing] == [beside / halt.HALT, host / halt.HALT]
    assert {halt.parse_flag(path.name) for path in standing} == {(f"ACCOUNT:{account}", kill_id)}


def test_kill_ids_differ_and_sort_by_time() -> None:
    made = [halt.new_kill_id() for _ in range(1000)]

    assert len(set(made)) == 1000
    assert [each[:16] for each in made] == sorted(each[:16] for each in made)


def test_a_file_name_that_is_no_text_halts_and_can_be_released(desk: Desk) -> None:
    """Bytes that are no UTF-8: the kill they stand for is journaled, named in a release, and the file goes."""
    from riskguard import admin

    (Path(os.fsdecode(bytes(desk.store.directories[0]) + b"/halt/GLOBAL~\xff\xfe"))).touch()
    decision = desk.guard.check(desk.order())
    assert [each.code.value for each in decision.rejects] == ["TRADING_HALTED"] and decision.recorded
    desk.sweep(61)
    admin.release(desk.store, None, by="asha", reason="understood", clock=desk.clock)

    assert desk.guard.check(desk.order()).approved and desk.flags() == []


# -- what stands ----------------------------------------------------------------------------------------------------

STANDING = table("""
    beside                  host                    leader  follower
    -                       -                       no      no
    GLOBAL~1                -                       yes     yes
    -                       GLOBAL~1                yes     yes
    ACCOUNT%3Aleader~1      -                       yes     no
    -                       ACCOUNT%3Aleader~1      yes     no
    ACCOUNT%3Aleader~1      ACCOUNT%3Afollower~2    yes     yes
    ACCOUNT%3Aother~1       -                       no      no
    nonsense                -                       yes     yes
    missing                 -                       yes     yes
    -                       missing                 yes     yes
""")


@pytest.mark.parametrize("row", STANDING, ids=str)
def test_a_flag_in_either_directory_halts_its_scope(tmp_path: Path, row: Row) -> None:
    """Existing halts, whatever the file holds; a directory that cannot be listed halts everybody."""
    both = directories(tmp_path)
    for directory, cell in zip(both, (row.beside, row.host), strict=True):
        if cell == "missing":
            shutil.rmtree(directory / halt.HALT)
        elif cell != "-":
            (directory / halt.HALT / cell).touch()

    for account in ("leader", "follower"):
        found = latch.look(named(*both), account, START)
        assert bool(found.causes) == row.has(account)
        assert all(cause.state is TradingState.HALTED for cause in found.causes)


def test_one_kill_in_both_directories_is_one_cause(tmp_path: Path) -> None:
    both = directories(tmp_path)
    halt.raise_flag(both, halt.GLOBAL, "1", "")

    assert len(latch.look(named(*both), ACCOUNT, START).causes) == 1


def test_only_the_flags_of_the_named_kills_are_lowered(tmp_path: Path) -> None:
    """A second kill's file stays, in both directories; finishing an interrupted removal is allowed to anyone."""
    both = directories(tmp_path)
    for kill_id in ("1", "2"):
        halt.raise_flag(both, "ACCOUNT:leader", kill_id, "")
    (both[0] / halt.HALT / halt.flag_name("ACCOUNT:leader", "1")).unlink()  # somebody died in between

    assert halt.lower_flags(both, frozenset({"1"})) == 1
    assert halt.lower_flags(both, frozenset({"1"})) == 0
    assert {name.partition("~")[2] for name in halt.standing(named(*both)) or ()} == {"2"}


# -- a disk that takes nothing --------------------------------------------------------------------------------------


def test_a_flag_whose_content_cannot_be_written_stands(tmp_path: Path) -> None:
    """The process may write no byte to any file (RLIMIT_FSIZE 0): the empty file is there, and halts."""
    both = directories(tmp_path)
    if (child := os.fork()) == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        try:
            standing = halt.raise_flag(both, halt.GLOBAL, "1", "who and why")
            os._exit(0 if len(standing) == 2 else 1)
        except BaseException:
            os._exit(2)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    flag = both[0] / halt.HALT / "GLOBAL~1"
    assert flag.exists() and flag.stat().st_size == 0
    assert latch.look(named(*both), ACCOUNT, START).causes


FULL_DISK = """
import errno, json, os, pathlib, sys
disk, source, spares = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "armed"
os.environ["RISKGUARD_HOME"] = str(disk / "home")
from tests.services.desk import Clock, Desk, copy
desk = Desk(copy(pathlib.Path(source), disk / "desk"), Clock())
desk.sweep()
before = desk.guard.check(desk.order()).approved
if not spares:
    for directory in desk.store.directories:
        for spare in (directory / "armed").iterdir():
            spare.unlink()
fill = os.open(disk / "fill", os.O_CREAT | os.O_WRONLY)
for size in (65536, 4096, 1):
    try:
        while True:
            os.write(fill, b"x" * size)
    except OSError as e:
        assert e.errno == errno.ENOSPC, e
try:
    for number in range(100_000):
        os.close(os.open(disk / f"i{number}", os.O_CREAT | os.O_EXCL))
except OSError as e:
    assert e.errno == errno.ENOSPC, e
from riskguard.services.kill import killswitch
killswitch.LOCK_WAIT_S = 0.5
outcome = killswitch.engage(desk.store, "leader", by="desk", reason="fat finger", clock=desk.clock)
full = desk.guard.check(desk.order())
os.close(fill)
for path in (disk / "fill", *disk.glob("i*")):
    path.unlink()
desk.sweep()
room = desk.guard.check(desk.order())
print(json.dumps({"before": before, "status": outcome.exit_status, "flags": len(outcome.flags), "full": full.approved,
                  "room": [each.code.value for each in room.rejects], "whole": desk.rows("PRAGMA integrity_check"),
                  "runs": desk.one("SELECT count(*) FROM kill_runs")}))
"""

FULL = table("""
    spares  flags  status  afterwards      runs
    armed   2      5       TRADING_HALTED  1
    none    0      4       -               0
""")


@pytest.mark.parametrize("row", FULL, ids=str)
def test_a_full_disk_takes_a_prepared_file(templates: Callable[..., Path], tmp_path: Path, row: Row) -> None:
    """
    No block and no inode is left on a real, tiny file system: the kill renames a spare, halts this host, and is adopted
    once there is room. The second row is the control: without spares nothing can be put there, the kill says that it
    did NOT take, and it did not.
    """
    disk = tmp_path / "disk"
    disk.mkdir()
    template = templates()
    mount = 'mount -t tmpfs -o size=4m,nr_inodes=60 tmpfs "$0" && exec "$@"'
    mounted = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(disk)]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*mounted, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no user namespaces here: a full disk cannot be made")
    done = subprocess.run(
        [*mounted, sys.executable, "-c", FULL_DISK, str(disk), str(template), row.spares],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])

    assert found["before"]
    assert (found["flags"], found["status"]) == (row.number("flags"), row.number("status"))
    assert not found["full"] and found["whole"] == [["ok"]]
    assert ((found["room"] or ["-"])[0], found["runs"]) == (row.afterwards, row.number("runs"))


def test_spares_are_kept_and_each_is_used_once(tmp_path: Path) -> None:
    """Eight kills at once on a disk without inodes: as many halt as there were spares, each with a file of its own."""
    (directory,) = directories(tmp_path)[:1]
    armed = directory / halt.ARMED
    assert len(list(armed.iterdir())) == halt.SPARES
    taken: list[bool] = []

    def rename(number: int) -> None:
        taken.append(halt._rename_spare(directory / halt.HALT / halt.flag_name(halt.GLOBAL, str(number)), directory))

    threads = [threading.Thread(target=rename, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(taken) == [False] * 4 + [True] * 4
    assert len(list((directory / halt.HALT).iterdir())) == 4 and list(armed.iterdir()) == []
    halt.arm(directory)
    assert len(list(armed.iterdir())) == halt.SPARES


def test_a_kill_makes_a_lost_halt_directory_again(desk: Desk) -> None:
    """
    The missing directory halted everybody already: the kill's own file must survive its return, and one for all takes
    the place of those that may have been lost.
    """
    for directory in desk.store.directories:
        shutil.rmtree(directory / halt.HALT)
    outcome = desk.kill()

    assert outcome.exit_status == 0
    scopes = sorted(halt.parse_flag(each.name)[0] for each in desk.flags())
    directories = len(desk.store.directories)
    assert scopes == ["ACCOUNT:leader"] * directories + ["GLOBAL"] * directories


def test_a_kill_of_one_account_does_not_let_another_go(make_desk: Callable[..., Desk]) -> None:
    """Everybody was halted by the loss of the directory; `follower` still is after `leader` was killed."""
    desk = make_desk(accounts=("leader", "follower"))
    for name in ("leader", "follower"):
        desk.guard.report_positions([], account=name)
    shutil.rmtree(desk.store.directories[0] / halt.HALT)
    assert desk.guard.state("follower").state is TradingState.HALTED
    desk.kill("leader")

    assert desk.guard.state("follower").state is TradingState.HALTED
    assert not desk.guard.check(desk.order(account="follower")).approved


def test_the_first_kill_of_a_user_halts_who_was_named(tmp_path: Path) -> None:
    """Where no halt directory ever was there is nothing to be lost."""
    halt.raise_flag((tmp_path / "never",), "ACCOUNT:leader", "1", "")

    assert [each.name for each in (tmp_path / "never" / halt.HALT).iterdir()] == ["ACCOUNT%3Aleader~1"]


# -- from flag to row -------------------------------------------------------------------------------------------------


BESIDE = pytest.param(0, marks=pytest.mark.sqlite_only("a directory beside the file"), id="beside the database")
OF_THE_HOST = pytest.param(-1, id="of the host")


def put_flag(desk: Desk, scope: str = "ACCOUNT:leader", text: str = "", where: int = 0, kill_id: str = "") -> str:
    """A kill that reached only a directory, as one does while the database is locked."""
    kill_id = kill_id or halt.new_kill_id()
    directory = desk.store.directories[where] / halt.HALT
    (directory / halt.flag_name(scope, kill_id)).write_text(text)
    return kill_id


@pytest.mark.parametrize("where", [BESIDE, OF_THE_HOST])
def test_the_next_check_adopts_a_flag_without_a_row(desk: Desk, where: int) -> None:
    """Row, epoch, journal, kill run, void permits and GENERATION: as if the kill had reached the database itself."""
    waiting = desk.guard.check(desk.order()).permit
    epoch = desk.one("SELECT epoch FROM account_heads WHERE account = 'leader'")
    text = json.dumps({"by": "asha", "reason": "fat finger", "plan": "flatten"})
    kill_id = put_flag(desk, text=text, where=where)
    decision = desk.guard.check(desk.order())

    assert [each.code.value for each in decision.rejects] == ["TRADING_HALTED"] and decision.recorded
    assert desk.rows(
        "SELECT kill_switch_status, activated_by, reason FROM traders_control "
        "WHERE account_type = 'leader' AND control_type = 'KILL_SWITCH' AND is_active = 1"
    ) == [("ACTIVE", "asha", "fat finger")]
    assert desk.rows("SELECT kill_id, account, kill_plan, state, cause FROM kill_runs") == [
        (kill_id, "leader", "flatten", "OPEN", "FLAG_FILE")
    ]
    assert desk.one("SELECT epoch FROM account_heads WHERE account = 'leader'") > epoch
    assert desk.one("SELECT count(*) FROM decisions WHERE kind = 'KILL'") == 1
    assert waiting is not None and desk.permit("o-1") == "VOID"
    assert read_generation(desk.path) == 1


def test_a_flag_is_adopted_once(desk: Desk) -> None:
    """By two processes and many checks: one run, one row of the journal; the flag stays until a release."""
    other = desk.another_guard()
    put_flag(desk)
    for guard in (desk.guard, other, desk.guard, other):
        assert not guard.check(desk.order()).approved

    assert desk.one("SELECT count(*) FROM kill_runs") == 1
    assert desk.one("SELECT count(*) FROM decisions WHERE kind = 'KILL'") == 1
    assert len(desk.flags()) == 1


CONTENTS = table("""
    text                        plan    by
    -                           cancel  -
    {"by":"asha"}               cancel  asha
    {"plan":"flatten"}          flatten  -
    {"plan":"rm -rf"}           cancel  -
    {"plan":["flatten"]}        cancel  -
    {"by":7,"reason":null}      cancel  7
    {"by":"as                   cancel  -
    [1,2]                       cancel  -
""")


@pytest.mark.parametrize("row", CONTENTS, ids=str)
def test_a_flag_halts_whatever_it_says(desk: Desk, row: Row) -> None:
    """Torn, empty or nonsense: who and why are lost, the halt is not; an unknown plan is `cancel`."""
    put_flag(desk, text="" if row.text == "-" else row.text)
    assert not desk.guard.check(desk.order()).approved

    assert desk.rows("SELECT kill_plan, by_whom FROM kill_runs") == [(row.plan, row.opt("by") or "")]


def test_a_flag_that_is_not_text_halts(desk: Desk) -> None:
    """A directory, or bytes nobody can decode."""
    put_flag(desk)
    desk.flags()[0].write_bytes(b"\xff\xfe\x00{")
    (desk.store.directories[0] / halt.HALT / halt.flag_name(halt.GLOBAL, "0f")).mkdir()

    assert not desk.guard.check(desk.order()).approved
    assert desk.one("SELECT count(*) FROM kill_runs") == 2


def test_a_global_flag_opens_a_run_for_every_account(make_desk: Callable[..., Desk]) -> None:
    """Each account has its own broker to be flat at."""
    made = make_desk(accounts=(ACCOUNT, "follower"))
    made.sweep()
    put_flag(made, halt.GLOBAL)
    assert not made.guard.check(made.order()).approved

    assert sorted(made.rows("SELECT account, scope FROM kill_runs")) == [("follower", "GLOBAL"), ("leader", "GLOBAL")]
    assert made.guard.state("follower").state is TradingState.HALTED


def test_a_flag_of_another_databases_account_is_left_alone(desk: Desk) -> None:
    """The host's directory serves all databases: an account that is not ours is neither halted here nor adopted."""
    put_flag(desk, "ACCOUNT:somebody", where=-1)

    assert desk.guard.check(desk.order()).approved
    assert desk.one("SELECT count(*) FROM kill_runs") == 0 and len(desk.flags()) == 1


def test_a_flag_whose_kill_is_released_is_removed(desk: Desk) -> None:
    """A release that died before it removed its files: whoever checks next finishes it, and is not halted."""
    from riskguard import admin

    kill_id = desk.kill().kill_id
    desk.sweep(61)
    admin.release(desk.store, ACCOUNT, by="asha", reason="understood", clock=desk.clock)
    assert desk.flags() == []
    for where in range(len(desk.store.directories)):
        put_flag(desk, where=where, kill_id=kill_id)
    decision = desk.guard.check(desk.order())

    assert decision.approved and desk.flags() == []
    assert desk.one("SELECT count(*) FROM kill_runs WHERE cause = 'FLAG_FILE'") == 0


def test_a_flag_beside_a_released_one_still_halts(desk: Desk) -> None:
    """Removing the litter must not remove the halt that stands next to it."""
    from riskguard import admin

    kill_id = desk.kill().kill_id
    desk.sweep(61)
    admin.release(desk.store, ACCOUNT, by="asha", reason="understood", clock=desk.clock)
    put_flag(desk, kill_id=kill_id)
    second = put_flag(desk)

    assert not desk.guard.check(desk.order()).approved
    assert [halt.parse_flag(path.name)[1] for path in desk.flags()] == [second]


@pytest.mark.parametrize("flags", [1, 16, 17, 40])
@pytest.mark.sqlite_only("what it asks is heard at the file's own connection")
def test_many_flags_are_settled_by_few_questions(desk: Desk, flags: int) -> None:
    """Each is a kill of its own and adopted once; whether the database knows them is asked of sixteen at a time."""
    for _ in range(flags):
        put_flag(desk)
    assert not desk.guard.check(desk.order()).approved
    assert desk.one("SELECT count(DISTINCT kill_id) FROM kill_runs") == flags
    assert desk.one("SELECT count(*) FROM decisions WHERE kind = 'KILL'") == flags

    put_flag(desk)  # with one that is not settled all are looked at again
    asked: list[str] = []
    desk.guard.store._connection().set_trace_callback(asked.append)  # type: ignore[attr-defined]
    assert not desk.guard.check(desk.order()).approved
    asked = [each for each in asked if "kill_runs.kill_id" in each]
    assert len(asked) == -(-(flags + 1) // kill_rows.AT_ONCE)
    assert desk.one("SELECT count(DISTINCT kill_id) FROM kill_runs") == flags + 1


def test_one_kill_with_several_flags_is_adopted_once(desk: Desk) -> None:
    """A misspelt name is flagged as it is and for everybody, in every directory."""
    for where in range(len(desk.store.directories)):
        for scope in ("ACCOUNT:leader", halt.GLOBAL):
            put_flag(desk, scope, where=where, kill_id="0123")
    assert not desk.guard.check(desk.order()).approved

    assert desk.rows("SELECT kill_id, count(*) FROM kill_runs GROUP BY kill_id") == [("0123", 1)]
    assert desk.one("SELECT count(*) FROM decisions WHERE kind = 'KILL'") <= 2  # of the account, and of everybody
