"""
The user's own calendar: merged, noticed when it changes, checked beside the shipped one, and imported without losing a word.

The lists are those the exchanges publish, as CSV; the files are real ones in the host directory of the test.
"""

from __future__ import annotations

import os
import stat
from datetime import date, timedelta
from pathlib import Path

import pytest

from riskguard.core.calendar import CalendarError, ist_us
from riskguard.core.calendar_text import read
from riskguard.errors import CalendarInvalidError
from riskguard.services.calendar import tables
from riskguard.services.calendar.importing import EQUITY, import_texts
from riskguard.services.calendar.looking import HOURS_DAYS, WARN_DAYS, days, findings
from riskguard.services.finding import Severity
from riskguard.store import calendar as own
from tests.core.test_calendar import at

LISTS = Path(__file__).parents[1] / "data" / "calendar"
NOW_US = at("2026-06-04 12:00")
DECLARED = """
segments = ["NSE_EQ", "BSE_EQ", "NSE_FNO", "BSE_FNO"]
holidays = [{ date = 2026-06-04, name = "Declared this morning" }]
"""


def put(home: Path, text: str) -> Path:
    """Write the user's file as a person with an editor would."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / own.NAME
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def said(now_us: int = NOW_US, *severities: str) -> list[str]:
    return [each.what for each in findings(now_us) if not severities or each.severity.value in severities]


# -- the merged calendar of a process --------------------------------------------------------------------------------


def test_a_changed_file_is_noticed_when_the_calendar_is_next_asked_for(home: Path) -> None:
    """Nothing, a holiday, another text of the same length, none again: each answer is that of the file as it stands."""
    assert own.calendar() is own.shipped()
    path = put(home, DECLARED)
    assert not own.calendar().is_open("NSE_EQ", NOW_US)
    assert own.calendar() is own.calendar()
    path.write_text(DECLARED.replace("06-04", "06-05"))
    assert own.calendar().is_open("NSE_EQ", NOW_US)
    path.unlink()
    assert own.calendar().is_trading_day("NSE_EQ", date(2026, 6, 5))


BROKEN = ["", "segments = [", "\xff\xfe", 'segments = ["NSE_EQ"]\nholiday = []', "x" * (own.BYTES_MAX + 1)]


@pytest.mark.parametrize("text", BROKEN, ids=["empty", "cut off", "not text", "misspelt", "too long"])
def test_a_file_that_cannot_be_used_makes_every_day_unknown(home: Path, text: str) -> None:
    """It may have opened a day the shipped list closes: no exit and no sweep may be shut out on a guess."""
    path = put(home, "")
    path.write_bytes(text.encode("latin-1"))

    assert own.calendar().is_open("NSE_EQ", at("2026-12-25 12:00"))  # Christmas
    assert not own.calendar().known("NSE_EQ", date(2026, 6, 4))
    assert [each.severity for each in findings(NOW_US)][:1] == [Severity.ERROR]
    path.write_text(DECLARED)
    assert own.calendar().known("NSE_EQ", date(2026, 6, 4))


def test_a_file_nobody_may_read_counts_as_broken_not_as_absent(home: Path) -> None:
    """A directory in its place stands for whatever keeps a process from reading it; root reads every file."""
    home.mkdir(parents=True)
    (home / own.NAME).mkdir()

    assert not own.calendar().known("NSE_EQ", date(2026, 6, 4))


# -- what `check` finds ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "severity"), [(WARN_DAYS, None), (WARN_DAYS - 1, "warning"), (0, "warning"), (-1, "error")]
)
def test_the_end_is_told_in_time(left: int, severity: str | None) -> None:
    """Silent sixty days before, a warning from then on, an error the day after; one line for all that end together."""
    today = own.shipped().complete_until - timedelta(days=left)
    found = [each for each in findings(ist_us(today, 43_200)) if "known until" in each.what]

    assert [each.severity.value for each in found] == ([] if severity is None else [severity])


@pytest.mark.parametrize(("before", "told"), [(HOURS_DAYS, False), (HOURS_DAYS - 1, True), (0, True), (-1, False)])
def test_a_day_without_hours_is_told_while_there_is_time(before: int, told: bool) -> None:
    """Muhurat 2026 was announced without hours: somebody must look them up."""
    day = date(2026, 11, 8) - timedelta(days=before)
    found = [each for each in findings(ist_us(day, 43_200)) if "the hours of" in each.what]

    assert bool(found) == told
    assert not told or "MCX_COMM" in found[0].what


def test_differences_to_the_shipped_calendar_are_told_and_are_no_fault(home: Path) -> None:
    """What closes a day, opens one, repeats one or adds one past the end: each is said as what it is."""
    put(
        home,
        """
        segments = ["NSE_EQ"]
        holidays = [
            { date = 2026-06-04, name = "Declared" },
            { date = 2026-12-25, name = "Christmas Day" },
            { date = 2027-01-26, name = "Republic Day" },
        ]
        specials = [{ date = 2026-10-02, name = "Open after all", windows = [{ open = 09:15:00, close = 15:30:00 }] }]
    """,
    )

    found = [each.what for each in findings(NOW_US)]
    assert found == [
        "2026-06-04 NSE_EQ: yours says holiday `Declared`; shipped: regular",
        "2026-10-02 NSE_EQ: yours says special day `Open after all` 09:15-15:30; shipped: holiday `Mahatma Gandhi Jayanti`",
        "1 dates of yours stand in the shipped calendar already",
    ]
    assert {each.severity for each in findings(NOW_US)} == {Severity.INFO}


def test_a_gap_a_wrong_name_and_an_open_file_are_told(home: Path) -> None:
    """A year left out between two lists, a segment no order can be of, and a file others may write."""
    path = put(
        home,
        """
        segments = ["NSE_EQ", "NSE_EQUITY"]
        complete_from = 2028-01-01
        complete_until = 2028-12-31
    """,
    )
    path.chmod(0o622)

    found = list(findings(NOW_US, ["NSE_EQ"]))
    assert [each.severity.value for each in found] == ["error", "warning", "warning"]
    assert "others may close a market" in found[0].what
    assert "`NSE_EQUITY`" in found[1].what
    assert found[2].what == "NSE_EQ is not known from 2027-01-01 to 2027-12-31"


def test_a_day_is_shown_as_people_read_it() -> None:
    """Hours in India, the auction, and what nobody knows as the whole day."""
    (friday,) = days(own.shipped(), ["NSE_EQ"], date(2026, 8, 7), date(2026, 8, 7))
    assert friday.windows == (("09:15", "15:30"),)
    assert friday.document()["closing_auction"] == ["15:15", "15:35"]

    shown = list(days(own.shipped(), ["MCX_COMM", "NSE_EQ"], date(2026, 11, 7), date(2026, 11, 8)))
    assert [(each.label, each.known, each.trading) for each in shown] == [
        ("weekend", True, False), ("weekend", True, False), ("Muhurat trading", False, True), ("Muhurat trading", False, True),
    ]  # fmt: skip
    assert shown[-1].windows == (("00:00", "24:00"),)


# -- importing -------------------------------------------------------------------------------------------------------


def text_of(name: str) -> str:
    return (LISTS / name).read_text(encoding="utf-8")


def test_the_published_lists_come_in_as_what_is_shipped() -> None:
    """The three CSV lists of NSE and BSE, read by their columns alone, say exactly what the shipped calendar says."""
    holidays = tables.read(text_of("nse_bse_trading_holidays_2023_2026.csv"), ("NSE_EQ",))
    specials = tables.read(text_of("nse_special_sessions.csv"), ("NSE_EQ",))
    mocks = tables.read(text_of("nse_mock_sessions.csv"), ("NSE_EQ",))
    shipped = own.shipped().days

    assert (len(holidays.days), len(specials.days), len(mocks.days)) == (62, 13, 18)
    for key, entry in holidays.days.items():
        assert shipped[key].kind == "special" or (shipped[key].kind, shipped[key].name) == (entry.kind, entry.name), key
    for key, entry in specials.days.items():
        assert (shipped[key].kind, shipped[key].hours_s) == (entry.kind, entry.hours_s), key
    for key in mocks.days:
        assert shipped[key].kind == "mock"


def test_an_import_adds_and_keeps_what_was(home: Path) -> None:
    """A list, another one, and the same again: added, changed, left alone; each older file is kept, all are private."""
    first = import_texts([("a.csv", "date,name\n2027-01-26,Republic Day\n")], now_us=NOW_US)
    path = home / own.NAME
    assert (first.added, first.changed, first.same, first.written, first.kept) == (4, 0, 0, True, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    before = path.read_bytes()
    second = import_texts(
        [("b.csv", "date,weekday,name\n2027-01-26,Tue,Republic Day 2\n2027-03-22,Mon,Holi\n")],
        now_us=NOW_US, complete=(date(2027, 1, 1), date(2027, 12, 31)),
    )  # fmt: skip
    assert (second.added, second.changed, second.same) == (4, 4, 0)
    assert Path(second.kept).read_bytes() == before
    assert stat.S_IMODE(Path(second.kept).stat().st_mode) == 0o600
    assert own.calendar().complete_until == date(2027, 12, 31)
    assert not own.calendar().is_trading_day("BSE_FNO", date(2027, 3, 22))
    assert own.calendar().is_trading_day("MCX_COMM", date(2027, 3, 22))

    third = import_texts([("b.csv", "date,name\n2027-03-22,Holi\n")], now_us=NOW_US)
    assert (third.added, third.changed, third.same, third.written) == (0, 0, 4, False)
    assert len(list(home.glob("calendar-*.toml"))) == 1


def test_two_imports_of_one_second_keep_two_copies(home: Path) -> None:
    """A name that is taken is never written over: it is somebody's old calendar."""
    for name in ("A", "B", "C"):
        import_texts([("x.csv", f"date,name\n2027-01-26,{name}\n")], now_us=NOW_US)

    kept = sorted(home.glob("calendar-*.toml"))
    assert [next(iter(read(each.read_text()).days.values())).name for each in kept] == ["B", "A"] or len(kept) == 2


