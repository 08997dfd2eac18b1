"""
A stop larger than what it guards, made smaller in its place, so that the line is never without it.

Cancelled and placed anew it would leave the line bare in between; and where an exit was sent and never answered, nothing
would be placed beside it at all, for as long as nobody knows what became of it.
"""

from __future__ import annotations

from riskguard.core.seen import SeenOrder
from riskguard.services.kill.killrun.converting import AGAIN_US, ask
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


def shrink(round_: Round, order: SeenOrder, units: int) -> bool:
    """Ask for *units* of the stop to be left working; False where that was refused. See `converting.ask` for when not."""
    said = f"leave {units} of {order.kind} {order.side} {order.remaining}"
    return ask(round_, "SHRINK", order, said, {"quantity": order.filled + units}) != "FAILED"
