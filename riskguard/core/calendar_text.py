"""
A calendar as text: TOML read into its parts, and parts written as TOML.

A text names its segments, weekday hours, holidays, special days, mock sessions, and the dates it is complete for.
Whatever is misspelt, doubled or of a wrong type is refused: it would silently be a rule that does not exist.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date, time
from typing import Any, Final, TypeVar

from riskguard.core.calendar import CalendarError, DayEntry, Key, Session, Span, joined

TABLE_KEYS: Final = frozenset(
    ("segments", "complete_from", "complete_until", "complete", "sessions", "holidays", "specials", "mocks")
)
SESSION_KEYS: Final = frozenset(
    ("segments", "effective_from", "open", "close", "close_us_winter", "auction_open", "auction_close", "source")
)
MOCK: Final = "mock session"


@dataclass(frozen=True, slots=True)
class Part:
    """What one text says: its own segments, hours and listed dates by (segment, date), dates it is complete for."""

    segments: tuple[str, ...]
    sessions: dict[Key, Session] = field(default_factory=dict)
    days: dict[Key, DayEntry] = field(default_factory=dict)
    complete: dict[str, tuple[Span, ...]] = field(default_factory=dict)

    def merged(self, newer: Part) -> Part:
        """Return both; *newer* wins for the same segment and date, and adds to what is complete."""
        complete = dict(self.complete)
        for segment, spans in newer.complete.items():
            complete[segment] = joined((*complete.get(segment, ()), *spans))
        return Part(
            tuple(dict.fromkeys((*self.segments, *newer.segments))),
            {**self.sessions, **newer.sessions},
            {**self.days, **newer.days},
            complete,
        )


def read(text: str) -> Part:
    """Read one text; raises CalendarError."""
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as e:
        raise CalendarError(f"calendar is not TOML: {e}") from None
    _only("calendar", table, TABLE_KEYS)
    default = _segments("calendar", table, ())
    sessions: dict[Key, Session] = {}
    for where, row in _rows(table, "sessions"):
        _only(where, row, SESSION_KEYS)
        session = _session(where, row)
        for segment in _segments(where, row, default):
            _put(where, sessions, (segment, session.effective_from), session)
    return Part(default, sessions, _days(table, default), _complete(table, default))


_Value = TypeVar("_Value", Session, DayEntry)


def _days(table: Mapping[str, Any], default: tuple[str, ...]) -> dict[Key, DayEntry]:
    holidays: dict[Key, DayEntry] = {}
    for where, row in _rows(table, "holidays"):
        _only(where, row, {"segments", "date", "name", "source"})
        entry = DayEntry("holiday", _word(where, row, "name"), (), _source(where, row))
        for segment in _segments(where, row, default):
            _put(where, holidays, (segment, _date(where, row, "date")), entry)
    others: dict[Key, DayEntry] = {}
    for where, row in _rows(table, "specials"):
        _only(where, row, {"segments", "date", "name", "windows", "source"})
        entry = DayEntry("special", _word(where, row, "name"), _hours(where, row), _source(where, row))
        for segment in _segments(where, row, default):
            _put(where, others, (segment, _date(where, row, "date")), entry)
    for where, row in _rows(table, "mocks"):
        _only(where, row, {"segments", "date", "source"})
        entry = DayEntry("mock", MOCK, (), _source(where, row))
        for segment in _segments(where, row, default):
            # A date that is both mock and special would be a live day whose ticks mean nothing.
            _put(where, others, (segment, _date(where, row, "date")), entry)
    return holidays | others


def _complete(table: Mapping[str, Any], default: tuple[str, ...]) -> dict[str, tuple[Span, ...]]:
    made: dict[str, tuple[Span, ...]] = {}
    if "complete_from" in table or "complete_until" in table:
        made = dict.fromkeys(default, (_span("calendar", table, "complete_from", "complete_until"),))
    for where, row in _rows(table, "complete"):
        _only(where, row, {"segments", "from", "until"})
        span = _span(where, row, "from", "until")
        for segment in _segments(where, row, default):
            made[segment] = joined((*made.get(segment, ()), span))
    return made


def _span(where: str, row: Mapping[str, Any], from_key: str, until_key: str) -> Span:
    first, last = _date(where, row, from_key), _date(where, row, until_key)
    if first > last:
        raise CalendarError(f"{where}: `{from_key}` {first} is after `{until_key}` {last}")
    return first, last


def _session(where: str, row: Mapping[str, Any]) -> Session:
    open_s, close_s = _time(where, row, "open"), _time(where, row, "close")
    winter_close_s = _time(where, row, "close_us_winter") if "close_us_winter" in row else None
    auction_open_s = _time(where, row, "auction_open") if "auction_open" in row else None
    auction_close_s = _time(where, row, "auction_close") if "auction_close" in row else None
    if open_s >= close_s:
        raise CalendarError(f"{where}: `open` is not before `close`")
    if winter_close_s is not None and open_s >= winter_close_s:
        raise CalendarError(f"{where}: `open` is not before `close_us_winter`")
    if (auction_open_s is None) != (auction_close_s is None):
        raise CalendarError(f"{where}: an auction needs `auction_open` and `auction_close`")
    if auction_open_s is not None and auction_close_s is not None and auction_open_s >= auction_close_s:
        raise CalendarError(f"{where}: `auction_open` is not before `auction_close`")
    begins = _date(where, row, "effective_from")
    return Session(begins, open_s, close_s, auction_open_s, auction_close_s, winter_close_s)


def _hours(where: str, row: Mapping[str, Any]) -> tuple[tuple[int, int], ...] | None:
    windows = row.get("windows")
    if windows == "unknown":
        return None
    if not isinstance(windows, list) or not windows:
        raise CalendarError(f'{where}: `windows` must be a list of open and close, or "unknown"')
    hours: list[tuple[int, int]] = []
    for window in windows:
        if not isinstance(window, dict):
            raise CalendarError(f"{where}: a window must be a table with `open` and `close`")
        _only(where, window, {"open", "close"})
        open_s, close_s = _time(where, window, "open"), _time(where, window, "close")
        if open_s >= close_s or (hours and open_s < hours[-1][1]):
            raise CalendarError(f"{where}: windows must be in order of time and not overlap")
        hours.append((open_s, close_s))
    return tuple(hours)


def _only(where: str, row: Mapping[str, Any], allowed: AbstractSet[str]) -> None:
    # A misspelt key would silently be a rule that does not exist.
    if unknown := sorted(set(row) - allowed):
        raise CalendarError(f"{where}: unknown key `{unknown[0]}`; known are {', '.join(sorted(allowed))}")


def _rows(table: Mapping[str, Any], key: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    rows = table.get(key, [])
    if not isinstance(rows, list):
        raise CalendarError(f"`{key}` must be a list of tables")
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise CalendarError(f"`{key}` entry {number} must be a table")
        yield f"`{key}` entry {number}", row


def _put(where: str, into: dict[Key, _Value], key: Key, value: _Value) -> None:
    if key in into:
        raise CalendarError(f"{where}: `{key[0]}` {key[1]} is listed twice")
    into[key] = value


def _segments(where: str, row: Mapping[str, Any], default: tuple[str, ...]) -> tuple[str, ...]:
    segments = row.get("segments", list(default))
    if not isinstance(segments, list) or not segments or not all(isinstance(s, str) and s for s in segments):
        raise CalendarError(f"{where}: `segments` must be a list of segment names")
    return tuple(segments)


def _word(where: str, row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value:
        raise CalendarError(f"{where}: `{key}` must be text")
    return value


def _source(where: str, row: Mapping[str, Any]) -> str:
    return _word(where, row, "source") if "source" in row else ""


def _date(where: str, row: Mapping[str, Any], key: str) -> date:
    value = row.get(key)
    # A TOML date-time is a date to Python; its hour would be dropped in silence.
    if type(value) is not date:
        raise CalendarError(f"{where}: `{key}` must be a date like 2026-08-03")
    return value


def _time(where: str, row: Mapping[str, Any], key: str) -> int:
    """Return seconds after midnight."""
    value = row.get(key)
    if type(value) is not time or value.tzinfo is not None or value.microsecond:
        raise CalendarError(f"{where}: `{key}` must be a time of day like 09:15:00")
    return value.hour * 3600 + value.minute * 60 + value.second


# -- parts as text ----------------------------------------------------------------------------------------------------


def render(part: Part, heading: str = "") -> str:
    """Return *part* as TOML that `read` reads back to the same; *heading* becomes its comment lines."""
    lines = [f"# {line}".rstrip() for line in heading.splitlines()]
    lines.append(f"segments = {_list(part.segments)}")
    spans = [(span, segment) for segment, each in part.complete.items() for span in each]
    _write(lines, "complete", [(_names(found), f"from = {a}, until = {b}") for (a, b), found in _grouped(spans)])
    hours = [(session, segment) for (segment, _), session in part.sessions.items()]
    _write(lines, "sessions", [(_names(found), _session_text(session)) for session, found in _grouped(hours)])
    for kind, title in (("holiday", "holidays"), ("special", "specials"), ("mock", "mocks")):
        days = [((day, entry), segment) for (segment, day), entry in part.days.items() if entry.kind == kind]
        _write(lines, title, [(_names(found), _day_text(day, entry)) for (day, entry), found in _grouped(days)])
    return "\n".join(lines) + "\n"


_Said = TypeVar("_Said")


def _grouped(pairs: Iterable[tuple[_Said, str]]) -> list[tuple[_Said, list[str]]]:
    """Bring what is said of several segments together, in order of date."""
    found: dict[_Said, list[str]] = {}
    for said, segment in pairs:
        found.setdefault(said, []).append(segment)
    return sorted(found.items(), key=lambda each: (_when(each[0]), str(each[0])))


def _when(said: Any) -> date:
    found: date = said.effective_from if isinstance(said, Session) else said[0]
    return found


def _write(lines: list[str], title: str, rows: list[tuple[str, str]]) -> None:
    if rows:
        lines += ["", f"{title} = [", *(f"    {{ {names}, {said} }}," for names, said in rows), "]"]


def _names(segments: Iterable[str]) -> str:
    return f"segments = {_list(sorted(segments))}"


def _list(words: Iterable[str]) -> str:
    return "[" + ", ".join(map(_quoted, words)) + "]"


def _quoted(word: str) -> str:
    """Return a TOML string: as JSON writes it, but without surrogate pairs and with DEL escaped."""
    return json.dumps(word, ensure_ascii=False).replace("\x7f", "\\u007f")


def _session_text(session: Session) -> str:
    said = (
        f"effective_from = {session.effective_from}, open = {_clock(session.open_s)}, close = {_clock(session.close_s)}"
    )
    if session.winter_close_s is not None:
        said += f", close_us_winter = {_clock(session.winter_close_s)}"
    if session.auction_open_s is not None and session.auction_close_s is not None:
        said += f", auction_open = {_clock(session.auction_open_s)}, auction_close = {_clock(session.auction_close_s)}"
    return said


def _day_text(day: date, entry: DayEntry) -> str:
    said = [f"date = {day}"]
    if entry.kind != "mock":
        said.append(f"name = {_quoted(entry.name)}")
    if entry.kind == "special" and entry.hours_s is None:
        said.append('windows = "unknown"')
    elif entry.kind == "special" and entry.hours_s is not None:
        windows = ", ".join(f"{{ open = {_clock(a)}, close = {_clock(b)} }}" for a, b in entry.hours_s)
        said.append(f"windows = [{windows}]")
    if entry.source:
        said.append(f"source = {_quoted(entry.source)}")
    return ", ".join(said)


def _clock(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
