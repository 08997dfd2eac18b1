"""What the calendar says of a day, and what is wrong with it: its end, gaps, and the user's file beside the shipped one."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, Final

from riskguard.core.calendar import Calendar, CalendarError, DayEntry, Window, ist_us
from riskguard.core.calendar_text import Part, read
from riskguard.core.terms import Segment
from riskguard.services.finding import Finding, Severity
from riskguard.store import calendar as own

WARN_DAYS: Final = 60
"""How long before the end of what is known somebody is told: next year's list is published in December."""
HOURS_DAYS: Final = 5
"""How long before a day that trades at hours nobody told somebody is asked: exchanges tell them a week or two before."""
LISTED_MAX: Final = 20
SUBJECT: Final = "calendar"
WAY_OUT: Final = "upgrade riskguard, or `riskguard calendar import` the exchange's list with `--complete-until`"


@dataclass(frozen=True, slots=True)
class Day:
    """One segment's day as people read it; times are IST."""

    date: date
    segment: str
    label: str
    known: bool
    trading: bool
    mock: bool
    windows: tuple[tuple[str, str], ...]
    auction: tuple[str, str] | None
    source: str

    def document(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {
            "date": self.date.isoformat(), "weekday": f"{self.date:%a}", "segment": self.segment, "label": self.label,
            "known": self.known, "trading": self.trading, "mock": self.mock,
            "windows": [list(each) for each in self.windows],
            "closing_auction": None if self.auction is None else list(self.auction), "source": self.source,
        }  # fmt: skip


def days(calendar: Calendar, segments: Sequence[str], first: date, last: date) -> Iterator[Day]:
    """Yield each day from *first* to *last*, both included, of each of *segments*."""
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        day = date.fromordinal(ordinal)
        for segment in segments:
            windows = calendar.windows(segment, day)
            auction = calendar.closing_auction(segment, day)
            entry = calendar.days.get((segment, day))
            yield Day(
                day, segment, calendar.label(segment, day), calendar.known(segment, day), bool(windows),
                calendar.is_mock(segment, day), tuple(_shown(day, each) for each in windows),
                None if auction is None else _shown(day, auction), "" if entry is None else entry.source,
            )  # fmt: skip


def _shown(day: date, window: Window) -> tuple[str, str]:
    midnight_us = ist_us(day)
    return _clock((window.open_us - midnight_us) // 1_000_000), _clock((window.close_us - midnight_us) // 1_000_000)


def _clock(second: int) -> str:
    """Return a time of day; 24:00 is the end of one."""
    shown = f"{second // 3600:02}:{second // 60 % 60:02}"
    return f"{shown}:{second % 60:02}" if second % 60 else shown


def findings(now_us: int, segments: Iterable[str] | None = None) -> Iterator[Finding]:
    """
    Say what is wrong with the calendar this process would judge by; *segments* None looks at every listed one.

    An ERROR is a calendar that says less than somebody thinks it does: a file that cannot be used, an end that has
    passed. A WARNING will be one. INFO tells where the user's file and the shipped one differ.
    """
    today = Calendar.session_date(now_us)
    merged, part, wrong = _look()
    if wrong is not None:
        yield wrong
    if part is not None:
        yield from _permissions()
        yield from _names(part)
    whose = sorted(merged.listed if segments is None else segments)
    if wrong is None:
        yield from _horizons(merged, whose, today)
        yield from _gaps(merged, whose, today)
    yield from _without_hours(merged, whose, today)
    if part is not None:
        yield from _differences(part)


def _look() -> tuple[Calendar, Part | None, Finding | None]:
    """Return the calendar as a new process would read it, the user's part, and what is wrong with their file."""
    path = own.user_path()
    if path is None or not path.exists():
        return own.shipped(), None, None
    try:
        text = own.read_text(path)
        return own.with_text(text), read(text), None
    except CalendarError as e:
        said = f"`{path}`: {e}: every day counts as not known"
        return own.shipped().doubted(), None, Finding(Severity.ERROR, SUBJECT, said, "mend the file, or move it away")


def _permissions() -> Iterator[Finding]:
    path = own.user_path()
    if path is not None and path.exists():
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o022:
            said = f"`{path}` is {mode:04o}: others may close a market to you"
            yield Finding(Severity.ERROR, SUBJECT, said, f"chmod 600 '{path}'")


def _names(part: Part) -> Iterator[Finding]:
    named = {segment for segment, _ in (*part.days, *part.sessions)} | set(part.complete) | set(part.segments)
    unknown = sorted(named - set(Segment))
    if unknown:
        listed = ", ".join(f"`{each}`" for each in unknown)
        yield Finding(Severity.WARNING, SUBJECT, f"your file names {listed}, which no order can be of", "mend the name")


def _horizons(calendar: Calendar, segments: Sequence[str], today: date) -> Iterator[Finding]:
    """Warn before the last known day, once for all segments that end together; an error after it."""
    by_end: dict[date, list[str]] = {}
    for segment in segments:
        by_end.setdefault(calendar.horizon(segment), []).append(segment)
    for until, whose in sorted(by_end.items()):
        left = (until - today).days
        names = ", ".join(whose)
        if until == date.min:
            yield Finding(Severity.WARNING, SUBJECT, f"no holiday of {names} is known: every day is unknown", WAY_OUT)
        elif left < 0:
            yield Finding(Severity.ERROR, SUBJECT, f"{names} known until {until}, {-left} days ago", WAY_OUT)
        elif left < WARN_DAYS:
            yield Finding(Severity.WARNING, SUBJECT, f"{names} known until {until}, {left} days from now", WAY_OUT)


def _gaps(calendar: Calendar, segments: Sequence[str], today: date) -> Iterator[Finding]:
    for segment in segments:
        spans = calendar.spans(segment)
        for (_, last), (first, _) in pairwise(spans):
            if first > today:
                said = f"{segment} is not known from {last + timedelta(days=1)} to {first - timedelta(days=1)}"
                yield Finding(Severity.WARNING, SUBJECT, said, WAY_OUT)


def _without_hours(calendar: Calendar, segments: Sequence[str], today: date) -> Iterator[Finding]:
    """A day that trades at hours nobody has told, while there is time to ask."""
    soon: dict[tuple[date, str], list[str]] = {}
    for (segment, day), entry in calendar.days.items():
        if entry.hours_s is None and segment in segments and 0 <= (day - today).days < HOURS_DAYS:
            soon.setdefault((day, entry.name), []).append(segment)
    for (day, name), whose in sorted(soon.items()):
        said = f"{day} ({name}): the hours of {', '.join(sorted(whose))} are not known"
        yield Finding(Severity.WARNING, SUBJECT, said, "put them into your calendar when the exchange tells them")


def _differences(part: Part) -> Iterator[Finding]:
    """Say where the user's file contradicts the shipped one, and where it only repeats it."""
    shipped = own.shipped()
    differing: dict[tuple[date, str, str], list[str]] = {}
    repeated = 0
    for (segment, day), entry in sorted(part.days.items()):
        theirs = shipped.days.get((segment, day))
        if theirs is not None and (theirs.kind, theirs.hours_s) == (entry.kind, entry.hours_s):
            repeated += 1
        elif theirs is not None or shipped.known(segment, day):
            was = _said(theirs) if theirs is not None else shipped.label(segment, day)
            differing.setdefault((day, _said(entry), was), []).append(segment)
    for (day, now, was), whose in list(differing.items())[:LISTED_MAX]:
        yield Finding(Severity.INFO, SUBJECT, f"{day} {', '.join(whose)}: yours says {now}; shipped: {was}")
    if len(differing) > LISTED_MAX:
        yield Finding(Severity.INFO, SUBJECT, f"and {len(differing) - LISTED_MAX} more dates of yours differ")
    if repeated:
        yield Finding(Severity.INFO, SUBJECT, f"{repeated} dates of yours stand in the shipped calendar already")


def _said(entry: DayEntry) -> str:
    if entry.kind != "special":
        return f"{entry.kind} `{entry.name}`"
    if entry.hours_s is None:
        return f"special day `{entry.name}`, hours not known"
    return f"special day `{entry.name}` " + ", ".join(f"{_clock(a)}-{_clock(b)}" for a, b in entry.hours_s)
