"""What happened at the paper broker, in its order: what a test replays to say that nothing bad was ever true."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """
    One thing that happened. `what`: MESSAGE (a request reached the broker, whatever came of it), PLACED, CHANGED,
    ENDED (an order is cancelled, rejected or expired), FILLED, LOCKED, UNLOCKED, EXIT_ALL.
    """

    number: int
    at_us: int
    what: str
    order_id: str
    fields: dict[str, Any]


def note(
    connection: sqlite3.Connection, account: str, at_us: int, what: str, order_number: int | None = None, **fields: Any
) -> None:
    """Append one event, in the transaction that makes it happen."""
    connection.execute(
        "INSERT INTO events (account, at_us, what, order_number, fields) VALUES (?, ?, ?, ?, ?)",
        (account, at_us, what, order_number, json.dumps(fields, sort_keys=True)),
    )


def shape(row: sqlite3.Row) -> dict[str, Any]:
    """Return what a replay has to know of an order."""
    names = ("exchange_segment", "security_id", "product", "side", "quantity", "filled", "order_type", "price_e4",
             "trigger_price_e4", "kind", "group_name", "leg", "status", "correlation_id")  # fmt: skip
    return {name: row[name] for name in names}


def events(connection: sqlite3.Connection, account: str) -> list[tuple[int, int, str, int | None, dict[str, Any]]]:
    """Return every event of the account, oldest first."""
    rows = connection.execute(
        "SELECT number, at_us, what, order_number, fields FROM events WHERE account = ? ORDER BY number", (account,)
    )
    return [(row[0], row[1], row[2], row[3], json.loads(row[4])) for row in rows]
