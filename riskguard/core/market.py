"""
What exchanges and regulators set by date: multipliers, freeze quantities, bands, gaps, protection, ceilings.

A value: parsed from text, asked by (instrument, date). A table is a CSV text that opens with `# complete_until =
YYYY-MM-DD`, the last day it is known for; each row says where it holds, from when, until when, and who says so.
Of the rows that fit an instrument the most particular wins (underlying before kind before segment); of its rows
the one that began last. A row whose number is empty says that nobody knows, and nothing older stands in for it.
Past the horizon the last rows go on holding: the alternative would be no freeze quantity and no band at all.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final, NamedTuple

from riskguard.core.instrument import Instrument
from riskguard.core.money import to_e4

ANY: Final = "*"
HORIZON: Final = "complete_until"
KEYS: Final = ("segment", "kind", "underlying")
DATES: Final = ("effective_from", "effective_until")
SAID: Final = ("source", "confidence")
CONFIDENCE: Final = ("confirmed", "one", "memory", "unknown")

VALUES: Final[dict[str, tuple[str, ...]]] = {
    "multipliers": ("multiplier",),
    "freeze": ("freeze_quantity",),
    "price_bands": ("percent", "absolute_inr"),
    "stop_gaps": ("percent", "absolute_inr"),
    "protection": ("percent",),
    "order_values": ("order_value_inr_max",),
}
"""The tables and their columns of numbers, in the order of `Row.values`."""

PERCENT_MAX_E2: Final = 1_000 * 100
WHOLE_MAX: Final = 10**9
MEMO_ENTRIES_MAX: Final = 4_096


class MarketTableError(ValueError):
    """A dated table is malformed; the message names the table and the line. Nothing of the text counts."""


class Row(NamedTuple):
    """One dated fact. `values` in our integers: percent in 1/100, rupees in 1/10000, counts as they are."""

    effective_from: str  # ISO; "" for: as far back as anybody asks
    effective_until: str  # ISO, included; "" for: until superseded
    values: tuple[int | None, ...]
    source: str
    confidence: str


Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class DatedTable:
    """One table: rows by (segment, kind, underlying), oldest first, and the last day it is known for."""

    name: str
    complete_until: str
    rows: Mapping[Key, tuple[Row, ...]]

    def at(self, instrument: Instrument, day: str) -> Row | None:
        """Return the row that holds for *instrument* on *day* (ISO); None when none does."""
        segment, kind, underlying = instrument.exchange_segment, instrument.kind, _name_of(instrument)
        for key in (
            (segment, kind, underlying), (ANY, kind, underlying), (segment, ANY, underlying), (ANY, ANY, underlying),
            (segment, kind, ANY), (ANY, kind, ANY), (segment, ANY, ANY), (ANY, ANY, ANY),
        ):  # fmt: skip
            for row in reversed(self.rows.get(key, ())):
                if row.effective_from <= day and (not row.effective_until or day <= row.effective_until):
                    return row
        return None


def _name_of(instrument: Instrument) -> str:
    """A derivative is looked up by what it hangs on, anything else by its own symbol."""
    return instrument.underlying or instrument.symbol


@dataclass(frozen=True, slots=True, eq=False)  # one is as good as its identity: what is built by it may be kept by it
class MarketTables:
    """Every dated table by name; see the module. One that was not given has no rows."""

    tables: Mapping[str, DatedTable]
    _memo: dict[tuple[str, str, str, str], tuple[int | None, ...]] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, texts: Mapping[str, Iterable[str]]) -> MarketTables:
        """
        Read the texts of each table by its name; a later text adds to an earlier one.

        A row of the same place and first day takes the place of the earlier one, and the later horizon holds.

        Raises:
            MarketTableError: An unknown table or column, a number, date or word that is none, a row without a
                source, or a text without its horizon.
        """
        tables = {}
        for name, given in texts.items():
            if name not in VALUES:
                raise MarketTableError(f"no table `{name}`: known are {', '.join(sorted(VALUES))}")
            found: dict[Key, dict[str, Row]] = {}
            horizon = ""
            for text in given:
                horizon = max(horizon, _read(name, text, found))
            tables[name] = DatedTable(
                name, horizon, {key: tuple(rows[day] for day in sorted(rows)) for key, rows in found.items()}
            )
        return cls(tables)

    def at(self, name: str, instrument: Instrument, day: str) -> Row | None:
        """Return the row of table *name* for *instrument* on *day* (ISO), or None."""
        table = self.tables.get(name)
        return None if table is None else table.at(instrument, day)

    def _values(self, instrument: Instrument, day: str) -> tuple[int | None, ...]:
        """Return the numbers of every table in order; remembered, because a day asks for the same few again."""
        key = (instrument.exchange_segment, instrument.kind, _name_of(instrument), day)
        found = self._memo.get(key)
        if found is None:
            found = ()
            for name, columns in VALUES.items():
                row = self.at(name, instrument, day)
                found += (None,) * len(columns) if row is None else row.values
            if len(self._memo) >= MEMO_ENTRIES_MAX:
                self._memo.clear()
            self._memo[key] = found
        return found

    def enrich(self, instrument: Instrument, day: str) -> Instrument:
        """
        Return *instrument* with what holds for it on *day* (ISO date of the session).

        Freeze quantity: the lower of table and master row; 0 and absent are none known. Multiplier: what either
        knows, the larger where they differ, because a value too large refuses and one too small approves; None
        stays None. The rest comes from the tables alone.
        """
        (multiplier, freeze, band_pct_e2, band_abs_e4, gap_pct_e2, gap_abs_e4, protection_pct_e2,
         order_value_max_e4) = self._values(instrument, day)  # fmt: skip
        return replace(
            instrument,
            multiplier=max(filter(None, (instrument.multiplier, multiplier)), default=None),
            freeze_quantity=min(filter(None, (instrument.freeze_quantity, freeze)), default=None),
            protection_pct_e2=protection_pct_e2,
            lpp_pct_e2=band_pct_e2,
            lpp_abs_e4=band_abs_e4,
            stop_gap_pct_e2=gap_pct_e2,
            stop_gap_abs_e4=gap_abs_e4,
            order_value_max_e4=order_value_max_e4,
        )

    def horizons(self) -> dict[str, date]:
        """Return the last day each table is known for."""
        return {name: date.fromisoformat(table.complete_until) for name, table in self.tables.items()}


def _read(name: str, text: str, found: dict[Key, dict[str, Row]]) -> str:
    """Add the rows of one text to *found* and return its horizon."""
    horizon = ""
    lines: list[str] = []
    numbers: list[int] = []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        if line.startswith("#"):
            word, equals, value = line[1:].partition("=")
            if equals and word.strip() == HORIZON:
                horizon = _day(name, number, HORIZON, value.strip())
        elif line.strip():
            lines.append(line)
            numbers.append(number)
    if not horizon:
        raise MarketTableError(f"`{name}`: no line `# {HORIZON} = YYYY-MM-DD`: say until when it is known")
    columns = [*KEYS, *VALUES[name], *DATES, *SAID]
    rows = csv.reader(lines, strict=True)
    try:
        if next(rows, None) != columns:
            raise MarketTableError(f"`{name}`: the first row wants to be `{','.join(columns)}`")
        for number, cells in zip(numbers[1:], rows, strict=True):
            if len(cells) != len(columns):
                raise MarketTableError(f"`{name}` line {number}: {len(cells)} cells, wants {len(columns)}")
            key, row = _row(name, number, [cell.strip() for cell in cells])
            found.setdefault(key, {})[row.effective_from] = row
    except (csv.Error, ValueError) as e:
        if isinstance(e, MarketTableError):
            raise
        raise MarketTableError(f"`{name}`: {e}") from None  # a quote that spans lines is no row of ours
    return horizon


def _row(name: str, number: int, cells: list[str]) -> tuple[Key, Row]:
    segment, kind, underlying, *given, begins, ends, source, confidence = cells
    if not (segment and kind and underlying):
        raise MarketTableError(f"`{name}` line {number}: an empty place: `{ANY}` stands for any")
    begins = begins and _day(name, number, DATES[0], begins)
    ends = ends and _day(name, number, DATES[1], ends)
    if begins and ends and ends < begins:
        raise MarketTableError(f"`{name}` line {number}: ends on `{ends}`, before it begins")
    if not source:
        raise MarketTableError(f"`{name}` line {number}: no source: who says so?")
    if confidence not in CONFIDENCE:
        raise MarketTableError(f"`{name}` line {number}: confidence `{confidence}`: known are {', '.join(CONFIDENCE)}")
    values = tuple([_number(name, number, column, text) for column, text in zip(VALUES[name], given, strict=True)])
    return (segment, kind, underlying), Row(begins, ends, values, source, confidence)


def _number(name: str, number: int, column: str, text: str) -> int | None:
    """Read one number in the unit its column says; empty is None."""
    if not text:
        return None
    if column == "freeze_quantity" and text.isdecimal() and text.isascii() and len(text) < 10:
        return int(text)  # nine rows of ten
    try:
        if column == "percent":
            scaled = to_e4(text)
            if scaled % 100 or not 0 <= scaled // 100 <= PERCENT_MAX_E2:
                raise ValueError("wants 0 to 1000, two decimals at most")
            return scaled // 100
        if "inr" in column:
            scaled = to_e4(text)
            if scaled < 0:
                raise ValueError("is below zero")
            return scaled
        if not (text.isascii() and text.isdigit()) or int(text) > WHOLE_MAX:
            raise ValueError("wants a whole number")
        if column == "multiplier" and int(text) == 0:
            raise ValueError("wants 1 or more: leave it empty for unknown")
        return int(text)
    except ValueError as e:
        raise MarketTableError(f"`{name}` line {number}: `{column}` = `{text}`: {e}") from None


def _day(name: str, number: int, column: str, text: str) -> str:
    """Read a date; kept as ISO text, which sorts as the days do."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise MarketTableError(f"`{name}` line {number}: `{column}` = `{text}`: wants YYYY-MM-DD") from None
    return day.isoformat()
