"""Puts the parts together: which guard, which broker, who sweeps."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riskguard.core.checks import build_validators
from riskguard.core.instrument import Instrument
from riskguard.errors import StoreError
from riskguard.home import database_url
from riskguard.ports import Alerts, Broker, Clock, Margins, Marks
from riskguard.services.counting import CountedBroker, ledger_of
from riskguard.services.orders.guard import RiskGuard
from riskguard.services.settings import DatabaseSettings, read_settings
from riskguard.store import loader
from riskguard.store.calendar import calendar
from riskguard.store.market import market_tables
from riskguard.store.session import ACCOUNTS, Store, clock_of

if TYPE_CHECKING:
    from riskguard.brokers.paper import PaperBroker
    from riskguard.services.sweeps.sweeper import Sweeper

log = logging.getLogger("riskguard")

WAIT_S = 2.0
PAPER_INSTRUMENTS_MAX = 2_000


def open_guard(
    url: str | None = None, *, sweep: bool = True, clock: Clock | None = None, deadline_ms: int | None = None,
    brokers: dict[str, Broker] | None = None,
) -> RiskGuard:  # fmt: skip
    """
    Open the guard of an existing database.

    With *sweep* (the default) profiles `paper` and `library` sweep once before this returns and go on in a
    background thread of this process, unless a daemon does: no order that adds risk passes unwatched.

    Raises DatabaseMissingError, SchemaMismatchError, StoreUnavailableError, SettingsError.
    """
    if deadline_ms is None:
        from riskguard.services.settings import process_settings

        deadline_ms = process_settings().deadline_ms
    market_tables()  # parsed now: a check would do it under the write lock
    calendar()
    build_validators()
    store = Store(database_url(url), deadline_ms=deadline_ms)
    guard = RiskGuard(store, clock_of(store, clock))
    settings, accounts = settings_of(store)
    attached: dict[str, object] = dict(brokers or {})

    def margins(account: str) -> Margins | None:
        found = attached.get(account)
        if found is None and settings.profile == "paper":
            broker = paper_broker(guard, account)
            guard.on_close(broker.close)
            found = attached[account] = broker
        elif found is None and settings.profile == "dhan":
            found = attached[account] = broker_of(guard, settings, account)
        return found if isinstance(found, Margins) else None

    guard.margins = margins
    if sweep and settings.profile in ("paper", "library"):
        from riskguard.services.sweeps.claims import Lease
        from riskguard.services.sweeps.schedule import in_process

        beside_a_daemon, alerts = Lease(only_yields=True), _alerts_of(guard)
        sweepers = [
            sweeper_of(guard, settings, account, (brokers or {}).get(account), alerts, lease=beside_a_daemon)
            for account in accounts
        ]  # fmt: skip
        for sweeper in sweepers:
            try:
                sweeper.sweep()
            except StoreError as e:  # without its heartbeat what adds risk is refused; the thread tries again
                log.warning("%s is not swept yet: %s", sweeper.account, e)
        guard.on_close(in_process(guard, sweepers))
    return guard


def _alerts_of(guard: RiskGuard) -> Alerts | None:
    """Return alerts that reach the channels, sent from a thread of this process; None where there is no channel."""
    from riskguard.store.queries.alert_counts import CHANNELS

    with guard.store.session(durable=False, wait_s=WAIT_S) as session:
        wanted = session.row(CHANNELS) is not None
        guard.store.roll_back(session)
    if not wanted:
        return None
    from riskguard.services.alerts.service import AlertService

    service = AlertService(guard.store.url, clock=guard.clock)
    service.start()
    guard.on_close(service.stop)
    return service.alerts


def settings_of(store: Store) -> tuple[DatabaseSettings, tuple[str, ...]]:
    """Return the database's settings and its accounts."""
    with store.session(durable=False, wait_s=WAIT_S) as session:
        settings = read_settings(session)
        accounts = tuple(row[0] for row in session.rows(ACCOUNTS))
        store.roll_back(session)
    return settings, accounts


def sweeper_of(
    guard: RiskGuard,
    settings: DatabaseSettings,
    account: str,
    broker: Broker | None = None,
    alerts: Alerts | None = None,
    **more: Any,
) -> Sweeper:
    """
    Return the sweeper of one account, with the broker its profile names unless one is given.

    *more* are its `cadence`, `lease` and `budget`: the daemon's.
    """
    attached = broker if broker is not None else broker_of(guard, settings, account)
    marks = _marks_of(attached)
    interval_us = settings.sweep_interval_s * 1_000_000
    from riskguard.services.sweeps.sweeper import Sweeper  # a sixth of a start, and only who sweeps wants it

    return Sweeper(guard, account, attached, interval_us=interval_us, alerts=alerts, marks=marks, **more)


def _marks_of(attached: object) -> Marks | None:
    """A broker that also shows quotes (the paper one does) marks the book too."""
    inner = attached.inner if isinstance(attached, CountedBroker) else attached
    return inner if isinstance(inner, Marks) else None


def broker_of(guard: RiskGuard, settings: DatabaseSettings, account: str) -> Broker | None:
    """Return the broker the profile attaches to *account*; None where positions are pushed."""
    if settings.profile == "paper":
        broker = paper_broker(guard, account, instruments=_instruments(guard.store))
        if not guard.quote_listeners:
            guard.quote_listeners.append(broker.set_quote)  # what is pushed moves the paper market
        return CountedBroker(broker, account, ledger_of(guard))
    if settings.profile == "dhan":
        from riskguard.services.dhan import dhan_broker

        return dhan_broker(guard, settings, account)  # counts its own requests: one list of orders is four
    return None


def _instruments(store: Store) -> list[Instrument]:
    """Return what the paper market needs to know of ticks and kinds: a starter's worth, not a whole master."""
    with store.session(durable=False, wait_s=WAIT_S) as session:
        rows = session.rows(loader.FIRST_INSTRUMENTS, most=PAPER_INSTRUMENTS_MAX)
        store.roll_back(session)
    return [loader.instrument_from(row) for row in rows]


def paper_broker(guard: RiskGuard, account: str, **options: Any) -> PaperBroker:
    """Open the paper broker beside the database; its market is shared by all processes of this database."""
    from riskguard.brokers.paper import PaperBroker

    return PaperBroker.open(paper_path(guard.store.path), account, clock=guard.clock, **options)


def paper_path(database: Path) -> Path:
    """Return the paper market's own file, beside the database."""
    return database.with_name(f"{database.stem}.paper.db")
