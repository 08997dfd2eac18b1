"""
Other processes, forked from this warm one: what `tests.reliability.actors` does, without an interpreter's start for each.

A role is the same function, `role(url, options)`, that says and is told lines of JSON. A child opens connections of its own;
nothing of the parent's is used in it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from tests.reliability.actors import opened, order, say, told

Role = Callable[[str, dict[str, Any]], None]


class Member:
    """One process; `tell`, `hear`, `ask` and `stop` as an Actor has them."""

    def __init__(self, role: Role, url: str, home: str = "", **options: Any) -> None:
        mine, its = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            mine.close()
            _be(role, url, its, home, options)
        its.close()
        self._socket = mine
        self._read = b""

    def tell(self, **what: Any) -> None:
        self._socket.sendall(json.dumps(what).encode() + b"\n")

    def hear(self, wait_s_max: float = 120.0) -> dict[str, Any]:
        """Return the next line; fails the test when none comes, or when it says what broke."""
        end = time.monotonic() + wait_s_max
        while b"\n" not in self._read:
            ready, _, _ = select.select([self._socket], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"no answer within {wait_s_max} s"
            chunk = self._socket.recv(1 << 16)
            assert chunk, "the process ended"
            self._read += chunk
        line, _, self._read = self._read.partition(b"\n")
        said: dict[str, Any] = json.loads(line)
        assert "broke" not in said, said["broke"]
        return said

    def ask(self, **what: Any) -> dict[str, Any]:
        self.tell(**what)
        return self.hear()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def close(self) -> None:
        self._socket.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _be(role: Role, url: str, channel: socket.socket, home: str, options: dict[str, Any]) -> None:
    """Be the role to the end of this process."""
    try:
        for descriptor in (0, 1):
            os.dup2(channel.fileno(), descriptor)
        sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False))
        if home:
            os.environ["RISKGUARD_HOME"] = home
        role(url, options)
    except BaseException:
        with contextlib.suppress(BaseException):
            say(broke=traceback.format_exc())
    finally:
        os._exit(0)


@contextlib.contextmanager
def crew(count: int, role: Role, url: str, **options: Any) -> Iterator[list[Member]]:
    """So many processes of one role, each ready; ended with the block."""
    members = [Member(role, url, number=number, **options) for number in range(count)]
    try:
        for each in members:
            assert each.hear() == {"ready": True}
        yield members
    finally:
        for each in members:
            each.close()


# -- what they do ---------------------------------------------------------------------------------------------------------


def placer(url: str, options: dict[str, Any]) -> None:
    """
    Place so many orders of one unit on each of the accounts, as fast as it goes; says how many went to the broker of each.

    The broker takes everything. `without` = "lock" is the control: the session's lock is not taken.
    """
    if options.get("without") == "lock":
        without_lock()
    guard = opened(url, options)
    say(ready=True)
    for what in told():
        placed: dict[str, int] = {}
        codes: dict[str, int] = {}
        unknown = 0
        for turn in range(what["orders"]):
            for account in what["accounts"]:
                asked = order(account, client_order_id=f"t{options['number']}-{turn}")
                decision, unknown = _placed(guard, asked, unknown)
                if decision is not None and decision.approved:
                    placed[account] = placed.get(account, 0) + 1
                elif decision is not None:
                    code = decision.rejects[0].code.value
                    codes[code] = codes.get(code, 0) + 1
        say(placed=placed, codes=codes, unknown=unknown)


def _placed(guard: Any, asked: Any, unknown: int) -> tuple[Any, int]:
    """
    Place one order. What a crowded machine causes (busy, an answer that is late) is asked anew, under another id.

    Only approvals and what the limit itself said count: a race is about the limit.
    """
    from riskguard.errors import PermitError, StoreError

    name = asked.client_order_id
    for again in range(100):
        try:
            decision = guard.place(asked, lambda _approved, mine=asked: f"B-{mine.account}-{mine.client_order_id}")
        except (StoreError, PermitError):
            unknown += 1
            continue
        if decision.approved or any(each.code.value.endswith("_ABOVE_LIMIT") for each in decision.rejects):
            return decision, unknown
        asked = asked.replaced(client_order_id=f"{name}-{again}")
    return None, unknown


def without_lock() -> None:
    """Take the heart out of the store in this process: its sessions begin without any lock."""
    from riskguard.store.engines import postgresql_opening

    text_of = postgresql_opening.beginning

    def unlocked(*given: Any) -> str:
        text = re.sub(r"SELECT pg_advisory_xact_lock(_shared)?\([^)]*\)", "SELECT 1", text_of(*given))
        return text.replace("FOR UPDATE", "")

    postgresql_opening.beginning = unlocked


def flooder(url: str, options: dict[str, Any]) -> None:
    """
    Commit in a tight loop through the plain driver until told to stop: the account's head is locked nearly all the time.

    Each transaction holds it 10 ms, and the next begins at once.
    """
    import threading

    import psycopg

    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    with psycopg.connect(url, autocommit=True) as connection:
        say(ready=True)
        while not stop.is_set():
            with connection.transaction():
                connection.execute("UPDATE account_heads SET version = version + 1 WHERE account = 'leader'")
                time.sleep(0.01)


def worker(url: str, options: dict[str, Any]) -> None:
    """
    Check and send without a pause, whatever happens to the server; says what each answer was once it has it.

    `refused` says a recorded refusal, `sent` an order at the wire. What is unknown or unavailable is not an answer.
    """
    from riskguard.errors import PermitError, StoreError

    guard, number = None, 0
    say(ready=True)
    while True:
        number += 1
        name = f"w{options['number']}-{number}"
        asked = order(client_order_id=name, quantity=10**6 if number % 2 else 1, strategy=f"s{number}")
        try:
            guard = guard or opened(url, options)
            decision = guard.check(asked)
            if not decision.approved:
                if decision.recorded:
                    say(refused=name)
                continue
            with decision.permit.sending() as wire:
                say(sent=name)
                wire.order_id = f"B-{name}"
        except (StoreError, PermitError):
            time.sleep(0.01)
