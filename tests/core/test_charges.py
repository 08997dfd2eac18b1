"""Charges to the paisa: the worked examples, every rounding edge, every dated change, every doubt."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskguard import data
from riskguard.core.charges import (
    ChargeFill,
    ChargeLines,
    ChargeNote,
    ChargeTable,
    ChargeTableError,
    ChargeUnknownError,
    Plan,
    Settlement,
    half_up,
)
from riskguard.core.money import to_e4, to_text

TEXT = data.charges_text()
TABLE = ChargeTable.parse(TEXT)


def fill(what: str, trade: str, day: str, order_id: str = "1", security_id: str = "7", **more: object) -> ChargeFill:
    """Return a fill from `NSE_EQ EQUITY CNC` and `BUY 40 812.35`."""
    segment, kind, product = what.split()
    side, quantity, price = trade.split()
    made = ChargeFill(
        segment,
        kind,
        security_id,
        product,
        side,
        int(quantity),
        to_e4(price),
        order_id,
        date.fromisoformat(day),
    )
    return replace(made, **more)  # type: ignore[arg-type]


def shown(lines: ChargeLines) -> str:
    """Return the lines as a contract note prints them."""
    names = ("brokerage", "exchange_txn", "sebi", "ipft", "stt", "stamp", "gst")
    return " ".join(f"{name} {to_text(getattr(lines, name + '_e4'))}" for name in names)


def test_example_a_index_option() -> None:
    """Three orders of five fills: brokerage per order, the rest on the day's sum. charges.md §14 A."""
    what, day = "NSE_FNO OPTIDX INTRADAY", "2025-08-14"
    note = TABLE.charge_day(
        [
            fill(what, "BUY 75 142.35", day, "1"),
            fill(what, "BUY 75 142.40", day, "1"),
            fill(what, "SELL 75 150.10", day, "2"),
            fill(what, "SELL 50 149.95", day, "3"),
            fill(what, "SELL 25 149.90", day, "3"),
        ]
    )

    assert shown(note.lines) == (
        "brokerage 60.00 exchange_txn 15.36 sebi 0.04 ipft 0.22 stt 23.00 stamp 1.00 gst 13.61"
    )
    assert to_text(note.total_e4) == "113.23"
    assert note.uncertain == () and note.unknown == ()


def test_example_b_intraday_shares() -> None:
    """Brokerage below the cap is rounded per order; STT on the sale only. charges.md §14 B."""
    what, day = "NSE_EQ EQUITY INTRADAY", "2026-05-14"
    note = TABLE.charge_day([fill(what, "BUY 40 812.35", day, "1"), fill(what, "SELL 40 815.10", day, "2")])

    assert shown(note.lines) == ("brokerage 19.53 exchange_txn 2.00 sebi 0.07 ipft 0.00 stt 8.00 stamp 1.00 gst 3.89")
    assert to_text(note.total_e4) == "34.49"
    assert note.dp_e4 == 0 and note.is_known


def test_example_c_stock_future() -> None:
    """GST of exactly half a paisa goes up: 12.105 is 12.11. charges.md §14 C."""
    what, day = "NSE_FNO FUTSTK MARGIN", "2026-04-16"
    note = TABLE.charge_day([fill(what, "BUY 550 1287.40", day, "1"), fill(what, "SELL 550 1279.85", day, "2")])

    assert shown(note.lines) == (
        "brokerage 40.00 exchange_txn 25.84 sebi 1.41 ipft 0.00 stt 352.00 stamp 14.00 gst 12.11"
    )
    assert to_text(note.total_e4) == "445.36"
    assert note.uncertain == (), "above the cap both brokerage rules say 20"


def test_example_d_commodity_option() -> None:
    """CTT stands in the place of STT, and the multiplier makes the turnover. charges.md §14 D."""
    what, day = "MCX_COMM OPTFUT INTRADAY", "2025-11-03"
    note = TABLE.charge_day(
        [
            fill(what, "BUY 1 186.50", day, "1", multiplier=100),
            fill(what, "SELL 1 204.20", day, "2", multiplier=100),
        ]
    )

    assert shown(note.lines) == (
        "brokerage 40.00 exchange_txn 16.33 sebi 0.04 ipft 0.00 stt 10.00 stamp 1.00 gst 10.15"
    )
    assert to_text(note.total_e4) == "77.52"


def rows(text: str) -> list[list[str]]:
    """Split a table into cells; cells are two spaces or more apart, the first line is the heading."""
    cells = [[cell.strip() for cell in row.split("  ") if cell.strip()] for row in text.strip().splitlines()]
    assert all(len(row) == len(cells[0]) for row in cells)
    return cells[1:]


def ids(row: Iterable[str]) -> str:
    return " ".join(row)


# A sale of 1,000,000 rupees, and the purchase, on both sides of every change of a rate.
DATED = rows("""
    what                     trade            day         line          expected
    NSE_FNO FUTIDX INTRADAY  SELL 1000 1000   2023-03-31  stt           100.00
    NSE_FNO FUTIDX INTRADAY  SELL 1000 1000   2023-04-01  stt           125.00
    NSE_FNO FUTIDX INTRADAY  SELL 1000 1000   2024-09-30  stt           125.00
    NSE_FNO FUTIDX INTRADAY  SELL 1000 1000   2024-10-01  stt           200.00
    NSE_FNO FUTIDX INTRADAY  SELL 1000 1000   2026-03-31  stt           200.00
    NSE_FNO FUTIDX INTRADAY  SELL 1000 1000   2026-04-01  stt           500.00
    BSE_FNO FUTSTK MARGIN    SELL 1000 1000   2026-04-01  stt           500.00
    NSE_FNO FUTIDX INTRADAY  BUY 1000 1000    2026-04-01  stt           0.00
    NSE_FNO OPTIDX INTRADAY  SELL 1000 1000   2023-03-31  stt           500.00
    NSE_FNO OPTIDX INTRADAY  SELL 1000 1000   2023-04-01  stt           625.00
    NSE_FNO OPTIDX INTRADAY  SELL 1000 1000   2024-10-01  stt           1000.00
    NSE_FNO OPTSTK INTRADAY  SELL 1000 1000   2026-03-31  stt           1000.00
    NSE_FNO OPTSTK INTRADAY  SELL 1000 1000   2026-04-01  stt           1500.00
    NSE_EQ EQUITY INTRADAY   SELL 1000 1000   2026-04-01  stt           250.00
    NSE_EQ EQUITY INTRADAY   BUY 1000 1000    2026-04-01  stt           0.00
    NSE_EQ EQUITY CNC        SELL 1000 1000   2026-04-01  stt           1000.00
    NSE_EQ EQUITY CNC        BUY 1000 1000    2026-04-01  stt           1000.00
    BSE_EQ EQUITY MTF        BUY 1000 1000    2026-04-01  stt           1000.00
    NSE_EQ ETF_EQUITY CNC    BUY 1000 1000    2026-04-01  stt           0.00
    NSE_EQ ETF_EQUITY CNC    SELL 1000 1000   2026-04-01  stt           10.00
    NSE_EQ ETF_EQUITY CO     SELL 1000 1000   2026-04-01  stt           250.00
    NSE_EQ ETF_OTHER CNC     SELL 1000 1000   2026-04-01  stt           0.00
    NSE_EQ EQUITY CNC        BUY 1000 1000    2024-09-30  exchange_txn  32.20
    NSE_EQ EQUITY CNC        BUY 1000 1000    2024-10-01  exchange_txn  29.70
    NSE_EQ EQUITY CNC        BUY 1000 1000    2026-02-28  exchange_txn  29.70
    NSE_EQ EQUITY CNC        BUY 1000 1000    2026-03-01  exchange_txn  30.70
    NSE_FNO FUTIDX INTRADAY  BUY 1000 1000    2024-06-04  exchange_txn  18.80
    NSE_FNO FUTIDX INTRADAY  BUY 1000 1000    2026-03-01  exchange_txn  18.30
    NSE_FNO OPTIDX INTRADAY  BUY 1000 1000    2026-02-28  exchange_txn  350.30
    NSE_FNO OPTIDX INTRADAY  BUY 1000 1000    2026-03-01  exchange_txn  355.30
    BSE_EQ EQUITY CNC        BUY 1000 1000    2026-03-01  exchange_txn  37.50
    BSE_FNO FUTIDX INTRADAY  BUY 1000 1000    2026-03-01  exchange_txn  0.00
    BSE_FNO OPTIDX INTRADAY  BUY 1000 1000    2024-09-30  exchange_txn  495.00
    BSE_FNO OPTIDX INTRADAY  BUY 1000 1000    2024-10-01  exchange_txn  325.00
    BSE_FNO OPTSTK INTRADAY  BUY 1000 1000    2024-10-01  exchange_txn  50.00
    NSE_FNO OPTIDX INTRADAY  BUY 1000 1000    2026-02-28  ipft          5.00
    NSE_FNO OPTIDX INTRADAY  BUY 1000 1000    2026-03-01  ipft          0.00
    NSE_EQ EQUITY CNC        BUY 1000 1000    2026-02-28  ipft          1.00
    BSE_EQ EQUITY CNC        BUY 1000 1000    2026-02-28  ipft          0.00
    NSE_EQ EQUITY CNC        BUY 1000 1000    2021-03-31  sebi          0.50
    NSE_EQ EQUITY CNC        BUY 1000 1000    2021-04-01  sebi          1.00
    NSE_EQ EQUITY CNC        BUY 1000 1000    2026-03-01  stamp         150.00
    NSE_EQ EQUITY CNC        SELL 1000 1000   2026-03-01  stamp         0.00
    NSE_EQ EQUITY INTRADAY   BUY 1000 1000    2026-03-01  stamp         30.00
    NSE_FNO FUTIDX INTRADAY  BUY 1000 1000    2026-03-01  stamp         20.00
    NSE_FNO OPTIDX INTRADAY  BUY 1000 1000    2026-03-01  stamp         30.00
    NSE_EQ EQUITY CNC        BUY 1000 1000    2026-03-01  brokerage     0.00
    NSE_EQ EQUITY MTF        BUY 1000 1000    2026-03-01  brokerage     20.00
    NSE_EQ ETF_OTHER MTF     BUY 100 100      2026-03-01  brokerage     3.00
    NSE_EQ EQUITY INTRADAY   BUY 100 666.66   2026-03-01  brokerage     20.00
    NSE_EQ EQUITY INTRADAY   BUY 100 666.50   2026-03-01  brokerage     20.00
    NSE_EQ EQUITY INTRADAY   BUY 100 666      2026-03-01  brokerage     19.98
    NSE_FNO OPTIDX INTRADAY  BUY 75 0.05      2026-03-01  brokerage     20.00
    NSE_FNO FUTIDX INTRADAY  BUY 1 1000       2026-03-01  brokerage     20.00
""")


@pytest.mark.parametrize("row", DATED, ids=ids)
def test_the_rate_is_that_of_the_trade_date(row: list[str]) -> None:
    """Each line on both sides of each change, by segment, instrument, product and side."""
    what, trade, day, line, expected = row
    lines = TABLE.estimate_fill(fill(what, trade, day)).lines

    assert to_text(getattr(lines, f"{line}_e4")) == expected


ROUNDED = rows("""
    value     unit   expected
    0         100    0
    49        100    0
    50        100    100
    149       100    100
    150       100    200
    4999      10000  0
    5000      10000  10000
    14999     10000  10000
    15000     10000  20000
    99/2      100    0
    9999/200  100    0
    10001/200  100   100
""")


@pytest.mark.parametrize("row", ROUNDED, ids=ids)
def test_exactly_half_goes_up(row: list[str]) -> None:
    """0.005 is 0.01 and 0.50 is 1; half even would lose a paisa on every second tie."""
    value, unit, expected = row

    assert half_up(Fraction(value), int(unit)) == int(expected)


def test_an_order_pays_brokerage_once_however_many_fills() -> None:
    """The cap of 20 is per order, and a split order pays twice."""
    what, day = "NSE_EQ EQUITY INTRADAY", "2026-05-14"
    one = TABLE.charge_day([fill(what, "BUY 50 1000", day, "1"), fill(what, "BUY 50 1000", day, "1")])
    two = TABLE.charge_day([fill(what, "BUY 50 1000", day, "1"), fill(what, "BUY 50 1000", day, "2")])

    assert to_text(one.lines.brokerage_e4) == "20.00"
    assert to_text(two.lines.brokerage_e4) == "30.00"


def test_the_second_small_purchase_may_cost_the_rupee() -> None:
    """Stamp duty is rounded once a day: charges are not additive, and the marginal cost says so."""
    what, day = "NSE_FNO OPTIDX INTRADAY", "2026-05-14"
    first = fill(what, "BUY 75 150", day, "1")
    second = fill(what, "BUY 75 150", day, "2")

    assert to_text(TABLE.charge_day([first]).lines.stamp_e4) == "0.00"
    assert to_text(TABLE.charge_day([first, second]).lines.stamp_e4) == "1.00"
    assert to_text(TABLE.estimate_fill(second).total_e4) == "28.33"
    assert to_text(TABLE.marginal_e4([first], [second])) == "29.32"
    assert TABLE.marginal_e4([first], []) == 0
    assert TABLE.marginal_e4([], [first]) == TABLE.estimate_fill(first).total_e4


DELIVERY = rows("""
    trades                                             stt      stamp   dp     why
    CNC BUY 100 1000                                   100.00   15.00   0.00   all delivered
    CNC SELL 100 1000                                  100.00   0.00    14.75  from holdings
    CNC BUY 100 1000, CNC SELL 100 1000                25.00    3.00    0.00   nothing moves
    CNC BUY 100 1000, CNC SELL 40 1000                 70.00    10.00   0.00   60 move in
    CNC BUY 40 1000, CNC SELL 100 1000                 70.00    1.00    14.75  60 move out
    CNC BUY 50 900, CNC BUY 50 1100, CNC SELL 40 1000  70.00    10.00   0.00   at the average price
    CNC SELL 100 1000, INTRADAY BUY 40 1000            70.00    1.00    14.75  the exchange sees no product
    CNC BUY 100 1000, INTRADAY BUY 40 1000             100.00   16.00   0.00   intraday is expected to close
    INTRADAY SELL 100 1000                             25.00    0.00    0.00   intraday is expected to close
    MTF BUY 100 1000, MTF SELL 100 1000                25.00    3.00    0.00   as CNC
""")


@pytest.mark.parametrize("row", DELIVERY, ids=ids)
def test_only_what_is_delivered_pays_as_delivery(row: list[str]) -> None:
    """Purchases and sales of one share net within the day, at the average price of their side."""
    trades, stt, stamp, dp, _ = row
    fills = []
    for number, trade in enumerate(trades.split(", ")):
        product, rest = trade.split(" ", 1)
        fills.append(fill(f"NSE_EQ EQUITY {product}", rest, "2026-05-14", str(number)))
    note = TABLE.charge_day(fills)

    assert (to_text(note.lines.stt_e4), to_text(note.lines.stamp_e4), to_text(note.dp_e4)) == (stt, stamp, dp)
    assert note.ledger_e4 == note.total_e4 + note.dp_e4


def test_different_shares_and_exchanges_do_not_net() -> None:
    """A purchase on one exchange and a sale on the other are two deliveries."""
    day = "2026-05-14"
    note = TABLE.charge_day(
        [
            fill("NSE_EQ EQUITY CNC", "BUY 100 1000", day, "1"),
            fill("BSE_EQ EQUITY CNC", "SELL 100 1000", day, "2", group="A"),
            fill("NSE_EQ EQUITY CNC", "SELL 100 1000", day, "3", security_id="8"),
        ]
    )

    assert [(name, to_text(lines.stt_e4)) for name, lines in note.segments] == [
        ("BSE_EQ", "100.00"),
        ("NSE_EQ", "200.00"),
    ]


def test_dp_is_once_per_isin_and_day() -> None:
    """However many sales and on both exchanges; another ISIN pays again."""
    day = "2026-05-14"
    sales = [
        fill("NSE_EQ EQUITY CNC", "SELL 10 1000", day, "1", isin="INE1"),
        fill("NSE_EQ EQUITY CNC", "SELL 10 1000", day, "2", isin="INE1"),
        fill("BSE_EQ EQUITY CNC", "SELL 10 1000", day, "3", isin="INE1", group="A"),
        fill("NSE_EQ EQUITY CNC", "SELL 10 1000", day, "4", security_id="8", isin="INE2"),
    ]

    assert to_text(TABLE.charge_day(sales[:1]).dp_e4) == "14.75"
    assert to_text(TABLE.charge_day(sales[:3]).dp_e4) == "14.75"
    assert to_text(TABLE.charge_day(sales).dp_e4) == "29.50"


GROUPS = rows("""
    what                     trade         more                 exchange_txn
    BSE_EQ EQUITY CNC        BUY 100 1000  group A              3.75
    BSE_EQ EQUITY CNC        BUY 100 1000  group X              100.00
    BSE_EQ EQUITY CNC        BUY 100 1000  group ZP             1000.00
    BSE_EQ EQUITY INTRADAY   BUY 100 1000  group MT             2.75
    BSE_FNO OPTIDX INTRADAY  BUY 100 1000  underlying SENSEX    32.50
    BSE_FNO OPTIDX INTRADAY  BUY 100 1000  underlying SENSEX50  5.00
    NSE_EQ EQUITY CNC        BUY 100 1000  group X              3.07
""")


@pytest.mark.parametrize("row", GROUPS, ids=ids)
def test_some_scrips_and_contracts_have_an_exchange_rate_of_their_own(row: list[str]) -> None:
    """Only the exchange's own line changes; groups are a matter of BSE."""
    what, trade, more, expected = row
    field, value = more.split()

    note = TABLE.estimate_fill(fill(what, trade, "2026-05-14", **{field: value}))

    assert to_text(note.lines.exchange_txn_e4) == expected


def test_fees_of_the_broker_are_per_order_and_taxed() -> None:
    """Square-off 20 and call 50, once per order, inside the base of GST."""
    what, day = "NSE_FNO OPTIDX INTRADAY", "2026-05-14"
    plain = TABLE.charge_day([fill(what, "SELL 75 10", day), fill(what, "SELL 75 10", day)])
    marked = [fill(what, "SELL 75 10", day, handling="auto_square_off")] * 2
    called = [fill(what, "SELL 75 10", day, handling="call_and_trade")]

    assert to_text(TABLE.charge_day(marked).lines.auto_square_off_e4) == "20.00"
    assert TABLE.charge_day(marked).total_e4 - plain.total_e4 == to_e4("23.60")
    assert to_text(TABLE.charge_day(called).lines.call_and_trade_e4) == "50.00"


def test_gst_takes_the_sebi_fee_in_since_july_2022() -> None:
    """The base is what the dated row says; the older base left the SEBI fee out."""
    before = TABLE.estimate_fill(fill("NSE_FNO FUTIDX MARGIN", "BUY 1000 100000", "2022-07-17")).lines
    after = TABLE.estimate_fill(fill("NSE_FNO FUTIDX MARGIN", "BUY 1000 100000", "2022-07-18")).lines

    assert before.sebi_e4 == after.sebi_e4 == to_e4(100)
    assert after.gst_e4 - before.gst_e4 == to_e4(18)


def test_a_plan_changes_brokerage_only() -> None:
    """Sources differ on small futures: flat 20 for the risk figure, by value for who knows his plan."""
    small = fill("NSE_FNO FUTIDX INTRADAY", "BUY 1 1000", "2026-05-14")
    flat, by_value = TABLE.estimate_fill(small), TABLE.estimate_fill(small, Plan(flat=False))
    half = TABLE.estimate_fill(small, Plan(multiplier=Fraction(1, 2)))

    assert [to_text(n.lines.brokerage_e4) for n in (flat, by_value, half)] == ["20.00", "0.30", "10.00"]
    assert flat.lines.stt_e4 == by_value.lines.stt_e4
    assert any("brokerage" in doubt for doubt in flat.uncertain)


SETTLED = rows("""
    event                                        stt     stamp  why
    NSE_FNO OPTIDX EXERCISE_LONG 75 100          11.00   0.00   0.15 % of the intrinsic value
    NSE_FNO OPTIDX EXPIRY 75 0                   0.00    0.00   nothing happened
    NSE_FNO FUTSTK RECEIVE 500 1000              500.00  75.00  shares come in
    NSE_FNO FUTSTK DELIVER 500 1000              500.00  0.00   shares go out
    NSE_FNO OPTSTK DELIVER 500 1000              500.00  0.00   shares go out
""")


@pytest.mark.parametrize("row", SETTLED, ids=ids)
def test_expiry_is_taxed_and_confesses_its_brokerage(row: list[str]) -> None:
    """No source says what the broker takes at expiry: 0, with a mark that the note is not complete."""
    text, stt, stamp, _ = row
    segment, kind, event, quantity, price = text.split()
    note = TABLE.charge_day(
        [],
        [Settlement(segment, kind, "7", event, int(quantity), to_e4(price), date(2026, 5, 26))],
    )

    assert (to_text(note.lines.stt_e4), to_text(note.lines.stamp_e4)) == (stt, stamp)
    assert any("brokerage" in doubt for doubt in note.unknown)
    assert not note.is_known


def test_a_future_that_only_expires_owes_nothing_and_says_nothing() -> None:
    """What an index future makes at its expiry is settled in cash, and no line of the note is in doubt."""
    note = TABLE.charge_day([], [Settlement("NSE_FNO", "FUTIDX", "7", "EXPIRY", 75, 0, date(2026, 5, 26))])
    assert (note.total_e4, note.unknown, note.is_known) == (0, (), True)


def edited(component: str, **cells: str) -> ChargeTable:
    """The shipped table with some cells of every row of *component* changed."""
    with io.StringIO() as text:
        rows = list(csv.DictReader(TEXT.splitlines()))
        writer = csv.DictWriter(text, rows[0])
        writer.writeheader()
        writer.writerows({**row, **cells} if row["component"] == component else row for row in rows)
        return ChargeTable.parse(text.getvalue())


UNKNOWN = [
    ("brokerage", "NSE_FNO OPTIDX INTRADAY", "brokerage_e4"), ("gst", "NSE_FNO OPTIDX INTRADAY", "gst_e4"),
    ("call_and_trade", "NSE_FNO OPTIDX INTRADAY", "call_and_trade_e4"), ("stamp", "NSE_EQ EQUITY CNC", "stamp_e4"),
]  # fmt: skip


@pytest.mark.parametrize(("component", "what", "line"), UNKNOWN)
def test_a_rate_nobody_knows_is_taken_as_nothing_and_said(component: str, what: str, line: str) -> None:
    """A row may stand for "it is charged, and nobody says how much": the other lines stay, and the note confesses it."""
    fills = [fill(what, "BUY 75 100", "2026-05-14", handling="call_and_trade")]
    known, unknown = TABLE.charge_day(fills), edited(component, rate="", unit="unknown").charge_day(fills)

    assert getattr(known.lines, line) > 0 == getattr(unknown.lines, line)
    assert known.is_known and not unknown.is_known
    assert any(f"{component}: no rate is known, taken as 0" in each for each in unknown.unknown)
    assert unknown.lines.exchange_txn_e4 == known.lines.exchange_txn_e4


def test_the_depositorys_charge_and_its_tax_may_each_be_unknown() -> None:
    """Without the charge there is nothing to tax; without the tax the charge alone is owed."""
    sale = [fill("NSE_EQ EQUITY CNC", "SELL 10 100", "2026-05-14")]
    charged = TABLE.charge_day(sale)
    assert edited("dp_charge", rate="", unit="unknown").charge_day(sale).dp_e4 == 0
    untaxed = edited("dp_gst", rate="", unit="unknown").charge_day(sale)
    assert 0 < untaxed.dp_e4 < charged.dp_e4 and not untaxed.is_known


FLOORS = rows("""
    value    expected
    1000     5.00
    16666    5.00
    16700    5.01
    100000   20.00
""")


@pytest.mark.parametrize("row", FLOORS, ids=ids)
def test_brokerage_may_have_a_floor(row: list[str]) -> None:
    """0.03 % of the order, ₹5 at the least and ₹20 at the most."""
    value, expected = row
    floored = edited("brokerage", rate="0.0003", unit="fraction", min="5", max="20", confidence="confirmed")
    note = floored.charge_day([fill("NSE_EQ EQUITY INTRADAY", f"BUY 1 {value}", "2026-05-14")])
    assert to_text(note.lines.brokerage_e4) == expected


def test_a_date_outside_the_table_is_unknown_and_dear() -> None:
    """Dhan did not exist in March 2020: the highest rate stands in, and the note says for which lines."""
    note = TABLE.charge_day(
        [
            fill("NSE_FNO FUTIDX INTRADAY", "BUY 75 7600", "2020-03-23", "1"),
            fill("NSE_FNO FUTIDX INTRADAY", "SELL 75 7600", "2020-03-23", "2"),
        ]
    )

    assert [doubt.split(":")[0] for doubt in note.unknown] == [
        "NSE_FNO FUTIDX brokerage",
        "NSE_FNO FUTIDX stamp",
    ]
    assert not note.is_known
    assert to_text(note.lines.brokerage_e4) == "40.00"
    assert to_text(note.lines.stamp_e4) == "11.00"
    assert to_text(note.lines.stt_e4) == "57.00", "the row of 2020 is a fact"


def test_doubts_are_named_with_their_source() -> None:
    """A rate with one source, and a scrip whose group nobody gave, are marked; a confirmed one is not."""
    plain = TABLE.estimate_fill(fill("NSE_EQ EQUITY CNC", "BUY 10 100", "2026-05-14"))
    bse = TABLE.estimate_fill(fill("BSE_EQ EQUITY CNC", "BUY 10 100", "2026-05-14"))
    margin = TABLE.estimate_fill(fill("NSE_EQ EQUITY MARGIN", "BUY 10 100", "2026-05-14"))

    assert plain.uncertain == ()
    assert bse.uncertain == (
        "BSE_EQ 7 exchange_txn: scrip group not given",
        "BSE_EQ EQUITY_DELIVERY ipft: one (RATECARD (unproven zero))",
    )
    assert margin.uncertain == ("NSE_EQ 7: MARGIN on shares taken as MTF",)


def test_an_instrument_without_rows_is_refused() -> None:
    """What it costs is unknown: there is no nearest row to fall back on."""
    with pytest.raises(ChargeUnknownError, match="OPTGOODS"):
        TABLE.estimate_fill(fill("MCX_COMM OPTGOODS INTRADAY", "BUY 1 100", "2026-05-14"))
    with pytest.raises(ChargeUnknownError, match="NSE_COMM"):
        TABLE.estimate_fill(fill("NSE_COMM FUTCOM INTRADAY", "BUY 1 100", "2026-05-14"))


def test_a_day_without_fills_costs_nothing() -> None:
    """And fills of two days are no day."""
    assert TABLE.charge_day([]) == ChargeNote(None, (), 0, (), ())
    assert TABLE.charge_day([]).total_e4 == 0
    what = "NSE_EQ EQUITY CNC"
    with pytest.raises(ValueError, match="2 dates"):
        TABLE.charge_day([fill(what, "BUY 1 1", "2026-05-14"), fill(what, "BUY 1 1", "2026-05-15")])


@pytest.mark.parametrize(
    "change",
    [
        {"side": "HOLD"},
        {"quantity": 0},
        {"price_e4": -1},
        {"multiplier": 0},
        {"product": "X"},
        {"handling": "x"},
    ],
    ids=str,
)
def test_a_malformed_fill_cannot_exist(change: dict[str, object]) -> None:
    """A fill that is not one must not become a cheap one."""
    with pytest.raises(ValueError):
        replace(fill("NSE_EQ EQUITY CNC", "BUY 1 1", "2026-05-14"), **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"event": "X"}, {"quantity": 0}, {"price_e4": -1}], ids=str)
def test_a_malformed_settlement_cannot_exist(change: dict[str, object]) -> None:
    """As for fills."""
    good = Settlement("NSE_FNO", "OPTIDX", "7", "EXPIRY", 75, 0, date(2026, 5, 26))
    with pytest.raises(ValueError):
        replace(good, **change)  # type: ignore[arg-type]


def test_every_instrument_is_priced_on_every_date_since_october_2024() -> None:
    """A hole in the table would be found by a user's loss limit. charges.md §15, "Loader checks"."""
    special = ("_GROUP_", "OPTGOODS", "_FOCIT", "OPTIDX_SENSEX50")
    names = {
        (segment, instrument)
        for segment, instrument, _ in TABLE._rates
        if segment != "ALL" and not any(mark in instrument for mark in special)
    }
    days = [date(2024, 10, 1) + timedelta(days=n) for n in range(800)]
    for segment, instrument in names:
        tax = "ctt" if (segment, instrument, "ctt") in TABLE._rates else "stt"
        for component in ("brokerage", "exchange_txn", "ipft", "sebi", "stamp", tax):
            rates = TABLE._rates[segment, instrument, component]
            assert all(any(rate.holds(day) for rate in rates) for day in days), (
                segment,
                instrument,
                component,
            )
    assert len(names) == 29


