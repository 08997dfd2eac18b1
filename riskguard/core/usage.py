"""
How much of a limit an approved order used.

A check answers "no" or nothing. How near "nothing" was to "no" is found by asking the same question again with less:
the smallest part of the limit that still passes is the part that was used. So every check is measured by itself, and
none carries a second formula that might disagree with the first. It is asked on the kept facts of a decision, off the
way of orders.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from riskguard.core.facts import Facts
from riskguard.core.limits import Limit
from riskguard.core.params import Params
from riskguard.core.reject import Reject

TIERS: Final = (50, 75, 85, 90, 95)
"""Percent of a limit at which somebody is told. Source: checks.md §0."""
NEAR_PCT: Final = 90
"""An approval that used more than this was a near miss: less than a tenth was left."""
WHOLE: Final = 10_000
"""All of a limit, in 1/100 percent."""

CEILINGS: Final[dict[str, tuple[str, ...]]] = {
    "attempt_rate": ("attempts_max",),
    "concentration": ("concentration_pct_max",),
    "data_freshness": ("snapshot_age_s_max",),
    "gross_exposure": ("gross_exposure_inr_max",),
    "leverage": ("leverage_max",),
    "modification_count": ("modifications_max",),
    "naked_short_option": ("naked_lots_max",),
    "net_exposure": ("net_exposure_inr_max",),
    "net_position": ("position_max",),
    "open_order_count": ("open_orders_max",),
    "open_order_value": ("open_order_value_inr_max",),
    "order_quantity": ("quantity_max",),
    "order_value": ("order_value_inr_max",),
    "position_value": ("position_value_inr_max",),
    "projected_daily_loss": ("daily_loss_inr_max", "daily_loss_pct_max"),
    "risk_per_trade": ("risk_inr_max", "risk_pct_max"),
    "signal_age": ("signal_age_s_max",),
    "time_to_flat": ("flat_s_max",),
}
"""The numbers that grow with what is allowed; all of a check's shrink together."""

BY_HAND: Final = frozenset({"order_rate", "margin_available"})
"""Checks with a ceiling that is no field of its own: see `part_of`."""

WITHOUT: Final[dict[str, str]] = {
    "clock_skew": "a clock is right or wrong",
    "daily_loss": "the sweep measures it, and warns by its own tiers",
    "duplicate_order": "an order is a double or not",
    "freeze_quantity": "the exchange's number",
    "lot_size": "the exchange's number",
    "order_to_trade_ratio": "its ceiling moves with the day's trades, and its free orders would be halved with it",
    "order_validity": "an order is valid or not",
    "permission": "lists, no number",
    "price_band": "the exchange's number",
    "price_collar": "a price at its edge is meant to be there",
    "price_tick": "the exchange's number",
    "repeated_execution": "its fills and refusals are counted for the loop, not for the account",
    "self_trade": "an order could meet another or not",
    "stop_limit_gap": "the exchange's number",
    "stop_required": "a stop is there or not",
    "sweep_heartbeat": "a sweep is late or not: the daemon says so itself",
    "trading_state": "a state, no number",
    "trading_window": "hours, no amount",
    "unconfirmed_in_flight": "an answer is late or not",
}
"""Checks that nothing can be near to, and why."""


class Used(NamedTuple):
    """How much of a limit an order used: 1/100 percent, rounded up, and what was measured, in words."""

    part_e2: int
    measured: str


class Recalled(Facts):
    """Facts of a record, asked about less than what stood: when a window frees up was not looked at then."""

    __slots__ = ()

    def sent_leaves_us(self, count: int, window_us: int) -> int | None:
        return None

    def attempt_leaves_us(self, count: int, window_us: int) -> int | None:
        return None


def part_of(check: str, params: Params, part_e2: int) -> Params:
    """
    Return *params* with its ceiling cut to *part_e2* (1/100 percent), rounded down; 0 allows nothing.

    What comes out is for asking only: 0 is no limit a rulebook may hold, so it is not validated.
    """
    if check == "order_rate":
        windows = [
            window.model_copy(update={"messages_max": window.reserve + _cut(window.messages_max - window.reserve, part_e2)})
            for window in params.windows  # type: ignore[attr-defined]
        ]
        return params.model_copy(update={"windows": windows})
    if check == "margin_available":
        kept: int = params.buffer_pct  # type: ignore[attr-defined]
        return params.model_copy(update={"buffer_pct": WHOLE - _cut(WHOLE - kept, part_e2)})
    values = {name: getattr(params, name) for name in CEILINGS[check]}
    return params.model_copy(update={name: _cut(each, part_e2) for name, each in values.items() if type(each) is int})


def _cut(value: int, part_e2: int) -> int:
    return value * part_e2 // WHOLE


def used(facts: Facts, limit: Limit) -> Used | None:
    """
    Return how much of *limit* the approved order of *facts* used; None when nothing of it, or nobody can say.

    The facts must be those of a record read as `Recalled`. What the record does not hold cannot be said.
    """
    check = limit.check.name
    if check not in CEILINGS and check not in BY_HAND:
        return None
    run = limit.check.question(limit.scope, limit.params)
    try:
        none = run(facts, part_of(check, limit.params, 0))
        if none is None or none.measured_raw is None or run(facts, limit.params) is not None:
            return None
        return Used(_least(run, facts, check, limit.params), _words(none))
    except Exception:  # a check that cannot be asked says nothing, and nobody waits for the answer
        return None


def _least(run: Callable[[Facts, Any], Reject | None], facts: Facts, check: str, params: Params) -> int:
    """Return the smallest part of the limit that passes: what is refused with less passes with more."""
    refused, passes = 0, WHOLE
    while passes - refused > 1:
        middle = (refused + passes) // 2
        if run(facts, part_of(check, params, middle)) is None:
            passes = middle
        else:
            refused = middle
    return passes


def _words(reject: Reject) -> str:
    return f"{reject.measured} {reject.unit}".strip()


def tier_of(part_e2: int) -> int:
    """Return the highest tier the order took the measure past, 0 for none; landing on one is not past it."""
    return max((tier for tier in TIERS if part_e2 > tier * 100), default=0)
