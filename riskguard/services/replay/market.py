"""The day as the market showed it: its clock, its minutes, and how a minute moves."""

from __future__ import annotations

import time
from collections.abc import Iterator

from riskguard.core.instrument import Instrument
from riskguard.feeds.bars import Bar, Day

ACCOUNT = "leader"
MINUTE_US = 60_000_000
PAUSE_US = 2_000_000
STEPS = 4
STEP_US = 18_000_000
SWEPT_STEPS = (1, 3)  # after the first extreme, and at the close
SWEEP_WAIT_S = 20.0
FIRE_AGAIN_S = 0.25
KILL_SWEEPS_MAX = 25
FIRES_WAITING_MAX = 3
FIRE_EVERY_S = 3600.0
"""The replay says when a sweep is due; the interval only keeps the job in the schedule."""


class ReplayClock:
    """Wall time is the day's and moves only when told; waiting time is the machine's own."""

    def __init__(self, start_us: int) -> None:
        self._now_us = start_us

    def now_us(self) -> int:
        return self._now_us

    def elapsed_us(self) -> int:
        return time.monotonic_ns() // 1000

    def set(self, now_us: int) -> None:
        self._now_us = max(self._now_us, now_us)


def minutes(day: Day) -> Iterator[tuple[int, list[tuple[Instrument, Bar]]]]:
    """
    Yield each minute from the first trade to the last, with the bars that traded in it.

    A minute without a bar (a halt) comes with none: nothing is marked, and the marks grow old. Auction rows
    are indicative and never shown to the market.
    """
    by_minute: dict[int, list[tuple[Instrument, Bar]]] = {}
    for instrument in day.instruments:
        for bar in day.trades(instrument.underlying):
            by_minute.setdefault(bar.start_us, []).append((instrument, bar))
    for at_us in range(min(by_minute), max(by_minute) + MINUTE_US, MINUTE_US):
        yield at_us, by_minute.get(at_us, [])


def walk(bar: Bar) -> tuple[int, int, int, int]:
    """The order in which a minute visits its prices: a rising one falls first, a falling one rises first."""
    if bar.close_e4 >= bar.open_e4:
        return bar.open_e4, bar.low_e4, bar.high_e4, bar.close_e4
    return bar.open_e4, bar.high_e4, bar.low_e4, bar.close_e4
