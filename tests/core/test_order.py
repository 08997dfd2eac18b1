"""Order: every field on both sides of its edge. A malformed order cannot exist, a well-formed one cannot change."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest

from riskguard.core.instrument import Instrument
from riskguard.core.money import PRICE_MAX_E4
from riskguard.core.order import _NAMES, _NAMES_MAX, _PRICES, NAME_CHARACTERS_MAX, QUANTITY_MAX, Order
from riskguard.core.quote import AT_US_MAX, Quote
from riskguard.core.terms import OrderType, Product, Segment, Side, Validity
from riskguard.errors import InputError, OrderInvalidError, shown
from tests.core.builders import SHARE, option, order
from tests.core.tables import Row, table

ARGUMENTS: dict[str, Any] = {
    "account": "leader", "exchange_segment": "NSE_EQ", "security_id": "1333", "side": "BUY", "product": "INTRADAY",
    "order_type": "LIMIT", "quantity": 10, "price": "100",
}  # fmt: skip


def refused(**changes: Any) -> str:
    """Build the usual order with *changes*; return the field that was named, `-` if it was built."""
    try:
        Order(**{**ARGUMENTS, **changes})
    except OrderInvalidError as e:
        assert str(e).startswith(f"`{e.field}` = ") and "\n" not in str(e) and len(str(e)) < 400
        return e.field
    return "-"


WORDS = {
    "side": [each.value for each in Side],
    "product": [each.value for each in Product],
    "exchange_segment": [each.value for each in Segment],
    "validity": [each.value for each in Validity],
}


@pytest.mark.parametrize("field", WORDS)
def test_words_are_exactly_the_brokers(field: str) -> None:
    """Every word of the market is taken, as text and as a member of an enum, and nothing near it."""
    for word in WORDS[field]:
        assert refused(**{field: word}) == "-"
        assert type(getattr(Order(**{**ARGUMENTS, field: word}), field)) is str
        for near in (word.lower(), f" {word}", f"{word} ", word[:-1], f"{word}\x00"):
            assert refused(**{field: near}) == field
    for wrong in ("", None, 0, True, b"BUY", ["BUY"], {"BUY"}, float("nan"), object()):
        assert refused(**{field: wrong}) == field


def test_enum_members_become_plain_words() -> None:
    """What is stored and hashed is text, whatever the caller's constants are."""
    made = Order(
        account="leader", exchange_segment=Segment.NSE_EQ, security_id="1333", side=Side.SELL, product=Product.CNC,
        order_type=OrderType.LIMIT, validity=Validity.IOC, quantity=1, price="1",
    )  # fmt: skip

    for name in ("exchange_segment", "side", "product", "order_type", "validity"):
        assert type(getattr(made, name)) is str
    assert made.sign == -1
    assert made.instrument == ("NSE_EQ", "1333")


class Name(StrEnum):
    """A caller's own constant."""

    MEAN_REVERSION = "mean-reversion"


NAMES = {
    # field: whether it may be empty
    "account": False,
    "security_id": False,
    "client_order_id": False,
    "strategy": True,
    "exit_group": True,
}


@pytest.mark.parametrize("field", NAMES)
def test_names(field: str) -> None:
    """Printable ASCII without blanks, 1 to 64 characters: what every broker, file name and terminal carries."""
    for good in ("a", "x" * NAME_CHARACTERS_MAX, "!~", "M&M", "a/b:c", Name.MEAN_REVERSION):
        assert refused(**{field: good}) == "-"
        assert type(getattr(Order(**{**ARGUMENTS, field: good}), field)) is str
    for bad in (
        "x" * (NAME_CHARACTERS_MAX + 1),
        "a b",
        " a",
        "a\n",
        "a\x00",
        "\x7f",
        "é",
        "\ud800",
        "a\u200b",
        1,
        b"a",
        ["a"],
        True,
    ):
        assert refused(**{field: bad}) == field
    assert refused(**{field: ""}) == ("-" if NAMES[field] else field)
    assert refused(**{field: None}) == ("-" if field == "client_order_id" else field)


