"""
Realistic content for files of versions 1, 2 and 3: what a leader and a follower leave behind in weeks.

The same seed gives the same rows. Rows are written in the columns of version 3 (and the two of version 1
that it dropped); what a file does not have is left out.
"""

from __future__ import annotations

import itertools
import json
import random
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

Row = dict[str, Any]

CREATED_AT = 1_759_462_200  # 2025-10-03 09:00 IST, the day version 3 was written
DAY_S = 86_400
SESSION_S = 6 * 3600
ROWS_AT_ONCE = 5_000
SNAPSHOTS_MAX = 300

ENDED = ("EXECUTED",) * 14 + ("CANCELLED",) * 4 + ("REJECTED",) * 2
LIVE = ("PENDING", "TRANSIT", "OPEN", "PARTIAL", "PART_TRADED")


class Listed(NamedTuple):
    """An instrument as the broker lists it."""

    security_id: str
    segment: str
    symbol: str
    lot: int
    tick: float
    price: float


LISTED = (
    Listed("1594", "NSE_EQ", "INFY", 1, 0.05, 1480.0),
    Listed("2885", "NSE_EQ", "RELIANCE", 1, 0.05, 1365.5),
    Listed("1333", "NSE_EQ", "HDFCBANK", 1, 0.05, 964.2),
    Listed("3045", "NSE_EQ", "SBIN", 1, 0.05, 870.15),
    Listed("4963", "NSE_EQ", "ICICIBANK", 1, 0.05, 1371.0),
    Listed("500325", "BSE_EQ", "RELIANCE", 1, 0.05, 1365.7),
    Listed("52211", "NSE_FNO", "NIFTY-Oct2025-25200-CE", 75, 0.05, 118.4),
    Listed("52212", "NSE_FNO", "NIFTY-Oct2025-25200-PE", 75, 0.05, 96.85),
    Listed("68407", "NSE_FNO", "NIFTY-Oct2025-FUT", 75, 0.1, 24950.0),
    Listed("826719", "BSE_FNO", "SENSEX-Oct2025-FUT", 20, 0.05, 81400.0),
    Listed("464925", "MCX_COMM", "CRUDEOIL-Oct2025-FUT", 100, 1.0, 5420.0),
)


