"""
Which price an order is judged at.

The *reference price* is what the market shows; the *risk price* is the worst the order may trade at.
An absent reference is unknown (None), never zero. Source: checks.md §0 and §5.13.
"""

from __future__ import annotations

from riskguard.core.instrument import Instrument
from riskguard.core.order import Order
from riskguard.core.quote import Quote

QUOTE_TTL_US = 5_000_000
OPTION_QUOTE_TTL_US = 30_000_000
"""Options quote seldom: five seconds would call most of a chain unknown."""

CLOCK_SKEW_MAX_US = 2_000_000
"""A stamp further ahead than this was not made by a clock we can compare with."""

PROTECTION_PCT = 5
OPTION_PROTECTION_PCT = 20
"""How far past the touch an exchange lets an API market order fill before it rests as a limit.
Conservative stand-ins where the dated table of protection percentages has no number for the instrument."""


def quote_ttl_us(instrument: Instrument | None) -> int:
    """Return how long a quote of this instrument counts as fresh."""
    return OPTION_QUOTE_TTL_US if instrument is not None and instrument.option_type else QUOTE_TTL_US


def supersedes(told: Quote, stands: Quote, now_us: int) -> bool:
    """Say whether *told* takes the place of *stands*: unless it is older. What a wrong clock stamped in the future goes."""
    return not told.at_us < stands.at_us <= now_us + CLOCK_SKEW_MAX_US


def is_fresh(quote: Quote, now_us: int, ttl_us: int) -> bool:
    """Say whether *quote* is neither older than its time to live nor stamped in the future."""
    return -CLOCK_SKEW_MAX_US <= now_us - quote.at_us <= ttl_us


def reference_price_e4(quote: Quote | None, sign: int, now_us: int, ttl_us: int) -> int | None:
    """
    Return the price the market shows to an order of *sign*, or None when it shows none that is fresh.

    Last price inside [bid, ask], else mid (rounded up: a reference a tick high refuses early), else the far
    touch, the side the order would hit, else the last price.
    """
    if quote is None or not is_fresh(quote, now_us, ttl_us):
        return None
    ltp, bid, ask = quote.ltp_e4, quote.bid_e4, quote.ask_e4
    if bid is not None and ask is not None:
        if ltp is not None and bid <= ltp <= ask:
            return ltp
        return -((bid + ask) // -2)
    touch = ask if sign > 0 else bid
    return touch if touch is not None else ltp


def risk_price_e4(
    order: Order, reference_e4: int | None, ask_e4: int | None, instrument: Instrument | None,
    upper_e4: int | None = None,
) -> int | None:  # fmt: skip
    """
    Return the worst price *order* may trade at, in 1/10000 rupee per unit, or None when it cannot be known.

    A market buy may fill up to the protection band above the ask; it never fills above the upper circuit, which is
    the instrument's, or *upper_e4* (what the quote says of it) where that is higher: circuits are widened in the day.
    """
    order_type, price_e4, trigger_e4 = order.order_type, order.price_e4, order.trigger_price_e4
    if order.sign > 0:
        if order_type == "LIMIT":
            return price_e4
        if order_type == "STOP_LOSS":
            assert price_e4 is not None and trigger_e4 is not None
            return max(price_e4, trigger_e4)
        if order_type == "STOP_LOSS_MARKET":
            assert trigger_e4 is not None
            return _protected_e4(trigger_e4, instrument, upper_e4)
        if reference_e4 is None:
            return None
        return _protected_e4(reference_e4 if ask_e4 is None else max(reference_e4, ask_e4), instrument, upper_e4)
    if order_type == "MARKET":
        return reference_e4
    own_e4 = price_e4 if order_type == "LIMIT" else trigger_e4
    assert own_e4 is not None
    return own_e4 if reference_e4 is None else max(own_e4, reference_e4)


def _protection_e2(instrument: Instrument | None) -> int:
    """How far past the touch a market order may fill, in 1/100 percent."""
    if instrument is not None and instrument.protection_pct_e2 is not None:
        return instrument.protection_pct_e2
    option = instrument is not None and instrument.option_type != ""
    return 100 * (OPTION_PROTECTION_PCT if option else PROTECTION_PCT)


def _protected_e4(price_e4: int, instrument: Instrument | None, shown_upper_e4: int | None) -> int:
    """Return *price_e4* plus the protection band, rounded up, clipped to the upper circuit where known."""
    protected_e4 = -(price_e4 * (10_000 + _protection_e2(instrument)) // -10_000)
    upper_e4 = None if instrument is None else instrument.upper_band_e4
    # What already trades beyond it shows that the circuit we know is out of date.
    return protected_e4 if upper_e4 is None else min(protected_e4, max(upper_e4, shown_upper_e4 or 0, price_e4))


def entry_price_e4(
    order: Order, risk_e4: int | None, reference_e4: int | None, instrument: Instrument | None
) -> int | None:
    """
    Return the price farthest from its stop that *order* may open at, in 1/10000 rupee, or None when not known.

    For a buy that is its risk price. A sale may fill down to its limit; without one, as far below the market or
    its trigger as the exchange's protection lets it, rounded down.
    """
    if order.sign > 0:
        return risk_e4
    if order.price_e4 is not None:
        return order.price_e4
    base_e4 = reference_e4 if order.trigger_price_e4 is None else order.trigger_price_e4
    return None if base_e4 is None else max(1, base_e4 * (10_000 - _protection_e2(instrument)) // 10_000)
