"""
The daemon: watches every account of a database, carries kill runs out, and looks after the file.

Two may run: a fenced lease picks one, the other waits and takes over. Accounts added meanwhile are taken up. One account
whose broker cannot be reached or opened stops no other.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from riskguard.core.calendar import Calendar, ist_us
from riskguard.core.money import to_text
from riskguard.core.state import severest
from riskguard.errors import RiskGuardError, StoreError
from riskguard.ports import Alerts, Broker
from riskguard.redaction import redacted
from riskguard.services.budget import budget_of
from riskguard.services.feeds.running import Feeds
from riskguard.services.kill import latch
from riskguard.services.orders.guard import RiskGuard
from riskguard.services.settings import DatabaseSettings, process_settings
from riskguard.services.sweeps.cadence import BOOK, FUNDS, LOSS, Cadence
from riskguard.services.sweeps.claims import Lease
from riskguard.services.sweeps.schedule import Job, Schedule
from riskguard.services.sweeps.sweeper import Sweeper
from riskguard.services.sweeps.voice import LogAlerts
from riskguard.services.upkeep.daily import Upkeep
from riskguard.services.waking import waking
from riskguard.services.wiring import settings_of, sweeper_of
from riskguard.store import books, controls, loader, runs, sweeps
from riskguard.store.calendar import calendar
from riskguard.store.session import Session

log = logging.getLogger("riskguard")

LOOKS_FOR_ACCOUNTS_S: Final = 5.0
END_OF_DAY_S: Final = 60.0
FEEDS_LOOKED_AT_S: Final = 5.0
LEASE_INTERVALS: Final = 3
LEASE_LEAST_US: Final = 6_000_000
WAIT_S: Final = 2.0
SHOWN_KINDS: Final = (LOSS, BOOK, FUNDS)

EndOfDay = Callable[[RiskGuard, str, str], object]
"""What is done once a session and account, after the day's upkeep is due: (guard, account, session date)."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one account stands, for the status line. Ages are seconds; None: never."""

    account: str
    state: str
    day_pnl: str | None
    fresh: bool
    ages_s: dict[str, float | None]
    kill_runs: tuple[str, ...]


