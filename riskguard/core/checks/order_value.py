"""
Order value ceiling: the fat-finger check, and the exchange's own ceiling of ten crore an order.

Value = quantity × risk price × contract multiplier, both sides alike; an option counts by its premium. On a ceiling
is allowed. An order that adds risk and cannot be priced is refused. Exits are exempt from our ceiling, which is
`traders_control.order_value_limit`, as schema v3 has it. The exchange's (dated table, none for options) needs no
parameter: it holds wherever this check does, and for exits too, because no way round it exists there; an exit that
cannot be valued passes. Source: checks.md §1, §5.11; SEBI CIR/MRD/DP/34/2012.
"""

from __future__ import annotations

from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.money import rupees
from riskguard.core.params import Inr, Params
from riskguard.core.reject import RUPEES, Reject, RejectCode
from riskguard.core.sizing import most_within, slices


class Parameters(Params):
    order_value_inr_max: Inr


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse *order* when its value is above a ceiling, or cannot be known."""
    instrument = facts.instrument
    limit_e4: int = params.order_value_inr_max
    ceiling_e4 = None if instrument is None else instrument.order_value_max_e4
    if facts.reducing:
        if ceiling_e4 is None:
            return None
        limit_e4 = ceiling_e4
    elif ceiling_e4 is not None and ceiling_e4 < limit_e4:
        limit_e4 = ceiling_e4
    multiplier = 1 if instrument is None else instrument.multiplier
    price_e4 = None if multiplier is None else facts.risk_price_e4()
    if multiplier is None or price_e4 is None:
        return None if facts.reducing else _unknown(facts, limit_e4, multiplier)
    each_e4 = price_e4 * multiplier
    quantity = facts.order.quantity
    if quantity * each_e4 <= limit_e4:
        return None
    most = most_within(limit_e4, each_e4, instrument)
    by_exchange = limit_e4 == ceiling_e4
    return Reject(
        RejectCode.ORDER_VALUE_ABOVE_LIMIT,
        measured=quantity * each_e4,
        limit=limit_e4,
        unit=RUPEES,
        max_quantity=most,
        detail=f"the exchange takes no order above {rupees(limit_e4)}" if by_exchange else "",
        hint=f"send {slices(quantity, most)} slices, each with `slice_of`" if by_exchange and most else "",
    )


def _unknown(facts: Facts, limit_e4: int, multiplier: int | None) -> Reject:
    if multiplier is None:
        return Reject(
            RejectCode.MULTIPLIER_UNKNOWN,
            limit=limit_e4,
            unit=RUPEES,
            max_quantity=0,
            detail="no table says how much one unit of this contract stands for",
        )
    return Reject(
        RejectCode.PRICE_UNKNOWN,
        limit=limit_e4,
        unit=RUPEES,
        max_quantity=0,
        detail=f"no fresh price to value a {facts.order.order_type} order at",
        hint="push a quote with `guard.quote(...)`, or use a LIMIT order",
    )


_SURELY = (
    "instrument is not None and (instrument.order_value_max_e4 is None if reducing else ("
    "instrument.multiplier is not None and (price_e4 := order.price_e4 "
    "if order.sign > 0 and order.order_type == 'LIMIT' else facts.risk_price_e4()) is not None "
    "and (value_e4 := quantity * price_e4 * instrument.multiplier) <= params.order_value_inr_max "
    "and (instrument.order_value_max_e4 is None or value_e4 <= instrument.order_value_max_e4)))"
)
"""An exit is bound by the exchange's ceiling alone: where there is one, the check is asked."""


CHECK = Check(
    "order_value",
    Parameters,
    check,
    exits=True,
    mandatory=True,
    v3_column="order_value_limit",
    v3_field="order_value_inr_max",
    passes=_SURELY,
)
