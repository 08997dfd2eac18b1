"""
The order a strategy proposes. A malformed one cannot exist.

Hand-written rather than a pydantic model: every check of the hot path begins by building one, and a
validated order must not change between the question and the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, cast

from riskguard.core.money import PRICE_MAX_E4, to_decimal, to_e4, to_text
from riskguard.core.quote import AT_US_MAX, Quote
from riskguard.errors import OrderInvalidError

if TYPE_CHECKING:
    from riskguard.core.instrument import SymbolLookup

QUANTITY_MAX: Final = 10**9
"""Units per order: a thousand times any real one; above it the number is a slip."""

NAME_CHARACTERS_MAX: Final = 64

# Each maps a word to itself as a plain str: a StrEnum member goes in, the word itself comes out.
_SIDES: Final = {"BUY": ("BUY", 1), "SELL": ("SELL", -1)}
_PRODUCTS: Final = {word: word for word in ("CNC", "INTRADAY", "MARGIN", "MTF", "CO", "BO")}
_SEGMENTS: Final = {
    word: word
    for word in (
        "NSE_EQ", "NSE_FNO", "NSE_CURRENCY", "BSE_EQ", "BSE_FNO", "BSE_CURRENCY", "MCX_COMM", "IDX_I",
    )
}  # fmt: skip
_ORDER_TYPES: Final = {  # order type -> (itself, price wanted, trigger wanted)
    "LIMIT": ("LIMIT", True, False),
    "MARKET": ("MARKET", False, False),
    "STOP_LOSS": ("STOP_LOSS", True, True),
    "STOP_LOSS_MARKET": ("STOP_LOSS_MARKET", False, True),
}
_VALIDITIES: Final = {word: word for word in ("DAY", "IOC")}

_NAMES: Final[dict[str, str]] = {"": ""}
"""Accounts, securities and strategies already seen to be well-formed: a day has a few hundred of them."""
_NAMES_MAX: Final = 20_000
_PRICES: Final[dict[str, int]] = {}
"""Limit prices already seen to be well-formed, in 1/10000 rupee: a day quotes the same few thousand ticks."""


_new = object.__new__  # half the price of a call of the class, which would look for an `__init__`


class _Fields:
    """The slots, still writable. An instance becomes an `Order`, which is not, once it is validated."""

    __slots__ = (
        "account",
        "client_order_id",
        "disclosed_quantity",
        "exchange_segment",
        "exit_group",
        "instrument",
        "order_type",
        "price_e4",
        "product",
        "quantity",
        "quote",
        "security_id",
        "side",
        "sign",
        "signal_at_us",
        "slice_of",
        "stop_loss_e4",
        "strategy",
        "trigger_price_e4",
        "validity",
    )

    account: str
    client_order_id: str | None
    disclosed_quantity: int
    exchange_segment: str
    exit_group: str
    instrument: tuple[str, str]
    order_type: str
    price_e4: int | None
    product: str
    quantity: int
    quote: Quote | None
    security_id: str
    side: str
    sign: int
    signal_at_us: int | None
    slice_of: str
    stop_loss_e4: int | None
    strategy: str
    trigger_price_e4: int | None
    validity: str


class Order(_Fields):
    """
    One order, immutable and well-formed.

    Args:
        account: Name of the account, as in `traders_control.account_type`.
        client_order_id: The caller's own id, unique per account for ever; without one riskguard makes one.
        exchange_segment, security_id: The instrument; Dhan's ids are unique only within a segment.
        side: `BUY` or `SELL`. product: the row of the position list it opens or closes.
        quantity: The broker's unit: shares, contract units in NSE/BSE F&O, lots in MCX. 1 to 10**9.
        price, trigger_price: Rupees as text, int or Decimal, at most four decimals; float is refused.
        strategy: Name the limits, throttles and duplicates are counted under.
        exit_group: Exits that share one are legs of one OCO: they count once, at the largest.
        quote: Evidence of the market as the strategy saw it; it can raise a risk price, never lower it.
        stop_loss: Where this entry would be given up, in rupees: the stop leg of a super order, or a stop that
            follows. Below the price of a buy, above that of a sell.
        signal_at: When the strategy saw its reason to trade: microseconds UTC, or an aware datetime.
        slice_of: Name of the larger order this is a part of: slices of one are no duplicates of each other. Wants a
            `client_order_id`, which then is what keeps a slice from going out twice.

    Raises:
        OrderInvalidError: Names the field, the value and what would be right.
    """

    __slots__ = ()

    def __new__(
        cls,
        *,
        account: str,
        exchange_segment: str,
        security_id: str,
        side: str,
        product: str,
        order_type: str,
        quantity: int,
        price: str | int | Decimal | None = None,
        trigger_price: str | int | Decimal | None = None,
        client_order_id: str | None = None,
        validity: str = "DAY",
        strategy: str = "",
        disclosed_quantity: int = 0,
        exit_group: str = "",
        quote: Quote | None = None,
        stop_loss: str | int | Decimal | None = None,
        signal_at: int | datetime | None = None,
        slice_of: str = "",
    ) -> Order:
        made = _new(_Fields)
        try:
            made.account = _NAMES[account]
            made.security_id = security_id = _NAMES[security_id]
            made.strategy = _NAMES[strategy]
            made.exit_group = _NAMES[exit_group]
            made.slice_of = _NAMES[slice_of]
            made.exchange_segment = segment = _SEGMENTS[exchange_segment]
            made.side, made.sign = _SIDES[side]
            made.product = _PRODUCTS[product]
            made.order_type, wants_price, wants_trigger = _ORDER_TYPES[order_type]
            made.validity = _VALIDITIES[validity]
        except Exception:
            # A name not met before, or a wrong word (which may break when it is compared): look at each by
            # the methods of str alone, say which, and start over.
            return cls(
                account=_meet("account", account),
                security_id=_meet("security_id", security_id),
                strategy=_meet("strategy", strategy, empty=True),
                exit_group=_meet("exit_group", exit_group, empty=True),
                slice_of=_meet("slice_of", slice_of, empty=True),
                exchange_segment=_word("exchange_segment", exchange_segment, _SEGMENTS),
                side=_word("side", side, _SIDES),
                product=_word("product", product, _PRODUCTS),
                order_type=_word("order_type", order_type, _ORDER_TYPES),
                validity=_word("validity", validity, _VALIDITIES),
                quantity=quantity, price=price, trigger_price=trigger_price, quote=quote,
                client_order_id=client_order_id, disclosed_quantity=disclosed_quantity, stop_loss=stop_loss,
                signal_at=signal_at,
            )  # fmt: skip
        made.instrument = (segment, security_id)
        if not made.account or not security_id:
            raise OrderInvalidError("security_id" if made.account else "account", "", "is empty")
        if client_order_id is not None and not (
            type(client_order_id) is str
            and 0 < len(client_order_id) <= NAME_CHARACTERS_MAX
            and client_order_id.isascii()
            and client_order_id.isprintable()
            and " " not in client_order_id
        ):
            client_order_id = checked_name("client_order_id", client_order_id)
        made.client_order_id = client_order_id
        if slice_of and client_order_id is None:
            raise OrderInvalidError("client_order_id", None, "a slice wants one: it keeps it from going out twice")
        if type(quantity) is not int or not 0 < quantity <= QUANTITY_MAX:
            raise OrderInvalidError("quantity", quantity, f"wants a whole number from 1 to {QUANTITY_MAX}")
        made.quantity = quantity
        if type(disclosed_quantity) is not int or disclosed_quantity:
            _check_disclosed(disclosed_quantity, quantity)
        made.disclosed_quantity = disclosed_quantity
        if wants_price or price is not None:
            met = _PRICES.get(price) if wants_price and type(price) is str else None
            price = _price("price", price, wants_price, order_type) if met is None else met
        made.price_e4 = price
        if wants_trigger or trigger_price is not None:
            trigger_price = _price("trigger_price", trigger_price, wants_trigger, order_type)
        made.trigger_price_e4 = trigger_price
        if wants_price and wants_trigger:
            _check_trigger_side(made)
        if quote is not None:
            if not isinstance(quote, Quote):
                raise OrderInvalidError("quote", quote, "wants a riskguard.Quote")
            if not quote.is_whole():
                raise OrderInvalidError("quote", quote, "build it with `Quote.of(...)`")
        made.quote = quote
        made.stop_loss_e4 = None if stop_loss is None else _stop_loss(made, stop_loss)
        made.signal_at_us = None if signal_at is None else _moment("signal_at", signal_at)
        made.__class__ = Order  # from here on it cannot be written to
        return made  # type: ignore[return-value]  # not `cast`: it is a call, on every order

    @classmethod
    def from_symbol(
        cls, symbol: str, *, instruments: SymbolLookup, exchange_segment: str | None = None, **fields: Any
    ) -> Order:
        """
        Build an order by trading symbol: `Order.from_symbol("HDFCBANK", instruments=guard.instruments, …)`.

        Raises OrderInvalidError when the symbol is unknown, or known in several segments and none is named.
        """
        found = instruments.by_symbol(symbol, exchange_segment)
        if len(found) != 1:
            where = ", ".join(sorted(each.exchange_segment for each in found))
            problem = (
                f"is listed in several segments ({where}): name `exchange_segment`" if found else
                "is not among the instruments: import them, or give `exchange_segment` and `security_id`"
            )  # fmt: skip
            raise OrderInvalidError("symbol", symbol, problem)
        return cls(exchange_segment=found[0].exchange_segment, security_id=found[0].security_id, **fields)

    @classmethod
    def from_mapping(cls, fields: Mapping[str, Any]) -> Order:
        """Build an order from plain data (JSON): the same names, unknown ones refused."""
        if not isinstance(fields, Mapping):
            raise OrderInvalidError("order", fields, "wants an object of named fields")
        try:
            given = dict(fields.items())  # read once: what is asked about is what was looked at
        except Exception:
            raise OrderInvalidError("order", type(fields).__name__, "cannot be read through") from None
        unknown = sorted(str(name) for name in given if name not in _ARGUMENTS)
        if unknown:
            raise OrderInvalidError(unknown[0], given.get(unknown[0]), f"is no field of an order; known: {_KNOWN}")
        missing = sorted(_REQUIRED - given.keys())
        if missing:
            raise OrderInvalidError(missing[0], None, "is missing")
        return cls(**given)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an Order does not change: build a new one (tried to set `{name}`)")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"an Order does not change (tried to delete `{name}`)")

    def __reduce__(self) -> tuple[Any, ...]:
        return (Order.from_mapping, (self.arguments(),))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Order):
            return NotImplemented
        return self.contents() == other.contents() and self.client_order_id == other.client_order_id

    def __hash__(self) -> int:
        return hash((self.account, self.client_order_id, self.instrument, self.side, self.quantity))

    def __repr__(self) -> str:
        price = "" if self.price_e4 is None else f" at {to_text(self.price_e4)}"
        trigger = "" if self.trigger_price_e4 is None else f" trigger {to_text(self.trigger_price_e4)}"
        return (
            f"<Order {self.client_order_id or '(no id yet)'}: {self.account} {self.side} {self.quantity} "
            f"{self.exchange_segment}:{self.security_id} {self.product} {self.order_type}{price}{trigger}>"
        )

    @property
    def price(self) -> Decimal | None:
        """Limit price in rupees, None where the type has none."""
        return None if self.price_e4 is None else to_decimal(self.price_e4)

    @property
    def trigger_price(self) -> Decimal | None:
        """Trigger price in rupees, None where the type has none."""
        return None if self.trigger_price_e4 is None else to_decimal(self.trigger_price_e4)

    def contents(self) -> tuple[object, ...]:
        """
        Return what the id stands for: equal contents may be asked again, others are `CLIENT_ORDER_ID_REUSED`.

        The quote and the signal's time are left out: they are evidence of a moment, not part of what is ordered.
        """
        return (
            self.account,
            self.exchange_segment,
            self.security_id,
            self.side,
            self.product,
            self.order_type,
            self.quantity,
            self.price_e4,
            self.trigger_price_e4,
            self.validity,
            self.strategy,
            self.disclosed_quantity,
            self.exit_group,
            self.stop_loss_e4,
            self.slice_of,
        )

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments that build this order again (the quote left out)."""
        return {
            "account": self.account,
            "client_order_id": self.client_order_id,
            "exchange_segment": self.exchange_segment,
            "security_id": self.security_id,
            "side": self.side,
            "product": self.product,
            "order_type": self.order_type,
            "quantity": self.quantity,
            "price": None if self.price_e4 is None else to_text(self.price_e4),
            "trigger_price": None if self.trigger_price_e4 is None else to_text(self.trigger_price_e4),
            "validity": self.validity,
            "strategy": self.strategy,
            "disclosed_quantity": self.disclosed_quantity,
            "exit_group": self.exit_group,
            "stop_loss": None if self.stop_loss_e4 is None else to_text(self.stop_loss_e4),
            "signal_at": self.signal_at_us,
            "slice_of": self.slice_of,
        }

    def replaced(self, **changes: Any) -> Order:
        """Return a new, newly validated order with *changes*."""
        return Order(**{"quote": self.quote, **self.arguments(), **changes})


