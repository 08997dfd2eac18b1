"""
A desk for tests: one database with its accounts, a guard, a paper broker and a sweeper, on a clock that is told the time.

Nothing here is a mock: the files, the locks, the market and the journal are the real ones.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg

from riskguard.brokers.paper import PaperBroker, PaperSettings
from riskguard.clock import SystemClock
from riskguard.core.instrument import Instrument
from riskguard.core.money import to_e4
from riskguard.core.order import Order
from riskguard.core.quote import Quote
from riskguard.services.orders.guard import RiskGuard
from riskguard.services.settings import DatabaseSettings
from riskguard.services.setup import add_instruments, initialise
from riskguard.services.sweeps.sweeper import Sweeper, SweepReport
from riskguard.services.wiring import open_guard, paper_path
from riskguard.store import halt
from riskguard.store.session import Store

ACCOUNT = "leader"
SECOND = 1_000_000
START = 1_748_840_400 * SECOND
"""2025-06-02, a Monday, 10:30 in India."""
DAY = 86_400 * SECOND
PATIENCE_MS = 5_000
"""A deadline for tests that are not about deadlines: a neighbour on the same machine must not decide them."""

SHARE = Instrument("NSE_EQ", "1333", "HDFCBANK")
FUTURE = Instrument("NSE_FNO", "35001", "NIFTY-FUT", "FUTIDX", lot_size=25, underlying="NIFTY", expiry="2025-06-26")
CALL = Instrument(
    "NSE_FNO", "50001", "NIFTY-CE", "OPTIDX", lot_size=25, underlying="NIFTY", expiry="2025-06-26", option_type="CE"
)
COVER = Instrument(
    "NSE_FNO", "50002", "NIFTY-CE2", "OPTIDX", lot_size=25, underlying="NIFTY", expiry="2025-06-26", option_type="CE"
)
ADDED = [FUTURE, CALL, COVER]

LIMITS = {
    "trading-state": 'check = "trading_state"',
    "order-validity": 'check = "order_validity"',
    "lot-size": 'check = "lot_size"',
    "price-tick": 'check = "price_tick"',
    "data-freshness": 'check = "data_freshness"\nsnapshot_age_s_max = 864000',
    "sweep-heartbeat": 'check = "sweep_heartbeat"\nintervals_max = 432000',
    "daily-loss": (
        'check = "daily_loss"\ndaily_loss_inr_max = "5000"\nwarn_at_pct = [50, 75, 85, 90, 95]\n'
        'reduce_only_at_pct = 80\nat_once_pct = 150\non_breach = "kill"\nplan = "cancel"'
    ),
    "order-value": 'check = "order_value"\norder_value_inr_max = "100000000"',
    "net-position": 'check = "net_position"\nposition_max = "1000000"\nunit = "units"',
    "unconfirmed-in-flight": 'check = "unconfirmed_in_flight"\nanswer_s_max = 5',
    "repeated-execution": (
        'check = "repeated_execution"\ntrip_at_fills = 1000000\ntrip_at_refusals = 1000000\nper_s = 60'
    ),
    "order-rate": 'check = "order_rate"\nwindows = [{ messages_max = 100000, reserve = 3, per_s = 1 }]',
    "reconciliation": 'check = "reconciliation"\nreads_max = 1000\nhalt_after_s = 864000',
}
"""Every mandatory limit and a few more, so wide that a test meets only the one it sets itself."""


def rulebook(**changes: str | None) -> str:
    """Return the wide rulebook as TOML; `order_value="check = …"` replaces or adds a limit, None leaves it out."""
    limits: dict[str, str | None] = {**LIMITS, **{name.replace("_", "-"): text for name, text in changes.items()}}
    made = 'rulebook = "wide"\n'
    for name, text in limits.items():
        if text is not None:
            made += f'\n[[limit]]\nid = "{name}"\n{text}\nwhy = "a test"\nsource = "the test"\n'
    return made


class Clock:
    """Wall time is what the test says; waiting time is the machine's own, plus what the test skips."""

    def __init__(self, now_us: int = START) -> None:
        self.at_us = now_us
        self.skipped_us = 0
        self._real = SystemClock()

    def now_us(self) -> int:
        return self.at_us

    def elapsed_us(self) -> int:
        return self._real.elapsed_us() + self.skipped_us

    def advance(self, seconds: float) -> int:
        """Let wall time pass; it may be negative, as the world's clocks are."""
        self.at_us += round(seconds * SECOND)
        return self.at_us


class Heard:
    """Alerts, kept."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, str]] = []

    def tell(self, account: str, severity: str, message: str) -> None:
        self.said.append((account, severity, message))


class Past:
    """An order somebody sends past riskguard: from the broker's app, or another program."""

    def __init__(self, order: Order, correlation_id: str) -> None:
        self.order, self.correlation_id = order, correlation_id
        self.modifies = None

    def begin(self) -> None:
        """Nobody asked, so there is nothing to hold back."""


