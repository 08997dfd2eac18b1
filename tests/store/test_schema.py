"""The declaration, the migration and the snapshot say the same; and what the triggers keep for version 3 writers."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from riskguard.locate import folder
from riskguard.services.setup import initialise
from riskguard.store.inspect import drift, identify, integrity
from riskguard.store.snapshot import sqlite_text, statements_of
from tests.store.declared import declared, differences


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh database, as `riskguard init` makes it."""
    monkeypatch.setenv("RISKGUARD_HOME", str(tmp_path / "home"))
    path = tmp_path / "risk.db"
    initialise(f"sqlite:///{path}", profile="library")
    return path


def test_snapshot_is_the_declaration() -> None:
    """`schema/sqlite.sql` is generated, never edited; until the first release the base version is the same text."""
    text = sqlite_text()

    assert (folder("schema") / "sqlite.sql").read_text() == text
    assert (folder("schema") / "versions" / "0001_v4.sqlite.sql").read_text() == text


def test_migrations_give_what_is_declared(database: Path) -> None:
    """Running every version on an empty file gives exactly the snapshot; one column more is noticed."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert drift(connection) == []
        assert integrity(connection) == []
        connection.execute("ALTER TABLE orders ADD COLUMN surprise TEXT")

        assert drift(connection) == ["schema: table orders differs"]


NOTICED = [
    ("ALTER TABLE orders ADD COLUMN surprise TEXT", {"column orders.surprise", "columns orders"}),
    (
        "ALTER TABLE orders RENAME COLUMN source TO origin",
        {"column orders.source", "column orders.origin", "columns orders"},
    ),
    ("DROP INDEX uq_traders_control_active", {"index uq_traders_control_active"}),
    ("CREATE UNIQUE INDEX idx_more ON orders (id)", {"index idx_more"}),
    ("DROP VIEW v_cover_orders", {"view v_cover_orders"}),
    (
        "CREATE TABLE beside (id INTEGER NOT NULL PRIMARY KEY)",
        {"column beside.id", "columns beside", "primary key beside"},
    ),
]


def test_reflection_gives_the_declared_tables(database: Path) -> None:
    """
    Columns, types, nullability, defaults, keys, checks and indexes as SQLite itself says them, not as text; each
    change is noticed. PostgreSQL is held to the same in `test_postgresql`.
    """
    engine = sa.create_engine(f"sqlite:///{database}", poolclass=sa.NullPool)
    with engine.connect() as connection:
        assert len(declared(connection.dialect)) > 1000
        assert differences(connection) == []
    for statement, noticed in NOTICED:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            connection.exec_driver_sql(statement)
            assert set(differences(connection)) == noticed, statement
            connection.exec_driver_sql("ROLLBACK")


def test_the_text_is_split_where_a_statement_ends() -> None:
    """A trigger holds semicolons of its own; nothing is lost, and a text that was cut off is noticed."""
    text = sqlite_text()
    written = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("--"))

    assert "".join(f"{each};".replace("\n", "") for each in statements_of(text)) == written.replace("\n", "")
    with pytest.raises(ValueError, match="within a statement"):
        statements_of(text.rstrip()[:-1])


def test_database_is_private_and_known(database: Path) -> None:
    """0600 from the first moment, its companions too; the file says itself what it is."""
    for name in (database, Path(f"{database}-wal"), Path(f"{database}-shm")):
        if name.exists():
            assert name.stat().st_mode & 0o777 == 0o600

    assert (identify(f"sqlite:///{database}").kind, identify(f"sqlite:///{database}").version) == ("riskguard", 4)


REPLACED = [
    (
        "trades",
        "id, order_id, account_type, security_id, exchange_segment, side, product, quantity, price, trade_ts, created_at",
        "'t1', 'o1', 'leader', '1333', 'NSE_EQ', 'BUY', 'INTRADAY', 10, 100.5, 1700000000, 1700000000",
        "booked_at_us",
        "1700000000000000",
        "price",
        100.5,
    ),
    (
        "orders",
        "id, account_type, status, side, product, order_type, validity, security_id, exchange_segment, quantity, price, "
        "created_at, updated_at",
        "'o1', 'leader', 'EXECUTED', 'BUY', 'INTRADAY', 'LIMIT', 'DAY', '1333', 'NSE_EQ', 10, 100.5, 1, 2",
        "client_order_id",
        "'a1'",
        "status",
        "EXECUTED",
    ),
    (
        "instruments",
        "security_id, exchange_segment, symbol, lot_size, tick_size, updated_at",
        "'77', 'MCX_COMM', 'CRUDEOIL', 1, 1.0, 5",
        "multiplier",
        "100",
        "symbol",
        "CRUDEOIL",
    ),
]


@pytest.mark.parametrize("case", REPLACED, ids=lambda case: case[0])
def test_a_v3_replace_keeps_our_columns(database: Path, case: tuple[str, str, str, str, str, str, object]) -> None:
    """What version 3 does not know survives its REPLACE; what it does know is replaced. Without the trigger: lost."""
    table, columns, values, ours, kept, theirs, expected = case
    statement = f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({values})"  # noqa: S608
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute(statement)
        connection.execute(f"UPDATE {table} SET {ours} = {kept} WHERE rowid = (SELECT max(rowid) FROM {table})")  # noqa: S608
        connection.execute(statement)
        found = connection.execute(
            f"SELECT {ours}, {theirs} FROM {table} ORDER BY rowid DESC LIMIT 1"  # noqa: S608
        ).fetchone()
        assert (str(found[0]), found[1]) == (kept.strip("'"), expected)

        connection.execute(f"DROP TRIGGER {table}_keeps_ours")
        connection.execute(statement)
        lost = connection.execute(f"SELECT {ours} FROM {table} ORDER BY rowid DESC LIMIT 1").fetchone()  # noqa: S608
        assert lost[0] is None
