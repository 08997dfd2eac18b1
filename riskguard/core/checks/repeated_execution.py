"""
A runaway: the same strategy, instrument and side filled and sent again, or refused and asked again, over and over.

Reaching the number trips: with n orders of this kind filled in the window this one is turn n + 1 of the wheel. Orders
count by the time they were let out, exits not at all; refusals with their repeats, those of a stopped account and of
this check not at all. What lies before the last release does not count: a person has looked at it. A breach halts the
strategy until a named person releases it. Exits are exempt.
Source: checks.md §1; MiFID II RTS 6 art. 15 (repeated automated execution throttle); Knight 2012, Everbright 2013.
"""

from __future__ import annotations

from typing import Final

from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Count, Params, Seconds
from riskguard.core.reject import Reject, RejectCode

NOT_COUNTED: Final = frozenset(
    {
        RejectCode.TRADING_HALTED, RejectCode.REDUCE_ONLY, RejectCode.REPEATED_EXECUTION, RejectCode.PERMIT_VOID,
        RejectCode.STORE_BUSY, RejectCode.STORE_UNAVAILABLE,
    }
)  # fmt: skip
"""Refusals that say nothing of the strategy: counted, they would halt it anew at its first order after a release."""


class Parameters(Params):
    trip_at_fills: Count
    trip_at_refusals: Count
    per_s: Seconds


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse the next turn once the window holds as many as the limit says."""
    fills, refusals = facts.loops_in(params.per_s)
    if fills < params.trip_at_fills and refusals < params.trip_at_refusals:
        return None
    by_fills = fills >= params.trip_at_fills
    name, side = facts.order.strategy or "(unnamed)", facts.order.side
    what = "was sent and filled again and again" if by_fills else "was refused and asked again and again"
    return Reject(
        RejectCode.REPEATED_EXECUTION,
        measured=fills if by_fills else refusals,
        limit=params.trip_at_fills if by_fills else params.trip_at_refusals,
        unit="fills" if by_fills else "refusals",
        max_quantity=0,
        detail=f"{side} of strategy {name} {what} within {params.per_s / 1_000_000:g} s",
        hint="look at its loop; then a person releases it: `riskguard release`",
    )


CHECK = Check(
    "repeated_execution",
    Parameters,
    check,
    exits=False,
    mandatory=True,
    needs=("cycles",),
    on_breach="halt",
    halts="STRATEGY",
    passes="(loops := facts.loops_in(params.per_s))[0] < params.trip_at_fills and loops[1] < params.trip_at_refusals",
)
