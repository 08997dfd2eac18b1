"""
Changes of one working order: the broker takes so many and no more, so the last ones are not spent on nothing.

The change that lands on the limit is allowed. Counted by the messages sent this session, whatever became of them. It
applies to exits too; a cancel is no change and always goes. Source: dhanhq-v2.md (25 modifications of one order).
"""

from __future__ import annotations

from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Count, Params
from riskguard.core.reject import Reject, RejectCode


class Parameters(Params):
    modifications_max: Count


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse one change too many; a new order is none."""
    if not facts.modifying:
        return None
    modifications = facts.modifications_of() + 1
    if modifications <= params.modifications_max:
        return None
    return Reject(
        RejectCode.MODIFICATIONS_ABOVE_LIMIT,
        measured=modifications,
        limit=params.modifications_max,
        unit="modifications",
        max_quantity=0,
        detail="the order was changed too often",
        hint="cancel it and ask for a new one",
    )


CHECK = Check("modification_count", Parameters, check, exits=True)
