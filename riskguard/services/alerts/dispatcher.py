"""
The dispatcher: from rows of the outbox to people, within seconds, in threads of its own.

At least once: a message is claimed, sent, marked; whoever dies in between leaves a claim that runs out, and it is
sent again under the same id. Two daemons share the work, because a claim is one row changed under the write lock.
A channel that hangs holds up itself alone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from riskguard.clock import SystemClock
from riskguard.errors import RiskGuardError
from riskguard.ports import Clock
from riskguard.services.alerts import deliveries
from riskguard.services.alerts.channels import Channel, channels, signature
from riskguard.services.alerts.message import Notice, payload
from riskguard.services.alerts.outbox import QUIET_US, log_notice
from riskguard.services.alerts.senders import NotSentError, send
from riskguard.store.database import Database

log = logging.getLogger("riskguard")

TICK_S: Final = 1.0
MESSAGES_MAX: Final = 50
"""How many messages one worker sends before it makes way; also how many wait unwritten for a channel."""
REST_US: Final = (5_000_000, 60_000_000)
MARK_TRIES: Final = 3
CHANNELS_US: Final = 30_000_000

Send = Callable[..., None]


@dataclass
class _Line:
    """What this process remembers of a channel: who works on it, since when it fails, what has no row."""

    worker: threading.Thread | None = None
    failures: int = 0
    rests_until_us: int = 0  # of elapsed time
    unwritten: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MESSAGES_MAX))


class Dispatcher:
    """Sends what the outbox holds. `tick` starts what is due and returns; `start` ticks every second until `stop`."""

    def __init__(
        self, url: str, *, clock: Clock | None = None, watch: Callable[[Database, int], None] | None = None,
        send: Send = send,
    ) -> None:  # fmt: skip
        """
        Args:
            watch: Asked at each tick to notice what other processes did and write alerts about it.
            send: How one message goes over one channel; another one for tests of what lies around it.
        """
        self.clock: Clock = clock or SystemClock()
        self.database = Database(url, clock=self.clock)
        self.watch = watch
        self._send = send
        self._lines: dict[str, _Line] = {}
        self._known: list[Channel] = []
        self._stands: object = None
        self._read_at_us = 0
        self._told: dict[tuple[str, str], int] = {}  # of what has no row: account and key -> elapsed when sent
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    # -- life -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="riskguard-dispatcher", daemon=True)
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def stop(self, wait_s_max: float = 5.0) -> None:
        """End; a hung channel's process is killed, and its message is sent again by whoever comes next."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(wait_s_max)
        self.wait(wait_s_max)
        self.database.close()

    def wait(self, wait_s_max: float) -> bool:
        """Wait until no worker is at work; False when one still is after *wait_s_max* for all of them."""
        end = time.monotonic() + wait_s_max
        for worker in [line.worker for line in list(self._lines.values()) if line.worker is not None]:
            worker.join(max(0.0, end - time.monotonic()))
        return not any(line.worker is not None and line.worker.is_alive() for line in self._lines.values())

    def _run(self) -> None:
        while not self._stopped.wait(TICK_S):
            self.tick()

    # -- one tick ---------------------------------------------------------------------------------------------

    def tick(self) -> list[str]:
        """Hand new alerts out and start a worker per channel with something due; returns their names. Never raises."""
        started: list[str] = []
        try:
            now_us = self.clock.now_us()
            self._look_around(now_us)
            self._look_at_channels()
            for each in deliveries.hand_out(self.database, self._known, now_us):
                log_notice(each)
            waiting = deliveries.due(self.database, now_us)
        except RiskGuardError as e:
            log.warning("alerts wait: %s", e)
            waiting = set()
        except Exception:  # the thread that tells people must outlive a bug
            log.exception("alerts: the dispatcher")
            waiting = set()
        for channel in self._known:
            if (channel.name in waiting or self._line(channel.name).unwritten) and self._begin(channel):
                started.append(channel.name)
        return started

    def _look_around(self, now_us: int) -> None:
        """Let the watch look; whatever is wrong with it, what stands in the outbox already is sent."""
        if self.watch is None:
            return
        try:
            self.watch(self.database, now_us)
        except RiskGuardError as e:
            log.warning("what other processes did is told later: %s", e)
        except Exception:
            log.exception("alerts: the watch")

    def _look_at_channels(self) -> None:
        """Read the channels when they changed, and every half minute: a key that was missing may be there now."""
        stands, at_us = signature(self.database), self.clock.elapsed_us()
        if stands != self._stands or at_us - self._read_at_us > CHANNELS_US:
            self._known = channels(self.database)
            self._stands, self._read_at_us = stands, at_us

    def _line(self, name: str) -> _Line:
        with self._lock:
            return self._lines.setdefault(name, _Line())

    def _begin(self, channel: Channel) -> bool:
        line = self._line(channel.name)
        with self._lock:
            at_work = line.worker is not None and line.worker.is_alive()
            if at_work or self._stopped.is_set() or self.clock.elapsed_us() < line.rests_until_us:
                return False
            line.worker = threading.Thread(
                target=self._work, args=(channel, line), name=f"riskguard-alert-{channel.name}", daemon=True
            )
            line.worker.start()
        return True

    def _work(self, channel: Channel, line: _Line) -> None:
        """Send what is due on one channel, the weightiest first, until one fails or none is left."""
        try:
            for _ in range(MESSAGES_MAX):
                if self._stopped.is_set():
                    return
                said = self._send_unwritten(channel, line) if line.unwritten else self._send_one(channel, line)
                if said is None:
                    return
                if said:
                    self._rest(line)
                    log.warning("alert channel `%s`: %s", channel.name, said)
                    return
                line.failures = 0
        except RiskGuardError as e:
            log.warning("alert channel `%s` waits: %s", channel.name, e)
        except Exception:
            self._rest(line)
            log.exception("alert channel `%s`", channel.name)

    def _rest(self, line: _Line) -> None:
        """A service that is down is not asked for each message anew: the channel rests, longer each time."""
        line.failures += 1
        least, most = REST_US
        line.rests_until_us = self.clock.elapsed_us() + min(most, least << min(line.failures - 1, 10))

    def _send_one(self, channel: Channel, line: _Line) -> str | None:
        """Send one message of the outbox; returns why it failed, "" when it was sent, None when nothing is due."""
        claimed = deliveries.claim(self.database, channel, self.clock.now_us())
        if claimed is None:
            return None
        try:
            self._send(channel, claimed.payload, stopped=self._stopped)
        except NotSentError as e:
            said = str(e)
            self._mark(lambda: deliveries.failed(self.database, channel, claimed, said, self.clock.now_us()))
            return said
        was_down = line.failures > 0
        self._mark(lambda: deliveries.sent(self.database, channel, claimed, self.clock.now_us(), was_down=was_down))
        return ""

    @staticmethod
    def _mark(write: Callable[[], object]) -> None:
        """Write what became of a message; while the database cannot take it, the claim runs out and it is sent again."""
        for tried in range(1, MARK_TRIES + 1):
            try:
                write()
                return
            except RiskGuardError as e:
                if tried == MARK_TRIES:
                    log.warning("what became of an alert could not be written: %s", e)

    # -- what has no row ----------------------------------------------------------------------------------------

    def directly(self, given: Notice) -> None:
        """
        Send an alert the database did not take, over the channels last known. Kept in memory only; never raises.

        What was sent so within the last minute is not sent again: a database that is gone is told of once a minute.
        """
        try:
            now_us = self.clock.elapsed_us()
            with self._lock:
                last_us = self._told.get((given.account, given.key))
                if last_us is not None and now_us - last_us < QUIET_US:
                    return
                if len(self._told) >= MESSAGES_MAX * 10:
                    self._told.clear()
                self._told[given.account, given.key] = now_us
            number = f"unwritten-{given.at_us}"
            message = payload(number, given.account, given.severity, given.code, given.message, given.at_us)
            for channel in self._known:
                if channel.wants(given.severity) and channel.name != given.not_to:
                    self._line(channel.name).unwritten.append(message)
                    self._begin(channel)
        except Exception:  # who tells has lost its database already, and goes on
            log.exception("an alert could not be sent directly")

    def _send_unwritten(self, channel: Channel, line: _Line) -> str:
        message = line.unwritten.popleft()  # this worker is the only one that takes
        try:
            self._send(channel, message, stopped=self._stopped)
        except NotSentError as e:
            if self.clock.now_us() - message["at_us"] < deliveries.AGE_US_MAX:
                line.unwritten.appendleft(message)
            return str(e)
        return ""
