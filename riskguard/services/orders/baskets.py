"""
Several legs asked about as one: approved whole, in an order that can be sent, or not at all.

    basket = guard.check_basket([sell_call, buy_call])
    if basket.approved:
        for leg in basket.legs:  # the order to send them in: the cover first
            with leg.permit.sending() as wire:
                wire.order_id = broker.place(leg.approved_order)

Each leg has its own permit and journal entry; a later leg cannot be sent before an earlier one is.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from riskguard.core.basket import LEGS_MAX, decide_basket
from riskguard.core.decide import Decision
from riskguard.core.order import Order
from riskguard.core.reject import Reject
from riskguard.errors import OrderInvalidError
from riskguard.services.kill import latch
from riskguard.services.orders.restating import restate
from riskguard.store import journal, loader, permits, supply
from riskguard.store.loader import Loaded
from riskguard.store.session import Session

if TYPE_CHECKING:
    from riskguard.services.orders.guard import RiskGuard


@dataclass(frozen=True, slots=True)
class BasketDecision:
    """
    The answer to several legs.

    Attributes:
        legs: One decision each, in the order to send them; all approved, or none.
        reordered: That order is not the one asked for: send them as `legs` has them.
    """

    legs: tuple[Decision, ...]
    reordered: bool

    @property
    def approved(self) -> bool:
        return all(leg.approved for leg in self.legs)

    @property
    def recorded(self) -> bool:
        return all(leg.recorded for leg in self.legs)

    @property
    def rejects(self) -> tuple[Reject, ...]:
        """Every refusal of every leg."""
        return tuple(reject for leg in self.legs for reject in leg.rejects)

    def explain(self) -> str:
        """Return the whole answer in plain words, leg by leg."""
        return "\n".join(f"leg {place} {leg.order!r}: {leg.explain()}" for place, leg in enumerate(self.legs, 1))

    def as_dict(self) -> dict[str, Any]:
        """Return the answer as JSON-ready data."""
        return {
            "approved": self.approved, "recorded": self.recorded, "reordered": self.reordered,
            "legs": [leg.as_dict() for leg in self.legs],
        }  # fmt: skip


def check_basket(guard: RiskGuard, orders: Sequence[Order], *, emergency_exit: str = "") -> BasketDecision:
    """
    Decide on all legs of one account together and reserve all of them, or none.

    Asked again with the same client order ids it answers what stands.

    Raises:
        OrderInvalidError: No leg, too many, several accounts, or one client order id twice.
        DecisionUnknownError: Our own commit was interrupted; ask again with the same ids.
    """
    legs = tuple(
        order if order.client_order_id is not None else order.replaced(client_order_id=f"rg-{secrets.token_hex(12)}")
        for order in orders
    )
    if not 1 <= len(legs) <= LEGS_MAX:
        raise OrderInvalidError("orders", len(legs), f"a basket has 1 to {LEGS_MAX} legs")
    if len({order.account for order in legs}) != 1:
        raise OrderInvalidError("account", [order.account for order in legs], "a basket is of one account")
    if len({order.client_order_id for order in legs}) != len(legs):
        raise OrderInvalidError("client_order_id", [order.client_order_id for order in legs], "each leg has its own")
    found: list[Decision] = []

    def ask() -> Decision:
        found.extend(_answer(guard, legs, emergency_exit))
        return found[0]

    guard.kept.leave_the_parent()
    one = guard.answered(legs[0], ask)
    if not found or one is not found[0]:
        # The database did not take it: every leg is refused for the one reason.
        found = [one, *(Decision(order, one.rejects, one.decided_at_us) for order in legs[1:])]
    asked = [order.client_order_id for order in legs]
    return BasketDecision(tuple(found), [leg.client_order_id for leg in found] != asked)


def _answer(guard: RiskGuard, legs: tuple[Order, ...], emergency_by: str) -> list[Decision]:
    owner = legs[0].account
    with guard.store.session(durable=False) as session:
        now_us = guard.clock.now_us()
        flags = latch.look(guard.halt_directories, owner, now_us)
        loaded = guard.kept.open(session, owner, now_us)
        known = {leg: journal.known(session, owner, leg.client_order_id) for leg in legs}
        if any(known.values()):
            session.make_durable()
            return _restated(guard, session, loaded, legs, known, now_us)
        decided = _decided(guard, session, loaded, legs, flags, now_us, emergency_by)
        name = f"rgb-{secrets.token_hex(8)}"
        if all(leg.approved for leg in decided):
            for place, leg in enumerate(decided, 1):
                guard.grant(session, loaded, leg, emergency_by, basket=name, leg=place)
        else:
            session.make_durable()
            for leg in decided:
                guard.refuse(session, loaded, leg)
    for leg in decided:
        leg.recorded = True
    return list(decided)


def _decided(
    guard: RiskGuard,
    session: Session,
    loaded: Loaded,
    legs: tuple[Order, ...],
    flags: latch.Flags,
    now_us: int,
    by: str,
) -> tuple[Decision, ...]:
    account = loaded.account
    for leg in legs:
        loader.know_instrument(session, loaded, leg.instrument)
    for leg in legs:
        quote = guard.newest_quote(session, leg.instrument)
        if quote is not None:
            account.quotes[leg.instrument] = quote
        supply.at_check(session, loaded, leg, now_us, guard.newest_quote)
    if "margin" in account.limits.needs:
        supply.read_margins(session, account, legs, now_us)
    with latch.obeyed(account, flags):
        return decide_basket(legs, account, now_us, by)


def _restated(
    guard: RiskGuard, session: Session, loaded: Loaded, legs: tuple[Order, ...], known: dict[Order, Any], now_us: int
) -> list[Decision]:
    """Answer what stands. A basket only part of which was asked before is another basket: those ids are used."""
    found = []
    for leg in legs:
        row = known[leg]
        if row is None:
            found.append(_not_asked_with_these(leg, now_us))
        else:
            found.append(restate(guard, session, loaded, leg, row, now_us))
    approved = [leg for leg in found if leg.approved and leg.permit is not None]
    if len(approved) == len(found):
        of_permit = {row.client_order_id: row.leg for row in _rows(session, approved)}
        found.sort(key=lambda leg: of_permit.get(str(leg.client_order_id), 0))
    return found


def _rows(session: Session, decisions: list[Decision]) -> list[permits.PermitRow]:
    rows = [permits.one(session, leg.order.account, str(leg.client_order_id)) for leg in decisions]
    return [row for row in rows if row is not None]


def _not_asked_with_these(leg: Order, now_us: int) -> Decision:
    from riskguard.core.reject import RejectCode

    reject = Reject(
        RejectCode.CLIENT_ORDER_ID_REUSED, detail="other legs of this basket were asked before, this one was not",
        hint="a basket asked again has the same legs; a new one has new client order ids",
    )  # fmt: skip
    return Decision(leg, (reject,), now_us)
