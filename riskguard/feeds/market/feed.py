"""
Prices from the stream, and asked for while the stream is down or silent. Implements `ports.Marks`.

Both ways write to one book under the same rules, so that a price does not become truer by the way it came.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from riskguard.core.quote import Quote
from riskguard.errors import RiskGuardError
from riskguard.feeds.market.backoff import Backoff
from riskguard.feeds.market.book import Key, MarketBook
from riskguard.feeds.market.reader import BATCH, QuoteReader
from riskguard.feeds.market.stream import MarketStream
from riskguard.redaction import redacted

log = logging.getLogger("riskguard")

SILENT_US: Final = 10_000_000
"""A stream that is connected, watches something, and has sent nothing for this long is not relied upon."""
CALL_GAP_S: Final = 1.0
"""One call a second is what the broker allows."""
CLOSED_GAP_S: Final = 30.0
"""While nothing watched is in session."""


@dataclass(frozen=True, slots=True)
class FeedHealth:
    """How the feed stands. `silent_us` None: no packet came on this connection. `kept_out` counts by reason."""

    is_streaming: bool
    is_asking: bool
    silent_us: int | None
    connections: int
    watched: int
    problem: str
    kept_out: dict[str, int] = field(default_factory=dict)


def _always(_segment: str) -> bool:
    return True


class MarketFeed:
    """A stream with an understudy. `start` and `stop` once; the rest from any thread."""

    def __init__(
        self, stream: MarketStream, reader: QuoteReader | None = None, *, is_open: Callable[[str], bool] = _always,
        gap_s: float = CALL_GAP_S, silent_us: int = SILENT_US,
    ) -> None:  # fmt: skip
        """
        Args:
            reader: Asks while the stream is down; None for a stream alone.
            is_open: Says whether a segment is in session: outside it the understudy asks seldom.
            gap_s: Seconds from one request to the next.
        """
        self.stream, self.reader = stream, reader
        self.book: MarketBook = stream.book
        self._is_open, self._gap_s, self._silent_us = is_open, gap_s, silent_us
        self._backoff = Backoff(first_s=gap_s, most_s=30.0)
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._next = 0
        self._problem = ""
        self._is_asking = False

    def quote(self, exchange_segment: str, security_id: str) -> Quote | None:
        return self.book.quote(exchange_segment, security_id)

    def watch(self, keys: Iterable[Key]) -> None:
        """Replace what is watched; what is not any more is forgotten."""
        wanted = set(keys)
        self.stream.watch(wanted)
        self.book.forget(wanted)

    def is_streaming(self) -> bool:
        """Say whether the stream may be relied upon now."""
        if not self.stream.is_connected:
            return False
        silent_us = self.stream.silent_us()
        return not self.stream.watched or (silent_us is not None and silent_us <= self._silent_us)

    def health(self) -> FeedHealth:
        problem = self.stream.problem or self._problem
        return FeedHealth(
            self.is_streaming(), self._is_asking, self.stream.silent_us(), self.stream.connections,
            len(self.stream.watched), problem, dict(self.book.kept_out),
        )  # fmt: skip

    def start(self) -> None:
        self.stream.start()
        if self.reader is not None:
            self._thread = threading.Thread(target=self._understudy, name="riskguard-market-reader", daemon=True)
            self._thread.start()

    def stop(self, wait_s: float = 10.0) -> None:
        self._stopped.set()
        self.stream.stop(wait_s)
        if self._thread is not None:
            self._thread.join(wait_s)

    def _understudy(self) -> None:
        assert self.reader is not None
        wait_s = self._gap_s
        while not self._stopped.wait(wait_s):
            wait_s = self._gap_s
            watched = self.stream.watched
            if not watched or self.is_streaming():
                self._is_asking = False
                continue
            self._is_asking = True
            if not any(self._is_open(segment) for segment in {segment for segment, _ in watched}):
                wait_s = max(wait_s, CLOSED_GAP_S)
            try:
                self._ask(self.reader, watched)
                self._backoff.reset()
                self._problem = ""
            except RiskGuardError as e:
                wait_s = max(wait_s, self._backoff.next_s())
                self._fail(redacted(str(e)), wait_s)
            except Exception as e:  # an answer may be strange in any way; the thread must live
                wait_s = max(wait_s, self._backoff.next_s())
                self._fail(f"{type(e).__name__}", wait_s)
        self.reader.close()

    def _fail(self, said: str, wait_s: float) -> None:
        if said != self._problem:  # once per kind: a night without a data plan is not ten thousand lines
            log.warning("quotes cannot be asked for: %s; trying again in %.1f s", said, wait_s)
        self._problem = said

    def _ask(self, reader: QuoteReader, watched: frozenset[Key]) -> None:
        """Ask for the next thousand; more take turns."""
        keys = sorted(watched)
        if self._next >= len(keys):
            self._next = 0
        some = keys[self._next : self._next + BATCH]
        self._next += BATCH
        for key, tick in reader.read(some).items():
            if key in watched:
                self.book.take(key, tick)
