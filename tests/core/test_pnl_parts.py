"""A day by its parts: closed and open, segments, strategies, groups; deliveries out of holdings; what is kept outside."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskguard.core.book import Line
from riskguard.core.instrument import Instrument
from riskguard.core.money import to_text
from riskguard.core.pnl import DayPnl, day_pnl
from riskguard.core.pnl_parts import Attributed, LinePnl, Part, by_segment, by_strategy, of_group, summed
from riskguard.core.quote import Quote
from tests.core.builders import FUTURE, NOW, SHARE, inr
from tests.core.tables import Row, table


def held(start: int, close: str | None, bought: str, sold: str, product: str = "INTRADAY") -> Line:
    """A line with `quantity@price` bought and sold today; several joined by `+`."""
    line = Line(product, start=start, previous_close_e4=None if close is None else inr(close))
    for text, buys in ((bought, True), (sold, False)):
        for each in text.split("+") if text != "-" else ():
            quantity, _, price = each.partition("@")
            value_e4 = int(quantity) * inr(price)
            if buys:
                line.filled, line.bought = line.filled + int(quantity), line.bought + int(quantity)
                line.buy_value_e4 += value_e4
            else:
                line.filled, line.sold = line.filled - int(quantity), line.sold + int(quantity)
                line.sell_value_e4 += value_e4
    return line


def measure(*lines: Line, instrument: Instrument = SHARE, mark: str | None = "95", charges: str = "0") -> DayPnl:
    quotes = {} if mark is None else {instrument.key: Quote.of(ltp=mark, at_us=NOW)}
    return day_pnl(
        {instrument.key: {line.product: line for line in lines}},
        {instrument.key: instrument},
        quotes,
        inr(charges),
        NOW,
    )


def text(value_e4: int | None) -> str:
    return "-" if value_e4 is None else to_text(value_e4)


# -- closed and open --------------------------------------------------------------------------------------------------

SPLIT = table("""
    goal                                       start  close  bought         sold     realised  unrealised
    nothing is closed                          0      -      10@100         -        0.00      -50.00
    all is closed                              0      -      10@100         10@103   30.00     0.00
    a part is closed, at the average           0      -      10@100         4@110    40.00     -30.00
    at the average of both purchases           0      -      5@100+5@110    4@110    20.00     -60.00
    what was carried in counts at its close    10     100    -              4@97     -12.00    -30.00
    carried in and bought: one average         10     100    10@110         10@105   0.00      -100.00
    short, and a part bought back              0      -      4@90           10@100   40.00     30.00
    carried short and bought back              -10    100    10@103         -        -30.00    0.00
    across zero                                0      -      10@100         15@103   30.00     40.00
    a third of a paisa goes down               0      -      3@100          1@100    0.00      -10.00
    the remainder of a division goes down      0      -      2@100+1@100.01  1@100   -0.0034   -10.0066
