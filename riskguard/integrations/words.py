"""
Orders in other libraries' words: dhanhq's keyword arguments, a Kite Connect dictionary, openalgo's `placeorder`.

Those libraries take floats, and 0 for "no price"; here both become what an `Order` means by them. A float is read by
its shortest decimal form, so that 101.05 is 101.05; what is no price at all is refused, never rounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from riskguard.core.order import Order
from riskguard.errors import BrokerRefusedError, OrderInvalidError

if TYPE_CHECKING:
    from riskguard.services.orders.guard import RiskGuard

WITHOUT_PRICE: Final = frozenset({"MARKET", "STOP_LOSS_MARKET"})
WITH_TRIGGER: Final = frozenset({"STOP_LOSS", "STOP_LOSS_MARKET"})
UNSENT_PRODUCTS: Final = frozenset({"CO", "BO"})

KITE_EXCHANGES: Final = {
    "NSE": "NSE_EQ", "BSE": "BSE_EQ", "NFO": "NSE_FNO", "BFO": "BSE_FNO", "MCX": "MCX_COMM", "CDS": "NSE_CURRENCY",
    "BCD": "BSE_CURRENCY",
}  # fmt: skip
KITE_PRODUCTS: Final = {"CNC": "CNC", "MIS": "INTRADAY", "NRML": "MARGIN", "MTF": "MTF"}
KITE_TYPES: Final = {"MARKET": "MARKET", "LIMIT": "LIMIT", "SL": "STOP_LOSS", "SL-M": "STOP_LOSS_MARKET"}


def price_of(name: str, value: object) -> Decimal | None:
    """
    Return a price as it was meant; None for None, 0 and "" (these libraries' "no price").

    Raises OrderInvalidError for what is no number, is not finite, or is a bool.
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise OrderInvalidError(name, value, "wants a price in rupees")
    try:
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except (InvalidOperation, ValueError):
        raise OrderInvalidError(name, value, "wants a price in rupees") from None
    if not number.is_finite():
        raise OrderInvalidError(name, value, "wants a finite price")
    return number if number else None


def quantity_of(value: object) -> int:
    """Return a quantity; a float or text that is a whole number counts, as it does in dhanhq. Raises OrderInvalidError."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        number = Decimal(str(value)) if isinstance(value, float | str) else Decimal("nan")
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite() or number != number.to_integral_value():
        raise OrderInvalidError("quantity", value, "wants a whole number")
    return int(number)


def word_of(name: str, value: object) -> str:
    """Return a word in capitals; raises OrderInvalidError for what is no text."""
    if not isinstance(value, str):
        raise OrderInvalidError(name, value, "wants a word")
    return value.strip().upper()


def dhan_order(
    account: str, *, security_id: object, exchange_segment: object, transaction_type: object, quantity: object,
    order_type: object, product_type: object, price: object = 0, trigger_price: object = 0,
    disclosed_quantity: object = 0, validity: object = "DAY", client_order_id: str | None = None, strategy: str = "",
    **more: Any,
) -> Order:  # fmt: skip
    """
    Build an order from the keyword arguments of `dhanhq.place_order`; *more* are fields of `Order` alone.

    Raises OrderInvalidError; for products CO and BO too, which riskguard does not send.
    """
    kind, product = word_of("order_type", order_type), word_of("product_type", product_type)
    if product in UNSENT_PRODUCTS:
        raise OrderInvalidError("product_type", product, "cover and bracket orders are not sent: use a super order")
    return Order(
        account=account,
        exchange_segment=word_of("exchange_segment", exchange_segment),
        security_id=str(security_id) if isinstance(security_id, int) else security_id,  # type: ignore[arg-type]
        side=word_of("transaction_type", transaction_type),
        product=product,
        order_type=kind,
        quantity=quantity_of(quantity),
        # dhanhq sends a price with a market order too, and the exchange looks away.
        price=None if kind in WITHOUT_PRICE else price_of("price", price),
        trigger_price=price_of("trigger_price", trigger_price) if kind in WITH_TRIGGER else None,
        disclosed_quantity=quantity_of(disclosed_quantity or 0),
        validity=word_of("validity", validity),
        client_order_id=client_order_id,
        strategy=strategy,
        **more,
    )


def kite_order(guard: RiskGuard, account: str, fields: Mapping[str, Any], *, strategy: str = "") -> Order:
    """
    Build an order from a Kite Connect dictionary: `tradingsymbol`, `exchange`, `transaction_type`, `quantity`,
    `order_type`, `product`, `price`, `trigger_price`, `validity`, `disclosed_quantity`.

    The symbol is looked up among the instruments. Raises OrderInvalidError for a word or a symbol nobody knows.
    """
    kind = _translated("order_type", fields.get("order_type"), KITE_TYPES)
    validity = word_of("validity", fields.get("validity", "DAY"))
    return Order.from_symbol(
        word_of("tradingsymbol", fields.get("tradingsymbol")),
        instruments=guard.instruments,
        exchange_segment=_translated("exchange", fields.get("exchange"), KITE_EXCHANGES),
        account=account,
        side=word_of("transaction_type", fields.get("transaction_type")),
        product=_translated("product", fields.get("product"), KITE_PRODUCTS),
        order_type=kind,
        quantity=quantity_of(fields.get("quantity")),
        price=None if kind in WITHOUT_PRICE else price_of("price", fields.get("price")),
        trigger_price=price_of("trigger_price", fields.get("trigger_price")) if kind in WITH_TRIGGER else None,
        disclosed_quantity=quantity_of(fields.get("disclosed_quantity") or 0),
        validity=validity,
        strategy=strategy,
    )


def openalgo_order(
    guard: RiskGuard, account: str, *, symbol: object, action: object, exchange: object, strategy: str = "Python",
    price_type: object = "MARKET", product: object = "MIS", quantity: object = 1, **more: Any,
) -> Order:  # fmt: skip
    """
    Build an order from the keyword arguments of openalgo's `placeorder`; its words are Kite's under other names.

    Raises OrderInvalidError for a word or a symbol nobody knows.
    """
    prices: dict[str, Any] = {
        name: more[name] for name in ("price", "trigger_price", "disclosed_quantity") if name in more
    }
    fields: dict[str, Any] = {
        "tradingsymbol": symbol, "exchange": exchange, "transaction_type": action, "quantity": quantity,
        "order_type": price_type, "product": product, **prices,
    }  # fmt: skip
    return kite_order(guard, account, fields, strategy=strategy)


def openalgo_order_id(answer: object) -> str | None:
    """
    Return the order id in an answer of openalgo; None leaves the order in doubt (a time-out, a broken page).

    Raises BrokerRefusedError where the server itself said no.
    """
    if not isinstance(answer, Mapping):
        return None
    if answer.get("status") == "error" and answer.get("error_type") == "api_error":
        raise BrokerRefusedError(str(answer.get("message") or "refused"))
    found = answer.get("orderid")
    return str(found) if answer.get("status") == "success" and found else None


def _translated(name: str, value: object, words: Mapping[str, str]) -> str:
    found = words.get(word_of(name, value))
    if found is None:
        raise OrderInvalidError(name, value, f"wants one of {', '.join(words)}")
    return found
