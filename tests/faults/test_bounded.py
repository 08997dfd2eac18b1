"""
I16: checks leave nothing behind in the process that asks: memory, descriptors and threads stay flat, and the log bounded.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riskguard.services.orders.guard import RiskGuard
from riskguard.store.engines import sqlite as lite
from tests.services.desk import Desk

WARM = 200
RSS_GROWTH_MAX = 2 * 1024 * 1024
READER_SITS = 200
"""Checks during which another program sits on one old instant of the database."""


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def standing() -> tuple[int, int]:
    """Descriptors and threads of this process."""
    return len(os.listdir("/proc/self/fd")), threading.active_count()


def work(desk: Desk, guard: RiskGuard, number: int) -> None:
    """An approval given back, a refusal that is written, and one that is counted, in turn."""
    what = number % 4
    if what == 0:
        decision = guard.check(desk.order())
        assert decision.approved
        decision.permit.release()  # type: ignore[union-attr]
    else:
        assert not guard.check(desk.order(quantity=2_000_000, strategy=f"s{number // 400 % 50}")).approved
    if what == 3:
        desk.clock.at_us += 200_000


def sit(desk: Desk, checks: int) -> int:
    """Work while a reader sits on one instant of the database; returns how large the log grew."""
    with contextlib.closing(sqlite3.connect(f"file:{desk.path}?mode=ro", uri=True, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM decisions").fetchone()
        for number in range(checks):
            work(desk, desk.guard, number)
        return desk.path.with_name(f"{desk.path.name}-wal").stat().st_size


@pytest.mark.claim(
    "I16", "checks of every kind in one process, a reader in the way", of="checks", ci=600, soak=500_000, seconds=500
)
def test_nothing_grows(claim: Callable[[str], Any], desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Warmed up, then asked again and again: within 2 MB, no descriptor and no thread more. While a reader sits on a
    snapshot the log cannot begin anew and grows; once it leaves, the janitor keeps it as it was.
    """
    monkeypatch.setattr(lite, "WAL_BYTES_MAX", 400_000)
    shown = claim("I16")
    wal = desk.path.with_name(f"{desk.path.name}-wal")
    for number in range(max(WARM, shown.figure // 10)):  # a long run fills SQLite's 2 MB of pages before it is measured
        work(desk, desk.guard, number)
    sit(desk, 1)  # SQLite keeps the descriptors of closed connections for the next ones while others are open
    desk.store.tidy()
    gc.collect()
    before, rss = standing(), resident_bytes()
    largest = 0
    sat = sit(desk, READER_SITS)
    for number in range(READER_SITS, shown.figure):
        work(desk, desk.guard, number)
        if number % 100 == 0:
            desk.store.tidy()
            largest = max(largest, wal.stat().st_size)
    gc.collect()
    shown.counted(kb_of_memory_more=max(0, resident_bytes() - rss) // 1024)

    assert standing() == before
    assert resident_bytes() - rss < RSS_GROWTH_MAX
    assert largest < sat + 8 * lite.WAL_BYTES_MAX
    assert desk.rows("PRAGMA quick_check") == [("ok",)]
    shown.trials(shown.figure)


def test_the_control_what_is_kept_for_ever_is_seen(desk: Desk) -> None:
    """Guards that are opened for each question and never closed leave descriptors behind: the measure says so."""
    before = standing()
    kept = [desk.another_guard() for _ in range(3)]
    approved = [each.check(desk.order()).approved for each in kept]

    assert approved == [True] * 3 and standing()[0] > before[0]
