"""The paper market's order table: what is put in, matched, cancelled and read back. SQL, and nothing decided."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Final

from riskguard.brokers.paper import conditional, events
from riskguard.brokers.paper.ledger import Carried, Fill
from riskguard.brokers.paper.match import Resting, meet
from riskguard.brokers.paper.settings import PaperSettings
from riskguard.core.instrument import Instrument
from riskguard.core.order import Order
from riskguard.core.quote import Quote
from riskguard.core.seen import SeenOrder, SeenTrade
from riskguard.errors import BrokerRefusedError

LIVE: Final = ("TRANSIT", "PENDING", "PART_TRADED")
WORKING: Final = "status IN ('TRANSIT', 'PENDING', 'PART_TRADED')"
TICK_E4_DEFAULT: Final = 500
"""Five paise: the tick of an instrument the broker was not given."""


def order_id(number: int) -> str:
    """Return the id callers see; a letter in front, so that nobody takes it for a real broker's."""
    return f"P{number:08d}"


def number_of(text: str) -> int:
    """Return the row number of an order id; raises BrokerRefusedError for what cannot be one."""
    digits = text[1:] if text.startswith("P") else ""
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 18:
        raise BrokerRefusedError(f"no order `{text[:40]}` here")
    return int(digits)


def insert(
    connection: sqlite3.Connection,
    order: Order,
    correlation_id: str,
    status: str,
    today: str,
    lands_us: int,
    detail: str,
    *,
    kind: str = "ORDER",
    group: str = "",
    leg: str = "",
    placed_us: int = 0,
) -> int:
    """Store a new order, return its number; raises BrokerRefusedError for a correlation id used before."""
    try:
        cursor = connection.execute(
            "INSERT INTO orders (account, correlation_id, session_date, exchange_segment, security_id, side, product, "
            "order_type, validity, quantity, price_e4, trigger_price_e4, status, lands_us, detail, kind, group_name, leg, "
            "placed_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (order.account, correlation_id, today, order.exchange_segment, order.security_id, order.side,
             order.product, order.order_type, order.validity, order.quantity, order.price_e4,
             order.trigger_price_e4, status, lands_us, detail, kind, group, leg, placed_us),
        )  # fmt: skip
    except sqlite3.IntegrityError:
        raise BrokerRefusedError(f"correlation id `{correlation_id}` was used before; nothing was added") from None
    assert cursor.lastrowid is not None
    row = connection.execute("SELECT * FROM orders WHERE number = ?", (cursor.lastrowid,)).fetchone()
    events.note(connection, order.account, placed_us, "PLACED", cursor.lastrowid, **events.shape(row))
    return cursor.lastrowid


def land(connection: sqlite3.Connection, today: str, now_us: int) -> None:
    """Let every order whose transit is over reach the market, and trade there if it can."""
    due = connection.execute(
        "SELECT * FROM orders INDEXED BY orders_landing "
        "WHERE status = 'TRANSIT' AND session_date >= ? AND lands_us <= ? ORDER BY number",
        (today, now_us),
    ).fetchall()
    due += connection.execute(
        "SELECT * FROM orders WHERE status = 'AMO' AND lands_us <= ? ORDER BY number", (now_us,)
    ).fetchall()
    for row in connection.execute(
        "SELECT * FROM orders WHERE cancel_us IS NOT NULL AND cancel_us <= ? ORDER BY number", (now_us,)
    ).fetchall():
        connection.execute("UPDATE orders SET cancel_us = NULL WHERE number = ?", (row["number"],))
        conditional.end(connection, row, "CANCELLED", now_us)
        conditional.settle_group(connection, row["number"], now_us)
    for row in due:
        connection.execute("UPDATE orders SET status = 'PENDING' WHERE number = ?", (row["number"],))
        key = (row["exchange_segment"], row["security_id"])
        trade(connection, row, quote_of(connection, key, today), today, now_us, arriving=True)