def test_a_toml_text_brings_hours_and_segments_of_its_own(home: Path) -> None:
    """What a CSV cannot say: sessions, windows, another segment; `--segment` is for CSV alone."""
    text = """
        segments = ["MCX_COMM"]
        sessions = [{ effective_from = 2027-01-01, open = 10:00:00, close = 23:00:00, close_us_winter = 23:30:00 }]
        specials = [{ date = 2026-11-08, name = "Muhurat", windows = [{ open = 18:00:00, close = 19:15:00 }] }]
    """
    import_texts([("own.toml", text)], now_us=NOW_US, segments=("NSE_EQ",))

    assert own.calendar().is_open("MCX_COMM", at("2026-11-08 19:00"))
    assert own.calendar().known("MCX_COMM", date(2026, 11, 8))
    assert not own.calendar().known("NSE_EQ", date(2026, 11, 8))
    assert not own.calendar().is_open("MCX_COMM", at("2027-01-04 09:30"))


def test_an_import_that_only_looks_writes_nothing(home: Path) -> None:
    """The counts are those of the real one; not even the directory's content changes beside the lock."""
    looked = import_texts([("a.csv", "date,name\n2027-01-26,Republic Day\n")], now_us=NOW_US, dry_run=True)

    assert (looked.added, looked.written) == (4, False)
    assert [each.name for each in home.iterdir()] == ["calendar.toml.lock"]


