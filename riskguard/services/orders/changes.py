"""
Changing a working order: judged again as what it becomes, reserved, sent and answered like any other.

    decision = guard.check_modify("my-order-1", account="leader", price="101.50")
    if decision.approved:
        with decision.permit.sending() as wire:
            wire.order_id = broker.modify(decision.approved_order)

What the change adds is held by a permit of its own until the broker has answered; then it is merged into the
order's. An answer nobody heard is settled by the broker's list.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from riskguard.core.change import CHANGEABLE, decide_change
from riskguard.core.decide import Decision
from riskguard.core.money import to_text
from riskguard.core.order import Order
from riskguard.core.reject import Reject, RejectCode
from riskguard.errors import OrderInvalidError, PermitNotSendableError
from riskguard.services.kill import latch
from riskguard.services.orders.permits import Permit
from riskguard.services.orders.restating import restate
from riskguard.store import journal, loader, permits, supply
from riskguard.store.bounds import TERMINAL_STATUSES
from riskguard.store.loader import Loaded
from riskguard.store.queries.working_orders import FOREIGN
from riskguard.store.session import Session

if TYPE_CHECKING:
    from riskguard.services.orders.guard import RiskGuard


@dataclass(frozen=True, slots=True)
class Change:
    """
    One change: the order as it works and as it will, both with the open quantity alone.

    `key` is the working order in the book, `named` what its changes are filed under, `order_id` the broker's id.
    """

    before: Order
    after: Order
    filled: int
    key: str
    named: str
    order_id: str

    def whole(self) -> Order:
        """Return the order as the broker is to be told: its quantity includes what has filled."""
        return self.after.replaced(quantity=self.after.quantity + self.filled)

    def becomes(self) -> str:
        """Return what the order will be, as the permit keeps it."""
        after = self.after
        return json.dumps(
            {
                "order_id": self.order_id, "quantity": after.quantity + self.filled, "price_e4": after.price_e4,
                "trigger_price_e4": after.trigger_price_e4, "order_type": after.order_type, "validity": after.validity,
            }
        )  # fmt: skip


def check_modify(
    guard: RiskGuard, target: Permit | str, changes: dict[str, Any], *, account: str | None = None,
    client_order_id: str | None = None, emergency_by: str = "",
) -> Decision:  # fmt: skip
    """
    Decide on changing a working order and reserve what the change adds.

    Args:
        target: Its permit, its client order id, or the broker's order id; with an id, name the account.
        changes: What is to be different: quantity (the whole, as the broker wants it), price, trigger_price,
            order_type, validity, disclosed_quantity.
        client_order_id: Names this change; asked again with the same contents it gets the same answer.

    Raises:
        OrderInvalidError: Nothing would change, a field a broker does not change, less than has filled already.
        PermitNotSendableError: The order is not known, is done, or was never acknowledged: there is nothing to change.
    """
    name = target if isinstance(target, str) else target.row.client_order_id
    owner = account if isinstance(target, str) else target.row.account
    if owner is None:
        raise OrderInvalidError("account", None, "name the account when an order is given by its id")
    change_id = client_order_id or f"rgm-{secrets.token_hex(12)}"
    guard.kept.leave_the_parent()
    with guard.store.session(durable=False) as session:
        asked = find(session, owner, name, changes, change_id)
        guard.store.roll_back(session)
    return guard.answered(asked.after, lambda: _answer(guard, owner, name, changes, change_id, emergency_by))


def _answer(
    guard: RiskGuard, owner: str, name: str, changes: dict[str, Any], change_id: str, emergency_by: str
) -> Decision:
    with guard.store.session(durable=False) as session:
        now_us = guard.clock.now_us()
        flags = latch.look(guard.halt_directories, owner, now_us)
        loaded = guard.kept.open(session, owner, now_us)
        change = find(session, owner, name, changes, change_id)
        known = journal.known(session, owner, change_id)
        if known is not None:
            decision = restate(guard, session, loaded, change.after, known, now_us)
            if decision.recorded:
                if not decision.approved:
                    session.make_durable()
                if decision.permit is not None:
                    decision.permit = Permit(guard, decision.permit.row, change.whole())  # type: ignore[attr-defined]
                return decision
        else:
            decision = _decide(guard, session, loaded, change, flags, now_us, emergency_by)
        if decision.approved:
            if decision.adjusted_to is not None:
                change = replace(change, after=decision.adjusted_to)
            guard.grant(
                session, loaded, decision, emergency_by, "MODIFY", kind="MODIFY", changes_order=change.named,
                becomes=change.becomes(), quantity=max(0, change.after.quantity - change.before.quantity),
            )  # fmt: skip
            assert decision.permit is not None
            decision.permit = Permit(guard, decision.permit.row, change.whole())  # type: ignore[attr-defined]
        else:
            session.make_durable()
            guard.refuse(session, loaded, decision, reused=known is not None, kind="MODIFY")
    decision.recorded = True
    return decision


def _decide(
    guard: RiskGuard, session: Session, loaded: Loaded, change: Change, flags: latch.Flags, now_us: int, by: str
) -> Decision:
    after = change.after
    unanswered = [each for each in permits.changes_of(session, after.account, change.named) if each.state != "GRANTED"]
    if unanswered:
        reject = Reject(
            RejectCode.UNCONFIRMED_IN_FLIGHT, max_quantity=0, hint="wait for its answer, or for the broker's list",
            detail=f"change `{unanswered[0].client_order_id}` of this order is {unanswered[0].state}",
        )  # fmt: skip
        return Decision(after, (reject,), now_us)
    account = loaded.account
    loader.know_instrument(session, loaded, after.instrument)
    quote = guard.newest_quote(session, after.instrument)
    if quote is not None:
        account.quotes[after.instrument] = quote
    supply.at_check(session, loaded, after, now_us, guard.newest_quote)
    supply.read_modifications(session, account, change.named, now_us)
    # The throttle counts a change under the order's own name; the book knows a foreign order by the broker's id.
    account.modifications[change.key] = account.modifications[change.named]
    with latch.obeyed(account, flags):
        return decide_change(change.before, after, change.key, account, now_us, by)


def find(session: Session, owner: str, name: str, changes: dict[str, Any], change_id: str) -> Change:
    """Find the working order *name* means and say what the change makes of it; see `check_modify` for what it raises."""
    wrong = sorted(set(changes) - set(CHANGEABLE))
    if wrong:
        raise OrderInvalidError(wrong[0], changes[wrong[0]], f"a broker does not change it: {', '.join(CHANGEABLE)}")
    row = permits.one(session, owner, name) or permits.by_broker_order(session, owner, name, "")
    if row is not None:
        if row.state != "ACKED" or row.order_id is None or row.kind != "NEW":
            raise PermitNotSendableError(
                row.client_order_id, f"it is {row.state}: only an order that works can be changed"
            )
        fields = {
            "exchange_segment": row.exchange_segment, "security_id": row.security_id, "side": row.side,
            "product": row.product, "order_type": row.order_type, "strategy": row.strategy, "exit_group": row.exit_group,
            "price": _rupees(row.price_e4), "trigger_price": _rupees(row.trigger_price_e4),
        }  # fmt: skip
        return _change(owner, fields, row.quantity, row.filled_quantity, changes, change_id, row.client_order_id,
                       row.client_order_id, row.order_id)  # fmt: skip
    found = session.row(FOREIGN, account=owner, order_id=name)
    if found is None:
        raise PermitNotSendableError(name, "no working order has this id")
    status, segment, security, side, product, order_type, quantity, traded, price, trigger, validity = found
    if str(status).upper() in TERMINAL_STATUSES:
        raise PermitNotSendableError(name, f"it is {status}: only an order that works can be changed")
    fields = {
        "exchange_segment": segment, "security_id": security, "side": side, "product": product,
        "order_type": order_type, "validity": validity, "price": _rupees(loader.money_e4(price)),
        "trigger_price": _rupees(loader.money_e4(trigger)),
    }  # fmt: skip
    return _change(owner, fields, quantity, traded or 0, changes, change_id, name, name, name)


def _change(
    owner: str, fields: dict[str, Any], quantity: int, filled: int, changes: dict[str, Any], change_id: str, key: str,
    named: str, order_id: str,
) -> Change:  # fmt: skip
    before = Order(account=owner, quantity=max(1, quantity - filled), **fields)
    wanted = dict(changes)
    if "quantity" in wanted:
        whole = wanted["quantity"]
        if type(whole) is not int or whole <= filled:
            raise OrderInvalidError("quantity", whole, f"wants a whole number above the {filled} filled already")
        wanted["quantity"] = whole - filled
    if wanted.get("order_type", before.order_type) in ("MARKET", "STOP_LOSS_MARKET"):
        wanted.setdefault("price", None)
    if wanted.get("order_type", before.order_type) in ("MARKET", "LIMIT"):
        wanted.setdefault("trigger_price", None)
    after = before.replaced(**wanted, client_order_id=change_id)
    if after.contents() == before.contents():
        raise OrderInvalidError("changes", dict(changes), "nothing would be different")
    return Change(before, after, filled, key, named, order_id)


def _rupees(price_e4: int | None) -> str | None:
    return None if price_e4 is None else to_text(price_e4)
