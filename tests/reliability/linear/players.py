"""
Processes that write a history: one checks without a pause, one kills and releases. `python -m` this runs one.

Every operation is stamped with CLOCK_MONOTONIC before it is asked and after it answered: one clock for the whole machine.
"""

from __future__ import annotations

import json
import random
import sqlite3
import sys
import time
from typing import Any

from tests.reliability.actors import Actor, opened, order, say, told


class Player(Actor):
    """One of the processes below."""

    MODULE = "tests.reliability.linear.players"


def now_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def checks(url: str, options: dict[str, Any]) -> None:
    """Check an account so many times; a refusal for want of the lock says nothing of the latch and is left out."""
    guard, number = opened(url, options), 0
    if options.get("without") == "re-read":
        _believe_what_is_kept(guard)
    say(ready=True)
    for what in told():
        history = []
        for turn in range(what["operations"]):
            number += 1
            asked = order(what["account"], client_order_id=f"w{options['number']}-{number}", strategy=f"s{turn}")
            began = now_ns()
            decision = guard.check(asked)
            ended = now_ns()
            codes = {each.code.value for each in decision.rejects}
            if decision.approved or "TRADING_HALTED" in codes:
                history.append(("check", "approved" if decision.approved else "halted", began, ended))
            elif codes != {"STORE_BUSY"}:
                history.append(("check", " ".join(sorted(codes)), began, ended))
            if turn == 0:
                say(spinning=True)
        say(history=history)


def kills(url: str, options: dict[str, Any]) -> None:
    """Kill and release an account in turn, as the desk does or with a row of plain SQL, at moments of its own."""
    from riskguard import admin
    from riskguard.errors import ReleaseRefusedError
    from riskguard.services.kill.killswitch import engage

    guard, chance = opened(url, options), random.Random(options["seed"])
    raw = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30, isolation_level=None)
    say(ready=True)
    for what in told():
        history, account = [], what["account"]
        for turn in range(what["operations"]):
            time.sleep(chance.uniform(0.001, 0.01))
            by_sql = what["by_sql"]
            began = now_ns()
            if by_sql:
                now_s = time.time_ns() // 1_000_000_000
                raw.execute(
                    "INSERT INTO traders_control (account_type, control_type, kill_switch_status, is_active, created_at, "
                    "updated_at) VALUES (?, 'KILL_SWITCH', 'ACTIVE', 1, ?, ?)",
                    (account, now_s, now_s),
                )
            else:
                outcome = engage(url, account, by="desk", reason="window")
                assert outcome.exit_status == 0, outcome
            history.append(("kill", "ok", began, now_ns()))
            if turn == what["operations"] - 1:
                break  # the last one stands
            time.sleep(chance.uniform(0.001, 0.01))
            began = now_ns()
            try:
                admin.release(guard.store, account, by="priya", reason="next window")
            except ReleaseRefusedError:
                history.append(("release", "refused", began, now_ns()))
            else:
                history.append(("release", "ok", began, now_ns()))
        say(history=history)


def _believe_what_is_kept(guard: Any) -> None:
    """The control: an account once read is believed; the transaction asks the database nothing about it."""
    from riskguard.services.orders.kept import Kept

    class Blind(Kept):
        def open(self, session: Any, name: str, now_us: int) -> Any:
            found = self.loaded.get(name)
            if found is None:
                return super().open(session, name, now_us)
            session.read_heads(name, found.group)  # the journal needs them; what they say is not looked at
            found.writes = False
            return found

    guard.kept = Blind(guard.store)


ROLES = {each.__name__: each for each in (checks, kills)}


def main() -> None:
    role, url, options = sys.argv[1:4]
    ROLES[role](url, json.loads(options))


if __name__ == "__main__":
    main()
