"""
The decision beside two other pre-trade engines, in this process, in turn, on the same orders and the same limits.

`pip install -e '.[bench]'` installs them. One that is not there is named on the error stream, and the rest runs.

Each is measured from the fields of an order to the answer, on values in memory. What it can prepare once (account,
instrument, engine) is prepared outside the figure, and what it reserved is given back outside of it, too.
"""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.deciding import BATCH, PRICES, account_of, batch
from benchmarks.measure import ON_THE_CORE, Row, median, quiet, timed
from benchmarks.stage import rulebook

ROUNDS = 200
PASSES, REFUSED = 10, 100
"""Quantities: at the benchmark's prices ten are worth less than 100,000 rupees, a hundred more."""

Ask = Callable[[int], object]
Settle = Callable[[], None]


def rows(directory: Path) -> list[Row]:
    """Measure ours, OpenPit's and vn.py's answer, approved and refused, and give the ratios."""
    account = account_of(directory / "ten", rulebook())
    ours = {quantity: batch(account, quantity) for quantity in (PASSES, REFUSED)}
    engines: dict[str, tuple[Ask, Settle]] = {"ours": (lambda quantity: ours[quantity](), lambda: None)}
    for name, prepared in (("OpenPit", _openpit), ("vn.py", _vnpy)):
        try:
            engines[name] = prepared(directory)
        except ImportError as e:
            print(f"peers: {name} is left out ({e}): `pip install -e '.[bench]'`", file=sys.stderr)
    times = _times(engines)
    found = []
    for name, what, budget in (("OpenPit", "construct + execute, five policies", 0.55), ("vn.py", "five rules", None)):
        for quantity, how, ceiling in ((PASSES, "", budget), (REFUSED, ", refused", None)):
            if name in engines:
                mine, theirs = times["ours", quantity], times[name, quantity]
                said = f"Order + decide, ten checks{how} ÷ {name}: {what}"
                found.append(Row(said, mine / theirs, "×", ceiling, f"{mine:.2f} µs ÷ {theirs:.2f} µs"))
    return found


def _times(engines: dict[str, tuple[Ask, Settle]]) -> dict[tuple[str, int], float]:
    """Return the median µs of one answer, by engine and quantity; who begins a round changes."""
    found: dict[tuple[str, int], list[float]] = {}
    names = list(engines)
    with quiet():
        for number in range(ROUNDS):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                ask, settle = engines[name]
                for quantity in (PASSES, REFUSED):
                    took = timed(lambda ask=ask, quantity=quantity: ask(quantity), ON_THE_CORE)
                    found.setdefault((name, quantity), []).append(took / BATCH)
                    settle()
    return {key: median(each) for key, each in found.items()}


def _openpit(_directory: Path) -> tuple[Ask, Settle]:
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


def _vnpy(directory: Path) -> tuple[Ask, Settle]:
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
