"""One row for each table, and the few words the table tests write and read them with."""

from __future__ import annotations

import sqlite3
from typing import Any

Row = dict[str, Any]
File = sqlite3.Connection

T = 1_763_786_700
ORDER: Row = {
    "id": "A1",
    "account_type": "leader",
    "status": "PENDING",
    "side": "BUY",
    "product": "INTRADAY",
    "order_type": "LIMIT",
    "validity": "DAY",
    "security_id": "1594",
    "exchange_segment": "NSE_EQ",
    "quantity": 100,
    "price": 1480.0,
    "created_at": T,
    "updated_at": T,
}
TRADE: Row = {
    "id": "T1",
    "order_id": "A1",
    "account_type": "leader",
    "security_id": "1594",
    "exchange_segment": "NSE_EQ",
    "side": "BUY",
    "product": "INTRADAY",
    "quantity": 10,
    "price": 100.0,
    "trade_ts": T,
    "created_at": T,
}
EVENT: Row = {"order_id": "A1", "event_type": "TRANSIT", "event_data": "{}", "event_ts": T}
MAPPING: Row = {
    "leader_order_id": "A1",
    "follower_order_id": "B1",
    "leader_quantity": 100,
    "follower_quantity": 40,
    "status": "placed",
    "created_at": T,
    "updated_at": T,
}
POSITION: Row = {
    "snapshot_ts": T,
    "account_type": "leader",
    "security_id": "1594",
    "exchange_segment": "NSE_EQ",
    "product": "INTRADAY",
    "net_qty": 100,
}
HOLDING: Row = {
    "snapshot_ts": T,
    "account_type": "leader",
    "security_id": "1594",
    "exchange_segment": "NSE_EQ",
    "total_qty": 10,
    "available_qty": 10,
}
FUNDS: Row = {"snapshot_ts": T, "account_type": "leader", "available_balance": 1000.0}
INSTRUMENT: Row = {
    "security_id": "25",
    "exchange_segment": "NSE_EQ",
    "symbol": "ADANIENT",
    "lot_size": 1,
    "tick_size": 0.05,
    "updated_at": T,
}
FOREVER: Row = {
    "id": "F1",
    "account_type": "leader",
    "status": "PENDING",
    "order_type": "SINGLE",
    "security_id": "1594",
    "exchange_segment": "NSE_EQ",
    "trigger_type": "LTP_BELOW",
    "transaction_type": "SELL",
    "product": "CNC",
    "order_type_after_trigger": "LIMIT",
    "quantity": 10,
    "created_at": T,
    "updated_at": T,
}
LEG: Row = {
    "parent_order_id": "A1",
    "leg_order_id": "A1-SL",
    "leg_type": "SL",
    "account_type": "leader",
    "created_at": T,
    "updated_at": T,
}
MESSAGE: Row = {
    "connection_id": "ws-1",
    "account_type": "leader",
    "message_type": "order_alert",
    "order_id": "A1",
    "payload": "{}",
    "received_at": T,
}
POSTBACK: Row = {
    "account_type": "leader",
    "event_type": "ORDER",
    "order_id": "A1",
    "payload": "{}",
    "received_at": T,
}
AUDIT: Row = {"action": "sweep", "account_type": "leader", "ts": T}


def put(file: File, table: str, *rows: Row, verb: str = "INSERT") -> None:
    for row in rows:
        marks = ", ".join("?" for _ in row)
        statement = " ".join((verb, "INTO", table, f"({', '.join(row)}) VALUES ({marks})"))
        file.execute(statement, list(row.values()))


def refuses(file: File, table: str, *rows: Row, verb: str = "INSERT") -> bool:
    try:
        put(file, table, *rows, verb=verb)
    except sqlite3.IntegrityError:
        return True
    return False


def ask(file: File, *query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in file.execute(" ".join(query))]


def count(file: File, table: str) -> int:
    found: int = file.execute(" ".join(("SELECT count(*) FROM", table))).fetchone()[0]
    return found


def header(file: File, at_s: float, *, kind: str = "positions", complete: int = 1, rows: int = 0) -> int:
    """Write a snapshot's header for the leader and return its number."""
    put(
        file,
        "snapshots",
        {
            "account": "leader",
            "kind": kind,
            "fetched_at_us": int(at_s * 1_000_000),
            "complete": complete,
            "row_count": rows,
            "source": "dhan",
        },
    )
    found: int = file.execute("SELECT max(id) FROM snapshots").fetchone()[0]
    return found
