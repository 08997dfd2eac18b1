"""The calendar, on both sides of every edge: date line, open, close, holidays, special days, horizon."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from riskguard import data
from riskguard.core.calendar import DAY_US, Calendar, CalendarError, Window
from riskguard.core.calendar_text import read

IST = timezone(timedelta(hours=5, minutes=30))
SHIPPED = Calendar.parse(data.calendar_text())
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(text: str, zone: timezone = IST) -> int:
    """Return `2024-05-18 09:15` in *zone* as microseconds UTC, by another road than the code under test."""
    moment = datetime.fromisoformat(text).replace(tzinfo=zone)
    return (moment - EPOCH) // timedelta(microseconds=1)


def lines(text: str) -> list[list[str]]:
    """Split a table into cells; cells are two spaces or more apart, the first line is the heading."""
    rows = [[cell.strip() for cell in row.split("  ") if cell.strip()] for row in text.strip().splitlines()]
    assert all(len(row) == len(rows[0]) for row in rows)
    return rows[1:]


def ids(row: list[str]) -> str:
    return " ".join(row)


SESSION_DATES = lines("""
    utc                         date
    2024-06-03 18:29:59.999999  2024-06-03
    2024-06-03 18:30:00         2024-06-04
    2024-06-04 00:00:00         2024-06-04
    2024-06-04 18:29:59.999999  2024-06-04
    2024-06-04 18:30:00         2024-06-05
    2024-02-28 18:30:00         2024-02-29
    2024-12-31 18:30:00         2025-01-01
    1969-12-31 18:29:59.999999  1969-12-31
    1969-12-31 18:30:00         1970-01-01
""")


@pytest.mark.parametrize("row", SESSION_DATES, ids=ids)
def test_the_date_is_the_exchanges(row: list[str]) -> None:
    """The day changes at midnight in India, 18:30 UTC, whatever the host's time zone."""
    utc, expected = row

    assert Calendar.session_date(at(utc, UTC)) == date.fromisoformat(expected)


