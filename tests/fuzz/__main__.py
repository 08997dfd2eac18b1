"""
Fuzz what comes in as bytes: `make fuzz`, or `python -m tests.fuzz [TARGET …] --minutes 20`.

With atheris by coverage, without it by mutation. Inputs that broke something are kept under `--into` and tried again with
`--replay FILE`. Exit status: 0 nothing broke; 1 something did.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz.running import Found, fuzzed
from tests.fuzz.targets import TARGETS, opened
from tests.reliability.actors import ROOT


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz what comes in as bytes.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; none: all")
    parser.add_argument("--minutes", type=float, default=20, help="for each target")
    parser.add_argument("--into", type=Path, default=ROOT / "build" / "fuzz", help="where corpora and crashes lie")
    parser.add_argument("--replay", type=Path, help="put this one input to the target")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.targets if name not in TARGETS]
    if unknown:
        parser.error(f"no target `{unknown[0]}`: there are {', '.join(TARGETS)}")
    if given.replay is not None and len(given.targets) != 1:
        parser.error("`--replay` wants one TARGET")
    if given.replay is not None:
        with opened(given.targets[0]) as target:
            target(given.replay.read_bytes())
        print("nothing broke")
        return 0
    for name in given.targets or TARGETS:
        try:
            print(fuzzed(name, given.minutes * 60, given.into / name), flush=True)
        except Found as e:
            print(f"{name}: {e}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
