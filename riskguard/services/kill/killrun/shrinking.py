"""
A stop larger than what it guards, made smaller in its place, so that the line is never without it.

Cancelled and placed anew it would leave the line bare in between; and where an exit was sent and never answered, nothing
would be placed beside it at all, for as long as nobody knows what became of it.
"""

from __future__ import annotations

from riskguard.core.seen import SeenOrder
from riskguard.services.kill.killrun import naming
from riskguard.services.kill.killrun.converting import AGAIN_US, change
from riskguard.services.kill.killrun.round import Round
from riskguard.services.kill.powers import modify_of

TRIES_MAX = 2


def can(round_: Round, order: SeenOrder) -> bool:
    """
    Say whether this broker changes orders, and has not refused to change this one, or let it stand when asked.

    What adds risk has no time for more: then it is cancelled. So it is once its end was asked for.
    """
    if modify_of(round_.broker) is None or round_.tries("CANCEL", order.order_id):
        return False
    tries = round_.tries("SHRINK", order.order_id)
    if any(each.state == "FAILED" for each in tries):
        return False
    return len(tries) < TRIES_MAX or round_.now_us - tries[-1].at_us < AGAIN_US


def shrink(round_: Round, order: SeenOrder, units: int) -> None:
    """Leave *units* of the stop working, unless it is in transit, was asked for a moment ago, or no message is left."""
    tries = round_.tries("SHRINK", order.order_id)
    if order.status.upper() == "TRANSIT" or (tries and round_.now_us - tries[-1].at_us < AGAIN_US):
        return
    if not round_.pace.take():
        round_.wake_us = round_.pace.frees_us
        return
    name = naming.client_order_id(round_.run, "SHRINK", round_.number, order.order_id)
    said = f"leave {units} of {order.kind} {order.side} {order.remaining}"
    step_id = round_.intend("SHRINK", order.order_id, said, client_order_id=name)
    if step_id is None:
        return
    state, answer = change(round_, step_id, order.order_id, name, {"quantity": order.filled + units})
    round_.answered(step_id, state, answer)
