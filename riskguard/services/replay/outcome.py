"""What a replayed day was: everything counted from the run."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field


@dataclass(slots=True)
class Moment:
    """One minute as it was recorded."""

    at_us: int
    day_pnl_e4: int | None
    state: str


@dataclass(slots=True)
class Outcome:
    """What the day was: everything counted from the run."""

    day: dt.date
    strategy: str
    asked: int = 0
    approved: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    path: list[Moment] = field(default_factory=list)
    warnings: list[tuple[int, str]] = field(default_factory=list)
    reduced_at_us: int | None = None
    killed_at_us: int | None = None
    flat_at_us: int | None = None
    kill_detail: str = ""
    final_pnl_e4: int | None = None
    unguarded: list[Moment] = field(default_factory=list)
    unguarded_orders: int = 0

    @property
    def unguarded_final_e4(self) -> int | None:
        return self.unguarded[-1].day_pnl_e4 if self.unguarded else None

    @property
    def worst_e4(self) -> int | None:
        return min((each.day_pnl_e4 for each in self.path if each.day_pnl_e4 is not None), default=None)
