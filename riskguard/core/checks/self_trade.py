"""
Self-trade: an order that could trade with an opposite one of the same account or group.

Both at a limit meet when their prices do; an order at market could meet any; a stop only what rests beyond its
trigger. An exit that could is let out with a warning. Source: checks.md §1, FIA self-match prevention.
"""

from __future__ import annotations

from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.money import to_text
from riskguard.core.params import Params
from riskguard.core.reject import Reject, RejectCode


class Parameters(Params):
    pass


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse when an opposite working order could be the other side of this one."""
    orders, nearest_e4 = facts.opposite_orders()
    if not orders:
        return None
    where = f"at {to_text(nearest_e4)}" if nearest_e4 else "at market"
    return Reject(
        RejectCode.SELF_TRADE,
        measured=orders,
        limit=0,
        unit="orders",
        max_quantity=0,
        detail=f"it could trade with one's own order {where}",
        hint="cancel that one first, or price this one away from it",
    )


CHECK = Check("self_trade", Parameters, check, exits=True, warns_exits=True, needs=("peers",))