_REQUIRED = frozenset({"account", "exchange_segment", "security_id", "side", "product", "order_type", "quantity"})
_ARGUMENTS = _REQUIRED | {
    "client_order_id", "disclosed_quantity", "exit_group", "price", "quote", "signal_at", "slice_of", "stop_loss",
    "strategy", "trigger_price", "validity",
}  # fmt: skip
_KNOWN = ", ".join(sorted(_ARGUMENTS - {"quote"}))


def _clean(text: str) -> bool:
    """Printable ASCII without blanks: what every broker, file name and terminal carries unchanged."""
    return text.isascii() and text.isprintable() and " " not in text


def checked_name(field: str, value: object, *, empty: bool = False) -> str:
    """Return *value* if it can name something: printable ASCII, no blanks, at most 64 characters."""
    if not issubclass(type(value), str):
        raise OrderInvalidError(field, value, f"wants text, not {type(value).__name__}")
    name = str.__str__(cast(str, value))  # a subclass's own methods are not asked
    if not name and not empty:
        raise OrderInvalidError(field, name, "is empty")
    if len(name) > NAME_CHARACTERS_MAX:
        raise OrderInvalidError(field, name, f"is longer than {NAME_CHARACTERS_MAX} characters")
    if not _clean(name):
        raise OrderInvalidError(field, name, "wants printable ASCII without blanks")
    return name