QUANTITIES = table("""
    quantity     refused
    0            quantity
    1            -
    -1           quantity
    1_000_000_000  -
    1_000_000_001  quantity
""")


@pytest.mark.parametrize("row", QUANTITIES, ids=str)
def test_quantity(row: Row) -> None:
    """1 to 10**9 units."""
    assert refused(quantity=row.number("quantity")) == row.refused


@pytest.mark.parametrize(
    "value", [True, 1.0, "1", Decimal(1), None, float("nan"), float("inf"), 10**5000, -(10**5000)], ids=shown
)
def test_quantity_is_a_whole_number(value: object) -> None:
    """A bool is no number, a float no count, and text is not guessed at."""
    assert refused(quantity=value) == "quantity"
    assert QUANTITY_MAX == 10**9


DISCLOSED = table("""
    quantity  disclosed  refused
    10        0          -
    10        1          -
    10        10         -
    10        11         disclosed_quantity
    10        -1         disclosed_quantity
""")


@pytest.mark.parametrize("row", DISCLOSED, ids=str)
def test_disclosed_quantity(row: Row) -> None:
    """0 (all) up to the quantity; the exchange's share of it is a check's to judge."""
    assert refused(quantity=row.number("quantity"), disclosed_quantity=row.number("disclosed")) == row.refused
    assert refused(disclosed_quantity=True) == refused(disclosed_quantity=None) == "disclosed_quantity"


TYPES = table("""
    type              price  trigger  refused
    LIMIT             100    -        -
    LIMIT             -      -        price
    LIMIT             0      -        price
    LIMIT             -1     -        price
    LIMIT             0.0001  -       -
    LIMIT             0.00001  -      price
    LIMIT             10000000  -     -
    LIMIT             10000000.0001  -  price
    LIMIT             100    0        -
    LIMIT             100    0.00     -
    LIMIT             100    99       trigger_price
    LIMIT             1e2    -        price
    MARKET            -      -        -
    MARKET            0      0        -
    MARKET            0.00   -        -
    MARKET            100    -        price
    MARKET            -      100      trigger_price
    STOP_LOSS         100    99       -
    STOP_LOSS         100    -        trigger_price
    STOP_LOSS         -      99       price
    STOP_LOSS         100    0        trigger_price
    STOP_LOSS_MARKET  -      99       -
    STOP_LOSS_MARKET  0      99       -
    STOP_LOSS_MARKET  100    99       price
    STOP_LOSS_MARKET  -      -        trigger_price
    limit             100    -        order_type
    SL                100    99       order_type
""")


@pytest.mark.parametrize("row", TYPES, ids=str)
def test_which_type_wants_which_price(row: Row) -> None:
    """A price where the type has one, none where it has none; 0 there means absent, as clients send it."""
    price, trigger = row.opt("price"), row.opt("trigger")

    assert refused(order_type=row.type, price=price, trigger_price=trigger) == row.refused


SIDES = table("""
    side  price  trigger  refused
    BUY   100    100      -
    BUY   100    100.05   trigger_price
    BUY   100    99.95    -
    SELL  100    100      -
    SELL  100    99.95    trigger_price
    SELL  100    100.05   -
""")


@pytest.mark.parametrize("row", SIDES, ids=str)
def test_the_trigger_is_on_the_side_that_can_fill(row: Row) -> None:
    """A stop buy triggers at or below its limit, a stop sell at or above it."""
    asked = {"side": row.side, "order_type": "STOP_LOSS", "price": row.price, "trigger_price": row.trigger}

    assert refused(**asked) == row.refused


PRICES = [
    100.0, float("nan"), float("inf"), float("-inf"), -0.0, True, b"100", "NaN", "inf", "1e400", "1,00", "",
    Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal("1E+999999"), Decimal("-0"), 0, 10**5000,
    "9" * 33, [100],
]  # fmt: skip


@pytest.mark.parametrize("price", PRICES, ids=shown)
def test_prices_are_text_int_or_decimal(price: object) -> None:
    """Nothing that is not exactly a price above zero is one; the same for the trigger."""
    assert refused(price=price) == "price"
    assert refused(order_type="STOP_LOSS_MARKET", price=None, trigger_price=price) == "trigger_price"
    assert refused(price=Decimal("100.0000")) == refused(price=100) == refused(price="1E2"[:1]) == "-"


