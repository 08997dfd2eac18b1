"""The dated market tables: both sides of every first and last day, which row wins, what is refused, what is shipped."""

from __future__ import annotations

from datetime import date

import pytest

from riskguard import data
from riskguard.core.instrument import Instrument, default_multiplier, root_of
from riskguard.core.market import VALUES, MarketTableError, MarketTables, Row
from riskguard.core.order import Order
from riskguard.core.pricing import risk_price_e4
from tests.core.builders import order

SHIPPED = MarketTables.parse({name: (data.market_text(name),) for name in VALUES})
HEAD = "segment,kind,underlying,{},effective_from,effective_until,source,confidence\n"


def text(table: str, *rows: str, until: str = "2026-12-31") -> str:
    """A table's text: its horizon, its heading, and rows as `place;values;from;until`."""
    made = f"# complete_until = {until}\n" + HEAD.format(",".join(VALUES[table]))
    return made + "".join(f"{row.replace(';', ',')},somebody,one\n" for row in rows)


def tables(table: str, *rows: str) -> MarketTables:
    return MarketTables.parse({table: (text(table, *rows),)})


def contract(
    underlying: str = "NIFTY", segment: str = "NSE_FNO", kind: str = "OPTIDX", **changes: object
) -> Instrument:
    given = {"lot_size": 65, "option_type": "CE" if kind.startswith("OPT") else "", "underlying": underlying, **changes}
    given.setdefault("multiplier", default_multiplier(segment, kind))
    return Instrument(segment, "47317", f"{underlying}-Sep2026", kind, **given)  # type: ignore[arg-type]


# -- shipped facts, on both sides of their days ---------------------------------------------------------------------

FREEZE = [
    # underlying, day, what the exchange says
    ("NIFTY", "2025-07-31", None),
    ("NIFTY", "2025-08-01", 1800),
    ("BANKNIFTY", "2025-08-31", 600),
    ("BANKNIFTY", "2025-09-01", 900),
    ("BANKNIFTY", "2025-09-30", 900),
    ("BANKNIFTY", "2025-10-01", None),  # the circular of that month was not at hand: not last month's number
    ("BANKNIFTY", "2025-11-02", None),
    ("BANKNIFTY", "2025-11-03", 600),
    ("FINNIFTY", "2025-11-30", 1800),
    ("FINNIFTY", "2025-12-01", 1200),
    ("BANKNIFTY", "2026-06-30", 900),
    ("BANKNIFTY", "2026-07-01", 600),
    ("FINNIFTY", "2026-08-02", 1800),
    ("NIFTY", "2026-08-03", 1800),
    ("BANKNIFTY", "2026-08-03", 600),
    ("FINNIFTY", "2026-08-03", 1800),
    ("MIDCPNIFTY", "2026-08-03", 2800),
    ("NIFTYNXT50", "2026-08-03", 600),
    ("NIFTY", "2026-08-31", 1800),
    ("NIFTY", "2026-09-01", 1800),  # past the horizon the last row goes on holding
    ("HDFCBANK", "2025-11-30", None),
    ("HDFCBANK", "2025-12-01", 27500),
    ("HDFCBANK", "2025-12-31", 27500),
    ("HDFCBANK", "2026-01-01", None),  # of shares one month is known, and no other
    ("SENSEX", "2026-08-03", None),
]


@pytest.mark.parametrize("case", FREEZE, ids=str)
def test_freeze_quantity_by_day(case: tuple[str, str, int | None]) -> None:
    """NSE's quantity of the day, where it is known."""
    underlying, day, expected = case

    assert SHIPPED.enrich(contract(underlying), day).freeze_quantity == expected


@pytest.mark.parametrize(
    ("master", "expected"), [(None, 1800), (0, 1800), (1756, 1756), (1799, 1799), (1800, 1800), (1801, 1800)]
)
def test_the_lower_of_exchange_and_master_binds(master: int | None, expected: int) -> None:
    """Dhan says 1756 where NSE says 1800; 0 says that it knows none."""
    assert SHIPPED.enrich(contract(freeze_quantity=master), "2026-08-03").freeze_quantity == expected


@pytest.mark.parametrize(
    ("segment", "underlying", "expected"),
    [
        ("NSE_FNO", "NIFTY", 1), ("MCX_COMM", "CRUDEOIL", 100), ("MCX_COMM", "CRUDEOILM", None), ("MCX_COMM", "GOLD", None),
        ("NSE_CURRENCY", "USDINR", 1000), ("BSE_CURRENCY", "USDINR", 1000), ("NSE_CURRENCY", "EURUSD", None),
    ],
)  # fmt: skip
def test_a_multiplier_nobody_says_stays_unknown(segment: str, underlying: str, expected: int | None) -> None:
    """Never 1 by default: the value of the order would be a hundredth of what it is."""
    kind = {"NSE_FNO": "FUTIDX", "MCX_COMM": "FUTCOM"}.get(segment, "FUTCUR")

    assert SHIPPED.enrich(contract(underlying, segment, kind), "2026-08-03").multiplier == expected


