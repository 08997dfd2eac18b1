"""
The gate: how a kill gets the database's write lock ahead of every other writer. Standard library only.

SQLite's lock is unfair: among writers in a tight loop a kill may wait for seconds. So whoever must get through raises a gate
first, and every writer of ours stands back while one is up. A gate never halts.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from riskguard.store.halt import GATE, random_hex

GATE_LIFE_S = 30
"""A gate is heeded so long; a kill waits 10 s for the lock, a sweep less."""


@contextlib.contextmanager
def gate(directory: Path) -> Iterator[None]:
    """
    Hold writers back while a kill, or a sweep that waits, takes the database's unfair lock.

    The gate is a file held by `flock`; its lock dies with its process, so a dead holder blocks nobody. Where
    it cannot be made (full disk, read-only) the work goes on without it.

    It is locked under a name nobody looks at and gets its own after that: a writer that looks tries the lock, and would
    else now and then have it at the very moment its maker asks for it, who then stood behind a gate that counts as free.
    """
    import fcntl

    name = random_hex(8)
    hidden, path = directory / GATE / f".{name}", directory / GATE / name
    try:
        descriptor = os.open(hidden, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    except OSError:
        yield
        return
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.rename(hidden, path)
        yield
    finally:
        for each in (path, hidden):
            with contextlib.suppress(OSError):
                os.unlink(each)
        os.close(descriptor)
        _remove_unborn(directory)


def gate_is_up(directory: Path) -> bool:
    """Say whether somebody asks writers to stand back; a gate whose lock is free is unlinked on the way."""
    try:
        names = os.listdir(f"{directory}/{GATE}")  # as text: this runs in every check, and joining paths costs more
    except OSError:
        return False  # a gate never halts: without its directory there is simply none
    return any(_held(directory / GATE / name) for name in names if name[0] != ".")


def _remove_unborn(directory: Path) -> None:
    """Remove what makers left that died before their gate had its name: no writer looks there."""
    with contextlib.suppress(OSError):
        for name in os.listdir(directory / GATE):
            if name[0] == ".":
                _held(directory / GATE / name)


def _held(path: Path) -> bool:
    """Say whether a living process holds the gate, and not for too long already; one that is free is removed."""
    import fcntl

    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        with contextlib.suppress(OSError):
            # Stopped, not dead: whoever takes so long for one transaction must not keep exits waiting for ever.
            return time.time() - os.fstat(descriptor).st_mtime <= GATE_LIFE_S
        return True
    else:
        with contextlib.suppress(OSError):
            if time.time() - os.fstat(descriptor).st_mtime > 1:  # not one just made and not locked yet
                os.unlink(path)
        return False
    finally:
        os.close(descriptor)