def test_prices_come_out_as_they_went_in() -> None:
    """1/10000 rupee inside, Decimal outside, None where the type has none."""
    made = order("SELL", 1, "99.05", order_type="STOP_LOSS", trigger_price="99.1")

    assert (made.price_e4, made.trigger_price_e4) == (990_500, 991_000)
    assert (made.price, made.trigger_price) == (Decimal("99.05"), Decimal("99.10"))
    assert (order(price=None).price, order(price=None).trigger_price) == (None, None)


def test_evidence_is_a_quote_or_nothing() -> None:
    """A tuple that looks like one is not; it is no part of what is ordered."""
    seen = Quote.of(ltp="100", at_us=1)

    assert refused(quote=seen) == refused(quote=None) == "-"
    assert refused(quote=(1, None, None, 1)) == refused(quote="100") == "quote"
    assert refused(quote=Quote(1.5, None, None, 1)) == "quote", "made past `Quote.of`, it is not what it says"  # type: ignore[arg-type]
    assert order(quote=seen) == order()
    assert order(quote=seen).replaced(quantity=3).quote is seen


STOPS = table("""
    side  price  stop     refused
    BUY   100    99.95    no
    BUY   100    100      yes
    BUY   100    100.05   yes
    SELL  100    100.05   no
    SELL  100    100      yes
    SELL  100    99.95    yes
    BUY   -      1000     no
    BUY   100    0        yes
    BUY   100    -1       yes
    BUY   100    x        yes
    BUY   100    0.0001   no
""")


@pytest.mark.parametrize("row", STOPS, ids=str)
def test_where_an_entry_is_given_up(row: Row) -> None:
    """Above zero, on the losing side of the price; a market order has no price it could be on the side of."""
    given = {"side": row.side, "price": row.opt("price"), "stop_loss": row.stop}
    if row.opt("price") is None:
        given["order_type"] = "MARKET"
    assert refused(**given) == ("stop_loss" if row.has("refused") else "-")


def test_a_trigger_is_where_a_market_stop_enters() -> None:
    """It has no price of its own, so its stop loss is held against its trigger."""
    stop = {"order_type": "STOP_LOSS_MARKET", "price": None, "trigger_price": "100"}
    assert refused(**stop, stop_loss="99.95") == "-"
    assert refused(**stop, stop_loss="100") == "stop_loss"


MOMENTS = [
    (1, True), (0, False), (-1, False), (AT_US_MAX - 1, True), (AT_US_MAX, False), (True, False), (1.0, False), ("1", False),
    (datetime(2024, 6, 4, tzinfo=UTC), True), (datetime(2024, 6, 4), False),  # noqa: DTZ001 that is the point
]  # fmt: skip


@pytest.mark.parametrize(("at", "taken"), MOMENTS, ids=str)
def test_when_the_signal_was(at: object, taken: bool) -> None:
    """Microseconds UTC, or a time that knows its zone."""
    assert refused(signal_at=at) == ("-" if taken else "signal_at")
    if isinstance(at, datetime) and taken:
        assert order(signal_at=at).signal_at_us == 1_717_459_200_000_000


def test_an_order_does_not_change() -> None:
    """No attribute can be set, added or deleted."""
    made = order()
    for name in ("quantity", "account", "sign", "brand_new"):
        with pytest.raises(AttributeError):
            setattr(made, name, 1)
    with pytest.raises(AttributeError):
        del made.quantity
    assert made == order()


