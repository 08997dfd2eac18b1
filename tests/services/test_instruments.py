"""Importing an instrument master: what each row becomes, what is left out and why, and what a bad master cannot do."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import os
import resource
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from riskguard.core.market import MarketTables
from riskguard.errors import InstrumentsInvalidError, SettingsError, StoreUnavailableError
from riskguard.services.instruments.importing import (
    PUT,
    RESTATE,
    SEEN,
    SKIPPED_MAX_PCT,
    UNCHANGED,
    Imported,
    find,
    import_master,
)
from riskguard.services.instruments.master import COLUMNS, Elsewhere, Entry, Layout, Problem, entries
from riskguard.services.setup import initialise
from riskguard.store import loader, market
from riskguard.store.session import Store
from tests.services.desk import START, Desk

DATA = Path(__file__).parents[1] / "data" / "instruments"
WITH_FREEZE = DATA / "detailed_2026-09-14.csv"
CASH = DATA / "detailed_2026-04-15.csv"
FUTURES = DATA / "detailed_2025-07-22.csv"
COMPACT = DATA / "compact.csv"
SEPTEMBER_14 = 1_789_376_400_000_000
"""2026-09-14, 14:30 in India."""
DAY_US = 86_400_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A fresh database of the library's profile, with the eight shipped instruments."""
    initialise(f"sqlite:///{tmp_path}/risk.db", profile="library")
    made = Store(f"sqlite:///{tmp_path}/risk.db", deadline_ms=5_000)
    yield made
    made.close()


def take(
    store: Store, given: Path | str | bytes, now_us: int = SEPTEMBER_14, **how: Any
) -> tuple[Imported, list[Problem]]:
    """Import a file or a text, and return the outcome with every problem."""
    content = given.read_bytes() if isinstance(given, Path) else given.encode() if isinstance(given, str) else given
    told: list[Problem] = []
    done = import_master(store, io.BytesIO(content), now_us=now_us, on_problem=told.append, **how)
    return done, told


def rows(store: Store, where: str = "1", *columns: str) -> list[tuple[Any, ...]]:
    """Read the table with plain SQL."""
    wanted = ", ".join(columns or ("exchange_segment", "security_id"))
    with sqlite3.connect(store.path) as connection:
        return connection.execute(f"SELECT {wanted} FROM instruments WHERE {where} ORDER BY 1, 2").fetchall()  # noqa: S608


def row(store: Store, segment: str, security: str) -> dict[str, Any]:
    with sqlite3.connect(store.path) as connection:
        connection.row_factory = sqlite3.Row
        found = connection.execute(
            "SELECT * FROM instruments WHERE exchange_segment = ? AND security_id = ?", (segment, security)
        ).fetchone()
    return dict(found)


def instrument(store: Store, segment: str, security: str, day: str = "2026-09-14") -> Any:
    """What the checks get."""
    (card,) = find(store, f"{segment}:{security}", _date(day))
    return card.instrument


def _date(day: str) -> Any:
    from datetime import date

    return date.fromisoformat(day)


# -- what a row becomes ---------------------------------------------------------------------------------------------


def test_the_recorded_rows_with_freeze_become_what_the_checks_use(store: Store) -> None:
    """Nine rows of nine, each trap in its place: paise, points, floats for whole numbers, year 1, no strike."""
    done, told = take(store, WITH_FREEZE)

    assert told == [] and done.refused == ""
    assert (done.layout, done.lines, done.rows) == ("detailed", 10, 9)
    option = instrument(store, "NSE_FNO", "47317")
    assert (option.symbol, option.underlying, option.expiry) == ("NIFTY-Sep2026-23950-CE", "NIFTY", "2026-09-15")
    assert (option.lot_size, option.tick_e4, option.strike_e4, option.option_type) == (65, 500, 239_500_000, "CE")
    assert option.freeze_quantity == 1756, "Dhan's 27 lots and one are below the exchange's 1800"
    assert instrument(store, "NSE_FNO", "69787").freeze_quantity == 600
    future = instrument(store, "NSE_FNO", "68407")
    assert (future.strike_e4, future.option_type, future.tick_e4) == (None, "", 1_000), "a strike of -0.01 is none"
    index = instrument(store, "IDX_I", "13")
    assert (index.symbol, index.expiry, index.tick_e4, index.underlying) == ("NIFTY", "", 500, "")
    share = instrument(store, "NSE_EQ", "2885")
    assert (share.symbol, share.series, share.isin, share.tick_e4) == ("RELIANCE", "EQ", "INE002A01018", 1_000)
    sensex = instrument(store, "BSE_FNO", "869699")
    assert (sensex.symbol, sensex.underlying) == ("SENSEX 17 SEP 74300 CALL", "SENSEX"), (
        "all of BSE's are called BSXOPT"
    )
    assert (sensex.lpp_pct_e2, sensex.lpp_abs_e4) == (4_000, 200_000)
    crude = instrument(store, "MCX_COMM", "565899")
    assert (crude.underlying, crude.multiplier, crude.tick_e4, crude.strike_e4) == ("CRUDEOIL", 100, 10_000, None)
    rupee = instrument(store, "BSE_CURRENCY", "2147318")
    assert (rupee.underlying, rupee.multiplier, rupee.tick_e4, rupee.freeze_quantity) == ("USDINR", 1000, 25, 701)


def test_an_underlying_is_its_name_and_version_3_keeps_the_number(store: Store) -> None:
    """NIFTY is 13 as an index and 26000 below its contracts: only the name joins what belongs together."""
    take(store, WITH_FREEZE)

    assert row(store, "NSE_FNO", "47317")["underlying_security_id"] == "26000"
    assert row(store, "NSE_FNO", "47317")["underlying_symbol"] == "NIFTY"
    assert row(store, "IDX_I", "13")["underlying_security_id"] is None
    same = {instrument(store, "NSE_FNO", each).underlying for each in ("47317", "68407")}
    assert same == {"NIFTY"}


@pytest.mark.parametrize(
    ("trading_symbol", "number", "expected"),
    [("NIFTY-Sep2026-FUT", "26000", "NIFTY"), ("SOMETHING", "26000", "26000"), ("SOMETHING", None, "")],
)
def test_a_row_of_a_version_3_writer_finds_its_underlying_too(
    store: Store, trading_symbol: str, number: str | None, expected: str
) -> None:
    """By its trading symbol where that names one, else by the number it has; a limit on NIFTY must meet it."""
    with sqlite3.connect(store.path) as connection:
        connection.execute(
            "INSERT INTO instruments (security_id, exchange_segment, symbol, trading_symbol, instrument_type, lot_size, "
            "tick_size, underlying_security_id, updated_at) VALUES ('9', 'NSE_FNO', 'x', ?, 'FUTIDX', 65, 0.05, ?, 1)",
            (trading_symbol, number),
        )

    assert instrument(store, "NSE_FNO", "9").underlying == expected


def test_the_recorded_cash_and_index_rows_are_taken(store: Store) -> None:
    """Every series and tick of the extract: EQ, BE, SM, ST, SG, GB, GS, TB, BZ; lots of SME shares; flags in `meta`."""
    done, told = take(store, CASH)

    assert (told, done.rows, sum(done.by_segment.values())) == ([], 37, 37)
    with CASH.open(encoding="utf-8") as file:
        for given in csv.DictReader(file):
            segment = "IDX_I" if given["SEGMENT"] == "I" else "NSE_EQ"
            kept = row(store, segment, given["SECURITY_ID"])
            points = 1 if segment == "IDX_I" else 100
            assert kept["tick_size"] == pytest.approx(float(given["TICK_SIZE"]) / points)
            assert kept["series"] == (None if given["SERIES"] == "NA" else given["SERIES"])
            assert kept["lot_size"] == int(given["LOT_SIZE"])
            assert (kept["upper_band"] or 0) == float(given["SM_UPPER_LIMIT"])
    flags = {each[0] for each in rows(store, "meta LIKE '%asm_gsm%'", "json_extract(meta, '$.asm_gsm')", "1")}
    assert flags == {"Y", "P"}


def test_an_exchanges_test_contracts_are_no_business_of_ours(store: Store) -> None:
    """NSETEST expires in 2036 and trades never; hyphens and ampersands in names are names."""
    done, told = take(store, FUTURES)

    assert (told, done.rows, done.elsewhere) == ([], 13, {"test contracts": 3})
    assert instrument(store, "NSE_FNO", "53251").underlying == "BAJAJ-AUTO"
    assert instrument(store, "NSE_FNO", "53379").underlying == "M&M"


def test_both_layouts_say_the_same_of_a_contract(store: Store, tmp_path: Path) -> None:
    """The compact file has a time beside the day and no underlying; what both know is equal."""
    take(store, WITH_FREEZE)
    first = {
        key: row(store, *key)
        for key in (("NSE_FNO", "47317"), ("NSE_FNO", "68407"), ("NSE_EQ", "2885"), ("IDX_I", "13"))
    }
    other = tmp_path / "other"
    other.mkdir()
    initialise(f"sqlite:///{other}/risk.db", profile="library")
    second = Store(f"sqlite:///{other}/risk.db")

    done, told = take(second, COMPACT)

    assert (done.layout, done.rows, told) == ("compact", 5, [])
    for key, kept in first.items():
        for name in (
            "trading_symbol", "instrument_type", "expiry_date", "strike_price", "option_type", "lot_size", "tick_size",
            "underlying_symbol",
        ):  # fmt: skip
            assert row(second, *key)[name] == kept[name], (key, name)
    assert row(second, "MCX_COMM", "565899")["underlying_symbol"] == "CRUDEOIL"
    second.close()


def test_a_compact_master_keeps_what_only_the_detailed_one_says(store: Store) -> None:
    """ISIN, freeze quantity, bands and a multiplier of the user survive; lot and tick follow the newer file."""
    take(store, CASH)
    take(store, WITH_FREEZE, accept_smaller=True)
    with sqlite3.connect(store.path) as connection:
        connection.execute("UPDATE instruments SET multiplier = 7, lot_size = 1 WHERE security_id = '47317'")

    take(store, COMPACT, now_us=SEPTEMBER_14 + DAY_US, accept_smaller=True)

    kept = row(store, "NSE_FNO", "47317")
    assert (kept["freeze_quantity"], kept["multiplier"], kept["lot_size"]) == (1756, 7, 65)
    assert row(store, "NSE_EQ", "2885")["isin"] == "INE002A01018"


def test_a_number_given_to_a_new_contract_keeps_nothing_of_the_old(store: Store) -> None:
    """Brokers use a number again after expiry: the old freeze quantity and multiplier are another contract's."""
    take(store, WITH_FREEZE)
    with sqlite3.connect(store.path) as connection:
        connection.execute("UPDATE instruments SET multiplier = 7 WHERE security_id = '47317'")
    reused = (
        COMPACT.read_text()
        .replace("NIFTY-Sep2026-23950-CE", "NIFTY-Oct2026-23950-CE")
        .replace("2026-09-15", "2026-10-06")
    )

    take(store, reused, accept_smaller=True)

    kept = row(store, "NSE_FNO", "47317")
    assert (kept["trading_symbol"], kept["expiry_date"]) == ("NIFTY-Oct2026-23950-CE", "2026-10-06")
    assert (kept["freeze_quantity"], kept["multiplier"], kept["underlying_security_id"]) == (None, None, None)


@pytest.mark.parametrize(("day", "bands"), [("2026-04-14", False), ("2026-04-15", True), ("2026-04-16", False)])
def test_circuit_limits_count_on_their_own_day(store: Store, day: str, bands: bool) -> None:
    """Yesterday's band is no band of today."""
    take(store, CASH, day="2026-04-15")

    found = instrument(store, "NSE_EQ", "10440" if rows(store, "security_id = '10440'") else _banded(store), day)
    assert (found.upper_band_e4 is not None, found.lower_band_e4 is not None) == (bands, bands)


def _banded(store: Store) -> str:
    return str(rows(store, "upper_band IS NOT NULL AND exchange_segment = 'NSE_EQ'", "security_id", "1")[0][0])


def test_a_band_that_is_lifted_leaves_none_behind(store: Store) -> None:
    """The two limits of a day belong together: yesterday's lower one does not stand beside today's upper one."""
    head = CASH.read_text().splitlines()[0]
    line = next(each for each in CASH.read_text().splitlines() if ",EQ," in each)
    cells = line.split(",")
    security = cells[2]
    take(store, f"{head}\n{line}\n", day="2026-04-15")
    cells[-1] = "0"

    take(store, f"{head}\n{','.join(cells)}\n", day="2026-04-16")

    found = instrument(store, "NSE_EQ", security, "2026-04-16")
    assert (found.lower_band_e4, found.upper_band_e4) == (None, round(float(cells[-2]) * 10_000))


# -- what is left out, and why --------------------------------------------------------------------------------------

HEAD = WITH_FREEZE.read_text().splitlines()[0]
OPTION = WITH_FREEZE.read_text().splitlines()[2]
SHARE = WITH_FREEZE.read_text().splitlines()[8]
FUTURE = WITH_FREEZE.read_text().splitlines()[4]
INDEX = WITH_FREEZE.read_text().splitlines()[1]


def changed(line: str, **cells: str) -> str:
    """Return *line* with the named columns changed."""
    given = dict(zip(HEAD.split(","), line.split(","), strict=True))
    assert set(cells) <= set(given)
    return ",".join({**given, **cells}.values())


WRONG = [
    # what, line, column, part of the reason
    ("an id in scientific notation", changed(OPTION, SECURITY_ID="4.7317E+04"), "SECURITY_ID", "a spreadsheet"),
    ("an id with a point", changed(OPTION, SECURITY_ID="47317.0"), "SECURITY_ID", "a spreadsheet"),
    ("an id of text", changed(OPTION, SECURITY_ID="NIFTY"), "SECURITY_ID", "is no id"),
    ("no id", changed(OPTION, SECURITY_ID=""), "SECURITY_ID", "is no id"),
    ("an id of 0", changed(OPTION, SECURITY_ID="0"), "SECURITY_ID", "is no id"),
    ("a negative id", changed(OPTION, SECURITY_ID="-5"), "SECURITY_ID", "is no id"),
    ("an id of other digits", changed(OPTION, SECURITY_ID="४७"), "SECURITY_ID", "is no id"),
    ("a lot of 0", changed(OPTION, LOT_SIZE="0"), "LOT_SIZE", "above 0"),
    ("a lot of -1", changed(OPTION, LOT_SIZE="-1"), "LOT_SIZE", "above 0"),
    ("half a lot", changed(OPTION, LOT_SIZE="65.5"), "LOT_SIZE", "above 0"),
    ("no lot", changed(OPTION, LOT_SIZE="NA"), "LOT_SIZE", "above 0"),
    ("a lot beyond reason", changed(OPTION, LOT_SIZE="10000001"), "LOT_SIZE", "above 0"),
    ("a tick of 0", changed(OPTION, TICK_SIZE="0"), "TICK_SIZE", "paise"),
    ("a tick in rupees", changed(OPTION, TICK_SIZE="0.05"), "TICK_SIZE", "paise"),
    ("a negative tick", changed(OPTION, TICK_SIZE="-5"), "TICK_SIZE", "paise"),
    ("a tick of NaN", changed(OPTION, TICK_SIZE="nan"), "TICK_SIZE", "paise"),
    ("no expiry", changed(OPTION, SM_EXPIRY_DATE="NA"), "SM_EXPIRY_DATE", "without an expiry"),
    ("an expiry in year 1", changed(OPTION, SM_EXPIRY_DATE="0001-01-01"), "SM_EXPIRY_DATE", "without an expiry"),
    ("a day and month in doubt", changed(OPTION, SM_EXPIRY_DATE="09/10/26"), "SM_EXPIRY_DATE", "not guessed"),
    ("a day that is none", changed(OPTION, SM_EXPIRY_DATE="2026-02-30"), "SM_EXPIRY_DATE", "not guessed"),
    ("an option of another type", changed(OPTION, OPTION_TYPE="XX"), "OPTION_TYPE", "CE or PE"),
    ("an option without a strike", changed(OPTION, STRIKE_PRICE="-0.01000"), "STRIKE_PRICE", "without a strike"),
    ("a strike of infinity", changed(OPTION, STRIKE_PRICE="inf"), "STRIKE_PRICE", "without a strike"),
    ("a future that is a call", changed(FUTURE, OPTION_TYPE="CE"), "OPTION_TYPE", "a future with"),
    ("a share in the derivatives segment", changed(SHARE, SEGMENT="D"), "INSTRUMENT", "does not trade"),
    ("an option among shares", changed(OPTION, SEGMENT="E"), "INSTRUMENT", "does not trade"),
    ("an index that trades", changed(INDEX, SEGMENT="E"), "INSTRUMENT", "does not trade"),
    ("a segment nobody knows", changed(OPTION, SEGMENT="X"), "SEGMENT", "no exchange"),
    ("an exchange nobody knows", changed(OPTION, EXCH_ID="NYSE"), "EXCH_ID", "no exchange"),
    ("a kind nobody writes", changed(OPTION, INSTRUMENT="opt idx"), "INSTRUMENT", "no kind"),
    ("no name", changed(changed(SHARE, SYMBOL_NAME=""), UNDERLYING_SYMBOL="NA"), "SYMBOL_NAME", "no name"),
    ("a contract on nothing", changed(changed(FUTURE, SYMBOL_NAME="FUT"), UNDERLYING_SYMBOL=""), "SYMBOL_NAME", "hangs on"),
    ("a freeze quantity of text", changed(OPTION, SM_FREEZE_QTY="many"), "SM_FREEZE_QTY", "whole number"),
    ("a negative freeze quantity", changed(OPTION, SM_FREEZE_QTY="-1"), "SM_FREEZE_QTY", "whole number"),
    ("an underlying that is no number", changed(OPTION, UNDERLYING_SECURITY_ID="NIFTY"), "UNDERLYING_SECURITY_ID", "digits"),
    ("a name beyond reason", changed(SHARE, UNDERLYING_SYMBOL="X" * 121), "SYMBOL_NAME", "120 characters"),
    ("a cell too few", OPTION.rpartition(",")[0], "", "17 cells, the header has 18"),
    ("a cell too many", f"{OPTION},1", "", "19 cells, the header has 18"),
    ("a quote that does not close", OPTION.replace("NIFTY 15", '"NIFTY 15'), "", "quote"),
    ("a zero byte", OPTION.replace("CALL", "CA\0LL"), "", "no text"),
]  # fmt: skip


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case[0])
def test_a_wrong_row_is_named_and_left_out_alone(store: Store, case: tuple[str, str, str, str]) -> None:
    """Line, column, value and reason; its neighbours are taken, and nothing is guessed."""
    _, line, column, reason = case

    done, told = take(
        store, f"{HEAD}\n{FUTURE if line[:1] != FUTURE[:1] else SHARE}\n{line}\n{INDEX}\n", skipped_max_pct=50
    )

    (problem,) = told
    assert (problem.line, problem.column) == (3, column)
    assert reason in problem.reason
    assert (done.rows, done.skipped, done.refused) == (2, 1, "")


def test_what_those_were_made_of_is_taken(store: Store) -> None:
    """The refusals above are about what they say they are about: byte order mark, CRLF and quotes are no reason."""
    quoted = changed(SHARE, SYMBOL_NAME='"RELIANCE, INDUSTRIES ""LTD"""')
    text = "\ufeff" + "\r\n".join((HEAD, OPTION, quoted, FUTURE, INDEX, "", ""))

    done, told = take(store, text)

    assert (done.rows, told) == (4, [])


@pytest.mark.parametrize(
    ("cells", "expected"),
    [({"LOT_SIZE": "0"}, 0), ({"LOT_SIZE": "-1"}, 0), ({"LOT_SIZE": "1.0"}, 1), ({"TICK_SIZE": "0"}, 1)],
)
def test_nobody_orders_an_index(store: Store, cells: dict[str, str], expected: int) -> None:
    """Its lot and tick may be anything that says none."""
    take(store, f"{HEAD}\n{changed(INDEX, **cells)}\n")

    assert row(store, "IDX_I", "13")["lot_size"] == expected


def test_bytes_that_are_no_text_spoil_their_own_line(store: Store) -> None:
    """A master in another encoding loses the lines that need it, and says which."""
    text = f"{HEAD}\n{FUTURE}\n{SHARE}\n".encode().replace(b"Reliance", b"R\xe9liance")

    done, told = take(store, text, skipped_max_pct=50)

    assert [(each.line, each.reason) for each in told] == [(3, "holds bytes that are no text")]
    assert done.rows == 1


