"""A calendar's text, whole: every word of it read into its part, the part written as text, and what is said of a wrong one."""

from __future__ import annotations

from datetime import date

import pytest

from riskguard import data
from riskguard.core.calendar import Calendar, CalendarError, DayEntry, Session
from riskguard.core.calendar_text import Part, read, render

TEXT = """
segments = ["A", "B"]
complete_from = 2026-01-01
complete_until = 2026-06-30
complete = [
    { from = 2026-07-01, until = 2026-12-31 },
    { segments = ["C"], from = 2025-05-05, until = 2025-05-05 },
    { segments = ["C"], from = 2025-05-07, until = 2025-05-08 },
]
sessions = [
    { effective_from = 2026-01-01, open = 09:15:00, close = 15:30:00, auction_open = 15:15:00, auction_close = 15:35:01 },
    { segments = ["C"], effective_from = 2025-01-01, open = 09:00:00, close = 23:30:00, close_us_winter = 23:55:59, source = "x" },
    { segments = ["B"], effective_from = 2026-02-01, open = 09:15:00, close = 15:40:00 },
]
holidays = [
    { date = 2026-01-26, name = "Republic \\"Day\\"", source = "circular 1" },
    { segments = ["C"], date = 2026-01-27, name = "other" },
    { date = 2026-11-08, name = "Diwali" },
]
specials = [
    { segments = ["A"], date = 2026-11-08, name = "Muhurat", windows = "unknown" },
    { segments = ["B"], date = 2026-02-01, name = "Two", source = "circular 2", windows = [
        { open = 09:15:00, close = 10:00:00 }, { open = 10:00:00, close = 12:30:00 },
    ] },
]
mocks = [{ date = 2026-02-07 }, { segments = ["C"], date = 2026-02-08, source = "circular 3" }]
"""
H = 3600
ORDINARY = Session(date(2026, 1, 1), 9 * H + 900, 15 * H + 1800, 15 * H + 900, 15 * H + 2101, None)
DIWALI = DayEntry("holiday", "Diwali", (), "")
REPUBLIC = DayEntry("holiday", 'Republic "Day"', (), "circular 1")
PART = Part(
    ("A", "B"),
    {
        ("A", date(2026, 1, 1)): ORDINARY,
        ("B", date(2026, 1, 1)): ORDINARY,
        ("C", date(2025, 1, 1)): Session(date(2025, 1, 1), 9 * H, 23 * H + 1800, None, None, 24 * H - 241),
        ("B", date(2026, 2, 1)): Session(date(2026, 2, 1), 9 * H + 900, 15 * H + 2400, None, None, None),
    },
    {
        ("A", date(2026, 1, 26)): REPUBLIC,
        ("B", date(2026, 1, 26)): REPUBLIC,
        ("C", date(2026, 1, 27)): DayEntry("holiday", "other", (), ""),
        ("A", date(2026, 11, 8)): DayEntry("special", "Muhurat", None, ""),
        ("B", date(2026, 11, 8)): DIWALI,
        ("B", date(2026, 2, 1)): DayEntry(
            "special", "Two", ((9 * H + 900, 10 * H), (10 * H, 12 * H + 1800)), "circular 2"
        ),
        ("A", date(2026, 2, 7)): DayEntry("mock", "mock session", (), ""),
        ("B", date(2026, 2, 7)): DayEntry("mock", "mock session", (), ""),
        ("C", date(2026, 2, 8)): DayEntry("mock", "mock session", (), "circular 3"),
    },
    {
        "A": ((date(2026, 1, 1), date(2026, 12, 31)),),
        "B": ((date(2026, 1, 1), date(2026, 12, 31)),),
        "C": ((date(2025, 5, 5), date(2025, 5, 5)), (date(2025, 5, 7), date(2025, 5, 8))),
    },
)
AUCTION = "auction_open = 15:15:00, auction_close = 15:35:01"
TWO = "{ open = 09:15:00, close = 10:00:00 }, { open = 10:00:00, close = 12:30:00 }"
WRITTEN = f"""\
# Days of one's own
#
# and more
segments = ["A", "B"]

complete = [
    {{ segments = ["C"], from = 2025-05-05, until = 2025-05-05 }},
    {{ segments = ["C"], from = 2025-05-07, until = 2025-05-08 }},
    {{ segments = ["A", "B"], from = 2026-01-01, until = 2026-12-31 }},
]

sessions = [
    {{ segments = ["C"], effective_from = 2025-01-01, open = 09:00:00, close = 23:30:00, close_us_winter = 23:55:59 }},
    {{ segments = ["A", "B"], effective_from = 2026-01-01, open = 09:15:00, close = 15:30:00, {AUCTION} }},
    {{ segments = ["B"], effective_from = 2026-02-01, open = 09:15:00, close = 15:40:00 }},
]

holidays = [
    {{ segments = ["A", "B"], date = 2026-01-26, name = "Republic \\"Day\\"", source = "circular 1" }},
    {{ segments = ["C"], date = 2026-01-27, name = "other" }},
    {{ segments = ["B"], date = 2026-11-08, name = "Diwali" }},
]

specials = [
    {{ segments = ["B"], date = 2026-02-01, name = "Two", windows = [{TWO}], source = "circular 2" }},
    {{ segments = ["A"], date = 2026-11-08, name = "Muhurat", windows = "unknown" }},
]

mocks = [
    {{ segments = ["A", "B"], date = 2026-02-07 }},
    {{ segments = ["C"], date = 2026-02-08, source = "circular 3" }},
]
"""


