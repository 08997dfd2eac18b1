"""Goal: a claim is printed with what was shown of it, and one that was not kept fails its test, its table and its run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.core.tables import Row, table
from tests.reliability import page, soak
from tests.reliability.claims import INVARIANTS, Claim, Shown, bound, merged, percentile, text

ROOT = Path(__file__).parents[2]

BOUNDS = table("""
    n        failures  rate
    100      0         0.029957
    10000    0         0.000300
    100      1         0.047439
    100      3         0.077537
    1        1         1.0
    0        0         1.0
""")


@pytest.mark.parametrize("row", BOUNDS, ids=str)
def test_the_bound_is_three_over_n_when_nothing_failed(row: Row) -> None:
    """Poisson at 95 %: 2.9957, 4.7439 and 7.7537 for none, one and three; never above certainty."""
    assert bound(int(row.n), int(row.failures)) == pytest.approx(float(row.rate), abs=1e-6)


def test_a_percentile_is_a_time_that_was_measured() -> None:
    """Nearest rank, on both sides of a hundred values."""
    hundred = [float(n) for n in range(100, 0, -1)]

    assert [percentile(hundred, name) for name in ("p50", "p99", "max")] == [50, 99, 100]
    assert [percentile([*hundred, 101.0], name) for name in ("p50", "p99", "max")] == [51, 100, 101]
    assert percentile([7.0], "p50") == percentile([7.0], "p99") == 7


WRONG = table("""
    trials  failed  ms    says
    10      0       5     -
    9       0       5     9_kills_were_tried
    10      1       5     1_of_11_kills_failed
    10      0       5.01  p99_of_1_is_5.010_ms
    10      0       -     nothing_was_measured
""")


@pytest.mark.parametrize("row", WRONG, ids=str)
def test_a_claim_stands_with_enough_trials_none_failed_and_no_time_above_its_bound(row: Row) -> None:
    """On the figure and on the bound it stands."""
    shown = Shown(Claim("I1b", "a kill", of="kills", ci=10, soak=10, bounds_ms={"p99": 5}))
    shown.trials(int(row.trials))
    shown.trials(int(row.failed), ["late"] * int(row.failed))
    shown.measured_ms(*([] if row.opt("ms") is None else [float(row.ms)]))

    said = "\n".join(shown.wrong())
    assert (row.opt("says") or "").replace("_", " ") in said and bool(said) is (row.opt("says") is not None)


def test_an_attempt_that_raises_is_a_failure_and_the_next_goes_on() -> None:
    """Both are counted; what ends the run is not swallowed."""
    shown = Shown(Claim("I3", "a refusal", ci=2, soak=2))
    for wrong in (True, False):
        with shown.attempt():
            assert not wrong, "lost"
    with pytest.raises(KeyboardInterrupt), shown.attempt():
        raise KeyboardInterrupt

    assert (shown.n, shown.failures) == (2, 1) and "AssertionError: lost" in shown.whys[0]


@pytest.mark.parametrize(
    "how",
    [{"id": "I99"}, {"id": "I1", "soak": 0}, {"id": "I1", "ci": 5, "soak": 4}, {"id": "I1", "bounds_ms": {"p9": 1}}],
)
def test_a_claim_that_cannot_be_is_refused(how: dict[str, object]) -> None:
    """An unknown invariant, a soak that is less than an ordinary run, a bound of nothing."""
    with pytest.raises(ValueError):
        Claim(**{"tried": "something", **how})  # type: ignore[arg-type]


def test_rows_of_one_claim_are_added_up_and_the_worst_time_stands() -> None:
    """Shards make one row; a part that failed fails it."""
    rows = []
    for ms, state in ((1.0, "kept"), (3.0, "FAILED"), (2.0, "kept")):
        shown = Shown(Claim("I1a", "shards", ci=5, soak=50))
        shown.trials(5, ["late"] if state == "FAILED" else [])
        shown.measured_ms(ms)
        shown.counted(checks=1_000)
        rows.append({**shown.row(), "seconds": 2.0, "state": state})
    (row,) = merged(rows)

    assert (row["n"], row["failures"], row["seconds"], row["state"]) == (15, 1, 6.0, "FAILED")
    assert row["times_ms"]["max"] == 3 and "shards (3,000 checks)" in text(rows) and "15 / 150" in text(rows)


# -- the plugin, in a pytest of its own -------------------------------------------------------------------------------

KEPT = """
import pytest

@pytest.mark.claim("I1", "a kill", of="kills", ci=3, soak=30)
@pytest.mark.parametrize("shard", [1, 2])
def test_kept(claim, shard):
    for _ in range(claim("I1").figure):
        claim("I1").trial()

@pytest.mark.claim("I3", "for long", ci=0, soak=9)
def test_long(claim):
    claim("I3").trials(9)

@pytest.mark.claim("I2", "two at once")
@pytest.mark.claim("I7", "two at once")
def test_two(claim):
    claim("I2").trial()
    claim("I7").trial()

def test_the_control_something():
    pass

def test_without_its_protection():
    '''Negative control: it fails.'''

def test_beside():
    pass
"""

BROKEN = {
    "a failure": 'claim("I1").trials(3, ["late by 5 ns"])',
    "too few": 'claim("I1").trials(2)',
    "nothing": "pass",
    "an exception": "raise ZeroDivisionError",
}
FAILING = """
import pytest

