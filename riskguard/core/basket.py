"""
Several legs as one decision: every prefix of the order they are sent in must pass on its own.

A leg may use the cover its earlier legs give (a long bought first covers a short sold after it), not the room an
exit would free. Where the order asked for does not pass, buys first is tried, then every other order of a few
legs; the first that passes is the one to send. Source: checks.md §1 `basket`, §5.15.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations

from riskguard.core.account import Account, Unfunded, signature
from riskguard.core.book import Working
from riskguard.core.decide import Decision, decide
from riskguard.core.facts import leg_of
from riskguard.core.order import Order
from riskguard.core.reject import Reject, RejectCode

LEGS_MAX = 20
PERMUTED_MAX = 5
"""Up to this many legs every order is tried: 120 of them. An iron condor has four."""


def decide_basket(
    orders: Sequence[Order], account: Account, now_us: int, emergency_by: str = ""
) -> tuple[Decision, ...]:
    """
    Return the decisions in the order to send them: all approved, or those of the order asked for, refused.

    In a refused basket a leg that passes on its own is refused `BASKET_REFUSED`: nothing of it is reserved.
    """
    first: tuple[Decision, ...] = ()
    for arranged in _arrangements(orders):
        found = _in_turn(arranged, account, now_us, emergency_by)
        if all(each.approved for each in found):
            return found
        first = first or found
    refused = [place for place, each in enumerate(first, 1) if not each.approved]
    return tuple(_with_the_others(each, refused, len(first)) if each.approved else each for each in first)


def _arrangements(orders: Sequence[Order]) -> Iterator[tuple[Order, ...]]:
    asked = tuple(orders)
    buys_first = tuple(sorted(asked, key=lambda order: -order.sign))
    yield asked
    if buys_first != asked:
        yield buys_first
    if len(asked) <= PERMUTED_MAX:
        for arranged in permutations(asked):
            if arranged not in (asked, buys_first):
                yield arranged


def _in_turn(orders: Sequence[Order], account: Account, now_us: int, emergency_by: str) -> tuple[Decision, ...]:
    """Decide one leg after the other, each on a book in which the earlier ones work; then put the book back."""
    found: list[Decision] = []
    granted, unfunded = account.granted, account.unfunded
    same = dict(account.same)
    lines = []
    try:
        for place, order in enumerate(orders):
            decision = decide(order, account, now_us, emergency_by)
            found.append(decision)
            asked = decision.adjusted_to or order
            line = account.line(order.instrument, order.product)
            key = f"leg {place}"
            line.working[key] = Working(
                key, order.sign, order.quantity, reducing=decision.facts is not None and decision.facts.reducing,
                exit_group=order.exit_group, price_e4=asked.price_e4, trigger_price_e4=asked.trigger_price_e4,
                risk_price_e4=None if decision.facts is None else decision.facts.risk_price_e4(),
                strategy=order.strategy, covers=order.sign > 0,
            )  # fmt: skip
            line.refresh()
            lines.append((line, key))
            account.granted += 1
            if not line.working[key].reducing and not account.margin_of_set:
                required_e4, _ = account.margins.get(leg_of(order), (None, None))
                price_e4 = line.working[key].risk_price_e4
                spent = Unfunded(order.instrument, order.sign, order.quantity, price_e4, required_e4)
                account.unfunded = (*account.unfunded, spent)
            account.same[signature(asked)] = now_us
    finally:
        for line, key in lines:
            del line.working[key]
            line.refresh()
        account.granted, account.unfunded = granted, unfunded
        account.same.clear()
        account.same.update(same)
    return tuple(found)


def _with_the_others(decision: Decision, refused: list[int], legs: int) -> Decision:
    said = ", ".join(map(str, refused))
    reject = Reject(
        RejectCode.BASKET_REFUSED, max_quantity=0, detail=f"leg {said} of {legs} was refused: nothing was reserved",
        hint="a basket is approved whole or not at all",
    )  # fmt: skip
    # Without its facts: they gave an approval, and replaying them would again.
    return Decision(decision.order, (reject,), decision.decided_at_us, None, decision.limits_digest)
