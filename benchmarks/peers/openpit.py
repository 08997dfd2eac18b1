"""OpenPit (Rust), without thread safety: five policies."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from benchmarks.deciding import PRICES
from benchmarks.peers.asking import PASSES, REFUSED, Ask, Settle


def prepare(_directory: Path) -> tuple[Ask, Settle]:
    """Prepare OpenPit (Rust): order validation, message rate, order size, P&L bounds, funds; without thread safety."""
    import openpit
    from openpit import param
    from openpit.pretrade import policies

    account, rupees = param.AccountId.from_string("leader"), param.Asset("INR")
    rate = policies.RateLimit(10**6, datetime.timedelta(seconds=1))
    size = policies.OrderSizeLimit(max_quantity=param.Quantity("1000"), max_notional=param.Volume("100000"))
    loss = policies.PnlBoundsBrokerBarrier(rupees, lower_bound=param.Pnl("-5000"))
    engine: Any = (
        openpit.Engine.builder()
        .no_sync()
        .builtin(policies.build_order_validation())
        .builtin(policies.build_rate_limit().account_barriers(policies.RateLimitAccountBarrier(rate, account)))
        .builtin(policies.build_order_size_limit().broker_barrier(policies.OrderSizeBrokerBarrier(size)))
        .builtin(policies.build_pnl_bounds_killswitch().broker_barriers(loss))
        .builtin(policies.build_spot_funds())
        .build()
    )
    balance = param.AdjustmentAmount.absolute(param.PositionSize("1000000000"))
    money = openpit.AccountAdjustment(
        operation=openpit.AccountAdjustmentBalanceOperation(asset=rupees),
        amount=openpit.AccountAdjustmentAmount(balance=balance),
    )
    assert engine.apply_account_adjustment(account_id=account, adjustments=[money]).ok
    instrument, buy = openpit.Instrument("1333", "INR"), param.Side.BUY
    answers: list[Any] = []

    def ask(quantity: int) -> None:
        for price in PRICES:
            order = openpit.Order(
                operation=openpit.OrderOperation(
                    instrument=instrument, account_id=account, side=buy,
                    trade_amount=param.TradeAmount.quantity(quantity), price=param.Price(price),
                )
            )  # fmt: skip
            answers.append(engine.execute_pre_trade(order=order))

    def settle() -> None:
        for answer in answers:
            if answer.ok:
                answer.reservation.rollback()
        answers.clear()

    for quantity in (PASSES, REFUSED):
        ask(quantity)
        assert all(answer.ok is (quantity == PASSES) for answer in answers)
        settle()
    return ask, settle
