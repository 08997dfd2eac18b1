"""
Scheduling: APScheduler fires, our own `sweeps` table remembers. In a daemon, or in a thread of a small bot.

Memory job store only: with a persistent one a database error kills the scheduler's thread for ever, and
jobs would be pickled into the database. Source: pitfalls.md §1.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from riskguard.services.orders.guard import RiskGuard
from riskguard.services.sweeps.sweeper import Sweeper

if TYPE_CHECKING:
    from riskguard.services.upkeep.daily import Upkeep

log = logging.getLogger("riskguard")

MISFIRE_GRACE_S = 30
UPKEEP, UPKEEP_LOOKED_AT_S = "upkeep", 60


class Schedule:
    """The sweeps of several accounts on one APScheduler; `is_alive` notices a dead scheduler thread."""

    def __init__(
        self, guard: RiskGuard, sweepers: Sequence[Sweeper], *, every_s: float | None = None, waiting_max: int = 1,
        upkeep: Upkeep | None = None,
    ) -> None:  # fmt: skip
        """
        Args:
            upkeep: The daily run, on an executor of its own: a long backup holds no sweep up.
            every_s: Seconds between fires; None takes each sweeper's own interval.
            waiting_max: How many fires of one account may wait for each other; one more is skipped.
        """
        from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED
        from apscheduler.executors.pool import ThreadPoolExecutor
        from apscheduler.schedulers.background import BackgroundScheduler

        self.guard = guard
        self._scheduler: Any = BackgroundScheduler(
            executors={
                "sweeps": ThreadPoolExecutor(max_workers=max(1, len(sweepers))),
                "upkeep": ThreadPoolExecutor(max_workers=1),
            },
            job_defaults={"misfire_grace_time": MISFIRE_GRACE_S, "coalesce": True, "max_instances": waiting_max},
            timezone="Asia/Kolkata",
            daemon=True,
        )
        self._scheduler.add_listener(self._heard, EVENT_JOB_ERROR | EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)
        for sweeper in sweepers:
            self._scheduler.add_job(
                _sweep, "interval", seconds=every_s or sweeper.interval_us / 1_000_000, args=[sweeper],
                executor="sweeps", id=f"sweep-{sweeper.account}",
            )  # fmt: skip
        self._upkeep = upkeep
        if upkeep is not None:
            self._scheduler.add_job(
                upkeep.tick, "interval", seconds=UPKEEP_LOOKED_AT_S, executor="upkeep", id=UPKEEP, max_instances=1
            )

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        """Stop and wait for a running sweep: a half-done one would hold its slot."""
        if self._upkeep is not None:
            self._upkeep.stop()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def fire_now(self, account: str) -> None:
        """Let one account's sweep be due at once; a replay does this instead of waiting for real seconds."""
        self._scheduler.modify_job(f"sweep-{account}", next_run_time=dt.datetime.now(self._scheduler.timezone))

    def is_alive(self) -> bool:
        """Say whether the scheduler's thread lives; `running` stays True when it has died."""
        thread = getattr(self._scheduler, "_thread", None)
        return bool(self._scheduler.running and thread is not None and thread.is_alive())

    @staticmethod
    def _heard(event: Any) -> None:
        if event.job_id == UPKEEP and getattr(event, "exception", None) is None:
            return  # a backup that outlasts its minute is no overrun: the next minute asks again
        log.error("scheduler: job %s: %s", event.job_id, getattr(event, "exception", None) or "missed or overrunning")


def _sweep(sweeper: Sweeper) -> None:
    """One fire. `SystemExit` in a job would be swallowed without a trace: it becomes an error here."""
    try:
        sweeper.sweep()
        sweeper.guard.flush_repeats()
    except SystemExit as e:
        raise RuntimeError(f"a sweep of {sweeper.account} asked to exit: {e}") from e


def in_process(guard: RiskGuard, sweepers: Sequence[Sweeper]) -> Callable[[], None]:
    """Start sweeping in a background thread; returns what stops it."""
    schedule = Schedule(guard, sweepers)
    schedule.start()
    return schedule.stop
