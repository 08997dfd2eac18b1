"""Twenty thousand orders nobody should send: each is a valid Order or an OrderInvalidError, nothing else."""

from __future__ import annotations

import datetime
import pickle
import random
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any

import pytest

from riskguard.core.money import PRICE_MAX_E4
from riskguard.core.order import QUANTITY_MAX, Order
from riskguard.core.quote import Quote
from riskguard.errors import OrderInvalidError

SEED = 20_240_604
ORDERS = 20_000


class Text(str):
    """A str subclass, as numpy and enums make them."""

    __slots__ = ()


class Word(StrEnum):
    BUY = "BUY"
    LIMIT = "LIMIT"
    NSE_EQ = "NSE_EQ"
    INTRADAY = "INTRADAY"


class Count(int):
    """An int subclass."""


class Silent:
    """An object that cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class Unhashable:
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return True


GOOD: dict[str, list[Any]] = {
    "account": ["leader", "f1"],
    "exchange_segment": ["NSE_EQ", "NSE_FNO", "MCX_COMM", Word.NSE_EQ],
    "security_id": ["1333", "35001"],
    "side": ["BUY", "SELL", Word.BUY],
    "product": ["CNC", "INTRADAY", "MARGIN", Word.INTRADAY],
    "order_type": ["LIMIT", "MARKET", "STOP_LOSS", "STOP_LOSS_MARKET", Word.LIMIT],
    "quantity": [1, 10, 75, QUANTITY_MAX],
    "price": ["100", "99.95", 100, Decimal("100.05"), None, None, "0", 0, "0.0001", "10000000"],
    "trigger_price": [None, None, "100", Decimal("99.95"), 0],
    "client_order_id": [None, "a1", "x" * 64, Text("b2")],
    "validity": ["DAY", "IOC"],
    "strategy": ["", "dip", Text("dip")],
    "disclosed_quantity": [0, 0, 5],
    "exit_group": ["", "g1"],
    "quote": [None, Quote.of(ltp="100", at_us=1)],
}
BAD: list[Any] = [
    None, True, False, 0, -0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**30, 10**5000, -(10**5000),
    0.0, -0.0, 1.5, float("nan"), float("inf"), float("-inf"), 1e308, 5e-324,
    Decimal("NaN"), Decimal("sNaN"), Decimal("-sNaN123"), Decimal("Infinity"), Decimal("-Infinity"), Decimal("-0"),
    Decimal("1E+999999"), Decimal("1E-999999"), Decimal("0E+999999"), Decimal("9" * 100), Fraction(1, 3), 1j,
    "", " ", "NaN", "inf", "1e400", "-0", "-1", "0.00001", "1_000", "\x00", "\n", "\r\n", "\x1b[31m", "\x7f", "\u202e",
    "\ud800", "\udfff", "é", "１２", "१", "🙂", "a" * 65, "x" * 100_000, "9" * 5_000, "BUY\x00", "buy", "NSE",
    Text("100"), Text("BUY"), Text(""), Word.BUY, Count(5), b"BUY", bytearray(b"x"),
    [], {}, (), set(), [10**5000], {"a": float("nan")}, object(), Silent(), Unhashable(), type, len, ...,
    datetime.date(2024, 6, 4), range(3), (100, None, None, 1),
]  # fmt: skip


def fuzzed(chance: random.Random) -> dict[str, Any]:
    """Take the good for most fields and something bad for one to three; now and then leave or add a field."""
    fields = {name: chance.choice(values) for name, values in GOOD.items()}
    for name in chance.sample(sorted(fields), chance.choice((0, 1, 1, 1, 2, 3, len(fields)))):
        fields[name] = noise(chance) if chance.random() < 0.2 else chance.choice(BAD)
    return fields


def noise(chance: random.Random) -> Any:
    """Make a random text or number of any size."""
    if chance.random() < 0.5:
        return "".join(
            chr(chance.choice((chance.randrange(128), chance.randrange(0x11_0000))))
            for _ in range(chance.randrange(80))
        )
    sign, size = chance.choice((1, -1)), chance.randrange(200)
    number = sign * chance.randrange(10 ** (size + 1))
    return chance.choice((number, Decimal(number).scaleb(-chance.randrange(40)), str(number)))


def assert_valid(made: Order) -> None:
    """What every order promises, whoever built it from whatever."""
    for name in (
        "account",
        "security_id",
        "strategy",
        "exit_group",
        "exchange_segment",
        "side",
        "product",
        "order_type",
    ):
        assert type(getattr(made, name)) is str, name
    for name in ("account", "security_id", "strategy", "exit_group", "client_order_id"):
        text = getattr(made, name)
        assert text is None or (type(text) is str and text.isascii() and text.isprintable() and " " not in text), name
        assert text is None or len(text) <= 64, name
    assert made.account and made.security_id and made.client_order_id != ""
    assert type(made.quantity) is int and 0 < made.quantity <= QUANTITY_MAX
    assert type(made.disclosed_quantity) is int and 0 <= made.disclosed_quantity <= made.quantity
    assert (made.price_e4 is not None) == (made.order_type in ("LIMIT", "STOP_LOSS"))
    assert (made.trigger_price_e4 is not None) == made.order_type.startswith("STOP")
    for price_e4 in (made.price_e4, made.trigger_price_e4):
        assert price_e4 is None or (type(price_e4) is int and 0 < price_e4 <= PRICE_MAX_E4)
    assert made.sign == (1 if made.side == "BUY" else -1)
    assert repr(made) and hash(made) is not None
    assert pickle.loads(pickle.dumps(made)) == made


def test_twenty_thousand_fuzzed_orders() -> None:
    """Only the typed error, in one bounded printable line, or an order that keeps every promise."""
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    built = 0
    for number in range(ORDERS):
        fields = fuzzed(chance)
        build = Order.from_mapping if number % 2 else lambda given: Order(**given)
        try:
            made = build(fields)
        except OrderInvalidError as e:
            said = str(e)
            assert said.isprintable() and said.encode() and len(said) < 500, said
            assert e.field in GOOD, e.field
        except Exception as e:
            raise AssertionError(f"order {number} of seed {SEED}: {type(e).__name__} {e}") from e
        else:
            built += 1
            assert_valid(made)
    # Both outcomes are really met: a fuzz that only refuses tests one line.
    assert ORDERS // 50 < built < ORDERS // 2, built


class Loud(str):
    """A str subclass whose own methods raise."""

    __slots__ = ()

    def __len__(self) -> int:
        raise RuntimeError("no length")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    __hash__ = str.__hash__


class Liar(str):
    """A str subclass that claims to be what it is not."""

    __slots__ = ()

    def isascii(self) -> bool:
        return True

    def isprintable(self) -> bool:
        return True

    def __contains__(self, other: object) -> bool:
        return False


class Doubtful:
    """An object that is neither true nor false, as arrays are."""

    def __bool__(self) -> bool:
        raise RuntimeError("no truth")


HOSTILE = [
    pytest.param("side", Loud("BUY")),
    pytest.param("order_type", Loud("LIMIT")),
    pytest.param("account", Loud("a")),
    pytest.param("client_order_id", Loud("a")),
    pytest.param("client_order_id", Liar("a\nb")),
    pytest.param("account", Liar("a\nb")),
    pytest.param("price", Loud("100")),
    pytest.param("price", Doubtful()),
    pytest.param("quantity", Doubtful()),
    pytest.param("disclosed_quantity", Doubtful()),
]


@pytest.mark.parametrize(
    ("field", "value"), HOSTILE, ids=lambda part: part if type(part) is str else type(part).__name__
)
def test_objects_whose_own_methods_misbehave(field: str, value: Any) -> None:
    """Not even an argument that breaks when it is looked at breaks the caller with anything but the typed error."""
    fields = {name: values[0] for name, values in GOOD.items()}
    try:
        assert_valid(Order(**{**fields, field: value}))
    except OrderInvalidError as e:
        assert e.field == field
