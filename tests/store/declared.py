"""What the declared tables say, and what a real database says of itself by reflection: both as plain values."""

from __future__ import annotations

import warnings
from typing import Any

import sqlalchemy as sa

from riskguard.store.tables import metadata
from riskguard.store.views import VIEWS

Facts = dict[str, object]


def declared(dialect: sa.Dialect) -> Facts:
    """One entry an object: columns with type, nullability and default, keys, checks, indexes, views."""
    facts: Facts = {f"view {name}": tuple(str(c.key) for c in query.selected_columns) for name, query in VIEWS.items()}
    for table in metadata.tables.values():
        for column in table.columns:
            default = column.server_default
            said = str(default.arg) if isinstance(default, sa.DefaultClause) else None
            kind = column.type.compile(dialect=dialect)
            facts[f"column {table.name}.{column.name}"] = (kind, column.nullable, said)
        facts[f"columns {table.name}"] = tuple(column.name for column in table.columns)
        facts[f"primary key {table.name}"] = tuple(column.name for column in table.primary_key.columns)
        for each in table.constraints:
            if isinstance(each, sa.UniqueConstraint):
                facts[f"unique {each.name}"] = tuple(column.name for column in each.columns)
            elif isinstance(each, sa.CheckConstraint) and _is_for(each, dialect):
                facts[f"check {each.name}"] = _text(each, dialect)
        for index in table.indexes:
            where = index.dialect_options[dialect.name].get("where")
            facts[f"index {index.name}"] = (table.name, bool(index.unique), len(index.expressions), where is not None)
    return facts


def reflected(connection: sa.Connection) -> Facts:
    """The same of the database behind *connection*, tables of Alembic left out."""
    dialect, seen = connection.dialect, sa.inspect(connection)
    facts: Facts = {f"view {name}": tuple(c["name"] for c in seen.get_columns(name)) for name in seen.get_view_names()}
    for table in seen.get_table_names():
        if table == "alembic_version":
            continue
        columns = seen.get_columns(table)
        for column in columns:
            said = column["default"]
            if said is not None and said.startswith("nextval("):
                said = None
            kind = column["type"].compile(dialect=dialect)
            facts[f"column {table}.{column['name']}"] = (kind, column["nullable"], said and said.removesuffix("::text"))
        facts[f"columns {table}"] = tuple(column["name"] for column in columns)
        facts[f"primary key {table}"] = tuple(seen.get_pk_constraint(table)["constrained_columns"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", sa.exc.SAWarning)  # it passes over the index that holds an expression
            unique = seen.get_unique_constraints(table)
        facts |= {f"unique {each['name']}": tuple(each["column_names"]) for each in unique}
        for check in seen.get_check_constraints(table):
            facts[f"check {check['name']}"] = _squeezed(check["sqltext"]) if dialect.name == "sqlite" else None
        facts |= _sqlite_indexes(connection, table) if dialect.name == "sqlite" else _indexes(seen, table)
    return facts


def differences(connection: sa.Connection) -> list[str]:
    """Name what the declared tables and the database do not say alike."""
    wanted, found = declared(connection.dialect), reflected(connection)
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name, 0) != found.get(name, 0))


def _is_for(check: sa.CheckConstraint, dialect: sa.Dialect) -> bool:
    """A check that is nothing but SQLite's `typeof` has no meaning where columns are typed."""
    only = check._ddl_if
    return only is None or only.dialect == dialect.name


def _text(check: sa.CheckConstraint, dialect: sa.Dialect) -> str | None:
    """A check as SQLite keeps it; PostgreSQL says it in words of its own, which `catalog.drift` compares."""
    if dialect.name != "sqlite":
        return None
    return _squeezed(str(check.sqltext.compile(dialect=dialect, compile_kwargs={"literal_binds": True})))


def _indexes(seen: Any, table: str) -> Facts:
    facts: Facts = {}
    for index in seen.get_indexes(table):
        if not index.get("duplicates_constraint"):
            where = index.get("dialect_options", {}).get("postgresql_where")
            parts = index.get("expressions", index["column_names"])
            facts[f"index {index['name']}"] = (table, bool(index["unique"]), len(parts), where is not None)
    return facts


def _sqlite_indexes(connection: sa.Connection, table: str) -> Facts:
    """By SQLite's own words: SQLAlchemy passes over an index that holds an expression."""
    facts: Facts = {}
    for _, name, unique, origin, partial in connection.exec_driver_sql(f"PRAGMA index_list({table})").fetchall():
        if origin == "c":
            keys = [row for row in connection.exec_driver_sql(f"PRAGMA index_xinfo({name})") if row[5]]
            facts[f"index {name}"] = (table, bool(unique), len(keys), bool(partial))
    return facts


def _squeezed(text: str) -> str:
    return " ".join(text.split())
