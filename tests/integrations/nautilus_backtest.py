"""A small backtest on NautilusTrader: one market order through a guarded strategy, counted at the venue."""

from __future__ import annotations

from decimal import Decimal
from typing import Any


def traded(guarded_strategy: Any, guard: Any) -> tuple[int, int]:
    """Run one backtest; return (orders the venue filled, orders riskguard refused)."""
    from nautilus_trader.backtest.engine import BacktestEngine
    from nautilus_trader.model.currencies import USD
    from nautilus_trader.model.data import QuoteTick
    from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
    from nautilus_trader.model.identifiers import Venue
    from nautilus_trader.model.objects import Money
    from nautilus_trader.test_kit.providers import TestInstrumentProvider

    instrument = TestInstrumentProvider.equity(symbol="HDFCBANK", venue="NSE")

    class Buys(guarded_strategy):  # type: ignore[misc]
        """Buys once, at the first quote."""

        def on_start(self) -> None:
            self.asked, self.denied = False, 0
            self.subscribe_quote_ticks(instrument.id)

        def on_quote_tick(self, _tick: Any) -> None:
            if not self.asked:
                self.asked = True
                self.submit_order(
                    self.order_factory.limit(
                        instrument.id, OrderSide.BUY, instrument.make_qty(Decimal(10)), instrument.make_price(101)
                    )
                )

        def refused(self, _order: Any, _decision: Any) -> None:
            self.denied += 1

    engine = BacktestEngine()
    engine.add_venue(Venue("NSE"), OmsType.NETTING, AccountType.CASH, [Money(1_000_000, USD)], base_currency=USD)
    engine.add_instrument(instrument)
    quote = instrument.make_price(100)
    size = instrument.make_qty(Decimal(1_000))
    engine.add_data([QuoteTick(instrument.id, quote, quote, size, size, at, at) for at in (1_000, 2_000)])
    strategy = Buys()
    strategy.guard, strategy.account, strategy.listed = guard, "leader", {instrument.id: ("NSE_EQ", "1333")}
    engine.add_strategy(strategy)
    engine.run()
    filled = sum(1 for each in engine.cache.orders() if each.is_closed)
    engine.dispose()
    return filled, strategy.denied
