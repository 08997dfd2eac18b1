"""
Changes of what waits at the broker and holds its reservation already: the legs of a super order, an alert's condition.

Nothing new is reserved, so an approval is no permit: it says that the message may leave. A refusal is a decision like
any other, on disk before it is told.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from riskguard.core.account import Account
from riskguard.core.change import decide_standing, retreat_refused
from riskguard.core.decide import Decision
from riskguard.core.facts import Facts
from riskguard.core.order import Order
from riskguard.core.reject import RejectCode
from riskguard.core.state import TradingState
from riskguard.services.kill import latch
from riskguard.store import loader, supply

if TYPE_CHECKING:
    from riskguard.services.orders.guard import RiskGuard

ALERT_ORDERS_MAX = 15

Judge = Callable[[Account, int], Sequence[Decision]]


def check_alert(guard: RiskGuard, alert_id: str, orders: Sequence[Order]) -> Decision | None:
    """
    Decide on the *orders* an alert places once its new condition holds, as if they were placed now in the place of
    those that wait. Returns a refusal; None: every one may fire.
    """
    ids = frozenset(f"alert:{alert_id}:{n}" for n in range(1, ALERT_ORDERS_MAX + 1)) | {alert_id, f"alert:{alert_id}"}
    return _asked(guard, orders, lambda account, now_us: decide_standing(_named(orders), account, now_us, ids))


def check_leg(guard: RiskGuard, leg: Order, *, away: str) -> Decision | None:
    """
    Decide on moving an exit of a super order: *leg* is what it becomes, *away* why it counts as moved away from the
    market, "" when it does not. Returns the refusal, None when it may be moved.

    While the leg's scopes are ACTIVE it may go either way; else only towards the market.
    """

    def judge(account: Account, now_us: int) -> Sequence[Decision]:
        state = Facts.of(leg, account, now_us).state
        if state is TradingState.ACTIVE or not away:
            return ()
        return (retreat_refused(_named([leg])[0], state, now_us, away, account.limits.digest),)

    return _asked(guard, [leg], judge)


def _named(orders: Sequence[Order]) -> list[Order]:
    """Give each an id of its own: the row of a refusal wants one, and these orders were asked about long ago."""
    return [each.replaced(client_order_id=f"rgs-{secrets.token_hex(12)}") for each in orders]


def _asked(guard: RiskGuard, orders: Sequence[Order], judge: Judge) -> Decision | None:
    guard.kept.leave_the_parent()
    found: list[Decision] = []

    def ask() -> Decision:
        found[:] = _answer(guard, orders, judge)
        refused = [each for each in found if not each.approved]
        # A leg that is refused for the others' sake says less than the one that stands in the way.
        own = [each for each in refused if each.rejects[0].code is not RejectCode.BASKET_REFUSED]
        return (own or refused or [Decision(orders[0], (), guard.clock.now_us())])[0]

    answer = guard.answered(orders[0], ask)
    return None if answer.approved else answer


def _answer(guard: RiskGuard, orders: Sequence[Order], judge: Judge) -> list[Decision]:
    owner = orders[0].account
    with guard.store.session(durable=False) as session:
        now_us = guard.clock.now_us()
        flags = latch.look(guard.halt_directories, owner, now_us)
        loaded = guard.kept.open(session, owner, now_us)
        account = loaded.account
        for order in orders:
            loader.know_instrument(session, loaded, order.instrument)
            quote = guard.newest_quote(session, order.instrument)
            if quote is not None:
                account.quotes[order.instrument] = quote
            supply.at_check(session, loaded, order, now_us, guard.newest_quote)
        with latch.obeyed(account, flags):
            decided = list(judge(account, now_us))
        if all(each.approved for each in decided):
            guard.store.roll_back(session)
            return decided
        session.make_durable()
        for each in decided:
            if not each.approved:
                guard.refuse(session, loaded, each, kind="MODIFY")
    for each in decided:
        each.recorded = True
    return decided
