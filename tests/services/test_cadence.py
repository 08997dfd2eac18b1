"""Goal: each kind of sweep as often as the settings say, slower outside session hours, never off, at once while killing."""

from __future__ import annotations

import datetime as dt

import pytest

from riskguard.core.calendar import Calendar, ist_us
from riskguard.services.settings import DatabaseSettings
from riskguard.services.sweeps.cadence import BOOK, FUNDS, HOLDINGS, LEDGER, LOSS, PROFILE, Cadence
from tests.core.tables import Row, table

CALENDAR = Calendar.parse("""
segments = ["NSE_EQ"]
complete_from = 2025-01-01
complete_until = 2025-12-31
[[sessions]]
effective_from = 2020-01-01
open = 09:15:00
close = 15:30:00
[[holidays]]
date = 2025-08-15
name = "Independence Day"
source = "test"
[[specials]]
date = 2025-02-01
name = "Budget"
windows = [{ open = 09:15:00, close = 15:30:00 }]
source = "test"
""")
KINDS = {"loss": LOSS, "book": BOOK, "funds": FUNDS, "holdings": HOLDINGS, "profile": PROFILE, "ledger": LEDGER}

HOURS = table("""
    day         at        loss  book  funds  holdings  profile  ledger
    2025-06-02  08:59:59  30    30    60     300       300      3600
    2025-06-02  09:00:00  2     10    60     300       300      3600
    2025-06-02  09:15:00  2     10    60     300       300      3600
    2025-06-02  15:59:59  2     10    60     300       300      3600
    2025-06-02  16:00:00  30    30    60     300       300      3600
    2025-06-02  23:59:59  30    30    60     300       300      3600
    2025-08-15  11:00:00  30    30    60     300       300      3600
    2025-06-07  11:00:00  30    30    60     300       300      3600
    2025-02-01  11:00:00  2     10    60     300       300      3600
    2026-03-03  11:00:00  2     10    60     300       300      3600
    2026-03-07  11:00:00  2     10    60     300       300      3600
    2026-03-07  20:00:00  30    30    60     300       300      3600
""")
"""A Monday, a holiday, a Saturday, a Saturday that trades; then a weekday and a Saturday nobody knows anything about."""


def at_us(row: Row) -> int:
    time = dt.time.fromisoformat(row.at)
    return ist_us(dt.date.fromisoformat(row.day), time.hour * 3600 + time.minute * 60 + time.second)


@pytest.mark.parametrize("row", HOURS, ids=str)
def test_slower_outside_session_hours_and_never_off(row: Row) -> None:
    """A quarter of an hour before the open to half an hour after the close it is quick; unknown days count as trading days."""
    cadence = Cadence.of(DatabaseSettings(profile="library"))
    for name, kind in KINDS.items():
        assert cadence.interval_us(kind, at_us(row), CALENDAR) == row.number(name) * 1_000_000, name


@pytest.mark.parametrize("row", HOURS, ids=str)
def test_a_market_without_hours_is_always_watched_quickly(row: Row) -> None:
    """Paper: prices move when somebody moves them."""
    assert Cadence.of(DatabaseSettings()).interval_us(LOSS, at_us(row), CALENDAR) == 2_000_000


@pytest.mark.parametrize("row", HOURS, ids=str)
def test_while_a_kill_is_carried_out_every_list_is_asked_for_every_two_seconds(row: Row) -> None:
    """Whatever the hour; what the kill does not hang on keeps its own pace."""
    cadence = Cadence.of(DatabaseSettings(profile="library"))
    for kind in (LOSS, BOOK, FUNDS):
        assert cadence.interval_us(kind, at_us(row), CALENDAR, killing=True) == 2_000_000
    assert cadence.interval_us(LEDGER, at_us(row), CALENDAR, killing=True) == 3_600_000_000


def test_the_slow_rhythm_never_reaches_into_the_open() -> None:
    """A heartbeat of the night allows three of its intervals: it must be over before the first order of the day."""
    cadence = Cadence.of(DatabaseSettings(profile="library", sweep_closed_s=300))
    open_us = ist_us(dt.date(2025, 6, 2), 9 * 3600 + 15 * 60)
    last_slow_us = max(
        open_us - back * 1_000_000
        for back in range(3_600)
        if cadence.interval_us(LOSS, open_us - back * 1_000_000, CALENDAR) > 2_000_000
    )

    assert last_slow_us + 3 * cadence.closed_us <= open_us
