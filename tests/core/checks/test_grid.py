"""Lots and ticks: the exchange's grid, and what an exit is spared of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from riskguard.core.checks import lot_size, price_tick
from tests.core.builders import FUTURE, SHARE, account, ask, code, line, order, order_of
from tests.core.tables import Row, table

LOTS = table("""
    quantity  expected            max_quantity
    24        NOT_A_LOT_MULTIPLE  0
    25        -                   -
    26        NOT_A_LOT_MULTIPLE  25
    49        NOT_A_LOT_MULTIPLE  25
    50        -                   -
    51        NOT_A_LOT_MULTIPLE  50
""")


@pytest.mark.parametrize("row", LOTS, ids=str)
def test_whole_lots_only(row: Row) -> None:
    """A multiple of the lot passes; the refusal names the next multiple below."""
    reject = ask(lot_size.CHECK, order_of(FUTURE, quantity=row.number("quantity")))

    assert code(reject) == row.expected
    if reject is not None:
        assert (reject.measured, reject.limit, reject.max_quantity) == (
            row.number("quantity"),
            25,
            row.number("max_quantity"),
        )
        assert not reject.max_quantity or ask(lot_size.CHECK, order_of(FUTURE, quantity=reject.max_quantity)) is None


def test_odd_lots_that_close_are_let_out() -> None:
    """An exit of a position that is no multiple of today's lot; one unit more is a flip, and is refused."""
    held = account(line(30), instrument=FUTURE)

    assert ask(lot_size.CHECK, order_of(FUTURE, "SELL", 30), held) is None
    assert code(ask(lot_size.CHECK, order_of(FUTURE, "SELL", 31), held)) == "NOT_A_LOT_MULTIPLE"
    assert not lot_size.CHECK.exits


def test_without_a_known_lot_there_is_nothing_to_judge() -> None:
    """Unknown instruments are another check's to refuse."""
    unknown = account()
    unknown.instruments.clear()

    assert ask(lot_size.CHECK, order(quantity=7), unknown) is None
    assert ask(price_tick.CHECK, order(price="0.0001"), unknown) is None


TICKS = table("""
    type              price   trigger  expected
    LIMIT             100     -        -
    LIMIT             100.05  -        -
    LIMIT             100.04  -        NOT_A_TICK_MULTIPLE
    LIMIT             100.0501  -      NOT_A_TICK_MULTIPLE
    LIMIT             0.05    -        -
    LIMIT             0.04    -        NOT_A_TICK_MULTIPLE
    MARKET            -       -        -
    STOP_LOSS         100.05  100      -
    STOP_LOSS         100.05  100.01   NOT_A_TICK_MULTIPLE
    STOP_LOSS         100.06  100      NOT_A_TICK_MULTIPLE
    STOP_LOSS_MARKET  -       100.05   -
    STOP_LOSS_MARKET  -       100.06   NOT_A_TICK_MULTIPLE
""")


@pytest.mark.parametrize("row", TICKS, ids=str)
def test_prices_on_the_grid(row: Row) -> None:
    """Price and trigger price each on the tick of five paise; the hint names the neighbours."""
    asked = order(price=row.opt("price"), order_type=row.type, trigger_price=row.opt("trigger"))
    reject = ask(price_tick.CHECK, asked)

    assert code(reject) == row.expected
    assert reject is None or ("try " in reject.hint and " or " in reject.hint)


def test_the_hint_names_the_neighbours_on_the_grid() -> None:
    """Below and above, as prices."""
    reject = ask(price_tick.CHECK, order(price="100.04"))

    assert reject is not None and reject.hint == "try 100.00 or 100.05"
    assert (str(reject.measured), str(reject.limit)) == ("100.04", "0.05")
    trigger = ask(price_tick.CHECK, order(order_type="STOP_LOSS", price="100.05", trigger_price="100.01"))
    assert trigger is not None and trigger.hint == "try 100.00 or 100.05" and "trigger" in trigger.detail


@pytest.mark.parametrize("tick_e4", [0, -1])
def test_an_instrument_without_a_tick_has_no_grid(tick_e4: int) -> None:
    """Nothing is divided by it."""
    of = account()
    of.instruments[SHARE.key] = replace(SHARE, tick_e4=tick_e4)

    assert ask(price_tick.CHECK, order(price="100.0001"), of) is None
