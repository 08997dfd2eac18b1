"""Files of version 4 as `init` makes them: tables, indexes, triggers, views, settings and the stamp."""

from __future__ import annotations

import sqlite3
from functools import cache
from pathlib import Path

import sqlalchemy as sa

from riskguard.locate import folder
from riskguard.store.engines import sqlite as lite
from riskguard.store.tables.authentication import seed_config

NOW_S = 1_763_786_700


@cache
def _empty() -> sqlite3.Connection:
    """An empty database, made once: a hundred tables a test would be most of a test's time."""
    template = sqlite3.connect(":memory:", check_same_thread=False)
    template.executescript((folder("schema") / "sqlite.sql").read_text("utf-8"))
    engine = sa.create_engine("sqlite://", creator=lambda: template, poolclass=sa.StaticPool)
    with engine.begin() as connection:
        seed_config(connection, NOW_S)
        connection.exec_driver_sql(f"PRAGMA application_id = {lite.APPLICATION_ID}")
        connection.exec_driver_sql(f"PRAGMA user_version = {lite.SCHEMA_VERSION}")
    return template


def build(path: Path) -> sqlite3.Connection:
    """Create an empty database at *path* and return a plain connection to it, as any program opens one."""
    plain = sqlite3.connect(path)
    _empty().backup(plain)
    plain.row_factory = sqlite3.Row
    plain.execute("PRAGMA foreign_keys = ON")
    return plain
