"""Feeds for tests: a day's messages and lists in the broker's shapes, told to a real desk through the real inbox."""

from __future__ import annotations

import json
from typing import Any

from riskguard.core.money import to_decimal
from riskguard.core.seen import SeenTrade
from riskguard.services.feeds.intake import Intake
from riskguard.services.feeds.rereads import Rereads
from riskguard.services.feeds.stream import StreamInbox
from riskguard.services.sweeps.reconciler import take_fill
from riskguard.store import inbox
from tests.services.desk import ACCOUNT, Desk

DATE = "2025-06-02"
CLIENT = "1100099001"


class Feed:
    """One account's stream and webhook, without the network: what they keep and what is made of it."""

    def __init__(self, desk: Desk, account: str = ACCOUNT) -> None:
        self.desk, self.account = desk, account
        self.asked: list[tuple[str, str]] = []
        self.rereads = Rereads(lambda name, why: self.asked.append((name, why)), desk.clock, every_us=0)
        self.intake = Intake(desk.guard, self.rereads)
        self.stream = StreamInbox(desk.guard, account, "test-line", "wss://stream.example", self.intake, self.rereads)

    def tell(self, *bodies: str) -> None:
        """Let the stream say *bodies*, and make of each what it says."""
        for body in bodies:
            self.stream.message(body, CLIENT)
            self.intake.drain(waiting=True)

    def post(self, body: str, *, verified: bool = False) -> None:
        """Keep a posted body as the webhook does, and make of it what it may."""
        with self.desk.store.session() as session:
            inbox.keep_postback(
                session, self.account, body, self.desk.clock.now_us(), event_type="order", order_id="", verified=verified,
                signature=None,
            )  # fmt: skip
        self.intake.drain(waiting=True)

    def list_trade(self, trade: SeenTrade) -> None:
        """Let the trade list show one fill, as a sweep takes it over."""
        with self.desk.store.session() as session:
            session.read_heads(self.account)
            take_fill(session, self.account, DATE, trade, self.desk.clock.now_us())

    def book(self) -> list[tuple[Any, ...]]:
        """Return the book's sums; the time of the newest fill may differ by who told it."""
        return self.desk.rows(
            "SELECT exchange_segment, security_id, product, filled_quantity, bought, sold, buy_value_e4, sell_value_e4, fills"
            " FROM day_books WHERE fills > 0 ORDER BY 1, 2, 3"
        )


def update(order_id: str = "B1", status: str = "Pending", **changes: Any) -> str:
    """A message of the stream about 10 of the share at 100, intraday; `average` in rupees; None leaves a key out."""
    fields: dict[str, Any] = {
        "exchange": "NSE", "segment": "E", "securityId": "1333", "clientId": CLIENT, "orderNo": order_id, "product": "I",
        "txnType": "B", "orderType": "LMT", "validity": "DAY", "quantity": 10, "tradedQty": 0, "price": 100,
        "triggerPrice": 0, "avgTradedPrice": 0, "legNo": 1, "algoOrdNo": "", "status": status, "correlationId": "NA",
        "lastUpdatedTime": "2025-06-02 10:30:00",
    }  # fmt: skip
    fields.update(changes)
    return json.dumps({"Type": "order_alert", "Data": {k: v for k, v in fields.items() if v is not None}})


def posting(order_id: str = "B1", status: str = "PENDING", **changes: Any) -> str:
    """The body of a postback about the same order."""
    fields: dict[str, Any] = {
        "dhanClientId": CLIENT, "orderId": order_id, "correlationId": None, "orderStatus": status, "transactionType": "BUY",
        "exchangeSegment": "NSE_EQ", "productType": "INTRADAY", "orderType": "LIMIT", "validity": "DAY",
        "securityId": "1333", "quantity": 10, "price": 100.0, "triggerPrice": 0.0, "filled_qty": 0,
        "updateTime": "2025-06-02 10:30:00",
    }  # fmt: skip
    return json.dumps({**fields, **changes})


def rupees(e4: int) -> str:
    return str(to_decimal(e4))
