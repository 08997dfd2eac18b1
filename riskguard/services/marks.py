"""
Live prices for a database: what is watched, and the `marks` row every process reads.

Watched is what somebody holds, has an order in, or put on the list; the underlyings of options held too. Prices stand in memory
here and, at most once a second for each instrument, in the `marks` table, where checks and sweeps of every process find them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import Final, NamedTuple

from riskguard.core.calendar import Calendar
from riskguard.core.pricing import CLOCK_SKEW_MAX_US
from riskguard.core.quote import Quote
from riskguard.errors import RiskGuardError, SettingsError, StoreError, TokenMissingError
from riskguard.feeds.market.access import Access
from riskguard.feeds.market.book import Key, MarketBook
from riskguard.feeds.market.feed import FeedHealth, MarketFeed
from riskguard.feeds.market.reader import QuoteReader
from riskguard.feeds.market.stream import INDEX, MarketStream
from riskguard.feeds.market.watching import SEGMENTS, watch_list
from riskguard.services.counting import ledger_of
from riskguard.services.orders.guard import RiskGuard
from riskguard.services.settings import DatabaseSettings
from riskguard.services.tokens import TokenSource
from riskguard.services.wiring import settings_of
from riskguard.store import books, loader, permits
from riskguard.store.calendar import calendar
from riskguard.store.database import Database
from riskguard.store.queries.instrument_kinds import KIND
from riskguard.store.session import ACCOUNTS, Session
from riskguard.store.supply import SPOT_KEYS

log = logging.getLogger("riskguard")

TURN_S: Final = 1.0
"""How often changed prices are shared."""
LOOK_US: Final = 2_000_000
"""How often it is looked what is held and ordered: a new position has a price within a sweep."""
WAIT_S: Final = 1.0
CHUNK: Final = 100
"""Rows of one transaction: a check waits for none of them longer than it takes to write these."""
SOURCE: Final = "feed"
QUOTES: Final = "quotes"
"""Class of the request for prices; it has a limit of its own."""


class Kind(NamedTuple):
    """What the feed has to know of an instrument."""

    is_option: bool
    underlying: str


class LiveMarks:
    """
    Runs a feed for one guard. Implements `ports.Marks`; `start` and `stop` once.

    A database that cannot be read or written is a warning: the feed goes on with what it watches, and what could not be shared
    is shared at the next turn. A mark nobody could write grows old for the others, and old marks let nobody add risk.
    """

    def __init__(self, guard: RiskGuard, feed: MarketFeed, *, kinds: dict[Key, Kind] | None = None) -> None:
        """*kinds* is the memory the feed's book asks for options; the two share it."""
        self.guard, self.feed = guard, feed
        self._kinds: dict[Key, Kind] = {} if kinds is None else kinds
        self._looked_us: int | None = None
        self._told: dict[str, str] = {}
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def quote(self, exchange_segment: str, security_id: str) -> Quote | None:
        return self.feed.quote(exchange_segment, security_id)

    def health(self) -> FeedHealth:
        return self.feed.health()

    def start(self) -> None:
        self.turn()
        self.feed.start()
        self._thread = threading.Thread(target=self._run, name="riskguard-marks", daemon=True)
        self._thread.start()

    def stop(self, wait_s: float = 10.0) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(wait_s)
        self.feed.stop(wait_s)

    def _run(self) -> None:
        while not self._stopped.wait(TURN_S):
            try:
                self.turn()
            except Exception:  # whatever breaks here, the next second must have its prices
                log.exception("live marks: a turn broke")

    def turn(self) -> None:
        """Watch what is held now, and share what changed. Never raises an error of ours."""
        now_us = self.guard.clock.elapsed_us()
        if self._looked_us is None or now_us - self._looked_us >= LOOK_US:
            self._looked_us = now_us
            self._look()
        self._share()

    def _look(self) -> None:
        try:
            settings, accounts = settings_of(self.guard.store)
            with self.guard.store.session(durable=False, wait_s=WAIT_S) as session:
                wanted = held(session, accounts, self.guard.clock.now_us()) | watch_list(settings.watch_list)
                for key in wanted - self._kinds.keys():
                    if (kind := _kind(session, key)) is not None:
                        self._kinds[key] = kind
                kinds = [self._kinds[key] for key in wanted & self._kinds.keys()]
                wanted |= _spots(session, {kind.underlying for kind in kinds if kind.is_option})
                self.guard.store.roll_back(session)
        except RiskGuardError as e:
            self._tell("watched", f"live marks go on with what they watch: {e}")
            return
        self._tell("watched", "")
        self.feed.watch(wanted)
        for key in self._kinds.keys() - wanted:
            self._kinds.pop(key, None)

    def _share(self) -> None:
        changed = self.feed.book.changes()
        keys = sorted(changed)
        for at in range(0, len(keys), CHUNK):
            some = keys[at : at + CHUNK]
            try:
                with self.guard.store.session(durable=False, wait_s=WAIT_S) as session:
                    now_us = self.guard.clock.now_us()
                    for key in some:
                        share(session, key, changed[key], now_us)
            except StoreError as e:
                self._tell("shared", f"prices were not shared: {e}")
                self.feed.book.changed_again(set(keys[at:]))
                return
        self._tell("shared", "")

    def _tell(self, what: str, problem: str) -> None:
        """Log a problem once, until it is another or gone: a turn comes every second."""
        if problem and problem != self._told.get(what):
            log.warning("%s", problem)
        self._told[what] = problem


