"""
An order the market could take: a known instrument, a deliverable sale, a sensible disclosed quantity.

What makes an order malformed in itself (quantity, prices, trigger side) is refused when it is built; here
stands what needs the instrument or the book.
"""

from __future__ import annotations

from riskguard.core.direction import Direction
from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Params
from riskguard.core.reject import Reject, RejectCode

_SHORT_DELIVERY = Direction.SHORT_DELIVERY

DISCLOSED_PCT_MIN = 30
"""NSE and BSE: a disclosed quantity is at least 30 % of the order. Source: dhanhq-v2.md §7."""


class Parameters(Params):
    pass


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse what the market would not take; an exit of an unknown instrument is let out."""
    order = facts.order
    if facts.direction is _SHORT_DELIVERY:
        return Reject(
            RejectCode.SHORT_DELIVERY,
            measured=order.quantity,
            limit=max(0, facts.sellable - facts.selling),
            unit="units",
            max_quantity=max(0, facts.sellable - facts.selling),
            detail="sells more shares for delivery than the account can deliver",
            hint="use INTRADAY for a short sale",
        )
    if facts.instrument is None and not facts.reducing:
        return Reject(
            RejectCode.INSTRUMENT_UNKNOWN,
            detail=f"{order.exchange_segment}:{order.security_id} is not among the instruments",
            max_quantity=0,
            hint="import the instrument master, or check the segment",
        )
    disclosed = order.disclosed_quantity
    if disclosed and disclosed * 100 < order.quantity * DISCLOSED_PCT_MIN:
        return Reject(
            RejectCode.DISCLOSED_QUANTITY_OUT_OF_RANGE,
            measured=disclosed,
            limit=-(order.quantity * DISCLOSED_PCT_MIN // -100),
            unit="units",
            hint=f"disclose at least {DISCLOSED_PCT_MIN} %, or 0 for all",
        )
    return None


CHECK = Check(
    "order_validity", Parameters, check, exits=True, mandatory=True, never_shadow=True,
    passes="facts.direction is not SHORT_DELIVERY and instrument is not None and not order.disclosed_quantity",
)  # fmt: skip
