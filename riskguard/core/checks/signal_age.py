"""
An old reason to trade is no reason: the order says when its signal was seen, and that must be recent.

Exactly as old as allowed still passes. An order that does not say is refused: a strategy under this limit stamps its
orders. A signal from the future is nobody's to judge the age of. Exits are exempt.
"""

from __future__ import annotations

from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Params, Seconds
from riskguard.core.pricing import CLOCK_SKEW_MAX_US
from riskguard.core.reject import Reject, RejectCode


class Parameters(Params):
    signal_age_s_max: Seconds


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse an order whose signal is too old, unknown, or from the future."""
    at_us = facts.order.signal_at_us
    if at_us is not None and -CLOCK_SKEW_MAX_US <= facts.now_us - at_us <= params.signal_age_s_max:
        return None
    ahead_us = 0 if at_us is None else at_us - facts.now_us
    if ahead_us > 0:
        return Reject(
            RejectCode.CLOCK_SKEW,
            measured=ahead_us // 1000,
            limit=CLOCK_SKEW_MAX_US // 1000,
            unit="ms",
            max_quantity=0,
            detail="the signal is stamped in the future: a clock is wrong",
        )
    return Reject(
        RejectCode.SIGNAL_STALE,
        measured=None if at_us is None else -ahead_us // 1000,
        limit=params.signal_age_s_max // 1000,
        unit="ms",
        max_quantity=0,
        detail="the order does not say when its signal was seen" if at_us is None else "the signal is too old",
        hint="give the order `signal_at`" if at_us is None else "",
    )


CHECK = Check("signal_age", Parameters, check, exits=False)
