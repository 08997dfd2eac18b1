"""One upkeep at a time on a host, and errors of the machine in one line."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from riskguard.errors import UpkeepError
from riskguard.store.engines import sqlite as lite

DISK = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


class BusyError(UpkeepError):
    """Another process of this host is at upkeep of the same database."""


class StoppedError(UpkeepError):
    """Whoever asked for it wants it to stop; what was done stands, the rest waits for the next run."""


@contextlib.contextmanager
def alone(database: Path, *, held: bool = False) -> Iterator[None]:
    """
    Hold the upkeep lock of *database*. It dies with its process: nobody has to wait for a dead one.

    *held* says that the caller holds it already, for several works in a row.

    A file of its own, locked by `flock`: the database itself is never opened but through SQLite.
    Raises BusyError.
    """
    import fcntl

    if held:
        yield
        return
    path = database.with_name(f"{database.name}.upkeep")
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as e:
        raise UpkeepError(f"cannot write beside `{database}` ({e.strerror})") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BusyError(f"`{database}` is at upkeep in another process: wait until that is done") from None
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def one_line(what: str, path: Path, after: str) -> Iterator[None]:
    """
    Say what the machine refused in words a person can act on, as UpkeepError.

    *what* is being done to *path*; *after* says how things stand now.
    """
    try:
        yield
    except sqlite3.Error as e:
        code = getattr(e, "sqlite_errorcode", 0) & 0xFF
        if lite.is_busy(e) or "stand back" in str(e):
            raise UpkeepError(f"{what}: `{path}` is kept busy by others ({e}); {after}: try again later") from None
        if code in DISK:
            raise UpkeepError(f"{what}: the disk took no more ({e}); {after}: make room and run it again") from None
        if code == sqlite3.SQLITE_READONLY or code == sqlite3.SQLITE_CANTOPEN:
            raise UpkeepError(f"{what}: cannot write to `{path}` ({e}); {after}") from None
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise UpkeepError(f"{what}: `{path}` is damaged ({e}); {after}: `riskguard db check`") from None
        raise UpkeepError(f"{what}: `{path}`: {e}; {after}") from None
    except OSError as e:
        raise UpkeepError(f"{what}: `{e.filename or path}`: {e.strerror or e}; {after}") from None
