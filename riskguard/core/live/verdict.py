"""What one live check says after one look: findings, what must be done, and what it keeps in mind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from riskguard.core.limits import Limit
from riskguard.core.state import TradingState

Memory = Mapping[str, Any]
"""What a check remembers of one account, limit and period: JSON-able, durable, never changed in place."""

NOTHING: Final[Memory] = MappingProxyType({})

REARMED: Final = ("tripped", "reduced", "breached_at_us", "raised")
"""What a release takes back: the breach is looked at anew. Peaks, counts and warnings already said stay."""


@dataclass(frozen=True, slots=True)
class Finding:
    """
    Something seen; severity is info, warning or critical.

    `unit` says what `measured_e4` and `limit_e4` are: 1/10000 rupee for `inr`, plain numbers for all others.
    """

    code: str
    severity: str
    message: str
    limit_id: str = ""
    measured_e4: int | None = None
    limit_e4: int | None = None
    unit: str = "inr"


@dataclass(frozen=True, slots=True)
class Action:
    """
    Something to do.

    Attributes:
        state: Raised over `scope` under the code `cause`; ACTIVE raises none.
        kill: Pull the kill switch of the account with the limit's plan.
        task: A plan to run without a halt, over `scope`: `cancel`, `flatten`; "" for none.
        soft: The cause clears itself: the same check says so with a `Clear` when it is gone.
    """

    state: TradingState
    limit: Limit
    finding: Finding
    kill: bool = False
    cause: str = ""
    scope: str = ""
    task: str = ""
    soft: bool = False


@dataclass(frozen=True, slots=True)
class Clear:
    """A soft cause that is gone: the state returns to what the other causes leave."""

    limit: Limit
    cause: str
    scope: str
    message: str


@dataclass(slots=True)
class Verdict:
    """The answer of one live check."""

    memory: Memory = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    clears: list[Clear] = field(default_factory=list)


def rearmed(memory: Memory) -> dict[str, Any]:
    """Return *memory* as a release leaves it."""
    return {key: value for key, value in memory.items() if key not in REARMED}


def cause_of(limit: Limit) -> str:
    """Return the code a cause of this limit stands under."""
    return limit.check.name.upper()


def state_of(limit: Limit) -> TradingState:
    """Return what a breach of this limit raises: an order's `reject` is a state's REDUCE_ONLY."""
    return TradingState.HALTED if limit.on_breach in ("halt", "kill") else TradingState.REDUCE_ONLY


def breach(limit: Limit, finding: Finding, *, scope: str = "", task: str = "", soft: bool = False) -> Action:
    """Return the limit's own action; a kill that is about a part of the account (*scope*) halts that part."""
    kill = limit.on_breach == "kill" and not scope
    soft = soft and limit.on_breach not in ("halt", "kill")  # what is halted, a person releases
    return Action(state_of(limit), limit, finding, kill, cause_of(limit), scope, task, soft)


def instrument_scope(key: tuple[str, str]) -> str:
    """Return the scope that names one instrument."""
    return f"INSTRUMENT:{key[0]}:{key[1]}"