def share(session: Session, key: Key, quote: Quote, now_us: int) -> bool:
    """Write one `marks` row unless a newer one stands; one stamped in the future was made by a wrong clock, and goes."""
    stands = books.mark(session, key)
    if stands is not None and quote.at_us <= stands.at_us <= now_us + CLOCK_SKEW_MAX_US:
        return False
    books.save_mark(session, key, quote, SOURCE)
    return True


def held(session: Session, accounts: Iterable[str], now_us: int) -> set[Key]:
    """Return what *accounts* hold or have an order in: by the day's book, the broker's last list, and live permits."""
    date = loader.session_date(now_us)
    found: set[Key] = set()
    for account in accounts:
        for row in session.rows(books.LINES, account=account, session_date=date):
            if row[3] + row[5]:  # carried and filled
                found.add((row[0], row[1]))
        newest = session.row(books.LATEST_SNAPSHOT, account=account, kind="positions")
        if newest is not None:
            for segment, security, _product, net in session.rows(books.SNAPSHOT_POSITIONS, snapshot_id=newest[0]):
                if net:
                    found.add((segment, security))
        for row in session.rows(books.WORKING, account=account):
            found.add((row[2], row[3]))
        for permit in permits.live(session, account):
            found.add((permit.exchange_segment, permit.security_id))
    return {(segment, security) for segment, security in found if segment in SEGMENTS and security.isdigit()}


def _kind(session: Session, key: Key) -> Kind | None:
    """Return what the master says of an instrument; None while it is not in it, and asked again."""
    row = session.row(KIND, exchange_segment=key[0], security_id=key[1])
    return None if row is None else Kind((row[0] or "").strip() in ("CE", "PE"), row[1] or "")


def _spots(session: Session, names: set[str]) -> set[Key]:
    return {
        (str(segment), str(security))
        for name in names - {""}
        for segment, security in session.rows(SPOT_KEYS, symbol=name)
    }


# -- put together ---------------------------------------------------------------------------------------------------------


def live_marks(guard: RiskGuard) -> LiveMarks | None:
    """
    Return the live prices the database's settings ask for, not started; None when they ask for none.

    The first account that has a token asks for everybody: a price is the same for all. Raises SettingsError,
    ExtraMissingError, StoreError.
    """
    settings, _ = settings_of(guard.store)
    if settings.market_feed == "off" or (settings.market_feed == "auto" and settings.profile != "dhan"):
        return None
    watch_list(settings.watch_list)
    database = Database(guard.store.url, clock=guard.clock)
    guard.on_close(database.close)
    tokens = Tokens(guard, database)
    kinds: dict[Key, Kind] = {}

    def is_option(key: Key) -> bool:
        found = kinds.get(key)
        return found is not None and found.is_option

    def is_open(segment: str) -> bool:
        return calendar().is_open(segment if segment != INDEX else "NSE_FNO", guard.clock.now_us())

    stream = MarketStream(MarketBook(is_option, trades_on), tokens.access, guard.clock, url=settings.market_feed_url)
    feed = MarketFeed(stream, _reader(guard, settings, tokens), is_open=is_open)
    return LiveMarks(guard, feed, kinds=kinds)


def trades_on(segment: str, now_us: int) -> bool:
    """Say whether *segment* may trade on the date of *now_us*: where the calendar does not know, it may."""
    hours, day = calendar(), Calendar.session_date(now_us)
    name = segment if segment != INDEX else "NSE_EQ"
    return not hours.known(name, day) or hours.is_trading_day(name, day)


def started(guard: RiskGuard) -> LiveMarks | None:
    """
    Return the live prices the settings ask for, started; None when they ask for none, or they cannot be had.

    What is wrong is logged and not raised: a daemon that ends over it would watch nothing at all. Without marks no order
    that adds risk is approved where a price is needed, and no loss is proven.
    """
    try:
        made = live_marks(guard)
    except RiskGuardError as e:
        log.critical("no live prices: %s", e)
        return None
    if made is not None:
        made.start()
    return made


def _reader(guard: RiskGuard, settings: DatabaseSettings, tokens: Tokens) -> QuoteReader | None:
    """Return who asks while the stream is down; the sandbox has no prices to ask for."""
    try:
        return QuoteReader(tokens.access, guard.clock, url=settings.dhan_base_url, on_call=tokens.count)
    except SettingsError:
        return None


class Tokens:
    """The client id and token of the first account that has both, asked for anew each time."""

    def __init__(self, guard: RiskGuard, database: Database) -> None:
        self.guard, self.database = guard, database
        self._sources: dict[str, TokenSource] = {}
        self._asked = ""  # the account whose token was given out last
        self._ledger = ledger_of(guard)

    def count(self) -> None:
        """Count one request for quotes where the account's other requests are counted."""
        self._ledger.note(self._asked, QUOTES)
        self._ledger.flush()

    def access(self) -> Access:
        """Return what is valid now; raises TokenMissingError or SecretError of the last account asked, StoreError."""
        from riskguard.services.dhan import client_id_in, client_id_of

        with self.guard.store.session(durable=False, wait_s=WAIT_S) as session:
            accounts = [str(row[0]) for row in session.rows(ACCOUNTS)]
            self.guard.store.roll_back(session)
        wrong: RiskGuardError | None = None
        for account in accounts:
            source = self._sources.setdefault(account, TokenSource(self.database, account))
            try:
                token = source.current().value.get_secret_value()
            except RiskGuardError as e:
                wrong = wrong or e
                continue
            client_id = client_id_of(self.guard, account) or client_id_in(token)
            if client_id:
                self._asked = account
                return Access(client_id, token)
            wrong = wrong or SettingsError(f"`{account}` has no client id: `riskguard init --client-id` sets it")
        raise wrong or TokenMissingError("any account")
