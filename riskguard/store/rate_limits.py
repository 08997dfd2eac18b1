"""
How many requests went to the broker, per account, class of endpoint and minute: rows of `rate_limit_tracking`.

Kept to be looked at afterwards, and by other programs that share the broker's budget; what may be sent is decided
by the order throttle, never here. Counted in memory and added up in the database at most once a second: a request
costs a dictionary entry, and nothing is written between the mark SENT and the wire.
"""

from __future__ import annotations

import os
import threading
from typing import Final

from riskguard.errors import StoreError
from riskguard.ports import Clock
from riskguard.store.session import Store
from riskguard.store.spelling import fixed, param, tables, upsert

rate_limit_tracking = tables.authentication.rate_limit_tracking

WINDOW_S: Final = 60
FLUSH_EVERY_US: Final = 1_000_000
WAIT_S: Final = 0.05
COUNTS_MAX: Final = 10_000
"""Entries in memory while the database takes none; beyond it the oldest window is given up."""

_t = rate_limit_tracking.c
ADD = upsert(
    rate_limit_tracking,
    {
        "account_type": param("account"), "endpoint": param("endpoint"), "request_count": param("count"),
        "window_start": param("window_start"), "window_end": param("window_end"), "last_request_at": param("last_s"),
        "created_at": param("now_s"), "superseded": fixed(0),
    },
    key=("account_type", "endpoint", "window_start"),
    where=_t.superseded == fixed(0),
    # Several processes count the same window: each adds what it sent.
    update=lambda new: {
        "request_count": _t.request_count + new.request_count, "last_request_at": new.last_request_at,
    },
)  # fmt: skip

Key = tuple[str, str, int]


class RateLedger:
    """Counts the requests of this process; threads share it, and a forked child starts at nothing."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._start_over()

    def _start_over(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._counts: dict[Key, list[int]] = {}
        self._flushed_us: int | None = None

    def _leave_the_parent(self) -> None:
        if self._pid != os.getpid():
            self._start_over()  # what the parent counted, the parent writes

    def note(self, account: str, endpoint: str) -> None:
        """Count one request of *account* to the class *endpoint*, at the moment it leaves. Writes nothing."""
        self._leave_the_parent()
        now_s = self._clock.now_us() // 1_000_000
        key = (account, endpoint, now_s - now_s % WINDOW_S)
        with self._lock:
            entry = self._counts.setdefault(key, [0, now_s])
            entry[0] += 1
            entry[1] = max(entry[1], now_s)
            if len(self._counts) > COUNTS_MAX:
                del self._counts[min(self._counts, key=lambda each: each[2])]

    def flush(self, *, now: bool = False) -> bool:
        """
        Add what was counted to the database; say whether it holds all of it now.

        Does nothing within a second of the last time, unless *now*. Never raises for the database's sake: what
        it did not take is kept and tried again. Never call it inside a session, or before a request that is due.
        """
        self._leave_the_parent()
        elapsed_us = self._clock.elapsed_us()
        with self._lock:
            if not self._counts:
                return True
            if not now and self._flushed_us is not None and elapsed_us - self._flushed_us < FLUSH_EVERY_US:
                return False
            self._flushed_us = elapsed_us
            taken, self._counts = self._counts, {}
        now_s = self._clock.now_us() // 1_000_000
        try:
            with self._store.session(durable=False, wait_s=WAIT_S, account="") as session:
                for (account, endpoint, start), (count, last_s) in taken.items():
                    session.run(
                        ADD, account=account, endpoint=endpoint, count=count, window_start=start,
                        window_end=start + WINDOW_S, last_s=last_s, now_s=now_s,
                    )  # fmt: skip
        except StoreError:
            self._put_back(taken)
            return False
        return True

    def _put_back(self, taken: dict[Key, list[int]]) -> None:
        with self._lock:
            for key, (count, last_s) in taken.items():
                entry = self._counts.setdefault(key, [0, last_s])
                entry[0] += count
                entry[1] = max(entry[1], last_s)

    def close(self) -> None:
        """Write what is left; for `guard.on_close`."""
        self.flush(now=True)
