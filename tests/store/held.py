"""One small way to write plain SQL to either database, each test in a state of its own."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, Protocol

import psycopg

from riskguard.services.server import upgrade
from riskguard.store.snapshot import sqlite_text
from riskguard.store.tables import metadata
from tests.store.postgres import server, template

REFUSED: Final = (sqlite3.IntegrityError, psycopg.IntegrityError)
NOW_S: Final = 1_763_786_700
NOW_US: Final = NOW_S * 1_000_000
LATCHED: Final = (
    "INSERT INTO traders_control (account_type, control_type, kill_switch_status, is_active, created_at, updated_at) "
    "VALUES ('{owner}', 'KILL_SWITCH', 'ACTIVE', 1, 1, 1)"
)
"""A kill, as a program of version 3 writes it."""


class Held(Protocol):
    """A database of version 4, empty but for its settings; a statement that is refused undoes itself alone."""

    dialect: str

    def run(self, statement: str, *values: Any) -> int:
        """Run it and return the number of rows it wrote."""

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]: ...


class Lite:
    dialect = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def run(self, statement: str, *values: Any) -> int:
        return self.connection.execute(statement, values).rowcount

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.connection.execute(query, values).fetchall()


class Postgres:
    dialect = "postgresql"

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self.connection = connection

    def run(self, statement: str, *values: Any) -> int:
        # A statement that fails ends the transaction it is in: a savepoint makes it undo itself alone. Without the
        # transaction around it the block would be one of its own, and commit.
        self.connection.execute("SELECT")
        with self.connection.transaction():
            return self.connection.execute(statement.replace("?", "%s"), values or None).rowcount

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.connection.execute(query.replace("?", "%s"), values or None).fetchall()


@cache
def _lite() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    made.executescript(sqlite_text())
    return made


@contextlib.contextmanager
def lite() -> Iterator[Lite]:
    """SQLite in memory, as the migration makes it."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        _lite().backup(connection)
        yield Lite(connection)


_kept: list[psycopg.Connection[tuple[Any, ...]]] = []


@contextlib.contextmanager
def rolled_back() -> Iterator[Postgres]:
    """PostgreSQL, within a transaction that is taken back: one database and one connection serve hundreds of tests."""
    if not _kept or _kept[0].closed:
        _kept[:] = [psycopg.connect(server().url(server().create(template(upgrade))))]
    connection = _kept[0]
    connection.execute("SELECT")  # now every further block is a savepoint in this transaction
    try:
        yield Postgres(connection)
    finally:
        connection.rollback()


def seed(held: Held) -> None:
    """Two accounts and GLOBAL, a limit and an unlatched kill row each, as `riskguard init` leaves them: by an act."""
    for account in ("GLOBAL", "leader", "follower"):
        held.run("INSERT INTO account_heads (account) VALUES (?)", account)
        act(held, account)
        held.run(
            "INSERT INTO traders_control (account_type, control_type, kill_switch_status, is_active, created_at, updated_at, "
            "action_id) VALUES (?, 'KILL_SWITCH', 'INACTIVE', 1, ?, ?, 1)",
            account, NOW_S, NOW_S,
        )  # fmt: skip
        held.run(
            "INSERT INTO traders_control (account_type, control_type, limit_id, check_name, parameters, scope, on_breach, mode, "
            "kill_plan, daily_loss_limit, position_size_limit, order_value_limit, is_active, created_at, updated_at) "
            "VALUES (?, 'RISK_LIMIT', 'all', 'order_value', '{}', ?, 'reject', 'enforce', 'cancel', 5000, 50, 1000, 1, ?, ?)",
            account, f"ACCOUNT:{account}", NOW_S, NOW_S,
        )  # fmt: skip
        close(held)
    held.run("UPDATE control_changes SET is_adopted = 1")


def act(held: Held, account: str, kind: str = "APPLY") -> None:
    """Open an act under which this transaction may loosen."""
    held.run(
        "INSERT INTO control_actions (account, kind, by_whom, at_us) VALUES (?, ?, 'risk officer', ?)",
        account,
        kind,
        NOW_US,
    )


def close(held: Held) -> None:
    held.run("UPDATE control_actions SET is_open = 0 WHERE is_open = 1")


def head(held: Held, account: str = "leader") -> int:
    """The version of the account's head: what moves it, the next check honours."""
    ((version,),) = held.ask("SELECT version FROM account_heads WHERE account = ?", account)
    return int(version)


def row_of(table: str, **given: Any) -> dict[str, Any]:
    """A row of *table* the database takes: every column that must be given, with the first value its check allows."""
    declared = metadata.tables[table]
    words = {}
    for check in declared.constraints:
        expression = getattr(check, "sqltext", None)
        operator = getattr(getattr(expression, "operator", None), "__name__", "")
        if operator == "in_op":
            words[expression.left.name] = expression.right.value[0]
    made: dict[str, Any] = {}
    for column in declared.columns:
        is_key = column.primary_key and column.autoincrement is not True
        if (column.nullable or column.server_default is not None or column.primary_key) and not is_key:
            continue
        name, kind = column.name, column.type.python_type
        if name in words:
            made[name] = words[name]
        elif name in ("account", "account_type"):
            made[name] = "leader"
        elif name.endswith("_us"):
            made[name] = NOW_US
        else:
            made[name] = f"{name}-1" if kind is str else NOW_S if name.endswith("_at") else 1
    return {**made, **given}


def insert(held: Held, table: str, *rows: dict[str, Any], tail: str = "") -> int:
    """Insert *rows* in one statement."""
    names, marks = ", ".join(rows[0]), ", ".join("?" for _ in rows[0])
    values = ", ".join(f"({marks})" for _ in rows)
    flat = [value for row in rows for value in row.values()]
    return held.run(" ".join(("INSERT INTO", table, f"({names}) VALUES {values}", tail)), *flat)
