"""
One process that asks many times: `python -m benchmarks.memory DIRECTORY mixed|refused CHECKS`.

Prints by how many megabytes it grew after the first tenth of its checks.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

from benchmarks.stage import Stage, order

PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_mb() -> float:
    """Return the resident set of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1_000_000


def main(directory: str, kind: str, checks: int) -> float:
    """Ask; every tenth order of `mixed` passes, the rest are refused, a millisecond apart."""
    before_mb = 0.0
    with Stage(Path(directory)).guard() as (guard, clock):
        for number in range(checks):
            if number == checks // 10:
                before_mb = resident_mb()
            clock.advance(1_000)
            passes = kind == "mixed" and number % 10 == 0
            decision = guard.check(order(f"m{number}", 10 if passes else 100))
            assert decision.approved is passes, decision.explain()
        return resident_mb() - before_mb


if __name__ == "__main__":
    print(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