def test_equal_orders() -> None:
    """Equal in contents and id; each field makes a difference, the quote does not."""
    made = order(client_order_id="a1", strategy="s")
    assert made == order(client_order_id="a1", strategy="s") and hash(made) == hash(
        order(client_order_id="a1", strategy="s")
    )
    changes: list[dict[str, Any]] = [
        {"account": "other"}, {"exchange_segment": "BSE_EQ"}, {"security_id": "1"}, {"side": "SELL"},
        {"product": "CNC"}, {"order_type": "MARKET", "price": None}, {"quantity": 11}, {"price": "101"},
        {"validity": "IOC"}, {"strategy": "t"}, {"disclosed_quantity": 5}, {"exit_group": "g"},
    ]  # fmt: skip
    for change in changes:
        assert made.replaced(**change).contents() != made.contents(), change
        assert made.replaced(**change) != made
    assert made.replaced(client_order_id="a2") != made
    assert made.replaced(client_order_id="a2").contents() == made.contents()
    assert made != "an order"


def test_copies() -> None:
    """Pickle, copy and plain data give the same order back."""
    stop = order("SELL", 4, "99.05", order_type="STOP_LOSS", trigger_price="99.1", client_order_id="a1", exit_group="g")

    for made in (stop, order(price=None), order(disclosed_quantity=5, validity="IOC")):
        assert pickle.loads(pickle.dumps(made)) == made
        assert copy.copy(made) == copy.deepcopy(made) == made
        assert Order.from_mapping(made.arguments()) == made
        assert made.replaced() == made


MAPPINGS = [
    ({"qty": 10}, "qty"),
    ({"price": None}, "price"),
    ({"side": None}, "side"),
    ({"quantity": "10"}, "quantity"),
    ({1: 1}, "1"),
]


@pytest.mark.parametrize("case", MAPPINGS, ids=str)
def test_plain_data_is_held_to_the_same(case: tuple[dict[Any, Any], str]) -> None:
    """Unknown names are refused, missing ones named, and a list is no object."""
    with pytest.raises(OrderInvalidError) as caught:
        Order.from_mapping({**ARGUMENTS, **case[0]})
    assert caught.value.field == case[1]
    for name in ("account", "exchange_segment", "security_id", "side", "product", "order_type", "quantity"):
        with pytest.raises(OrderInvalidError, match="missing"):
            Order.from_mapping({key: value for key, value in ARGUMENTS.items() if key != name})
    not_objects: list[Any] = [[], "order", None, 1]
    for wrong in not_objects:
        with pytest.raises(OrderInvalidError):
            Order.from_mapping(wrong)


class Symbols:
    """Two segments list HDFCBANK, one the option."""

    listed = (SHARE, Instrument("BSE_EQ", "500180", "HDFCBANK"), option("50001"))

    def by_symbol(self, symbol: str, exchange_segment: str | None = None) -> list[Instrument]:
        return [
            each for each in self.listed if each.symbol == symbol and exchange_segment in (None, each.exchange_segment)
        ]


SYMBOLS = table("""
    symbol          segment  security
    HDFCBANK        NSE_EQ   1333
    HDFCBANK        BSE_EQ   500180
    HDFCBANK        -        -
    NIFTY-CE-50001  -        50001
    HDFCBANK        MCX_COMM  -
    hdfcbank        NSE_EQ   -
""")


@pytest.mark.parametrize("row", SYMBOLS, ids=str)
def test_orders_by_symbol(row: Row) -> None:
    """Exactly one contract, or the error says what to name."""
    rest = {key: value for key, value in ARGUMENTS.items() if key not in ("exchange_segment", "security_id")}
    if row.security == "-":
        with pytest.raises(OrderInvalidError, match="symbol"):
            Order.from_symbol(row.symbol, instruments=Symbols(), exchange_segment=row.opt("segment"), **rest)
    else:
        made = Order.from_symbol(row.symbol, instruments=Symbols(), exchange_segment=row.opt("segment"), **rest)
        assert made.security_id == row.security


def test_the_error_is_an_input_error_and_a_value_error() -> None:
    """Callers may catch either; it shows the value bounded and escaped."""
    with pytest.raises(OrderInvalidError) as caught:
        order(strategy="\n" * 500)
    assert issubclass(OrderInvalidError, InputError) and issubclass(OrderInvalidError, ValueError)
    assert caught.value.field == "strategy" and len(caught.value.value_shown) < 70


