"""
Unsolicited orders: sent past riskguard, by hand in the broker's app or by another tool.

They are adopted in any case: they count as working, their fills are in the position and the P&L. `on_breach` says what
else: `warn` says so and no more, `reduce_only` and `halt` stop the account until a person looks. Children of known
parents and the broker's own square-offs are adopted without a word. Each order is said once a session.
"""

from __future__ import annotations

from typing import Final

from riskguard.core.limits import Limit, live_check
from riskguard.core.live.session import begun
from riskguard.core.live.verdict import Finding, Memory, Verdict, breach
from riskguard.core.live.view import View
from riskguard.core.params import Params

TOLD_MAX: Final = 500
"""Orders remembered one by one; beyond it the newest are said again rather than none."""


class Parameters(Params):
    """None: an order was asked for, or it was not."""


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """Say what is new."""
    made, kept = begun(view, limit, memory)
    told = kept.get("told", [])
    known = set(told)
    fresh = [each for each in view.unsolicited or () if not each.adopted and each.order_id not in known]
    if not fresh:
        return made
    kept["told"] = [*told, *(each.order_id for each in fresh)][-TOLD_MAX:]
    shown = "; ".join(each.text for each in fresh[:5]) + ("" if len(fresh) <= 5 else f" and {len(fresh) - 5} more")
    said = f"orders nobody asked riskguard about: {shown} (limit `{limit.id}`)"
    found = Finding("UNSOLICITED_ORDER_SEEN", "warning", said, limit.id, len(fresh), 0, "orders")
    made.findings.append(found)
    made.actions.append(breach(limit, found))
    return made


CHECK = live_check("unsolicited_order", Parameters, judge, period="ever", on_breach="warn")
