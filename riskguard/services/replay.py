"""
Replays a real day through the guard: market, strategy, sweep and kill switch, in compressed time.

The strategy trades index futures on the paper broker; the contracts are marked by the index's own bars,
because index bars are what is public. Nothing here is staged: another day gives another story.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from riskguard.brokers.paper import PaperBroker
from riskguard.core.account import Account
from riskguard.core.book import Line
from riskguard.core.instrument import Instrument
from riskguard.core.money import to_text
from riskguard.core.order import Order
from riskguard.core.pnl import day_pnl
from riskguard.core.quote import Quote
from riskguard.core.state import TradingState
from riskguard.errors import SettingsError
from riskguard.feeds.bars import Bar, Day
from riskguard.services.guard import RiskGuard
from riskguard.services.schedule import Schedule
from riskguard.services.settings import DatabaseSettings
from riskguard.services.setup import add_instruments, initialise
from riskguard.services.sweeper import Sweeper, SweepReport, charges_of
from riskguard.services.wiring import open_guard, paper_path
from riskguard.store import runs

ACCOUNT = "leader"
MINUTE_US = 60_000_000
PAUSE_US = 2_000_000
STEPS = 4
STEP_US = 18_000_000
SWEPT_STEPS = (1, 3)  # after the first extreme, and at the close
SWEEP_WAIT_S = 20.0
FIRE_AGAIN_S = 0.25
KILL_SWEEPS_MAX = 25
FIRES_WAITING_MAX = 3
FIRE_EVERY_S = 3600.0
"""The replay says when a sweep is due; the interval only keeps the job in the schedule."""


class ReplayClock:
    """Wall time is the day's and moves only when told; waiting time is the machine's own."""

    def __init__(self, start_us: int) -> None:
        self._now_us = start_us

    def now_us(self) -> int:
        return self._now_us

    def elapsed_us(self) -> int:
        return time.monotonic_ns() // 1000

    def set(self, now_us: int) -> None:
        self._now_us = max(self._now_us, now_us)


@dataclass(slots=True)
class Wish:
    """What a strategy wants to send."""

    instrument: Instrument
    side: str
    quantity: int
    price_e4: int


class DipBuyer:
    """
    Keeps buying the dip: one lot at the market and one resting below it for each 0.4 % of fall since the last
    buy; sells all it has in an index 0.5 % above its average. It never gives up: that is what the guard is for.
    """

    name = "dip-buyer"

    def __init__(self) -> None:
        self.last_e4: dict[str, int] = {}

    def wishes(self, instrument: Instrument, bar: Bar, held: int, average_e4: int | None) -> Iterator[Wish]:
        last_e4 = self.last_e4.setdefault(instrument.symbol, bar.open_e4)
        price_e4 = _on_tick(bar.close_e4, instrument)
        if held > 0 and average_e4 is not None and bar.close_e4 * 1000 >= average_e4 * 1005:
            self.last_e4[instrument.symbol] = bar.close_e4
            yield Wish(instrument, "SELL", held, price_e4)
        elif bar.close_e4 * 1000 <= last_e4 * 996:
            self.last_e4[instrument.symbol] = bar.close_e4
            yield Wish(instrument, "BUY", instrument.lot_size, price_e4)
            yield Wish(instrument, "BUY", instrument.lot_size, _on_tick(bar.close_e4 * 997 // 1000, instrument))
        elif bar.close_e4 > last_e4:
            self.last_e4[instrument.symbol] = bar.close_e4  # the dip is measured from the last high


class Breakout:
    """Buys a lot whenever the index makes a new high of the last 30 minutes, and sells all 0.4 % below it."""

    name = "breakout"

    def __init__(self) -> None:
        self.closes: dict[str, list[int]] = {}

    def wishes(self, instrument: Instrument, bar: Bar, held: int, average_e4: int | None) -> Iterator[Wish]:
        closes = self.closes.setdefault(instrument.symbol, [])
        window = closes[-30:]
        closes.append(bar.close_e4)
        price_e4 = _on_tick(bar.close_e4, instrument)
        if len(window) == 30 and bar.close_e4 > max(window):
            yield Wish(instrument, "BUY", instrument.lot_size, price_e4)
        elif held > 0 and window and bar.close_e4 * 1000 < max(window) * 996:
            yield Wish(instrument, "SELL", held, price_e4)


class Strategy(Protocol):
    """What wants to trade, given the minute that just ended."""

    def wishes(self, instrument: Instrument, bar: Bar, held: int, average_e4: int | None) -> Iterator[Wish]: ...


STRATEGIES: dict[str, Callable[[], Strategy]] = {"dip": DipBuyer, "breakout": Breakout}


@dataclass(slots=True)
class Moment:
    """One minute as it was recorded."""

    at_us: int
    day_pnl_e4: int | None
    state: str


@dataclass(slots=True)
class Outcome:
    """What the day was: everything counted from the run."""

    day: dt.date
    strategy: str
    asked: int = 0
    approved: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    path: list[Moment] = field(default_factory=list)
    warnings: list[tuple[int, str]] = field(default_factory=list)
    reduced_at_us: int | None = None
    killed_at_us: int | None = None
    flat_at_us: int | None = None
    kill_detail: str = ""
    final_pnl_e4: int | None = None
    unguarded: list[Moment] = field(default_factory=list)
    unguarded_orders: int = 0

    @property
    def unguarded_final_e4(self) -> int | None:
        return self.unguarded[-1].day_pnl_e4 if self.unguarded else None

    @property
    def worst_e4(self) -> int | None:
        return min((each.day_pnl_e4 for each in self.path if each.day_pnl_e4 is not None), default=None)


Show = Callable[[int, "Moment | None"], None]


class WatchedSweeper(Sweeper):
    """A sweeper whose finished slots can be waited for: the market holds still until the sweep has looked."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.latest: SweepReport | None = None
        self._changed = threading.Condition()
        self._done = -1
        self.findings: list[tuple[int, str, str]] = []

    def sweep(self, *, now: bool = False) -> SweepReport:
        report = super().sweep(now=now)
        with self._changed:
            if report.pnl is not None:
                self.latest = report
                at_us = self.guard.clock.now_us()
                self.findings += [(at_us, each.code, each.message) for each in report.findings]
            self._done = max(self._done, report.slot)
            self._changed.notify_all()
        return report

    def wants_a_second_look(self) -> bool:
        """Say whether the last reading reached a limit: the daemon would look again two seconds later."""
        return self.latest is not None and any(each.code == "DAILY_LOSS_SEEN" for each in self.latest.findings)

    def wait(self, slot: int, fire: Callable[[], None]) -> None:
        """
        Fire and wait until the slot was swept; raises SettingsError if nothing sweeps.

        A fire that meets the end of the last sweep is skipped by the scheduler, so it is repeated.
        """
        for _ in range(int(SWEEP_WAIT_S / FIRE_AGAIN_S)):
            fire()
            with self._changed:
                if self._changed.wait_for(lambda: self._done >= slot, timeout=FIRE_AGAIN_S):
                    return
        raise SettingsError("the sweep does not run: see the log")


