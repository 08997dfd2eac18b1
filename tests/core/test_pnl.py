"""Day profit and loss: sales − purchases + net × mark − carried × previous close, times the multiplier, less charges."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskguard.core.book import Line
from riskguard.core.instrument import Instrument
from riskguard.core.marking import Phase
from riskguard.core.money import to_text
from riskguard.core.pnl import DayPnl, day_pnl, mark_e4
from riskguard.core.quote import Quote
from tests.core.builders import FUTURE, NOW, SECOND, SHARE, inr, option, quote
from tests.core.tables import Row, table

CRUDE = Instrument("MCX_COMM", "77", "CRUDE", "FUTCOM", multiplier=100)
UNKNOWN_CRUDE = replace(CRUDE, multiplier=None)


def held(
    start: int = 0, close: str | None = None, bought: str = "-", sold: str = "-", product: str = "INTRADAY"
) -> Line:
    """A line with `quantity@price` bought and sold today, on top of what was carried in at *close*."""
    line = Line(product, start=start, previous_close_e4=None if close is None else inr(close))
    for text, sign in ((bought, 1), (sold, -1)):
        if text != "-":
            quantity, _, price = text.partition("@")
            line.filled += sign * int(quantity)
            value_e4 = int(quantity) * inr(price)
            if sign > 0:
                line.buy_value_e4 += value_e4
            else:
                line.sell_value_e4 += value_e4
    return line.refresh()


def measure(
    line: Line, quoted: Quote | None, instrument: Instrument = SHARE, charges: str = "0", adjustment: str = "0"
) -> DayPnl:
    quotes = {} if quoted is None else {instrument.key: quoted}
    return day_pnl(
        {instrument.key: {line.product: line}}, {instrument.key: instrument}, quotes, inr(charges), NOW, inr(adjustment)
    )


def text(pnl: DayPnl) -> str:
    return "-" if pnl.total_e4 is None else to_text(pnl.total_e4)


def last(price: str | None, age_s: float = 0) -> Quote | None:
    return None if price is None else Quote.of(ltp=price, at_us=NOW - round(age_s * SECOND))


# -- what is measured ---------------------------------------------------------------------------------------------

LINES = table("""
    goal                                    start  close  bought  sold    mark  expected
    nothing held, nothing done              0      -      -       -       -     0.00
    bought and held                         0      -      10@100  -       95    -50.00
    bought and sold                         0      -      10@100  10@103  -     30.00
    sold short and held                     0      -      -       10@100  103   -30.00
    a part is closed, the rest is marked    0      -      10@100  4@110   95    10.00
    carried in: from yesterday's close      10     100    -       -       98    -20.00
    carried in: not from what it cost       10     100    -       -       100   0.00
    carried in and sold                     10     100    -       10@97   -     -30.00
    carried short and bought back           -10    100    10@103  -       -     -30.00
    carried and added to                    10     100    10@90   -       95    0.00
    carried without a close: unknown        10     -      -       -       98    -
    carried without a close, closed: unknown  10   -      -       10@97   -     -
    open without a mark: unknown            0      -      10@100  -       -     -
    flat without a mark is known            0      -      10@100  10@100  -     0.00
    carried in at a close of nothing        10     0      -       -       98    980.00
    carried in and gone for nothing         10     100    -       10@0    -     -1000.00
    bought and gone for nothing             0      -      10@100  10@0    -     -1000.00
    sold, and back for nothing              0      -      10@0    10@100  -     1000.00
    given for nothing                       0      -      10@0    -       95    950.00
""")


@pytest.mark.parametrize("row", LINES, ids=str)
def test_one_line(row: Row) -> None:
    """Closed quantity counts what it made, open quantity what it is worth now; unknown is unknown, never zero."""
    made = measure(held(row.number("start"), row.opt("close"), row.bought, row.sold), last(row.opt("mark")))

    assert text(made) == row.expected


ONCE = table("""
    instrument  expected
    share       -50.00
    future      -50.00
    crude       -5000.00
    no-table    -
