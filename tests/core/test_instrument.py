"""What an instrument's own words say: whether it is an option, what it hangs on, what a unit and a point of it are."""

from __future__ import annotations

import pytest

from riskguard.core.instrument import Instrument, default_multiplier, root_of
from tests.core.tables import Row, table

ROOTS = table("""
    symbol                        root
    NIFTY-Sep2026-23950-CE        NIFTY
    NIFTY-Sep2026-FUT             NIFTY
    CRUDEOIL-21Sep2026-FUT        CRUDEOIL
    CRUDEOIL-1Sep2026-FUT         CRUDEOIL
    BAJAJ-AUTO-Jul2025-FUT        BAJAJ-AUTO
    A-B-C-Jan2025-FUT             A-B-C
    M&M-Dec2024-1400.5-PE         M&M
    HDFCBANK                      -
    BAJAJ-AUTO                    -
    NIFTY-Sep2026                 -
    NIFTY-Sep2026-                -
    NIFTY-Sop2026-FUT             -
    NIFTY-Sep202x-FUT             -
    NIFTY-xSep2026-FUT            -
    NIFTY-Sep26-FUT               -
""")


@pytest.mark.parametrize("row", ROOTS, ids=str)
def test_what_a_contract_hangs_on(row: Row) -> None:
    """What stands before the month; a symbol without one, or with nothing behind it, is no contract's."""
    assert root_of(row.symbol) == (row.opt("root") or "")


@pytest.mark.parametrize("month", ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"])
def test_every_month_is_one(month: str) -> None:
    assert root_of(f"X-{month}2026-FUT") == "X"


@pytest.mark.parametrize(
    ("segment", "known"),
    [
        ("NSE_EQ", 1), ("BSE_EQ", 1), ("NSE_FNO", 1), ("BSE_FNO", 1), ("MCX_COMM", None), ("NSE_CURRENCY", None),
        ("BSE_CURRENCY", None),
    ],
)  # fmt: skip
def test_where_a_unit_is_a_unit(segment: str, known: int | None) -> None:
    """Elsewhere only a dated table knows, whatever the kind."""
    assert default_multiplier(segment, "FUTCOM") == known == default_multiplier(segment, "OPTIDX")


def test_an_option_by_either_word() -> None:
    """By its type, or by its kind where the master forgets the type; nothing else is one."""
    kinds = [("OPTIDX", "CE"), ("OPTIDX", ""), ("", "PE"), ("FUTIDX", ""), ("", ""), ("XOPT", "")]
    assert [Instrument("NSE_FNO", "1", "X", kind, option_type=of).is_option for kind, of in kinds] == [
        True, True, True, False, False, False,
    ]  # fmt: skip
    assert Instrument("NSE_FNO", "1", "X").key == ("NSE_FNO", "1")
