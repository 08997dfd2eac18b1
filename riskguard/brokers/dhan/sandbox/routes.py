"""The endpoints of the local Dhan server that have to do with orders; the others are in `account`."""

from __future__ import annotations

from typing import Any

from riskguard.brokers.dhan.sandbox import shapes
from riskguard.brokers.dhan.sandbox.desk import (
    MODIFICATIONS_MAX,
    Alert,
    Desk,
    Forever,
    RefusedByDhan,
    bad_input,
    bad_order,
)
from riskguard.brokers.dhan.sandbox.exchange import Placed
from riskguard.brokers.dhan.sandbox.requests import PRODUCTS, SEGMENTS, TYPES, Reply, Request

SLICE_UNITS = 1_800
"""What the slicing endpoint cuts to: the real freeze quantities are not in any answer."""
LEGS = ("ENTRY_LEG", "TARGET_LEG", "STOP_LOSS_LEG")


# -- orders -------------------------------------------------------------------------------------------------------


def _asked(desk: Desk, request: Request) -> Placed:
    """Return the order a body asks for; every refusal is one of the service's."""
    request.own(desk)
    if desk.kill_on:
        raise RefusedByDhan(400, "User_Account", "DH-903", "Trading is disabled for the day by the kill switch.")
    kind = request.word("orderType", TYPES)
    price_e4, trigger_e4 = request.rupees_e4("price"), request.rupees_e4("triggerPrice")
    if kind in ("LIMIT", "STOP_LOSS") and price_e4 <= 0:
        raise bad_input("Invalid price")
    if kind in ("STOP_LOSS", "STOP_LOSS_MARKET") and trigger_e4 <= 0:
        raise bad_input("Invalid triggerPrice")
    segment, security = request.word("exchangeSegment", SEGMENTS), request.word("securityId")
    side = request.word("transactionType", frozenset({"BUY", "SELL"}))
    last_e4 = desk.last_e4(segment, security)
    if kind == "STOP_LOSS_MARKET" and last_e4 is not None:
        wrong = trigger_e4 <= last_e4 if side == "BUY" else trigger_e4 >= last_e4
        if wrong:
            raise bad_order("Trigger price is not on the right side of the last price.")
    return desk.order(
        segment=segment, security_id=security, side=side, product=request.word("productType", PRODUCTS),
        order_type=kind, quantity=request.whole("quantity"), price_e4=price_e4, trigger_e4=trigger_e4,
        validity=request.word("validity", frozenset({"DAY", "IOC"})), correlation_id=request.tag(),
        after_market=request.body.get("afterMarketOrder") is True, disclosed=request.whole("disclosedQuantity", 0)
        if request.body.get("disclosedQuantity") is not None else 0,
    )  # fmt: skip


def place(desk: Desk, request: Request) -> Reply:
    added = desk.exchange.add(_asked(desk, request))
    # The exchange answers later: what is taken here may still be refused, in the book alone.
    return Reply(200, {"orderId": added.order_id, "orderStatus": "TRANSIT"})


def place_sliced(desk: Desk, request: Request) -> Reply:
    first = _asked(desk, request)
    left, told = first.quantity, []
    while left > 0:
        part = first if left == first.quantity else _asked(desk, request)
        part.quantity, left = min(left, SLICE_UNITS), left - SLICE_UNITS
        desk.exchange.add(part)
        told.append({"orderId": part.order_id, "orderStatus": "TRANSIT"})
    return Reply(200, told)


def _known(desk: Desk, order_id: str) -> Placed:
    desk.exchange.land()
    found = desk.exchange.orders.get(order_id)
    if found is None:
        raise bad_order("Order not found or incorrect order id.")
    return found


