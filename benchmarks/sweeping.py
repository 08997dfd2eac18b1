"""What a sweep costs without the broker's time: twenty accounts with two hundred positions each, and with years stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from statistics import median

from benchmarks.measure import ON_THE_CORE, Row, quiet
from benchmarks.stage import SECOND, START_US, BenchClock, Stage, rulebook
from riskguard import RiskGuard
from riskguard.core.instrument import Instrument
from riskguard.core.seen import SeenFunds, SeenOrder, SeenPosition, SeenTrade
from riskguard.ports import ApprovedOrder
from riskguard.services.settings import DatabaseSettings
from riskguard.services.setup import add_instruments, initialise
from riskguard.services.sweeps.cadence import Cadence
from riskguard.services.sweeps.sweeper import Sweeper
from riskguard.services.wiring import open_guard
from riskguard.store.engines import sqlite as lite

ACCOUNTS, POSITIONS = 20, 200
ROUNDS = 7
BUDGET_MS = 250.0
FEW, MANY = 1_000, 1_000_000
HISTORY_RATIO_MAX = 1.3


class Shown:
    """A broker that shows the same list for ever, and costs nothing."""

    name = "shown"

    def __init__(self, held: tuple[SeenPosition, ...]) -> None:
        self._held = held

    def place(self, approved: ApprovedOrder) -> str:
        raise NotImplementedError

    def cancel(self, order_id: str) -> None:
        raise NotImplementedError

    def orders(self) -> tuple[SeenOrder, ...]:
        return ()

    def positions(self) -> tuple[SeenPosition, ...]:
        return self._held

    def trades(self) -> tuple[SeenTrade, ...]:
        return ()

    def funds(self) -> SeenFunds:
        return SeenFunds(10**11, 10**11, None)


def rows(directory: Path, history: int = MANY) -> list[Row]:
    stage = build(directory / "accounts", ACCOUNTS)
    took = {name: sweep_all(stage, name, day) for day, name in enumerate(("loss", "book", "sweep"))}
    said = f"{ACCOUNTS} accounts × {POSITIONS} positions"
    found = [
        Row(f"loss sweep, {said}", took["loss"], "ms", BUDGET_MS, f"{took['loss'] / ACCOUNTS:.1f} ms an account"),
        Row(f"look at the book, {said}", took["book"], "ms", BUDGET_MS, f"{took['book'] / ACCOUNTS:.1f} ms an account"),
        Row(f"both at once, {said}", took["sweep"], "ms", None, f"{took['sweep'] / ACCOUNTS:.1f} ms an account"),
    ]
    few, many = (build(directory / f"history{count}", 1) for count in (FEW, history))
    add_history(few, FEW)
    add_history(many, history)
    for day, name in enumerate(("loss", "book")):
        less, more = sweep_all(few, name, day), sweep_all(many, name, day)
        found.append(
            Row(f"{name}, {history:,} snapshots and fills stored ÷ {FEW:,}", more / less, "×", HISTORY_RATIO_MAX,
                f"{less:.1f} ms; with more {more:.1f} ms")
        )  # fmt: skip
    return found


def build(directory: Path, accounts: int) -> Stage:
    """Make a database of *accounts* that hold nothing yet, and the instruments they will hold."""
    directory.mkdir(parents=True)
    stage, clock, book = Stage(directory), BenchClock(), directory / "bench.toml"
    book.write_text(rulebook())
    for number in range(accounts):
        initialise(stage.url, profile="library", account=f"a{number}", rulebook=str(book), clock=clock)
    with stage.guard() as (guard, clock), guard.store.session() as session:
        wanted = [Instrument("NSE_EQ", f"7{number:05d}", f"S{number}") for number in range(POSITIONS)]
        add_instruments(session, wanted, clock.now_us())
    return stage


def sweep_all(stage: Stage, part: str, day: int) -> float:
    """Return the median of what this thread computed for one sweep of every account, milliseconds, on a day of its own."""
    held = tuple(
        SeenPosition("NSE_EQ", f"7{number:05d}", ("INTRADAY", "MARGIN")[number % 2], 10, 1_000_000)
        for number in range(POSITIONS)
    )
    clock = BenchClock(START_US + (1 + day) * 86_400 * SECOND)  # a new session opens with what the broker shows
    with closing(open_guard(stage.url, sweep=False, clock=clock, deadline_ms=5_000)) as guard, quiet():
        names = [row[0] for row in accounts_of(guard)]
        cadence = Cadence.of(DatabaseSettings())
        sweepers = [Sweeper(guard, name, Shown(held), cadence=cadence) for name in names]
        for sweeper in sweepers:
            sweeper.book()
        times = []
        for _ in range(ROUNDS):
            clock.advance(60 * SECOND)
            for number in range(POSITIONS):
                guard.quote("NSE_EQ", f"7{number:05d}", ltp="101", at=clock.now_us())
            works: list[Callable[[], object]] = [getattr(sweeper, part) for sweeper in sweepers]
            began = ON_THE_CORE()
            for work in works:
                work()
            times.append((ON_THE_CORE() - began) / 1_000_000)
    return median(times[1:])


def accounts_of(guard: RiskGuard) -> list[tuple[str, ...]]:
    from riskguard.store.session import ACCOUNTS as QUERY

    with guard.store.session(durable=False) as session:
        found = session.rows(QUERY)
        guard.store.roll_back(session)
    return found


def add_history(stage: Stage, count: int) -> None:
    """Write *count* snapshots with a position each, and as many fills, of the month before."""
    past_us, step_us = START_US - 30 * 86_400 * SECOND, 28 * 86_400 * SECOND // count

    def snapshots() -> Iterator[tuple[object, ...]]:
        for number in range(count):
            yield 10 + number, past_us + number * step_us

    stage.insert(
        "INSERT INTO snapshots (id, account, kind, fetched_at_us, complete, row_count, source) "
        "VALUES (?, 'a0', 'positions', ?, 1, 1, 'sweep')", snapshots(),
    )  # fmt: skip
    stage.insert(
        "INSERT INTO positions (snapshot_ts, account_type, security_id, exchange_segment, product, net_qty, snapshot_id) "
        "VALUES (?, 'a0', '700001', 'NSE_EQ', 'INTRADAY', 1, ?)",
        ((at_us // SECOND, number) for number, at_us in ((row[0], int(str(row[1]))) for row in snapshots())),
    )
    stage.insert(
        "INSERT INTO trades (id, order_id, account_type, exchange_trade_id, security_id, exchange_segment, side, product, "
        "quantity, price, trade_ts, created_at, booked_at_us, session_date) "
        "VALUES (?, ?, 'a0', ?, '700001', 'NSE_EQ', 'BUY', 'INTRADAY', 1, 100.0, ?, ?, ?, '2024-05-10')",
        (
            (f"t{number}", f"h{number}", f"t{number}", at_us // SECOND, at_us // SECOND, at_us)
            for number, at_us in ((int(str(row[0])), int(str(row[1]))) for row in snapshots())
        ),
    )
    with closing(lite.connect(stage.path, durable=False)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
