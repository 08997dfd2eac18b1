"""
Gross exposure ceiling: the sum over all lines of the larger side they may reach; nothing offsets anything.

A line is one product of one instrument in one account. Short options count by the notional of their underlying, long
ones by premium, all else by price. On the ceiling is allowed. Exits are exempt.
"""

from __future__ import annotations

from riskguard.core import measure
from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Inr, Params
from riskguard.core.reject import RUPEES, Reject, RejectCode
from riskguard.core.scope import Scope


class Parameters(Params):
    gross_exposure_inr_max: Inr


def check(facts: Facts, params: Parameters, scope: Scope) -> Reject | None:
    """Refuse when the exposure of *scope* after this order is above the ceiling, or a line cannot be valued."""
    limit_e4, sign = params.gross_exposure_inr_max, facts.order.sign
    unknown = measure.position_unknown(facts, scope, limit_e4, RUPEES)
    if unknown is not None:
        return unknown
    book = facts.exposure(scope)
    return measure.above(
        facts, RejectCode.GROSS_EXPOSURE_ABOVE_LIMIT, lambda quantity: book.gross(sign, quantity), limit_e4,
        unknown=book.unknown, detail="gross exposure after this order",
    )  # fmt: skip


CHECK = Check("gross_exposure", Parameters, check, exits=False, scoped=True, needs=("marks",))
