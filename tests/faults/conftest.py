"""What every fault test stands on: a process whose disk can fail, and the states its deeds begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults import deeds
from tests.faults.stage import Stage, compiled


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One process for a file's tests: it is warmed up once, and forks a child for each deed."""
    with pytest.MonkeyPatch.context() as context:
        directory = tmp_path_factory.mktemp("stage")
        context.setenv("RISKGUARD_HOME", str(directory / "home"))
        made = Stage(compiled(directory))
        yield made
        made.close()


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a prepared state by name, made at its first use: `ready` or `killed`. Deeds work on copies of it."""
    made: dict[str, Path] = {}

    def state(name: str) -> Path:
        if name not in made:
            directory = tmp_path_factory.mktemp(name) / "state"
            with pytest.MonkeyPatch.context() as context:
                context.setenv("RISKGUARD_HOME", str(directory / "home"))
                made[name] = {"ready": deeds.prepare, "killed": deeds.prepare_killed}[name](directory)
        return made[name]

    return state
