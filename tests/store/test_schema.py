"""The declaration, the migration and the snapshot say the same; and what the triggers keep for version 3 writers."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from riskguard.locate import folder
from riskguard.services.setup import initialise
from riskguard.store.inspect import drift, identify, integrity
from riskguard.store.snapshot import sqlite_text


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
