"""The close a carried line is measured from: the broker's, else the exchange's file, else the last mark of that day."""

from __future__ import annotations

import datetime as dt

from riskguard.core.calendar import Calendar
from riskguard.core.pnl import mark_e4
from riskguard.store import books, days
from riskguard.store.session import Session

LOOK_BACK_DAYS = 14


def previous_close_e4(
    session: Session, key: tuple[str, str], date: str, calendar: Calendar, listed_e4: int | None = None
) -> int | None:
    """
    Return what one unit was worth when the session before *date* closed, in 1/10000 rupee; None when nobody knows.

    The broker's own list goes first, because the broker settles by it. The exchange's file goes before a mark: it is
    the settlement itself, a mark only the last price somebody here saw. Either must be of the last day the segment
    traded: an older price would move what happened since into today.
    """
    if listed_e4 is not None and listed_e4 > 0:
        return listed_e4
    last = books.mark(session, key)
    for day in _last_days(calendar, key[0], date):
        found = days.settlement(session, key, day)
        if found is not None:
            return found[0]
        if last is not None and not last.is_indicative and Calendar.session_date(last.at_us).isoformat() == day:
            return last.ltp_e4 if last.ltp_e4 is not None else mark_e4(last, None)
    return None


def _last_days(calendar: Calendar, segment: str, date: str) -> list[str]:
    """Return the days that may have been the last before *date*, newest first: back to one that surely traded."""
    found = []
    day = dt.date.fromisoformat(date)
    for _ in range(LOOK_BACK_DAYS):
        day -= dt.timedelta(days=1)
        known = calendar.known(segment, day)
        if known and not calendar.is_trading_day(segment, day):
            continue
        found.append(day.isoformat())
        if known:
            break
    return found
