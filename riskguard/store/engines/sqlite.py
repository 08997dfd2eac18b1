"""
SQLite connections that are safe to bet on: who opens them, how durable, and how blinding is noticed.

An approval does not wait for the disk (a lost one was never sent); all that must survive power loss waits until the log
is synced. The database file is only ever opened through SQLite: closing any other descriptor of it would drop the
process's locks. Of the log, on which SQLite keeps none, one descriptor is held, to sync it. Source: reliability.md F1 to F3.
"""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import time
from pathlib import Path

from riskguard.errors import DatabaseMissingError, SchemaMismatchError, StoreUnavailableError
from riskguard.store.engines.mounts import NETWORK, kind_of_device
from riskguard.store.gate import gate_is_up

APPLICATION_ID = 0x52474433  # "RGD3"
SCHEMA_VERSION = 4

WAL_RESET_FIXED = ((3, 51, 3), (3, 50, 7), (3, 44, 6))
WAL_BYTES_MAX = 4 * 1024 * 1024
"""The janitor checkpoints beyond this; a WAL without it would only grow."""

OPENING_S_MAX = 2.0
"""How long opening waits for another process that is recovering the log; a check waits its own deadline instead."""
VERSION_LOOK_S = 1.0
"""How often an open connection asks whether somebody migrated the file under it; asking costs a tenth of a check."""


