"""
What a broker can besides orders and lists: its own switch, close-everything, an exit at a loss of the day.

An account has them only where its settings say so. As at the real broker the switch engages only on a flat account
without orders, cancels and closes nothing by itself, and ends with the day.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from riskguard.brokers.paper import conditional, events
from riskguard.brokers.paper import orders as book
from riskguard.brokers.paper.connection import Connection
from riskguard.brokers.paper.ledger import positions
from riskguard.core.money import to_text
from riskguard.core.order import Order
from riskguard.core.quote import Quote
from riskguard.core.seen import SeenBackstop
from riskguard.errors import BrokerRefusedError

BPS = 10_000


class Powers(Connection):
    """`ports.BrokerLock`, `ports.ExitAll` and `ports.BrokerBackstop` of one account."""

    # -- the switch -------------------------------------------------------------------------------------------

    def lock(self) -> None:
        """Turn the switch on for the session; refused unless every position is flat and no order rests."""
        self._call("lock", self._lock)

    def unlock(self) -> None:
        """Turn the switch off."""
        with self._file.writing() as connection:
            today, now_us = self._now()
            connection.execute("INSERT OR REPLACE INTO switches VALUES (?, ?, 0)", (self._account, today))
            events.note(connection, self._account, now_us, "UNLOCKED")

    def is_locked(self) -> bool:
        """Say whether the switch is on."""
        return self._call("is_locked", lambda _how: self._is_locked())

    def refuse_locked(self, connection: sqlite3.Connection, today: str) -> None:
        """Refuse a new order while the switch is on."""
        if _switch(connection, self._account, today):
            raise BrokerRefusedError("the kill switch of this account is on: no order today")

    def _lock(self, how: str) -> None:
        with self._file.writing() as connection:
            self._wants(connection, "lock", "no switch of its own")
            if how == "deaf":
                return
            today, now_us = self._now()
            if self._open(connection, today, now_us) or self._live(connection, today):
                raise BrokerRefusedError(
                    "the switch engages only once all positions are closed and no order is pending"
                )
            connection.execute("INSERT OR REPLACE INTO switches VALUES (?, ?, 1)", (self._account, today))
            events.note(connection, self._account, now_us, "LOCKED")

    def _is_locked(self) -> bool:
        with self._file.reading() as connection:
            return _switch(connection, self._account, self._now()[0])

    # -- close everything -------------------------------------------------------------------------------------

    def exit_all(self) -> None:
        """Cancel the day's orders and close every position at market; what rests for days stays."""
        self._call("exit_all", self._exit_all)

    def _exit_all(self, how: str) -> None:
        with self._file.writing() as connection:
            self._wants(connection, "exit_all", "no close-everything")
            if how == "deaf":
                return
            today, now_us = self._now()
            events.note(connection, self._account, now_us, "EXIT_ALL")
            for row in self._live(connection, today):
                if row["session_date"] != conditional.EVERY_DAY:
                    conditional.end(connection, row, "CANCELLED", now_us, "exit all")
            for number, (line, net) in enumerate(self._open(connection, today, now_us)):
                order = Order(
                    account=self._account, client_order_id=f"exit-all-{now_us}-{number}", exchange_segment=line[0],
                    security_id=line[1], product=line[2], side="SELL" if net > 0 else "BUY", order_type="MARKET",
                    quantity=abs(net),
                )  # fmt: skip
                settings = book.settings_of(connection, self._account)
                book.insert(
                    connection, order, f"x{now_us}-{number}", "TRANSIT", today, now_us + settings.transit_us, "",
                    placed_us=now_us,
                )  # fmt: skip
            book.land(connection, today, now_us)

    # -- the exit at a loss -----------------------------------------------------------------------------------

    def arm_backstop(self, loss_e4: int, products: Sequence[str]) -> None:
        """Keep the loss at which this broker would exit; it never does: only what is armed can be seen here."""
        self._call("arm_backstop", lambda how: self._arm(how, loss_e4, tuple(products)))

    def disarm_backstop(self) -> None:
        """Take it off again."""
        with self._file.writing() as connection:
            connection.execute("DELETE FROM backstops WHERE account = ?", (self._account,))

    def backstop(self) -> SeenBackstop:
        """Return what is armed today."""
        return self._call("backstop", lambda _how: self._backstop())

    def _arm(self, how: str, loss_e4: int, products: tuple[str, ...]) -> None:
        with self._file.writing() as connection:
            self._wants(connection, "backstop", "no exit at a loss")
            if how != "deaf":
                kept = (self._account, self._now()[0], loss_e4, ",".join(products))
                connection.execute("INSERT OR REPLACE INTO backstops VALUES (?, ?, ?, ?)", kept)

    def _backstop(self) -> SeenBackstop:
        with self._file.reading() as connection:
            row = connection.execute(
                "SELECT loss_e4, products FROM backstops WHERE account = ? AND session_date = ?",
                (self._account, self._now()[0]),
            ).fetchone()
        return SeenBackstop(False, None) if row is None else SeenBackstop(True, row[0], tuple(row[1].split(",")))

    # -- shared -----------------------------------------------------------------------------------------------

    def end_order(self, connection: sqlite3.Connection, row: sqlite3.Row, now_us: int) -> None:
        """Cancel one order, at once or as late as the settings say; the legs it takes along go with it."""
        delay_us = book.settings_of(connection, self._account).cancel_us
        if delay_us:
            connection.execute("UPDATE orders SET cancel_us = ? WHERE number = ?", (now_us + delay_us, row["number"]))
            return
        conditional.end(connection, row, "CANCELLED", now_us)
        conditional.settle_group(connection, row["number"], now_us)

    def protected(self, connection: sqlite3.Connection, order: Order, quote: Quote, protection_bps: int) -> Order:
        """Return the limit order a broker makes of a market order: so far past the touch, and no further."""
        touch_e4 = (quote.ask_e4 if order.side == "BUY" else quote.bid_e4) or quote.ltp_e4
        if touch_e4 is None:
            return order
        instrument = book.instrument_of(connection, order.instrument)
        tick_e4 = max(1, instrument.tick_e4 if instrument is not None else book.TICK_E4_DEFAULT)
        sign = 1 if order.side == "BUY" else -1
        price_e4 = touch_e4 * (BPS + sign * protection_bps) // BPS // tick_e4 * tick_e4
        if quote.upper_band_e4 is not None:
            price_e4 = min(price_e4, quote.upper_band_e4)
        price_e4 = max(price_e4, quote.lower_band_e4 or tick_e4)
        return order.replaced(order_type="LIMIT", price=to_text(price_e4))

    def _wants(self, connection: sqlite3.Connection, power: str, said: str) -> None:
        if power not in book.settings_of(connection, self._account).powers:
            raise BrokerRefusedError(f"this paper account has {said}")

    def _open(self, connection: sqlite3.Connection, today: str, now_us: int) -> list[tuple[tuple[str, str, str], int]]:
        """Return the open lines as they are, not as the lagging list shows them."""
        carried, fills = book.carried(connection, self._account), book.fills(connection, self._account)
        rows = positions(carried, fills, today, now_us, {})
        return [((each.exchange_segment, each.security_id, each.product), each.net) for each in rows if each.net]

    def _live(self, connection: sqlite3.Connection, today: str) -> list[sqlite3.Row]:
        rows = connection.execute(
            "SELECT * FROM orders WHERE account = ? AND session_date >= ?", (self._account, today)
        )
        return [row for row in rows if row["status"] in (*book.LIVE, *conditional.WAITING)]


def _switch(connection: sqlite3.Connection, account: str, today: str) -> bool:
    row = connection.execute(
        "SELECT is_on FROM switches WHERE account = ? AND session_date = ?", (account, today)
    ).fetchone()
    return row is not None and bool(row[0])


def beyond_band(order: Order, quote: Quote) -> tuple[str, str] | None:
    """Return the status of an order the exchange rejects for its price, None for one it takes."""
    if order.price_e4 is None:
        return None
    if quote.lower_band_e4 is not None and order.price_e4 < quote.lower_band_e4:
        return "REJECTED", "below the lower circuit limit"
    if quote.upper_band_e4 is not None and order.price_e4 > quote.upper_band_e4:
        return "REJECTED", "above the upper circuit limit"
    return None
