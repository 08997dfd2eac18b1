"""What the market would not take: an instrument nobody knows, shares that are not there, too little disclosed."""

from __future__ import annotations

import pytest

from riskguard.core.account import Account
from riskguard.core.book import Line
from riskguard.core.checks.order_validity import CHECK
from tests.core.builders import account, ask, code, line, order
from tests.core.tables import Row, table


def stranger(held: int = 0) -> Account:
    """An account that holds an instrument nobody described."""
    of = account(line(held)) if held else account()
    of.instruments.clear()
    return of


def test_an_unknown_instrument_is_refused_unless_it_is_left() -> None:
    """An exit of what is held needs no description; everything else does."""
    assert code(ask(CHECK, order(), stranger())) == "INSTRUMENT_UNKNOWN"
    assert code(ask(CHECK, order("BUY", 10), stranger(10))) == "INSTRUMENT_UNKNOWN"
    assert code(ask(CHECK, order("SELL", 11), stranger(10))) == "INSTRUMENT_UNKNOWN"
    assert ask(CHECK, order("SELL", 10), stranger(10)) is None
    assert ask(CHECK, order()) is None


DELIVERIES = table("""
    held  selling  quantity  expected        max_quantity
    10    0        10        -               -
    10    0        11        SHORT_DELIVERY  10
    10    4        6         -               -
    10    4        7         SHORT_DELIVERY  6
    10    10       1         SHORT_DELIVERY  0
    10    12       1         SHORT_DELIVERY  0
    0     0        1         SHORT_DELIVERY  0
""")


@pytest.mark.parametrize("row", DELIVERIES, ids=str)
def test_a_delivery_sale_delivers_what_is_there(row: Row) -> None:
    """Up to what can be delivered and is not being sold already; the refusal names that quantity."""
    held = Line("CNC", seen=0, sellable_start=row.number("held"))
    if row.number("selling"):
        held.working |= line(sells=row.number("selling")).working
    of = account(held.refresh())
    reject = ask(CHECK, order("SELL", row.number("quantity"), product="CNC"), of)

    assert code(reject) == row.expected
    if reject is not None:
        assert reject.max_quantity == reject.limit == row.number("max_quantity")
        assert reject.measured == row.number("quantity")
        assert not reject.max_quantity or ask(CHECK, order("SELL", reject.max_quantity, product="CNC"), of) is None


def test_the_same_sale_intraday_is_a_short_sale_and_not_a_delivery() -> None:
    """Only CNC delivers."""
    assert ask(CHECK, order("SELL", 1)) is None


DISCLOSED = table("""
    quantity  disclosed  expected
    10        0          -
    10        2          DISCLOSED_QUANTITY_OUT_OF_RANGE
    10        3          -
    10        10         -
    11        3          DISCLOSED_QUANTITY_OUT_OF_RANGE
    11        4          -
    1         1          -
""")


@pytest.mark.parametrize("row", DISCLOSED, ids=str)
def test_disclosed_quantity(row: Row) -> None:
    """Nothing, or at least 30 % of the order."""
    asked = order(quantity=row.number("quantity"), disclosed_quantity=row.number("disclosed"))

    assert code(ask(CHECK, asked)) == row.expected


def test_it_applies_to_exits() -> None:
    """An exchange that would refuse an order refuses an exit too."""
    assert CHECK.exits and CHECK.mandatory and CHECK.never_shadow
    assert (
        code(ask(CHECK, order("SELL", 10, disclosed_quantity=2), account(line(10))))
        == "DISCLOSED_QUANTITY_OUT_OF_RANGE"
    )