@pytest.mark.parametrize(("master", "expected"), [(None, 100), (1, 100), (100, 100), (101, 101)])
def test_of_two_multipliers_the_larger_counts(master: int | None, expected: int) -> None:
    """A value too large refuses, one too small approves."""
    crude = contract("CRUDEOIL", "MCX_COMM", "FUTCOM", multiplier=master)

    assert SHIPPED.enrich(crude, "2026-08-03").multiplier == expected


BANDS = [
    # segment, kind, day, LPP percent and rupees, gap percent and rupees
    ("BSE_FNO", "OPTIDX", "2026-01-18", None, None, None, None),
    ("BSE_FNO", "OPTIDX", "2026-01-19", None, None, 2_000, 100_000),
    ("BSE_FNO", "OPTIDX", "2026-06-28", None, None, 2_000, 100_000),
    ("BSE_FNO", "OPTIDX", "2026-06-29", 4_000, 200_000, 2_000, 100_000),
    ("BSE_FNO", "FUTIDX", "2026-06-29", 200, 2_000_000, 200, 2_000_000),
    ("BSE_FNO", "OPTSTK", "2026-06-29", 4_000, 200_000, None, None),
    ("BSE_FNO", "FUTSTK", "2026-06-29", 300, 15_000, None, None),
    ("NSE_FNO", "OPTIDX", "2026-06-29", None, None, None, None),
]


@pytest.mark.parametrize("case", BANDS, ids=str)
def test_price_bands_and_stop_gaps_by_day(
    case: tuple[str, str, str, int | None, int | None, int | None, int | None],
) -> None:
    """BSE's limit price protection and stop-limit check, and nothing for an exchange nobody read."""
    segment, kind, day, *expected = case
    found = SHIPPED.enrich(contract("SENSEX", segment, kind), day)

    assert [found.lpp_pct_e2, found.lpp_abs_e4, found.stop_gap_pct_e2, found.stop_gap_abs_e4] == expected


@pytest.mark.parametrize(
    ("kind", "segment", "expected"),
    [
        ("EQUITY", "NSE_EQ", 10**12),
        ("FUTIDX", "NSE_FNO", 10**12),
        ("OPTIDX", "NSE_FNO", None),
        ("INDEX", "IDX_I", None),
    ],
)
def test_ten_crore_for_everything_but_options(kind: str, segment: str, expected: int | None) -> None:
    """₹10 crore is 10^8 rupees, 10^12 in our unit."""
    assert SHIPPED.enrich(contract("X", segment, kind), "2026-08-03").order_value_max_e4 == expected


