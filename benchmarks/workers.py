"""
Other processes: `python -m benchmarks.workers ROLE URL JSON` runs one, `working` starts some and talks to them by lines.

Each opens the database as any program would. Its clock stands at the moment of the stage and runs on from there.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.stage import START_US, order
from riskguard.core.reject import RejectCode
from riskguard.errors import DecisionUnknownError, PermitError, StoreError

ROOT = Path(__file__).resolve().parents[1]
DEADLINE_MS = 30_000
"""A flooded database is what is measured, not how soon a check gives up."""


class Worker:
    """One process; what it is told and what it says are lines of JSON."""

    def __init__(self, role: str, url: str, **options: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.workers", role, url, json.dumps(options)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=ROOT, env=dict(os.environ),
        )  # fmt: skip

    def tell(self, **what: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a process of the benchmark ended with {self._process.wait()}")
        said: dict[str, Any] = json.loads(line)
        return said

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def working(count: int, role: str, url: str, **options: Any) -> Iterator[list[Worker]]:
    """Start *count* processes of one role, wait until each is ready, and end them with the block."""
    workers = [Worker(role, url, number=number, **options) for number in range(count)]
    try:
        for worker in workers:
            assert worker.hear() == {"ready": True}
        yield workers
    finally:
        for worker in workers:
            worker.close()


def now_ns() -> int:
    """One clock for all processes of a machine."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


# -- what they do ---------------------------------------------------------------------------------------------


class RunningClock:
    """The moment of the stage, and what has passed since *from_ns* of the machine's clock, alike in every process."""

    def __init__(self, from_ns: int) -> None:
        self._from_ns = from_ns

    def now_us(self) -> int:
        return START_US + (now_ns() - self._from_ns) // 1_000

    def elapsed_us(self) -> int:
        return now_ns() // 1_000


def say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def told() -> Iterator[dict[str, Any]]:
    for line in sys.stdin:
        yield json.loads(line)


def asker(guard: Any, number: int) -> None:
    """Reserve and give back, one order after the other, as long as it is told to."""
    run = secrets.token_hex(4)  # ids are unique for ever, and the database has seen other runs
    for turn, what in enumerate(told()):
        until_ns, asked, late, account = now_ns() + int(what["seconds"] * 1e9), 0, 0, what["account"]
        while now_ns() < until_ns:
            asked += 1
            try:
                decision = guard.check(order(f"{run}-{turn}-{asked}", account=account, strategy=f"s{number}"))
                if decision.approved:
                    decision.permit.release()
                    continue
            except (DecisionUnknownError, StoreError):
                late += 1
                continue
            assert not decision.recorded, decision.explain()  # a limit said no: that is another benchmark
            late += 1
        say(asked=asked - late, late=late)


def spinner(guard: Any, number: int) -> None:
    """Ask without a pause until refused; say when the first check that was refused began, and the last approved one."""
    run = secrets.token_hex(4)
    for turn, what in enumerate(told()):
        say(spinning=True)
        asked, approved_ns = 0, 0
        while True:
            began_ns = now_ns()
            decision = guard.check(order(f"{run}-{turn}-{asked}", account=what["account"], strategy=f"s{number}"))
            asked += 1
            if decision.approved:
                approved_ns = began_ns
                with contextlib.suppress(PermitError, StoreError):  # the kill may have taken it already
                    decision.permit.release()
            elif any(each.code is RejectCode.TRADING_HALTED for each in decision.rejects):
                say(asked=asked, approved_began_ns=approved_ns, refused_began_ns=began_ns)
                break


def writer(guard: Any, number: int) -> None:
    """Make the database write without a pause: refusals none of which repeats another. It never stops by itself."""
    say(spinning=True)
    asked = 0
    while True:
        guard.check(order(f"w{number}-{asked}", 100, strategy=f"w{number}-{asked}"))
        asked += 1


ROLES: dict[str, Callable[[Any, int], None]] = {"asker": asker, "spinner": spinner, "writer": writer}


def main(role: str, url: str, options: str) -> None:
    from riskguard.services.wiring import open_guard

    given = json.loads(options)
    with open_guard(url, sweep=False, clock=RunningClock(given["from_ns"]), deadline_ms=DEADLINE_MS) as guard:
        say(ready=True)
        ROLES[role](guard, given["number"])


if __name__ == "__main__":
    main(*sys.argv[1:])
