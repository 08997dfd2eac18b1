"""The databases and accounts the figures are taken on."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from riskguard import Order, RiskGuard
from riskguard.services.setup import initialise
from riskguard.services.wiring import open_guard, settings_of, sweeper_of
from riskguard.store.engines import sqlite as lite

ACCOUNT = "leader"
SECOND = 1_000_000
START_US = 1_717_472_700 * SECOND  # 2024-06-04 09:15 in India: any moment of a session

REASON = 'why = "measured"\nsource = "benchmarks"\n'
TEN_CHECKS = """
rulebook = "benchmark"
{limits}
"""
_LIMITS = {
    "trading-state": 'check = "trading_state"',
    "order-validity": 'check = "order_validity"',
    "data-freshness": 'check = "data_freshness"\nsnapshot_age_s_max = 80000',
    "sweep-heartbeat": 'check = "sweep_heartbeat"\nintervals_max = 40000',
    "daily-loss": 'check = "daily_loss"\ndaily_loss_inr_max = "5000"\nwarn_at_pct = [50]\nreduce_only_at_pct = 80\n'
    'at_once_pct = 150\non_breach = "reject"',
    "order-value": 'check = "order_value"\norder_value_inr_max = "100000"',
    "net-position": 'check = "net_position"\nposition_max = "10000000"\nunit = "units"',
    "unconfirmed-in-flight": 'check = "unconfirmed_in_flight"\nanswer_s_max = 5',
    "repeated-execution": 'check = "repeated_execution"\ntrip_at_fills = 1000000\ntrip_at_refusals = 1000000\nper_s = 60',
    "order-rate": 'check = "order_rate"\nwindows = [{ messages_max = 1000000, reserve = 3, per_s = 1 }, '
    "{ messages_max = 1000000, reserve = 3, per_s = 60 }]",
    "reconciliation": 'check = "reconciliation"\nreads_max = 1000\nhalt_after_s = 864000',
}
"""
Ten checks of orders and one of sweeps, all mandatory ones among them; wide where a benchmark would otherwise be refused,
which costs them nothing.
"""


_WHOLE = frozenset({"reconciliation"})
"""Asked by the sweep, of an account whole: it has no narrower scope."""


def rulebook(scopes: tuple[str, ...] = ("ACCOUNT",), others: int = 0) -> str:
    """
    Return ten limits in each of *scopes*, and *others* more that hold for instruments nobody asks about.
    """
    limits = [
        f'[[limit]]\nid = "{name}-{number}"\n{text}\nscope = "{scope}"\n{REASON}'
        for number, scope in enumerate(scopes)
        for name, text in _LIMITS.items()
        if not (number and name in _WHOLE)
    ]
    limits += [
        f'[[limit]]\nid = "other-{number}"\ncheck = "order_quantity"\nquantity_max = 10\nunit = "units"\n'
        f'scope = "INSTRUMENT:NSE_EQ:9{number:06d}"\n{REASON}'
        for number in range(others)
    ]
    return TEN_CHECKS.format(limits="\n".join(limits))


class BenchClock:
    """Wall time that moves when told, so that no order is refused for what the benchmark does not measure."""

    def __init__(self, now_us: int = START_US) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        return self._now_us

    def elapsed_us(self) -> int:
        return self._now_us

    def advance(self, us: int) -> None:
        self._now_us += us


def order(client_order_id: str, quantity: int = 10, **changes: object) -> Order:
    """A limit order of the usual share; 10 of it pass, 100 are above the order value."""
    fields: dict[str, object] = {
        "account": ACCOUNT, "client_order_id": client_order_id, "exchange_segment": "NSE_EQ", "security_id": "1333",
        "side": "BUY", "product": "INTRADAY", "order_type": "LIMIT", "quantity": quantity, "price": "1650.00",
        "strategy": "bench",
    }  # fmt: skip
    return Order(**{**fields, **changes})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Stage:
    """One database in a directory of its own, at rest: copy it, open the copy."""

    directory: Path

    @property
    def path(self) -> Path:
        return self.directory / "risk.db"

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def copied(self, to: Path) -> Stage:
        """Copy the whole directory; nobody may have it open."""
        if to.exists():
            shutil.rmtree(to)
        shutil.copytree(self.directory, to)
        return Stage(to)

    @contextmanager
    def guard(self) -> Iterator[tuple[RiskGuard, BenchClock]]:
        """Open the guard as a strategy's process would have it after its first check."""
        clock = BenchClock()
        with open_guard(self.url, sweep=False, clock=clock, deadline_ms=5_000) as guard:
            yield guard, clock

    def insert(self, sql: str, rows: Iterator[tuple[object, ...]]) -> None:
        with closing(lite.connect(self.path, durable=False)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(sql, rows)
            connection.execute("COMMIT")


_BUILT: dict[str, Stage] = {}


@cache
def _place() -> tempfile.TemporaryDirectory[str]:
    """Where what was built lies until this process ends; made at first use, since the processes of a run only open copies."""
    return tempfile.TemporaryDirectory(prefix="riskguard-bench")


def build(directory: Path, text: str) -> Stage:
    """Make a database whose account has a fresh, flat book, a baseline and a finished sweep; the same text is built once."""
    made = _BUILT.get(text)
    if made is None:
        made = _BUILT[text] = _build(Path(_place().name) / str(len(_BUILT)), text)
    directory.parent.mkdir(parents=True, exist_ok=True)
    return made.copied(directory)


def _build(directory: Path, text: str) -> Stage:
    stage = build_accounts(directory, text, (ACCOUNT,))
    with stage.guard() as (guard, _clock):
        decision = guard.check(order("first"))
        assert decision.approved, decision.explain()
        assert decision.permit is not None
        decision.permit.release()
    return stage


def accounts_named(count: int) -> tuple[str, ...]:
    """The first is the account every order names unless it names another."""
    return (ACCOUNT, *(f"a{number}" for number in range(1, count)))


def build_accounts(directory: Path, text: str, names: tuple[str, ...], url: str = "") -> Stage:
    """Make a database with several accounts, each flat, with a baseline and a finished sweep; at *url* if given."""
    directory.mkdir(parents=True)
    book = directory / "bench.toml"
    book.write_text(text)
    stage, clock = Stage(directory), BenchClock()
    at = url or stage.url
    for name in names:
        initialise(at, profile="library", account=name, rulebook=str(book), clock=clock)
    with open_guard(at, sweep=False, clock=clock, deadline_ms=5_000) as guard:
        settings, _accounts = settings_of(guard.store)
        for name in names:
            guard.report_positions([], account=name)
            sweeper_of(guard, settings, name).sweep(now=True)
    return stage


def add_history(stage: Stage, decisions: int) -> None:
    """
    Write *decisions* old decisions with the bytes of a real one, half of them with a filled permit and a message.

    They lie before the day, as an account's past does; the chain is not a true one and no figure walks it.
    """
    with closing(sqlite3.connect(stage.path)) as connection:
        body = connection.execute("SELECT body FROM decisions WHERE approved = 1").fetchone()[0]
        first = connection.execute("SELECT sequence FROM account_heads WHERE account = ?", (ACCOUNT,)).fetchone()[0]
    past_us = START_US - 30 * 86_400 * SECOND
    step_us = 28 * 86_400 * SECOND // decisions
    stage.insert(
        "INSERT INTO decisions (account, sequence, client_order_id, kind, approved, strategy, decided_at_us, body, "
        "previous_hash, hash) VALUES (?, ?, ?, 'ORDER', ?, 'bench', ?, ?, '', ?)",
        (
            (ACCOUNT, first + n, f"h{n}", n % 2, past_us + n * step_us, body, hashlib.sha256(b"%d" % n).hexdigest())
            for n in range(1, decisions + 1)
        ),
    )
    stage.insert(
        "INSERT INTO permits (account, client_order_id, sequence, state, direction, correlation_id, exchange_segment, "
        "security_id, side, product, order_type, quantity, filled_quantity, order_id, granted_at_us, expires_at_us) "
        "VALUES (?, ?, ?, 'FILLED', 'INCREASING', ?, 'NSE_EQ', '1333', 'BUY', 'INTRADAY', 'LIMIT', 10, 10, ?, ?, ?)",
        (
            (ACCOUNT, f"h{n}", first + n, f"rgh{n}", f"b{n}", past_us + n * step_us, past_us + n * step_us + SECOND)
            for n in range(1, decisions + 1, 2)
        ),
    )
    stage.insert(
        "INSERT INTO order_messages (account, kind, client_order_id, at_us) VALUES (?, 'NEW', ?, ?)",
        ((ACCOUNT, f"h{n}", past_us + n * step_us) for n in range(1, decisions + 1, 2)),
    )
    with closing(lite.connect(stage.path, durable=False)) as connection:
        connection.execute(
            "UPDATE account_heads SET sequence = ?, last_hash = ? WHERE account = ?",
            (first + decisions, hashlib.sha256(b"%d" % decisions).hexdigest(), ACCOUNT),
        )


def add_given_back(stage: Stage, count: int) -> None:
    """Reserve and give back so many orders at the moment of the stage, as a strategy does that requotes without a fill."""
    with stage.guard() as (guard, _clock):
        for number in range(count):
            permit = guard.check(order(f"back{number}")).permit
            assert permit is not None
            permit.release()


def add_closed_positions(stage: Stage, closed: int) -> None:
    """Write *closed* lines of today's book that were bought and sold again, and are flat."""
    with closing(sqlite3.connect(stage.path)) as connection:
        date = connection.execute("SELECT session_date FROM day_baselines").fetchone()[0]
    stage.insert(
        "INSERT INTO day_books (account, session_date, exchange_segment, security_id, product, start_quantity, "
        "filled_quantity, buy_value_e4, sell_value_e4, bought, sold) "
        "VALUES (?, ?, 'NSE_EQ', ?, 'INTRADAY', 0, 0, 1000000, 1000000, 10, 10)",
        ((ACCOUNT, date, f"8{n:06d}") for n in range(closed)),
    )