def test_every_table_is_shipped_and_says_until_when() -> None:
    """A table without a horizon would be believed for ever."""
    assert set(SHIPPED.horizons()) == set(VALUES)
    assert all(date(2026, 1, 1) < until for until in SHIPPED.horizons().values())
    assert SHIPPED.horizons()["freeze"] == date(2026, 8, 31)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of looked-up numbers is emptied when it is full, and changes no answer."""
    monkeypatch.setattr("riskguard.core.market.MEMO_ENTRIES_MAX", 2)
    found = tables("freeze", "*,*,NIFTY;1800;;")
    for _ in range(2):
        assert [found.enrich(contract(name), "2026-01-01").freeze_quantity for name in ("NIFTY", "A", "B", "NIFTY")] == [
            1800, None, None, 1800,
        ]  # fmt: skip
        assert len(found._memo) <= 2


def test_a_remark_is_no_row() -> None:
    """Lines that begin with a hash are for people, but for the horizon; so are blank ones."""
    given = text("freeze", "*,*,*;1;;").splitlines()
    remarked = "\n".join(["# as the circular says", "# source: NSE", "", *given, "", "# the end"])
    assert MarketTables.parse({"freeze": (remarked,)}).enrich(contract(), "2026-01-01").freeze_quantity == 1


# -- which row wins -------------------------------------------------------------------------------------------------

PARTICULAR = (
    "*,*,*;1;;", "*,OPTIDX,*;2;;", "NSE_FNO,*,*;3;;", "NSE_FNO,OPTIDX,*;4;;", "*,*,NIFTY;5;;", "NSE_FNO,*,NIFTY;6;;",
    "*,OPTIDX,NIFTY;7;;", "NSE_FNO,OPTIDX,NIFTY;8;;",
)  # fmt: skip


@pytest.mark.parametrize(
    ("count", "expected"), [(1, 1), (2, 2), (3, 2), (4, 4), (5, 5), (6, 6), (7, 7), (8, 8)], ids=str
)
def test_the_most_particular_row_wins(count: int, expected: int) -> None:
    """Underlying before kind before segment."""
    found = tables("freeze", *PARTICULAR[:count]).at("freeze", contract(), "2026-08-03")

    assert found is not None and found.values == (expected,)


def test_what_began_last_wins_and_an_end_ends() -> None:
    """A row holds from its first day to its last, both included, unless a later one began."""
    found = tables(
        "freeze", "*,*,*;1;;", "*,*,*;2;2026-03-02;2026-03-31", "*,*,*;3;2026-03-10;2026-03-20", "*,*,*;;2026-05-01;"
    )

    def on(day: str) -> int | None:
        row = found.at("freeze", contract(), day)
        assert row is not None
        return row.values[0]

    assert [on(day) for day in ("2026-03-01", "2026-03-02", "2026-03-09", "2026-03-10", "2026-03-20")] == [
        1,
        2,
        2,
        3,
        3,
    ]
    assert [on(day) for day in ("2026-03-21", "2026-03-31", "2026-04-01", "2026-04-30")] == [2, 2, 1, 1]
    assert on("2026-05-01") is None, "an empty number says that nobody knows: the older one does not stand in"


def test_a_later_text_takes_the_place_of_a_row_and_of_the_horizon() -> None:
    """A user's own file adds, replaces a row of the same first day, and can only know longer."""
    shipped = text("freeze", "*,*,NIFTY;1800;2026-08-03;", until="2026-08-31")
    own = text("freeze", "*,*,NIFTY;1500;2026-08-03;", "*,*,NIFTY;1600;2026-09-01;", until="2026-09-30")
    both, turned = MarketTables.parse({"freeze": (shipped, own)}), MarketTables.parse({"freeze": (own, shipped)})

    for found, august in ((both, 1500), (turned, 1800)):
        assert found.horizons() == {"freeze": date(2026, 9, 30)}
        assert found.enrich(contract(), "2026-08-31").freeze_quantity == august
        assert found.enrich(contract(), "2026-09-01").freeze_quantity == 1600


def test_a_share_is_looked_up_by_its_own_symbol() -> None:
    """It hangs on nothing."""
    found = tables("protection", "NSE_EQ,*,HDFCBANK;3;;")

    assert found.enrich(Instrument("NSE_EQ", "1333", "HDFCBANK"), "2026-08-03").protection_pct_e2 == 300
    assert found.enrich(Instrument("NSE_EQ", "1594", "INFY"), "2026-08-03").protection_pct_e2 is None


# -- protection reaches the price -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("percent", "option", "expected"),
    [("", False, 105), ("", True, 120), ("0", True, 100), ("3", True, 103), ("7.5", False, "107.5")],
)
def test_the_risk_price_uses_the_percentage_of_the_day(percent: str, option: bool, expected: object) -> None:
    """A number of the table replaces the conservative stand-in; an empty one does not; 0 is a number."""
    kind = "OPTIDX" if option else "FUTIDX"
    found = tables("protection", f"*,*,*;{percent};;").enrich(contract(kind=kind), "2026-08-03")
    market: Order = order("BUY", 65, None, order_type="MARKET")

    assert risk_price_e4(market, 1_000_000, None, found) == int(float(str(expected)) * 10_000)


# -- what is refused ------------------------------------------------------------------------------------------------

