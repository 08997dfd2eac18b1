"""
Trades per day: so many entries, and then only exits until the next session.

An entry is an order that opened or added to a position and filled, at least in part. Exits, stops that closed, and the
second and later slices of one order do not count. The number itself is allowed: having reached it closes the door.
"""

from __future__ import annotations

from riskguard.core.limits import Limit, live_check
from riskguard.core.live.loss_streak import TRADED
from riskguard.core.live.session import begun
from riskguard.core.live.verdict import Finding, Memory, Verdict, breach
from riskguard.core.live.view import View
from riskguard.core.params import Count, Params


class Parameters(Params):
    """How many entries a session may have."""

    entries_max: Count


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """Count today's entries over the limit's scope."""
    made, kept = begun(view, limit, memory)
    if view.fills is None or kept.get("tripped"):
        return made
    by_strategy = limit.scope.kind == "STRATEGY"
    count = sum(
        1
        for entry in view.fills.entries
        if (entry.strategy == limit.scope.name if by_strategy else view.holds(limit.scope, entry.instrument))
    )
    if count >= params.entries_max:
        said = f"{count} entries of {params.entries_max} today (limit `{limit.id}`): only exits until the next session"
        found = Finding("TRADES_PER_DAY_REACHED", "warning", said, limit.id, count, params.entries_max, "entries")
        made.findings.append(found)
        made.actions.append(breach(limit, found, soft=True))
        kept["tripped"] = True
    return made


CHECK = live_check("trades_per_day", Parameters, judge, period="ever", scopes=TRADED)
