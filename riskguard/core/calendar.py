"""
When an exchange trades: sessions, holidays, special days, by segment and date.

Dates are the exchange's (IST); times are integer microseconds UTC. A window is [open, close). IST is a fixed
+05:30 without daylight saving, so a date is an integer division and no time zone database is asked.

What is not known is not closed: outside the dates a calendar is complete for, and for a segment it does not
list, every day is a trading day and `known()` is False. A sweep that runs on a holiday is harmless, one that
does not run on a session is the failure; whether an order may rest on a day that is not known is the caller's
policy. Halts inside a day, pre-open and post-close sessions are no part of this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, time
from typing import Any, Final, NamedTuple, TypeVar

SECOND_US: Final = 1_000_000
DAY_US: Final = 86_400 * SECOND_US
IST_OFFSET_US: Final = (5 * 3600 + 30 * 60) * SECOND_US
EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
SATURDAY: Final = 5

# The longest closed stretch is about five days; anything beyond this is a calendar that never opens.
SEARCH_DAYS_MAX: Final = 62
# A check asks about today and tomorrow; the bound is for whoever walks through years.
MEMO_ENTRIES_MAX: Final = 1024

TABLE_KEYS: Final = frozenset(
    ("segments", "complete_from", "complete_until", "sessions", "holidays", "specials", "mocks")
)
SESSION_KEYS: Final = frozenset(("segments", "effective_from", "open", "close", "auction_open", "auction_close"))


class CalendarError(ValueError):
    """A calendar text is malformed; the message names the entry. Nothing of the text counts."""


class Window(NamedTuple):
    """One stretch of trading: microseconds UTC, open included, close excluded."""

    open_us: int
    close_us: int

    def contains(self, now_us: int) -> bool:
        """Say whether *now_us* lies in [open, close)."""
        return self.open_us <= now_us < self.close_us


@dataclass(frozen=True, slots=True)
class Session:
    """The hours of an ordinary weekday from a date on; seconds after midnight IST."""

    effective_from: date
    open_s: int
    close_s: int
    auction_open_s: int | None
    auction_close_s: int | None


@dataclass(frozen=True, slots=True)
class DayEntry:
    """One listed date: `holiday`, `special` or `mock`. Hours None: it trades, nobody said when."""

    kind: str
    name: str
    hours_s: tuple[tuple[int, int], ...] | None


def ist_day(now_us: int) -> int:
    """Return the proleptic ordinal of the date in India at *now_us*; fit for any sign of *now_us*."""
    return EPOCH_ORDINAL + (now_us + IST_OFFSET_US) // DAY_US


def ist_us(day: date, second: int = 0) -> int:
    """Return microseconds UTC of *second* seconds after midnight IST of *day*."""
    return (day.toordinal() - EPOCH_ORDINAL) * DAY_US - IST_OFFSET_US + second * SECOND_US


class Calendar:
    """
    The trading days and hours of every listed segment; a value: nothing changes it after `parse`.

    The memo inside only remembers answers; equal arguments give equal answers, in any order of asking.
    """

    __slots__ = ("_complete", "_days", "_memo", "_sessions")

    def __init__(
        self,
        sessions: Mapping[str, tuple[Session, ...]],
        days: Mapping[tuple[str, date], DayEntry],
        complete: Mapping[str, tuple[date, date]],
    ) -> None:
        """Keep the parsed parts; use `parse`. *complete* is first and last known date by segment."""
        self._sessions = dict(sessions)
        self._days = dict(days)
        self._complete = dict(complete)
        self._memo: dict[tuple[str, int], tuple[Window, ...]] = {}

    @classmethod
    def parse(cls, *texts: str) -> Calendar:
        """
        Read one or more calendar texts (TOML); a later one wins for the same segment and date.

        Within one text a special day beats a holiday. `complete_from` and `complete_until` hold for the
        segments of their own text; a text without them leaves completeness as it was.

        Raises:
            CalendarError: Not TOML, an unknown key, a wrong type, hours that overlap or run backwards,
                a date listed twice, or no text at all.
        """
        if not texts:
            raise CalendarError("no calendar text given")
        sessions: dict[tuple[str, date], Session] = {}
        days: dict[tuple[str, date], DayEntry] = {}
        complete: dict[str, tuple[date, date]] = {}
        for text in texts:
            part = _Part.read(text)
            sessions |= part.sessions
            days |= part.days
            complete |= part.complete
        by_segment: dict[str, tuple[Session, ...]] = {}
        for segment, effective_from in sorted(sessions):
            by_segment[segment] = (*by_segment.get(segment, ()), sessions[segment, effective_from])
        return cls(by_segment, days, complete)

    @property
    def segments(self) -> frozenset[str]:
        """The segments with hours of their own."""
        return frozenset(self._sessions)

    @property
    def complete_until(self) -> date:
        """The last date known for every listed segment; `date.min` if one has no such date."""
        return min((self._complete.get(s, (date.min, date.min))[1] for s in self._sessions), default=date.min)

    @property
    def complete_from(self) -> date:
        """The first date known for every listed segment; `date.max` if one has no such date."""
        return max((self._complete.get(s, (date.max, date.max))[0] for s in self._sessions), default=date.max)

    @staticmethod
    def session_date(now_us: int) -> date:
        """Return the exchange's date (IST) at *now_us*. The day changes at 18:30 UTC."""
        return date.fromordinal(ist_day(now_us))

    def known(self, segment: str, day: date) -> bool:
        """Say whether the hours of *segment* on *day* are a fact, not an assumption."""
        entry = self._days.get((segment, day))
        if entry is not None:
            return entry.hours_s is not None
        return self._complete_on(segment, day) and self._session(segment, day) is not None

    def is_trading_day(self, segment: str, day: date) -> bool:
        """Say whether *segment* trades at all on *day*; True where that is not known."""
        return bool(self.windows(segment, day))

    def is_mock(self, segment: str, day: date) -> bool:
        """Say whether ticks of *day* come from an exchange's mock session and mean nothing."""
        entry = self._days.get((segment, day))
        return entry is not None and entry.kind == "mock"

    def label(self, segment: str, day: date) -> str:
        """Return what *day* is, in words: the holiday's or special day's name, `regular`, `weekend`, …"""
        entry = self._days.get((segment, day))
        if entry is not None:
            return entry.name
        if not self.known(segment, day):
            return "not known"
        return "weekend" if day.weekday() >= SATURDAY else "regular"

    def windows(self, segment: str, day: date) -> tuple[Window, ...]:
        """
        Return the trading windows of *day* in order of time; empty on a day without trading.

        Continuous trading only: the closing auction is `closing_auction`. Where the day is not known: the
        segment's weekday hours, or the whole day when even those are not known.
        """
        return self._on(segment, day.toordinal())

    def window_at(self, segment: str, now_us: int) -> Window | None:
        """Return the window *now_us* lies in, None outside."""
        for window in self._on(segment, ist_day(now_us)):
            if window.open_us <= now_us < window.close_us:
                return window
        return None

    def is_open(self, segment: str, now_us: int) -> bool:
        """Say whether *segment* is in a window at *now_us*: at the open yes, at the close no."""
        return self.window_at(segment, now_us) is not None

    def next_open_us(self, segment: str, now_us: int) -> int | None:
        """
        Return the first opening at or after *now_us*; None if there is none in 62 days.

        While the market is open that is the next opening, not the present one. An opening on a day that is
        not known is an assumption: ask `known()`.
        """
        today = ist_day(now_us)
        for ordinal in range(today, today + SEARCH_DAYS_MAX):
            for window in self._on(segment, ordinal):
                if window.open_us >= now_us:
                    return window.open_us
        return None

    def continuous_close(self, segment: str, day: date, auction_stock: bool) -> int | None:
        """
        Return when continuous trading ends on *day*, microseconds UTC; None on a day without trading.

        Args:
            segment: For a derivative the segment it trades in, not that of its underlying.
            day: Session date.
            auction_stock: The security is a share that takes part in the closing auction: one with
                derivatives on either exchange. Without meaning in derivatives and before the auction existed.
        """
        windows = self.windows(segment, day)
        if not windows:
            return None
        if auction_stock:
            auction = self.closing_auction(segment, day)
            if auction is not None:
                return min(auction.open_us, windows[-1].close_us)
        return windows[-1].close_us

    def closing_auction(self, segment: str, day: date) -> Window | None:
        """Return the closing auction of *day*, None where there is none; special days have none listed."""
        if (segment, day) in self._days or not self.windows(segment, day):
            return None
        session = self._session(segment, day)
        if session is None or session.auction_open_s is None or session.auction_close_s is None:
            return None
        return Window(ist_us(day, session.auction_open_s), ist_us(day, session.auction_close_s))

    def _complete_on(self, segment: str, day: date) -> bool:
        bounds = self._complete.get(segment)
        return bounds is not None and bounds[0] <= day <= bounds[1]

    def _session(self, segment: str, day: date) -> Session | None:
        """Return the newest weekday hours that hold on *day*."""
        for session in reversed(self._sessions.get(segment, ())):
            if session.effective_from <= day:
                return session
        return None

    def _on(self, segment: str, ordinal: int) -> tuple[Window, ...]:
        """Answer `windows` from the memo: a check asks for the same date all day, within microseconds."""
        key = (segment, ordinal)
        found = self._memo.get(key)
        if found is None:
            found = self._windows(segment, date.fromordinal(ordinal))
            if len(self._memo) >= MEMO_ENTRIES_MAX:
                self._memo.clear()
            self._memo[key] = found
        return found

    def _windows(self, segment: str, day: date) -> tuple[Window, ...]:
        entry = self._days.get((segment, day))
        if entry is not None:
            if entry.hours_s is None:
                return (whole_day(day),)
            return tuple(Window(ist_us(day, open_s), ist_us(day, close_s)) for open_s, close_s in entry.hours_s)
        session = self._session(segment, day)
        if session is None:
            return (whole_day(day),)
        if day.weekday() >= SATURDAY and self._complete_on(segment, day):
            return ()
        return (Window(ist_us(day, session.open_s), ist_us(day, session.close_s)),)


