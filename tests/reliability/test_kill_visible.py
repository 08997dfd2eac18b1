"""
A kill in one process is obeyed by the next check in every other: none that began after it returned is approved.

Times are CLOCK_MONOTONIC, which is one clock for all processes of a machine.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riskguard.services.kill.killswitch import engage
from riskguard.services.sweeps.sweeper import Sweeper
from riskguard.services.wiring import open_guard
from tests.reliability.actors import Actor, acting
from tests.reliability.claiming import Claims
from tests.services.desk import build, rulebook

PROCESSES = 3


def now_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


@pytest.fixture
def accounts(tmp_path: Path, request: pytest.FixtureRequest, claim: Claims) -> tuple[str, list[str]]:
    """A database on the machine's own clock with as many watched, flat accounts as there are rounds."""
    from riskguard.clock import SystemClock

    marked = request.node.get_closest_marker("claim") is not None
    names = [f"a{number}" for number in range(claim("I1").figure if marked else 1)]
    path = build(tmp_path / "db", text=rulebook(), profile="library", accounts=tuple(names), clock=SystemClock())
    url = f"sqlite:///{path}"
    with open_guard(url, sweep=False, deadline_ms=5_000) as guard:
        for name in names:
            guard.report_positions([], account=name)
            Sweeper(guard, name, None).sweep(now=True)
    return url, names


def late(answers: list[dict[str, Any]], killed_ns: int) -> list[str]:
    """Return what is wrong: an approval that began after the kill returned, or one after a refusal."""
    found = [
        f"approved {answer['last_began'] - killed_ns} ns late" for answer in answers if answer["last_began"] > killed_ns
    ]
    return found + [f"{answer['after']} approved after a refusal" for answer in answers if answer["after"]]


def rounds(
    url: str, names: list[str], checkers: list[Actor], kill: Callable[[str], None], more: int = 20
) -> tuple[list[str], list[int]]:
    """One round per account: all spin, one kills; returns what was wrong, and how many checks each round approved."""
    wrong: list[str] = []
    approved: list[int] = []
    for name in names:
        for checker in checkers:
            checker.tell(account=name, more=more)
        for checker in checkers:
            assert checker.hear() == {"spinning": True}
        kill(name)
        killed_ns = now_ns()
        answers = [checker.hear() for checker in checkers]
        wrong += [f"{name}: {each}" for each in late(answers, killed_ns)]
        approved.append(sum(answer["approved"] for answer in answers))
        assert all("TRADING_HALTED" in answer["codes"] for answer in answers), answers
    return wrong, approved


@pytest.mark.claim(
    "I1", "kills while three processes check without a pause", of="kills", ci=100, soak=1_000, seconds=160
)
def test_no_check_that_began_after_the_kill_is_approved(accounts: tuple[str, list[str]], claim: Claims) -> None:
    """A round per account, three processes that check without a pause."""
    url, names = accounts

    def kill(name: str) -> None:
        outcome = engage(url, name, by="desk", reason="round")
        assert outcome.exit_status == 0, outcome

    with acting(PROCESSES, "checker", url) as checkers:
        wrong, approved = rounds(url, names, checkers, kill)

    show(claim, names, wrong, approved)
    assert min(approved) >= PROCESSES  # each round had approvals to lose


def show(claim: Claims, names: list[str], wrong: list[str], approved: list[int]) -> None:
    shown = claim("I1")
    shown.trials(len(names), wrong)
    shown.counted(checks=sum(approved) + PROCESSES * len(names))


@pytest.mark.claim("I1", "a kill row by plain sqlite3, no flag", of="kills", ci=20, soak=200, seconds=30)
def test_a_kill_row_written_by_another_program_is_obeyed_the_same(
    accounts: tuple[str, list[str]], claim: Claims
) -> None:
    """Plain sqlite3, no flag file: no check that began after its COMMIT returned is approved."""
    url, names = accounts
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30, isolation_level=None)

    def kill(name: str) -> None:
        connection.execute(
            "INSERT INTO traders_control (account_type, control_type, kill_switch_status, is_active, created_at, updated_at) "
            "VALUES (?, 'KILL_SWITCH', 'ACTIVE', 1, 1748840400, 1748840400)",
            (name,),
        )

    with contextlib.closing(connection), acting(PROCESSES, "checker", url) as checkers:
        wrong, approved = rounds(url, names, checkers, kill)

    show(claim, names, wrong, approved)


@pytest.mark.claim("I1", "a kill that only reached its flag file", of="kills", ci=20, soak=200, seconds=30)
def test_a_kill_that_only_reached_its_flag_is_obeyed_the_same(accounts: tuple[str, list[str]], claim: Claims) -> None:
    """The database took no row: the file alone halts whoever begins afterwards."""
    from riskguard.services.kill.killswitch import raise_flags

    url, names = accounts
    with acting(PROCESSES, "checker", url) as checkers:
        wrong, approved = rounds(
            url,
            names,
            checkers,
            lambda name: bool(raise_flags(url, name, by="desk", reason="flag", plan="cancel")) and None,
        )

    show(claim, names, wrong, approved)


def test_the_oracle_sees_a_process_that_is_blind(accounts: tuple[str, list[str]], tmp_path: Path) -> None:
    """The control: a checker that reads another file, with another home, goes on approving, and is reported."""
    url, names = accounts
    blind = tmp_path / "blind"
    blind.mkdir()
    for path in Path(url.removeprefix("sqlite:///")).parent.glob("risk.db*"):
        shutil.copyfile(path, blind / path.name)
    for name in ("halt", "gate", "armed"):
        for directory in (blind, blind / "home"):
            os.makedirs(directory / name)
    other = Actor("checker", f"sqlite:///{blind / 'risk.db'}", home=blind / "home", number=9)
    with contextlib.closing(other):
        assert other.hear() == {"ready": True}
        other.tell(account=names[0], checks_max=2_000)
        assert other.hear() == {"spinning": True}
        assert engage(url, names[0], by="desk", reason="round").exit_status == 0
        killed_ns = now_ns()
        answer = other.hear()

    assert late([answer], killed_ns) != []
