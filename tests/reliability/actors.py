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

from tests.reliability.claims import SOAK, times

__all__ = ["ROOT", "SOAK", "Actor", "acting", "times"]

ROOT = Path(__file__).parents[2]


class Actor:
    """One process. `MODULE` is run in it; another one brings roles of its own."""

    MODULE = "tests.reliability.actors"

    def __init__(self, role: str, url: str, home: str | os.PathLike[str] | None = None, **options: Any) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "RISKGUARD_HOME": str(home or os.environ["RISKGUARD_HOME"]),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", self.MODULE, role, url, json.dumps(options)],
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


def checker(url: str, options: dict[str, Any]) -> None:
    """
    Spin on an account until it is refused there, and twenty checks more, or `more`.

    Says once that an order was approved, and in the end when the last approved check began.
    """
    from riskguard.errors import PermitError

    guard, number = opened(url, options), 0
    say(ready=True)
    for what in told():
        account, approved, last_began, after = what["account"], 0, 0, 0
        codes: set[str] = set()
        more = what.get("more", 20)
        while more:
            number += 1
            began = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
            decision = guard.check(order(account, client_order_id=f"p{options['number']}-{number}"))
            if decision.approved:
                after += bool(codes)
                approved, last_began = approved + 1, began
                if approved == 1:
                    say(spinning=True)
                with contextlib.suppress(PermitError):  # a kill was first: the permit is void
                    decision.permit.release()
            else:
                codes.update(each.code.value for each in decision.rejects)
            more -= bool(codes)
            if what.get("checks_max") and number >= what["checks_max"]:
                break
        say(approved=approved, last_began=last_began, after=after, codes=sorted(codes))


def writer(url: str, options: dict[str, Any]) -> None:
    """
    Commit in a tight loop until told to stop, through nothing but SQLite, standing back for a gate as all writers do.

    Each transaction takes 10 ms and the next begins at once: the lock is held nearly all the time. With `idle` it is
    held asleep.
    """
    import threading

    from riskguard.home import state_directories
    from riskguard.store.engines import sqlite as lite

    path = Path(url.removeprefix("sqlite:///"))
    connection = lite.connect(path, durable=False)
    directory = state_directories(url)[0]
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    say(ready=True)
    while not stop.is_set():
        try:
            lite.begin(connection, directory, 5.0)
        except Exception:
            continue
        until = time.monotonic() + 0.01
        while time.monotonic() < until:
            connection.execute("UPDATE account_heads SET version = version + 1 WHERE account = 'leader'")
            if options.get("idle"):
                time.sleep(0.01)  # as busy a lock, and a processor for others
        connection.execute("COMMIT")


def trader(url: str, options: dict[str, Any]) -> None:
    """Place so many orders of one unit at the paper broker, as fast as it goes; says how many were approved."""
    from riskguard.brokers.paper import PaperBroker
    from riskguard.clock import SystemClock
    from riskguard.services.wiring import paper_path

    if options.get("without") == "BEGIN IMMEDIATE":
        from riskguard.store.engines import sqlite as lite

        # The control: every statement by itself, as a program does that checks and then inserts.
        lite.begin = lambda connection, gate_directory, wait_s_max: False
    guard = opened(url, options)
    broker = PaperBroker.open(paper_path(guard.store.path), "leader", clock=SystemClock())
    number = 0
    say(ready=True)
    for what in told():
        placed, codes = 0, {}
        for _ in range(what["orders"]):
            number += 1
            asked = order(client_order_id=f"t{options['number']}-{number}")
            decision = None
            for _ in range(50):
                with contextlib.suppress(Exception):
                    decision = guard.place(asked, broker.place)
                if decision is not None and not any(each.code.value == "STORE_BUSY" for each in decision.rejects):
                    break
                if options.get("without"):
                    break
            if decision is not None and decision.approved:
                placed += 1
            elif decision is not None:
                code = decision.rejects[0].code.value
                codes[code] = codes.get(code, 0) + 1
        say(placed=placed, codes=codes)


def forker(url: str, options: dict[str, Any]) -> None:
    """
    Fork warm children that check and send, kill each at a random moment, and say what they acknowledged.

    A child writes a line to its pipe after `check()` returned, and inside `sending()`: at the wire. With `early` it
    acknowledges before it asks, which is the control.
    """
    import gc
    import random

    warm = opened(url, options)
    for asked in (order(client_order_id="warm", quantity=10**6), order(client_order_id="warm2")):
        warm.check(asked)  # statements are compiled once, here
    warm.store.close()
    gc.collect()
    gc.freeze()  # a child that only reads shares the parent's pages
    chance = random.Random(options.get("seed", 1))
    say(ready=True)
    for what in told():
        for number in range(what["kills"]):
            read, write = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(read)
                _work_until_killed(warm, write, f"{what['name']}{number}", early=what.get("early", False))
            os.close(write)
            with os.fdopen(read, "rb") as pipe:
                said = pipe.readline()  # it has begun
                time.sleep(chance.uniform(0.002, 0.022))
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                said += pipe.read()
            say(acknowledged=[line.decode() for line in said.split(b"\n")[:-1]])
    warm.store.close()


def _work_until_killed(guard: Any, pipe: int, name: str, *, early: bool) -> None:
    number = 0
    try:
        while True:
            number += 1
            client_id = f"{name}-{number}"
            asked = order(client_order_id=client_id, quantity=10**6 if number % 2 else 1, strategy=f"s{number}")
            if early and number % 2:
                os.write(pipe, b"refused " + client_id.encode() + b"\n")
            decision = guard.check(asked)
            if not decision.approved:
                if not early and decision.recorded:
                    os.write(pipe, b"refused " + client_id.encode() + b"\n")
                continue
            with decision.permit.sending() as wire:
                os.write(pipe, b"sent " + client_id.encode() + b"\n")
                wire.order_id = f"B-{client_id}"
    finally:
        os._exit(3)


ROLES: dict[str, Callable[[str, dict[str, Any]], None]] = {
    each.__name__: each for each in (asker, locker, checker, writer, trader, forker)
}


def main() -> None:
    role, url, options = sys.argv[1:4]
    ROLES[role](url, json.loads(options))


if __name__ == "__main__":
    main()
