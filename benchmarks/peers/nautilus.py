"""NautilusTrader's risk engine (Cython), asked by the command its execution would get; events go nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.deciding import PRICES
from benchmarks.peers.asking import PASSES, REFUSED, Ask, Settle


def prepare(_directory: Path) -> tuple[Ask, Settle]:
    from nautilus_trader.common.component import MessageBus, TestClock
    from nautilus_trader.common.factories import OrderFactory
    from nautilus_trader.config import RiskEngineConfig
    from nautilus_trader.core.uuid import UUID4
    from nautilus_trader.execution.messages import SubmitOrder
    from nautilus_trader.model.enums import OrderSide
    from nautilus_trader.model.identifiers import AccountId, InstrumentId, StrategyId
    from nautilus_trader.model.objects import Price, Quantity
    from nautilus_trader.portfolio.portfolio import Portfolio
    from nautilus_trader.risk.engine import RiskEngine
    from nautilus_trader.test_kit.providers import TestInstrumentProvider
    from nautilus_trader.test_kit.stubs.component import TestComponentStubs
    from nautilus_trader.test_kit.stubs.execution import TestExecStubs
    from nautilus_trader.test_kit.stubs.identifiers import TestIdStubs

    clock, trader, strategy = TestClock(), TestIdStubs.trader_id(), StrategyId("S-1")
    bus: Any = MessageBus(trader_id=trader, clock=clock)
    cache = TestComponentStubs.cache()
    portfolio = Portfolio(msgbus=bus, cache=cache, clock=clock)
    share = TestInstrumentProvider.equity(symbol="HDFCBANK", venue="XNSE")
    cache.add_instrument(share)
    cache.add_account(TestExecStubs.cash_account(AccountId("XNSE-1")))
    config = RiskEngineConfig(
        max_order_submit_rate="1000000000/00:00:01", max_notional_per_order={str(share.id): 100_000}
    )
    engine: Any = RiskEngine(portfolio=portfolio, msgbus=bus, cache=cache, clock=clock, config=config)
    allowed: list[bool] = []
    bus.register("ExecEngine.execute", lambda _command: allowed.append(True))
    bus.register("ExecEngine.process", lambda _event: allowed.append(False))
    engine.start()
    factory = OrderFactory(trader_id=trader, strategy_id=strategy, clock=clock)
    instrument: InstrumentId = share.id
    prices = [f"{float(price):.{share.price_precision}f}" for price in PRICES]

    def ask(quantity: int) -> None:
        for price in prices:
            order = factory.limit(instrument, OrderSide.BUY, Quantity.from_int(quantity), Price.from_str(price))
            engine.execute(
                SubmitOrder(
                    trader_id=trader, strategy_id=strategy, position_id=None, order=order, command_id=UUID4(), ts_init=0
                )
            )

    def settle() -> None:
        allowed.clear()
        factory.reset()

    for quantity in (PASSES, REFUSED):
        ask(quantity)
        assert set(allowed) == {quantity == PASSES}, (quantity, allowed[:3])
        settle()
    return ask, settle
