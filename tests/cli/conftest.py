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


@pytest.fixture
def shell(tmp_path: Path, initialised: Shell) -> Shell:
    """A directory with a fresh database of profile `paper`: account `leader`, the shipped limits."""
    return initialised.copied(tmp_path / "desk")
