"""
Orders as Dhan lists them, in four lists, made into one: book, super orders, forever orders, conditional triggers.

A word that is not known to be final counts as live: an order that might still trade is never left out of a kill.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from riskguard.brokers.dhan.fields import Row, rows_of
from riskguard.core.seen import SeenOrder
from riskguard.errors import BrokerRefusedError, BrokerUnconfirmedError
from riskguard.redaction import redacted

FINAL: Final = frozenset({"TRADED", "CANCELLED", "REJECTED", "EXPIRED", "CLOSED"})
ALERT_FINAL: Final = frozenset({"EXPIRED", "CANCELLED"})
LEGS: Final = {"ENTRY_LEG": "ENTRY", "TARGET_LEG": "TARGET", "STOP_LOSS_LEG": "STOP_LOSS"}
HEALTHY: Final = frozenset({"", "CONFIRMED", "0"})
DETAIL_CHARS: Final = 200

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")


# -- opaque ids ---------------------------------------------------------------------------------------------------


def parts_of(order_id: str) -> tuple[str, str, str]:
    """
    Return kind, Dhan's id and leg of an opaque order id: `super:ID:LEG`, `forever:ID`, `alert:ID`, `leg:ID:LEG`, or
    Dhan's own id.

    Raises BrokerRefusedError for what cannot be one: it would become part of an address.
    """
    kind, _, rest = order_id.rpartition(":") if ":" not in order_id else order_id.partition(":")
    number, _, leg = rest.partition(":")
    if kind not in ("", "leg", "super", "forever", "alert") or _ID.fullmatch(number) is None:
        raise BrokerRefusedError(f"`{order_id[:60]}` is no order id of Dhan")
    if kind == "super" and leg not in LEGS:
        raise BrokerRefusedError(f"`{order_id[:60]}` names no leg of a super order: {', '.join(LEGS)}")
    return kind, number, leg


# -- the order book -----------------------------------------------------------------------------------------------


def book_orders(value: Any, client_id: str) -> tuple[SeenOrder, ...]:
    """
    Translate the order book of the day. Legs that share an id are told apart by their name: the first keeps the id
    as it is, the others are `leg:ID:LEG`.
    """
    first: dict[str, str] = {}
    seen = []
    for row in rows_of("orders", value, client_id):
        number, name = row.word("orderId"), row.text("legName").upper()
        is_first = first.setdefault(number, name) == name
        seen.append(_book_order(row, number if is_first or not name else f"leg:{number}:{name}"))
    return once("orders", seen)


def _book_order(row: Row, order_id: str) -> SeenOrder:
    status = row.word("orderStatus").upper()
    quantity = row.units("quantity")
    leg = LEGS.get(row.text("legName").upper(), "") if row.text("productType").upper() in ("BO", "CO") else ""
    return SeenOrder(
        order_id=order_id,
        correlation_id=row.text("correlationId"),
        exchange_segment=row.word("exchangeSegment"),
        security_id=row.word("securityId"),
        side=_side(row, "transactionType"),
        product=row.word("productType").upper(),
        order_type=row.word("orderType").upper(),
        quantity=quantity,
        filled=_filled(row, quantity, status),
        price_e4=row.price_e4("price"),
        trigger_price_e4=row.price_e4("triggerPrice"),
        status=status,
        is_live=status not in FINAL,
        detail=_detail(row),
        leg=leg,
    )


def _side(row: Row, name: str) -> str:
    side = row.word(name).upper()
    if side not in ("BUY", "SELL"):
        raise row.wrong(name)
    return side


def _filled(row: Row, quantity: int, status: str) -> int:
    """
    Return what has filled. `remainingQuantity` is no help once the order is done: of a cancelled one it is zero too.
    """
    filled = row.whole("filledQty", "filled_qty", "tradedQuantity")
    if filled is None:
        rest = row.whole("remainingQuantity")
        filled = (
            quantity if status == "TRADED" else quantity - rest if rest is not None and status not in FINAL else None
        )
    if filled is None or not 0 <= filled <= quantity:
        raise row.wrong("filledQty")
    return filled


def _detail(row: Row) -> str:
    said, code = row.text("omsErrorDescription"), row.text("omsErrorCode")
    if said.upper() in HEALTHY:
        said = ""
    text = f"{code}: {said}" if code not in HEALTHY and said else said or ("" if code in HEALTHY else code)
    return redacted(text)[:DETAIL_CHARS]


# -- super orders -------------------------------------------------------------------------------------------------


def super_orders(value: Any, client_id: str) -> tuple[tuple[SeenOrder, ...], dict[str, list[SeenOrder]]]:
    """
    Translate the list of super orders: every leg an order of its own, all of one in one group.

    Also returns the legs by Dhan's own ids, as the order book would show them once more.
    """
    seen: list[SeenOrder] = []
    by_id: dict[str, list[SeenOrder]] = {}
    for row in rows_of("super orders", value, client_id):
        number, quantity = row.word("orderId"), row.units("quantity")
        status = row.word("orderStatus").upper()
        entry = SeenOrder(
            order_id=f"super:{number}:ENTRY_LEG",
            correlation_id=row.text("correlationId"),
            exchange_segment=row.word("exchangeSegment"),
            security_id=row.word("securityId"),
            side=_side(row, "transactionType"),
            product=row.word("productType").upper(),
            order_type=row.word("orderType").upper(),
            quantity=quantity,
            # CLOSED says that entry and exit are done: the entry has filled.
            filled=_filled(row, quantity, "TRADED" if status == "CLOSED" else status),
            price_e4=row.price_e4("price"),
            trigger_price_e4=row.price_e4("triggerPrice"),
            status=status,
            is_live=status not in FINAL,
            detail=_detail(row),
            kind="SUPER",
            group=f"super:{number}",
            leg="ENTRY",
        )
        for own_id, order in [(number, entry), *_legs(row, entry)]:
            seen.append(order)
            by_id.setdefault(own_id, []).append(order)
    return once("super orders", seen), by_id


def _legs(parent: Row, entry: SeenOrder) -> list[tuple[str, SeenOrder]]:
    found = []
    number = entry.group.partition(":")[2]
    for row in parent.rows("legDetails"):
        name = row.word("legName").upper()
        if name == "ENTRY_LEG":
            continue  # it is the parent itself
        status = row.word("orderStatus").upper()
        whole = row.whole("totalQuatity", "totalQuantity", "quantity")
        rest = row.whole("remainingQuantity")
        quantity = entry.quantity if whole is None else whole
        # Exits of an entry that ended without a fill never arm, whatever the list still calls them.
        live = status not in FINAL and (entry.is_live or entry.filled > 0)
        done = status in ("TRADED", "CLOSED")
        filled = quantity if done else quantity - rest if rest is not None and live else 0
        if quantity < 0 or not 0 <= filled <= quantity:
            raise row.wrong("remainingQuantity")
        stop = name == "STOP_LOSS_LEG"
        other = "SELL" if entry.side == "BUY" else "BUY"
        order = SeenOrder(
            order_id=f"super:{number}:{name}",
            correlation_id=entry.correlation_id,
            exchange_segment=entry.exchange_segment,
            security_id=entry.security_id,
            side=_side(row, "transactionType") if row.text("transactionType") else other,
            product=entry.product,
            order_type="STOP_LOSS_MARKET" if stop else "LIMIT",
            quantity=quantity,
            filled=filled,
            price_e4=None if stop else row.price_e4("price"),
            trigger_price_e4=row.price_e4("price") if stop else None,
            status=status,
            is_live=live,
            kind="SUPER",
            group=entry.group,
            leg=LEGS.get(name, name),
        )
        found.append((row.text("orderId") or number, order))
    return found


# -- standing instructions ----------------------------------------------------------------------------------------


def forever_orders(value: Any, client_id: str) -> tuple[SeenOrder, ...]:
    """
    Translate the list of forever orders. They live for days, `CONFIRM` is their word for resting, and their
    `orderType` says whether they have one leg or two: the two share an id and are one group.
    """
    rows = rows_of("forever orders", value, client_id)
    numbers = [row.word("orderId") for row in rows]
    seen = []
    for row, number in zip(rows, numbers, strict=True):
        status, name = row.word("orderStatus").upper(), row.text("legName").upper()
        pair = numbers.count(number) > 1 or row.text("orderType").upper() == "OCO"
        price_e4 = row.price_e4("price")
        quantity = row.units("quantity")
        seen.append(
            SeenOrder(
                order_id=f"forever:{number}:{name}" if pair and name else f"forever:{number}",
                correlation_id=row.text("correlationId"),
                exchange_segment=row.word("exchangeSegment"),
                security_id=row.word("securityId"),
                side=_side(row, "transactionType"),
                product=row.word("productType").upper(),
                order_type="MARKET" if price_e4 is None else "LIMIT",
                quantity=quantity,
                filled=quantity if status == "TRADED" else 0,
                price_e4=price_e4,
                trigger_price_e4=row.price_e4("triggerPrice"),
                status=status,
                is_live=status not in FINAL,
                kind="FOREVER",
                group=f"forever:{number}" if pair else "",
                leg=LEGS.get(name, name) if pair else "",
            )
        )
    return once("forever orders", seen)


def alert_orders(value: Any, client_id: str) -> tuple[SeenOrder, ...]:
    """
    Translate the conditional triggers: each order one would place. Numbers in them are texts.

    One that has fired is done if it fires once; one that may fire again, or does not say, is live.
    """
    seen = []
    for row in rows_of("alerts", value, client_id):
        number, status = row.word("alertId"), row.word("alertStatus").upper()
        condition = row.value.get("condition")
        once_only = isinstance(condition, dict) and str(condition.get("frequency", "")).upper() == "ONCE"
        live = status not in ALERT_FINAL and not (status == "TRIGGERED" and once_only)
        placed = row.rows("orders")
        for n, each in enumerate(placed, 1):
            seen.append(
                SeenOrder(
                    order_id=f"alert:{number}" if len(placed) == 1 else f"alert:{number}:{n}",
                    correlation_id=each.text("correlationId"),
                    exchange_segment=each.word("exchangeSegment"),
                    security_id=each.word("securityId"),
                    side=_side(each, "transactionType"),
                    product=each.word("productType").upper(),
                    order_type=each.word("orderType").upper(),
                    quantity=each.units("quantity"),
                    filled=0,
                    price_e4=each.price_e4("price"),
                    trigger_price_e4=each.price_e4("triggerPrice"),
                    status=status,
                    is_live=live,
                    kind="ALERT",
                )
            )
    return once("alerts", seen)


# -- one list -----------------------------------------------------------------------------------------------------


def merged(
    book: Iterable[SeenOrder], legs_by_id: dict[str, list[SeenOrder]], standing: Iterable[SeenOrder]
) -> tuple[SeenOrder, ...]:
    """
    Return all orders once. A leg of a super order that shows in the book too is the leg, unless only the book says
    that it is still live: what may trade is never dropped.
    """
    kept: list[SeenOrder] = []
    hidden: set[str] = set()
    for order in book:
        legs = legs_by_id.get(parts_of(order.order_id)[1])
        if legs is None:
            kept.append(order)
        elif order.is_live and not any(leg.is_live for leg in legs):
            kept.append(order)
            hidden.update(leg.order_id for leg in legs)
    legs_left = {leg.order_id: leg for legs in legs_by_id.values() for leg in legs if leg.order_id not in hidden}
    return (*kept, *legs_left.values(), *standing)


def once(what: str, orders: Iterable[SeenOrder]) -> tuple[SeenOrder, ...]:
    """Return each order once; raises BrokerUnconfirmedError where one id says two things."""
    found: dict[str, SeenOrder] = {}
    for order in orders:
        if found.setdefault(order.order_id, order) != order:
            raise BrokerUnconfirmedError(f"`{what}`: `{order.order_id}` is listed twice and differs: read again")
    return tuple(found.values())
