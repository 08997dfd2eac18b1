"""
Brings what the broker shows into the book: fills, orders, positions, funds; and settles permits by it.

Runs inside a session. The same fill told twice counts once; a permit's quantity leaves the working quantity
in the transaction that adds its fill to the book.
"""

from __future__ import annotations

import json

from riskguard.core.book import SETTLE_US
from riskguard.core.seen import Seen, SeenOrder, SeenTrade
from riskguard.store import books, copies, permits
from riskguard.store.permits import PermitRow
from riskguard.store.session import Session


def take_over(session: Session, account: str, date: str, seen: Seen, now_us: int, source: str) -> None:
    """Write everything one look showed. A list that could not be read (None) changes nothing."""
    for trade in seen.trades or ():
        take_fill(session, account, date, trade, now_us)
    for order in seen.orders or ():
        take_order(session, account, order, now_us, source)
    if seen.positions is not None:
        snapshot = books.begin_snapshot(session, account, "positions", seen.fetched_at_us, len(seen.positions), source)
        books.add_positions(session, account, snapshot, seen.fetched_at_us, seen.positions)
        books.complete_snapshot(session, snapshot)
    if seen.funds is not None:
        books.save_funds(session, account, seen.fetched_at_us, seen.funds)


def end_earlier_day(session: Session, account: str, midnight_us: int, seen: Seen | None, now_us: int) -> int:
    """
    Settle what an earlier session left: DAY orders end with their day. Returns how many permits were settled.

    With a broker only what its complete list no longer shows as live is ended; without a look nothing is.
    """
    if seen is not None and seen.orders is None:
        return 0
    listed = [order for order in (seen.orders or ()) if order.is_live] if seen is not None else []
    resting = {name for order in listed for name in (order.order_id, order.correlation_id)}
    ended = 0
    for permit in permits.live(session, account):
        if permit.granted_at_us < midnight_us and not resting & {permit.order_id, permit.correlation_id}:
            ended += permits.move(session, permit, "CANCELLED", now_us, why="its day ended")
    if not resting:
        session.run(
            books.END_EARLIER_ORDERS,
            of_account=account,
            midnight_s=midnight_us // 1_000_000,
            now_s=now_us // 1_000_000,
        )
    return ended


def take_fill(session: Session, account: str, date: str, trade: SeenTrade, now_us: int) -> bool:
    """Book one fill; False when it was known."""
    permit = permits.by_broker_order(session, account, trade.order_id, trade.correlation_id)
    if not books.save_trade(session, account, date, trade, permit.client_order_id if permit else None, now_us):
        return False
    if permit is not None:
        permits.fill(session, permit, trade.quantity, now_us, trade.order_id)
    books.add_fill(session, account, date, trade)
    return True


def take_order(session: Session, account: str, order: SeenOrder, now_us: int, source: str) -> None:
    """Store one order as the broker lists it and let it settle its permit."""
    permit = permits.by_broker_order(session, account, order.order_id, order.correlation_id)
    if books.save_order(session, account, order, permit.client_order_id if permit else None, source, now_us):
        is_refused = not order.is_live and not order.filled
        copies.know_order(session, order.correlation_id, order.order_id, is_refused=is_refused, now_us=now_us)
    if permit is not None and permit.is_live:
        _settle(session, permit, order, now_us)
    named = permit.client_order_id if permit is not None else order.order_id
    for change in permits.changes_of(session, account, named):
        _settle_change(session, change, order, now_us)


def _settle_change(session: Session, change: PermitRow, order: SeenOrder, now_us: int) -> None:
    """Settle a change nobody answered by what the broker's list shows: taken, not taken, or too late."""
    if change.state not in ("SENT", "UNKNOWN") or change.sent_at_us is None:
        return
    becomes = json.loads(change.becomes)
    if not order.is_live:
        permits.move(session, change, "CANCELLED", now_us, why=f"its order is {order.status}")
    elif all(
        becomes[name] == getattr(order, name) for name in ("quantity", "price_e4", "trigger_price_e4", "order_type")
    ):
        permits.merge(session, change, now_us)
    elif now_us - change.sent_at_us >= SETTLE_US:
        permits.move(session, change, "REFUSED", now_us, why="the broker's list shows the order unchanged")


def _settle(session: Session, permit: PermitRow, order: SeenOrder, now_us: int) -> None:
    """Move a permit by the broker's word; fills not booked yet keep it reserved until they are."""
    if order.is_live:
        if permit.state in ("SENT", "UNKNOWN", "GRANTED"):
            permits.move(session, permit, "ACKED", now_us, order_id=order.order_id, why="found at the broker")
        return
    if order.filled > permit.filled_quantity:
        return  # the trade list lags the order list: what filled must reach the book first
    if permit.filled_quantity >= permit.quantity:
        permits.move(session, permit, "FILLED", now_us, order_id=order.order_id)
    elif order.filled == 0 and order.status.upper() == "REJECTED":
        permits.move(session, permit, "REFUSED", now_us, order_id=order.order_id, why=order.detail or order.status)
    else:
        permits.move(session, permit, "CANCELLED", now_us, order_id=order.order_id, why=order.detail or order.status)
