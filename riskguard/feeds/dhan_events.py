"""
Dhan's messages about orders, translated: the postback's JSON and the order-update stream's.

One pure function for both. It keeps words it does not know, takes `filled` only from what is told as a sum, and
says nothing that the message does not say. Source: DhanHQ v2, postback and live order update.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from riskguard.core.news import OrderNews
from riskguard.core.seen import SeenTrade
from riskguard.core.terms import OrderType, Product, Segment
from riskguard.errors import shown
from riskguard.feeds.dhan_values import EventInvalidError, Fields, fields_of, price_e4, text, time_us, whole

ORDER_ALERT: Final = "order_alert"
DEPTH_MAX: Final = 16
_SIDES: Final = {"B": "BUY", "BUY": "BUY", "S": "SELL", "SELL": "SELL"}
_PRODUCTS: Final = {"C": "CNC", "I": "INTRADAY", "M": "MARGIN", "F": "MTF", "V": "CO", "B": "BO"}
_TYPES: Final = {
    "LMT": "LIMIT",
    "MKT": "MARKET",
    "SL": "STOP_LOSS",
    "SLM": "STOP_LOSS_MARKET",
    "SL-M": "STOP_LOSS_MARKET",
}
_SEGMENTS: Final = {
    ("NSE", "E"): "NSE_EQ", ("NSE", "D"): "NSE_FNO", ("NSE", "C"): "NSE_CURRENCY", ("BSE", "E"): "BSE_EQ",
    ("BSE", "D"): "BSE_FNO", ("BSE", "C"): "BSE_CURRENCY", ("MCX", "M"): "MCX_COMM",
}  # fmt: skip
_LEGS: Final = {
    "1": "ENTRY", "2": "STOP_LOSS", "3": "TARGET", "ENTRY_LEG": "ENTRY", "STOP_LOSS_LEG": "STOP_LOSS", "TARGET_LEG": "TARGET",
}  # fmt: skip
_TIMES: Final = ("lastupdatedtime", "updatetime", "exchordertime", "exchangetime", "orderdatetime", "createtime")
_WORDS: Final = {"PARTTRADED": "PART_TRADED", "PARTIALLY_TRADED": "PART_TRADED", "CANCELED": "CANCELLED"}


@dataclass(frozen=True, slots=True)
class Message:
    """
    One message of a feed.

    Attributes:
        kind: `order_alert`, `postback`, or the sender's own word for another.
        news, trade: What it says; None in a message that is about no order, or about no single fill.
        sequence: The sender's number, where it numbers its messages; Dhan does not.
        problem: Why nothing can be made of it; "" when something can, or when it is about no order.
    """

    kind: str
    order_id: str = ""
    news: OrderNews | None = None
    trade: SeenTrade | None = None
    sequence: int | None = None
    problem: str = ""


def read_stream(body: str) -> Message:
    """Translate one message of the order-update stream. Never raises: what is wrong is its `problem`."""
    try:
        top = _parsed(body)
        names = fields_of(top)
        kind = text(names, "type") or "unknown"
        inner = names.get("data")
        if kind.lower() != ORDER_ALERT:
            return Message(kind)
        if not isinstance(inner, Mapping):
            raise EventInvalidError("`Data`: an order alert wants an object")
        fields = fields_of(inner)
        return _read(ORDER_ALERT, fields, whole(names, "sequencenumber", "sequence", "seqno"))
    except EventInvalidError as e:
        return Message("malformed", problem=str(e))


def read_postback(body: str) -> Message:
    """Translate the body of one postback. Never raises: what is wrong is its `problem`."""
    try:
        return _read("postback", fields_of(_parsed(body)), None)
    except EventInvalidError as e:
        return Message("malformed", problem=str(e))


def _parsed(body: str) -> Mapping[str, Any]:
    try:
        # NaN and Infinity stay words: they are refused where a number is wanted, and nowhere else.
        found = json.loads(body, parse_float=Decimal, parse_constant=str)
    except (ValueError, RecursionError, InvalidOperation) as e:  # an exponent may be longer than any number's
        raise EventInvalidError(f"not JSON: {type(e).__name__}") from None
    if not isinstance(found, dict):
        raise EventInvalidError("wants one JSON object")
    return found


def _read(kind: str, fields: Fields, sequence: int | None) -> Message:
    order_id = ""
    try:
        order_id = text(fields, "orderno", "orderid")
        if not order_id:
            raise EventInvalidError("no order id")
        news = _news(order_id, fields)
        return Message(kind, order_id, news, _trade(news, fields), sequence)
    except EventInvalidError as e:
        return Message(kind, order_id, sequence=sequence, problem=str(e))


def _news(order_id: str, fields: Fields) -> OrderNews:
    status = _word(text(fields, "status", "orderstatus"))
    if not status:
        raise EventInvalidError("no status: an order in no known state must not pass for one that is done")
    quantity = whole(fields, "quantity")
    filled = _filled(status, quantity, fields)
    leg = _LEGS.get(text(fields, "legno", "legname").upper(), "")
    parent = text(fields, "algoordno").lstrip("0")
    is_leg = bool(parent) or text(fields, "remarks").lower() == "super order" or leg in ("STOP_LOSS", "TARGET")
    return OrderNews(
        order_id=order_id,
        status=status,
        correlation_id=text(fields, "correlationid"),
        exchange_segment=_segment(fields),
        security_id=text(fields, "securityid"),
        side=_known("txntype", text(fields, "txntype", "transactiontype"), _SIDES),
        product=_product(fields),
        order_type=_order_type(fields),
        quantity=quantity,
        filled=filled,
        average_e4=price_e4(fields, "avgtradedprice", "averagetradedprice") if filled else None,
        price_e4=price_e4(fields, "price"),
        trigger_price_e4=price_e4(fields, "triggerprice"),
        at_us=time_us(fields, *_TIMES),
        detail=text_or_cut(fields, "reasondescription", "omserrordescription"),
        client_id=text(fields, "clientid", "dhanclientid"),
        symbol=text_or_cut(fields, "tradingsymbol", "displayname", "symbol"),
        exchange_order_id=text(fields, "exchorderno", "exchangeorderid"),
        kind="SUPER" if is_leg else "ORDER",
        group=parent if leg in ("STOP_LOSS", "TARGET") else "",
        leg=leg if is_leg else "",
    )


def _filled(status: str, quantity: int | None, fields: Fields) -> int | None:
    """
    Return how much has traded so far; None when the message does not say.

    TRADED means all of it. For a live order what is left says it too, and the larger counts: some messages may give
    the last fill as the traded quantity. What is left of an order that ended says nothing: its rest is gone.
    """
    told = whole(fields, "tradedqty", "filledqty", "tradedquantity")
    if quantity is not None and told is not None and told > quantity:
        raise EventInvalidError(f"`tradedqty` = {told}: more than the {quantity} that were ordered")
    if status in ("TRADED", "EXECUTED"):
        return quantity if quantity is not None else told
    left = whole(fields, "remainingquantity")
    if status in ("PENDING", "PART_TRADED") and quantity is not None and left is not None and left <= quantity:
        # An amended order may say 0 left before it says what it is now: then only what traded counts.
        left_says = quantity - left if left else 0
        return max(told or 0, left_says) if told is not None or left else None
    return told


def _trade(news: OrderNews, fields: Fields) -> SeenTrade | None:
    """Return the single fill the message names by the exchange's number; Dhan's feeds do not, its trade list does."""
    number = text(fields, "exchangetradeid", "tradeid")
    quantity, price = whole(fields, "tradedquantity"), price_e4(fields, "tradedprice")
    if not number or not quantity or price is None or news.at_us is None or news.missing():
        return None
    return SeenTrade(
        trade_id=number, order_id=news.order_id, correlation_id=news.correlation_id,
        exchange_segment=news.exchange_segment, security_id=news.security_id, side=news.side, product=news.product,
        quantity=quantity, price_e4=price, at_us=news.at_us,
    )  # fmt: skip


def text_or_cut(fields: Fields, *names: str) -> str:
    """Return words for people: cut where they are long, without what cannot be printed."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and value.strip() and value.strip().upper() != "NA":
            return "".join(letter if letter.isprintable() else " " for letter in value.strip())[:300]
    return ""


