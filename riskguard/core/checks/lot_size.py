"""Whole lots only: the exchange takes no part of one. An odd lot that reduces is let out: it may be all there is."""

from __future__ import annotations

from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Params
from riskguard.core.reject import Reject, RejectCode


class Parameters(Params):
    pass


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse a quantity that is no multiple of the lot; an unknown lot is `order_validity`'s to refuse."""
    instrument = facts.instrument
    if instrument is None:
        return None
    lot, quantity = instrument.lot_size, facts.order.quantity
    odd = quantity % lot
    if not odd or facts.reducing:
        return None
    return Reject(
        RejectCode.NOT_A_LOT_MULTIPLE,
        measured=quantity,
        limit=lot,
        unit="units",
        max_quantity=quantity - odd,
        detail=f"{quantity} is no multiple of the lot of {lot}",
    )


CHECK = Check("lot_size", Parameters, check, exits=False)