def fill(
    connection: sqlite3.Connection, orders: int = 100, *, seed: int = 1, kill: str | None = "INACTIVE"
) -> dict[str, int]:
    """
    Write *orders* orders and everything around them; return the rows written, by table.

    Every table of the file gets rows. The last few orders are live, one in each live status. *kill* is
    the text of the leader's kill row, None for no such row; the follower has none.
    """
    writer = _Writer(connection)
    with connection:
        writer.write("instruments", _instruments())
        # Trades and events refer to their order, so each slice of orders goes in before what hangs on it.
        for batch in _batches(_orders(orders, random.Random(seed)), ROWS_AT_ONCE):
            writer.write("orders", batch)
            writer.write("order_events", _each(batch, _events))
            writer.write("trades", _each(batch, _trades))
            writer.write("audit_log", (_audit(order) for order in batch))
            writer.write("order_modifications", _each(batch, _modifications))
            writer.write("bracket_order_legs", _each(batch, _legs))
        writer.write("copy_mappings", _copies(orders))
        snapshots = min(SNAPSHOTS_MAX, 3 + orders // 100)
        writer.write("positions", _positions(snapshots, random.Random(seed)))
        writer.write("holdings", _holdings(snapshots))
        writer.write("funds", _funds(snapshots))
        for table, rows in _others(kill, _order_id(0)).items():
            writer.write(table, rows)
        writer.settings(
            {"copy_enabled": "false", "ws_max_reconnect_attempts": "25", "last_leader_event_ts": "1759829400"}
        )
    return writer.counts


class _Writer:
    """Writes rows in the columns a file has, and counts them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.counts: dict[str, int] = {}

    def write(self, table: str, rows: Iterable[Row]) -> None:
        columns = {found[1] for found in self.connection.execute(f"PRAGMA table_info({table})")}
        if not columns:
            return
        # A row names only what it says, so that the rest takes the table's defaults.
        for names, alike in itertools.groupby(rows, key=lambda row: tuple(name for name in row if name in columns)):
            marks = ", ".join(f":{name}" for name in names)
            statement = " ".join(("INSERT INTO", table, f"({', '.join(names)})", f"VALUES ({marks})"))
            for batch in _batches(alike, ROWS_AT_ONCE):
                self.connection.executemany(statement, batch)
                self.counts[table] = self.counts.get(table, 0) + len(batch)

    def settings(self, values: dict[str, str]) -> None:
        """Change settings as an operator does; keys the file does not have are left out."""
        for key, value in values.items():
            self.connection.execute("UPDATE config SET value = ? WHERE key = ?", (value, key))
        self.counts["config"] = self.connection.execute("SELECT count(*) FROM config").fetchone()[0]


def _batches(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    remaining = iter(rows)
    while batch := list(itertools.islice(remaining, size)):
        yield batch


def _each(orders: list[Row], rows_of: Any) -> Iterator[Row]:
    for order in orders:
        yield from rows_of(order)


def _order_id(number: int) -> str:
    return f"8225{number:010d}"


def _orders(count: int, chance: random.Random) -> Iterator[Row]:
    """A leader's order and its follower's copy by turns; the newest are live."""
    a_day = max(50, count // 200)
    for number in range(count):
        day, within = divmod(number, a_day)
        created_at = CREATED_AT + 900 + day * DAY_S + within * SESSION_S // a_day
        from_the_end = count - 1 - number
        status = LIVE[from_the_end] if from_the_end < len(LIVE) else chance.choice(ENDED)
        # The parts of a slice are one order of the leader, cut up: same instrument, side and type.
        part = (number % 80 - 20) // 2 + 1 if number % 80 in (20, 22, 24) else None
        listed = LISTED[(number // 80 if part else number // 2) % len(LISTED)]
        yield _order(number, created_at, status, listed, part, chance)


def _order(number: int, created_at: int, status: str, listed: Listed, part: int | None, chance: random.Random) -> Row:
    lots = chance.choice((1, 2, 3, 5, 10))
    quantity = lots * listed.lot * (10 if listed.lot == 1 else 1)
    partial = status in ("PARTIAL", "PART_TRADED")
    traded = quantity if status == "EXECUTED" else quantity // 2 if partial else 0
    price = round(listed.price * chance.uniform(0.97, 1.03) / listed.tick) * listed.tick
    bracket, cover = number % 50 == 4 and not part, number % 70 == 6 and not part
    option = {"C": "CALL", "P": "PUT"}.get(listed.symbol[-2]) if listed.symbol[-2:] in ("CE", "PE") else None
    return {
        "id": _order_id(number),
        "account_type": ("leader", "follower")[number % 2],
        "correlation_id": f"cp-{number // 2:07d}",
        "status": status,
        "order_status": {"EXECUTED": "TRADED", "OPEN": "PENDING", "PARTIAL": "PART_TRADED"}.get(status, status),
        "side": "BUY" if part else chance.choice(("BUY", "SELL")),
        "product": "BO" if bracket else "CO" if cover else "INTRADAY" if listed.lot == 1 else "MARGIN",
        "order_type": "LIMIT" if part else chance.choice(("LIMIT", "LIMIT", "MARKET")),
        "validity": "DAY",
        "security_id": listed.security_id,
        "exchange_segment": listed.segment,
        "trading_symbol": listed.symbol,
        "quantity": quantity,
        "disclosed_qty": 0,
        "price": round(price, 2),
        "trigger_price": 0.0,
        "traded_qty": traded,
        "remaining_qty": quantity - traded,
        "avg_price": round(price, 2) if traded else None,
        "co_stop_loss_value": round(price * 0.99, 2) if cover else None,
        "co_trigger_price": round(price * 0.992, 2) if cover else None,
        "bo_profit_value": 8.0 if bracket else None,
        "bo_stop_loss_value": 4.0 if bracket else None,
        "bo_order_type": "LIMIT" if bracket else None,
        "parent_order_id": None,
        "leg_type": "ENTRY" if bracket else None,
        "is_sliced_order": int(part is not None),
        "slice_order_id": f"SL{number // 80:06d}" if part else None,
        "slice_index": part,
        "total_slice_quantity": quantity * 3 if part else None,
        "after_market_order": 0,
        "exchange_order_id": f"13000000{number:08d}",
        "exchange_time": created_at + 1,
        "algo_id": "0",
        "drv_expiry_date": 1_761_580_800 if listed.lot > 1 else None,
        "drv_option_type": option,
        "drv_strike_price": 25200.0 if option else None,
        "oms_error_description": "insufficient funds" if status == "REJECTED" else "CONFIRMED",
        "created_at": created_at,
        "updated_at": created_at + 2,
        "completed_at": created_at + 2 if status in ENDED else None,
        "raw_request": json.dumps({"securityId": listed.security_id, "quantity": quantity}),
        "raw_response": json.dumps({"orderId": _order_id(number), "orderStatus": "TRANSIT"}),
    }


def _events(order: Row) -> Iterator[Row]:
    last = {"EXECUTED": "EXECUTED", "CANCELLED": "CANCELLED", "REJECTED": "REJECTED"}.get(order["status"])
    kinds = ["PLACED", "TRANSIT", *([last] if last else [])]
    for sequence, kind in enumerate(kinds, start=1):
        yield {
            "order_id": order["id"],
            "event_type": kind,
            "event_source": "REST_API" if sequence == 1 else "WEBSOCKET",
            "event_data": json.dumps({"orderId": order["id"], "orderStatus": kind}),
            "event_ts": order["created_at"] + sequence - 1,
            "sequence": sequence,
        }


def _trades(order: Row) -> Iterator[Row]:
    remaining = order["traded_qty"]
    for part in range(1, 3):
        quantity = remaining // 2 if part == 1 and remaining > 1 else remaining
        if not quantity:
            return
        remaining -= quantity
        price = order["price"]
        yield {
            "id": f"T{order['id']}-{part}",
            "order_id": order["id"],
            "account_type": order["account_type"],
            "exchange_order_id": order["exchange_order_id"],
            "exchange_trade_id": f"{order['id'][-7:]}{part}",
            "security_id": order["security_id"],
            "exchange_segment": order["exchange_segment"],
            "trading_symbol": order["trading_symbol"],
            "side": order["side"],
            "product": order["product"],
            "order_type": order["order_type"],
            "quantity": quantity,
            "price": price,
            "trade_value": round(quantity * price, 2),
            "brokerage": 20.0,
            "stt": round(quantity * price * 0.00025, 2),
            "gst": 3.6,
            "total_charges": round(23.6 + quantity * price * 0.00025, 2),
            "trade_ts": order["created_at"] + 1 + part,
            "created_at": order["created_at"] + 1 + part,
            "raw_data": json.dumps({"exchangeTradeId": part, "tradedQuantity": quantity}),
        }


def _modifications(order: Row) -> Iterator[Row]:
    if order["id"].endswith("7"):
        yield {
            "order_id": order["id"],
            "modification_type": "PRICE",
            "old_value": json.dumps({"price": order["price"]}),
            "new_value": json.dumps({"price": order["price"] + 0.5}),
            "status": "SUCCESS",
            "modified_at": order["created_at"] + 1,
        }


def _legs(order: Row) -> Iterator[Row]:
    if order["leg_type"] == "ENTRY":
        # Most programs never come back to a leg's row; of some brackets it is known how they ended.
        ended = {"TARGET": "EXECUTED", "SL": "CANCELLED"} if order["id"].endswith("04") else {}
        for leg in ("ENTRY", "TARGET", "SL"):
            yield {
                "parent_order_id": order["id"],
                "leg_order_id": order["id"] if leg == "ENTRY" else f"{order['id']}-{leg}",
                "leg_type": leg,
                "account_type": order["account_type"],
                "status": "EXECUTED" if leg == "ENTRY" else ended.get(leg, "PENDING"),
                "created_at": order["created_at"],
                "updated_at": order["updated_at"],
            }


def _audit(order: Row) -> Row:
    return {
        "action": "place_order",
        "account_type": order["account_type"],
        "module": "orders",
        "request_data": order["raw_request"],
        "response_data": order["raw_response"],
        "status_code": 200,
        "duration_ms": 87,
        "ts": order["created_at"],
    }


def _copies(orders: int) -> Iterator[Row]:
    for leader in range(0, orders - 1, 2):
        yield {
            "leader_order_id": _order_id(leader),
            "follower_order_id": _order_id(leader + 1),
            "leader_quantity": 100,
            "follower_quantity": 40,
            "sizing_strategy": "capital_proportional",
            "capital_ratio": 0.4,
            "status": "placed",
            "created_at": CREATED_AT,
            "updated_at": CREATED_AT,
        }


def _instruments() -> Iterator[Row]:
    for listed in LISTED:
        yield {
            "security_id": listed.security_id,
            "exchange_segment": listed.segment,
            "symbol": listed.symbol.split("-")[0],
            "trading_symbol": listed.symbol,
            "name": listed.symbol,
            "instrument_type": "EQUITY" if listed.lot == 1 else "FUTIDX",
            "expiry_date": None if listed.lot == 1 else "2025-10-28",
            "strike_price": -0.01,
            "lot_size": listed.lot,
            "tick_size": listed.tick,
            "isin": "INE009A01021" if listed.symbol == "INFY" else None,
            "meta": "{}",
            "updated_at": CREATED_AT,
        }


def _positions(snapshots: int, chance: random.Random) -> Iterator[Row]:
    """One list every five minutes for each account; the instruments in it come and go."""
    for snapshot, account in itertools.product(range(snapshots), ("leader", "follower")):
        for listed in chance.sample(LISTED, 4):
            bought, sold = chance.randint(0, 4) * listed.lot, chance.randint(0, 4) * listed.lot
            yield {
                "snapshot_ts": CREATED_AT + 900 + snapshot * 300,
                "account_type": account,
                "security_id": listed.security_id,
                "exchange_segment": listed.segment,
                "product": "INTRADAY" if listed.lot == 1 else "MARGIN",
                "position_type": "NET",
                "quantity": bought - sold,
                "avg_price": listed.price,
                "buy_qty": bought,
                "sell_qty": sold,
                "net_qty": bought - sold,
                "buy_avg": listed.price,
                "sell_avg": listed.price,
                "realized_pl": round(chance.uniform(-5000, 5000), 2),
                "unrealized_pl": round(chance.uniform(-5000, 5000), 2),
                "multiplier": 1.0,
                "raw_data": json.dumps({"securityId": listed.security_id, "netQty": bought - sold}),
            }


def _holdings(snapshots: int) -> Iterator[Row]:
    for snapshot, account in itertools.product(range(snapshots), ("leader", "follower")):
        for listed in LISTED[:2]:
            yield {
                "snapshot_ts": CREATED_AT + snapshot * 300,
                "account_type": account,
                "security_id": listed.security_id,
                "exchange_segment": listed.segment,
                "trading_symbol": listed.symbol,
                "isin": "INE009A01021",
                "total_qty": 120,
                "available_qty": 100,
                "t1qty": 20,
                "avg_cost_price": listed.price,
            }


def _funds(snapshots: int) -> Iterator[Row]:
    for snapshot, account in itertools.product(range(snapshots), ("leader", "follower")):
        yield {
            "snapshot_ts": CREATED_AT + snapshot * 300,
            "account_type": account,
            "available_balance": round(1_250_000.1 - snapshot * 37.35, 2),
            "sodLimit": 1_250_000.1,
            "collateral": 0.0,
            "margin_used": round(snapshot * 37.35, 2),
            "raw_data": json.dumps({"availabelBalance": 1_250_000.1}),
        }


def _others(kill: str | None, order_id: str) -> dict[str, list[Row]]:
    """The tables no original program writes: a few rows each, as a person with a notebook left them."""
    at, leader = CREATED_AT, {"account_type": "leader"}
    born = {"created_at": at, "updated_at": at}
    control = {**leader, **born, "is_active": 1, "activated_by": "desk"}
    limits = {"daily_loss_limit": 25_000.0, "position_size_limit": 1_800.0, "order_value_limit": 500_000.0}
    switch = [{**control, "control_type": "KILL_SWITCH", "kill_switch_status": kill, "reason": "start"}]
    instrument = {"security_id": "1594", "exchange_segment": "NSE_EQ"}
    breach = {**leader, "limit_value": 500_000.0, "actual_value": 612_000.0, "violated_at": at}
    return {
        "auth_tokens": [
            {**leader, **born, "access_token": "enc:3f9a", "expires_at": at + DAY_S},
            {**born, "account_type": "follower", "access_token": "enc:77b1", "expires_at": at + DAY_S},
        ],
        "rate_limit_tracking": [
            {
                **leader,
                "endpoint": "/orders",
                "request_count": 12,
                "window_start": at,
                "window_end": at + 60,
                "created_at": at,
            }
        ],
        "forever_orders": [
            {
                **leader,
                **born,
                **instrument,
                "id": "5132250901077",
                "status": "ACTIVE",
                "order_type": "SINGLE",
                "trigger_type": "LTP_BELOW",
                "trigger_price_below": 1399.0,
                "transaction_type": "SELL",
                "product": "CNC",
                "order_type_after_trigger": "LIMIT",
                "quantity": 40,
                "price": 1398.0,
            }
        ],
        "edis_transactions": [
            {
                **leader,
                **born,
                "isin": "INE009A01021",
                "qty": 20,
                "exchange": "NSE",
                "segment": "EQ",
                "status": "AUTHORIZED",
            }
        ],
        "traders_control": [
            {**control, **limits, "control_type": "RISK_LIMIT", "reason": "desk policy"},
            *(switch if kill is not None else []),
        ],
        "risk_violations": [
            {**breach, "violation_type": "ORDER_VALUE", "action_taken": "ORDER_REJECTED"},
            {**breach, "violation_type": "DAILY_LOSS", "order_id": order_id},
        ],
        "margin_requirements": [
            {
                **leader,
                **instrument,
                "order_id": order_id,
                "quantity": 10,
                "price": 1480.0,
                "product": "INTRADAY",
                "total_margin": 2960.0,
                "calculated_at": at,
            }
        ],
        "ledger_entries": [
            {
                **leader,
                "entry_date": "2025-10-03",
                "particulars": "Opening balance",
                "voucherNo": "JV0001",
                "voucherDate": "2025-10-03",
                "credit": 1_250_000.1,
                "balance": 1_250_000.1,
                "created_at": at,
            }
        ],
        "postback_configs": [{**leader, **born, "webhook_url": "https://desk.example/postback"}],
        "postback_events": [
            {
                **leader,
                "event_type": "ORDER",
                "order_id": order_id,
                "payload": json.dumps({"orderId": order_id, "orderStatus": "TRADED"}),
                "received_at": at,
            }
        ],
        "websocket_connections": [
            {
                **leader,
                **born,
                "connection_id": "ws-1",
                "ws_url": "wss://stream.example",
                "status": "CONNECTED",
                "connected_at": at,
            }
        ],
        "websocket_messages": [
            {
                **leader,
                "connection_id": "ws-1",
                "message_type": "order_alert",
                "order_id": order_id,
                "payload": json.dumps({"Data": {"orderNo": order_id, "status": "Traded"}}),
                "received_at": at,
            }
        ],
        "error_log": [
            {
                **leader,
                "error_type": "BrokerTimeout",
                "error_message": "no answer in 5 s: “retry later”",
                "occurred_at": at,
            }
        ],
    }
