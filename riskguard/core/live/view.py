"""
Everything a sweep may judge one account by, at one instant. Plain values; None is "not known", never zero or "none".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from riskguard.core.account import Account, InstrumentKey
from riskguard.core.book import Line
from riskguard.core.calendar import Calendar
from riskguard.core.instrument import Instrument
from riskguard.core.live.trips import DayFills
from riskguard.core.pnl import DayPnl, mark_e4
from riskguard.core.pricing import is_fresh, quote_ttl_us
from riskguard.core.quote import Quote
from riskguard.core.scope import Scope
from riskguard.core.seen import Seen, SeenFunds, SeenProfile
from riskguard.core.state import TradingState
from riskguard.core.terms import DELIVERY_PRODUCTS

PEER_AGE_US_MAX = 60_000_000
"""A peer's reading older than this is not today's figure any more, only the last one known."""


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How one source (`broker`, `feed`) answered lately: requests of the last minute, and the newest good answer."""

    asked: int
    failed: int
    latency_us: int | None = None  # of the slow ones: the 90th percentile
    last_ok_us: int | None = None


@dataclass(frozen=True, slots=True)
class Peer:
    """Another account of the group, as its own last sweep left it."""

    name: str
    role: str
    state: TradingState
    pnl_e4: int | None
    pnl_at_us: int | None
    fresh: bool
    nets: Mapping[InstrumentKey, int] | None = None  # by instrument, products added; None: its book is not known
    opening_e4: int | None = None  # its equity when the session began


