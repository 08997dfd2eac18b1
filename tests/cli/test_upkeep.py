"""`riskguard db backup`, `archive`, `attach`, `vacuum` and `check`, as a person runs them."""

from __future__ import annotations

import os
import re
import resource
import signal
import sqlite3
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path

import pytest

from riskguard.errors import RiskGuardError
from riskguard.services.setup import initialise
from riskguard.services.upkeep.backup import back_up
from riskguard.services.upkeep.retention import TABLES
from tests.cli.shell import COMMAND, ROOT, Shell
from tests.cli.test_upgrade import as_nobody
from tests.store import rows as made

pytestmark = pytest.mark.sqlite_only("keeps a file; what a server answers is in test_postgres_commands.py")

GUIDE = ROOT / "docs" / "how-to" / "upkeep.md"
OLD_S = 1_600_000_000
"""13 September 2020: older than anything is kept."""


@pytest.fixture
def aged(shell: Shell) -> Shell:
    """A fresh database with some rows of 2020."""
    with closing(sqlite3.connect(shell.database, isolation_level=None)) as file:
        file.execute("BEGIN")
        made.put(
            file, "audit_log", *({**made.AUDIT, "ts": OLD_S + each, "request_data": "x" * 400} for each in range(500))
        )
        made.put(file, "orders", {**made.ORDER, "status": "EXECUTED", "created_at": OLD_S, "updated_at": OLD_S})
        made.put(file, "order_events", {**made.EVENT, "event_ts": OLD_S})
        made.put(file, "trades", {**made.TRADE, "trade_ts": OLD_S, "created_at": OLD_S})
        file.execute("COMMIT")
    return shell


def backups(shell: Shell) -> list[str]:
    return sorted(each.name for each in shell.directory.iterdir() if "backup" in each.name)


# -- the guide ---------------------------------------------------------------------------------------------------------


def commands() -> list[str]:
    fences = re.findall(r"^```sh\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [line.partition("#")[0].strip() for fence in fences for line in fence.splitlines() if line.strip()]


def test_every_command_of_the_guide_works(aged: Shell) -> None:
    """In the order they stand in, each succeeds, says something, and knows `--json` and `--help`."""
    shown = commands()
    assert len(shown) >= 10 and all(each.startswith("riskguard db ") for each in shown)

    for line in shown:
        words = line.split()[1:]
        answer = aged(*words)
        assert (answer.status, answer.err) == (0, ""), line
        assert answer.out.strip(), line
        assert aged(*words, "--json").document is not None
        assert "Exit status: 0 " in aged(*words[:2], "--help").out


def test_every_table_that_is_archived_is_in_the_guide() -> None:
    """And no table is promised that no rule moves."""
    rows = [line for line in GUIDE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    said = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row.split("|")[1])}

    assert said == {table.name for table in TABLES}


def test_the_sql_of_attach_runs(aged: Shell) -> None:
    """What it prints lets plain sqlite3 ask both; before archiving and after it the answer is the same."""
    asked = "SELECT count(*) FROM all_audit_log a, all_orders o JOIN all_trades t ON t.order_id = o.id"

    def ask() -> int:
        with closing(sqlite3.connect(aged.database)) as file:
            file.executescript(aged("db", "attach").out)
            return int(file.execute(asked).fetchone()[0])

    before = ask()
    assert before >= 500 and aged("db", "archive").status == 0
    assert aged.rows("SELECT count(*) FROM audit_log WHERE ts < 1600001000") == [(0,)]
    assert ask() == before
    assert "archive_2020" in aged("db", "attach", "--year", "2020").out
    missing = aged("db", "attach", "--year", "1999")
    assert missing.status == 1 and missing.is_one_line_error()


# -- what is said, and with which status ---------------------------------------------------------------------------------


def test_archive_says_what_it_moved(aged: Shell) -> None:
    """Table, rows, dates and the file; then that nothing is left to do; then what the archive holds."""
    planned, done = aged("db", "archive", "--dry-run").out, aged("db", "archive").out

    for said in (planned, done):
        assert re.search(r"audit_log +│ 500 +│ 2020-09-13 17:56 │", said)
        assert "risk.db-archive-2020.db" in said
    assert "would move 503 rows" in planned and ": moved 503 rows" in done
    assert "moved 0 rows" in aged("db", "archive").out
    (found,) = aged("db", "archive", "--list", "--json").document
    assert found["year"] == 2020 and found["wrong"] is None
    assert {held["table"]: held["rows"] for held in found["tables"]}["audit_log"] == 500
    assert aged("audit", "verify").status == 0
    (aged.directory / "risk.db-archive-2020.db").write_text("gone")
    broken = aged("db", "archive", "--list")
    assert broken.status == 1 and "WRONG" in broken.out


def test_backup_to_a_place_and_what_it_refuses(aged: Shell) -> None:
    """A directory, a file, a name that is taken, a directory that is not there, a number that is none."""
    place = aged.directory / "safe"
    place.mkdir()
    assert aged("db", "backup", str(place), "--keep", "1").status == 0
    assert aged("db", "backup", str(place), "--keep", "1", "--json").document["removed"] != []
    assert len(list(place.iterdir())) == 1
    named = str(aged.directory / "named.db")
    assert aged("db", "backup", named).status == 0

    for words, status in (
        ((named,), 1), ((str(place / "no" / "x.db"),), 1), (("--keep", "0"), 2), ((str(place / "new.db"), "--keep", "2"), 2),
        (("--db", str(aged.directory / "none.db")), 1), (("--keep", "many"), 2), (("--db", "postgresql://x/y"), 2),
    ):  # fmt: skip
        answer = aged("db", "backup", *words)
        assert answer.status == status and answer.is_one_line_error(), (words, answer)


