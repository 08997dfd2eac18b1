"""
A kill on PostgreSQL: obeyed by the next check of every process, whoever wrote it, and it gets through a flood.

Processes are forked and check without a pause; times are CLOCK_MONOTONIC, one clock for the whole machine.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from riskguard.errors import PermitError
from riskguard.services.kill.killswitch import engage
from riskguard.store.session import Store
from tests.postgres.crew import Member, crew, flooder
from tests.postgres.ground import another, guarding, order
from tests.postgres.server import Cluster
from tests.reliability.actors import checker
from tests.reliability.claims import SOAK
from tests.reliability.test_kill_visible import late, now_ns, rounds

PROCESSES = 3
SQL_KILL = (
    "INSERT INTO traders_control (account_type, control_type, kill_switch_status, is_active, created_at, updated_at) "
    "VALUES ('{}', 'KILL_SWITCH', 'ACTIVE', 1, 1748840400, 1748840400)"
)


MORE = 3
"""Checks of each process after its first refusal."""


def names(count: int) -> tuple[str, ...]:
    return tuple(f"a{number}" for number in range(count))


def by_riskguard(url: str) -> Callable[[str], None]:
    def kill(name: str) -> None:
        outcome = engage(url, name, by="desk", reason="round")
        assert outcome.exit_status == 0, outcome

    return kill


def by_psql(server: Cluster, url: str) -> Callable[[str], None]:
    """Plain SQL from PostgreSQL's own shell: no flag, no program of ours."""
    if SOAK:  # the shell's start would be most of it

        def kill_by_driver(name: str) -> None:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(SQL_KILL.format(name).encode())

        return kill_by_driver
    psql = server.install.bin / "psql"

    def kill(name: str) -> None:
        said = subprocess.run(
            [psql, "-qX", url, "-c", SQL_KILL.format(name)], capture_output=True, text=True, check=False
        )
        assert (said.returncode, said.stderr) == (0, ""), said.stderr

    return kill


@pytest.mark.parametrize("how", ["riskguard", "psql"])
@pytest.mark.claim("I1", "PostgreSQL: three processes check while one kills", of="rounds", ci=4, soak=50)
def test_no_check_that_began_after_the_kill_is_approved(
    shared: Cluster, prepared_home: Any, claim: Any, how: str
) -> None:
    """An account each round: all spin, one kills; whoever asks afterwards is refused, in every process."""
    shown = claim("I1")
    accounts = names(shown.figure)
    url = another(shared, accounts=accounts)
    kill = by_riskguard(url) if how == "riskguard" else by_psql(shared, url)
    with crew(PROCESSES, checker, url) as checkers:
        for name in accounts:
            wrong, approved = rounds(url, [name], checkers, kill, MORE)  # type: ignore[arg-type]
            shown.trial(not wrong, wrong)
            shown.counted(approved_before=approved[0])
            assert approved[0] >= PROCESSES  # there was something to lose


def test_the_control_a_late_approval_is_seen() -> None:
    """What the rounds are judged by: an approval that began a nanosecond after the kill returned is late, one at it is not."""
    answer = {"approved": 3, "last_began": 1_000, "after": 0, "codes": ["TRADING_HALTED"]}
    assert late([answer], 1_000) == [] and late([answer], 999) == ["approved 1 ns late"]
    assert late([{**answer, "after": 1}], 1_000) == ["1 approved after a refusal"]


@pytest.mark.claim("I1a", "PostgreSQL: first refusal everywhere after the kill's commit", of="kills", ci=3, soak=150,
                   bounds_ms={"max": 10_000}, soak_bounds_ms={"p99": 50}, alone=True)  # fmt: skip
def test_a_kill_is_seen_everywhere_at_once(shared: Cluster, prepared_home: Any, claim: Any) -> None:
    """
    From the kill's return to the first answer of each process after it: nothing is leased, so it is that process's refusal.

    Both are of one account, which answers one after the other. The bound is the one SQLite's slowest has.
    """
    shown = claim("I1a")
    accounts = names(shown.figure)
    url = another(shared, accounts=accounts)
    with crew(2, seer, url) as seers:
        for name in accounts:
            for each in seers:
                each.tell(account=name)
                assert each.hear() == {"spinning": True}
            by_riskguard(url)(name)
            killed_ns = now_ns()
            seen = [each.hear()["refused_ns"] for each in seers]
            shown.measured_ms(*(max(0.0, (at - killed_ns) / 1e6) for at in seen))
            shown.trial()


def seer(url: str, options: dict[str, Any]) -> None:
    """Check an account until it is refused, and say when that was known."""
    from tests.reliability.actors import opened, say, told

    guard, number = opened(url, options), 0
    say(ready=True)
    for what in told():
        spinning = False
        while True:
            number += 1
            decision = guard.check(order(f"s{options['number']}-{number}", account=what["account"]))
            if not decision.approved:
                say(refused_ns=now_ns())
                break
            if not spinning:
                spinning = True
                say(spinning=True)
            with contextlib.suppress(PermitError):  # the kill was first: its permit is void
                decision.permit.release()


