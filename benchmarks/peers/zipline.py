"""zipline-reloaded: five trading controls of a backtest, asked one after the other as its algorithm does."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.deciding import PRICES
from benchmarks.peers.asking import PASSES, REFUSED, Ask, Settle, unsettled


def prepare(_directory: Path) -> tuple[Ask, Settle]:
    import pandas
    from zipline.assets import Equity, ExchangeInfo
    from zipline.errors import TradingControlViolation
    from zipline.finance.asset_restrictions import StaticRestrictions
    from zipline.finance.controls import LongOnly, MaxOrderCount, MaxOrderSize, MaxPositionSize, RestrictedListOrder

    controls: tuple[Any, ...] = (
        MaxOrderCount("fail", 10**9),
        RestrictedListOrder("fail", StaticRestrictions([])),
        MaxOrderSize("fail", max_shares=1_000, max_notional=100_000),
        MaxPositionSize("fail", max_shares=10**6, max_notional=10**9),
        LongOnly("fail"),
    )
    asset, now = (
        Equity(1333, ExchangeInfo("NSE", "XNSE", "IN"), symbol="HDFCBANK"),
        pandas.Timestamp("2024-06-04 09:15", tz="UTC"),
    )
    portfolio = SimpleNamespace(positions=defaultdict(lambda: SimpleNamespace(amount=0)))

    class Market:
        """What the controls ask of the bar: its price, here the order's own."""

        price = 0.0

        def current(self, _asset: object, _field: str) -> float:
            return self.price

    market, prices = Market(), [float(each) for each in PRICES]

    def ask(quantity: int) -> bool:
        allowed = False
        for price in prices:
            market.price = price
            try:
                for control in controls:
                    control.validate(asset, quantity, portfolio, now, market)
                allowed = True
            except TradingControlViolation:
                allowed = False
        return allowed

    assert ask(PASSES) and not ask(REFUSED)
    return ask, unsettled
