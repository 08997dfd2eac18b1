"""The price of an exit: past the touch by a protection that grows with each try, on the tick, inside the band."""

from __future__ import annotations

from typing import Final

from riskguard.core.instrument import Instrument
from riskguard.core.pricing import OPTION_PROTECTION_PCT, PROTECTION_PCT, is_fresh, quote_ttl_us
from riskguard.core.quote import Quote

SHARES: Final = (25, 50, 100)
"""Percent of the exchange's protection that the first, the second and every later price goes past the touch."""


def protected_e4(quote: Quote | None, sign: int, instrument: Instrument | None, now_us: int, tries: int) -> int | None:
    """
    Return the limit price of an exit, or None where no fresh price is known: it then goes at market.

    An exit at market may rest as a limit of the broker's own making; a limit of ours is known, and can be moved.
    """
    if quote is None or not is_fresh(quote, now_us, quote_ttl_us(instrument)):
        return None
    touch_e4 = (quote.ask_e4 if sign > 0 else quote.bid_e4) or quote.ltp_e4
    if not touch_e4:
        return None
    past_e2 = _protection_e2(instrument) * SHARES[min(tries, len(SHARES) - 1)] // 100
    tick_e4 = max(1, instrument.tick_e4 if instrument is not None else 5)
    if sign > 0:
        wanted_e4 = -(touch_e4 * (10_000 + past_e2) // -10_000)
        price_e4 = -(wanted_e4 // -tick_e4) * tick_e4
        upper_e4 = upper_band_e4(quote, instrument)
        return price_e4 if upper_e4 is None else max(tick_e4, min(price_e4, upper_e4 // tick_e4 * tick_e4))
    price_e4 = max(tick_e4, touch_e4 * (10_000 - past_e2) // 10_000 // tick_e4 * tick_e4)
    lower_e4 = lower_band_e4(quote, instrument)
    return price_e4 if lower_e4 is None else max(price_e4, -(lower_e4 // -tick_e4) * tick_e4)


def upper_band_e4(quote: Quote, instrument: Instrument | None) -> int | None:
    """Return the highest price the exchange takes today; the quote knows better than the morning's master."""
    return quote.upper_band_e4 or (None if instrument is None else instrument.upper_band_e4)


def lower_band_e4(quote: Quote, instrument: Instrument | None) -> int | None:
    """Return the lowest price the exchange takes today."""
    return quote.lower_band_e4 or (None if instrument is None else instrument.lower_band_e4)


def at_circuit(quote: Quote | None, sign: int) -> bool:
    """Say whether the market stands at the limit an exit of *sign* would have to pass: nobody is on the other side."""
    if quote is None or quote.ltp_e4 is None:
        return False
    if sign < 0:
        return quote.lower_band_e4 is not None and quote.ltp_e4 <= quote.lower_band_e4
    return quote.upper_band_e4 is not None and quote.ltp_e4 >= quote.upper_band_e4


def _protection_e2(instrument: Instrument | None) -> int:
    if instrument is not None and instrument.protection_pct_e2 is not None:
        return instrument.protection_pct_e2
    is_option = instrument is not None and instrument.is_option
    return 100 * (OPTION_PROTECTION_PCT if is_option else PROTECTION_PCT)
