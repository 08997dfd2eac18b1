"""Goal: a broker is read no faster than it bears, learns us slower when it says so, and a kill's reads come first."""

from __future__ import annotations

import pytest

from riskguard.errors import BrokerUnavailableError
from riskguard.services.budget import LEAST_PER_S, START_PER_S, ReadBudget, is_too_many
from tests.core.tables import Row, table


class Ticking:
    """A clock that only passes when told."""

    def __init__(self) -> None:
        self.us = 1_000_000

    def now_us(self) -> int:
        return self.us

    def elapsed_us(self) -> int:
        return self.us

    def pass_s(self, seconds: float) -> None:
        self.us += round(seconds * 1_000_000)


def granted(budget: ReadBudget, clock: Ticking, seconds: float, step_s: float = 0.1) -> int:
    """Ask for one read every *step_s* and count those that were given."""
    given = 0
    for _ in range(round(seconds / step_s)):
        clock.pass_s(step_s)
        given += budget.take(1)
    return given


def test_it_starts_at_five_a_second_and_never_gives_more() -> None:
    """A burst of a second's worth, then the rate, over any stretch."""
    clock = Ticking()
    budget = ReadBudget(clock)
    burst = sum(budget.take(1) for _ in range(20))

    assert burst == START_PER_S == 5
    assert 49 <= granted(budget, clock, 10) <= 50


REFUSALS = table("""
    times  rate
    0      5
    1      2.5
    2      1.25
    3      0.625
    4      0.5
    9      0.5
""")


@pytest.mark.parametrize("row", REFUSALS, ids=str)
def test_each_refusal_halves_it_down_to_a_floor(row: Row) -> None:
    """The broker says "too many": half as many from here, never none at all."""
    budget = ReadBudget(Ticking())
    for _ in range(row.number("times")):
        budget.too_many()

    assert budget.rate_per_s == float(row.rate)


def test_after_a_refusal_nothing_is_read_for_a_moment_and_the_rate_comes_back_slowly() -> None:
    """A second of silence; a quarter of a request more every ten seconds; never above where it began."""
    clock = Ticking()
    budget = ReadBudget(clock)
    budget.too_many()
    assert granted(budget, clock, 1) == 0
    clock.pass_s(8.9)
    assert budget.rate_per_s == 2.5
    clock.pass_s(0.2)
    assert budget.rate_per_s == 2.75
    clock.pass_s(600)
    assert budget.rate_per_s == START_PER_S


def test_several_reads_are_taken_all_or_none() -> None:
    """A look of three lists with room for two is not begun; a look larger than the bucket is, when it is full."""
    clock = Ticking()
    budget = ReadBudget(clock)
    assert budget.take(3) and not budget.take(3)
    assert budget.take(2) and not budget.take(1)
    clock.pass_s(10)
    assert budget.take(8)
    clock.pass_s(0.6)
    assert not budget.take(1), "what was given ahead is a debt"
    clock.pass_s(0.3)
    assert budget.take(1)


def test_while_a_kill_reads_no_sweep_does_and_sweeps_pay_for_it() -> None:
    """The kill's lane: it asks nobody, never waits, and what it read is taken off afterwards."""
    clock = Ticking()
    budget = ReadBudget(clock)
    with budget.kill_reads():
        assert not budget.take(1)
    assert budget.take(1)
    budget.spend(1_000)
    assert granted(budget, clock, 2) == 0
    assert granted(budget, clock, 2) >= 8, "its debt is bounded: the sweep is not blind for minutes"


def test_the_floor_still_reads_the_book_every_few_seconds() -> None:
    """Slowed to the floor a look of three lists still happens: blind is worse than slow."""
    clock = Ticking()
    budget = ReadBudget(clock)
    for _ in range(10):
        budget.too_many()
        clock.pass_s(0.01)
    looks = 0
    for _ in range(40):
        clock.pass_s(2)
        looks += budget.take(3)

    assert budget.rate_per_s >= LEAST_PER_S and looks >= 8


SAID = table("""
    says                                     too_many
    HTTP_429                                 yes
    DH-904:_too_many_requests                yes
    connection_refused                       no
    DH-901:_token_expired                    no
""")


@pytest.mark.parametrize("row", SAID, ids=str)
def test_what_means_too_many(row: Row) -> None:
    assert is_too_many(BrokerUnavailableError(row.says)) == row.has("too_many")


def test_an_adapters_own_mark_wins_over_words() -> None:
    error = BrokerUnavailableError("order 4290 is not known")
    error.too_many = False  # type: ignore[attr-defined]

    assert not is_too_many(error)
