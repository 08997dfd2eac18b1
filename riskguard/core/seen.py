"""
What a broker shows, translated: orders, positions, fills, funds. Plain values; unknown is None, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass

LIVE, DONE = True, False


@dataclass(frozen=True, slots=True)
class SeenOrder:
    """One order as the broker lists it. `is_live` is True for every status not known to be final."""

    order_id: str
    correlation_id: str
    exchange_segment: str
    security_id: str
    side: str
    product: str
    order_type: str
    quantity: int
    filled: int
    price_e4: int | None
    trigger_price_e4: int | None
    status: str  # the broker's own word: PENDING, TRANSIT, PART_TRADED, TRADED, CANCELLED, REJECTED …
    is_live: bool
    detail: str = ""

    @property
    def remaining(self) -> int:
        return max(0, self.quantity - self.filled)


@dataclass(frozen=True, slots=True)
class SeenPosition:
    """One row of the position list: net quantity, signed, per product."""

    exchange_segment: str
    security_id: str
    product: str
    net: int
    previous_close_e4: int | None = None


@dataclass(frozen=True, slots=True)
class SeenTrade:
    """One fill; `trade_id` is unique together with segment, day and order."""

    trade_id: str
    order_id: str
    correlation_id: str
    exchange_segment: str
    security_id: str
    side: str
    product: str
    quantity: int
    price_e4: int
    at_us: int


@dataclass(frozen=True, slots=True)
class SeenFunds:
    """Money of the account, 1/10000 rupee; None where the broker does not say."""

    available_e4: int | None
    opening_e4: int | None
    used_e4: int | None


@dataclass(frozen=True, slots=True)
class SeenMargin:
    """What the broker wants for an order, or for several together, 1/10000 rupee; a part it does not say is None."""

    total_e4: int
    span_e4: int | None
    exposure_e4: int | None
    var_e4: int | None


@dataclass(frozen=True, slots=True)
class Seen:
    """
    One look at a broker. Each list is complete or None (that read failed): unknown is not empty.
    `failures` says why, one line per read.
    """

    fetched_at_us: int
    positions: tuple[SeenPosition, ...] | None
    orders: tuple[SeenOrder, ...] | None
    trades: tuple[SeenTrade, ...] | None
    funds: SeenFunds | None
    failures: tuple[str, ...] = ()
