"""
Puts a copied book into the local Dhan server: positions, today's fills, holdings, and every kind of order that rests.

Straight into its memory: what stood there before the kill costs no message, and trades with nobody.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from riskguard.brokers.dhan.sandbox import Sandbox, Scenario
from riskguard.brokers.dhan.sandbox.desk import Alert, Desk, Forever
from riskguard.brokers.dhan.sandbox.exchange import Fill, Placed
from riskguard.brokers.dhan.sandbox.scenario import OpeningHolding, OpeningPosition, OpeningQuote
from riskguard.core.money import to_text
from riskguard.services.drill.book import DrillBook, Key, RestingOrder

LAG_S: Final = 4.0
"""How old the position list is: it was seen four seconds behind its fills. Source: dhanhq-v2.md, 11.1."""
TRANSIT_S: Final = 0.2
LEGS: Final = {"ENTRY": "ENTRY_LEG", "TARGET": "TARGET_LEG", "SL": "STOP_LOSS_LEG"}


def scenario_of(book: DrillBook) -> Scenario:
    """Return the server's account as *book* has it at the start of the day; today's fills and orders come after."""
    return Scenario(
        position_lag_s=LAG_S,
        transit_s=TRANSIT_S,
        quotes=tuple(OpeningQuote(*key, *_texts(book, key)) for key in sorted(book.quotes.keys() | book.guesses.keys())),
        positions=tuple(
            OpeningPosition(each.segment, each.security_id, each.product, each.carried, to_text(_price_e4(book, each.key)))
            for each in book.lines
            if each.carried
        ),
        holdings=tuple(
            OpeningHolding(
                each.security_id, each.isin, each.total, to_text(each.price_e4 or 0),
                collateral=max(0, each.total - each.available),
            )
            for each in book.holdings
        ),
    )  # fmt: skip


def _texts(book: DrillBook, key: Key) -> tuple[str, str, str]:
    """Return last price, bid and offer as the scenario wants them."""
    quote = book.quotes.get(key)
    last_e4 = book.guesses.get(key) if quote is None or not quote.ltp_e4 else quote.ltp_e4
    if quote is None:
        return to_text(last_e4 or 0), "", ""
    last_e4 = last_e4 or quote.bid_e4 or quote.ask_e4 or 0
    return (
        to_text(last_e4),
        to_text(quote.bid_e4) if quote.bid_e4 else "",
        to_text(quote.ask_e4) if quote.ask_e4 else "",
    )


def _price_e4(book: DrillBook, key: Key) -> int:
    quote = book.quotes.get(key)
    return (quote.ltp_e4 if quote is not None and quote.ltp_e4 else book.guesses.get(key)) or 10_000


def seed(server: Sandbox, book: DrillBook) -> None:
    """Put today's fills and the resting orders in; nothing trades by it."""
    desk = server.desk
    for line in book.lines:
        if line.today:
            _filled(desk, book, line.segment, line.security_id, line.product, line.today)
    groups: dict[str, list[RestingOrder]] = defaultdict(list)
    entries: list[RestingOrder] = []
    for order in book.resting:
        kind, number = _named(order)
        if kind == "plain":
            placed = _placed(desk, order)
            desk.exchange.orders[placed.order_id] = placed
        elif kind == "alert":
            _alert(desk, order)
        elif kind == "entry":
            entries.append(order)
        else:
            groups[f"{kind}:{number}"].append(order)
    for entry in entries:
        groups[_exits_of(entry, groups)].append(entry)
    for name, legs in groups.items():
        (_forever if name.startswith("forever:") else _super)(desk, book, legs)


def _named(order: RestingOrder) -> tuple[str, str]:
    """Return of which of the broker's lists an order is, and the number its legs share."""
    kind, _, rest = order.order_id.partition(":")
    if rest and kind in ("forever", "alert", "super"):
        return kind, rest.partition(":")[0]
    if order.leg == "ENTRY":
        return "entry", order.order_id
    if order.leg in LEGS and order.group:
        return "super", order.group
    return "plain", ""


def _exits_of(entry: RestingOrder, groups: dict[str, list[RestingOrder]]) -> str:
    """Return the group an entry belongs to, whose row does not name it: exits of its line and quantity, other side."""
    for name, legs in groups.items():
        fits = (
            (each.key, each.product, each.quantity) == (entry.key, entry.product, entry.quantity)
            and each.side != entry.side
            for each in legs
        )
        if name.startswith("super:") and all(fits):
            return name
    return f"super:{entry.order_id}"


