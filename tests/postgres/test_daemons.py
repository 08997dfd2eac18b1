"""
Two daemons on one database, on hosts of their own: one sweeps, the other waits, and whoever dies is followed.

The server's clock is what they share; a host whose own clock is wrong may not add risk, and never takes a lease before its time.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest

from riskguard.clock import SystemClock
from riskguard.services.orders.guard import RiskGuard
from riskguard.services.sweeps.claims import Lease
from riskguard.services.sweeps.sweeper import Sweeper
from tests.postgres.crew import crew
from tests.postgres.ground import a_host, codes, guarding, order
from tests.reliability.actors import say, told

INTERVAL_US = 200_000


def sweeper(guard: RiskGuard, lease: Lease) -> Sweeper:
    return Sweeper(guard, "leader", None, interval_us=INTERVAL_US, lease=lease)


def daemon(url: str, options: dict[str, Any]) -> None:
    """Try to sweep so many times, or until it has `until` times; says how many were its own, and the lease's token."""
    pause = threading.Event()
    lease = Lease(f"host{options['number']}", life_us=options["life_us"])
    with guarding(url) as guard:
        mine = sweeper(guard, lease)
        say(ready=True)
        for what in told():
            done = 0
            for _ in range(what["turns"]):
                done += mine.sweep().pnl is not None
                if done >= what.get("until", what["turns"]):
                    break
                pause.wait(0.02)
            say(done=done, token=lease.token)


@pytest.mark.claim("I7", "PostgreSQL: two daemons, one lease", of="slots", ci=5, soak=50)
def test_of_two_daemons_one_sweeps_each_slot(url: str, claim: Any) -> None:
    """Both try all the time: every slot is swept once, and all of them by the one that holds the lease."""
    shown = claim("I7")
    before = swept(url)
    with crew(2, daemon, url, life_us=60_000_000) as daemons:
        turns = shown.figure * 12
        for each in daemons:
            each.tell(turns=turns)
        said = [each.hear(600) for each in daemons]
    assert sorted(each["token"] is None for each in said) == [False, True]
    holder = next(each for each in said if each["token"] is not None)
    made = swept(url) - before
    shown.trials(made, [] if made == holder["done"] == sum(each["done"] for each in said) else [f"{said}, {made} rows"])


def test_the_control_a_lease_that_ends_at_once_lets_both_sweep(url: str) -> None:
    """The same race with a lease that protects nothing: each daemon gets it."""
    with crew(2, daemon, url, life_us=1) as daemons:
        for each in daemons:
            each.tell(turns=400, until=1)
        said = [each.hear(600) for each in daemons]
    assert all(each["token"] is not None and each["done"] == 1 for each in said)


def swept(url: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT count(*) FROM sweeps WHERE account = 'leader' AND finished_at_us IS NOT NULL"
        ).fetchone()
    return int(found[0]) if found else 0


def test_whoever_dies_is_followed_when_its_lease_ends(url: str) -> None:
    """The holder is killed: the other sweeps once the lease has run out, with a token of its own."""
    with crew(2, daemon, url, life_us=400_000) as (first, second):
        first.tell(turns=2)
        held = first.hear(120)["token"]
        assert held is not None
        first.close()
        second.tell(turns=2_000, until=1)
        taken = second.hear(300)
    assert taken["token"] is not None and taken["token"] > held and taken["done"] > 0


def test_what_a_paused_daemon_saw_is_dropped(url: str, tmp_path: Path) -> None:
    """Its lease was taken while it looked: nothing of its look is written, and the one that took over goes on."""
    with guarding(url) as one, guarding(url) as other:
        clock = one.clock
        first, second = Lease("host1", life_us=50_000), Lease("host2", life_us=60_000_000)
        with one.store.session() as session:
            assert first.take(session, clock.now_us())
        pause = threading.Event()
        pause.wait(0.1)
        with other.store.session() as session:
            assert second.take(session, other.clock.now_us())
        with one.store.session() as session:
            assert not first.holds(session)
        with other.store.session() as session:
            assert second.holds(session)


class Wrong:
    """A host's clock that somebody set wrong."""

    def __init__(self, by_s: float) -> None:
        self._real = SystemClock()
        self._by_us = round(by_s * 1_000_000)

    def now_us(self) -> int:
        return self._real.now_us() + self._by_us

    def elapsed_us(self) -> int:
        return self._real.elapsed_us()


@pytest.mark.parametrize(
    ("by_s", "admitted"), [(0.0, True), (0.2, True), (-600.0, False), (600.0, False), (86_400.0, False)]
)
def test_a_host_whose_clock_is_wrong_adds_no_risk(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_s: float, admitted: bool
) -> None:
    """Its permits live by the server's clock; beyond the bound it is refused, a host beside it goes on."""
    from riskguard.store.engines import postgresql_store

    with a_host(tmp_path / "wrong"), monkeypatch.context() as here:
        here.setattr(postgresql_store, "SystemClock", lambda: Wrong(by_s))
        with guarding(url) as guard:
            decision = guard.check(order("skewed"))
            if decision.approved:
                assert admitted
                with psycopg.connect(url) as connection:
                    row = connection.execute(
                        "SELECT abs(granted_at_us - extract(epoch FROM clock_timestamp()) * 1000000) FROM permits "
                        "WHERE client_order_id = 'skewed'"
                    ).fetchone()
                assert row is not None and row[0] < 60_000_000
            else:
                assert not admitted and codes(decision) == ["REDUCE_ONLY"] and "CLOCK_SKEW" in decision.explain()
    with guarding(url) as guard:
        assert guard.check(order("beside")).approved


def test_the_control_a_guard_that_does_not_heed_the_difference_approves(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same wrong clock, measured and not heeded: what adds risk passes."""
    from riskguard.store.engines import postgresql_store

    with a_host(tmp_path / "wrong"), monkeypatch.context() as here:
        here.setattr(postgresql_store, "SystemClock", lambda: Wrong(600.0))
        with guarding(url) as guard:
            guard.kept.heeds_skew = False
            assert guard.check(order("skewed")).approved
            assert guard.store.skew_us != 0
