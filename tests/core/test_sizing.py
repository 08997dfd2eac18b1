"""The quantity a refusal names: whole lots, what passes, and one lot more that does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskguard.core.sizing import largest_order, most_passing, most_within, slices, whole_lots
from tests.core.builders import FUTURE, SHARE, inr
from tests.core.tables import Row, table

WHOLE = table("""
    quantity  lots
    -26       0
    -1        0
    0         0
    1         0
    24        0
    25        25
    49        25
    50        50
""")


@pytest.mark.parametrize("row", WHOLE, ids=str)
def test_whole_lots(row: Row) -> None:
    """Rounded down to lots of 25, never below zero; without a known lot a unit counts as one."""
    whole = whole_lots(row.number("quantity"), FUTURE)
    assert whole == row.number("lots") and type(whole) is int
    assert whole_lots(row.number("quantity"), None) == max(0, row.number("quantity"))


STRAIGHT = table("""
    limit  each  standing  most
    100    1     0         100
    99     1     0         75
    100    1     76        0
    100    1     75        25
    100    2     0         50
    99     2     50        0
    100    2     50        25
    10     1     60        0
""")


@pytest.mark.parametrize("row", STRAIGHT, ids=str)
def test_most_within(row: Row) -> None:
    """standing + q × each ≤ limit, in lots of 25."""
    most = most_within(row.number("limit"), row.number("each"), FUTURE, row.number("standing"))

    assert most == row.number("most") and type(most) is int


def test_without_anything_standing_the_limit_is_the_room() -> None:
    """Exactly one lot of it is one lot; a unit less is none. Beyond what a float counts by ones it is still exact."""
    assert (most_within(25, 1, FUTURE), most_within(24, 1, FUTURE)) == (25, 0)
    assert most_within(2**53 + 1, 1, None) == 2**53 + 1


@given(
    st.integers(0, 3_000), st.integers(-500, 2_000), st.integers(1, 9), st.integers(1, 400), st.sampled_from([1, 25])
)
def test_most_passing_agrees_with_trying_each(limit: int, start: int, slope: int, refused: int, lot: int) -> None:
    """For every measure that falls and then rises: the named quantity passes, and one lot more does not."""
    instrument = replace(SHARE, lot_size=lot)

    def measure(quantity: int) -> int:
        return start + slope * abs(quantity - 60)

    if measure(refused) <= limit:
        return
    most = most_passing(measure, limit, refused, instrument)

    assert most % lot == 0 and most < refused + lot
    if most:
        assert measure(most) <= limit < measure(most + lot) or measure(most + lot) > limit
    elif measure(0) <= limit:
        assert measure(lot) > limit


def test_most_passing_of_what_cannot_be_measured_is_nothing() -> None:
    """None is above every limit."""
    assert most_passing(lambda quantity: None, 10, 100, FUTURE) == 0


def test_most_passing_without_a_known_lot_counts_units() -> None:
    """The very last unit that passes, and none where one is too many."""
    assert [most_passing(lambda quantity: quantity, limit, 100, None) for limit in (0, 1, 2, 99)] == [0, 1, 2, 99]


LARGEST = table("""
    freeze  ceiling   multiplier  price  largest
    -       -         1           100    -
    1800    -         1           100    1800
    1810    -         1           100    1800
    -       10000     1           100    100
    -       10000     1           99     100
    -       10000     1           101    75
    -       10000     1           -      -
    -       10000     -           100    -
    -       10000     2           100    50
    50      10000     1           100    50
    1800    10000     1           100    100
    10      -         1           100    25
""")


@pytest.mark.parametrize("row", LARGEST, ids=str)
def test_the_largest_order_the_exchange_takes(row: Row) -> None:
    """The tighter of freeze quantity and value, in lots of 25; none where neither binds, and never below a lot."""
    instrument = replace(
        FUTURE, freeze_quantity=row.opt_number("freeze"), order_value_max_e4=row.e4("ceiling"),
        multiplier=row.opt_number("multiplier"),
    )  # fmt: skip

    largest = largest_order(instrument, row.e4("price"))
    assert largest == row.opt_number("largest") and type(largest) in (int, type(None))
    assert largest_order(None, inr("100")) is None


def test_slices() -> None:
    """As few as carry it."""
    assert [slices(quantity, 10) for quantity in (1, 10, 11, 20, 21)] == [1, 1, 2, 2, 3]
