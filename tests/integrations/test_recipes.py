"""The recipes of docs/how-to/existing-programs.md, run as they stand there."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from riskguard import OrderRefusedError
from tests.core.tables import Row, table
from tests.services.desk import Desk

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "existing-programs.md"


def recipe(name: str) -> str:
    """Return the code of the page's one fence of that name."""
    (code,) = re.findall(rf"```python {name}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    return str(code)


class OpenAlgo(HTTPServer):
    """The part of openalgo a strategy talks to: it takes an order, says no, or breaks."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.how, self.orders = "taken", list[dict[str, Any]]()


class _Handler(BaseHTTPRequestHandler):
    server: OpenAlgo

    def do_POST(self) -> None:
        self.server.orders.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        answer = {
            "taken": (200, json.dumps({"status": "success", "orderid": "250408000989443"})),
            "refused": (200, json.dumps({"status": "error", "message": "no margin"})),
            "broken": (200, "<html>"),
            "failing": (502, "bad gateway"),
        }[self.server.how]
        body = answer[1].encode()
        self.send_response(answer[0])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: Any) -> None:
        """Its lines hold the key."""


@pytest.fixture
def openalgo() -> Iterator[OpenAlgo]:
    server = OpenAlgo()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


OUTCOMES = table("""
    how      state    raises
    taken    ACKED    no
    refused  REFUSED  yes
    broken   UNKNOWN  no
    failing  UNKNOWN  no
""")


@pytest.mark.parametrize("row", OUTCOMES, ids=str)
def test_the_openalgo_recipe(desk: Desk, openalgo: OpenAlgo, row: Row) -> None:
    """The real openalgo client: asked first, its answer read for what it proves, refused when halted."""
    names: dict[str, Any] = {
        "guard": desk.guard, "key": "a-key", "host": f"http://127.0.0.1:{openalgo.server_address[1]}",
    }  # fmt: skip
    exec(recipe("openalgo"), names)
    order = {
        "strategy": "dip", "symbol": "HDFCBANK", "action": "BUY", "exchange": "NSE", "price_type": "LIMIT",
        "product": "MIS", "quantity": 10, "price": "90",
    }  # fmt: skip
    openalgo.how = row.how
    if row.has("raises"):
        with pytest.raises(Exception, match="no margin"):
            names["placeorder"](**order)
    else:
        names["placeorder"](**order)
    assert desk.rows("SELECT strategy, quantity, state FROM permits") == [("dip", 10, row.state)]
    assert len(openalgo.orders) == 1

    desk.kill()
    with pytest.raises(OrderRefusedError, match="TRADING_HALTED"):
        names["placeorder"](**order)
    assert len(openalgo.orders) == 1


def test_the_nautilus_recipe(desk: Desk) -> None:
    """Where NautilusTrader is installed: a backtest whose strategy is asked first; halted, no order reaches the venue."""
    pytest.importorskip("nautilus_trader", reason="NautilusTrader is not installed here: it pins another pandas")
    from tests.integrations.nautilus_backtest import traded

    names: dict[str, Any] = {}
    exec(recipe("nautilus"), names)
    assert traded(names["GuardedStrategy"], desk.guard) == (1, 0)
    assert desk.rows("SELECT state FROM permits") == [("ACKED",)]
    desk.kill()
    assert traded(names["GuardedStrategy"], desk.guard) == (0, 1)
