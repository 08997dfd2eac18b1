"""
How many messages may leave now: the windows of `order_rate`, the reserve for emergencies included. And how often the
broker may be looked at: its reads are bounded too, and what breaches them counts as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from riskguard.core.account import Account
from riskguard.ports import Clock

BROKER_WINDOWS: Final = ((10, 1_000_000), (250, 60_000_000))
"""(messages, microseconds): what the broker takes, where no limit of ours says less."""


@dataclass(slots=True)
class Pace:
    """What is left of every window. Retries count like first tries: the broker counts them so."""

    left: int = 0
    frees_us: int | None = None
    most: int = 0  # what the narrowest window ever takes

    def refresh(self, account: Account, now_us: int) -> None:
        """Count again; `frees_us` is when the next message may leave, None when one may now."""
        windows = [
            (window.messages_max, window.per_s)
            for limit in account.limits.of("order_rate")
            for window in limit.params.plain().windows  # type: ignore[attr-defined]
        ] or list(BROKER_WINDOWS)
        self.left, self.frees_us = 10**9, None
        self.most = min(most for most, _width_us in windows)
        for most, width_us in windows:
            left = most - account.sent.count(now_us, width_us) - account.granted
            self.left = min(self.left, left)
            if left <= 0:
                frees_us = account.sent.leaves_us(max(1, most - account.granted), width_us) or now_us + width_us
                self.frees_us = max(self.frees_us or 0, frees_us)

    def has(self, messages: int) -> bool:
        """Say whether so many may leave at once now; where no window is as wide, whether as many as ever may."""
        return self.left >= min(messages, self.most)

    def take(self, messages: int = 1) -> bool:
        """Take so many messages; False, and none taken, when there are not as many."""
        if self.left < messages:
            return False
        self.left -= messages
        return True


LOOK_BACK_OFF_US: Final = (2_000_000, 4_000_000, 8_000_000)
"""Shorter than the lease: whoever waits keeps the run."""


class Looks:
    """
    How far apart the looks of one account are: the broker's own distance, and more after each one it refused as one too
    many. Asked again at once it would refuse for ever, and nothing would be cancelled.
    """

    def __init__(self, clock: Clock, apart_us: int) -> None:
        self._clock, self._apart_us = clock, apart_us
        self._from_us = clock.elapsed_us()
        self._refused = 0

    def wait_us(self) -> int:
        """Return how long not to look yet; 0: look."""
        return max(0, self._from_us - self._clock.elapsed_us())

    def made(self, looks: int, began_us: int, *, too_many: bool) -> None:
        """Note that so many were made since *began_us* (elapsed), and whether one was refused for there being too many."""
        self._from_us = began_us + looks * self._apart_us
        self._refused = self._refused + 1 if too_many else 0
        if too_many:
            back_off_us = LOOK_BACK_OFF_US[min(self._refused, len(LOOK_BACK_OFF_US)) - 1]
            self._from_us = max(self._from_us, self._clock.elapsed_us() + back_off_us)
