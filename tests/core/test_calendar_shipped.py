"""Every shipped calendar: currency and MCX with their partial days, the New York close, and calendars as text."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskguard import data
from riskguard.core.calendar import Calendar, CalendarError, is_us_summer, joined
from riskguard.core.calendar_text import Part, read, render
from riskguard.core.terms import Segment
from tests.core.tables import Row, table
from tests.core.test_calendar import at

SHIPPED = Calendar.parse(*data.calendar_texts())

SUMMER = table("""
    day         summer  why
    2026-03-07  no      the day before
    2026-03-08  yes     second Sunday of March
    2026-10-31  yes     the day before
    2026-11-01  no      first Sunday of November
    2025-03-08  no      a Saturday
    2025-03-09  yes     second Sunday of March
    2025-11-01  yes     a Saturday
    2025-11-02  no      first Sunday of November
    2020-03-08  yes     March began on a Sunday
    2020-11-01  no      November began on a Sunday
    2027-03-13  no      the latest a second Sunday can be is the 14th
    2027-03-14  yes     that day
    2027-11-06  yes     the latest a first Sunday can be is the 7th
    2027-11-07  no      that day
""")


@pytest.mark.parametrize("row", SUMMER, ids=str)
def test_the_summer_of_new_york(row: Row) -> None:
    """MCX closes by it: from the second Sunday of March to the first of November, whatever weekday begins them."""
    assert is_us_summer(date.fromisoformat(row.day)) == row.has("summer")


HOURS = table("""
    segment       ist                         open  known  why
    MCX_COMM      2026-03-06 23:54:59.999999  yes   yes    winter in New York
    MCX_COMM      2026-03-06 23:55:00         no    yes    winter in New York
    MCX_COMM      2026-03-09 23:29:59.999999  yes   yes    summer there
    MCX_COMM      2026-03-09 23:30:00         no    yes    summer there
    MCX_COMM      2026-10-30 23:30:00         no    yes    the last Friday of summer
    MCX_COMM      2026-11-02 23:30:00         yes   yes    the first Monday of winter
    MCX_COMM      2026-06-04 08:59:59.999999  no    yes    before the open
    MCX_COMM      2026-06-04 09:00:00         yes   yes    the open
    MCX_COMM      2026-06-04 17:00:00         yes   yes    no break between the two sessions
    MCX_COMM      2026-05-28 16:59:59.999999  no    yes    partial holiday: the morning is closed
    MCX_COMM      2026-05-28 17:00:00         yes   yes    partial holiday: the evening is not
    MCX_COMM      2026-05-28 23:30:00         no    yes    partial holiday
    MCX_COMM      2026-11-24 23:54:59         yes   yes    partial holiday in winter
    MCX_COMM      2026-01-01 16:59:59         yes   yes    the other way round
    MCX_COMM      2026-01-01 17:00:00         no    yes    the other way round
    MCX_COMM      2026-04-03 20:00:00         no    yes    whole holiday
    MCX_COMM      2026-02-01 12:00:00         yes   yes    Sunday of the budget
    MCX_COMM      2026-02-01 17:00:00         no    yes    until 17:00
    MCX_COMM      2026-01-15 20:00:00         yes   yes    declared at short notice
    MCX_COMM      2026-06-06 12:00:00         no    yes    Saturday
    MCX_COMM      2025-06-04 12:00:00         yes   no     before our list
    MCX_COMM      2025-06-07 12:00:00         yes   no     a Saturday before our list: watch
    MCX_COMM      2027-01-04 12:00:00         yes   no     after our list
    NSE_CURRENCY  2026-06-04 08:59:59.999999  no    yes    before the open
    NSE_CURRENCY  2026-06-04 16:59:59.999999  yes   yes    until 17:00
    BSE_CURRENCY  2026-06-04 17:00:00         no    yes    until 17:00
    NSE_CURRENCY  2026-02-19 12:00:00         no    yes    a bank holiday closes currency
    NSE_EQ        2026-02-19 12:00:00         yes   yes    and not shares
    NSE_CURRENCY  2026-02-01 12:00:00         yes   no     nobody told: watch
    NSE_CURRENCY  2025-06-04 12:00:00         yes   no     before our list
    NSE_EQ        2026-06-04 12:00:00         yes   yes    the others did not change
    NSE_COMM      2026-06-04 12:00:00         yes   no     not listed at all
