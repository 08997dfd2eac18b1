"""
The day's P&L out of its readings: last, best, worst, and a curve thin enough to draw that lost no extreme.

Money is 1/10000 rupee (`_e4`), loss below zero; times are microseconds UTC (`_us`). None is not known, never zero.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

MINUTE_US: Final = 60_000_000
SLOT_US: Final = 15 * MINUTE_US
"""The rows of the table beside the curve."""
CURVE_BUCKETS: Final = 240
"""Each gives up to four points of the curve: more than a screen has pixels for."""


@dataclass(frozen=True, slots=True)
class Point:
    """
    One reading: profit of the day, loss below zero, charges taken off; None: unknown.

    Without fresh marks (`fresh` False) it was widened against the account, so that a limit acts early: it is what a
    limit went by, and no fact of the day.
    """

    at_us: int
    pnl_e4: int | None
    fresh: bool

    @property
    def sure_e4(self) -> int | None:
        """The reading where it is a fact; None where it was widened, or unknown."""
        return self.pnl_e4 if self.fresh else None


@dataclass(frozen=True, slots=True)
class Slot:
    """A quarter of an hour of readings with fresh marks; None: there was none. `unknown` and `stale` count the others."""

    at_us: int
    last_e4: int | None
    low_e4: int | None
    high_e4: int | None
    readings: int
    unknown: int
    stale: int


@dataclass(frozen=True, slots=True)
class Pnl:
    """
    The day's profit or loss.

    Attributes:
        last_e4: By the last reading, whatever its marks; None where it was unknown. `last_fresh`: whether it is a fact.
        best_e4, worst_e4: Of readings with fresh marks; None: there was none. lowest_e4: Of all, the widened ones too:
        what loss limits went by.
        detail: What the last reading could not know. curve: Thinned, every extreme kept; what is no fact breaks the line.
    """

    last_e4: int | None
    last_at_us: int | None
    last_fresh: bool
    best_e4: int | None
    best_at_us: int | None
    worst_e4: int | None
    worst_at_us: int | None
    lowest_e4: int | None
    readings: int
    unknown: int
    stale: int
    detail: str
    curve: tuple[Point, ...]
    slots: tuple[Slot, ...]


def summed_up(points: Sequence[Point], detail: str) -> Pnl:
    """Return what the day's readings, in order of time, come to."""
    known = [(each.sure_e4, each.at_us) for each in points if each.sure_e4 is not None]
    best = max(known, key=lambda each: (each[0], -each[1]), default=(None, None))  # the first of equal ones
    worst = min(known, default=(None, None))
    last = points[-1] if points else Point(0, None, False)
    return Pnl(
        last_e4=last.pnl_e4,
        last_at_us=last.at_us if points else None,
        last_fresh=last.fresh,
        best_e4=best[0],
        best_at_us=best[1],
        worst_e4=worst[0],
        worst_at_us=worst[1],
        lowest_e4=min((each.pnl_e4 for each in points if each.pnl_e4 is not None), default=None),
        readings=len(points),
        unknown=sum(each.pnl_e4 is None for each in points),
        stale=sum(each.pnl_e4 is not None and not each.fresh for each in points),
        detail=detail,
        curve=thinned(points),
        slots=slots(points),
    )


def slots(points: Iterable[Point]) -> tuple[Slot, ...]:
    """Return the readings by quarters of an hour; one without a reading is left out."""
    found = []
    for number, group in itertools.groupby(points, key=lambda each: each.at_us // SLOT_US):
        inside = list(group)
        known = [each.sure_e4 for each in inside if each.sure_e4 is not None]
        found.append(
            Slot(
                at_us=number * SLOT_US,
                last_e4=known[-1] if known else None,
                low_e4=min(known, default=None),
                high_e4=max(known, default=None),
                readings=len(inside),
                unknown=sum(each.pnl_e4 is None for each in inside),
                stale=sum(each.pnl_e4 is not None and not each.fresh for each in inside),
            )
        )
    return tuple(found)


def thinned(points: Sequence[Point], buckets: int = CURVE_BUCKETS) -> tuple[Point, ...]:
    """
    Return at most four points a bucket of time (and one gap): the first, the lowest, the highest, the last.

    No extreme of the day is lost, and where a reading was no fact the line still breaks.
    """
    if len(points) <= buckets:
        return tuple(points)
    first_us, span_us = points[0].at_us, max(1, points[-1].at_us - points[0].at_us + 1)
    kept: list[Point] = []
    for _, group in itertools.groupby(points, key=lambda each: (each.at_us - first_us) * buckets // span_us):
        inside = list(group)
        known = [each for each in inside if each.sure_e4 is not None]
        wanted = [inside[0], inside[-1], *[each for each in inside if each.sure_e4 is None][:1]]
        if known:
            wanted += [min(known, key=_height), max(known, key=_height)]
        chosen = {id(each) for each in wanted}
        kept += [each for each in inside if id(each) in chosen]
    return tuple(kept)


def _height(point: Point) -> int:
    assert point.sure_e4 is not None
    return point.sure_e4
