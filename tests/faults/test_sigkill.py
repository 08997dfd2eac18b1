"""
I3: a process is killed with SIGKILL at any moment of its work; what it had acknowledged is on disk, whole and in order.

A warm parent forks children that refuse, approve and send without a pause. Each says on a pipe what it was told, after
it was told; the pipe outlives it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from riskguard.clock import SystemClock
from riskguard.services.sweeps.sweeper import Sweeper
from riskguard.services.wiring import open_guard
from riskguard.store import journal
from tests.reliability.actors import ROOT, Actor, times
from tests.reliability.claims import Shown
from tests.services.desk import ACCOUNT, build, rulebook

AT_ONCE = 50
"""Kills after which what is on disk is compared with what was said; the last time always."""


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database on the machine's own clock, its account flat, watched and limited in the size of a position."""
    path = build(tmp_path / "db", text=rulebook(), profile="library", clock=SystemClock())
    url = f"sqlite:///{path}"
    with open_guard(url, sweep=False, deadline_ms=5_000) as guard:
        guard.report_positions([], account=ACCOUNT)
        Sweeper(guard, ACCOUNT, None).sweep(now=True)
    return url


def lost(url: str, said: list[str]) -> list[str]:
    """Return what was acknowledged and is not there, or not whole."""
    path = url.removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
        refused = {row[0] for row in connection.execute("SELECT client_order_id FROM risk_violations")}
        sent = {
            row[0] for row in connection.execute("SELECT client_order_id FROM permits WHERE sent_at_us IS NOT NULL")
        }
        torn = connection.execute(
            "SELECT count(*) FROM decisions d WHERE d.approved = 0 AND d.client_order_id IS NOT NULL AND NOT EXISTS "
            "(SELECT 1 FROM risk_violations v WHERE v.account_type = d.account AND v.sequence = d.sequence)"
        ).fetchone()[0]
        whole = connection.execute("PRAGMA quick_check").fetchone()[0]
    found = [] if whole == "ok" else [whole]
    found += [f"{torn} refusals without their violation"] if torn else []
    for line in said:
        what, _, name = line.partition(" ")
        if name not in (refused if what == "refused" else sent):
            found.append(f"{line}: not there")
    return found


def killed(url: str, kills: int, **how: Any) -> Iterator[tuple[int, list[str]]]:
    """Let so many children die; yields, now and then, how many died and what they had said since."""
    with contextlib.closing(Actor("forker", url)) as parent:
        assert parent.hear() == {"ready": True}
        parent.tell(kills=kills, name="k", **how)
        said: list[str] = []
        for number in range(1, kills + 1):
            said += parent.hear()["acknowledged"]
            if number % AT_ONCE == 0 or number == kills:
                yield (number - 1) % AT_ONCE + 1, said
                said = []


@pytest.mark.claim(
    "I3", "a process that checks and sends, killed at a random moment", of="SIGKILLs", ci=500, soak=1_000, seconds=70
)
def test_nothing_acknowledged_is_lost(claim: Callable[[str], Any], url: str) -> None:
    """Each refusal has its violation, each order at the wire its SENT, and no row stands without the others of its own."""
    lose_nothing(claim("I3"), url)


@pytest.mark.claim(
    "I3", "a process that checks and sends, killed at a random moment", of="SIGKILLs", ci=0, soak=1_000, seconds=70
)
@pytest.mark.parametrize("_part", range(2, 11))
def test_nothing_acknowledged_is_lost_for_long(claim: Callable[[str], Any], url: str, _part: int) -> None:
    """The same on nine more databases: ten thousand in all."""
    lose_nothing(claim("I3"), url)


def lose_nothing(shown: Shown, url: str) -> None:
    acknowledged = 0
    for died, said in killed(url, shown.figure):
        acknowledged += len(said)
        shown.trials(died, failures=lost(url, said))
    shown.counted(acknowledged=acknowledged)
    with open_guard(url, sweep=False, deadline_ms=5_000) as guard, guard.store.session() as session:
        assert journal.verify(session, ACCOUNT)[1] is None

    assert acknowledged > shown.figure  # they did work before they died


def test_the_control_what_is_said_too_early_is_lost(url: str) -> None:
    """The same children say "refused" before they ask: among so many deaths some are not on disk, and are reported."""
    found = [each for _died, said in killed(url, times(40, 200), early=True) for each in lost(url, said)]

    assert found and all("not there" in each for each in found)


COMMANDS = (
    ("check", ["check", "leader", "BUY", "10", "NSE_EQ:1333", "--price", "100"]),
    ("sweep", ["sweep", "--once"]),
    ("status", ["status"]),
    ("kill", ["kill", "leader", "--reason", "died"]),
)
EXECS = times(8, 120)


def test_a_command_killed_while_it_starts_leaves_a_whole_database(url: str, tmp_path: Path) -> None:
    """From its first instruction to its last: whatever it was, the next one works, and a kill it acknowledged stands."""
    import random

    chance = random.Random(5)
    path = Path(url.removeprefix("sqlite:///"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RISKGUARD_DB": url}
    for number in range(EXECS):
        name, words = COMMANDS[number % len(COMMANDS)]
        command = subprocess.Popen(
            [sys.executable, "-m", "riskguard", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
            cwd=tmp_path,
        )  # fmt: skip
        time.sleep(chance.uniform(0.0, 0.9))
        command.send_signal(signal.SIGKILL)
        said = command.communicate()[0]
        with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection:
            assert connection.execute("PRAGMA quick_check").fetchone() == ("ok",), name
            kills = connection.execute("SELECT count(*) FROM kill_runs").fetchone()[0]
        if name == "kill" and b"HALTED: " in said:
            assert kills
    with open_guard(url, sweep=False, deadline_ms=5_000) as guard, guard.store.session() as session:
        assert journal.verify(session, ACCOUNT)[1] is None