def test_an_object_that_cannot_be_read_through_is_refused() -> None:
    """Whatever it raises while it is looked at; and what is no object at all."""

    class Raising(dict[str, Any]):
        def items(self) -> Any:
            raise RuntimeError("no")

    for given, said in ((Raising(), "cannot be read through"), ([1], "wants an object of named fields")):
        with pytest.raises(OrderInvalidError, match=said):
            Order.from_mapping(given)  # type: ignore[arg-type]


def test_prices_are_remembered_and_not_for_ever() -> None:
    """A price read before is the same price; the memory of them is emptied when it is full."""
    _PRICES.clear()
    assert order(price="100.05").price_e4 == order(price="100.05").price_e4 == 1_000_500
    assert _PRICES == {"100.05": 1_000_500}
    _PRICES.update({f"x{number}": number for number in range(_NAMES_MAX - 1)})
    assert order(price="100.1").price_e4 == 1_001_000 and _PRICES == {"100.1": 1_001_000}


def test_twenty_thousand_names_do_not_break_the_next_order() -> None:
    """The memory of known names is bounded; an order that falls on the moment it is emptied is still built."""
    for number in range(20_050):
        assert order(security_id=f"s{number}", strategy=f"t{number}").security_id == f"s{number}"


@pytest.mark.parametrize("key", ["\x0bprice", "a\nb", "\u202eside", "\ud800", "x" * 1_000_000, ""])
def test_an_unknown_key_of_any_kind_is_named_in_one_line(key: str) -> None:
    """What came as JSON names the key it was refused for: escaped and cut, where it is none a person would write."""
    with pytest.raises(OrderInvalidError) as caught:
        Order.from_mapping({**order().arguments(), key: 1})

    said = str(caught.value)
    assert said.isprintable() and len(said) < 500 and "is no field of an order" in said


