"""
Open order value ceiling: everything that works and this order, at the worst prices they may trade at.

Permits count as working, those without an answer in full, both sides alike; exits of one OCO group count once, at
the largest. On the ceiling is allowed. Exits are exempt. Source: checks.md §1, SEBI CIR/MRD/DP/09/2012.
"""

from __future__ import annotations

from riskguard.core import measure
from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Inr, Params
from riskguard.core.reject import Reject, RejectCode
from riskguard.core.scope import Scope


class Parameters(Params):
    open_order_value_inr_max: Inr


def check(facts: Facts, params: Parameters, scope: Scope) -> Reject | None:
    """Refuse when the working orders of *scope* and this one are worth more than the ceiling, or nobody knows."""
    _, value_e4, unknown = facts.open_orders(scope)
    instrument, price_e4 = facts.instrument, facts.risk_price_e4()
    multiplier = None if instrument is None else instrument.multiplier

    def worth_e4(quantity: int) -> int | None:
        if unknown or price_e4 is None or multiplier is None:
            return None
        return value_e4 + quantity * price_e4 * multiplier

    return measure.above(
        facts, RejectCode.OPEN_ORDER_VALUE_ABOVE_LIMIT, worth_e4, params.open_order_value_inr_max, unknown=unknown,
        detail="value of all working orders and this one",
        hint="cancel working orders",
    )  # fmt: skip


CHECK = Check("open_order_value", Parameters, check, exits=False, scoped=True, needs=("marks",))