""")


@pytest.mark.parametrize("row", SPLIT, ids=str)
def test_what_is_closed_and_what_is_open(row: Row) -> None:
    """Closed quantity counts at the average of each side; the rest is open, and the two add up to the line."""
    made = measure(held(row.number("start"), row.opt("close"), row.bought, row.sold))

    assert (text(made.realised_e4), text(made.unrealised_e4)) == (row.realised, row.unrealised)
    assert made.total_e4 is not None and made.total_e4 == (made.realised_e4 or 0) + (made.unrealised_e4 or 0)


@settings(deadline=None)
@given(
    st.integers(-300, 300), st.integers(1, 10**7), st.integers(1, 10**7),
    st.lists(st.tuples(st.booleans(), st.integers(1, 200), st.integers(1, 10**7)), max_size=6),
)  # fmt: skip
def test_the_parts_always_add_up(start: int, close_e4: int, mark_e4: int, fills: list[tuple[bool, int, int]]) -> None:
    """Whatever was dealt: realised and unrealised are the line; what is flat has nothing open."""
    line = Line("MARGIN", start=start, previous_close_e4=close_e4)
    for buys, quantity, price_e4 in fills:
        line.filled += quantity if buys else -quantity
        if buys:
            line.bought, line.buy_value_e4 = line.bought + quantity, line.buy_value_e4 + quantity * price_e4
        else:
            line.sold, line.sell_value_e4 = line.sold + quantity, line.sell_value_e4 + quantity * price_e4
    quotes = {SHARE.key: Quote(mark_e4, None, None, NOW)}
    made = day_pnl({SHARE.key: {"MARGIN": line}}, {SHARE.key: SHARE}, quotes, 0, NOW)

    assert made.total_e4 == (made.realised_e4 or 0) + (made.unrealised_e4 or 0)
    if not line.net:
        assert made.unrealised_e4 == 0


def test_charges_and_what_a_person_said_are_in_the_total_alone() -> None:
    """The four parts add up: realised, unrealised, what a person said, less charges."""
    line = held(0, None, "10@100", "4@110")
    made = day_pnl(
        {SHARE.key: {"INTRADAY": line}}, {SHARE.key: SHARE}, {SHARE.key: Quote.of(ltp="95", at_us=NOW)}, inr("7.50"),
        NOW, inr("-100"),
    )  # fmt: skip

    assert (text(made.realised_e4), text(made.unrealised_e4), text(made.total_e4)) == ("40.00", "-30.00", "-97.50")
    assert (made.adjustment_e4, made.charges_e4) == (inr("-100"), inr("7.50"))


# -- deliveries --------------------------------------------------------------------------------------------------------

DELIVERED = table("""
    goal                                      product  start  bought  sold    expected  realised
    sold out of holdings: outside             CNC      0      -       10@90   0.00      0.00
    the same as a short is a short            MARGIN   0      -       10@90   -50.00    0.00
    bought and sold today counts              CNC      0      10@100  10@90   -100.00   -100.00
    of more sold than bought only that        CNC      0      4@100   10@90   -40.00    -40.00
    MTF likewise                              MTF      0      -       10@90   0.00      0.00
    bought for delivery and held counts       CNC      0      10@100  -       -50.00    0.00
    yesterday's sale is not bought back       CNC      -10    10@100  -       -50.00    0.00
    nor is it worth anything by itself        CNC      -10    -       -       0.00      0.00
""")


@pytest.mark.parametrize("row", DELIVERED, ids=str)
def test_holdings_of_earlier_days_are_outside(row: Row) -> None:
    """Shares sold for delivery beyond what was bought today came from the holdings: neither gain nor loss of today."""
    made = measure(held(row.number("start"), None, row.bought, row.sold, row.product))

    assert (text(made.total_e4), text(made.realised_e4)) == (row.expected, row.realised)
    unmarked = measure(held(0, None, "-", "10@90", "CNC"), mark=None)
    assert unmarked.total_e4 == 0, "nothing is open, so nothing wants a mark"


# -- one line, whole ---------------------------------------------------------------------------------------------------

SHARES = table("""
    goal                                   product   start  close  bought            sold              expected
    flat: the average of all prices        INTRADAY  0      -      10@100            10@110            105.00
    flat for delivery likewise             CNC       0      -      10@100            10@110            105.00
    it is rounded down                     INTRADAY  0      -      2@100+1@100.01    3@100             100.0016
    out of holdings: of its sales alone    CNC       0      -      4@100             10@90             90.00
    which is rounded down too              CNC       0      -      -                 1@100+2@100.01    100.0066
    sold yesterday, nothing dealt today    CNC       -10    -      -                 -                 0.00
    open: its mark                         INTRADAY  0      -      10@100            -                 95.00
