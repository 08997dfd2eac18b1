"""
A backup: a copy of the whole database at one instant, proven before it gets its name.

Page by page through SQLite, while everything goes on. Restored, it halts: the GENERATION file beside the database
knows of kills and releases the backup does not.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from riskguard.clock import SystemClock
from riskguard.errors import SettingsError, StoreError, UpkeepError
from riskguard.ports import Clock
from riskguard.services.upkeep import files
from riskguard.services.upkeep.lock import StoppedError, alone, one_line
from riskguard.store import inspect, journal
from riskguard.store import upkeep_runs as record
from riskguard.store.engines import sqlite as lite
from riskguard.store.engines.postgresql import only_files
from riskguard.store.engines.sqlite_store import SqliteSession
from riskguard.store.migration.backup import sync_file
from riskguard.store.session import GLOBAL, Store
from riskguard.store.statements import prepare
from riskguard.store.tables import metadata
from riskguard.store.tables.journal import account_heads

PAGES_AT_ONCE = 2_048
ROOM_SPARED = 1_000_000
"""Bytes that stay free when the backup is there: a kill must still find room for its row."""
WAIT_S = 5.0

HEADS = prepare(
    sa.select(account_heads.c.account, account_heads.c.sequence, account_heads.c.last_hash, account_heads.c.generation)
    .order_by(account_heads.c.account)
)  # fmt: skip

Progress = Callable[[str, int, int], None]
Stage = Callable[[str], None]
Stop = Callable[[], bool]


@dataclass(slots=True)
class BackedUp:
    """
    What a backup holds.

    Attributes:
        heads: The last journaled sequence of each account. generation: kills and releases it knows of.
        removed: Older backups taken away. notes: What a person should look at.
    """

    path: Path
    bytes: int
    rows: int
    heads: dict[str, int]
    generation: int
    removed: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


def back_up(
    url: str, to: str | Path | None = None, *, keep: int | None = None, clock: Clock | None = None,
    on_progress: Progress = lambda _what, _done, _total: None, on_stage: Stage = lambda _name: None,
    stop: Stop = lambda: False, daily: bool = False,
) -> BackedUp:  # fmt: skip
    """
    Write a proven backup of the database at *url* and return what it holds.

    *daily* says that the lock is held and the record is kept by the caller.

    *to* is a directory or a new file's name; left out, the directory of the database. Files are 0600 and never
    written over. With *keep* only the newest so many stay, of those named like ours and in that directory.

    Raises SettingsError (malformed), DatabaseMissingError, SchemaMismatchError, UpkeepError (also BusyError,
    StoppedError): no part of a backup is left under any name then.
    """
    began = time.monotonic()
    only_files(url, "riskguard db backup", "`pg_dump --format=custom`, or the server's own base backups and archive")
    store, clock = Store(url), clock or SystemClock()
    now_us = clock.now_us()
    if keep is not None and keep < 1:
        raise SettingsError(f"`--keep {keep}`: at least the backup just made is kept")
    with contextlib.closing(store), alone(store.path, held=daily), one_line("backup", store.path, "no backup was made"):
        path = _target(store.path, to, now_us)
        if keep is not None and not files.backup_pattern(store.path).fullmatch(path.name):
            raise SettingsError(f"`--keep` counts files named by riskguard: give a directory, not `{path.name}`")
        files.discard_parts(store.path, path.parent)
        part = path.with_name(path.name + files.PART)
        files.discard(part)
        try:
            files.private(part)
            done = _copy(store.path, part, path, on_progress, on_stage, stop)
            on_stage("sync")
            sync_file(part)
            on_stage("name")
            try:
                files.publish(part, path)
            except FileExistsError:
                raise UpkeepError(f"`{path}` is there already and is not written over: choose another name") from None
        except BaseException:
            files.discard(part)
            raise
        if keep is not None:
            done.removed = _thin(store.path, path, keep)
        done.seconds = time.monotonic() - began
        if not daily:
            _keep_record(store, done, now_us, clock.now_us())
    return done


def summary(done: BackedUp) -> dict[str, Any]:
    """Return what the record keeps of a backup."""
    return {
        "path": str(done.path), "bytes": done.bytes, "generation": done.generation,
        "removed": len(done.removed), "seconds": round(done.seconds, 1),
    }  # fmt: skip


def _target(database: Path, to: str | Path | None, now_us: int) -> Path:
    """Return the name the backup will get; raises UpkeepError when it is taken or its directory is missing."""
    if to is None or to == "":
        return files.new_backup(database, database.parent, now_us)
    path = Path(os.path.abspath(os.path.expanduser(to)))
    if path.is_dir():
        return files.new_backup(database, path, now_us)
    if not path.parent.is_dir():
        raise UpkeepError(f"no directory `{path.parent}`: make it first; a backup makes none")
    if os.path.lexists(path):
        raise UpkeepError(f"`{path}` is there already and is not written over: choose another name")
    return path


def _copy(database: Path, part: Path, path: Path, on_progress: Progress, on_stage: Stage, stop: Stop) -> BackedUp:
    """Copy the database as it is at this instant into *part*, and prove it."""

    def told(_status: int, left: int, total: int) -> None:
        if stop():
            raise StoppedError("backup: stopped; no backup was made")
        on_progress("backup", total - left, total)

    with contextlib.closing(lite.connect(database, durable=False)) as source:
        # Held open, so that the copy is of one instant and no writer makes it begin anew.
        source.execute("BEGIN")
        heads = source.execute(HEADS.sql).fetchall()
        room = files.free_bytes(part.parent)
        size = source.execute("PRAGMA page_count").fetchone()[0] * source.execute("PRAGMA page_size").fetchone()[0]
        if room < size + ROOM_SPARED:
            raise UpkeepError(
                f"backup: `{part.parent}` has {room} bytes free and {size} are wanted; no backup was made"
            )
        on_stage("copy")
        with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as copy:
            # The part is synced as a whole before it gets its name: until then speed is free.
            copy.execute("PRAGMA synchronous = OFF")
            source.backup(copy, pages=PAGES_AT_ONCE, progress=told)
            on_stage("prove")
            rows, notes = _prove(database, source, copy, heads, on_progress, stop)
            # In WAL mode like the database, and everything in the one file.
            copy.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    generation = next((each[3] for each in heads if each[0] == GLOBAL), 0)
    sequences = {account: sequence for account, sequence, _hash, _generation in heads}
    return BackedUp(path, part.stat().st_size, rows, sequences, generation, notes=notes)


def _prove(
    database: Path, source: sqlite3.Connection, copy: sqlite3.Connection, heads: list[Any], on_progress: Progress,
    stop: Stop,
) -> tuple[int, list[str]]:  # fmt: skip
    """
    Hold the copy against the database; return (its rows, notes). Raises UpkeepError for anything wrong.

    A damaged database gets no backup: it would push out the good ones.
    """
    wrong = inspect.integrity(copy)
    if wrong:
        raise UpkeepError(f"backup: `{database}` is damaged ({wrong[0]}); no backup was made: `riskguard db check`")
    if _objects(copy) != _objects(source):
        raise UpkeepError("backup: the copy's schema differs from the database's; no backup was made: try again")
    notes = [f"the database itself is not as declared: {each}" for each in inspect.drift(copy)]
    rows = 0
    for number, table in enumerate(metadata.sorted_tables, 1):
        if stop():
            raise StoppedError("backup: stopped; no backup was made")
        counted = prepare(sa.select(sa.func.count()).select_from(table)).sql
        (here,), (there,) = copy.execute(counted).fetchone(), source.execute(counted).fetchone()
        if here != there:
            raise UpkeepError(f"backup: the copy of `{table.name}` has {here} rows of {there}; no backup was made")
        rows += here
        on_progress("verify", number, len(metadata.sorted_tables))
    if copy.execute(HEADS.sql).fetchall() != heads:
        raise UpkeepError("backup: the copy's journal heads differ; no backup was made: try again")
    session = SqliteSession(Store(f"sqlite:///{database}"), copy, False, False)
    for account, *_ in heads:
        _rows, broken = journal.verify(session, account)
        if broken:
            raise UpkeepError(
                f"backup: the journal of `{account}` is not true ({broken}); no backup was made: `riskguard audit verify`"
            )
    return rows, notes


def _objects(connection: sqlite3.Connection) -> list[Any]:
    return connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()


def _thin(database: Path, made: Path, keep: int) -> list[Path]:
    """Remove all but the newest *keep*; the one just made is never among them, whatever a wrong clock called it."""
    older = [path for path in files.backups(database, made.parent) if path != made]
    removed = []
    for path in older[: max(0, len(older) + 1 - keep)]:
        with contextlib.suppress(OSError):
            path.unlink()
            removed.append(path)
    return removed


def _keep_record(store: Store, done: BackedUp, started_us: int, now_us: int) -> None:
    """Keep that it was made; the backup stands also where the database takes no row."""
    try:
        with store.session(durable=True, wait_s=WAIT_S) as session:
            record.by_hand(session, "backup", summary(done), started_us, now_us)
    except StoreError as e:
        done.notes.append(f"the database took no record of it ({e})")