OPEN = lines("""
    segment   ist                         open   why
    NSE_EQ    2024-06-04 09:14:59.999999  no     before the open
    NSE_EQ    2024-06-04 09:15:00         yes    the open is included
    NSE_EQ    2024-06-04 15:29:59.999999  yes    last microsecond
    NSE_EQ    2024-06-04 15:30:00         no     the close is not
    NSE_FNO   2024-06-04 15:29:59.999999  yes    derivatives closed with cash then
    NSE_FNO   2024-06-04 15:30:00         no     derivatives closed with cash then
    BSE_FNO   2024-06-04 15:30:00         no     derivatives closed with cash then
    NSE_FNO   2026-07-31 15:30:00         no     last session of the old hours
    NSE_FNO   2026-08-03 15:30:00         yes    first session of the new hours
    NSE_FNO   2026-08-03 15:39:59.999999  yes    new close
    NSE_FNO   2026-08-03 15:40:00         no     new close
    BSE_FNO   2026-08-03 15:39:59.999999  yes    new close
    BSE_FNO   2026-08-03 15:40:00         no     new close
    NSE_EQ    2026-08-03 15:29:59.999999  yes    other shares trade on
    NSE_EQ    2026-08-03 15:30:00         no     the auction is not continuous trading
    NSE_EQ    2024-06-01 11:00:00         no     Saturday
    NSE_EQ    2024-06-02 11:00:00         no     Sunday
    NSE_EQ    2024-06-17 11:00:00         no     Bakri Id
    NSE_EQ    2026-01-15 11:00:00         no     holiday declared at short notice
    NSE_EQ    2024-05-18 09:14:59.999999  no     drill Saturday
    NSE_EQ    2024-05-18 09:15:00         yes    first window
    NSE_EQ    2024-05-18 09:59:59.999999  yes    first window
    NSE_EQ    2024-05-18 10:00:00         no     between the windows
    NSE_EQ    2024-05-18 11:29:59.999999  no     between the windows
    NSE_EQ    2024-05-18 11:30:00         yes    second window
    NSE_FNO   2024-05-18 12:29:59.999999  yes    second window
    NSE_FNO   2024-05-18 12:30:00         no     after the second window
    NSE_EQ    2024-03-02 10:00:00         no     the other drill Saturday
    NSE_EQ    2024-03-02 11:30:00         yes    the other drill Saturday
    NSE_EQ    2024-01-20 15:29:59.999999  yes    Saturday in place of a holiday
    NSE_EQ    2024-01-22 11:00:00         no     that holiday
    NSE_EQ    2024-11-01 11:00:00         no     Diwali by day
    NSE_EQ    2024-11-01 17:59:59.999999  no     before muhurat
    NSE_EQ    2024-11-01 18:00:00         yes    muhurat beats the holiday
    NSE_FNO   2024-11-01 18:59:59.999999  yes    muhurat
    NSE_EQ    2024-11-01 19:00:00         no     muhurat is over
    NSE_EQ    2023-11-12 18:15:00         yes    muhurat on a Sunday
    NSE_EQ    2025-10-21 13:45:00         yes    muhurat in the afternoon
    NSE_EQ    2025-10-21 14:45:00         no     muhurat in the afternoon
    NSE_EQ    2025-02-01 09:15:00         yes    budget Saturday
    NSE_EQ    2026-02-01 09:15:00         yes    budget Sunday
    NSE_EQ    2026-02-01 15:30:00         no     budget Sunday
    NSE_EQ    2026-02-07 11:00:00         no     mock session
    NSE_EQ    2021-02-24 16:59:59.999999  yes    extended day
    NSE_EQ    2021-02-24 17:00:00         no     extended day
    NSE_EQ    2026-11-08 03:00:00         yes    muhurat, hours unknown: watch all day
    NSE_EQ    2027-01-02 11:00:00         yes    Saturday beyond the horizon: watch
    NSE_EQ    2027-01-02 03:00:00         no     but only at the known hours
    MCX_COMM  2024-06-04 23:00:00         yes    unknown segment: watch
    MCX_COMM  2024-06-02 03:00:00         yes    unknown segment: watch
""")


@pytest.mark.parametrize("row", OPEN, ids=ids)
def test_open_is_included_and_close_is_not(row: list[str]) -> None:
    """A window is [open, close); holidays, special days and hours of a date are those of the data."""
    segment, ist, expected, _ = row

    assert SHIPPED.is_open(segment, at(ist)) is (expected == "yes")
    assert (SHIPPED.window_at(segment, at(ist)) is not None) is (expected == "yes")


DAYS = lines("""
    segment   date        known  trading  label
    NSE_EQ    2022-12-30  no     yes      not known
    NSE_EQ    2022-12-31  no     yes      not known
    NSE_EQ    2023-01-01  yes    no       weekend
    NSE_EQ    2024-06-01  yes    no       weekend
    NSE_EQ    2023-01-02  yes    yes      regular
    NSE_FNO   2024-06-17  yes    no       Bakri Id
    NSE_FNO   2024-06-18  yes    yes      regular
    NSE_EQ    2024-11-01  yes    yes      Muhurat trading
    NSE_EQ    2024-05-18  yes    yes      Disaster-recovery drill, two windows
    NSE_EQ    2026-11-08  no     yes      Muhurat trading
    NSE_EQ    2026-12-05  yes    no       mock session
    NSE_EQ    2026-12-25  yes    no       Christmas
    BSE_FNO   2026-12-31  yes    yes      regular
    BSE_FNO   2027-01-01  no     yes      not known
    BSE_FNO   2027-01-03  no     yes      not known
    NSE_EQ    2020-03-23  yes    yes      Regular day before complete_from
    NSE_EQ    2020-03-24  no     yes      not known
    NSE_EQ    2021-02-24  yes    yes      NSE outage, extended day
    BSE_EQ    2021-02-24  no     yes      not known
    NSE_EQ    2019-12-31  no     yes      not known
    MCX_COMM  2024-06-04  no     yes      not known
""")


