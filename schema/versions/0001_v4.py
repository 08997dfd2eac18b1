"""
Version 4: every table of version 3 repaired and completed, and riskguard's own.

An empty database gets all of it at once, from the statements frozen beside this file, one text for SQLite and one
for PostgreSQL. There are no old rows here: a file of version 1, 2 or 3 is rebuilt, not altered, because most of its
constraints change.
"""

from pathlib import Path

from alembic import op

from riskguard.store.snapshot import statements_of

revision, down_revision = "0001", None


def upgrade() -> None:
    """Create tables, indexes, triggers and views."""
    connection = op.get_bind()
    text = Path(__file__).with_name(f"0001_v4.{connection.dialect.name}.sql").read_text(encoding="utf-8")
    for statement in statements_of(text):
        # Without parameters the driver leaves every "%" as it is.
        connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def downgrade() -> None:
    """There is nothing before."""
    raise NotImplementedError("0001 does not go back: it would drop the audit evidence")
