"""
Where a drill plays: a directory of its own that is the host home and the database, a broker on this machine, a clock that
is moved on instead of waited for. All of it is gone afterwards.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from riskguard.brokers.dhan import Credentials, DhanBroker, Timeouts
from riskguard.brokers.dhan.sandbox import Sandbox, Scenario
from riskguard.clock import SystemClock
from riskguard.core.money import to_text
from riskguard.core.pricing import is_fresh, quote_ttl_us
from riskguard.core.rulebook import Rulebook
from riskguard.core.scope import Scope
from riskguard.home import host_home
from riskguard.services.counting import RequestMeter, ledger_of
from riskguard.services.drill.book import DrillBook
from riskguard.services.drill.seeding import scenario_of, seed
from riskguard.services.limits import rulebooks
from riskguard.services.orders.guard import RiskGuard
from riskguard.services.setup import add_instruments, initialise
from riskguard.services.sweeps import charging
from riskguard.services.sweeps.look import look
from riskguard.services.sweeps.reconciler import take_over
from riskguard.services.wiring import open_guard
from riskguard.store import books, calendar, controls, loader, market
from riskguard.store.session import Session

PREFIX: Final = "riskguard-drill-"
BY: Final = "drill"
DEADLINE_MS: Final = 5_000
WAIT_S: Final = 5.0
SETTLED_S: Final = 10.0
"""After it the position list has caught up with the fills the drill begins with."""
PATIENT: Final = Timeouts(connect_s=5, read_s=10, call_s=10, operation_s=30)
"""A server on this machine answers in milliseconds; a busy machine is no finding of a drill."""


class DrillClock:
    """The machine's clock, moved on by what would have been waited for; *at_us*: begun at another time than now."""

    def __init__(self, at_us: int | None = None) -> None:
        self._real, self._skipped_us = SystemClock(), 0
        self._moved_us = 0 if at_us is None else at_us - self._real.now_us()

    def now_us(self) -> int:
        return self._real.now_us() + self._moved_us + self._skipped_us

    def elapsed_us(self) -> int:
        return self._real.elapsed_us() + self._skipped_us

    def skip(self, seconds: float) -> None:
        """Let so much time pass, at once."""
        self._skipped_us += round(seconds * 1_000_000)


class Heard:
    """Alerts of a drill: kept, and sent to nobody."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def tell(self, account: str, severity: str, message: str) -> None:
        self.said.append(f"{severity}: {message}")


class RehearsalBroker(DhanBroker):
    """The adapter itself. Its market never closes: that it is closed now is said apart, and hides nothing else."""

    keeps_hours = False


@dataclass(slots=True)
class Stage:
    """See the module. `fresh`: instruments whose price was fresh when the drill began, and is kept so."""

    book: DrillBook
    clock: DrillClock
    server: Sandbox
    guard: RiskGuard
    broker: DhanBroker
    heard: Heard = field(default_factory=Heard)
    fresh: frozenset[tuple[str, str]] = frozenset()

    def pass_s(self, seconds: float) -> None:
        """Let time pass, and the prices that were fresh stay so, as a feed would have them."""
        self.clock.skip(seconds)
        now_us = self.clock.now_us()
        for key in self.fresh:
            quote = self.book.quotes[key]
            self.guard.quote(
                *key, ltp=_rupees(quote.ltp_e4), bid=_rupees(quote.bid_e4), ask=_rupees(quote.ask_e4), at=now_us,
                lower_band=_rupees(quote.lower_band_e4), upper_band=_rupees(quote.upper_band_e4),
            )  # fmt: skip

    def look(self) -> None:
        """Read the broker's lists into the book once, as a sweep does."""
        seen = look(self.broker, self.clock)
        with self.guard.store.session(durable=False, wait_s=WAIT_S) as session:
            now_us = self.clock.now_us()
            session.read_heads(self.book.account)
            take_over(session, self.book.account, loader.session_date(now_us), seen, now_us, BY)


def _rupees(price_e4: int | None) -> str | None:
    return to_text(price_e4) if price_e4 else None


