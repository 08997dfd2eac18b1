"""
An order of this instrument went out and no answer came back: until it is settled, nobody knows the position.

One exit is allowed meanwhile: leaving is worth the doubt, twice over is not.
"""

from __future__ import annotations

from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Params, Seconds
from riskguard.core.reject import Reject, RejectCode


class Parameters(Params):
    answer_s_max: Seconds


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse while a sent order has waited longer than the limit; at exactly the limit it still passes."""
    since_us = facts.unanswered_since_us
    if since_us is None or facts.now_us - since_us <= params.answer_s_max:
        return None
    if facts.reducing and facts.exits_live == 0:
        return None
    return Reject(
        RejectCode.UNCONFIRMED_IN_FLIGHT,
        measured=(facts.now_us - since_us) // 1000,
        limit=params.answer_s_max // 1000,
        unit="ms",
        max_quantity=0,
        detail="an order of this instrument was sent and never answered",
        hint="reconcile it: the next sweep asks the broker for it",
    )


CHECK = Check(
    "unconfirmed_in_flight", Parameters, check, exits=True, mandatory=True,
    passes="facts.unanswered_since_us is None or now_us - facts.unanswered_since_us <= params.answer_s_max",
)  # fmt: skip
