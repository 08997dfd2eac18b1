"""
The day and the hours are India's, whatever zone the host keeps: the same instants under six of them.

Zones with daylight saving, with a change of half an hour, with a quarter of an hour, and a day ahead. Time is frozen at
the one place that asks for it, and the host's zone is really set.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone

import pytest
from freezegun import freeze_time

from riskguard import data
from riskguard.clock import SystemClock
from riskguard.core.calendar import Calendar
from riskguard.store import loader
from tests.core.tables import Row, table

IST = timezone(timedelta(hours=5, minutes=30))
SHIPPED = Calendar.parse(*data.calendar_texts())
ZONES = (
    "UTC", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Kiritimati",
)  # fmt: skip

SCENARIOS = table("""
    ist                         segment       open  why
    2026-06-03 23:59:59.999999  NSE_EQ        no    the last microsecond of a day
    2026-06-04 00:00:00         NSE_EQ        no    midnight in India, 18:30 UTC
    2026-06-04 00:00:00.000001  MCX_COMM      no    just after
    2026-06-04 05:29:59.999999  NSE_EQ        no    just before midnight UTC
    2026-06-04 05:30:00         NSE_EQ        no    midnight UTC
    2026-06-04 09:14:59.999999  NSE_EQ        no    before the open
    2026-06-04 09:15:00         NSE_EQ        yes   the open
    2026-06-04 15:14:59.999999  NSE_EQ        yes   15:15 before August
    2026-06-04 15:15:00         NSE_EQ        yes   15:15 before August
    2026-06-04 15:29:59.999999  NSE_FNO       yes   15:30 before August
    2026-06-04 15:30:00         NSE_FNO       no    15:30 before August
    2026-08-03 15:14:59.999999  NSE_EQ        yes   before the auction
    2026-08-03 15:15:00         NSE_EQ        yes   shares without derivatives trade on
    2026-08-03 15:29:59.999999  NSE_EQ        yes   until 15:30
    2026-08-03 15:30:00         NSE_EQ        no    until 15:30
    2026-08-03 15:34:59.999999  NSE_EQ        no    the auction is not continuous
    2026-08-03 15:35:00         NSE_EQ        no    the auction is over
    2026-08-03 15:30:00         NSE_FNO       yes   derivatives trade on
    2026-08-03 15:39:59.999999  NSE_FNO       yes   until 15:40
    2026-08-03 15:40:00         NSE_FNO       no    until 15:40
    2026-08-03 15:39:59.999999  BSE_FNO       yes   until 15:40
    2026-08-03 15:40:00         BSE_FNO       no    until 15:40
    2024-11-01 12:00:00         NSE_EQ        no    Diwali by day
    2024-11-01 17:59:59.999999  NSE_EQ        no    before muhurat
    2024-11-01 18:00:00         NSE_EQ        yes   muhurat evening
    2024-11-01 18:59:59.999999  NSE_FNO       yes   muhurat evening
    2024-11-01 19:00:00         NSE_FNO       no    muhurat is over
    2023-11-12 18:15:00         NSE_EQ        yes   muhurat on a Sunday
    2025-10-21 14:44:59         NSE_EQ        yes   muhurat in the afternoon
    2026-01-31 12:00:00         NSE_EQ        no    the Saturday before the budget
    2026-02-01 09:15:00         NSE_EQ        yes   the Sunday of the budget
    2026-02-01 15:29:59.999999  NSE_FNO       yes   the Sunday of the budget
    2026-02-01 15:30:00         NSE_FNO       no    the Sunday of the budget
    2026-01-15 12:00:00         NSE_EQ        no    declared at short notice
    2026-01-15 12:00:00         MCX_COMM      no    the morning of that day
    2026-01-15 20:00:00         MCX_COMM      yes   its evening
    2024-05-18 09:59:59.999999  NSE_EQ        yes   drill Saturday
    2024-05-18 10:00:00         NSE_EQ        no    between its windows
    2024-05-18 11:30:00         NSE_EQ        yes   its second window
    2026-12-05 11:00:00         NSE_EQ        no    mock session
    2026-03-08 12:29:59.999999  NSE_EQ        no    New York changes to summer, a Sunday in India
    2026-03-06 23:30:00         MCX_COMM      yes   the last Friday before
    2026-03-09 23:30:00         MCX_COMM      no    the first Monday after
    2026-11-01 11:30:00         MCX_COMM      no    New York changes back, a Sunday
    2026-10-30 23:30:00         MCX_COMM      no    the last Friday before
    2026-11-02 23:30:00         MCX_COMM      yes   the first Monday after
    2026-03-29 06:30:00         NSE_EQ        no    Europe changes to summer
    2026-03-30 09:15:00         NSE_EQ        yes   the Monday after
    2026-10-25 06:30:00         NSE_EQ        no    Europe changes back
    2026-10-26 09:14:59.999999  NSE_EQ        no    the Monday after
    2026-04-04 20:30:00         MCX_COMM      no    Lord Howe changes by half an hour
    2026-10-03 21:00:00         MCX_COMM      no    and back
    2026-12-31 15:39:59         NSE_FNO       yes   the last known day
    2026-12-31 23:59:59.999999  MCX_COMM      no    the year ends in India
    2027-01-01 00:00:00         MCX_COMM      no    and begins
    2027-01-01 10:00:00         NSE_EQ        yes   past the horizon: watch
    2027-01-02 10:00:00         NSE_EQ        yes   a Saturday past the horizon: watch
    2024-02-29 09:15:00         NSE_EQ        yes   leap day
    2026-06-04 17:00:00         NSE_CURRENCY  no    currency closes
    2026-06-04 23:30:00         MCX_COMM      no    commodities close
    2016-12-31 05:29:60         NSE_EQ        yes   a leap second, smeared; hours of that year are not known: watch
