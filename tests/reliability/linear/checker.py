"""
Is a history linearizable? Wing and Gong's search with Lowe's memory of what was tried.

A history is what several processes asked of one object and when, on one clock. It is linearizable when each operation can be
given one instant between its beginning and its end so that, one after another in that order, they answer as the object alone
would have. An operation without an end may take effect at any time after its beginning, or never.
Sources: Wing & Gong 1993; Lowe, "Testing for linearizability", 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

State = TypeVar("State", bound=Hashable)

STATES_MAX: Final = 2_000_000
"""How many (done, state) pairs one search may remember; more is a history too wide to judge, and says so."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What one process asked and what it was told. Times are one clock's nanoseconds; no end: it was never answered."""

    process: int
    what: str
    answer: str
    began_ns: int
    ended_ns: int | None = None


class TooWideError(Exception):
    """The search has more to remember than it may; cut the history into shorter windows."""


@dataclass(frozen=True, slots=True)
class Verdict(Generic[State]):
    """`order` is one that explains everything, when there is one; else `stuck` is what the longest try could not place."""

    order: tuple[Operation, ...] | None
    stuck: tuple[Operation, ...] = ()

    @property
    def is_linearizable(self) -> bool:
        return self.order is not None


def check(
    history: Sequence[Operation], first: State, step: Callable[[State, Operation], State | None],
    *, states_max: int = STATES_MAX,
) -> Verdict[State]:  # fmt: skip
    """
    Search an order of *history* that the object explains.

    Args:
        first: The object before anything was asked of it.
        step: The object after an operation, or None when it would have answered otherwise.

    Raises TooWideError past *states_max* remembered states.
    """
    operations = sorted(history, key=lambda each: each.began_ns)
    ends = [each.ended_ns for each in operations]
    must = sum(1 << number for number, end in enumerate(ends) if end is not None)
    seen: set[tuple[int, State]] = {(0, first)}
    path: list[int] = []
    longest: list[int] = []
    stack = [(first, iter(_next(operations, 0)))]
    done = 0
    while True:
        if done & must == must:
            return Verdict(tuple(operations[number] for number in path))
        state, candidates = stack[-1]
        for number in candidates:
            after = step(state, operations[number])
            if after is None or (done | 1 << number, after) in seen:
                continue
            if len(seen) >= states_max:
                raise TooWideError(f"more than {states_max} states among {len(operations)} operations")
            done |= 1 << number
            seen.add((done, after))
            path.append(number)
            stack.append((after, iter(_next(operations, done))))
            break
        else:
            if len(path) >= len(longest):
                longest = list(path)
            stack.pop()
            if not stack:
                left = [n for n in range(len(operations)) if n not in set(longest)]
                return Verdict(None, tuple(operations[n] for n in left[:8]))
            done &= ~(1 << path.pop())


def _next(operations: Sequence[Operation], done: int) -> list[int]:
    """Return what may come next: whatever is left and began before the first end among what is left."""
    found: list[int] = []
    first_end: int | None = None
    for number in range((~done & (done + 1)).bit_length() - 1, len(operations)):  # all before it are done
        if done >> number & 1:
            continue
        each = operations[number]
        if first_end is not None and each.began_ns > first_end:
            break  # ordered by beginning: nothing further on can be earlier
        found.append(number)
        if each.ended_ns is not None and (first_end is None or each.ended_ns < first_end):
            first_end = each.ended_ns
    return [n for n in found if first_end is None or operations[n].began_ns <= first_end]
