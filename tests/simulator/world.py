"""
The world of one simulated day: files, a clock that is told the time, a guard that can die, a market and its broker.

Everything is real but time and the people: the database, the flags, the paper market in its file. They lie in memory
where the machine has a place for that; no setting of theirs is touched.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Final

from riskguard.brokers.paper import PaperBroker, PaperSettings
from riskguard.core.instrument import Instrument
from riskguard.core.money import to_e4, to_text
from riskguard.core.quote import Quote
from riskguard.feeds.bars import load_day
from riskguard.services.orders.guard import RiskGuard
from riskguard.services.sweeps.sweeper import Sweeper
from riskguard.services.wiring import open_guard, paper_path
from tests.services.desk import ACCOUNT, CALL, COVER, DAY, FUTURE, SECOND, SHARE, START, Heard, build, copy, rulebook

OPENS_US: Final = START + DAY - 75 * 60 * SECOND
"""09:15 in India, on the day after the database was made: what was carried in is found by its first sweep."""
INSTRUMENTS: Final = (SHARE, CALL, COVER, FUTURE)
FIRST_E4: Final = {SHARE.key: to_e4("100"), CALL.key: to_e4("10"), COVER.key: to_e4("6"), FUTURE.key: to_e4("100")}
TICK_E4: Final = 500
POSITION_MAX: Final = 100
REAL_DAYS: Final = (date(2020, 3, 23), date(2024, 6, 4), date(2024, 7, 16))
BUSY_MS: Final = 2_000
"""Nobody else is at the files: this is reached only where a day holds the lock on purpose."""

LIMITS: Final = {
    "net_position": f'check = "net_position"\nposition_max = "{POSITION_MAX}"\nunit = "units"',
    "order_value": 'check = "order_value"\norder_value_inr_max = "20000"',
    "daily_loss": (
        'check = "daily_loss"\ndaily_loss_inr_max = "1000"\nwarn_at_pct = [50]\nreduce_only_at_pct = 80\nat_once_pct = 150\n'
        'on_breach = "kill"\nplan = "flatten"'
    ),
    "naked_short_option": 'check = "naked_short_option"\nnaked_lots_max = "none"',
    "duplicate_order": 'check = "duplicate_order"\nwithin_s = "1"',
    "repeated_execution": 'check = "repeated_execution"\ntrip_at_fills = 40\ntrip_at_refusals = 12\nper_s = 60',
    "order_rate": (
        'check = "order_rate"\nwindows = [{ messages_max = 10, reserve = 3, per_s = 1 }, '
        "{ messages_max = 250, reserve = 100, per_s = 60 }]"
    ),
}


class VirtualClock:
    """Wall time and waiting time, both the day's own: a jump moves the first alone."""

    def __init__(self) -> None:
        self.at_us = OPENS_US
        self.waited_us = SECOND

    def now_us(self) -> int:
        return self.at_us

    def elapsed_us(self) -> int:
        return self.waited_us

    def advance(self, seconds: float) -> None:
        self.at_us += round(seconds * SECOND)
        self.waited_us += round(seconds * SECOND)

    def jump(self, seconds: float) -> None:
        """Somebody set the wall clock; no time has passed."""
        self.at_us += round(seconds * SECOND)


