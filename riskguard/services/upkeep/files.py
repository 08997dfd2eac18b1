"""What upkeep calls its files, and which files it may therefore take away again."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import stat
from pathlib import Path

from riskguard.errors import UpkeepError
from riskguard.store.engines import sqlite as lite

NAMES_TRIED = 100
BESIDE = ("", "-wal", "-shm", "-journal")
PART = ".part"


def stamp(now_us: int) -> str:
    """Return a time as it stands in file names: UTC, to the second."""
    return dt.datetime.fromtimestamp(now_us // 1_000_000, dt.UTC).strftime("%Y%m%dT%H%M%SZ")


def backup_pattern(database: Path) -> re.Pattern[str]:
    """Match the names of backups of *database*, and no others: only those are ever taken away."""
    return re.compile(re.escape(database.name) + r"-backup-\d{8}T\d{6}Z(-\d{1,2})?\.db")


def backups(database: Path, directory: Path) -> list[Path]:
    """Return the backups of *database* in *directory*, oldest first; links and directories are not ours."""
    pattern = backup_pattern(database)
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    found = [directory / name for name in names if pattern.fullmatch(name)]
    return sorted((path for path in found if _is_file(path)), key=_in_time)


def _in_time(path: Path) -> tuple[str, int]:
    """`…Z-2.db` was made in the second of `…Z.db`, after it."""
    made, _, again = path.name.removesuffix(".db").rpartition("Z")
    return made, int(again.removeprefix("-") or 0)


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def new_backup(database: Path, directory: Path, now_us: int) -> Path:
    """Return a name no file has yet."""
    for number in range(NAMES_TRIED):
        again = f"-{number}" if number else ""
        path = directory / f"{database.name}-backup-{stamp(now_us)}{again}.db"
        if not os.path.lexists(path):
            return path
    raise UpkeepError(f"`{directory}` is full of backups of this very second")


def discard(path: Path) -> None:
    """Remove a file that was never finished, and what SQLite may have left beside it."""
    for end in BESIDE:
        with contextlib.suppress(OSError):
            Path(f"{path}{end}").unlink(missing_ok=True)


def discard_parts(database: Path, directory: Path) -> None:
    """Remove what a backup that was killed left behind; call it only while nobody else makes one."""
    pattern = re.compile(backup_pattern(database).pattern + re.escape(PART) + r"(-wal|-shm|-journal)?")
    with contextlib.suppress(OSError):
        for name in os.listdir(directory):
            if pattern.fullmatch(name):
                with contextlib.suppress(OSError):
                    (directory / name).unlink()


def publish(part: Path, path: Path) -> None:
    """
    Give a finished file its name, never in the place of another; durable when this returns.

    Raises FileExistsError when somebody took the name meanwhile.
    """
    from riskguard.store.halt import sync_directory

    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links, such as a memory stick's: no name can be given without a moment in between.
        if os.path.lexists(path):
            raise FileExistsError(str(path)) from None
        os.rename(part, path)
    else:
        os.unlink(part)
    sync_directory(path.parent)


# -- archives ----------------------------------------------------------------------------------------------------------


def archive_path(database: Path, year: int) -> Path:
    """Return the archive of one calendar year in India, beside the database."""
    return database.with_name(f"{database.name}-archive-{year}.db")


def archives(database: Path) -> dict[int, Path]:
    """Return the archive files that are there, by year, oldest first."""
    pattern = re.compile(re.escape(database.name) + r"-archive-(\d{4})\.db")
    found = {}
    with contextlib.suppress(OSError):
        for name in os.listdir(database.parent):
            match = pattern.fullmatch(name)
            if match and (database.parent / name).is_file():
                found[int(match[1])] = database.parent / name
    return dict(sorted(found.items()))


def free_bytes(directory: Path) -> int:
    """Return what an ordinary user may still write there."""
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize


def private(path: Path) -> None:
    """Make an empty file, 0600 from its first moment; the directory as well, if it is missing."""
    lite.create_file(path)
