"""
Bars of real days, as they came: for the demo, for replay and for tests.

Prices are 1/10000 of an index point or rupee, times are microseconds UTC of the START of the minute. A minute
in which nothing was published is missing, not repeated: in a halt there is no bar, and so no fresh price.
Only `regular` bars are trades; `auction` rows are indicative and no loss may be measured on them.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Final

from riskguard import data
from riskguard.core.instrument import Instrument
from riskguard.core.money import to_e4

FOLDER: Final = "days"
FILE_NAME: Final = re.compile(r"([A-Z0-9]+)_([0-9]{4}-[0-9]{2}-[0-9]{2})_1m\.csv")
COLUMNS: Final = ["ts", "open", "high", "low", "close", "volume", "phase"]
PHASES: Final = ("pre", "regular", "auction", "post")
MINUTE_US: Final = 60 * 1_000_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class UnknownDayError(ValueError):
    """No bars are shipped for that date. `available` names the dates that there are."""

    def __init__(self, day: date, available: tuple[date, ...]) -> None:
        self.day, self.available = day, available
        days = ", ".join(f"`{known}`" for known in available)
        super().__init__(f"no bars for `{day}`: choose one of {days}")


class BarFormatError(ValueError):
    """A bar file is malformed; the message names file and line. No bar of it counts."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One minute: first, highest, lowest and last price, 1/10000 of a point; volume None for an index."""

    start_us: int
    open_e4: int
    high_e4: int
    low_e4: int
    close_e4: int
    volume: int | None
    phase: str

    @property
    def end_us(self) -> int:
        """When the bar is complete, and its close may be known: a minute after its start."""
        return self.start_us + MINUTE_US

    @property
    def is_trade(self) -> bool:
        """False for pre-open, call auction and after the close."""
        return self.phase == "regular"


@dataclass(frozen=True, slots=True)
class Day:
    """One day: bars by symbol in order of time, and the contracts that can be traded on them."""

    date: date
    bars: Mapping[str, tuple[Bar, ...]]
    instruments: tuple[Instrument, ...]

    def trades(self, symbol: str) -> tuple[Bar, ...]:
        """Return the `regular` bars of *symbol*; KeyError if the day has none of it."""
        return tuple(bar for bar in self.bars[symbol] if bar.is_trade)


def available_days() -> tuple[date, ...]:
    """Return the dates that `load_day` knows, oldest first."""
    return tuple(sorted({day for _, day in _files()}))


def load_day(day: date) -> Day:
    """
    Return the bars of *day* for every symbol there is.

    Raises:
        UnknownDayError: No bars for that date; the message names those there are.
        BarFormatError: A shipped file is damaged.
    """
    symbols = {symbol: name for (symbol, known), name in _files().items() if known == day}
    if not symbols:
        raise UnknownDayError(day, available_days())
    bars = {symbol: parse_bars(data.text(f"{FOLDER}/{name}"), name) for symbol, name in sorted(symbols.items())}
    contracts = _instruments(day)
    return Day(day, MappingProxyType(bars), tuple(c for c in contracts if c.underlying in bars))


def parse_bars(text: str, name: str = "bars") -> tuple[Bar, ...]:
    """
    Read one bar file.

    Args:
        text: CSV with the columns ts, open, high, low, close, volume, phase.
        name: What to call the file in an error.

    Raises:
        BarFormatError: Wrong columns, a field that does not parse, a time without offset or not after the
            one before, a price outside [low, high], or an unknown phase.
    """
    rows = csv.reader(text.splitlines())
    if next(rows, None) != COLUMNS:
        raise BarFormatError(f"`{name}`: the columns must be {', '.join(COLUMNS)}")
    bars: list[Bar] = []
    for row in rows:
        try:
            bar = _bar(row)
        except ValueError as e:
            raise BarFormatError(f"`{name}` line {rows.line_num}: {e}") from e
        if bars and bar.start_us <= bars[-1].start_us:
            raise BarFormatError(f"`{name}` line {rows.line_num}: time does not go on")
        bars.append(bar)
    return tuple(bars)


def _bar(row: list[str]) -> Bar:
    if len(row) != len(COLUMNS):
        raise ValueError(f"{len(row)} fields instead of {len(COLUMNS)}")
    ts, *prices, volume, phase = row
    moment = datetime.fromisoformat(ts)
    if moment.tzinfo is None:
        raise ValueError(f"`{ts}` has no offset from UTC")
    if phase not in PHASES:
        raise ValueError(f"unknown phase `{phase}`")
    open_e4, high_e4, low_e4, close_e4 = (to_e4(price) for price in prices)
    if not 0 < low_e4 <= min(open_e4, close_e4) <= max(open_e4, close_e4) <= high_e4:
        raise ValueError("open and close must lie between low and high, and above 0")
    return Bar(
        start_us=(moment - EPOCH) // timedelta(microseconds=1),
        open_e4=open_e4,
        high_e4=high_e4,
        low_e4=low_e4,
        close_e4=close_e4,
        volume=int(volume) if volume else None,
        phase=phase,
    )


def _files() -> dict[tuple[str, date], str]:
    """Return file names by symbol and date."""
    found = (FILE_NAME.fullmatch(name) for name in data.names(FOLDER))
    return {(match[1], date.fromisoformat(match[2])): match[0] for match in found if match}


def _instruments(day: date) -> tuple[Instrument, ...]:
    """Return the contracts listed for *day*: lots and ticks are those of the date."""
    rows = csv.DictReader(data.text(f"{FOLDER}/demo_instruments.csv").splitlines())
    return tuple(
        Instrument(
            exchange_segment=row["exchange_segment"],
            security_id=row["security_id"],
            symbol=row["symbol"],
            kind=row["kind"],
            lot_size=int(row["lot_size"]),
            tick_e4=to_e4(row["tick"]),
            underlying=row["underlying"],
            expiry=row["expiry"],
        )
        for row in rows
        if date.fromisoformat(row["day"]) == day
    )
