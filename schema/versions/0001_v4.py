"""
Version 4: every table of version 3 repaired and completed, and riskguard's own.

An empty database gets all of it at once, from the statements frozen beside this file. There are no old rows
here: a file of version 1, 2 or 3 is rebuilt, not altered, because most of its constraints change.
"""

import sqlite3
from pathlib import Path

from alembic import op

revision, down_revision = "0001", None


def upgrade() -> None:
    """Create tables, indexes, triggers and views."""
    connection = op.get_bind()
    text = Path(__file__).with_name(f"0001_v4.{connection.dialect.name}.sql").read_text(encoding="utf-8")
    for statement in _statements(text):
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    """There is nothing before."""
    raise NotImplementedError("0001 does not go back: it would drop the audit evidence")


def _statements(text: str) -> list[str]:
    """Split the file where a statement is complete; a trigger holds semicolons of its own."""
    found, pending = [], ""
    for line in text.splitlines(keepends=True):
        if not pending and (not line.strip() or line.startswith("--")):
            continue
        pending += line
        if line.rstrip().endswith(";") and sqlite3.complete_statement(pending):
            found.append(pending.strip().removesuffix(";"))
            pending = ""
    return found
