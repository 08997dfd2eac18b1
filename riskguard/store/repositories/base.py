"""What every repository is made of: select into row models, insert, upsert, update, on both databases."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from riskguard.errors import RowInvalidError, RowRefusedError, shown
from riskguard.store.database import Database
from riskguard.store.rows.base import Row
from riskguard.store.tables import metadata

R = TypeVar("R", bound=Row)
ROWS_MAX: Final = 1_000_000
"""No list of ours is longer: a caller that wants more has forgotten a condition."""


class Repository:
    """
    Access to the tables of one area.

    Every call is a transaction of its own, or joins the one this thread has open (`database.transaction()`).
    Errors are raised, never turned into None or False: RowInvalidError (mend the value), RowRefusedError (the
    database itself said no), StoreUnavailableError and its family (nothing is known to be written).
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def _now_s(self) -> int:
        return self._database.clock.now_us() // 1_000_000

    def _writing(self) -> AbstractContextManager[sa.Connection]:
        return self._database.transaction()

    def _reading(self) -> AbstractContextManager[sa.Connection]:
        return self._database.reading()

    # -- reading --------------------------------------------------------------------------------------------

    def _rows(self, made_of: type[R], statement: sa.Select[Any], limit: int | None = None) -> list[R]:
        """Return the rows of *statement* as models, at most *limit* of them."""
        statement = statement.limit(ROWS_MAX if limit is None else checked_limit(limit))
        with self._reading() as connection:
            return [made_of.read(row) for row in connection.execute(statement).mappings()]

    def _row(self, made_of: type[R], statement: sa.Select[Any]) -> R | None:
        """Return the first row of *statement* as a model, or None."""
        with self._reading() as connection:
            found = connection.execute(statement.limit(1)).mappings().first()
        return None if found is None else made_of.read(found)

    def _value(self, statement: sa.Select[Any]) -> Any:
        with self._reading() as connection:
            return connection.execute(statement.limit(1)).scalar()

    # -- writing --------------------------------------------------------------------------------------------

    def _insert(self, row: Row, *, once: str | None = None) -> tuple[int, bool]:
        """
        Write *row* and return its number and whether it is new.

        *once* names the column, under a unique partial index, that says "told before": such a row is not
        written again, and the number is that of the first.
        """
        table = table_of(row)
        values = _given(row)
        with self._writing() as connection:
            statement = _insert(connection, table).values(values).returning(table.c.id)
            if once is not None:
                known = table.c[once] == values[once]
                where = table.c[once].is_not(None)
                statement = statement.on_conflict_do_nothing(index_elements=[once], index_where=where)
            written = connection.execute(statement).scalar()
            if written is not None:
                return int(written), True
            return int(connection.execute(sa.select(table.c.id).where(known)).scalar_one()), False

    def _add_all(self, rows: Sequence[Row]) -> None:
        """Write rows of one table by as few statements as the driver needs."""
        if rows:
            with self._writing() as connection:
                connection.execute(sa.insert(table_of(rows[0])), [row.checked().stored() for row in rows])

    def _upsert(
        self, row: Row, *, key: Sequence[str] = (), keep: Collection[str] = (), owner: str | None = None,
        among: str | None = None,
    ) -> None:  # fmt: skip
        """
        Write *row*, or bring the one of its key up to date; columns that *row* does not set stay as they are.

        *keep*: columns whose first value that says something stays. *owner*: a column that no update may change;
        a row of another owner raises RowRefusedError. *among*: the key is unique among rows in which this flag is 0.
        Never by REPLACE, which would delete. The update comes first: SQLite asks the triggers of an INSERT also
        when that ends as an update.
        """
        table = table_of(row)
        values = _given(row)
        key = key or [column.name for column in table.primary_key.columns]
        same = sa.and_(*(table.c[name] == values[name] for name in key))
        # A constant, not a parameter: only then can the database see which partial index is meant.
        where = None if among is None else table.c[among] == sa.literal_column("0")
        if where is not None:
            same = sa.and_(same, where)
        mine = same if owner is None else sa.and_(same, table.c[owner] == values[owner])
        with self._writing() as connection:
            changes: dict[str, Any] = {name: value for name, value in values.items() if name not in key}
            for name in keep:
                if name in changes:
                    changes[name] = sa.func.coalesce(table.c[name], changes[name])
            if changes and connection.execute(sa.update(table).where(mine).values(changes)).rowcount:
                return
            insert = _insert(connection, table).values(values)
            # Another program may have written it since, where no lock is held over both.
            if changes:
                clash = insert.on_conflict_do_update(
                    index_elements=list(key), index_where=where, set_=changes, where=mine
                )
            else:
                clash = insert.on_conflict_do_nothing(index_elements=list(key), index_where=where)
            written = connection.execute(clash.returning(sa.literal_column("1"))).first()
            if (
                owner is not None
                and written is None
                and connection.execute(sa.select(1).where(same)).first() is not None
            ):
                raise RowRefusedError(f"{table.name}: the row of this key is not of `{owner}` {shown(values[owner])}")

    def _update(self, made_of: type[Row], where: sa.ColumnElement[bool], **values: Any) -> int:
        """Change the rows that answer *where* and return how many they were; the values are checked as in a row."""
        table = metadata.tables[made_of.TABLE]
        changes = {name: made_of.checked_value(name, value) for name, value in values.items()}
        with self._writing() as connection:
            return connection.execute(sa.update(table).where(where).values(changes)).rowcount


def table_of(row: Row) -> sa.Table:
    """Return the table *row* belongs to."""
    return metadata.tables[row.TABLE]


def checked_limit(limit: int) -> int:
    """Return *limit* when it is a number of rows one may ask for; raises RowInvalidError."""
    if type(limit) is not int or not 0 < limit <= ROWS_MAX:
        raise RowInvalidError("limit", f"ask for 1 to {ROWS_MAX} rows", value=limit)
    return limit


def digest_of(*parts: object) -> str:
    """Return the SHA-256 of *parts* in canonical JSON: the same said twice has the same digest."""
    text = json.dumps(parts, ensure_ascii=True, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _given(row: Row) -> dict[str, Any]:
    values = row.checked().stored(only_set=True)
    if values.get("id", "") is None:
        del values["id"]  # the database numbers it
    return values


def _insert(connection: sa.Connection, table: sa.Table) -> Any:
    # The one statement both databases have and SQLAlchemy spells twice; the second is loaded only where it is met.
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    return sqlite.insert(table)
