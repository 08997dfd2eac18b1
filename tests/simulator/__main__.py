"""
Replay a day of the simulator, step by step: `python -m tests.simulator SEED`, or `FIRST COUNT` for many in a row.

Exit status: 0 every promise was kept; 1 one was broken, and the day says which.
"""

from __future__ import annotations

import sys
import time
import traceback

from tests.simulator.day import Broken, live_day
from tests.simulator.days import commit, little_collecting
from tests.simulator.world import quick_directory, template_in


def main(first: int, count: int) -> int:
    broken = 0
    with quick_directory() as base, little_collecting():
        template = template_in(base)
        began = time.process_time()
        for seed in range(first, first + count):
            try:
                day = live_day(template, base / str(seed), seed, echo=count == 1)
            except Broken as e:
                broken += 1
                print(e if count > 1 else "".join(traceback.format_exception(e)))
            else:
                if count == 1:
                    print(day.counts)
        if count > 1:
            print(commit())
            print(f"{count} days, {broken} broken, {(time.process_time() - began) / count:.3f} s of CPU each")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
