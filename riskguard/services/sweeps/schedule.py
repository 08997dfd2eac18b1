"""
Scheduling: APScheduler fires, our own `sweeps` table remembers. In a daemon, or in a thread of a small bot.

Memory job store only: with a persistent one a database error kills the scheduler's thread for ever, and jobs would be
pickled into the database. APScheduler trusts the wall clock and never looks up: a pulse of our own, on a clock that
cannot be set, notices what it does not: a dead thread, a hung job, a machine that slept, a clock that jumped.
Source: pitfalls.md §1.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from riskguard.clock import SystemClock
from riskguard.ports import Alerts, Clock
from riskguard.services.orders.guard import RiskGuard
from riskguard.services.sweeps.notices import Notices
from riskguard.services.sweeps.sweeper import Sweeper
from riskguard.services.sweeps.voice import LogAlerts
from riskguard.store.session import GLOBAL

if TYPE_CHECKING:
    from riskguard.services.sweeps.executor import DeadlineExecutor
    from riskguard.services.upkeep.daily import Upkeep

log = logging.getLogger("riskguard")

MISFIRE_GRACE_S: Final = 30
KILL_AGAIN_S: Final = 0.25
"""Rounds of a kill run are this far apart at least: each is a look at the broker."""
UPKEEP, UPKEEP_LOOKED_AT_S = "upkeep", 60
HEART, HEART_S = "heart", 1.0
NOTICES: Final = "notices"
LATE_S: Final = 3.0
"""A heart that has not beaten for this long is woken: the scheduler overslept."""
DEAD_S: Final = 15.0
"""… and for this long it is dead: a supervisor should start the process again."""
JUMP_US: Final = 2_000_000
"""Wall time and waiting time may drift apart by less; more is a clock that was set."""
HUNG_MAX: Final = 16
"""Threads left to themselves; more of them and only a new process helps."""


@dataclass(frozen=True, slots=True)
class JobClass:
    """An executor of its own, so that no kind of work waits for another; see `DeadlineExecutor`."""

    name: str
    workers: int
    deadline_s: float | None
    grace_s: int


CLASSES: Final = {
    each.name: each
    for each in (
        JobClass("loss", 8, 15.0, 10),
        JobClass("book", 8, 20.0, MISFIRE_GRACE_S),
        JobClass("funds", 4, 30.0, 60),
        JobClass("kill", 8, 120.0, MISFIRE_GRACE_S),
        JobClass("alerts", 2, 60.0, 60),
        JobClass("upkeep", 2, None, 600),
        JobClass("heart", 1, 10.0, 10),
    )
}
"""Deadlines are above every timeout inside a job: what passes them hangs. A backup may take as long as it takes."""


@dataclass(frozen=True, slots=True)
class Job:
    """One thing done again and again; `account` is told about when it goes wrong."""

    id: str
    job_class: str
    every_s: float
    work: Callable[[], object]
    account: str = GLOBAL
    instances: int = 1
    outlasts: bool = False  # its runs may be longer than its interval: a skipped fire is no news


class Schedule:
    """The sweeps of several accounts on one APScheduler; `is_alive` notices a dead scheduler thread."""

    def __init__(
        self, guard: RiskGuard, sweepers: Sequence[Sweeper] = (), *, every_s: float | None = None, waiting_max: int = 1,
        upkeep: Upkeep | None = None, alerts: Alerts | None = None, clock: Clock | None = None,
        deadlines_s: dict[str, float] | None = None,
    ) -> None:  # fmt: skip
        """
        Args:
            sweepers: Swept whole, one job each; `watch` adds accounts with a job for each kind of sweep.
            upkeep: The daily run, on an executor of its own: a long backup holds no sweep up.
            every_s: Seconds between fires; None takes each sweeper's own interval.
            waiting_max: How many fires of one account may wait for each other; one more is skipped.
            clock: What time passes by; the machine's own, also where the guard's is told the time.
            deadlines_s: Other deadlines than those of `CLASSES`, by class.
        """
        from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED
        from apscheduler.schedulers.background import BackgroundScheduler

        from riskguard.services.sweeps.executor import DeadlineExecutor

        self._pid = os.getpid()
        self._skipped = EVENT_JOB_MAX_INSTANCES
        self.guard = guard
        self.alerts: Alerts = alerts or LogAlerts()
        self.holder = f"{os.getpid()}-{secrets.token_hex(4)}"
        self.notices = Notices(guard, lambda: self.alerts, self.holder)
        self._clock: Clock = clock or SystemClock()
        self._executors: dict[str, DeadlineExecutor] = {}
        for each in CLASSES.values():
            workers = max(each.workers, len(sweepers) * waiting_max) if each.name == "loss" else each.workers
            self._executors[each.name] = DeadlineExecutor(
                workers, (deadlines_s or {}).get(each.name, each.deadline_s), self._clock.elapsed_us, self._overdue
            )
        self._scheduler: Any = BackgroundScheduler(
            executors=dict(self._executors), timezone="Asia/Kolkata", daemon=True,
            job_defaults={"misfire_grace_time": MISFIRE_GRACE_S, "coalesce": True, "max_instances": 1},
        )  # fmt: skip
        self._scheduler.add_listener(self._heard, EVENT_JOB_ERROR | EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)
        self._jobs: dict[str, Job] = {}
        self._stopping = threading.Event()
        self._pulse: threading.Thread | None = None
        self._beaten_us = self._looked_us = self._clock.elapsed_us()
        self._drift_us = self._clock.now_us() - self._looked_us
        self._upkeep = upkeep
        self.add(Job(HEART, "heart", HEART_S, self._beat, outlasts=True))
        self.add(Job(NOTICES, "alerts", HEART_S, self.notices.flush, outlasts=True))
        for sweeper in sweepers:
            each_s = every_s or sweeper.slots.interval_us / 1_000_000
            self.add(
                Job(f"sweep-{sweeper.account}", "loss", each_s, partial(_sweep, sweeper), sweeper.account, waiting_max)
            )
        if upkeep is not None:
            self.add(Job(UPKEEP, "upkeep", UPKEEP_LOOKED_AT_S, upkeep.tick, outlasts=True))

    # -- jobs ------------------------------------------------------------------------------------------------

    def add(self, job: Job, *, at_once: bool = False) -> None:
        """Fire *job* every so often from now on, *at_once* now too; also while running. The same id is replaced."""
        self._jobs[job.id] = job
        when = {"next_run_time": self._now()} if at_once else {}
        self._scheduler.add_job(
            job.work, "interval", seconds=job.every_s, executor=job.job_class, id=job.id, replace_existing=True,
            misfire_grace_time=CLASSES[job.job_class].grace_s, max_instances=job.instances, coalesce=True, **when,
        )  # fmt: skip

    def watch(self, sweeper: Sweeper, every_s: float) -> None:
        """Sweep one account, each kind on its own executor: a broker that hangs stops no loss from being seen."""
        name = sweeper.account
        sweeper.on_kill = partial(self.fire, f"kill-{name}")
        sweeper.on_event = partial(self.fire, f"book-{name}")
        self.add(Job(f"loss-{name}", "loss", every_s, partial(_loss, sweeper), name), at_once=True)
        self.add(Job(f"book-{name}", "book", every_s, sweeper.book, name, outlasts=True), at_once=True)
        self.add(Job(f"funds-{name}", "funds", every_s, sweeper.slow, name, outlasts=True), at_once=True)
        self.add(
            Job(f"kill-{name}", "kill", every_s, partial(self._kill, sweeper, every_s), name, outlasts=True),
            at_once=True,
        )

    def _kill(self, sweeper: Sweeper, every_s: float) -> None:
        """Do a round of the kill runs, and the next as soon as it can do something: its messages do not wait for a tick."""
        sweeper.follow_kills()
        due_us = sweeper.kill_runner.next_at_us
        if sweeper.killing and due_us is not None:
            wait_s = max(KILL_AGAIN_S, (due_us - sweeper.guard.clock.now_us()) / 1_000_000)
            if wait_s < every_s:
                self.fire(f"kill-{sweeper.account}", after_s=wait_s)

    def fire(self, job_id: str, *, after_s: float = 0.0) -> None:
        """Let a job be due at once, or *after_s*; one that is at work already is asked again when it next is due."""
        from apscheduler.jobstores.base import JobLookupError

        try:
            self._scheduler.modify_job(job_id, next_run_time=self._now() + dt.timedelta(seconds=after_s))
        except JobLookupError:
            log.warning("no job `%s` to fire", job_id)

    def fire_now(self, account: str) -> None:
        """Let one account's sweep be due at once; a replay does this instead of waiting for real seconds."""
        self._scheduler.modify_job(f"sweep-{account}", next_run_time=self._now())

    def _now(self) -> dt.datetime:
        return dt.datetime.now(self._scheduler.timezone)  # as APScheduler asks it

    # -- start and end ---------------------------------------------------------------------------------------

    def start(self) -> None:
        self._beaten_us = self._looked_us = self._clock.elapsed_us()
        self._scheduler.start()
        self._pulse = threading.Thread(target=self._keep_looking, name="riskguard pulse", daemon=True)
        self._pulse.start()

    def stop(self, wait_s: float | None = None) -> bool:
        """
        Fire nothing more and wait for what runs: a half-done sweep would hold its slot.

        Returns False when something still ran after *wait_s* (None: as long as deadlines allow); it is left behind.
        """
        if self._pid != os.getpid():
            return True  # the threads stayed with the parent
        self._stopping.set()
        if self._upkeep is not None:
            self._upkeep.stop()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        longest_s = max(each.deadline_s or 0.0 for each in self._executors.values())
        end_us = self._clock.elapsed_us() + round((longest_s if wait_s is None else wait_s) * 1_000_000)
        idle = [
            each.wait_idle(max(0.0, (end_us - self._clock.elapsed_us()) / 1_000_000))
            for each in self._executors.values()
        ]
        self.notices.flush()
        return all(idle)

    # -- is it well --------------------------------------------------------------------------------------------

    def is_alive(self) -> bool:
        """
        Say whether sweeps are still fired: the scheduler's thread and the pulse live, and the heart beats.

        APScheduler's own `running` stays True when its thread has died.
        """
        thread = getattr(self._scheduler, "_thread", None)
        return bool(
            self._scheduler.running
            and thread is not None
            and thread.is_alive()
            and self._pulse is not None
            and self._pulse.is_alive()
            and self._clock.elapsed_us() - self._beaten_us < DEAD_S * 1_000_000
            and sum(each.hung for each in self._executors.values()) < HUNG_MAX
        )

    @property
    def hung(self) -> int:
        """How many jobs were given up and still hang."""
        return sum(each.hung for each in self._executors.values())

    def _beat(self) -> None:
        """The heart: a job as any other. While it beats, jobs are fired and run."""
        self._beaten_us = self._clock.elapsed_us()

    def _keep_looking(self) -> None:
        while not self._stopping.wait(HEART_S):
            try:
                self.look_after()
            except Exception:  # what watches the watchers must not end over one of them
                log.exception("the pulse stumbled")

    def look_after(self) -> None:
        """Look once at what APScheduler does not notice; the pulse does so every second."""
        elapsed_us, now_us = self._clock.elapsed_us(), self._clock.now_us()
        slept_us, self._looked_us = elapsed_us - self._looked_us, elapsed_us
        drifted_us, self._drift_us = now_us - elapsed_us - self._drift_us, now_us - elapsed_us
        late_us = elapsed_us - self._beaten_us
        if slept_us > LATE_S * 1_000_000 + HEART_S * 1_000_000:
            self.notices.note("OVERSLEPT", f"nothing ran for {slept_us / 1_000_000:.0f} s: stopped, or asleep")
            self._beaten_us = elapsed_us  # the heart slept as all did: it gets its time anew
            self._fire_all()
        elif abs(drifted_us) > JUMP_US:
            way = "forward" if drifted_us > 0 else "back"
            self.notices.note("CLOCK_JUMPED", f"the clock was set {way} by {abs(drifted_us) / 1_000_000:.0f} s")
            self._fire_all()
        elif late_us > LATE_S * 1_000_000:
            self.notices.note("SCHEDULER_LATE", f"no job was fired for {late_us / 1_000_000:.0f} s")
            self._fire_all()
        for each in self._executors.values():
            each.reap()

    def _fire_all(self) -> None:
        """Date every job anew: what waits for a time that the clock will not reach for an hour is due now."""
        now = self._now()
        for job_id in list(self._jobs):
            if job_id != UPKEEP:
                self._scheduler.modify_job(job_id, next_run_time=now)

    # -- what APScheduler tells ----------------------------------------------------------------------------------

    def _overdue(self, job_id: str, seconds: float) -> None:
        job = self._jobs[job_id]
        self.notices.note(
            "JOB_HANGS", f"job `{job_id}` hangs since {seconds:.0f} s: given up, its result will be dropped",
            account=job.account, about=job_id, severity="critical",
        )  # fmt: skip

    def _heard(self, event: Any) -> None:
        job = self._jobs.get(event.job_id)
        if job is None:
            return
        error = getattr(event, "exception", None)
        if error is not None:
            self.notices.note(
                "JOB_BROKE", f"job `{job.id}` broke: {type(error).__name__}: {error}"[:300], account=job.account,
                about=job.id, severity="critical",
            )  # fmt: skip
        elif not (job.outlasts and event.code == self._skipped):
            # A backup that outlasts its minute, a look that waits for the broker: the next fire asks again.
            self.notices.note(
                "JOB_LATE", f"job `{job.id}` was not run when it was due: missed, or its last run is not over",
                account=job.account, about=job.id,
            )  # fmt: skip


def _sweep(sweeper: Sweeper) -> None:
    """One fire of a whole sweep."""
    _no_exit(sweeper, sweeper.sweep)
    sweeper.guard.flush_repeats()


def _loss(sweeper: Sweeper) -> None:
    _no_exit(sweeper, sweeper.loss)
    sweeper.guard.flush_repeats()


def _no_exit(sweeper: Sweeper, work: Callable[[], object]) -> None:
    """`SystemExit` in a job would be an end nobody meant: it is an error."""
    try:
        work()
    except SystemExit as e:
        raise RuntimeError(f"a sweep of {sweeper.account} asked to exit: {e}") from e


def in_process(guard: RiskGuard, sweepers: Sequence[Sweeper]) -> Callable[[], None]:
    """Start sweeping in a background thread; returns what stops it."""
    schedule = Schedule(guard, sweepers)
    schedule.start()

    def stop() -> None:
        schedule.stop()

    return stop
