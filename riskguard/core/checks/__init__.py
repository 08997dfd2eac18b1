"""
Every check, one file each, in order of precedence. What only the sweep asks stands in `core/live`.

To add one: write its file (parameters, function, `CHECK`), put it in `CHECKS` where it belongs, give it table
tests on both sides of its edge, and name it in the rulebooks.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

from riskguard.core.checks import (
    attempt_rate,
    clock_skew,
    concentration,
    daily_loss,
    data_freshness,
    duplicate_order,
    freeze_quantity,
    gross_exposure,
    leverage,
    lot_size,
    margin_available,
    modification_count,
    naked_short_option,
    net_exposure,
    net_position,
    open_order_count,
    open_order_value,
    order_quantity,
    order_rate,
    order_to_trade_ratio,
    order_validity,
    order_value,
    permission,
    position_value,
    price_band,
    price_collar,
    price_tick,
    projected_daily_loss,
    repeated_execution,
    risk_per_trade,
    self_trade,
    signal_age,
    stop_limit_gap,
    stop_required,
    sweep_heartbeat,
    time_to_flat,
    trading_state,
    trading_window,
    unconfirmed_in_flight,
)
from riskguard.core.limits import Check, Limit
from riskguard.core.live import LIVE_ONLY
from riskguard.core.scope import Scope
from riskguard.errors import RulebookError

CHECKS: Final[tuple[Check, ...]] = (
    trading_state.CHECK,
    order_validity.CHECK,
    permission.CHECK,
    trading_window.CHECK,
    lot_size.CHECK,
    freeze_quantity.CHECK,
    price_tick.CHECK,
    stop_limit_gap.CHECK,
    price_band.CHECK,
    price_collar.CHECK,
    data_freshness.CHECK,
    clock_skew.CHECK,
    signal_age.CHECK,
    sweep_heartbeat.CHECK,
    daily_loss.CHECK,
    projected_daily_loss.CHECK,
    stop_required.CHECK,
    risk_per_trade.CHECK,
    order_quantity.CHECK,
    order_value.CHECK,
    net_position.CHECK,
    naked_short_option.CHECK,
    position_value.CHECK,
    gross_exposure.CHECK,
    net_exposure.CHECK,
    leverage.CHECK,
    concentration.CHECK,
    margin_available.CHECK,
    open_order_value.CHECK,
    open_order_count.CHECK,
    time_to_flat.CHECK,
    self_trade.CHECK,
    unconfirmed_in_flight.CHECK,
    duplicate_order.CHECK,
    repeated_execution.CHECK,
    modification_count.CHECK,
    order_to_trade_ratio.CHECK,
    order_rate.CHECK,
    attempt_rate.CHECK,
)

LIVE_CHECKS: Final[tuple[Check, ...]] = (daily_loss.CHECK, *LIVE_ONLY)
"""What the sweep asks, in order of precedence: docs/live-checks.md."""

EVERY: Final[tuple[Check, ...]] = (*CHECKS, *LIVE_ONLY)
"""Whatever a rulebook may name."""

MANDATORY: Final = tuple(check.name for check in EVERY if check.mandatory)

ALWAYS: Final = tuple(
    Limit(id=f"built-in-{check.name}", check=check, params=check.params(), scope=Scope("GLOBAL"), set_by="riskguard")
    for check in (trading_state.CHECK, order_validity.CHECK)
)
"""Asked of every order, whatever the limits say: deleting a row must not open a halted account."""

_BY_NAME: Final = {check.name: check for check in EVERY}


def build_validators() -> None:
    """Build what reads the parameters of the mandatory checks: every account has them, and its first check waits."""
    for check in CHECKS:
        if check.mandatory:
            check.params.model_rebuild()


def by_name(name: object) -> Check:
    """Return the check of that name; raises RulebookError with a suggestion."""
    found = _BY_NAME.get(name) if isinstance(name, str) else None
    if found is None:
        near = get_close_matches(str(name), _BY_NAME, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(sorted(_BY_NAME))}"
        raise RulebookError(f"no check `{str(name)[:40]}`: {hint}")
    return found