def has_wal_reset_bug(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Say whether this SQLite can corrupt a WAL file when two connections checkpoint and write at once."""
    if version >= (3, 51, 3):
        return False
    return not any(version[:2] == fixed[:2] and version >= fixed for fixed in WAL_RESET_FIXED)


def connect(
    path: Path, *, durable: bool, patience_s: float = OPENING_S_MAX,
    given: tuple[sqlite3.Connection, tuple[int, int]] | None = None,
) -> sqlite3.Connection:  # fmt: skip
    """
    Open an existing database; never creates one. *patience_s* bounds all of it: another process may be recovering the log.

    A connection that is *given* is taken in place of a new one where the path still names the file (device, inode) it was
    opened on, and judged like one; it is closed where not.

    Raises DatabaseMissingError (absent or empty), SchemaMismatchError, StoreUnavailableError (its cause is the busy error
    where waiting may help).
    """
    until = time.monotonic() + patience_s
    try:
        status = os.stat(path)
        if status.st_size == 0:
            raise DatabaseMissingError(
                f"`{path}` is empty: a halt may have been lost with it; restore it, or `init` anew"
            )
    except FileNotFoundError:
        raise DatabaseMissingError(f"no database at `{path}`: create it with `riskguard init --db …`") from None
    except OSError as e:
        raise StoreUnavailableError(f"cannot look at `{path}`: {e.strerror}") from None
    kind = kind_of_device(status.st_dev)
    if kind in NETWORK:
        raise StoreUnavailableError(
            f"`{path}` lies on `{kind}`, a network file system whose locks cannot be relied on: keep it on a local disk, or "
            "share a database with postgresql://…"
        )
    try:
        connection = _taken(given, (status.st_dev, status.st_ino)) or sqlite3.connect(
            f"file:{_uri(path)}?mode=rw", uri=True, isolation_level=None, check_same_thread=False, timeout=0,
            cached_statements=256,
        )  # fmt: skip
    except sqlite3.Error as e:
        raise StoreUnavailableError(f"cannot open `{path}`: {e}") from None
    try:
        _patiently(connection, f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}", until)
        # No automatic checkpoints: on affected builds they are what corrupts; the janitor makes them.
        _patiently(connection, "PRAGMA wal_autocheckpoint = 0", until)
        found = _patiently(connection, "PRAGMA application_id", until).fetchone()[0]
        version = _patiently(connection, "PRAGMA user_version", until).fetchone()[0]
    except sqlite3.Error as e:
        connection.close()
        if is_busy(e):
            raise StoreUnavailableError(f"`{path}` was busy while it was opened: {e}") from e
        raise StoreUnavailableError(f"`{path}` is not readable as a database: {e}") from None
    if (found, version) != (APPLICATION_ID, SCHEMA_VERSION):
        connection.close()
        raise SchemaMismatchError(
            f"`{path}` is no riskguard database of schema {SCHEMA_VERSION} (found {version}): `riskguard db version`"
        )
    return connection


def _taken(
    given: tuple[sqlite3.Connection, tuple[int, int]] | None, identity: tuple[int, int]
) -> sqlite3.Connection | None:  # fmt: skip
    """Return the connection that was given, if it is of this file."""
    if given is None:
        return None
    connection, opened_on = given
    if opened_on != identity:
        connection.close()
        return None
    connection.execute("PRAGMA busy_timeout = 0")  # waiting is ours
    return connection


def _uri(path: Path) -> str:
    from urllib.parse import quote

    return quote(str(path))


def _patiently(connection: sqlite3.Connection, sql: str, until: float) -> sqlite3.Cursor:
    """Run a statement of opening, waiting out a moment in which another process recovers the WAL."""
    while True:
        try:
            return connection.execute(sql)
        except sqlite3.OperationalError as e:
            if not is_busy(e) or time.monotonic() >= until:
                raise
            time.sleep(0.002)


def is_busy(error: sqlite3.Error) -> bool:
    """Say whether waiting may help: the database is locked, not broken."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def begin(connection: sqlite3.Connection, gate_directory: Path | None, wait_s_max: float) -> bool:
    """
    Take the write lock and say whether it had to be waited for.

    Raises sqlite3.OperationalError (busy) past the deadline. Writers stand back while a kill's gate is up;
    a kill itself passes no gate directory.
    """
    waited = False
    deadline = time.monotonic() + wait_s_max
    while True:
        if gate_directory is None or not gate_is_up(gate_directory):
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as e:
                if not is_busy(e) or time.monotonic() >= deadline:
                    raise
            else:
                return waited
        elif time.monotonic() >= deadline:
            raise sqlite3.OperationalError("a kill asks writers to stand back")
        waited = True
        # Jitter, or the same loser loses every round: SQLite's lock has no queue.
        time.sleep(random.uniform(0.000_05, 0.000_8))


class FileWatch:
    """Remembers which files the connections opened, and notices when the names mean others."""

    def __init__(self, path: Path) -> None:
        self._names = (str(path), f"{path}-wal", f"{path}-shm")
        self._seen = self._look()

    def _look(self) -> tuple[tuple[int, int] | None, ...]:
        found: list[tuple[int, int] | None] = []
        for name in self._names:
            try:
                status = os.stat(name)
            except OSError:
                found.append(None)
            else:
                if not found and not status.st_size:
                    # Emptied in place: pages in our memory would go on answering for a file that is lost.
                    raise DatabaseMissingError(f"`{name}` was emptied: a halt may have been lost with it; restore it")
                found.append((status.st_dev, status.st_ino))
        return tuple(found)

    def is_same(self) -> bool:
        """
        Say whether database, WAL and shared memory are still the files that were opened.

        Raises DatabaseMissingError when the database was emptied in place.
        """
        stat = os.stat
        try:
            found = [stat(name) for name in self._names]
        except OSError:
            return self._look() == self._seen  # one is missing: slowly, and which
        if not found[0].st_size:
            self._look()  # says so
        return tuple([(each.st_dev, each.st_ino) for each in found]) == self._seen

    @property
    def identity(self) -> object:
        return self._seen


def open_log(path: Path) -> int | None:
    """Return a descriptor of the write-ahead log to sync it by; None where the database keeps none."""
    try:
        return os.open(f"{path}-wal", os.O_RDWR)
    except FileNotFoundError:
        return None
    except OSError as e:
        raise StoreUnavailableError(f"cannot open `{path}-wal`: {e.strerror}") from None


def sync(log: int) -> None:
    """Wait until the log is on disk, with all that any process has committed to it. Raises OSError."""
    getattr(os, "fdatasync", os.fsync)(log)


def checkpoint_if_large(path: Path, connection: sqlite3.Connection) -> bool:
    """Be the janitor: see `checkpoint`; True when a large log was taken over."""
    try:
        if os.stat(f"{path}-wal").st_size < WAL_BYTES_MAX:
            return False
    except OSError:
        return False
    try:
        checkpoint(path, connection)
    except (sqlite3.Error, StoreUnavailableError):
        return False  # busy, and then whoever writes now will find it large too; or broken, and the log stays as it was
    return True


def checkpoint(path: Path, connection: sqlite3.Connection) -> bool:
    """
    Copy the log into the database from a second connection while *connection* holds the write lock.

    With the lock held nobody writes meanwhile, which is what the WAL-reset bug needs to corrupt anything.
    True when the whole log was copied and synced: a reader may still need part of it as it is. Raises sqlite3.Error,
    StoreUnavailableError.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        with contextlib.closing(connect(path, durable=True)) as second:
            busy, pages, copied = second.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    finally:
        connection.execute("ROLLBACK")
    return not busy and pages == copied


def create_file(path: Path) -> None:
    """Make an empty database file for `init`, 0600 from its first moment; -wal and -shm inherit that."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
