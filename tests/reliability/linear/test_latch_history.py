"""
Real processes check, kill and release one account at once; what they were told is one history of one latch.

Each window is an account of its own. Its history is searched for an order that explains it, and held to the promise alone:
no check that began after a kill had returned is approved.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from riskguard.services.sweeps.sweeper import Sweeper
from riskguard.services.wiring import open_guard
from tests.reliability.actors import times
from tests.reliability.claiming import Claims
from tests.reliability.linear.checker import Operation, check
from tests.reliability.linear.latch import direct, step_latch
from tests.reliability.linear.players import Player
from tests.services.desk import build, rulebook

CHECKERS = 3
CHECKS = times(25, 60)
KILLS = 3


@dataclass
class Played:
    """What the windows of one run showed."""

    operations: int = 0
    approved: int = 0
    halted: int = 0
    released: int = 0
    unexplained: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


@contextlib.contextmanager
def players(url: str, checkers: int, without: str = "") -> Iterator[tuple[list[Player], Player]]:
    made = [Player("checks", url, number=number, without=without) for number in range(checkers)]
    killer = Player("kills", url, seed=5)
    try:
        for each in (*made, killer):
            assert each.hear() == {"ready": True}
        yield made, killer
    finally:
        for each in (*made, killer):
            each.close()


def opened_accounts(directory: Path, count: int) -> tuple[str, list[str]]:
    """A database on the machine's own clock with so many watched, flat accounts, whose kills may be released at once."""
    from riskguard.clock import SystemClock

    names = [f"a{number}" for number in range(count)]
    path = build(
        directory / "db", text=rulebook(), profile="library", hold_s=0, accounts=tuple(names), clock=SystemClock()
    )
    return f"sqlite:///{path}", names


def play(url: str, names: list[str], *, by_sql: bool) -> Played:
    """One window per account, each judged by itself; the last kill of each stands, and every checker meets it."""
    played = Played()
    with (
        open_guard(url, sweep=False, deadline_ms=5_000) as guard,
        players(url, CHECKERS) as (checkers, killer),
    ):
        for name in names:
            guard.report_positions([], account=name)  # a release wants a list it can trust
            Sweeper(guard, name, None).sweep(now=True)
            for each in checkers:
                each.tell(account=name, operations=CHECKS)
            for each in checkers:
                assert each.hear() == {"spinning": True}
            killer.tell(account=name, operations=KILLS, by_sql=by_sql)
            history = [
                *said_by(CHECKERS, killer),
                *(each for n, one in enumerate(checkers) for each in said_by(n, one)),
            ]
            for number, each in enumerate(checkers):
                history += asked_again(number, each, name, 2)
            judge(name, history, played)
    return played


def said_by(number: int, player: Player) -> list[Operation]:
    return [Operation(number, *said) for said in player.hear()["history"]]


def asked_again(number: int, checker: Player, name: str, operations: int) -> list[Operation]:
    checker.tell(account=name, operations=operations)
    assert checker.hear() == {"spinning": True}
    return said_by(number, checker)


def judge(name: str, history: list[Operation], played: Played) -> None:
    played.operations += len(history)
    played.approved += sum(each.answer == "approved" for each in history)
    played.halted += sum(each.answer == "halted" for each in history)
    played.released += sum(each.what == "release" and each.answer == "ok" for each in history)
    played.broken += [f"{name}: {each}" for each in direct(history)]
    verdict = check(without_litter(history), False, step_latch)
    if not verdict.is_linearizable:
        played.unexplained.append(f"{name}: nothing explains {verdict.stuck[:3]}")


def without_litter(history: list[Operation]) -> list[Operation]:
    """
    Leave out refusals during a release: until it has returned its flag may still lie there, and whoever sees it obeys.

    That is the safe side, and the only place where the latch may answer as it was.
    """
    releases = [each for each in history if each.what == "release" and each.answer == "ok"]
    return [
        each for each in history
        if each.answer != "halted"
        or not any(release.began_ns <= (each.ended_ns or 0) and each.began_ns <= (release.ended_ns or 0) for release in releases)
    ]  # fmt: skip


@pytest.mark.claim(
    "I1", "histories of checks, kills and releases, linearized", of="histories", ci=3, soak=100, seconds=75
)
@pytest.mark.parametrize("by_sql", [False, True], ids=["kill", "plain SQL"])
def test_checks_kills_and_releases_are_one_history(tmp_path: Path, by_sql: bool, claim: Claims) -> None:
    """Three processes check while one kills and releases: every window has an order, and none breaks the promise."""
    shown = claim("I1")
    windows = shown.figure
    url, names = opened_accounts(tmp_path, windows)

    played = play(url, names, by_sql=by_sql)

    shown.trials(windows, [*played.broken, *played.unexplained])
    shown.counted(operations=played.operations)
    # Both answers are met in every window: each checker began before the first kill and asked again after the last.
    assert played.approved >= windows and played.halted >= windows * CHECKERS and played.released > 0, played


def before_and_after(directory: Path, without: str = "") -> list[Operation]:
    """The history of one process that checks, is told of a kill by plain SQL, and checks on."""
    url, (name,) = opened_accounts(directory, 1)
    with open_guard(url, sweep=False, deadline_ms=5_000) as guard, players(url, 1, without) as ((checker,), killer):
        guard.report_positions([], account=name)
        Sweeper(guard, name, None).sweep(now=True)
        history = asked_again(0, checker, name, 5)
        killer.tell(account=name, operations=1, by_sql=True)
        history += said_by(1, killer)
        return history + asked_again(0, checker, name, 5)


def test_the_control_a_check_that_does_not_look_again_is_caught(tmp_path: Path) -> None:
    """A guard that believes what it read once goes on approving after the kill: promise and search both see it."""
    played = Played()
    judge("blind", before_and_after(tmp_path, without="re-read"), played)

    assert len(played.broken) == 5 and len(played.unexplained) == 1


def test_the_control_one_late_approval_in_a_good_history_is_caught(tmp_path: Path) -> None:
    """A real history stands; the same one with a single answer turned round does not."""
    history = before_and_after(tmp_path)
    good, bad = Played(), Played()
    judge("good", history, good)
    judge("bad", [*history[:-1], replace(history[-1], answer="approved")], bad)

    assert (good.broken, good.unexplained) == ([], [])
    assert len(bad.broken) == 1 and len(bad.unexplained) == 1
