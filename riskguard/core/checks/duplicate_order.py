"""
The same order twice within a moment: account, strategy, instrument, side, product, quantity, type, prices.

Only approved orders count as the first; exactly the window later is allowed. A slice of a larger order (`slice_of`) is
like its siblings by nature: its client order id keeps it from going out twice. For exits, too, only the same client
order id is a duplicate, which the journal settles before any check is asked.
"""

from __future__ import annotations

from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Params, Seconds
from riskguard.core.reject import Reject, RejectCode


class Parameters(Params):
    within_s: Seconds


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse a copy of an order approved less than the window ago; a change of an order is no copy of it."""
    if facts.modifying or facts.order.slice_of:
        return None
    before_us = facts.same_order_us()
    if before_us is None or facts.now_us - before_us >= params.within_s:
        return None
    return Reject(
        RejectCode.DUPLICATE_ORDER,
        measured=max(0, facts.now_us - before_us) // 1000,
        limit=params.within_s // 1000,
        unit="ms",
        max_quantity=0,
        frees_at_us=before_us + params.within_s,
        detail="the same order was approved a moment ago",
    )


CHECK = Check("duplicate_order", Parameters, check, exits=False)
