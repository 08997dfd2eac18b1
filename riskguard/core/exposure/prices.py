"""What one unit counts, in rupees: by its mark, by its premium, or by the notional of its underlying."""

from __future__ import annotations

from riskguard.core.account import Account
from riskguard.core.exposure.held import accounts_of
from riskguard.core.instrument import Instrument
from riskguard.core.pnl import mark_e4
from riskguard.core.scope import Scope


def unit_value_e4(
    account: Account, scope: Scope, instrument: Instrument | None, sign: int, price_e4: int | None
) -> int | None:
    """
    Return what one unit held on the side of *sign* counts, in 1/10000 rupee; None when it cannot be known.

    The newest mark, however old, else the previous close: an old price bounds an exposure better than none does.
    *price_e4*, the price an order is judged at, counts where it is the higher.
    """
    if instrument is None or instrument.multiplier is None:
        return None
    if sign < 0 and instrument.is_option:
        return notional_e4(account, instrument)
    value_e4 = newest_price_e4(account, scope, instrument)
    known = [each for each in (value_e4, price_e4) if each is not None]
    return max(known) * instrument.multiplier if known else None


def notional_e4(account: Account, instrument: Instrument) -> int | None:
    """Return what one unit of an option stands for: the price of its underlying, else its strike; None unknown."""
    if instrument.multiplier is None:
        return None
    spot = account.spots.get(instrument.underlying)
    base_e4 = None if spot is None else mark_e4(spot, None)
    if base_e4 is None:
        base_e4 = instrument.strike_e4
    return None if base_e4 is None else base_e4 * instrument.multiplier


def newest_price_e4(account: Account, scope: Scope, instrument: Instrument) -> int | None:
    quote = account.quotes.get(instrument.key)
    price_e4 = None if quote is None else mark_e4(quote, instrument)
    if price_e4 is not None:
        return price_e4
    closes = [
        line.previous_close_e4
        for owner in accounts_of(account, scope)
        for line in owner.positions.get(instrument.key, {}).values()
    ]
    return max((close_e4 for close_e4 in closes if close_e4), default=None)