SAID: list[tuple[dict[str, Any], str]] = [
    ({'account': ''}, "`account` = '': is empty"),
    ({'security_id': ''}, "`security_id` = '': is empty"),
    ({'account': 1}, '`account` = 1: wants text, not int'),
    ({'account': None}, '`account` = None: wants text, not NoneType'),
    ({'strategy': "x" * 65},
     "`strategy` = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…: is longer than 64 characters"),
    ({'exit_group': 'a b'}, "`exit_group` = 'a b': wants printable ASCII without blanks"),
    ({'slice_of': 'é'}, "`slice_of` = '\\xe9': wants printable ASCII without blanks"),
    ({'slice_of': 5}, '`slice_of` = 5: wants text, not int'),
    ({'client_order_id': ''}, "`client_order_id` = '': is empty"),
    ({'client_order_id': 'a b'}, "`client_order_id` = 'a b': wants printable ASCII without blanks"),
    ({'client_order_id': "x" * 65},
     "`client_order_id` = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…: is longer than 64 characters"),
    ({'client_order_id': 5}, '`client_order_id` = 5: wants text, not int'),
    ({'slice_of': 'big'}, '`client_order_id` = None: a slice wants one: it keeps it from going out twice'),
    ({'quantity': 0}, '`quantity` = 0: wants a whole number from 1 to 1000000000'),
    ({'quantity': QUANTITY_MAX + 1}, '`quantity` = 1000000001: wants a whole number from 1 to 1000000000'),
    ({'quantity': True}, '`quantity` = True: wants a whole number from 1 to 1000000000'),
    ({'disclosed_quantity': 11}, '`disclosed_quantity` = 11: wants 0 to the quantity, 10'),
    ({'disclosed_quantity': -1}, '`disclosed_quantity` = -1: wants 0 to the quantity, 10'),
    ({'disclosed_quantity': 0.0}, '`disclosed_quantity` = 0.0: wants 0 to the quantity, 10'),
    ({'side': 'HOLD'}, "`side` = 'HOLD': wants one of BUY, SELL"),
    ({'product': 1}, '`product` = 1: wants one of BO, CNC, CO, INTRADAY, MARGIN, MTF'),
    ({'exchange_segment': 'X'},
     "`exchange_segment` = 'X': wants one of BSE_CURRENCY, BSE_EQ, BSE_FNO, IDX_I, MCX_COMM, NSE_CURRENCY, NSE_EQ, NSE_FNO"),
    ({'order_type': 'limit'}, "`order_type` = 'limit': wants one of LIMIT, MARKET, STOP_LOSS, STOP_LOSS_MARKET"),
    ({'validity': 'GTC'}, "`validity` = 'GTC': wants one of DAY, IOC"),
    ({'price': None}, '`price` = None: a LIMIT order wants one'),
    ({'price': 'x'}, "`price` = 'x': is not a plain decimal number like `1650.05`"),
    ({'price': 0}, '`price` = 0: wants a price above 0'),
    ({'price': -1}, '`price` = -1: wants a price above 0'),
    ({'price': '10000000.0001'}, "`price` = '10000000.0001': is beyond ±10000000"),
    ({'order_type': 'MARKET'}, "`price` = '100': a MARKET order takes none; leave it out"),
    ({'trigger_price': '1'}, "`trigger_price` = '1': a LIMIT order takes none; leave it out"),
    ({'order_type': 'MARKET', 'price': '0.000'}, "`price` = '0.000': a MARKET order takes none; leave it out"),
    ({'order_type': 'STOP_LOSS'}, '`trigger_price` = None: a STOP_LOSS order wants one'),
    ({'order_type': 'STOP_LOSS', 'trigger_price': '100', 'side': 'BUY', 'price': '99'},
     "`trigger_price` = '100.00': a stop BUY wants it at or below its price 99.00"),
    ({'order_type': 'STOP_LOSS', 'trigger_price': '100', 'side': 'SELL', 'price': '101'},
     "`trigger_price` = '100.00': a stop SELL wants it at or above its price 101.00"),
    ({'quote': 5}, '`quote` = 5: wants a riskguard.Quote'),
    ({'stop_loss': 'x'}, "`stop_loss` = 'x': is not a plain decimal number like `1650.05`"),
    ({'stop_loss': 0}, '`stop_loss` = 0: wants a price above 0'),
    ({'stop_loss': '100'}, "`stop_loss` = '100': a BUY wants it below its price 100.00"),
    ({'side': 'SELL', 'stop_loss': '100'}, "`stop_loss` = '100': a SELL wants it above its price 100.00"),
    ({'order_type': 'STOP_LOSS_MARKET', 'trigger_price': '100', 'price': None, 'stop_loss': '100.5'},
     "`stop_loss` = '100.5': a BUY wants it below its price 100.00"),
    ({'stop_loss': '10000000.0001'}, "`stop_loss` = '10000000.0001': is beyond ±10000000"),
    ({'signal_at': 0}, '`signal_at` = 0: wants microseconds since 1970 UTC, or an aware datetime'),
    ({'signal_at': datetime(2024, 6, 4)},  # noqa: DTZ001 that is the point
     '`signal_at` = datetime.datetime(2024, 6, 4, 0, 0): wants a datetime with a time zone'),
    ({'signal_at': '1'}, "`signal_at` = '1': wants microseconds since 1970 UTC, or an aware datetime"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "said"), SAID, ids=lambda each: str(each)[:60])
def test_what_is_wrong_is_said_to_the_letter(changes: dict[str, Any], said: str) -> None:
    """The field, the value bounded and escaped, and what would be right."""
    with pytest.raises(OrderInvalidError) as caught:
        Order(**{**ARGUMENTS, **changes})
    assert str(caught.value) == said


FIELDS = (
    "account, client_order_id, disclosed_quantity, exchange_segment, exit_group, order_type, price, product, quantity, "
    "security_id, side, signal_at, slice_of, stop_loss, strategy, trigger_price, validity"
)


