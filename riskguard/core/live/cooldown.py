"""
Cooldown: after a stop, the same instrument is not entered again for `pause_s`.

A round trip that ended by a stop order (`after = "stop"`), or at a loss (`after = "loss"`), leaves its instrument
REDUCE_ONLY from the fill on; the time runs from the fill, not from the sweep that saw it.
"""

from __future__ import annotations

from typing import Literal

from riskguard.core.limits import Limit, live_check
from riskguard.core.live.loss_streak import TRADED, inside
from riskguard.core.live.session import begun, settle
from riskguard.core.live.verdict import Finding, Memory, Verdict, instrument_scope
from riskguard.core.live.view import View
from riskguard.core.params import US, Params, Seconds


class Parameters(Params):
    """After what, and for how long."""

    after: Literal["stop", "loss"]
    pause_s: Seconds


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """Close the instruments whose last stop is younger than the pause, and open the others."""
    made, kept = begun(view, limit, memory)
    if view.fills is None:
        return made
    found = {}
    for trip in view.fills.trips:
        ended = trip.by_stop if params.after == "stop" else trip.pnl_e4 is not None and trip.pnl_e4 < 0
        left_us = trip.closed_us + params.pause_s - now_us
        if ended and left_us > 0 and inside(view, limit, trip.instrument, trip.strategy):
            said = f"{view.name(trip.instrument)} ended by a {params.after}: no new entry for {-(-left_us // US)} s"
            message = f"{said} (limit `{limit.id}`)"
            found[instrument_scope(trip.instrument)] = Finding("COOLDOWN_BEGUN", "info", message, limit.id)
    settle(made, kept, limit, found)
    return made


CHECK = live_check("cooldown", Parameters, judge, period="ever", scopes=TRADED, plan="halt")