def modify(desk: Desk, request: Request) -> Reply:
    request.own(desk)
    order = _known(desk, request.parts["id"])
    if not order.is_live:
        raise bad_order(f"Order is {order.status} already.")
    if order.modified >= MODIFICATIONS_MAX:
        raise bad_order("The order was modified 25 times already.")
    quantity = request.whole("quantity") if request.body.get("quantity") is not None else order.quantity
    if quantity <= order.filled:
        raise bad_order("The quantity is the whole, not the open rest.")
    request.word("validity", frozenset({"DAY", "IOC"}))
    desk.exchange.change(
        order, quantity=quantity, price_e4=request.rupees_e4("price", order.price_e4),
        trigger_e4=request.rupees_e4("triggerPrice", order.trigger_e4), order_type=request.word("orderType", TYPES),
    )  # fmt: skip
    return Reply(200, {"orderId": order.order_id, "orderStatus": "TRANSIT"})


def cancel(desk: Desk, request: Request) -> Reply:
    order = _known(desk, request.parts["id"])
    if order.status == "TRANSIT":
        raise bad_order("The order is in transit state, it cannot be cancelled now.")
    if not order.is_live:
        raise bad_order(f"Order is {order.status} already.")
    desk.exchange.cancel(order)
    return Reply(202, {"orderId": order.order_id, "orderStatus": "CANCELLED"})


def _book(desk: Desk) -> list[dict[str, Any]]:
    desk.exchange.land()
    kept = [each for each in desk.exchange.orders.values() if desk.scenario.legs_in_book or not each.parent]
    return [shapes.order(desk, each) for each in kept]


def book(desk: Desk, _request: Request) -> Reply:
    return Reply(200, _book(desk))


def by_id(desk: Desk, request: Request) -> Reply:
    found = [row for row in _book(desk) if row["orderId"] == request.parts["id"]]
    if desk.scenario.by_id_is_list or not found:
        return Reply(200, found)
    return Reply(200, found[0])


def by_tag(desk: Desk, request: Request) -> Reply:
    found = [row for row in _book(desk) if row["correlationId"] == request.parts["tag"]]
    if not found or found[0]["orderStatus"] == "TRANSIT":
        raise bad_order("Order not found for the given correlation id.", 404)
    return Reply(200, found[0])


def trades(desk: Desk, _request: Request) -> Reply:
    desk.exchange.land()
    return Reply(200, [shapes.trade(desk, fill) for fill in desk.exchange.fills])


def trades_of(desk: Desk, request: Request) -> Reply:
    told = [shapes.trade(desk, fill) for fill in desk.exchange.fills if fill.order.order_id == request.parts["id"]]
    return Reply(200, told if desk.scenario.by_id_is_list or len(told) != 1 else told[0])


# -- super orders -------------------------------------------------------------------------------------------------


def place_super(desk: Desk, request: Request) -> Reply:
    body = {"validity": "DAY", **request.body}
    kind = body.get("orderType")
    if kind not in ("LIMIT", "MARKET"):
        raise bad_input("Invalid orderType")
    if kind == "MARKET" and body.get("price"):
        raise bad_input("Invalid price")
    entry = _asked(desk, Request(request.method, request.path, request.query, request.headers, body))
    target_e4, stop_e4 = request.rupees_e4("targetPrice", None), request.rupees_e4("stopLossPrice", None)
    legs = []
    for name, price_e4 in (("STOP_LOSS_LEG", stop_e4), ("TARGET_LEG", target_e4)):
        if price_e4 <= 0:
            continue
        stop = name == "STOP_LOSS_LEG"
        leg = desk.order(
            segment=entry.segment, security_id=entry.security_id, side="SELL" if entry.side == "BUY" else "BUY",
            product=entry.product, order_type="STOP_LOSS_MARKET" if stop else "LIMIT", quantity=entry.quantity,
            price_e4=0 if stop else price_e4, trigger_e4=price_e4 if stop else 0, correlation_id=entry.correlation_id,
        )  # fmt: skip
        leg.leg = name
        if stop:
            leg.trailing_e4 = request.rupees_e4("trailingJump")
        if desk.scenario.shared_leg_ids:
            leg.order_id = entry.order_id
        legs.append(leg)
    desk.exchange.add_super(entry, legs)
    return Reply(200, {"orderId": entry.order_id, "orderStatus": "TRANSIT"})