@dataclass
class Desk:
    """See the module. `sweep` moves the clock on by an interval, as the world would."""

    path: Path
    clock: Any
    deadline_ms: int = PATIENCE_MS
    account: str = ACCOUNT
    alerts: Heard = field(default_factory=Heard)
    _asked: int = 0

    def __post_init__(self) -> None:
        self.url = f"sqlite:///{self.path}"
        self.guard = open_guard(self.url, sweep=False, clock=self.clock, deadline_ms=self.deadline_ms)
        self._broker: PaperBroker | None = None
        self._sweeper: Sweeper | None = None
        self._others: list[RiskGuard] = []

    # -- who is there ---------------------------------------------------------------------------------------

    @property
    def store(self) -> Store:
        return self.guard.store

    @property
    def broker(self) -> PaperBroker:
        if self._broker is None:
            self._broker = self.join_market()
        return self._broker

    def join_market(self, account: str = "", settings: PaperSettings | None = None) -> PaperBroker:
        """Open the paper market for an account; *settings* replace those that stand."""
        return PaperBroker.open(
            paper_path(self.path), account or self.account, clock=self.clock, instruments=[SHARE, *ADDED],
            settings=settings,
        )  # fmt: skip

    @property
    def sweeper(self) -> Sweeper:
        if self._sweeper is None:
            self._sweeper = Sweeper(self.guard, self.account, self.broker, alerts=self.alerts)
        return self._sweeper

    def another_guard(self, deadline_ms: int | None = None) -> RiskGuard:
        """Open the same database as another process would: its own connections, its own memory."""
        made = open_guard(self.url, sweep=False, clock=self.clock, deadline_ms=deadline_ms or self.deadline_ms)
        self._others.append(made)
        return made

    def close(self) -> None:
        for each in (self.guard, *self._others):
            with contextlib.suppress(Exception):  # a test may have broken the database on purpose
                each.close()
        if self._broker is not None:
            self._broker.close()

    # -- what is done -----------------------------------------------------------------------------------------

    def order(self, side: str = "BUY", quantity: int = 10, price: str | None = "100", **changes: Any) -> Order:
        """A LIMIT order of the share, intraday, with an id of its own; MARKET when *price* is None."""
        self._asked += 1
        fields: dict[str, Any] = {
            "account": self.account,
            "client_order_id": f"o-{self._asked}",
            "exchange_segment": "NSE_EQ",
            "security_id": "1333",
            "side": side,
            "product": "INTRADAY",
            "order_type": "MARKET" if price is None else "LIMIT",
            "quantity": quantity,
            "price": price,
        }
        return Order(**{**fields, **changes})

    def order_of(self, instrument: Instrument, side: str, quantity: int, price: str | None, **changes: Any) -> Order:
        """The same in another instrument."""
        where = {"exchange_segment": instrument.exchange_segment, "security_id": instrument.security_id}
        return self.order(side, quantity, price, **{**where, **changes})

    def quote(self, price: str, instrument: Instrument = SHARE) -> None:
        """Move the market: the broker's and what the guard is told, now."""
        made = Quote.of(ltp=price, at_us=self.clock.now_us())
        self.broker.set_quote(*instrument.key, made)
        self.guard.quote(*instrument.key, ltp=price, at=made.at_us)

    def place(self, order: Order, **how: Any) -> Any:
        """Check and send to the paper broker; fails the test unless it was approved."""
        decision = self.guard.place(order, self.broker.place, **how)
        assert decision.approved, decision.explain()
        return decision

    def past(self, order: Order, broker: PaperBroker | None = None) -> str:
        """Send *order* past riskguard; returns the broker's order id."""
        return (broker or self.broker).place(Past(order, f"app-{order.client_order_id}"))

    def hold(self, quantity: int, price: str = "100", instrument: Instrument = SHARE, **changes: Any) -> None:
        """Come to hold *quantity* (short when negative): order, fill, and a settled list."""
        self.quote(price, instrument)
        side = "BUY" if quantity > 0 else "SELL"
        self.place(self.order_of(instrument, side, abs(quantity), price, **changes))
        self.sweep()
        self.sweep(6)

    def sweep(self, after_s: float = 2) -> SweepReport:
        self.clock.advance(after_s)
        return self.sweeper.sweep()

    def kill(self, account: str | None = ACCOUNT, *, plan: str = "cancel", **more: Any) -> Any:
        return self.guard.kill(account, **{"by": "desk", "reason": "fat finger", "plan": plan, **more})

    # -- what is on disk ------------------------------------------------------------------------------------

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read with plain sqlite3, as any other program would."""
        with contextlib.closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=5)) as connection:
            return connection.execute(query, values).fetchall()

    def one(self, query: str, *values: Any) -> Any:
        """Read one value."""
        (row,) = self.rows(query, *values)
        return row[0]

    def sql(self, statement: str, *values: Any) -> int:
        """Write with plain sqlite3, as any other program would; returns the rows it changed."""
        with contextlib.closing(sqlite3.connect(self.path, timeout=5, isolation_level=None)) as connection:
            return connection.execute(statement, values).rowcount

    def put(self, table: str, keys: tuple[str, ...], **row: Any) -> None:
        """Write a row by plain SQL, in the place of the one that has its *keys*."""
        others = ", ".join(f"{name} = excluded.{name}" for name in row if name not in keys)
        insert = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"  # noqa: S608
        self.sql(f"{insert} ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {others}", *row.values())

    def configure(self, name: str, value: str) -> None:
        """Write a setting of riskguard's by plain SQL: *name* without its prefix."""
        self.put("config", ("key",), key=f"riskguard.{name}", value=value, updated_at=1)

    @contextlib.contextmanager
    def plain(self) -> Iterator[Any]:
        """A connection of another program's, each statement by itself unless it begins a transaction."""
        with contextlib.closing(sqlite3.connect(self.path, timeout=5, isolation_level=None)) as connection:
            yield connection

    def spelled(self, statement: str) -> Any:
        """The statement as the driver of `plain()` wants it; `?` stands for a value."""
        return statement

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Hold the write lock, as a stopped process would."""
        return locked(self.path)

    def unwritable(self) -> contextlib.AbstractContextManager[None]:
        """Let nobody write, whatever it is about: SQLite has one lock for it, PostgreSQL one for each table."""
        return locked(self.path)

    def stored(self) -> bytes:
        """Everything the database holds, to search in it for what it must not."""
        return self.path.read_bytes() + Path(f"{self.path}-wal").read_bytes()

    def lose(self) -> None:
        """Take the database away for good."""
        self.path.rename(self.path.with_name("hidden"))

    def saved(self) -> Callable[[], None]:
        """Keep a copy of the database as it is; what is returned puts it back. Either closes the guard's connections."""
        self.guard.close()
        older = self.path.with_name("older")
        shutil.copyfile(self.path, older)

        def restore() -> None:
            self.guard.close()
            older.replace(self.path)

        return restore

    def disarm(self, table: str) -> None:
        """Let *table* be forged: none of its triggers asks any more."""
        for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", table):
            self.sql(f"DROP TRIGGER {name}")

    def beside(self, account: str) -> Desk:
        """Another account's desk on the same database; whoever asks closes it."""
        return replace(self, account=account, _asked=0)

    def permit(self, client_order_id: str) -> str:
        return str(self.one("SELECT state FROM permits WHERE client_order_id = ?", client_order_id))

    def spool_files(self) -> list[Path]:
        return [path for each in self.store.directories for path in sorted((each / "spool").glob("*"))]

    def age_spool(self) -> None:
        """Let the minute pass in which a spool file may still grow."""
        for path in self.spool_files():
            pid, _, minute = path.stem.rpartition("-")
            path.rename(path.with_name(f"{pid}-{int(minute) - 1}.jsonl"))

    def flags(self) -> list[Path]:
        return [path for each in self.store.directories for path in sorted((each / halt.HALT).glob("*"))]


EachDesk = Callable[..., contextlib.AbstractContextManager[Desk]]
"""What the fixture `each_desk` is."""


def build(directory: Path, **how: Any) -> Path:
    """Make a database in *directory*, as `fill` says, and return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    fill(f"sqlite:///{directory / 'risk.db'}", directory, **how)
    return directory / "risk.db"


def fill(
    url: str, directory: Path, *, text: str | None = None, profile: str = "paper", hold_s: int = 60,
    accounts: tuple[str, ...] = (ACCOUNT,), group: str = "", clock: Any = None,
) -> None:  # fmt: skip
    """Make the database at *url*: accounts under one rulebook (kept in *directory*), instruments, and nothing else."""
    book = directory / "book.toml"
    book.write_text(text or rulebook())
    clock = clock or Clock()
    settings = DatabaseSettings(profile=profile, sweep_interval_s=2, release_hold_s=hold_s)  # type: ignore[arg-type]
    for name in accounts:
        initialise(
            url, account=name, group=group, rulebook=str(book), clock=clock, settings=settings,
            profile=settings.profile,
        )  # fmt: skip
    with contextlib.closing(Store(url, deadline_ms=PATIENCE_MS)) as store, store.session() as session:
        add_instruments(session, ADDED, clock.now_us())


def copy(template: Path, directory: Path) -> Path:
    """Copy a closed database into *directory* with the halt directories a database wants."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "risk.db"
    shutil.copyfile(template, path)
    path.chmod(0o600)
    for each in halt_directories(path):
        halt.prepare(each)
    return path


def halt_directories(path: Path) -> tuple[Path, ...]:
    from riskguard.home import state_directories

    return state_directories(f"sqlite:///{path}")


REFUSED = (sqlite3.IntegrityError, psycopg.IntegrityError)
"""What a database raises when it does not take what plain SQL would do to it."""
MALFORMED = (*REFUSED, psycopg.DataError)
"""The same, or a value that a column's type does not take."""


def e4(rupees: str) -> int:
    return to_e4(rupees)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the database's write lock, as a stopped process would."""
    with contextlib.closing(sqlite3.connect(path, timeout=5, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def eventually(done: Any, wait_s_max: float = 20.0) -> None:
    """Wait for another process or thread to have done something; fails the test when it has not in time."""
    end = time.monotonic() + wait_s_max
    while not done():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)