GOOD = "*,*,*;1;2026-01-01;2026-12-31"
REFUSED = [
    ("no horizon", HEAD.format("freeze_quantity"), "complete_until"),
    ("a horizon that is no day", text("freeze", until="soon"), "wants YYYY-MM-DD"),
    ("another heading", text("freeze").replace("kind", "sort"), "the first row wants"),
    ("no heading", "# complete_until = 2026-12-31\n", "the first row wants"),
    ("a cell too few", text("freeze", "*,*;1;;"), "line 3: 7 cells"),
    ("a cell too many", text("freeze", "*,*,*,*;1;;"), "line 3: 9 cells"),
    ("an empty place", text("freeze", ",*,*;1;;"), "empty place"),
    ("no number", text("freeze", "*,*,*;many;;"), "`freeze_quantity` = `many`"),
    ("a fraction", text("freeze", "*,*,*;1.5;;"), "wants a whole number"),
    ("a negative", text("freeze", "*,*,*;-1;;"), "wants a whole number"),
    ("too much", text("freeze", "*,*,*;1000000001;;"), "wants a whole number"),
    ("a multiplier of 0", text("multipliers", "*,*,*;0;;"), "wants 1 or more"),
    ("a percent above 1000", text("protection", "*,*,*;1000.01;;"), "0 to 1000"),
    ("a percent below 0", text("protection", "*,*,*;-1;;"), "0 to 1000"),
    ("a percent of three decimals", text("protection", "*,*,*;1.005;;"), "two decimals"),
    ("rupees below 0", text("order_values", "*,*,*;-1;;"), "below zero"),
    ("NaN", text("protection", "*,*,*;NaN;;"), "plain decimal"),
    ("a day that is none", text("freeze", "*,*,*;1;2026-02-30;"), "wants YYYY-MM-DD"),
    ("an end before the beginning", text("freeze", "*,*,*;1;2026-02-02;2026-02-01"), "before it begins"),
    ("no source", text("freeze", GOOD).replace("somebody", ""), "no source"),
    ("a confidence nobody knows", text("freeze", GOOD).replace("one", "sure"), "confidence `sure`"),
    ("a quote that does not close", text("freeze", GOOD).replace("somebody", '"somebody'), "freeze"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case[0])
def test_a_malformed_table_is_refused_by_name_and_line(case: tuple[str, str, str]) -> None:
    """The message says which table and what; nothing of the text counts."""
    _, given, said = case
    table = next((name for name, columns in VALUES.items() if f",{','.join(columns)}," in given), "freeze")

    with pytest.raises(MarketTableError, match=said.replace(".", r"\.")) as caught:
        MarketTables.parse({table: (given,)})
    assert f"`{table}`" in str(caught.value) and "\n" not in str(caught.value)


def test_what_those_were_made_of_passes() -> None:
    """The refusals above are about what they say they are about."""
    assert tables("freeze", GOOD).enrich(contract(), "2026-01-01").freeze_quantity == 1
    assert tables("protection", "*,*,*;1000;;").enrich(contract(), "2026-01-01").protection_pct_e2 == 100_000


def test_a_table_nobody_knows_is_refused() -> None:
    """A misspelt file name must not be a table without effect."""
    with pytest.raises(MarketTableError, match="no table `freezes`"):
        MarketTables.parse({"freezes": ()})


# -- the name a contract begins with --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("symbol", "root"),
    [
        ("NIFTY-Sep2026-23950-CE", "NIFTY"), ("NIFTY-Sep2026-FUT", "NIFTY"), ("BAJAJ-AUTO-Jul2025-FUT", "BAJAJ-AUTO"),
        ("M&M-Jul2025-FUT", "M&M"), ("CRUDEOIL-21Sep2026-FUT", "CRUDEOIL"), ("BAJAJ-AUTO", ""), ("HDFCBANK", ""), ("", ""),
        ("BSXOPT", ""), ("NIFTY-FUT", ""), ("NIFTY-Sep2026", ""), ("NIFTY-Sop2026-FUT", ""), ("NIFTY-x1Sep2026-FUT", ""),
        ("-Sep2026-FUT", ""),
    ],
)  # fmt: skip
def test_the_root_of_a_trading_symbol(symbol: str, root: str) -> None:
    """What stands before month and year, hyphens and all; nothing for a name without them."""
    assert root_of(symbol) == root


# -- what is said, to the letter --------------------------------------------------------------------------------------

