"""
What a release needs by what stopped the scope, and what it returns to. Source: kill-switch.md §4.

A loss stays a loss whoever pulled the switch on top of it: of several causes the one that asks for most decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Family(IntEnum):
    """Kinds of cause, the one that asks for least first."""

    SOFT = 0  # clears itself after clean readings; a person may wait
    MANUAL = 1  # somebody pulled it: held a while, then the state before
    RUNAWAY = 2  # a machine misbehaved or the books differ: a named person, clean books, REDUCE_ONLY
    BROKER = 3  # the broker's own switch is on: it must read off first, REDUCE_ONLY
    LOSS = 4  # next session, or today with a second person; REDUCE_ONLY


FAMILY_OF: Final = {
    "DAILY_LOSS": Family.LOSS,
    "WEEKLY_LOSS": Family.LOSS,
    "MONTHLY_LOSS": Family.LOSS,
    "DRAWDOWN": Family.LOSS,
    "PROFIT_LOCK": Family.LOSS,
    "PROFIT_TARGET": Family.LOSS,
    "GROUP_LOSS": Family.LOSS,
    "LOSS_STREAK": Family.LOSS,
    "POSITION_LOSS": Family.LOSS,
    "BROKER_SWITCH": Family.BROKER,
    "RECONCILIATION": Family.RUNAWAY,
    "UNSOLICITED_ORDER": Family.RUNAWAY,
    "BYPASS_AFTER_KILL": Family.RUNAWAY,
    "REPEATED_EXECUTION": Family.RUNAWAY,
    "LIMIT_BREACHED": Family.RUNAWAY,
    "CHECK_BROKEN": Family.RUNAWAY,
    "BROKER_HEALTH": Family.SOFT,
    "FEED_HEALTH": Family.SOFT,
    "MARGIN_UTILISATION": Family.SOFT,
    "COOLDOWN": Family.SOFT,
    "TRADES_PER_DAY": Family.SOFT,
    "PNL_DIVERGENCE": Family.SOFT,
    "TOKEN_EXPIRY": Family.SOFT,
    "IP_ALLOWED": Family.SOFT,
    "LEADER_HALT": Family.SOFT,
    "PROTECTIVE_ORDER_MISSING": Family.SOFT,
    "ORPHAN_LEG": Family.SOFT,
    "ORPHAN_FOLLOWER": Family.SOFT,
    "SQUARE_OFF_TIME": Family.SOFT,
    "EXPIRY_DAY": Family.SOFT,
}
"""By the code of a cause. What is not listed was pulled by somebody: MANUAL."""

PROBATION: Final = "PROBATION"


def family_of(codes: Iterable[str]) -> Family:
    """Return what the cause that asks for most is of; none at all is as if a person had stopped it."""
    return max((FAMILY_OF.get(code, Family.MANUAL) for code in codes), default=Family.MANUAL)


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long a scope has been held, and by whom it is to be released. Times in microseconds."""

    family: Family
    held_us: int | None  # since its last cause; None: nobody knows
    is_same_session: bool
    hold_us: int  # a manual kill's
    loss_hold_us: int  # a loss's, on the day it was made
    scope: str
    by: str
    approver: str
    typed_scope: str


def objection(waiting: Waiting) -> str:
    """Return why it is too early, or who is missing; "" when the release may go on."""
    if waiting.family is not Family.LOSS:
        if waiting.held_us is not None and waiting.held_us < waiting.hold_us:
            left_s = -((waiting.held_us - waiting.hold_us) // 1_000_000)
            return f"held for {waiting.hold_us // 1_000_000} s after a kill: {left_s} s are left"
        return ""
    if not waiting.is_same_session:
        return ""
    if not waiting.approver or same_person(waiting.approver, waiting.by):
        return "a loss is released next session, or today with a second person: `--approver NAME`"
    if waiting.typed_scope != waiting.scope:
        return f"type the scope's name to release a loss today: `--scope {waiting.scope}`"
    if waiting.held_us is not None and waiting.held_us < waiting.loss_hold_us:
        left_s = -((waiting.held_us - waiting.loss_hold_us) // 1_000_000)
        return f"a loss is held for {waiting.loss_hold_us // 60_000_000} minutes: {left_s} s are left"
    return ""


def goes_on_probation(family: Family) -> bool:
    """Say whether only what reduces passes after the release, until a person releases it once more."""
    return family >= Family.RUNAWAY


def same_person(one: str, other: str) -> bool:
    """Say whether two names are one person's, however they are written."""
    return one.strip().casefold() == other.strip().casefold()
