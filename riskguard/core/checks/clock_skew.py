"""
Two clocks that disagree: a position list, quote, evidence or signal stamped in the future was not made by ours.

Exactly as far ahead as allowed still passes. What is old is judged where it is needed; what is from the future has no
age. Exits are exempt.
"""

from __future__ import annotations

from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Params, Seconds
from riskguard.core.reject import Reject, RejectCode


class Parameters(Params):
    ahead_s_max: Seconds


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse when anything the decision rests on is stamped further ahead than allowed."""
    latest_us = facts.now_us + params.ahead_s_max
    quote, evidence, order = facts.quote, facts.order.quote, facts.order
    if quote is not None and quote.at_us > latest_us:
        return _ahead("the quote", quote.at_us, facts, params)
    if evidence is not None and evidence.at_us > latest_us:
        return _ahead("the quote on the order", evidence.at_us, facts, params)
    if order.signal_at_us is not None and order.signal_at_us > latest_us:
        return _ahead("the signal", order.signal_at_us, facts, params)
    if facts.position_seen_us is not None and facts.position_seen_us > latest_us:
        return _ahead("the position list", facts.position_seen_us, facts, params)
    return None


def _ahead(what: str, at_us: int, facts: Facts, params: Parameters) -> Reject:
    return Reject(
        RejectCode.CLOCK_SKEW,
        measured=(at_us - facts.now_us) // 1000,
        limit=params.ahead_s_max // 1000,
        unit="ms",
        max_quantity=0,
        detail=f"{what} is stamped in the future: a clock is wrong",
        hint="set the clocks: is NTP running?",
    )


CHECK = Check("clock_skew", Parameters, check, exits=False)
