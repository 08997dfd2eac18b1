"""
One run of mutmut over one group, in a copy of the tree, and what came of each mutant.

mutmut writes its mutants beside the files it mutates and reads its settings from `pyproject.toml`; neither belongs into a
checkout that people work in, and each group has settings of its own. So every run has a copy to itself.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.mutants.plan import Group

COPIED: Final = ("riskguard", "tests", "rules", "schema", "pyproject.toml", "README.md")
SETTINGS: Final = """

[tool.mutmut]
source_paths = {sources}
only_mutate = {files}
also_copy = ["rules", "schema", "README.md"]
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:xdist"]
pytest_add_cli_args_test_selection = {tests}
timeout_multiplier = 30.0
timeout_constant = 20.0
use_git_change_detection = false
track_dependencies = false
"""
KILLED: Final = {1: "killed", 3: "killed", 36: "timeout", 24: "timeout", -24: "timeout", 152: "timeout", 255: "timeout"}
SHOWS: Final = (
    "import json, sys; from mutmut.mutation.diff_apply import get_diff_for_mutant as diff; "
    "print(json.dumps({name: diff(name) for name in json.load(sys.stdin)}))"
)


class NotMeasured(Exception):
    """mutmut did not get as far as the mutants: its tests fail without any, or there are none."""


@dataclass(frozen=True)
class Mutant:
    """One mutant and what came of it: `killed`, `timeout` (which is killed), `survived`, `not run`."""

    file: str
    name: str
    came: str
    was: str = ""  # what was changed, where it lived on
    becomes: str = ""

    @property
    def lives(self) -> bool:
        return self.came not in ("killed", "timeout")


def measure(root: Path, group: Group, directory: Path, *, children: int = 1) -> list[Mutant]:
    """
    Mutate the *group*'s files of the tree at *root* in *directory* (emptied first) and run its tests on every mutant.

    Raises:
        NotMeasured: The tests fail without a mutant, or no mutant was made.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for name in COPIED:
        at = root / name
        if at.is_dir():
            shutil.copytree(at, directory / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        elif at.is_file():
            shutil.copy2(at, directory / name)
    sources = sorted({file.partition("/")[0] for file in group.files})
    with (directory / "pyproject.toml").open("a", encoding="utf-8") as settings:
        settings.write(
            SETTINGS.format(
                sources=json.dumps(sources), files=json.dumps(list(group.files)), tests=json.dumps(list(group.tests))
            )
        )
    environment = {**os.environ, "RISKGUARD_HOME": str(directory / "home"), "PYTHONHASHSEED": "0"}
    with (directory / "mutmut.log").open("w", encoding="utf-8") as log:
        done = subprocess.run(
            [sys.executable, "-m", "mutmut", "run", "--max-children", str(children)],
            cwd=directory, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    found = list(_found(directory))
    if not found or all(each.came == "not run" for each in found):
        said = (directory / "mutmut.log").read_text(encoding="utf-8", errors="replace")[-2_000:]
        raise NotMeasured(f"mutmut ended with {done.returncode} and measured nothing: {said}")
    return _shown(directory, found)


def _found(directory: Path) -> Iterator[Mutant]:
    mutated = directory / "mutants"
    for meta in sorted(mutated.rglob("*.py.meta")):
        file = str(meta.relative_to(mutated)).removesuffix(".meta")
        for name, code in json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"].items():
            yield Mutant(file, name, "not run" if code is None else KILLED.get(code, "survived"))


def _shown(directory: Path, found: list[Mutant]) -> list[Mutant]:
    """Say of each that lives which lines were changed to what."""
    living = [each.name for each in found if each.lives]
    if not living:
        return found
    done = subprocess.run(
        [sys.executable, "-c", SHOWS],
        cwd=directory,
        input=json.dumps(living),
        capture_output=True,
        text=True,
        check=True,
    )
    diffs = json.loads(done.stdout.splitlines()[-1])
    return [_with_diff(each, diffs.get(each.name, "")) for each in found]


def _with_diff(mutant: Mutant, diff: str) -> Mutant:
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++", "@@"))]
    was = " ".join(line[1:].strip() for line in lines if line.startswith("-"))
    becomes = " ".join(line[1:].strip() for line in lines if line.startswith("+"))
    return Mutant(mutant.file, mutant.name, mutant.came, was, becomes)
