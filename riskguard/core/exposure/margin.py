"""What a margin is a part of, and the margin of what was approved since the broker told the funds."""

from __future__ import annotations

from riskguard.core.account import Account
from riskguard.core.exposure.held import name_of
from riskguard.core.exposure.prices import notional_e4
from riskguard.core.instrument import Instrument


def margin_basis_e4(account: Account, instrument: Instrument | None, sign: int, price_e4: int | None) -> int | None:
    """Return what a margin is a part of, per unit: the notional of a sold option, the price of all else."""
    if instrument is None or instrument.multiplier is None:
        return None
    if sign < 0 and instrument.is_option:
        return notional_e4(account, instrument)
    return None if price_e4 is None else price_e4 * instrument.multiplier


def margin_held(account: Account, short_pct_e2: int) -> tuple[int, str]:
    """
    Return (margin of what was approved since the broker told the funds, what of it cannot be valued).

    As the broker said where it was asked; else buys in full, sales at *short_pct_e2* (1/100 percent) of notional.
    """
    held_e4 = 0
    for each in account.unfunded:
        if each.required_e4 is not None:
            held_e4 += each.required_e4
            continue
        instrument = account.instruments.get(each.key)
        basis_e4 = margin_basis_e4(account, instrument, each.sign, each.price_e4)
        if basis_e4 is None:
            return 0, name_of(instrument, each.key)
        held_e4 -= each.quantity * basis_e4 * (10_000 if each.sign > 0 else short_pct_e2) // -10_000
    return held_e4, ""