TABLES = "freeze, multipliers, order_values, price_bands, protection, stop_gaps"
HORIZON = "`freeze`: no line `# complete_until = YYYY-MM-DD`: say until when it is known"
SAID = [
    ("freeze", "# complete_until\n# source = NSE\n", HORIZON),
    ("freeze", "#complete_until=2026-12-31=1\n", "`freeze` line 1: `complete_until` = `2026-12-31=1`: wants YYYY-MM-DD"),
    ("freeze", "# one\n# complete_until = soon\n", "`freeze` line 2: `complete_until` = `soon`: wants YYYY-MM-DD"),
    ("freeze", "# complete_until = 2026-12-31\n",
     "`freeze`: the first row wants to be `segment,kind,underlying,freeze_quantity,effective_from,effective_until,"
     "source,confidence`"),
    ("freeze", text("freeze", "*,*;1;;"), "`freeze` line 3: 7 cells, wants 8"),
    ("freeze", text("freeze", "", ",*,*;1;;"), "`freeze` line 3: 3 cells, wants 8"),
    ("freeze", text("freeze", "*,*,*;1;;", ",*,*;1;;"), "`freeze` line 4: an empty place: `*` stands for any"),
    ("freeze", text("freeze", "*,*,*;1;;").replace("somebody", "a\n"), "`freeze` line 3: 7 cells, wants 8"),
    ("freeze", text("freeze", "*,*,*;1;;").replace("somebody", '"some\nbody"'),
     "`freeze`: zip() argument 2 is shorter than argument 1"),
    ("freeze", text("freeze", "*,*,*;1;;").replace("somebody", '"some"body'), "`freeze`: ',' expected after '\"'"),
    ("freeze", text("freeze", "*,*,*;1;2026-02-30;"), "`freeze` line 3: `effective_from` = `2026-02-30`: wants YYYY-MM-DD"),
    ("freeze", text("freeze", "*,*,*;1;;2026-02-30"), "`freeze` line 3: `effective_until` = `2026-02-30`: wants YYYY-MM-DD"),
    ("freeze", text("freeze", "*,*,*;1;2026-02-02;2026-02-01"), "`freeze` line 3: ends on `2026-02-01`, before it begins"),
    ("freeze", text("freeze", GOOD).replace("somebody", ""), "`freeze` line 3: no source: who says so?"),
    ("freeze", text("freeze", GOOD).replace("one", "sure"),
     "`freeze` line 3: confidence `sure`: known are confirmed, one, memory, unknown"),
    ("freeze", text("freeze", "*,*,*;many;;"), "`freeze` line 3: `freeze_quantity` = `many`: wants a whole number"),
    ("freeze", text("freeze", "*,*,*;1000000001;;"), "`freeze` line 3: `freeze_quantity` = `1000000001`: wants a whole number"),
    ("multipliers", text("multipliers", "*,*,*;0;;"),
     "`multipliers` line 3: `multiplier` = `0`: wants 1 or more: leave it empty for unknown"),
    ("protection", text("protection", "*,*,*;1000.01;;"),
     "`protection` line 3: `percent` = `1000.01`: wants 0 to 1000, two decimals at most"),
    ("order_values", text("order_values", "*,*,*;-1;;"), "`order_values` line 3: `order_value_inr_max` = `-1`: is below zero"),
    ("freezes", "", f"no table `freezes`: known are {TABLES}"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "given", "said"), SAID)
def test_what_is_wrong_is_said_with_its_place(table: str, given: str, said: str) -> None:
    """The table, the line as an editor counts it, the cell, and what would be right."""
    with pytest.raises(MarketTableError) as caught:
        MarketTables.parse({table: (given,)})
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("table", "number", "kept"),
    [
        ("freeze", "0", 0), ("freeze", "999999999", 999_999_999), ("freeze", "1000000000", 10**9), ("multipliers", "1", 1),
        ("multipliers", "1000000000", 10**9), ("protection", "0", 0), ("protection", "2.25", 225), ("protection", "1000", 100_000),
        ("order_values", "0", 0), ("order_values", "0.0001", 1), ("order_values", "100000000", 10**12), ("freeze", "", None),
    ],
)  # fmt: skip
def test_a_number_is_kept_in_our_unit(table: str, number: str, kept: int | None) -> None:
    """Percent in 1/100, rupees in 1/10000, counts as they are, the least and the most of each; whole, and with who says so."""
    row = tables(table, f"*,*,*;{number};2026-02-01;2026-02-01").at(table, contract(), "2026-02-01")
    assert row == Row("2026-02-01", "2026-02-01", (kept,), "somebody", "one")
    assert row is not None and type(row.values[0]) in (int, type(None))


def test_a_text_may_begin_with_a_mark_of_its_encoding() -> None:
    """As some editors write it; the horizon behind it is read, and may stand without a blank."""
    for given in ("\ufeff" + text("freeze", GOOD), text("freeze", GOOD).replace("# complete", "#complete")):
        found = MarketTables.parse({"freeze": (given,)})
        assert (found.tables["freeze"].name, found.horizons()) == ("freeze", {"freeze": date(2026, 12, 31)})


def test_what_was_looked_up_is_remembered_by_day_and_contract() -> None:
    """The next contract of the same name is not looked up again; another day is."""
    found = tables("freeze", "*,*,NIFTY;1800;;")
    found.enrich(contract(), "2026-01-01")
    ((key, values),) = found._memo.items()
    assert key == ("NSE_FNO", "OPTIDX", "NIFTY", "2026-01-01") and values.count(1800) == 1
    found._memo[key] = tuple(1200 if each == 1800 else each for each in values)
    assert [found.enrich(contract(), day).freeze_quantity for day in ("2026-01-01", "2026-01-02")] == [1200, 1800]
