"""
Mutation testing of the modules that decide: `make mutants`, or `python -m tests.mutants GROUP …` for some of them.

Each group's mutants and scores are kept in `--into` (build/mutants) as JSON; a group whose code and tests have not changed
since is not run again. Exit status: 0 every group reached `--least`; 1 one did not; 2 mutmut could not measure.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from tests.mutants.plan import GROUPS, LEAST_PCT, Group
from tests.mutants.running import Mutant, NotMeasured, measure
from tests.mutants.scoring import EQUIVALENT, Score, excuses, score, together

ROOT = Path(__file__).parents[2]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description="Mutate the modules that decide.")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}; none: all")
    parser.add_argument("--least", type=float, default=LEAST_PCT, help="per cent to be killed in each group")
    parser.add_argument("--children", type=int, default=1, help="processes at a time")
    parser.add_argument("--into", type=Path, default=ROOT / "build" / "mutants", help="where copies and results lie")
    parser.add_argument("--again", action="store_true", help="run groups that have not changed too")
    parser.add_argument("--living", action="store_true", help="show every mutant that lives")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.groups if name not in GROUPS]
    if unknown:
        parser.error(f"no group `{unknown[0]}`: there are {', '.join(GROUPS)}")
    below = []
    for name in given.groups or GROUPS:
        try:
            found = kept(name, GROUPS[name], given.into, children=given.children, again=given.again)
        except NotMeasured as e:
            print(f"{name}: {e}", file=sys.stderr)
            return 2
        if not reached(name, score(found, excuses(EQUIVALENT)), given.least, living=given.living):
            below.append(name)
    if below:
        print(f"below {given.least:g} %: {', '.join(below)}")
    return 1 if below else 0


def kept(
    name: str, group: Group, into: Path, *, children: int = 1, again: bool = False, root: Path = ROOT
) -> list[Mutant]:
    """Return the group's mutants: those of the last run where nothing has changed since."""
    path, digest = into / f"{name}.json", digest_of(root, group)
    if path.is_file() and not again:
        last = json.loads(path.read_text(encoding="utf-8"))
        if last["digest"] == digest:
            return [Mutant(**each) for each in last["mutants"]]
    found = measure(root, group, into / name, children=children)
    path.write_text(json.dumps({"digest": digest, "mutants": [asdict(each) for each in found]}), encoding="utf-8")
    return found


def digest_of(root: Path, group: Group) -> str:
    """Return a digest of what a group's score hangs on: its files, its tests and what they are given."""
    files = sorted({path for pattern in group.files for path in root.glob(pattern)})
    tests = sorted({path for each in group.tests for path in _files(root / each)})
    return hashlib.sha256(b"".join(path.read_bytes() for path in (*files, *tests))).hexdigest()


def _files(path: Path) -> Iterator[Path]:
    yield from (each for each in path.rglob("*") if each.suffix in (".py", ".txt")) if path.is_dir() else [path]


def reached(name: str, scores: list[Score], least_pct: float, *, living: bool = False) -> bool:
    """Print the scores of a group; say whether it reached *least_pct*."""
    whole = together(scores)
    for each in (*scores, whole):
        title = name if each is whole else f"  {each.file}"
        print(f"{title:52} {each.killed:5} of {each.counted:5} {each.pct:6.1f} %  {each.excused:4} equivalent")
        for gap in each.living if living and each is not whole else ():
            print(f"      {gap.name}\n        - {gap.was}\n        + {gap.becomes}")
    return whole.pct >= least_pct


if __name__ == "__main__":
    sys.exit(main())
