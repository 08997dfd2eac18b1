"""A real WebSocket server that speaks as the broker's order-update stream does, told by the test what to do."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

logging.getLogger("websockets.server").setLevel(logging.CRITICAL)
PATIENCE_S = 30.0
TOKEN = "tok-3n-nobody-may-see-0123456789"


class StreamServer:
    """`lines` are the connections that logged in, `logins` what they sent; `refuse` ends them right after it."""

    def __init__(self) -> None:
        self.lines: list[ServerConnection] = []
        self.logins: list[dict[str, Any]] = []
        self.refuse = threading.Event()
        self._server = serve(self._handle, "127.0.0.1", 0, ping_interval=None)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}"

    def _handle(self, line: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed, OSError):
            self.logins.append(json.loads(line.recv(timeout=PATIENCE_S)))
            if self.refuse.is_set():
                line.socket.close()  # without a close frame, as the broker does
                return
            self.lines.append(line)
            for _ in line:
                pass

    def say(self, *bodies: str | bytes) -> None:
        """Send to the newest connection, once there is one."""
        until(lambda: self.lines, "a connection")
        for body in bodies:
            self.lines[-1].send(body)

    def cut(self) -> None:
        """End the newest connection without a word."""
        self.lines[-1].socket.shutdown(2)

    def close(self) -> None:
        self._server.shutdown()
        for each in self.lines:
            with contextlib.suppress(Exception):
                each.socket.close()
        self._thread.join(PATIENCE_S)


def until(holds: Callable[[], object], what: str = "it") -> None:
    """Wait for another thread; fails the test when it does not come."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.005)