def is_landing(connection: sqlite3.Connection, today: str, now_us: int) -> bool:
    """Say whether some order's transit is over."""
    query = "SELECT 1 FROM orders INDEXED BY orders_landing WHERE status = 'TRANSIT' AND session_date >= ? AND lands_us <= ?"
    late = "SELECT 1 FROM orders WHERE (status = 'AMO' AND lands_us <= ?) OR (cancel_us IS NOT NULL AND cancel_us <= ?)"
    return (
        connection.execute(query, (today, now_us)).fetchone() is not None
        or connection.execute(late, (now_us, now_us)).fetchone() is not None
    )


def trade(
    connection: sqlite3.Connection,
    row: sqlite3.Row,
    quote: Quote | None,
    today: str,
    now_us: int,
    *,
    arriving: bool,
) -> None:
    """Let *quote* meet one order that is in the market: trigger it, fill it, or leave it; IOC leaves no rest."""
    number, filled, status = row["number"], row["filled"], "PENDING" if not row["filled"] else "PART_TRADED"
    triggered = bool(row["triggered"])
    if quote is not None:
        settings = settings_of(connection, row["account"])
        instrument = instrument_of(connection, (row["exchange_segment"], row["security_id"]))
        resting = Resting(row["side"], row["price_e4"], row["trigger_price_e4"], triggered, arriving)
        outcome = meet(resting, quote, instrument.tick_e4 if instrument else TICK_E4_DEFAULT, settings.slippage_bps)
        triggered = outcome.triggered
        if outcome.price_e4 is not None and not _at_circuit(row["side"], quote):
            left = row["quantity"] - filled
            quantity = left if settings.fill_quantity_max is None else min(left, settings.fill_quantity_max)
            connection.execute(
                "INSERT INTO trades (order_number, account, session_date, quantity, price_e4, at_us) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (number, row["account"], today, quantity, outcome.price_e4, now_us),
            )
            filled += quantity
            status = "TRADED" if filled == row["quantity"] else "PART_TRADED"
            events.note(
                connection, row["account"], now_us, "FILLED", number, quantity=quantity, price_e4=outcome.price_e4,
                status=status,
            )  # fmt: skip
    if row["validity"] == "IOC" and status != "TRADED":
        status = "CANCELLED"
        events.note(connection, row["account"], now_us, "ENDED", number, status=status)
    connection.execute(
        "UPDATE orders SET status = ?, filled = ?, triggered = ? WHERE number = ?", (status, filled, triggered, number)
    )
    if filled != row["filled"]:
        conditional.settle_group(connection, number, now_us)


def _at_circuit(side: str, quote: Quote) -> bool:
    """Say whether nobody is on the other side: a sale at the lower circuit, a purchase at the upper."""
    if quote.ltp_e4 is None:
        return False
    if side == "SELL":
        return quote.lower_band_e4 is not None and quote.ltp_e4 <= quote.lower_band_e4
    return quote.upper_band_e4 is not None and quote.ltp_e4 >= quote.upper_band_e4


def seen_orders(
    connection: sqlite3.Connection, account: str, today: str, until_us: int | None = None
) -> tuple[SeenOrder, ...]:
    """Return the order book of the day, oldest first; without what was placed after *until_us*."""
    rows = connection.execute(
        "SELECT * FROM orders WHERE account = ? AND session_date >= ? AND placed_us <= ? ORDER BY number",
        (account, today, 2**62 if until_us is None else until_us),
    )
    return tuple(
        SeenOrder(
            order_id=order_id(row["number"]),
            correlation_id=row["correlation_id"],
            exchange_segment=row["exchange_segment"],
            security_id=row["security_id"],
            side=row["side"],
            product=row["product"],
            order_type=row["order_type"],
            quantity=row["quantity"],
            filled=row["filled"],
            price_e4=row["price_e4"],
            trigger_price_e4=row["trigger_price_e4"],
            status=row["status"],
            is_live=row["status"] in LIVE or row["status"] in conditional.WAITING,
            detail=row["detail"],
            kind=row["kind"],
            group=row["group_name"],
            leg=row["leg"],
        )
        for row in rows
    )


