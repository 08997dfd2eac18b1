"""
Gives free pages back to the disk: step by step where the file is made for it, else in one VACUUM.

A VACUUM writes the whole file anew, twice, and keeps the write lock for all that time: every check that has to
wait for it is refused, and a kill halts by its flag files first. So it is refused while a market trades.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from riskguard.clock import SystemClock
from riskguard.errors import StoreError, UpkeepError
from riskguard.ports import Clock
from riskguard.services.upkeep import files
from riskguard.services.upkeep.lock import StoppedError, alone, one_line
from riskguard.store import permits
from riskguard.store import upkeep_runs as record
from riskguard.store.calendar import calendar
from riskguard.store.engines import sqlite as lite
from riskguard.store.engines.postgresql import only_files
from riskguard.store.session import ACCOUNTS, GLOBAL, Store
from riskguard.store.statements import fixed, prepare
from riskguard.store.tables.journal import account_heads

INCREMENTAL = 2
HOLD_S = 0.004
REST_S = 0.008
WAIT_S = 5.0
MOMENT_S = 2.0
"""So long a VACUUM waits for the lock; whoever holds it longer is at work, or stopped."""

TOUCH = prepare(
    sa.update(account_heads)
    .where(account_heads.c.account == fixed(GLOBAL))
    .values(version=account_heads.c.version + fixed(1))
)

Progress = Callable[[str, int, int], None]
Stop = Callable[[], bool]


@dataclass(slots=True)
class Vacuumed:
    """
    What a vacuum did, or with `dry_run` would do.

    Attributes:
        way: `steps` (short ones, at any hour), `whole` (one VACUUM), `nothing` (no page is free).
        freed: Bytes given back; with `dry_run`, that would be. needs: Bytes a whole one wants free on the disk.
    """

    path: Path
    dry_run: bool
    way: str
    bytes_before: int
    bytes_after: int
    freed: int
    needs: int
    seconds: float = 0.0


def vacuum(
    url: str, *, whole: bool = False, now: bool = False, dry_run: bool = False, clock: Clock | None = None,
    on_progress: Progress = lambda _what, _done, _total: None, stop: Stop = lambda: False, daily: bool = False,
) -> Vacuumed:  # fmt: skip
    """
    Give free pages back. The first time in one VACUUM, which also makes the file fit for steps.

    *whole* wants a VACUUM also where steps would do (it orders the pages, too); *now* also while a market trades.
    Raises UpkeepError (also BusyError, StoppedError), DatabaseMissingError, SchemaMismatchError.
    """
    began = time.monotonic()
    only_files(url, "riskguard db vacuum", "its autovacuum")
    store, clock = Store(url), clock or SystemClock()
    started_us = clock.now_us()
    with (
        contextlib.closing(store),
        alone(store.path, held=daily),
        one_line("vacuum", store.path, "the database is as it was"),
    ):
        with contextlib.closing(lite.connect(store.path, durable=True)) as connection:
            done = _look(store.path, connection, whole)
            done.dry_run = dry_run
            if not dry_run and done.way == "steps":
                _steps(store, connection, done, on_progress, stop)
            elif not dry_run and done.way == "whole":
                if not now:
                    _refuse_while_trading(store, started_us)
                _whole(store, connection, done)
            if not dry_run:
                done.bytes_after = _size(connection)
                done.freed = done.bytes_before - done.bytes_after
        done.seconds = time.monotonic() - began
        if not daily and not dry_run and done.way != "nothing":
            # It is done, and said; a row of the record less is no reason to call it failed.
            with contextlib.suppress(StoreError), store.session(durable=True, wait_s=WAIT_S) as session:
                record.by_hand(session, "vacuum", summary(done), started_us, clock.now_us())
    return done


def summary(done: Vacuumed) -> dict[str, Any]:
    """Return what the record keeps of a vacuum."""
    return {"way": done.way, "freed": done.freed, "bytes": done.bytes_after, "seconds": round(done.seconds, 1)}


def can_step(url: str) -> bool:
    """Say whether the file gives pages back step by step: what may be done while others work."""
    only_files(url, "riskguard db vacuum", "its autovacuum")
    store = Store(url)
    with contextlib.closing(lite.connect(store.path, durable=False)) as connection:
        return _pragma(connection, "auto_vacuum") == INCREMENTAL


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _size(connection: sqlite3.Connection) -> int:
    return _pragma(connection, "page_count") * _pragma(connection, "page_size")


def _look(path: Path, connection: sqlite3.Connection, whole: bool) -> Vacuumed:
    size = _size(connection)
    free = _pragma(connection, "freelist_count") * _pragma(connection, "page_size")
    steps = _pragma(connection, "auto_vacuum") == INCREMENTAL
    way = "whole" if whole or not steps else "steps"
    if free == 0 and not whole:
        way = "nothing"
    return Vacuumed(path, False, way, size, size - free, free, 2 * (size - free) if way == "whole" else 0)


def _steps(store: Store, connection: sqlite3.Connection, done: Vacuumed, on_progress: Progress, stop: Stop) -> None:
    """Cut free pages off the end, in write transactions of a few milliseconds."""
    total = _pragma(connection, "freelist_count")
    connection.execute("PRAGMA synchronous = NORMAL")  # a step that is lost is done again
    while left := _pragma(connection, "freelist_count"):
        if stop():
            raise StoppedError("vacuum: stopped; what was given back is given back")
        on_progress("pages", total - left, total)
        lite.begin(connection, store.directories[0], WAIT_S)
        began = time.monotonic()
        try:
            for _ in range(left):
                # One at a time: it answers with a row per page, and the driver reads only the first of them.
                connection.execute("PRAGMA incremental_vacuum(1)")
                if time.monotonic() - began >= HOLD_S:
                    break
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.rollback()
            raise
        held = time.monotonic() - began
        lite.checkpoint_if_large(store.path, connection)
        time.sleep(max(REST_S, 2 * held))
        if _pragma(connection, "freelist_count") >= left:
            return  # others free pages faster than we give them back: tomorrow is another day
    _settle(store.path, connection)


def _refuse_while_trading(store: Store, now_us: int) -> None:
    """Raise UpkeepError while a market of the calendar trades, or an approved order is not done."""
    trading = sorted(each for each in calendar().segments if calendar().is_open(each, now_us))
    if trading:
        raise UpkeepError(
            f"vacuum: {', '.join(trading)} trades now, and a VACUUM keeps every check waiting: "
            "run it after the close, or with `--now`"
        )
    with store.session(durable=False, wait_s=WAIT_S) as session:
        live = sum(len(permits.live(session, row[0])) for row in session.rows(ACCOUNTS))
        store.roll_back(session)
    if live:
        raise UpkeepError(f"vacuum: {live} approved orders are not done yet: run it later, or with `--now`")


def _whole(store: Store, connection: sqlite3.Connection, done: Vacuumed) -> None:
    """One VACUUM, which leaves the file fit for steps; the stamps of the file are held against what they were."""
    for directory in {store.path.parent, _temporary()}:
        room = files.free_bytes(directory)
        wants = done.needs if directory == store.path.parent else done.bytes_after
        if room < wants:
            raise UpkeepError(f"vacuum: `{directory}` has {room} bytes free and {wants} are wanted; make room first")
    stamps = _stamps(connection)
    connection.execute(f"PRAGMA busy_timeout = {int(MOMENT_S * 1000)}")
    connection.execute(f"PRAGMA auto_vacuum = {INCREMENTAL}")
    connection.execute("VACUUM")
    connection.execute("PRAGMA busy_timeout = 0")
    if _stamps(connection) != stamps:
        raise UpkeepError(f"vacuum: `{store.path}` has other stamps than before: restore a backup")
    _settle(store.path, connection)


def _stamps(connection: sqlite3.Connection) -> tuple[int, int]:
    return _pragma(connection, "application_id"), _pragma(connection, "user_version")


def _settle(path: Path, connection: sqlite3.Connection) -> None:
    """
    Bring the WAL into the file, and let it start from its beginning, cut to its usual size.

    As the janitor does it, under the write lock: a truncating checkpoint of its own is what the WAL-reset bug
    waits for. A reader that holds on to the old state puts this off to the janitor's next round.
    """
    lite.checkpoint_if_large(path, connection)
    connection.execute(f"PRAGMA journal_size_limit = {lite.WAL_BYTES_MAX}")
    with contextlib.suppress(sqlite3.OperationalError):
        lite.begin(connection, None, MOMENT_S)
        connection.execute(TOUCH.sql, TOUCH.constants)  # the first write after a checkpoint cuts the WAL
        connection.execute("COMMIT")


def _temporary() -> Path:
    """Return the directory SQLite writes its temporary copy to."""
    for name in (os.environ.get("SQLITE_TMPDIR"), os.environ.get("TMPDIR"), "/var/tmp", "/usr/tmp", "/tmp"):
        if name and os.path.isdir(name) and os.access(name, os.W_OK | os.X_OK):
            return Path(name)
    return Path(tempfile.gettempdir())
