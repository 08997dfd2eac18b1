"""
`python -m benchmarks`: every budget beside its floor, from one run, as tables; `--write` puts them into docs/benchmarks.md.

Without `--only` it runs what takes less than twelve minutes together; `peers` and `history` are asked for by name.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Row
from riskguard.store import halt

USUAL = ("deciding", "storing", "tails", "many", "server", "stopping", "starting", "growing", "sweeping", "server")
ASKED_FOR = ("peers", "history")
DIRECTORY = Path(__file__).resolve().parents[1] / "build" / "bench"


def main() -> None:
    """Run what was asked for and report; a missed budget is reported, not an error."""
    given = arguments()
    directory: Path = given.dir.absolute()
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    os.environ.pop("RISKGUARD_DB", None)
    started, found = time.monotonic(), {}
    before = machine()
    for name in dict.fromkeys((*given.only, *(given.also or ()))):
        group = directory / name
        group.mkdir()
        # The halts of this host must neither stop the benchmark nor be touched by its kills, nor one group by another's.
        os.environ["RISKGUARD_HOME"] = str(group / "home")
        # A database that was made in another home and misses its directory in this one counts as halted.
        halt.prepare(group / "home")
        found[name] = group_of(name, given)(group)
        shutil.rmtree(group)
    shutil.rmtree(directory)
    took_s = time.monotonic() - started
    if given.json:
        rows = [{"group": name, **each.as_dict()} for name, rows in found.items() for each in rows]
        print(json.dumps({"machine": before, "took_s": round(took_s), "rows": rows}))
    else:
        show(found, before, took_s)
    if given.write:
        from benchmarks.page import write

        write(before, found, took_s)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").strip())
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    parser.add_argument(
        "--only", nargs="+", choices=(*USUAL, *ASKED_FOR), default=list(USUAL), help="only these groups"
    )
    parser.add_argument(
        "--also", nargs="+", choices=ASKED_FOR, help="these besides: they take longer, or install things"
    )
    parser.add_argument("--checks", type=int, default=50_000, help="how many checks the memory figures ask (50000)")
    parser.add_argument("--history", type=int, default=10_000_000, help="decisions stored for `history` (10000000)")
    parser.add_argument("--dir", type=Path, default=DIRECTORY, help="where databases are made: a real disk")
    return parser.parse_args()


def group_of(name: str, given: argparse.Namespace) -> Callable[[Path], list[Row]]:
    """Return what measures a group. Imported here: PostgreSQL's driver is wanted by one of them only."""
    rows: Callable[..., list[Row]] = import_module(f"benchmarks.{name}").rows
    if name == "growing":
        return partial(rows, checks=given.checks)
    return partial(rows, decisions=given.history) if name == "history" else rows


def machine() -> dict[str, object]:
    """What the figures are bound to."""
    return {
        "date": datetime.now(UTC).date().isoformat(), "CPython": platform.python_version(), "SQLite": sqlite3.sqlite_version,
        "system": platform.platform(terse=True), "cores": os.cpu_count(), "load": f"{os.getloadavg()[0]:.1f}",
    }  # fmt: skip


def show(found: dict[str, list[Row]], before: dict[str, object], took_s: float) -> None:
    """Print one table a group."""
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    for name, rows in found.items():
        table = Table(title=name, title_justify="left", show_edge=False)
        for column in ("figure", "measured", "budget", "", "beside", "why"):
            table.add_column(column, justify="right" if column in ("measured", "budget") else "left", overflow="fold")
        for row in rows:
            budget = "" if row.budget is None else f"{row.budget:g} {row.unit}".strip()
            table.add_row(
                row.name, row.said, budget, row.verdict, row.floor, row.why if row.verdict == "MISSED" else ""
            )
        console.print(table)
        print()
    if os.getloadavg()[0] > (os.cpu_count() or 1):
        print("the machine is busy: ratios hold, but figures in µs and ms are too high")
    print(", ".join(f"{key} {value}" for key, value in before.items()) + f"; took {took_s:.0f} s")


if __name__ == "__main__":
    main()
