"""
The outbox: an alert is one row before it is anything else.

What is the same event is written once a minute; its repeats are counted on the row, and told as a number.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from riskguard.clock import SystemClock
from riskguard.ports import Clock
from riskguard.services.alerts.message import Notice, notice
from riskguard.store.queries.alerts import ADD, COUNT, NEWEST, TOLD_ELSEWHERE
from riskguard.store.session import Session, Store

log = logging.getLogger("riskguard")

QUIET_US: Final = 60_000_000
"""How long the repeats of one event are counted before people hear of it again."""
WAITING_MAX: Final = 2_000
WRITE_WAIT_S: Final = 1.0
TRIES_MAX: Final = 3
LEVELS: Final = {"critical": logging.CRITICAL, "warning": logging.WARNING}


def write(
    session: Session, account: str, severity: str, message: str, now_us: int, *, code: str = "", key: str = "",
    once: str | None = None, not_to: str = "",
) -> bool:  # fmt: skip
    """
    Write an alert in the caller's transaction; it is sent after the commit, by whoever dispatches.

    Args:
        code: The event in one word. key: What is the same event, per account; "" takes the message without its
            measurements. Repeats within a minute are counted, not told one by one.
        once: An event that is told once for ever, whoever notices it; a second one is not written.

    Returns True when a new row was written, False when it was counted or known.
    """
    return put(session, notice(account, severity, message, now_us, code=code, key=key, once=once, not_to=not_to))


def put(session: Session, given: Notice) -> bool:
    """Write one notice, or count it on the row of its minute."""
    row = None
    if given.once is None:
        row = session.row(NEWEST, account=given.account, dedupe_key=given.key)
    # A clock that was set back must not keep an alert quiet until it has caught up.
    if row is not None and 0 <= given.at_us - row[1] < QUIET_US:
        session.run(COUNT, of_id=row[0], now_us=given.at_us)
        return False
    earlier = 0 if row is None else int(row[2])
    added = session.run(
        ADD, account=given.account, severity=given.severity, code=given.code, message=given.message, at_us=given.at_us,
        dedupe_key=given.key, once=given.once, not_to=given.not_to, is_logged=int(given.is_logged), earlier=earlier,
        said_at_us=given.at_us, last_at_us=given.at_us,
    )  # fmt: skip
    if row is not None and earlier:
        session.run(TOLD_ELSEWHERE, of_id=row[0])
    return added.rowcount == 1


Directly = Callable[[Notice], None]


class OutboxAlerts:
    """
    `ports.Alerts` and `ports.Outbox`: `tell` logs, hands the alert to a thread of its own, and returns.

    The thread writes to the database over connections of its own. What the database does not take in three tries
    goes straight to the channels through *directly*, if there is one, and to the log in any case: a database in
    trouble is what people must hear of. A full queue drops the newest and says so in the log.
    """

    def __init__(
        self, url: str, *, clock: Clock | None = None, directly: Directly | None = None,
        waiting_max: int = WAITING_MAX, write_wait_s: float = WRITE_WAIT_S,
    ) -> None:  # fmt: skip
        self.url = url
        self.clock: Clock = clock or SystemClock()
        self.directly = directly
        self._write_wait_s = write_wait_s
        self._waiting: queue.Queue[Notice | None] = queue.Queue(waiting_max)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self.dropped = 0

    def tell(self, account: str, severity: str, message: str, *, code: str = "", key: str = "") -> None:
        """Tell people; never blocks on the database or a channel, never raises."""
        try:
            given = notice(account, severity, message, self.clock.now_us(), code=code, key=key, is_logged=True)
            log_notice(given)
            self._hand_over(given)
        except Exception:  # who tells is in the middle of a kill or a sweep
            log.exception("an alert about %s is in the log only: %s", account, message)

    def keep(self, session: Session, account: str, severity: str, message: str, now_us: int, *, code: str = "") -> bool:
        """Write it in the caller's transaction: see `write`."""
        return write(session, account, severity, message, now_us, code=code)

    def close(self, wait_s_max: float = 5.0) -> None:
        """Write what waits and end the thread; what cannot be written in time stays in the log."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is None or self._pid != os.getpid():
            return
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=wait_s_max)
        thread.join(wait_s_max)

    def flush(self, wait_s_max: float = 10.0) -> bool:
        """Wait until all that was told so far is written, or was given up; False when it takes longer."""
        waiter = threading.Thread(target=self._waiting.join, daemon=True)
        waiter.start()
        waiter.join(wait_s_max)
        return not waiter.is_alive()

    def _hand_over(self, given: Notice) -> None:
        if self._pid != os.getpid():  # the thread stayed in the parent
            self._pid, self._waiting, self._lock = os.getpid(), queue.Queue(self._waiting.maxsize), threading.Lock()
            self._thread = None
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="riskguard-alerts", daemon=True)
                self._thread.start()
        try:
            self._waiting.put_nowait(given)
        except queue.Full:
            self.dropped += 1
            log.error("more than %s alerts wait for the database: one stays in the log only", self._waiting.maxsize)

    def _work(self) -> None:
        waiting, store = self._waiting, Store(self.url)
        with contextlib.closing(store):
            while True:
                batch = [waiting.get()]
                with contextlib.suppress(queue.Empty):
                    while len(batch) < 100 and batch[-1] is not None:
                        batch.append(waiting.get_nowait())
                try:
                    self._save(store, [each for each in batch if each is not None])
                except Exception as e:  # a thread that dies would silence every later alert
                    log.error("alerts could not be handed on: %s: %s", type(e).__name__, e)
                finally:
                    for _ in batch:
                        waiting.task_done()
                if batch[-1] is None:
                    return

    def _save(self, store: Store, batch: Sequence[Notice]) -> None:
        said = ""
        for _ in range(TRIES_MAX if batch else 0):
            try:
                critical = any(each.severity == "critical" for each in batch)
                with store.session(durable=critical, wait_s=self._write_wait_s, account="") as session:
                    for each in batch:
                        put(session, each)
                return
            except Exception as e:
                said = f"{type(e).__name__}: {e}"
        for each in batch:
            log.error("the database does not take an alert (%s): %s: %s", said, each.account, each.message)
            if self.directly is not None:
                try:
                    self.directly(each)
                except Exception as e:  # the next one may get through
                    log.error("nor could it be sent directly: %s: %s", type(e).__name__, e)


def log_notice(given: Any) -> None:
    """Write an alert (anything with account, severity and message) to the log."""
    log.log(LEVELS.get(given.severity, logging.INFO), "%s: %s", given.account, given.message)
