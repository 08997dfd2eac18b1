"""Charges where the table alone does not say: what nobody can classify, shares of a note, a note explained, its horizon."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskguard import data
from riskguard.core.charges import (
    ChargeFill,
    ChargeTable,
    ChargeTableError,
    ChargeUnknownError,
    Settlement,
    charge_surely,
    half_up,
    shared_out,
)
from riskguard.core.money import to_e4, to_text
from tests.core.tables import Row, table

TEXT = data.charges_text()
TABLE = ChargeTable.parse(TEXT)
DAY = date(2026, 5, 14)


def fill(
    segment: str, kind: str, side: str = "BUY", quantity: int = 75, price: str = "100", **more: object
) -> ChargeFill:
    made = ChargeFill(segment, kind, "7", "INTRADAY", side, quantity, to_e4(price), "1", DAY)
    return replace(made, **more)  # type: ignore[arg-type]


# -- what nobody can classify -------------------------------------------------------------------------------------------

UNKNOWN = table("""
    segment   kind     side  taken
    NSE_FNO   -        BUY   NSE_FNO OPTIDX
    NSE_FNO   EQUITY   SELL  NSE_FNO OPTIDX
    NSE_EQ    BOND     SELL  NSE_EQ EQUITY
    MCX_COMM  OPTGOODS  BUY  MCX_COMM OPTFUT
    NSE_SLB   WHAT     SELL  BSE_FNO OPTIDX
