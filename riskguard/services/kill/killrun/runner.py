"""Carries the kill runs of one account to their end; several may try, in several processes: a lease picks one."""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Callable

from riskguard.errors import StoreError
from riskguard.ports import Alerts, Broker
from riskguard.services.budget import is_too_many
from riskguard.services.kill.backstop import keep_armed
from riskguard.services.kill.killrun import reasons
from riskguard.services.kill.killrun.cancel import cancel
from riskguard.services.kill.killrun.flatten import flatten
from riskguard.services.kill.killrun.lock import lock
from riskguard.services.kill.killrun.pace import Looks
from riskguard.services.kill.killrun.plans import LEASE_US, SECOND_US, STALL_US, STEPS_OF
from riskguard.services.kill.killrun.round import WRITE_WAIT_S, Overtaken, Round, Unreadable, begin
from riskguard.services.kill.killrun.telling import LogOnly, tell
from riskguard.services.kill.killrun.verify import verify
from riskguard.services.kill.killrun.watch import Watch
from riskguard.services.kill.powers import look_apart_us
from riskguard.services.orders.guard import RiskGuard
from riskguard.store import kills
from riskguard.store.kills import KillRun

log = logging.getLogger("riskguard")

ACTS: dict[str, Callable[[Round], None]] = {"CANCEL": cancel, "FLATTEN": flatten, "VERIFY": verify, "LOCK": lock}


class KillRunner:
    """
    Carries the kill runs and tasks of one account to their end.

    Attributes:
        next_at_us: When `advance` can do something it could not do the last time; None: nothing is open.
    """

    def __init__(self, guard: RiskGuard, account: str, broker: Broker | None, alerts: Alerts | None = None) -> None:
        self.guard = guard
        self.account = account
        self.broker = broker
        self.alerts: Alerts = alerts or LogOnly()
        self.holder = f"{os.getpid()}-{secrets.token_hex(4)}"
        self.watch = Watch(guard, account, broker, self.alerts)
        self.next_at_us: int | None = None
        self._armed_us: int | None = None
        self._looks = Looks(guard.clock, look_apart_us(broker))
        self._too_many = False

    def advance(self) -> list[KillRun]:
        """
        Do one round of every open run; returns the runs as they then stand (empty: none is open).

        Finished kills are watched; one that something got past is open again from the next call on.
        """
        self.next_at_us = None
        store = self.guard.store
        with store.session(durable=False, wait_s=WRITE_WAIT_S) as session:
            waiting = kills.open_kill_runs(session, self.account)
            watched = kills.watched_kill_runs(session, self.account)
            store.roll_back(session)
        if watched and not waiting:
            try:
                again = self.watch.look(watched)
            except StoreError as e:
                log.warning("the watch of %s waits: %s", self.account, e)
                again = None
            if again is not None:
                self.next_at_us = self.guard.clock.now_us()
        if not waiting:
            self._arm()
            return []  # the usual sweep: nothing is being killed
        early_us = self._looks.wait_us()
        if early_us:
            self.next_at_us = self.guard.clock.now_us() + early_us
            return waiting
        began_us, looks, self._too_many = self.guard.clock.elapsed_us(), 0, False
        with store.session(durable=True, wait_s=WRITE_WAIT_S) as session:
            now_us = self.guard.clock.now_us()
            mine = [kills.take_run(session, run.id, self.holder, now_us, LEASE_US) for run in waiting]
        for run in mine:
            if run is not None:
                looks += 1
                try:
                    self._round(run)
                except Overtaken:
                    log.warning("kill run %s has another holder now", run.id)
                except StoreError as e:
                    log.warning("kill run %s waits: %s", run.id, e)
        self._looks.made(looks, began_us, too_many=self._too_many)
        with store.session(durable=False, wait_s=WRITE_WAIT_S) as session:
            standing = [found for run in waiting if (found := kills.one_run(session, run.id)) is not None]
            store.roll_back(session)
        begun = {run.id: run for run in waiting}
        for after in standing:
            tell(self.guard, self.alerts, begun[after.id], after)
        if self.next_at_us is None and any(run.state != "DONE" for run in standing):
            self.next_at_us = self.guard.clock.now_us() + SECOND_US
        return standing

    def finish(self, *, wait_s_max: float, pause: Callable[[], None] = lambda: time.sleep(0.25)) -> list[KillRun]:
        """Advance until every run is done or blocked, or the time is over; returns how they stand."""
        end = time.monotonic() + wait_s_max
        while True:
            standing = self.advance()
            if all(run.state != "OPEN" for run in standing) or time.monotonic() >= end:
                return standing
            pause()

    def _arm(self) -> None:
        """Keep the broker's own exit armed where it is configured; looked at once a minute, and never in the way."""
        now_us = self.guard.clock.now_us()
        if self.broker is None or (self._armed_us is not None and 0 <= now_us - self._armed_us < STALL_US):
            return
        self._armed_us = now_us
        try:
            keep_armed(self.guard, self.account, self.broker, self.alerts)
        except StoreError as e:
            log.warning("the backstop of %s waits: %s", self.account, e)

    def _round(self, run: KillRun) -> None:
        """Do one round of one run, as its holder."""
        if not STEPS_OF[run.kill_plan]:
            self._move(run, state="DONE", step="WATCH", detail="halted; plan `halt` touches no order")
            return
        if self.broker is None:
            self._block(run, reasons.NO_BROKER)
            return
        now_us = self.guard.clock.now_us()
        try:
            round_ = begin(self.guard, self.broker, run)
            if run.state == "BLOCKED" and run.retry_at_us is not None and now_us < run.retry_at_us:
                self.next_at_us = min(self.next_at_us or run.retry_at_us, run.retry_at_us)
            ACTS[run.step](round_)
        except Unreadable as e:
            self._too_many = self._too_many or is_too_many(e)
            why = reasons.unreadable(self.broker, str(e), now_us)
            stalled = now_us - run.started_at_us >= STALL_US or run.state == "BLOCKED"
            if stalled or reasons.is_urgent(why):
                self._block(run, why)
            else:
                self._move(run, state="OPEN", step=run.step, detail=why.said)
            return
        if round_.wake_us is not None:
            self.next_at_us = min(self.next_at_us or round_.wake_us, round_.wake_us)

    def _block(self, run: KillRun, why: reasons.Reason) -> None:
        self._move(run, state="BLOCKED", step=run.step, detail=why.said, why=why.code, retry_us=why.retry_us)

    def _move(
        self, run: KillRun, *, state: str, step: str, detail: str, why: str = "", retry_us: int | None = None
    ) -> None:
        with self.guard.store.session(durable=True, wait_s=WRITE_WAIT_S) as session:
            kills.move_run(
                session, run, state=state, step=step, detail=detail, clean_at_us=None, now_us=self.guard.clock.now_us(),
                lease_us=LEASE_US, blocked_by=why, retry_at_us=retry_us,
            )  # fmt: skip
