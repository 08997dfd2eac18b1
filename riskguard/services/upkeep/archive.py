"""
Moves old rows into the archive files, so that a crash at any point loses none and doubles none.

Chunk by chunk: read, write to the archive and sync it, read back from there, and only then delete what stands in
the archive value for value, in write transactions of a few milliseconds. A run that was cut off leaves at worst
rows in both files; the next run recognises them. Rows that changed meanwhile, or that the archive holds
otherwise, stay where they are and are reported.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from riskguard.clock import SystemClock
from riskguard.errors import StoreError, UpkeepError
from riskguard.ports import Clock
from riskguard.services.settings import DatabaseSettings, read_settings
from riskguard.services.upkeep.archive_file import ArchiveFile, Row
from riskguard.services.upkeep.files import archive_path
from riskguard.services.upkeep.lock import StoppedError, alone, one_line
from riskguard.services.upkeep.retention import IST_S, RULES, Rule, cutoffs, year_of
from riskguard.store import upkeep_runs as record
from riskguard.store.engines import sqlite as lite
from riskguard.store.engines.postgresql import only_files
from riskguard.store.session import Store
from riskguard.store.spelling import Prepared
from riskguard.store.statements import fixed, param, prepare

ROWS_AT_ONCE = 1_000
BYTES_AT_ONCE = 2_000_000
"""A chunk in memory: whichever is reached first."""
HOLD_S = 0.004
"""How long the write lock is held at once. A check waits at most 50 ms for it, and there may be others."""
REST_PER_HOLD = 2.0
REST_S = 0.004
"""Between two deletes the lock is left alone twice as long as it was held: SQLite's lock has no queue."""
WAIT_S = 5.0
PATIENCE_S = 60.0
"""So long a chunk is tried again while others, or a kill's gate, keep the lock."""

Progress = Callable[[str, int, int], None]
Stage = Callable[[str], None]
Stop = Callable[[], bool]


@dataclass(slots=True)
class Moved:
    """
    What goes, or went, from one table to one archive. Times as the table has them.

    Attributes:
        bytes: Of the values, without indexes: what is freed is somewhat more.
        present: Rows that stood in the archive already: an earlier run was cut off.
        held: Rows that stay: changed meanwhile, or the archive holds another row under their key.
        checksum: Of the rows that left, as read back from the archive.
    """

    table: str
    year: int
    target: Path
    rows: int = 0
    oldest: int | None = None
    newest: int | None = None
    bytes: int = 0
    present: int = 0
    held: int = 0
    checksum: str = ""


@dataclass(slots=True)
class Archived:
    """What an archive run did, or with `dry_run` would do."""

    path: Path
    dry_run: bool
    moved: list[Moved] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rows(self) -> int:
        return sum(each.rows for each in self.moved)

    @property
    def held(self) -> int:
        return sum(each.held for each in self.moved)


ARCHIVE_INSTEAD = "`pg_dump` and room: nothing leaves the tables of a server by itself"


def plan(url: str, *, clock: Clock | None = None) -> Archived:
    """Say what `archive` would move now: table by table and year by year. Changes nothing."""
    began = time.monotonic()
    only_files(url, "riskguard db archive", ARCHIVE_INSTEAD)
    store = Store(url)
    with contextlib.closing(store), one_line("archive", store.path, "nothing was moved"):
        limits = cutoffs(settings_of(store), (clock or SystemClock()).now_us())
        with contextlib.closing(lite.connect(store.path, durable=False)) as connection:
            found = [moved for rule in RULES for moved in _counted(connection, store.path, rule, limits)]
    return Archived(store.path, True, found, seconds=time.monotonic() - began)


