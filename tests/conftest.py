"""
What every test stands on: a state directory of its own, a clock that is told the time, a desk on a real database.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import itertools
import os
import pkgutil
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import riskguard
from riskguard.core.checks import EVERY
from tests.services.desk import Clock, Desk, EachDesk, build, copy

# Everything is imported and every model is built before any test freezes time: pydantic compares types while it
# builds a model, and a frozen `datetime` is another type.
for _found in pkgutil.walk_packages(riskguard.__path__, "riskguard."):
    if not _found.name.endswith("__main__"):
        importlib.import_module(_found.name)
for _check in EVERY:
    _check.params.model_json_schema()

pytest_plugins = ["tests.reliability.claiming", "tests.postgres.both"]

_homes = itertools.count()

MEMORY = Path("/dev/shm")
MEMORY_FREE_BYTES = 2 << 30


def pytest_configure(config: pytest.Config) -> None:
    """
    Lay the tests' files in memory where there is room: ten thousand databases are synced, none has to outlive the run.

    What a test kills is a process, and the kernel keeps a dead process's writes in memory as on a disk. Who wants the
    disk says `PYTEST_DEBUG_TEMPROOT=/tmp` or `--basetemp`.
    """
    gc.disable()  # until everything is imported: nothing of it is garbage
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts what it runs in the background so, and every command started here would inherit the deafness.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.access(MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(MEMORY).free > MEMORY_FREE_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_collection_finish() -> None:
    """What was imported and collected stays for good: the collector need not walk through it some thousand times."""
    gc.freeze()
    gc.enable()


TESTS = Path(__file__).parent
FIRST = ("simulator", "faults", "postgres", "reliability", "cli", "store", "services", "integrations")
"""Where the longest tests are. Workers begin with them: none is left alone with one when the others are done."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the soak out of an ordinary run; several workers begin with what takes longest."""
    if hasattr(config, "workerinput") and not os.environ.get("RISKGUARD_SOAK"):  # which has an order of its own
        place = {TESTS / name: number for number, name in enumerate(FIRST)}
        items.sort(
            key=lambda item: min((place[each] for each in item.path.parents if each in place), default=len(FIRST))
        )
    if not os.environ.get("RISKGUARD_SOAK"):
        skipped = pytest.mark.skip(reason="a soak: set RISKGUARD_SOAK=1")
        for item in items:
            if "soak" in item.keywords:
                item.add_marker(skipped)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(autouse=True)
def home(homes: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host's state directory of this test: no test may halt another one, or this machine."""
    path = homes / str(next(_homes))
    monkeypatch.setenv("RISKGUARD_HOME", str(path))
    for name in (
        "RISKGUARD_DB", "RISKGUARD_BY", "RISKGUARD_OPERATOR_TOKEN", "RISKGUARD_DEADLINE_MS", "RISKGUARD_SECRET_KEY",
        "RISKGUARD_SECRET_KEY_FILE", "CREDENTIALS_DIRECTORY", "RISKGUARD_AUDIT_KEY_FILE", "RISKGUARD_ANCHOR_FILE",
        "RISKGUARD_ANCHOR_COMMAND", "RISKGUARD_ANCHOR_DEADLINE_S",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")  # never a person's own keyring
    return path


@pytest.fixture
def clock() -> Clock:
    """`now_us` says what the test sets; `elapsed_us` is real."""
    return Clock()


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Build each kind of database once; tests work on copies."""
    made: dict[str, Path] = {}

    def template(**how: Any) -> Path:
        key = repr(sorted(how.items()))
        if key not in made:
            made[key] = build(tmp_path_factory.mktemp("template"), **how)
        return made[key]

    return template


@pytest.fixture
def make_desk(
    templates: Callable[..., Path], tmp_path: Path, clock: Clock, home: Path, store_kind: str,
    request: pytest.FixtureRequest,
) -> Iterator[Callable[..., Desk]]:  # fmt: skip
    """Make a desk: `text` (a rulebook), `profile`, `hold_s`, `accounts`, `group`; `deadline_ms` and `clock` of its guard."""
    if store_kind != "sqlite":
        yield request.getfixturevalue("server_desks")
        return
    made: list[Desk] = []

    def desk(*, deadline_ms: int | None = None, clock: Any = clock, **how: Any) -> Desk:
        path = copy(templates(**how), tmp_path / f"desk{len(made)}")
        given = {} if deadline_ms is None else {"deadline_ms": deadline_ms}
        made.append(Desk(path, clock, **given))
        return made[-1]

    yield desk
    for each in made:
        each.close()


@pytest.fixture
def each_desk(
    templates: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory, store_kind: str, request: pytest.FixtureRequest
) -> EachDesk:  # fmt: skip
    """Make one desk after another in one test: each has a home and a clock of its own, and is gone after its `with`."""

    @contextlib.contextmanager
    def desk(*, clock: Any = None, **how: Any) -> Iterator[Desk]:
        place = tmp_path_factory.mktemp("each")
        with mock.patch.dict(os.environ, {"RISKGUARD_HOME": str(place / "home")}), contextlib.ExitStack() as stack:
            if store_kind == "sqlite":
                made = Desk(copy(templates(**how), place), clock or Clock())
                stack.callback(made.close)
            else:
                from tests.postgres.desk import desks

                made = desks(request.getfixturevalue("server_templates"), stack, clock or Clock())(**how)
            yield made

    return desk


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    """A desk whose account is flat, watched and wide open."""
    made = make_desk()
    made.sweep()
    return made
