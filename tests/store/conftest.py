"""Databases for repository tests: a real SQLite file as `init` makes it, and a real PostgreSQL with the same schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from riskguard.services.server import upgrade
from riskguard.store import Database, open_database
from tests.services.desk import PATIENCE_MS, Clock, copy
from tests.store import postgres
from tests.store.rows import T

BOTH = ("sqlite", "postgresql")


@pytest.fixture
def path(templates: Callable[..., Path], tmp_path: Path) -> Path:
    """A SQLite database of one account, `leader`, with its limits and triggers."""
    return copy(templates(), tmp_path / "risk")


@pytest.fixture
def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture(params=BOTH)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a fresh database; a test runs once on each kind."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_url")
        return
    with postgres.like(upgrade) as name:
        yield postgres.server().url(name)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """The opened database, its clock at the time of the rows."""
    with open_database(url, deadline_ms=PATIENCE_MS) as opened:
        opened.clock = Clock(T * 1_000_000)
        yield opened


def pytest_sessionfinish() -> None:
    """Stop this process's PostgreSQL and take its files away: a worker of pytest-xdist leaves without its exit handlers."""
    if postgres.server.cache_info().currsize:
        postgres.server().stop()
