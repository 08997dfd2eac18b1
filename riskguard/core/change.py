"""
A change of a working order: judged as the order it becomes, in the place of the one it was.

What is working already needs no second approval, so the old order is taken off the book while the new one is
judged. A change that lets the order do nothing it could not do before (no larger, no dearer) is REDUCING.
Source: checks.md §0 "Direction", §1.
"""

from __future__ import annotations

from riskguard.core.account import Account
from riskguard.core.decide import Decision, decide
from riskguard.core.order import Order

CHANGEABLE = ("quantity", "price", "trigger_price", "order_type", "validity", "disclosed_quantity")
"""What a broker changes of a working order; anything else is another order."""


def is_lowering(before: Order, after: Order) -> bool:
    """
    Say whether *after* can do nothing *before* could not: no more units, no worse price, no looser trigger.

    A change of type is never that: a stop that becomes a limit order trades now.
    """
    if after.order_type != before.order_type or after.quantity > before.quantity:
        return False
    return _no_worse(before.price_e4, after.price_e4, after.sign) and before.trigger_price_e4 == after.trigger_price_e4


def _no_worse(before_e4: int | None, after_e4: int | None, sign: int) -> bool:
    if before_e4 is None or after_e4 is None:
        return before_e4 == after_e4
    return (after_e4 - before_e4) * sign <= 0


def decide_change(
    before: Order, after: Order, working_key: str, account: Account, now_us: int, emergency_by: str = ""
) -> Decision:
    """
    Decide on *after* as if *before* did not work; both with the quantity that is still open.

    *working_key* is the key of *before* in the book. The book is as it was when this returns.
    """
    line = account.line(after.instrument, after.product)
    standing = line.working.pop(working_key, None)
    line.refresh()
    try:
        return decide(after, account, now_us, emergency_by, working_key, is_lowering(before, after))
    finally:
        if standing is not None:
            line.working[working_key] = standing
        line.refresh()
