"""
Real days on a real desk: the paper market is moved by the bars, the real sweeper looks at it, the clock is told the time.

A bar's close is known at second 57 of its minute and again two seconds later: two sweeps, so that what a loss needs for
its proof is there in the minute that shows it.
"""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
from collections.abc import Iterable, Iterator
from pathlib import Path

from riskguard.brokers.paper import PaperBroker
from riskguard.core.calendar import ist_us
from riskguard.core.instrument import Instrument
from riskguard.core.money import to_text
from riskguard.core.quote import Quote
from riskguard.feeds.bars import Bar, available_days, load_day, parse_bars
from riskguard.services.setup import add_instruments
from riskguard.services.sweeps.sweeper import Sweeper, SweepReport
from riskguard.services.wiring import paper_path
from tests.services.desk import ACCOUNT, SECOND, Clock, Desk, build, rulebook

DATA = Path(__file__).parents[1] / "data"
IST = dt.timezone(dt.timedelta(hours=5, minutes=30))
CLOSE_S = 57
"""Second of its minute at which a bar's close is quoted; the second look comes two seconds later."""

LOTS = {
    "2020-03-23": 75, "2021-02-24": 75, "2021-11-04": 50, "2024-05-18": 25, "2024-06-03": 25, "2024-06-04": 25,
    "2024-07-16": 25,
}  # fmt: skip
"""Units of a NIFTY future on the day."""


def future(day: str) -> Instrument:
    """The index as a future that stands at no premium: its lot is the day's, its last day is far."""
    expiry = (dt.date.fromisoformat(day) + dt.timedelta(days=21)).isoformat()
    return Instrument("NSE_FNO", "900001", "NIFTY-FUT", "FUTIDX", lot_size=LOTS[day], underlying="NIFTY", expiry=expiry)


RELIANCE = Instrument("NSE_EQ", "2885", "RELIANCE")


def bars_of(day: str) -> tuple[Bar, ...]:
    """Every bar of NIFTY on *day*, of all phases: shipped, or from `tests/data/days`."""
    date = dt.date.fromisoformat(day)
    if date in available_days():
        return load_day(date).bars["NIFTY"]
    name = f"NIFTY_{day}_1m.csv"
    return parse_bars((DATA / "days" / name).read_text(encoding="utf-8"), name)


def trades_of(day: str) -> dict[str, Bar]:
    """Return the bars somebody traded in, by the minute in India: `09:15`."""
    return {minute_of(bar.start_us): bar for bar in bars_of(day) if bar.is_trade}


