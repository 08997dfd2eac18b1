"""The quotes of this process: every tick passes the rules of `core.ticks` on its way in, whichever way it came."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from riskguard.core.quote import Quote
from riskguard.core.ticks import Tick, Track, take

Key = tuple[str, str]
"""Exchange segment and security id."""


def _no_option(_key: Key) -> bool:
    return False


def _any_day(_segment: str, _now_us: int) -> bool:
    return True


class MarketBook:
    """
    The newest quote of each instrument, and how many ticks were kept out and why. Threads may share it.

    Implements `ports.Marks`. A quote is never thrown away for its age: how old is too old is the reader's to say.
    """

    def __init__(
        self, is_option: Callable[[Key], bool] = _no_option, trades_on: Callable[[str, int], bool] = _any_day
    ) -> None:
        """
        Args:
            is_option: Says whether an instrument's price is a premium, which may move further.
            trades_on: Says whether a segment trades on the date of a moment. Where it is known not to, ticks are
                those of a mock session: prices nobody can trade at, which would be marks like any others.
        """
        self.is_option, self.trades_on = is_option, trades_on
        self.kept_out: Counter[str] = Counter()
        self._tracks: dict[Key, Track] = {}
        self._changed: set[Key] = set()
        self._lock = threading.Lock()

    def take(self, key: Key, tick: Tick) -> bool:
        """Hold one tick against the rules; True when it became the quote."""
        if not self.trades_on(key[0], tick.received_us):
            self.count("CLOSED")
            return False
        is_option = self.is_option(key)
        with self._lock:
            taken = take(self._tracks.get(key, Track()), tick, is_option=is_option)
            self._tracks[key] = taken.track
            for fault in taken.faults:
                self.kept_out[fault.name] += 1
            if taken.quote is not None:
                self._changed.add(key)
            return taken.quote is not None

    def closed_at(self, key: Key, close_e4: int | None) -> None:
        """Keep the previous session's close: the first tick of the day is held against it."""
        if close_e4 is None:
            return
        with self._lock:
            held = self._tracks.get(key, Track())
            self._tracks[key] = Track(held.quote, held.traded_us, close_e4, held.suspect)

    def count(self, what: str) -> None:
        """Count a packet that never became a tick."""
        with self._lock:
            self.kept_out[what] += 1

    def quote(self, exchange_segment: str, security_id: str) -> Quote | None:
        """Return the newest quote with the time it was true; None is "not known"."""
        track = self._tracks.get((exchange_segment, security_id))
        return None if track is None else track.quote

    def changes(self) -> dict[Key, Quote]:
        """Return what changed since the last call, and forget that it did."""
        with self._lock:
            keys, self._changed = self._changed, set()
            return {key: quote for key in keys if (quote := self._tracks[key].quote) is not None}

    def changed_again(self, keys: set[Key]) -> None:
        """Say that *keys* could not be dealt with: the next call of `changes` returns them again."""
        with self._lock:
            self._changed |= keys

    def forget(self, keep: set[Key]) -> None:
        """Drop instruments nobody watches any more: memory must not grow with a year of expiries."""
        with self._lock:
            self._tracks = {key: track for key, track in self._tracks.items() if key in keep}
            self._changed &= keep