def test_every_word_of_a_text_is_read() -> None:
    """Its own segments, hours with auction and winter close, days of three kinds with their source, and what is complete."""
    assert read(TEXT) == PART
    assert read('segments = ["A"]') == Part(("A",))


def test_a_part_is_written_so_that_people_can_read_it_and_reads_back() -> None:
    """In order of date, with segments of the same said together; without a heading there is none."""
    assert render(PART, "Days of one's own\n\nand more") == WRITTEN
    assert render(PART) == WRITTEN.split("more\n", 1)[1]
    assert read(WRITTEN) == PART
    assert render(Part(("A",))) == 'segments = ["A"]\n'
    shipped = read(data.calendar_text())
    assert read(render(shipped)) == shipped


def test_what_differs_on_one_date_is_sorted_by_what_it_says() -> None:
    """Whatever segment it is of: two people who write the same calendar write the same text."""
    day = date(2026, 1, 26)
    entries = {(name[0], day): DayEntry("holiday", name[1], (), "") for name in ("Ab", "Ba", "Cb")}
    said = render(Part(("A",), {}, entries, {}))
    assert said.endswith(
        'holidays = [\n    { segments = ["B"], date = 2026-01-26, name = "a" },\n'
        '    { segments = ["A", "C"], date = 2026-01-26, name = "b" },\n]\n'
    )


def test_a_name_of_any_letters_is_written_so_that_it_reads_back() -> None:
    """TOML knows no surrogate pairs, and no DEL."""
    part = Part(("A",), {}, {("A", date(2026, 1, 1)): DayEntry("holiday", 'दिवाली 🎆 "x" \\ \x7f\n', (), "ü")}, {})
    assert read(render(part)) == part
    assert 'name = "दिवाली 🎆 \\"x\\" \\\\ \\u007f\\n", source = "ü"' in render(part)