def minute_of(at_us: int) -> str:
    """Return `HH:MM` in India."""
    return dt.datetime.fromtimestamp(at_us // SECOND, IST).strftime("%H:%M")


def us_of(day: str, minute: str, second: int = 0) -> int:
    """Return the microseconds of a minute of *day* in India."""
    hours, _, minutes = minute.partition(":")
    return ist_us(dt.date.fromisoformat(day), int(hours) * 3600 + int(minutes) * 60 + second)


def limit_of(rupees: str, *, plan: str = "cancel", at_once_pct: int = 150) -> str:
    """Return the wide rulebook with this daily loss: warned at 50 %, REDUCE_ONLY from 80 %, killed at 100 %."""
    return rulebook(
        daily_loss=f'check = "daily_loss"\ndaily_loss_inr_max = "{rupees}"\nwarn_at_pct = [50]\n'
        f'reduce_only_at_pct = 80\nat_once_pct = {at_once_pct}\non_breach = "kill"\nplan = "{plan}"'
    )


def ticks_of(name: str) -> list[tuple[int, str]]:
    """Return (stamp in microseconds, last price) in order of arrival, faults kept."""
    with (DATA / "ticks" / f"{name}.csv").open(encoding="utf-8") as file:
        return [
            (int(dt.datetime.fromisoformat(row["ts"]).timestamp()) * SECOND, row["ltp"]) for row in csv.DictReader(file)
        ]


class Feed:
    """`ports.Marks`: the last quote of each instrument, as a feed holds it."""

    def __init__(self) -> None:
        self.quotes: dict[tuple[str, str], Quote] = {}

    def quote(self, exchange_segment: str, security_id: str) -> Quote | None:
        return self.quotes.get((exchange_segment, security_id))


class RealDay:
    """One account on one real day. `at` is a minute of it: quote its close, sweep, and sweep again."""

    def __init__(
        self, directory: Path, day: str, text: str, *, opens: str = "09:00", profile: str = "paper",
        instrument: Instrument | None = None,
    ) -> None:  # fmt: skip
        self.day = day
        self.instrument = future(day) if instrument is None else instrument
        self.clock = Clock(us_of(day, opens))
        self.desk = Desk(build(directory, text=text, profile=profile, clock=self.clock), self.clock)
        with self.desk.store.session() as session:
            add_instruments(session, [self.instrument], self.clock.now_us())
        self.broker = PaperBroker.open(
            paper_path(self.desk.path), ACCOUNT, clock=self.clock, instruments=[self.instrument]
        )
        self.feed = Feed()
        self.sweeper = Sweeper(self.desk.guard, ACCOUNT, self.broker, alerts=self.desk.alerts, marks=self.feed)
        self.bars = {} if instrument is not None else trades_of(day)
        self.minute = opens

    def close(self) -> None:
        self.broker.close()
        self.desk.close()

    # -- the market -------------------------------------------------------------------------------------------

    def go_to(self, day: str) -> None:
        """Let another day's bars move the market; the same contract."""
        self.day, self.bars = day, trades_of(day)

    def quote(self, price: str, *, traded_us: int | None = None, indicative: bool = False) -> None:
        """Move the market: the broker's, and what the feed holds."""
        made = Quote.of(ltp=price, at_us=self.clock.now_us(), ltp_at_us=traded_us, is_indicative=indicative)
        self.broker.set_quote(*self.instrument.key, made)
        self.feed.quotes[self.instrument.key] = made

    def look(self) -> SweepReport:
        return self.sweeper.sweep(now=True)

    def at(self, minute: str) -> SweepReport:
        """Live through a minute: its close if it traded, nothing new if not, and two looks."""
        self.minute = minute
        self.clock.at_us = us_of(self.day, minute, CLOSE_S)
        report = self.look_at(minute)
        if not report.killed:
            self.clock.advance(2)
            report = self.look_at(minute)
        return report

    def look_at(self, minute: str) -> SweepReport:
        bar = self.bars.get(minute)
        if bar is not None:
            self.quote(to_text(bar.close_e4))
        return self.look()

    # -- the book ---------------------------------------------------------------------------------------------

    def hold(self, lots: int, minute: str, price: str, product: str = "INTRADAY") -> None:
        """Come to hold so many lots at *price* in this minute (short when negative), and let the list settle."""
        self.clock.at_us = us_of(self.day, minute, 1)
        self.quote(price)
        self.look()
        side, units = ("BUY" if lots > 0 else "SELL"), abs(lots) * self.instrument.lot_size
        decision = self.desk.guard.place(
            self.desk.order_of(self.instrument, side, units, price, product=product), self.broker.place
        )
        assert decision.approved, decision.explain()
        for after_s in (2, 6):
            self.clock.advance(after_s)
            self.quote(price)
            self.look()

    # -- what stands ------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        return self.desk.guard.state(ACCOUNT).state.name

    def reading(self) -> tuple[str | None, bool]:
        """Return the last P&L of the day and whether it was measured on fresh marks."""
        ((value, fresh),) = self.desk.rows("SELECT day_pnl_e4, fresh_marks FROM pnl_readings ORDER BY id DESC LIMIT 1")
        return (None if value is None else to_text(value)), bool(fresh)

    def charges(self) -> str:
        """Return the day's charges as they are kept."""
        return to_text(
            self.desk.one("SELECT coalesce(sum(total_e4), 0) FROM day_charges WHERE session_date = ?", self.day)
        )

    def kills(self) -> list[str]:
        """Return the minute of each violation that pulled the kill switch."""
        rows = self.desk.rows("SELECT violated_at FROM risk_violations WHERE action_taken = 'KILL_SWITCH_ACTIVATED'")
        return [minute_of(at_s * SECOND) for (at_s,) in rows]

    def first(self, minutes: Iterable[str], wanted: str) -> str | None:
        """Live through *minutes* until the account is in the state *wanted*; None: it never was."""
        for minute in minutes:
            self.at(minute)
            if self.state == wanted:
                return minute
        return None


@contextlib.contextmanager
def real_day(directory: Path, day: str, text: str, **how: object) -> Iterator[RealDay]:
    made = RealDay(directory, day, text, **how)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.close()