@contextlib.contextmanager
def own_home() -> Iterator[Path]:
    """
    Make a directory that only we may enter and that is the host home until it is removed again.

    The user's calendar, market tables and charges go with it: a drill knows what the real thing knows.
    """
    before = os.environ.get("RISKGUARD_HOME")
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name:
        home = Path(name) / "home"
        home.mkdir(mode=0o700)
        with contextlib.suppress(OSError, RuntimeError):
            _take_along(host_home(), home)
        os.environ["RISKGUARD_HOME"] = str(home)
        try:
            yield Path(name)
        finally:
            if before is None:
                del os.environ["RISKGUARD_HOME"]
            else:
                os.environ["RISKGUARD_HOME"] = before


def _take_along(real: Path, home: Path) -> None:
    for name in (calendar.NAME, charging.FILE):
        if (real / name).is_file():
            shutil.copyfile(real / name, home / name)
    if (real / market.FOLDER).is_dir():
        shutil.copytree(real / market.FOLDER, home / market.FOLDER)


@contextlib.contextmanager
def staged(book: DrillBook, directory: Path, clock: DrillClock, *, scenario: Scenario | None = None) -> Iterator[Stage]:
    """Open the stage in *directory*, inside `own_home`; a *scenario* takes the place of the book's positions and orders."""
    with Sandbox(scenario or scenario_of(book), now_us=clock.now_us) as server, contextlib.ExitStack() as left:
        if scenario is None:
            seed(server, book)
        url = f"sqlite:///{directory / 'drill.db'}"
        settings = book.settings.model_copy(update={"profile": "dhan", "dhan_base_url": server.url})
        initialise(
            url, profile="dhan", account=book.account, by=BY, clock=clock, settings=settings,
            client_id=server.scenario.client_id,
        )  # fmt: skip
        guard = open_guard(url, sweep=False, clock=clock, deadline_ms=DEADLINE_MS)
        left.callback(guard.close)
        with guard.store.session(durable=True, wait_s=WAIT_S) as session:
            _write(session, book, clock.now_us(), scenario)

        def credentials() -> Credentials:
            return Credentials(server.scenario.client_id, server.scenario.token)

        broker = RehearsalBroker(
            credentials, account=book.account, base_url=server.url, timeouts=PATIENT,
            meter=RequestMeter(book.account, ledger_of(guard)),
        )  # fmt: skip
        left.callback(broker.close)
        now_us = clock.now_us()
        fresh = frozenset(
            key
            for key, quote in book.quotes.items()
            if is_fresh(quote, now_us, quote_ttl_us(book.instruments.get(key)))
        )
        stage = Stage(book, clock, server, guard, broker, fresh=fresh)
        stage.pass_s(SETTLED_S)
        stage.look()
        yield stage


def _write(session: Session, book: DrillBook, now_us: int, scenario: Scenario | None) -> None:
    """Write limits, instruments, the day's start and the prices into the empty database."""
    add_instruments(session, list(book.instruments.values()), now_us)
    if book.limits:
        _write_limits(session, book, now_us)
    date = loader.session_date(now_us)
    carried = (
        [(each.segment, each.security_id, each.product, each.carried) for each in book.lines if each.carried]
        if scenario is None
        else [(each.segment, each.security_id, each.product, each.quantity) for each in scenario.positions]
    )
    for segment, security, product, units in carried:
        books.carry_line(session, book.account, date, (segment, security, product), units, None)
    books.write_baseline(session, book.account, date, now_us, source="PERSON", opening_equity_e4=None, by=BY)
    for key, quote in book.quotes.items():
        books.save_mark(session, key, quote, BY)


def _write_limits(session: Session, book: DrillBook, now_us: int) -> None:
    """Put the account's limits in place of the shipped ones; those of its group and of all become its own here."""
    own = Scope("ACCOUNT", book.account)
    limits = []
    names: set[str] = set()
    for limit in book.limits:
        name = limit.id if limit.id not in names else f"{limit.id}-{len(names)}"
        names.add(name)
        scope = own if limit.scope.kind in ("GLOBAL", "GROUP") else limit.scope
        limits.append(replace(limit, id=name, scope=scope, row_id=None))
    session.read_heads(book.account)
    action_id = controls.open_action(session, book.account, "APPLY", BY, "a drill", now_us)
    made = Rulebook("drill", "", tuple(limits), "")
    rulebooks.write(session, book.account, made, BY, "a drill", now_us, action_id, approver=f"{BY} itself")
