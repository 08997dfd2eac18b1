"""
Open order ceiling: how many orders may work at once, live permits and this order included.

Exits of one OCO group count once: one of them fills. On the ceiling is allowed. Exits are exempt.
"""

from __future__ import annotations

from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Count, Params
from riskguard.core.reject import Reject, RejectCode
from riskguard.core.scope import Scope


class Parameters(Params):
    open_orders_max: Count


def check(facts: Facts, params: Parameters, scope: Scope) -> Reject | None:
    """Refuse when this order would be one too many of *scope*."""
    orders = facts.open_orders(scope)[0] + 1
    if orders <= params.open_orders_max:
        return None
    return Reject(
        RejectCode.OPEN_ORDER_COUNT_ABOVE_LIMIT,
        measured=orders,
        limit=params.open_orders_max,
        unit="orders",
        max_quantity=0,
        detail="orders that would work at once",
        hint="cancel working orders",
    )


CHECK = Check("open_order_count", Parameters, check, exits=False, scoped=True)
