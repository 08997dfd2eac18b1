"""
pgbouncer in transaction mode between riskguard and its server: each transaction may run on another server connection.

Nothing of ours may rest on a session's state: settings are SET LOCAL, locks end with their transaction, nothing is prepared.
The program is looked for as `tests/postgres/pooler.py` says; without it these tests say so, loudly, and do not run.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from riskguard.services.kill.killswitch import engage
from riskguard.store import journal
from riskguard.store.engines import postgresql_opening
from tests.postgres.crew import crew, placer
from tests.postgres.ground import another, codes, database_of, guarding, order, watch
from tests.postgres.pooler import MISSING, found, pooled
from tests.postgres.server import Cluster
from tests.postgres.test_kill import SQL_KILL
from tests.postgres.test_reserve import held, position_max
from tests.reliability.actors import checker
from tests.reliability.test_kill_visible import rounds
from tests.services.desk import rulebook

if found() is None:
    warnings.warn(MISSING, stacklevel=1)
pytestmark = pytest.mark.skipif(found() is None, reason=MISSING)


@pytest.fixture
def pooled_url(shared: Cluster, prepared_home: Any, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database as *how* says (the parameter), reached through a pool of two server connections."""
    url = another(shared, **getattr(request, "param", {}))
    program = found()
    assert program is not None
    with pooled(program, shared, database_of(url), pool=2) as pooler:
        yield pooler.url(database_of(url))


def servers(url: str) -> set[int]:
    """The server connections that two clients get, turn by turn."""
    seen = set()
    with psycopg.connect(url, autocommit=True) as one, psycopg.connect(url, autocommit=True) as other:
        with one.transaction(), other.transaction():
            for each in (one, other):
                row = each.execute("SELECT pg_backend_pid()").fetchone()
                seen.add(row[0] if row else 0)
        row = one.execute("SELECT pg_backend_pid()").fetchone()
        seen.add(row[0] if row else 0)
    return seen


def test_the_pool_is_one(pooled_url: str) -> None:
    """The rig: clients share server connections, and what one sets for its session another may find."""
    assert len(servers(pooled_url)) == 2


@pytest.mark.parametrize("pooled_url", [{"accounts": ("a", "b", "c")}], indirect=True)
def test_the_three_doors_work_through_a_pooler(pooled_url: str) -> None:
    """Sweep, check approved and refused, sending, kill, and a kill by plain SQL on the next connection."""
    watch(pooled_url, ("a", "b", "c"))
    with guarding(pooled_url) as guard, guarding(pooled_url) as other:
        decision = guard.place(order("one", account="a"), lambda _approved: "B-1")
        assert decision.approved
        refused = other.check(order("much", account="a", quantity=10**7))
        assert refused.recorded and not refused.approved
        assert engage(pooled_url, "a", by="desk", reason="pooled").exit_status == 0
        with psycopg.connect(pooled_url, autocommit=True) as raw:
            raw.execute(SQL_KILL.format("b").encode())
        for each in (guard, other):
            for account in ("a", "b"):
                assert codes(each.check(order(f"after-{id(each)}", account=account))) == ["TRADING_HALTED"]
            assert each.check(order(f"free-{id(each)}", account="c")).approved
        with guard.store.session() as session:
            assert journal.verify(session, "a")[1] is None


def test_nothing_is_left_on_the_server_connection(pooled_url: str) -> None:
    """What a transaction of ours sets ends with it: the next client of the pool finds the server's own settings."""
    asked = "SELECT current_setting('lock_timeout'), current_setting('statement_timeout'), current_setting('synchronous_commit')"
    with psycopg.connect(pooled_url, autocommit=True) as raw:
        before = raw.execute(asked).fetchone()
        with guarding(pooled_url) as guard:
            assert guard.check(order("one")).approved
            assert not guard.check(order("two", quantity=10**7)).approved
            assert {raw.execute(asked).fetchone() for _ in range(4)} == {before}
        locks = raw.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()
    assert locks == (0,)


def test_the_control_settings_of_a_session_reach_the_next_client(
    pooled_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """The same transactions with SET for SET LOCAL: another client of the pool finds the limits of ours."""
    local = postgresql_opening.beginning
    monkeypatch.setattr(postgresql_opening, "beginning", lambda *a, **k: local(*a, **k).replace("SET LOCAL", "SET"))
    asked = "SELECT current_setting('lock_timeout'), current_setting('statement_timeout')"
    with psycopg.connect(pooled_url, autocommit=True) as raw:
        before = raw.execute(asked).fetchone()
        with guarding(pooled_url) as guard:
            assert guard.check(order("one")).approved
            assert {raw.execute(asked).fetchone() for _ in range(4)} != {before}


@pytest.mark.parametrize("pooled_url", [{"text": rulebook(net_position=position_max(21))}], indirect=True)
@pytest.mark.claim("I2", "PostgreSQL behind pgbouncer: 4 processes on one account", of="orders", ci=40, soak=40)
def test_a_limit_holds_through_a_pooler(pooled_url: str, claim: Any) -> None:
    shown = claim("I2")
    with crew(4, placer, pooled_url, deadline_ms=60_000) as placers:
        for each in placers:
            each.tell(orders=shown.figure // 4, accounts=["leader"])
        placed = sum(each.hear(600)["placed"].get("leader", 0) for each in placers)
    shown.trials(shown.figure, [] if placed == 21 else [f"{placed} for a limit of 21"])
    assert held(pooled_url) == {"leader": 21}


@pytest.mark.parametrize("pooled_url", [{"accounts": ("a0", "a1", "a2")}], indirect=True)
@pytest.mark.claim("I17", "PostgreSQL behind pgbouncer: processes check while one kills", of="rounds", ci=3, soak=3)
def test_a_kill_is_obeyed_through_a_pooler(pooled_url: str, claim: Any) -> None:
    shown = claim("I17")
    with crew(3, checker, pooled_url) as checkers:
        for number in range(shown.figure):

            def kill(name: str) -> None:
                assert engage(pooled_url, name, by="desk", reason="round").exit_status == 0

            wrong, _approved = rounds(pooled_url, [f"a{number}"], checkers, kill, 3)  # type: ignore[arg-type]
            shown.trial(not wrong, wrong)