def archive(
    url: str, *, clock: Clock | None = None, on_progress: Progress = lambda _what, _done, _total: None,
    on_stage: Stage = lambda _name: None, stop: Stop = lambda: False, daily: bool = False,
) -> Archived:  # fmt: skip
    """
    Move what may leave. Checks and sweeps go on meanwhile; a kill's gate is stood back for.

    *on_stage* is told before each step of each chunk; *stop* is asked between chunks.

    Raises UpkeepError (also BusyError, StoppedError): what was moved is moved, the rest is where it was.
    """
    began = time.monotonic()
    only_files(url, "riskguard db archive", ARCHIVE_INSTEAD)
    store, clock = Store(url), clock or SystemClock()
    now_us = clock.now_us()
    after = "no row was lost, the rest stays where it is"
    with contextlib.closing(store), alone(store.path, held=daily), one_line("archive", store.path, after):
        limits = cutoffs(settings_of(store), now_us)
        done = Archived(store.path, False)
        with contextlib.closing(Mover(store, limits, on_stage, stop)) as mover:
            # What progress is measured by; the rows themselves are judged one by one.
            total = sum(each.rows for rule in RULES for each in _counted(mover.connection, store.path, rule, limits))
            for rule in RULES:
                before = done.rows
                done.moved += mover.move(rule, lambda rows, before=before: on_progress("rows", before + rows, total))  # type: ignore[misc]
        done.notes = [
            f"{each.table}: {each.held} rows stay: `{each.target.name}` holds others under their keys (a backup was "
            "restored?), or they were changed meanwhile; move that archive away, and the next run begins another"
            for each in done.moved
            if each.held
        ]
        done.moved = [each for each in done.moved if each.rows]
        if not daily:
            # It is done, and said; a row of the record less is no reason to call it failed.
            with contextlib.suppress(StoreError), store.session(durable=False, wait_s=WAIT_S) as session:
                record.by_hand(session, "archive", summary(done), now_us, clock.now_us())
    done.seconds = time.monotonic() - began
    return done


def summary(done: Archived) -> dict[str, Any]:
    """Return what the record keeps of a run."""
    rows: dict[str, int] = {}
    for each in done.moved:
        rows[each.table] = rows.get(each.table, 0) + each.rows
    return {"rows": rows, "held": done.held, "seconds": round(done.seconds, 1)}


def settings_of(store: Store) -> DatabaseSettings:
    """Read the settings without the write lock; raises SettingsError, and what opening the file raises."""
    with store.reading() as session:
        return read_settings(session)


def _counted(connection: sqlite3.Connection, path: Path, rule: Rule, limits: dict[str, Any]) -> Iterator[Moved]:
    """Count what may leave one table, by year; a read transaction, no lock."""
    table, time_column = rule.table, rule.table.c[rule.time]
    seconds = time_column / fixed(1_000_000) if rule.in_us else time_column
    year = sa.func.strftime(fixed("%Y"), sa.cast(seconds, sa.Integer) + fixed(IST_S), fixed("unixepoch"))
    size = sum((_size(column) for column in table.columns), sa.literal_column("0"))
    counted = prepare(
        sa.select(
            year, sa.func.count(), sa.func.min(time_column), sa.func.max(time_column), sa.func.sum(size)
        )
        .select_from(table)
        .where(rule.may_leave)
        .group_by(year)
        .order_by(year)
    )  # fmt: skip
    sql, constants = counted.compiled()
    for found, rows, oldest, newest, size_bytes in connection.execute(sql, {**constants, **limits}).fetchall():
        year_found = max(1970, int(found))
        target = archive_path(path, year_found)
        yield Moved(table.name, year_found, target, rows, oldest, newest, size_bytes)


