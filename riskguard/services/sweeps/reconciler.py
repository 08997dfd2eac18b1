"""
Brings what the broker shows into the book: fills, orders, positions, funds; and settles permits by it.

Runs inside a session. The same fill told twice counts once; a permit's quantity leaves the working quantity
in the transaction that adds its fill to the book.
"""

from __future__ import annotations

import json

from riskguard.core.book import SETTLE_US
from riskguard.core.seen import Seen, SeenOrder, SeenTrade
from riskguard.services.sweeps import differences, unmade, unsolicited
from riskguard.store import books, copies, loader, permits, sweeps, told_fills
from riskguard.store.permits import PermitRow
from riskguard.store.session import Session, Store

CHUNK_ROWS = 100
"""Rows of a list in one transaction: about a millisecond under the lock."""
STAGE_WAIT_S = 5.0


def stage(store: Store, account: str, seen: Seen, source: str) -> int | None:
    """
    Write a long position list ahead, in chunks, each in a short transaction of its own; nobody reads it yet.

    Returns the snapshot to complete, or None for a list short enough to be written with the rest. The header becomes
    visible with everything else the look showed.
    """
    if seen.positions is None or len(seen.positions) <= CHUNK_ROWS:
        return None
    with store.session(durable=False, wait_s=STAGE_WAIT_S, insist=True) as session:
        snapshot = books.begin_snapshot(session, account, "positions", seen.fetched_at_us, len(seen.positions), source)
    for first in range(0, len(seen.positions), CHUNK_ROWS):
        with store.session(durable=False, wait_s=STAGE_WAIT_S, insist=True) as session:
            chunk = seen.positions[first : first + CHUNK_ROWS]
            books.add_positions(session, account, snapshot, seen.fetched_at_us, chunk)
    return snapshot


def take_over(
    session: Session, account: str, date: str, seen: Seen, now_us: int, source: str, *, staged: int | None = None
) -> bool:
    """
    Write everything one look showed. A list that could not be read (None) changes nothing.

    Returns False when a later look was written first, by a kill run or another process: fills count whenever they are
    told, but what rests and what is held is taken from the later one only.
    """
    known = books.known_trades(session, account, date) if seen.trades else frozenset()
    for trade in seen.trades or ():
        if books.trade_key(date, trade) not in known:  # a day's fills are told again at every look
            take_fill(session, account, date, trade, now_us)
    newest_us = sweeps.newest_list_us(session, account, "positions", now_us)
    if newest_us is not None and newest_us > seen.fetched_at_us:
        return False
    _take_orders(session, account, date, seen.orders or (), now_us, source)
    if seen.positions is not None:
        if staged is None:
            staged = books.begin_snapshot(
                session, account, "positions", seen.fetched_at_us, len(seen.positions), source
            )  # fmt: skip
            books.add_positions(session, account, staged, seen.fetched_at_us, seen.positions)
        books.complete_snapshot(session, staged)
        differences.compare(session, account, date, seen)
    if seen.funds is not None:
        books.save_funds(session, account, seen.fetched_at_us, seen.funds)
    return True


def _take_orders(
    session: Session, account: str, date: str, listed: tuple[SeenOrder, ...], now_us: int, source: str
) -> None:
    """Take over what changed: an order that is done, stored as it is told and settled, is not looked at again."""
    live = permits.live(session, account)
    unsettled = {name for permit in live for name in (permit.order_id, permit.correlation_id, permit.changes_order)}
    done = books.done_orders(session, account, now_us)
    told: list[tuple[SeenOrder, PermitRow | None]] = []
    for order in listed:
        word, filled, client_order_id = done.get(order.order_id, (None, None, None))
        names = {order.order_id, order.correlation_id, client_order_id} - {"", None}
        if (word, filled) == (order.status, order.filled) and not unsettled & names:
            continue
        told.append((order, take_order(session, account, order, now_us, source)))
    unsolicited.record(session, account, date, told, now_us)


