"""
The way to Dhan: the official client's methods, on connections of our own.

`dhanhq` knows the paths, verbs and keys; everything below it is ours, because its own transport turns every error
into a dictionary, waits for 60 seconds, and logs. Each call takes an idle connection or makes one, so that no
thread ever waits behind another: an emergency least of all.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Final, NoReturn, Protocol
from urllib.parse import urlsplit

from riskguard.brokers.dhan.attempt import Attempt, Deadline, session_class
from riskguard.clock import SystemClock
from riskguard.errors import (
    BrokerUnavailableError,
    BrokerUnconfirmedError,
    ExtraMissingError,
    SecretError,
    SettingsError,
    StoreError,
)
from riskguard.redaction import redacted, remember

LIVE_URL: Final = "https://api.dhan.co/v2"
HOSTS: Final = frozenset({"api.dhan.co", "sandbox.dhan.co"})
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
IDLE_MAX: Final = 4
IN_DOUBT: Final = {True: "what came of it is unknown: read it back", False: "nothing is known from it: read again"}
"""What is left to do after an answer that settles nothing: of a write, and of a read."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """
    Seconds. `call_s` bounds one request whatever the server does; `operation_s` a read with its repetitions, or a
    cancellation with its reading back.
    """

    connect_s: float = 2.0
    read_s: float = 3.0
    call_s: float = 5.0
    operation_s: float = 8.0
    read_attempts: int = 3


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who asks. The token shows in no repr."""

    client_id: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, as it came."""

    status: int
    body: bytes = field(repr=False)
    date: str = ""
    """When the server says it answered, as HTTP writes it; "" where it does not."""


class Meter(Protocol):
    """Counts requests: `leaves` before each, `answered` after a read."""

    def leaves(self, *, writes: bool) -> None: ...

    def answered(self) -> None: ...


def checked_url(url: str) -> str:
    """
    Return *url* without its last slash; raises SettingsError.

    A token goes to Dhan's own hosts, or to a server on this machine, and nowhere else.
    """
    parts = urlsplit(url)
    try:
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    ours = parts.scheme == "https" and host in HOSTS
    local = parts.scheme in ("http", "https") and host in LOOPBACK
    if not (ours or local) or parts.username is not None or parts.query or parts.fragment:
        raise SettingsError(
            f"base URL `{redacted(url)[:80]}`: wants `{LIVE_URL}`, `https://sandbox.dhan.co/v2` or a server on this machine"
        )
    return url.rstrip("/")


class Wire:
    """Connections to one base URL for one account. Threads share it; a forked child starts with none."""

    def __init__(
        self,
        credentials: Callable[[], Credentials],
        base_url: str = LIVE_URL,
        timeouts: Timeouts | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.base_url = checked_url(base_url)
        self.timeouts = timeouts or Timeouts()
        self._credentials, self._meter = credentials, meter
        self._start_over()
        # Now: what it imports takes longer than an order may wait once it is marked as sent.
        self._idle.append(_Line(self))

    def _start_over(self) -> None:
        self._pid = os.getpid()
        self._mutex = threading.Lock()
        self._idle: list[_Line] = []
        self._told: Credentials | None = None
        # The server's time in microseconds, whole seconds, and our elapsed time when it came; for whoever asks of clocks.
        self.heard_at: tuple[int, int] | None = None

    def call(
        self,
        what: str,
        use: Callable[[Any], Answer],
        *,
        writes: bool,
        deadline: Deadline | None = None,
        before: Callable[[], None] | None = None,
    ) -> Answer:
        """
        Send one request with a method of `dhanhq` and return the answer, whatever it says.

        Args:
            what: Names the call in errors. use: Given the client, calls one method of it.
            before: Called when a connection stands, right before the first byte; what it raises is raised here.

        Raises:
            BrokerUnavailableError: It never left. BrokerUnconfirmedError: It left, and no whole answer came.
        """
        if self._pid != os.getpid():
            self._start_over()  # the parent's connections are the parent's
        whole = Deadline(min(self.timeouts.call_s, deadline.left_s() if deadline else self.timeouts.call_s))
        if whole.seconds <= 0:
            raise BrokerUnavailableError(f"`{what}` was not sent: its time was up")
        known = self._known(what)
        with self._mutex:
            line = self._idle.pop() if self._idle else None
        if line is None:
            line = _Line(self)
        line.credentials = known
        attempt = Attempt(before)
        if self._meter is not None:
            self._meter.leaves(writes=writes)
        answer, error, in_time = attempt.run(lambda: use(line.client), whole)
        if not in_time or error is not None:
            line.close()
            self._failed(what, attempt, error, whole, writes)
        with self._mutex:
            keep = len(self._idle) < IDLE_MAX
            if keep:
                self._idle.append(line)
        if not keep:
            line.close()
        if self._meter is not None and not writes:
            self._meter.answered()
        if not isinstance(answer, Answer):
            raise BrokerUnconfirmedError(f"`{what}`: the client returned no answer of the server")
        self._hear(answer.date)
        return answer

    def _hear(self, date: str) -> None:
        try:
            server_us = round(parsedate_to_datetime(date).timestamp()) * 1_000_000
        except (ValueError, TypeError, OverflowError):
            return  # it tells no time, or none that can be read
        self.heard_at = server_us, SystemClock().elapsed_us()

    def client_id(self) -> str:
        """Return whose account it is, as the last request had it; raises BrokerUnavailableError before the first."""
        told = self._told
        return (told if told is not None else self._known("client id")).client_id

    def _known(self, what: str) -> Credentials:
        try:
            known = self._credentials()
        except (SecretError, SettingsError, StoreError) as e:
            raise BrokerUnavailableError(f"`{what}` was not sent: {e}") from e
        if known != self._told:
            remember(known.token)
            self._told = known
        return known

    def _failed(
        self, what: str, attempt: Attempt, error: Exception | None, whole: Deadline, writes: bool
    ) -> NoReturn:  # fmt: skip
        if attempt.held_by is not None:
            raise attempt.held_by
        # Only its kind: the text of a network error may hold addresses and headers.
        why = f"no answer within {whole.seconds:.1f} s" if error is None else _kind(error)
        if not attempt.left:
            raise BrokerUnavailableError(f"`{what}` never left ({why}): look at the network") from None
        raise BrokerUnconfirmedError(f"`{what}`: {why}; {IN_DOUBT[writes]}") from None

    def close(self) -> None:
        """Close the idle connections; the next call makes new ones."""
        with self._mutex:
            gone, self._idle = self._idle, []
        for line in gone:
            line.close()


def _kind(error: Exception) -> str:
    """Return what went wrong in a word or two: the innermost reason."""
    seen: BaseException = error
    for _ in range(8):
        inner = getattr(seen, "reason", None)
        inner = inner if isinstance(inner, BaseException) else seen.__cause__ or seen.__context__
        if inner is None:
            break
        seen = inner
    return type(seen).__name__


class _Line:
    """One connection, and what `dhanhq` takes for its own transport: `get`, `post`, `put`, `delete`."""

    def __init__(self, wire: Wire) -> None:
        try:
            from dhanhq import dhanhq
        except ImportError:
            raise ExtraMissingError("dhan", "dhanhq", "accounts at Dhan") from None
        self._url, self._timeouts = wire.base_url, (wire.timeouts.connect_s, wire.timeouts.read_s)
        self._session = session_class()()
        # What is on this machine is reached directly: a proxy of the environment would be told the token.
        self._session.trust_env = urlsplit(wire.base_url).hostname not in LOOPBACK
        self.credentials = Credentials("", "")
        self.client: Any = dhanhq(self)

    def get_dhan_http(self) -> _Line:
        """What `dhanhq` asks its context for."""
        return self

    def get(self, endpoint: str) -> Answer:
        return self._send("GET", endpoint, None)

    def post(self, endpoint: str, payload: dict[str, Any]) -> Answer:
        return self._send("POST", endpoint, payload)

    def put(self, endpoint: str, payload: dict[str, Any]) -> Answer:
        return self._send("PUT", endpoint, payload)

    def delete(self, endpoint: str) -> Answer:
        return self._send("DELETE", endpoint, None)

    def _send(self, method: str, endpoint: str, payload: dict[str, Any] | None) -> Answer:
        known, data = self.credentials, None
        if payload:
            # What does not apply is left out: an empty text is refused, and a null means nothing.
            kept = {name: value for name, value in payload.items() if value is not None and value != ""}
            data = json.dumps({**kept, "dhanClientId": known.client_id}, allow_nan=False)
        headers = {
            "access-token": known.token, "client-id": known.client_id, "Content-Type": "application/json",
            "Accept": "application/json", "User-Agent": "riskguard",
        }  # fmt: skip
        url = self._url + (endpoint if "?" in endpoint else endpoint.rstrip("/"))
        answer = self._session.request(
            method, url, data=data, headers=headers, timeout=self._timeouts, allow_redirects=False
        )
        return Answer(int(answer.status_code), bytes(answer.content), str(answer.headers.get("Date", "")))

    def close(self) -> None:
        self._session.close()
