"""Order quantity ceiling. On it is allowed; exits are exempt."""

from __future__ import annotations

from typing import Literal

from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Count, Params
from riskguard.core.reject import Reject, RejectCode


class Parameters(Params):
    quantity_max: Count
    unit: Literal["units", "lots"]


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse more than the ceiling, in the broker's units or in lots (a part of a lot counts as one)."""
    quantity, limit = facts.order.quantity, params.quantity_max
    lot = 1
    if params.unit == "lots":
        if facts.instrument is None:
            return Reject(RejectCode.INSTRUMENT_UNKNOWN, detail="the lot of the instrument is unknown", max_quantity=0)
        lot = facts.instrument.lot_size
    if quantity <= limit * lot:
        return None
    return Reject(
        RejectCode.ORDER_QUANTITY_ABOVE_LIMIT,
        measured=-(quantity // -lot),
        limit=limit,
        unit=params.unit,
        max_quantity=limit * lot,
    )


CHECK = Check("order_quantity", Parameters, check, exits=False)
