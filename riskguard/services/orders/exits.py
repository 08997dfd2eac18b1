"""Exits by a person: verified as reducing, recorded with the name, also from a halted account."""

from __future__ import annotations

import secrets
from typing import Any

from riskguard.core.order import Order
from riskguard.errors import RiskGuardError
from riskguard.ports import Broker
from riskguard.services.orders.guard import RiskGuard
from riskguard.services.orders.slicing import sliced
from riskguard.store import journal, loader

WAIT_S = 5.0


def exit_all(
    guard: RiskGuard, account: str, broker: Broker | None, *, by: str, reason: str, security: str | None = None
) -> list[dict[str, Any]]:
    """
    Close every open line of *account* (or of one security) at market, short sides first.

    Without a broker each exit is only approved: the caller has ten seconds to send it. Returns one entry per
    line; `placed` is False where it was refused or its outcome is unknown.
    """
    with guard.store.session(durable=True, wait_s=WAIT_S) as session:
        now_us = guard.clock.now_us()
        group = loader.group_of(session, account) or ""
        session.read_heads(account, group)
        journal.append(session, account, "OVERRIDE", {"what": "exit", "by": by, "reason": reason}, now_us)
        book = loader.load(session, account, group, now_us).account
    found = []
    lines = [
        (key, line) for key, products in book.positions.items() for line in products.values()
        if line.near and security in (None, key[1])
    ]  # fmt: skip
    for key, line in sorted(lines, key=lambda each: (each[1].near > 0, each[0])):
        working = line.selling if line.near > 0 else line.buying
        quantity = abs(line.near) - working
        if quantity <= 0:
            continue
        order = Order(
            account=account, client_order_id=f"exit-{secrets.token_hex(8)}", exchange_segment=key[0], security_id=key[1],
            side="SELL" if line.near > 0 else "BUY", product=line.product, order_type="MARKET", quantity=quantity,
            strategy="exit",
        )  # fmt: skip
        parts, left = sliced(guard, order, book.instruments.get(key))
        for part in parts:
            placed, outcome = _send(guard, part, broker, by)
            found.append(_said(part, placed, outcome))
        if left:
            found.append(_said(order.replaced(quantity=left), False, "too many slices for one go: ask again"))
    return found


def _said(order: Order, placed: bool, outcome: str) -> dict[str, Any]:
    return {
        "instrument": f"{order.exchange_segment}:{order.security_id}", "product": order.product, "side": order.side,
        "quantity": order.quantity, "client_order_id": order.client_order_id, "placed": placed, "outcome": outcome,
    }  # fmt: skip


def _send(guard: RiskGuard, order: Order, broker: Broker | None, by: str) -> tuple[bool, str]:
    try:
        if broker is None:
            decision = guard.check(order, emergency_exit=by)
            return decision.approved, decision.explain() + ("; send it within 10 s" if decision.approved else "")
        decision = guard.place(order, broker.place, emergency_exit=by)
    except RiskGuardError as e:
        return False, str(e)
    return decision.approved, "placed" if decision.approved else decision.explain()
