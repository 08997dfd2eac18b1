"""
Runs jobs on threads of its own and gives up on one that hangs.

APScheduler's pools wait for a hung job for ever: its later runs are skipped, its neighbours come too late, and the
process cannot end. Here a job past its deadline is abandoned: its thread is left to itself (its result is dropped by
the sweep's own fence), another worker takes its place, and somebody is told.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from apscheduler.executors.base import BaseExecutor, run_job

log = logging.getLogger("riskguard")

Overdue = Callable[[str, float], None]
"""Called with the job's id and the seconds it has been at work."""


@dataclass(eq=False)
class Run:
    """One run of one job; `thread` is None while it waits for a worker."""

    job: Any
    run_times: list[Any]
    began_us: int = 0
    thread: threading.Thread | None = None
    abandoned: bool = False
    done: threading.Event = field(default_factory=threading.Event)


class DeadlineExecutor(BaseExecutor):  # type: ignore[misc]
    """
    Up to *workers* jobs at once, the rest in order behind them; each may take *deadline_s*, None: as long as it likes.

    Threads are daemons: an abandoned one never holds the process up. `reap` must be called now and then.
    """

    def __init__(self, workers: int, deadline_s: float | None, elapsed_us: Callable[[], int], overdue: Overdue) -> None:
        super().__init__()
        self.deadline_s = deadline_s
        self._workers = workers
        self._elapsed_us = elapsed_us
        self._overdue = overdue
        self._running: list[Run] = []
        self._waiting: deque[Run] = deque()
        self._hung: list[Run] = []
        self._closed = False

    # -- what APScheduler calls --------------------------------------------------------------------------------

    def _do_submit_job(self, job: Any, run_times: list[Any]) -> None:
        """Called with the executor's lock held."""
        if self._closed:
            raise RuntimeError("the executor is shut down")
        run = Run(job, run_times)
        if len(self._running) < self._workers:
            self._start(run)
        else:
            self._waiting.append(run)

    def shutdown(self, wait: bool = True) -> None:
        """Take no more jobs and drop those that wait; running ones are waited for by `wait_idle`, never here."""
        if self._lock is None:
            return
        with self._lock:
            self._closed = True
            self._waiting.clear()

    # -- threads -----------------------------------------------------------------------------------------------

    def _start(self, run: Run) -> None:
        run.began_us = self._elapsed_us()
        run.thread = threading.Thread(target=self._work, args=(run,), name=f"job {run.job.id}", daemon=True)
        self._running.append(run)
        run.thread.start()

    def _work(self, run: Run) -> None:
        job = run.job
        broken: BaseException | None = None
        try:
            events = run_job(job, job._jobstore_alias, run.run_times, self._logger.name)
        except BaseException as e:  # run_job catches what a job raises; this is its own machinery
            events, broken = [], e
        with self._lock:
            run.done.set()
            if run.abandoned:
                self._hung.remove(run)
                return  # somebody else has its place and its count
            self._running.remove(run)
            self._start_next()
        if broken is not None:
            self._run_job_error(job.id, broken, None)
        else:
            self._run_job_success(job.id, events)

    def _start_next(self) -> None:
        if self._waiting and len(self._running) < self._workers and not self._closed:
            self._start(self._waiting.popleft())

    # -- what the schedule calls ---------------------------------------------------------------------------------

    def reap(self) -> None:
        """Abandon what is past its deadline, and let others in."""
        if self.deadline_s is None or self._lock is None:
            return
        now_us = self._elapsed_us()
        with self._lock:
            late = [run for run in self._running if now_us - run.began_us > self.deadline_s * 1_000_000]
            for run in late:
                run.abandoned = True
                self._running.remove(run)
                self._hung.append(run)
                self._instances[run.job.id] -= 1
                if self._instances[run.job.id] <= 0:
                    del self._instances[run.job.id]
            for _ in late:
                self._start_next()
        for run in late:
            log.error("job %s hangs: abandoned", run.job.id)
            self._overdue(run.job.id, (now_us - run.began_us) / 1_000_000)

    @property
    def hung(self) -> int:
        """How many abandoned jobs still hang."""
        if self._lock is None:
            return 0
        with self._lock:
            return len(self._hung)

    def wait_idle(self, wait_s: float) -> bool:
        """Wait until nothing runs any more, abandoned jobs too; False when something still does."""
        if self._lock is None:
            return True
        end_us = self._elapsed_us() + round(wait_s * 1_000_000)
        with self._lock:
            left = [*self._running, *self._hung]
        return all([run.done.wait(max(0.0, (end_us - self._elapsed_us()) / 1_000_000)) for run in left])
