"""
The backup: one instant of the database, proven, under its name only when it is whole; and a restored one halts.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riskguard.core.state import TradingState
from riskguard.errors import SettingsError, UpkeepError
from riskguard.services.upkeep import files
from riskguard.services.upkeep.backup import BackedUp, back_up
from riskguard.services.upkeep.lock import StoppedError
from riskguard.store import inspect
from tests.services import aged
from tests.services.aged import at_stage
from tests.services.desk import Desk
from tests.services.test_upkeep_archive import die, in_child
from tests.store import rows as made

pytestmark = pytest.mark.sqlite_only("a backup is a copy of the file; a server has pg_dump, and the command says so")

MINUTE_US = 60_000_000


def run(desk: Desk, to: object = None, **how: Any) -> BackedUp:
    return back_up(desk.url, to, clock=desk.clock, **how)  # type: ignore[arg-type]


def left(directory: Path) -> list[str]:
    """Every file that is or was to become a backup."""
    return sorted(each.name for each in directory.iterdir() if "backup" in each.name)


def contents(path: Path) -> dict[str, list[str]]:
    with aged.open_file(path) as file:
        names = [row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: sorted(map(repr, file.execute(" ".join(("SELECT * FROM", name)))))
            for name in names
            if name not in ("upkeep_runs", "sqlite_sequence")
        }


def test_a_backup_is_the_database(desk: Desk) -> None:
    """Every row of every table, whole, declared as ours, 0600, one file; and its making is recorded."""
    desk.hold(10)
    aged.fill(desk.path, 100)
    before = contents(desk.path)

    done = run(desk)

    assert left(desk.path.parent) == [done.path.name]
    assert contents(done.path) == before
    assert done.path.stat().st_mode & 0o777 == 0o600 and done.path.stat().st_size == done.bytes
    assert inspect.identify(f"sqlite:///{done.path}").kind == "riskguard"
    with aged.open_file(done.path) as file:
        assert inspect.integrity(file) == inspect.drift(file) == []
        assert file.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert desk.rows("SELECT kind, outcome FROM upkeep_runs") == [("backup", "DONE")]
    assert done.heads["leader"] == desk.one("SELECT sequence FROM account_heads WHERE account = 'leader'")
    assert done.notes == []


def test_a_restored_backup_halts(desk: Desk) -> None:
    """A backup from before a kill and its release knows neither: put back in place it is HALTED; a newer one is not."""
    older = run(desk)
    desk.kill()
    with contextlib.suppress(OSError):
        for flag in desk.flags():
            flag.unlink()  # the worst case: only the GENERATION file knows
    newer = run(desk)
    desk.guard.close()
    assert newer.generation > older.generation

    def restore(path: Path) -> Desk:
        for end in ("-wal", "-shm"):
            Path(f"{desk.path}{end}").unlink(missing_ok=True)
        shutil.copyfile(path, desk.path)
        return Desk(desk.path, desk.clock)

    restored = restore(older.path)
    assert restored.guard.state("leader").state is TradingState.HALTED
    decision = restored.guard.check(restored.order())
    assert not decision.approved
    restored.close()
    # The control: without the file beside it nobody would know.
    generation = desk.path.with_name(f"{desk.path.name}.GENERATION")
    generation.rename(generation.with_name("elsewhere"))
    forgetful = restore(older.path)
    assert forgetful.guard.state("leader").state is not TradingState.HALTED
    forgetful.close()


def test_names_are_never_taken_twice(desk: Desk, tmp_path: Path) -> None:
    """Two backups of one second have two names; a file that is there, whatever it is, is left as it is."""
    first, second = run(desk), run(desk)
    assert first.path != second.path
    taken = tmp_path / "taken.db"
    taken.write_text("mine")

    with pytest.raises(UpkeepError, match="not written over"):
        run(desk, taken)
    with pytest.raises(UpkeepError, match="no directory"):
        run(desk, tmp_path / "nowhere" / "x.db")

    assert taken.read_text() == "mine"
    assert run(desk, tmp_path / "free.db").path == tmp_path / "free.db"


def test_a_name_taken_while_it_works_is_not_taken_over(desk: Desk, tmp_path: Path) -> None:
    """Whoever was first keeps the name; nothing of ours is left."""
    path = tmp_path / "raced.db"
    take = at_stage("name", 1, lambda: path.write_text("mine") and None)

    with pytest.raises(UpkeepError, match="not written over"):
        run(desk, path, on_stage=take)

    assert path.read_text() == "mine" and list(tmp_path.glob("raced*")) == [path]


def test_keep_removes_the_oldest_of_its_own(desk: Desk, tmp_path: Path) -> None:
    """The newest two stay; files it did not name stay too, and links of the same name."""
    place = tmp_path / "backups"
    place.mkdir()
    others = [
        "risk.db-backup-20200101T000000Z.db.old", "risk.db.v3-backup-20200101T000000Z.db",
        "other.db-backup-20200101T000000Z.db", "risk.db-backup-2020.db",
    ]  # fmt: skip
    for name in others:
        (place / name).write_text("mine")
    (place / "risk.db-backup-20190101T000000Z.db").symlink_to(place / others[0])
    made = []
    for _ in range(4):
        desk.clock.advance(60)
        made.append(run(desk, place, keep=2))

    assert [each.path.exists() for each in made] == [False, False, True, True]
    assert made[-1].removed == [made[1].path]
    assert all((place / name).exists() for name in others)
    assert (place / "risk.db-backup-20190101T000000Z.db").is_symlink()
    with pytest.raises(SettingsError, match="--keep 0"):
        run(desk, place, keep=0)
    with pytest.raises(SettingsError, match="give a directory"):
        run(desk, place / "mine.db", keep=2)


def test_a_clock_that_went_back_does_not_remove_the_newest(desk: Desk, tmp_path: Path) -> None:
    """The one just made stays even if its name says it is the oldest."""
    run(desk, tmp_path)
    desk.clock.advance(-3600)

    done = run(desk, tmp_path, keep=1)

    assert left(tmp_path) == [done.path.name]


DAMAGE: dict[str, tuple[Callable[[Desk], object], str]] = {
    "a broken chain": (lambda desk: _cut_journal(desk.path), "journal of `leader` is not true"),
    "a broken page": (lambda desk: _break_page(desk.path), "damaged"),
}


def _cut_journal(path: Path) -> None:
    with aged.open_file(path) as file:
        (trigger,) = file.execute("SELECT sql FROM sqlite_master WHERE name = 'decisions_update_refused'").fetchone()
        file.execute("DROP TRIGGER decisions_update_refused")
        file.execute("UPDATE decisions SET body = replace(body, 'INIT', 'INIX') WHERE account = 'leader'")
        file.execute(trigger)


def _break_page(path: Path) -> None:
    with aged.open_file(path) as file:
        (root,) = file.execute("SELECT rootpage FROM sqlite_master WHERE name = 'idx_orders_status'").fetchone()
        (size,) = file.execute("PRAGMA page_size").fetchone()
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as raw:
        raw.seek((root - 1) * size)
        raw.write(os.urandom(size))


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_database_gets_no_backup(desk: Desk, what: str) -> None:
    """It would push out the good ones: nothing is left, and the good ones stay."""
    damage, says = DAMAGE[what]
    good = run(desk, keep=1)
    desk.guard.close()
    damage(desk)

    with pytest.raises(UpkeepError, match=says):
        run(desk, keep=1)

    assert left(desk.path.parent) == [good.path.name]


def test_a_schema_changed_by_hand_is_backed_up_and_told(desk: Desk) -> None:
    """An index somebody added is no reason to have no backup."""
    desk.sql("CREATE INDEX mine ON orders (trading_symbol)")

    assert "index mine" in run(desk).notes[0]


@pytest.mark.parametrize("stage", ["copy", "prove", "sync", "name"])
def test_killed_at_any_point_nothing_half_made_bears_the_name(desk: Desk, stage: str) -> None:
    """SIGKILL before each step leaves no finished name; the next backup clears away what was left."""
    desk.guard.close()

    died = in_child(lambda: run(desk, on_stage=at_stage(stage, 1, die)))

    assert died == signal.SIGKILL
    assert all(files.PART in name for name in left(desk.path.parent))
    desk.clock.advance(1)
    done = run(desk)
    assert left(desk.path.parent) == [done.path.name]


def test_stopped_it_leaves_nothing(desk: Desk) -> None:
    """Asked to stop it stops, and takes back what it began."""
    with pytest.raises(StoppedError):
        run(desk, stop=lambda: True)

    assert left(desk.path.parent) == []


def test_it_is_one_instant_while_others_write(desk: Desk) -> None:
    """Two tables that are always written together are never apart in a backup; written apart they would be."""
    desk.guard.close()
    pid = os.fork()
    if pid == 0:
        with contextlib.closing(sqlite3.connect(desk.path, timeout=10, isolation_level=None)) as file:
            for number in range(1_000_000):
                file.execute("BEGIN IMMEDIATE")
                file.execute("INSERT INTO audit_log (action, account_type, ts) VALUES ('a', 'leader', ?)", (number,))
                file.execute(
                    "INSERT INTO error_log (error_type, error_message, occurred_at) VALUES ('e', 'm', ?)", (number,)
                )
                file.execute("COMMIT")
        os._exit(0)
    try:
        counts = []
        for _ in range(3):
            done = run(desk)
            with aged.open_file(done.path) as file:
                counts.append([made.count(file, each) for each in ("audit_log", "error_log")])
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    assert all(first == second for first, second in counts)
    assert counts[-1][0] > counts[0][0]
