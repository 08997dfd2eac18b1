"""
`db upgrade` on PostgreSQL: an empty database to this version's schema, in one transaction.

PostgreSQL takes tables back like rows: whatever breaks in between, the database is as empty as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy import exc

from riskguard.clock import SystemClock
from riskguard.errors import UpgradeError
from riskguard.ports import Clock
from riskguard.services.setup import run_versions
from riskguard.store import catalog
from riskguard.store.engines import postgresql
from riskguard.store.tables.authentication import seed_config
from riskguard.store.tables.base import SCHEMA_VERSION
from riskguard.store.triggers.postgresql import SCHEMA

WAIT_S_MAX: Final = 30
LOCK: Final = "riskguard db upgrade"

Stage = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Raised:
    """What `db upgrade` found and made; *version* is what the database had before, 0 for an empty one."""

    database: str
    version: int
    already: bool


def upgrade(url: str, *, clock: Clock | None = None, on_stage: Stage = lambda _name: None) -> Raised:
    """
    Make this version's schema in the empty database at *url*; one that has it is left alone.

    Of two at once the second waits, and finds it done.

    Raises:
        UpgradeError: It holds something else, a newer schema, or the role may not create; nothing was made.
        StoreUnavailableError, SettingsError, ExtraMissingError: It was not reached.
    """
    where = postgresql.place(url)
    clock = clock or SystemClock()
    with postgresql.connect(url) as connection:
        try:
            with connection.begin():
                on_stage("lock")
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{WAIT_S_MAX}s'")
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (LOCK,))
                found = catalog.identify(connection)
                if found.kind == "riskguard" and found.version == SCHEMA_VERSION:
                    return Raised(where, found.version, already=True)
                _refuse(found, where)
                on_stage("create")
                _create(connection, clock)
                on_stage("commit")
        except exc.DBAPIError as e:
            role = f"`GRANT CREATE ON SCHEMA {SCHEMA} TO …`, or run it as the database's owner"
            hint = f": {role}" if getattr(e.orig, "sqlstate", "") == "42501" else ""
            raise UpgradeError(f"`{where}`: {postgresql.said(e)}; nothing was made{hint}") from None
    return Raised(where, found.version, already=False)


def _refuse(found: catalog.Server, where: str) -> None:
    if found.kind == "riskguard":
        raise UpgradeError(f"`{where}` has schema {found.version}, newer than this riskguard: update riskguard")
    if found.kind != "empty":
        shown = ", ".join(f"`{name}`" for name in found.holds)
        raise UpgradeError(
            f"`{where}` holds something else ({shown}, …): riskguard takes an empty database of its own; it is untouched"
        )


def _create(connection: sa.Connection, clock: Clock) -> None:
    connection.exec_driver_sql(f"SET LOCAL search_path = {SCHEMA}")
    connection.exec_driver_sql("SET LOCAL synchronous_commit = on")
    run_versions(connection)
    seed_config(connection, clock.now_us() // 1_000_000)
