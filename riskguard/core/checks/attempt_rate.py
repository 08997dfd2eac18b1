"""
Orders asked about per strategy in a sliding window, refused ones included: a loop that hammers is a fault.

An order whose id was asked before counts once: its answer stands already. Exits count and are exempt.
"""

from __future__ import annotations

from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Count, Params, Seconds
from riskguard.core.reject import Reject, RejectCode


class Parameters(Params):
    attempts_max: Count
    per_s: Seconds


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse when this question is one too many in the window."""
    most, window_us = params.attempts_max, params.per_s
    attempts = facts.attempts_in(window_us) + 1
    if attempts <= most:
        return None
    # This question counts too: it is free again once `most` of the questions before the next one have left, or, where
    # one is all there may be, once this one has.
    frees_us = facts.attempt_leaves_us(most - 1, window_us) if most > 1 else None
    return Reject(
        RejectCode.ATTEMPT_RATE_ABOVE_LIMIT,
        measured=attempts,
        limit=most,
        unit="attempts",
        max_quantity=0,
        frees_at_us=facts.now_us + window_us if frees_us is None else frees_us,
        hint="the strategy asks faster than it can act on the answers",
    )


CHECK = Check("attempt_rate", Parameters, check, exits=False)
