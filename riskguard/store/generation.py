"""
The generation: how many latch and release commits a database has had, kept in a file beside it. Standard library only.

A database that knows fewer than the file was restored, or failed over, to before a halt: it has forgotten one.
"""

from __future__ import annotations

import os
from pathlib import Path

from riskguard.store.halt import random_hex, sync_directory


def generation_path(database: Path) -> Path:
    """Beside the database, named after it: two databases in one directory do not share a history."""
    return database.with_name(database.name + ".GENERATION")


def write_generation(database: Path, generation: int) -> None:
    """
    Add the number of latch and release commits, synced; the highest on file counts.

    Appended, not replaced: of two kills at once the one that writes last may hold the lower number. Only a file
    that cannot be read is begun anew.
    """
    path = generation_path(database)
    standing = read_generation(database)
    if (standing or 0) >= generation:
        return
    target = path if standing is not None else path.with_name(f"{path.name}.{random_hex(4)}")
    descriptor = os.open(target, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    try:
        # On a line of its own, whatever a torn write left before it.
        os.write(descriptor, f"\n{generation}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if target != path:
        os.rename(target, path)
    sync_directory(path.parent)


def read_generation(database: Path) -> int | None:
    """Return the generation on disk; 0 when none was ever written, None when it cannot be read."""
    try:
        return max(int(line) for line in generation_path(database).read_text().split())
    except FileNotFoundError:
        return 0
    except (OSError, ValueError):
        return None
