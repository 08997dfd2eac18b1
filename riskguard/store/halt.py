"""
The halt on disk: flag files and prepared spares. Standard library only.

A flag file `halt/<scope>~<kill_id>` halts by existing, whatever it holds; each kill makes its own in every
state directory. A missing or unreadable `halt/` directory is HALTED. Source: kill-switch.md §2.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from pathlib import Path
from urllib.parse import quote, unquote

HALT, ARMED, GATE = "halt", "armed", "gate"
SPARES = 4
SEPARATOR = "~"
GLOBAL = "GLOBAL"

FLAG_TEXT_MAX = 2_000


def plain(text: str) -> str:
    """Return *text* as every database and file can keep it; what is no text (a lone surrogate) becomes `?`."""
    return text.encode(errors="replace").decode()


def prepare(directory: Path) -> None:
    """Make the three directories and the spare files a kill renames when the disk is full. Idempotent."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in (HALT, ARMED, GATE):
        (directory / name).mkdir(exist_ok=True, mode=0o700)
    arm(directory)


def was_lost(directory: Path) -> bool:
    """
    Say whether `halt/` is missing where there was one, by what `prepare` makes after it.

    Then everybody is halted until a person releases. Where nothing of ours ever was, nothing can have been lost.
    """
    return not (directory / HALT).is_dir() and ((directory / ARMED).is_dir() or (directory / GATE).is_dir())


def prepare_new(directory: Path) -> bool:
    """
    Do as `prepare` does, except where `halt/` was lost, which only a person's release brings back: False then.
    """
    if was_lost(directory):
        return False
    prepare(directory)
    return True


def arm(directory: Path) -> None:
    """Keep `SPARES` prepared files in `armed/`; a failure is no reason to stop (the disk may be full)."""
    with contextlib.suppress(OSError):
        present = len(os.listdir(directory / ARMED))
        for _ in range(present, SPARES):
            name = directory / ARMED / random_hex(8)
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def new_kill_id() -> str:
    """Return an id no other kill has: microseconds and 64 random bits, sorting by time."""
    return f"{time.time_ns() // 1000:016x}{random_hex(8)}"


def random_hex(size: int) -> str:
    """Return *size* random bytes as hex. `secrets` would do the same, and importing it costs a kill 5 ms."""
    return os.urandom(size).hex()


def scope_name(account: str | None) -> str:
    """Return the scope an account's kill stands for; None halts everything."""
    return GLOBAL if account is None else f"ACCOUNT:{account}"


def flag_name(scope: str, kill_id: str) -> str:
    return f"{quote(scope, safe='')}{SEPARATOR}{kill_id}"


def parse_flag(name: str) -> tuple[str, str]:
    """
    Return (scope, kill id) of a file name; what cannot be read is GLOBAL, the safe reading.

    The id is fit for a database and a list with blanks whatever the file is called; ours come back as they are.
    """
    encoded, separator, kill_id = name.rpartition(SEPARATOR)
    scope = unquote(encoded)
    readable = scope == GLOBAL or (scope.startswith("ACCOUNT:") and len(scope) > len("ACCOUNT:"))
    if not (separator and kill_id and readable):
        scope, kill_id = GLOBAL, kill_id or name
    return scope, quote(kill_id, errors="surrogateescape")


def raise_flag(directories: tuple[Path, ...], scope: str, kill_id: str, text: str) -> list[Path]:
    """
    Put the flag into every directory and return where it stands, synced to disk.

    A failed write of the content is never undone: existing is enough. On a full disk a spare is renamed.
    """
    standing = []
    for directory in directories:
        path = directory / HALT / flag_name(scope, kill_id)
        if _put(path, directory, text):
            standing.append(path)
    return standing


def _put(path: Path, directory: Path, text: str) -> bool:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    except FileNotFoundError:
        # No `halt/` directory halts by itself, but the row of it must survive: make it and try once more.
        try:
            _make_again(directory)
            descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
        except OSError:
            return False
    except OSError as e:
        return e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE) and _rename_spare(path, directory)
    try:
        with contextlib.suppress(OSError):
            os.write(descriptor, text[:FLAG_TEXT_MAX].encode(errors="replace"))
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_directory(path.parent)
    return True


def _make_again(directory: Path) -> None:
    """
    Make a `halt/` that is missing, and let nobody go by that: while it was lost everything was halted.

    Other flags may have been lost with it, so one for everybody takes their place, which a person releases. Where the
    directory never was (this user's first kill on this host) there was nothing to lose.
    """
    is_lost = was_lost(directory)
    (directory / HALT).mkdir(parents=True, exist_ok=True, mode=0o700)  # another kill, or a release, may be first
    if is_lost:
        everybody = directory / HALT / flag_name(GLOBAL, new_kill_id())
        descriptor = os.open(everybody, os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            with contextlib.suppress(OSError):
                os.write(descriptor, b'{"reason": "a halt directory was lost, and with it what halted"}')
                os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _rename_spare(path: Path, directory: Path) -> bool:
    try:
        spares = sorted(os.listdir(directory / ARMED))
    except OSError:
        return False
    for spare in spares:
        try:
            os.rename(directory / ARMED / spare, path)
        except OSError:
            continue  # another kill took it; there are several
        sync_directory(path.parent)
        return True
    return False


def sync_directory(directory: Path) -> None:
    """Make the directory's entries durable; platforms that cannot are left with what they have."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def standing(directories: tuple[str, ...]) -> list[str] | None:
    """
    Return the names of all flags, or None when a directory is missing or unreadable (which is HALTED).

    *directories* are the `halt/` directories as text: this runs in every check and costs one listing each.
    """
    found: list[str] = []
    try:
        for directory in directories:
            found += os.listdir(directory)
    except OSError:
        return None
    return found


def lower_flags(directories: tuple[Path, ...], kill_ids: frozenset[str]) -> int:
    """
    Remove the flags of kills a committed release names, and no others; return how many are gone.

    Never raises: what cannot be removed is litter of a release that stands, and whoever checks next tries again.
    """
    gone = 0
    for directory in directories:
        for name in _listed(directory / HALT):
            if parse_flag(name)[1] in kill_ids:
                with contextlib.suppress(OSError):  # gone already, or a disk that fails: the release stands either way
                    os.unlink(directory / HALT / name)
                    gone += 1
        sync_directory(directory / HALT)
    return gone


def _listed(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []
