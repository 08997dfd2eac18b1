"""One real day at Dhan, 35 executions of 2025-07-07: P&L and charges against figures worked out by hand."""

from __future__ import annotations

import csv
from collections import defaultdict
from datetime import date
from pathlib import Path

from riskguard import data
from riskguard.core.book import Line
from riskguard.core.charges import ChargeFill, ChargeTable, charge_surely
from riskguard.core.instrument import Instrument
from riskguard.core.money import to_e4, to_text
from riskguard.core.pnl import DayPnl, day_pnl
from riskguard.core.pnl_parts import by_segment
from riskguard.core.quote import Quote
from tests.core.tables import table

ROWS = Path(__file__).parents[1] / "data" / "trades" / "dhan_trades_2025-07-07.csv"
DAY = date(2025, 7, 7)
NOW = 1_751_882_400 * 1_000_000  # 2025-07-07 15:30 in India
TABLE = ChargeTable.parse(data.charges_text())

# Written out from the list of executions, line by line, with a pocket calculator.
#
# 57100-PE  sold   35 × (730.75 + 730.70 + 730.70 + 730.65 + 730.55 + 730.55) = 35 × 4,383.90        = 153,436.50
#           carried 210 from the day before; previous close taken as 705.00: 210 × 705                 = 148,050.00
# 57000-PE  bought 70 × 647.30 + 35 × 664.75 + 70 × 666.55 + 70 × 655.00 + 70 × 670.45 + 70 × 667.60
#                  = 45,311.00 + 23,266.25 + 46,658.50 + 45,850.00 + 46,931.50 + 46,732.00            = 254,749.25
#           sold   105 × 670.00 + 140 × 675.00 + 70 × 704.10 + 70 × 673.85
#                  = 70,350.00 + 94,500.00 + 49,287.00 + 47,169.50                                    = 261,306.50
# 25400-PE  bought 225 × 91.30 + 150 × 91.35 + 75 × 91.40 = 20,542.50 + 13,702.50 + 6,855.00           =  41,100.00
#           sold   450 × 95.00                                                                        =  42,750.00
# 25450-CE  bought 75 × 115.00 + 75 × 110.00                                                          =  16,875.00
#           sold   150 × 122.60                                                                       =  18,390.00
# Shares bought for delivery and held; marks taken as the column says.
HAND = table("""
    security  symbol     start  close   bought  paid       sold  got        mark  pnl
    54094     57100-PE   210    705.00  0       0          210   153436.50  -     5386.50
    54092     57000-PE   0      -       385     254749.25  385   261306.50  -     6557.25
    40046     25400-PE   0      -       450     41100.00   450   42750.00   -     1650.00
    40047     25450-CE   0      -       150     16875.00   150   18390.00   -     1515.00
    9599      DELHIVERY  0      -       1       392.00     0     0          390   -2.00
    3405      TATACHEM   0      -       1       940.00     0     0          945   5.00
    24610     AVANTEL    0      -       6       948.00     0     0          160   12.00
    15337     RAIN       0      -       2       296.00     0     0          147   -2.00
""")
PNL_BEFORE_CHARGES = "15121.75"  # 5,386.50 + 6,557.25 + 1,650.00 + 1,515.00 − 2 + 5 + 12 − 2

# NSE_FNO   sold 153,436.50 + 261,306.50 + 42,750 + 18,390 = 475,883.00; bought 254,749.25 + 41,100 + 16,875 = 312,724.25;
#           together 788,607.25; 17 different orders.
#   brokerage 17 × 20 = 340.00; exchange × 0.03503 % = 276.2491… → 276.25; SEBI × 0.0001 % = 0.7886… → 0.79;
#   IPFT × 0.0005 % = 3.9430… → 3.94; STT 475,883 × 0.1 % = 475.883 → 476; stamp 312,724.25 × 0.003 % = 9.3817… → 9;
#   GST 18 % of (340 + 276.25 + 0.79 + 3.94 = 620.98) = 111.7764 → 111.78.
# NSE_EQ    bought 392 + 940 + 948 + 296 = 2,576.00 for delivery: no brokerage.
#   exchange × 0.00297 % = 0.0765… → 0.08; SEBI 0.0025… → 0.00; IPFT × 0.0001 % → 0.00; STT × 0.1 % = 2.576 → 3;
#   stamp × 0.015 % = 0.3864 → 0; GST 18 % of 0.08 = 0.0144 → 0.01.
CHARGES = table("""
    segment  brokerage  exchange_txn  sebi  ipft  stt     stamp  gst     total
    NSE_EQ   0.00       0.08          0.00  0.00  3.00    0.00   0.01    3.09
    NSE_FNO  340.00     276.25        0.79  3.94  476.00  9.00   111.78  1217.76
""")
TOTAL_CHARGES = "1220.85"
NET = "13900.90"


