"""
What a durable answer waits for on SQLite: the log, synced by this process after its COMMIT.

The order of the calls themselves is listed in tests/faults/test_sync_order.py; here is what happens when syncing fails,
what the descriptor must not disturb, and a file that keeps no log.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from riskguard.core.decide import Decision
from riskguard.errors import DecisionUnknownError
from riskguard.store.engines import sqlite as lite
from tests.core.tables import Row, table
from tests.services.desk import Desk

pytestmark = pytest.mark.sqlite_only("what happens to a file; PostgreSQL syncs its own log")
LARGE = 2_000_000
"""More than the desk's limit on a position: such an order is refused."""


def codes(decision: Decision) -> list[str]:
    return [each.code for each in decision.rejects]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[int]]:
    """The next sync of the log fails, as the system reports such a thing: once."""
    plain = lite.sync

    def arm() -> list[int]:
        failed: list[int] = []

        def sync(log: int) -> None:
            if not failed:
                failed.append(log)
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            plain(log)

        monkeypatch.setattr(lite, "sync", sync)
        return failed

    return arm


def test_a_refusal_that_could_not_be_synced_is_unknown_and_asked_again_it_is_on_disk(
    desk: Desk, failing: Callable[[], list[int]]
) -> None:
    """The rows stand for this machine, not for a power loss: not told before the whole log is in the database itself."""
    assert desk.guard.check(desk.order()).approved
    asked = desk.order(quantity=LARGE)
    assert failing() == []
    with pytest.raises(DecisionUnknownError, match="synced"):
        desk.guard.check(asked)
    again = desk.guard.check(asked)

    assert not again.approved and again.recorded and codes(again) != ["STORE_UNAVAILABLE"]
    # What only a log would hold is lost with it: the database alone answers.
    alone = desk.path.with_name("alone.db")
    with contextlib.closing(sqlite3.connect(f"file:{desk.path}?mode=ro", uri=True)) as reader:
        reader.execute("SELECT 1 FROM account_heads").fetchone()
        subprocess.run(["cp", desk.path, alone], check=True)  # a close in this process would drop its locks
    with contextlib.closing(sqlite3.connect(alone)) as copy:
        kept = copy.execute("SELECT count(*) FROM risk_violations WHERE client_order_id = ?", (asked.client_order_id,))
        assert kept.fetchone()[0] > 0


def test_nothing_is_approved_while_the_log_cannot_be_taken_over(
    desk: Desk, failing: Callable[[], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the disk works again every answer is a refusal, to the spool; then all is as before."""
    assert desk.guard.check(desk.order()).approved
    failing()
    with pytest.raises(DecisionUnknownError):
        desk.guard.check(desk.order(quantity=LARGE))
    with monkeypatch.context() as broken:
        broken.setattr(lite, "checkpoint", lambda *_: False)
        refused = desk.guard.check(desk.order())
        assert codes(refused) == ["STORE_UNAVAILABLE"] and not refused.recorded
    assert desk.guard.check(desk.order()).approved


def test_a_reader_of_old_rows_keeps_the_log_from_being_taken_over(desk: Desk) -> None:
    """`checkpoint` says whether all of it was copied: half of it would leave behind what could not be synced."""
    assert desk.guard.check(desk.order()).approved
    with desk.store.session() as session:
        connection = session.connection
        desk.store.roll_back(session)
    with contextlib.closing(sqlite3.connect(desk.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM permits").fetchone()
        assert desk.guard.check(desk.order()).approved
        assert not lite.checkpoint(desk.path, connection)
    assert lite.checkpoint(desk.path, connection)


def locks_of(path: Path) -> list[str]:
    """The locks this process holds on the files of a database, as the system lists them."""
    inodes = {os.stat(f"{path}{end}").st_ino: end for end in ("", "-wal", "-shm")}
    held = []
    for line in Path("/proc/locks").read_text().splitlines():
        _number, kind, _mode, access, pid, place, *ranges = line.replace("-> ", "").split()
        inode = int(place.rpartition(":")[2])
        if int(pid) == os.getpid() and inode in inodes:
            held.append(f"{kind} {access} {inodes[inode]} {ranges}")
    return sorted(held)


def test_the_descriptor_of_the_log_costs_no_lock(desk: Desk) -> None:
    """Closing a descriptor drops a process's locks on that file: SQLite keeps none on the log, and its others stand."""
    assert desk.guard.check(desk.order()).approved
    before = locks_of(desk.path)
    assert before and not any("-wal" in each for each in before)
    log = lite.open_log(desk.path)
    assert log is not None
    os.close(log)
    assert locks_of(desk.path) == before
    desk.path.read_bytes()  # the control: this is what must not be done
    assert locks_of(desk.path) != before


def test_a_file_taken_out_of_wal_mode_is_synced_by_sqlite(desk: Desk) -> None:
    """Somebody's tool left it in another mode: nothing has a log to sync, so its own commits wait for the disk."""
    desk.store.close()
    with contextlib.closing(sqlite3.connect(desk.path)) as tool:
        assert tool.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
    asked = desk.order(quantity=LARGE)
    assert desk.guard.check(asked).recorded
    with desk.store.session(durable=False) as session:
        assert session.connection.execute("PRAGMA synchronous").fetchone() == (2,)


ASKED_AGAIN = table("""
    order    how      syncs
    refused  check    1
    refused  basket   1
    let out  check    0
""")


@pytest.mark.parametrize("row", ASKED_AGAIN, ids=str)
def test_a_refusal_another_process_wrote_is_told_after_a_sync(
    desk: Desk, row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its writer may not have synced it yet: whoever is asked the same and tells it waits for the disk, too."""
    asked = desk.order(quantity=LARGE if row.order == "refused" else 10)
    other = desk.another_guard()
    ask = other.check if row.how == "check" else lambda order: other.check_basket([order])
    first = (desk.guard.check if row.how == "check" else lambda order: desk.guard.check_basket([order]))(asked)
    synced: list[int] = []
    plain = lite.sync
    monkeypatch.setattr(lite, "sync", lambda log: (synced.append(log), plain(log)))
    again = ask(asked)

    assert again.approved == first.approved == (row.order == "let out")
    assert len(synced) == row.number("syncs")
