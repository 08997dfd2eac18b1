"""
A server on this machine that speaks Dhan's market feed: the binary stream, and the quotes that are asked for.

Packets are packed here by the documented layout, with code of the server's own. It sends what a test tells it, notes what
clients want, and can go away and come back on the same port.
"""

from __future__ import annotations

import contextlib
import json
import logging
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

_silent = logging.getLogger("tests.feeds.market_server")
_silent.disabled = True  # a server sees the token; what is tried is that the client says nothing of it

CODES = {
    "IDX_I": 0,
    "NSE_EQ": 1,
    "NSE_FNO": 2,
    "NSE_CURRENCY": 3,
    "BSE_EQ": 4,
    "MCX_COMM": 5,
    "BSE_CURRENCY": 7,
    "BSE_FNO": 8,
}
IST_S = 19_800
TOKEN = "a-token-of-nobody-1000000001"
CLIENT = "1000000001"


def header(code: int, size: int, segment: str, security: str | int) -> bytes:
    return struct.pack("<BHBi", code, size, CODES[segment], int(security))


def ticker(segment: str, security: str, price: float, at_s: float) -> bytes:
    """A last price and its time, stamped as Dhan stamps: India's clock as if it were UTC."""
    return header(2, 16, segment, security) + struct.pack("<fI", price, int(at_s) + IST_S)


def quote(segment: str, security: str, price: float, at_s: float) -> bytes:
    body = struct.pack("<fHIfIIIffff", price, 10, int(at_s) + IST_S, price, 1000, 500, 400, price, price, price, price)
    return header(4, 50, segment, security) + body


def full(segment: str, security: str, price: float, bid: float, ask: float, at_s: float) -> bytes:
    """Last price, book of five levels, and the day's figures."""
    body = struct.pack(
        "<fHIfIIIIIIffff", price, 10, int(at_s) + IST_S, price, 1000, 500, 400, 7, 8, 9, price, price, price, price
    )
    levels = b"".join(struct.pack("<IIHHff", 10, 20, 1, 2, bid - n / 20, ask + n / 20) for n in range(5))
    return header(8, 162, segment, security) + body + levels


def previous_close(segment: str, security: str, price: float) -> bytes:
    return header(6, 16, segment, security) + struct.pack("<fI", price, 0)


def open_interest(segment: str, security: str) -> bytes:
    return header(5, 12, segment, security) + struct.pack("<I", 4711)


def status() -> bytes:
    return header(7, 8, "IDX_I", "0")


def disconnection(code: int) -> bytes:
    return header(50, 10, "IDX_I", "0") + struct.pack("<H", code)


class StreamServer:
    """The stream. `wanted` holds what the present client is subscribed to, by request code."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.queries: list[dict[str, list[str]]] = []
        self.batches: list[int] = []
        self.wanted: dict[int, set[tuple[str, str]]] = {}
        self.left_politely = 0
        self.greeting: list[bytes] = []
        self._client: ServerConnection | None = None
        self._server: Server | None = None
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._server = serve(self._serve, "127.0.0.1", self.port, ping_interval=None, logger=_silent)
        self.port = self._server.socket.getsockname()[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Go away: no new connection, and the present one is torn."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None
        self.tear()

    def tear(self) -> None:
        """Cut the line without a word."""
        with self._lock:
            client = self._client
        if client is not None:
            with contextlib.suppress(OSError):
                client.socket.shutdown(2)

    def send(self, *packets: bytes) -> None:
        """Send one frame with all of *packets*."""
        with self._lock:
            client = self._client
        if client is not None:
            with contextlib.suppress(ConnectionClosed):
                client.send(b"".join(packets))

    def all_wanted(self) -> set[tuple[str, str]]:
        with self._lock:
            return set().union(*self.wanted.values()) if self.wanted else set()

    def _serve(self, client: ServerConnection) -> None:
        assert client.request is not None
        with self._lock:
            self.connections += 1
            self.queries.append(parse_qs(urlsplit(client.request.path).query))
            self.wanted = {}
            self._client = client
        for each in self.greeting:
            client.send(each)
        with contextlib.suppress(ConnectionClosed, OSError):
            for message in client:
                self._hear(json.loads(message))

    def _hear(self, message: dict[str, Any]) -> None:
        code = message["RequestCode"]
        with self._lock:
            if code == 12:
                self.left_politely += 1
                return
            keys = {(each["ExchangeSegment"], each["SecurityId"]) for each in message["InstrumentList"]}
            assert message["InstrumentCount"] == len(message["InstrumentList"]) == len(keys) <= 100
            self.batches.append(len(keys))
            if code in (15, 17, 21):
                self.wanted.setdefault(code, set()).update(keys)
            else:
                self.wanted[code - 1] -= keys


class QuoteServer:
    """Answers `POST /v2/marketfeed/quote` with what `answers` says of each instrument, or with `instead`."""

    def __init__(self) -> None:
        self.asked: list[dict[str, list[int]]] = []
        self.headers: list[dict[str, str]] = []
        self.answers: dict[tuple[str, str], dict[str, Any]] = {}
        self.instead: tuple[int, bytes] | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append(body)
                outer.headers.append({name.lower(): value for name, value in self.headers.items()})
                number, content = outer.answer(self.path, body)
                self.send_response(number)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Silent: pytest shows what matters."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v2"

    def answer(self, path: str, asked: dict[str, list[int]]) -> tuple[int, bytes]:
        if self.instead is not None:
            return self.instead
        if path != "/v2/marketfeed/quote":
            return 404, b'{"status": 404, "path": "unknown"}'
        data: dict[str, dict[str, Any]] = {}
        for segment, ids in asked.items():
            for number in ids:
                found = self.answers.get((segment, str(number)))
                if found is not None:
                    data.setdefault(segment, {})[str(number)] = found
        return 200, json.dumps({"data": data, "status": "success"}).encode()

    def show(self, key: tuple[str, str], price: float, bid: float, ask: float, traded: str = "", **more: Any) -> None:
        self.answers[key] = {
            "last_price": price, "last_trade_time": traded,
            "depth": {"buy": [{"quantity": 1, "orders": 1, "price": bid}], "sell": [{"quantity": 1, "orders": 1, "price": ask}]},
            **more,
        }  # fmt: skip

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def running() -> Iterator[tuple[StreamServer, QuoteServer]]:
    """Both servers, up."""
    stream, quotes = StreamServer(), QuoteServer()
    stream.start()
    try:
        yield stream, quotes
    finally:
        stream.stop()
        quotes.stop()