def _size(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """Return the bytes of one value: text and blobs by their length, numbers by eight."""
    if isinstance(column.type, sa.Text):
        return sa.func.coalesce(sa.func.length(column), fixed(0))
    return fixed(8)


class Mover:
    """One run: the connection that reads and deletes, the archives that are open, and the pace."""

    def __init__(self, store: Store, limits: dict[str, Any], on_stage: Stage, stop: Stop) -> None:
        self.path = store.path
        self.limits = limits
        self.on_stage, self.stop = on_stage, stop
        self.gate_directory = store.directories[0]
        self.longest_hold_s = 0.0
        # A lost delete is one that the next run does again: only the archive must be on the disk.
        self.connection = lite.connect(self.path, durable=False)
        self.connection.execute("SELECT 1 FROM account_heads LIMIT 1").fetchone()  # -wal and -shm are there now
        self._watch = lite.FileWatch(self.path)
        self._archives: dict[int, ArchiveFile] = {}

    def close(self) -> None:
        for each in self._archives.values():
            each.close()
        self.connection.close()

    def move(self, rule: Rule, on_rows: Callable[[int], None]) -> list[Moved]:
        """Move everything one rule lets go; returns one entry per year."""
        read, delete = _statements(rule)
        found: dict[int, Moved] = {}
        sums: dict[int, Any] = {}
        after, seen = -(2**63), 0
        while chunk := self._read(read, after):
            after = chunk[-1][0]
            by_year: dict[int, list[Row]] = {}
            place = list(rule.table.columns).index(rule.table.c[rule.time])
            for row in chunk:
                by_year.setdefault(year_of(row[1 + place], rule.in_us), []).append(row)
            for year, rows in by_year.items():
                moved = found.setdefault(year, Moved(rule.table.name, year, archive_path(self.path, year)))
                gone = self._move_chunk(rule, year, rows, delete, moved)
                digest = sums.setdefault(year, hashlib.blake2b(digest_size=16))
                for row in gone:
                    digest.update(repr(row[1:]).encode())
                    at = row[1 + place]
                    moved.oldest = at if moved.oldest is None else min(moved.oldest, at)
                    moved.newest = at if moved.newest is None else max(moved.newest, at)
                    moved.bytes += _bytes(row[1:])
            seen += len(chunk)
            on_rows(seen)
            lite.checkpoint_if_large(self.path, self.connection)
        for year, moved in found.items():
            moved.checksum = sums[year].hexdigest()
        return [found[year] for year in sorted(found)]

    def _read(self, read: Prepared, after: int) -> list[Row]:
        """Return the next rows that may leave, with their row numbers; never more than fits in memory."""
        if self.stop():
            raise StoppedError("archive: stopped; no row was lost, the rest waits for the next run")
        sql, constants = read.compiled()
        cursor = self.connection.execute(sql, {**constants, **self.limits, "after": after, "most": ROWS_AT_ONCE})
        rows: list[Row] = []
        size = 0
        for row in cursor:
            rows.append(row)
            size += _bytes(row)
            if size >= BYTES_AT_ONCE:
                break
        cursor.close()
        return rows

    def _move_chunk(self, rule: Rule, year: int, rows: list[Row], delete: Prepared, moved: Moved) -> list[Row]:
        """Copy, prove, delete, in this order. Returns the rows that left."""
        archive = self._archives.get(year)
        if archive is None:
            self.on_stage("create")
            archive = self._archives[year] = ArchiveFile(self.path, year)
        self.on_stage("copy")
        before = sum(archive.holds(rule.table, (row[1:] for row in rows)))
        archive.keep(rule.table, (row[1:] for row in rows))
        self.on_stage("prove")
        proven = [
            row
            for row, is_there in zip(rows, archive.holds(rule.table, (row[1:] for row in rows)), strict=True)
            if is_there
        ]
        self.on_stage("delete")
        gone = self.delete(rule.table, proven, delete)
        moved.rows += len(gone)
        moved.present += before
        moved.held += len(rows) - len(gone)
        self.on_stage("deleted")
        return gone

    def delete(self, table: sa.Table, rows: list[Row], delete: Prepared) -> list[Row]:
        """Delete rows that are what they were when they were copied, a few milliseconds at a time."""
        gone: list[Row] = []
        waiting = iter(rows)
        left = True
        while left:
            if not self._watch.is_same():
                raise UpkeepError(f"archive: `{self.path}` was replaced meanwhile; nothing more is moved")
            self._begin()
            began = time.monotonic()
            try:
                done: list[Row] = []
                for row in waiting:
                    if self._delete_one(table, row, delete):
                        done.append(row)
                    if time.monotonic() - began >= HOLD_S:
                        break
                else:
                    left = False
                self.on_stage("commit")
                self.connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self.connection.rollback()
                raise
            gone += done
            held = time.monotonic() - began
            self.longest_hold_s = max(self.longest_hold_s, held)
            time.sleep(max(REST_S, REST_PER_HOLD * held))
        return gone

    def _delete_one(self, table: sa.Table, row: Row, delete: Prepared) -> bool:
        sql, constants = delete.compiled()
        was = {f"was_{column.name}": value for column, value in zip(table.columns, row[1:], strict=True)}
        return self.connection.execute(sql, {**constants, **self.limits, **was, "row": row[0]}).rowcount == 1

    def _begin(self) -> None:
        """Take the write lock; stand back for a kill's gate, and for others, with patience."""
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                lite.begin(self.connection, self.gate_directory, WAIT_S)
            except sqlite3.OperationalError as e:
                if not (lite.is_busy(e) or "stand back" in str(e)) or time.monotonic() >= end or self.stop():
                    raise
            else:
                return


def _statements(rule: Rule) -> tuple[Prepared, Prepared]:
    """Return (read the next rows, delete one row if it is the same and may still leave)."""
    table = rule.table
    number: sa.ColumnClause[int] = sa.literal_column(f"{table.name}.rowid")
    read = (
        sa.select(number, *table.columns)
        .where(number > param("after"), rule.may_leave)
        .order_by(number)
        .limit(param("most"))
    )
    same = [column.is_not_distinct_from(param(f"was_{column.name}")) for column in table.columns]
    return prepare(read), prepare(sa.delete(table).where(number == param("row"), *same, rule.may_leave))


def _bytes(row: Row) -> int:
    return sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)
