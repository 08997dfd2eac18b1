"""
The exchange's freeze quantity: a single order above it is refused there, so it goes out in slices or not at all.

On it is allowed. The number is dated data, the lower of the exchange's table and the instrument master; where
neither knows one nothing is judged. It applies to exits too: no way round it exists at the exchange. Each slice is
an order of its own, asks by itself, and counts as a message.
"""

from __future__ import annotations

from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Params
from riskguard.core.reject import Reject, RejectCode
from riskguard.core.sizing import slices, whole_lots


class Parameters(Params):
    pass


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse a quantity above the freeze quantity of the instrument, in the broker's unit."""
    instrument = facts.instrument
    if instrument is None:
        return None
    freeze, quantity = instrument.freeze_quantity, facts.order.quantity
    if not freeze or quantity <= freeze:
        return None
    each = whole_lots(freeze, instrument)
    return Reject(
        RejectCode.ABOVE_FREEZE_QUANTITY,
        measured=quantity,
        limit=freeze,
        unit="units",
        max_quantity=each,
        detail=f"{instrument.symbol} is frozen by the exchange above {freeze} in one order",
        hint=f"send {slices(quantity, each)} slices of {each} at most, each with `slice_of`" if each else "",
    )


CHECK = Check("freeze_quantity", Parameters, check, exits=True)
