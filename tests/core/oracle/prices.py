"""
Prices as checks.md §0 and §5 define them, in 1/10000 rupee; None is not known.

Fractions where something is a part of something else, so that every rounding is one that is written down.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

from riskguard.core.instrument import Instrument
from riskguard.core.quote import Quote
from tests.core.oracle.case import Case

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
INDIA_US = 19_800 * SECOND_US
Price = int | None


def part(percent_e2: int) -> Fraction:
    """1/100 percent as a fraction."""
    return Fraction(percent_e2, 10_000)


def is_fresh(quote: Quote, case: Case) -> bool:
    """§0: stale is older than 5 s, an option's older than 30 s; §1: more than 2 s ahead is no time at all."""
    instrument = case.instrument
    ttl_s = 30 if instrument is not None and instrument.option_type else 5
    return -2 * SECOND_US <= case.now_us - quote.at_us <= ttl_s * SECOND_US


def feed(case: Case) -> Quote | None:
    return case.account.quotes.get(case.order.instrument)


def shown(case: Case) -> Quote | None:
    """§5.7: a fresh feed quote wins over the order's evidence, which counts only where the feed has none."""
    quote, evidence = feed(case), case.order.quote
    if evidence is None or (quote is not None and is_fresh(quote, case)):
        return quote
    return evidence


def reference_in(quote: Quote | None, case: Case) -> Price:
    """P_ref: last price inside [bid, ask] → mid, rounded up → the side the order would hit → last price → none."""
    if quote is None or not is_fresh(quote, case):
        return None
    last, bid, ask = quote.ltp_e4, quote.bid_e4, quote.ask_e4
    if bid is not None and ask is not None:
        if last is not None and bid <= last <= ask:
            return last
        return ceil(Fraction(bid + ask, 2))
    far = ask if case.order.side == "BUY" else bid
    return last if far is None else far


def reference(case: Case) -> Price:
    return reference_in(shown(case), case)


def feed_reference(case: Case) -> Price:
    """§5.7: evidence never opens a collar."""
    return reference_in(feed(case), case)


def protection(instrument: Instrument | None) -> Fraction:
    """How far past the touch a market order may fill: the dated table's, else 5 %, of an option 20 %."""
    if instrument is None:
        return part(500)
    if instrument.protection_pct_e2 is not None:
        return part(instrument.protection_pct_e2)
    return part(2_000 if instrument.option_type else 500)


def _today(quote: Quote | None, case: Case) -> bool:
    return quote is not None and (quote.at_us + INDIA_US) // DAY_US == (case.now_us + INDIA_US) // DAY_US


def bands(case: Case) -> tuple[Price, Price]:
    """The day's circuit limits, each edge: the feed's of today, else the instrument's, else the evidence's of today."""
    said: list[tuple[Price, Price]] = []
    quote, evidence, instrument = feed(case), case.order.quote, case.instrument
    if quote is not None and _today(quote, case):
        said.append((quote.lower_band_e4, quote.upper_band_e4))
    if instrument is not None:
        said.append((instrument.lower_band_e4, instrument.upper_band_e4))
    if evidence is not None and _today(evidence, case):
        said.append((evidence.lower_band_e4, evidence.upper_band_e4))
    lower = next((low for low, _ in said if low is not None), None)
    upper = next((high for _, high in said if high is not None), None)
    return lower, upper


def _protected(case: Case, price: int, quote: Quote | None) -> int:
    """
    Price × (1 + protection), rounded up, but nothing fills above the upper circuit, where the instrument has one.

    Circuits are widened in the day: what the quote says of it, or trades at, counts where it is higher.
    """
    instrument = case.instrument
    worst = ceil(price * (1 + protection(instrument)))
    if instrument is None or instrument.upper_band_e4 is None:
        return worst
    shown_upper = 0 if quote is None else quote.upper_band_e4 or 0
    return min(worst, max(instrument.upper_band_e4, shown_upper, price))


def _risk_in(quote: Quote | None, case: Case) -> Price:
    """P_risk of §0, line by line."""
    order, seen = case.order, reference_in(quote, case)
    limit, trigger = order.price_e4, order.trigger_price_e4
    match order.side, order.order_type:
        case "BUY", "LIMIT":
            return limit
        case "SELL", "LIMIT":
            return max(limit or 0, seen or 0)
        case "BUY", "MARKET":
            if seen is None or quote is None:
                return None
            return _protected(case, max(seen, quote.ask_e4 or 0), quote)
        case "SELL", "MARKET":
            return seen
        case "BUY", "STOP_LOSS":
            return max(trigger or 0, limit or 0)
        case "BUY", _:
            return _protected(case, trigger or 0, quote)
    return max(trigger or 0, seen or 0)


def risk(case: Case) -> Price:
    """P_risk; evidence on the order can raise it, never lower it, and never make a known price unknown."""
    quote, evidence = shown(case), case.order.quote
    price = _risk_in(quote, case)
    if price is None or evidence is None or evidence is quote:
        return price
    return max(price, _risk_in(evidence, case) or 0)


def entry(case: Case) -> Price:
    """The price farthest from its stop the order may open at: for a sale its limit, or as far down as it is let."""
    order = case.order
    if order.side == "BUY":
        return risk(case)
    if order.price_e4 is not None:
        return order.price_e4
    start = reference(case) if order.trigger_price_e4 is None else order.trigger_price_e4
    return None if start is None else max(1, floor(start * (1 - protection(case.instrument))))


def mark(quote: Quote | None, is_option: bool) -> Price:
    """
    What a holding is valued at, however old: the last trade; of an option the middle while the spread is at most
    20 % of it; else the middle; never the far touch.
    """
    if quote is None:
        return None
    last, bid, ask = quote.ltp_e4, quote.bid_e4, quote.ask_e4
    middle = None if bid is None or ask is None else (bid + ask) // 2
    if is_option and bid is not None and ask is not None and middle is not None and (ask - bid) * 5 <= middle:
        return middle
    return middle if last is None else last


def sent_price(case: Case) -> Price:
    """
    §5.10: the limit of a plain exit as it is sent: to the tick passively, into the protection, into the band.

    The protection holds back only from the side the order is aggressive to. A band without a tick in it is none.
    """
    order, instrument = case.order, case.instrument
    price = order.price_e4
    if price is None or instrument is None:
        return price
    tick, buy = max(1, instrument.tick_e4), order.side == "BUY"
    if price % tick:
        below = price // tick * tick
        price = below if buy and below > 0 else below + tick
    seen, wide = feed_reference(case), None
    if seen is not None:
        wide = exchange_width(instrument.lpp_pct_e2, instrument.lpp_abs_e4, seen)
    if seen is not None and wide is not None:
        price = _into(price, (None, seen + wide) if buy else (seen - wide, None), tick)
    return _into(price, bands(case), tick)


def exchange_width(percent_e2: int | None, absolute: int | None, base: int) -> int | None:
    """max(percent of *base* rounded down, absolute); None where no rule is known."""
    if percent_e2 is None and absolute is None:
        return None
    return max(floor(base * part(percent_e2 or 0)), absolute or 0)


def _into(price: int, band: tuple[Price, Price], tick: int) -> int:
    low, high = band
    lowest = tick if low is None else max(tick, ceil(Fraction(low, tick)) * tick)
    highest = None if high is None else high // tick * tick
    if highest is not None and highest < lowest:
        return price
    if low is not None and price < lowest:
        return lowest
    return highest if highest is not None and price > highest else price
