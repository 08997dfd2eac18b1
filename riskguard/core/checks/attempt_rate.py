"""Orders asked about per strategy in a sliding window, refused ones included: a loop that hammers is a fault."""

from __future__ import annotations

from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Count, Params, Seconds
from riskguard.core.reject import Reject, RejectCode


class Parameters(Params):
    attempts_max: Count
    per_s: Seconds


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse when this question is one too many in the window. Exits are exempt."""
    attempts = facts.attempts_in(params.per_s) + 1
    if attempts <= params.attempts_max:
        return None
    return Reject(
        RejectCode.ATTEMPT_RATE_ABOVE_LIMIT,
        measured=attempts,
        limit=params.attempts_max,
        unit="attempts",
        max_quantity=0,
        frees_at_us=facts.now_us + params.per_s,
        hint="the strategy asks faster than it can act on the answers",
    )


CHECK = Check("attempt_rate", Parameters, check, exits=False)