@pytest.mark.parametrize("row", DAYS, ids=ids)
def test_what_is_not_known_is_flagged_and_counts_as_a_trading_day(row: list[str]) -> None:
    """Beyond the data, and for a segment it does not list, the sweep must run and `known` must say so."""
    segment, day, known, trading, label = row

    assert SHIPPED.known(segment, date.fromisoformat(day)) is (known == "yes")
    assert SHIPPED.is_trading_day(segment, date.fromisoformat(day)) is (trading == "yes")
    assert SHIPPED.label(segment, date.fromisoformat(day)) == label


NEXT_OPEN = lines("""
    segment  ist                         opens             why
    NSE_EQ   2024-06-04 09:14:59.999999  2024-06-04 09:15  today
    NSE_EQ   2024-06-04 09:15:00         2024-06-04 09:15  now is included
    NSE_EQ   2024-06-04 09:15:00.000001  2024-06-05 09:15  while open: the next opening
    NSE_EQ   2024-06-14 15:30:00         2024-06-18 09:15  weekend and holiday
    NSE_EQ   2024-05-17 16:00:00         2024-05-18 09:15  drill Saturday
    NSE_EQ   2024-05-18 10:00:00         2024-05-18 11:30  second window
    NSE_EQ   2024-05-18 12:30:00         2024-05-21 09:15  Monday was an election
    NSE_EQ   2024-10-31 20:00:00         2024-11-01 18:00  muhurat
    NSE_EQ   2026-01-30 15:30:00         2026-02-01 09:15  budget Sunday
    NSE_EQ   2026-12-31 15:30:00         2027-01-01 09:15  assumed beyond the horizon
""")


@pytest.mark.parametrize("row", NEXT_OPEN, ids=ids)
def test_next_open(row: list[str]) -> None:
    """The first opening at or after a moment, over weekends, holidays and special days."""
    segment, ist, opens, _ = row

    assert SHIPPED.next_open_us(segment, at(ist)) == at(opens)


CLOSES = lines("""
    segment  date        auction  close
    NSE_EQ   2026-07-31  yes      15:30
    NSE_EQ   2026-08-03  yes      15:15
    NSE_EQ   2026-08-03  no       15:30
    BSE_EQ   2026-08-03  yes      15:15
    NSE_FNO  2026-08-03  yes      15:40
    NSE_FNO  2026-08-03  no       15:40
    NSE_EQ   2024-05-18  yes      12:30
    NSE_EQ   2024-11-01  no       19:00
    NSE_EQ   2026-09-14  yes      -
    NSE_EQ   2026-08-08  no       -
""")


@pytest.mark.parametrize("row", CLOSES, ids=ids)
def test_continuous_close(row: list[str]) -> None:
    """Shares with derivatives leave continuous trading at 15:15 since the closing auction exists."""
    segment, day, auction, close = row
    expected = None if close == "-" else at(f"{day} {close}")

    assert SHIPPED.continuous_close(segment, date.fromisoformat(day), auction == "yes") == expected


AUCTIONS = lines("""
    segment  date        auction
    NSE_EQ   2026-07-31  -
    NSE_EQ   2026-08-03  15:15 15:35
    BSE_EQ   2026-12-31  15:15 15:35
    NSE_FNO  2026-08-03  -
    NSE_EQ   2026-08-08  -
    NSE_EQ   2026-09-14  -
""")


@pytest.mark.parametrize("row", AUCTIONS, ids=ids)
def test_closing_auction(row: list[str]) -> None:
    """The auction is cash only, on ordinary days from 2026-08-03."""
    segment, day, auction = row
    found = SHIPPED.closing_auction(segment, date.fromisoformat(day))

    if auction == "-":
        assert found is None
    else:
        opens, closes = auction.split()
        assert found == Window(at(f"{day} {opens}"), at(f"{day} {closes}"))