SESSION = "effective_from = 2026-01-01, open = 09:15:00, close = 15:30:00"
WHERE = "`{}` entry 2: "
ONLY = "unknown key `wrong`; known are "
TIME, DATE = "must be a time of day like 09:15:00", "must be a date like 2026-08-03"
SEGMENTS, NO_TEXT = "`segments` must be a list of segment names", "must be text"
SAID = [
    ("wrong = 1", "calendar: " + ONLY + "complete, complete_from, complete_until, holidays, mocks, segments, sessions, specials"),
    ("segments = [1]", "calendar: " + SEGMENTS),
    ("segments = ['']", "calendar: " + SEGMENTS),
    ("complete_from = 2026-01-01", "calendar: `complete_until` " + DATE),
    ("complete_until = 2026-01-01", "calendar: `complete_from` " + DATE),
    ("complete_from = 2026-01-02\ncomplete_until = 2026-01-01",
     "calendar: `complete_from` 2026-01-02 is after `complete_until` 2026-01-01"),
    ("complete = 1", "`complete` must be a list of tables"),
    ("complete = [1]", "`complete` entry 1 must be a table"),
    *(("complete", row, said) for row, said in (
        ("from = 2026-01-02, until = 2026-01-02, wrong = 1", ONLY + "from, segments, until"),
        ("from = 2026-01-02, until = 2026-01-01", "`from` 2026-01-02 is after `until` 2026-01-01"),
        ("until = 2026-01-01", "`from` " + DATE), ("from = 2026-01-01", "`until` " + DATE),
        ("from = 2026-01-01, until = 2026-01-01, segments = []", SEGMENTS),
    )),
    *(("sessions", row, said) for row, said in (
        (f"{SESSION}, wrong = 1",
         ONLY + "auction_close, auction_open, close, close_us_winter, effective_from, open, segments, source"),
        (f"{SESSION}, segments = 'A'", SEGMENTS), (SESSION, "`A` 2026-01-01 is listed twice"),
        (SESSION.replace("2026-01-01", "1"), "`effective_from` " + DATE), (SESSION.replace("09:15:00", "1"), "`open` " + TIME),
        (SESSION.replace("15:30:00", "1"), "`close` " + TIME), (SESSION.replace("15:30:00", "15:30:00.5"), "`close` " + TIME),
        (SESSION.replace("15:30:00", "09:15:00"), "`open` is not before `close`"),
        (f"{SESSION}, close_us_winter = 1", "`close_us_winter` " + TIME),
        (f"{SESSION}, close_us_winter = 09:15:00", "`open` is not before `close_us_winter`"),
        (f"{SESSION}, auction_open = 1", "`auction_open` " + TIME), (f"{SESSION}, auction_close = 1", "`auction_close` " + TIME),
        (f"{SESSION}, auction_close = 10:00:00", "an auction needs `auction_open` and `auction_close`"),
        (f"{SESSION}, auction_open = 10:00:00, auction_close = 10:00:00", "`auction_open` is not before `auction_close`"),
    )),
    *(("holidays", row, said) for row, said in (
        ("date = 2026-01-03, name = 'x', wrong = 1", ONLY + "date, name, segments, source"),
        ("date = 2026-01-03, name = 1", "`name` " + NO_TEXT), ("date = 2026-01-03, name = 'x', source = 1", "`source` " + NO_TEXT),
        ("date = 2026-01-03, name = 'x', source = ''", "`source` " + NO_TEXT), ("date = 1, name = 'x'", "`date` " + DATE),
        ("date = 2026-01-03, name = 'x', segments = [1]", SEGMENTS),
        ("date = 2026-01-01, name = 'y'", "`A` 2026-01-01 is listed twice"),
    )),
    *(("specials", row, said) for row, said in (
        ("date = 2026-01-03, name = 'x', windows = 'unknown', wrong = 1", ONLY + "date, name, segments, source, windows"),
        ("date = 2026-01-03, windows = 'unknown'", "`name` " + NO_TEXT),
        ("date = 1, name = 'x', windows = 'unknown'", "`date` " + DATE),
        ("date = 2026-01-03, name = 'x'", "`windows` must be a list of open and close, or \"unknown\""),
        ("date = 2026-01-03, name = 'x', windows = [1]", "a window must be a table with `open` and `close`"),
        ("date = 2026-01-03, name = 'x', windows = [{ wrong = 1 }]", ONLY + "close, open"),
        ("date = 2026-01-03, name = 'x', windows = [{ open = 1 }]", "`open` " + TIME),
        ("date = 2026-01-03, name = 'x', windows = [{ open = 09:00:00 }]", "`close` " + TIME),
        ("date = 2026-01-03, name = 'x', windows = [{ open = 09:00:00, close = 09:00:00 }]",
         "windows must be in order of time and not overlap"),
        ("date = 2026-01-03, name = 'x', windows = 'unknown', source = 1", "`source` " + NO_TEXT),
        ("date = 2026-01-03, name = 'x', windows = 'unknown', segments = {}", SEGMENTS),
        ("date = 2026-01-01, name = 'y', windows = 'unknown'", "`A` 2026-01-01 is listed twice"),
    )),
    *(("mocks", row, said) for row, said in (
        ("date = 2026-01-03, wrong = 1", ONLY + "date, segments, source"), ("date = 1", "`date` " + DATE),
        ("date = 2026-01-03, source = 1", "`source` " + NO_TEXT), ("date = 2026-01-03, segments = [1]", SEGMENTS),
        ("date = 2026-01-01", "`A` 2026-01-01 is listed twice"),
    )),
]  # fmt: skip
FIRST = {
    "complete": "from = 2020-01-01, until = 2020-01-01", "sessions": SESSION, "holidays": "date = 2026-01-01, name = 'x'",
    "specials": "date = 2026-01-01, name = 'x', windows = 'unknown'", "mocks": "date = 2026-01-01",
}  # fmt: skip


