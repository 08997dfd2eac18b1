"""
One archive: the rows of a calendar year, in a SQLite file with the very table definitions of the database.

Its tables refuse UPDATE and DELETE. Rollback journal and FULL: what is committed is on the disk, in one file.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.schema import CreateIndex, CreateTable

from riskguard.errors import UpkeepError
from riskguard.services.upkeep import files
from riskguard.services.upkeep.retention import RULES, TABLES, Rule
from riskguard.store.engines import sqlite as lite
from riskguard.store.halt import sync_directory
from riskguard.store.spelling import Prepared
from riskguard.store.statements import param, prepare

APPLICATION_ID = 0x52474441  # "RGDA"
WAIT_S = 5.0
ATTACHED_MAX = 9
"""SQLite attaches ten files to a connection, and a program may want one for itself."""

Row = tuple[Any, ...]


def _statements(table: sa.Table) -> tuple[Prepared, Prepared]:
    """Return (keep one row, read one row by its key). A clash keeps what stands; a refused value raises."""
    put = insert(table).values({column.name: param(column.name) for column in table.columns}).on_conflict_do_nothing()
    key = [column == param(column.name) for column in table.primary_key.columns]
    return Prepared(put), prepare(sa.select(*table.columns).where(*key))


_STATEMENTS = {table.name: _statements(table) for table in TABLES}
_KEYS = {
    table.name: tuple((column.name, list(table.columns).index(column)) for column in table.primary_key.columns)
    for table in TABLES
}


class ArchiveFile:
    """An archive open for writing; created when it is not there."""

    def __init__(self, database: Path, year: int) -> None:
        """Raises UpkeepError for a file that is no archive of this schema, sqlite3.Error, OSError."""
        self.path = files.archive_path(database, year)
        self.year = year
        if not self.path.exists():
            _create(self.path)
        self._connection = _open(self.path)

    def close(self) -> None:
        self._connection.close()

    def keep(self, table: sa.Table, rows: Iterable[Row]) -> None:
        """Write rows in one durable transaction; those that are there already are left as they are."""
        put, _ = _STATEMENTS[table.name]
        names = [column.name for column in table.columns]
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.executemany(put.sql, [dict(zip(names, row, strict=True)) for row in rows])
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.rollback()
            raise

    def holds(self, table: sa.Table, rows: Iterable[Row]) -> Iterator[bool]:
        """Say of each row, read back by its key, whether it stands here value for value."""
        _, read = _STATEMENTS[table.name]
        for row in rows:
            key = {name: row[place] for name, place in _KEYS[table.name]}
            found = self._connection.execute(read.sql, key).fetchone()
            yield found is not None and _same(found, row)


def _same(one: Row, other: Row) -> bool:
    """1 and 1.0 are equal to Python and not to SQLite."""
    return one == other and all(type(a) is type(b) for a, b in zip(one, other, strict=True))


def _create(path: Path) -> None:
    """Make the file under a name of its own, whole and synced, and only then give it its name."""
    part = Path(f"{path}{files.PART}")
    files.discard(part)
    try:
        files.private(part)
        with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN")
            for statement in declared():
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {lite.SCHEMA_VERSION}")
            connection.execute("COMMIT")
        files.publish(part, path)
    except BaseException:
        files.discard(part)
        raise
    sync_directory(path.parent)


def declared() -> list[str]:
    """Return the statements that make an empty archive."""
    dialect = sqlite.dialect()
    made = []
    for table in TABLES:
        made.append(str(CreateTable(table).compile(dialect=dialect)))
        made += [
            str(CreateIndex(index).compile(dialect=dialect))
            for index in sorted(table.indexes, key=lambda each: str(each.name))
        ]
        made += [
            f"CREATE TRIGGER {table.name}_{event.lower()}_refused BEFORE {event} ON {table.name} BEGIN "
            "SELECT RAISE(ABORT, 'an archive is kept as it is: it is the evidence'); END"
            for event in ("UPDATE", "DELETE")
        ]
    return made


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{lite._uri(path)}?mode=rw", uri=True, isolation_level=None, timeout=WAIT_S, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA synchronous = FULL")
        wrong = _wrong(connection)
        if wrong:
            raise UpkeepError(f"`{path}` {wrong}: move it away, and a new archive is begun")
    except BaseException:
        connection.close()
        raise
    return connection


def _wrong(connection: sqlite3.Connection) -> str | None:
    """Say what keeps the file from being an archive of this schema."""
    found = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if found != APPLICATION_ID:
        return "is no archive of riskguard"
    if version != lite.SCHEMA_VERSION:
        return f"holds schema {version}, and this riskguard writes {lite.SCHEMA_VERSION}"
    with contextlib.closing(sqlite3.connect(":memory:")) as wanted:
        for statement in declared():
            wanted.execute(statement)
        if _tables(wanted) != _tables(connection):
            return "has other tables than the database"
    damaged = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    return None if damaged == "ok" else f"is damaged ({damaged})"


def _tables(connection: sqlite3.Connection) -> dict[str, str]:
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return {name: " ".join(sql.split()) for name, sql in rows}


# -- reading -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Held:
    """What an archive holds of one table; times as the table has them."""

    table: str
    rows: int
    oldest: int | None
    newest: int | None


@dataclass(slots=True)
class Archive:
    """What is in one archive file; `wrong` when it cannot be used."""

    path: Path
    year: int
    bytes: int
    wrong: str | None = None
    tables: list[Held] = field(default_factory=list)


def listed(database: Path) -> list[Archive]:
    """Look into every archive of *database*, oldest first; one that cannot be read says so, and hides no other."""
    found = []
    for year, path in files.archives(database).items():
        made = Archive(path, year, path.stat().st_size)
        try:
            with contextlib.closing(
                sqlite3.connect(f"file:{lite._uri(path)}?mode=rw", uri=True, timeout=WAIT_S)
            ) as connection:  # rw: a journal left by a crash is rolled back by whoever comes first
                made.wrong = _wrong(connection)
                if made.wrong is None:
                    made.tables = [held for rule in RULES if (held := _held(connection, rule)).rows]
        except sqlite3.Error as e:
            made.wrong = f"cannot be read ({e})"
        found.append(made)
    return found


def _held(connection: sqlite3.Connection, rule: Rule) -> Held:
    time = rule.table.c[rule.time]
    asked = prepare(sa.select(sa.func.count(), sa.func.min(time), sa.func.max(time)).select_from(rule.table))
    return Held(rule.table.name, *connection.execute(asked.sql).fetchone())


def both(database: Path, years: tuple[int, ...] = ()) -> list[str]:
    """
    Return the statements that let a connection ask the database and its archives at once.

    Each archived table gets a TEMP view `all_<table>`. A row that is being moved stands in both files for a
    moment: UNION shows it once. Nine archives at most, the newest ones, or those of *years*.
    Raises UpkeepError for a year without an archive.
    """
    there = files.archives(database)
    missing = [year for year in years if year not in there]
    if missing:
        known = ", ".join(map(str, there)) or "none"
        raise UpkeepError(f"no archive of `{missing[0]}` beside `{database}` (there are: {known})")
    wanted = sorted(years or there)[-ATTACHED_MAX:]
    made = [f"ATTACH {_quoted(str(there[year]))} AS archive_{year}" for year in wanted]
    for table in TABLES:
        parts = [
            f"SELECT * FROM {schema}.{table.name}"  # noqa: S608 - names of our own tables
            for schema in ("main", *(f"archive_{year}" for year in wanted))
        ]
        made.append(f"CREATE TEMP VIEW all_{table.name} AS {' UNION '.join(parts)}")
    return made


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
