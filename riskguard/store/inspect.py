"""Looks at a database file: what it is, whether it is whole, whether its schema is the declared one."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from riskguard.errors import DatabaseMissingError, StoreUnavailableError
from riskguard.home import sqlite_path
from riskguard.locate import folder
from riskguard.store.engines.sqlite import APPLICATION_ID

V3_DOUBLES = frozenset(
    {"index idx_copy_mappings_leader", "index idx_copy_mappings_follower", "index idx_bo_legs_parent"}
)
"""Indexes that a version 3 program beside us makes again at each of its starts: doubled, and harmless."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a file is: `riskguard`, `copy-trading` (schema 1 to 3), or `unknown`."""

    path: Path
    kind: str
    version: int


def identify(url: str) -> Identity:
    """
    Say what the file is by what is in it, never by its name.

    Raises DatabaseMissingError (absent or empty), StoreUnavailableError (not SQLite, not readable).
    """
    path = sqlite_path(url)
    if path is None:
        raise StoreUnavailableError(f"`{url.partition('://')[0]}` is not served here: use a sqlite:/// URL")
    if not path.exists() or path.stat().st_size == 0:
        raise DatabaseMissingError(f"no database at `{path}`: create it with `riskguard init --db …`")
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=2)) as connection:
            ours = connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error as e:
        raise StoreUnavailableError(f"`{path}` is not readable as a database: {e}") from None
    if ours:
        return Identity(path, "riskguard", int(version))
    if not {"orders", "copy_mappings"} <= tables:
        return Identity(path, "unknown", 0)
    shape = 3 if "traders_control" in tables else 2 if "bracket_order_legs" in tables else 1
    return Identity(path, "copy-trading", shape)


def integrity(connection: sqlite3.Connection) -> list[str]:
    """Return what SQLite itself finds wrong."""
    found = [row[0] for row in connection.execute("PRAGMA integrity_check(20)")]
    return [] if found == ["ok"] else [f"integrity: {each}" for each in found]


def drift(connection: sqlite3.Connection) -> list[str]:
    """Return how the file's schema differs from the generated snapshot: names missing, extra, or changed."""
    with contextlib.closing(sqlite3.connect(":memory:")) as wanted:
        wanted.executescript((folder("schema") / "sqlite.sql").read_text(encoding="utf-8"))
        declared, found = _objects(wanted), _objects(connection)
    said = [f"schema: {name} is missing" for name in sorted(declared.keys() - found.keys())]
    extra = found.keys() - declared.keys() - V3_DOUBLES
    said += [f"schema: {name} is not declared" for name in sorted(extra)]
    same = declared.keys() & found.keys()
    return said + [f"schema: {name} differs" for name in sorted(same) if declared[name] != found[name]]


def _objects(connection: sqlite3.Connection) -> dict[str, str]:
    rows = connection.execute("SELECT type || ' ' || name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
    return {name: " ".join((sql or "").split()) for name, sql in rows if not name.endswith(" alembic_version")}
