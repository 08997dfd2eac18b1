"""
Which price a line of the book is valued at, and whether that price proves anything.

A mark is fresh, or it is the last one widened against the position. Source: checks.md §2 "Day P&L, exactly".
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from riskguard.core.calendar import Calendar, Window, ist_day
from riskguard.core.instrument import Instrument
from riskguard.core.pricing import CLOCK_SKEW_MAX_US, quote_ttl_us
from riskguard.core.quote import Quote
from riskguard.core.terms import CASH_SEGMENTS

WIDEN_PCT = 2
OPTION_WIDEN_PCT = 20
"""A line without a fresh mark is valued this far against us, where no band of the exchange is known: it may make the
account reduce, never flatten."""

SPREAD_PCT_MAX = 20
"""Beyond this the middle of an option's quote says nothing; its last trade is used while it is fresh."""

LOOK_BACK_DAYS = 14
"""The longest closed stretch of a market is about five days."""


class Phase(NamedTuple):
    """
    What the calendar says of one instrument now.

    Ages of quotes count to `judged_at_us`: now while its market trades, the last close afterwards, because a price
    does not grow old while nobody can trade. `auction` is the closing auction of today: what is quoted in it is
    indicative. `expired`: nothing of the contract will ever trade again.
    """

    judged_at_us: int
    auction: Window | None = None
    expired: bool = False


class Mark(NamedTuple):
    """A price to value at, in 1/10000 rupee; `why` says why it is not fresh, "" when it is."""

    price_e4: int
    why: str = ""

    @property
    def fresh(self) -> bool:
        return not self.why


def phase(
    calendar: Calendar | None, instrument: Instrument | None, segment: str, now_us: int,
    auction_names: frozenset[str] | None = None,
) -> Phase:  # fmt: skip
    """
    Return the phase of an instrument; without a calendar its market is taken as open, so that marks age.

    *auction_names* are the shares that take part in the closing auction, by symbol; None: not known, so every share
    is taken to be one while the auction runs.
    """
    if calendar is None:
        return Phase(now_us)
    today = date.fromordinal(ist_day(now_us))
    auction = None
    if segment in CASH_SEGMENTS and (
        auction_names is None or instrument is None or instrument.symbol in auction_names
    ):  # fmt: skip
        auction = calendar.closing_auction(segment, today)
    expired = False
    if instrument is not None and instrument.expiry:
        last = date.fromisoformat(instrument.expiry)
        windows = calendar.windows(segment, last)
        # A contract whose last day nobody can find has expired the day after it at the latest.
        expired = today > last or (today == last and bool(windows) and now_us >= windows[-1].close_us)
    if calendar.window_at(segment, now_us) is not None or (auction is not None and auction.contains(now_us)):
        return Phase(now_us, auction, expired)
    return Phase(_last_close_us(calendar, segment, now_us), auction, expired)


def _last_close_us(calendar: Calendar, segment: str, now_us: int) -> int:
    for ordinal in range(ist_day(now_us), ist_day(now_us) - LOOK_BACK_DAYS, -1):
        for window in reversed(calendar.windows(segment, date.fromordinal(ordinal))):
            if window.close_us <= now_us:
                return window.close_us
    return now_us


def is_indicative(quote: Quote, at: Phase) -> bool:
    """Say whether nobody has traded at this price: a call auction's, by the feed's word or by the hour."""
    return quote.is_indicative or (at.auction is not None and at.auction.contains(quote.at_us))


def newest(quotes: list[Quote], at: Phase) -> Quote | None:
    """Return the newest quote somebody traded at; only where there is none, the newest at all."""
    real = [quote for quote in quotes if not is_indicative(quote, at)]
    return max(real or quotes, key=lambda quote: quote.at_us, default=None)


def mark(
    net: int, quote: Quote | None, instrument: Instrument | None, at: Phase, now_us: int,
    settlement_e4: int | None = None,
) -> Mark | None:  # fmt: skip
    """
    Return the price to value *net* units at, or None when none is known.

    A contract that expired is worth its settlement price. No loss is measured on an indicative price: it is no mark.
    A price that is not fresh is widened against the position, and says why.
    """
    if at.expired and settlement_e4 is not None:
        return Mark(settlement_e4)
    if quote is None or is_indicative(quote, at):
        return None
    priced = _price(quote, instrument, at, now_us)
    if priced is None:
        return None
    price_e4, why = priced
    if at.expired:
        why = "expired without a settlement price"
    return Mark(_widened_e4(price_e4, net, quote, instrument), why) if why else Mark(price_e4)


