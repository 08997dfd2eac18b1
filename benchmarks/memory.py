"""
One process that asks many times: `python -m benchmarks.memory DIRECTORY mixed|refused CHECKS`.

Prints as JSON by how much it grew after the first tenth of its checks, and how large the log became.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import TypedDict

from benchmarks.stage import Stage, order

PAGE = os.sysconf("SC_PAGE_SIZE")
LOG_LOOKED_AT_EACH = 1_000


class Grown(TypedDict):
    """Megabytes of memory and open descriptors more than after the first tenth; the largest log seen, in megabytes."""

    memory_mb: float
    descriptors: int
    log_mb: float


def resident_mb() -> float:
    """Return the resident set of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1_000_000


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def main(directory: str, kind: str, checks: int) -> Grown:
    """Ask; every tenth order of `mixed` passes, the rest are refused, a millisecond apart."""
    before_mb, before, log_bytes = 0.0, 0, 0
    stage = Stage(Path(directory))
    log = stage.path.with_name(stage.path.name + "-wal")
    with stage.guard() as (guard, clock):
        for number in range(checks):
            if number == checks // 10:
                before_mb, before = resident_mb(), descriptors()
            if number % LOG_LOOKED_AT_EACH == 0 and log.exists():
                log_bytes = max(log_bytes, log.stat().st_size)
            clock.advance(1_000)
            passes = kind == "mixed" and number % 10 == 0
            decision = guard.check(order(f"m{number}", 10 if passes else 100))
            assert decision.approved is passes, decision.explain()
        return {
            "memory_mb": resident_mb() - before_mb, "descriptors": descriptors() - before, "log_mb": log_bytes / 1_000_000,
        }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
