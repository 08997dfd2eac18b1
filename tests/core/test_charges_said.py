"""
Whole notes, to the last word: every line, every doubt, and every multiplication behind them.

`charges_said.txt` has a part for each day here. A component is written as `segment name instrument side base: base at
rate = amount, [from until] confidence (source)`, money in rupees, `*` where a rate of another day stands in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from riskguard.core.charges import (
    ROUNDINGS,
    STANDARD_PLAN,
    ChargeFill,
    ChargeLines,
    ChargeNote,
    ChargeTable,
    ChargeTableError,
    ChargeUnknownError,
    Component,
    Plan,
    Settlement,
    charge_surely,
    shared_out,
)
from riskguard.core.charges.turnover import Scrip
from riskguard.core.money import to_e4, to_text
from tests.core.tables import Row, stories, table
from tests.core.test_charges import HEAD, ROW, TABLE, edited, fill

EXPECTED = Path(__file__).with_name("charges_said.txt")
DAY = "2026-05-14"
EVERY_LINE = "+".join(name.removesuffix("_e4") for name in ChargeLines.__slots__)
FUTURE, OPTION, SHARE = "NSE_FNO FUTIDX INTRADAY", "NSE_FNO OPTIDX INTRADAY", "NSE_EQ EQUITY CNC"


def settled(text: str, day: str = DAY) -> Settlement:
    segment, kind, event, quantity, price = text.split()
    return Settlement(segment, kind, "7", event, int(quantity), to_e4(price), date.fromisoformat(day))


def rupees(value_e4: Fraction) -> str:
    """Exact: a fraction of 1/10000 rupee is written as one."""
    return to_text(int(value_e4)) if value_e4.denominator == 1 else f"{value_e4}/10000"


def written(each: Component) -> str:
    held = f"{each.effective_from} {each.effective_until or '-'}{' *' if each.stands_in else ''}"
    order = f" #{each.order_id}" if each.order_id else ""
    name = f"{each.segment} {each.name} {each.instrument} {each.side} {each.base}{order}"
    base = str(each.base_e4) if each.unit != "fraction" else rupees(each.base_e4)
    return f"{name}: {base} at {each.rate} {each.unit} = {rupees(each.amount_e4)} [{held}] {each.confidence} ({each.source})"


def note_of(note: ChargeNote) -> Iterator[str]:
    """The lines that are not 0, the totals, and the doubts."""
    for segment, lines in note.segments:
        of = {name.removesuffix("_e4"): getattr(lines, name) for name in type(lines).__slots__}
        yield f"{segment}: " + " ".join(f"{name} {to_text(value)}" for name, value in of.items() if value)
    total, dp, ledger = map(to_text, (note.total_e4, note.dp_e4, note.ledger_e4))
    yield f"{note.trade_date}: {total} + dp {dp} = {ledger}, known {note.is_known}"
    yield from (f"uncertain: {each}" for each in note.uncertain)
    yield from (f"unknown: {each}" for each in note.unknown)


def day(
    fills: Sequence[ChargeFill], events: Sequence[Settlement] = (), plan: Plan = STANDARD_PLAN, of: ChargeTable = TABLE
) -> Iterator[str]:
    """The note and what it was made of; the note alone is the same."""
    note, components = of.explain_day(fills, events, plan)
    assert note == of.charge_day(fills, events, plan)
    yield from note_of(note)
    yield from map(written, components)


def of_brokerage(said: Iterator[str]) -> Iterator[str]:
    """The line of it, its doubts, and what it was made of."""
    firsts = (each.partition(" exchange_txn")[0] for each in said)
    yield from (each for each in firsts if "brokerage" in each and " gst " not in each)


def unknown(component: str) -> ChargeTable:
    return edited(component, rate="", unit="unknown")


SHARES = [
    fill(SHARE, "BUY 30 812.35", DAY, "1"),
    fill("NSE_EQ EQUITY INTRADAY", "SELL 7 815.10", DAY, "2"),
    fill("NSE_EQ EQUITY MTF", "BUY 11 809.95", DAY, "3", "8", isin="INE8"),
    fill("NSE_EQ ETF_EQUITY MTF", "BUY 11 100", DAY, "4", "9"),
    fill("NSE_EQ EQUITY CNC", "SELL 13 401", DAY, "5", "10", isin="INE10"),
    fill("BSE_EQ EQUITY CNC", "SELL 3 401.5", DAY, "6", "10", isin="INE10", group="A"),
    fill("BSE_EQ EQUITY MARGIN", "BUY 3 401.5", DAY, "7", "12"),
    fill("NSE_EQ ETF_OTHER CNC", "SELL 5 55", DAY, "8", "13"),
    fill("NSE_EQ EQUITY CNC", "SELL 2 399", DAY, "9", "10", isin="INE10"),
]
CALLED = [
    fill(OPTION, "BUY 75 142.35", DAY, "1"),
    fill(OPTION, "BUY 75 142.4", DAY, "1"),
    fill(OPTION, "SELL 150 150.1", DAY, "2", handling="auto_square_off"),
    fill(OPTION, "SELL 75 150.1", DAY, "3", handling="call_and_trade"),
    fill(OPTION, "SELL 75 149.1", DAY, "3", handling="call_and_trade"),
    fill(OPTION, "SELL 75 149.1", DAY, "4", handling="call_and_trade"),
]
EXPIRIES = [
    settled("NSE_FNO OPTIDX EXERCISE_LONG 75 100.3"), settled("NSE_FNO OPTIDX EXPIRY 75 0"),
    settled("NSE_FNO FUTSTK RECEIVE 550 1000.1"), settled("NSE_FNO FUTSTK DELIVER 550 1000.1"),
    settled("NSE_FNO OPTSTK DELIVER 500 1000"), settled("BSE_FNO FUTIDX EXPIRY 75 0"),
]  # fmt: skip
NOBODYS = [
    fill("NSE_FNO WHAT INTRADAY", "BUY 75 100", DAY, "1"), fill("NSE_FNO WHAT INTRADAY", "SELL 75 100", DAY, "2"),
    fill("NSE_SLB X INTRADAY", "SELL 75 100", DAY, "3"), fill(FUTURE, "BUY 75 100", DAY, "4"),
]  # fmt: skip


def shares() -> Iterator[str]:
    yield from day(SHARES)


def an_options_day() -> Iterator[str]:
    yield from day(CALLED)


def commodities_and_currencies() -> Iterator[str]:
    yield from day([
        fill("MCX_COMM OPTFUT INTRADAY", "BUY 1 186.5", "2025-11-03", "1", multiplier=100),
        fill("MCX_COMM FUTCOM INTRADAY", "SELL 3 6020", "2025-11-03", "2", "8", multiplier=100),
        fill("MCX_COMM FUTCOM_AGRI INTRADAY", "SELL 3 620", "2025-11-03", "3", "9", multiplier=10),
        fill("NSE_CURRENCY FUTCUR INTRADAY", "BUY 3 84.25", "2025-11-03", "4", "10", multiplier=1000),
        fill("BSE_CURRENCY OPTCUR INTRADAY", "SELL 3 0.25", "2025-11-03", "5", "11", multiplier=1000),
        fill("BSE_FNO OPTIDX INTRADAY", "SELL 10 30", "2025-11-03", "6", "12", underlying="SENSEX50"),
        fill("BSE_FNO OPTIDX INTRADAY", "SELL 10 30", "2025-11-03", "7", "13", underlying="SENSEX"),
        fill("NSE_FNO OPTIDX INTRADAY", "SELL 75 3000", "2025-11-03", "8", "14"),
        fill("NSE_FNO FUTIDX INTRADAY", "BUY 75 300", "2025-11-03", "9", "15"),
    ])  # fmt: skip


def expiries() -> Iterator[str]:
    yield from day([fill(FUTURE, "BUY 75 100", DAY, "1")], EXPIRIES)


def before_the_table() -> Iterator[str]:
    for day_ in ("2020-03-23", "2000-01-03"):
        fills = [fill(FUTURE, "BUY 75 7600", day_, "1"), fill(FUTURE, "SELL 75 7600", day_, "3")]
        yield from day([*fills, fill(SHARE, "SELL 10 900", day_, "2", isin="INE7")])


def nearly_half_a_rupee() -> Iterator[str]:
    """STT and stamp duty of 0.49995: whatever pays nothing adds nothing, not even a ten-thousandth."""
    fills = [fill(OPTION, "BUY 1 16665", DAY, "1"), fill(OPTION, "SELL 1 333.3", DAY, "2")]
    for events in ([], [settled("NSE_FNO OPTIDX EXPIRY 75 0")], [settled("NSE_FNO OPTIDX EXERCISE_LONG 75 0")]):
        yield from day(fills, events)


def plans() -> Iterator[str]:
    small = [fill(FUTURE, "BUY 1 1000", DAY, "1"), fill("NSE_EQ EQUITY INTRADAY", "BUY 1 1001", DAY, "2")]
    for plan in (Plan(flat=False), Plan(multiplier=Fraction(1, 2)), Plan(flat=False, multiplier=Fraction(1, 3))):
        yield from of_brokerage(day(small, plan=plan))


def floors_and_caps() -> Iterator[str]:
    for cells in (
        {"min": "5", "max": "20", "confidence": "confirmed"}, {"min": "5", "max": "20"}, {"min": "5", "max": ""},
        {"max": "20", "confidence": "one"}, {"max": "", "confidence": "confirmed"}, {"max": "20", "rate": "0.0002"},
    ):  # fmt: skip
        of = edited("brokerage", **{"rate": "0.0003", "unit": "fraction", "min": "", "confidence": "one", **cells})
        for value in ("1000", "66666.66", "66667", "100000"):
            one = [fill("NSE_EQ EQUITY INTRADAY", f"BUY 1 {value}", DAY)]
            for plan in (STANDARD_PLAN, Plan(flat=False)):
                yield from of_brokerage(day(one, plan=plan, of=of))


def rates_nobody_knows() -> Iterator[str]:
    sale = fill("NSE_EQ EQUITY CNC", "SELL 10 100", DAY, "9", "9", handling="call_and_trade")
    for component in ("brokerage", "gst", "call_and_trade", "stamp", "dp_charge", "dp_gst"):
        note = unknown(component).charge_day([*CALLED[:3], sale])
        yield from (f"{component}: {each}" for each in note_of(note))


def doubtful_fees() -> Iterator[str]:
    sale = fill("NSE_EQ EQUITY CNC", "SELL 10 100", DAY, "9", "9", handling="call_and_trade")
    for component in ("gst", "call_and_trade", "dp_charge", "stt"):
        note = edited(component, confidence="one").charge_day([sale])
        yield from (f"{component}: {each}" for each in note_of(note))


def nobodys() -> Iterator[str]:
    events = [settled("NSE_FNO WHAT EXPIRY 75 0"), settled("NSE_FNO OPTIDX EXERCISE_LONG 75 100")]
    yield from note_of(charge_surely(TABLE, NOBODYS, events))
    yield from note_of(charge_surely(TABLE, NOBODYS[::-1], events))
    yield from note_of(charge_surely(TABLE, NOBODYS[:1], (), Plan(multiplier=Fraction(1, 2))))
    yield from note_of(charge_surely(TABLE, [fill("NSE_FNO OPTCUR INTRADAY", "BUY 1 1000", DAY)], (), Plan(flat=False)))


def malformed_rows() -> Iterator[str]:
    other = ROW.replace("2020-12-31", "2020-06-30")
    for text in (
        "", "a,b", f"{HEAD}\na,b", f"{HEAD}\n{ROW.replace('0.001', 'NaN')}", f"{HEAD}\n{ROW.replace('0.001', '-0.001')}",
        f"{HEAD}\n{ROW.replace('0.001', '1E+13')}", f"{HEAD}\n{ROW.replace('0.001', '1E-13')}",
        f"{HEAD}\n{ROW.replace('0.001', 'x')}", f"{HEAD}\n{ROW.replace('0.001', '')}",
        f"{HEAD}\n{ROW.replace('fraction', 'unknown')}", f"{HEAD}\n{ROW.replace('fraction', 'percent')}",
        f"{HEAD}\n{ROW.replace(':1:half_up', ':1:half_even')}", f"{HEAD}\n{ROW.replace('2020-01-01', '')}",
        f"{HEAD}\n{ROW.replace('2020-01-01', '2021-01-01')}", f"{HEAD}\n{ROW.replace('2020-01-01', '01/01/2020')}",
        f"{HEAD}\n{ROW}\n{ROW}", f"{HEAD}\n{other}\n{ROW.replace('2020-01-01', '2020-06-30')}",
        f"{HEAD}\n{other}\n{ROW.replace('2020-01-01', '2020-07-02')}", f"{HEAD}\n{ROW.replace('2020-12-31', '')}\n{ROW}",
        f"{HEAD}\n{ROW.replace('turnover', 'a+sebi').replace('stt', 'gst').replace(':1:', ':0.01:')}", f'{HEAD}\n"a',
        f'# one\n# two\n{HEAD}\n{ROW}\n"a', f"# one\n{HEAD}\n# two\n{ROW}", f"# one\n{HEAD}\n{ROW.replace('fraction', 'x')}",
        f"{HEAD}\n{ROW.replace('2020-12-31', '31')}", f"{HEAD}\n{ROW.replace('fraction,,,', 'fraction,x,,')}",
        f"{HEAD}\n{ROW.replace('fraction,,,', 'fraction,,y,')}", f"# complete_until = 2027-01-31=1\n{HEAD}",
        f"# complete_until = 2027-02-30\n{HEAD}", f"# other\n# complete_until = soon\n{HEAD}", f"{HEAD}\nx\"y\"z,{ROW}",
    ):  # fmt: skip
        with pytest.raises(ChargeTableError) as caught:
            ChargeTable.parse(text)
        yield str(caught.value)


def rows_that_are_read() -> Iterator[str]:
    other = ROW.replace("2020-12-31", "2020-06-30")
    blank = ROW.replace(",one", ",unknown").replace("0.001,fraction", ",unknown")
    for text in (
        f"{HEAD}\n{ROW}", f"\ufeff{HEAD}\n{ROW}", f"{HEAD}\n{other}\n{ROW.replace('2020-01-01', '2020-07-01')}",
        f"{HEAD}\n{ROW.replace('0.001', '1E+12')}", f"{HEAD}\n{ROW.replace('0.001', '1E-12')}", f"{HEAD}\n{blank}",
        f"{HEAD}\n{ROW.replace('fraction,,,', 'fraction,5.5,20,')}", f"{HEAD}\n{ROW.replace('2020-12-31', '2020-01-01')}",
        f"{HEAD}\n{ROW.replace('segment_day:1:half_up', 'own').replace('stt', 'levy')}", f"#complete_until=2027-01-31\n{HEAD}",
        f"# other = 5\n# complete_until = 2027-01-31 \n# complete_until: x\n{HEAD}", f"# complete_until\n{HEAD}",
        f"# complete_until =\n{HEAD}", HEAD,
        f"{HEAD}\n{ROW.replace('stt', 'gst').replace(':1:', ':0.01:').replace('turnover', EVERY_LINE)}",
    ):  # fmt: skip
        of = ChargeTable.parse(text)
        yield f"until {of.complete_until}: " + "; ".join(
            f"{name} {rate.text()} {rate.side} {rate.base} {rate.rate} {rate.unit} {rate.floor_e4} {rate.cap_e4} "
            f"{rate.effective_from} {rate.effective_until}"
            for name, rates in of._rates.items()
            for rate in rates
        )


def malformed_trades() -> Iterator[str]:
    good, event = fill(SHARE, "BUY 1 1", DAY), EXPIRIES[0]
    wrong: list[tuple[Any, dict[str, Any]]] = [
        *((good, each) for each in ({"side": "HOLD"}, {"quantity": 0}, {"price_e4": -1}, {"multiplier": 0})),
        *((good, each) for each in ({"product": "X"}, {"handling": "x"})),
        *((event, each) for each in ({"event": "X"}, {"quantity": 0}, {"price_e4": -1})),
    ]
    for one, changes in wrong:
        with pytest.raises(ValueError) as caught:
            replace(one, **changes)
        yield str(caught.value)
    least = replace(good, quantity=1, price_e4=0, multiplier=1), replace(event, quantity=1, price_e4=0)
    yield f"the least: {least[0].value_e4} {least[1].value_e4}"
    with pytest.raises(ValueError) as caught:
        fills = [fill(SHARE, "BUY 1 1", DAY), fill(SHARE, "BUY 1 1", "2026-05-15")]
        TABLE.charge_day(fills, [settled("A B EXPIRY 1 0", "2026-05-13")])
    yield str(caught.value)
    with pytest.raises(ChargeUnknownError) as missing:
        TABLE.charge_day([fill("NSE_COMM FUTCOM INTRADAY", "BUY 1 100", DAY)])
    yield str(missing.value.args[0])


DAYS = (
    shares, an_options_day, commodities_and_currencies, expiries, before_the_table, nearly_half_a_rupee, plans, floors_and_caps,
    rates_nobody_knows, doubtful_fees, nobodys, malformed_rows, rows_that_are_read, malformed_trades,
)  # fmt: skip


@pytest.mark.parametrize("said", DAYS, ids=lambda each: each.__name__)
def test_a_day_is_charged_and_explained_to_the_letter(said: Any) -> None:
    """Whoever reads a note trusts its words as much as its figures; the figures themselves have tests of their own."""
    assert "\n".join(said()) == stories(EXPECTED)[said.__name__]


def test_a_marginal_cost_is_of_its_plan() -> None:
    """Both totals, with and without, by the plan that was asked for."""
    small, next_one = fill(FUTURE, "BUY 1 1000", DAY, "1"), fill(FUTURE, "BUY 1 1000", DAY, "2")
    costs = [TABLE.marginal_e4([small], [next_one], plan) for plan in (STANDARD_PLAN, Plan(flat=False))]
    assert [to_text(each) for each in costs] == ["23.63", "0.38"]


ROW_OF = "S,{kind},{component},BOTH,value,{rate},{unit},,{cap},{rounding},{first},{last},T,{confidence}"


def small_table(*brokerage: str, kinds: str = "AB") -> ChargeTable:
    """A table of one segment in which nothing costs anything but brokerage; *brokerage* are rows of it."""

    def row(kind: str, component: str, rate: str = "0", unit: str = "fraction", segment: str = "S", **more: str) -> str:
        given = {"cap": "", "first": "2020-01-01", "last": "", "confidence": "confirmed", **more}
        made = ROW_OF.format(
            kind=kind, component=component, rate=rate, unit=unit, rounding=ROUNDINGS[component], **given
        )
        return made.replace("S,", f"{segment},", 1)

    free = [row(kind, each) for kind in kinds for each in ("exchange_txn", "sebi", "ipft", "stt", "stamp")]
    gst = row("ALL", "gst", segment="ALL").replace("value", "brokerage")
    split = [each.partition(" ") for each in brokerage]
    own = [row(kind, "brokerage", **dict(each.split("=") for each in cells.split())) for kind, _, cells in split]
    return ChargeTable.parse("\n".join([HEAD, *free, gst, *own]))


def of_small(kind: str, order_id: str = "1", day_: str = DAY) -> ChargeFill:
    return fill(f"S {kind} INTRADAY", "BUY 1 1000", day_, order_id)


def test_the_dearest_is_the_dearest_of_the_plan() -> None:
    """By value the one, per order the other costs more: what nobody can classify is taken as what this plan makes dearer."""
    of = small_table("A rate=0.0003 cap=20 confidence=one", "B rate=10 unit=inr_per_order")
    for plan, expected in ((STANDARD_PLAN, "20.00"), (Plan(flat=False), "10.00")):
        assert to_text(charge_surely(of, [of_small("X")], (), plan).total_e4) == expected


def test_after_an_order_whose_brokerage_nobody_knows_the_next_still_pays() -> None:
    """It is 0 and said; the other kind's is charged."""
    of = small_table("A rate= unit=unknown", "B rate=10 unit=inr_per_order")
    note = of.charge_day([of_small("A", "1"), of_small("B", "2")])
    assert (to_text(note.total_e4), note.unknown) == ("10.00", ("S A brokerage: no rate is known, taken as 0",))


