"""`python -m benchmarks [--json] [--checks N] [--only NAME …]`: one table, every budget beside its floor."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sqlite3
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import deciding, growing, peers, starting, storing, sweeping
from benchmarks.measure import Row

GROUPS = {
    "deciding": deciding.rows, "peers": peers.rows, "storing": storing.rows, "starting": starting.rows,
    "growing": growing.rows, "sweeping": sweeping.rows,
}  # fmt: skip
DIRECTORY = Path(__file__).resolve().parents[1] / "build" / "bench"


def main() -> None:
    """Run what was asked for and report; a missed budget is reported, not an error."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--checks", type=int, default=200_000, help="how many checks the memory figures ask (200000)")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS), help="only these groups")
    parser.add_argument("--dir", type=Path, default=DIRECTORY, help="where databases are made: a real disk")
    given = parser.parse_args()
    directory: Path = given.dir.absolute()
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    # The halts of this host must neither stop the benchmark nor be touched by its kills.
    os.environ["RISKGUARD_HOME"] = str(directory / "home")
    os.environ.pop("RISKGUARD_DB", None)
    found: list[Row] = []
    started = time.monotonic()
    for name in given.only:
        group = directory / name
        group.mkdir()
        if name == "growing":
            found += growing.rows(group, given.checks)
        else:
            found += GROUPS[name](group)
        shutil.rmtree(group)
    shutil.rmtree(directory)
    took_s = time.monotonic() - started
    if given.json:
        print(json.dumps({"machine": machine(), "took_s": round(took_s), "rows": [each.as_dict() for each in found]}))
    else:
        show(found, took_s)


def machine() -> dict[str, object]:
    """What the figures are bound to."""
    return {
        "python": platform.python_version(), "sqlite": sqlite3.sqlite_version, "system": platform.platform(terse=True),
        "cpus": os.cpu_count(), "load": os.getloadavg()[0],
    }  # fmt: skip


def show(found: list[Row], took_s: float) -> None:
    """Print one table."""
    table = Table(title="budgets of riskguard", title_justify="left", show_edge=False)
    for column, justify in (("figure", "left"), ("measured", "right"), ("budget", "right"), ("", "left"),
                            ("beside", "left"), ("why", "left")):  # fmt: skip
        table.add_column(column, justify="right" if justify == "right" else "left", overflow="fold")
    for row in found:
        budget = "" if row.budget is None else f"{row.budget:g} {row.unit}".strip()
        measured = f"{row.measured:.2f} {row.unit}".strip() if row.measured < 100 else f"{row.measured:.0f} {row.unit}"
        why = row.why if row.verdict == "MISSED" else ""
        table.add_row(row.name, measured, budget, row.verdict, row.floor, why)
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)
    if os.getloadavg()[0] > (os.cpu_count() or 1):
        print("\nthe machine is busy: ratios hold, but figures in µs and ms are too high")
    print("\n" + ", ".join(f"{key} {value}" for key, value in machine().items()) + f"; took {took_s:.0f} s")


if __name__ == "__main__":
    main()