def _super(desk: Desk, order_id: str, leg: str) -> Placed:
    desk.exchange.land()
    entry = desk.exchange.supers.get(order_id)
    if entry is None or leg not in LEGS:
        raise bad_order("Order not found or incorrect order id.")
    if leg == "ENTRY_LEG":
        return entry
    for each in entry.legs:
        if each.leg == leg:
            return each
    raise bad_order("No such leg.")


def cancel_super(desk: Desk, request: Request) -> Reply:
    leg = _super(desk, request.parts["id"], request.parts["leg"])
    if leg.status == "TRANSIT":
        raise bad_order("The order is in transit state, it cannot be cancelled now.")
    if not leg.is_live:
        raise bad_order(f"Order is {leg.status} already.")
    desk.exchange.cancel(leg)
    return Reply(202, {"orderId": leg.order_id, "orderStatus": "CANCELLED"})


def modify_super(desk: Desk, request: Request) -> Reply:
    request.own(desk)
    name = request.word("legName", frozenset(LEGS))
    leg = _super(desk, request.parts["id"], name)
    if not leg.is_live:
        raise bad_order(f"Order is {leg.status} already.")
    if name == "ENTRY_LEG":
        desk.exchange.change(
            leg, quantity=request.whole("quantity"), price_e4=request.rupees_e4("price", leg.price_e4),
            trigger_e4=0, order_type=request.word("orderType", TYPES),
        )  # fmt: skip
    elif name == "TARGET_LEG":
        price_e4 = request.rupees_e4("targetPrice", None)
        desk.exchange.change(leg, quantity=leg.quantity, price_e4=price_e4, trigger_e4=0, order_type=leg.order_type)
    else:
        trigger_e4 = request.rupees_e4("stopLossPrice", None)
        leg.trailing_e4 = request.rupees_e4("trailingJump")  # left out, it ends the trailing
        desk.exchange.change(leg, quantity=leg.quantity, price_e4=0, trigger_e4=trigger_e4, order_type=leg.order_type)
    return Reply(200, {"orderId": leg.order_id, "orderStatus": "TRANSIT"})


def supers(desk: Desk, _request: Request) -> Reply:
    desk.exchange.land()
    return Reply(200, [shapes.super_order(desk, each) for each in desk.exchange.supers.values()])


# -- standing instructions ----------------------------------------------------------------------------------------


def place_forever(desk: Desk, request: Request) -> Reply:
    request.own(desk)
    flag = request.word("orderFlag", frozenset({"SINGLE", "OCO"}))
    first = (
        "TARGET_LEG",
        request.whole("quantity"),
        request.rupees_e4("price"),
        request.rupees_e4("triggerPrice", None),
    )
    legs = [first]
    if flag == "OCO":
        second = request.whole("quantity1"), request.rupees_e4("price1"), request.rupees_e4("triggerPrice1", None)
        legs.append(("STOP_LOSS_LEG", *second))
    segment, security = request.word("exchangeSegment", SEGMENTS), request.word("securityId")
    last_e4 = desk.last_e4(segment, security) or 0
    made = Forever(
        desk.exchange.number(), request.tag(), flag, segment, security,
        request.word("transactionType", frozenset({"BUY", "SELL"})),
        request.word("productType", frozenset({"CNC", "MTF", "MARGIN"})),
        request.word("orderType", frozenset({"LIMIT", "MARKET"})), request.word("validity", frozenset({"DAY", "IOC"})),
        legs, desk.now_us(), above=[leg[3] >= last_e4 for leg in legs],
    )  # fmt: skip
    desk.forevers[made.order_id] = made
    return Reply(200, {"orderId": made.order_id, "orderStatus": "PENDING"})


def _forever(desk: Desk, request: Request) -> Forever:
    found = desk.forevers.get(request.parts["id"])
    if found is None or found.status != "CONFIRM":
        raise bad_order("No such forever order, or it is done.")
    return found


