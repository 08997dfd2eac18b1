"""
One run over one group, in a copy of the tree, and what came of each mutant.

The mutants are written into the files they are mutants of; that does not belong into a checkout that people work in. So every run
has a copy to itself, and a process (`hunting.py`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.mutants.plan import Group

COPIED: Final = ("riskguard", "tests", "rules", "schema", "pyproject.toml", "README.md")
HUNTING: Final = Path(__file__).with_name("hunting.py")
SETTINGS: Final = """

[tool.mutmut]
source_paths = {sources}
"""


class NotMeasured(Exception):
    """It did not get as far as the mutants: the tests fail without any, or there are none."""


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
    files = sorted({str(path.relative_to(directory)) for pattern in group.files for path in directory.glob(pattern)})
    sources = sorted({file.partition("/")[0] for file in files})
    with (directory / "pyproject.toml").open("a", encoding="utf-8") as settings:
        settings.write(SETTINGS.format(sources=json.dumps(sources)))
    asked = directory / "asked.json"
    asked.write_text(json.dumps({"files": files, "tests": group.tests, "children": children}), encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": str(directory),  # the copy, not what is installed
        "PYTHONHASHSEED": "0",
        "RISKGUARD_HOME": str(directory / "home"),
    }
    with (directory / "hunt.log").open("w", encoding="utf-8") as log:
        done = subprocess.run(
            [sys.executable, "-P", str(HUNTING), str(asked)],
            cwd=directory, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    found = json.loads((directory / "found.json").read_text(encoding="utf-8")) if done.returncode == 0 else []
    if not found:
        said = (directory / "hunt.log").read_text(encoding="utf-8", errors="replace")[-2_000:]
        raise NotMeasured(f"it ended with {done.returncode} and measured nothing: {said}")
    return [Mutant(*each) for each in found]
