"""Asking for the broker's lists to be read: at once, then no more often than every second, whoever asks how often."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from riskguard.ports import Clock

log = logging.getLogger("riskguard")

EVERY_US: Final = 1_000_000
"""A burst of messages is one look: the broker's limit of requests is shared with orders and the kill."""

Ask = Callable[[str, str], None]
"""Called with the account and the reason; must return at once."""


class Rereads:
    """Passes on what is asked of it, at most once a second and account. Threads may share it."""

    def __init__(self, ask: Ask, clock: Clock, *, every_us: int = EVERY_US) -> None:
        self._ask, self._clock, self._every_us = ask, clock, every_us
        self._lock = threading.Lock()
        self._asked_us: dict[str, int] = {}
        self._due: dict[str, str] = {}

    def request(self, account: str, reason: str) -> None:
        """Ask for *account*'s lists; within a second of the last time it is kept for `tick`."""
        with self._lock:
            self._due.setdefault(account, reason)
        self.tick()

    def tick(self) -> int:
        """Pass on what is due; returns how many. What asks must not fail us, so its errors are logged."""
        now_us = self._clock.elapsed_us()
        with self._lock:
            due = {
                account: reason for account, reason in self._due.items()
                if now_us - self._asked_us.get(account, -self._every_us) >= self._every_us
            }  # fmt: skip
            for account in due:
                del self._due[account]
                self._asked_us[account] = now_us
        for account, reason in due.items():
            try:
                self._ask(account, reason)
            except Exception:
                log.exception("%s: the lists could not be asked for (%s)", account, reason)
        return len(due)
