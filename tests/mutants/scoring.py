"""What the mutants say: how many of each file were killed, and which of the living are no defects at all."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.running import Mutant

EQUIVALENT = Path(__file__).with_name("equivalent.toml")


@dataclass(frozen=True)
class Excuse:
    """Why a mutant that lives is no gap. `was` and `becomes` are the changed lines, or patterns of them."""

    file: re.Pattern[str]
    was: re.Pattern[str]
    becomes: re.Pattern[str]
    why: str

    def holds(self, mutant: Mutant) -> bool:
        return bool(
            self.file.fullmatch(mutant.file) and self.was.search(mutant.was) and self.becomes.search(mutant.becomes)
        )


@dataclass
class Score:
    """Of one file: `killed` of `counted`; `excused` are not counted, `living` are the gaps."""

    file: str
    killed: int
    counted: int
    excused: int
    living: list[Mutant]

    @property
    def pct(self) -> float:
        return 100.0 * self.killed / self.counted if self.counted else 100.0


def excuses(path: Path = EQUIVALENT) -> list[Excuse]:
    """Read the reasons. A plain `was` or `becomes` is a text the line holds; `was_like` and `becomes_like` are patterns."""
    found = []
    for each in tomllib.loads(path.read_text(encoding="utf-8")).get("equivalent", []):
        parts = [each.get(f"{name}_like") or re.escape(each.get(name, "")) for name in ("was", "becomes")]
        if not each.get("why") or not all(parts):
            raise ValueError(f"an equivalent mutant wants `was`, `becomes` and `why`: {each}")
        found.append(
            Excuse(re.compile(each.get("file", ".*")), re.compile(parts[0]), re.compile(parts[1]), each["why"])
        )
    return found


def score(mutants: Iterable[Mutant], excused: list[Excuse]) -> list[Score]:
    """Return the score of every file, in order of their names."""
    by_file: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        by_file.setdefault(mutant.file, []).append(mutant)
    made = []
    for file, mine in sorted(by_file.items()):
        living = [each for each in mine if each.lives]
        gaps = [each for each in living if not any(excuse.holds(each) for excuse in excused)]
        killed = len(mine) - len(living)
        made.append(Score(file, killed, killed + len(gaps), len(living) - len(gaps), gaps))
    return made


def together(scores: Iterable[Score]) -> Score:
    """Add them up."""
    total = Score("all", 0, 0, 0, [])
    for each in scores:
        total.killed += each.killed
        total.counted += each.counted
        total.excused += each.excused
        total.living += each.living
    return total
