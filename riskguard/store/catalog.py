"""Asks a PostgreSQL database what is in it: what it is, and whether its schema is the declared one."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from riskguard.errors import StoreUnavailableError
from riskguard.locate import folder
from riskguard.store.engines.postgresql import said
from riskguard.store.tables.base import SCHEMA_VERSION
from riskguard.store.triggers.postgresql import FUNCTION_PREFIX, SCHEMA

REVISIONS: Final = {"0001": 4}
"""Alembic's revision, which the database keeps, -> our schema version."""


@dataclass(frozen=True, slots=True)
class Server:
    """
    What a database is: `empty`, `riskguard`, or `unknown`.

    Attributes:
        version: Our schema; one more than ours where the database is of a newer riskguard; 0 where it is of none.
        server: The version of PostgreSQL.
        holds: A few of the names found, for a message.
    """

    kind: str
    version: int
    server: str
    holds: tuple[str, ...] = ()


RELATIONS: Final = """
SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1
"""
OURS: Final = frozenset({"account_heads", "control_actions", "decisions", "traders_control"})


def identify(connection: sa.Connection) -> Server:
    """
    Say what the database is by what is in it. Runs in the caller's transaction.

    What extensions brought is not looked at. Raises DBAPIError.
    """
    found = set(connection.exec_driver_sql(RELATIONS, (SCHEMA,)).scalars())
    server = ".".join(map(str, connection.dialect.server_version_info or ()))
    if not found:
        return Server("empty", 0, server)
    holds = tuple(sorted(found))[:3]
    if "alembic_version" not in found or not found >= OURS:
        return Server("unknown", 0, server, holds)
    revisions = list(connection.exec_driver_sql(f"SELECT version_num FROM {SCHEMA}.alembic_version").scalars())  # noqa: S608
    if len(revisions) != 1:
        return Server("unknown", 0, server, holds)
    return Server("riskguard", REVISIONS.get(revisions[0], SCHEMA_VERSION + 1), server, holds)


def check(connection: sa.Connection) -> list[str]:
    """Return what is wrong with the schema, or that it is none of ours. The connection is outside a transaction."""
    with connection.begin():
        found = identify(connection)
    if found.kind != "riskguard":
        return [
            f"schema: this is no database of riskguard ({found.kind}): `riskguard db upgrade` makes one of an empty one"
        ]
    if found.version != SCHEMA_VERSION:
        return [f"schema: {found.version} is newer than this riskguard, which wants {SCHEMA_VERSION}: update riskguard"]
    return drift(connection)


# One row an object: what it is called, and what the server itself says of it.
OBJECTS: Final = """
WITH here AS (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %(schema)s),
mine AS (SELECT c.* FROM pg_catalog.pg_class c, here WHERE c.relnamespace = here.oid AND c.relname <> 'alembic_version')
SELECT CASE relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view ' ELSE 'table ' END || relname,
    concat(relpersistence, CASE WHEN relrowsecurity THEN ' row security' END, CASE WHEN relkind IN ('v', 'm')
        THEN pg_get_viewdef(oid) END)
FROM mine WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
UNION ALL
SELECT 'column ' || m.relname || '.' || a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod),
    CASE WHEN a.attnotnull THEN 'NOT NULL' END, pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated)
FROM mine m JOIN pg_catalog.pg_attribute a ON a.attrelid = m.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = m.oid AND d.adnum = a.attnum
WHERE m.relkind IN ('r', 'p', 'f')
UNION ALL
SELECT 'constraint ' || m.relname || '.' || k.conname, concat(pg_get_constraintdef(k.oid))
FROM mine m JOIN pg_catalog.pg_constraint k ON k.conrelid = m.oid AND k.contype IN ('c', 'p', 'u', 'f', 'x')
UNION ALL
SELECT 'index ' || m.relname, concat(pg_get_indexdef(i.indexrelid), CASE WHEN NOT i.indisvalid THEN ' not valid' END)
FROM mine m JOIN pg_catalog.pg_index i ON i.indexrelid = m.oid JOIN mine t ON t.oid = i.indrelid
UNION ALL
SELECT 'trigger ' || t.tgname, concat(t.tgenabled, ' ', pg_get_triggerdef(t.oid))
FROM mine m JOIN pg_catalog.pg_trigger t ON t.tgrelid = m.oid AND NOT t.tgisinternal
UNION ALL
SELECT 'rule ' || m.relname || '.' || r.rulename, concat(r.ev_enabled, ' ', pg_get_ruledef(r.oid))
FROM mine m JOIN pg_catalog.pg_rewrite r ON r.ev_class = m.oid AND m.relkind NOT IN ('v', 'm')
UNION ALL
SELECT 'function ' || p.proname, concat(pg_get_functiondef(p.oid), CASE WHEN EXISTS (
        SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x WHERE x.grantee = 0) THEN ' for everybody' END)
FROM pg_catalog.pg_proc p, here WHERE p.pronamespace = here.oid AND starts_with(p.proname, %(prefix)s) AND p.prokind = 'f'
"""


def drift(connection: sa.Connection) -> list[str]:
    """
    Return how the schema differs from the generated snapshot: names missing, extra, or changed.

    The snapshot is built beside it, in a schema of its own and in a (sub)transaction that is rolled back, and the server
    is asked to describe both: so it is the same server's words that are compared. Needs the right to create a
    schema; it touches no row and no table of ours.

    Raises StoreUnavailableError where that is not allowed.
    """
    beside = f"riskguard_wanted_{secrets.token_hex(6)}"
    text = (folder("schema") / "postgresql.sql").read_text(encoding="utf-8").replace(f"{SCHEMA}.", f"{beside}.")
    nested = connection.in_transaction()
    with connection.begin_nested() if nested else connection.begin() as transaction:
        found = _objects(connection, SCHEMA)
        try:
            connection.exec_driver_sql(f"CREATE SCHEMA {beside}")
            connection.exec_driver_sql(f"SET LOCAL search_path = {beside}")
            connection.exec_driver_sql(text, execution_options={"no_parameters": True})
        except sa.exc.DBAPIError as e:
            raise StoreUnavailableError(
                f"the declared schema cannot be built beside this one to compare them ({said(e)}): "
                "run `riskguard db check` as the role that owns the database"
            ) from None
        wanted = _objects(connection, beside)
        transaction.rollback()
    gone = [f"schema: {name} is missing" for name in sorted(wanted.keys() - found.keys())]
    extra = [f"schema: {name} is not declared" for name in sorted(found.keys() - wanted.keys())]
    changed = [
        f"schema: {name} differs" for name in sorted(wanted.keys() & found.keys()) if wanted[name] != found[name]
    ]
    return [*gone, *extra, *changed]


def _objects(connection: sa.Connection, schema: str) -> dict[str, str]:
    """Ask the server to describe every object of *schema*, its own name left out."""
    connection.exec_driver_sql(f"SET LOCAL search_path = {schema}")
    rows = connection.exec_driver_sql(OBJECTS, {"schema": schema, "prefix": FUNCTION_PREFIX})
    return {name: definition.replace(f"{schema}.", "") for name, definition in rows}
