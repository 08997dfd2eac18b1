"""What a peer is asked, and how both are timed: in one process, in turn, on the same orders and the same limits."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.deciding import BATCH
from benchmarks.measure import ON_THE_CORE, median, quiet, timed

PASSES, REFUSED = 10, 100
"""Quantities: at the benchmark's prices ten are worth less than 100,000 rupees, a hundred more."""

ROUNDS_MIN, ASKED_S_MAX = 10, 60.0
"""Whoever takes milliseconds for an answer is asked less often: after so many seconds no further round begins."""

Ask = Callable[[int], object]
"""Asks about one order of that quantity at each of the benchmark's prices."""
Settle = Callable[[], None]
"""Gives back what was reserved; not timed."""


def times(engines: dict[str, tuple[Ask, Settle]], rounds: int) -> dict[str, dict[int, float]]:
    """Return the median µs of one answer, by engine and quantity; who begins a round changes."""
    found: dict[str, dict[int, list[float]]] = {name: {PASSES: [], REFUSED: []} for name in engines}
    names, until = list(engines), time.monotonic() + ASKED_S_MAX
    with quiet():
        for number in range(rounds):
            if number >= ROUNDS_MIN and time.monotonic() > until:
                break
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                ask, settle = engines[name]
                for quantity in (PASSES, REFUSED):
                    took = timed(lambda ask=ask, quantity=quantity: ask(quantity), ON_THE_CORE)
                    found[name][quantity].append(took / BATCH)
                    settle()
    return {name: {quantity: median(each) for quantity, each in of.items()} for name, of in found.items()}


def unsettled() -> None:
    """Nothing was reserved."""
