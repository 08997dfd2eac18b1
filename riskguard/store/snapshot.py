"""Writes the declared schema as SQL text: `schema/sqlite.sql`, and what a new version freezes from it."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from riskguard.store.tables import metadata
from riskguard.store.triggers import sqlite_triggers
from riskguard.store.views import VIEWS, create_statement

HEADER = """-- The schema of riskguard, version 4, as SQLite statements.
-- Generated from riskguard/store/tables, triggers.py and views.py: `python -m riskguard.store.snapshot`.
"""


def sqlite_text() -> str:
    """Return every statement that makes an empty SQLite database a riskguard one, in order."""
    dialect = sqlite.dialect()
    statements: list[str] = []
    for table in metadata.sorted_tables:
        statements.append(_text(CreateTable(table), dialect))
        statements += [
            _text(CreateIndex(index), dialect) for index in sorted(table.indexes, key=lambda each: str(each.name))
        ]
    statements += sqlite_triggers()
    statements += [create_statement(name, dialect) for name in VIEWS]
    return HEADER + "\n" + "".join(f"{statement.strip().rstrip(';')};\n\n" for statement in statements)


def _text(element: sa.schema.ExecutableDDLElement, dialect: sa.Dialect) -> str:
    compiled = str(element.compile(dialect=dialect)).strip()
    return "\n".join(line.rstrip() for line in compiled.replace("\t", "    ").splitlines())


if __name__ == "__main__":
    from riskguard.locate import folder

    text = sqlite_text()
    (folder("schema") / "sqlite.sql").write_text(text, encoding="utf-8")
    # Until the first release the base version follows the declaration; afterwards it is frozen.
    (folder("schema") / "versions" / "0001_v4.sqlite.sql").write_text(text, encoding="utf-8")
