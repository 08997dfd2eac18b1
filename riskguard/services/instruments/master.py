"""
Dhan's scrip master, line by line: what a row says of a contract, or why it says nothing.

Two layouts, told apart by their header: the compact file (`SEM_…` columns) and the detailed one. Nothing is
guessed: a row with a value that cannot be meant is a `Problem` naming line, column, value and reason. Source:
dhanhq-v2.md §16 and the traps noted with the recorded masters.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from operator import itemgetter
from typing import Final, NamedTuple

from riskguard.core.instrument import root_of
from riskguard.core.money import PRICE_MAX_E4, SCALE, to_e4
from riskguard.errors import InstrumentsInvalidError, shown

SEGMENTS: Final = {
    ("NSE", "E"): "NSE_EQ", ("NSE", "D"): "NSE_FNO", ("NSE", "C"): "NSE_CURRENCY", ("NSE", "I"): "IDX_I",
    ("BSE", "E"): "BSE_EQ", ("BSE", "D"): "BSE_FNO", ("BSE", "C"): "BSE_CURRENCY", ("BSE", "I"): "IDX_I",
    ("MCX", "M"): "MCX_COMM",
}  # fmt: skip
"""Exchange and segment letter. Pairs that are not here trade where no order of ours can go."""
EXCHANGES: Final = frozenset(exchange for exchange, _ in SEGMENTS)
LETTERS: Final = frozenset("EDCMI")

DETAILED: Final = {
    "exchange": "EXCH_ID", "segment": "SEGMENT", "security_id": "SECURITY_ID", "kind": "INSTRUMENT", "symbol": "SYMBOL_NAME",
    "lot": "LOT_SIZE", "tick": "TICK_SIZE", "expiry": "SM_EXPIRY_DATE", "strike": "STRIKE_PRICE", "option": "OPTION_TYPE",
}  # fmt: skip
DETAILED_MORE: Final = {
    "display": "DISPLAY_NAME", "underlying_id": "UNDERLYING_SECURITY_ID", "underlying": "UNDERLYING_SYMBOL", "isin": "ISIN",
    "series": "SERIES", "upper": "SM_UPPER_LIMIT", "lower": "SM_LOWER_LIMIT", "freeze": "SM_FREEZE_QTY",
    "expiry_flag": "EXPIRY_FLAG", "asm_gsm": "ASM_GSM_FLAG", "buy_sell": "BUY_SELL_INDICATOR",
}  # fmt: skip
COMPACT: Final = {
    "exchange": "SEM_EXM_EXCH_ID", "segment": "SEM_SEGMENT", "security_id": "SEM_SMST_SECURITY_ID",
    "kind": "SEM_INSTRUMENT_NAME", "symbol": "SEM_TRADING_SYMBOL", "lot": "SEM_LOT_UNITS", "tick": "SEM_TICK_SIZE",
    "expiry": "SEM_EXPIRY_DATE", "strike": "SEM_STRIKE_PRICE", "option": "SEM_OPTION_TYPE",
}  # fmt: skip
COMPACT_MORE: Final = {
    "display": "SEM_CUSTOM_SYMBOL", "series": "SEM_SERIES", "long_name": "SM_SYMBOL_NAME", "expiry_flag": "SEM_EXPIRY_FLAG",
}  # fmt: skip
LAYOUTS: Final = {"detailed": (DETAILED, DETAILED_MORE), "compact": (COMPACT, COMPACT_MORE)}
_TAKEN: Final = (
    "exchange", "segment", "security_id", "kind", "symbol", "display", "lot", "tick", "expiry", "strike", "option",
    "underlying", "underlying_id", "isin", "series", "upper", "lower", "freeze", "expiry_flag", "asm_gsm", "buy_sell", "long_name",
)  # fmt: skip
"""What is taken of a line, in the order the reader names it."""
SIDES: Final = frozenset({"CE", "PE"})

NOTHING: Final = frozenset({"", "NA", "N/A", "XX", "NULL", "NONE"})
NO_DATE: Final = "0001-01-01"
"""The broker's "never"."""
LOT_MAX: Final = 10**7
FREEZE_MAX: Final = 10**10
TICK_MAX_E4: Final = 1_000 * SCALE
TEXT_MAX: Final = 120
TEST_SYMBOL: Final = "NSETEST"

