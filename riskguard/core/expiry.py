"""What expiry makes of a contract that was held into it: what it is worth, and what the tax office calls it."""

from __future__ import annotations

from datetime import date

from riskguard.core.charges import Settlement
from riskguard.core.instrument import Instrument


def worth_e4(instrument: Instrument, settlement_e4: int, underlying_e4: int | None) -> int | None:
    """
    Return what one unit is worth at its expiry, 1/10000 rupee; None when that cannot be told.

    An option is worth its intrinsic value. On its last day an exchange prints the underlying's price where the option's
    settlement price stands, so that number is never used for one: without the underlying an option's worth is unknown.
    """
    if not instrument.is_option:
        return settlement_e4
    return intrinsic_e4(instrument.option_type, instrument.strike_e4, underlying_e4)


def intrinsic_e4(option_type: str, strike_e4: int | None, underlying_e4: int | None) -> int | None:
    """Return max(0, underlying − strike) for a CE, the reverse for a PE; None where one of them is not known."""
    if option_type not in ("CE", "PE") or strike_e4 is None or underlying_e4 is None:
        return None
    gain_e4 = underlying_e4 - strike_e4
    return max(0, gain_e4 if option_type == "CE" else -gain_e4)


def settled(instrument: Instrument, net: int, worth: int, underlying_e4: int | None, day: date) -> Settlement:
    """
    Return the taxed event of *net* units (long > 0, short < 0) held into expiry, worth *worth* each.

    Stock contracts are settled by shares when they are in the money, index contracts in cash: there only the holder of
    an option in the money pays. Anything else is an expiry that costs nothing.
    """
    quantity = abs(net)
    event, price_e4 = "EXPIRY", 0
    if instrument.kind == "FUTSTK":
        event, price_e4 = ("RECEIVE" if net > 0 else "DELIVER"), worth
    elif instrument.kind == "OPTSTK" and worth > 0:
        takes = (net > 0) == (instrument.option_type == "CE")
        event, price_e4 = ("RECEIVE" if takes else "DELIVER"), instrument.strike_e4 or underlying_e4 or worth
    elif instrument.is_option and worth > 0 and net > 0:
        event, price_e4 = "EXERCISE_LONG", worth
    return Settlement(
        instrument.exchange_segment, instrument.kind, instrument.security_id, event, quantity, price_e4, day
    )