""")


@pytest.mark.parametrize("row", HOURS, ids=str)
def test_hours_of_currency_and_commodities(row: Row) -> None:
    """On both sides of every edge, and `known` wherever it is a fact."""
    moment = at(row.ist)

    assert SHIPPED.is_open(row.segment, moment) == row.has("open")
    assert SHIPPED.known(row.segment, SHIPPED.session_date(moment)) == row.has("known")


def test_what_is_looked_at_by_default_is_equity() -> None:
    """Upkeep, the session of a loosening and the horizon go by NSE and BSE; nobody waits for 23:55 without cause."""
    assert SHIPPED.segments == {"NSE_EQ", "BSE_EQ", "NSE_FNO", "BSE_FNO"}
    assert SHIPPED.listed == SHIPPED.segments | {"NSE_CURRENCY", "BSE_CURRENCY", "MCX_COMM"}
    assert set(Segment) >= SHIPPED.listed
    for segment in SHIPPED.listed:
        assert SHIPPED.horizon(segment) == date(2026, 12, 31)


def test_every_listed_date_says_who_says_so_and_lies_on_a_day_it_changes() -> None:
    """No holiday on a weekend, no special day without a source; partial days of MCX fit its hours."""
    for (segment, day), entry in SHIPPED.days.items():
        if entry.kind == "holiday":
            assert day.weekday() < 5, (segment, day)
        else:
            assert entry.source, (segment, day)
    for (segment, day), entry in SHIPPED.days.items():
        if segment == "MCX_COMM" and entry.hours_s and "evening" in entry.name:
            close_s = 23 * 3600 + (30 if is_us_summer(day) else 55) * 60
            assert entry.hours_s == ((17 * 3600, close_s),), day


def test_a_doubted_calendar_keeps_its_hours_and_knows_no_day() -> None:
    """Holidays trade again, weekends too: it may have been the file that cannot be read which said otherwise."""
    doubted = SHIPPED.doubted()

    assert not doubted.known("NSE_EQ", date(2026, 6, 4))
    assert doubted.is_open("NSE_EQ", at("2026-12-25 12:00"))
    assert doubted.is_open("NSE_EQ", at("2026-06-06 12:00"))
    assert not doubted.is_open("NSE_EQ", at("2026-06-04 15:30"))
    assert not doubted.is_mock("NSE_EQ", date(2026, 12, 5))
    assert doubted.complete_until == date.min
    assert doubted.segments == SHIPPED.segments


def test_stretches_that_touch_are_one() -> None:
    """Next year's list lengthens this year's; one with a gap between stands apart."""
    year = [(date(n, 1, 1), date(n, 12, 31)) for n in (2026, 2027, 2029)]

    assert joined([year[1], year[0]]) == ((date(2026, 1, 1), date(2027, 12, 31)),)
    assert joined(year) == ((date(2026, 1, 1), date(2027, 12, 31)), year[2])
    assert joined([year[0], (date(2026, 3, 1), date(2026, 4, 1))]) == (year[0],)

    own = """
        segments = ["NSE_EQ", "BSE_EQ", "NSE_FNO", "BSE_FNO"]
        complete_from = 2027-01-01
        complete_until = 2027-12-31
    """
    longer = Calendar.parse(*data.calendar_texts(), own)
    assert longer.complete_until == date(2027, 12, 31)
    assert longer.complete_from == date(2023, 1, 1)
    assert longer.known("NSE_EQ", date(2026, 12, 31)) and longer.known("NSE_EQ", date(2027, 1, 1))
    assert not longer.is_open("NSE_EQ", at("2027-01-02 11:00"))


@pytest.mark.parametrize("text", data.calendar_texts())
def test_a_calendar_written_as_text_reads_back_the_same(text: str) -> None:
    """Nothing is lost on the way out: hours, winter closes, auctions, windows, sources, stretches."""
    part = read(text)

    assert read(render(part)) == part
    assert read(render(part, "a remark\n\nof two lines")) == part


def test_odd_words_survive_the_way_out() -> None:
    """Quotes, escapes, other scripts and control characters in a name stay what they are."""
    name = 'Holi "x" \\ \x7f\t é होली 🎉'
    part = read('segments = ["NSE_EQ"]\nholidays = []')
    part.days["NSE_EQ", date(2026, 1, 2)] = read(
        'segments = ["A"]\nholidays = [{ date = 2026-01-02, name = "x" }]'
    ).days["A", date(2026, 1, 2)]
    renamed = {key: type(entry)(entry.kind, name, entry.hours_s, name) for key, entry in part.days.items()}
    odd = Part(part.segments, days=renamed)

    assert read(render(odd)) == odd


MORE_BROKEN = [
    ("close_us_winter = 09:00:00", "`close_us_winter`"),
    ("close_us_winter = 10", "time of day"),
    ("close_usa = 10:00:00", "unknown key `close_usa`"),
]


@pytest.mark.parametrize(("field", "message"), MORE_BROKEN)
def test_a_malformed_winter_close_is_refused(field: str, message: str) -> None:
    """It may not lie before the open, nor be misspelt into nothing."""
    good = 'segments = ["A"]\nsessions = [{ effective_from = 2026-01-01, open = 09:00:00, close = 10:00:00, FIELD }]'
    read(good.replace("FIELD", "close_us_winter = 11:00:00"))

    with pytest.raises(CalendarError, match=message):
        read(good.replace("FIELD", field))


BROKEN_COMPLETE = [
    ("from = 2026-01-01", "`until`"),
    ("from = 2027-01-01, until = 2026-01-01", "is after"),
    ("from = 2026-01-01, until = 2026-02-01, name = 'x'", "unknown key `name`"),
]


@pytest.mark.parametrize(("row", "message"), BROKEN_COMPLETE)
def test_a_malformed_stretch_is_refused(row: str, message: str) -> None:
    """A stretch that ends before it begins would make every day unknown, or none."""
    with pytest.raises(CalendarError, match=message):
        read(f'segments = ["A"]\ncomplete = [{{ {row} }}]')


def test_a_text_nested_beyond_reason_is_malformed_too() -> None:
    """A parser that gives up must not take the process with it."""
    with pytest.raises(CalendarError):
        read("segments = " + "[" * 100_000)


def test_every_window_of_every_segment_lies_in_its_own_date() -> None:
    """Also those that close at 23:55 and those that are assumed: no session runs over midnight in India."""
    for segment in SHIPPED.listed:
        for n in range(2 * 366):
            day = date(2026, 1, 1) + timedelta(days=n)
            for window in SHIPPED.windows(segment, day):
                assert Calendar.session_date(window.open_us) == day
                assert Calendar.session_date(window.close_us - 1) == day


PARTS = [read(text) for text in data.calendar_texts()]
INDIA = ZoneInfo("Asia/Kolkata")


def trades_at(segment: str, moment: datetime) -> bool:
    """Decide by the time zone database and the listed rows, from the first to the last, without the code under test."""
    here = moment.astimezone(INDIA)
    day, second = here.date(), here.hour * 3600 + here.minute * 60 + here.second
    for part in PARTS:
        if (segment, day) in part.days:
            hours = part.days[segment, day].hours_s
            return hours is None or any(opens <= second < closes for opens, closes in hours)
    complete = any(a <= day <= b for part in PARTS for a, b in part.complete.get(segment, ()))
    if complete and here.weekday() >= 5:
        return False
    rows = [
        each for part in PARTS for (name, begins), each in part.sessions.items() if name == segment and begins <= day
    ]
    if not rows:
        return True
    newest = max(rows, key=lambda each: each.effective_from)
    close_s = newest.close_s
    if newest.winter_close_s is not None:
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo("America/New_York"))
        close_s = newest.close_s if noon.dst() else newest.winter_close_s
    return newest.open_s <= second < close_s


def agrees(segment: str, at_us: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)

    assert SHIPPED.session_date(at_us) == moment.astimezone(INDIA).date()
    assert SHIPPED.is_open(segment, at_us) == trades_at(segment, moment), (segment, moment)


MOMENTS = st.integers(at("2019-01-01 00:00"), at("2029-01-01 00:00"))
SEGMENTS = st.sampled_from([*sorted(SHIPPED.listed), "NSE_COMM"])


@settings(max_examples=300, deadline=None)
@given(SEGMENTS, MOMENTS)
def test_any_moment_is_decided_as_by_the_rows_alone(segment: str, at_us: int) -> None:
    """Ten years of moments, every segment: the date by the time zone database, the hours by reading the list."""
    agrees(segment, at_us)


@pytest.mark.soak
@settings(max_examples=20_000, deadline=None)
@given(SEGMENTS, MOMENTS)
def test_any_moment_is_decided_as_by_the_rows_alone_many_times(segment: str, at_us: int) -> None:
    """The same, twenty thousand times."""
    agrees(segment, at_us)


def test_every_edge_is_decided_as_by_the_rows_alone() -> None:
    """A microsecond around each opening and close of five years, in every segment."""
    for segment in sorted(SHIPPED.listed):
        for n in range(5 * 366):
            for window in SHIPPED.windows(segment, date(2023, 1, 1) + timedelta(days=n)):
                for edge_us in window:
                    agrees(segment, edge_us - 1)
                    agrees(segment, edge_us)
