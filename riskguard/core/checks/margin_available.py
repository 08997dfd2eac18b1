"""
Margin: what this order needs must be there, with a buffer kept.

Needed is what the broker said within the last minute for exactly this leg; where it was not asked, buys count in full
and sales a percent of notional (a short option's is its underlying's). There is what the broker last called
available, less what was approved since and it may not know of. Funds that are too old, or an order that cannot be
valued, are refused. On the limit is allowed. Exits are exempt. Source: checks.md §1.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from riskguard.core import measure
from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import FinePercent, Params, Seconds
from riskguard.core.pricing import CLOCK_SKEW_MAX_US
from riskguard.core.reject import RUPEES, Reject, RejectCode


class Parameters(Params):
    buffer_pct: Annotated[FinePercent, Field(lt=10_000)]
    short_margin_pct: FinePercent  # of notional, where the broker was not asked
    funds_age_s_max: Seconds


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse when required > (available − held) × (1 − buffer), rounded against the order, or nobody knows."""
    available_e4, at_us = facts.funds()
    if available_e4 is None or at_us is None:
        return _unknown("the broker has not said what is available", "run a sweep")
    if not -CLOCK_SKEW_MAX_US <= facts.now_us - at_us <= params.funds_age_s_max:
        return _unknown("what the broker said of funds is too old, or from the future", "run a sweep")
    held_e4, unvalued = facts.margin_held(params.short_margin_pct)
    if unvalued:
        return _unknown(f"`{unvalued}` was approved since, and cannot be valued", measure.PUSH)
    order = facts.order
    required_e4, basis_e4 = facts.margin()[0], facts.margin_basis_e4()
    percent_e2 = 10_000 if order.sign > 0 else params.short_margin_pct

    def needed_e4(quantity: int) -> int | None:
        if quantity == order.quantity and required_e4 is not None:
            return required_e4
        return None if basis_e4 is None else -(quantity * basis_e4 * percent_e2 // -10_000)

    if needed_e4(order.quantity) is None:
        return _unknown("what this order needs cannot be told", "ask the broker with `guard.prepare(...)`")
    free_e4 = available_e4 - held_e4
    return measure.above(
        facts, RejectCode.MARGIN_NOT_ENOUGH, needed_e4, free_e4 * (10_000 - params.buffer_pct) // 10_000,
        detail="margin this order needs against what is free" + ("" if required_e4 is not None else ", by estimate"),
    )  # fmt: skip


def _unknown(detail: str, hint: str) -> Reject:
    return Reject(RejectCode.MARGIN_UNKNOWN, unit=RUPEES, max_quantity=0, detail=detail, hint=hint)


CHECK = Check("margin_available", Parameters, check, exits=False, needs=("margin", "funds", "spots"))
