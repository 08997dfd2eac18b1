"""
Who closes a line when several runs of one account are open: one of them, and the others leave it alone.

Two flattens of one line work against each other: what one made its exit the other takes out of the way as somebody's, and
in between the line stands bare. A kill goes before a task, an older run before a younger one; only who goes first acts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from riskguard.services.kill.killrun.covering import Covered, is_covered
from riskguard.services.kill.killrun.plans import SECOND_US, STEPS_OF
from riskguard.store import kills
from riskguard.store.kills import KillRun
from riskguard.store.session import Session

if TYPE_CHECKING:
    from riskguard.services.kill.killrun.round import Round

IN_FLIGHT_US: Final = 2 * SECOND_US
"""A write of another run that is marked and not answered may still change what this one saw; later its holder is gone."""
LOOK_BACK_US: Final = 24 * 3600 * SECOND_US


@dataclass(frozen=True, slots=True)
class Others:
    """
    What the other runs of the account are at, as of the look.

    Attributes:
        first: Open runs that flatten and go before this one.
        converted: Orders any run of the account, this one too, made its exit or tried to, in the last day.
        is_sending: Whether one of them marked a write that is not answered yet.
    """

    first: tuple[KillRun, ...] = ()
    converted: frozenset[str] = frozenset()
    is_sending: bool = False


def read_others(session: Session, run: KillRun, now_us: int) -> Others:
    """Read what `Others` says of *run*'s account, in the caller's transaction."""
    return Others(
        first=tuple(going_first(run, kills.open_kill_runs(session, run.account))),
        converted=frozenset(kills.converted(session, run.account, now_us - LOOK_BACK_US)),
        is_sending=kills.in_flight(session, run, now_us - IN_FLIGHT_US) > 0,
    )


def going_first(run: KillRun, runs: Iterable[KillRun]) -> list[KillRun]:
    """Return those of *runs* that close lines before *run* does."""
    return [each for each in runs if "FLATTEN" in STEPS_OF[each.kill_plan] and _turn(each) < _turn(run)]


def _turn(run: KillRun) -> tuple[bool, int]:
    return not run.halts, run.id


def left_to(round_: Round, each: Covered) -> KillRun | None:
    """Return the run that closes this line, where it is not the one of this round."""
    products = round_.options.flatten_products
    for run in round_.others.first:
        if is_covered(each.key, each.line, "" if run.halts else run.scope, products):
            return run
    return None


def is_outranked(session: Session, round_: Round) -> bool:
    """Say whether a run that goes first was opened since the look: what this round is about to send is its to send."""
    known = {run.id for run in round_.others.first}
    now_first = going_first(round_.run, kills.open_kill_runs(session, round_.name))
    return any(run.id not in known for run in now_first)
