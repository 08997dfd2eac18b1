"""One answer at a time: the median, and what one in a hundred and one in a thousand wait for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import Row, median, percentile, quiet, timed
from benchmarks.stage import SECOND, BenchClock, build, order, rulebook
from riskguard import RiskGuard

APPROVALS, REFUSALS = 3_000, 2_000


def rows(directory: Path, approvals: int = APPROVALS, refusals: int = REFUSALS) -> list[Row]:
    """Approvals and refusals as a process meets them, and approvals of one that keeps nothing between two checks."""
    stage = build(directory / "tails", rulebook())
    kinds: tuple[tuple[str, int, int, bool], ...] = (
        ("approval", approvals, 10, False),
        ("refusal", refusals, 100, False),
        ("approval with nothing kept", approvals, 10, True),
    )
    found = []
    for number, (name, count, quantity, forget) in enumerate(kinds):
        with stage.copied(directory / str(number)).guard() as (guard, clock):
            times = _times(guard, clock, count, quantity, forget)
        said = f"p50 {median(times):.0f} µs, p99 {percentile(times, 99):.0f} µs; n = {count:,}"
        found.append(Row(f"{name}, p99.9", percentile(times, 99.9), "µs", None, said))
    return found


def _times(guard: RiskGuard, clock: BenchClock, count: int, quantity: int, forget: bool) -> list[float]:
    times = []
    with quiet():
        for number in range(count + 3):
            # Refusals lie more than a second apart, or they would only be counted.
            clock.advance(1_000 if quantity == 10 else SECOND + 100_000)
            if forget:
                guard.kept.loaded.clear()
            asked = order(f"t{number}", quantity)
            ask: Callable[[], object] = lambda asked=asked: guard.check(asked)  # type: ignore[misc]  # noqa: E731
            took = timed(ask)
            if number >= 3:  # the first of each loads the account and compiles its statements
                times.append(took)
            decision = guard.check(asked)
            assert decision.approved is (quantity == 10), decision.explain()
            if decision.permit is not None:
                decision.permit.release()
    return times
