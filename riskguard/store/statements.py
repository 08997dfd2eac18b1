"""
Statements in SQLAlchemy Core itself, compiled once per database, run on the driver's own cursor.

Core is the one spelling for both databases; its execution layer would cost more than the statements do. What a check's
process runs is written with `spelling` instead, which says the same and imports nothing until Core is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from riskguard.store import texts
from riskguard.store.spelling import Compiled, Prepared

_SQLITE = sqlite.dialect(paramstyle="named")

Pair = tuple[sa.sql.expression.ClauseElement, sa.sql.expression.ClauseElement]
"""One statement as SQLite and as PostgreSQL have it, where Core spells it twice."""


@cache
def _postgresql() -> sa.Dialect:
    """The dialect of psycopg 3: named parameters, each with the cast its column's type asks for. Needs no driver."""
    from sqlalchemy.dialects.postgresql import psycopg

    dialect: sa.Dialect = psycopg.dialect()  # type: ignore[no-untyped-call]
    return dialect


def text_of(core: sa.sql.expression.ClauseElement, dialect: texts.Dialect) -> Compiled:
    """Return the text of *core* with named parameters, and the values written into it."""
    spoken = _SQLITE if dialect == "sqlite" else _postgresql()
    compiled = core.compile(dialect=spoken, compile_kwargs={"render_postcompile": True})
    return str(compiled), {name: value for name, value in (compiled.params or {}).items() if value is not None}


def param(name: str, kind: sa.types.TypeEngine[Any] | None = None) -> sa.BindParameter[Any]:
    """
    A named parameter of a prepared statement; its type is the column's it meets.

    *kind* names the type where it meets none (`param(…) IS NULL`): PostgreSQL must know it before it runs.
    """
    # A value, if only None, so that IN lists can be written out.
    return sa.bindparam(name, None, kind, required=False)


def fixed(value: int | str) -> sa.ColumnClause[Any]:
    """
    A value written into the statement's text: only then can SQLite see that a partial index answers it.

    For constants of our own; what comes from outside is a `param`.
    """
    return sa.literal_column(str(value) if isinstance(value, int) else f"'{value}'")


class greater(sa.sql.functions.ReturnTypeFromArgs[Any]):  # a function's name, as it reads in a statement
    """The greater of values of one row; none of them may be NULL: there the databases differ."""

    inherit_cache = True


class lesser(sa.sql.functions.ReturnTypeFromArgs[Any]):
    """The lesser of values of one row; none of them may be NULL: there the databases differ."""

    inherit_cache = True


@compiles(greater)
@compiles(lesser)
def _named_by_sqlite(element: sa.sql.functions.ReturnTypeFromArgs[Any], compiler: SQLCompiler, **how: Any) -> str:
    return f"{'max' if isinstance(element, greater) else 'min'}({compiler.process(element.clauses, **how)})"


@compiles(greater, "postgresql")
@compiles(lesser, "postgresql")
def _named_by_postgresql(element: sa.sql.functions.ReturnTypeFromArgs[Any], compiler: SQLCompiler, **how: Any) -> str:
    return f"{'greatest' if isinstance(element, greater) else 'least'}({compiler.process(element.clauses, **how)})"


def insert_into(table: sa.Table, *columns: str, ignore: bool = False, replace: bool = False) -> Prepared:
    """
    INSERT of the named columns, each from the parameter of its name; optionally keeping or replacing a clash.

    *replace* leaves nothing of the row that stood: columns not named go back to their defaults.
    """
    return Prepared(*inserts(table, *columns, ignore=ignore, replace=replace))


def inserts(table: sa.Table, *columns: str, ignore: bool = False, replace: bool = False) -> Pair:
    """Return what `insert_into` prepares."""
    values = {name: param(name) for name in columns}
    lite = sa.insert(table).values(values)
    server = postgresql.insert(table).values(values)
    if ignore:
        lite, server = lite.prefix_with("OR IGNORE"), server.on_conflict_do_nothing()
    if replace:
        key = _key(table, columns)
        changed: dict[str, Any] = {name: server.excluded[name] for name in columns if name not in key}
        others = [each.name for each in table.columns if each.name not in columns and each.name not in key]
        changed |= {name: sa.literal_column("DEFAULT") for name in others if name != _number(table)}
        lite = lite.prefix_with("OR REPLACE")
        server = server.on_conflict_do_update(index_elements=list(key), set_=changed)
    number = _number(table)
    return lite, server if number is None else server.returning(table.c[number])


def upsert(
    table: sa.Table, values: dict[str, Any], *, key: tuple[str, ...], update: Callable[[Any], dict[str, Any]],
    where: sa.ColumnElement[bool] | None = None,
) -> Prepared:  # fmt: skip
    """INSERT *values*; where *key* (of the partial index with *where*) stands, set what *update* makes of the new row."""
    return Prepared(*upserts(table, values, key=key, update=update, where=where))


def upserts(
    table: sa.Table, values: dict[str, Any], *, key: tuple[str, ...], update: Callable[[Any], dict[str, Any]],
    where: sa.ColumnElement[bool] | None = None,
) -> Pair:  # fmt: skip
    """Return what `upsert` prepares."""
    lite, server = sqlite.insert(table).values(values), postgresql.insert(table).values(values)
    how: dict[str, Any] = {"index_elements": list(key), "index_where": where}
    return (
        lite.on_conflict_do_update(**how, set_=update(lite.excluded)),
        server.on_conflict_do_update(**how, set_=update(server.excluded)),
    )


def _key(table: sa.Table, columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the unique key a replacing INSERT means: the one whose columns it names."""
    unique = [each for each in table.constraints if isinstance(each, (sa.PrimaryKeyConstraint, sa.UniqueConstraint))]
    keys = [tuple(column.name for column in each.columns) for each in unique]
    keys += [
        tuple(column.name for column in each.columns)
        for each in table.indexes
        if each.unique and not each.dialect_options["postgresql"]["where"]
    ]
    found = [key for key in keys if key and set(key) <= set(columns)]
    if len(found) != 1:
        raise ValueError(f"`{table.name}` has {len(found)} keys among the columns named: a replacing INSERT needs one")
    return found[0]


def _number(table: sa.Table) -> str | None:
    """Return the column the database numbers by itself, or None."""
    column = table.autoincrement_column
    return None if column is None else column.name


def prepare(core: sa.sql.expression.ClauseElement) -> Prepared:
    """Keep *core* as a statement to be compiled once."""
    return Prepared(core)
