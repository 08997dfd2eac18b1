"""
Stale books decide nothing: the position list must be recent. Exactly as old as allowed still passes.

A quote's age is judged where a price is needed (`order_value`, `net_position` in rupees), not here: a limit
buy without price checks needs no quote. Exits are exempt.
"""

from __future__ import annotations

from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Params, Seconds
from riskguard.core.pricing import CLOCK_SKEW_MAX_US
from riskguard.core.reject import Reject, RejectCode


class Parameters(Params):
    snapshot_age_s_max: Seconds


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse when no complete position list exists, it is too old, or it was stamped in the future."""
    seen_us = facts.position_seen_us
    if seen_us is None:
        return Reject(
            RejectCode.POSITION_UNKNOWN,
            unit="ms",
            limit=params.snapshot_age_s_max // 1000,
            max_quantity=0,
            detail="no complete position list was fetched yet",
            hint="run a sweep, or report positions with `guard.report_positions(...)`",
        )
    age_us = facts.now_us - seen_us
    if age_us < -CLOCK_SKEW_MAX_US:
        return Reject(
            RejectCode.CLOCK_SKEW,
            measured=-age_us // 1000,
            limit=CLOCK_SKEW_MAX_US // 1000,
            unit="ms",
            max_quantity=0,
            detail="the position list is stamped in the future: a clock is wrong",
        )
    if age_us <= params.snapshot_age_s_max:
        return None
    return Reject(
        RejectCode.SNAPSHOT_STALE,
        measured=age_us // 1000,
        limit=params.snapshot_age_s_max // 1000,
        unit="ms",
        max_quantity=0,
        detail="the position list is too old",
        hint="is the sweep running? `riskguard run`",
    )


CHECK = Check(
    "data_freshness", Parameters, check, exits=False, mandatory=True,
    passes="facts.position_seen_us is not None and 0 <= now_us - facts.position_seen_us <= params.snapshot_age_s_max",
)  # fmt: skip