def test_every_year_has_the_holidays_and_days_the_source_lists() -> None:
    """62 holidays in four years, two of them with a muhurat session; 18 mocks, none of which trades."""
    days = [date(2023, 1, 1) + timedelta(days=n) for n in range(4 * 365 + 1)]
    weekdays = [day for day in days if day.weekday() < 5]
    closed = [day for day in weekdays if not SHIPPED.is_trading_day("NSE_EQ", day)]
    mocks = [day for day in days if SHIPPED.is_mock("NSE_EQ", day)]

    assert len(closed) == 60
    assert len(mocks) == 18
    assert not any(SHIPPED.is_trading_day("NSE_EQ", day) for day in mocks)
    assert SHIPPED.complete_from == date(2023, 1, 1)
    assert SHIPPED.complete_until == date(2026, 12, 31)
    assert {"NSE_EQ", "BSE_EQ", "NSE_FNO", "BSE_FNO"} == SHIPPED.segments


def test_every_window_lies_in_its_own_date() -> None:
    """Sessions are filed under the date they happen on, four years long, in every segment."""
    for segment in SHIPPED.segments:
        for n in range(4 * 365 + 1):
            day = date(2023, 1, 1) + timedelta(days=n)
            for window in SHIPPED.windows(segment, day):
                assert window.open_us < window.close_us <= window.open_us + DAY_US
                assert Calendar.session_date(window.open_us) == day
                assert Calendar.session_date(window.close_us - 1) == day


def test_a_later_text_wins_for_its_segment_and_date() -> None:
    """A user's file declares a holiday, moves one, and brings another segment with its own horizon."""
    own = """
        segments = ["MCX_COMM"]
        complete_from = 2026-01-01
        complete_until = 2026-06-30
        sessions = [{ effective_from = 2026-01-01, open = 09:00:00, close = 23:30:00 }]
        holidays = [{ date = 2026-05-27, segments = ["NSE_EQ"], name = "Bakri Id, moved" }]
        specials = [
            { date = 2026-05-28, segments = ["NSE_EQ"], name = "Open", windows = [HOURS] },
            { date = 2026-11-08, segments = ["NSE_EQ"], name = "Muhurat trading", windows = [HOURS] },
        ]
    """.replace("HOURS", "{ open = 18:00:00, close = 19:00:00 }")
    both = Calendar.parse(data.calendar_text(), own)

    assert not both.is_trading_day("NSE_EQ", date(2026, 5, 27))
    assert both.is_trading_day("NSE_EQ", date(2026, 5, 28))
    assert both.is_trading_day("NSE_FNO", date(2026, 5, 27))
    assert not both.is_trading_day("NSE_FNO", date(2026, 5, 28))
    assert both.known("NSE_EQ", date(2026, 11, 8))
    assert not both.known("NSE_FNO", date(2026, 11, 8))
    assert both.is_open("MCX_COMM", at("2026-05-04 23:29:59"))
    assert not both.is_open("MCX_COMM", at("2026-05-04 23:30:00"))
    assert not both.known("MCX_COMM", date(2026, 7, 1))
    assert both.horizon("MCX_COMM") == date(2026, 6, 30)
    assert both.complete_until == date(2026, 12, 31)
    assert both.segments == SHIPPED.segments
    assert both.listed == SHIPPED.segments | {"MCX_COMM"}


