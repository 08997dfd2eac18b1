"""
Orphan leg: a basket of which some legs filled and others never will, or not in time.

A group is incomplete while a leg that was approved with it holds less than the others' share: it was refused,
cancelled, or still rests. Incomplete for `incomplete_s_max` since it was approved, the legs that did fill are flattened
(plan `flatten`) and their instruments take no more. A leg whose position is closed again is no orphan.
"""

from __future__ import annotations

from riskguard.core.limits import Limit, live_check
from riskguard.core.live.session import begun, settle
from riskguard.core.live.verdict import Finding, Memory, Verdict, instrument_scope
from riskguard.core.live.view import Basket, View
from riskguard.core.params import Params, Seconds


class Parameters(Params):
    """How long the legs of one decision may be apart."""

    incomplete_s_max: Seconds


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """*Reaching* the time counts."""
    made, kept = begun(view, limit, memory)
    if view.baskets is None:
        return made
    found: dict[str, Finding] = {}
    for basket in view.baskets:
        if now_us - basket.since_us < params.incomplete_s_max or not _is_apart(basket):
            continue
        for leg in basket.legs:
            line = view.account.positions.get(leg.key, {}).get(leg.product)
            if not leg.filled or line is None or line.net * leg.filled <= 0 or not view.holds(limit.scope, leg.key):
                continue
            said = f"{view.name(leg.key)} {leg.filled:+d} filled, other legs of basket `{basket.name}` did not"
            found.setdefault(
                instrument_scope(leg.key),
                Finding("ORPHAN_LEG_FOUND", "critical", f"{said} (limit `{limit.id}`)", limit.id, unit=""),
            )
    settle(made, kept, limit, found)
    return made


def _is_apart(basket: Basket) -> bool:
    """Say whether the legs filled in different shares of what was ordered; a basket nobody filled is none."""
    legs = [leg for leg in basket.legs if leg.quantity]
    return any(leg.filled * legs[0].quantity != legs[0].filled * leg.quantity for leg in legs[1:])


CHECK = live_check(
    "orphan_leg", Parameters, judge, period="ever", plan="flatten",
    scopes=("ACCOUNT", "GROUP", "GLOBAL", "SEGMENT", "UNDERLYING"),
)  # fmt: skip
