"""
The paper broker: `ports.Broker` against a market that somebody else moves with `set_quote`.

Several processes, threads and accounts share one file; quotes are everybody's, orders are an account's own.
Statuses are Dhan's words. What it leaves out: margin is not modelled (any order is affordable), hours are not
kept, nothing is squared off at the day's end. The book and the trades are those of the session date; an order of an
earlier date neither fills nor shows, but for what rests for days.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Final

from riskguard.brokers.paper import conditional, events
from riskguard.brokers.paper import orders as book
from riskguard.brokers.paper.conditionals import Conditionals
from riskguard.brokers.paper.events import Event
from riskguard.brokers.paper.faults import set_fault
from riskguard.brokers.paper.file import MarketFile
from riskguard.brokers.paper.ledger import Fill, positions, realised_e4
from riskguard.brokers.paper.powers import Powers, beyond_band
from riskguard.brokers.paper.settings import PaperSettings
from riskguard.core.instrument import Instrument
from riskguard.core.order import Order
from riskguard.core.seen import SeenFunds, SeenMargin, SeenOrder, SeenPosition, SeenTrade
from riskguard.core.terms import Product
from riskguard.errors import BrokerRefusedError, SettingsError
from riskguard.ports import ApprovedOrder, Clock

CORRELATION_ID_CHARACTERS_MAX: Final = 25
"""What the real broker takes; one more was measured to be refused."""


class PaperBroker(Conditionals, Powers):
    """One account's connection to the paper market. Safe in threads and across fork; open one per process."""

    name = "paper"

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        account: str,
        *,
        clock: Clock,
        instruments: Iterable[Instrument] = (),
        settings: PaperSettings | None = None,
    ) -> PaperBroker:
        """
        Join the market in the file at *path*, which is made if missing (0600).

        Args:
            instruments: Added to the market: ticks round fills, multipliers and kinds give profit and charges.
            settings: Written for the account, for every process; None takes what stands, or the defaults.

        Raises:
            SettingsError: The file is no paper market.
            BrokerUnavailableError: It cannot be made, opened or written.
        """
        broker = cls(MarketFile(Path(os.path.abspath(path))), account, clock)
        kept = [(each.exchange_segment, each.security_id, json.dumps(astuple(each))) for each in instruments]
        with broker._file.writing() as connection:
            if settings is not None:
                book.set_settings(connection, account, settings)
            else:
                connection.execute("INSERT OR IGNORE INTO accounts VALUES (?, ?)", (account, PaperSettings().text()))
            connection.executemany("INSERT OR REPLACE INTO instruments VALUES (?, ?, ?)", kept)
        return broker

    @property
    def keeps_hours(self) -> bool:
        """Whether this market has hours; by default it is always open."""
        with self._file.reading() as connection:
            return book.settings_of(connection, self._account).keeps_hours

    # -- ports.Broker ---------------------------------------------------------------------------------------

    def place(self, approved: ApprovedOrder) -> str:
        """
        Take the order and return its id; it trades at once if the current quote lets it.

        Raises:
            PermitNotSendableError: `approved.begin()` said so; nothing was done.
            BrokerRefusedError: The correlation id was used before or is too long, or another account's order.
            BrokerUnavailableError, BrokerUnconfirmedError: As `ports.Broker` says.
        """
        return self._call("place", lambda how: self._place(approved, how), approved.begin)

    def modify(self, approved: ApprovedOrder) -> str:
        """
        Change the order `approved.modifies` to what the approved order says; returns its id, which stays.

        Its quantity is the whole, what has filled included. Refused while it is TRANSIT, when it is done or not
        known, and for a quantity not above what has filled.
        """
        return self._call("modify", lambda how: self._modify(approved, how), approved.begin)

    def margin(self, orders: Sequence[Order]) -> SeenMargin:
        """
        Return what these orders need together: a share in full for delivery and a fifth intraday, a bought option's
        premium, a sold option or a future 12 % of its notional; a bought option of the set frees nothing.
        """
        return self._call("margin", lambda _how: self._margin(orders))

    def cancel(self, order_id: str) -> None:
        """Cancel the order's rest; refused while it is TRANSIT, when it is done, and when it is not known."""
        return self._call("cancel", lambda how: None if how == "deaf" else self._cancel(order_id))

    def orders(self) -> tuple[SeenOrder, ...]:
        """Return the day's orders, current."""
        return self._list("orders", self._orders)

    def positions(self) -> tuple[SeenPosition, ...]:
        """Return the position list as it was `position_lag_s` ago."""
        return self._list("positions", self._positions)

    def trades(self) -> tuple[SeenTrade, ...]:
        """Return the day's fills, current."""
        return self._list("trades", self._trades)

    def funds(self) -> SeenFunds:
        """
        Return opening funds + realised profit − charges; nothing is ever blocked, so `used_e4` is unknown.

        Charges no rate exists for are not taken off: `charges_unknown` names them.
        """
        return self._call("funds", lambda _how: self._funds())

    # -- what a test or a demonstration arranges -------------------------------------------------------------

    def carry(
        self, exchange_segment: str, security_id: str, product: str, quantity: int, previous_close_e4: int
    ) -> None:
        """
        Bring in a position of an earlier day, long > 0 or short < 0; again for the same line replaces it.

        Its cost is its previous close. Zero takes it away.
        """
        if product not in list(Product) or type(quantity) is not int:
            raise SettingsError(f"`{product}` or `{quantity!r}` is no product and quantity to carry")
        if type(previous_close_e4) is not int or previous_close_e4 <= 0:
            raise SettingsError(f"`previous_close_e4` = {previous_close_e4!r}: wants 1/10000 rupee above 0")
        line = (self._account, exchange_segment, security_id, str(product))
        with self._file.writing() as connection:
            connection.execute(
                "DELETE FROM carried WHERE account = ? AND exchange_segment = ? AND security_id = ? AND product = ?",
                line,
            )
            if quantity:
                kept = (*line, self._now()[0], quantity, previous_close_e4)
                connection.execute("INSERT INTO carried VALUES (?, ?, ?, ?, ?, ?, ?)", kept)

    def play_by(self, settings: PaperSettings) -> None:
        """Fill this account's orders by *settings* from now on, in every process."""
        with self._file.writing() as connection:
            book.set_settings(connection, self._account, settings)

    def behave(self, operation: str, how: str, times: int | None = None) -> None:
        """
        Break an operation of this account, in every process: see `faults.FAULTS` for *how*.

        Args:
            operation: `place`, `modify`, `cancel`, `lock`, `exit_all`, `arm_backstop`, `orders`, `positions`,
                `trades`, `funds`, `margin`, `is_locked`, `backstop` or `all`.
            how: `ok` mends it.
            times: For so many calls; None: until told otherwise.
        """
        with self._file.writing() as connection:
            set_fault(connection, self._account, operation, how, times)

    def events(self) -> list[Event]:
        """Return everything that happened to this account's orders, in its order."""
        with self._file.reading() as connection:
            rows = events.events(connection, self._account)
        return [
            Event(number, at_us, what, "" if order is None else book.order_id(order), fields)
            for number, at_us, what, order, fields in rows
        ]

    @property
    def charges_unknown(self) -> tuple[str, ...]:
        """What `funds` does not surely know of the charges of any day; empty: all are exact."""
        with self._file.reading() as connection:
            fills = book.fills(connection, self._account)
            instruments = book.instruments_of(connection, fills)
        return tuple(said for day, own in _by_day(fills) for said in self._charges.day(day, own, instruments)[1])

    # -- acting ---------------------------------------------------------------------------------------------

    def _place(self, approved: ApprovedOrder, how: str) -> str:
        order, correlation_id = approved.order, approved.correlation_id
        with self._file.writing() as connection:
            # Here and not earlier: the lock may have been waited for, and the mark of sending ages meanwhile.
            approved.begin()
            if order.account != self._account:
                raise BrokerRefusedError(f"an order of `{order.account}` on the connection of `{self._account}`")
            if not 0 < len(correlation_id) <= CORRELATION_ID_CHARACTERS_MAX:
                raise BrokerRefusedError(f"a correlation id has 1 to {CORRELATION_ID_CHARACTERS_MAX} characters")
            today, now_us = self._now()
            self.refuse_locked(connection, today)
            settings = book.settings_of(connection, self._account)
            status, detail = ("REJECTED", "rejected by the exchange") if how == "reject" else ("TRANSIT", "")
            quote = book.quote_of(connection, order.instrument, today)
            if quote is not None and not detail:
                if order.order_type == "MARKET" and settings.market_protection_bps is not None:
                    order = self.protected(connection, order, quote, settings.market_protection_bps)
                status, detail = beyond_band(order, quote) or (status, detail)
            lands_us = now_us + settings.transit_us
            number = book.insert(connection, order, correlation_id, status, today, lands_us, detail, placed_us=now_us)
            book.land(connection, today, now_us)
        return book.order_id(number)

    def _modify(self, approved: ApprovedOrder, how: str) -> str:
        order, order_id = approved.order, approved.modifies
        if order_id is None:
            raise BrokerRefusedError("it changes no order: place it")
        with self._file.writing() as connection:
            approved.begin()
            if how == "deaf":
                return order_id
            today, now_us = self._now()
            book.land(connection, today, now_us)
            row = self._working(connection, order_id, today)
            if order.quantity <= row["filled"]:
                raise BrokerRefusedError(f"`{order_id}` has filled {row['filled']} already")
            connection.execute(
                "UPDATE orders SET quantity = ?, price_e4 = ?, trigger_price_e4 = ?, order_type = ?, validity = ?, "
                "triggered = 0 WHERE number = ?",
                (
                    order.quantity,
                    order.price_e4,
                    order.trigger_price_e4,
                    order.order_type,
                    order.validity,
                    row["number"],
                ),
            )
            changed = connection.execute("SELECT * FROM orders WHERE number = ?", (row["number"],)).fetchone()
            events.note(connection, self._account, now_us, "CHANGED", row["number"], **events.shape(changed))
            quote = book.quote_of(connection, order.instrument, today)
            book.trade(connection, changed, quote, today, now_us, arriving=True)
        return order_id

    def _margin(self, orders: Sequence[Order]) -> SeenMargin:
        total_e4 = 0
        with self._file.reading() as connection:
            today = self._now()[0]
            for order in orders:
                instrument = book.instrument_of(connection, order.instrument)
                quote = book.quote_of(connection, order.instrument, today)
                price_e4 = order.price_e4 or (None if quote is None else quote.ltp_e4)
                if price_e4 is None or instrument is None or instrument.multiplier is None:
                    raise BrokerRefusedError(f"no price to compute a margin of {order.security_id} at")
                value_e4 = order.quantity * price_e4 * instrument.multiplier
                if instrument.is_option and order.sign < 0:
                    value_e4 = order.quantity * (instrument.strike_e4 or price_e4) * instrument.multiplier
                total_e4 += -(value_e4 * _margin_pct(order, instrument) // -100)
        return SeenMargin(total_e4, None, None, None)

    def _working(self, connection: sqlite3.Connection, order_id: str, today: str) -> sqlite3.Row:
        """Return the order's row; refused unless it rests in the market."""
        row: sqlite3.Row | None = connection.execute(
            "SELECT * FROM orders WHERE number = ? AND account = ? AND session_date >= ?",
            (book.number_of(order_id), self._account, today),
        ).fetchone()
        if row is None:
            raise BrokerRefusedError(f"no order `{order_id}` here today")
        if row["status"] == "TRANSIT":
            raise BrokerRefusedError(f"`{order_id}` is in TRANSIT: wait, and try again")
        if row["status"] not in book.LIVE and row["status"] not in conditional.WAITING:
            raise BrokerRefusedError(f"`{order_id}` is {row['status']} already")
        return row

    def _cancel(self, order_id: str) -> None:
        with self._file.writing() as connection:
            today, now_us = self._now()
            book.land(connection, today, now_us)
            row = self._working(connection, order_id, today)
            self.end_order(connection, row, now_us)

    # -- looking --------------------------------------------------------------------------------------------

    def _orders(self, connection: sqlite3.Connection, today: str, now_us: int) -> tuple[SeenOrder, ...]:
        lag_us = book.settings_of(connection, self._account).order_lag_us
        return book.seen_orders(connection, self._account, today, now_us - lag_us)

    def _trades(self, connection: sqlite3.Connection, today: str, _now_us: int) -> tuple[SeenTrade, ...]:
        return book.seen_trades(connection, self._account, today)

    def _positions(self, connection: sqlite3.Connection, today: str, now_us: int) -> tuple[SeenPosition, ...]:
        lag_us = book.settings_of(connection, self._account).position_lag_us
        carried, fills = book.carried(connection, self._account), book.fills(connection, self._account)
        closes_e4 = book.closes_e4(connection, today)
        return positions(carried, fills, today, now_us - lag_us, closes_e4)

    def _funds(self) -> SeenFunds:
        with self._looking() as (connection, today, _now_us):
            funds_e4 = book.settings_of(connection, self._account).opening_funds_e4
            carried, fills = book.carried(connection, self._account), book.fills(connection, self._account)
            instruments = book.instruments_of(connection, fills)
        charges_e4 = {day: self._charges.day(day, own, instruments)[0] for day, own in _by_day(fills)}
        before_e4 = sum(each_e4 for day, each_e4 in charges_e4.items() if day < today)
        opened_e4 = realised_e4(carried, fills, instruments, today)
        made_e4 = realised_e4(carried, fills, instruments)
        return SeenFunds(
            available_e4=None if made_e4 is None else funds_e4 + made_e4 - sum(charges_e4.values()),
            opening_e4=None if opened_e4 is None else funds_e4 + opened_e4 - before_e4,
            used_e4=None,
        )


def _margin_pct(order: Order, instrument: Instrument) -> int:
    if instrument.kind == "EQUITY":
        return 20 if order.product == "INTRADAY" else 100
    return 100 if instrument.is_option and order.sign > 0 else 12


def _by_day(fills: list[Fill]) -> list[tuple[str, list[Fill]]]:
    days: dict[str, list[Fill]] = {}
    for fill in fills:
        days.setdefault(fill.session_date, []).append(fill)
    return sorted(days.items())