def test_two_texts_become_one_and_the_newer_wins() -> None:
    """For the same segment and date; what each is complete for is joined, and nothing of the older is lost."""
    text = (
        "segments = ['{segment}']\ncomplete_from = {first}\ncomplete_until = {last}\n"
        "sessions = [{{ effective_from = 2026-01-01, open = 09:00:00, close = {close}:00:00 }}]\n"
        "holidays = [{{ date = {holiday}, name = '{name}' }}]"
    )
    older = read(
        text.format(segment="A", first="2026-01-01", last="2026-06-30", close=10, holiday="2026-03-03", name="x")
    )
    newer = read(
        text.format(segment="A", first="2026-07-01", last="2026-12-31", close=11, holiday="2026-03-03", name="y")
    )
    other = read(
        text.format(segment="B", first="2026-01-01", last="2026-12-31", close=12, holiday="2026-04-04", name="z")
    )
    both = older.merged(newer).merged(other)

    assert both.segments == ("A", "B")
    assert both.complete == {"A": ((date(2026, 1, 1), date(2026, 12, 31)),), "B": other.complete["B"]}
    assert {key: day.name for key, day in both.days.items()} == {
        ("A", date(2026, 3, 3)): "y", ("B", date(2026, 4, 4)): "z",
    }  # fmt: skip
    assert sorted(each.close_s for each in both.sessions.values()) == [11 * 3600, 12 * 3600]
    assert newer.merged(older).days["A", date(2026, 3, 3)].name == "x"
    assert older.complete["A"] == ((date(2026, 1, 1), date(2026, 6, 30)),), "neither is changed"


def test_a_calendar_that_never_opens_says_so() -> None:
    """The search for the next opening is bounded, and finding none is an answer."""
    closed = ", ".join(f"{{ date = {date(2026, 1, 1) + timedelta(days=n)}, name = 'x' }}" for n in range(70))
    calendar = Calendar.parse(
        f"segments = ['A']\nholidays = [{closed}]\n"
        "sessions = [{ effective_from = 2026-01-01, open = 09:00:00, close = 10:00:00 }]"
    )

    assert calendar.next_open_us("A", at("2026-01-01 00:00")) is None
    assert calendar.next_open_us("A", at("2026-03-11 00:00")) == at("2026-03-12 09:00")
    assert calendar.complete_until == date.min


GOOD = """
segments = ["A"]
complete_from = 2026-01-01
complete_until = 2026-12-31
sessions = [{ effective_from = 2026-01-01, open = 09:00:00, close = 10:00:00 }]
holidays = [{ date = 2026-01-26, name = "x" }]
specials = [{ date = 2026-02-01, name = "y", windows = [{ open = 09:00:00, close = 10:00:00 }] }]
mocks = [{ date = 2026-02-07 }]
"""

BROKEN = [
    ("segments = [", "segments = ", "not TOML"),
    ('["A"]', "[]", "`segments`"),
    ('["A"]', "[1]", "`segments`"),
    ("complete_until", "complete_untill", "unknown key `complete_untill`"),
    ("complete_from = 2026-01-01\n", "", "`complete_from`"),
    ("complete_until = 2026-12-31", "complete_until = 2025-12-31", "is after"),
    ("complete_until = 2026-12-31", "complete_until = '2026-12-31'", "must be a date"),
    ("complete_until = 2026-12-31", "complete_until = 2026-12-31T00:00:00", "must be a date"),
    ("open = 09:00:00, close = 10:00:00 }]\nh", "open = 10:00:00, close = 10:00:00 }]\nh", "not before"),
    ("open = 09:00:00, close = 10:00:00 }]\nh", "open = 9, close = 10:00:00 }]\nh", "time of day"),
    ("close = 10:00:00 }]\nh", "close = 10:00:00, auction_open = 09:30:00 }]\nh", "auction"),
    ("date = 2026-01-26, name", "date = 2026-01-26, segments = ['A', 'A'], name", "listed twice"),
    ("date = 2026-02-07", "date = 2026-02-01", "listed twice"),
    ('name = "x"', "name = ''", "`name` must be text"),
    ('name = "x"', "named = 'x'", "unknown key `named`"),
    ("windows = [{", "window = [{", "unknown key `window`"),
    ("windows = [{ open = 09:00:00, close = 10:00:00 }]", "windows = []", "`windows`"),
    ("windows = [{ open = 09:00:00, close = 10:00:00 }]", "windows = 'maybe'", "`windows`"),
    ("windows = [{ open = 09:00:00,", "windows = [{ open = 11:00:00,", "in order of time"),
    ("windows = [{", "windows = [{ open = 09:30:00, close = 10:00:00 }, {", "in order of time"),
    ("windows = [{ open = 09:00:00, close = 10:00:00 }]", "windows = [9]", "a window must be a table"),
    ("close = 10:00:00 }]\nh", "close = 10:00:00, close_us_winter = 09:00:00 }]\nh", "before `close_us_winter`"),
    (
        "close = 10:00:00 }]\nh",
        "close = 10:00:00, auction_open = 10:10:00, auction_close = 10:10:00 }]\nh",
        "`auction_open` is not before",
    ),
    ("mocks = [{ date = 2026-02-07 }]", "mocks = 7", "`mocks` must be a list of tables"),
    ("mocks = [{ date = 2026-02-07 }]", "mocks = [7]", "`mocks` entry 1 must be a table"),
]


