"""
The claims as pytest sees them: a marker that says what is claimed, a fixture that counts, the table at the end of the run.

    @pytest.mark.claim("I1b", "a kill among eight writers", of="kills", ci=50, soak=1_000, soak_bounds_ms={"p99": 25})
    def test_a_kill_gets_through(claim):
        shown = claim("I1b")
        for _ in range(shown.figure):
            with shown.attempt():
                shown.measured_ms(kill())

The test fails at its end when a trial failed, when there were fewer than the figure, or when a time is above its bound.
What a test shows travels in its report, so that it comes back from every xdist worker.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.claims import SOAK, Claim, Shown, text

Claims = Callable[[str], Shown]
KEY, CONTROL = "claim", "control"
UNKNOWN_S = 200
_shown = pytest.StashKey[dict[str, Shown]]()


def claims_of(item: pytest.Item) -> list[Claim]:
    """Return what a test claims, the first marker first."""
    return [Claim(*mark.args, **mark.kwargs) for mark in reversed(list(item.iter_markers(KEY)))]


def is_control(item: pytest.Item) -> bool:
    """Say whether a test shows that others can fail: its name or its docstring says that it is a control."""
    said = getattr(getattr(item, "function", None), "__doc__", None) or ""
    return "the_control" in item.name or re.search(r"(?i)\b(negative|the) control\b", said) is not None


def expected_s(item: pytest.Item) -> int:
    """Return what a test takes in the soak, about; a soak that claims nothing says nothing, and may be long."""
    unknown = UNKNOWN_S if item.get_closest_marker("soak") else 0
    return max((each.seconds for each in claims_of(item)), default=unknown)


@pytest.fixture
def claim(request: pytest.FixtureRequest) -> Claims:
    """Hand out what the test's markers claim, by the invariant's name."""
    shown = request.node.stash[_shown]

    def of(name: str) -> Shown:
        found: Shown = shown[name]
        return found

    return of


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("claims")
    group.addoption("--claims-only", action="store_true", help="run what claims something, soaks, and their controls")
    group.addoption("--claim", metavar="ID,…", default="", help="run what claims one of these invariants: I1b,I3")
    group.addoption("--claims-log", metavar="FILE", help="append what was shown to FILE, one JSON object per line")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "claim(id, tried, of, ci, soak, …): what the test shows; see tests/reliability/claims.py"
    )
    config.addinivalue_line("markers", "alone: measures time; a soak runs nothing beside it")
    if not hasattr(config, "workerinput"):  # a worker of xdist reports to the one that prints
        config.pluginmanager.register(Table(config), "claims-table")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`-k I3` finds a claim by its name; a claim without an ordinary figure is a soak; keep what was asked for."""
    wanted = {each for each in config.getoption("--claim").split(",") if each}
    kept, left, claiming = [], [], set()
    for item in items:
        made = claims_of(item)
        item.extra_keyword_matches.update(each.id for each in made)
        if any(each.alone for each in made):
            item.add_marker("alone")
        if made and not any(each.ci for each in made):
            item.add_marker("soak")
            if not SOAK:
                item.add_marker(pytest.mark.skip(reason="a soak: set RISKGUARD_SOAK=1"))
        if made and (not wanted or wanted & {each.id for each in made}):
            claiming.add(item.path)
    for item in items:
        made = claims_of(item)
        asked = bool(wanted & {each.id for each in made}) if wanted else bool(made or item.get_closest_marker("soak"))
        control = is_control(item) and item.path in claiming
        (kept if asked or control or not (wanted or config.getoption("--claims-only")) else left).append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept
    if SOAK:
        items.sort(key=lambda item: -expected_s(item))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Open the test's rows before anything can go wrong, so that none is missing from the table."""
    made = claims_of(item)
    item.stash[_shown] = {each.id: Shown(each) for each in made}
    assert len(item.stash[_shown]) == len(made), f"{item.nodeid} claims one invariant twice"
    note(item)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Judge what was shown, once the test has ended by itself."""
    try:
        yield
    finally:
        note(item)
    wrong = [line for shown in item.stash[_shown].values() for line in shown.wrong()]
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


def note(item: pytest.Item) -> None:
    """Put what has been shown so far into the test's report."""
    item.user_properties[:] = [each for each in item.user_properties if each[0] not in (KEY, CONTROL)]
    item.user_properties += [(CONTROL, True)] if is_control(item) else []
    item.user_properties += [(KEY, shown.row()) for shown in item.stash[_shown].values()]


