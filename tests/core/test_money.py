"""Exact money: what goes in, what comes out, and what is refused at the door."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskguard.core.money import AMOUNT_MAX_E4, PRICE_MAX_E4, SCALE, rupees, to_decimal, to_e4, to_text
from riskguard.errors import shown
from tests.core.tables import Row, table

TAKEN = table("""
    given               e4
    0                   0
    -0                  0
    +1                  10000
    1650                16500000
    1650.05             16500500
    0.0001              1
    -0.0001             -1
    5.                  50000
    .5                  5000
    00012.50            125000
    1.00000000          10000
    10000000000000      100000000000000000
    -10000000000000     -100000000000000000
""")


@pytest.mark.parametrize("row", TAKEN, ids=str)
def test_text_and_decimal_are_taken_exactly(row: Row) -> None:
    """Four decimals and no more, the same from text, Decimal and (where whole) int."""
    assert to_e4(row.given) == row.number("e4")
    assert to_e4(Decimal(row.given)) == row.number("e4")
    if row.given.lstrip("+-").isdigit():
        assert to_e4(int(row.given)) == row.number("e4")


REFUSED = [
    "", " ", "1 ", " 1", "1,000", "1_000", "1e3", "1E3", "0x10", "NaN", "nan", "inf", "-inf", "Infinity", "1.00001",
    "--1", "+-1", ".", "-", "1.2.3", "१२", "１", "1" * 33, "1\n", "\ud800", "1\x00",
    Decimal("NaN"), Decimal("sNaN"), Decimal("-NaN"), Decimal("Infinity"), Decimal("-Infinity"), Decimal("0.00001"),
    Decimal("1E+999999"), Decimal("1E-999999"), Decimal("0E+999999"), Decimal(10) ** 33,
    10**13 + 1, -(10**13) - 1, 10**5000, -(10**5000), Decimal("10000000000000.0001"),
    1.0, 0.0, float("nan"), float("inf"), True, False, None, b"1", [], {}, ..., 1j,
]  # fmt: skip


@pytest.mark.parametrize("value", REFUSED, ids=shown)
def test_everything_else_is_a_value_error(value: object) -> None:
    """A float has lost its last digits, a bool is no number, and nothing passes for "about right"."""
    with pytest.raises(ValueError):
        to_e4(value)


@pytest.mark.parametrize("most", [PRICE_MAX_E4, AMOUNT_MAX_E4, 1])
def test_the_bound_itself_is_allowed(most: int) -> None:
    """On the bound is allowed on both sides of zero, one step beyond is not."""
    for sign in (1, -1):
        assert to_e4(Decimal(sign * most) / SCALE, most=most) == sign * most
        with pytest.raises(ValueError, match="beyond"):
            to_e4(Decimal(sign * (most + 1)) / SCALE, most=most)


SHOWN = table("""
    e4           text          decimal       rupees
    0            0.00          0.00          ₹0.00
    1            0.0001        0.0001        ₹0.0001
    10           0.001         0.001         ₹0.001
    100          0.01          0.01          ₹0.01
    16500000     1650.00       1650.00       ₹1,650.00
    16500050     1650.005      1650.005      ₹1,650.005
    -1           -0.0001       -0.0001       -₹0.0001
    9999999      999.9999      999.9999      ₹999.9999
    -123456700   -12345.67     -12345.67     -₹12,345.67
    999990000    99999.00      99999.00      ₹99,999.00
    1000000000   100000.00     100000.00     ₹1,00,000.00
    123456789000  12345678.90  12345678.90   ₹1,23,45,678.90
""")


@pytest.mark.parametrize("row", SHOWN, ids=str)
def test_three_ways_to_show_it(row: Row) -> None:
    """Plain text, Decimal, and lakh grouping; two to four decimals, the sign before the rupee."""
    e4 = row.number("e4")

    assert to_text(e4) == row.text
    assert str(to_decimal(e4)) == row.decimal  # its zeros too: no equality of Decimals sees them
    assert rupees(e4) == row.rupees


@given(st.integers(-AMOUNT_MAX_E4, AMOUNT_MAX_E4))
def test_there_and_back(e4: int) -> None:
    """No amount changes on its way out and in again."""
    assert to_e4(to_text(e4)) == e4
    assert to_e4(to_decimal(e4)) == e4
    assert to_decimal(e4) == Decimal(to_text(e4))


SAID = [
    (1.0, "a float has lost its last digits; give text, int or Decimal"),
    (True, "wants text, int or Decimal, not bool"),
    (None, "wants text, int or Decimal, not NoneType"),
    (Decimal("NaN"), "is not a finite number"),
    (Decimal("sNaN"), "is not a finite number"),
    (Decimal("-Infinity"), "is not a finite number"),
    (Decimal("1" * 33), "has more digits than any price"),
    (Decimal("1E+33"), "has more digits than any price"),
    (Decimal("1E-33"), "has more digits than any price"),
    (Decimal("0E+33"), "has more digits than any price"),
    # On the edge it is read, and refused for what it is.
    (Decimal("1" * 32), "is beyond ±10000000000000"),
    (Decimal("1E+32"), "is beyond ±10000000000000"),
    (Decimal("1E-32"), "has more than four decimals"),
    (Decimal("0.00001"), "has more than four decimals"),
]


@pytest.mark.parametrize(("given", "said"), SAID, ids=[str(given)[:12] for given, _ in SAID])
def test_each_refusal_says_why_in_its_words(given: object, said: str) -> None:
    """Both sides of the bound on digits and exponents; the words are shown to people beside the field."""
    with pytest.raises(ValueError) as caught:
        to_e4(given)

    assert str(caught.value) == said


@pytest.mark.parametrize("given", [Decimal("0E+32"), Decimal("0E-32"), Decimal("0." + "0" * 31)])
def test_zero_is_zero_however_it_is_written(given: Decimal) -> None:
    """Up to the bound; past it nothing is computed at all."""
    assert to_e4(given) == 0
