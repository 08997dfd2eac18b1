"""
When an exchange trades: sessions, holidays, special days, by segment and date.

Dates are the exchange's (IST); times are integer microseconds UTC. A window is [open, close). IST is a fixed
+05:30 without daylight saving, so a date is an integer division and no time zone database is asked.

What is not known is not closed: outside the dates a calendar is complete for, and for a segment it does not
list, every day is a trading day and `known()` is False. A sweep that runs on a holiday is harmless, one that
does not run on a session is the failure; whether an order may rest on a day that is not known is the caller's
policy. Halts inside a day, pre-open and post-close sessions are no part of this, nor are contracts that close
before their segment does (agricultural ones on MCX).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final, NamedTuple

SECOND_US: Final = 1_000_000
DAY_US: Final = 86_400 * SECOND_US
IST_OFFSET_US: Final = (5 * 3600 + 30 * 60) * SECOND_US
EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
SATURDAY: Final = 5

# The longest closed stretch is about five days; anything beyond this is a calendar that never opens.
SEARCH_DAYS_MAX: Final = 62
# A check asks about today and tomorrow; the bound is for whoever walks through years.
MEMO_ENTRIES_MAX: Final = 1024

Span = tuple[date, date]
"""First and last date, both included."""
Key = tuple[str, date]
"""Segment and date."""


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
    winter_close_s: int | None = None  # instead of close_s while the United States keep standard time

    def close_on(self, day: date) -> int:
        """Return when *day* closes, seconds after midnight IST."""
        return self.close_s if self.winter_close_s is None or is_us_summer(day) else self.winter_close_s


@dataclass(frozen=True, slots=True)
class DayEntry:
    """One listed date: `holiday`, `special` or `mock`. Hours None: it trades, nobody said when."""

    kind: str
    name: str
    hours_s: tuple[tuple[int, int], ...] | None
    source: str = ""


def ist_day(now_us: int) -> int:
    """Return the proleptic ordinal of the date in India at *now_us*; fit for any sign of *now_us*."""
    return EPOCH_ORDINAL + (now_us + IST_OFFSET_US) // DAY_US


def ist_us(day: date, second: int = 0) -> int:
    """Return microseconds UTC of *second* seconds after midnight IST of *day*."""
    return (day.toordinal() - EPOCH_ORDINAL) * DAY_US - IST_OFFSET_US + second * SECOND_US


def is_us_summer(day: date) -> bool:
    """
    Say whether the United States keep daylight saving time on *day*; MCX closes with the markets it follows.

    From the second Sunday of March up to, not including, the first Sunday of November: their law since 2007. No
    session of a commodity exchange runs over the hour of the change, so the date is enough.
    """
    return _sunday(day.year, 3) + 7 <= day.toordinal() < _sunday(day.year, 11)


def _sunday(year: int, month: int) -> int:
    """Return the ordinal of the first Sunday of a month."""
    first = date(year, month, 1)
    return first.toordinal() + 6 - first.weekday()


class Calendar:
    """
    The trading days and hours of every listed segment; a value: nothing changes it after `parse`.

    The memo inside only remembers answers; equal arguments give equal answers, in any order of asking.
    """

    __slots__ = ("_complete", "_days", "_memo", "_sessions", "segments")

    def __init__(
        self,
        sessions: Mapping[str, tuple[Session, ...]],
        days: Mapping[Key, DayEntry],
        complete: Mapping[str, tuple[Span, ...]],
        segments: Iterable[str],
    ) -> None:
        """
        Keep the parsed parts; use `parse`.

        Args:
            sessions: Weekday hours by segment, the oldest first.
            days: The listed dates.
            complete: The stretches every date of which is known, by segment, apart from each other.
            segments: What is looked at where nobody names a segment.
        """
        self._sessions = dict(sessions)
        self._days = dict(days)
        self._complete = dict(complete)
        self._memo: dict[tuple[str, int], tuple[Window, ...]] = {}
        self.segments: Final = frozenset(segments)

    @classmethod
    def parse(cls, *texts: str) -> Calendar:
        """
        Read one or more calendar texts (TOML); a later one wins for the same segment and date.

        Within one text a special day beats a holiday. Dates a text is complete for are added to what earlier ones
        were; a text without them leaves completeness as it was. `segments` are those of the first text.

        Raises:
            CalendarError: Not TOML, an unknown key, a wrong type, hours that overlap or run backwards,
                a date listed twice, or no text at all.
        """
        # Imported here: a decision replayed from a stored row needs no TOML.
        from riskguard.core.calendar_text import read

        if not texts:
            raise CalendarError("no calendar text given")
        parts = [read(text) for text in texts]
        sessions: dict[Key, Session] = {}
        days: dict[Key, DayEntry] = {}
        complete: dict[str, tuple[Span, ...]] = {}
        for part in parts:
            sessions |= part.sessions
            days |= part.days
            for segment, spans in part.complete.items():
                complete[segment] = joined((*complete.get(segment, ()), *spans))
        by_segment: dict[str, tuple[Session, ...]] = {}
        for segment, effective_from in sorted(sessions):
            by_segment[segment] = (*by_segment.get(segment, ()), sessions[segment, effective_from])
        return cls(by_segment, days, complete, parts[0].segments)

    def doubted(self) -> Calendar:
        """
        Return the same hours with no day known: what is left when a text that should be read cannot be.

        It may have declared a session on what is listed as a holiday; closing that day would be the wrong guess.
        """
        return Calendar(self._sessions, {}, {}, self.segments)

    @property
    def listed(self) -> frozenset[str]:
        """Every segment with hours of its own."""
        return frozenset(self._sessions)

    @property
    def days(self) -> Mapping[Key, DayEntry]:
        """Every listed date, by segment and date."""
        return MappingProxyType(self._days)

    @property
    def complete_until(self) -> date:
        """The last date known for each of `segments`; `date.min` if one has no such date."""
        return min((self.horizon(segment) for segment in self.segments), default=date.min)

    @property
    def complete_from(self) -> date:
        """The first date known for each of `segments`; `date.max` if one has no such date."""
        spans = [self.spans(segment) for segment in self.segments]
        return max((each[0][0] if each else date.max for each in spans), default=date.max)

    def spans(self, segment: str) -> tuple[Span, ...]:
        """Return the stretches of dates that are known for *segment*, the oldest first."""
        return self._complete.get(segment, ())

    def horizon(self, segment: str) -> date:
        """Return the last date known for *segment*; `date.min` if there is none."""
        spans = self.spans(segment)
        return spans[-1][1] if spans else date.min

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
        return any(first <= day <= last for first, last in self._complete.get(segment, ()))

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
        return (Window(ist_us(day, session.open_s), ist_us(day, session.close_on(day))),)


def whole_day(day: date) -> Window:
    """Return midnight to midnight IST: what is assumed when no hours are known."""
    return Window(ist_us(day), ist_us(day) + DAY_US)


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return *spans* in order, with those that touch or overlap made one."""
    made: list[Span] = []
    for first, last in sorted(spans):
        if made and first.toordinal() <= made[-1][1].toordinal() + 1:
            made[-1] = (made[-1][0], max(made[-1][1], last))
        else:
            made.append((first, last))
    return tuple(made)
