"""The one place that asks the machine what time it is."""

from __future__ import annotations

import time

_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_clock_gettime_ns = time.clock_gettime_ns  # bound here: freezegun patches `time` and must not stop deadlines


class SystemClock:
    """Wall time for what is recorded, boot time (counting suspend) for what is waited."""

    def now_us(self) -> int:
        """UTC microseconds; frozen under freezegun, because tests freeze what people see."""
        return time.time_ns() // 1000

    def elapsed_us(self) -> int:
        """Microseconds since boot; never goes back and is never frozen."""
        return _clock_gettime_ns(_BOOTTIME) // 1000
