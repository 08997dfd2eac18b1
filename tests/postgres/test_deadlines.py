"""
A server or a link that answers nothing, and breaks nothing, costs a check its deadline and no more.

Neither statement_timeout nor TCP ends such a wait in time: the deadline is the client's own. What is not answered in time
is refused (or unknown, once a commit was under way), and a server that came back is used again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from riskguard.errors import DecisionUnknownError
from riskguard.services.orders.guard import RiskGuard
from tests.postgres.ground import DEADLINE_MS, SLACK_MS, codes, guarding, order, serving
from tests.postgres.proxy import Proxy
from tests.postgres.server import QUICK
from tests.services.desk import eventually

Link = tuple[Proxy, str]
MOST_MS = 2 * DEADLINE_MS + SLACK_MS
"""A commit that is under way has a deadline of its own: it cannot be taken back by waiting less."""


def timed(guard: RiskGuard, name: str) -> tuple[str, float]:
    """Check once; return what was heard and how long it took, ms."""
    began = time.monotonic()
    try:
        decision = guard.check(order(name))
        heard = "approved" if decision.approved else " ".join(codes(decision))
    except DecisionUnknownError:
        heard = "unknown"
    return heard, (time.monotonic() - began) * 1000


def approves_again(guard: RiskGuard, name: str) -> None:
    heard: list[str] = []

    def approved() -> bool:
        heard.append(timed(guard, f"{name}-{len(heard)}")[0])
        return heard[-1] == "approved"

    try:
        eventually(approved, 60)
    except AssertionError:
        raise AssertionError(f"not approved again: {heard[-20:]}") from None


@contextmanager
def _mid_transaction(proxy: Proxy, message: int) -> Iterator[None]:
    """The cable is pulled at the n-th message: neither side hears of it."""
    proxy.faults.cut_at_message, proxy.faults.is_silent, proxy.faults.server_hears = message, True, False
    yield


@contextmanager
def _lost(proxy: Proxy, direction: str) -> Iterator[None]:
    proxy.half_open(direction)
    yield


@contextmanager
def _refused(proxy: Proxy, _how: str) -> Iterator[None]:
    proxy.refuse()
    yield


@contextmanager
def _blackhole(proxy: Proxy, how: str) -> Iterator[None]:
    proxy.blackhole()
    if how == "new":
        proxy.reset()  # what stood is gone, and what comes next is never answered
    yield


@contextmanager
def _slow(proxy: Proxy, _how: str) -> Iterator[None]:
    proxy.faults.to_client_s = 0.2  # an answer in time for nothing but the first
    yield


FAULTS: dict[str, tuple[Callable[..., Any], Any]] = {
    "half-open to the server": (_lost, "to_server"),
    "half-open to the client": (_lost, "to_client"),
    "swallows old connections": (_blackhole, "old"),
    "swallows new connections": (_blackhole, "new"),
    "refused": (_refused, ""),
    "200 ms away": (_slow, ""),
    "pulled at BEGIN": (_mid_transaction, 1),
    "pulled at what it writes": (_mid_transaction, 2),
    "pulled at COMMIT": (_mid_transaction, 3),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.claim("I5", "a link to PostgreSQL that answers nothing", of="checks", ci=5, soak=25,
                   bounds_ms={"max": 1_500}, soak_bounds_ms={"p99": 700, "max": 1_500})  # fmt: skip
def test_a_check_answers_within_its_deadline_whatever_the_link_does(link: Link, claim: Any, fault: str) -> None:
    """Each check while the fault lasts is no approval and is back in time; healed, the next is approved soon."""
    proxy, url = link
    shown = claim("I5")
    with guarding(url, DEADLINE_MS) as guard:
        number = 0
        while shown.n < shown.figure:
            approves_again(guard, f"warm{number}")
            begin, how = FAULTS[fault]
            with begin(proxy, how):
                for _ in range(5):  # the first meets the fault, the others what it left
                    number += 1
                    heard, took_ms = timed(guard, f"o{number}")
                    shown.measured_ms(took_ms)
                    is_over = "pulled" in fault and proxy.cuts > 0  # one connection only: the next one is a good one
                    shown.trial(heard != "approved" or is_over, f"{fault}: {heard} after {took_ms:.0f} ms")
            proxy.heal()
        approves_again(guard, "healed")


@pytest.mark.claim("I5", "PostgreSQL is SIGSTOPped", of="checks", ci=8, soak=80,
                   bounds_ms={"max": 1_500}, soak_bounds_ms={"p99": 700, "max": 1_500})  # fmt: skip
def test_a_frozen_server_costs_the_deadline_and_not_every_time(claim: Any, prepared_home: Any) -> None:
    """The first check waits its deadline; those that follow are refused at once for a while; thawed, it is used again."""
    shown = claim("I5")
    with serving(QUICK) as server, guarding(server.url("risk"), DEADLINE_MS) as guard:
        while shown.n < shown.figure:
            approves_again(guard, f"warm{shown.n}")
            took = []
            with server.frozen():
                for number in range(8):
                    heard, took_ms = timed(guard, f"o{shown.n}-{number}")
                    took.append(took_ms)
                    shown.trial(
                        heard in ("STORE_BUSY", "STORE_UNAVAILABLE", "unknown"), f"{heard} after {took_ms:.0f} ms"
                    )
            shown.measured_ms(*took)
            assert sum(took) < len(took) * DEADLINE_MS, took
        approves_again(guard, "thawed")


def test_the_control_a_deadline_of_the_server_alone_is_none(prepared_home: Any) -> None:
    """The plain driver with every timeout PostgreSQL has is still waiting long after them: a frozen server keeps no time."""
    with serving(QUICK) as server, contextlib.closing(server.connect("risk")) as connection:
        connection.execute(f"SET statement_timeout = {DEADLINE_MS}; SET lock_timeout = {DEADLINE_MS}")
        with server.frozen():
            connection.pgconn.send_query(b"SELECT 1")
            connection.pgconn.flush()
            time.sleep(4 * DEADLINE_MS / 1000)
            connection.pgconn.consume_input()
            assert connection.pgconn.is_busy()
        assert connection.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE
