"""`riskguard calendar`: what it shows, what its exit status says, and that the host's zone and clock decide nothing."""

from __future__ import annotations

import glob
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.shell import COMMAND, Shell
from tests.core.test_calendar import at

ZONES = ("UTC", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Kiritimati")
MIDNIGHT_US = at("2026-06-04 00:00")
PRELOADS = (
    "/usr/lib/*/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
    "/usr/local/lib/faketime/libfaketime.so.1",
)
TOLD = """
import sys
from riskguard.clock import SystemClock
SystemClock.now_us = lambda self: {now_us}
sys.argv[1:] = {words!r}
from riskguard.cli.main import main
main()
"""


def test_a_day_is_shown(empty: Shell) -> None:
    """A holiday, a special day and what nobody knows, for people and as one document."""
    shown = empty("calendar", "show", "--date", "2026-11-24", "--segment", "MCX_COMM", "--segment", "NSE_EQ")
    assert shown.status == 0
    assert "Guru Nanak Jayanti, evening session only" in shown.out and "17:00-23:55" in shown.out
    assert "closed" in shown.out

    (day,) = empty("calendar", "show", "--date", "2026-11-08", "--segment", "NSE_EQ", "--json").document
    assert (day["label"], day["known"], day["trading"]) == ("Muhurat trading", False, True)


def test_a_month_is_shown_whole(empty: Shell) -> None:
    """Every date of it, leap day included, and no other."""
    found = empty("calendar", "show", "--month", "2024-02", "--segment", "NSE_EQ", "--json").document

    assert [each["date"] for each in found] == [f"2024-02-{n:02}" for n in range(1, 30)]


MALFORMED = [
    ("show", "--date", "2026-02-30"), ("show", "--date", "today"), ("show", "--month", "2026-13"), ("show", "--month", "0000-01"),
    ("show", "--date", "2026-01-01", "--month", "2026-01"), ("show", "--segment", "NSE"),
    ("import", "nothing.toml"), ("import", "list.csv", "--complete-from", "2027-01-01"),
    ("import", "list.csv", "--complete-from", "2027-02-01", "--complete-until", "2027-01-01"),
    ("import", "list.csv", "--segment", "NSE"), ("import", "bad.csv"),
]  # fmt: skip


@pytest.mark.parametrize("words", MALFORMED, ids=" ".join)
def test_malformed_words_are_one_line_and_two(empty: Shell, words: tuple[str, ...]) -> None:
    """No traceback, the way out named, nothing written."""
    (empty.directory / "list.csv").write_text("date,name\n2027-01-26,Republic Day\n")
    (empty.directory / "bad.csv").write_text("date,name\n2027-01-26\n")

    answer = empty("calendar", *words)
    assert answer.status == 2 and answer.is_one_line_error(), answer
    assert not (empty.home / "calendar.toml").exists()


def test_a_holiday_is_declared_and_seen(empty: Shell) -> None:
    """Imported from standard input and from a file, shown at once, checked, with statuses a script can use."""
    (empty.directory / "list.csv").write_text("date,weekday,name\n2026-06-04,Thu,Declared\n")
    done = empty("calendar", "import", "list.csv", "--json").document
    assert (done["added"], done["written"]) == (4, True)
    (day,) = empty("calendar", "show", "--date", "2026-06-04", "--segment", "BSE_FNO", "--json").document
    assert (day["label"], day["trading"]) == ("Declared", False)
    assert "as it was" in empty("calendar", "import", "list.csv").out

    checked = empty("calendar", "check", "--json")
    assert any("yours says holiday `Declared`" in each["what"] for each in checked.document["findings"])
    assert (checked.status == 1) == bool(checked.document["to_do"])

    (empty.home / "calendar.toml").write_text("segments = [")
    broken = empty("calendar", "check")
    assert broken.status == 1 and "mend the file" in broken.out
    (day,) = empty("calendar", "show", "--date", "2026-12-25", "--segment", "NSE_EQ", "--json").document
    assert (day["known"], day["trading"]) == (False, True)


# -- a real process under another zone and another time ----------------------------------------------------------------


def preload() -> str | None:
    """Return libfaketime if this machine has it."""
    found = (
        [os.environ["LIBFAKETIME"]]
        if os.environ.get("LIBFAKETIME")
        else [each for p in PRELOADS for each in glob.glob(p)]
    )
    return found[0] if found else None


def started(home: Path, zone: str, now_us: int, *words: str) -> str:
    """
    Run the installed command in a process of its own at *now_us* in *zone*; returns what it printed.

    With libfaketime the machine's own calls are told the time; without it the one place of ours that asks for it is.
    """
    environment = {**os.environ, "TZ": zone, "RISKGUARD_HOME": str(home)}
    library = preload()
    if library is not None:
        # Absolute local time of the zone would be read by it: seconds since 1970 are not.
        environment |= {
            "LD_PRELOAD": library,
            "FAKETIME_FMT": "%s",
            "FAKETIME": str(now_us // 1_000_000),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        command = [str(COMMAND), *words]
    else:
        command = [sys.executable, "-c", TOLD.format(now_us=now_us, words=list(words))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("number", "zone"), list(enumerate(ZONES)))
def test_today_is_indias_in_a_real_process(tmp_path: Path, number: int, zone: str) -> None:
    """Two seconds before midnight in India, or after it, whatever day it is where the host stands."""
    off_s, expected = ((-2, "2026-06-03"), (2, "2026-06-04"))[number % 2]
    out = started(tmp_path, zone, MIDNIGHT_US + off_s * 1_000_000, "calendar", "show", "--segment", "NSE_EQ")

    assert expected in out, (zone, out)
