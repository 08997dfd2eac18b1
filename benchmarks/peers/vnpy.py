"""vn.py and its risk manager, as shipped (compiled): five rules."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from benchmarks.deciding import PRICES
from benchmarks.peers.asking import PASSES, REFUSED, Ask, Settle


def prepare(directory: Path) -> tuple[Ask, Settle]:
    """
    Prepare vn.py's risk manager: its five rules, as shipped (compiled), asked through its engine, without a screen.

    Its events are dropped unread: in a program their handlers come on top.
    """
    home = os.environ.get("HOME")
    os.environ["HOME"] = str(directory)  # vn.py makes a directory in it when it is imported
    try:
        from vnpy.event import EventEngine
        from vnpy.trader.constant import Direction, Exchange, OrderType, Product
        from vnpy.trader.object import ContractData, OrderRequest
        from vnpy_riskmanager.engine import RiskEngine
    finally:
        if home is None:
            del os.environ["HOME"]
        else:
            os.environ["HOME"] = home

    contract = ContractData(
        symbol="1333", exchange=Exchange.NYSE, name="share", product=Product.EQUITY, size=1, pricetick=0.05,
        min_volume=1, max_volume=100_000, gateway_name="bench",
    )  # fmt: skip

    class Main:
        """What the rules ask of vn.py's main engine."""

        def get_contract(self, vt_symbol: str) -> object:
            return contract if vt_symbol == contract.vt_symbol else None

        def write_log(self, msg: str, **_more: object) -> None: ...

        def send_order(self, _req: object, _gateway: str) -> str:
            return ""

    events = EventEngine()
    engine: Any = RiskEngine(Main(), events)
    for rule in engine.rules.values():
        rule.update_setting({"order_value_limit": 100_000, "duplicate_order_limit": 10**9})
    prices = [float(price) for price in PRICES]

    def ask(quantity: int) -> bool:
        allowed = False
        for price in prices:
            request = OrderRequest(
                symbol="1333", exchange=Exchange.NYSE, direction=Direction.LONG, type=OrderType.LIMIT,
                volume=quantity, price=price, reference="bench",
            )  # fmt: skip
            allowed = engine.check_allowed(request, "bench")
        return allowed

    def settle() -> None:
        while not events._queue.empty():
            events._queue.get_nowait()

    assert len(engine.rules) == 5 and ask(PASSES) and not ask(REFUSED)
    settle()
    return ask, settle
