"""Goal: one make target per task, each explained, and none that runs something that is not there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TARGETS = (
    "bench",
    "clean",
    "coverage",
    "demo",
    "fuzz",
    "lint",
    "mutants",
    "setup",
    "soak",
    "test",
    "test-postgres",
    "types",
)

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="no make here")


def make(*words: str) -> str:
    """Return what make says it would do; nothing is run."""
    done = subprocess.run(["make", *words], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def test_help_explains_every_target() -> None:
    """`make` alone is help, and names each target of the Makefile once."""
    explained = re.findall(r"^make (\S+)  ", make("help"), flags=re.MULTILINE)

    assert tuple(sorted(explained)) == TARGETS
    assert make() == make("help")


@pytest.mark.parametrize("target", TARGETS, ids=lambda name: f"make-{name}")
def test_every_target_has_a_recipe(target: str) -> None:
    """A dry run ends well; `clean` takes nothing but caches and builds."""
    said = make("--dry-run", target, "ARGS=--help")

    if target == "clean":
        assert "rm -rf build dist" in said and ".venv" not in said.split("\n")[0]
    for module in re.findall(r"-m (\w+)", said):
        assert (ROOT / module).is_dir() or module in {"coverage", "pip", "pytest", "venv"}


def test_the_benchmarks_start() -> None:
    """`python -m benchmarks --help` works; a full run is `make bench`."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "--json" in done.stdout
