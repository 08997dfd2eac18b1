"""
How much of a limit an approved order used.

A check answers "no" or nothing. How near "nothing" was to "no" is found by asking the same question again with less:
the smallest part of the limit that still passes is the part that was used. So every check is measured by itself, and
none carries a second formula that might disagree with the first. It is asked on the kept facts of a decision, off the
way of orders.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

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
            window.model_copy(
                update={"messages_max": window.reserve + _cut(window.messages_max - window.reserve, part_e2)}
            )
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


class Gauge:
    """Measures one limit; keeps its parts, because making one costs more than asking it."""

    __slots__ = ("_parts", "_run", "limit")

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._run = limit.check.question(limit.scope, limit.params)
        self._parts: dict[int, Params] = {WHOLE: limit.params}

    def _ask(self, facts: Facts, part_e2: int) -> Reject | None:
        params = self._parts.get(part_e2)
        if params is None:
            params = self._parts[part_e2] = part_of(self.limit.check.name, self.limit.params, part_e2)
        return self._run(facts, params)

    def used(self, facts: Facts, known_e2: int = 0) -> Used | None:
        """
        Return how much of the limit the approved order of *facts* used; None when nothing of it, or nobody can say.

        What is at most *known_e2* is no news and returned as no more than that: as `NEAR_PCT` or less, or as
        *known_e2*, without the search. The facts must be those of a record read as `Recalled`.
        """
        try:
            none = self._ask(facts, 0)
            if none is None or none.measured_raw is None or self._ask(facts, WHOLE) is not None:
                return None
            for part_e2 in sorted({min(known_e2, NEAR_PCT * 100), known_e2} - {0}):
                if self._ask(facts, part_e2) is None:
                    return Used(part_e2, "")
            return Used(self._least(facts, known_e2), f"{none.measured} {none.unit}".strip())
        except Exception:  # a check that cannot be asked says nothing, and nobody waits for the answer
            return None

    def _least(self, facts: Facts, refused: int) -> int:
        """Return the smallest part of the limit that passes: what is refused with less passes with more."""
        passes = WHOLE
        while passes - refused > 1:
            middle = (refused + passes) // 2
            if self._ask(facts, middle) is None:
                passes = middle
            else:
                refused = middle
        return passes


def gauges(limits: Iterable[Limit]) -> tuple[Gauge, ...]:
    """Return a gauge for each limit that has a ceiling."""
    return tuple(Gauge(limit) for limit in limits if limit.check.name in CEILINGS or limit.check.name in BY_HAND)


def tier_of(part_e2: int) -> int:
    """Return the highest tier the order took the measure past, 0 for none; landing on one is not past it."""
    return max((tier for tier in TIERS if part_e2 > tier * 100), default=0)
