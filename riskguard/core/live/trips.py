"""
The day's fills as a trader counts them: entries, round trips (flat to flat), and the average price of what is open.

Per (segment, security, product). P&L of a trip is gross: charges are settled per day, not per trip. What was carried
in is valued at the previous close; where that is not known, the trip's result is not known either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from riskguard.core.account import InstrumentKey

LineKey = tuple[str, str, str]


class Fill(NamedTuple):
    """One fill of the day, with what its order was."""

    key: LineKey
    sign: int
    quantity: int
    price_e4: int
    at_us: int
    order_id: str
    parent: str = ""  # slices of one order share it
    strategy: str = ""
    is_stop: bool = False


@dataclass(frozen=True, slots=True)
class Trip:
    """One round trip that ended flat; `pnl_e4` None: the carried part has no known price."""

    key: LineKey
    strategy: str
    closed_us: int
    pnl_e4: int | None
    by_stop: bool

    @property
    def instrument(self) -> InstrumentKey:
        return self.key[:2]


@dataclass(frozen=True, slots=True)
class Entry:
    """One order that opened or added, its slices taken together."""

    instrument: InstrumentKey
    strategy: str


@dataclass(slots=True)
class _Open:
    """What is open of one line while the fills are walked."""

    net: int = 0
    cost_e4: int | None = 0  # signed quantity × price of what is open; None: not known
    made_e4: int | None = 0  # of the running trip
    strategy: str = ""


@dataclass(frozen=True, slots=True)
class DayFills:
    """What the walk found, in order of time."""

    trips: tuple[Trip, ...] = ()
    entries: tuple[Entry, ...] = ()
    average_e4: Mapping[LineKey, int | None] = field(default_factory=dict)  # of what is open; None: not known


def walk(
    fills: Iterable[Fill],
    carried: Mapping[LineKey, tuple[int, int | None]],
    multipliers: Mapping[InstrumentKey, int | None] | None = None,
) -> DayFills:
    """
    Walk the fills in order of time. *carried*: line -> (signed quantity, previous close).

    A fill that crosses zero ends one trip and begins the next. An order that closes first and then opens counts as an
    entry for what it opens.
    """
    lines: dict[LineKey, _Open] = {
        key: _Open(quantity, None if close_e4 is None else quantity * close_e4, None if close_e4 is None else 0)
        for key, (quantity, close_e4) in carried.items()
        if quantity
    }
    trips: list[Trip] = []
    entries: dict[str, Entry] = {}
    for fill in sorted(fills, key=lambda each: (each.at_us, each.order_id)):
        line = lines.setdefault(fill.key, _Open())
        multiplier = 1 if multipliers is None else multipliers.get(fill.key[:2], 1)
        left = fill.quantity
        closing = min(left, abs(line.net)) if line.net * fill.sign < 0 else 0
        if closing:
            _close(line, fill, closing, multiplier)
            left -= closing
            if not line.net:
                strategy = line.strategy or fill.strategy
                trips.append(Trip(fill.key, strategy, fill.at_us, line.made_e4, fill.is_stop))
                line.cost_e4, line.made_e4, line.strategy = 0, 0, ""
        if left:
            line.net += fill.sign * left
            line.cost_e4 = None if line.cost_e4 is None else line.cost_e4 + fill.sign * left * fill.price_e4
            line.strategy = line.strategy or fill.strategy
            entries.setdefault(fill.parent or fill.order_id, Entry(fill.key[:2], fill.strategy))
    average = {
        key: None if line.cost_e4 is None else line.cost_e4 // line.net for key, line in lines.items() if line.net
    }
    return DayFills(tuple(trips), tuple(entries.values()), average)


def _close(line: _Open, fill: Fill, quantity: int, multiplier: int | None) -> None:
    """Take *quantity* off what is open, at its average cost."""
    if line.cost_e4 is None or line.made_e4 is None or multiplier is None:
        line.made_e4 = line.cost_e4 = None
    else:
        part_e4 = line.cost_e4 * quantity // abs(line.net)
        # A long's cost is positive and its sale comes in; a short's is negative and its purchase goes out.
        line.made_e4 += (-fill.sign * quantity * fill.price_e4 - part_e4) * multiplier
        line.cost_e4 -= part_e4
    line.net += fill.sign * quantity
