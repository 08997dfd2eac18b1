"""
A stop that becomes the exit: one order changed in its place, so that the line is never without either.

Between cancelling a stop and placing an exit a position stands naked, for as long as nobody knows what became of the
exit. A change has no such moment: whatever its answer, the order rests as the one or the other, and the list says which.
"""

from __future__ import annotations

from typing import Any

from riskguard.core.decide import Decision
from riskguard.core.money import to_text
from riskguard.core.seen import SeenOrder
from riskguard.errors import BrokerError, InputError, PermitError, StoreError
from riskguard.redaction import redacted
from riskguard.services.kill.killrun import naming, prices
from riskguard.services.kill.killrun.covering import Covered
from riskguard.services.kill.killrun.judging import STOPS
from riskguard.services.kill.killrun.plans import SECOND_US
from riskguard.services.kill.killrun.round import Round
from riskguard.services.kill.powers import modify_of

TRIES_MAX = 2
AGAIN_US = 6 * SECOND_US
"""An unanswered change is settled by the broker's list within this time."""


def can(round_: Round, order: SeenOrder) -> bool:
    """
    Say whether *order* is a plain stop that this broker changes, and was asked for it less than twice in vain.

    Refused, or taken and not made, is in vain; where nobody answered, the list tells, and it is asked again.
    """
    if modify_of(round_.broker) is None or order.kind != "ORDER" or order.order_type not in STOPS:
        return False
    tries = round_.tries("CONVERT", order.order_id)
    vain = sum(each.state in ("FAILED", "DONE") for each in tries)
    return vain < TRIES_MAX or (tries[-1].state == "DONE" and round_.now_us - tries[-1].at_us < AGAIN_US)


def convert(round_: Round, each: Covered, order: SeenOrder) -> None:
    """Change the stop into an exit at a protected limit, or at market where no price is known."""
    sign = -1 if order.side == "SELL" else 1
    price_e4 = prices.protected_e4(round_.account.quotes.get(each.key), sign, each.instrument, round_.now_us, 0)
    said = "at market" if price_e4 is None else f"at {to_text(price_e4)}"
    ask(round_, "CONVERT", order, f"close {order.remaining} {said}", *exits_at(price_e4))


def ask(round_: Round, step: str, order: SeenOrder, said: str, *wanted: dict[str, Any]) -> str:
    """
    Ask once for a change, unless *order* is in transit, it was asked for a moment ago, or no message is left.

    Returns DONE, FAILED or UNKNOWN; "" where it was not asked for now.
    """
    tries = round_.tries(step, order.order_id)
    if order.status.upper() == "TRANSIT" or (tries and round_.now_us - tries[-1].at_us < AGAIN_US):
        return ""
    if not round_.pace.take():
        round_.wake_us = round_.pace.frees_us
        return ""
    name = naming.client_order_id(round_.run, step, round_.number, order.order_id)
    step_id = round_.intend(step, order.order_id, said, client_order_id=name)
    if step_id is None:
        return ""
    state, answer = change(round_, step_id, order.order_id, name, *wanted)
    round_.answered(step_id, state, answer)
    return state


def exits_at(price_e4: int | None) -> tuple[dict[str, Any], ...]:
    """Return the changes that make an exit of an order: to a limit, and where a rule about prices is in its way, to market."""
    market = {"order_type": "MARKET"}
    if price_e4 is None:
        return (market,)
    return {"order_type": "LIMIT", "price": to_text(price_e4), "trigger_price": None}, market


def change(round_: Round, step_id: int, order_id: str, name: str, *wanted: dict[str, Any]) -> tuple[str, str]:
    """
    Mark a change SENT and send it; returns what came of it. Its message is counted by its permit.

    Of *wanted* the first is asked for, and the second only where the first is refused for its price.
    """
    modify = modify_of(round_.broker)
    try:
        decision = _permitted(round_, order_id, name, wanted[0])
        codes = {each.code for each in decision.rejects}
        if codes and codes <= naming.PRICE_CODES and len(wanted) > 1:
            decision = _permitted(round_, order_id, name + naming.AT_MARKET, wanted[1])
        if not decision.approved or decision.permit is None:
            return "FAILED", decision.explain()
        round_.mark(step_id)
        with decision.permit.sending() as wire:
            round_.fence()
            wire.order_id = modify(decision.approved_order)
    except (BrokerError, PermitError, StoreError, InputError) as e:
        lost = isinstance(e, BrokerError) and naming.may_rest(e)
        return "UNKNOWN" if lost else "FAILED", redacted(str(e))
    return "DONE", "the broker took the change"


def _permitted(round_: Round, order_id: str, name: str, changes: dict[str, Any]) -> Decision:
    return round_.guard.check_modify(
        order_id, account=round_.name, client_order_id=name, emergency_exit=f"kill-run:{round_.run.id}", **changes
    )
