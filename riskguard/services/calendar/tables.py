"""
Lists of dates as CSV, made into a calendar text: holidays, special sessions, mock sessions.

A list is known by its columns: `date` and `name` are holidays; `date`, `kind`, `open_ist`, `close_ist` special sessions,
one line per session, empty times for hours nobody has told; `date` alone mock sessions. `weekday`, where it is there, must be
the date's: a day and month exchanged is the commonest mistake in such lists. Other columns are left alone.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import date, time
from typing import Final

from riskguard.core.calendar import CalendarError, DayEntry, Key
from riskguard.core.calendar_text import MOCK, Part

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SOURCES: Final = ("source", "evidence")
TEXT_MAX: Final = 200
ROWS_MAX: Final = 20_000

Row = Mapping[str, str]


def looks_like_csv(text: str) -> bool:
    """Say whether *text* is one of these lists: its first line names a column `date`, and TOML's cannot."""
    first = text.lstrip("\ufeff \t\r\n").partition("\n")[0]
    return "=" not in first and "date" in [cell.strip().lower() for cell in first.split(",")]


def read(text: str, segments: tuple[str, ...]) -> Part:
    """Return the dates of *text* for *segments*; raises CalendarError naming the line."""
    rows = _rows(text)
    columns = set(rows[0][1]) if rows else set()
    if not rows:
        raise CalendarError("the list has no line below its heading")
    if {"open_ist", "close_ist"} <= columns:
        listed = _specials(rows)
    elif "name" in columns:
        listed = {
            day: DayEntry("holiday", _word(where, row, "name"), (), _source(row)) for where, day, row in _dated(rows)
        }
    else:
        listed = {day: DayEntry("mock", MOCK, (), _source(row)) for _, day, row in _dated(rows)}
    days: dict[Key, DayEntry] = {(segment, day): entry for day, entry in listed.items() for segment in segments}
    return Part(segments, days=days)


def _rows(text: str) -> list[tuple[str, Row]]:
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    found: list[tuple[str, Row]] = []
    heading: list[str] | None = None
    try:
        for cells in reader:
            where = f"line {reader.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if heading is None:
                heading = [cell.strip().lower() for cell in cells]
                if "date" not in heading or len(set(heading)) != len(heading):
                    raise CalendarError(f"{where}: wants a heading with one column `date`, and none twice")
                continue
            if len(cells) != len(heading):
                raise CalendarError(f"{where}: {len(cells)} cells, the heading has {len(heading)}")
            if len(found) >= ROWS_MAX:
                raise CalendarError(f"more than {ROWS_MAX} lines: that is no list of days")
            found.append((where, dict(zip(heading, (cell.strip() for cell in cells), strict=True))))
    except csv.Error as e:
        raise CalendarError(f"line {reader.line_num}: {e}") from None
    return found


def _dated(rows: Iterable[tuple[str, Row]]) -> Iterable[tuple[str, date, Row]]:
    seen: set[date] = set()
    for where, row in rows:
        day = _date(where, row)
        if day in seen:
            raise CalendarError(f"{where}: {day} is listed twice")
        seen.add(day)
        yield where, day, row


def _specials(rows: Iterable[tuple[str, Row]]) -> dict[date, DayEntry]:
    """Bring the sessions of a day together; their kinds become its name."""
    hours: dict[date, list[tuple[int, int]] | None] = {}
    names: dict[date, list[str]] = {}
    sources: dict[date, str] = {}
    for where, row in rows:
        day = _date(where, row)
        names.setdefault(day, []).append(_word(where, row, "name" if "name" in row else "kind").replace("_", " "))
        sources.setdefault(day, _source(row))
        if not row["open_ist"] and not row["close_ist"]:
            if day in hours:
                raise CalendarError(f"{where}: {day} is listed with and without hours")
            hours[day] = None
            continue
        window = _second(where, row, "open_ist"), _second(where, row, "close_ist")
        known = hours.setdefault(day, [])
        if known is None:
            raise CalendarError(f"{where}: {day} is listed with and without hours")
        if window[0] >= window[1] or (known and window[0] < known[-1][1]):
            raise CalendarError(f"{where}: the sessions of {day} must be in order of time and not overlap")
        known.append(window)
    return {
        day: DayEntry("special", ", ".join(names[day]), None if found is None else tuple(found), sources[day])
        for day, found in hours.items()
    }


def _date(where: str, row: Row) -> date:
    try:
        day = date.fromisoformat(row["date"])
    except ValueError:
        raise CalendarError(f"{where}: `date` = `{row['date'][:40]}`: wants YYYY-MM-DD") from None
    weekday = row.get("weekday", "").lower()
    if weekday and weekday[:3] != WEEKDAYS[day.weekday()]:
        raise CalendarError(f"{where}: {day} is a {day:%A}, the list says `{row['weekday'][:20]}`")
    return day


def _second(where: str, row: Row, column: str) -> int:
    try:
        at = time.fromisoformat(row[column])
    except ValueError:
        raise CalendarError(f"{where}: `{column}` = `{row[column][:40]}`: wants a time like 09:15") from None
    if at.tzinfo is not None or at.microsecond:
        raise CalendarError(f"{where}: `{column}` = `{row[column][:40]}`: wants a time like 09:15, in India")
    return at.hour * 3600 + at.minute * 60 + at.second


def _word(where: str, row: Row, column: str) -> str:
    said = row.get(column, "")
    if not said or len(said) > TEXT_MAX or not said.isprintable():
        raise CalendarError(f"{where}: `{column}` wants text of at most {TEXT_MAX} characters")
    return said


def _source(row: Row) -> str:
    said = next((row[column] for column in SOURCES if row.get(column)), "")
    return said[:TEXT_MAX] if said.isprintable() else ""
