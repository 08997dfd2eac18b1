"""
The stream: one WebSocket in a thread of its own, which comes back by itself.

A connection that does not answer pings is dead and is closed; a process that was stopped reads nothing from the buffer it woke
up with, because those prices are as old as its sleep. Subscriptions follow what is watched, and are sent anew after each
connection. The address holds the token: no text of an exception that may show it is passed on.
"""

from __future__ import annotations

import json
import logging
import threading
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from riskguard.core.ticks import Tick
from riskguard.errors import ExtraMissingError, RiskGuardError
from riskguard.feeds.market.access import STREAM_URL, Ask, checked_url, stream_url
from riskguard.feeds.market.backoff import Backoff
from riskguard.feeds.market.book import Key, MarketBook
from riskguard.feeds.market.packets import DISCONNECT, PREVIOUS_CLOSE, Malformed, Packet, packets
from riskguard.feeds.market.stamps import Stamps
from riskguard.ports import Clock
from riskguard.redaction import redacted, remember

log = logging.getLogger("riskguard")
_silent = logging.getLogger("riskguard.feeds.market.wire")
_silent.disabled = True  # websockets logs requests, and ours has the token in it

TICKER_WANTED, FULL_WANTED = 15, 21
"""Request codes; one more takes the subscription back. Indices have no book, so theirs is the short packet."""
BATCH: Final = 100
WATCHED_MAX: Final = 5_000
"""Instruments of one connection."""
INDEX: Final = "IDX_I"

