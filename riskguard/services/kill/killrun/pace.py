"""How many messages may leave now: the windows of `order_rate`, the reserve for emergencies included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from riskguard.core.account import Account

BROKER_WINDOWS: Final = ((10, 1_000_000), (250, 60_000_000))
"""(messages, microseconds): what the broker takes, where no limit of ours says less."""


@dataclass(slots=True)
class Pace:
    """What is left of every window. Retries count like first tries: the broker counts them so."""

    left: int = 0
    frees_us: int | None = None

    def refresh(self, account: Account, now_us: int) -> None:
        """Count again; `frees_us` is when the next message may leave, None when one may now."""
        windows = [
            (window.messages_max, window.per_s)
            for limit in account.limits.of("order_rate")
            for window in limit.params.plain().windows  # type: ignore[attr-defined]
        ] or list(BROKER_WINDOWS)
        self.left, self.frees_us = 10**9, None
        for most, width_us in windows:
            left = most - account.sent.count(now_us, width_us) - account.granted
            self.left = min(self.left, left)
            if left <= 0:
                frees_us = account.sent.leaves_us(max(1, most - account.granted), width_us) or now_us + width_us
                self.frees_us = max(self.frees_us or 0, frees_us)

    def take(self, messages: int = 1) -> bool:
        """Take so many messages; False, and none taken, when there are not as many."""
        if self.left < messages:
            return False
        self.left -= messages
        return True
