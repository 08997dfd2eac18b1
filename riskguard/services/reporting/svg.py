"""
The curve of the day as SVG: drawn here, because no library that is installed draws one without the network or a browser.

Colours are the page's own variables, so that the curve follows light, dark and print with the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from riskguard.services.reporting.curve import Point
from riskguard.services.reporting.day import DayReport
from riskguard.services.reporting.words import clock, minute, money

WIDTH: Final = 720
HEIGHT: Final = 260
LEFT, RIGHT, TOP, BOTTOM = 120, 24, 14, 34
HOUR_US: Final = 3_600_000_000
HALF_HOUR_US: Final = HOUR_US // 2
TICKS: Final = 5
E4: Final = 10_000


def curve(report: DayReport, name: str) -> str:
    """
    Return the curve, with a line where each kill fell; "" where fewer than two readings are known.

    *name* makes its ids unique on the page. A gap in the line is a time of which nothing is surely known.
    """
    points = report.pnl.curve
    known = [each.sure_e4 for each in points if each.sure_e4 is not None]
    if len(known) < 2:
        return ""
    first_us, last_us = points[0].at_us, max(points[-1].at_us, points[0].at_us + 1)
    ticks = levels(min(0, *known), max(0, *known))
    low_e4, high_e4 = ticks[0], ticks[-1]

    def x(at_us: int) -> str:
        return _number(LEFT + (at_us - first_us) * (WIDTH - LEFT - RIGHT) / (last_us - first_us))

    def y(e4: int) -> str:
        return _number(TOP + (high_e4 - e4) * (HEIGHT - TOP - BOTTOM) / (high_e4 - low_e4))

    parts = [
        f'<line class="{"zero" if each == 0 else "grid"}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(each)}" y2="{y(each)}"/>'
        f'<text class="tick" x="{LEFT - 8}" y="{y(each)}" dy="0.35em" text-anchor="end">{escape(_short(each))}</text>'
        for each in ticks
    ]
    parts += [  # a narrow screen shows every second one, larger
        f'<text class="tick{" other" if place % 2 else ""}" x="{x(each)}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"{minute(each)}</text>"
        for place, each in enumerate(_times(first_us, last_us))
    ]
    for kill in report.kills:
        if kill.halts and first_us <= kill.started_us <= last_us:
            at = x(kill.started_us)
            parts.append(
                f'<line class="kill" x1="{at}" x2="{at}" y1="{TOP}" y2="{HEIGHT - BOTTOM}">'
                f"<title>killed at {clock(kill.started_us)}</title></line>"
            )
    for run in _runs(points):
        line = " ".join(f"{x(each.at_us)},{y(each.sure_e4)}" for each in run if each.sure_e4 is not None)
        parts.append(f'<polyline class="pnl" points="{line}"/>')
        if len(run) == 1 and run[0].sure_e4 is not None:
            parts.append(f'<circle class="pnl" cx="{x(run[0].at_us)}" cy="{y(run[0].sure_e4)}" r="1.5"/>')
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{escape(f"Day P&L of {report.account} on {report.date}")}</title>'
        f'<desc id="{name}-desc">{escape(_described(report))}</desc>{"".join(parts)}</svg>'
    )


def levels(low_e4: int, high_e4: int) -> list[int]:
    """Return about five round levels around both, zero among them; never fewer than two."""
    span = max(high_e4 - low_e4, E4)
    step, factor = E4, 0
    while step * TICKS < span:
        step = (2, 5, 10)[factor % 3] * 10 ** (factor // 3) * E4
        factor += 1
    low_e4 = low_e4 // step * step
    return list(range(low_e4, max(-(-high_e4 // step) * step, low_e4 + step) + 1, step))


def _described(report: DayReport) -> str:
    pnl = report.pnl
    said = f"best {money(pnl.best_e4)} at {clock(pnl.best_at_us)}, worst {money(pnl.worst_e4)} at {clock(pnl.worst_at_us)}, "
    return said + f"last {money(pnl.last_e4)}; the same figures stand in the table below"


def _runs(points: Sequence[Point]) -> Iterable[list[Point]]:
    """Yield the stretches in which every reading was a fact."""
    run: list[Point] = []
    for each in points:
        if each.sure_e4 is not None:
            run.append(each)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _times(first_us: int, last_us: int) -> list[int]:
    """Return full hours, or the ends where no hour lies between."""
    step = HOUR_US if last_us - first_us > 2 * HOUR_US else HALF_HOUR_US // 6
    while (last_us - first_us) // step > 8:
        step *= 2
    offset = HALF_HOUR_US  # an hour in India begins half an hour after one of UTC
    start = (first_us - offset + step - 1) // step * step + offset
    return list(range(start, last_us + 1, step)) or [first_us, last_us]


def _short(e4: int) -> str:
    return "₹0" if e4 == 0 else money(e4).removesuffix(".00")


def _number(value: float) -> str:
    return f"{value:.1f}"
