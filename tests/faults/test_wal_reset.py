"""
F3: SQLite before 3.51.3, 3.50.7 and 3.44.6 can corrupt a log that one connection checkpoints while another writes.

The safe mode is the same on every build: nobody checkpoints by itself, and the one who does holds the write lock. Which
builds are affected is a table of exact versions (`tests/services/test_guard.py`); `riskguard doctor` says so of its own.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import Any

import pytest

from riskguard.services.doctor import sqlite_version
from riskguard.store.engines import sqlite as lite
from tests.core.tables import Row, table
from tests.reliability.actors import times
from tests.services.desk import Desk

WRITERS = 3
CHECKS = times(25, 1_500)


def test_no_connection_checkpoints_by_itself(desk: Desk) -> None:
    """Both connections of a guard, a reader, and what everything else opens with: automatic checkpoints are off in each."""
    asked = []
    for durable in (True, False):
        with desk.store.session(durable=durable) as session:
            asked.append(session.connection.execute("PRAGMA wal_autocheckpoint").fetchone()[0])
            desk.store.roll_back(session)
    with desk.store.reading() as reader:
        asked.append(reader.connection.execute("PRAGMA wal_autocheckpoint").fetchone()[0])
    with contextlib.closing(lite.connect(desk.path, durable=True)) as plain:
        asked.append(plain.execute("PRAGMA wal_autocheckpoint").fetchone()[0])

    assert asked == [0, 0, 0, 0]


LOCKED = table("""
    lock  others
    yes   busy
    no    write
""")


@pytest.mark.parametrize("row", LOCKED, ids=str)
def test_the_janitor_checkpoints_only_under_the_write_lock(
    desk: Desk, row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    While it copies the log another writer finds the lock taken. Without its BEGIN IMMEDIATE, the control, the other
    writes into the log that is being copied: just what the bug needs.
    """
    monkeypatch.setattr(lite, "WAL_BYTES_MAX", 1)
    desk.guard.check(desk.order())
    found: list[str] = []
    plain = lite.connect

    class Watched:
        """The janitor's second connection: before it checkpoints somebody else tries to write."""

        def __init__(self, connection: sqlite3.Connection) -> None:
            self._connection = connection

        def execute(self, sql: str) -> Any:
            assert "wal_checkpoint" in sql
            with contextlib.closing(sqlite3.connect(desk.path, timeout=0, isolation_level=None)) as other:
                try:
                    other.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError:
                    found.append("busy")
                else:
                    found.append("write")
                    other.execute("ROLLBACK")
            return self._connection.execute(sql)

        def close(self) -> None:
            self._connection.close()

    class Unlocked:
        """A connection whose BEGIN does nothing."""

        def execute(self, sql: str) -> None:
            return None

    with contextlib.closing(plain(desk.path, durable=True)) as first, monkeypatch.context() as context:
        context.setattr(lite, "connect", lambda path, **how: Watched(plain(path, **how)))
        assert lite.checkpoint_if_large(desk.path, first if row.has("lock") else Unlocked())  # type: ignore[arg-type]

    assert found == [row.others]


def test_writers_and_janitors_together_corrupt_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three processes check and each is the janitor after every check; a fourth opens, reads and closes all the while."""
    monkeypatch.setattr(lite, "WAL_BYTES_MAX", 20_000)
    children = []
    for number in range(WRITERS):
        child = os.fork()
        if child == 0:
            try:
                for each in range(CHECKS):
                    assert desk.guard.check(desk.order(client_order_id=f"w{number}-{each}")).approved
                    desk.store.tidy()
                os._exit(0)
            except BaseException:
                os._exit(1)
        children.append(child)
    reads, codes = 0, dict.fromkeys(children, -1)
    while -1 in codes.values():
        assert desk.rows("SELECT count(*) FROM permits")
        reads += 1
        for child in [child for child, code in codes.items() if code == -1]:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                codes[child] = os.waitstatus_to_exitcode(status)

    assert list(codes.values()) == [0] * WRITERS and reads > 1
    assert desk.rows("PRAGMA integrity_check") == [("ok",)]
    assert desk.rows("SELECT count(*) FROM permits") == [(WRITERS * CHECKS,)]


SAID = table("""
    version  said
    3.40.1   yes
    3.51.2   yes
    3.51.3   no
    3.50.6   yes
    3.50.7   no
    3.44.5   yes
    3.44.6   no
""")


@pytest.mark.parametrize("row", SAID, ids=str)
def test_doctor_says_which_sqlite_it_is(desk: Desk, row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides of each edge, in the words a person reads."""
    from riskguard.services import doctor

    version = tuple(int(each) for each in row.version.split("."))
    affected = lite.has_wal_reset_bug
    monkeypatch.setattr(doctor, "has_wal_reset_bug", lambda: affected(version))
    monkeypatch.setattr(doctor.sqlite3, "sqlite_version", row.version)
    told = list(sqlite_version(desk.store, 0))

    assert [row.version in each.what for each in told] == [True] * row.has("said")
