"""
A change of a working order: judged as the order it becomes, in the place of the one it was.

What is working already needs no second approval, so the old order is taken off the book while the new one is
judged. A change that lets the order do nothing it could not do before (no larger, no dearer) is REDUCING.
While the account is not ACTIVE an exit may move towards the market and never away from it: what it guards would be
guarded less. Source: checks.md §0 "Direction", §1; kill-switch.md §1.
"""

from __future__ import annotations

from collections.abc import Sequence

from riskguard.core.account import Account, signature
from riskguard.core.basket import decide_basket
from riskguard.core.book import Line, Working
from riskguard.core.decide import Decision, decide
from riskguard.core.order import Order
from riskguard.core.reject import Reject, RejectCode
from riskguard.core.state import TradingState

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


def is_retreat(before: Order, after: Order) -> bool:
    """
    Say whether an exit moves away from the market: a stop's trigger further off, a limit that asks for more.

    A change of type is one unless it becomes a market order; so is a price nobody gave before or gives now.
    """
    if after.order_type != before.order_type:
        return after.order_type != "MARKET"
    if before.trigger_price_e4 is not None or after.trigger_price_e4 is not None:
        return not _no_worse(before.trigger_price_e4, after.trigger_price_e4, after.sign)
    return not _no_worse(before.price_e4, after.price_e4, -after.sign)


def retreat_refused(after: Order, state: TradingState, now_us: int, detail: str, digest: str = "") -> Decision:
    """Return the refusal of an exit that moves away from the market while *state* is not ACTIVE."""
    code = RejectCode.TRADING_HALTED if state is TradingState.HALTED else RejectCode.REDUCE_ONLY
    hint = "move it towards the market, or cancel it"
    # Without its facts: they gave an approval, and replaying them would again.
    reject = Reject(code, max_quantity=0, detail=detail, hint=hint)
    reject.check = "trading_state"
    return Decision(after, (reject,), now_us, None, digest)


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
        decision = decide(after, account, now_us, emergency_by, working_key, is_lowering(before, after))
    finally:
        if standing is not None:
            line.working[working_key] = standing
        line.refresh()
    facts = decision.facts
    if not decision.approved or emergency_by or facts is None or facts.state is TradingState.ACTIVE:
        return decision
    is_exit = standing is not None and (standing.reducing or standing.protective)
    if is_exit and is_retreat(before, after):
        said = "the exit would move away from the market"
        return retreat_refused(after, facts.state, now_us, said, decision.limits_digest)
    return decision


def decide_standing(
    orders: Sequence[Order], account: Account, now_us: int, ours: frozenset[str]
) -> tuple[Decision, ...]:
    """
    Decide on *orders* that wait for a condition, as if they were placed now: a new condition lets them fire anew.

    *ours* are the names they work under in the book (client order ids, the broker's ids): they are taken off it
    meanwhile, and are no duplicates of themselves. The book is as it was when this returns.
    """
    lines = {id(line): line for line in (account.line(each.instrument, each.product) for each in orders)}
    taken: list[tuple[Line, str, Working]] = []
    for line in lines.values():
        for key in [key for key, one in line.working.items() if key in ours or one.order_id in ours]:
            taken.append((line, key, line.working.pop(key)))
        line.refresh()
    same = {sign: account.same.pop(sign) for sign in map(signature, orders) if sign in account.same}
    try:
        return decide_basket(orders, account, now_us)
    finally:
        for line, key, one in taken:
            line.working[key] = one
        for line in lines.values():
            line.refresh()
        account.same.update(same)
