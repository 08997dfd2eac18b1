"""The rate limits of the service: sliding windows over one client, whatever process asks."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Final

from riskguard.brokers.dhan.sandbox.exchange import MILLION

WRITES: Final = ((1, 10), (60, 250), (3_600, 1_000), (86_400, 7_000))
READS: Final = ((1, 20),)
"""Seconds and how many calls fit into them."""


class Windows:
    """Counts calls of one class. A call that breaches a window is refused and counts all the same."""

    def __init__(self, windows: tuple[tuple[int, int], ...], now_us: Callable[[], int]) -> None:
        self._windows, self._now_us = windows, now_us
        self._longest_us = max(seconds for seconds, _ in windows) * MILLION
        self._calls: list[int] = []

    def take(self) -> bool:
        """Count a call; say whether every window has room for it."""
        now_us = self._now_us()
        if len(self._calls) > 2 * self._windows[-1][1]:
            del self._calls[: bisect_right(self._calls, now_us - self._longest_us)]
        self._calls.append(max(now_us, self._calls[-1] if self._calls else now_us))
        return all(
            len(self._calls) - bisect_right(self._calls, now_us - seconds * MILLION) <= most
            for seconds, most in self._windows
        )
