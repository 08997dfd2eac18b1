"""
The daily run: an anchor of the journal, backup, archive and free pages, once a day after the market has closed.

`riskguard run` asks every minute whether it is time, on an executor of its own: nothing here holds a sweep up.
A second daemon finds the day done. What fails is recorded, told, tried again twice, and stops nothing.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any

from riskguard.clock import SystemClock
from riskguard.core.calendar import Calendar, ist_us
from riskguard.errors import RiskGuardError
from riskguard.home import sqlite_path
from riskguard.ports import Alerts, Clock
from riskguard.services.audit.keeping import AnchorKeeper
from riskguard.services.settings import DatabaseSettings
from riskguard.services.upkeep import archive, backup, vacuum
from riskguard.services.upkeep.lock import BusyError, StoppedError, alone
from riskguard.store import upkeep_runs as record
from riskguard.store.calendar import calendar
from riskguard.store.session import GLOBAL, Store

log = logging.getLogger("riskguard")

WAIT_S = 5.0


class Upkeep:
    """The daily run of one database; `tick` when it may be time, `stop` when the process wants to leave."""

    def __init__(self, url: str, *, clock: Clock | None = None, alerts: Alerts | None = None) -> None:
        self.url = url
        self.clock: Clock = clock or SystemClock()
        self.alerts = alerts
        self.store = Store(url)
        self.anchors = AnchorKeeper(self.store, self.clock, alerts)
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Let what is at work end at its next step; the rest waits for the next run."""
        self._stopped.set()

    def tick(self) -> list[str]:
        """Do what is due; returns the kinds that were done. Never raises an error of ours."""
        try:
            settings = archive.settings_of(self.store)
            now_us = self.clock.now_us()
            due = is_time(settings, now_us)
            # Before anything is moved: what is archived stands in the chain that was anchored.
            done = ["anchor" for _slot in self.anchors.tick(is_time=due)]
            if not due or sqlite_path(self.url) is None:
                return done  # a server keeps itself: pg_dump, autovacuum
            return done + [kind for kind, work in self._jobs(settings) if self._once(kind, work, now_us)]
        except RiskGuardError as e:
            log.warning("upkeep waits: %s", e)
            return []

    def _jobs(self, settings: DatabaseSettings) -> list[tuple[str, Callable[[], dict[str, Any]]]]:
        """Backup first: what is archived afterwards is still in it."""
        more: dict[str, Any] = {"clock": self.clock, "stop": self._stopped.is_set, "daily": True}

        def back_up() -> dict[str, Any]:
            to = settings.backup_directory or None
            return backup.summary(backup.back_up(self.url, to, keep=settings.backup_keep, **more))

        def move() -> dict[str, Any]:
            return archive.summary(archive.archive(self.url, **more))

        def give_back() -> dict[str, Any]:
            # Never a whole one: that is a person's decision. `riskguard db vacuum` once makes steps possible.
            if not vacuum.can_step(self.url):
                return {"way": "nothing", "why": "the file gives no pages back in steps: `riskguard db vacuum` once"}
            return vacuum.summary(vacuum.vacuum(self.url, **more))

        wanted = (
            ("backup", settings.upkeep_backup, back_up),
            ("archive", settings.upkeep_archive, move),
            ("vacuum", settings.upkeep_vacuum, give_back),
        )
        return [(kind, work) for kind, switch, work in wanted if switch == "on"]

    def _once(self, kind: str, work: Callable[[], dict[str, Any]], now_us: int) -> bool:
        """Do one job unless this day's is done; True when this call did it."""
        slot = Calendar.session_date(now_us).isoformat()
        store = Store(self.url)
        # Held to the end: a claim that is found unfinished while nobody holds it is one whose owner died.
        with contextlib.closing(store), contextlib.suppress(BusyError), alone(store.path):
            with store.session(durable=True, wait_s=WAIT_S) as session:
                run_id = record.claim(session, kind, slot, now_us)
            if run_id is None:
                return False
            outcome, detail = self._try(kind, work)
            if outcome == "FAILED":
                self._tell(f"the daily {kind} failed: {detail['error']}")
            else:
                log.info("daily %s: %s", kind, detail)
            with store.session(durable=True, wait_s=WAIT_S) as session:
                record.finish(session, run_id, outcome, detail, self.clock.now_us())
            return outcome == "DONE"
        return False

    def _try(self, kind: str, work: Callable[[], dict[str, Any]]) -> tuple[str, dict[str, Any]]:
        try:
            return "DONE", work()
        except StoppedError as e:
            return "FAILED", {"error": str(e)}
        except (RiskGuardError, OSError, MemoryError) as e:
            return "FAILED", {"error": str(e) or type(e).__name__}
        except Exception as e:  # a bug in upkeep must not end the thread, and must not be silent
            log.exception("upkeep: %s", kind)
            return "FAILED", {"error": f"internal error: {type(e).__name__}: {e}"}

    def _tell(self, message: str) -> None:
        log.error("upkeep: %s", message)
        if self.alerts is not None:
            self.alerts.tell(GLOBAL, "warning", message)


def is_time(settings: DatabaseSettings, now_us: int) -> bool:
    """Say whether the day's upkeep may begin: past its hour in India, and no market of the calendar trades."""
    hours, _, minutes = settings.upkeep_time.partition(":")
    due_us = ist_us(Calendar.session_date(now_us), int(hours) * 3600 + int(minutes) * 60)
    return now_us >= due_us and not any(calendar().is_open(segment, now_us) for segment in calendar().segments)
