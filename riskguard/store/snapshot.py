"""Writes the declared schema as SQL text: `schema/<dialect>.sql`, and what a new version freezes from it."""

from __future__ import annotations

import sqlite3

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from riskguard.store.tables import metadata
from riskguard.store.triggers import postgresql_triggers, sqlite_triggers
from riskguard.store.triggers.postgresql import BODY
from riskguard.store.views import VIEWS, create_statement

HEADER = """-- The schema of riskguard, version 4, as {name} statements.
-- Generated from riskguard/store/tables, triggers and views.py: `python -m riskguard.store.snapshot`.
"""
SPLITTING = f"""-- A statement ends with a semicolon at a line's end, outside {BODY} … {BODY}.
"""


def sqlite_text() -> str:
    """Return every statement that makes an empty SQLite database a riskguard one, in order."""
    return _whole(HEADER.format(name="SQLite"), sqlite.dialect(), sqlite_triggers())


def postgresql_text() -> str:
    """Return every statement that makes an empty PostgreSQL database a riskguard one, in order."""
    # Any style but the driver's own: with that one a "%" is written twice.
    dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
    return _whole(HEADER.format(name="PostgreSQL") + SPLITTING, dialect, postgresql_triggers())


def statements_of(text: str) -> list[str]:
    """Split a text of this module's making into its statements; triggers and functions hold semicolons of their own."""
    is_complete = _outside_bodies if BODY in text else sqlite3.complete_statement
    found, pending = [], ""
    for line in text.splitlines(keepends=True):
        if not pending and (not line.strip() or line.startswith("--")):
            continue
        pending += line
        if line.rstrip().endswith(";") and is_complete(pending):
            found.append(pending.strip().removesuffix(";"))
            pending = ""
    if pending:
        raise ValueError(f"the text ends within a statement: {pending[:60]!r}")
    return found


def _outside_bodies(pending: str) -> bool:
    return pending.count(BODY) % 2 == 0


def _whole(header: str, dialect: sa.Dialect, triggers: list[str]) -> str:
    statements: list[str] = []
    for table in metadata.sorted_tables:
        statements.append(_text(CreateTable(table), dialect))
        statements += [
            _text(CreateIndex(index), dialect) for index in sorted(table.indexes, key=lambda each: str(each.name))
        ]
    statements += triggers
    statements += [create_statement(name, dialect) for name in VIEWS]
    return header + "\n" + "".join(f"{statement.strip().rstrip(';')};\n\n" for statement in statements)


def _text(element: sa.schema.ExecutableDDLElement, dialect: sa.Dialect) -> str:
    compiled = str(element.compile(dialect=dialect)).strip()
    return "\n".join(line.rstrip() for line in compiled.replace("\t", "    ").splitlines())


if __name__ == "__main__":
    from riskguard.locate import folder

    for dialect_name, text in (("sqlite", sqlite_text()), ("postgresql", postgresql_text())):
        (folder("schema") / f"{dialect_name}.sql").write_text(text, encoding="utf-8")
        # Until the first release the base version follows the declaration; afterwards it is frozen.
        (folder("schema") / "versions" / f"0001_v4.{dialect_name}.sql").write_text(text, encoding="utf-8")
