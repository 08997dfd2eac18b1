"""
Checks, kills and releases on PostgreSQL are one history of one latch: the same search and the same promise as on SQLite.

The control is a store whose guard looks at the latch before it takes the lock: what it saw is old when it approves.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.postgres.crew import Member, Role, crew, without_lock
from tests.postgres.ground import another, guarding
from tests.postgres.server import Cluster
from tests.postgres.test_kill import SQL_KILL
from tests.postgres.test_reserve import waiting
from tests.reliability.actors import say, times, told
from tests.reliability.linear.checker import Operation
from tests.reliability.linear.players import checks, now_ns
from tests.reliability.linear.test_latch_history import Played, judge
from tests.services.desk import eventually

CHECKERS = 3
CHECKS = times(12, 40)
KILLS = 3


def kills(url: str, options: dict[str, Any]) -> None:
    """Kill and release an account in turn, as the desk does or with a row of plain SQL, at moments of its own."""
    from riskguard import admin
    from riskguard.errors import ReleaseRefusedError
    from riskguard.services.kill.killswitch import engage

    chance, pause = random.Random(options["seed"]), threading.Event()
    with guarding(url) as guard, psycopg.connect(url, autocommit=True) as raw:
        say(ready=True)
        for what in told():
            history, account = [], what["account"]
            for turn in range(what["operations"]):
                pause.wait(chance.uniform(0.001, 0.02))
                began = now_ns()
                if what["by_sql"]:
                    raw.execute(SQL_KILL.format(account).encode())
                else:
                    outcome = engage(url, account, by="desk", reason="window")
                    assert outcome.exit_status == 0, outcome
                history.append(("kill", "ok", began, now_ns()))
                if turn == what["operations"] - 1:
                    break  # the last one stands
                pause.wait(chance.uniform(0.001, 0.02))
                began = now_ns()
                try:
                    admin.release(guard.store, account, by="priya", reason="next window")
                except ReleaseRefusedError:
                    history.append(("release", "refused", began, now_ns()))
                else:
                    history.append(("release", "ok", began, now_ns()))
            say(history=history)


def said_by(number: int, member: Member) -> list[Operation]:
    return [Operation(number, *said) for said in member.hear()["history"]]


def play(url: str, name: str, checkers: list[Member], killer: Member, *, by_sql: bool) -> list[Operation]:
    """One window: all check, one kills and releases, and every checker meets the last kill."""
    for each in checkers:
        each.tell(account=name, operations=CHECKS)
    for each in checkers:
        assert each.hear() == {"spinning": True}
    killer.tell(account=name, operations=KILLS, by_sql=by_sql)
    history = said_by(CHECKERS, killer)
    for number, each in enumerate(checkers):
        history += said_by(number, each)
    for number, each in enumerate(checkers):
        each.tell(account=name, operations=2)
        assert each.hear() == {"spinning": True}
        history += said_by(number, each)
    return history


@contextlib.contextmanager
def players(url: str, **options: Any) -> Iterator[tuple[list[Member], Member]]:
    with (
        crew(CHECKERS, checks, url, deadline_ms=10_000, **options) as checkers,
        crew(1, kills, url, seed=5) as (killer,),
    ):
        yield checkers, killer


@pytest.mark.parametrize("by_sql", [False, True], ids=["kill", "plain SQL"])
@pytest.mark.claim(
    "I1", "PostgreSQL: histories of check, kill and release are linearizable", of="histories", ci=1, soak=20
)
def test_checks_kills_and_releases_are_one_history(
    shared: Cluster, prepared_home: Any, claim: Any, by_sql: bool
) -> None:
    """Every window has an order that explains it, and none breaks the promise."""
    shown = claim("I1")
    names = tuple(f"a{number}" for number in range(shown.figure))
    url = another(shared, accounts=names)
    total = Played()
    with players(url) as (checkers, killer):
        for name in names:
            played = Played()
            judge(name, play(url, name, checkers, killer, by_sql=by_sql), played)
            shown.trial(not played.broken and not played.unexplained, [*played.broken, *played.unexplained])
            total.approved += played.approved
            total.halted += played.halted
            total.released += played.released
            total.operations += played.operations
    shown.counted(operations=total.operations)
    assert total.approved >= shown.figure and total.halted >= shown.figure * CHECKERS and total.released > 0, total


def behind_a_kill(url: str, role: Role) -> list[str]:
    """What a process is told that began before a kill by SQL was committed, and got the head only afterwards."""
    with crew(1, role, url, deadline_ms=60_000) as (one,):
        one.tell(account="leader", operations=1)
        assert one.hear() == {"spinning": True}
        assert [each.answer for each in said_by(0, one)] == ["approved"]
        with psycopg.connect(url) as holder:
            holder.execute(SQL_KILL.format("leader").encode())  # its trigger takes the head
            one.tell(account="leader", operations=1)
            eventually(lambda: waiting(url) > 0, 60)
            holder.commit()
        assert one.hear() == {"spinning": True}
        return [each.answer for each in said_by(0, one)]


def unlocked(url: str, options: dict[str, Any]) -> None:
    """Checks in sessions that lock nothing: the latch is read first, and the head is waited for when it is written."""
    without_lock()
    checks(url, options)


def test_a_check_that_waited_behind_a_kill_is_refused(url: str) -> None:
    """The lock comes first, and everything is read after it: what was committed meanwhile is seen."""
    assert behind_a_kill(url, checks) == ["halted"]


def test_the_control_a_store_that_reads_the_latch_before_the_lock_is_caught(url: str) -> None:
    """The same moment, the other order: it approves on what it read before it waited."""
    assert behind_a_kill(url, unlocked) == ["approved"]


def test_the_control_a_guard_that_does_not_look_again_is_caught(url: str) -> None:
    """It approves after a kill that had returned: the promise and the search both see it."""
    played = Played()
    with crew(1, checks, url, without="re-read") as (one,):
        history = []
        for _ in range(2):
            one.tell(account="leader", operations=3)
            assert one.hear() == {"spinning": True}
            history += said_by(0, one)
            began = now_ns()
            with psycopg.connect(url, autocommit=True) as raw:
                raw.execute(SQL_KILL.format("leader").encode())
            history.append(Operation(1, "kill", "ok", began, now_ns()))
    judge("blind", history, played)
    assert len(played.broken) == 3 and len(played.unexplained) == 1
