"""The benchmarks run: each group on a tiny scale, and the page they write. What they measure is for a calm machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as program
from benchmarks import (
    deciding,
    growing,
    history,
    many,
    memory,
    page,
    peers,
    starting,
    stopping,
    storing,
    sweeping,
    tails,
)
from benchmarks.__main__ import ASKED_FOR, USUAL
from benchmarks.measure import Row
from benchmarks.peers import asking, environments
from benchmarks.peers.asking import PASSES, REFUSED, times, unsettled
from benchmarks.peers.known import PEERS, Peer, guarantees
from benchmarks.stage import ACCOUNT, build, order, rulebook
from riskguard.services.kill.killswitch import engage

TINY: dict[Any, dict[str, Any]] = {
    deciding: {"ROUNDS": 2, "SINGLES": 20, "BATCH": 5},
    storing: {"ROUNDS": 1, "EACH": 4},
    starting: {"ROUNDS": 1, "KILLS": 1},
    sweeping: {"ROUNDS": 2, "ACCOUNTS": 1, "POSITIONS": 5, "FEW": 10},
    growing: {"EACH": 4, "FEW": 10, "MANY": 20},
    many: {"PROCESSES": (1,), "ACCOUNTS": ("leader",)},
}
RUNS: dict[str, Callable[[Path], list[Row]]] = {
    "deciding": deciding.rows,
    "storing": storing.rows,
    "tails": lambda directory: tails.rows(directory, approvals=3, refusals=3),
    "many": lambda directory: many.rows(directory, seconds=0.05),
    "stopping": lambda directory: stopping.rows(directory, rounds=1, kills=1, processes=1),
    "starting": starting.rows,
    "growing": lambda directory: growing.rows(directory, checks=20),
    "sweeping": lambda directory: sweeping.rows(directory, history=20),
    "history": lambda directory: history.rows(directory, decisions=20, chained=20),
}


SLOW = ("many", "stopping", "starting")
"""Each starts processes, and each of them imports everything."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for the module, as a run has one: databases are built once and copied."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("RISKGUARD_HOME", str(home))
    for module, constants in TINY.items():
        for name, value in constants.items():
            monkeypatch.setattr(module, name, value)

    def absent() -> Any:
        raise ImportError("not tried here")

    monkeypatch.setattr(many, "postgresql", absent)
    monkeypatch.setattr(growing, "_asked", lambda *_: {"memory_mb": 0.0, "descriptors": 0, "log_mb": 0.0})


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.soak if name in SLOW else ()) for name in RUNS])
def test_each_group_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every figure of a group is there: a number, and a verdict where there is a budget."""
    directory = tmp_path / name
    if name == "stopping":  # its kills halt this host for whichever group comes next
        monkeypatch.setenv("RISKGUARD_HOME", str(tmp_path / "home"))
    directory.mkdir()
    rows = RUNS[name](directory)

    assert rows
    # What a process takes over a bare one is a difference: of one round each, beside other programs, that may be anything.
    differences = name == "starting"
    assert all(row.measured is not None and (differences or row.measured >= 0) for row in rows)
    assert all((row.verdict != "") == (row.budget is not None) for row in rows)


def test_a_process_that_asks_says_how_it_grew(tmp_path: Path) -> None:
    """A few checks open nothing that stays open, and the log is small."""
    grown = memory.main(str(build(tmp_path / "asks", rulebook()).directory), "mixed", 30)

    assert grown["descriptors"] == 0 and grown["log_mb"] < 16 and grown["memory_mb"] < 64


def test_no_group_is_stopped_by_the_kills_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag of this host stops its account in every database, and a missing directory everybody: each group has its own."""
    approved: list[bool] = []

    def ask_and_kill(group: Path) -> list[Row]:
        stage = build(group / "desk", rulebook())
        with stage.guard() as (guard, clock):
            clock.advance(1_000)
            approved.append(guard.check(order("a1")).approved)
        engage(stage.url, ACCOUNT, by="benchmark", reason="measured")
        return []

    for name in ("RISKGUARD_HOME", "RISKGUARD_DB"):
        monkeypatch.setenv(name, "the caller's")  # what main() sets is undone
    monkeypatch.setattr(program, "group_of", lambda name, given: ask_and_kill)
    monkeypatch.setattr(program, "show", lambda *_: None)
    words = ["--only", "deciding", "stopping", "growing", "--dir", str(tmp_path / "bench")]
    monkeypatch.setattr(sys, "argv", ["benchmarks", *words])

    program.main()

    assert approved == [True, True, True]


def test_every_group_is_tried_here() -> None:
    """`server` has a PostgreSQL to start and `peers` packages to install: their parts are tried below and elsewhere."""
    assert {*USUAL, *ASKED_FOR} - set(RUNS) == {"server", "peers"}


def test_a_peer_that_cannot_be_installed_is_a_row_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are not lost for it."""
    gone = Peer("gone", "Gone 1.0", ("gone==1.0",), "all of them", PEERS[0].gives)

    def refuse(_peer: Peer) -> Path:
        raise environments.MissingError("pip: no such thing")

    monkeypatch.setattr(peers, "python_of", refuse)
    monkeypatch.setattr(peers, "PEERS", (gone,))
    [row] = peers.rows(tmp_path)

    assert row.measured is None and row.said == "–" and row.verdict == "" and "no such thing" in row.floor


def test_two_engines_are_timed_in_turn() -> None:
    """Each of both quantities, as often as there are rounds."""
    asked: list[tuple[str, int]] = []
    engines = {name: (lambda quantity, name=name: asked.append((name, quantity)), unsettled) for name in ("a", "b")}
    found = times(engines, 3)  # type: ignore[arg-type]

    assert {name: set(each) for name, each in found.items()} == {name: {PASSES, REFUSED} for name in "ab"}
    assert len(asked) == 2 * 2 * 3


def test_a_slow_engine_is_asked_less_often_and_never_less_than_ten_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """No round begins once its seconds are over; before that, all of them do."""
    asked: list[int] = []
    for seconds, rounds in ((0.0, asking.ROUNDS_MIN), (600.0, 12)):
        monkeypatch.setattr(asking, "ASKED_S_MAX", seconds)
        asked.clear()
        times({"slow": (asked.append, unsettled)}, 12)
        assert len(asked) == 2 * rounds


def test_the_page_is_rewritten_between_its_marks_alone(tmp_path: Path) -> None:
    """A person's words before and after stay; the tables of the last run go."""
    path = tmp_path / "benchmarks.md"
    path.write_text(f"before\n{page.BEGIN}\nOLD TABLE\n{page.END}\nafter\n")
    rows = [Row("x | y", 5.0, "µs", 4.0, "beside", "because"), Row("z", None, "×", None, "not measured: no")]
    page.write({"cores": 2}, {"peers": rows}, 90.0, path)
    text = path.read_text()

    assert (
        text.startswith(f"before\n{page.BEGIN}\n") and text.endswith(f"{page.END}\nafter\n") and "OLD TABLE" not in text
    )
    assert (
        "| x / y | 5.00 µs | 4 µs | MISSED | beside — because |" in text
        and "| z | – |  |  | not measured: no |" in text
    )
    assert all(f"| {peer.title} |" in text for peer in PEERS) and len({len(row) for row in guarantees()}) == 1
    path.write_text("no marks")
    with pytest.raises(ValueError, match="has no"):
        page.write({}, {}, 1.0, path)


def test_the_project_s_own_page_has_the_marks() -> None:
    """Or `make bench` would write nothing."""
    text = page.PAGE.read_text()

    assert text.count(page.BEGIN) == 1 and text.count(page.END) == 1
