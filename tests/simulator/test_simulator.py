"""
Many seeded days, each with its strategies, operator, broker, market, clock and mishaps; every promise is looked at in every step.

A failure names its seed; `python -m tests.simulator SEED` lives that day again and says each step.
"""

from __future__ import annotations

import multiprocessing
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from riskguard.core.money import to_e4
from riskguard.services.orders.guard import RiskGuard
from tests.services.desk import ACCOUNT, SHARE
from tests.simulator import people
from tests.simulator.day import Broken, Day, live_day
from tests.simulator.people import ACTIONS
from tests.simulator.truth import Truth
from tests.simulator.world import World, quick_directory, template_in

DAYS, DAYS_SOAK = 40, 20_000


@pytest.fixture(scope="module")
def places() -> Iterator[tuple[Path, Path]]:
    with quick_directory() as base:
        yield template_in(base), base


def lived(places: tuple[Path, Path], seed: int) -> Day:
    template, base = places
    directory = base / f"day{seed}"
    try:
        return live_day(template, directory, seed)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def live_all(places: tuple[Path, Path], seeds: range) -> tuple[Counter[str], list[str]]:
    """Live every day, even after a promise was broken; returns what happened in them, and what was broken."""
    counts, broken = Counter[str](), []
    for seed in seeds:
        try:
            counts.update(lived(places, seed).counts)
        except Broken as e:
            broken.append(str(e))
    return counts, broken


def live_apart(seeds: range) -> tuple[Counter[str], list[str]]:
    """The same in a process of its own, with files of its own."""
    with quick_directory() as base:
        return live_all((template_in(base), base), seeds)


def hold(seeds: int, counts: Counter[str], broken: list[str]) -> None:
    """Every promise was kept, and every kind of step and each comparison was met many times."""
    assert not broken, f"{len(broken)} of {seeds} days:\n\n" + "\n\n".join(broken[:5])
    for what in (*ACTIONS, "approved", "refused", "sent", "killed", "released", "P&L compared", "exits let out"):
        assert counts[what] >= seeds // 30, (what, counts[what])


def test_every_promise_is_kept_on_every_day(places: tuple[Path, Path]) -> None:
    """Forty days: one takes a quarter to half a second of CPU; the long run lives twenty thousand."""
    began = time.process_time()
    counts, broken = live_all(places, range(1, DAYS + 1))

    print(f"{DAYS} days in {time.process_time() - began:.0f} s of CPU: {dict(counts)}")
    hold(DAYS, counts, broken)


@pytest.mark.soak
def test_every_promise_is_kept_on_twenty_thousand_days() -> None:
    """Other seeds, in two processes: 0 broken bounds the rate below 3 in 20,000 days (95 %)."""
    parts = [range(100_000 + first, 100_000 + first + 500) for first in range(0, DAYS_SOAK, 500)]
    counts, broken = Counter[str](), []
    with ProcessPoolExecutor(max_workers=2, mp_context=multiprocessing.get_context("spawn")) as pool:
        for some, wrong in pool.map(live_apart, parts):
            counts.update(some)
            broken += wrong
    hold(DAYS_SOAK, counts, broken)


def a_day(places: tuple[Path, Path], name: str) -> Day:
    template, base = places
    chance = random.Random(1)
    world = World(template, base / name, chance)
    day = Day(world, 1, chance)
    world.pass_time(1)
    day.sweep()
    return day


def test_the_same_seed_is_the_same_day(places: tuple[Path, Path]) -> None:
    """A replay says the same steps in the same order."""
    assert lived(places, 7).done == lived(places, 7).done


def test_the_control_an_approval_under_a_halt_is_seen(places: tuple[Path, Path]) -> None:
    """A kill the guard was never told of: its next yes breaks the promise, by name."""
    day = a_day(places, "halt")
    try:
        day.note_kill(ACCOUNT)
        with pytest.raises(Broken, match=r"seed 1.*nothing that adds risk"):
            day.trade(day.order(SHARE, "BUY", 5, day.world.price_e4(SHARE)))
    finally:
        day.world.close()


def test_the_control_reservations_that_count_for_nothing_are_seen(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A guard that forgets what it let out, between checks, lets the limit be passed together: the reach is seen."""
    from riskguard.store import loader, permits

    monkeypatch.setattr(permits, "live", lambda *_: [])
    monkeypatch.setattr(loader, "fold_grant", lambda *_: None)
    day = a_day(places, "reach")
    try:
        with pytest.raises(Broken, match="limits hold together"):
            for number in range(6):
                day.ask(day.order(SHARE, "BUY", 30, day.world.price_e4(SHARE) - 500 * number))
                day.look()
    finally:
        day.world.close()


def test_the_control_a_blocked_exit_is_seen(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A guard that lets nobody out, not even with a person behind it: the exit is missed."""
    day = a_day(places, "exit")
    try:
        assert day.trade(day.order(SHARE, "BUY", 10, day.world.price_e4(SHARE) + to_e4("1")))
        for _ in range(4):
            day.world.pass_time(4)
            day.sweep()
        day.kill(ACCOUNT, "halt")
        day.sweep(now=True)
        day.world.pass_time(3)
        day.sweep()
        honest = RiskGuard.check
        monkeypatch.setattr(RiskGuard, "check", lambda self, order, emergency_exit=None: honest(self, order))
        with pytest.raises(Broken, match="is let out of HALTED"):
            day.try_exit()
    finally:
        day.world.close()


def test_the_control_a_wrong_rupee_is_seen(places: tuple[Path, Path]) -> None:
    """The ledger is told of one paisa that never was: the next sweep's P&L differs from it."""
    day = a_day(places, "money")
    try:
        assert day.trade(day.order(SHARE, "BUY", 10, day.world.price_e4(SHARE) + to_e4("1")))
        day.world.pass_time(3)
        day.sweep()
        day.truth.cash_e4 += 100
        day.world.pass_time(3)
        with pytest.raises(Broken, match="equals the ledger"):
            day.sweep()
    finally:
        day.world.close()


def test_the_ledger_adds_up_by_hand(places: tuple[Path, Path]) -> None:
    """Bought ten at 100, sold four at 101: six are held, and at 102 the day made 4 + 12 rupees."""
    day = a_day(places, "ledger")
    try:
        day.world.market.prices_e4[SHARE.key] = to_e4("100")
        day.world.tell(SHARE)
        assert day.trade(day.order(SHARE, "BUY", 10, to_e4("100")))
        for _ in range(3):
            day.world.clock.advance(4)
            day.sweep()
        day.world.market.prices_e4[SHARE.key] = to_e4("101")
        day.world.tell(SHARE)
        assert day.trade(day.order(SHARE, "SELL", 4, to_e4("101")))
        truth: Truth = day.truth
        assert truth.held(SHARE.key) == 6 and truth.resting(SHARE.key) == (0, 0)
        assert truth.worth_e4({**day.world.market.prices_e4, SHARE.key: to_e4("102")}) == to_e4("16")
        assert truth.reduces(SHARE.key, "SELL", 6) and not truth.reduces(SHARE.key, "SELL", 7)
    finally:
        day.world.close()


def test_everybody_acts() -> None:
    """Each function of `people` that acts is weighed in: nobody is forgotten in a list."""
    acting = {
        name for name, each in vars(people).items()
        if callable(each) and getattr(each, "__module__", "") == people.__name__ and not name.startswith("_")
    }  # fmt: skip
    assert acting == {act.__name__ for _weight, act in ACTIONS.values()}
