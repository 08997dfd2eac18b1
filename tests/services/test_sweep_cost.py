"""
Goal: what a sweep costs hangs on what is held, not on what is stored. Counted in steps of SQLite's machine, not in time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from riskguard.core.seen import SeenPosition
from riskguard.services.settings import DatabaseSettings
from riskguard.services.sweeps.cadence import Cadence
from riskguard.services.sweeps.sweeper import Sweeper
from tests.services.desk import ACCOUNT, SECOND, Desk

pytestmark = pytest.mark.sqlite_only("counts steps of SQLite's machine; a server says nothing of the kind")

FEW, MANY = 200, 4_000
RATIO_MAX = 1.3
STEP = 20
"""Machine steps counted at once: finer is slower and says no more."""
HELD = 30


def add_history(desk: Desk, rows: int) -> None:
    """Store *rows* snapshots with a position each, fills, orders, readings and sweeps of earlier days."""
    now_us = desk.clock.now_us()
    days_us = [now_us - (2 + number % 30) * 86_400 * SECOND - number * SECOND for number in range(rows)]
    with closing(sqlite3.connect(desk.path, timeout=10, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        base = connection.execute("SELECT max(id) FROM snapshots").fetchone()[0]

        def put(table: str, made: list[dict[str, Any]]) -> None:
            names = list(made[0])
            slots = ", ".join(f":{name}" for name in names)
            connection.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({slots})", made)  # noqa: S608

        put("snapshots", [
            {"id": base + 1 + number, "account": ACCOUNT, "kind": "positions", "fetched_at_us": at_us, "complete": 1,
             "row_count": 1, "source": "sweep"} for number, at_us in enumerate(days_us)
        ])  # fmt: skip
        put("positions", [
            {"snapshot_ts": at_us // SECOND, "account_type": ACCOUNT, "security_id": "1333", "exchange_segment": "NSE_EQ",
             "product": "INTRADAY", "net_qty": 1, "snapshot_id": base + 1 + number} for number, at_us in enumerate(days_us)
        ])  # fmt: skip
        put("trades", [
            {"id": f"t{number}", "order_id": f"h{number}", "account_type": ACCOUNT, "exchange_trade_id": f"t{number}",
             "security_id": "1333", "exchange_segment": "NSE_EQ", "side": "BUY", "product": "INTRADAY", "quantity": 1,
             "price": 100.0, "trade_ts": at_us // SECOND, "created_at": at_us // SECOND, "booked_at_us": at_us,
             "session_date": "2025-05-01"} for number, at_us in enumerate(days_us)
        ])  # fmt: skip
        put("orders", [
            {"id": f"h{number}", "account_type": ACCOUNT, "status": "EXECUTED", "order_status": "TRADED", "side": "BUY",
             "product": "INTRADAY", "order_type": "LIMIT", "validity": "DAY", "security_id": "1333",
             "exchange_segment": "NSE_EQ", "quantity": 1, "created_at": at_us // SECOND, "updated_at": at_us // SECOND}
            for number, at_us in enumerate(days_us)
        ])  # fmt: skip
        put("pnl_readings", [
            {"account": ACCOUNT, "session_date": "2025-05-01", "at_us": at_us, "day_pnl_e4": 0, "charges_e4": 0,
             "fresh_marks": 1} for at_us in days_us
        ])  # fmt: skip
        put("sweeps", [
            {"account": ACCOUNT, "kind": kind, "slot": number, "interval_us": 2 * SECOND, "started_at_us": at_us,
             "finished_at_us": at_us} for number, at_us in enumerate(days_us) for kind in ("daily_loss", "book")
        ])  # fmt: skip
        put("unsolicited_orders", [
            {"account": ACCOUNT, "order_id": f"h{number}", "session_date": "2025-05-01", "origin": "OTHER",
             "found_at_us": at_us} for number, at_us in enumerate(days_us)
        ])  # fmt: skip
        connection.execute("COMMIT")
        connection.execute("ANALYZE")


def steps(desk: Desk, work: Callable[[], object]) -> int:
    """Return how many steps SQLite's machine made for *work*, on both connections."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    connections = [desk.store._connection(durable) for durable in (True, False)]
    for connection in connections:
        connection.set_progress_handler(count, STEP)
    try:
        work()
    finally:
        for connection in connections:
            connection.set_progress_handler(None, 0)
    return counted * STEP


def prepared(desk: Desk, rows: int, monkeypatch: pytest.MonkeyPatch) -> Sweeper:
    """A desk that holds some lines and remembers *rows* of everything."""
    desk.sweep()
    add_history(desk, rows)
    held = tuple(SeenPosition("NSE_EQ", f"7{number:05d}", "INTRADAY", 1) for number in range(HELD))
    monkeypatch.setattr(desk.broker, "positions", lambda: held)
    sweeper = Sweeper(desk.guard, ACCOUNT, desk.broker, cadence=Cadence.of(DatabaseSettings()), alerts=desk.alerts)
    desk.clock.advance(20)
    sweeper.book()
    sweeper.loss()
    return sweeper


@pytest.mark.parametrize("part", ["loss", "book", "slow", "sweep"])
def test_a_sweep_costs_the_same_however_much_is_stored(
    make_desk: Callable[..., Desk], part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty times as many snapshots, fills, orders, readings and sweeps of earlier days: within 1.3 times the steps."""
    cost = {}
    for rows in (FEW, MANY):
        desk = make_desk()
        with monkeypatch.context() as context:
            sweeper = prepared(desk, rows, context)
            desk.clock.advance(120)
            cost[rows] = steps(desk, getattr(sweeper, part))

    assert cost[FEW] > 10 * STEP, "nothing was counted"
    assert cost[MANY] <= RATIO_MAX * cost[FEW], cost


def test_the_control_a_query_without_its_index_grows(
    make_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest complete list is found by an index; without it the same sweep reads every list ever fetched."""
    cost = {}
    for rows in (FEW, MANY):
        desk = make_desk()
        with monkeypatch.context() as context:
            sweeper = prepared(desk, rows, context)
            desk.sql("DROP INDEX idx_snapshots_latest")
            desk.clock.advance(120)
            cost[rows] = steps(desk, sweeper.book)

    assert cost[MANY] > 3 * cost[FEW], cost