class Silent:
    """Alerts nobody hears: the closing screen tells them."""

    def tell(self, account: str, severity: str, message: str) -> None:
        del account, severity, message


class Replay:
    """One guarded day on its own database."""

    def __init__(self, day: Day, url: str, *, strategy: str, rulebook: str) -> None:
        if strategy not in STRATEGIES:
            raise SettingsError(f"`--strategy {strategy}`: wants one of {', '.join(STRATEGIES)}")
        self.day = day
        self.strategy_name = strategy
        self.start_us = min(bars[0].start_us for bars in day.bars.values())
        self.clock = ReplayClock(self.start_us - MINUTE_US)
        initialise(
            url, profile="paper", account=ACCOUNT, rulebook=rulebook, by="demo", clock=self.clock,
            settings=DatabaseSettings(profile="paper", sweep_interval_s=2, release_hold_s=0),
        )  # fmt: skip
        # A replay has no deadline to keep: the whole machine may be doing something else.
        self.guard: RiskGuard = open_guard(url, sweep=False, clock=self.clock, deadline_ms=2_000)
        self.broker = PaperBroker.open(
            paper_path(self.guard.store.path), ACCOUNT, clock=self.clock, instruments=day.instruments
        )
        with self.guard.store.session() as session:
            add_instruments(session, list(day.instruments), self.clock.now_us())
        self.sweeper = WatchedSweeper(self.guard, ACCOUNT, self.broker, interval_us=PAUSE_US, alerts=Silent())

    def run(self, *, pause_s: float = 0.0, show: Show | None = None) -> Outcome:
        """Play the day; *pause_s* real seconds per minute of it. *show* is called after each minute."""
        outcome = Outcome(self.day.date, self.strategy_name)
        strategy = STRATEGIES[self.strategy_name]()
        self.schedule = Schedule(self.guard, [self.sweeper], every_s=FIRE_EVERY_S, waiting_max=FIRES_WAITING_MAX)
        self.schedule.start()
        try:
            self._sweep_at(self.start_us)
            for at_us, bars in minutes(self.day):
                began = time.monotonic()
                self._play(at_us, bars)
                self._note(outcome)
                for instrument, bar in bars:
                    for wish in strategy.wishes(instrument, bar, *self._held(instrument)):
                        self._ask(outcome, wish)
                self._follow(outcome)
                if show is not None:
                    show(at_us, outcome.path[-1])
                if pause_s:
                    time.sleep(max(0.0, pause_s - (time.monotonic() - began)))
            self._sweep_at(self.clock.now_us() + PAUSE_US)
            self._note(outcome)
        finally:
            self.schedule.stop()
            self.guard.flush_repeats()
        self._sum_up(outcome)
        return outcome

    def close(self) -> None:
        self.broker.close()
        self.guard.close()

    # -- one minute -----------------------------------------------------------------------------------------

    def _play(self, at_us: int, bars: list[tuple[Instrument, Bar]]) -> None:
        """Move the market through the minute (open, both extremes, close); the sweep marks the book to it twice."""
        for step in range(STEPS):
            self.clock.set(at_us + step * STEP_US)
            for instrument, bar in bars:
                price_e4 = _walk(bar)[step]
                quote = Quote(price_e4, None, None, self.clock.now_us())
                self.broker.set_quote(*instrument.key, quote)
                self.guard.quote(*instrument.key, ltp=to_text(price_e4), at=quote.at_us)
            if step in SWEPT_STEPS:
                self._sweep_at(self.clock.now_us() + PAUSE_US // 2)
                if self.sweeper.wants_a_second_look():
                    self._sweep_at(self.clock.now_us() + PAUSE_US)

    def _sweep_at(self, at_us: int) -> None:
        self.clock.set(at_us)
        self.sweeper.wait(self.clock.now_us() // PAUSE_US, lambda: self.schedule.fire_now(ACCOUNT))

    def _note(self, outcome: Outcome) -> None:
        """Keep the minute, and the moments at which something changed."""
        latest = self.sweeper.latest
        total_e4 = None if latest is None or latest.pnl is None else latest.pnl.total_e4
        state = self.guard.state(ACCOUNT).state
        now_us = self.clock.now_us()
        outcome.path.append(Moment(now_us, total_e4, state.name))
        if state >= TradingState.REDUCE_ONLY and outcome.reduced_at_us is None:
            outcome.reduced_at_us = now_us
        if state is TradingState.HALTED and outcome.killed_at_us is None:
            outcome.killed_at_us = now_us

    def _held(self, instrument: Instrument) -> tuple[int, int | None]:
        """Return what is held of the contract, and its average price."""
        bought = sold = 0
        cost_e4 = 0
        for trade in self.broker.trades():
            if trade.security_id != instrument.security_id:
                continue
            if trade.side == "BUY":
                bought += trade.quantity
                cost_e4 += trade.quantity * trade.price_e4
            else:
                sold += trade.quantity
                if bought == sold:
                    bought = sold = cost_e4 = 0
        held = bought - sold
        return held, cost_e4 // bought if held > 0 and bought else None

    def _ask(self, outcome: Outcome, wish: Wish) -> None:
        outcome.asked += 1
        order = Order(
            account=ACCOUNT, client_order_id=f"demo-{outcome.asked}", exchange_segment=wish.instrument.exchange_segment,
            security_id=wish.instrument.security_id, side=wish.side, product="INTRADAY", order_type="LIMIT",
            quantity=wish.quantity, price=to_text(wish.price_e4), strategy=self.strategy_name,
        )  # fmt: skip
        decision = self.guard.place(order, self.broker.place)
        if decision.approved:
            outcome.approved += 1
        for reject in decision.rejects[:1]:
            outcome.refused[reject.code.value] = outcome.refused.get(reject.code.value, 0) + 1

    def _follow(self, outcome: Outcome) -> None:
        """While a kill run is open the sweep comes every two seconds, as the daemon's does."""
        for _ in range(KILL_SWEEPS_MAX):
            with self.guard.store.session() as session:
                waiting = runs.open_kill_runs(session, ACCOUNT)
                self.guard.store.roll_back(session)
            if not waiting:
                break
            outcome.kill_detail = waiting[-1].detail
            self._sweep_at(self.clock.now_us() + PAUSE_US)
        if (
            outcome.killed_at_us is not None
            and outcome.flat_at_us is None
            and not any(position.net for position in self.broker.positions())
        ):
            outcome.flat_at_us = self.clock.now_us()

    def _sum_up(self, outcome: Outcome) -> None:
        outcome.warnings = [
            (at_us, message) for at_us, code, message in self.sweeper.findings if code.startswith("DAILY_")
        ]
        outcome.final_pnl_e4 = outcome.path[-1].day_pnl_e4


# -- the same day without the guard -----------------------------------------------------------------------------


class Unchecked:
    """Stands in for an approval: the counterfactual sends everything its strategy wants."""

    def __init__(self, order: Order, correlation_id: str) -> None:
        self.order = order
        self.correlation_id = correlation_id

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
                    quote = Quote(_walk(bar)[step], None, None, clock.now_us())
                    quotes[instrument.key] = quote
                    broker.set_quote(*instrument.key, quote)
            # Right after the last price: a minute later the mark would be stale, and widened against us.
            clock.set(clock.now_us() + PAUSE_US // 2)
            account = _book(broker, day, clock.now_us())
            moments.append(Moment(clock.now_us(), _worth(broker, account, quotes, clock.now_us(), day), "ACTIVE"))
            for instrument, bar in bars:
                line = account.positions.get(instrument.key, {}).get("INTRADAY")
                held = line.net if line is not None else 0
                for wish in free.wishes(instrument, bar, held, _average(broker, instrument)):
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
    charges_e4 = charges_of(account, list(broker.trades()), day.date.isoformat())
    return day_pnl(account.positions, account.instruments, quotes, charges_e4, now_us).total_e4


def _average(broker: PaperBroker, instrument: Instrument) -> int | None:
    bought = sold = cost_e4 = 0
    for trade in broker.trades():
        if trade.security_id == instrument.security_id:
            if trade.side == "BUY":
                bought, cost_e4 = bought + trade.quantity, cost_e4 + trade.quantity * trade.price_e4
            else:
                sold += trade.quantity
                if bought == sold:
                    bought = sold = cost_e4 = 0
    return cost_e4 // bought if bought > sold else None


# -- the day's minutes --------------------------------------------------------------------------------------------


def minutes(day: Day) -> Iterator[tuple[int, list[tuple[Instrument, Bar]]]]:
    """
    Yield each minute from the first trade to the last, with the bars that traded in it.

    A minute without a bar (a halt) comes with none: nothing is marked, and the marks grow old. Auction rows
    are indicative and never shown to the market.
    """
    by_minute: dict[int, list[tuple[Instrument, Bar]]] = {}
    for instrument in day.instruments:
        for bar in day.trades(instrument.underlying):
            by_minute.setdefault(bar.start_us, []).append((instrument, bar))
    for at_us in range(min(by_minute), max(by_minute) + MINUTE_US, MINUTE_US):
        yield at_us, by_minute.get(at_us, [])


def _walk(bar: Bar) -> tuple[int, int, int, int]:
    """The order in which a minute visits its prices: a rising one falls first, a falling one rises first."""
    if bar.close_e4 >= bar.open_e4:
        return bar.open_e4, bar.low_e4, bar.high_e4, bar.close_e4
    return bar.open_e4, bar.high_e4, bar.low_e4, bar.close_e4


def _on_tick(price_e4: int, instrument: Instrument) -> int:
    return price_e4 - price_e4 % instrument.tick_e4
