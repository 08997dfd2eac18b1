"""
Every check, one file each, in order of precedence.

To add one: write its file (parameters, function, `CHECK`), put it in `CHECKS` where it belongs, give it table
tests on both sides of its edge, and name it in the rulebooks.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

from riskguard.core.checks import (
    attempt_rate,
    daily_loss,
    data_freshness,
    duplicate_order,
    lot_size,
    net_position,
    order_quantity,
    order_rate,
    order_validity,
    order_value,
    price_tick,
    sweep_heartbeat,
    trading_state,
    unconfirmed_in_flight,
)
from riskguard.core.limits import Check, Limit
from riskguard.core.scope import Scope
from riskguard.errors import RulebookError

CHECKS: Final[tuple[Check, ...]] = (
    trading_state.CHECK,
    order_validity.CHECK,
    lot_size.CHECK,
    price_tick.CHECK,
    data_freshness.CHECK,
    sweep_heartbeat.CHECK,
    daily_loss.CHECK,
    order_quantity.CHECK,
    order_value.CHECK,
    net_position.CHECK,
    unconfirmed_in_flight.CHECK,
    duplicate_order.CHECK,
    order_rate.CHECK,
    attempt_rate.CHECK,
)

MANDATORY: Final = tuple(check.name for check in CHECKS if check.mandatory)

ALWAYS: Final = tuple(
    Limit(id=f"built-in-{check.name}", check=check, params=check.params(), scope=Scope("GLOBAL"), set_by="riskguard")
    for check in (trading_state.CHECK, order_validity.CHECK)
)
"""Asked of every order, whatever the limits say: deleting a row must not open a halted account."""

_BY_NAME: Final = {check.name: check for check in CHECKS}


def by_name(name: object) -> Check:
    """Return the check of that name; raises RulebookError with a suggestion."""
    found = _BY_NAME.get(name) if isinstance(name, str) else None
    if found is None:
        near = get_close_matches(str(name), _BY_NAME, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(sorted(_BY_NAME))}"
        raise RulebookError(f"no check `{str(name)[:40]}`: {hint}")
    return found
