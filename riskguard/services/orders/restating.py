"""Answers a client order id that was asked before: what stands, with the permit's present state."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from riskguard.core.decide import Decision
from riskguard.core.direction import Direction
from riskguard.core.exposure import underlying_of
from riskguard.core.money import to_text
from riskguard.core.order import Order
from riskguard.core.reject import Reject, RejectCode
from riskguard.core.state import Cause, TradingState, severest
from riskguard.services.orders.permits import Permit
from riskguard.store import permits
from riskguard.store.loader import Loaded
from riskguard.store.session import Session

if TYPE_CHECKING:
    from riskguard.services.orders.guard import RiskGuard


def restate(
    guard: RiskGuard, session: Session, loaded: Loaded, order: Order, known: tuple[Any, ...], now_us: int
) -> Decision:
    """Answer a client order id that was asked before: what stands, with the permit's present state."""
    sequence, approved, body_text = known
    body = json.loads(body_text)
    if Order.from_mapping(body["order"]).contents() != order.contents():
        reject = Reject(
            RejectCode.CLIENT_ORDER_ID_REUSED,
            detail=f"`{order.client_order_id}` was asked before with other contents (decision {sequence})",
            hint="a client order id names one order for ever: use a new one",
        )
        return Decision(order, (reject,), now_us)
    rejects = tuple(Reject.restored(kept) for kept in body["rejects"])
    row = permits.one(session, order.account, str(order.client_order_id)) if approved else None
    if row is not None:
        rejects = _present(loaded, row)
    decision = Decision(order, rejects, body["at_us"], None, body["limits"])
    decision.recorded, decision.sequence = True, sequence
    decision.direction = None if body["facts"] is None else Direction(body["facts"]["direction"])
    if decision.approved and row is not None:
        permitted = _permitted(row, order)
        decision.adjusted_to = None if permitted == order else permitted
        decision.permit = Permit(guard, row, permitted)
    return decision


def _present(loaded: Loaded, row: permits.PermitRow) -> tuple[Reject, ...]:
    """Say why a permit granted earlier is no yes now; empty while it still is."""
    if row.state != "GRANTED":
        said = f"its permit is {row.state}{': ' + row.detail if row.detail else ''}"
        return (Reject(RejectCode.PERMIT_VOID, detail=said, hint="a new order needs a new client order id"),)
    causes = causes_of(loaded, row)
    state = severest(causes)
    if not admits(state, row):
        code = RejectCode.REDUCE_ONLY if state is TradingState.REDUCE_ONLY else RejectCode.TRADING_HALTED
        return (Reject(code, detail="; ".join(cause.sentence() for cause in causes)),)
    return ()


def causes_of(loaded: Loaded, row: permits.PermitRow) -> tuple[Cause, ...]:
    """Return why this permit may not be free to go: causes of the whole account, and of the part it lies in."""
    account = loaded.account
    if not account.narrow:
        return account.wide
    instrument = account.instruments.get((row.exchange_segment, row.security_id))
    underlying = "" if instrument is None else underlying_of(instrument)
    return tuple(
        cause
        for cause in account.causes
        if cause.holds(row.exchange_segment, row.security_id, row.strategy, underlying)
    )


def admits(state: TradingState, row: permits.PermitRow) -> bool:
    """Say whether *state* admits the class of this permit."""
    if state is TradingState.ACTIVE:
        return True
    if state is TradingState.REDUCE_ONLY:
        return row.direction in ("REDUCING", "HEDGING")
    return row.reducing and bool(row.emergency_by)


def _permitted(row: permits.PermitRow, order: Order) -> Order:
    """Return the order as it was permitted: an exit may have been adjusted; see `core.adjust`."""
    return order.replaced(
        order_type=row.order_type,
        price=None if row.price_e4 is None else to_text(row.price_e4),
        trigger_price=None if row.trigger_price_e4 is None else to_text(row.trigger_price_e4),
    )
