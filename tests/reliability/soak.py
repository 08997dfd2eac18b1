"""
The long run before a release: every claim at its soak figure, and one table of them all.

    make soak                         everything, about an hour on two cores
    make soak ARGS="-k I3"            what claims I3
    make soak ARGS="--claim I1,I1b"   the same by exact names
    make soak ARGS="--part 0.01"      a rehearsal: a hundredth of each figure, and no less than an ordinary run's

Two tests at a time, the longest first, then those that measure time, each with the machine to itself. Each says a line when
it ends. The rows are kept in `build/soak.jsonl`; `python -m tests.reliability.page --soak` puts them into docs/reliability.md.
What comes in as bytes is fuzzed for a minute a target here; `make fuzz` takes twenty.

Exit status: 0 every claim stands; 1 one does not, a test failed, or nothing was tried.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.reliability.claims import INVARIANTS, merged, text

ROOT: Final = Path(__file__).parents[2]
LOG: Final = ROOT / "build" / "soak.jsonl"
TOGETHER: Final = ("-m", "not alone", "-n", "2", "--dist", "load", "--maxschedchunk", "1")
ALONE: Final = ("-m", "alone", "-p", "no:xdist")
NOTHING_COLLECTED: Final = 5
FUZZ_MINUTES: Final = "1"


def main(words: Sequence[str]) -> int:
    words = rehearsed(words)
    LOG.parent.mkdir(exist_ok=True)
    LOG.unlink(missing_ok=True)
    began = time.monotonic()
    statuses = [run([*TOGETHER, *words]), run([*ALONE, *words], on_disk=True)]
    rows = read(LOG)
    print(closing(rows, time.monotonic() - began, whole=not words))
    wrong = any(row["state"] == "FAILED" for row in rows) or not rows
    return int(wrong or any(status not in (0, NOTHING_COLLECTED) for status in statuses))


def rehearsed(words: Sequence[str]) -> list[str]:
    """Take `--part SHARE` out of *words*: the processes the soak starts are told by their environment."""
    left = list(words)
    if "--part" in left:
        at = left.index("--part")
        try:
            share = float(left[at + 1])
        except (IndexError, ValueError):
            share = 0.0
        if not 0 < share <= 1:
            raise SystemExit("`--part` takes a share of each figure: a number above 0 and up to 1")
        os.environ["RISKGUARD_SOAK_PART"] = str(share)
        del left[at : at + 2]
    return left


def run(words: Sequence[str], *, on_disk: bool = False) -> int:
    """Run pytest for what claims something, with soak figures; times are true only of files on a disk. Returns its status."""
    command = [sys.executable, "-m", "pytest", "--claims-only", f"--claims-log={LOG}", *words]
    more = {"PYTEST_DEBUG_TEMPROOT": tempfile.gettempdir()} if on_disk else {}
    environment = {"RISKGUARD_FUZZ_MINUTES": FUZZ_MINUTES, **os.environ, "RISKGUARD_SOAK": "1", **more}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def read(log: Path) -> list[dict[str, Any]]:
    """Return the rows of a log; none when there is no such file."""
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []


def closing(rows: Sequence[dict[str, Any]], seconds: float, *, whole: bool) -> str:
    """The table, why what failed did, and one line that says it all."""
    if not rows:
        return "nothing was tried: no test claims that"
    made = merged(rows)
    said = ["", text(rows), ""]
    said += [f"{row['id']} ({row['tried']}): {why}" for row in made for why in row["whys"]]
    if whole and (silent := [name for name in INVARIANTS if name not in {row["id"] for row in made}]):
        said.append(f"claimed by no test: {', '.join(silent)}")
    count = {state: sum(row["state"] == state for row in made) for state in ("kept", "not tried", "FAILED")}
    said.append(
        f"{count['kept']} claims stand, {count['FAILED']} failed, {count['not tried']} not tried, in {seconds / 60:.1f} minutes"
    )
    return "\n".join(said)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
