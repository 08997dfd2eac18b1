"""What the tests of alerts share: channels that are real programs and a real HTTP receiver, and a dispatcher on a desk."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from riskguard.services.alerts import channels
from riskguard.services.alerts.dispatcher import Dispatcher
from riskguard.store.database import Database
from tests.services.desk import Desk, eventually

PATIENCE_S = 60.0

WRITER = """
import json, os, sys
given = json.load(sys.stdin)
with open(sys.argv[1], "a") as file:
    file.write(json.dumps({**given, "environment": sorted(os.environ)}) + "\\n")
"""
HUNG = "import time, sys; open(sys.argv[1], 'a').write('began\\n'); time.sleep(600)"
FAILING = "import sys; print('no line to the pager'); sys.exit(7)"


def program(code: str, *words: object) -> list[str]:
    """A command that runs Python code in a process of its own, without the start-up of site packages."""
    return [sys.executable, "-I", "-S", "-c", code, *map(str, words)]


def lines(path: Path) -> list[Any]:
    """What a writer has been given, in order."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def add(desk: Desk, name: str, **how: Any) -> None:
    """Add a channel to a desk's database."""
    with Database(desk.url, clock=desk.clock) as database:
        channels.add(database, name, **how)


@contextlib.contextmanager
def dispatching(desk: Desk, **how: Any) -> Iterator[Dispatcher]:
    """A dispatcher that ticks when told to; `rounds` until nothing is at work."""
    made = Dispatcher(desk.url, clock=desk.clock, **how)
    try:
        yield made
    finally:
        made.stop()


def rounds(made: Dispatcher) -> None:
    """Tick and let the workers end."""
    made.tick()
    assert made.wait(PATIENCE_S)


class Receiver:
    """A local HTTP server that keeps what is posted to it; it may fail, or never answer."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.status = 200
        self.hangs = False
        self.released = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.got.append((self.path, json.loads(body)))
                if outer.hangs:
                    outer.released.wait(PATIENCE_S)
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path: str) -> str:
        return f"json://127.0.0.1:{self.server.server_address[1]}/{path}"

    def close(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


__all__ = ["FAILING", "HUNG", "PATIENCE_S", "WRITER", "Receiver", "add", "dispatching", "eventually", "lines", "program",
           "rounds"]  # fmt: skip
