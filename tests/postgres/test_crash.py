"""
The server is stopped, killed and restarted while processes check and send: what was acknowledged is there afterwards.

A refusal that was returned as recorded, and an order at the wire, are on the server's disk. An approval may be lost with a
crash: its order cannot have gone anywhere, and its permit is refused when it is used.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from riskguard.errors import PermitError
from riskguard.store import journal
from tests.postgres.crew import Member, crew, worker
from tests.postgres.ground import codes, guarding, order, serving
from tests.postgres.server import DURABLE, Cluster
from tests.services.desk import eventually

SETTINGS = f"{DURABLE}wal_writer_delay = 10s\n"
"""So that what is not waited for is still in memory when the server dies."""
DOWN = {
    "kill -9 of everything": lambda server: server.kill(),
    "kill -9 of the postmaster": lambda server: server.kill(everything=False),
    "stopped at once": lambda server: server.stop(signal.SIGQUIT),
    "stopped": lambda server: server.stop(),
}


@pytest.fixture
def server(prepared_home: Any) -> Iterator[Cluster]:
    with serving(SETTINGS) as made:
        yield made


def heard(members: list[Member], at_least: int) -> list[tuple[str, str]]:
    """Listen until each has acknowledged so much more."""
    found = []
    for each in members:
        for _ in range(at_least):
            found += [(what, name) for what, name in each.hear().items()]
    return found


def last_words(members: list[Member]) -> list[tuple[str, str]]:
    """End them, and read what they had said."""
    found = []
    for each in members:
        each.signal(signal.SIGKILL)
        with contextlib.suppress(AssertionError):
            while True:
                found += list(each.hear(60).items())
    return found


def missing(url: str, said: list[tuple[str, str]]) -> list[str]:
    """Return what was acknowledged and is not there."""
    with psycopg.connect(url) as connection:
        refused = {row[0] for row in connection.execute("SELECT client_order_id FROM risk_violations")}
        sent = {
            row[0] for row in connection.execute("SELECT client_order_id FROM permits WHERE sent_at_us IS NOT NULL")
        }
    return [f"{what} {name}" for what, name in said if name not in (refused if what == "refused" else sent)]


@pytest.mark.parametrize("down", DOWN)
@pytest.mark.claim("I3", "PostgreSQL goes down under load", of="crashes", ci=1, soak=8)
def test_what_was_acknowledged_survives_the_server(server: Cluster, claim: Any, down: str) -> None:
    """Two processes refuse and send without a pause; after each crash every acknowledgement is a row, and the chain holds."""
    shown = claim("I3")
    url = server.url("risk")
    said: list[tuple[str, str]] = []
    with crew(2, worker, url, deadline_ms=2_000) as workers:
        for _ in range(shown.figure):
            said += heard(workers, 8)
            DOWN[down](server)
            server.start()
            said += heard(workers, 4)  # they find it again by themselves
            lost = missing(url, said)
            shown.trial(not lost, lost[:5])
        said += last_words(workers)
    lost = missing(url, said)
    shown.counted(acknowledged=len(said))
    assert lost == []
    with guarding(url) as guard, guard.store.session() as session:
        assert journal.verify(session, "leader")[1] is None


def test_an_approval_may_be_lost_and_then_its_order_cannot_be_sent(server: Cluster) -> None:
    """
    The control of the above, too: an approval is not waited for, and the crash that keeps the refusal loses it.

    The process that holds its permit is refused when it sends, and asked again it decides anew.
    """
    url = server.url("risk")
    with guarding(url) as guard:
        refused = guard.check(order("refused", quantity=10**7))
        approved = guard.check(order("approved"))
        assert refused.recorded and approved.approved
        server.kill()
        server.start()
        assert missing(url, [("refused", "refused")]) == []
        with psycopg.connect(url) as connection:
            kept = connection.execute("SELECT 1 FROM permits WHERE client_order_id = 'approved'").fetchone()
        assert kept is None  # what nobody waited for was in the server's memory alone
        eventually(lambda: guard.check(order("found", quantity=10**7)).recorded, 60)  # the server is found again
        with pytest.raises(PermitError), approved.permit.sending():
            raise AssertionError("an order that is not SENT on disk went out")
        again = guard.check(order("approved"))
        assert again.approved, codes(again)
        with again.permit.sending() as wire:
            wire.order_id = "B-1"
    assert missing(url, [("sent", "approved")]) == []


def test_a_kill_that_was_acknowledged_survives_the_server(server: Cluster) -> None:
    """Exit status 0 says that it is on the server's disk: killed the next moment, it is halted when it comes back."""
    url = server.url("risk")
    with guarding(url) as guard:
        assert guard.check(order("before")).approved
        assert guard.kill("leader", by="desk", reason="crash").exit_status == 0
        server.kill()
        server.start()
        for flag in (each for directory in guard.store.directories for each in (directory / "halt").glob("*")):
            flag.unlink()  # the row alone must do
        for each in guard.store.path.parent.glob("*GENERATION"):
            each.unlink()
        eventually(lambda: codes(guard.check(order("after"))) == ["TRADING_HALTED"], 60)
        assert not guard.check(order("later")).approved
