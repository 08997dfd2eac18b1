"""
The book: what one account holds and has working, per (segment, security, product).

A Dhan exit must carry the product of its entry or it opens a second position, so products never net.
Source: checks.md §0 "The book".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from riskguard.core.terms import DELIVERY_PRODUCTS

SETTLE_US = 5_000_000
"""The broker's position list lags its fills by seconds; a snapshot fetched sooner proves nothing."""


@dataclass(slots=True)
class Working:
    """One order that may still fill: a live permit, or an order somebody else sent."""

    key: str  # client order id, or the broker's order id for an order nobody asked us about
    sign: int
    remaining: int
    reducing: bool
    protective: bool = False  # a stop that guards a position
    exit_group: str = ""
    order_id: str = ""
    price_e4: int | None = None  # limit, None for a market order
    trigger_price_e4: int | None = None
    risk_price_e4: int | None = None  # the worst it may trade at, as judged when it was let out; None: not known
    strategy: str = ""
    covers: bool = False  # a bought leg of the basket being judged: what is sold after it may lean on it

    @property
    def worst_price_e4(self) -> int | None:
        """What one unit of it may cost: as judged, else the higher of its own prices, else not known."""
        if self.risk_price_e4 is not None:
            return self.risk_price_e4
        known = [price_e4 for price_e4 in (self.price_e4, self.trigger_price_e4) if price_e4]
        return max(known, default=None)


@dataclass(slots=True)
class Line:
    """
    One product of one instrument: B = start + filled, S = the broker's last complete list, W± = working.

    Money sums are quantity × price in 1/10000 rupee, multiplier not applied; `start` and `filled` are signed.
    """

    product: str
    start: int = 0
    filled: int = 0
    seen: int | None = None  # S; None when no complete list was ever fetched
    seen_us: int = 0
    last_fill_us: int = 0
    previous_close_e4: int | None = None
    buy_value_e4: int = 0
    sell_value_e4: int = 0
    bought: int = 0  # today, in units; with the values above they give the average of each side
    sold: int = 0
    sellable_start: int = 0  # holdings available at day start (CNC only)
    sellable_now: int | None = None
    working: dict[str, Working] = field(default_factory=dict)
    # Derived, kept by `refresh`: every check reads them, few events change them.
    up: int = 0
    down: int = 0
    near: int = 0
    buying: int = 0
    selling: int = 0
    covering: int = 0  # bought by earlier legs of one basket: it covers shorts, and is not held yet
    settled: bool = False

    @property
    def net(self) -> int:
        """B: day-start quantity plus every fill known. Long > 0, short < 0."""
        return self.start + self.filled

    def refresh(self) -> Line:
        """Recompute what is derived; call after any change."""
        net, seen = self.start + self.filled, self.seen
        self.settled = seen == net and self.seen_us >= self.last_fill_us + (SETTLE_US if self.last_fill_us else 0)
        if seen is None or self.settled:
            self.up = self.down = self.near = net
        else:
            # Until the list has caught up, each side is judged on the worse of the two books.
            self.up, self.down = max(net, seen), min(net, seen)
            self.near = 0 if (net > 0) != (seen > 0) else (self.down if net > 0 else self.up)
        if self.product in DELIVERY_PRODUCTS:
            # A negative delivery net is shares sold from the holdings, not a short position.
            self.up, self.down, self.near = max(0, self.up), max(0, self.down), max(0, self.near)
        self.buying = working_quantity(self.working.values(), 1)
        self.selling = working_quantity(self.working.values(), -1)
        self.covering = sum(each.remaining for each in self.working.values() if each.covers)
        return self

    def sellable(self) -> int:
        """
        Return how many units a CNC sale may deliver: day-start holdings plus today's net, never more than
        what is available now once that has fallen (a sale is subtracted once, whoever notices it first).
        """
        left = self.start + self.sellable_start + self.filled
        if self.sellable_now is not None and self.sellable_now < self.sellable_start:
            left = min(left, self.sellable_now)
        return max(0, left)

    @property
    def is_idle(self) -> bool:
        """Flat, nothing working: such a line costs nothing to leave out of the checks."""
        return not self.up and not self.down and not self.working


def working_quantity(orders: Iterable[Working], sign: int) -> int:
    """Return working quantity of one side; exits of one OCO group count once, at the largest remaining."""
    total = 0
    groups: dict[str, int] = {}
    for order in orders:
        if order.sign != sign:
            continue
        if order.exit_group and order.reducing:
            groups[order.exit_group] = max(groups.get(order.exit_group, 0), order.remaining)
        else:
            total += order.remaining
    return total + sum(groups.values()) if groups else total
