"""
Order value ceiling: the fat-finger check.

Value = quantity × risk price × contract multiplier, both sides alike; an option counts by its premium. On
the ceiling is allowed. An order that cannot be priced is refused. Exits are exempt.
The ceiling itself is `traders_control.order_value_limit`, as schema v3 has it.
"""

from __future__ import annotations

from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Inr, Params
from riskguard.core.reject import RUPEES, Reject, RejectCode


class Parameters(Params):
    order_value_inr_max: Inr


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse *order* when its value is above the ceiling, or cannot be known."""
    instrument = facts.instrument
    multiplier = 1 if instrument is None else instrument.multiplier
    if multiplier is None:
        return Reject(
            RejectCode.MULTIPLIER_UNKNOWN,
            limit=params.order_value_inr_max,
            unit=RUPEES,
            max_quantity=0,
            detail="no table says how much one unit of this contract stands for",
        )
    price_e4 = facts.risk_price_e4()
    if price_e4 is None:
        return Reject(
            RejectCode.PRICE_UNKNOWN,
            limit=params.order_value_inr_max,
            unit=RUPEES,
            max_quantity=0,
            detail=f"no fresh price to value a {facts.order.order_type} order at",
            hint="push a quote with `guard.quote(...)`, or use a LIMIT order",
        )
    value_e4 = facts.order.quantity * price_e4 * multiplier
    limit_e4 = params.order_value_inr_max
    if value_e4 <= limit_e4:
        return None
    return Reject(
        RejectCode.ORDER_VALUE_ABOVE_LIMIT,
        measured=value_e4,
        limit=limit_e4,
        unit=RUPEES,
        max_quantity=_whole_lots(limit_e4 // (price_e4 * multiplier), facts),
    )


def _whole_lots(quantity: int, facts: Facts) -> int:
    lot = 1 if facts.instrument is None else facts.instrument.lot_size
    return quantity - quantity % lot


CHECK = Check(
    "order_value",
    Parameters,
    check,
    exits=False,
    mandatory=True,
    v3_column="order_value_limit",
    v3_field="order_value_inr_max",
)