@pytest.mark.parametrize(("old", "new", "message"), BROKEN)
def test_a_malformed_calendar_is_refused(old: str, new: str, message: str) -> None:
    """A misspelt or wrong entry stops the load; it never becomes a rule that does not exist."""
    assert old in GOOD
    Calendar.parse(GOOD)

    with pytest.raises(CalendarError, match=message):
        Calendar.parse(GOOD.replace(old, new, 1))


def test_the_edges_those_stand_on_are_taken() -> None:
    """A second of trading in winter, and of an auction, is one."""
    for more in ("close_us_winter = 09:00:01", "auction_open = 10:10:00, auction_close = 10:10:01"):
        assert Calendar.parse(GOOD.replace("close = 10:00:00 }]\nh", f"close = 10:00:00, {more} }}]\nh", 1))


def test_no_text_is_no_calendar() -> None:
    """An empty call is a mistake; an empty text is a calendar that knows nothing and says so."""
    with pytest.raises(CalendarError):
        Calendar.parse()
    with pytest.raises(CalendarError, match="`segments`"):
        Calendar.parse("")


def test_the_memo_is_bounded_and_changes_no_answer() -> None:
    """Walking through thirty years grows nothing, and a day asked again is answered alike."""
    calendar = Calendar.parse(data.calendar_text())
    before = calendar.windows("NSE_EQ", date(2024, 5, 18))
    for n in range(11_000):
        calendar.windows("NSE_EQ", date(2000, 1, 1) + timedelta(days=n))

    assert len(calendar._memo) <= 1024
    assert calendar.windows("NSE_EQ", date(2024, 5, 18)) == before


def test_a_day_asked_again_is_found_and_no_more_are_kept_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """The very same answer, without working it out; with two kept, the third begins anew."""
    monkeypatch.setattr("riskguard.core.calendar.MEMO_ENTRIES_MAX", 2)
    calendar = Calendar.parse(data.calendar_text())
    first = calendar.windows("NSE_EQ", date(2024, 6, 3))
    assert calendar.windows("NSE_EQ", date(2024, 6, 3)) is first
    kept = []
    for day in (4, 5, 6, 7):
        calendar.windows("NSE_EQ", date(2024, 6, day))
        kept.append(len(calendar._memo))
    assert kept == [2, 1, 2, 1]


def test_a_window_holds_its_open_and_not_its_close() -> None:
    """Asked of the window itself, as of the calendar."""
    window = Window(10, 20)
    assert [window.contains(at_us) for at_us in (9, 10, 19, 20)] == [False, True, True, False]


def test_what_is_doubted_keeps_its_hours_and_no_day() -> None:
    """No holiday, no special day, nothing complete; the segments are the same."""
    doubted = SHIPPED.doubted()
    assert (doubted.segments, doubted.listed, dict(doubted.days)) == (SHIPPED.segments, SHIPPED.listed, {})
    assert doubted.spans("NSE_EQ") == () and not doubted.known("NSE_EQ", date(2024, 6, 4))
    assert doubted.is_open("NSE_EQ", at("2024-06-17 11:00")) and not doubted.is_open("NSE_EQ", at("2024-06-17 08:00"))
