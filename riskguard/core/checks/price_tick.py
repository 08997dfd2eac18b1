"""Prices on the exchange's grid. An exit off the grid is moved to its passive side by `decide`, not refused."""

from __future__ import annotations

from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.money import to_text
from riskguard.core.params import Params
from riskguard.core.reject import RUPEES, Reject, RejectCode


class Parameters(Params):
    pass


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse a price or trigger price that is no multiple of the tick."""
    instrument = facts.instrument
    if instrument is None or instrument.tick_e4 <= 0:
        return None
    tick_e4, order = instrument.tick_e4, facts.order
    for name, price_e4 in (("price", order.price_e4), ("trigger price", order.trigger_price_e4)):
        if price_e4 is not None and price_e4 % tick_e4:
            below_e4 = price_e4 - price_e4 % tick_e4
            return Reject(
                RejectCode.NOT_A_TICK_MULTIPLE,
                measured=price_e4,
                limit=tick_e4,
                unit=RUPEES,
                detail=f"{name} {to_text(price_e4)} is no multiple of the tick of {to_text(tick_e4)}",
                hint=f"try {to_text(below_e4)} or {to_text(below_e4 + tick_e4)}",
            )
    return None


CHECK = Check("price_tick", Parameters, check, exits=False)
