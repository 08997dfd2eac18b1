"""
What the fault tests stand on: a server of their own with databases whose accounts are watched, flat and wide open.

On the machine's own clock: here processes, sockets and servers are what is tried.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from riskguard.clock import SystemClock
from riskguard.core.order import Order
from riskguard.home import state_directories
from riskguard.services.orders.guard import RiskGuard
from riskguard.services.sweeps.sweeper import Sweeper
from riskguard.services.wiring import open_guard
from riskguard.store import halt, loader
from tests.postgres.server import Cluster, prepared
from tests.services.desk import ACCOUNT, fill, rulebook

PATIENCE_MS: Final = 10_000
"""A deadline for tests that are not about deadlines."""
DEADLINE_MS: Final = 250
"""The deadline of PostgreSQL where nothing else is said."""
SLACK_MS: Final = 150
"""What a busy machine may add to a deadline: threads are woken late, connections closed, a refusal is spooled."""

_names = itertools.count(1)
_watched: dict[Path, str] = {}
"""By a server's sockets, the session in which its `risk` was swept: at midnight in India what it knows of the day ends."""


def today() -> str:
    return loader.session_date(SystemClock().now_us())


@contextlib.contextmanager
def a_host(home: Path) -> Iterator[Path]:
    """Be another host for the block: its flags and its memory of generations are in *home*."""
    before = os.environ.get("RISKGUARD_HOME")
    os.environ["RISKGUARD_HOME"] = str(home)
    try:
        for each in state_directories("postgresql://host/risk"):
            halt.prepare(each)
        yield home
    finally:
        if before is None:
            del os.environ["RISKGUARD_HOME"]
        else:
            os.environ["RISKGUARD_HOME"] = before


def watch(url: str, accounts: tuple[str, ...]) -> None:
    """Say that the accounts are flat, and sweep each once."""
    with open_guard(url, sweep=False, deadline_ms=PATIENCE_MS) as guard:
        for name in accounts:
            guard.report_positions([], account=name)
            Sweeper(guard, name, None).sweep(now=True)


def build(url: str, *, accounts: tuple[str, ...] = (ACCOUNT,), text: str | None = None, group: str = "") -> None:
    with tempfile.TemporaryDirectory() as rules, a_host(Path(rules) / "home"):
        fill(
            url, Path(rules), accounts=accounts, text=text or rulebook(), group=group, profile="library", hold_s=0,
            clock=SystemClock(),
        )  # fmt: skip
        watch(url, accounts)


def one_account(url: str) -> None:
    """The database `risk` of every server here: one account, `leader`."""
    build(url)


def warm(url: str) -> None:
    """Compile every statement of a check once, in this process, before it forks others."""
    with tempfile.TemporaryDirectory() as home, a_host(Path(home)), guarding(url) as guard:
        guard.place(order("warm"), lambda _approved: "B-warm")
        guard.check(order("refused", quantity=10**7))
        guard.kill(ACCOUNT, by="desk", reason="warm")
        guard.check(order("halted"))


@contextlib.contextmanager
def serving(settings: str) -> Iterator[Cluster]:
    """A server of one test, whose database `risk` is watched and wide open."""
    day = today()
    made = Cluster(settings, prepared(one_account, day))
    try:
        made.start()
        _watched[made.sockets] = day
        yield made
    finally:
        _watched.pop(made.sockets, None)
        made.close()


def another(server: Cluster, **how: Any) -> str:
    """One more database on *server*: its URL. With *how* it is built, else a copy of `risk`."""
    name = f"risk{next(_names)}"
    if not how:
        url = server.create(name, "risk")
        if _watched.get(server.sockets) != today():
            with tempfile.TemporaryDirectory() as home, a_host(Path(home)):
                watch(url, (ACCOUNT,))
        return url
    url = server.create(name)
    build(url, **how)
    return url


def database_of(url: str) -> str:
    """The database's name in a URL of a server of ours."""
    return url.partition("?")[0].rpartition("/")[2]


def order(name: str, **changes: Any) -> Order:
    fields: dict[str, Any] = {
        "account": ACCOUNT, "client_order_id": name, "exchange_segment": "NSE_EQ", "security_id": "1333", "side": "BUY",
        "product": "INTRADAY", "order_type": "LIMIT", "quantity": 1, "price": "100",
    }  # fmt: skip
    return Order(**{**fields, **changes})


@contextlib.contextmanager
def guarding(url: str, deadline_ms: int = PATIENCE_MS, clock: Any = None) -> Iterator[RiskGuard]:
    """A guard as another program has it; a broken server must not keep it from being closed."""
    made = open_guard(url, sweep=False, deadline_ms=deadline_ms, clock=clock)
    try:
        yield made
    finally:
        with contextlib.suppress(Exception):
            made.close()


def codes(decision: Any) -> list[str]:
    return [each.code.value for each in decision.rejects]