_ID = re.compile(r"[1-9][0-9]{0,17}")
_WORD = re.compile(r"[A-Z]{3,12}")
_ISIN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]")
_WHOLE = re.compile(r"(-?[0-9]{1,12})(?:\.0{1,8})?")
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_ISO = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?")


class Entry(NamedTuple):
    """One row of the instruments table, in the order of `COLUMNS`; None where the master does not say."""

    security_id: str
    exchange_segment: str
    symbol: str
    trading_symbol: str
    name: str | None
    instrument_type: str
    expiry_date: str | None
    strike_price: float | None
    option_type: str | None
    lot_size: int
    tick_size: float
    underlying_security_id: str | None
    isin: str | None
    meta: str | None
    freeze_quantity: int | None
    series: str | None
    underlying_symbol: str
    lower_band: float | None
    upper_band: float | None


COLUMNS: Final = Entry._fields


class Problem(NamedTuple):
    """Why a line was left out."""

    line: int
    column: str
    value: str
    reason: str


class Elsewhere(NamedTuple):
    """A line that is right, and that nobody here can trade: another segment, or a test contract of an exchange."""

    line: int
    what: str


class _Wrong(Exception):
    """Leaves the reading of one row."""

    def __init__(self, column: str, value: str, reason: str) -> None:
        self.column, self.value, self.reason = column, value, reason


@dataclass(frozen=True, slots=True)
class Layout:
    """Which layout the header says, and where its columns are; -1 for one that is not there."""

    name: str
    places: dict[str, int]
    columns: dict[str, str]
    width: int

    @classmethod
    def of(cls, header: str) -> Layout:
        """
        Recognise the header line.

        Raises:
            InstrumentsInvalidError: No layout has these columns; the message names the first that is missing.
        """
        try:
            cells = [cell.strip() for cell in _cells(header.removeprefix("\ufeff").rstrip("\r\n"))]
        except _Wrong as e:
            raise InstrumentsInvalidError(f"this is no scrip master: the first line has {e.reason}") from None
        for name, (needed, more) in LAYOUTS.items():
            if next(iter(needed.values())) not in cells:
                continue
            missing = [column for column in needed.values() if column not in cells]
            if missing:
                raise InstrumentsInvalidError(f"the header has no column `{missing[0]}`: a cut or reshaped master")
            doubled = [column for column in cells if column and cells.count(column) > 1]
            if doubled:
                raise InstrumentsInvalidError(f"the header has `{doubled[0]}` twice: which one counts?")
            columns = {**needed, **more}
            places = {key: cells.index(column) if column in cells else -1 for key, column in columns.items()}
            return cls(name, places, columns, len(cells))
        raise InstrumentsInvalidError(
            f"this is no scrip master: the first line is {shown(header.strip())}, wants columns like "
            f"`{DETAILED['exchange']}` or `{COMPACT['exchange']}`"
        )


def entries(lines: Iterable[tuple[int, str]], layout: Layout) -> Iterator[Entry | Problem | Elsewhere]:
    """Read the lines below the header, each by itself: a stray quote spoils its own line and no other."""
    read = _reader(layout)
    for number, line in lines:
        if not line.strip():
            continue
        try:
            found = read(line)
        except _Wrong as e:
            yield Problem(number, e.column, e.value[:TEXT_MAX], e.reason)
        else:
            yield found if isinstance(found, Entry) else Elsewhere(number, found)


def _cells(line: str) -> list[str]:
    """Cut a line without its end into cells. Raises `_Wrong` when a quote in it does not close."""
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader([line], strict=True))
    except (csv.Error, StopIteration):
        raise _Wrong("", line.strip(), "a quote that does not close") from None


def _reader(layout: Layout) -> Callable[[str], Entry | str]:
    """
    Return the function that reads one line of this layout; it raises `_Wrong`, or says what lies elsewhere.

    It runs once per line of a whole market. So it takes cells by place, without a dictionary per line, and asks
    what few distinct values say (lots, ticks, days, kinds) of functions that remember their answers.
    """
    at, columns, width = layout.places, layout.columns, layout.width
    has_freeze, has_bands = at.get("freeze", -1) >= 0, min(at.get("upper", -1), at.get("lower", -1)) >= 0
    has_flags = at.get("asm_gsm", -1) >= 0
    taken = itemgetter(*(at.get(key, -1) for key in _TAKEN))

    def wrong(key: str, cell: str, reason: str) -> _Wrong:
        return _Wrong(columns[key], cell, reason)

    def read(line: str) -> Entry | str:
        line = line.rstrip("\r\n")
        cells = _cells(line)
        if len(cells) != width:
            raise _Wrong("", line.strip(), f"{len(cells)} cells, the header has {width}")
        if not line.isprintable() and _NO_TEXT.search(line):
            raise _Wrong("", ascii(line.strip()), "holds bytes that are no text")
        cells.append("")  # what a column that is not there says: its place is -1
        (
            exchange, letter, security, kind, symbol, display, lot_text, tick_text, expiry_text, strike_text, option_text,
            underlying, underlying_id, isin, series, upper, lower, freeze_text, expiry_flag, asm_gsm, buy_sell, long_name,
        ) = map(str.strip, taken(cells))  # fmt: skip
        segment = SEGMENTS.get((exchange, letter))
        if segment is None:
            if exchange not in EXCHANGES:
                raise wrong("exchange", exchange, "no exchange and segment we know")
            if letter not in LETTERS:
                raise wrong("segment", letter, "no exchange and segment we know")
            return f"{exchange} {letter}"
        if not _ID.fullmatch(security):
            reason = "a spreadsheet has been here" if security[:1].isdigit() and not security.isdigit() else "is no id"
            raise wrong("security_id", security, f"wants digits: {reason}")
        nature = _nature(kind, letter)
        if isinstance(nature, str):
            raise wrong("kind", kind, nature)
        own = underlying if letter == "E" and underlying not in NOTHING else symbol
        if symbol in NOTHING and own in NOTHING:
            raise wrong("symbol", symbol, "has no name")
        if TEST_SYMBOL in symbol or TEST_SYMBOL in underlying:
            return "test contracts"

        expiry = ""
        strike_e4: int | None = None
        option: str | None = None
        if nature.contract:
            expiry = _date(expiry_text)
            if expiry == "?":
                raise wrong("expiry", expiry_text, "wants YYYY-MM-DD: which day and month is meant is not guessed")
            if not expiry:
                raise wrong("expiry", expiry_text, "a contract without an expiry")
            own, underlying = _contract(symbol, display, underlying)
            if not underlying:
                raise wrong("symbol", symbol, "a contract that does not say what it hangs on")
            if nature.option:
                if option_text not in SIDES:
                    raise wrong("option", option_text, "an option is CE or PE")
                option = option_text
                strike_e4 = _money(strike_text)
                if strike_e4 is None or strike_e4 <= 0:
                    raise wrong("strike", strike_text, "an option without a strike")
            elif option_text in SIDES:
                raise wrong("option", option_text, "a future with an option type")
        else:
            underlying = ""

        lot = _whole(lot_text)
        if letter == "I":
            lot = lot if lot is not None and 0 < lot <= LOT_MAX else 0  # nobody orders an index
        elif lot is None or not 0 < lot <= LOT_MAX:
            raise wrong("lot", lot_text, "wants a whole number above 0: no order can be sized by it")
        tick_e4 = _tick(tick_text, letter)
        if tick_e4 is None:
            raise wrong("tick", tick_text, "wants paise, points for an index")

        upper_e4 = lower_e4 = None
        if has_bands:
            upper_e4, lower_e4 = _band(upper), _band(lower)
            if upper_e4 is None:
                raise wrong("upper", upper, "wants rupees, 0 for none")
            if lower_e4 is None or (upper_e4 and lower_e4 > upper_e4):
                raise wrong("lower", lower, "wants rupees up to the upper limit, 0 for none")
        freeze = None
        if has_freeze:
            freeze = _whole(freeze_text or "0")
            if freeze is None or not 0 <= freeze <= FREEZE_MAX:
                raise wrong("freeze", freeze_text, "wants a whole number, 0 for none")
        if underlying_id in NOTHING or not nature.contract:
            underlying_id = ""
        elif not _ID.fullmatch(underlying_id):
            raise wrong("underlying_id", underlying_id, "wants digits")
        name = display or long_name or symbol
        if len(own) > TEXT_MAX or len(name) > TEXT_MAX or len(underlying) > TEXT_MAX or len(series) > TEXT_MAX:
            raise wrong("symbol", symbol, f"more than {TEXT_MAX} characters")
        return Entry(
            security, segment, own, own, name or None, kind, expiry or None, _real(strike_e4), option, lot,
            tick_e4 / SCALE, underlying_id or None, isin if _ISIN.fullmatch(isin) else None,
            # Said even when it is nothing: a flag that was lifted must not be kept from an earlier master.
            _meta(asm_gsm, buy_sell, expiry_flag) if has_flags else None,
            freeze,
            None if letter != "E" or series in NOTHING else series, underlying, _real(lower_e4), _real(upper_e4),
        )  # fmt: skip

    return read


