"""
The calendar on a real desk: declared in the middle of a session, past its end, and under a clock that is set back.

A clock that goes backwards makes nothing young again: it approves nothing that adds risk, releases nobody, and opens no day
that was opened already.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riskguard.core.state import TradingState
from riskguard.store import calendar as own
from tests.core.tables import Row, table
from tests.core.test_calendar import at
from tests.services.desk import ACCOUNT, START, Clock, Desk, rulebook

HOURS = 'check = "trading_window"\nunknown_day = "{}"\nwindows = "session"\nsquare_off_tail_s = "none"'
FRESH = 'check = "data_freshness"\nsnapshot_age_s_max = 31536000'
"""As wide as the desk's own, over a year of jumps: what is tried here is the future, not age."""
DECLARED = 'segments = ["NSE_EQ", "NSE_FNO"]\nholidays = [{{ date = {}, name = "Declared this morning" }}]\n'


def desk_with(make_desk: Callable[..., Desk], unknown_day: str = "refuse", now_us: int = START) -> Desk:
    """A desk that keeps the exchange's hours, holding ten shares since *now_us*."""
    made = make_desk(
        text=rulebook(trading_window=HOURS.format(unknown_day), data_freshness=FRESH), clock=Clock(now_us)
    )  # fmt: skip
    made.sweep()
    return made


def codes(decision: Any) -> list[str]:
    return [each.code.value for each in decision.rejects]


def declare(home: Path, day: str) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    path = home / own.NAME
    path.write_text(DECLARED.format(day))
    return path


def test_a_holiday_declared_in_the_session_counts_at_the_next_check(make_desk: Callable[..., Desk], home: Path) -> None:
    """Two processes that have the account in memory, no head moved, no restart: both obey the file, and its withdrawal."""
    desk = desk_with(make_desk)
    guards = (desk.guard, desk.another_guard())
    assert all(guard.check(desk.order()).approved for guard in guards)

    path = declare(home, "2025-06-02")
    for guard in guards:
        refused = guard.check(desk.order())
        assert codes(refused) == ["OUTSIDE_TRADING_WINDOW"]
    path.unlink()
    assert all(guard.check(desk.order()).approved for guard in guards)


def test_a_broken_file_keeps_new_risk_out_and_lets_exits_go(make_desk: Callable[..., Desk], home: Path) -> None:
    """Nothing is known then: `unknown_day` decides on entries, an exit always passes."""
    desk = desk_with(make_desk)
    desk.hold(10, "1000")
    declare(home, "2025-06-02").write_text("segments = [")

    assert codes(desk.guard.check(desk.order())) == ["OUTSIDE_TRADING_WINDOW"]
    assert desk.guard.check(desk.order("SELL", 10)).approved


PAST = table("""
    ist                  unknown_day  buy                     sell
    2026-12-31 10:30:00  refuse       -                       -
    2027-01-04 10:30:00  refuse       OUTSIDE_TRADING_WINDOW  -
    2027-01-04 10:30:00  allow        -                       -
    2027-01-04 03:00:00  allow        -                       -
    2027-01-02 10:30:00  refuse       OUTSIDE_TRADING_WINDOW  -
    2026-12-26 10:30:00  allow        OUTSIDE_TRADING_WINDOW  OUTSIDE_TRADING_WINDOW
""")


@pytest.mark.parametrize("row", PAST, ids=str)
def test_past_the_end_the_policy_decides_on_entries_and_exits_pass(make_desk: Callable[..., Desk], row: Row) -> None:
    """A day nobody knows may be a session: the desk says whether new risk may rest on that, and no exit is shut out."""
    desk = desk_with(make_desk, row.unknown_day, at("2026-12-23 10:30"))
    desk.hold(10, "1000")
    desk.clock.at_us = at(row.ist)
    desk.sweep()

    assert codes(desk.guard.check(desk.order("SELL", 10))) == ([row.sell] if row.opt("sell") else [])
    assert codes(desk.guard.check(desk.order())) == ([row.buy] if row.opt("buy") else [])


BACK_S = (3, 3_600, 86_400, 40 * 86_400)


@pytest.mark.parametrize("seconds", BACK_S)
def test_a_clock_set_back_approves_nothing_new(make_desk: Callable[..., Desk], seconds: int) -> None:
    """What the desk knows is then from the future: entries are refused, before and after a sweep; two seconds are skew."""
    desk = desk_with(make_desk)
    assert desk.guard.check(desk.order()).approved
    desk.clock.advance(-1)
    assert desk.guard.check(desk.order()).approved

    desk.clock.advance(-seconds)
    assert "CLOCK_SKEW" in codes(desk.guard.check(desk.order()))
    desk.sweeper.sweep(now=True)
    assert "CLOCK_SKEW" in codes(desk.guard.check(desk.order()))


@pytest.mark.parametrize("seconds", BACK_S)
def test_a_clock_set_back_releases_nobody(make_desk: Callable[..., Desk], seconds: int) -> None:
    """A kill stands whatever the clock says, in every process, over sweeps, and when the clock is right again."""
    desk = desk_with(make_desk)
    desk.kill()
    for step in (-seconds, seconds, -seconds):
        desk.clock.advance(step)
        desk.sweeper.sweep(now=True)
        for guard in (desk.guard, desk.another_guard()):
            assert guard.state(ACCOUNT).state is TradingState.HALTED
            assert not guard.check(desk.order()).approved
    assert desk.flags()


@pytest.mark.parametrize("off_s", [-3_600, 3_600])
def test_an_hour_off_and_corrected_loses_and_opens_nothing(make_desk: Callable[..., Desk], off_s: int) -> None:
    """NTP sets the clock an hour either way and back: the book, its baseline and the day are what they were."""
    desk = desk_with(make_desk)
    desk.hold(10, "1000")
    before = desk.rows("SELECT session_date, at_us, source FROM day_baselines ORDER BY session_date")

    desk.clock.advance(off_s)
    desk.sweeper.sweep(now=True)
    desk.clock.advance(-off_s)
    desk.sweep()
    desk.sweep(6)

    assert desk.rows("SELECT session_date, at_us, source FROM day_baselines ORDER BY session_date") == before
    assert desk.one("SELECT count(DISTINCT session_date) FROM day_books") == 1
    assert desk.guard.check(desk.order("SELL", 10)).approved


@pytest.mark.parametrize("days", [1, 2, 7])
def test_a_clock_set_back_by_days_rolls_nothing_over(make_desk: Callable[..., Desk], days: int) -> None:
    """A day before the newest one is over: sweeps under it open no book and write no baseline."""
    desk = desk_with(make_desk)
    desk.hold(10, "1000")
    before = desk.rows("SELECT session_date FROM day_baselines")

    desk.clock.advance(-86_400 * days)
    desk.sweeper.sweep(now=True)
    desk.sweep(6)

    assert desk.rows("SELECT session_date FROM day_baselines") == before
    desk.clock.advance(86_400 * days)
    desk.sweep(6)
    assert desk.rows("SELECT session_date FROM day_baselines") == before


def test_the_next_day_does_roll_over(make_desk: Callable[..., Desk]) -> None:
    """The negative control: the same sweeps a day ahead open that day."""
    desk = desk_with(make_desk)
    desk.hold(10, "1000")
    desk.clock.advance(86_400)
    desk.sweep(6)

    assert desk.one("SELECT count(*) FROM day_baselines") == 2
