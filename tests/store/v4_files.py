"""Files of version 4, created from the declared tables and views."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import sqlalchemy as sa

from riskguard.store.tables import metadata
from riskguard.store.tables.authentication import seed_config
from riskguard.store.views import create_views


def build(path: Path, *, now_s: int = 1_763_786_700) -> sqlite3.Connection:
    """Create an empty database at *path* and return a plain connection to it, as any program opens one."""
    engine = sa.create_engine(f"sqlite:///{path}")
    metadata.create_all(engine)
    with engine.begin() as connection:
        create_views(connection)
        seed_config(connection, now_s)
    engine.dispose()
    plain = sqlite3.connect(path)
    plain.row_factory = sqlite3.Row
    plain.execute("PRAGMA foreign_keys = ON")
    return plain