@contextlib.contextmanager
def killer(url: str, is_open: bool) -> Iterator[Callable[[str], float]]:
    """Kill, and say how many milliseconds it took."""
    store = Store(url)

    def kill(name: str) -> float:
        began = time.monotonic()
        outcome = engage(store if is_open else url, name, by="desk", reason="flood")
        took_ms = (time.monotonic() - began) * 1000
        assert outcome.exit_status == 0, outcome
        return took_ms

    if is_open:
        with store.session(wait_s=30, insist=True):
            pass
    yield kill
    store.close()


@pytest.mark.claim("I1b", "PostgreSQL: a kill among plain writers that hold the head all the time", of="kills", ci=5, soak=150,
                   bounds_ms={"max": 10_000}, soak_bounds_ms={"p99": 150, "max": 500}, alone=True)  # fmt: skip
def test_a_kill_gets_through_a_flood(url: str, claim: Any) -> None:
    """Four programs hold the account's head ten milliseconds at a time, without a pause: the queue is fair."""
    _gets_through_writers(claim("I1b"), url, is_open=False)


@pytest.mark.claim("I1b", "PostgreSQL: a kill by a process that is connected, among such writers", of="kills", ci=5, soak=150,
                   bounds_ms={"max": 10_000}, soak_bounds_ms={"p99": 150, "max": 500}, alone=True)  # fmt: skip
def test_a_kill_on_an_open_connection_gets_through_a_flood(url: str, claim: Any) -> None:
    """The same, and nothing has to be connected first."""
    _gets_through_writers(claim("I1b"), url, is_open=True)


def _gets_through_writers(shown: Any, url: str, *, is_open: bool) -> None:
    with crew(4, flooder, url), killer(url, is_open) as kill:
        for _ in range(shown.figure):
            with shown.attempt():
                shown.measured_ms(kill("leader"))


@pytest.mark.claim("I1b", "PostgreSQL: a kill among processes that check without a pause", of="kills", ci=3, soak=100,
                   bounds_ms={"max": 10_000}, soak_bounds_ms={"p99": 100, "max": 500}, alone=True)  # fmt: skip
def test_a_kill_gets_through_a_flood_of_checks(shared: Cluster, prepared_home: Any, claim: Any) -> None:
    """Narrow sessions never shut the wide one out."""
    _gets_through_checks(claim("I1b"), shared, is_open=False)


@pytest.mark.claim("I1b", "PostgreSQL: a kill by a process that is connected, among such checks", of="kills", ci=3, soak=100,
                   bounds_ms={"max": 10_000}, soak_bounds_ms={"p99": 100, "max": 500}, alone=True)  # fmt: skip
def test_a_kill_on_an_open_connection_gets_through_checks(shared: Cluster, prepared_home: Any, claim: Any) -> None:
    """The same, and nothing has to be connected first."""
    _gets_through_checks(claim("I1b"), shared, is_open=True)


def _gets_through_checks(shown: Any, server: Cluster, *, is_open: bool) -> None:
    accounts = ("busy", *names(shown.figure))
    url = another(server, accounts=accounts)
    with crew(4, checker, url) as checkers, killer(url, is_open) as kill:
        for each in checkers:
            each.tell(account="busy", more=1)
        for each in checkers:
            assert each.hear() == {"spinning": True}
        for name in accounts[1:]:
            with shown.attempt():
                shown.measured_ms(kill(name))
        kill("busy")


@pytest.mark.claim("I17", "PostgreSQL: every notice of a kill is lost", of="kills", ci=20, soak=100)
def test_a_kill_is_seen_though_its_notice_is_lost(
    link: tuple[Any, str], shared: Cluster, prepared_home: Any, claim: Any
) -> None:
    """
    The link that a process listens on is cut around each NOTIFY, and swallows what comes: the next look knows all the same.

    A guard behind the broken link is refused or unknown, never approved; healed, it is halted at its next check.
    """
    shown = claim("I17")
    accounts = names(shown.figure)
    url = another(shared, accounts=accounts)
    proxy, _ = link
    through = proxy.url(url.partition("?")[0].rpartition("/")[2])
    with guarding(through) as guard:
        for number, name in enumerate(accounts):
            before = guard.check(order(f"b{number}", account=name))
            (proxy.reset if number % 2 else lambda: proxy.half_open("to_client"))()
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(SQL_KILL.format(name).encode())
            proxy.heal()
            heard = []
            for attempt in range(200):
                decision = guard.check(order(f"x{number}-{attempt}", account=name))
                heard.append(decision.approved or decision.rejects[0].code.value)
                if heard[-1] is True or heard[-1] == "TRADING_HALTED":
                    break
                time.sleep(0.02)
            shown.trial(before.approved and heard[-1] == "TRADING_HALTED", f"{name}: {heard}")


def test_a_member_is_what_an_actor_is(url: str) -> None:
    """The rig: a forked process answers as one that was started does."""
    one = Member(checker, url, number=1)
    try:
        assert one.hear() == {"ready": True}
        one.tell(account="leader", checks_max=3)
        assert one.hear() == {"spinning": True}
        assert one.hear()["approved"] == 3
    finally:
        one.close()