class Market:
    """Prices by the minute: a seeded walk, or the closes of a real day scaled to the same start."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.prices_e4 = dict(FIRST_E4)
        self._bars: list[int] = []
        if chance.random() < 0.3:
            self._bars = _closes_e4(chance.choice(REAL_DAYS))

    def move(self, minute: int) -> None:
        """Go to *minute* of the day."""
        for key, price_e4 in self.prices_e4.items():
            spread = 300 if key in (CALL.key, COVER.key) else 60  # basis points a step: options jump
            walked_e4 = price_e4 + price_e4 * self._chance.randint(-spread, spread) // 10_000
            if self._bars and key in (SHARE.key, FUTURE.key):
                walked_e4 = self._bars[min(max(0, minute), len(self._bars) - 1)]
            self.prices_e4[key] = max(TICK_E4 * 20, walked_e4 // TICK_E4 * TICK_E4)


@lru_cache(maxsize=len(REAL_DAYS))
def _closes_e4(day: date) -> list[int]:
    bars = load_day(day).trades("NIFTY")
    return [bar.close_e4 * FIRST_E4[SHARE.key] // bars[0].open_e4 for bar in bars]


class World:
    """See the module. `guard`, `broker` and `sweeper` are replaced when the process of the day dies."""

    def __init__(self, template: Path, directory: Path, chance: random.Random) -> None:
        self.directory = directory
        os.environ["RISKGUARD_HOME"] = str(directory / "home")
        self.clock = VirtualClock()
        self.market = Market(chance)
        self.alerts = Heard()
        self.path = copy(template, directory)
        shutil.copy(paper_path(template), paper_path(self.path))  # with its mode: nobody else reads it
        self.url = f"sqlite:///{self.path}"
        self.settings = PaperSettings(hang_s=0)
        self.quoted_us = 0  # the newest quote anybody was told, wall time
        self._open()
        self.events = sqlite3.connect(f"file:{paper_path(self.path)}?mode=ro", uri=True, isolation_level=None)
        # Another program's: it reads what stands, and writes as plain SQL may.
        self.outside = sqlite3.connect(self.path, timeout=5, isolation_level=None)

    def _open(self) -> None:
        self.guard: RiskGuard = open_guard(self.url, sweep=False, clock=self.clock, deadline_ms=BUSY_MS)
        self.broker = PaperBroker.open(
            paper_path(self.path), ACCOUNT, clock=self.clock, instruments=INSTRUMENTS, settings=self.settings
        )
        self.sweeper = Sweeper(self.guard, ACCOUNT, self.broker, alerts=self.alerts)

    def restart(self, *, orderly: bool) -> None:
        """End the process and begin another on the same files; unless *orderly*, nothing in memory is saved."""
        if orderly:
            self.guard.close()
        else:
            self.guard.store.close()
        self.broker.close()
        self._open()
        self.tell()

    def behave(self, settings: PaperSettings) -> None:
        """Give the market these manners from now on."""
        self.settings = settings
        self.broker.play_by(settings)

    def price_e4(self, instrument: Instrument) -> int:
        return self.market.prices_e4[instrument.key]

    def tell(self, *instruments: Instrument, market: bool = True) -> None:
        """Quote instruments, all unless some are named, to the guard, and to the *market* where it moved: at one instant."""
        at_us = self.clock.now_us()
        self.quoted_us = max(self.quoted_us, at_us)
        told = instruments or INSTRUMENTS
        if market:
            self.broker.set_quotes({each.key: Quote(self.price_e4(each), None, None, at_us) for each in told})
        for each in told:
            self.guard.quote(*each.key, ltp=to_text(self.price_e4(each)), at=at_us)

    def pass_time(self, seconds: float) -> None:
        """Let time go by and the market move once."""
        self.clock.advance(seconds)
        self.market.move((self.clock.now_us() - OPENS_US) // (60 * SECOND))
        self.tell()

    def sql(self, statement: str, *values: object) -> int:
        """Write as any other program would; returns the rows it changed. Raises what the database says."""
        return self.outside.execute(statement, values).rowcount

    def close(self) -> None:
        for each in (self.guard, self.broker, self.events, self.outside):
            each.close()


@contextlib.contextmanager
def quick_directory() -> Iterator[Path]:
    """Yield a directory for one run: in memory where there is such a place."""
    memory = Path("/dev/shm")
    base = str(memory) if memory.is_dir() and os.access(memory, os.W_OK) else None
    made = Path(tempfile.mkdtemp(prefix="riskguard-day-", dir=base))
    kept = os.environ.get("RISKGUARD_HOME")
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        if kept is None:
            os.environ.pop("RISKGUARD_HOME", None)
        else:
            os.environ["RISKGUARD_HOME"] = kept


def template_in(directory: Path) -> Path:
    """Build the database and the empty market every day begins with a copy of."""
    os.environ["RISKGUARD_HOME"] = str(directory / "template-home")
    path = build(directory / "template", text=rulebook(**LIMITS), hold_s=60)
    PaperBroker.open(paper_path(path), ACCOUNT, clock=VirtualClock(), instruments=INSTRUMENTS).close()
    return path