def test_the_last_line_of_a_file_that_just_ends_is_not_believed(store: Store) -> None:
    """A freeze quantity of 17 may be the beginning of 1756."""
    done, told = take(store, f"{HEAD}\n{FUTURE}\n{OPTION[:-2]}", skipped_max_pct=50)

    assert [(each.line, each.reason) for each in told] == [(3, "the file ends inside this line")]
    assert done.rows == 1


def test_rows_that_say_the_same_are_one_and_rows_that_contradict_are_none(store: Store) -> None:
    """Which of two lots is right nobody knows; the number in another segment is another security."""
    other_lot = changed(OPTION, LOT_SIZE="75.0")

    done, told = take(
        store,
        "\n".join((HEAD, OPTION, FUTURE, FUTURE, other_lot, changed(SHARE, SECURITY_ID="68407"), "")),
        skipped_max_pct=50,
    )

    assert (done.rows, done.duplicates, done.skipped) == (2, 1, 2)
    assert [each.line for each in told] == [2, 5]
    assert all("lines 2, 5 contradict each other" in each.reason for each in told)
    assert rows(store, "security_id = '68407'") == [("NSE_EQ", "68407"), ("NSE_FNO", "68407")]
    assert rows(store, "security_id = '47317'") == []


def test_a_segment_no_order_goes_to_is_counted_and_is_no_error(store: Store) -> None:
    """NSE's commodities exist; nobody here trades them."""
    done, told = take(store, f"{HEAD}\n{FUTURE}\n{changed(FUTURE, SEGMENT='M')}\n")

    assert (done.rows, done.elsewhere, told) == (1, {"NSE M": 1}, [])


# -- a master that is not to be believed ----------------------------------------------------------------------------

NO_MASTER = [
    ("nothing", b"", "empty"),
    ("a page of an error", b"<html>\n<body>403 Forbidden</body>\n", "no scrip master"),
    ("another file", b"date,open,high\n2026-01-01,1,2\n", "no scrip master"),
    ("a header alone", f"{HEAD}\n".encode(), "no row"),
    ("a header without a column", HEAD.replace("LOT_SIZE", "LOTS").encode() + b"\n", "no column `LOT_SIZE`"),
    ("a header with a column twice", HEAD.replace("SERIES", "ISIN").encode() + b"\n", "`ISIN` twice"),
    ("a line without an end", HEAD.encode() + b"\n" + b"x" * 20_000 + b"\n", "longer than"),
    ("an archive cut off", gzip.compress(WITH_FREEZE.read_bytes())[:-40], "cut off or damaged"),
    ("an archive that is none", b"\x1f\x8b and so on", "cut off or damaged"),
]


@pytest.mark.parametrize("case", NO_MASTER, ids=lambda case: case[0])
def test_what_is_no_master_changes_nothing(store: Store, case: tuple[str, bytes, str]) -> None:
    """It is refused before the table is touched."""
    before = rows(store)

    with pytest.raises(InstrumentsInvalidError, match=case[2]):
        take(store, case[1])
    assert rows(store) == before


def test_an_archive_is_known_by_what_it_is(store: Store) -> None:
    """By its first bytes, whatever it is called."""
    done, _ = take(store, gzip.compress(WITH_FREEZE.read_bytes()))

    assert done.rows == 9


@pytest.mark.parametrize(("bad", "refused"), [(5, False), (6, True)])
def test_a_mostly_broken_master_is_refused_whole(store: Store, bad: int, refused: bool) -> None:
    """Up to the part that is allowed lines are left out; above it the file is, and the table is as it was."""
    good = [
        changed(SHARE, SECURITY_ID=str(5_000 + number), UNDERLYING_SYMBOL=f"S{number}") for number in range(100 - bad)
    ]
    broken = [changed(SHARE, LOT_SIZE="0")] * bad
    before = rows(store)

    done, told = take(store, "\n".join((HEAD, *good, *broken, "")))

    assert SKIPPED_MAX_PCT == 5 and len(told) == bad
    assert (done.refused != "", rows(store) == before) == (refused, refused)
    if refused:
        assert "6 of 100 rows could not be read" in done.refused


@pytest.mark.parametrize(("count", "refused"), [(100, False), (99, True)])
def test_a_master_that_lost_half_of_a_segment_is_refused(store: Store, count: int, refused: bool) -> None:
    """A file cut between two lines is right in every line; only what is known shows it. It can be insisted on."""
    lines = [changed(SHARE, SECURITY_ID=str(5_000 + number), UNDERLYING_SYMBOL=f"S{number}") for number in range(200)]
    with sqlite3.connect(store.path) as connection:
        connection.execute("DELETE FROM instruments")
    take(store, "\n".join((HEAD, *lines, "")))

    cut = "\n".join((HEAD, *lines[:count], ""))
    done, _ = take(store, cut, now_us=SEPTEMBER_14 + DAY_US)

    assert (done.refused != "") == refused
    assert take(store, cut, accept_smaller=True)[0].refused == ""


