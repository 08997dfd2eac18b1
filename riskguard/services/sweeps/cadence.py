"""
How often each kind of sweep is due: by the settings, the session's hours, and whether a kill is being carried out.

Slower outside session hours, never off. A day the calendar does not know counts as a trading day: a sweep that runs on
a holiday is harmless, one that does not run in a session is the failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from riskguard.core.calendar import Calendar
from riskguard.services.settings import DatabaseSettings

LOSS, BOOK, FUNDS, HOLDINGS, PROFILE, LEDGER = "daily_loss", "book", "funds", "holdings", "profile", "ledger"
SLOW: Final = (FUNDS, HOLDINGS, PROFILE, LEDGER)
"""What is asked seldom, one after the other, apart from what a position hangs on."""

BEFORE_US: Final = 900_000_000
"""Before the open the quick rhythm stands already: the first order of the day must find a heartbeat that is short."""
AFTER_US: Final = 1_800_000_000
"""Fills, square-offs and corrections still come after the close."""
KILL_US: Final = 2_000_000
MICROSECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Cadence:
    """Intervals in microseconds by kind; `always_open`: a market without hours (the paper one)."""

    every_us: Mapping[str, int]
    closed_us: int
    always_open: bool = False

    @classmethod
    def of(cls, settings: DatabaseSettings) -> Cadence:
        seconds = {
            LOSS: settings.sweep_interval_s,
            BOOK: settings.sweep_book_s,
            FUNDS: settings.sweep_funds_s,
            HOLDINGS: settings.sweep_holdings_s,
            PROFILE: settings.sweep_profile_s,
            LEDGER: settings.sweep_ledger_s,
        }
        every_us = {kind: each * MICROSECOND for kind, each in seconds.items()}
        return cls(every_us, settings.sweep_closed_s * MICROSECOND, settings.profile == "paper")

    def interval_us(self, kind: str, now_us: int, calendar: Calendar, *, killing: bool = False) -> int:
        """Return how far apart sweeps of *kind* are at *now_us*; all lists every two seconds while a kill is on."""
        every_us = self.every_us[kind]
        if killing and kind in (LOSS, BOOK, FUNDS):
            return min(every_us, KILL_US)
        if self.always_open or in_session(calendar, now_us):
            return every_us
        return max(every_us, self.closed_us)


def in_session(calendar: Calendar, now_us: int) -> bool:
    """Say whether any market trades, is about to, or just closed; True where its hours are not known."""
    day = Calendar.session_date(now_us)
    return any(
        window.open_us - BEFORE_US <= now_us < window.close_us + AFTER_US
        for segment in calendar.segments
        for window in calendar.windows(segment, day)
    )
