"""
What a day was, as one value: everything a report shows is counted here, and nothing is counted twice.

Money is 1/10000 rupee (`_e4`), loss below zero; times are microseconds UTC (`_us`). None is not known, never zero.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from riskguard.core.money import to_text
from riskguard.services.reporting.curve import Pnl


@dataclass(frozen=True, slots=True)
class LimitUse:
    """
    How near a limit came. `peak_pct_e2`: the most of it one order (a loss limit: the worst reading) used, 1/100
    percent. `approved` counts orders that added risk and passed; a near miss left less than a tenth.
    """

    limit_id: str
    check: str
    peak_pct_e2: int
    peak: str
    approved: int
    near_misses: int
    warned_pct: int


@dataclass(frozen=True, slots=True)
class Count:
    """How many of something."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Refusals:
    """
    Refusals of one code. `refusals` stand in rows of their own, `repeats` were counted within a second of one.

    An order that several limits refuse counts under each of their codes.
    """

    code: str
    refusals: int
    repeats: int
    strategies: tuple[str, ...]
    first_us: int
    last_us: int
    example: str


@dataclass(frozen=True, slots=True)
class Orders:
    """
    What was asked and what became of it. `refused` is decisions with a row of their own, `repeats` what was asked
    again within a second; `by_outcome` are permits by state, of what was approved.
    """

    asked: int
    approved: int
    refused: int
    repeats: int
    by_outcome: tuple[Count, ...]
    at_broker: tuple[Count, ...]


@dataclass(frozen=True, slots=True)
class Breach:
    """A violation that was not a refused order: a loss reached, a state raised, a kill."""

    at_us: int
    code: str
    limit_id: str
    measured: str
    limit: str
    action: str
    detail: str


@dataclass(frozen=True, slots=True)
class Step:
    """One broker write of a kill run."""

    at_us: int
    step: str
    round: int
    target: str
    state: str
    detail: str
    read_back: str


@dataclass(frozen=True, slots=True)
class Kill:
    """A kill, or a task that followed a breach (`halts` False), and how far its run came."""

    kill_id: str
    scope: str
    halts: bool
    plan: str
    cause: str
    by: str
    reason: str
    started_us: int
    ended_us: int | None
    state: str
    step: str
    detail: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """An act that loosened something."""

    at_us: int
    kind: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the day's book. Values are of all its fills; `net` is what is held at the end."""

    exchange_segment: str
    security_id: str
    symbol: str
    product: str
    start: int
    bought: int
    sold: int
    net: int
    buy_value_e4: int
    sell_value_e4: int
    fills: int


@dataclass(frozen=True, slots=True)
class Charge:
    """One kind of charge in one segment."""

    exchange_segment: str
    name: str
    amount_e4: int


@dataclass(frozen=True, slots=True)
class Charges:
    """
    The day's charges. `total_e4`: as the last reading took them off; None: unknown. `lines`: what they are made of,
    where it was kept; `doubts`: what of it is not surely known.
    """

    total_e4: int | None
    turnover_e4: int
    fills: int
    lines: tuple[Charge, ...]
    doubts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """One alert. `channels`: what became of it, in words; empty: it stands in the log only."""

    at_us: int
    severity: str
    account: str
    code: str
    message: str
    again: int
    channels: str


@dataclass(frozen=True, slots=True)
class DayReport:
    """
    One account's day.

    Attributes:
        date: Session date in India. made_us: When this was counted: before the close it is a report so far.
        state: How the account stood when this was counted; only where the date is the present session, else "".
        limits_are_of: `the day`: as the day's last order was judged; `now`: no order says.
        breaches_left_out, alerts_left_out: How many older ones are not listed.
    """

    account: str
    date: str
    made_us: int
    state: str
    pnl: Pnl
    limits: tuple[LimitUse, ...]
    limits_are_of: str
    orders: Orders
    refusals: tuple[Refusals, ...]
    breaches: tuple[Breach, ...]
    breaches_left_out: int
    kills: tuple[Kill, ...]
    releases: tuple[Release, ...]
    lines: tuple[Line, ...]
    charges: Charges
    alerts: tuple[Told, ...]
    alerts_left_out: int

    @property
    def is_empty(self) -> bool:
        """Say whether nothing at all was recorded that day."""
        return not (self.pnl.readings or self.orders.asked or self.breaches or self.kills or self.lines or self.alerts)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready data: money as text in rupees under its name without `_e4`."""
        found: dict[str, Any] = _plain(self)
        return found


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            each.name.removesuffix("_e4"): _money(getattr(value, each.name))
            if each.name.endswith("_e4")
            else _plain(getattr(value, each.name))
            for each in dataclasses.fields(value)
        }
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _money(e4: int | None) -> str | None:
    return None if e4 is None else to_text(e4)