def test_the_highest_on_record_is_one_somebody_knew() -> None:
    """Of all that were ever said, whatever their order; a row without a rate is none of them."""
    low, high = "rate=0.3 unit=inr_per_order", "rate=0.7 unit=inr_per_order"
    for rows in ((low, high, "rate= unit=unknown"), ("rate= unit=unknown", high, low)):
        spans = ("first=2020-01-01 last=2020-12-31", "first=2021-01-01 last=2021-12-31", "first=2022-01-01")
        of = small_table(*(f"A {row} {span}" for row, span in zip(rows, spans, strict=True)), kinds="A")
        note = of.charge_day([of_small("A", day_="2019-05-14")])
        assert to_text(note.lines.brokerage_e4) == "0.70" and "the highest on record used" in "".join(note.unknown)


DELIVERED = table("""
    why                                 bought  sold  for_delivery_bought  for_delivery_sold  moves
    all of a purchase                   10      0     10                   0                  10
    what is left of it                  10      4     10                   4                  6
    one share is delivered too          1       0     1                    0                  1
    not what is meant for the day       10      4     0                    0                  0
    no more than was meant              10      4     2                    0                  2
    one that was meant                  10      4     1                    0                  1
    none of more than was kept          10      4     0                    4                  0
    a sale out of holdings              0       10    0                    10                 -10
    what is left of it                  4       10    4                    10                 -6
    one share of it                     0       1     0                    1                  -1
    not what is meant for the day       4       10    0                    0                  0
    no more than was meant              4       10    0                    2                  -2
    none of more than is kept           4       10    4                    0                  0
    nothing left                        10      10    10                   10                 0
""")


