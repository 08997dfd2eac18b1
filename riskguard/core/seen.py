"""
What a broker shows, translated: orders, positions, fills, funds. Plain values; unknown is None, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass

LIVE, DONE = True, False


@dataclass(frozen=True, slots=True)
class SeenOrder:
    """
    One order as the broker lists it. `is_live` is True for every status not known to be final.

    `order_id` is opaque: an adapter may put into it what it needs to cancel a leg or a standing instruction.
    """

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
    kind: str = "ORDER"  # ORDER; SUPER: a leg of a super order; FOREVER: rests for days; ALERT: a conditional trigger
    group: str = ""  # what its exits share: one of them done cancels the others, so they count once
    leg: str = ""  # ENTRY, TARGET, STOP_LOSS; "" for an order of its own

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
    realised_e4: int | None = None  # today, as the broker counts it; its charges are not in it
    unrealised_e4: int | None = None


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
class SeenHolding:
    """One share in the demat account; `available` is what may be sold (T1 included, collateral excluded)."""

    exchange_segment: str
    security_id: str
    total: int
    available: int
    average_e4: int | None = None
    isin: str = ""


@dataclass(frozen=True, slots=True)
class SeenLedgerEntry:
    """One line of the broker's ledger; `amount_e4` > 0 came in. `kind`: DEPOSIT, PAYOUT, CHARGE, SETTLEMENT, OTHER."""

    entry_id: str
    date: str  # ISO, the broker's booking date
    kind: str
    amount_e4: int
    text: str
    balance_e4: int | None = None


@dataclass(frozen=True, slots=True)
class SeenProfile:
    """What the broker says of the account itself; None where it does not say."""

    token_until_us: int | None
    segments: tuple[str, ...]  # those the account may trade, as exchange segments
    may_place: bool | None  # False: orders from this address are refused, and so is every exit
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SeenBackstop:
    """The broker's own exit at a loss: whether it stands, and at what day loss (> 0)."""

    is_armed: bool
    loss_e4: int | None
    products: tuple[str, ...] = ()


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
