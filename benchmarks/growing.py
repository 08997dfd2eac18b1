"""What must not grow: the cost of an answer with what is stored, and the memory of a process with what it asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

from benchmarks.measure import FLAT_RATIO_MAX, Row, median, quiet, timed
from benchmarks.memory import LOG_LOOKED_AT_EACH, Grown
from benchmarks.stage import ACCOUNT, Stage, add_closed_positions, add_given_back, add_history, build, order, rulebook
from riskguard import Order, RiskGuard
from riskguard.store.engines import sqlite as lite

EACH = 60
FEW, MANY = 1_000, 200_000
MEMORY_BUDGET_MB = 16.0
"""What 180,000 further checks may add: a leak of one small object per check would be more."""
LOG_BUDGET_MB = 64.0


def rows(directory: Path, checks: int = 200_000) -> list[Row]:
    few, many = (build(directory / f"history{count}", rulebook()) for count in (FEW, MANY))
    add_history(few, FEW)
    add_history(many, MANY)
    plain = build(directory / "plain", rulebook())
    others = build(directory / "others", rulebook(others=1_000))
    closed = build(directory / "closed", rulebook())
    add_closed_positions(closed, 2_000)
    busy = build(directory / "busy", rulebook())
    add_given_back(busy, 5_000)
    stored = compared(few, many)
    scoped = compared(plain.copied(directory / "for-others"), others)
    flat = compared(plain.copied(directory / "for-closed"), closed)
    idle = compared(plain.copied(directory / "for-busy"), busy)
    said = "after another process wrote: the whole account is read again"
    return [
        _row("approval, 200,000 decisions stored ÷ 1,000", *stored["kept"], FLAT_RATIO_MAX),
        _row(f"… {said}", *stored["reloaded"], FLAT_RATIO_MAX),
        _row("approval, 1,000 limits out of scope ÷ none", *scoped["kept"], FLAT_RATIO_MAX),
        _row(f"… {said}", *scoped["reloaded"], FLAT_RATIO_MAX,
             "limits are read again only when one of them changed"),
        _row("approval, 2,000 closed positions ÷ none", *flat["kept"], FLAT_RATIO_MAX),
        _row(f"… {said}", *flat["reloaded"], FLAT_RATIO_MAX,
             "only lines that are not flat are read, from an index of their own"),
        _row("approval, 5,000 orders given back within the minute ÷ none", *idle["kept"], FLAT_RATIO_MAX),
        _row(f"… {said}", *idle["reloaded"], FLAT_RATIO_MAX,
             "what a loop was filled is read from an index of what filled"),
        *_grown(directory, "mixed", "mixed checks", checks),
        *_grown(directory, "refused", "refusals, nobody else writes", checks),
    ]  # fmt: skip


def _grown(directory: Path, kind: str, said: str, checks: int) -> list[Row]:
    found = _asked(directory, kind, checks)
    since = "growth of the process after its first tenth"
    return [
        Row(f"memory, {checks:,} {said}", max(0.0, found["memory_mb"]), "MB", MEMORY_BUDGET_MB, since,
            "every attempt is remembered until the account is read again"),
        Row("… open descriptors more", max(0, found["descriptors"]), "", 0, since),
        Row("… largest log of the database", found["log_mb"], "MB", LOG_BUDGET_MB, f"looked at every {LOG_LOOKED_AT_EACH:,} checks",
            "nobody but the janitor checkpoints it"),
    ]  # fmt: skip


def _row(name: str, less: float, more: float, budget: float, why: str = "") -> Row:
    return Row(name, more / less, "×", budget, f"{less:.0f} µs; with more {more:.0f} µs", why)


def compared(less: Stage, more: Stage) -> dict[str, tuple[float, float]]:
    """Time approvals on both, in turn: with the account kept, and after another connection moved its head."""
    times: dict[tuple[str, str], list[float]] = {}
    with ExitStack() as stack, quiet():
        sides = {
            name: (*stack.enter_context(stage.guard()), stack.enter_context(closing(lite.connect(stage.path, durable=False))))
            for name, stage in (("less", less), ("more", more))
        }  # fmt: skip
        for number in range(EACH * 2):
            kept = number % 2 == 0
            for name in sides if number % 4 < 2 else reversed(sides):
                guard, clock, other = sides[name]
                clock.advance(1_000)
                if not kept:
                    other.execute("UPDATE account_heads SET version = version + 1 WHERE account = ?", (ACCOUNT,))
                asked = order(f"g{number}")
                took = timed(lambda guard=guard, asked=asked: _approve(guard, asked))
                if number > 3:
                    times.setdefault(("kept" if kept else "reloaded", name), []).append(took)
                _give_back(guard, asked)
    return {
        kind: (median(times[kind, "less"]), median(times[kind, "more"])) for kind in ("kept", "reloaded")
    }  # fmt: skip


def _approve(guard: RiskGuard, asked: Order) -> None:
    decision = guard.check(asked)
    assert decision.approved, decision.explain()


def _give_back(guard: RiskGuard, asked: Order) -> None:
    """Release the permit, or working orders would be what grows; then ask for a refusal: it keeps the account again."""
    permit = guard.check(asked).permit
    assert permit is not None
    permit.release()
    assert not guard.check(order(f"{asked.client_order_id}-again", 100)).approved


def _asked(directory: Path, kind: str, checks: int) -> Grown:
    stage = build(directory / f"memory-{kind}", rulebook())
    words = [sys.executable, "-m", "benchmarks.memory", str(stage.directory), kind, str(checks)]
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=dict(os.environ))
    found: Grown = json.loads(done.stdout)
    return found
