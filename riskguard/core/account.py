"""
One account at one instant: everything the checks may read.

The store builds it inside the transaction that holds the write lock, and alone changes it: after its own
commit it folds in what it wrote, so that the next check need not read the day again. Everybody else reads.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NamedTuple

from riskguard.core.book import Line
from riskguard.core.calendar import Calendar
from riskguard.core.instrument import Instrument
from riskguard.core.limits import NO_LIMITS, LimitSet
from riskguard.core.order import Order
from riskguard.core.quote import Quote
from riskguard.core.state import NARROW, Cause, TradingState, severest

InstrumentKey = tuple[str, str]


class TimeLog:
    """
    Times of like events, ascending; counts sliding windows (t − w, t] in O(log n).

    Attributes:
        stamps_us: The times, to be read only: a question asked of every order looks here without a call.
    """

    __slots__ = ("stamps_us",)

    def __init__(self, times_us: list[int] | None = None) -> None:
        self.stamps_us: list[int] = times_us if times_us is not None else []

    def add(self, at_us: int) -> None:
        """Add one event; a clock that stepped back cannot make an event older than the last."""
        times = self.stamps_us
        times.append(at_us if not times or at_us >= times[-1] else times[-1])

    def count(self, now_us: int, window_us: int) -> int:
        """Return how many events lie in (now − window, now]; stamps ahead of now count too."""
        times = self.stamps_us
        if not times or times[-1] <= now_us - window_us:
            return 0  # the usual case: nothing went out lately
        return len(times) - bisect_right(times, now_us - window_us)

    def leaves_us(self, count: int, window_us: int) -> int | None:
        """Return when the *count*-th newest event leaves the window, or None if there are fewer."""
        return self.stamps_us[-count] + window_us if 0 < count <= len(self.stamps_us) else None

    def times(self) -> list[int]:
        """Return the times, ascending."""
        return list(self.stamps_us)

    def forget(self, before_us: int) -> None:
        """Drop events no window reaches any more, so that memory stays bounded."""
        del self.stamps_us[: bisect_right(self.stamps_us, before_us)]

    def __len__(self) -> int:
        return len(self.stamps_us)


@dataclass(frozen=True, slots=True)
class PnlReading:
    """Day P&L as the last sweep measured it; None is unknown, never zero."""

    day_pnl_e4: int | None
    at_us: int
    fresh_marks: bool
    detail: str = ""


class Unfunded(NamedTuple):
    """What was approved since the broker told the funds: it may not have been taken off them yet."""

    key: InstrumentKey
    sign: int
    quantity: int
    price_e4: int | None  # the risk price it was approved at
    required_e4: int | None  # what the broker said it needs; None: not asked


@dataclass(slots=True)
class Account:
    """See the module. Dictionaries are keyed by (segment, security id) unless said otherwise."""

    name: str
    session_date: str  # ISO date of the exchange's day (IST)
    limits: LimitSet = field(default_factory=lambda: NO_LIMITS)
    causes: tuple[Cause, ...] = ()
    positions: dict[InstrumentKey, dict[str, Line]] = field(default_factory=dict)
    instruments: dict[InstrumentKey, Instrument] = field(default_factory=dict)
    quotes: dict[InstrumentKey, Quote] = field(default_factory=dict)
    position_seen_us: int | None = None  # when the last complete position list was fetched
    sweep_at_us: int | None = None  # when the last sweep finished
    sweep_interval_us: int = 0
    pnl: PnlReading | None = None
    opening_equity_e4: int | None = None
    sent: TimeLog = field(default_factory=TimeLog)
    granted: int = 0  # live permits not yet sent: their messages count already
    attempts: dict[str, TimeLog] = field(default_factory=dict)  # by strategy
    same: dict[tuple[object, ...], int] = field(default_factory=dict)  # order signature -> approved at
    unanswered: dict[InstrumentKey, dict[str, int]] = field(default_factory=dict)  # client order id -> sent at
    reducing_live: dict[InstrumentKey, int] = field(default_factory=dict)  # exits granted or sent
    # What only some limits ask for; the store fills it where such a limit is in force (`Check.needs`).
    spots: dict[str, Quote] = field(default_factory=dict)  # by name of the underlying
    funds_available_e4: int | None = None
    funds_at_us: int | None = None
    unfunded: tuple[Unfunded, ...] = ()
    margin_of_set: bool = False  # `margins` are of a basket whole, and each leg counts all of it
    margins: dict[tuple[object, ...], tuple[int, int]] = field(default_factory=dict)  # leg -> (required, at)
    day_orders: dict[int, int] = field(default_factory=dict)  # band in 1/100 % -> orders let out beyond it today
    day_trades: int = 0  # fills this session
    cycles: dict[tuple[object, ...], TimeLog] = field(default_factory=dict)  # (strategy, key, side) -> fills
    refused: dict[tuple[object, ...], TimeLog] = field(default_factory=dict)  # the same -> refusals
    attributed: dict[tuple[str, InstrumentKey, str], int] = field(default_factory=dict)  # strategy's fills today
    peers: dict[str, tuple[Account, ...]] = field(default_factory=dict)  # GROUP, GLOBAL -> the other accounts
    calendar: Calendar | None = None
    auction_names: frozenset[str] | None = None  # shares with derivatives, by symbol; None: not known
    modifications: dict[str, int] = field(default_factory=dict)  # working order -> how often it was changed
    epoch: int = 0
    state: TradingState = TradingState.ACTIVE
    wide: tuple[Cause, ...] = ()
    narrow: tuple[Cause, ...] = ()

    def settle_state(self) -> None:
        """Split the causes into those of the whole account and those of a part of it; call after a change."""
        self.narrow = tuple(each for each in self.causes if each.scope.partition(":")[0] in NARROW)
        self.wide = tuple(each for each in self.causes if each.scope.partition(":")[0] not in NARROW)
        self.state = severest(self.wide)

    def line(self, key: InstrumentKey, product: str) -> Line:
        """Return the book's line, made empty if there is none."""
        lines = self.positions.setdefault(key, {})
        return lines.setdefault(product, Line(product, seen=0 if self.position_seen_us is not None else None))


def signature(order: Order) -> tuple[object, ...]:
    """Return what makes two orders duplicates of each other: all but their ids and times."""
    return (
        order.strategy,
        order.instrument,
        order.side,
        order.product,
        order.quantity,
        order.order_type,
        order.price_e4,
        order.trigger_price_e4,
    )
