"""Files of version 4, created from the declared tables and views."""

from __future__ import annotations

import sqlite3
from functools import cache
from pathlib import Path

import sqlalchemy as sa

from riskguard.store.tables import metadata
from riskguard.store.tables.authentication import seed_config
from riskguard.store.views import create_views

NOW_S = 1_763_786_700


@cache
def _empty() -> sqlite3.Connection:
    """An empty database, made once: a hundred tables a test would be most of a test's time."""
    template = sqlite3.connect(":memory:", check_same_thread=False)
    engine = sa.create_engine("sqlite://", creator=lambda: template, poolclass=sa.StaticPool)
    with engine.begin() as connection:
        metadata.create_all(connection)
        create_views(connection)
        seed_config(connection, NOW_S)
    return template


def build(path: Path) -> sqlite3.Connection:
    """Create an empty database at *path* and return a plain connection to it, as any program opens one."""
    plain = sqlite3.connect(path)
    _empty().backup(plain)
    plain.row_factory = sqlite3.Row
    plain.execute("PRAGMA foreign_keys = ON")
    return plain
