"""
Goal: `make mutants` can fail. A small project of two functions, really mutated: well tested it passes, badly tested it does not.

The groups of the project itself take the better part of an hour and are no part of an ordinary run.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.mutants import __main__ as command
from tests.mutants.plan import GROUPS, LEAST_PCT, Group
from tests.mutants.running import Mutant, NotMeasured, measure
from tests.mutants.scoring import Excuse, excuses, score, together
from tests.reliability.actors import ROOT

CODE = """
def room(limit, held):
    return limit - held if held < limit else 0
"""
WELL = """
from sample.limits import room

def test_room():
    assert room(10, 9) == 1 and room(10, 10) == 0 and room(10, 11) == 0 and room(10, 0) == 10
"""
BADLY = """
from sample.limits import room

def test_room():
    assert room(10, 10) == 0
"""
SAMPLE = Group(("sample/limits.py",), ("tests/test_limits.py",))


def project(directory: Path, test: str) -> Path:
    """Write the small project; it has no part of riskguard in it."""
    for name, text in {
        "riskguard/sample.txt": "", "tests/test_limits.py": test, "pyproject.toml": "[project]\nname = 'sample'\nversion = '1'\n",
        "sample/__init__.py": "", "sample/limits.py": CODE,
    }.items():  # fmt: skip
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return directory


@pytest.fixture
def sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "GROUPS", {"sample": SAMPLE})
    monkeypatch.setattr("tests.mutants.running.COPIED", ("sample", "tests", "pyproject.toml"))


@pytest.mark.parametrize(
    ("test", "status"), [pytest.param(WELL, 0, marks=pytest.mark.soak), (BADLY, 1)], ids=["well tested", "badly tested"]
)
def test_the_command_passes_and_fails(
    tmp_path: Path,
    sampled: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    test: str,
    status: int,
) -> None:
    """Exit 0 where the mutants are killed, 1 where they live; what lives is named with its lines; the rest is kept."""
    monkeypatch.setattr(command, "ROOT", project(tmp_path / "project", test))
    into = tmp_path / "into"
    honest = command.kept

    def of_the_sample(name: str, group: Group, where: Path, **how: object) -> list[Mutant]:
        return honest(name, group, where, root=tmp_path / "project", **how)  # type: ignore[arg-type]

    monkeypatch.setattr(command, "kept", of_the_sample)

    # `<` for `<=` is no defect here: on the edge both arms are 0.
    assert command.main(["--into", str(into), "--least", "80", "--living"]) == status

    said = capsys.readouterr().out
    assert ("below 80 %: sample" in said) is bool(status)
    assert "sample/limits.py" in said and ("- return limit - held" in said or not status)
    first = (into / "sample.json").stat().st_mtime_ns
    assert command.main(["--into", str(into), "--least", "80"]) == status
    assert (into / "sample.json").stat().st_mtime_ns == first, "nothing changed, and it was run again"


@pytest.mark.soak
def test_tests_that_fail_by_themselves_measure_nothing(tmp_path: Path, sampled: None) -> None:
    """A suite that fails without a mutant would kill them all: it is an error, not a score."""
    with pytest.raises(NotMeasured, match="measured nothing"):
        measure(project(tmp_path / "project", "def test_room():\n    assert False\n"), SAMPLE, tmp_path / "into")


def test_what_was_measured_is_not_measured_again(
    tmp_path: Path, sampled: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other side without a run: with every mutant killed the command passes; with changed tests it measures anew."""
    root = project(tmp_path / "project", WELL)
    kept = {"digest": command.digest_of(root, SAMPLE), "mutants": [vars(mutant("killed", file="sample/limits.py"))]}
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "sample.json").write_text(json.dumps(kept), encoding="utf-8")
    honest = command.kept
    monkeypatch.setattr(command, "kept", lambda *given, **how: honest(*given, root=root, **how))

    assert command.main(["--into", str(tmp_path / "into")]) == 0
    assert "100.0 %" in capsys.readouterr().out
    (root / "tests" / "test_limits.py").write_text(BADLY, encoding="utf-8")
    assert command.digest_of(root, SAMPLE) != kept["digest"]


def mutant(came: str, was: str = "a < b", becomes: str = "a <= b", file: str = "one.py") -> Mutant:
    return Mutant(file, f"{file}:{was}", came, was, becomes)


def test_a_score_is_what_was_killed_of_what_counts() -> None:
    """A time-out is a kill, one that no test runs is none, an equivalent one does not count."""
    import re

    anything = re.compile(".*")
    excuse = Excuse(anything, re.compile("sign"), anything, "a side is never 0")
    found = [mutant("killed"), mutant("timeout"), mutant("survived"), mutant("not run"), mutant("survived", "sign < 0")]

    (got,) = score(found, [excuse])
    assert (got.killed, got.counted, got.excused, got.pct) == (2, 4, 1, 50.0)
    assert [each.came for each in got.living] == ["survived", "not run"]
    assert together(score([*found, mutant("killed", file="two.py")], [excuse])).pct == 60.0
    assert together([]).pct == 100.0


def test_every_excuse_has_a_reason_and_a_place() -> None:
    """An excuse names a file that exists, or none; what it excuses has both lines."""
    for each in excuses():
        assert len(each.why) > 15
        names = [str(path.relative_to(ROOT)) for path in (ROOT / "riskguard" / "core").rglob("*.py")]
        assert any(each.file.fullmatch(name) for name in names), each


def test_an_excuse_without_a_reason_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "equivalent.toml"
    path.write_text('[[equivalent]]\nwas = "a"\nbecomes = "b"\n', encoding="utf-8")
    with pytest.raises(ValueError, match="why"):
        excuses(path)


def test_the_plan_names_what_exists() -> None:
    """Each group's files and tests are there."""
    for group in GROUPS.values():
        for pattern in group.files:
            assert list(ROOT.glob(pattern)), pattern
        assert all((ROOT / each).exists() for each in group.tests), group.tests
    assert LEAST_PCT == 95 and json.dumps(sorted(GROUPS))


def outside(groups: Mapping[str, Group]) -> list[str]:
    """Return the files of core/ with a function in them that no group mutates."""
    planned = {path for group in groups.values() for pattern in group.files for path in ROOT.glob(pattern)}
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        str(path.relative_to(ROOT / "riskguard" / "core"))
        for path in sorted((ROOT / "riskguard" / "core").rglob("*.py"))
        if path not in planned
        and any(isinstance(each, functions) for each in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    ]


def test_no_file_of_core_stands_outside_the_groups() -> None:
    """A new file there wants a group; without one of the groups, its files would stand outside and be named."""
    assert outside(GROUPS) == []
    assert outside({name: group for name, group in GROUPS.items() if name != "told"}) == [
        "news.py",
        "seen.py",
        "usage.py",
    ]
    assert "checks/price_band.py" in outside({name: group for name, group in GROUPS.items() if name != "checks-grid"})
