"""
Other processes, really: each is told what to do by a line of JSON and answers with one.

`python -m tests.reliability.actors ROLE URL` runs one; `Actor` starts it and talks to it. What a role does it does with
the package as any program would, on the machine's own clock.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SOAK = bool(os.environ.get("RISKGUARD_SOAK"))


def times(ci: int, soak: int) -> int:
    """Return how often: the figure of an ordinary run, or that of `make soak`."""
    return soak if SOAK else ci


class Actor:
    """One process."""

    def __init__(self, role: str, url: str, home: str | os.PathLike[str] | None = None, **options: Any) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "RISKGUARD_HOME": str(home or os.environ["RISKGUARD_HOME"]),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.actors", role, url, json.dumps(options)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=environment,
        )  # fmt: skip
        self._read = b""

    def tell(self, **what: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(what).encode() + b"\n")
        self.process.stdin.flush()

    def hear(self, wait_s_max: float = 60.0) -> dict[str, Any]:
        """Return the next line; fails the test when none comes."""
        assert self.process.stdout is not None
        end = time.monotonic() + wait_s_max
        while b"\n" not in self._read:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"no answer within {wait_s_max} s"
            chunk = os.read(self.process.stdout.fileno(), 1 << 16)
            assert chunk, f"the process ended with {self.process.wait()}"
            self._read += chunk
        line, _, self._read = self._read.partition(b"\n")
        said: dict[str, Any] = json.loads(line)
        return said

    def ask(self, **what: Any) -> dict[str, Any]:
        self.tell(**what)
        return self.hear()

    def stop(self) -> None:
        """SIGSTOP: it keeps every lock it holds."""
        self.process.send_signal(signal.SIGSTOP)

    def close(self) -> None:
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextlib.contextmanager
def acting(count: int, role: str, url: str, **options: Any) -> Iterator[list[Actor]]:
    """Start *count* processes of one role, wait until each is ready, and end them with the block."""
    actors = [Actor(role, url, number=number, **options) for number in range(count)]
    try:
        for actor in actors:
            assert actor.hear() == {"ready": True}
        yield actors
    finally:
        for actor in actors:
            actor.close()


# -- what they do ---------------------------------------------------------------------------------------------------


def say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def told() -> Iterator[dict[str, Any]]:
    for line in sys.stdin:
        yield json.loads(line)


def order(account: str = "leader", **changes: Any) -> Any:
    from riskguard.core.order import Order

    fields: dict[str, Any] = {
        "account": account, "exchange_segment": "NSE_EQ", "security_id": "1333", "side": "BUY", "product": "INTRADAY",
        "order_type": "LIMIT", "quantity": 1, "price": "100",
    }  # fmt: skip
    return Order(**{**fields, **changes})


def opened(url: str, options: dict[str, Any]) -> Any:
    from riskguard.services.wiring import open_guard

    clock = None
    if "at_us" in options:
        from tests.services.desk import Clock

        clock = Clock(options["at_us"])
    return open_guard(url, sweep=False, deadline_ms=options.get("deadline_ms", 5_000), clock=clock)


def asker(url: str, options: dict[str, Any]) -> None:
    """Check what it is told to check."""
    guard = opened(url, options)
    say(ready=True)
    for what in told():
        decision = guard.check(order(**what))
        say(
            approved=decision.approved, recorded=decision.recorded,
            codes=[each.code.value for each in decision.rejects], id=decision.client_order_id,
        )  # fmt: skip


def locker(url: str, options: dict[str, Any]) -> None:
    """Take the write lock and keep it."""
    import sqlite3

    connection = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=10, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    say(ready=True)
    for _ in told():
        pass


ROLES: dict[str, Callable[[str, dict[str, Any]], None]] = {"asker": asker, "locker": locker}


def main() -> None:
    role, url, options = sys.argv[1:4]
    ROLES[role](url, json.loads(options))


if __name__ == "__main__":
    main()
