"""
The postback's HTTP server: a small one, for a caller who cannot prove who it is.

It reads one POST per connection, at most 64 KiB of it, within a time that slow writing does not stretch, from at most
so many callers at once; it answers when the body is kept. What a body may do is decided elsewhere. It logs neither
path nor body: the path is a secret.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import re
import socket
import socketserver
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any, Final, Generic, Protocol, TypeVar

from riskguard.errors import SettingsError
from riskguard.ports import Clock

log = logging.getLogger("riskguard")

BODY_BYTES_MAX: Final = 65_536
HEADER_BYTES_MAX: Final = 16_384
CONNECTIONS_MAX: Final = 32
REQUEST_S_MAX: Final = 5.0
"""From the first byte we could have read to the last: slowloris sends each byte in time and never ends."""
LOOK_S: Final = 0.1
WAITING_MAX: Final = 64
LINGER_S: Final = 0.2
LINGER_READS_MAX: Final = 16
_LENGTH = re.compile(r"[0-9]{1,7}")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
D = TypeVar("D")


@dataclass(frozen=True, slots=True)
class Reply:
    """A status, its word for people, and when to come again (0: no word on that)."""

    status: int
    says: str = ""
    retry_s: int = 0


class Receiver(Protocol[D]):
    """
    Who takes what was posted. (1) `door` says in constant time whose address a path is; None: nobody's. (2) `take`
    returns when the body is kept, or says that it is not. (3) Neither raises for anything a caller can send.
    """

    def door(self, path: str) -> D | None: ...

    def take(self, door: D, headers: Mapping[str, str], body: bytes, peer: str) -> Reply: ...


class PostbackServer(Generic[D]):
    """Serves from `start` to `stop`, in threads of its own. *allow*: networks that may call; none given: all."""

    def __init__(
        self, receiver: Receiver[D], clock: Clock, *, host: str = "127.0.0.1", port: int = 0,
        allow: Sequence[Network] = (), request_s_max: float = REQUEST_S_MAX, connections_max: int = CONNECTIONS_MAX,
    ) -> None:  # fmt: skip
        """Bind the address. Raises SettingsError when it cannot be bound."""
        try:
            self._server = _Server(receiver, clock, (host, port), allow, request_s_max, connections_max)
        except (OSError, OverflowError) as e:
            raise SettingsError(f"`{host}:{port}` cannot be served: {e}; choose another host or port") from None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that is served; one was chosen when 0 was asked for."""
        return int(self._server.server_address[1])

    @property
    def refused(self) -> int:
        """How many connections were not let in: too many at once, or from elsewhere."""
        return self._server.refused

    def start(self) -> None:
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(LOOK_S,), name="riskguard-postback", daemon=True
        )
        self._thread.start()

    def stop(self, wait_s: float = 10.0) -> bool:
        """Take no more calls and end those at hand; False when that was not over in time."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join(wait_s)
        self._server.end_all()
        self._server.server_close()
        return self._thread is None or not self._thread.is_alive()

    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = WAITING_MAX

    def __init__(
        self, receiver: Receiver[Any], clock: Clock, address: tuple[str, int], allow: Sequence[Network], request_s_max: float,
        connections_max: int,
    ) -> None:  # fmt: skip
        self.receiver, self.clock, self.allow = receiver, clock, tuple(allow)
        self.request_us_max = round(request_s_max * 1_000_000)
        self.request_s_max = request_s_max
        self.connections_max = connections_max
        self.refused = 0
        self._open: dict[socket.socket, int] = {}
        self._lock = threading.Lock()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Let a connection in, and give it its time; one that is not let in is closed without a word."""
        with self._lock:
            if len(self._open) >= self.connections_max or not self._may_call(client_address[0]):
                self.refused += 1
                return False
            self._open[request] = self.clock.elapsed_us() + self.request_us_max
            return True

    def _may_call(self, peer: str) -> bool:
        if not self.allow:
            return True
        address: Any = ipaddress.ip_address(peer.partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self.allow)

    def service_actions(self) -> None:
        """End what has had its time; called several times a second by the accepting thread."""
        now_us = self.clock.elapsed_us()
        with self._lock:
            late = [each for each, until_us in self._open.items() if now_us > until_us]
        for each in late:
            _hang_up(each)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def end_all(self) -> None:
        with self._lock:
            standing = list(self._open)
        for each in standing:
            _hang_up(each)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hung up is no news; anything else is ours to mend, without what it sent."""
        import sys

        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            log.error("a posted request broke: %s", type(error).__name__)


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)  # wakes whoever reads from it


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    error_message_format = "%(code)d\n"
    error_content_type = "text/plain"
    wbufsize = -1  # one write for an answer, not one for each header

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.request_s_max)
        self._head = _Bounded(self.rfile)
        self.rfile = self._head  # type: ignore[assignment]
        self._is_read = False

    def finish(self) -> None:
        """Let the answer arrive: a connection that is closed over unread bytes takes it back."""
        with contextlib.suppress(OSError):
            if not self._is_read and not self.wfile.closed:
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_WR)
                self.connection.settimeout(LINGER_S)
                for _ in range(LINGER_READS_MAX):
                    if not self.connection.recv(BODY_BYTES_MAX):
                        break
        super().finish()

    def version_string(self) -> str:
        return "riskguard"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what would be logged holds the path."""

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        if self.command != "POST":
            # Here, so that methods nobody thought of are no other case.
            self._answer(Reply(405, "only POST"), allow=True)
            return False
        return True

    def do_POST(self) -> None:
        door = self.server.receiver.door(self.path)
        if door is None:
            return self._answer(Reply(404, "not here"))
        length = self._length()
        if isinstance(length, Reply):
            return self._answer(length)
        if self._head.is_full:
            return self._answer(Reply(431, f"at most {HEADER_BYTES_MAX} bytes of headers"))
        self._head.more(length)
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
            self.wfile.flush()
        body = self.rfile.read(length)
        if len(body) < length:
            return self._answer(Reply(408, "the body did not come"))
        self._is_read = True
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._answer(self.server.receiver.take(door, headers, body, self.client_address[0]))

    def _length(self) -> int | Reply:
        """Return how long the body says it is, or why it is not read; before a byte of it is."""
        if self.headers.get("Transfer-Encoding") is not None:
            return Reply(411, "a Content-Length is wanted, not chunks")
        given = self.headers.get_all("Content-Length") or []
        if not given:
            return Reply(411, "a Content-Length is wanted")
        if len(set(given)) > 1 or not _LENGTH.fullmatch(given[0].strip()):
            return Reply(400, "Content-Length is no length")
        length = int(given[0])
        return length if length <= BODY_BYTES_MAX else Reply(413, f"at most {BODY_BYTES_MAX} bytes")

    def _answer(self, reply: Reply, *, allow: bool = False) -> None:
        self.close_connection = True
        body = f"{reply.says}\n".encode() if reply.says else b""
        self.send_response(reply.status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        if allow:
            self.send_header("Allow", "POST")
        if reply.retry_s:
            self.send_header("Retry-After", str(reply.retry_s))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _Bounded:
    """What is read of a request, up to a number of bytes: endless headers are not held in memory."""

    def __init__(self, inner: Any) -> None:
        self._inner, self._left = inner, HEADER_BYTES_MAX

    @property
    def is_full(self) -> bool:
        return self._left <= 0

    def more(self, length: int) -> None:
        """Let *length* bytes more be read: the headers are over."""
        self._left = length

    def readline(self, limit: int = -1) -> bytes:
        most = self._left if limit < 0 else min(limit, self._left)
        line: bytes = self._inner.readline(most)
        self._left -= len(line)
        return line

    def read(self, length: int) -> bytes:
        found: bytes = self._inner.read(min(length, self._left))
        self._left -= len(found)
        return found

    def close(self) -> None:
        self._inner.close()

    @property
    def closed(self) -> bool:
        return bool(self._inner.closed)
