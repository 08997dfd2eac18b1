"""
What was really so, told by the broker's event log alone: positions, what rests, money.

An independent ledger: it shares no line with riskguard's own book, P&L or direction; it is plain sums over plain rows.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from riskguard.brokers.paper.events import Event

Line = tuple[str, str, str]
Key = tuple[str, str]
ENDED = ("REJECTED", "CANCELLED", "EXPIRED", "TRADED")


@dataclass
class Truth:
    """Reads on from where it stopped; `net`, `rests` and `cash_e4` are as of the last `read`."""

    connection: sqlite3.Connection
    events: list[Event] = field(default_factory=list)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    net: Counter[Line] = field(default_factory=Counter)
    cash_e4: int = 0  # sales less purchases
    last_fill_us: int = 0
    placed: Counter[str] = field(default_factory=Counter)  # by correlation id

    def read(self) -> list[Event]:
        """Take in what happened since; returns it."""
        after = self.events[-1].number if self.events else 0
        rows = self.connection.execute(
            "SELECT number, at_us, what, order_number, fields FROM events WHERE number > ? ORDER BY number", (after,)
        ).fetchall()
        fresh = [Event(n, at, what, "" if o is None else str(o), json.loads(said)) for n, at, what, o, said in rows]
        for event in fresh:
            self._take(event)
        self.events += fresh
        return fresh

    def _take(self, event: Event) -> None:
        said = event.fields
        if event.what in ("PLACED", "CHANGED"):
            if event.what == "PLACED":
                self.placed[said["correlation_id"]] += 1
            self.orders[event.order_id] = {**said, "live": said["status"] not in ENDED}
        elif event.what == "ENDED":
            self.orders[event.order_id]["live"] = False
        elif event.what == "FILLED":
            order = self.orders[event.order_id]
            signed = said["quantity"] * (1 if order["side"] == "BUY" else -1)
            self.net[(order["exchange_segment"], order["security_id"], order["product"])] += signed
            self.cash_e4 -= signed * said["price_e4"]
            order["filled"] += said["quantity"]
            order["live"] = said["status"] not in ENDED
            self.last_fill_us = event.at_us

    def held(self, key: Key) -> int:
        """Return the net of an instrument, all products together."""
        return sum(net for line, net in self.net.items() if line[:2] == key)

    def resting(self, key: Key) -> tuple[int, int]:
        """Return what live orders may still buy and sell of an instrument."""
        buys = sells = 0
        for order in self.orders.values():
            if order["live"] and (order["exchange_segment"], order["security_id"]) == key:
                left = order["quantity"] - order["filled"]
                if order["side"] == "BUY":
                    buys += left
                else:
                    sells += left
        return buys, sells

    def live_orders(self) -> list[str]:
        return [order_id for order_id, order in self.orders.items() if order["live"]]

    def worth_e4(self, marks_e4: dict[Key, int]) -> int:
        """Return profit (> 0) or loss of the day before charges: what came in, less what went out, plus what is held."""
        return self.cash_e4 + sum(net * marks_e4[line[:2]] for line, net in self.net.items())

    def reduces(self, key: Key, side: str, quantity: int) -> bool:
        """Say whether an order only takes away from what is held."""
        held = self.held(key)
        return held != 0 and (held > 0) == (side == "SELL") and quantity <= abs(held)
