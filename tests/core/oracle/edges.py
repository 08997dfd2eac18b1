"""
Put a limit exactly where the order lands, or one unit below: both sides of an edge nobody would hit by chance.

What the order measures is asked of the check itself, under a limit so tight that it refuses. That proves nothing yet:
the oracle, which measures for itself, must then let it pass on the edge and refuse it one unit further.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import ceil
from random import Random
from typing import Any

from riskguard.core.facts import Facts
from riskguard.core.limits import Limit
from riskguard.core.money import to_text
from riskguard.core.reject import Reject
from riskguard.errors import RulebookError
from tests.core.oracle.case import Case

INR = {
    "order_value": "order_value_inr_max", "position_value": "position_value_inr_max",
    "gross_exposure": "gross_exposure_inr_max", "net_exposure": "net_exposure_inr_max",
    "open_order_value": "open_order_value_inr_max",
}  # fmt: skip
COUNTS = {
    "order_quantity": "quantity_max", "naked_short_option": "naked_lots_max", "open_order_count": "open_orders_max",
    "attempt_rate": "attempts_max", "modification_count": "modifications_max",
}  # fmt: skip
OF_EQUITY = {"leverage": "leverage_max", "concentration": "concentration_pct_max"}
TIGHTEST = "0.0001"


def sharpen(rng: Random, case: Case) -> None:
    """Move one limit of *case*, if one can be moved, to an edge."""
    from tests.core.oracle.cases import PlainLimitSet

    of = case.account
    below = rng.random() < 0.5
    for limit in rng.sample(of.limits.limits, min(4, len(of.limits.limits))):
        moved = _moved(case, limit, below)
        if moved is not None:
            if moved is not limit:
                of.limits = PlainLimitSet(tuple(moved if each is limit else each for each in of.limits.limits))
            return


def _moved(case: Case, limit: Limit, below: bool) -> Limit | None:
    """Return the limit on the edge (or the account moved under it), None where it has no such edge."""
    name, by = limit.check.name, 1 if below else 0
    if name in INR:
        found = _measured(case, limit, {INR[name]: TIGHTEST})
        return None if found is None else _with(limit, {INR[name]: to_text(found - by)})
    if name in COUNTS:
        unit = {"unit": limit.params.unit} if name == "order_quantity" else {}  # type: ignore[attr-defined]
        rest: dict[str, Any] = {**_plain(limit), **unit}
        least = "none" if name == "naked_short_option" else 1
        found = _measured(case, limit, {**rest, COUNTS[name]: least})
        return None if found is None else _with(limit, {**rest, COUNTS[name]: found - by or least})
    if name == "net_position":
        rest = _plain(limit)
        found = _measured(case, limit, {**rest, "position_max": TIGHTEST})
        if found is None:
            return None
        in_rupees = rest["unit"] == "inr" or (rest["unit"] == "unconfirmed" and _said_inr(case, limit, rest))
        return _with(limit, {**rest, "position_max": to_text(found - by) if in_rupees else found - by})
    if name == "time_to_flat":
        found = _measured(case, limit, {**_plain(limit), "flat_s_max": TIGHTEST})
        return None if found is None else _with(limit, {**_plain(limit), "flat_s_max": to_text((found - by) * 10)})
    if name == "projected_daily_loss":
        rest = {"scenario_pct": _plain(limit)["scenario_pct"]}
        found = _measured(case, limit, {**rest, "daily_loss_inr_max": TIGHTEST})
        # Reaching this one refuses: one above it passes.
        return None if found is None else _with(limit, {**rest, "daily_loss_inr_max": to_text(found + 1 - by)})
    if name == "risk_per_trade" and limit.params.risk_pct_max is None:  # type: ignore[attr-defined]
        found = _measured(case, limit, {"risk_inr_max": TIGHTEST})
        return None if found is None else _with(limit, {"risk_inr_max": to_text(found - by)})
    return _with_money(case, limit, by)


def _with_money(case: Case, limit: Limit, by: int) -> Limit | None:
    """Limits that are a part of the account's money: move the money, so that the part is what the order measures."""
    name, of = limit.check.name, case.account
    if name in OF_EQUITY:
        found = _measured(case, limit, {OF_EQUITY[name]: TIGHTEST if name == "leverage" else "0.01"})
        if found is None or of.pnl is None or of.pnl.day_pnl_e4 is None or of.opening_equity_e4 is None:
            return None
        k = Fraction(getattr(limit.params, OF_EQUITY[name]), 10_000)
        scope = limit.scope.kind
        others = [each.opening_equity_e4 for each in of.peers.get(scope, ())] if scope in ("GROUP", "GLOBAL") else []
        of.opening_equity_e4 = ceil((found - by) / k) - of.pnl.day_pnl_e4 - sum(each or 0 for each in others)
        return limit
    if name == "margin_available":
        standing = of.funds_available_e4
        of.funds_available_e4 = -(10**15)
        found = _measured(case, limit, _plain(limit))
        if found is None:
            of.funds_available_e4 = standing
            return None
        held = Facts.of(case.order, of, case.now_us).margin_held(limit.params.short_margin_pct)[0]  # type: ignore[attr-defined]
        free = 1 - Fraction(limit.params.buffer_pct, 10_000)  # type: ignore[attr-defined]
        of.funds_available_e4 = ceil((found - by) / free) + held
        return limit
    return None


def _plain(limit: Limit) -> dict[str, Any]:
    return limit.params.model_dump(mode="json")


def _with(limit: Limit, figures: dict[str, Any]) -> Limit | None:
    """Return the limit with other figures; None where they are no limit any more (nothing below the least)."""
    try:
        return replace(limit, id=f"{limit.id} on the edge", params=limit.check.params.read(figures, where="an edge"))
    except RulebookError:
        return None


def _refusal(case: Case, limit: Limit, figures: dict[str, Any]) -> Reject | None:
    params = limit.check.params.read(figures, where="an edge")
    facts = Facts.of(case.order, case.account, case.now_us, case.by, case.modifying, case.lowering)
    return limit.check.question(limit.scope, params)(facts, params)


def _measured(case: Case, limit: Limit, figures: dict[str, Any]) -> int | None:
    reject = _refusal(case, limit, figures)
    return None if reject is None else reject.measured_raw


def _said_inr(case: Case, limit: Limit, rest: dict[str, Any]) -> bool:
    reject = _refusal(case, limit, {**rest, "position_max": TIGHTEST})
    return reject is not None and reject.unit == "inr"
