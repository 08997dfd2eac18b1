"""
What the seconds on a packet mean: India's clock written as if it were UTC, or UTC itself.

Dhan does not say. Those who looked found the first (stamps 5 hours 30 minutes ahead of UTC), and the official client shows the
time of day of India when it prints them as UTC; one found the second. The first is taken until the feed proves the second:
stamps read as UTC that keep step with our own clock. It cannot be guessed from one packet: a trade of five and a half hours ago
would look like one of now, and an old price like a fresh one. Read wrongly the other way round every price looks old, which
refuses and never flattens.
"""

from __future__ import annotations

import logging
from typing import Final

from riskguard.core.calendar import IST_OFFSET_US

log = logging.getLogger("riskguard")

SECOND_US: Final = 1_000_000
NEAR_US: Final = 5 * SECOND_US
"""How near to our clock a stamp must be to be called live."""
STEP_US: Final = 20 * SECOND_US
"""How long stamps must have kept step with it; a trade's stamp does not move."""


class Stamps:
    """Reads stamps, and learns how to; one per connection's feed, used by one thread."""

    def __init__(self) -> None:
        self.is_utc = False
        self._is_proven = False
        self._first: tuple[int, int] | None = None  # stamp and receipt of the first that looked live as UTC

    def traded_us(self, stamp_s: int | None, received_us: int) -> int | None:
        """Return when a trade was, microseconds UTC; None for a packet without a stamp."""
        if stamp_s is None:
            return None
        stamp_us = stamp_s * SECOND_US
        if not self._is_proven:
            self._learn(stamp_us, received_us)
        return stamp_us if self.is_utc else stamp_us - IST_OFFSET_US

    def _learn(self, stamp_us: int, received_us: int) -> None:
        if abs(stamp_us - IST_OFFSET_US - received_us) <= NEAR_US:
            self._is_proven = True  # India's time of this very moment: nothing trades five hours ahead
            self.is_utc = False
        elif abs(stamp_us - received_us) <= NEAR_US:
            if self._first is None or received_us < self._first[1]:
                self._first = stamp_us, received_us
            elif stamp_us - self._first[0] >= STEP_US and received_us - self._first[1] >= STEP_US:
                self.is_utc = self._is_proven = True
                log.warning("the market feed stamps its trades in UTC: read as such from now on")