def whole_day(day: date) -> Window:
    """Return midnight to midnight IST: what is assumed when no hours are known."""
    return Window(ist_us(day), ist_us(day) + DAY_US)


@dataclass(frozen=True, slots=True)
class _Part:
    """What one text says."""

    sessions: dict[tuple[str, date], Session]
    days: dict[tuple[str, date], DayEntry]
    complete: dict[str, tuple[date, date]]

    @classmethod
    def read(cls, text: str) -> _Part:
        # Imported here: a decision replayed from a stored row needs no TOML.
        import tomllib

        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as e:
            raise CalendarError(f"calendar is not TOML: {e}") from e
        _only("calendar", table, TABLE_KEYS)
        default = _segments("calendar", table, ())
        sessions: dict[tuple[str, date], Session] = {}
        for where, row in _rows(table, "sessions"):
            _only(where, row, {"segments", "effective_from", "open", "close", "auction_open", "auction_close"})
            session = _session(where, row)
            for segment in _segments(where, row, default):
                _put(where, sessions, (segment, session.effective_from), session)
        return cls(sessions, _days(table, default), _complete(table, default))


_Value = TypeVar("_Value", Session, DayEntry)


def _days(table: Mapping[str, Any], default: tuple[str, ...]) -> dict[tuple[str, date], DayEntry]:
    holidays: dict[tuple[str, date], DayEntry] = {}
    for where, row in _rows(table, "holidays"):
        _only(where, row, {"segments", "date", "name", "source"})
        entry = DayEntry("holiday", _word(where, row, "name"), ())
        for segment in _segments(where, row, default):
            _put(where, holidays, (segment, _date(where, row, "date")), entry)
    others: dict[tuple[str, date], DayEntry] = {}
    for where, row in _rows(table, "specials"):
        _only(where, row, {"segments", "date", "name", "windows", "source"})
        entry = DayEntry("special", _word(where, row, "name"), _hours(where, row))
        for segment in _segments(where, row, default):
            _put(where, others, (segment, _date(where, row, "date")), entry)
    for where, row in _rows(table, "mocks"):
        _only(where, row, {"segments", "date", "source"})
        for segment in _segments(where, row, default):
            # A date that is both mock and special would be a live day whose ticks mean nothing.
            _put(where, others, (segment, _date(where, row, "date")), DayEntry("mock", "mock session", ()))
    return holidays | others