HEAD = TEXT.splitlines()[0]
ROW = "NSE_EQ,EQUITY,stt,SELL,turnover,0.001,fraction,,,segment_day:1:half_up,2020-01-01,2020-12-31,S,one"
BROKEN = [
    ("", "the columns must be"),
    ("a,b", "the columns must be"),
    (f"{HEAD}\na,b", "2 fields"),
    (f"{HEAD}\n{ROW.replace('0.001', 'NaN')}", "out of range"),
    (f"{HEAD}\n{ROW.replace('0.001', '-0.001')}", "out of range"),
    (f"{HEAD}\n{ROW.replace('0.001', '1E+999999')}", "out of range"),
    (f"{HEAD}\n{ROW.replace('0.001', '0,1')}", "15 fields"),
    (f"{HEAD}\n{ROW.replace('0.001', 'x')}", "not a decimal"),
    (f"{HEAD}\n{ROW.replace('0.001', '')}", "blank exactly when"),
    (f"{HEAD}\n{ROW.replace('fraction', 'percent')}", "unknown unit"),
    (f"{HEAD}\n{ROW.replace(':1:half_up', ':1:half_even')}", "is rounded"),
    (f"{HEAD}\n{ROW.replace('2020-01-01', '')}", "effective dates"),
    (f"{HEAD}\n{ROW.replace('2020-01-01', '2021-01-01')}", "effective dates"),
    (f"{HEAD}\n{ROW.replace('2020-01-01', '01/01/2020')}", "not a date"),
    (f"{HEAD}\n{ROW}\n{ROW}", "overlap"),
    (f"{HEAD}\n{ROW}\n{ROW.replace('2020-', '2022-')}", "no rate between"),
    (
        f"{HEAD}\n{ROW.replace('turnover', 'a').replace('stt', 'gst').replace(':1:', ':0.01:')}",
        "sum of lines",
    ),
    (f'{HEAD}\n"a', "line"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_a_malformed_table_is_refused(text: str, message: str) -> None:
    """A row that is not understood must not become a charge of nothing."""
    with pytest.raises(ChargeTableError, match=message):
        ChargeTable.parse(text)


def oracle(fills: list[ChargeFill]) -> Decimal:
    """Charge NSE index options of 2025-08-14 with Decimals, written from charges.md §1 and nothing else."""

    def rounded(value: Decimal, unit: str) -> Decimal:
        return value.quantize(Decimal(unit), ROUND_HALF_UP)

    turnover = {"BUY": Decimal(0), "SELL": Decimal(0)}
    for one in fills:
        turnover[one.side] += Decimal(one.quantity) * Decimal(one.price_e4) / 10_000
    both = turnover["BUY"] + turnover["SELL"]
    brokerage = Decimal(20) * len({one.order_id for one in fills})
    txn = rounded(both * Decimal("0.0003503"), "0.01")
    sebi, ipft = rounded(both * Decimal("0.000001"), "0.01"), rounded(both * Decimal("0.000005"), "0.01")
    stt = rounded(turnover["SELL"] * Decimal("0.001"), "1")
    stamp = rounded(turnover["BUY"] * Decimal("0.00003"), "1")
    gst = rounded((brokerage + txn + sebi + ipft) * Decimal("0.18"), "0.01")
    return brokerage + txn + sebi + ipft + stt + stamp + gst


option_fills = st.builds(
    lambda side, lots, ticks, order: fill(
        "NSE_FNO OPTIDX INTRADAY", f"{side} {lots * 75} {Decimal(ticks) / 20}", "2025-08-14", f"{side}{order}"
    ),
    st.sampled_from(["BUY", "SELL"]),
    st.integers(1, 24),
    st.integers(1, 40_000),
    st.integers(1, 5),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(option_fills, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_agrees_with_a_naive_calculation_in_any_order(fills: list[ChargeFill], shuffle: random.Random) -> None:
    """The engine equals the oracle on any day of options, and the order of fills does not matter."""
    note = TABLE.charge_day(fills)
    shuffled = list(fills)
    shuffle.shuffle(shuffled)

    assert Decimal(note.total_e4) / 10_000 == oracle(fills)
    assert TABLE.charge_day(shuffled) == note