""")


@pytest.mark.parametrize("row", ONCE, ids=str)
def test_the_multiplier_says_what_a_unit_stands_for(row: Row) -> None:
    """A contract that needs a multiplier and has none makes the day unknown; it is never taken as 1."""
    instrument = {"share": SHARE, "future": FUTURE, "crude": CRUDE, "no-table": UNKNOWN_CRUDE}[row.instrument]

    assert text(measure(held(bought="10@100"), last("95"), instrument)) == row.expected
    unknown = measure(held(bought="10@100"), last("95"), UNKNOWN_CRUDE)
    assert (unknown.fresh, unknown.detail) == (False, "CRUDE: multiplier unknown")
    unlisted = day_pnl(
        {SHARE.key: {"INTRADAY": held(bought="10@100")}}, {}, {SHARE.key: quote(None, "95", None)}, 0, NOW
    )
    assert text(unlisted) == "-50.00", "what no master lists is a share: one unit is one"


def test_an_expired_contract_is_worth_its_settlement() -> None:
    """Each instrument has its own phase and its own settlement price; without one the expired line is unknown."""
    positions = {each.key: {"MARGIN": held(bought="25@100", product="MARGIN")} for each in (FUTURE, SHARE)}
    quotes = {FUTURE.key: quote(None, "95", None), SHARE.key: quote(None, "95", None)}

    def valued(settlements_e4: dict[tuple[str, str], int] | None, quoted: dict[tuple[str, str], Quote]) -> DayPnl:
        return day_pnl(
            positions, {FUTURE.key: FUTURE, SHARE.key: SHARE}, quoted, 0, NOW,
            phase_of=lambda key: Phase(NOW, expired=key == FUTURE.key), settlements_e4=settlements_e4,
        )  # fmt: skip

    settled = {FUTURE.key: inr("110"), SHARE.key: inr("500")}
    assert text(valued(settled, quotes)) == "125.00", "the share trades on: its settlement price is no price of it"
    del quotes[FUTURE.key]
    assert text(valued(settled, quotes)) == "125.00"
    for missing in ({SHARE.key: inr("500")}, None):
        unknown = valued(missing, quotes)
        assert unknown == DayPnl(None, 0, False, "NIFTY-FUT: expired, and its settlement price is not known")


def test_charges_and_what_a_person_said_come_off_once() -> None:
    """Both lower the figure whatever is held."""
    made = measure(held(bought="10@100"), last("95"), charges="12.34", adjustment="-100")

    assert (text(made), made.charges_e4) == ("-162.34", inr("12.34"))


def test_lines_and_products_add() -> None:
    """A profit in one line pays for a loss in another; one unknown line makes the day unknown, and is named."""
    positions = {
        SHARE.key: {"INTRADAY": held(bought="10@100"), "MARGIN": held(10, "100", product="MARGIN")},
        FUTURE.key: {"MARGIN": held(sold="25@100", product="MARGIN")},
    }
    instruments = {SHARE.key: SHARE, FUTURE.key: FUTURE}
    marks = {SHARE.key: quote(None, "95", None), FUTURE.key: quote(None, "90", None)}

    assert text(day_pnl(positions, instruments, marks, 0, NOW)) == "150.00"
    del marks[FUTURE.key]
    assert day_pnl(positions, instruments, marks, 0, NOW) == DayPnl(None, 0, False, "NIFTY-FUT: no mark")


REALISED = table("""
    realised  charges  adjustment  expected
    40        7.5      0           32.50
    40        7.5      -100        -67.50
    -         7.5      0           -
    40        -        0           -