@pytest.mark.parametrize("row", DELIVERED, ids=str)
def test_what_changes_hands(row: Row) -> None:
    """The net of the day, as far as it was meant for delivery and on the same side."""
    made = Scrip("EQUITY", "")
    for product, bought, sold in (
        ("CNC", row.number("for_delivery_bought"), row.number("for_delivery_sold")),
        ("INTRADAY", row.number("bought") - row.number("for_delivery_bought"),
         row.number("sold") - row.number("for_delivery_sold")),
    ):  # fmt: skip
        for side, quantity in (("BUY", bought), ("SELL", sold)):
            if quantity:
                made.add(fill(f"NSE_EQ EQUITY {product}", f"{side} {quantity} 1", DAY))
    assert made.delivered() == row.number("moves")


def test_what_a_share_of_a_note_is_weighed_by() -> None:
    """By what each would cost alone on the same plan; without any weight alike; the remainder goes to the heaviest."""
    one, three = fill(FUTURE, "BUY 1 1700", DAY, "1"), fill(FUTURE, "BUY 3 2300", DAY, "2")
    groups = {"one": [one], "a three": [three]}
    note = TABLE.charge_day([one, three])
    flat, by_value = (shared_out(TABLE, note, groups, plan) for plan in (STANDARD_PLAN, Plan(flat=False)))
    free = {"a": [], "b": [], "c": []}

    assert sum(flat.values()) == sum(by_value.values()) == note.total_e4
    assert (flat["a three"] - flat["one"] < to_e4("0.5"), by_value["a three"] > 2 * by_value["one"]) == (True, True)
    weights = [charge_surely(TABLE, own, (), Plan(flat=False)).total_e4 for own in groups.values()]
    assert by_value["one"] == note.total_e4 * weights[0] // sum(weights)
    assert by_value["a three"] > note.total_e4 * weights[1] // sum(weights), "what rounding leaves"
    assert shared_out(TABLE, replace(note, segments=()), {"a": [one]}) == {"a": 0}
    thirds = shared_out(TABLE, note, free)
    assert sum(thirds.values()) == note.total_e4 and thirds["b"] == thirds["c"] == note.total_e4 // 3
    assert all(type(each) is int for each in (*flat.values(), *thirds.values()))
