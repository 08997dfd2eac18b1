"""
Loss streak: so many losing round trips in a row, and the strategy (or account) pauses.

A round trip is flat to flat in one instrument and product. It lost when it made less than nothing, charges aside; one
that made nothing, or whose result is not known, neither counts nor ends the streak. *Reaching* the number pauses for
`pause_s`; trips that ended before the pause began are not counted again.
"""

from __future__ import annotations

from riskguard.core.limits import Limit, live_check
from riskguard.core.live.session import begun
from riskguard.core.live.verdict import Clear, Finding, Memory, Verdict, breach, cause_of
from riskguard.core.live.view import View
from riskguard.core.params import Count, Params, Seconds


class Parameters(Params):
    """How many losses in a row, and how long a pause follows."""

    losses_max: Count
    pause_s: Seconds


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """Count the streak; pause, and end the pause."""
    made, kept = begun(view, limit, memory)
    until_us = kept.get("until_us", 0)
    if kept.get("tripped") and now_us >= until_us:
        made.clears.append(Clear(limit, cause_of(limit), "", "the pause is over"))
        del kept["tripped"]
    if view.fills is None or kept.get("tripped"):
        return made
    streak, last_us = 0, 0
    for trip in view.fills.trips:
        if trip.closed_us <= kept.get("counted_us", 0) or not inside(view, limit, trip.instrument, trip.strategy):
            continue
        if trip.pnl_e4 is not None and trip.pnl_e4:
            streak = streak + 1 if trip.pnl_e4 < 0 else 0
        last_us = trip.closed_us
    if streak >= params.losses_max:
        said = f"{streak} losing round trips in a row of {params.losses_max} (limit `{limit.id}`)"
        found = Finding("LOSS_STREAK_REACHED", "warning", said, limit.id, streak, params.losses_max, "trips")
        made.findings.append(found)
        made.actions.append(breach(limit, found, soft=True))
        kept |= {"tripped": True, "until_us": now_us + params.pause_s, "counted_us": last_us}
    return made


def inside(view: View, limit: Limit, instrument: tuple[str, str], strategy: str) -> bool:
    """Say whether what was traded lies in the limit's scope."""
    if limit.scope.kind == "STRATEGY":
        return limit.scope.name == strategy
    return view.holds(limit.scope, instrument)


TRADED = ("ACCOUNT", "GROUP", "GLOBAL", "SEGMENT", "STRATEGY", "UNDERLYING", "INSTRUMENT")

CHECK = live_check("loss_streak", Parameters, judge, period="ever", scopes=TRADED)