def modify_forever(desk: Desk, request: Request) -> Reply:
    request.own(desk)
    found, name = _forever(desk, request), request.word("legName", frozenset(LEGS))
    for place_in_list, leg in enumerate(found.legs):
        if leg[0] == name:
            changed = request.whole("quantity"), request.rupees_e4("price"), request.rupees_e4("triggerPrice", None)
            found.legs[place_in_list] = (name, *changed)
            return Reply(200, {"orderId": found.order_id, "orderStatus": "PENDING"})
    raise bad_order("No such leg.")


def cancel_forever(desk: Desk, request: Request) -> Reply:
    found = _forever(desk, request)
    found.status = "CANCELLED"
    return Reply(200, {"orderId": found.order_id, "orderStatus": "CANCELLED"})


def forevers(desk: Desk, _request: Request) -> Reply:
    return Reply(200, [row for each in desk.forevers.values() for row in shapes.forever(desk, each)])


def _alert_parts(request: Request) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    condition, orders = request.body.get("condition"), request.body.get("orders")
    if not isinstance(condition, dict) or condition.get("exchangeSegment") not in ("NSE_EQ", "BSE_EQ", "IDX_I"):
        raise bad_input("Invalid condition")
    if not isinstance(orders, list) or not 0 < len(orders) <= 15 or not all(isinstance(each, dict) for each in orders):
        raise bad_input("Invalid orders")
    texts = ("price", "triggerPrice", "discQuantity")
    return condition, [{**each, **{name: str(each[name]) for name in texts if name in each}} for each in orders]


def place_alert(desk: Desk, request: Request) -> Reply:
    request.own(desk)
    condition, orders = _alert_parts(request)
    made = Alert(desk.exchange.number(), condition, orders, desk.now_us())
    desk.alerts[made.alert_id] = made
    return Reply(200, {"alertId": made.alert_id, "alertStatus": "ACTIVE"})


def _alert(desk: Desk, request: Request) -> Alert:
    found = desk.alerts.get(request.parts["id"])
    if found is None:
        raise bad_input("Invalid alertId")
    return found


def modify_alert(desk: Desk, request: Request) -> Reply:
    request.own(desk)
    found = _alert(desk, request)
    if found.status != "ACTIVE":
        raise bad_order(f"Alert is {found.status} already.")
    found.condition, found.orders = _alert_parts(request)
    return Reply(200, {"alertId": found.alert_id, "alertStatus": "ACTIVE"})


def cancel_alert(desk: Desk, request: Request) -> Reply:
    found = _alert(desk, request)
    if found.status != "ACTIVE":
        raise bad_order(f"Alert is {found.status} already.")
    found.status = "CANCELLED"
    return Reply(200, {"alertId": found.alert_id, "alertStatus": "CANCELLED"})


def alert(desk: Desk, request: Request) -> Reply:
    return Reply(200, shapes.alert(_alert(desk, request)))


def alerts(desk: Desk, _request: Request) -> Reply:
    return Reply(200, [shapes.alert(each) for each in desk.alerts.values()])


def place_multi(desk: Desk, request: Request) -> Reply:
    """A basket without a condition; each order is taken or not on its own."""
    request.own(desk)
    orders = request.body.get("orders")
    if not isinstance(orders, list) or not 0 < len(orders) <= 15:
        raise bad_input("Invalid orders")
    told = []
    for each in orders:
        body = {**each, "dhanClientId": desk.scenario.client_id}
        try:
            added = desk.exchange.add(
                _asked(desk, Request(request.method, request.path, request.query, request.headers, body))
            )
            told.append({"orderId": added.order_id, "sequence": each.get("sequence"), "orderStatus": "TRANSIT"})
        except RefusedByDhan:
            told.append({"orderId": "", "sequence": each.get("sequence"), "orderStatus": "REJECTED"})
    return Reply(200, {"orders": told})


def reject(desk: Desk, order_id: str, why: str, code: str = "EXCH:16052") -> None:
    """Have the exchange refuse an order that Dhan has taken: only the book shows it."""
    desk.exchange.reject(_known(desk, order_id), code, why)