@pytest.mark.parametrize("case", SAID, ids=str)
def test_what_is_wrong_is_said_with_its_place(case: tuple[str, ...]) -> None:
    """The list and the number of the entry, the key, and what would be right; the first entry alone is taken."""
    if len(case) == 2:
        text, said = ("" if "segments" in case[0] else 'segments = ["A"]\n') + case[0], case[1]
    else:
        title, row, end = case
        first = f'segments = ["A"]\n{title} = [{{ {FIRST[title]} }}'
        assert read(first + "]")
        text, said = f"{first}, {{ {row} }}]", WHERE.format(title) + end
    with pytest.raises(CalendarError) as caught:
        read(text)
    assert str(caught.value) == said


def test_times_that_touch_are_in_order() -> None:
    """A window may open when the one before it closes; a stretch of one day is one."""
    windows = "[{ open = 09:00:00, close = 10:00:00 }, { open = 10:00:00, close = 11:00:00 }]"
    made = read(f'segments = ["A"]\nspecials = [{{ date = 2026-01-03, name = "x", windows = {windows} }}]')
    assert made.days["A", date(2026, 1, 3)].hours_s == ((9 * H, 10 * H), (10 * H, 11 * H))


def test_several_texts_are_one_calendar() -> None:
    """Hours of each segment oldest first, whatever text they stand in; stretches that touch are one, those a day apart are two."""
    texts = [
        f'segments = ["A"]\ncomplete = [{{ from = {first}, until = {last} }}]\n'
        f"sessions = [{{ effective_from = {first}, open = 09:00:00, close = {hour}:00:00 }}]"
        for first, last, hour in (
            ("2026-03-01", "2026-03-31", 12), ("2026-01-01", "2026-02-28", 11), ("2026-04-02", "2026-04-30", 13),
        )
    ]  # fmt: skip
    made = Calendar.parse(*texts)
    assert made.spans("A") == ((date(2026, 1, 1), date(2026, 3, 31)), (date(2026, 4, 2), date(2026, 4, 30)))
    assert made.spans("B") == () and made.horizon("B") == date.min
    closes = [made.windows("A", date(2026, month, 5))[0].close_us // 3_600_000_000 % 24 for month in (2, 3, 5)]
    assert closes == [5, 6, 7], "11, 12 and 13 o'clock in India, on the half hour UTC"
    with pytest.raises(CalendarError) as caught:
        Calendar.parse()
    assert str(caught.value) == "no calendar text given"
