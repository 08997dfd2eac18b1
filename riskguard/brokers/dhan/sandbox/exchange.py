"""
The market behind the local Dhan server: orders, fills and quotes of one account, in memory.

Matching is the paper market's. A MARKET order becomes a limit inside a protection band and may rest, as the
exchanges have it since March 2026. Times are epoch microseconds, prices 1/10000 rupee.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from riskguard.brokers.dhan.sandbox.scenario import Scenario
from riskguard.brokers.paper.match import BPS, Resting, meet
from riskguard.core.quote import Quote

TICK_E4: Final = 500
LIVE: Final = frozenset({"TRANSIT", "PENDING", "PART_TRADED"})
FIRST_ORDER: Final = 82_260_922_104_400
MILLION: Final = 1_000_000


@dataclass(slots=True)
class Placed:
    """One order in the book; a leg of a super order is one too, with its parent's id and its name."""

    order_id: str
    correlation_id: str
    segment: str
    security_id: str
    side: str
    product: str
    order_type: str
    validity: str
    quantity: int
    price_e4: int
    trigger_e4: int
    created_us: int
    lands_us: int
    status: str = "TRANSIT"
    filled: int = 0
    value_e4: int = 0
    triggered: bool = False
    after_market: bool = False
    disclosed: int = 0
    detail: str = ""
    code: str = "0"
    updated_us: int = 0
    leg: str = "NA"
    parent: str = ""
    modified: int = 0
    trailing_e4: int = 0
    legs: list[Placed] = field(default_factory=list)

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    @property
    def key(self) -> tuple[str, str]:
        return self.segment, self.security_id

    @property
    def line(self) -> tuple[str, str, str]:
        return self.segment, self.security_id, self.product


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade of an order."""

    trade_id: str
    order: Placed
    quantity: int
    price_e4: int
    at_us: int


class Exchange:
    """Orders and quotes of one account. Not locked: the server holds its own lock around every call."""

    def __init__(self, scenario: Scenario, now_us: Callable[[], int], told: Callable[[Placed], None]) -> None:
        self.scenario, self.now_us, self.told = scenario, now_us, told
        self.orders: dict[str, Placed] = {}
        self.supers: dict[str, Placed] = {}
        self.fills: list[Fill] = []
        self.quotes: dict[tuple[str, str], Quote] = {}
        self._number = FIRST_ORDER

    def number(self) -> str:
        """Return the next id of an order, a leg or a standing instruction."""
        self._number += 1
        return str(self._number)

    # -- quotes ---------------------------------------------------------------------------------------------------

    def set_quote(self, segment: str, security_id: str, quote: Quote) -> None:
        """Move the market; what can trade on it does."""
        self.quotes[segment, security_id] = quote
        self.land()
        for order in list(self.orders.values()):
            if order.key == (segment, security_id) and order.is_live and order.status != "TRANSIT":
                self._trade(order, quote, arriving=False)

    # -- orders ---------------------------------------------------------------------------------------------------

    def add(self, order: Placed) -> Placed:
        """Put an order into the book; it lands when its transit is over, at once without one."""
        order.updated_us = order.created_us
        self.orders[order.order_id] = order
        self.told(order)
        self.land()
        return order

    def land(self) -> None:
        """Let every order whose transit is over reach the market; an after-market order only rests."""
        now_us = self.now_us()
        for order in list(self.orders.values()):
            if order.status == "TRANSIT" and order.lands_us <= now_us:
                order.status = "PENDING"
                self._touch(order)
                if not order.after_market:
                    self._trade(order, self.quotes.get(order.key), arriving=True)

    def change(self, order: Placed, *, quantity: int, price_e4: int, trigger_e4: int, order_type: str) -> None:
        """Change a working order; it may trade at once."""
        order.quantity, order.price_e4, order.trigger_e4, order.order_type = quantity, price_e4, trigger_e4, order_type
        order.triggered, order.modified = False, order.modified + 1
        self._touch(order)
        if order.status != "TRANSIT":
            self._trade(order, self.quotes.get(order.key), arriving=True)

    def cancel(self, order: Placed) -> None:
        """Take the rest of a working order out; of an entry, its legs too."""
        order.status = "CANCELLED"
        self._touch(order)
        for leg in order.legs:
            if leg.is_live and not order.filled:
                self.cancel(leg)

    def reject(self, order: Placed, code: str, why: str) -> None:
        """Refuse it as the exchange does: after the answer, in the book alone."""
        order.status, order.code, order.detail = "REJECTED", code, why
        self._touch(order)

    def _touch(self, order: Placed) -> None:
        order.updated_us = self.now_us()
        self.told(order)

    def _trade(self, order: Placed, quote: Quote | None, *, arriving: bool) -> None:
        if order.parent and not self._is_armed(order):
            return
        if quote is not None:
            stop = order.trigger_e4 or None
            resting = Resting(order.side, self._limit_e4(order, quote), stop, order.triggered, arriving)
            outcome = meet(resting, quote, TICK_E4, 0)
            order.triggered = outcome.triggered
            if outcome.price_e4 is not None:
                self._fill(order, outcome.price_e4)
        if order.validity == "IOC" and order.status in ("PENDING", "PART_TRADED"):
            self.cancel(order)

    def _limit_e4(self, order: Placed, quote: Quote) -> int | None:
        """Return the limit it is matched at; a MARKET order gets one, once, when the first price is known."""
        if order.order_type in ("LIMIT", "STOP_LOSS"):
            return order.price_e4
        if order.order_type == "STOP_LOSS_MARKET":
            return None
        near_e4 = quote.ltp_e4 or quote.bid_e4 or quote.ask_e4 or TICK_E4
        away = self.scenario.protection_bps if order.side == "BUY" else -self.scenario.protection_bps
        order.price_e4 = max(TICK_E4, near_e4 * (BPS + away) // BPS // TICK_E4 * TICK_E4)
        order.order_type = "LIMIT"
        return order.price_e4

    def _fill(self, order: Placed, price_e4: int) -> None:
        left = order.quantity - order.filled
        quantity = min(left, self.scenario.fill_quantity_max or left)
        self.fills.append(Fill(str(40_771_900 + len(self.fills)), order, quantity, price_e4, self.now_us()))
        order.filled += quantity
        order.value_e4 += quantity * price_e4
        order.status = "TRADED" if order.filled == order.quantity else "PART_TRADED"
        self._touch(order)
        self._after(order)

    # -- super orders ---------------------------------------------------------------------------------------------

    def add_super(self, entry: Placed, legs: list[Placed]) -> Placed:
        """Put in an entry with its exits; they rest from the start and fight once the entry has traded."""
        entry.leg, entry.legs = "ENTRY_LEG", legs
        self.supers[entry.order_id] = entry
        for leg in legs:
            leg.parent, leg.status, leg.updated_us = entry.order_id, "PENDING", leg.created_us
            self.orders[f"{leg.order_id}/{leg.leg}"] = leg
        return self.add(entry)

    def _is_armed(self, leg: Placed) -> bool:
        return self.supers[leg.parent].status == "TRADED"

    def _after(self, order: Placed) -> None:
        """One exit done ends the other, and the super order with them."""
        if order.parent and order.status == "TRADED":
            entry = self.supers[order.parent]
            for leg in entry.legs:
                if leg is not order and leg.is_live:
                    self.cancel(leg)
            entry.status = "CLOSED"
            self._touch(entry)
        elif order.legs and order.status == "TRADED":
            for leg in order.legs:
                quote = self.quotes.get(leg.key)
                if leg.is_live and quote is not None:
                    self._trade(leg, quote, arriving=False)

    # -- positions ------------------------------------------------------------------------------------------------

    def filled_until(self, at_us: int) -> Iterator[Fill]:
        """Yield the fills known at *at_us*, oldest first."""
        return (fill for fill in self.fills if fill.at_us <= at_us)