WRONG = [
    ("date,name\n2027-13-01,x\n", "line 2: `date` = `2027-13-01`"),
    ("date,name\n26-01-2027,x\n", "wants YYYY-MM-DD"),
    ("date,weekday,name\n2027-01-26,Mon,x\n", "is a Tuesday"),
    ("date,name\n2027-01-26,x\n2027-01-26,y\n", "listed twice"),
    ("date,name\n2027-01-26\n", "1 cells, the heading has 2"),
    ("date,name\n2027-01-26,\n", "`name`"),
    ("date,name\n2027-01-26,a\x07b\n", "`name`"),
    ("date,name\n", "no line below"),
    ("date,date,name\n2027-01-26,2027-01-26,x\n", "none twice"),
    ('date,name\n2027-01-26,"x\n', "line"),
    ("date,kind,open_ist,close_ist\n2027-01-26,m,18:00,17:00\n", "in order of time"),
    ("date,kind,open_ist,close_ist\n2027-01-26,m,18:00,19:00\n2027-01-26,m,18:30,20:00\n", "not overlap"),
    ("date,kind,open_ist,close_ist\n2027-01-26,m,18:00,19:00\n2027-01-26,m,,\n", "with and without hours"),
    ("date,kind,open_ist,close_ist\n2027-01-26,m,6pm,19:00\n", "`open_ist`"),
    ("date,kind,open_ist,close_ist\n2027-01-26,m,18:00+05:30,19:00\n", "in India"),
    ("day,name\n2027-01-26,x\n", "not TOML"),
    ("segments = []", "`segments`"),
    ("", "`segments`"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_a_malformed_list_changes_nothing(home: Path, text: str, message: str) -> None:
    """The message names the line; the file that stood is byte for byte what it was."""
    import_texts([("good.csv", "date,name\n2027-01-26,Republic Day\n")], now_us=NOW_US)
    before = (home / own.NAME).read_bytes()

    with pytest.raises(CalendarInvalidError, match=message):
        import_texts([("bad.csv", text)], now_us=NOW_US)
    assert (home / own.NAME).read_bytes() == before
    assert not list(home.glob("calendar-*.toml")) and not list(home.glob(".*"))


def test_nothing_is_added_to_a_file_that_cannot_be_read(home: Path) -> None:
    """It might hold what nobody else knows; `replace` begins anew, and keeps it."""
    put(home, "segments = [")
    good = [("good.csv", "date,name\n2027-01-26,Republic Day\n")]
    with pytest.raises(CalendarInvalidError, match="`--replace`"):
        import_texts(good, now_us=NOW_US)

    done = import_texts(good, now_us=NOW_US, replace=True)
    assert Path(done.kept).read_text() == "segments = ["
    assert own.calendar().known("NSE_EQ", date(2026, 6, 4))


def test_an_unknown_segment_is_refused() -> None:
    """A holiday of a market that does not exist would close nothing."""
    with pytest.raises(CalendarInvalidError, match="`NSE_EQUITY`"):
        import_texts([("a.csv", "date,name\n2027-01-26,x\n")], now_us=NOW_US, segments=("NSE_EQUITY",))
    assert set(EQUITY) == own.shipped().segments


def test_a_write_that_fails_leaves_the_old_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new text is whole on disk before it takes the old one's place: a crash between shows one or the other."""
    import_texts([("good.csv", "date,name\n2027-01-26,Republic Day\n")], now_us=NOW_US)
    before = (home / own.NAME).read_bytes()

    def no_room(*_args: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", no_room)
    with pytest.raises(Exception, match="No space left"):
        import_texts([("b.csv", "date,name\n2027-03-22,Holi\n")], now_us=NOW_US)
    assert (home / own.NAME).read_bytes() == before
    assert not list(home.glob(".calendar*"))


def test_csv_is_told_from_toml_by_its_heading() -> None:
    """A first line with a column `date` is a list; anything else is read as TOML and says what is wrong with it."""
    assert tables.looks_like_csv("date,name\n")
    assert tables.looks_like_csv("\ufeffDate, Name\n")
    assert not tables.looks_like_csv('segments = ["date", "x"]')
    assert not tables.looks_like_csv("# date, name\n")
    with pytest.raises(CalendarError):
        tables.read("name\nx\n", ("NSE_EQ",))
