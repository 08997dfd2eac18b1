"""
Concentration ceiling: what hangs on one underlying is at most a part of equity.

The gross exposure of the order's underlying (its share, futures and options together) in the scope after this order,
against the equity of the scope's accounts. Unknown equity, or nothing left of it, is refused. On the ceiling is
allowed. Exits are exempt.
"""

from __future__ import annotations

from riskguard.core import measure
from riskguard.core.exposure import underlying_of
from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.money import rupees, to_text
from riskguard.core.params import FinePercent, Params
from riskguard.core.reject import RUPEES, Reject, RejectCode
from riskguard.core.scope import Scope


class Parameters(Params):
    concentration_pct_max: FinePercent


def check(facts: Facts, params: Parameters, scope: Scope) -> Reject | None:
    """Refuse when the underlying would be worth more than its part of equity, rounded down."""
    equity_e4 = facts.equity_e4(scope)
    if equity_e4 is None or equity_e4 <= 0:
        return measure.equity_unknown(equity_e4)
    limit_e4, sign = equity_e4 * params.concentration_pct_max // 10_000, facts.order.sign
    unknown = measure.position_unknown(facts, scope, limit_e4, RUPEES)
    if unknown is not None:
        return unknown
    if facts.instrument is None:
        return measure.unvalued(facts, limit_e4)
    underlying = underlying_of(facts.instrument)
    book = facts.exposure(scope, underlying)
    return measure.above(
        facts, RejectCode.CONCENTRATION_ABOVE_LIMIT, lambda quantity: book.gross(sign, quantity), limit_e4,
        unknown=book.unknown,
        detail=f"exposure to {underlying} against {to_text(params.concentration_pct_max * 100)} % of equity of "
        f"{rupees(equity_e4)}",
    )  # fmt: skip


CHECK = Check("concentration", Parameters, check, exits=False, scoped=True, needs=("marks",))