def _complete(table: Mapping[str, Any], default: tuple[str, ...]) -> dict[str, tuple[date, date]]:
    if "complete_from" not in table and "complete_until" not in table:
        return {}
    first, last = _date("calendar", table, "complete_from"), _date("calendar", table, "complete_until")
    if first > last:
        raise CalendarError(f"`complete_from` {first} is after `complete_until` {last}")
    return dict.fromkeys(default, (first, last))


def _session(where: str, row: Mapping[str, Any]) -> Session:
    open_s, close_s = _time(where, row, "open"), _time(where, row, "close")
    auction_open_s = _time(where, row, "auction_open") if "auction_open" in row else None
    auction_close_s = _time(where, row, "auction_close") if "auction_close" in row else None
    if open_s >= close_s:
        raise CalendarError(f"{where}: `open` is not before `close`")
    if (auction_open_s is None) != (auction_close_s is None):
        raise CalendarError(f"{where}: an auction needs `auction_open` and `auction_close`")
    if auction_open_s is not None and auction_close_s is not None and auction_open_s >= auction_close_s:
        raise CalendarError(f"{where}: `auction_open` is not before `auction_close`")
    return Session(_date(where, row, "effective_from"), open_s, close_s, auction_open_s, auction_close_s)


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


def _put(where: str, into: dict[tuple[str, date], _Value], key: tuple[str, date], value: _Value) -> None:
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
