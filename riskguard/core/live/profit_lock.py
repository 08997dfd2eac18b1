"""
Profit lock: once the day made `armed_at_inr`, it may give back only `give_back_pct` of its best.

The floor is best × (1 − give-back) and moves up only. Only fresh readings arm it or move it. *Reaching* the floor on
two fresh readings acts; on widened marks it stops what adds risk. Per session; a release does not lower the best.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from riskguard.core.limits import Limit, live_check
from riskguard.core.live.loss import TWICE_US_MAX, TWICE_US_MIN
from riskguard.core.live.verdict import Action, Finding, Memory, Verdict, breach, cause_of
from riskguard.core.live.view import View
from riskguard.core.money import rupees
from riskguard.core.params import Inr, Params
from riskguard.core.state import TradingState


class Parameters(Params):
    """From which profit on, and how much of the best may go."""

    armed_at_inr: Inr
    give_back_pct: Annotated[int, Field(gt=0, le=100)]


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """Arm, follow the best, and act at the floor."""
    total_e4, fresh = view.day_e4(limit.scope)
    made = Verdict(memory)
    if total_e4 is None:
        return made
    kept = dict(memory)
    made.memory = kept
    if fresh and total_e4 >= params.armed_at_inr and total_e4 > kept.get("peak_e4", 0):
        if "peak_e4" not in kept:
            said = f"profit {rupees(total_e4)} is locked from here: {params.give_back_pct} % may be given back"
            made.findings.append(
                Finding("PROFIT_LOCK_ARMED", "info", f"{said} (limit `{limit.id}`)", limit.id, total_e4)
            )
        kept["peak_e4"] = total_e4
    if "peak_e4" not in kept or kept.get("tripped"):
        return made
    floor_e4 = -(kept["peak_e4"] * (100 - params.give_back_pct) // -100)  # rounded up: a paisa early, never late
    if total_e4 > floor_e4:
        if fresh:
            kept.pop("breached_at_us", None)
        return made
    said = f"profit {rupees(total_e4)} of {rupees(kept['peak_e4'])} is at its floor {rupees(floor_e4)}"
    message = f"{said} (limit `{limit.id}`)"
    first_us = kept.get("breached_at_us")
    if not fresh:
        if not kept.get("reduced") and not limit.only_watches(now_us):
            found = Finding("PROFIT_LOCK_NEAR", "warning", f"{message}, by old marks", limit.id, total_e4, floor_e4)
            made.findings.append(found)
            made.actions.append(Action(TradingState.REDUCE_ONLY, limit, found, cause=cause_of(limit)))
            kept["reduced"] = True
    elif first_us is None or not 0 <= now_us - first_us <= TWICE_US_MAX:
        kept["breached_at_us"] = now_us
    elif now_us - first_us >= TWICE_US_MIN:
        found = Finding("PROFIT_LOCK_REACHED", "critical", message, limit.id, total_e4, floor_e4)
        made.findings.append(found)
        made.actions.append(breach(limit, found))
        kept["tripped"] = True
    return made


CHECK = live_check("profit_lock", Parameters, judge)
