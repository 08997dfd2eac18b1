"""
Nobody watches losses: when no sweep finished for some intervals, orders that add risk are refused.

Exactly the allowed age still passes. Exits are exempt.
"""

from __future__ import annotations

from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Count, Params
from riskguard.core.reject import Reject, RejectCode


class Parameters(Params):
    intervals_max: Count


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse when the last finished sweep is older than the allowed number of its own intervals."""
    at_us = facts.sweep_at_us
    allowed_us = params.intervals_max * facts.sweep_interval_us
    if at_us is not None and facts.now_us - at_us <= allowed_us:
        return None
    return Reject(
        RejectCode.SWEEP_STALE,
        measured=None if at_us is None else (facts.now_us - at_us) // 1000,
        limit=allowed_us // 1000,
        unit="ms",
        max_quantity=0,
        detail="no sweep ever finished" if at_us is None else "the last sweep is too long ago",
        hint="start the daemon with `riskguard run`, or sweep once with `riskguard sweep --once`",
    )


CHECK = Check(
    "sweep_heartbeat", Parameters, check, exits=False, mandatory=True,
    passes="facts.sweep_at_us is not None and now_us - facts.sweep_at_us "
    "<= params.intervals_max * facts.sweep_interval_us",
)  # fmt: skip