class _Nature(NamedTuple):
    """What a kind of instrument is."""

    contract: bool
    option: bool


@lru_cache(maxsize=4_096)
def _nature(kind: str, letter: str) -> _Nature | str:
    """Return what *kind* is, or why the segment of that letter has no such thing."""
    if not _WORD.fullmatch(kind):
        return "is no kind of instrument"
    option = kind.startswith("OPT")
    contract = option or kind.startswith("FUT")
    if (kind == "INDEX") is not (letter == "I") or contract is not (letter in "DCM"):
        return f"does not trade in segment `{letter}`"
    return _Nature(contract, option)


def _contract(symbol: str, display: str, underlying: str) -> tuple[str, str]:
    """
    Return the trading symbol of a contract and the name of what it hangs on; ("", "") parts where nobody says.

    Only NSE's names in the detailed file say which contract it is; BSE has `BSXOPT` for all, MCX the commodity.
    """
    root = root_of(symbol)
    if underlying in NOTHING:
        underlying = root
    return (symbol if root or not display else display), underlying


@lru_cache(maxsize=4_096)
def _date(text: str) -> str:
    """Return an ISO date, "" for the broker's "never", "?" for what is neither."""
    if text.upper() in NOTHING:
        return ""
    match = _ISO.fullmatch(text)
    if match is None:
        return "?"
    if match[1] == NO_DATE:
        return ""
    try:
        return date.fromisoformat(match[1]).isoformat()
    except ValueError:
        return "?"


@lru_cache(maxsize=4_096)
def _whole(text: str) -> int | None:
    """Return `65`, `65.0` or `-1` as a whole number; None for anything else."""
    match = _WHOLE.fullmatch(text)
    return None if match is None else int(match[1])


@lru_cache(maxsize=65_536)
def _money(text: str) -> int | None:
    """Return rupees in 1/10000; None for what is no price."""
    try:
        return to_e4(text, most=PRICE_MAX_E4)
    except ValueError:
        return None


def _band(text: str) -> int | None:
    """Return a circuit limit; 0 for none, None for what is no limit."""
    found = 0 if text in NOTHING else _money(text)
    return None if found is None or found < 0 else found


@lru_cache(maxsize=4_096)
def _tick(text: str, letter: str) -> int | None:
    """
    Return the tick in 1/10000 rupee; None for one that no exchange has.

    Paise for whatever trades, points for an index. A tick of less than a paisa outside currencies is one in
    rupees by mistake: taken as paise it would let every price pass.
    """
    given_e4 = _money(text)
    if given_e4 is None or given_e4 < 0:
        return None
    if letter == "I":
        return given_e4 if given_e4 <= TICK_MAX_E4 else None
    tick_e4, rest = divmod(given_e4, 100)
    least = 1 if letter == "C" else 100
    return tick_e4 if not rest and least <= tick_e4 <= TICK_MAX_E4 else None


def _real(e4: int | None) -> float | None:
    """Return rupees as the table keeps them; 0 and None are none."""
    return e4 / SCALE if e4 else None


@lru_cache(maxsize=4_096)
def _meta(asm_gsm: str, buy_sell: str, expiry_flag: str) -> str:
    """Return what else the master says out of the ordinary, as JSON."""
    kept = {"asm_gsm": asm_gsm, "buy_sell": buy_sell, "expiry_flag": expiry_flag}
    usual = {*NOTHING, "N"}
    said = {
        key: value[:TEXT_MAX] for key, value in kept.items() if value not in usual and (key, value) != ("buy_sell", "A")
    }
    return json.dumps(said, sort_keys=True)