def test_what_a_master_leaves_out_stays_and_can_be_told(store: Store) -> None:
    """Positions may hang on it: it is kept as it was, expired or not, and its `updated_at` is older."""
    take(store, WITH_FREEZE, now_us=SEPTEMBER_14)
    before = row(store, "NSE_FNO", "47317")

    said = [
        take(store, f"{HEAD}\n{FUTURE}\n", now_us=SEPTEMBER_14 + days * DAY_US)[0].not_in_master.get("NSE_FNO", 0)
        for days in (1, 2, 15, 16)
    ]

    assert row(store, "NSE_FNO", "47317") == before
    assert row(store, "NSE_FNO", "68407")["updated_at"] > before["updated_at"]
    assert said == [2, 1, 1, 0], "an expired contract is missing to nobody: 15 September, then 29 September"


def test_a_dry_run_and_a_filter_write_what_they_say(store: Store) -> None:
    """Nothing; and one segment."""
    before = rows(store)

    dry, _ = take(store, WITH_FREEZE, dry_run=True)
    assert (dry.rows, dry.transactions, rows(store)) == (9, 0, before)
    some, _ = take(store, WITH_FREEZE, segments=frozenset({"MCX_COMM"}))
    assert (some.rows, some.left_by_filter) == (2, 7)
    assert {each[0] for each in rows(store)} - {each[0] for each in before} == {"MCX_COMM"}
    with pytest.raises(SettingsError, match="`--segment MCX` is no segment"):
        take(store, WITH_FREEZE, segments=frozenset({"MCX"}))
    with pytest.raises(InstrumentsInvalidError, match="no row of these segments"):
        take(store, WITH_FREEZE, segments=frozenset({"NSE_CURRENCY"}))


def test_twice_is_once(store: Store) -> None:
    """An import that was interrupted is run again."""
    take(store, WITH_FREEZE)
    first = rows(store, "1", "*")

    done, _ = take(store, WITH_FREEZE)

    assert rows(store, "1", "*") == first
    assert (done.added, done.updated) == (0, 9)


# -- the account sees it --------------------------------------------------------------------------------------------


def test_the_very_next_check_uses_what_was_imported(desk: Desk) -> None:
    """A new lot counts at once, in a guard that has its account in memory: any writer is honoured."""
    order = desk.order(quantity=10, security_id="999001")
    refused = desk.guard.check(order)
    assert next(each.code for each in refused.rejects) == "INSTRUMENT_UNKNOWN"
    lots = changed(SHARE, LOT_SIZE="4", SECURITY_ID="999001")

    take(desk.store, f"{HEAD}\n{lots}\n", now_us=START)

    assert "NOT_A_LOT_MULTIPLE" in [
        each.code for each in desk.guard.check(desk.order(quantity=10, security_id="999001")).rejects
    ]
    assert desk.guard.check(desk.order(quantity=8, security_id="999001")).approved


def test_the_users_own_tables_come_on_top(store: Store, home: Path) -> None:
    """`market/<table>.csv` in the host directory: a multiplier nobody publishes; a broken file is left out and said."""
    take(store, WITH_FREEZE)
    folder = home / market.FOLDER
    folder.mkdir(parents=True)
    head = "segment,kind,underlying,{},effective_from,effective_until,source,confidence\n"
    (folder / "multipliers.csv").write_text(
        "# complete_until = 2026-12-31\n" + head.format("multiplier") + "BSE_FNO,*,SENSEX,3,,,my own,memory\n"
    )
    (folder / "freeze.csv").write_text("nonsense")
    market._tables.cache_clear()

    assert instrument(store, "BSE_FNO", "869699").multiplier == 3
    assert instrument(store, "NSE_FNO", "47317").freeze_quantity == 1756
    assert len(market.read(folder)[1]) == 1
    (folder / "multipliers.csv").unlink()
    market._tables.cache_clear()
    assert instrument(store, "BSE_FNO", "869699").multiplier == 1


def test_an_instrument_is_built_once_per_row_and_day(store: Store) -> None:
    """A reload reads the same rows again: the same row on the same day is the same object, on another day it is not."""
    take(store, WITH_FREEZE)
    with store.session() as session:
        found = session.row(loader.INSTRUMENT, exchange_segment="NSE_FNO", security_id="47317")
        store.roll_back(session)
    assert found is not None

    assert loader.instrument_from(found, "2026-09-14") is loader.instrument_from(found, "2026-09-14")
    assert loader.instrument_from(found, "2026-09-14").freeze_quantity == 1756
    assert loader.instrument_from(found).freeze_quantity == 1756
    assert isinstance(market.market_tables(), MarketTables)


# -- a whole market -------------------------------------------------------------------------------------------------

