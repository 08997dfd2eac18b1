"""The old file: held so that no other program can have it open, and read as it is, not as it should be."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

WAIT_S = 2.0
_DIALECT = sqlite.dialect(paramstyle="qmark")
# Rows that break the old file's own rules are for the quarantine; only damage of the file itself stops.
_NOT_DAMAGE = ("CHECK constraint failed in", "NULL value in")


def spelled(core: sa.sql.expression.ClauseElement, columns: list[str] | None = None) -> str:
    """Return the text of a statement, names quoted where needed; *columns* are those an INSERT names."""
    if columns is None:
        return str(core.compile(dialect=_DIALECT, compile_kwargs={"literal_binds": True}))
    return str(core.compile(dialect=_DIALECT, column_keys=columns))


class Column(NamedTuple):
    """A column of the old file: its declared type in capitals, and whether it may be NULL."""

    name: str
    type: str
    nullable: bool


def quoted(name: str) -> str:
    """Return a name of the old file as SQL, whatever somebody called it."""
    return _DIALECT.identifier_preparer.quote_identifier(name)


@dataclass(slots=True)
class Source:
    """
    The old file, open and locked.

    Attributes:
        tables: Columns of every ordinary table, by name; virtual tables are left out, their rows lie in others.
        was_wal: The journal mode to go back to if the swap fails.
    """

    path: Path
    version: int
    connection: sqlite3.Connection
    tables: dict[str, dict[str, Column]] = field(default_factory=dict)
    virtual: tuple[str, ...] = ()
    was_wal: bool = False

    def has(self, table: str, column: str) -> bool:
        return column in self.tables.get(table, {})

    def table(self, name: str, alias: str) -> sa.FromClause:
        """Return the old table under *alias*, with the columns it has here."""
        return sa.table(name, *(sa.column(each) for each in self.tables[name])).alias(alias)

    def count(self, table: str) -> int:
        return count(self.connection, table)

    def close(self) -> None:
        self.connection.close()


def count(connection: sqlite3.Connection, table: str) -> int:
    """Return the number of rows."""
    statement = spelled(sa.select(sa.func.count()).select_from(sa.table(table)))
    found: int = connection.execute(statement).fetchone()[0]
    return found


def hold(path: Path, version: int) -> Source:
    """
    Open the old file and take it away from everybody else until it is closed.

    A program that kept it open would go on writing into the file that was swapped out, and nobody would see
    what it wrote. In WAL mode an idle reader is noticed too; in the older modes only one that is at work.
    Raises sqlite3.Error.
    """
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode=rw", uri=True, isolation_level=None, timeout=WAIT_S, check_same_thread=False
    )
    try:
        # A row with bytes that are no text is kept in the quarantine; it must not stop the other rows.
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")  # the lock stays, and the backup API wants no open transaction
        source = Source(path, version, connection)
        source.was_wal = connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        # Nobody has it mapped, the lock we hold excludes theirs; left behind it would lie beside the new file.
        Path(f"{path}-shm").unlink(missing_ok=True)
        named = connection.execute(
            "SELECT name, coalesce(sql, '') FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' "
            "ESCAPE '~' ORDER BY name"
        ).fetchall()
        source.virtual = tuple(name for name, sql in named if sql.upper().startswith("CREATE VIRTUAL"))
        for name, _sql in named:
            if name not in source.virtual:
                found = connection.execute('SELECT name, upper(type), NOT "notnull" FROM pragma_table_info(?)', (name,))
                source.tables[name] = {row[0]: Column(row[0], row[1], bool(row[2])) for row in found}
    except BaseException:
        connection.close()
        raise
    return source


def damage(connection: sqlite3.Connection) -> list[str]:
    """Return what SQLite finds broken in the file itself, apart from rows that break their table's rules."""
    found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(50)")]
    return [each for each in found if each != "ok" and not each.startswith(_NOT_DAMAGE)]


def has_row_numbers(source: Source, table: str) -> bool:
    """Say whether rows have a number to be found by: all tables of the three old schemas do."""
    with contextlib.suppress(sqlite3.OperationalError):
        source.connection.execute(
            spelled(sa.select(sa.literal_column("rowid")).select_from(sa.table(table)).limit(sa.literal_column("0")))
        )
        return True
    return False
