"""The local Dhan server: HTTP for the API, a WebSocket for order updates, both on this machine only."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from riskguard.brokers.dhan.sandbox import routes, wire
from riskguard.brokers.dhan.sandbox.desk import Desk, RefusedByDhan
from riskguard.brokers.dhan.sandbox.exchange import Placed
from riskguard.brokers.dhan.sandbox.limits import READS, WRITES, Windows
from riskguard.brokers.dhan.sandbox.requests import Reply, Request
from riskguard.brokers.dhan.sandbox.scenario import Fault, Scenario
from riskguard.brokers.dhan.sandbox.stream import Stream
from riskguard.brokers.dhan.sandbox.table import ROUTES, Route, find
from riskguard.clock import SystemClock
from riskguard.errors import InputError, SettingsError

log = logging.getLogger("riskguard")

HOST: Final = "127.0.0.1"
BODY_MAX: Final = 1_000_000
CALLS_MAX: Final = 100_000
NAMES: Final = frozenset(route.name for route in ROUTES)


class Sandbox:
    """
    A Dhan of one account, on this machine. Use it as a context manager, or `start` and `stop` it.

    What a test arranges (`quote`, `break_next`, `reject`, `expire_token`) takes effect with the next call.
    `calls` is every request that reached it, in order: the endpoint's name and the body.
    """

    def __init__(
        self, scenario: Scenario | None = None, *, port: int = 0, stream_port: int = 0,
        now_us: Callable[[], int] | None = None,
    ) -> None:  # fmt: skip
        self.scenario = scenario or Scenario()
        for fault in self.scenario.faults:
            _check_name(fault)
        self.now_us = now_us or SystemClock().now_us
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._stream = Stream(self, stream_port)
        self.desk = Desk(self.scenario, self.now_us, self._told)
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._counts: Counter[str] = Counter()
        self._once: list[Fault] = []
        self._writes, self._reads = Windows(WRITES, self.now_us), Windows(READS, self.now_us)
        try:
            self._http = _Server((HOST, port), _handler(self))
        except OSError as e:
            raise SettingsError(
                f"port `{port}` cannot be used: {e.strerror or e}; take another with `--port`"
            ) from None
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), name="dhan-sandbox", daemon=True)

    # -- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> Sandbox:
        """Serve until `stop`."""
        self._stream.start()
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving; calls on their way are let go."""
        self._stopping.set()
        self._stream.stop()
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join(5)
        self._http.server_close()

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """What a client takes as `base_url`."""
        return f"http://{HOST}:{self._http.server_address[1]}/v2"

    @property
    def stream_url(self) -> str:
        """Where order updates are."""
        return f"ws://{HOST}:{self._stream.port}"

    # -- what a test or a person arranges -----------------------------------------------------------------------------

    def quote(self, segment: str, security_id: str, ltp: Any = None, bid: Any = None, ask: Any = None) -> None:
        """Move the market; rupees as text, int or Decimal. Raises QuoteInvalidError."""
        with self._lock:
            self.desk.quote(segment, security_id, ltp=ltp, bid=bid, ask=ask)

    def break_next(self, call: str, how: str, times: int = 1, seconds: float = 0.5) -> None:
        """Break the next calls of an endpoint, beside what the scenario breaks."""
        fault = Fault(call, how, seconds=seconds)
        _check_name(fault)
        with self._lock:
            self._once.extend([fault] * times)

    def mend(self) -> None:
        """Forget the faults of `break_next` that have not come yet."""
        with self._lock:
            self._once.clear()

    def reject(self, order_id: str, why: str) -> None:
        """Have the exchange refuse an order that was taken."""
        with self._lock:
            routes.reject(self.desk, order_id, why)

    def expire_token(self) -> None:
        """Let the present token die, as if a day had passed."""
        with self._lock:
            self.desk.token_until_us = 0

    def counted(self, call: str) -> int:
        """Return how many calls of an endpoint came in."""
        with self._lock:
            return self._counts[call]

    # -- serving ------------------------------------------------------------------------------------------------------

    def _told(self, order: Placed) -> None:
        self._stream.tell(order)

    def authorised(self, token: str) -> bool:
        with self._lock:
            return self.desk.is_token(token)

    def shape(self, order: Placed) -> dict[str, Any]:
        from riskguard.brokers.dhan.sandbox.shapes import order_alert

        return order_alert(self.desk, order)

    def answer(self, request: Request) -> tuple[Reply, Fault | None]:
        """Return the answer to a call, and how it goes wrong on its way back."""
        found = find(request.method, request.path)
        if found is None:
            return self._arranged(request), None
        route, parts = found
        request = Request(request.method, request.path, request.query, request.headers, request.body, parts)
        with self._lock:
            self._counts[route.name] += 1
            if len(self.calls) < CALLS_MAX:
                self.calls.append((route.name, request.body))
            fault = self._fault(route.name)
            if not wire.acts(fault):
                return Reply(200, []), fault
            try:
                self._admit(route, request)
                return route.handler(self.desk, request), fault
            except RefusedByDhan as e:
                return wire.refused(e), fault
            except Exception:
                log.exception("the local Dhan server stumbled over %s", route.name)
                return wire.refusal("DH-908"), fault

    def _admit(self, route: Route, request: Request) -> None:
        """Token, rates, address: in this order, and before anything is looked at."""
        if not self.desk.is_token(request.headers.get("access-token", "")):
            status, kind, message = wire.TYPES["DH-901"]
            raise RefusedByDhan(status, kind, "DH-901", message)
        windows = self._writes if route.writes else self._reads
        if self.scenario.rate_limits and not windows.take():
            status, kind, message = wire.TYPES["DH-904"]
            raise RefusedByDhan(status, kind, "DH-904", message)
        if route.writes and not self.scenario.ip_registered:
            raise RefusedByDhan(400, "Input_Exception", "DH-905", "Invalid IP")

    def _fault(self, name: str) -> Fault | None:
        for fault in self._once:
            if fault.call in (name, "*"):
                self._once.remove(fault)
                return fault
        number = self._counts[name]
        for fault in self.scenario.faults:
            if fault.call in (name, "*") and (not fault.on or number in fault.on):
                return fault
        return None

    def _arranged(self, request: Request) -> Reply:
        """What a person arranges with any HTTP client: `POST /sandbox/quote`, `/sandbox/fault`, `/sandbox/reject`."""
        body = request.body
        try:
            if (request.method, request.path) == ("POST", "/sandbox/quote"):
                prices = {name: str(body[name]) for name in ("ltp", "bid", "ask") if name in body}
                self.quote(str(body.get("segment")), str(body.get("security_id")), **prices)
                return Reply(200, {"status": "success"})
            if (request.method, request.path) == ("POST", "/sandbox/fault"):
                times = body.get("times", 1)
                if type(times) is not int or not 0 < times <= CALLS_MAX:
                    raise SettingsError("`times` wants a number from 1")
                self.break_next(str(body.get("call")), str(body.get("how")), times, float(body.get("seconds", 0.5)))
                return Reply(200, {"status": "success"})
            if (request.method, request.path) == ("POST", "/sandbox/reject"):
                self.reject(str(body.get("order_id")), str(body.get("why", "rejected by the exchange")))
                return Reply(200, {"status": "success"})
        except (InputError, TypeError, ValueError) as e:
            return Reply(400, {"errorType": "Input_Exception", "errorCode": "DH-905", "errorMessage": str(e)})
        except RefusedByDhan as e:
            return wire.refused(e)
        told = {"timestamp": "2026-09-08T10:00:00.000+00:00", "status": 404, "error": "Not Found", "path": request.path}
        return Reply(404, told)

    def send(self, handler: BaseHTTPRequestHandler, reply: Reply, fault: Fault | None) -> None:
        wire.send(handler, reply, fault, self._stopping)