@pytest.mark.claim("I1", "a kill", of="kills", ci=3, soak=30)
def test_broken(claim):
    {body}
"""


def run(directory: Path, text: str, *words: str, soak: bool = False) -> tuple[int, str, list[dict[str, object]]]:
    """Run pytest on one file with the plugin; returns its status, its words and the rows of its log."""
    (directory / "test_it.py").write_text(text)
    log = directory / "rows.jsonl"
    log.unlink(missing_ok=True)
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)} | ({"RISKGUARD_SOAK": "1"} if soak else {})
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.reliability.claiming", "-p", "no:cacheprovider", "--rootdir", str(directory),
         "--claims-log", str(log), *words, str(directory / "test_it.py")],
        cwd=directory, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr, soak_rows(log)


def soak_rows(log: Path) -> list[dict[str, object]]:
    return soak.read(log)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "two workers"])
def test_what_every_worker_showed_comes_into_one_table(tmp_path: Path, workers: tuple[str, ...]) -> None:
    """The ordinary figures; what is for the soak alone is left out, the controls are counted."""
    status, said, rows = run(tmp_path, KEPT, *workers)

    assert status == 0, said
    assert sorted((row["id"], row["n"], row["state"]) for row in rows) == [
        ("I1", 3, "kept"), ("I1", 3, "kept"), ("I2", 1, "kept"), ("I7", 1, "kept"), ("Q", 2, "kept"),
    ]  # fmt: skip
    assert "I1     a kill" in said and "6 kills" in said and "6 / 60" in said


def test_a_soak_runs_what_claims_something_and_its_controls(tmp_path: Path) -> None:
    """At the soak's figures; `--claim` takes some by name, `-k` by name too."""
    status, said, rows = run(tmp_path, KEPT, "--claims-only", soak=True)
    named = {each: run(tmp_path, KEPT, *each.split(), soak=True)[2] for each in ("--claim I7", "-k I3")}

    assert status == 0 and "1 deselected" in said
    assert sorted((row["id"], row["n"]) for row in rows) == [
        ("I1", 30),
        ("I1", 30),
        ("I2", 1),
        ("I3", 9),
        ("I7", 1),
        ("Q", 2),
    ]
    assert [row["id"] for row in named["--claim I7"]] == ["I2", "I7", "Q"]
    assert [row["id"] for row in named["-k I3"]] == ["I3"]


@pytest.mark.parametrize("broken", BROKEN)
def test_the_control_a_claim_that_is_not_kept_fails_the_run(tmp_path: Path, broken: str) -> None:
    """A failure, too few trials, none at all, an exception before anything was counted."""
    status, said, rows = run(tmp_path, FAILING.format(body=BROKEN[broken]))

    assert status == 1, said
    (row,) = rows
    assert row["state"] == "FAILED" and (broken == "too few" or row["failures"]), row
    assert ("late by 5 ns" in said) is (broken == "a failure")


# -- the long run and its page ----------------------------------------------------------------------------------------


def test_the_soak_says_what_failed_and_ends_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs of pytest, one log, one table; a failed row or run, or no row at all, is status 1."""
    log = tmp_path / "build" / "soak.jsonl"
    monkeypatch.setattr(soak, "LOG", log)
    row = {
        "id": "I3", "tried": "kills", "of": "kills", "ci": 5, "soak": 10, "n": 10, "failures": 0, "whys": [], "times_ms": {},
        "totals": {}, "seconds": 60.0, "state": "kept",
    }  # fmt: skip
    for rows, statuses, expected in (
        ([row], (0, 5), 0), ([row], (0, 1), 1), ([], (5, 5), 1), ([row, {**row, "state": "FAILED", "failures": 1}], (0, 0), 1),
    ):  # fmt: skip
        left = list(statuses)

        def runs(
            words: list[str], on_disk: bool = False, left: list[int] = left, rows: list[dict[str, object]] = rows
        ) -> int:
            log.write_text("".join(json.dumps(each) + "\n" for each in rows))
            return left.pop(0)

        monkeypatch.setattr(soak, "run", runs)
        assert soak.main([]) == expected, (rows, statuses)
    assert "claimed by no test: I1, " in soak.closing([row], 90.0, whole=True)
    assert "1 claims stand, 0 failed, 0 not tried, in 1.5 minutes" in soak.closing([row], 90.0, whole=False)


def test_the_page_says_what_the_tests_claim() -> None:
    """docs/reliability.md is as `python -m tests.reliability.page` makes it, and has every invariant."""
    now = page.PAGE.read_text(encoding="utf-8")

    assert now == page.made(now, soak=False), "run `python -m tests.reliability.page`"
    assert all(f"| {name} |" in now for name in INVARIANTS)


def test_a_claim_that_is_no_literal_is_refused(tmp_path: Path) -> None:
    """The page reads markers and runs nothing."""
    path = tmp_path / "test_it.py"
    path.write_text('import pytest\n\n@pytest.mark.claim("I1", "x", ci=DAYS)\ndef test_it(): pass\n')

    with pytest.raises(ValueError, match="as literals"):
        list(page.claims_in(path))
