"""The checker itself: histories that are linearizable, histories that are not, and what it does when there is too much."""

from __future__ import annotations

import itertools
import random

import pytest

from tests.reliability.linear.checker import Operation, TooWideError, check
from tests.reliability.linear.latch import direct, step_latch


def register(state: int, operation: Operation) -> int | None:
    """A register of one number: `w3` writes, `r` reads."""
    if operation.what.startswith("w"):
        return int(operation.what[1:])
    return state if operation.answer == str(state) else None


def history(text: str) -> list[Operation]:
    """Read `process what answer began ended`, one a line; ended `-` was never answered."""
    made = []
    for line in text.strip().splitlines():
        process, what, answer, began, ended = line.split()
        made.append(Operation(int(process), what, answer, int(began), None if ended == "-" else int(ended)))
    return made


KNOWN = [
    # one after another
    ("1 w1 ok 0 1\n 2 r 1 2 3", True),
    ("1 w1 ok 0 1\n 2 r 0 2 3", False),
    # a write and a read at once: old or new
    ("1 w1 ok 0 9\n 2 r 0 1 2\n 3 r 1 3 4", True),
    ("1 w1 ok 0 9\n 2 r 1 1 2\n 3 r 0 3 4", False),  # new, then old again
    ("1 w1 ok 0 9\n 2 r 1 1 4\n 3 r 0 3 6", True),  # the same, overlapping
    # two writes at once, read in two orders
    ("1 w1 ok 0 9\n 2 w2 ok 0 9\n 3 r 1 1 2\n 3 r 2 3 4", True),
    ("1 w1 ok 0 9\n 2 w2 ok 0 9\n 3 r 1 1 2\n 3 r 2 3 4\n 3 r 1 5 6", False),
    # never answered: at any time, or not at all
    ("1 w1 ok 0 -\n 2 r 0 5 6\n 2 r 1 7 8", True),
    ("1 w1 ok 0 -\n 2 r 0 5 6", True),
    ("1 w1 ok 4 -\n 2 r 1 1 2", False),
    # ends and beginnings at one instant count as at once
    ("1 w1 ok 0 5\n 2 r 0 5 6", True),
    ("1 w1 ok 0 4\n 2 r 0 5 6", False),
]


@pytest.mark.parametrize(("text", "linearizable"), KNOWN)
def test_known_histories(text: str, linearizable: bool) -> None:
    """Both sides of each edge, by eye."""
    verdict = check(history(text), 0, register)

    assert verdict.is_linearizable is linearizable
    assert bool(verdict.stuck) is not linearizable


def by_hand(operations: list[Operation]) -> bool:
    """The definition, word for word: some order respects real time and explains all. For a handful of operations."""
    for order in itertools.permutations(operations):
        early = any(b.ended_ns is not None and b.ended_ns < a.began_ns for a, b in itertools.combinations(order, 2))
        state: int | None = 0
        for each in order:
            state = None if state is None else register(state, each)
        if not early and state is not None:
            return True
    return False


def test_it_agrees_with_the_definition() -> None:
    """Two thousand small random histories, against every permutation; both answers are really met."""
    chance = random.Random(7)
    met = {True: 0, False: 0}
    for _ in range(2_000):
        made = []
        for number in range(chance.randint(2, 5)):
            began = chance.randrange(10)
            what = chance.choice(("w1", "w2", "r", "r"))
            answer = str(chance.randrange(3)) if what == "r" else "ok"
            made.append(Operation(number, what, answer, began, began + chance.randrange(6)))
        expected = by_hand(made)
        met[expected] += 1
        assert check(made, 0, register).is_linearizable is expected, made
    assert min(met.values()) > 200, met


def test_a_long_history_is_judged_and_one_too_wide_says_so() -> None:
    """Two thousand operations one after another are nothing; forty at once are refused rather than searched for ever."""
    long = [Operation(1, f"w{n}" if n % 2 else "r", str(n - 1 if n else 0), 2 * n, 2 * n + 1) for n in range(2_000)]
    assert check(long, 0, register).is_linearizable

    wide = [Operation(n, f"w{n}", "ok", 0, 1) for n in range(40)] + [Operation(99, "r", "-1", 2, 3)]
    with pytest.raises(TooWideError):
        check(wide, 0, register, states_max=5_000)


LATCHES = [
    # a check, then a kill, then one refused
    ("1 check approved 0 1\n 9 kill ok 2 5\n 1 check halted 6 7", True, True),
    ("1 check approved 0 1\n 9 kill ok 2 5\n 1 check approved 6 7", False, False),
    ("9 kill ok 2 5\n 1 check approved 4 7", True, True),  # begun before the kill had returned
    ("9 kill ok 2 5\n 1 check halted 3 4\n 2 check approved 4 9", True, True),
    (
        "9 kill ok 2 8\n 1 check halted 3 4\n 2 check approved 5 6",
        False,
        True,
    ),  # refused, then approved: nobody released
    # a release in between
    ("9 kill ok 0 1\n 9 release ok 2 5\n 1 check approved 6 7", True, True),
    ("9 kill ok 0 1\n 9 release refused 2 5\n 1 check approved 6 7", False, False),
    ("9 kill ok 0 1\n 8 release ok 2 9\n 7 kill ok 3 4\n 1 check approved 10 11", True, True),  # the release was last
    ("9 kill ok 0 1\n 8 release ok 2 3\n 7 kill ok 4 5\n 1 check approved 6 7", False, False),
]


@pytest.mark.parametrize(("text", "linearizable", "keeps_the_promise"), LATCHES)
def test_the_latch_and_the_promise_alone(text: str, linearizable: bool, keeps_the_promise: bool) -> None:
    """The search sees more than the promise does; the promise needs no search."""
    made = history(text)

    assert check(made, False, step_latch).is_linearizable is linearizable
    assert (direct(made) == []) is keeps_the_promise