def _word(said: str) -> str:
    """Return a status in capitals; a word nobody knows is kept, and is a live order."""
    word = said.upper().replace(" ", "_")
    return _WORDS.get(word, word)


def _known(name: str, said: str, words: Mapping[str, str]) -> str:
    """Return our word for the broker's; "" when nothing was said. Raises EventInvalidError for one nobody knows."""
    if not said:
        return ""
    found = words.get(said.upper())
    if found is None:
        raise EventInvalidError(f"`{name}` = {shown(said)}: wants one of {', '.join(words)}")
    return found


def _segment(fields: Fields) -> str:
    said = text(fields, "exchangesegment").upper()
    if not said:
        said = _SEGMENTS.get((text(fields, "exchange").upper(), text(fields, "segment").upper()), "")
    return said if said in tuple(Segment) else ""


def _product(fields: Fields) -> str:
    """An unknown product is not said: it is then taken from the order as it is known, or the message waits for it."""
    for said in (text(fields, "productname", "producttype").upper(), text(fields, "product").upper()):
        word = _PRODUCTS.get(said, said)
        if word in tuple(Product):
            return word
    return ""


def _order_type(fields: Fields) -> str:
    said = text(fields, "ordertype").upper()
    word = _TYPES.get(said, said)
    return word if word in tuple(OrderType) else ""
