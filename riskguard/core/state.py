"""
Trading states: what a scope still admits.

ACTIVE < REDUCE_ONLY < HALTED. The effective state of an order is the most severe of every scope that
contains it. What is missing, unreadable or contradictory reads as HALTED. Source: kill-switch.md §1.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class TradingState(IntEnum):
    """Severity of a scope; larger is stricter."""

    ACTIVE = 0
    REDUCE_ONLY = 1
    HALTED = 2


NARROW = frozenset({"SEGMENT", "STRATEGY", "UNDERLYING", "INSTRUMENT"})
"""Kinds of scope that are a part of an account; every other stops the whole of it."""

INACTIVE_WORDS = frozenset({"INACTIVE", "DEACTIVATE", "DEACTIVATED", "OFF"})
"""The only texts of `traders_control.kill_switch_status` that can mean "not halted". Any other word halts."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One standing reason why a scope is not ACTIVE."""

    scope: str  # `GLOBAL`, `ACCOUNT:leader`, `INSTRUMENT:NSE_EQ:1333` …
    state: TradingState
    code: str  # MANUAL, DAILY_LOSS, FLAG_FILE, SQL, UNRELEASED …
    detail: str
    by: str
    since_us: int
    kill_id: str = ""

    def holds(self, segment: str, security: str, strategy: str, underlying: str) -> bool:
        """
        Say whether an order of this instrument and strategy lies in the cause's scope.

        Only a scope that names a part of the account can leave an order out; one that is none we know halts all.
        """
        kind, _, name = self.scope.partition(":")
        if kind == "STRATEGY":
            return name == strategy
        if kind == "SEGMENT":
            return name == segment
        if kind == "INSTRUMENT":
            return name == f"{segment}:{security}"
        return name == underlying if kind == "UNDERLYING" else True

    def sentence(self) -> str:
        """Say who stopped what and why, in one line."""
        reason = f": {self.detail}" if self.detail else ""
        return f"{self.scope} is {self.state.name} ({self.code} by {self.by or 'unknown'}){reason}"


def severest(causes: tuple[Cause, ...]) -> TradingState:
    """Return the most severe state among *causes*; none means ACTIVE."""
    return max((cause.state for cause in causes), default=TradingState.ACTIVE)