@dataclass(frozen=True, slots=True)
class Unexplained:
    """Quantity the broker shows beyond (> 0) or short of (< 0) what our book explains."""

    key: InstrumentKey
    product: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Unsolicited:
    """One order nobody asked about. `adopted`: a child of a known parent, or the broker's own square-off."""

    order_id: str
    text: str
    adopted: bool = False


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg of a basket: what it should hold and holds. `live`: it may still fill."""

    key: InstrumentKey
    product: str
    quantity: int  # signed, ordered
    filled: int  # signed
    live: bool


@dataclass(frozen=True, slots=True)
class Basket:
    """Legs approved as one decision."""

    name: str
    since_us: int
    legs: tuple[Leg, ...]


@dataclass(frozen=True, slots=True)
class Parts:
    """Day P&L of parts of the account, 1/10000 rupee; a part that is missing made nothing, one of None is unknown."""

    by_strategy: Mapping[str, int | None]
    by_segment: Mapping[str, int | None]
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class View:
    """See the module. Only `account`, `now_us` and `pnl` are always there."""

    account: Account
    now_us: int
    pnl: DayPnl
    calendar: Calendar | None = None
    quotes: Mapping[InstrumentKey, Quote] = field(default_factory=dict)
    seen: Seen | None = None  # this sweep's own look; None: it did not look
    funds: SeenFunds | None = None
    funds_at_us: int | None = None
    parts: Parts | None = None
    realised_e4: int | None = None  # of today, charges taken off
    broker_pnl_e4: int | None = None  # the broker's own figure of the day, on our definition
    broker_at_us: int | None = None  # when its list was fetched; None: now
    equity_pnl_e4: int | None = None  # change of equity since the day's start, net of deposits and payouts
    equity_at_us: int | None = None  # when its funds were fetched; None: now
    compared_e4: tuple[int, int] | None = None  # (ours, the broker's) over the rows both have, before charges
    days: Mapping[str, int | None] | None = None  # earlier sessions of this month and week: date -> last known P&L
    fills: DayFills | None = None  # today's round trips, entries and average prices
    health: Mapping[str, SourceHealth] | None = None
    profile: SeenProfile | None = None
    profile_at_us: int | None = None
    token_until_us: int | None = None  # None: no token, or one that does not say
    unexplained: tuple[Unexplained, ...] | None = None
    unexplained_at_us: int | None = None
    unsolicited: tuple[Unsolicited, ...] | None = None
    baskets: tuple[Basket, ...] | None = None
    peers: tuple[Peer, ...] | None = None  # the others of the group; () for none
    everybody: tuple[Peer, ...] | None = None  # all other accounts; () for none
    leader: Peer | None = None  # whom this account copies; None: nobody, or not known
    copied: frozenset[InstrumentKey] | None = None  # what it came to hold by copying today

    @property
    def date(self) -> str:
        return self.account.session_date

    @property
    def equity_e4(self) -> int | None:
        """What the account is worth now: the day's start and what the day made."""
        opening = self.account.opening_equity_e4
        return None if opening is None or self.pnl.total_e4 is None else opening + self.pnl.total_e4

    def day_e4(self, scope: Scope) -> tuple[int | None, bool]:
        """
        Return the day's P&L over *scope* and whether it rests on fresh marks.

        GROUP adds its accounts up, GLOBAL is this account alone (`summed_e4` adds there); a strategy or segment needs its
        parts, and is unknown without them.
        """
        if scope.kind in ("ACCOUNT", "GLOBAL", "GROUP"):
            if scope.kind == "GROUP":
                return self._group_e4()
            return self.pnl.total_e4, self.pnl.fresh
        if self.parts is None or scope.kind not in ("STRATEGY", "SEGMENT"):
            return None, False
        found = self.parts.by_strategy if scope.kind == "STRATEGY" else self.parts.by_segment
        return found.get(scope.name, 0), self.parts.fresh

    def others(self, scope: Scope) -> tuple[Peer, ...] | None:
        """Return the other accounts of a GROUP or GLOBAL scope; () for any other, None: not known."""
        return {"GROUP": self.peers, "GLOBAL": self.everybody}.get(scope.kind, ())

    def summed_e4(self, scope: Scope) -> tuple[int | None, bool]:
        """Return the day's P&L of every account of *scope* together; one that is not known makes it unknown."""
        return self._summed_e4(self.others(scope))

    def opening_e4(self, scope: Scope) -> int | None:
        """Return what the accounts of *scope* were worth together when the session began; None: one is not known."""
        others = self.others(scope)
        known = [self.account.opening_equity_e4, *(peer.opening_e4 for peer in others or ())]
        return None if others is None or None in known else sum(each for each in known if each is not None)

    def _group_e4(self) -> tuple[int | None, bool]:
        return self._summed_e4(self.peers)

    def _summed_e4(self, others: tuple[Peer, ...] | None) -> tuple[int | None, bool]:
        total, fresh = self.pnl.total_e4, self.pnl.fresh
        if total is None or others is None:
            return None, False
        for peer in others:
            if peer.pnl_e4 is None or peer.pnl_at_us is None:
                return None, False
            total += peer.pnl_e4
            fresh = fresh and peer.fresh and self.now_us - peer.pnl_at_us <= PEER_AGE_US_MAX
        return total, fresh

    def holds(self, scope: Scope, key: InstrumentKey) -> bool:
        """Say whether an instrument lies in *scope*; a strategy's is not known from the book."""
        if scope.kind == "SEGMENT":
            return scope.name == key[0]
        if scope.kind == "INSTRUMENT":
            return scope.name == f"{key[0]}:{key[1]}"
        if scope.kind == "UNDERLYING":
            instrument = self.account.instruments.get(key)
            return instrument is not None and scope.name == (instrument.underlying or instrument.symbol)
        return scope.kind != "STRATEGY"

    def open_lines(self, scope: Scope | None = None, *, delivery: bool = False) -> Iterator[tuple[InstrumentKey, Line]]:
        """Yield what is held, in a stable order; shares for delivery only when asked for."""
        for key in sorted(self.account.positions):
            if scope is not None and not self.holds(scope, key):
                continue
            lines = self.account.positions[key]
            for product in sorted(lines):
                if lines[product].net and (delivery or product not in DELIVERY_PRODUCTS):
                    yield key, lines[product]

    def name(self, key: InstrumentKey) -> str:
        """Return what people call the instrument."""
        instrument = self.account.instruments.get(key)
        return instrument.symbol if instrument is not None else f"{key[0]}:{key[1]}"

    def mark(self, key: InstrumentKey) -> tuple[int | None, bool]:
        """Return (price to value at, whether it is fresh)."""
        quote = self.quotes.get(key)
        instrument: Instrument | None = self.account.instruments.get(key)
        if quote is None:
            return None, False
        return mark_e4(quote, instrument), is_fresh(quote, self.now_us, quote_ttl_us(instrument))

    def is_open(self, segment: str) -> bool | None:
        """Say whether the segment trades now; None where no calendar is at hand."""
        return None if self.calendar is None else self.calendar.is_open(segment, self.now_us)