""")


@pytest.mark.parametrize("row", REALISED, ids=str)
def test_what_closed_quantity_made_in_the_end(row: Row) -> None:
    """Charges and what a person said taken off; unknown where either part is."""
    made = DayPnl(0, row.e4("charges"), True, realised_e4=row.e4("realised"), adjustment_e4=row.e4("adjustment") or 0)
    assert ("-" if made.net_realised_e4 is None else to_text(made.net_realised_e4)) == row.expected


# -- how old a mark may be ------------------------------------------------------------------------------------------

AGES = table("""
    instrument  side  age_s     fresh  expected
    share       buy   0         yes    -50.00
    share       buy   5         yes    -50.00
    share       buy   5.000001   no     -69.00
    share       buy   -2        yes    -50.00
    share       buy   -2.000001  no    -69.00
    share       sell  5         yes    50.00
    share       sell  5.000001   no     31.00
    option      buy   30        yes    -50.00
    option      buy   30.000001  no    -240.00
    option      sell  30.000001  no    -140.00
""")


@pytest.mark.parametrize("row", AGES, ids=str)
def test_a_stale_mark_is_widened_against_the_position(row: Row) -> None:
    """2 % for shares and futures, 20 % for options, and the reading says that it is not fresh."""
    instrument = {"share": SHARE, "option": option()}[row.instrument]
    line = held(bought="10@100") if row.side == "buy" else held(sold="10@100")
    made = measure(line, last("95", float(row.age_s)), instrument)

    assert (text(made), made.fresh) == (row.expected, row.has("fresh"))


def test_a_widened_mark_never_goes_below_nothing() -> None:
    """A price cannot be negative, however wide the band."""
    made = measure(held(bought="10@0.05"), last("0.05", 60), option())

    assert made.total_e4 is not None and made.total_e4 >= -inr("0.5")


MARKS = table("""
    instrument  bid   ltp   ask   expected
    share       99    100   101   100.00
    share       99    90    101   90.00
    share       99    -     101   100.00
    share       99    -     -     -
    share       -     -     101   -
    option      99    90    101   100.00
    option      90    95    110   100.00
    option      90    95    110.01  95.00
    option      50    95    200   95.00
    option      50    -     200   125.00
    option      -     95    200   95.00
""")


@pytest.mark.parametrize("row", MARKS, ids=str)
def test_which_price_is_the_mark(row: Row) -> None:
    """The last trade; for options the middle while the spread is at most 20 %; never the far touch."""
    found = mark_e4(
        quote(row.opt("bid"), row.opt("ltp"), row.opt("ask")), {"share": SHARE, "option": option()}[row.instrument]
    )

    assert ("-" if found is None else to_text(found)) == row.expected


# -- properties ---------------------------------------------------------------------------------------------------

FILLS = st.lists(st.tuples(st.sampled_from(["BUY", "SELL"]), st.integers(1, 500), st.integers(1, 10**8)), max_size=8)


@given(FILLS, st.integers(-500, 500), st.integers(1, 10**8), st.integers(1, 10**8))
def test_it_is_the_sum_of_what_each_unit_made(
    fills: list[tuple[str, int, int]], start: int, close_e4: int, mark: int
) -> None:
    """An independent account: every unit bought is worth the mark now, every unit sold owes it."""
    line = Line("INTRADAY", start=start, previous_close_e4=close_e4)
    made_e4 = start * (mark - close_e4)
    for side, quantity, price_e4 in fills:
        sign = 1 if side == "BUY" else -1
        line.filled += sign * quantity
        if sign > 0:
            line.buy_value_e4 += quantity * price_e4
        else:
            line.sell_value_e4 += quantity * price_e4
        made_e4 += sign * quantity * (mark - price_e4)

    assert measure(line.refresh(), Quote(mark, None, None, NOW)).total_e4 == made_e4


@given(st.integers(-500, 500), st.integers(1, 10**8), st.integers(6, 10**6))
def test_an_older_mark_is_never_better(net: int, mark: int, age_s: int) -> None:
    """Age may cost, never pay."""
    line = Line("INTRADAY", filled=net).refresh()
    fresh = measure(line, Quote(mark, None, None, NOW))
    stale = measure(line, Quote(mark, None, None, NOW - age_s * SECOND))

    assert fresh.total_e4 is not None and stale.total_e4 is not None
    assert stale.total_e4 <= fresh.total_e4