def test_what_is_wrong_with_plain_data_and_symbols_is_said_to_the_letter() -> None:
    """The first unknown name by the alphabet, the first that is missing, and what to name instead of a symbol."""

    class Raising(dict[str, Any]):
        def items(self) -> Any:
            raise RuntimeError("no")

    without = {key: value for key, value in ARGUMENTS.items() if key not in ("side", "account")}
    cases: list[tuple[Any, str]] = [
        ([1], "`order` = [1]: wants an object of named fields"),
        (Raising(), "`order` = 'Raising': cannot be read through"),
        ({**ARGUMENTS, "zeta": 1, "alpha": 2}, f"`alpha` = 2: is no field of an order; known: {FIELDS}"),
        (without, "`account` = None: is missing"),
    ]
    for given, said in cases:
        with pytest.raises(OrderInvalidError) as caught:
            Order.from_mapping(given)
        assert str(caught.value) == said
    rest = {key: value for key, value in ARGUMENTS.items() if key not in ("exchange_segment", "security_id")}
    for symbol, problem in (
        ("HDFCBANK", "is listed in several segments (BSE_EQ, NSE_EQ): name `exchange_segment`"),
        ("X", "is not among the instruments: import them, or give `exchange_segment` and `security_id`"),
    ):
        with pytest.raises(OrderInvalidError) as caught:
            Order.from_symbol(symbol, instruments=Symbols(), **rest)
        assert str(caught.value) == f"`symbol` = '{symbol}': {problem}"
    found = Order.from_symbol("NIFTY-CE-50001", instruments=Symbols(), **rest)
    assert found.instrument == ("NSE_FNO", "50001")


def test_an_order_says_that_it_does_not_change() -> None:
    """Whichever way it is tried; and orders that differ are mostly found apart."""
    made = order()
    with pytest.raises(AttributeError) as caught:
        made.side = "SELL"
    assert str(caught.value) == "an Order does not change: build a new one (tried to set `side`)"
    with pytest.raises(AttributeError) as caught:
        del made.side
    assert str(caught.value) == "an Order does not change (tried to delete `side`)"
    assert len({hash(made), hash(order(account="o")), hash(order("SELL")), hash(order(quantity=3))}) == 4


def test_what_an_order_shows_of_itself() -> None:
    """Its id or that it has none yet, what is ordered, and the prices its type has."""
    stop = order("SELL", 4, "99.05", order_type="STOP_LOSS", trigger_price="99.1", client_order_id="a1")
    assert repr(stop) == "<Order a1: leader SELL 4 NSE_EQ:1333 INTRADAY STOP_LOSS at 99.05 trigger 99.10>"
    assert repr(order(price=None)) == "<Order (no id yet): leader BUY 10 NSE_EQ:1333 INTRADAY MARKET>"


@pytest.mark.parametrize(
    ("price", "taken"), [(0, "-"), ("0", "-"), ("0.0", "-"), ("0.00", "-"), (1, "price"), (0.0, "price")]
)
def test_a_price_of_0_is_none_where_the_type_has_none(price: object, taken: str) -> None:
    """As clients send it, as a number or as text; 1 is a price, and a float is nothing."""
    assert refused(order_type="MARKET", price=price) == taken


def test_names_are_remembered_and_not_for_ever() -> None:
    """The memory of them is emptied when it is full, and the empty name, which most orders carry, is never forgotten."""
    _NAMES.clear()
    _NAMES[""] = ""
    assert order(strategy="dip").strategy == "dip" and {"", "leader", "1333", "dip"} == set(_NAMES)
    _NAMES.update({f"x{number}": "" for number in range(_NAMES_MAX - len(_NAMES))})
    assert order(strategy="new").strategy == "new" and {"", "leader", "1333", "new"} >= set(_NAMES) >= {"", "new"}


def test_the_least_and_the_most_of_a_price() -> None:
    """1/10000 rupee and a crore: as price, as trigger and as the stop of an entry."""
    for price, price_e4 in (("0.0001", 1), ("10000000", PRICE_MAX_E4)):
        stop = order("SELL", 1, price, order_type="STOP_LOSS", trigger_price=price)
        assert (stop.price_e4, stop.trigger_price_e4) == (price_e4, price_e4)
    assert order(stop_loss="0.0001").stop_loss_e4 == 1
    assert order("SELL", 1, "1", stop_loss="10000000").stop_loss_e4 == PRICE_MAX_E4
    assert order(price="100.0001", stop_loss="100").stop_loss_e4 == 1_000_000
