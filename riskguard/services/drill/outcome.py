"""What a drill found: each step passed or not, how long to flat, what it took and what it cost."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from riskguard.brokers.dhan.sandbox.exchange import Fill
from riskguard.core.account import Account
from riskguard.core.charges import charge_surely
from riskguard.core.money import to_text
from riskguard.services.drill.book import DrillBook
from riskguard.services.finding import Finding
from riskguard.services.kill.killrun.pace import BROKER_WINDOWS
from riskguard.services.sweeps.charging import charge_fill, charge_table

KINDS: Final = {
    "POST /orders": "placed",
    "POST /orders/slicing": "placed",
    "PUT /orders/{id}": "modified",
    "DELETE /orders/{id}": "cancelled",
    "DELETE /super/orders/{id}/{leg}": "cancelled",
    "DELETE /forever/orders/{id}": "cancelled",
    "DELETE /alerts/orders/{id}": "cancelled",
    "DELETE /positions": "exit-all",
    "POST /killswitch": "switch",
    "POST /pnlExit": "backstop",
}
"""What each endpoint counts as; every other one is a read."""
WRITES: Final = frozenset(KINDS.values())


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the kill. `passed`: it reached what it is for. `took_s`: since the kill, None where it never came."""

    name: str
    passed: bool
    said: str
    took_s: float | None = None


@dataclass(frozen=True, slots=True)
class Costs:
    """
    What closing costs, 1/10000 rupee, > 0 paid: charges, and what is lost between the last price and the other side.

    `spread_e4` is None where an exit's instrument shows no bid and offer; `unpriced` says how many fills those are.
    `charges_unknown`: rates that are not known.
    """

    spread_e4: int | None = 0
    charges_e4: int = 0
    unpriced: int = 0
    charges_unknown: tuple[str, ...] = ()


@dataclass(slots=True)
class Outcome:
    """
    A drill's report.

    Attributes:
        flat_s: From the kill until what the plan covers was flat and nothing that adds risk rested; None: never.
        proven_s: Until that was proven by reading it back, twice.
        budget_s: The least the messages alone take through the account's windows.
        messages: Writes by kind, and reads. refused: Requests the server said were too many.
        slices: Orders one line was cut into, where it was more than one.
    """

    account: str
    plan: str
    source: str
    steps: list[Step] = field(default_factory=list)
    flat_s: float | None = None
    proven_s: float | None = None
    budget_s: int = 0
    messages: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    slices: dict[str, int] = field(default_factory=dict)
    costs: Costs = field(default_factory=Costs)
    would_block: list[Finding] = field(default_factory=list)
    ends: str = ""

    @property
    def passed(self) -> bool:
        """Say whether every step did; what would block is said apart: it is about the real day, not about this run."""
        return bool(self.steps) and all(each.passed for each in self.steps)

    def as_document(self) -> dict[str, Any]:
        """Return it as plain values: money as text in rupees, unknown as null."""
        return {
            "account": self.account, "plan": self.plan, "source": self.source, "passed": self.passed,
            "steps": [asdict(each) for each in self.steps],
            "time_to_flat_s": {"measured": self.flat_s, "proven": self.proven_s, "message_budget": self.budget_s},
            "messages": self.messages, "too_many": self.refused, "slices": self.slices,
            "cost_inr": {
                "spread": None if self.costs.spread_e4 is None else to_text(self.costs.spread_e4),
                "charges": to_text(self.costs.charges_e4),
                "unpriced_fills": self.costs.unpriced, "charges_unknown": list(self.costs.charges_unknown),
            },
            "would_block": [asdict(each) for each in self.would_block], "ends": self.ends,
        }  # fmt: skip


def counted(calls: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, int]:
    """Return how many requests of each kind came in."""
    found = Counter(KINDS.get(name, "read") for name, _body in calls)
    return dict(sorted(found.items()))


def slices_of(calls: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, int]:
    """Return how many orders were placed for each line, of those that took more than one."""
    placed = Counter(
        f"{body.get('exchangeSegment')}:{body.get('securityId')}:{body.get('productType')}"
        for name, body in calls
        if KINDS.get(name) == "placed"
    )
    return {line: count for line, count in sorted(placed.items()) if count > 1}


def budget_s(account: Account, messages: int) -> int:
    """Return the least whole seconds *messages* take, when every window begins empty."""
    windows = [
        (window.messages_max, window.per_s)
        for limit in account.limits.of("order_rate")
        for window in limit.params.plain().windows  # type: ignore[attr-defined]
    ] or list(BROKER_WINDOWS)
    return max(((max(0, messages - 1) // most) * width_us // 1_000_000 for most, width_us in windows), default=0)


def costs_of(book: DrillBook, before: Sequence[Fill], exits: Sequence[Fill], date: dt.date) -> Costs:
    """
    Return what the exits cost: against the last price known, and in charges on top of what the day had already.

    Charges are never left out: where a rate is unknown the highest there ever was stands in, and is named.
    """
    spread_e4, unpriced = 0, 0
    for fill in exits:
        quote, instrument = book.quotes.get(fill.order.key), book.instruments.get(fill.order.key)
        if quote is None or not (quote.ltp_e4 and quote.bid_e4 and quote.ask_e4):
            unpriced += 1
            continue
        sign = 1 if fill.order.side == "BUY" else -1
        multiplier = (instrument.multiplier if instrument is not None else 1) or 1
        spread_e4 += sign * (fill.price_e4 - quote.ltp_e4) * fill.quantity * multiplier

    def as_charged(fills: Sequence[Fill]) -> list[Any]:
        return [
            charge_fill(
                book.instruments.get(each.order.key), each.order.segment, each.order.security_id, each.order.product,
                each.order.side, each.quantity, each.price_e4, each.order.order_id, date,
            )
            for each in fills
        ]  # fmt: skip

    if not exits:
        return Costs()
    table, earlier = charge_table(), as_charged(before)
    whole = charge_surely(table, [*earlier, *as_charged(exits)])
    day_e4 = charge_surely(table, earlier).total_e4 if earlier else 0
    return Costs(None if unpriced else spread_e4, whole.total_e4 - day_e4, unpriced, tuple(sorted(whole.unknown)))
