"""
Profit target: the day has made what it should; from here on only exits, or whatever the limit says.

*Reaching* it on two fresh readings 2 to 30 s apart counts: one print is no profit. Per session: the cause goes by
itself when the next session begins, unless the limit halts.
"""

from __future__ import annotations

from riskguard.core.limits import Limit, live_check
from riskguard.core.live.loss import TWICE_US_MAX, TWICE_US_MIN
from riskguard.core.live.session import begun
from riskguard.core.live.verdict import Finding, Memory, Verdict, breach
from riskguard.core.live.view import View
from riskguard.core.money import rupees
from riskguard.core.params import Inr, Params


class Parameters(Params):
    """How much is enough for a day."""

    target_inr: Inr


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """Act once a session when the target is proven."""
    made, kept = begun(view, limit, memory)
    total_e4, fresh = view.day_e4(limit.scope)
    if total_e4 is None or not fresh or kept.get("tripped"):
        return made
    if total_e4 < params.target_inr:
        kept.pop("breached_at_us", None)
        return made
    first_us = kept.get("breached_at_us")
    if first_us is None or not 0 <= now_us - first_us <= TWICE_US_MAX:
        kept["breached_at_us"] = now_us
    elif now_us - first_us >= TWICE_US_MIN:
        said = f"profit {rupees(total_e4)} reached its target {rupees(params.target_inr)} (limit `{limit.id}`)"
        found = Finding("PROFIT_TARGET_REACHED", "warning", said, limit.id, total_e4, params.target_inr)
        made.findings.append(found)
        made.actions.append(breach(limit, found, soft=True))
        kept["tripped"] = True
    return made


CHECK = live_check("profit_target", Parameters, judge, period="ever")
