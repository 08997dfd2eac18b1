"""The order updates of the local Dhan server: one login message, then every change of every order."""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import socket
import struct
import threading
from typing import TYPE_CHECKING, Any, Final

from riskguard.errors import ExtraMissingError

if TYPE_CHECKING:
    from riskguard.brokers.dhan.sandbox.exchange import Placed
    from riskguard.brokers.dhan.sandbox.server import Sandbox

CONNECTIONS_MAX: Final = 5
LOGIN_WAIT_S: Final = 10.0
WAITING_MAX: Final = 10_000


class Stream:
    """Serves the stream on a thread of its own; a sixth connection pushes out the oldest, as the service does."""

    def __init__(self, sandbox: Sandbox, port: int) -> None:
        self._sandbox, self._asked_port = sandbox, port
        self._server: Any = None
        self._lock = threading.Lock()
        self._open: list[tuple[Any, queue.Queue[str | None]]] = []

    @property
    def port(self) -> int:
        return int(self._server.socket.getsockname()[1]) if self._server is not None else self._asked_port

    def start(self) -> None:
        try:
            from websockets.sync.server import serve
        except ImportError:
            raise ExtraMissingError("dhan", "websockets", "order updates") from None
        self._server = serve(self._talk, "127.0.0.1", self._asked_port, logger=_quiet())
        threading.Thread(target=self._server.serve_forever, name="dhan-sandbox-stream", daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self.drop()
            with contextlib.suppress(Exception):
                self._server.shutdown()

    def drop(self) -> None:
        """Cut every connection, as a restart of the service would."""
        with self._lock:
            gone, self._open = self._open, []
        for connection, waiting in gone:
            waiting.put(None)
            with contextlib.suppress(Exception):
                connection.close()

    def tell(self, order: Placed) -> None:
        """Send the order as it stands to whoever listens; never waits."""
        with self._lock:
            listening = list(self._open)
        if not listening:
            return
        text = json.dumps(self._sandbox.shape(order))
        for _, waiting in listening:
            with contextlib.suppress(queue.Full):
                waiting.put_nowait(text)

    def say(self, text: str) -> None:
        """Send any text to whoever listens: a message of another type, a broken one, one sent twice."""
        with self._lock:
            listening = list(self._open)
        for _, waiting in listening:
            with contextlib.suppress(queue.Full):
                waiting.put_nowait(text)

    @property
    def listeners(self) -> int:
        with self._lock:
            return len(self._open)

    def _talk(self, connection: Any) -> None:
        try:
            login = json.loads(connection.recv(timeout=LOGIN_WAIT_S))["LoginReq"]
            known = login["ClientId"] == self._sandbox.scenario.client_id and self._sandbox.authorised(login["Token"])
        except Exception:
            known = False
        if not known:
            return _cut(connection)  # no close frame: that is how a bad token looks
        waiting: queue.Queue[str | None] = queue.Queue(WAITING_MAX)
        with self._lock:
            self._open.append((connection, waiting))
            pushed = self._open.pop(0) if len(self._open) > CONNECTIONS_MAX else None
        if pushed is not None:
            pushed[1].put(None)
        with contextlib.suppress(Exception):
            while (text := waiting.get()) is not None:
                connection.send(text)
        with self._lock:
            self._open = [each for each in self._open if each[0] is not connection]
        return None


def _quiet() -> logging.Logger:
    """Return a logger that writes no frames: the first one holds the token."""
    made = logging.getLogger("riskguard.sandbox.frames")
    made.setLevel(logging.CRITICAL)
    return made


def _cut(connection: Any) -> None:
    with contextlib.suppress(OSError):
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.socket.shutdown(socket.SHUT_RDWR)
