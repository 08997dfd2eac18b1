"""
What the scheduler itself notices: a job that broke, hung or came too late, a clock that jumped. Kept and told.

Noted in memory at once, written as `schedule` rows of `sweeps` and told to people by a job of its own: whoever
notices something must not wait for a database that is the reason for it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from riskguard.errors import StoreError
from riskguard.ports import Alerts
from riskguard.services.orders.guard import RiskGuard
from riskguard.store import sweeps
from riskguard.store.session import GLOBAL, Session

log = logging.getLogger("riskguard")

AGAIN_US: Final = 60_000_000
"""The same notice about the same job is kept once a minute, with how often it came."""
KEPT_MAX: Final = 500
WAIT_S: Final = 5.0


@dataclass(slots=True)
class Notice:
    """One thing noticed; `at_us` is wall time."""

    account: str
    code: str
    severity: str
    message: str
    at_us: int
    told: bool = False


class Notices:
    """Notices of one process; threads share it."""

    def __init__(self, guard: RiskGuard, alerts: Callable[[], Alerts], holder: str) -> None:
        self._guard, self._alerts, self._holder = guard, alerts, holder
        self._lock = threading.Lock()
        self._waiting: list[Notice] = []
        self._told: dict[tuple[str, str, str], tuple[int, int]] = {}  # -> elapsed when kept, how often since
        self._last_slot = 0

    def note(
        self, code: str, message: str, *, account: str = GLOBAL, about: str = "", severity: str = "warning"
    ) -> None:
        """Keep one notice; never blocks and never raises. *about* names the job it is about."""
        now_us, elapsed_us = self._guard.clock.now_us(), self._guard.clock.elapsed_us()
        key = (account, code, about)
        with self._lock:
            kept_us, times = self._told.get(key, (None, 0))
            if kept_us is not None and elapsed_us - kept_us < AGAIN_US:
                self._told[key] = (kept_us, times + 1)
                return
            self._told[key] = (elapsed_us, 0)
            if times:
                message = f"{message} ({times} more in the minute before)"
            self._waiting.append(Notice(account, code, severity, message, now_us))
            del self._waiting[:-KEPT_MAX]
        log.log(logging.CRITICAL if severity == "critical" else logging.ERROR, "%s: %s", code, message)

    def flush(self) -> None:
        """Tell and write what was noted; what the database does not take is kept for the next time."""
        with self._lock:
            taken, self._waiting = self._waiting, []
        for notice in taken:
            if not notice.told:  # people first: a locked database may be what it is about
                notice.told = True
                self._alerts().tell(notice.account, notice.severity, notice.message)
        if not taken:
            return
        try:
            with self._guard.store.session(durable=False, wait_s=WAIT_S) as session:
                for notice in taken:
                    self._write(session, notice)
        except StoreError as e:
            log.warning("%s notices of the scheduler wait: %s", len(taken), e)
            with self._lock:
                self._waiting[:0] = taken

    def _write(self, session: Session, notice: Notice) -> None:
        """One row each, whatever the clock does and whoever else writes: the slot only has to be new."""
        said = [[notice.code, notice.severity, notice.message]]
        self._last_slot = max(self._last_slot + 1, notice.at_us)
        while not sweeps.add_done(
            session, notice.account, "schedule", self._last_slot, 1, notice.at_us, self._holder, said
        ):  # fmt: skip
            self._last_slot += 1
