"""How the broker answered lately: requests and failures of the last minutes, and how long an answer took."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final, NamedTuple

from riskguard.core.live.view import SourceHealth

WINDOW_US: Final = 60_000_000
KEPT_MAX: Final = 600


class _Answer(NamedTuple):
    at_us: int  # elapsed, not wall: the window must not jump with the clock
    took_us: int
    ok: bool


class Health:
    """Answers of one source; threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: deque[_Answer] = deque(maxlen=KEPT_MAX)
        self._last_ok_us: int | None = None

    def note(self, *, elapsed_us: int, now_us: int, took_us: int, ok: bool) -> None:
        """Keep one answer, or its absence; *now_us* is wall time, for people."""
        with self._lock:
            self._answers.append(_Answer(elapsed_us, took_us, ok))
            if ok:
                self._last_ok_us = now_us

    def seen(self, elapsed_us: int) -> SourceHealth | None:
        """Return the last minute's figures; None when nothing was ever asked."""
        with self._lock:
            recent = [each for each in self._answers if each.at_us > elapsed_us - WINDOW_US]
            if not self._answers:
                return None
            slow = sorted(each.took_us for each in recent)
            latency_us = slow[min(len(slow) - 1, len(slow) * 9 // 10)] if slow else None
            failed = sum(not each.ok for each in recent)
            return SourceHealth(len(recent), failed, latency_us, self._last_ok_us)