def end_earlier_day(session: Session, account: str, midnight_us: int, seen: Seen | None, now_us: int) -> int:
    """
    Settle what an earlier session left: DAY orders end with their day. Returns how many permits were settled.

    With a broker only what its complete list no longer shows as live is ended; without a look nothing is.
    """
    if seen is not None and seen.orders is None:
        return 0
    listed = [order for order in (seen.orders or ()) if order.is_live] if seen is not None else []
    resting = {name for order in listed for name in (order.order_id, order.correlation_id) if name}
    ended = 0
    for permit in permits.live(session, account):
        if permit.granted_at_us < midnight_us and not resting & {permit.order_id, permit.correlation_id}:
            ended += permits.move(session, permit, "CANCELLED", now_us, why="its day ended")
    earlier = session.rows(books.EARLIER_ORDERS, account=account, midnight_s=midnight_us // 1_000_000)
    for order_id, correlation in earlier:
        if not resting & {order_id, correlation}:
            session.run(books.END_ORDER, of_id=order_id, now_s=now_us // 1_000_000)
    return ended


def book_loose(session: Session, account: str, now_us: int) -> int:
    """Book the day's fills another program stored and nobody booked; returns how many."""
    date = loader.session_date(now_us)
    found = books.unbooked(session, account, loader.midnight_us(now_us))
    for row_id, trade in found:
        permit = permits.by_broker_order(session, account, trade.order_id, "") or told_fills.owner(
            session, account, date, trade.exchange_segment, trade.order_id
        )
        new = trade.quantity - told_fills.absorb(session, account, date, trade, permit, now_us)
        if permit is not None and new:
            permits.fill(session, permit, new, now_us, trade.order_id)
        books.add_fill(session, account, date, trade)
        client_id = permit.client_order_id if permit is not None else None
        session.run(books.BOOKED, of_id=row_id, now_us=now_us, to_date=date, to_client_id=client_id)
    return len(found)


def take_fill(session: Session, account: str, date: str, trade: SeenTrade, now_us: int) -> bool:
    """Book one fill; False when it was known."""
    permit = permits.by_broker_order(session, account, trade.order_id, trade.correlation_id)
    if permit is None:
        permit = told_fills.owner(session, account, date, trade.exchange_segment, trade.order_id)
    if permit is not None:
        told_fills.claim(session, permit, trade.order_id, now_us)
    if not books.save_trade(session, account, date, trade, permit.client_order_id if permit else None, now_us):
        return False
    new = trade.quantity - told_fills.absorb(session, account, date, trade, permit, now_us)
    if permit is not None and new:
        permits.fill(session, permit, new, now_us, trade.order_id)
    books.add_fill(session, account, date, trade)
    return True


def take_order(session: Session, account: str, order: SeenOrder, now_us: int, source: str) -> PermitRow | None:
    """Store one order as the broker lists it and let it settle its permit; returns that, None: nobody asked."""
    permit = permits.by_broker_order(session, account, order.order_id, order.correlation_id)
    if books.save_order(session, account, order, permit.client_order_id if permit else None, source, now_us):
        is_refused = not order.is_live and not order.filled
        copies.know_order(session, order.correlation_id, order.order_id, is_refused=is_refused, now_us=now_us)
    if permit is not None:
        told_fills.claim(session, permit, order.order_id, now_us)
    if permit is not None and permit.is_live:
        _settle(session, permit, order, now_us)
    named = permit.client_order_id if permit is not None else order.order_id
    for change in permits.changes_of(session, account, named):
        _settle_change(session, change, order, now_us)
    return permit


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
        elif permit.order_id == order.order_id and order.kind == "ORDER":
            unmade.take_back(session, permit, order, now_us)
        return
    if order.filled > permit.filled_quantity:
        return  # the trade list lags the order list: what filled must reach the book first
    if permit.filled_quantity >= permit.quantity:
        permits.move(session, permit, "FILLED", now_us, order_id=order.order_id)
    elif order.filled == 0 and order.status.upper() == "REJECTED":
        permits.move(session, permit, "REFUSED", now_us, order_id=order.order_id, why=order.detail or order.status)
    else:
        permits.move(session, permit, "CANCELLED", now_us, order_id=order.order_id, why=order.detail or order.status)
