"""
The trading state: what a stopped or reducing account still lets out.

REDUCE_ONLY admits orders that provably reduce, and a bought hedge that lowers naked short options, within a
premium. HALTED admits only an exit behind which a named person or the kill run stands, verified as reducing.
Source: kill-switch.md §1.
"""

from __future__ import annotations

from riskguard.core.direction import Direction
from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Inr, Params
from riskguard.core.reject import Reject, RejectCode
from riskguard.core.state import TradingState

# A plain name: looking a member up in its enum costs more than the whole question, on every order.
_ACTIVE = TradingState.ACTIVE


class Parameters(Params):
    hedge_premium_inr_max: Inr | None = None


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse what the effective state does not admit."""
    state = facts.state
    if state is _ACTIVE:
        return None
    if state is TradingState.REDUCE_ONLY:
        if facts.reducing or _hedge_within(facts, params.hedge_premium_inr_max):
            return None
        return Reject(
            RejectCode.REDUCE_ONLY,
            detail=facts.state_said,
            max_quantity=_would_pass(facts, params.hedge_premium_inr_max),
            hint=_way_out(facts),
        )
    if facts.reducing and facts.emergency_by:
        return None
    return Reject(
        RejectCode.TRADING_HALTED,
        detail=facts.state_said,
        max_quantity=0,
        hint="a person may let an exit out: `riskguard exit`; `riskguard status` says what release needs",
    )


def _hedge_within(facts: Facts, premium_max_e4: int | None) -> bool:
    if facts.direction is not Direction.HEDGING or premium_max_e4 is None:
        return False
    return facts.order.quantity <= _hedge_quantity(facts, premium_max_e4)


def _hedge_quantity(facts: Facts, premium_max_e4: int) -> int:
    """Return how much cover may be bought: no more than is naked, for no more than the premium."""
    price_e4 = facts.risk_price_e4()
    if price_e4 is None or facts.instrument is None or facts.instrument.multiplier is None:
        return 0
    quantity = min(facts.naked, premium_max_e4 // (price_e4 * facts.instrument.multiplier))
    return quantity - quantity % facts.instrument.lot_size


def _would_pass(facts: Facts, hedge_premium_max_e4: int | None) -> int:
    """Return the quantity of this side that REDUCE_ONLY lets out."""
    if facts.direction is Direction.HEDGING and hedge_premium_max_e4 is not None:
        return _hedge_quantity(facts, hedge_premium_max_e4)
    if not facts.known or facts.direction is Direction.UNHEDGING:
        return 0
    if facts.order.sign < 0:
        held = facts.sellable if facts.order.product == "CNC" else facts.net_near
        return max(0, held - facts.selling)
    return max(0, -facts.net_near - facts.buying)


def _way_out(facts: Facts) -> str:
    if facts.direction is Direction.FLIP:
        return "split it: first the quantity that closes; the rest waits until the account is ACTIVE"
    if facts.direction is Direction.UNHEDGING:
        return "it covers a short option: close the short first"
    return ""


CHECK = Check(
    "trading_state", Parameters, check, exits=True, mandatory=True, never_shadow=True, passes="facts.state is ACTIVE"
)
