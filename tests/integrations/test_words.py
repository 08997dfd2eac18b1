"""Orders in other libraries' words: the same order, or a clear no; never a guess."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from riskguard import Order, OrderInvalidError
from riskguard.integrations.words import dhan_order, kite_order, price_of, quantity_of
from tests.core.tables import Row, table
from tests.services.desk import Desk

DHAN: dict[str, Any] = {
    "security_id": "1333", "exchange_segment": "NSE_EQ", "transaction_type": "BUY", "quantity": 10,
    "order_type": "LIMIT", "product_type": "INTRADAY", "price": 101.05,
}  # fmt: skip


def test_a_float_is_read_as_it_was_written() -> None:
    """101.05 is 101.05 rupees, although no binary float is; what has more than four decimals is refused."""
    assert dhan_order("leader", **DHAN).price == Decimal("101.05")
    for value in (0.1 + 0.2, 101.00001):
        with pytest.raises(OrderInvalidError, match="price"):
            dhan_order("leader", **{**DHAN, "price": value})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "abc", True, [], Decimal("NaN"), b"1"])
def test_no_price_is_guessed(value: object) -> None:
    """Not a number, not finite, a bool: refused by name. 0, None and an empty text mean "no price"."""
    with pytest.raises(OrderInvalidError):
        price_of("price", value)
    assert [price_of("price", none) for none in (0, 0.0, None, "", "0")] == [None] * 5


@pytest.mark.parametrize("value", [1.5, "1.5", True, None, "ten", float("nan"), float("inf"), [], "1_0"])
def test_no_quantity_is_guessed(value: object) -> None:
    """A whole number in any coat counts; all else is refused, never cut off as `int()` does."""
    if value == "1_0":
        assert quantity_of("10") == 10 == quantity_of(10.0)
        return
    with pytest.raises(OrderInvalidError):
        quantity_of(value)


TYPES = table("""
    type              price  trigger  becomes_price  becomes_trigger
    LIMIT             100    0        100            -
    limit             100    99       100            -
    MARKET            0      0        -              -
    MARKET            100    0        -              -
    STOP_LOSS         101    100      101            100
    STOP_LOSS_MARKET  0      100      -              100
""")


@pytest.mark.parametrize("row", TYPES, ids=str)
def test_a_type_takes_the_prices_it_has(row: Row) -> None:
    """dhanhq sends a price with every order; only what the type has counts."""
    found = dhan_order(
        "leader", **{**DHAN, "order_type": row.type, "price": float(row.price), "trigger_price": float(row.trigger)}
    )
    becomes = [
        Decimal(cell) if cell is not None else None for cell in (row.opt("becomes_price"), row.opt("becomes_trigger"))
    ]
    assert [found.price, found.trigger_price] == becomes


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("product_type", "CO"), ("product_type", "BO"), ("product_type", None), ("exchange_segment", "NSE"),
        ("transaction_type", "HOLD"), ("order_type", 7), ("security_id", None), ("validity", "GTC"), ("quantity", 0),
    ],
)  # fmt: skip
def test_a_wrong_word_is_named(field: str, value: object) -> None:
    """Each is an OrderInvalidError; cover and bracket orders are not sent at all."""
    with pytest.raises(OrderInvalidError):
        dhan_order("leader", **{**DHAN, field: value})


KITE = {
    "tradingsymbol": "HDFCBANK", "exchange": "NSE", "transaction_type": "SELL", "quantity": 5, "order_type": "SL",
    "product": "MIS", "price": 99.5, "trigger_price": 100, "validity": "DAY", "tag": "mine",
}  # fmt: skip


def test_a_kite_dictionary_is_an_order(desk: Desk) -> None:
    """The symbol is looked up; MIS is INTRADAY, SL a stop with a limit."""
    expected = Order(
        account="leader", exchange_segment="NSE_EQ", security_id="1333", side="SELL", product="INTRADAY",
        order_type="STOP_LOSS", quantity=5, price="99.5", trigger_price="100",
    )  # fmt: skip
    assert kite_order(desk.guard, "leader", KITE) == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [("tradingsymbol", "NOSUCH"), ("exchange", "NYSE"), ("product", "INTRADAY"), ("order_type", None), ("quantity", 0)],
)
def test_a_kite_dictionary_nobody_can_read_is_refused(desk: Desk, field: str, value: object) -> None:
    """A symbol, an exchange or a word that is not known."""
    with pytest.raises(OrderInvalidError):
        kite_order(desk.guard, "leader", {**KITE, field: value})
