"""
The desk of `tests/services`, on PostgreSQL: the same accounts, guard, paper market and sweeper over another store.

Plain SQL goes through psycopg, as any other program's would; `?` stands for a value there too.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from riskguard.home import host_home, state_directories
from riskguard.services.wiring import open_guard
from riskguard.store import halt
from tests.services.desk import Desk, fill
from tests.store import postgres

_numbers = itertools.count()
_PLACEHOLDER = re.compile(r"\?(?=(?:[^']*'[^']*')*[^']*$)")
"""A `?` that stands outside quotes."""


@dataclass
class PostgresDesk(Desk):
    """See the module. `path` is where the paper market lies: there is no file of the database."""

    at: str = ""

    def __post_init__(self) -> None:
        self.url = self.at
        for each in state_directories(self.url):
            halt.prepare(each)
        self.guard = open_guard(self.url, sweep=False, clock=self.clock, deadline_ms=self.deadline_ms)
        self.path = Path(self.guard.store.path)
        self._broker = None
        self._sweeper = None
        self._others = []

    def plain(self) -> contextlib.AbstractContextManager[Any]:
        return plain(self.url)

    def spelled(self, statement: str) -> bytes:
        return spelled(statement)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Every account's head is held, as a stopped process would."""
        with plain(self.url) as connection, connection.transaction(force_rollback=True):
            connection.execute("SELECT FROM account_heads FOR UPDATE")
            yield

    @contextlib.contextmanager
    def unwritable(self) -> Iterator[None]:
        """Every table is held: it can be read, and nothing is inserted, changed or locked."""
        with plain(self.url) as connection, connection.transaction(force_rollback=True):
            names = connection.execute("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'")
            connection.execute(f"LOCK TABLE {', '.join(name for (name,) in names)} IN EXCLUSIVE MODE".encode())
            yield

    def stored(self) -> bytes:
        names = self.rows("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'")
        values = (value for (name,) in names for row in self.rows(f"TABLE {name}") for value in row)
        return b"\n".join(each if isinstance(each, bytes) else str(each).encode() for each in values)

    def lose(self) -> None:
        """The server knows it no more, for whoever is connected and for whoever comes."""
        name = self._name()
        with postgres.server().connect() as connection:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))

    def saved(self) -> Callable[[], None]:
        name, older = self._name(), f"older_{next(_numbers)}"
        self.guard.close()
        with postgres.server().connect() as connection:
            connection.execute(f"CREATE DATABASE {older} TEMPLATE {name}".encode())

        def restore() -> None:
            self.guard.close()
            postgres.server().drop(name)
            with postgres.server().connect() as connection:
                connection.execute(f"ALTER DATABASE {older} RENAME TO {name}".encode())

        return restore

    def _name(self) -> str:
        return str(psycopg.conninfo.conninfo_to_dict(self.url)["dbname"])

    def disarm(self, table: str) -> None:
        self.sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with plain(self.url) as connection:
            return connection.execute(spelled(query), values).fetchall()

    def sql(self, statement: str, *values: Any) -> int:
        with plain(self.url) as connection:
            return connection.execute(spelled(statement), values).rowcount


@contextlib.contextmanager
def plain(url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection of another program's, each statement a transaction."""
    with contextlib.closing(psycopg.connect(url, autocommit=True)) as connection:
        yield connection


def spelled(query: str) -> bytes:
    """The same statement in the driver's spelling of placeholders."""
    return _PLACEHOLDER.sub("%s", query.replace("%", "%%")).encode()


def named(statement: str) -> bytes:
    """The same with values by name: `:name` becomes the driver's."""
    return re.sub(r"(?<!:):([a-z_]+)", r"%(\1)s", statement.replace("%", "%%")).encode()


def template(directory: Path, **how: Any) -> str:
    """Make a database of one kind on this process's server; returns its name."""
    name = postgres.server().create()
    fill(postgres.server().url(name), directory, **how)
    return name


@contextlib.contextmanager
def copied(name: str) -> Iterator[str]:
    """A database like *name*: its URL. It is gone afterwards."""
    made = f"desk_{next(_numbers)}"
    with postgres.server().connect() as connection:
        connection.execute(f"CREATE DATABASE {made} TEMPLATE {name} STRATEGY FILE_COPY")
    try:
        yield postgres.server().url(made)
    finally:
        postgres.server().drop(made)


def desks(templates: Callable[..., str], stack: contextlib.ExitStack, clock: Any) -> Callable[..., Desk]:
    """What `make_desk` is on PostgreSQL."""
    default = clock

    def desk(*, deadline_ms: int | None = None, clock: Any = None, **how: Any) -> Desk:
        url = stack.enter_context(copied(templates(**how)))
        given = {} if deadline_ms is None else {"deadline_ms": deadline_ms}
        made = PostgresDesk(host_home(), clock or default, at=url, **given)
        stack.callback(made.close)
        return made

    return desk