""")


@pytest.fixture(params=ZONES)
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The host's own time zone."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def moment(row: Row) -> datetime:
    """Return the instant; the sixtieth second is the next minute's first, as smeared clocks tell it."""
    text, leap = row.ist.replace(":60", ":59"), row.ist.endswith(":60")
    return datetime.fromisoformat(text).replace(tzinfo=IST) + timedelta(seconds=leap)


def test_there_are_sixty_of_them() -> None:
    """A table that lost its rows would pass for nothing."""
    assert len(SCENARIOS) >= 60 and len(ZONES) == 6


def test_the_host_zone_is_really_set(zone: str) -> None:
    """The negative control: the local date does differ from India's under all of them at some hour."""
    quarters = [1_780_500_600 + n * 900 for n in range(96)]
    days = [datetime.fromtimestamp(each).date() for each in quarters]  # noqa: DTZ006 - the host's zone is the point
    india = [datetime.fromtimestamp(each, IST).date() for each in quarters]

    assert days != india


def test_day_and_hours_are_those_of_india(zone: str) -> None:
    """Under a frozen clock and the host's zone, every scenario gives the date and the state the table says."""
    with freeze_time("2026-01-01") as frozen:
        for row in SCENARIOS:
            at = moment(row)
            frozen.move_to(at)
            now_us = SystemClock().now_us()

            expected = (at + timedelta(microseconds=1) - timedelta(microseconds=1)).astimezone(IST).date()
            assert SHIPPED.session_date(now_us) == expected, row
            assert loader.session_date(now_us) == expected.isoformat(), row
            assert SHIPPED.is_open(row.segment, now_us) == row.has("open"), row


AUCTION = table("""
    ist                         auction
    2026-07-31 15:20:00         no
    2026-08-03 15:14:59.999999  no
    2026-08-03 15:15:00         yes
    2026-08-03 15:34:59.999999  yes
    2026-08-03 15:35:00         no
    2026-09-14 15:20:00         no
""")


def test_the_closing_auction_is_at_its_hour_in_india(zone: str) -> None:
    """15:15 to 15:35 on ordinary days from 2026-08-03, under every host's zone."""
    with freeze_time("2026-01-01") as frozen:
        for row in AUCTION:
            frozen.move_to(moment(row))
            now_us = SystemClock().now_us()
            auction = SHIPPED.closing_auction("NSE_EQ", SHIPPED.session_date(now_us))

            assert (auction is not None and auction.contains(now_us)) == row.has("auction"), row


def test_a_clock_that_is_set_an_hour_off_and_back_gives_the_same_answers(zone: str) -> None:
    """NTP corrects by an hour both ways: no memory of the wrong hour stays in the calendar."""
    right = datetime(2026, 8, 3, 9, 15, tzinfo=IST)
    for off in (timedelta(hours=-1), timedelta(hours=1)):
        with freeze_time(right + off) as frozen:
            assert SHIPPED.is_open("NSE_FNO", SystemClock().now_us()) == (off > timedelta())
            frozen.move_to(right)
            assert SHIPPED.is_open("NSE_FNO", SystemClock().now_us())
            assert SHIPPED.session_date(SystemClock().now_us()) == date(2026, 8, 3)
