"""Living many days: in how many a promise is broken, what happened in them, and the parts a run of them is cut into."""

from __future__ import annotations

import contextlib
import gc
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.reliability.actors import ROOT
from tests.reliability.claims import Shown
from tests.simulator.day import Broken, Day, live_day
from tests.simulator.people import ACTIONS
from tests.simulator.world import quick_directory, template_in

DAYS: Final = 500
PARTS: Final = 4
"""Of the ordinary run: each is a file of its own, since files are what test workers share out."""
DAYS_SOAK: Final = 19_500
PARTS_SOAK: Final = 39
FIRST_SOAK: Final = 100_000
COLLECTED_AFTER: Final = 50_000
"""Objects made and not yet gone before the collector looks for cycles."""


def lived(places: tuple[Path, Path], seed: int) -> Day:
    template, base = places
    directory = base / f"day{seed}"
    try:
        return live_day(template, directory, seed)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def live_all(places: tuple[Path, Path], seeds: range) -> tuple[Counter[str], list[str]]:
    """Live every day, even after a promise was broken; returns what happened in them, and what was broken."""
    counts, broken = Counter[str](), []
    with little_collecting():
        for seed in seeds:
            try:
                counts.update(lived(places, seed).counts)
            except Broken as e:
                broken.append(str(e))
    return counts, broken


@contextlib.contextmanager
def little_collecting() -> Iterator[None]:
    """What is loaded stays loaded: it need not be walked again and again, nor a day's young objects some hundred times."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECTED_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def live_apart(seeds: range) -> tuple[Counter[str], list[str]]:
    """The same with files of its own, in whatever process this is."""
    with quick_directory() as base:
        return live_all((template_in(base), base), seeds)


def part(number: int) -> range:
    """Return the seeds of part *number* (1 …) of the ordinary run; together they are 1 … DAYS."""
    size = DAYS // PARTS
    return range(1 + (number - 1) * size, 1 + number * size)


def soak_part(number: int, days: int) -> range:
    """Return the first *days* seeds of part *number* (1 …) of the soak: a rehearsal does not live all of them."""
    first = FIRST_SOAK + (number - 1) * (DAYS_SOAK // PARTS_SOAK)
    return range(first, first + days)


def hold_part(seeds: range, shown: Shown) -> None:
    """Live the days of one part and hold them to everything; prints what it took."""
    began = time.process_time()
    counts, broken = live_apart(seeds)
    took_s = time.process_time() - began
    print(f"{len(seeds)} days in {took_s:.0f} s of CPU, {took_s / len(seeds):.3f} s each: {dict(counts)}")
    shown.trials(len(seeds), broken)
    shown.counted(orders_asked=counts["approved"] + counts["refused"], kills=counts["killed"])
    hold(len(seeds), counts, broken)


def hold(days: int, counts: Counter[str], broken: list[str]) -> None:
    """Every promise was kept, and every kind of step and each comparison was met many times."""
    assert not broken, f"{len(broken)} of {days} days, at {commit()}:\n\n" + "\n\n".join(broken[:5])
    for what in (*ACTIONS, "approved", "refused", "sent", "killed", "released", "P&L compared", "exits let out"):
        assert counts[what] >= days // 30, (what, counts[what])


def commit() -> str:
    """Return what the days were lived with: a seed is a day only together with its code."""
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return "a tree that is no checkout"
    return f"commit {said.stdout.strip()}"