class Table:
    """Gathers the rows where the run is reported: in the one process, or in the one that has workers."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.rows: dict[tuple[str, str], dict[str, Any]] = {}
        self.seconds: dict[str, float] = {}
        self.states: dict[str, str] = {}
        self.controls: dict[str, bool] = {}
        self.follows = SOAK and bool(config.getoption("--claims-log"))
        self.began_s = time.monotonic()
        self.total = self.done = 0

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.total = max(self.total, len(session.items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: object, ids: list[str]) -> None:
        self.total = max(self.total, len(ids))

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """A soak says a line for each test that ended, not a dot."""
        passed = report.passed and report.when != "call"
        return ("" if passed else report.outcome, "", "") if self.follows and not hasattr(report, "wasxfail") else None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid
        self.seconds[name] = self.seconds.get(name, 0.0) + report.duration
        for key, row in report.user_properties:
            if key == KEY:
                self.rows[name, row["id"]] = row
        if report.failed:
            self.states[name] = "FAILED"
        elif report.skipped:
            self.states[name] = "not tried"
        if (CONTROL, True) in map(tuple, report.user_properties) and (report.when == "call" or report.failed):
            self.controls[name] = self.controls.get(name, True) and report.passed
        if self.follows and report.when == "teardown":
            self.follow(name)

    def follow(self, name: str) -> None:
        """Say how far the soak is, what the test that just ended showed, and at once why it failed."""
        self.done += 1
        state = self.states.get(name, "kept")
        rows = [row for (test, _id), row in self.rows.items() if test == name]
        shown = ", ".join(f"{row['id']} {row['n']:,} {row['of']}, {row['failures']:,} failed" for row in rows)
        reporter = self.config.pluginmanager.getplugin("terminalreporter")
        reporter.write_line(
            f"{(time.monotonic() - self.began_s) / 60:5.1f} min {self.done:4}/{self.total} {state:9} "
            f"{self.seconds[name]:6.1f} s  {name.rpartition('/')[2]}{'  ' * bool(shown)}{shown}"
        )
        for why in [why for row in rows for why in row["whys"]]:
            reporter.write_line(f"    {why.partition(chr(10))[0]}")
        reporter.flush()

    def table(self) -> list[dict[str, Any]]:
        """Every row, and one for the controls; a row an ordinary run does not owe is left out."""
        made = [
            {**row, "test": name, "seconds": self.seconds[name], "state": self.states.get(name, "kept")}
            for (name, _id), row in self.rows.items()
            if row["ci"] or SOAK or row["n"]
        ]
        for row in made:
            if row["state"] == "FAILED" and not row["failures"]:
                row["failures"], row["n"] = 1, max(1, row["n"])  # it broke before it could count
        failed = [name for name, kept in self.controls.items() if not kept]
        if self.controls:
            made.append({
                "id": "Q", "tried": "each planted fault is found", "of": "controls", "ci": 1, "soak": 1, "test": "",
                "n": len(self.controls), "failures": len(failed), "whys": failed, "times_ms": {}, "totals": {},
                "seconds": sum(self.seconds[name] for name in self.controls), "state": "FAILED" if failed else "kept",
            })  # fmt: skip
        return made

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        made = self.table()
        if not self.rows or not made:
            return
        terminalreporter.section("claims" + (", soak" if SOAK else ""))
        terminalreporter.write_line(text(made))
        if path := self.config.getoption("--claims-log"):
            with Path(path).open("a", encoding="utf-8") as log:
                log.writelines(json.dumps(row) + "\n" for row in made)