def _meet(field: str, value: object, *, empty: bool = False) -> str:
    """Check a name and remember it, so that the next order that carries it costs one look-up."""
    name = checked_name(field, value, empty=empty)
    if len(_NAMES) >= _NAMES_MAX:
        _NAMES.clear()
        _NAMES[""] = ""
    _NAMES[name] = name
    return name


def _word(field: str, value: object, allowed: Mapping[str, object]) -> str:
    """Return the plain word *value* spells, or say which words there are."""
    for word in allowed:
        if issubclass(type(value), str) and str.__eq__(word, cast(str, value)) is True:
            return word
    raise OrderInvalidError(field, value, f"wants one of {', '.join(sorted(allowed))}")


def _price(field: str, value: object, wanted: bool, order_type: str) -> int | None:
    # dhanhq and most clients send 0 where the type has no price: that is absence, not a price of zero.
    if not wanted:
        if value is None or (type(value) in (int, str) and value in (0, "0", "0.0", "0.00")):
            return None
        raise OrderInvalidError(field, value, f"a {order_type} order takes none; leave it out")
    if value is None:
        raise OrderInvalidError(field, value, f"a {order_type} order wants one")
    try:
        price_e4 = to_e4(value, most=PRICE_MAX_E4)
    except ValueError as e:
        raise OrderInvalidError(field, value, str(e)) from None
    if price_e4 <= 0:
        raise OrderInvalidError(field, value, "wants a price above 0")
    if type(value) is str:
        if len(_PRICES) >= _NAMES_MAX:
            _PRICES.clear()
        _PRICES[value] = price_e4
    return price_e4


def _stop_loss(made: _Fields, value: object) -> int:
    """Read where the entry is given up; on the winning side of the entry it would not stop a loss."""
    try:
        stop_e4 = to_e4(value, most=PRICE_MAX_E4)
    except ValueError as e:
        raise OrderInvalidError("stop_loss", value, str(e)) from None
    if stop_e4 <= 0:
        raise OrderInvalidError("stop_loss", value, "wants a price above 0")
    entry_e4 = made.price_e4 if made.price_e4 is not None else made.trigger_price_e4
    if entry_e4 is not None and (entry_e4 - stop_e4) * made.sign <= 0:
        side = "below" if made.sign > 0 else "above"
        raise OrderInvalidError("stop_loss", value, f"a {made.side} wants it {side} its price {to_text(entry_e4)}")
    return stop_e4


def _moment(field: str, value: object) -> int:
    """Read a time: microseconds UTC, or an aware datetime."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise OrderInvalidError(field, value, "wants a datetime with a time zone")
        value = int(value.timestamp() * 1_000_000)
    if type(value) is not int or not 0 < value < AT_US_MAX:
        raise OrderInvalidError(field, value, "wants microseconds since 1970 UTC, or an aware datetime")
    return value


def _check_disclosed(disclosed_quantity: object, quantity: int) -> None:
    if type(disclosed_quantity) is not int or not 0 <= disclosed_quantity <= quantity:
        raise OrderInvalidError("disclosed_quantity", disclosed_quantity, f"wants 0 to the quantity, {quantity}")


def _check_trigger_side(made: _Fields) -> None:
    """A stop buy triggers at or below its limit, a stop sell at or above it; else it could never fill."""
    price_e4, trigger_e4 = made.price_e4, made.trigger_price_e4
    assert price_e4 is not None and trigger_e4 is not None
    if (price_e4 - trigger_e4) * made.sign < 0:
        side = "at or below" if made.sign > 0 else "at or above"
        raise OrderInvalidError(
            "trigger_price", to_text(trigger_e4), f"a stop {made.side} wants it {side} its price {to_text(price_e4)}"
        )
