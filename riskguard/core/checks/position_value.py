"""
Position value ceiling: what one instrument may be worth if everything working on the order's side fills.

Products and accounts of the scope add, sides apart. A short option counts by the notional of its underlying, all else
by the higher of the mark and the price of the order. On the ceiling is allowed. Exits are exempt.
"""

from __future__ import annotations

from riskguard.core import measure
from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Inr, Params
from riskguard.core.reject import RUPEES, Reject, RejectCode
from riskguard.core.scope import Scope


class Parameters(Params):
    position_value_inr_max: Inr


def check(facts: Facts, params: Parameters, scope: Scope) -> Reject | None:
    """Refuse when the position reachable in *scope* is worth more than the ceiling, or cannot be valued."""
    limit_e4, sign = params.position_value_inr_max, facts.order.sign
    unknown = measure.position_unknown(facts, scope, limit_e4, RUPEES)
    if unknown is not None:
        return unknown
    book = facts.exposure(scope)
    return measure.above(
        facts, RejectCode.POSITION_VALUE_ABOVE_LIMIT, lambda quantity: book.instrument(sign, quantity), limit_e4,
        detail="value of the position reachable",
    )  # fmt: skip


CHECK = Check("position_value", Parameters, check, exits=False, scoped=True, needs=("marks",))
