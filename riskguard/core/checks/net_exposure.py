"""
Net exposure ceiling: how far the book may lean one way, bullish and bearish positions offset.

Measured on the side the order leans to, everything working on that side filled: an order towards the middle passes,
however far out the book is. Long calls, short puts and long futures lean one way. A short option counts by the
notional of its underlying and offsets nothing: it gains no more than its premium. On the ceiling is allowed. Exits
are exempt.
"""

from __future__ import annotations

from riskguard.core import measure
from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Inr, Params
from riskguard.core.reject import RUPEES, Reject, RejectCode
from riskguard.core.scope import Scope


class Parameters(Params):
    net_exposure_inr_max: Inr


def check(facts: Facts, params: Parameters, scope: Scope) -> Reject | None:
    """Refuse when *scope* would lean further than the ceiling, or a line cannot be valued."""
    limit_e4, sign = params.net_exposure_inr_max, facts.order.sign
    unknown = measure.position_unknown(facts, scope, limit_e4, RUPEES)
    if unknown is not None:
        return unknown
    book = facts.exposure(scope)
    return measure.above(
        facts, RejectCode.NET_EXPOSURE_ABOVE_LIMIT, lambda quantity: book.net(sign, quantity), limit_e4,
        unknown=book.unknown, detail="net exposure on this order's side",
    )  # fmt: skip


CHECK = Check("net_exposure", Parameters, check, exits=False, scoped=True, needs=("marks",))
