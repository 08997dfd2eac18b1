"""The dated rows of the table of charges, and how they are read from text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Final

from riskguard.core.charges.notes import ChargeLines
from riskguard.core.money import SCALE

HORIZON: Final = "complete_until"
COLUMNS: Final = (
    "segment", "instrument", "component", "side", "base", "rate", "unit", "min", "max", "rounding",
    "effective_from", "effective_until", "source", "confidence",
)  # fmt: skip
UNITS: Final = frozenset(("fraction", "inr_per_order", "inr_per_isin_day", "inr_per_isin_transaction", "unknown"))
# What the code below does; a table that says otherwise must not load.
ROUNDINGS: Final = {
    "brokerage": "order:0.01:half_up",
    "exchange_txn": "segment_day:0.01:half_up",
    "sebi": "segment_day:0.01:half_up",
    "ipft": "segment_day:0.01:half_up",
    "stt": "segment_day:1:half_up",
    "ctt": "segment_day:1:half_up",
    "stt_exercise": "segment_day:1:half_up",
    "stt_physical": "segment_day:1:half_up",
    "stamp": "segment_day:1:half_up",
    "stamp_physical": "segment_day:1:half_up",
    "gst": "segment_day:0.01:half_up",
    "dp_charge": "isin_day:0.01:half_up",
    "dp_gst": "isin_day:0.01:half_up",
}


class ChargeTableError(ValueError):
    """The table of charges is malformed; the message names the line. No row of it counts."""


class ChargeUnknownError(LookupError):
    """The table has no rows at all for an instrument: what it costs is unknown, not zero."""


@dataclass(frozen=True, slots=True)
class Rate:
    """One dated row. `rate` None: nobody said; `cap_e4` and `floor_e4` per order in 1/10000 rupee."""

    segment: str
    instrument: str
    component: str
    side: str
    base: str
    rate: Fraction | None
    unit: str
    floor_e4: int | None
    cap_e4: int | None
    effective_from: date
    effective_until: date | None
    source: str
    confidence: str

    def holds(self, day: date) -> bool:
        """Say whether the row is in force on *day*; the last day is included."""
        return self.effective_from <= day and (self.effective_until is None or day <= self.effective_until)

    def text(self) -> str:
        """Name the row for a person."""
        return f"{self.segment} {self.instrument} {self.component}: {self.confidence} ({self.source})"


def read(text: str) -> tuple[list[Rate], date | None]:
    """
    Return the rows of CSV *text* and the last day it says it is good for (`# complete_until = YYYY-MM-DD`), if any.

    Raises:
        ChargeTableError: A column is missing or unknown, a field does not parse, a rounding is not what this code does.
    """
    import csv

    given = text.removeprefix("\ufeff").splitlines()
    said = [line for line in given if line.startswith("#")]
    # A remark stands in front: below the head it would shift the numbers that errors name.
    if said != given[: len(said)]:
        raise ChargeTableError("remarks (`#`) stand before the first row only")
    until = None
    for number, line in enumerate(said, start=1):
        word, equals, value = line[1:].partition("=")
        if equals and word.strip() == HORIZON:
            until = _date(number, value.strip())
    lines = csv.reader(given[len(said) :], strict=True)
    try:
        rows = list(lines)
    except csv.Error as e:
        raise ChargeTableError(f"charges line {len(said) + lines.line_num}: {e}") from e
    if not rows or tuple(rows[0]) != COLUMNS:
        raise ChargeTableError(f"the columns must be {', '.join(COLUMNS)}")
    return [rate_of(number, row) for number, row in enumerate(rows[1:], start=len(said) + 2)], until


def follows(before: Rate | None, rate: Rate) -> None:
    """Refuse a row that overlaps the one before it or leaves days without a rate between them."""
    if before is None:
        return
    name = f"{rate.segment} {rate.instrument} {rate.component} {rate.side}"
    if before.effective_until is None or before.effective_until >= rate.effective_from:
        raise ChargeTableError(f"{name}: the rows of {before.effective_from} and {rate.effective_from} overlap")
    if before.effective_until + timedelta(days=1) != rate.effective_from:
        raise ChargeTableError(f"{name}: no rate between {before.effective_until} and {rate.effective_from}")


def rate_of(number: int, row: Sequence[str]) -> Rate:
    if len(row) != len(COLUMNS):
        raise ChargeTableError(f"charges line {number}: {len(row)} fields instead of {len(COLUMNS)}")
    cells = dict(zip(COLUMNS, row, strict=True))
    unit, component = cells["unit"], cells["component"]
    if unit not in UNITS:
        raise ChargeTableError(f"charges line {number}: unknown unit `{unit}`")
    if cells["rounding"] != ROUNDINGS.get(component, cells["rounding"]):
        raise ChargeTableError(f"charges line {number}: `{component}` is rounded {ROUNDINGS[component]} here")
    rate = _decimal(number, cells["rate"])
    if (rate is None) != (unit == "unknown"):
        raise ChargeTableError(f"charges line {number}: a rate is blank exactly when its unit is unknown")
    if component == "gst" and not set(cells["base"].split("+")) <= {
        name.removesuffix("_e4") for name in ChargeLines.__slots__
    }:
        raise ChargeTableError(f"charges line {number}: `{cells['base']}` is not a sum of lines")
    first, last = _date(number, cells["effective_from"]), _date(number, cells["effective_until"])
    if first is None or (last is not None and last < first):
        raise ChargeTableError(f"charges line {number}: effective dates are missing or run backwards")
    return Rate(
        segment=cells["segment"],
        instrument=cells["instrument"],
        component=component,
        side=cells["side"],
        base=cells["base"],
        rate=rate,
        unit=unit,
        floor_e4=_e4(_decimal(number, cells["min"])),
        cap_e4=_e4(_decimal(number, cells["max"])),
        effective_from=first,
        effective_until=last,
        source=cells["source"],
        confidence=cells["confidence"],
    )


def _decimal(number: int, text: str) -> Fraction | None:
    """Return the exact value of *text* >= 0, None for a blank."""
    if not text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation as e:
        raise ChargeTableError(f"charges line {number}: `{text}` is not a decimal number") from e
    if not value.is_finite() or value < 0 or abs(value.adjusted()) > 12:
        raise ChargeTableError(f"charges line {number}: `{text}` is out of range")
    return Fraction(value)


def _e4(rupees: Fraction | None) -> int | None:
    return None if rupees is None else int(rupees * SCALE)


def _date(number: int, text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as e:
        raise ChargeTableError(f"charges line {number}: `{text}` is not a date") from e
