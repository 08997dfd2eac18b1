"""
The local Dhan server for tests: the one people run with `riskguard sandbox`, with a clock a test sets and a broker
on the real client beside it.
"""

from __future__ import annotations

from typing import Any

from riskguard.brokers.dhan import Credentials, DhanBroker, Timeouts
from riskguard.brokers.dhan.sandbox import Sandbox, Scenario
from riskguard.core.order import Order
from riskguard.core.seen import SeenOrder
from riskguard.errors import PermitNotSendableError

START_US = 1_790_049_257 * 1_000_000  # 2026-09-22 09:04:17 in India
SHARE = ("NSE_EQ", "1333")
OPTION = ("NSE_FNO", "52211")

PATIENT = Timeouts(connect_s=10, read_s=20, call_s=30, operation_s=60, read_attempts=3)
"""For what must come: the machine may be busy, and a test must not fail for it."""
ONCE = Timeouts(connect_s=10, read_s=20, call_s=30, operation_s=60, read_attempts=1)
"""For what is asked once, and must be judged by what came."""
HASTY = Timeouts(connect_s=5, read_s=0.4, call_s=0.8, operation_s=20, read_attempts=1)
"""For what must not come: what is waited for takes a hundred times as long."""


class Clock:
    """Time at the server; the test moves it."""

    def __init__(self) -> None:
        self.us = START_US

    def __call__(self) -> int:
        return self.us

    def pass_s(self, seconds: float) -> None:
        self.us += round(seconds * 1_000_000)


class Approved:
    """What the adapter is handed; `begin` is counted, and can refuse."""

    def __init__(self, order: Order, correlation_id: str, modifies: str | None = None, refuses: bool = False) -> None:
        self.order, self.correlation_id, self.modifies = order, correlation_id, modifies
        self.refuses, self.begun = refuses, 0

    def begin(self) -> None:
        self.begun += 1
        if self.refuses or self.begun > 1:
            raise PermitNotSendableError(self.correlation_id, "begun before, or too late")


class World:
    """A server, its clock, a broker on the real client, and short words for what a test does."""

    def __init__(self, timeouts: Timeouts = PATIENT, **scenario: Any) -> None:
        self.clock, self.asked = Clock(), 0
        self.server = Sandbox(Scenario(**{"rate_limits": False, **scenario}), now_us=self.clock).start()
        self.token = self.server.scenario.token
        self.broker = self.broker_with(timeouts)

    def broker_with(self, timeouts: Timeouts = PATIENT, **options: Any) -> DhanBroker:
        return DhanBroker(self.credentials, account="leader", base_url=self.server.url, timeouts=timeouts, **options)

    def credentials(self) -> Credentials:
        return Credentials(self.server.scenario.client_id, self.token)

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_error: object) -> None:
        self.broker.close()
        self.server.stop()

    def order(self, text: str = "BUY 10 MARKET - -", instrument: tuple[str, str] = SHARE, **changes: Any) -> Order:
        """`BUY 10 LIMIT 100 -`: side, quantity, type, price, trigger; of the share, intraday."""
        side, quantity, kind, price, trigger = text.split()
        given = {
            "account": "leader", "exchange_segment": instrument[0], "security_id": instrument[1], "side": side,
            "product": "INTRADAY", "order_type": kind, "quantity": int(quantity),
            "price": None if price == "-" else price, "trigger_price": None if trigger == "-" else trigger,
        }  # fmt: skip
        return Order(**{**given, **changes})

    def approved(self, text: str = "BUY 10 MARKET - -", **changes: Any) -> Approved:
        self.asked += 1
        return Approved(self.order(text, **changes), f"rg{self.asked:05d}")

    def place(self, text: str = "BUY 10 MARKET - -", **changes: Any) -> str:
        return self.broker.place(self.approved(text, **changes))

    def quote(self, ltp: str, bid: str | None = None, ask: str | None = None, of: tuple[str, str] = SHARE) -> None:
        self.server.quote(*of, ltp=ltp, bid=bid, ask=ask)

    def seen(self, order_id: str) -> SeenOrder:
        (found,) = [each for each in self.broker.orders() if each.order_id == order_id]
        return found

    def net(self) -> dict[str, int]:
        return {each.security_id: each.net for each in self.broker.positions()}

    def client(self) -> Any:
        """Return the official client as a user builds it, aimed at the server."""
        from dhanhq import DhanContext, dhanhq

        context = DhanContext(self.server.scenario.client_id, self.token)
        context.get_dhan_http().base_url = self.server.url
        return dhanhq(context)
