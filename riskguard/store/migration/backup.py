"""A copy of the old file, proven to be one, before anything else happens."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from riskguard.errors import UpgradeError
from riskguard.store.engines import sqlite as lite
from riskguard.store.halt import sync_directory
from riskguard.store.migration.source import Source, count, damage

PAGES_AT_ONCE = 2_048
NAMES_TRIED = 100
UNPROVEN = ".backing-up"

Progress = Callable[[str, int, int], None]


def take(source: Source, now_us: int, on_progress: Progress) -> Path:
    """
    Write `<name>.v<N>-backup-<UTC time>.db` beside the file and prove it whole; return its path.

    Raises UpgradeError (the file is damaged, or the copy differs), OSError, sqlite3.Error; no part of a
    backup is left behind then. Until it is proven it bears another name, so that what a crash leaves is never
    taken for a backup. A backup that is there is never written over.
    """
    made = source.path.with_name(source.path.name + UNPROVEN)
    _remove(made)  # we hold the old file, so nobody else is at work on it
    try:
        lite.create_file(made)
        with contextlib.closing(sqlite3.connect(made, isolation_level=None)) as copy:
            source.connection.backup(
                copy,
                pages=PAGES_AT_ONCE,
                progress=lambda _status, left, total: on_progress("backup", total - left, total),
            )
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it that could be forgotten
            wrong = damage(copy)
            if wrong:
                raise UpgradeError(f"`{source.path}` is damaged ({wrong[0]}): restore it from a backup first")
            for table in source.tables:
                if count(copy, table) != source.count(table):
                    raise UpgradeError(
                        f"the backup of `{table}` has not as many rows as the table; nothing was changed"
                    )
        sync_file(made)
        path = _name(source, now_us)
        os.rename(made, path)
        sync_directory(path.parent)
    except BaseException:
        _remove(made)
        raise
    return path


def _remove(path: Path) -> None:
    for name in (path, Path(f"{path}-journal"), Path(f"{path}-wal"), Path(f"{path}-shm")):
        name.unlink(missing_ok=True)


def _name(source: Source, now_us: int) -> Path:
    stamp = datetime.fromtimestamp(now_us / 1_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")
    for number in range(NAMES_TRIED):
        again = f"-{number}" if number else ""
        path = source.path.with_name(f"{source.path.name}.v{source.version}-backup-{stamp}{again}.db")
        if not os.path.lexists(path):
            return path
    raise UpgradeError(f"`{source.path.parent}` is full of backups of this very second")


def sync_file(path: Path) -> None:
    """Have the file's content on the disk, not in its cache."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
