"""One server for the tests of this directory that do not break it, and a database of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from riskguard.home import state_directories
from riskguard.store import halt
from tests.postgres.ground import another, database_of, serving, warm
from tests.postgres.proxy import Proxy, proxied
from tests.postgres.server import QUICK, Cluster, install


@pytest.fixture(scope="session")
def shared() -> Iterator[Cluster]:
    """Nobody stops, freezes or fills this one."""
    with serving(QUICK) as made:
        warm(another(made))
        yield made


@pytest.fixture
def prepared_home(home: Path) -> Path:
    """The host's state directory as `riskguard init` leaves it."""
    for each in state_directories("postgresql://host/risk"):
        halt.prepare(each)
    return home


@pytest.fixture
def url(shared: Cluster, prepared_home: Path) -> str:
    """A database of this test's own: account `leader`, watched, flat, wide open."""
    return another(shared)


@pytest.fixture
def link(shared: Cluster, url: str) -> Iterator[tuple[Proxy, str]]:
    """The same database through a proxy: (proxy, URL)."""
    with proxied(shared.sockets) as proxy:
        yield proxy, proxy.url(database_of(url))


def pytest_sessionfinish() -> None:
    """A worker of pytest-xdist leaves without its exit handlers."""
    if install.cache_info().currsize:
        install().remove()
