"""The page of failures tells the truth about its tests: each file it names exists, and no fault test is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "failures.md"
COLUMNS = 5


def rows(text: str) -> list[list[str]]:
    """Return the cells of every row of the page's tables, the two lines of each head left out."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith(("| fault |", "|---"))]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def named(text: str) -> set[str]:
    return set(re.findall(r"`(tests/[\w./]+)`", text))


def missing(text: str, root: Path) -> list[str]:
    """Return the places the page names that are not there."""
    return sorted(name for name in named(text) if not (root / name).exists())


def left_out(text: str, root: Path) -> list[str]:
    """Return the fault tests, of either database, the page does not name; their folder alone is not enough."""
    tiers = ("tests/faults", "tests/postgres")
    found = [str(path.relative_to(root)) for tier in tiers for path in (root / tier).glob("test_*.py")]
    return sorted(set(found) - named(text))


def test_every_test_it_names_exists() -> None:
    """A test that was renamed takes its row with it."""
    assert missing(PAGE.read_text(), ROOT) == []


def test_every_fault_test_is_named() -> None:
    """Whoever adds a file to `tests/faults/` says there what a user sees of it."""
    assert left_out(PAGE.read_text(), ROOT) == []


@pytest.mark.parametrize("row", rows(PAGE.read_text()), ids=lambda row: row[0][:40])
def test_every_row_says_all_of_it(row: list[str]) -> None:
    """What the fault is, what a check answers, what a kill does, what the operator sees, and which test shows it."""
    assert len(row) == COLUMNS and all(row)
    assert named(row[-1]), row


def test_the_control_a_name_that_is_wrong_is_found(tmp_path: Path) -> None:
    """A page with a misspelt file, and a fault test nobody named."""
    (tmp_path / "tests" / "faults").mkdir(parents=True)
    (tmp_path / "tests" / "faults" / "test_new.py").touch()

    assert missing("`tests/faults/test_old.py`", tmp_path) == ["tests/faults/test_old.py"]
    assert left_out("`tests/faults/test_old.py`", tmp_path) == ["tests/faults/test_new.py"]