PART, WHOLE = 20_000, 200_000
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def whole_market(path: Path, count: int) -> Path:
    """Write a master of *count* rows in the shape of the recorded ones: one share in twenty, the rest options."""
    with path.open("w", encoding="utf-8") as file:
        file.write(f"{HEAD}\n")
        for number in range(count):
            if number % 20 == 0:
                name = f"S{number},Share {number} LTD,Share {number}"
                file.write(f"NSE,E,{number + 1},INE{number:08d}1,EQUITY,,{name},ES,EQ,1.0,,,,5.0000,NA,0\n")
            else:
                strike, kind = 10_000 + number // 24 * 50, "CE" if number % 2 else "PE"
                month = MONTHS[number // 2 % 12]
                file.write(
                    f"NSE,D,{number + 1},NA,OPTIDX,26000,NIFTY,NIFTY-{month}2027-{strike}-{kind},NIFTY {number},OP,NA,65.0,"
                    f"2027-{number // 2 % 12 + 1:02d}-28,{strike}.00000,{kind},5.0000,M,1756\n"
                )
    return path


MEASURE = """
import resource, sys, time
from riskguard.services.instruments.importing import import_master
from riskguard.store.session import Store
store = Store(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for day in (0, 86_400_000_000):
    used = time.process_time()
    with open(sys.argv[2], "rb") as source:
        done = import_master(store, source, now_us=1_789_376_400_000_000 + day)
    print(done.rows, time.process_time() - used)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def measured(url: str, path: Path) -> tuple[int, float, float, int]:
    """Import twice in a process of its own: rows, seconds of processor of the first and of the second, growth in MB."""
    said = subprocess.run(
        [sys.executable, "-c", MEASURE, url, str(path)], capture_output=True, text=True, check=True, env=dict(os.environ)
    ).stdout.split()  # fmt: skip
    assert said[0] == said[2]
    return int(said[0]), float(said[1]), float(said[3]), int(said[4])


def bare(path: Path, database: Path) -> float:
    """The floor: csv and one executemany into the same table, nothing checked; seconds of processor."""
    began = resource.getrusage(resource.RUSAGE_SELF)
    with path.open(encoding="utf-8") as file, sqlite3.connect(database) as connection:
        connection.executemany(
            "INSERT OR REPLACE INTO instruments (security_id, exchange_segment, symbol, trading_symbol, name, instrument_type, "
            "expiry_date, lot_size, tick_size, updated_at, isin, underlying_security_id, underlying_symbol) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?)",
            (
                (
                    r[2],
                    f"{r[0]}_{r[1]}",
                    r[7],
                    r[7],
                    r[8],
                    r[4],
                    r[12],
                    float(r[11]),
                    float(r[15]) / 100,
                    r[3],
                    r[5],
                    r[6],
                )
                for r in csv.reader(file)
                if r[0] != "EXCH_ID"
            ),
        )
    ended = resource.getrusage(resource.RUSAGE_SELF)
    return (ended.ru_utime + ended.ru_stime) - (began.ru_utime + began.ru_stime)


@pytest.mark.parametrize("count", [PART, pytest.param(WHOLE, marks=pytest.mark.soak)])
def test_a_whole_market_costs_no_more_than_a_program_without_checks(tmp_path: Path, count: int) -> None:
    """
    An import takes at most 2.5 times the processor of bare csv and executemany, the first and the next day's.

    Memory does not grow with the rows. Ratios, because seconds belong to the machine and its neighbours.
    """
    for name in ("floor", "some", "whole"):
        (tmp_path / name).mkdir()
        initialise(f"sqlite:///{tmp_path}/{name}/risk.db", profile="library")
    path, some = whole_market(tmp_path / "whole.csv", count), whole_market(tmp_path / "some.csv", count // 10)

    floor_s = bare(path, tmp_path / "floor" / "risk.db")
    _, _, _, some_mb = measured(f"sqlite:///{tmp_path}/some/risk.db", some)
    found, first_s, again_s, whole_mb = measured(f"sqlite:///{tmp_path}/whole/risk.db", path)

    said = f"first {first_s:.2f} s of processor, again {again_s:.2f} s, the floor is {floor_s:.2f} s"
    print(said)
    assert found == count
    assert max(first_s, again_s) < 2.5 * floor_s, said
    assert whole_mb < some_mb + 64, f"{whole_mb} MB, and {some_mb} MB for a tenth"


def test_only_the_rows_that_changed_are_written_anew(store: Store) -> None:
    """A row that stands as the master says it moves its `updated_at` and nothing else; its neighbour gets its new lot."""
    take(store, WITH_FREEZE)
    with sqlite3.connect(store.path) as connection:
        connection.execute("CREATE TABLE written (security_id TEXT)")
        connection.execute(
            "CREATE TRIGGER watch AFTER UPDATE OF lot_size ON instruments "
            "BEGIN INSERT INTO written VALUES (NEW.security_id); END"
        )
    before = rows(store, "1", "security_id", "updated_at")
    other = WITH_FREEZE.read_text().replace(OPTION, changed(OPTION, LOT_SIZE="75.0"))

    take(store, WITH_FREEZE, now_us=SEPTEMBER_14 + DAY_US)
    with sqlite3.connect(store.path) as connection:
        assert connection.execute("SELECT * FROM written").fetchall() == []
    take(store, other, now_us=SEPTEMBER_14 + 2 * DAY_US)
    with sqlite3.connect(store.path) as connection:
        assert connection.execute("SELECT * FROM written").fetchall() == [("47317",)]

    assert row(store, "NSE_FNO", "47317")["lot_size"] == 75
    after = dict(rows(store, "1", "security_id", "updated_at"))
    moved = {security for security, stamp in before if after[security] > stamp}
    assert {"47317", "68407", "13", "2885"} <= moved


def test_no_statistics_of_a_small_table_turn_an_import_into_scans(store: Store) -> None:
    """
    ANALYZE on a database of two rows leaves every statement of an import looking rows up by their key.

    A join in its place is turned round, and would read the whole market for each part of it, under the write lock.
    """
    with sqlite3.connect(store.path) as connection:
        connection.execute("DELETE FROM instruments WHERE rowid > 2")
        connection.execute("ANALYZE")
    given = {"after": 0, "upto": 1_000, "stamp": 1, "day": "", "row": 1}
    with contextlib.closing(sqlite3.connect(store.path)) as connection:
        connection.execute(f"CREATE TABLE temp.staged (place INTEGER PRIMARY KEY, line, {', '.join(COLUMNS)})")
        connection.execute("CREATE INDEX temp.by_key ON staged (security_id, exchange_segment)")

        def scans(sql: str) -> bool:
            plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", given).fetchall()
            return any(str(step[3]).startswith("SCAN") for step in plan)

        assert [scans(each.sql) for each in (UNCHANGED, SEEN, PUT, RESTATE)] == [False] * 4
        assert scans(
            "UPDATE instruments SET updated_at = :stamp FROM temp.staged AS new WHERE new.place > :after AND new.place <= :upto "
            "AND instruments.security_id = new.security_id AND instruments.exchange_segment = new.exchange_segment"
        )


class Jealous(io.BytesIO):
    """A master that takes the database's write lock for a moment whenever it is read from."""

    def __init__(self, content: bytes, path: Path) -> None:
        super().__init__(content)
        self.path, self.taken = path, 0

    def read(self, size: int | None = -1, /) -> bytes:
        with contextlib.closing(sqlite3.connect(self.path, timeout=0, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            self.taken += 1
        return super().read(size)


def test_the_write_lock_is_free_while_a_master_is_read(store: Store) -> None:
    """Reading is the longest part: whoever wants to write meanwhile need not wait at all."""
    source = Jealous(WITH_FREEZE.read_bytes(), store.path)

    done = import_master(store, source, now_us=SEPTEMBER_14)

    assert (done.rows, source.taken > 1) == (9, True)


def test_a_database_replaced_under_an_import_gets_nothing_more(store: Store, tmp_path: Path) -> None:
    """Half a master in one file and half in another would look whole in neither."""
    path = whole_market(tmp_path / "some.csv", 400)
    other = tmp_path / "other"
    other.mkdir()
    initialise(f"sqlite:///{other}/risk.db", profile="library")

    def swap(what: str, done: int, total: int | None) -> None:
        if what == "written" and (other / "risk.db").exists():
            for suffix in ("-wal", "-shm"):  # the old file's: they would be played into the new one
                Path(f"{store.path}{suffix}").unlink()
            (other / "risk.db").replace(store.path)

    with (
        path.open("rb") as source,
        pytest.raises(StoreUnavailableError, match="was replaced meanwhile: run the import again"),
    ):
        import_master(store, source, now_us=SEPTEMBER_14, on_progress=swap)
    assert len(rows(store)) == 8, "the shipped ones"


ROOMLESS = """
import resource, sys
from riskguard.errors import StoreUnavailableError
from riskguard.services.instruments.importing import import_master
from riskguard.store.session import Store
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    with open(sys.argv[2], "rb") as source:
        print(import_master(Store(sys.argv[1]), source, now_us=1_789_376_400_000_000, dry_run=True).rows)
except StoreUnavailableError as e:
    print(e)
"""


@pytest.mark.parametrize(("room", "said"), [(1 << 20, "SQLITE_TMPDIR"), (1 << 26, str(PART))])
def test_temporary_files_without_room_change_nothing_and_say_so(
    store: Store, tmp_path: Path, room: int, said: str
) -> None:
    """A typed error with its way out; with room enough the same master is read."""
    path = whole_market(tmp_path / "part.csv", PART)
    before = rows(store)

    answer = subprocess.run(
        [sys.executable, "-c", ROOMLESS, store.url, str(path), str(room)], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip

    assert said in answer.stdout
    assert rows(store) == before


def test_checks_go_on_while_a_master_is_written(desk: Desk, tmp_path: Path) -> None:
    """
    A guard asks all through an import and is answered each time, and the import gets through.

    The lock is given back again and again: between two transactions somebody else's is let in.
    """
    path = whole_market(tmp_path / "some.csv", 8_000)
    outcome: list[Imported] = []

    def work() -> None:
        other = Store(desk.url, deadline_ms=30_000)
        with path.open("rb") as source:
            outcome.append(import_master(other, source, now_us=START))
        other.close()

    worker = threading.Thread(target=work)
    worker.start()
    answers: list[bool] = []
    while worker.is_alive() and len(answers) < 500:
        answers.append(desk.guard.check(desk.order(quantity=1)).approved)
        time.sleep(0.01)
    worker.join()

    (done,) = outcome
    assert done.rows == 8_000 and done.transactions > 10
    assert answers and all(answers)


def test_reading_alone_needs_no_database() -> None:
    """`entries` is a function of its lines: the same lines, the same rows."""
    head, *lines = WITH_FREEZE.read_text().splitlines(keepends=True)
    layout = Layout.of(head)

    found = list(entries(enumerate(lines, start=2), layout))

    assert found == list(entries(enumerate(lines, start=2), layout))
    assert {type(each) for each in found} == {Entry}
    assert [type(each) for each in entries([(2, changed(FUTURE, SEGMENT="M")), (3, "x")], layout)] == [
        Elsewhere,
        Problem,
    ]
