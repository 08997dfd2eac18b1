"""What the tests of the command stand on: a forker per worker, an empty directory, an initialised one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shell import Forker, Shell


@pytest.fixture(scope="session")
def forker() -> Iterator[Forker]:
    made = Forker()
    yield made
    made.close()


@pytest.fixture
def empty(tmp_path: Path, forker: Forker) -> Shell:
    """An empty directory."""
    (tmp_path / "desk").mkdir()
    return Shell(tmp_path / "desk", forker)


@pytest.fixture(scope="session")
def initialised(tmp_path_factory: pytest.TempPathFactory, forker: Forker) -> Shell:
    """A directory after `riskguard init`; copied for each test, never used itself."""
    shell = Shell(tmp_path_factory.mktemp("initialised") / "desk", forker)
    shell.directory.mkdir()
    assert shell("init").status == 0
    return shell


@pytest.fixture(scope="session")
def initialised_on_a_server(tmp_path_factory: pytest.TempPathFactory, forker: Forker) -> Shell:
    """The same with its database on PostgreSQL."""
    from tests.store import postgres

    url = postgres.server().url(postgres.server().create())
    shell = Shell(tmp_path_factory.mktemp("initialised") / "desk", forker, server_url=url)
    shell.directory.mkdir()
    said = shell("init")
    assert said.status == 0, said.err
    return shell


@pytest.fixture
def shell(tmp_path: Path, store_kind: str, request: pytest.FixtureRequest) -> Iterator[Shell]:
    """A directory with a fresh database of profile `paper`: account `leader`, the shipped limits."""
    if store_kind == "sqlite":
        yield request.getfixturevalue("initialised").copied(tmp_path / "desk")
        return
    from tests.postgres.desk import copied

    made: Shell = request.getfixturevalue("initialised_on_a_server")
    with copied(made.server_url.partition("?")[0].rpartition("/")[2]) as url:
        yield made.copied(tmp_path / "desk", url)