REASONS: Final = {
    805: "too many connections", 806: "the data plan is missing", 807: "the token has expired",
    808: "the client id is invalid", 809: "the token is refused", 810: "the client id is invalid",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. A dead line is noticed after `ping_s` + `pong_s`; `refused_s` is waited when the server says no to us."""

    open_s: float = 10.0
    ping_s: float = 5.0
    pong_s: float = 5.0
    turn_s: float = 0.5
    asleep_s: float = 3.0
    refused_s: float = 60.0
    first_s: float = 0.5
    most_s: float = 30.0


class _RefusedError(Exception):
    """The server said no, in words of ours."""


class _AsleepError(Exception):
    """This process stood still; what lies in the buffer is old."""


class MarketStream:
    """Fills a `MarketBook` from Dhan's stream. `watch` may be called from any thread, `start` and `stop` once."""

    def __init__(
        self, book: MarketBook, ask: Ask, clock: Clock, *, url: str = STREAM_URL, timing: Timing | None = None,
        backoff: Backoff | None = None,
    ) -> None:  # fmt: skip
        """Raises SettingsError for a host a token may not go to; ExtraMissingError without `websockets`."""
        try:
            from websockets.sync.client import connect
        except ImportError:
            raise ExtraMissingError("dhan", "websockets", "live prices") from None
        self._connect: Any = connect
        self.book, self.clock = book, clock
        self.timing = timing or Timing()
        self.backoff = backoff or Backoff(self.timing.first_s, self.timing.most_s)
        self._ask, self._url = ask, checked_url(url)
        self._wanted: frozenset[Key] = frozenset()
        self._connected = False
        self._packet_at_us: int | None = None  # of the clock that never goes back
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.connections = 0
        self.problem = ""
        self._told: str | None = None

    # -- from any thread ------------------------------------------------------------------------------------------

    def watch(self, keys: Iterable[Key]) -> None:
        """Replace what is watched; the subscriptions follow within a turn."""
        wanted = frozenset(keys)
        if len(wanted) > WATCHED_MAX:
            log.error(
                "%d instruments are watched, one stream takes %d: the rest has no live price", len(wanted), WATCHED_MAX
            )
            wanted = frozenset(islice(sorted(wanted), WATCHED_MAX))
        self._wanted = wanted

    @property
    def watched(self) -> frozenset[Key]:
        return self._wanted

    @property
    def is_connected(self) -> bool:
        return self._connected

    def silent_us(self) -> int | None:
        """Return how long ago the last packet came; None when none came on this connection."""
        at_us = self._packet_at_us
        return None if at_us is None or not self._connected else self.clock.elapsed_us() - at_us

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="riskguard-market-stream", daemon=True)
        self._thread.start()

    def stop(self, wait_s: float = 10.0) -> None:
        """Stop and wait for the thread; it looks up every half second."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(wait_s)

    # -- the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopped.is_set():
            wait_s = None
            try:
                self._once()
            except _RefusedError as e:
                self.problem, wait_s = str(e), self.timing.refused_s
            except _AsleepError:
                self.problem, wait_s = "this process stood still: connecting anew", 0.0
            except RiskGuardError as e:
                self.problem = redacted(str(e))
            except Exception as e:  # a network has many ways to break, and an adapter's end must not be ours
                self.problem = _said(e)
            finally:
                self._connected = False
                self._packet_at_us = None
            if self._stopped.is_set():
                return
            wait_s = self.backoff.next_s() if wait_s is None else wait_s
            if self.problem != self._told:  # once per kind: a night without a token is not a thousand lines
                log.warning("market stream: %s; trying again in %.1f s", self.problem or "closed", wait_s)
            self._told = self.problem
            self._stopped.wait(wait_s)

    def _once(self) -> None:
        """One connection, from its opening to its end."""
        access = self._ask()
        remember(access.token)
        timing = self.timing
        with self._connect(
            stream_url(self._url, access), open_timeout=timing.open_s, ping_interval=timing.ping_s,
            ping_timeout=timing.pong_s, close_timeout=1.0, max_size=1 << 20, compression=None, logger=_silent,
        ) as wire:  # fmt: skip
            self.connections += 1
            self._connected, self.problem = True, ""
            self._serve(wire, Stamps())

    def _serve(self, wire: Any, stamps: Stamps) -> None:
        subscribed: frozenset[Key] = frozenset()
        while not self._stopped.is_set():
            turned_us = self.clock.elapsed_us()
            subscribed = self._subscribe(wire, subscribed)
            try:
                frame = wire.recv(timeout=self.timing.turn_s)
            except TimeoutError:
                frame = None
            if self.clock.elapsed_us() - turned_us > (self.timing.turn_s + self.timing.asleep_s) * 1_000_000:
                raise _AsleepError
            if isinstance(frame, bytes):
                self._take(frame, stamps)
        wire.send(json.dumps({"RequestCode": 12}))  # a courtesy: it frees one of five connections at once

    def _subscribe(self, wire: Any, subscribed: frozenset[Key]) -> frozenset[Key]:
        wanted = self._wanted
        for keys, back in ((subscribed - wanted, 1), (wanted - subscribed, 0)):
            for code, some in (
                (TICKER_WANTED, [key for key in keys if key[0] == INDEX]),
                (FULL_WANTED, [key for key in keys if key[0] != INDEX]),
            ):
                some.sort()
                for at in range(0, len(some), BATCH):
                    wire.send(request(code + back, some[at : at + BATCH]))
        return wanted

    def _take(self, frame: bytes, stamps: Stamps) -> None:
        received_us = self.clock.now_us()
        for packet in packets(frame):
            if isinstance(packet, Malformed):
                self.book.count("MALFORMED")
                continue
            self._packet_at_us = self.clock.elapsed_us()
            if packet.code == DISCONNECT:
                code = packet.reason or 0
                raise _RefusedError(f"{REASONS.get(code, 'disconnected by the server')} (code {code})")
            self.backoff.reset()
            self._told = None
            self._note(packet, received_us, stamps)

    def _note(self, packet: Packet, received_us: int, stamps: Stamps) -> None:
        key = packet.segment, packet.security_id
        if packet.code == PREVIOUS_CLOSE:
            self.book.closed_at(key, packet.close_e4)
        elif packet.has_price and key in self._wanted:  # one that was taken back may still be under way
            traded_us = stamps.traded_us(packet.stamp_s, received_us)
            self.book.take(key, Tick(packet.ltp_e4, packet.bid_e4, packet.ask_e4, traded_us, received_us))


def request(code: int, keys: list[Key]) -> str:
    """Return the message that asks for *keys*, or takes them back."""
    listed = [{"ExchangeSegment": segment, "SecurityId": security} for segment, security in keys]
    return json.dumps({"RequestCode": code, "InstrumentCount": len(listed), "InstrumentList": listed})


def _said(error: Exception) -> str:
    """
    Return what kind of failure it was, and where it broke if that is no network's; never its text, which may hold the
    address.
    """
    status = getattr(getattr(error, "response", None), "status_code", None)
    closed = getattr(getattr(error, "rcvd", None), "code", None)
    detail = f" {status}" if status is not None else f" {closed}" if closed is not None else ""
    if not isinstance(error, OSError | EOFError) and not type(error).__module__.startswith("websockets"):
        frames = traceback.extract_tb(error.__traceback__)
        detail += f" at {frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{detail}"