class Daemon:
    """See the module. `start`, `tick` every second, `stop`."""

    def __init__(
        self, guard: RiskGuard, *, brokers: dict[str, Broker] | None = None, alerts: Alerts | None = None,
        upkeep: bool = True, end_of_day: EndOfDay | None = None,
    ) -> None:  # fmt: skip
        """Raises StoreError or SettingsError when the database cannot be read."""
        self.guard = guard
        self.alerts: Alerts = alerts or LogAlerts()
        self._brokers = brokers or {}
        self._end_of_day = end_of_day
        self.settings, _ = settings_of(guard.store)
        self.lease = Lease(life_us=_lease_life_us(self.settings))
        tidy = Upkeep(guard.store.url, clock=guard.clock, alerts=self.alerts) if upkeep else None
        self.schedule = Schedule(guard, alerts=self.alerts, upkeep=tidy)
        self.sweepers: dict[str, Sweeper] = {}
        self._not_taken_up: set[str] = set()
        self.feeds = Feeds(guard, self._reread)
        self._waking = waking(guard.store.url, guard.store.dialect, process_settings().listen, self._woken)
        self.schedule.add(Job("feeds", "alerts", FEEDS_LOOKED_AT_S, self.feeds.tick, outlasts=True))
        self.schedule.add(Job("accounts", "alerts", LOOKS_FOR_ACCOUNTS_S, self.take_up_accounts, outlasts=True))
        self.schedule.add(Job("end-of-day", "upkeep", END_OF_DAY_S, self.end_the_day, outlasts=True))

    def start(self) -> None:
        """Take up every account and begin; raises what is wrong when not one account can be watched."""
        self.take_up_accounts(must=True)
        self.feeds.start()
        self.schedule.start()
        if self._waking is not None:
            self._waking.start()
        log.info("watching %s every %s s", ", ".join(self.sweepers), self.settings.sweep_interval_s)

    def tick(self) -> bool:
        """Look after the file; False when sweeps are no longer fired and the process should end."""
        try:
            self.guard.store.tidy()
        except StoreError as e:
            log.warning("the database is not tidied: %s", e)
        return self.schedule.is_alive()

    def stop(self, wait_s: float) -> bool:
        """Stop firing, wait for what runs, give the lease back; False when something hangs and is left behind."""
        if self._waking is not None:
            self._waking.stop()
        ended = self.schedule.stop(wait_s)
        ended = self.feeds.stop() and ended
        if ended:
            try:
                self.lease.give_back(self.guard.store, self.guard.clock.now_us())
            except StoreError as e:
                log.warning("the lease ends by itself: %s", e)
        return ended

    # -- accounts ----------------------------------------------------------------------------------------------

    def take_up_accounts(self, *, must: bool = False) -> None:
        """Watch accounts nobody of this process watches yet; obey intervals that were changed."""
        settings, accounts = settings_of(self.guard.store)
        if settings != self.settings:
            paces = settings.sweep_interval_s != self.settings.sweep_interval_s
            self.settings, self.lease.life_us = settings, _lease_life_us(settings)
            for sweeper in self.sweepers.values():
                sweeper.slots.cadence = Cadence.of(settings)
                if paces:
                    self.schedule.watch(sweeper, float(settings.sweep_interval_s))
        wrong: RiskGuardError | None = None
        for account in accounts:
            if account not in self.sweepers:
                try:
                    self._take_up(account, settings)
                except RiskGuardError as e:
                    wrong = e
                    self._tell_not_watched(account, e)
        if must and wrong is not None and not self.sweepers:
            raise wrong

    def _take_up(self, account: str, settings: DatabaseSettings) -> None:
        sweeper = sweeper_of(
            self.guard, settings, account, self._brokers.get(account), self.alerts, cadence=Cadence.of(settings),
            lease=self.lease, budget=budget_of(self.guard, account),
        )  # fmt: skip
        self.schedule.watch(sweeper, float(settings.sweep_interval_s))
        self.sweepers[account] = sweeper
        if account in self._not_taken_up:
            self._not_taken_up.discard(account)
            self.alerts.tell(account, "info", f"{account} is watched now")

    def _tell_not_watched(self, account: str, error: RiskGuardError) -> None:
        if account not in self._not_taken_up:
            self._not_taken_up.add(account)
            self.alerts.tell(account, "critical", f"{account} is NOT watched: {redacted(str(error))}")

    def _woken(self, _whose: str) -> None:
        """The server says that a kill or a limit changed: look now."""
        for account in self.sweepers:
            self.schedule.fire(f"kill-{account}")
            self.schedule.fire(f"loss-{account}")

    def _reread(self, account: str, reason: str) -> None:
        """A feed says that the broker's lists changed, or that it may have missed something."""
        sweeper = self.sweepers.get(account)
        if sweeper is not None:
            log.debug("%s: the book is looked at: %s", account, reason)
            sweeper.wake(BOOK)

    # -- the day's end -------------------------------------------------------------------------------------------

    def end_the_day(self) -> list[str]:
        """Do what is due once a session after its end, once for each account, whichever daemon comes first."""
        if self._end_of_day is None:
            return []
        now_us = self.guard.clock.now_us()
        day = Calendar.session_date(now_us)
        hours, _, minutes = self.settings.upkeep_time.partition(":")
        if now_us < ist_us(day, int(hours) * 3600 + int(minutes) * 60):
            return []
        return [account for account in self.sweepers if self._end_one(account, day, now_us)]

    def _end_one(self, account: str, day: dt.date, now_us: int) -> bool:
        """Claim the day, do it, write that it was done; one that broke is tried again at the next look."""
        kind, slot, interval_us = "end_of_day", day.toordinal(), loader.DAY_US
        with self.guard.store.session(durable=False, wait_s=WAIT_S) as session:
            if sweeps.is_done(session, account, kind, slot) or _still_trades(session, account, day, now_us):
                return False
        assert self._end_of_day is not None
        try:
            self._end_of_day(self.guard, account, day.isoformat())
        except RiskGuardError as e:
            self.schedule.notices.note(
                "END_OF_DAY", f"the day's end of {account} waits: {redacted(str(e))}", account=account, about=kind
            )
            return False
        with self.guard.store.session(durable=False, wait_s=WAIT_S) as session:
            return sweeps.add_done(session, account, kind, slot, interval_us, now_us, self.lease.holder)

    # -- how it stands ---------------------------------------------------------------------------------------------

    def standings(self) -> list[Standing]:
        """Return how each account stands, in one short transaction; raises StoreError."""
        with self.guard.store.session(durable=False, wait_s=WAIT_S) as session:
            now_us = self.guard.clock.now_us()
            found = [self._standing(session, account, now_us) for account in self.sweepers]
            self.guard.store.roll_back(session)
        return found

    def _standing(self, session: Session, account: str, now_us: int) -> Standing:
        group = loader.group_of(session, account) or ""
        flags = latch.look(self.guard.halt_directories, account, now_us)
        causes = (
            *controls.kill_causes(session, account, group), *controls.standing_causes(session, account, group),
            *flags.causes,
        )  # fmt: skip
        reading = session.row(loader.LAST_PNL, account=account, session_date=loader.session_date(now_us))
        ages = {kind: sweeps.last_done_us(session, account, kind, now_us) for kind in SHOWN_KINDS}
        return Standing(
            account,
            severest(causes).name,
            None if reading is None or reading[0] is None else to_text(reading[0]),
            reading is not None and bool(reading[2]),
            {kind: None if at_us is None else (now_us - at_us) / 1_000_000 for kind, at_us in ages.items()},
            tuple(f"{run.id} {run.step} {run.state}" for run in runs.open_kill_runs(session, account)),
        )


def _lease_life_us(settings: DatabaseSettings) -> int:
    return max(LEASE_LEAST_US, LEASE_INTERVALS * settings.sweep_interval_s * 1_000_000)


def _still_trades(session: Session, account: str, day: dt.date, now_us: int) -> bool:
    """Say whether a market the account has a line of today in is surely open: its day is not over at the usual hour."""
    hours = calendar()
    rows = session.rows(books.LINES, account=account, session_date=day.isoformat())
    return any(hours.known(segment, day) and hours.is_open(segment, now_us) for segment in {row[0] for row in rows})