def _filled(desk: Desk, book: DrillBook, segment: str, security: str, product: str, units: int) -> None:
    """One fill that made what today added to a line."""
    price_e4 = _price_e4(book, (segment, security))
    order = desk.order(
        segment=segment, security_id=security, side="BUY" if units > 0 else "SELL", product=product,
        order_type="LIMIT", quantity=abs(units), price_e4=price_e4,
    )  # fmt: skip
    order.status, order.filled, order.value_e4 = "TRADED", abs(units), abs(units) * price_e4
    exchange = desk.exchange
    exchange.orders[order.order_id] = order
    exchange.fills.append(Fill(str(10_000_000 + len(exchange.fills)), order, abs(units), price_e4, desk.now_us()))


def _placed(desk: Desk, order: RestingOrder) -> Placed:
    """Return the order as it rests: what has filled of it is in the positions already."""
    made = desk.order(
        segment=order.segment, security_id=order.security_id, side=order.side, product=order.product,
        order_type=order.order_type, quantity=order.quantity - order.filled, price_e4=order.price_e4,
        trigger_e4=order.trigger_e4, validity=order.validity,
    )  # fmt: skip
    made.status, made.updated_us = "PENDING", made.created_us
    return made


def _super(desk: Desk, book: DrillBook, orders: list[RestingOrder]) -> None:
    """An entry with its exits; one whose entry is no longer listed has traded."""
    exits = [_placed(desk, each) for each in orders if each.leg != "ENTRY"]
    names = [LEGS[each.leg] for each in orders if each.leg != "ENTRY"]
    entry_order = next((each for each in orders if each.leg == "ENTRY"), None)
    if entry_order is not None:
        entry = _placed(desk, entry_order)
        entry.quantity, entry.filled = entry_order.quantity, entry_order.filled
        entry.value_e4 = entry.filled * entry.price_e4
        entry.status = "PART_TRADED" if entry.filled else "PENDING"
    else:
        first = exits[0]
        entry = desk.order(
            segment=first.segment, security_id=first.security_id, side="SELL" if first.side == "BUY" else "BUY",
            product=first.product, order_type="LIMIT", quantity=max(each.quantity for each in exits),
            price_e4=_price_e4(book, first.key),
        )  # fmt: skip
        entry.status, entry.filled, entry.value_e4 = "TRADED", entry.quantity, entry.quantity * entry.price_e4
    entry.leg, entry.legs, entry.updated_us = "ENTRY_LEG", exits, entry.created_us
    exchange = desk.exchange
    exchange.orders[entry.order_id] = exchange.supers[entry.order_id] = entry
    for leg, name in zip(exits, names, strict=True):
        leg.leg, leg.parent = name, entry.order_id
        exchange.orders[f"{leg.order_id}/{name}"] = leg


def _forever(desk: Desk, book: DrillBook, orders: list[RestingOrder]) -> None:
    first, last_e4 = orders[0], desk.last_e4(*orders[0].key) or 0
    names = ("TARGET_LEG", "STOP_LOSS_LEG")
    legs = [(name, each.quantity, each.price_e4, each.trigger_e4) for name, each in zip(names, orders, strict=False)]
    made = Forever(
        desk.exchange.number(), "", "OCO" if len(legs) > 1 else "SINGLE", first.segment, first.security_id, first.side,
        first.product, first.order_type, first.validity, legs, desk.now_us(), above=[leg[3] >= last_e4 for leg in legs],
    )  # fmt: skip
    desk.forevers[made.order_id] = made


def _alert(desk: Desk, order: RestingOrder) -> None:
    condition = {
        "comparisonType": "PRICE_WITH_VALUE", "exchangeSegment": order.segment, "securityId": order.security_id,
        "operator": "CROSSING_UP", "comparingValue": to_text(order.trigger_e4 or order.price_e4), "frequency": "ONCE",
    }  # fmt: skip
    placed = {
        "transactionType": order.side, "exchangeSegment": order.segment, "productType": order.product,
        "orderType": order.order_type, "securityId": order.security_id, "quantity": str(order.quantity),
        "validity": order.validity, "price": to_text(order.price_e4), "triggerPrice": to_text(order.trigger_e4),
    }  # fmt: skip
    made = Alert(desk.exchange.number(), condition, [placed], desk.now_us())
    desk.alerts[made.alert_id] = made