""")


@pytest.mark.parametrize("row", SHARES, ids=str)
def test_what_a_strategys_open_quantity_counts_at(row: Row) -> None:
    """The mark; where nothing is open, what the line was dealt at. Whole numbers, rounded down."""
    (line,) = measure(held(row.number("start"), row.opt("close"), row.bought, row.sold, row.product)).lines

    assert text(line.share_e4) == row.expected
    assert line.mark_e4 == (None if line.net == 0 else inr("95"))


def test_a_flat_line_that_was_not_told_its_quantities() -> None:
    """It counts at its previous close, and at nothing where it has none."""
    for close, expected_e4 in (("100", inr("100")), (None, 0)):
        start = 10 if close else 0
        line = Line("INTRADAY", start=start, filled=-start, sell_value_e4=inr("970"))
        line.previous_close_e4 = None if close is None else inr(close)
        (made,) = measure(line).lines
        assert (made.net, made.share_e4) == (0, expected_e4)


def test_a_line_says_everything_of_itself() -> None:
    """Fresh, on an old mark, flat, and unknown: every field, because pages and limits are made of them."""
    where = (*SHARE.key, "INTRADAY", "HDFCBANK")
    some = held(0, None, "10@100", "4@110")

    def lines(quoted: Quote | None, line: Line = some) -> tuple[LinePnl, ...]:
        quotes = {} if quoted is None else {SHARE.key: quoted}
        return day_pnl({SHARE.key: {"INTRADAY": line}}, {SHARE.key: SHARE}, quotes, 0, NOW).lines

    fresh, old = Quote.of(ltp="95", at_us=NOW), Quote.of(ltp="95", at_us=NOW - 60_000_000)
    assert lines(fresh) == (LinePnl(*where, 6, inr("10"), inr("40"), -inr("30"), inr("95"), inr("95"), 1, True, ""),)
    widened = inr("93.1")
    assert lines(old) == (
        LinePnl(
            *where, 6, -inr("1.4"), inr("40"), -inr("41.4"), widened, widened, 1, False, "HDFCBANK (older than 5 s)"
        ),
    )
    assert lines(None) == (LinePnl(*where, 6, None, None, None, None, None, 1, False, "HDFCBANK: no mark"),)
    assert lines(None, held(0, None, "10@100", "10@110")) == (
        LinePnl(*where, 0, inr("100"), inr("100"), 0, None, inr("105"), 1, True, ""),
    )
    assert lines(None, Line("INTRADAY")) == (), "nothing held and nothing dealt is no line"


# -- unknown -------------------------------------------------------------------------------------------------------------


def test_unknown_charges_are_not_none_at_all() -> None:
    """The day, its segments and its strategies are unknown with them; what was made before charges is still said."""
    positions = {SHARE.key: {"INTRADAY": held(0, None, "10@100", "10@105")}}
    attributed = [Attributed("dip", *SHARE.key, "INTRADAY", 10, 10, inr("1000"), inr("1050"))]
    for charges_e4, known in ((0, True), (None, False)):
        made = day_pnl(positions, {SHARE.key: SHARE}, {}, charges_e4, NOW)
        segments = by_segment(made.lines, {"NSE_EQ": 0} if known else None)
        parts = (*segments, *by_strategy(made.lines, attributed, {"dip": 0} if known else None))
        assert (made.total_e4 is not None) == known == made.fresh
        assert made.charges_e4 == charges_e4 and made.realised_e4 == inr("50")
        assert [part.net_e4 is not None for part in parts] == [known] * 3
        assert sum(part.total_e4 or 0 for part in parts) == 2 * inr("50")


def test_an_unknown_line_is_named_and_the_others_are_still_known() -> None:
    """One line without a mark makes the whole unknown, its own segment too, and leaves the other segment known."""
    positions = {
        SHARE.key: {"INTRADAY": held(0, None, "10@100", "-")}, FUTURE.key: {"MARGIN": held(25, None, "-", "-", "MARGIN")},
    }  # fmt: skip
    instruments = {SHARE.key: SHARE, FUTURE.key: FUTURE}
    made = day_pnl(positions, instruments, {SHARE.key: Quote.of(ltp="95", at_us=NOW)}, 0, NOW)
    cash, derivatives = by_segment(made.lines, {"NSE_EQ": inr("1"), "NSE_FNO": inr("2")})

    assert made.total_e4 is None and made.detail == "NIFTY-FUT: carried in without a previous close"
    assert (cash.name, text(cash.net_e4)) == ("NSE_EQ", "-51.00")
    assert (derivatives.total_e4, derivatives.net_e4, derivatives.reason) == (None, None, made.detail)


def test_many_unknown_lines_are_counted() -> None:
    """The first five are named; a hundred would bury what matters."""
    positions = {("NSE_EQ", str(number)): {"INTRADAY": held(0, None, "1@100", "-")} for number in range(7)}
    made = day_pnl(positions, {}, {}, 0, NOW)

    assert made.detail == "; ".join(f"NSE_EQ:{number}: no mark" for number in range(5)) + " and 2 more"


def line_of(number: int = 1, *, fresh: bool = True, reason: str = "", **changed: int | None) -> LinePnl:
    """A line that made 30 = 10 closed + 20 open, of one unit at 95."""
    made = LinePnl(
        "NSE_EQ", str(number), "INTRADAY", f"N{number}", 1, inr("30"), inr("10"), inr("20"), inr("95"), inr("95"), 1, fresh,
        reason,
    )  # fmt: skip
    return replace(made, **changed)  # type: ignore[arg-type]


def test_a_line_with_one_figure_missing_is_unknown() -> None:
    """Each of the three by itself; with all of them the sum is named, known and says nothing."""
    assert summed("x", [line_of(1), line_of(2)]) == Part("x", inr("60"), inr("20"), inr("40"), None, True, "")
    for name in ("total_e4", "realised_e4", "unrealised_e4"):
        found = summed("x", [line_of(1), line_of(2, reason="why", **{name: None})])
        assert found == Part("x", None, fresh=False, reason="why"), name


def test_old_marks_are_named() -> None:
    """The sum stays known and is no proof; five are named, of six the sixth is counted."""
    lines = [line_of(number, fresh=False, reason=f"r{number}") for number in range(1, 7)]
    said = [summed("x", lines[:count]) for count in (0, 1, 2, 5, 6)]

    assert [each.reason for each in said] == [
        "", "no fresh mark: r1", "no fresh mark: r1, r2", "no fresh mark: r1, r2, r3, r4, r5",
        "no fresh mark: r1, r2, r3, r4, r5 and 1 more",
    ]  # fmt: skip
    assert [(each.total_e4, each.fresh) for each in said[:3]] == [(0, True), (inr("30"), False), (inr("60"), False)]


def test_who_dealt_in_nothing_paid_nothing() -> None:
    """A segment or a strategy the charges do not name paid 0, which is known."""
    (segment,) = by_segment([line_of()], {"NSE_FNO": inr("5")})[:1]
    assert (segment.name, segment.charges_e4, segment.net_e4) == ("NSE_EQ", 0, inr("30"))
    assert [part.charges_e4 for part in by_strategy([line_of()], [], {})] == [0]


# -- strategies -----------------------------------------------------------------------------------------------------------


def dealt(strategy: str, bought: str = "-", sold: str = "-") -> Attributed:
    line = held(0, None, bought, sold)
    return Attributed(strategy, *SHARE.key, "INTRADAY", line.bought, line.sold, line.buy_value_e4, line.sell_value_e4)


STRATEGIES = table("""
    goal                                      start  bought         sold    alpha     beta     nobody
    each its own fills at the mark            0      10@100+5@90    -       -50.00    25.00    0.00
    what nobody asked about is nobody's       0      10@100+5@90+1@80  -    -50.00    25.00    15.00
    what was carried in is nobody's           4      10@100+5@90    -       -50.00    25.00    -20.00
