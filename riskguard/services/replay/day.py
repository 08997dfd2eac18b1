"""One guarded day on its own database: market, strategy, sweep and kill switch in compressed time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from riskguard.brokers.paper import PaperBroker
from riskguard.core.instrument import Instrument
from riskguard.core.money import to_text
from riskguard.core.order import Order
from riskguard.core.quote import Quote
from riskguard.core.state import TradingState
from riskguard.errors import SettingsError
from riskguard.feeds.bars import Bar, Day
from riskguard.services.orders.guard import RiskGuard
from riskguard.services.replay.market import (
    ACCOUNT,
    FIRE_AGAIN_S,
    FIRE_EVERY_S,
    FIRES_WAITING_MAX,
    KILL_SWEEPS_MAX,
    MINUTE_US,
    PAUSE_US,
    STEP_US,
    STEPS,
    SWEEP_WAIT_S,
    SWEPT_STEPS,
    ReplayClock,
    minutes,
    walk,
)
from riskguard.services.replay.outcome import Moment, Outcome
from riskguard.services.replay.strategies import STRATEGIES, Wish, held
from riskguard.services.settings import DatabaseSettings
from riskguard.services.setup import add_instruments, initialise
from riskguard.services.sweeps.schedule import Schedule
from riskguard.services.sweeps.sweeper import Sweeper, SweepReport
from riskguard.services.wiring import open_guard, paper_path
from riskguard.store import runs

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
                    for wish in strategy.wishes(instrument, bar, *held(self.broker.trades(), instrument)):
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
                price_e4 = walk(bar)[step]
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
