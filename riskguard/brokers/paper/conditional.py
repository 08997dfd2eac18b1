"""
Orders that are more than one, or wait at the broker: super orders, forever orders, alerts, after-market orders.

Each leg is a row of its own, so that it can be cancelled by its id; what its legs share is their `group_name`. A forever
order and an alert rest at the broker for days and become plain orders when the last price reaches their trigger.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from riskguard.brokers.paper import events
from riskguard.core.quote import Quote

EVERY_DAY: Final = "9999-12-31"
"""The session date of what rests for days: it is of no session, and shows in each."""
WAITING: Final = ("INACTIVE", "CONFIRM", "ACTIVE", "AMO")
"""Live, and not in the market: a leg before its entry, a forever order, an alert, an order for the next opening."""


def settle_group(connection: sqlite3.Connection, number: int, now_us: int) -> None:
    """
    Bring the other legs in line after order *number* filled or ended.

    The exits of a super order are as large as its entry has filled, less what one of them has filled; an entry that
    is cancelled ends all legs, as the broker does it, also those of what has filled.
    """
    row = connection.execute("SELECT * FROM orders WHERE number = ?", (number,)).fetchone()
    if row is None or not row["group_name"]:
        return
    others = connection.execute(
        "SELECT * FROM orders WHERE group_name = ? AND account = ? AND number <> ?",
        (row["group_name"], row["account"], number),
    ).fetchall()
    if row["kind"] == "SUPER" and row["leg"] == "ENTRY":
        for leg in others:
            if row["status"] in ("CANCELLED", "REJECTED", "EXPIRED"):
                end(connection, leg, "CANCELLED", now_us, "its entry was cancelled")
            elif row["filled"] and leg["status"] in ("INACTIVE", "PENDING"):
                connection.execute(
                    "UPDATE orders SET status = 'PENDING', quantity = ? WHERE number = ?",
                    (row["filled"], leg["number"]),
                )
                _changed(connection, leg["number"], now_us)
        return
    for other in others:
        if other["leg"] == "ENTRY":
            continue
        if row["status"] in ("TRADED", "TRIGGERED"):
            end(connection, other, "CANCELLED", now_us, "the other leg is done")
        elif row["filled"] and other["status"] == "PENDING":
            left = max(1, other["quantity"] - row["filled"])
            connection.execute("UPDATE orders SET quantity = ? WHERE number = ?", (left, other["number"]))
            _changed(connection, other["number"], now_us)


def fire(connection: sqlite3.Connection, key: tuple[str, str], quote: Quote, today: str, now_us: int) -> list[int]:
    """Make plain orders of the forever orders and alerts whose trigger the last price reaches; returns their numbers."""
    made = []
    waiting = connection.execute(
        "SELECT * FROM orders WHERE status IN ('CONFIRM', 'ACTIVE') AND exchange_segment = ? AND security_id = ? "
        "ORDER BY number",
        key,
    ).fetchall()
    for row in waiting:
        current = connection.execute("SELECT status FROM orders WHERE number = ?", (row["number"],)).fetchone()
        if current[0] != row["status"] or not _reaches(row, quote.ltp_e4):
            continue
        connection.execute("UPDATE orders SET status = 'TRIGGERED' WHERE number = ?", (row["number"],))
        events.note(connection, row["account"], now_us, "ENDED", row["number"], status="TRIGGERED")
        settle_group(connection, row["number"], now_us)
        cursor = connection.execute(
            "INSERT INTO orders (account, correlation_id, session_date, exchange_segment, security_id, side, product, "
            "order_type, validity, quantity, price_e4, status, lands_us, placed_us) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'DAY', ?, ?, 'PENDING', ?, ?)",
            (row["account"], f"fired-{row['number']}", today, row["exchange_segment"], row["security_id"], row["side"],
             row["product"], "MARKET" if row["price_e4"] is None else "LIMIT", row["quantity"], row["price_e4"], now_us,
             now_us),
        )  # fmt: skip
        assert cursor.lastrowid is not None
        made.append(cursor.lastrowid)
        child = connection.execute("SELECT * FROM orders WHERE number = ?", (cursor.lastrowid,)).fetchone()
        events.note(connection, row["account"], now_us, "PLACED", cursor.lastrowid, **events.shape(child))
    return made


def end(connection: sqlite3.Connection, row: sqlite3.Row, status: str, now_us: int, why: str = "") -> None:
    """End an order that still lives; a done one stays as it is."""
    if row["status"] in ("TRADED", "CANCELLED", "REJECTED", "EXPIRED", "TRIGGERED"):
        return
    connection.execute("UPDATE orders SET status = ?, detail = ? WHERE number = ?", (status, why, row["number"]))
    events.note(connection, row["account"], now_us, "ENDED", row["number"], status=status)


def _reaches(row: sqlite3.Row, ltp_e4: int | None) -> bool:
    """Say whether the last price has come to the trigger: from below where `triggered` is 1, else from above."""
    trigger_e4 = row["trigger_price_e4"]
    if ltp_e4 is None or trigger_e4 is None:
        return False
    return bool(ltp_e4 >= trigger_e4 if row["triggered"] else ltp_e4 <= trigger_e4)


def _changed(connection: sqlite3.Connection, number: int, now_us: int) -> None:
    row = connection.execute("SELECT * FROM orders WHERE number = ?", (number,)).fetchone()
    events.note(connection, row["account"], now_us, "CHANGED", number, **events.shape(row))