def executions() -> list[dict[str, str]]:
    with ROWS.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def instrument(row: dict[str, str]) -> Instrument:
    symbol = row["symbol"]
    kind = ("PE" if symbol.endswith("PE") else "CE") if row["exchange_segment"] == "NSE_FNO" else ""
    return Instrument(
        row["exchange_segment"], row["security_id"], symbol, "OPTIDX" if kind else "EQUITY", option_type=kind,
        expiry="2025-07-31" if kind else "",
    )  # fmt: skip


def fills() -> list[ChargeFill]:
    return [
        ChargeFill(
            row["exchange_segment"], instrument(row).kind, row["security_id"], row["product"], row["side"],
            int(row["qty"]), to_e4(row["price"]), row["order_ref"], DAY,
        )
        for row in executions()
    ]  # fmt: skip


def measured(carried_close: str = "705.00") -> DayPnl:
    """Fold the executions into lines as the day's book does, and value them at the marks of the table."""
    lines: dict[tuple[str, str], dict[str, Line]] = defaultdict(dict)
    instruments = {}
    for row in executions():
        key = (row["exchange_segment"], row["security_id"])
        instruments[key] = instrument(row)
        line = lines[key].setdefault(row["product"], Line(row["product"]))
        quantity, value_e4 = int(row["qty"]), int(row["qty"]) * to_e4(row["price"])
        if row["side"] == "BUY":
            line.filled, line.bought, line.buy_value_e4 = (
                line.filled + quantity, line.bought + quantity, line.buy_value_e4 + value_e4
            )  # fmt: skip
        else:
            line.filled, line.sold, line.sell_value_e4 = (
                line.filled - quantity, line.sold + quantity, line.sell_value_e4 + value_e4
            )  # fmt: skip
    carried = lines["NSE_FNO", "54094"]["MARGIN"]
    carried.start, carried.previous_close_e4 = 210, to_e4(carried_close)
    quotes = {
        ("NSE_EQ", row.security): Quote.of(ltp=row.mark, at_us=NOW) for row in HAND if row.opt("mark") is not None
    }
    return day_pnl(lines, instruments, quotes, charge_surely(TABLE, fills()).total_e4, NOW)


def test_each_line_makes_what_the_hand_says() -> None:
    """Quantities, values and profit of all eight lines; four of them are flat at the end, four are held."""
    found = {line.security_id: line for line in measured().lines}

    assert set(found) == {row.security for row in HAND}
    for row in HAND:
        line = found[row.security]
        assert line.total_e4 is not None and to_text(line.total_e4) == row.pnl, row.symbol
        held = row.opt("mark") is not None
        assert (line.realised_e4, line.unrealised_e4) == ((0, to_e4(row.pnl)) if held else (to_e4(row.pnl), 0))


def test_the_charges_are_the_hands_to_the_paisa() -> None:
    """Both segments, line by line, rounded as a contract note rounds."""
    note = charge_surely(TABLE, fills())
    names = ("brokerage", "exchange_txn", "sebi", "ipft", "stt", "stamp", "gst")

    for row, (segment, lines) in zip(CHARGES, note.segments, strict=True):
        shown = {name: to_text(getattr(lines, f"{name}_e4")) for name in names}
        assert segment == row.segment
        assert shown == {name: getattr(row, name) for name in names}, segment
        assert to_text(lines.total_e4) == row.total
    assert to_text(note.total_e4) == TOTAL_CHARGES
    assert note.is_known and note.dp_e4 == 0


def test_the_day_is_what_the_hand_says() -> None:
    """Gross, charges and net; by segment it adds up to the same."""
    pnl = measured()

    assert pnl.realised_e4 is not None and pnl.unrealised_e4 is not None and pnl.total_e4 is not None
    assert to_text(pnl.realised_e4 + pnl.unrealised_e4) == PNL_BEFORE_CHARGES
    assert to_text(pnl.charges_e4) == TOTAL_CHARGES
    assert to_text(pnl.total_e4) == NET and pnl.fresh
    parts = by_segment(pnl.lines, {row.segment: to_e4(row.total) for row in CHARGES})
    assert sum(part.net_e4 or 0 for part in parts) == pnl.total_e4


def test_the_figures_can_be_wrong() -> None:
    """Another previous close, or an execution left out, and the hand's figures no longer come out."""
    assert measured("705.05").total_e4 == to_e4(NET) - 210 * to_e4("0.05")
    assert charge_surely(TABLE, fills()[:-1]).total_e4 != to_e4(TOTAL_CHARGES)
    assert charge_surely(TABLE, fills()).lines.brokerage_e4 == 17 * 20 * 10_000