""")


@pytest.mark.parametrize("row", STRATEGIES, ids=str)
def test_each_strategy_has_its_own_day(row: Row) -> None:
    """The parts add up to the line, and each carries its share of the charges."""
    made = measure(held(row.number("start"), "100", row.bought, row.sold))
    shares = {"alpha": inr("3"), "beta": inr("1")}
    parts = {
        part.name: part
        for part in by_strategy(made.lines, [dealt("alpha", "10@100"), dealt("beta", "5@90")], shares)
    }  # fmt: skip

    assert {name: text(part.total_e4) for name, part in parts.items()} == {
        "": row.nobody, "alpha": row.alpha, "beta": row.beta,
    }  # fmt: skip
    assert sum(part.total_e4 or 0 for part in parts.values()) == made.total_e4
    assert parts["alpha"].net_e4 == (parts["alpha"].total_e4 or 0) - inr("3")


def test_who_closes_anothers_position_shares_the_gain() -> None:
    """The line is flat, so neither has a mark: both count at the average of all prices, and nothing is lost."""
    made = measure(held(0, None, "10@100", "10@110"), mark=None)
    parts = {
        part.name: part.total_e4
        for part in by_strategy(made.lines, [dealt("alpha", "10@100"), dealt("beta", "-", "10@110")], {})
    }  # fmt: skip

    assert parts == {"": 0, "alpha": inr("50"), "beta": inr("50")}


def test_a_strategy_whose_line_is_unknown_is_unknown() -> None:
    """And named; one whose lines are all known is not."""
    made = measure(held(0, None, "10@100", "-"), mark=None)
    alpha = dealt("alpha", "10@100")
    parts = {part.name: part for part in by_strategy(made.lines, [alpha], {})}

    assert parts["alpha"].total_e4 is None and parts["alpha"].reason == "HDFCBANK: no mark"
    assert parts[""].total_e4 is None


def test_who_deals_at_an_old_mark_is_stale_and_nobody_else() -> None:
    """A strategy that is flat again rests on no mark; the day of one with something open is no proof."""
    line = held(0, None, "20@100", "5@110")
    quotes = {SHARE.key: Quote.of(ltp="95", at_us=NOW - 60_000_000)}
    made = day_pnl({SHARE.key: {"INTRADAY": line}}, {SHARE.key: SHARE}, quotes, 0, NOW)
    parts = by_strategy(made.lines, [dealt("open", "10@100"), dealt("flat", "5@100", "5@110")], {})

    assert {part.name: part.fresh for part in parts} == {"": True, "flat": True, "open": False}
    (gone,) = [part for part in by_strategy((), [dealt("gone", "1@100")], {}) if part.name == "gone"]
    assert (gone.total_e4, gone.fresh, gone.reason) == (None, False, "NSE_EQ:1333: no line")


def own(strategy: str, number: int = 1) -> Attributed:
    """One unit bought at 90: at the mark of 95 it made 5."""
    return Attributed(strategy, "NSE_EQ", str(number), "INTRADAY", 1, 0, inr("90"), 0)


@pytest.mark.parametrize("missing", ["total_e4", "multiplier", "share_e4"])
def test_one_unknown_line_makes_its_strategy_unknown_and_no_other(missing: str) -> None:
    """Whatever of it is missing, and wherever it stands: what follows is still counted, for everybody else."""
    lines = [line_of(1, reason="why", **{missing: None}), line_of(2), line_of(3)]
    attributed = [own("alpha", 1), own("alpha", 2), own("beta", 2), own("beta", 3)]
    found = {part.name: part for part in by_strategy(lines, attributed, {})}

    assert (found["alpha"].total_e4, found["alpha"].reason, found["alpha"].fresh) == (None, "why", False)
    assert (found["beta"].total_e4, found["beta"].reason, found["beta"].fresh) == (inr("10"), "", True)
    # Nobody's: the first line whole where its total is known, 30 − 5 − 5 of the second, 30 − 5 of the third.
    assert found[""].total_e4 == (None if missing == "total_e4" else inr("30") + inr("20") + inr("25"))
    assert found[""].reason == ("why" if missing == "total_e4" else "")


def test_why_a_strategy_is_unknown_is_said_of_each_line() -> None:
    """All its reasons, in order."""
    lines = [line_of(1, reason="a", total_e4=None), line_of(2, reason="b", total_e4=None)]
    for part in by_strategy(lines, [own("alpha", 1), own("alpha", 2)], {}):
        assert (part.total_e4, part.reason) == (None, "a; b"), part.name


# -- groups -----------------------------------------------------------------------------------------------------------------


def test_a_group_is_the_sum_of_its_accounts() -> None:
    """One unknown account makes it unknown and is named; one stale makes it stale; none is no zero."""
    known = of_group("desk", {"a": (inr("-10"), True, ""), "b": (inr("4"), True, "")})
    stale = of_group("desk", {"a": (inr("-10"), True, ""), "b": (inr("4"), False, "")})
    unknown = of_group("desk", {"a": (inr("-10"), True, ""), "b": (None, False, "no mark")})

    assert (known.total_e4, known.fresh) == (inr("-6"), True)
    assert (stale.total_e4, stale.fresh) == (inr("-6"), False)
    assert (unknown.total_e4, unknown.reason) == (None, "b: no mark")
    assert known == Part("desk", inr("-6"), charges_e4=0, fresh=True) and known.net_e4 == inr("-6")
    assert of_group("desk", {"a": (None, False, ""), "b": (None, False, "no mark"), "c": (inr("1"), True, "")}) == Part(
        "desk", None, fresh=False, reason="a: not measured; b: no mark"
    )
    assert of_group("desk", {}) == Part("desk", None, fresh=False, reason="no account was measured")
