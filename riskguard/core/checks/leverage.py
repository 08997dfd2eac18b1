"""
Leverage ceiling: gross exposure after this order is at most k times equity.

Equity is the day's opening equity plus the day's P&L, of all accounts of a GROUP or GLOBAL limit. Unknown, or nothing
left of it, is refused. On the ceiling is allowed. Exits are exempt.
"""

from __future__ import annotations

from riskguard.core import measure
from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.money import SCALE, rupees, to_text
from riskguard.core.params import Params, Times
from riskguard.core.reject import RUPEES, Reject, RejectCode
from riskguard.core.scope import Scope


class Parameters(Params):
    leverage_max: Times


def check(facts: Facts, params: Parameters, scope: Scope) -> Reject | None:
    """Refuse when the exposure of *scope* is more than k times its equity, rounded down."""
    equity_e4 = facts.equity_e4(scope)
    if equity_e4 is None or equity_e4 <= 0:
        return measure.equity_unknown(equity_e4)
    limit_e4, sign = equity_e4 * params.leverage_max // SCALE, facts.order.sign
    unknown = measure.position_unknown(facts, scope, limit_e4, RUPEES)
    if unknown is not None:
        return unknown
    book = facts.exposure(scope)
    return measure.above(
        facts, RejectCode.LEVERAGE_ABOVE_LIMIT, lambda quantity: book.gross(sign, quantity), limit_e4,
        unknown=book.unknown,
        detail=f"gross exposure against {to_text(params.leverage_max)} × equity of {rupees(equity_e4)}",
    )  # fmt: skip


CHECK = Check("leverage", Parameters, check, exits=False, scoped=True, needs=("marks",))