def mark_e4(quote: Quote, instrument: Instrument | None) -> int | None:
    """
    Return the price a quote shows, whatever its age: the last trade; for options the middle, while the spread is sane.

    Never the far touch: one wild order on an empty book is not a loss.
    """
    found = _price(quote, instrument, Phase(quote.at_us), quote.at_us)
    return None if found is None else found[0]


def _price(quote: Quote, instrument: Instrument | None, at: Phase, now_us: int) -> tuple[int, str] | None:
    """Return (price, why it is not fresh); None when the quote holds neither a trade nor two sides."""
    ttl_us = quote_ttl_us(instrument)
    old = _age(quote.at_us, at, now_us, ttl_us, "")
    traded_us = quote.at_us if quote.ltp_at_us is None else quote.ltp_at_us
    trade_old = old or _age(traded_us, at, now_us, ttl_us, "last trade ")
    middle_e4, narrow = _middle(quote)
    is_option = instrument is not None and instrument.is_option
    if middle_e4 is not None and narrow and (is_option or quote.ltp_e4 is None or (trade_old and not old)):
        return middle_e4, old
    if quote.ltp_e4 is not None:
        return quote.ltp_e4, trade_old
    if middle_e4 is not None:
        # Two far sides and no trade: a price to widen from, not one to trip on.
        return middle_e4, old or f"spread above {SPREAD_PCT_MAX} % and no trade"
    return None


def _middle(quote: Quote) -> tuple[int | None, bool]:
    """Return the middle of the quote, and whether its two sides are near enough to mean something."""
    if quote.bid_e4 is None or quote.ask_e4 is None:
        return None, False
    middle_e4 = (quote.bid_e4 + quote.ask_e4) // 2
    return middle_e4, (quote.ask_e4 - quote.bid_e4) * 100 <= middle_e4 * SPREAD_PCT_MAX


def _age(then_us: int, at: Phase, now_us: int, ttl_us: int, what: str) -> str:
    """
    Say why a time is not fresh; "" when it is. A stamp ahead of us was made by a clock we cannot compare with.

    The age itself is left out: what is said every two seconds must stay the same to be told once.
    """
    if then_us > now_us + CLOCK_SKEW_MAX_US:
        return f"{what}stamped in the future"
    return f"{what}older than {ttl_us // 1_000_000} s" if at.judged_at_us - then_us > ttl_us else ""


def _widened_e4(price_e4: int, net: int, quote: Quote, instrument: Instrument | None) -> int:
    """
    Return *price_e4* moved against the position by the band; 0 at the least.

    The band is how far the exchange lets the next trade go from the last (limit price protection) where that is
    known, else a percentage; never past the day's circuit limits, beyond which nobody can trade.
    """
    band_e4 = None
    if instrument is not None and instrument.lpp_pct_e2 is not None:
        band_e4 = max(-(price_e4 * instrument.lpp_pct_e2 // -10_000), instrument.lpp_abs_e4 or 0)
    if band_e4 is None:
        percent = OPTION_WIDEN_PCT if instrument is not None and instrument.is_option else WIDEN_PCT
        band_e4 = -(price_e4 * percent // -100)
    if net > 0:
        floor_e4 = _circuit_e4(quote.lower_band_e4, None if instrument is None else instrument.lower_band_e4)
        # A price outside its circuit shows that the circuit we know is out of date.
        return max(price_e4 - band_e4, floor_e4 if floor_e4 is not None and floor_e4 <= price_e4 else 0)
    ceiling_e4 = _circuit_e4(quote.upper_band_e4, None if instrument is None else instrument.upper_band_e4)
    moved_e4 = price_e4 + band_e4
    return min(moved_e4, ceiling_e4) if ceiling_e4 is not None and ceiling_e4 >= price_e4 else moved_e4


def _circuit_e4(shown_e4: int | None, listed_e4: int | None) -> int | None:
    """The feed's word of the day's circuit before the master's: circuits are moved during the day."""
    return listed_e4 if shown_e4 is None else shown_e4
