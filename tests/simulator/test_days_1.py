"""Part 1 of the five hundred days of the ordinary run: see `tests/simulator/days.py`."""

from __future__ import annotations

from tests.simulator.days import hold_part


def test_every_promise_is_kept_on_every_day() -> None:
    """0 broken of 125 here, of 500 in all parts; a failure names its seed and the commit."""
    hold_part(1)
