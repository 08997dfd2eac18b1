"""
Orders nobody asked riskguard about: sent from the broker's app, by another program, or by the broker itself.

Each is recorded once, whoever saw it first. They count as working and their fills are in the book, as any other; what
else follows is a limit's word (`unsolicited_order`). Children of orders we know and the broker's own square-offs are
told apart, because nobody did anything wrong. Source: checks.md §2.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from riskguard.core.seen import SeenOrder
from riskguard.core.terms import DELIVERY_PRODUCTS
from riskguard.store import books, loader, sweeps
from riskguard.store.permits import PermitRow
from riskguard.store.session import Session

log = logging.getLogger("riskguard")

OTHER, CHILD, SQUARE_OFF = "OTHER", "CHILD", "SQUARE_OFF"
SQUARE_OFF_S: Final = {
    "NSE_CURRENCY": 16 * 3600 + 45 * 60,
    "BSE_CURRENCY": 16 * 3600 + 45 * 60,
    "MCX_COMM": 23 * 3600 + 15 * 60,
}
"""When the broker closes what is intraday, seconds after midnight in India. Source: dhanhq-v2.md §21."""
SQUARE_OFF_OTHERS_S: Final = 15 * 3600 + 20 * 60


def record(
    session: Session, account: str, date: str, told: Iterable[tuple[SeenOrder, PermitRow | None]], now_us: int
) -> int:
    """
    Record the orders of one look that have no permit; returns how many were new.

    *told* are all orders of the look, each with the permit it belongs to: a child is known by its parent.
    """
    orders = list(told)
    ours = {order.group for order, permit in orders if permit is not None and order.group}
    entries = {order.group for order, _ in orders if order.group and order.leg == "ENTRY"}
    found = 0
    for order, permit in orders:
        if permit is not None:
            continue
        is_child = order.group in ours or (bool(order.group) and order.leg != "ENTRY" and order.group in entries)
        origin = CHILD if is_child else OTHER
        said = (
            f"{order.side} {order.quantity} {order.exchange_segment} {order.security_id} {order.product} {order.status}"
        )
        if origin == OTHER and _is_square_off(session, account, date, order, now_us):
            origin = SQUARE_OFF
        is_new = sweeps.add_unsolicited(
            session, account, date, now_us, order_id=order.order_id, origin=origin,
            correlation_id=order.correlation_id, parent=order.group if is_child else "", detail=said,
        )  # fmt: skip
        found += is_new
        if is_new and origin == OTHER:
            log.warning("%s: nobody asked about order `%s`: %s", account, order.order_id, said)
    return found


def _is_square_off(session: Session, account: str, date: str, order: SeenOrder, now_us: int) -> bool:
    """
    Say whether it is the broker closing what is intraday: no name of anybody's, at its hour, taking a position away.

    What a person closes in the app at that hour looks the same and is as harmless.
    """
    if order.correlation_id or order.product in DELIVERY_PRODUCTS or order.product == "MARGIN":
        return False
    due_s = SQUARE_OFF_S.get(order.exchange_segment, SQUARE_OFF_OTHERS_S)
    if now_us < loader.midnight_us(now_us) + due_s * 1_000_000:
        return False
    row = session.row(
        books.LINE, account=account, session_date=date, exchange_segment=order.exchange_segment,
        security_id=order.security_id, product=order.product,
    )  # fmt: skip
    sign = 1 if order.side == "BUY" else -1
    before = (row[0] if row is not None else 0) - sign * order.filled
    return before * sign < 0 and order.quantity <= abs(before)