def _check_name(fault: Fault) -> None:
    if fault.call != "*" and fault.call not in NAMES:
        raise SettingsError(f"fault `call` = `{fault.call[:40]}`: no such endpoint; one is `POST /orders`, `*` is each")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is nobody's business here."""


def _handler(sandbox: Sandbox) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def date_time_string(self, timestamp: float | None = None) -> str:
            """The Date of every answer: the server's own clock, which may be another than this machine's."""
            return super().date_time_string(sandbox.now_us() / 1_000_000 if timestamp is None else timestamp)

        def log_message(self, *_words: Any) -> None:
            """Nothing is logged: the headers hold a token."""

        def _serve(self) -> None:
            path, _, query = self.path.partition("?")
            path = (path.removeprefix("/v2") or "/").rstrip("/")
            try:
                length = int(self.headers.get("Content-Length") or 0)
            except ValueError:
                length = 0
            raw = self.rfile.read(min(length, BODY_MAX)) if length else b""
            body: Any = {}
            with contextlib.suppress(ValueError):
                body = json.loads(raw) if raw else {}
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Request(self.command, path, query, headers, body if isinstance(body, dict) else {})
            reply, fault = sandbox.answer(asked)
            sandbox.send(self, reply, fault)

        do_GET = do_POST = do_PUT = do_DELETE = _serve

    return Handler