@pytest.mark.parametrize(
    "words", [("backup",), ("archive",), ("archive", "--dry-run"), ("vacuum",), ("attach",), ("check",)]
)
def test_a_file_that_is_no_database(empty: Shell, words: tuple[str, ...]) -> None:
    """One line, status 1, and the file is as it was."""
    empty.database.write_text("a page of text, long enough to be looked at. " * 100)

    answer = empty("db", *words)

    assert answer.status == 1 and answer.is_one_line_error()
    assert empty.database.read_text().startswith("a page of text") and backups(empty) == []


def test_check_says_what_is_to_be_looked_at_and_what_is_wrong(aged: Shell) -> None:
    """No backup yet is to be looked at, status 0; a changed schema is wrong, status 1."""
    fresh = aged("db", "check")
    assert fresh.status == 0 and "LOOK AT: no backup was ever made; `riskguard db backup`" in fresh.out
    assert "all is well" in fresh.out
    assert "`riskguard audit verify`" in fresh.out  # what a checkup does not judge
    aged("db", "backup")
    assert "LOOK AT" not in aged("db", "check").out
    aged.write("CREATE TABLE mine (id INTEGER)")

    wrong = aged("db", "check", "--quick")

    assert wrong.status == 1 and "WRONG: schema: table mine is not declared" in wrong.out
    (finding,) = aged("db", "check", "--json").document["findings"][:1]
    assert finding["severity"] == "error" and finding["way_out"]


def test_vacuum_gives_back_what_the_archive_left(aged: Shell) -> None:
    """The file is smaller afterwards; there is nothing to do then, and that is no error."""
    aged("db", "archive")
    before = aged.database.stat().st_size

    done = aged("db", "vacuum")

    assert done.status == 0 and "in short steps" in done.out
    assert aged.rows("PRAGMA freelist_count") == [(0,)] and before > 0
    assert "no page is free" in aged("db", "vacuum").out


# -- disks and people --------------------------------------------------------------------------------------------------


def limited(shell: Shell, most: int, *words: str) -> subprocess.CompletedProcess[str]:
    """
    Run the command with no file growing beyond *most* bytes, as on a disk that is full.

    It keeps no compiled modules: Python would leave half of one behind, for everybody.
    """
    environment = shell.environment(PYTHONDONTWRITEBYTECODE="1")
    return subprocess.run(
        [COMMAND, "db", *words], capture_output=True, text=True, check=False, env=environment,
        cwd=shell.directory, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )  # fmt: skip


def test_a_disk_that_fills_up_during_a_backup(aged: Shell) -> None:
    """One line, and nothing lies about; with room it is made."""
    size = aged.database.stat().st_size

    for most in (size // 2, size - 4096):
        done = limited(aged, most, "backup")
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done
        assert "no backup was made" in done.stderr and backups(aged) == []
    assert limited(aged, 8 * size, "backup").returncode == 0


@pytest.mark.parametrize("most", [40_000, 150_000, 400_000], ids=["no archive fits", "some rows fit", "most rows fit"])
def test_a_disk_that_fills_up_during_archiving(aged: Shell, most: int) -> None:
    """One line; every row is in the database or the archive; with room the next run finishes."""
    done = limited(aged, most, "archive")

    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done
    assert "no row was lost" in done.stderr

    def everywhere() -> set[int]:
        found = {row[0] for row in aged.rows("SELECT id FROM audit_log WHERE ts < 1600001000")}
        archive = aged.directory / "risk.db-archive-2020.db"
        return found | (
            {row[0] for row in aged.rows("SELECT id FROM audit_log", database=archive)} if archive.exists() else set()
        )

    assert len(everywhere()) == 500
    assert not list(aged.directory.glob("*.part"))
    assert aged("db", "archive").status == 0
    assert len(everywhere()) == 500 and aged.rows("SELECT count(*) FROM audit_log WHERE ts < 1600001000") == [(0,)]


def test_a_directory_that_may_not_be_written(tmp_path: Path) -> None:
    """Whoever may read and not write gets one line, status 1 and no part of a backup; root steps down for it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # pytest's own directories let no other user in
        database = Path(name) / "risk.db"
        initialise(f"sqlite:///{database}", profile="library")
        database.chmod(0o644)
        Path(name).chmod(0o755)
        before = sorted(os.listdir(name))
        with as_nobody(), pytest.raises(RiskGuardError) as said:
            back_up(f"sqlite:///{database}", tmp_path)
        assert "\n" not in str(said.value)
        assert sorted(os.listdir(name)) == before and not list(tmp_path.iterdir())


def test_ctrl_c_in_the_middle_of_a_backup(aged: Shell) -> None:
    """One line, status 1, nothing left; it is interrupted while it holds a part."""
    with closing(sqlite3.connect(aged.database, isolation_level=None)) as file:
        file.execute("PRAGMA wal_autocheckpoint = 0")
        file.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) INSERT INTO audit_log "
            "(action, account_type, request_data, ts) SELECT 'a', 'leader', hex(randomblob(1000)), i FROM n"
        )
    for _attempt in range(10):  # the signal must come while it copies; one that was too quick is done over
        running = aged.start("db", "backup")
        end = time.monotonic() + 30
        while not list(aged.directory.glob("*.part")):
            assert time.monotonic() < end and running.poll() is None, running.communicate()
            time.sleep(0.001)
        running.send_signal(signal.SIGINT)
        _out, said = running.communicate(timeout=30)
        if running.returncode != 0:
            break
        for left in backups(aged):
            (aged.directory / left).unlink()

    assert running.returncode == 1 and said.splitlines() == ["riskguard: stopped: no backup was made"]
    assert backups(aged) == []
    assert not Path(aged.directory / "risk.db-journal").exists()