def seen_trades(connection: sqlite3.Connection, account: str, today: str) -> tuple[SeenTrade, ...]:
    """Return the fills of the day, oldest first."""
    rows = connection.execute(
        "SELECT t.number, o.number, o.correlation_id, o.exchange_segment, o.security_id, o.side, o.product, "
        "t.quantity, t.price_e4, t.at_us FROM trades t JOIN orders o ON o.number = t.order_number "
        "WHERE t.account = ? AND t.session_date >= ? ORDER BY t.number",
        (account, today),
    )
    return tuple(SeenTrade(f"T{row[0]:08d}", order_id(row[1]), *tuple(row)[2:]) for row in rows)


def fills(connection: sqlite3.Connection, account: str) -> list[Fill]:
    """Return every fill the account ever had, in order."""
    rows = connection.execute(
        "SELECT o.number, o.exchange_segment, o.security_id, o.product, o.side, t.quantity, t.price_e4, t.at_us, "
        "t.session_date FROM trades t JOIN orders o ON o.number = t.order_number WHERE t.account = ? ORDER BY t.number",
        (account,),
    )
    return [Fill(row[0], (row[1], row[2], row[3]), row[4], row[5], row[6], row[7], row[8]) for row in rows]


def carried(connection: sqlite3.Connection, account: str) -> list[Carried]:
    """Return what the account brought in."""
    rows = connection.execute(
        "SELECT exchange_segment, security_id, product, session_date, quantity, previous_close_e4 FROM carried "
        "WHERE account = ?",
        (account,),
    )
    return [Carried((row[0], row[1], row[2]), row[3], row[4], row[5]) for row in rows]


def quote_of(connection: sqlite3.Connection, key: tuple[str, str], today: str) -> Quote | None:
    """Return the day's current quote."""
    row = connection.execute(
        "SELECT ltp_e4, bid_e4, ask_e4, at_us, lower_e4, upper_e4 FROM quotes WHERE exchange_segment = ? AND security_id = ? "
        "AND session_date = ?",
        (*key, today),
    ).fetchone()
    return None if row is None else Quote(*row)


def closes_e4(connection: sqlite3.Connection, today: str) -> dict[tuple[str, str], tuple[str, int]]:
    """Return the last price of the newest earlier day, and that day, by instrument."""
    rows = connection.execute(
        "SELECT exchange_segment, security_id, max(session_date), ltp_e4 FROM quotes "
        "WHERE session_date < ? AND ltp_e4 IS NOT NULL GROUP BY exchange_segment, security_id",
        (today,),
    )
    return {(row[0], row[1]): (row[2], row[3]) for row in rows}


def instrument_of(connection: sqlite3.Connection, key: tuple[str, str]) -> Instrument | None:
    """Return an instrument the market was given."""
    row = connection.execute(
        "SELECT fields FROM instruments WHERE exchange_segment = ? AND security_id = ?", key
    ).fetchone()
    return None if row is None else Instrument(*json.loads(row[0]))


def instruments_of(connection: sqlite3.Connection, fills: Iterable[Fill]) -> dict[tuple[str, str], Instrument]:
    """Return the instruments of *fills* that the market was given."""
    found = [instrument_of(connection, key) for key in {fill.line[:2] for fill in fills}]
    return {each.key: each for each in found if each is not None}


def set_settings(connection: sqlite3.Connection, account: str, settings: PaperSettings) -> None:
    """Fill the account's orders by *settings* from now on."""
    connection.execute("INSERT OR REPLACE INTO accounts VALUES (?, ?)", (account, settings.text()))


def settings_of(connection: sqlite3.Connection, account: str) -> PaperSettings:
    """Return the settings the account's orders are filled by."""
    row = connection.execute("SELECT settings FROM accounts WHERE account = ?", (account,)).fetchone()
    return PaperSettings() if row is None else PaperSettings.read(row[0])
