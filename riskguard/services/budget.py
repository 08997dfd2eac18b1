"""
How often one account's broker may be read: its own budget, apart from order messages, and apart from the kill's.

A token bucket that learns: it starts at what the broker is known to bear, halves when the broker says "too many", and
comes back slowly. The kill run never asks: what it reads is taken off afterwards, and sweeps stand back meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from weakref import WeakKeyDictionary

from riskguard.ports import Clock
from riskguard.services.orders.guard import RiskGuard

START_PER_S: Final = 5.0
LEAST_PER_S: Final = 0.5
RECOVERS_EVERY_US: Final = 10_000_000
RECOVERS_BY_PER_S: Final = 0.25
"""From the floor back to the start in three minutes: a broker that blocks repeat offenders must see us slow."""
STANDS_BACK_US: Final = 1_000_000
"""After a refusal nothing is read for a second: the broker counts by the second."""
BESIDES_ORDERS: Final = 2
"""Positions and fills: what a look at the book asks for beside the orders, a request each."""
DEBT_S_MAX: Final = 2.0
"""What a kill may spend ahead: more would keep the sweep blind for longer than it helps."""


class ReadBudget:
    """Reads of one account; threads share it. Rates are requests a second."""

    def __init__(self, clock: Clock, *, start_per_s: float = START_PER_S) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._most = self._rate = max(LEAST_PER_S, start_per_s)
        self._tokens = self._rate
        self._at_us = clock.elapsed_us()
        self._slowed_at_us = self._at_us
        self._kills = 0
        self.refused = 0  # how often the broker said "too many"

    @property
    def rate_per_s(self) -> float:
        with self._lock:
            self._refill()
            return self._rate

    def take(self, reads: int) -> bool:
        """
        Take *reads* requests now, all or none; False: not now, ask at the next tick. Never waits.

        More than the bucket ever holds is given when it is full, and leaves a debt.
        """
        with self._lock:
            self._refill()
            if self._kills or self._tokens < min(reads, self._capacity()):
                return False
            self._tokens -= reads
            return True

    def spend(self, reads: int) -> None:
        """Take off what the kill run read: it asks nobody, and sweeps pay for it."""
        with self._lock:
            self._refill()
            self._tokens = max(self._tokens - reads, -self._rate * DEBT_S_MAX)

    def too_many(self) -> None:
        """The broker refused a read for there being too many: half as many from here, and none for a moment."""
        with self._lock:
            self._refill()
            self.refused += 1
            self._rate = max(LEAST_PER_S, self._rate / 2)
            self._tokens = min(self._tokens, 0.0) - self._rate * STANDS_BACK_US / 1_000_000
            self._slowed_at_us = self._at_us

    @contextmanager
    def kill_reads(self) -> Iterator[None]:
        """While a kill run looks, no sweep takes anything: its reads come first."""
        with self._lock:
            self._kills += 1
        try:
            yield
        finally:
            with self._lock:
                self._kills -= 1

    def _capacity(self) -> float:
        return max(1.0, self._rate)

    def _refill(self) -> None:
        now_us = self._clock.elapsed_us()
        steps = (now_us - self._slowed_at_us) // RECOVERS_EVERY_US
        if steps > 0:
            self._rate = min(self._most, self._rate + RECOVERS_BY_PER_S * steps)
            self._slowed_at_us += steps * RECOVERS_EVERY_US
        passed_us = max(0, now_us - self._at_us)
        self._at_us = now_us
        self._tokens = min(self._capacity(), self._tokens + self._rate * passed_us / 1_000_000)


_budgets: WeakKeyDictionary[RiskGuard, dict[str, ReadBudget]] = WeakKeyDictionary()


def budget_of(guard: RiskGuard, account: str) -> ReadBudget:
    """Return the one budget of an account in this process."""
    own = _budgets.setdefault(guard, {})
    return own.setdefault(account, ReadBudget(guard.clock))


def look_reads(broker: object) -> int:
    """
    Return how many requests one look at *broker*'s book is: orders, fills, positions.

    An adapter whose orders come in several lists says so in `order_requests`; Dhan's come in four.
    """
    found = getattr(broker, "order_requests", 1)
    return BESIDES_ORDERS + (found if type(found) is int and found > 0 else 1)


def is_too_many(error: BaseException) -> bool:
    """
    Say whether a broker's error means "too many requests": the adapter marks it, or it names the status.

    An adapter sets `too_many` on the error it raises; the words are for one that does not.
    """
    marked = getattr(error, "too_many", None)
    if marked is not None:
        return bool(marked)
    said = str(error)
    return "DH-904" in said or "429" in said or "too many requests" in said
