"""The same day with nobody watching: what it would have cost."""

from __future__ import annotations

from pathlib import Path

from riskguard.brokers.paper import PaperBroker
from riskguard.core.account import Account
from riskguard.core.book import Line
from riskguard.core.money import to_text
from riskguard.core.order import Order
from riskguard.core.pnl import day_pnl
from riskguard.core.quote import Quote
from riskguard.feeds.bars import Day
from riskguard.services.replay.market import (
    ACCOUNT,
    MINUTE_US,
    PAUSE_US,
    STEP_US,
    STEPS,
    ReplayClock,
    minutes,
    walk,
)
from riskguard.services.replay.outcome import Moment
from riskguard.services.replay.strategies import STRATEGIES, held
from riskguard.services.sweeps.charging import charges_of


class Unchecked:
    """Stands in for an approval: the counterfactual sends everything its strategy wants."""

    def __init__(self, order: Order, correlation_id: str) -> None:
        self.order = order
        self.correlation_id = correlation_id
        self.modifies: str | None = None

    def begin(self) -> None:
        """Nobody asked, so there is nothing to hold back."""


def run_unguarded(day: Day, directory: Path, *, strategy: str) -> tuple[list[Moment], int]:
    """Play the day with nobody watching; returns the P&L of each minute, charges taken off, and the orders sent."""
    start_us = min(bars[0].start_us for bars in day.bars.values())
    clock = ReplayClock(start_us - MINUTE_US)
    path = directory / "unguarded.paper.db"
    broker = PaperBroker.open(path, ACCOUNT, clock=clock, instruments=day.instruments)
    free = STRATEGIES[strategy]()
    moments: list[Moment] = []
    quotes: dict[tuple[str, str], Quote] = {}
    orders = 0
    try:
        for at_us, bars in minutes(day):
            for step in range(STEPS):
                for instrument, bar in bars:
                    clock.set(at_us + step * STEP_US)
                    quote = Quote(walk(bar)[step], None, None, clock.now_us())
                    quotes[instrument.key] = quote
                    broker.set_quote(*instrument.key, quote)
            # Right after the last price: a minute later the mark would be stale, and widened against us.
            clock.set(clock.now_us() + PAUSE_US // 2)
            account = _book(broker, day, clock.now_us())
            moments.append(Moment(clock.now_us(), _worth(broker, account, quotes, clock.now_us(), day), "ACTIVE"))
            for instrument, bar in bars:
                for wish in free.wishes(instrument, bar, *held(broker.trades(), instrument)):
                    orders += 1
                    order = Order(
                        account=ACCOUNT, client_order_id=f"free-{orders}", exchange_segment=instrument.exchange_segment,
                        security_id=instrument.security_id, side=wish.side, product="INTRADAY", order_type="LIMIT",
                        quantity=wish.quantity, price=to_text(wish.price_e4),
                    )  # fmt: skip
                    broker.place(Unchecked(order, f"free-{orders}"))
    finally:
        broker.close()
        for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
            name.unlink(missing_ok=True)
    return moments, orders


def _book(broker: PaperBroker, day: Day, now_us: int) -> Account:
    account = Account(ACCOUNT, day.date.isoformat(), position_seen_us=now_us)
    account.instruments = {each.key: each for each in day.instruments}
    for trade in broker.trades():
        line: Line = account.line((trade.exchange_segment, trade.security_id), trade.product)
        value_e4 = trade.quantity * trade.price_e4
        if trade.side == "BUY":
            line.filled += trade.quantity
            line.buy_value_e4 += value_e4
        else:
            line.filled -= trade.quantity
            line.sell_value_e4 += value_e4
    return account


def _worth(
    broker: PaperBroker, account: Account, quotes: dict[tuple[str, str], Quote], now_us: int, day: Day
) -> int | None:
    charges_e4 = charges_of(broker.trades(), account.instruments, day.date.isoformat()).total_e4
    return day_pnl(account.positions, account.instruments, quotes, charges_e4, now_us).total_e4
