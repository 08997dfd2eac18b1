"""A permit's way: marked SENT before the wire, answered after it, released if it was never used."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from riskguard.core.direction import closable
from riskguard.core.state import Cause, TradingState, severest
from riskguard.errors import PermitNotSendableError, RiskGuardError
from riskguard.services.kill import latch
from riskguard.services.orders.permits import Permit
from riskguard.services.orders.restating import admits, causes_of
from riskguard.store import folding, loader, permits
from riskguard.store.loader import Loaded
from riskguard.store.session import Session, WideNeededError

if TYPE_CHECKING:
    from riskguard.services.orders.guard import RiskGuard

log = logging.getLogger("riskguard")

ANSWER_WAIT_S = 2.0
"""What the broker said is written however long the lock takes: nothing waits for it, and losing it costs doubt."""


def mark_sent(guard: RiskGuard, permit: Permit) -> None:
    """Mark SENT in a durable transaction, looking at the state again; see `Permit.sending`."""
    try:
        _mark_sent(guard, permit, permit.row.account)
    except WideNeededError:
        _mark_sent(guard, permit, None)


def _mark_sent(guard: RiskGuard, permit: Permit, width: str | None) -> None:
    name, account = permit.row.client_order_id, permit.row.account
    with guard.store.session(durable=True, account=width, ahead=[permits.asks_one(account, name)]) as session:
        now_us = guard.clock.now_us()
        flags = latch.look(guard.halt_directories, account, now_us)
        loaded = guard.kept.open(session, account, now_us)
        row = permits.one(session, account, name)
        if row is None:
            raise PermitNotSendableError(name, "its approval did not survive; ask again")
        loader.know_instrument(session, loaded, (row.exchange_segment, row.security_id))
        why = _unsendable(row, (*causes_of(loaded, row), *flags.causes), loaded, now_us) or _out_of_turn(session, row)
        if why:
            raise PermitNotSendableError(name, why)
        if not permits.send(session, row, now_us):
            raise PermitNotSendableError(name, "another process was first")
        session.read_heads(account, loaded.group)
        guard.store.commit(session)
        row.state, row.sent_at_us = "SENT", now_us
        permit.row = row
        if not loaded.writes and row.kind == "NEW":
            folding.fold_sent(loaded, row, now_us)
            guard.kept.keep(session, loaded, now_us)


def note_answer(guard: RiskGuard, permit: Permit, state: str, *, order_id: str | None = None, why: str = "") -> None:
    """
    Write what the broker answered. Never raises: the order is out, and a lost answer is only doubt, which
    the next reconciliation settles by the correlation id.
    """
    try:
        try:
            _note_answer(guard, permit, state, permit.row.account, order_id=order_id, why=why)
        except WideNeededError:
            _note_answer(guard, permit, state, None, order_id=order_id, why=why)
    except RiskGuardError as e:
        name = permit.row.client_order_id
        log.warning("the answer to %s could not be written: %s; it stays reserved", name, e)


def _note_answer(
    guard: RiskGuard, permit: Permit, state: str, width: str | None, *, order_id: str | None, why: str
) -> None:  # fmt: skip
    row = permit.row
    ahead = [permits.asks_one(row.account, row.client_order_id)]
    with guard.store.session(durable=False, wait_s=ANSWER_WAIT_S, account=width, ahead=ahead) as session:
        now_us = guard.clock.now_us()
        loaded = guard.kept.open(session, row.account, now_us)
        current = permits.one(session, row.account, row.client_order_id)
        if current is None or current.state != "SENT":
            return  # a feed told us first
        if current.kind == "MODIFY" and state == "ACKED":
            permits.merge(session, current, now_us)
            row.state = "MERGED"
            return
        permits.move(session, current, state, now_us, order_id=order_id, why=why)
        session.read_heads(row.account, loaded.group)
        guard.store.commit(session)
        row.state, row.order_id = state, order_id
        if state == "ACKED" and order_id is not None and not loaded.writes:
            folding.fold_acknowledged(loaded, row, order_id)
            guard.kept.keep(session, loaded, now_us)


def release_permit(guard: RiskGuard, permit: Permit) -> None:
    """Give back a reservation that was never sent; afterwards the id stays used."""
    row = permit.row
    ahead = [permits.asks_one(row.account, row.client_order_id)]
    with guard.store.session(durable=False, wait_s=ANSWER_WAIT_S, account=row.account, ahead=ahead) as session:
        current = permits.one(session, row.account, row.client_order_id)
        if current is None or current.state != "GRANTED":
            raise PermitNotSendableError(row.client_order_id, f"it is {current.state if current else 'gone'}")
        permits.move(session, current, "RELEASED", guard.clock.now_us(), why="released by its owner")
    row.state = "RELEASED"


def _out_of_turn(session: Session, row: permits.PermitRow) -> str:
    """Say what has to be sent or answered before this permit; empty when it is its turn."""
    for leg in permits.basket(session, row.account, row.basket) if row.basket else ():
        if leg.leg < row.leg and leg.state not in ("SENT", "ACKED", "FILLED"):
            return (
                f"leg {leg.leg} of its basket (`{leg.client_order_id}`) is {leg.state}: a basket is sent in its order"
            )
    if row.kind == "MODIFY":
        for other in permits.changes_of(session, row.account, row.changes_order):
            if other.client_order_id != row.client_order_id and other.state in ("SENT", "UNKNOWN"):
                return f"another change of `{row.changes_order}` is {other.state}: wait for its answer"
        order = permits.one(session, row.account, row.changes_order)
        if order is not None and order.state != "ACKED":
            return f"the order it changes is {order.state}"
    return ""


def _unsendable(row: permits.PermitRow, causes: tuple[Cause, ...], loaded: Loaded, now_us: int) -> str:
    """Say why this permit may not be sent now; empty when it may."""
    if row.state != "GRANTED":
        return f"its permit is {row.state}{': ' + row.detail if row.detail else ''}"
    if row.expires_at_us <= now_us:
        return "its permit has expired: ask again with a new client order id"
    state = severest(causes)
    if not admits(state, row):
        return f"trading is {state.name} now: " + "; ".join(cause.sentence() for cause in causes)
    first = set(json.loads(row.cancel_first))
    line = loaded.account.positions.get((row.exchange_segment, row.security_id), {}).get(row.product)
    # What was granted and not sent when this exit was judged was named by its key; sent since, it has an order id too.
    working = line.working.values() if line is not None else ()
    resting = sorted(each.order_id or each.key for each in working if first & {each.order_id, each.key})
    if resting:
        return f"cancel {', '.join(resting)} first: this exit needs their room"
    if row.kind == "NEW" and row.direction == "REDUCING" and (first or state is not TradingState.ACTIVE):
        # What made room for it may have filled in place of being cancelled: then this would open the other side.
        left = closable(line, 1 if row.side == "BUY" else -1) if line is not None else 0
        if row.quantity > left:
            return f"{left} of its {row.quantity} are left to close: ask again"
    return ""
