"""How a figure is taken: interleaved rounds, medians, one row per budget."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

FLAT_RATIO_MAX = 1.2
"""What counts as flat: two medians of interleaved runs differ by less on an idle machine."""

Clock = Callable[[], int]
ON_THE_WALL: Clock = time.perf_counter_ns
ON_THE_CORE: Clock = time.thread_time_ns
"""What this thread computed, without what it waited: for figures that touch no disk and no other process. Another
program that takes the core in between shows in neither side of a ratio."""


@dataclass(slots=True)
class Row:
    """
    One figure beside its budget.

    Attributes:
        measured, budget: In `unit`; budget None is a figure without one, shown because it explains another. Measured None:
            it could not be, and `floor` says why.
        floor: What it was measured against in this run, in words, with its own figure.
        why: What is known about a miss; shown only when there is one.
    """

    name: str
    measured: float | None
    unit: str
    budget: float | None
    floor: str = ""
    why: str = ""

    @property
    def verdict(self) -> str:
        if self.budget is None or self.measured is None:
            return ""
        return "met" if self.measured <= self.budget else "MISSED"

    @property
    def said(self) -> str:
        """The figure as people read it."""
        if self.measured is None:
            return "–"
        if self.unit in ("", "/s") or self.measured >= 100:
            return f"{self.measured:,.0f} {self.unit}".strip()
        return f"{self.measured:.2f} {self.unit}"

    def as_dict(self) -> dict[str, object]:
        measured = None if self.measured is None else round(self.measured, 3)
        return {
            "name": self.name, "measured": measured, "unit": self.unit, "budget": self.budget,
            "verdict": self.verdict, "floor": self.floor, "why": self.why if self.verdict == "MISSED" else "",
        }  # fmt: skip


def interleaved(rounds: int, clock: Clock = ON_THE_WALL, **runs: Callable[[], object]) -> dict[str, list[float]]:
    """
    Time each of *runs* once per round, in turn, and return the times in µs of *clock*.

    In turn, so that what else the machine does meets all alike; the order turns too, so that nobody always
    runs on the caches another one left.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    with quiet():
        for number in range(rounds):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                times[name].append(timed(runs[name], clock))
    return times


def timed(run: Callable[[], object], clock: Clock = ON_THE_WALL) -> float:
    """Return how long one call took, in µs of *clock*."""
    before = clock()
    run()
    return (clock() - before) / 1000


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the garbage collector out of single figures: its cost shows in p99 of a real program, not in a median."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def median(times: Sequence[float]) -> float:
    return statistics.median(times)


def percentile(times: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile."""
    ordered = sorted(times)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