""")


@pytest.mark.parametrize("row", UNKNOWN, ids=str)
def test_what_nobody_can_classify_costs_the_most(row: Row) -> None:
    """Of all kinds of its segment, or of all segments; never nothing, and the note says so."""
    asked = fill(row.segment, row.opt("kind") or "", row.side)
    note = charge_surely(TABLE, [asked])
    places = [row.segment] if TABLE.kinds(row.segment) else sorted(TABLE.segments)
    dearest = max(
        TABLE.estimate_fill(replace(asked, exchange_segment=place, kind=kind)).ledger_e4
        for place in places
        for kind in TABLE.kinds(place)
    )

    assert note.ledger_e4 == dearest > 0
    assert not note.is_known
    with pytest.raises(ChargeUnknownError):
        TABLE.charge_day([asked])


def test_what_is_known_beside_it_stays_as_it_was() -> None:
    """One contract nobody knows does not make the others dear."""
    known, unknown = fill("NSE_EQ", "EQUITY"), fill("NSE_FNO", "")
    both = dict(charge_surely(TABLE, [known, unknown]).segments)

    assert both["NSE_EQ"] == dict(TABLE.charge_day([known]).segments)["NSE_EQ"]
    assert charge_surely(TABLE, [known]) == TABLE.charge_day([known])


def test_an_expiry_that_can_be_classified_is_charged() -> None:
    """Beside the fills, as the table says; nothing more is in doubt than there."""
    fills, events = (
        [fill("NSE_EQ", "EQUITY")],
        [Settlement("NSE_FNO", "OPTIDX", "7", "EXERCISE_LONG", 75, 1_000_000, DAY)],
    )
    assert charge_surely(TABLE, fills, events) == TABLE.charge_day(fills, events)


def test_an_expiry_nobody_can_classify_is_said() -> None:
    note = charge_surely(TABLE, [fill("NSE_EQ", "EQUITY")], [Settlement("NSE_FNO", "", "7", "EXPIRY", 75, 0, DAY)])
    assert any("expiry" in each for each in note.unknown)


# -- shares ---------------------------------------------------------------------------------------------------------------

FILLS = st.lists(
    st.builds(
        lambda side, lots, ticks, order: replace(
            fill("NSE_FNO", "OPTIDX", side, lots * 75), price_e4=ticks * 500, order_id=f"{side}{order}"
        ),
        st.sampled_from(["BUY", "SELL"]), st.integers(1, 24), st.integers(1, 40_000), st.integers(1, 5),
    ),
    min_size=1, max_size=10,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(FILLS, st.integers(1, 4))
def test_the_shares_of_a_note_add_up_to_it(fills: list[ChargeFill], groups: int) -> None:
    """To the last ten-thousandth, however the fills are cut, and no share is below zero by more than a rounding."""
    note = charge_surely(TABLE, fills)
    cut = {number: fills[number::groups] for number in range(groups) if fills[number::groups]}
    shares = shared_out(TABLE, note, cut)

    assert sum(shares.values()) == note.total_e4
    assert all(share >= 0 for share in shares.values())


def test_a_share_goes_by_what_the_fills_cost_alone() -> None:
    """Two like strategies pay alike; one that did nothing pays nothing."""
    mine, yours = fill("NSE_FNO", "OPTIDX"), fill("NSE_FNO", "OPTIDX", order_id="2")
    shares = shared_out(TABLE, charge_surely(TABLE, [mine, yours]), {"mine": [mine], "yours": [yours]})

    assert abs(shares["mine"] - shares["yours"]) <= 1
    assert shared_out(TABLE, charge_surely(TABLE, []), {}) == {}


# -- explained ------------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(FILLS)
def test_the_components_are_the_note(fills: list[ChargeFill]) -> None:
    """Summed by line and rounded as the line is, what is explained is what is charged."""
    note, components = TABLE.explain_day(fills)
    amounts: dict[str, Fraction] = {}
    for each in components:
        rounded = half_up(each.amount_e4, 100) if each.name == "brokerage" else each.amount_e4
        amounts[each.name] = amounts.get(each.name, Fraction(0)) + rounded

    assert note == TABLE.charge_day(fills)
    for name, unit in (("brokerage", 100), ("exchange_txn", 100), ("sebi", 100), ("ipft", 100), ("gst", 100)):
        assert half_up(amounts.get(name, Fraction(0)), unit) == getattr(note.lines, f"{name}_e4"), name
    for name in ("stt", "stamp"):
        assert half_up(amounts.get(name, Fraction(0)), 10_000) == getattr(note.lines, f"{name}_e4"), name


def test_a_component_says_what_it_was_made_of() -> None:
    """Base, exact rate, source, confidence and the day it holds from; 23 rupees of STT were 22.5025."""
    day = date(2025, 8, 14)
    sale = replace(fill("NSE_FNO", "OPTIDX", "SELL", 150, "150.0166"), price_e4=1_500_166, trade_date=day)
    _note, components = TABLE.explain_day([sale])
    (stt,) = [each for each in components if each.name == "stt"]

    assert (stt.side, stt.base, to_text(int(stt.base_e4))) == ("SELL", "premium", "22502.49")
    assert (stt.rate, stt.amount_e4) == (Fraction(1, 1000), Fraction(22502490 * 10, 1000))
    assert (stt.confidence, stt.effective_from, stt.effective_until) == (
        "confirmed", date(2024, 10, 1), date(2026, 3, 31),
    )  # fmt: skip
    assert "FATAX63809" in stt.source and not stt.stands_in


def test_a_rate_that_stands_in_says_so() -> None:
    """On a day no row holds, the highest on record is taken: the component is marked, not only the note."""
    old = replace(fill("NSE_FNO", "FUTIDX"), trade_date=date(2020, 3, 23))
    _note, components = TABLE.explain_day([old])

    assert {each.name for each in components if each.stands_in} == {"brokerage", "stamp"}


# -- how long it is good for ------------------------------------------------------------------------------------------------


def test_the_shipped_table_says_until_when_it_is_good() -> None:
    """180 days after it was checked; the table itself is as it was, and without the line nobody said."""
    shipped = ChargeTable.parse(data.charges_known_text() + TEXT)

    assert shipped.complete_until == date(2027, 5, 21)
    assert TABLE.complete_until is None
    assert shipped.charge_day([fill("NSE_EQ", "EQUITY")]) == TABLE.charge_day([fill("NSE_EQ", "EQUITY")])


BROKEN_HORIZONS = table("""
    text                                   message
    # complete_until = next year           line 1: `next year` is not a date
    # complete_until = 2027-02-30          line 1: `2027-02-30` is not a date
""")


@pytest.mark.parametrize("row", BROKEN_HORIZONS, ids=str)
def test_a_horizon_that_is_none_is_refused(row: Row) -> None:
    with pytest.raises(ChargeTableError, match=row.message):
        ChargeTable.parse(f"{row.text}\n{TEXT}")


def test_a_remark_in_the_middle_is_refused_and_lines_keep_their_numbers() -> None:
    """It would shift what errors name."""
    head, first, *rest = TEXT.splitlines()
    with pytest.raises(ChargeTableError, match="before the first row"):
        ChargeTable.parse("\n".join([head, "# a remark", first, *rest]))
    broken = "\n".join(["# one", "# two", head, first.replace("fraction", "percent"), *rest])
    with pytest.raises(ChargeTableError, match="line 4: unknown unit"):
        ChargeTable.parse(broken)
