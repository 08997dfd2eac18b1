"""
Day P&L, from own fills and marks, against the day's baseline. Unknown is None, never zero.

Per line: sales − purchases + net × mark − carried × previous close, times the multiplier; charges come off.
Source: checks.md §2 "Day P&L, exactly".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from riskguard.core.book import Line
from riskguard.core.instrument import Instrument
from riskguard.core.pricing import is_fresh, quote_ttl_us
from riskguard.core.quote import Quote

WIDEN_PCT = 2
OPTION_WIDEN_PCT = 20
"""A line without a fresh mark is valued this far against us: it may make the account reduce, never flatten."""

SPREAD_PCT_MAX = 20
"""Beyond this the middle of an option's quote says nothing; its last trade is used while it is fresh."""

InstrumentKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class DayPnl:
    """
    The day's profit (> 0) or loss (< 0) in 1/10000 rupee, charges taken off; None when unknown.

    `fresh` is False when a line had to be valued without a fresh mark. `detail` names what was missing.
    """

    total_e4: int | None
    charges_e4: int
    fresh: bool
    detail: str = ""


def mark_e4(quote: Quote, instrument: Instrument | None) -> int | None:
    """
    Return the price to value at: the last trade; for options the middle, while the spread is sane.

    Never the far touch: one wild order on an empty book is not a loss.
    """
    if instrument is not None and instrument.option_type and quote.bid_e4 is not None and quote.ask_e4 is not None:
        middle = (quote.bid_e4 + quote.ask_e4) // 2
        if (quote.ask_e4 - quote.bid_e4) * 100 <= middle * SPREAD_PCT_MAX:
            return middle
    if quote.ltp_e4 is not None:
        return quote.ltp_e4
    if quote.bid_e4 is not None and quote.ask_e4 is not None:
        return (quote.bid_e4 + quote.ask_e4) // 2
    return None


def day_pnl(
    positions: Mapping[InstrumentKey, Mapping[str, Line]],
    instruments: Mapping[InstrumentKey, Instrument],
    quotes: Mapping[InstrumentKey, Quote],
    charges_e4: int,
    now_us: int,
    adjustment_e4: int = 0,
) -> DayPnl:
    """
    Value the day. *adjustment_e4* is what a person said the day had already lost (≤ 0).

    Holdings of earlier days are outside: a line whose start has no previous close counts only today's fills
    against it, and an open carried line without one makes the whole unknown.
    """
    total = adjustment_e4 - charges_e4
    stale: list[str] = []
    for key, lines in positions.items():
        instrument = instruments.get(key)
        name = instrument.symbol if instrument is not None else f"{key[0]}:{key[1]}"
        for line in lines.values():
            net = line.net
            if not net and not line.start and not line.buy_value_e4 and not line.sell_value_e4:
                continue
            multiplier = 1 if instrument is None else instrument.multiplier
            if multiplier is None:
                return DayPnl(None, charges_e4, False, f"{name}: multiplier unknown")
            if line.start and line.previous_close_e4 is None:
                return DayPnl(None, charges_e4, False, f"{name}: carried in without a previous close")
            value_e4 = line.sell_value_e4 - line.buy_value_e4 - line.start * (line.previous_close_e4 or 0)
            if net:
                marked_e4, fresh = _valued(net, quotes.get(key), instrument, now_us)
                if marked_e4 is None:
                    return DayPnl(None, charges_e4, False, f"{name}: no mark")
                if not fresh:
                    stale.append(name)
                value_e4 += net * marked_e4
            total += value_e4 * multiplier
    detail = f"no fresh mark: {', '.join(stale)}" if stale else ""
    return DayPnl(total, charges_e4, not stale, detail)


def _valued(net: int, quote: Quote | None, instrument: Instrument | None, now_us: int) -> tuple[int | None, bool]:
    """Return (price, whether it is fresh); a stale one is widened against the position."""
    price_e4 = None if quote is None else mark_e4(quote, instrument)
    if price_e4 is None or quote is None:
        return None, False
    if is_fresh(quote, now_us, quote_ttl_us(instrument)):
        return price_e4, True
    percent = OPTION_WIDEN_PCT if instrument is not None and instrument.option_type else WIDEN_PCT
    band_e4 = -(price_e4 * percent // -100)
    return max(0, price_e4 - band_e4 if net > 0 else price_e4 + band_e4), False
