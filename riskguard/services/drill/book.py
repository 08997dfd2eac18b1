"""
What a drill is about: one account's lines, orders, holdings, prices and limits, as its database last knew them.

Read from a copy: neither the database, nor its lock, nor the directories of halts is touched. The broker is not asked;
what it last listed is in the database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from riskguard.clock import SystemClock
from riskguard.core.account import Account
from riskguard.core.instrument import Instrument
from riskguard.core.limits import Limit
from riskguard.core.money import to_e4
from riskguard.core.order import checked_name
from riskguard.core.params import as_decimal
from riskguard.core.quote import Quote
from riskguard.errors import DatabaseMissingError, SettingsError, StoreUnavailableError, UnknownAccountError
from riskguard.home import sqlite_path
from riskguard.services.settings import DatabaseSettings, read_settings
from riskguard.store import books, controls, halt, loader
from riskguard.store.queries.drill_book import HELD, LAST_KNOWN, RESTING
from riskguard.store.session import ACCOUNTS, Session, Store

if TYPE_CHECKING:
    from riskguard.brokers.dhan.sandbox import Scenario

WAIT_S: Final = 2.0
DEADLINE_MS: Final = 5_000
Key = tuple[str, str]


class DrillLine(NamedTuple):
    """One line: signed units carried in, and signed units of today's fills."""

    segment: str
    security_id: str
    product: str
    carried: int
    today: int

    @property
    def key(self) -> Key:
        return self.segment, self.security_id


class RestingOrder(NamedTuple):
    """One order that rests; prices in 1/10000 rupee, 0: none. *group*: what its exits share. *leg*: ENTRY, TARGET, SL."""

    order_id: str
    segment: str
    security_id: str
    side: str
    product: str
    order_type: str
    validity: str
    quantity: int
    filled: int
    price_e4: int
    trigger_e4: int
    group: str
    leg: str

    @property
    def key(self) -> Key:
        return self.segment, self.security_id


class DrillHolding(NamedTuple):
    """Shares of the demat account."""

    segment: str
    security_id: str
    isin: str
    total: int
    available: int
    price_e4: int | None


@dataclass(frozen=True, slots=True)
class DrillBook:
    """
    Everything a drill copies. `quotes` are as old as they are; `guesses` are prices where no quote is known: what the
    broker last said, else a previous close. `listed_us`: when the broker listed the positions, None: never.
    """

    account: str
    settings: DatabaseSettings
    limits: tuple[Limit, ...]
    lines: tuple[DrillLine, ...] = ()
    resting: tuple[RestingOrder, ...] = ()
    holdings: tuple[DrillHolding, ...] = ()
    instruments: dict[Key, Instrument] = field(default_factory=dict)
    quotes: dict[Key, Quote] = field(default_factory=dict)
    guesses: dict[Key, int] = field(default_factory=dict)
    listed_us: int | None = None


def copied(url: str, directory: Path) -> Path:
    """
    Copy the database at *url* into *directory* and return the copy.

    Through SQLite's own backup, on a connection that cannot write: what another process has not committed is not in it.
    Raises SettingsError (no SQLite database), DatabaseMissingError, StoreUnavailableError.
    """
    path = sqlite_path(url)
    if path is None:
        raise SettingsError("a drill copies a sqlite:/// database; for another one use `--scenario FILE`")
    if not path.is_file():
        raise DatabaseMissingError(
            f"no database at `{path}`: create it with `riskguard init`, or use `--scenario FILE`"
        )
    target = directory / "book.db"
    target.touch(0o600)
    # Without a -wal nothing is in it that the file does not hold, and not even its companions shall appear beside it.
    alone = "" if Path(f"{path}-wal").exists() else "&immutable=1"
    try:
        with (
            closing(sqlite3.connect(f"{path.as_uri()}?mode=ro{alone}", uri=True, timeout=WAIT_S)) as source,
            closing(sqlite3.connect(target)) as made,
        ):
            source.backup(made)
    except sqlite3.Error as e:
        raise StoreUnavailableError(f"`{path}` cannot be copied: {e}") from None
    return target


def account_named(session: Session, account: str | None) -> str:
    """Return the account meant; the only one where none is named. Raises UnknownAccountError, SettingsError."""
    known = tuple(row[0] for row in session.rows(ACCOUNTS))
    if account is None:
        if len(known) != 1:
            raise SettingsError(f"which account: {', '.join(known) or 'there is none'}; `riskguard drill ACCOUNT`")
        return str(known[0])
    if account not in known:
        raise UnknownAccountError(account, known)
    return account


def read_book(store: Store, account: str | None, now_us: int, also: Iterable[Key] = ()) -> DrillBook:
    """
    Read the book of *account* from a copy, and what is known of the instruments *also*.

    Raises UnknownAccountError, SettingsError, StoreError.
    """
    with store.session(durable=False, wait_s=WAIT_S) as session:
        name = account_named(session, account)
        group = loader.group_of(session, name) or ""
        session.read_heads(name, group)
        loaded = loader.load(session, name, group, now_us)
        # Without a baseline the day has not begun for this database: all that is held was carried in.
        begun = books.baseline(session, name, loaded.account.session_date) is not None
        lines = _lines(loaded.account, begun)
        resting = _resting(session, name, now_us)
        held = _holdings(session, name)
        keys = {each.key for each in lines} | {each.key for each in resting} | set(also)
        day = loader.session_date(now_us)
        known: dict[Key, Instrument] = {}
        quotes: dict[Key, Quote] = {}
        guesses: dict[Key, int] = {}
        for key in sorted(keys):
            row = session.row(loader.INSTRUMENT, exchange_segment=key[0], security_id=key[1])
            if row is not None and row[loader.INSTRUMENT_COLUMNS.index("lot_size")]:
                known[key] = loader.instrument_from(row, day)
            quote = books.mark(session, key)
            if quote is not None:
                quotes[key] = quote
            price_e4 = _last_known_e4(session, name, key) or _line_price_e4(loaded.account, key)
            if price_e4:
                guesses[key] = price_e4
        found = DrillBook(
            name, read_settings(session), controls.limits(session, name, group).limits, lines, resting, held, known,
            quotes, guesses, loaded.account.position_seen_us,
        )  # fmt: skip
        store.roll_back(session)
    return found


def _lines(account: Account, begun: bool) -> tuple[DrillLine, ...]:
    """What the broker lists counts, where it listed anything; the rest is what our fills say."""
    found = []
    for key, products in sorted(account.positions.items()):
        for line in products.values():
            total = line.net if line.seen is None else line.seen
            carried = line.start if begun else total
            if total or carried:
                found.append(DrillLine(*key, line.product, carried, total - carried))
    return tuple(found)


def _resting(session: Session, account: str, now_us: int) -> tuple[RestingOrder, ...]:
    """Orders that rest; one of an earlier day does no longer, unless it is of a kind that lasts."""
    midnight_s = loader.midnight_us(now_us) // 1_000_000
    found = []
    for row in session.rows(RESTING, account=account):
        (order_id, segment, security, side, product, kind, validity, quantity, traded, left, price, trigger, group, leg,
         created_s) = row  # fmt: skip
        if created_s < midnight_s and not order_id.startswith(("forever:", "alert:")):
            continue
        filled = traded if traded is not None else quantity - (left if left is not None else quantity)
        if quantity > filled:
            prices = (loader.money_e4(price) or 0, loader.money_e4(trigger) or 0)
            found.append(
                RestingOrder(
                    order_id, segment, security, side, product, kind or "LIMIT", validity or "DAY", quantity, filled,
                    *prices, group or "", leg or "",
                )
            )  # fmt: skip
    return tuple(found)


def _holdings(session: Session, account: str) -> tuple[DrillHolding, ...]:
    latest = session.row(books.LATEST_SNAPSHOT, account=account, kind="holdings")
    if latest is None:
        return ()
    return tuple(
        DrillHolding(segment, security, isin or "", total, available, _e4(ltp) or _e4(price))
        for segment, security, isin, total, available, price, ltp in session.rows(HELD, snapshot_id=latest[0])
        if total
    )


def _e4(value: float | None) -> int | None:
    return to_e4(as_decimal(value)) if value else None


def _last_known_e4(session: Session, account: str, key: Key) -> int | None:
    row = session.row(LAST_KNOWN, account=account, segment=key[0], security=key[1])
    return None if row is None else next((found for each in row if (found := _e4(each))), None)


def _line_price_e4(account: Account, key: Key) -> int | None:
    """Return a price out of the book itself: the previous close, else the average of what was bought or sold today."""
    for line in account.positions.get(key, {}).values():
        if line.previous_close_e4:
            return line.previous_close_e4
        if line.bought:
            return line.buy_value_e4 // line.bought
        if line.sold:
            return line.sell_value_e4 // line.sold
    return None


def prepared(
    url: str, account: str | None, scenario: Path | None, directory: Path, now_us: int | None = None
) -> tuple[DrillBook, Scenario | None]:
    """
    Return the book to drill, and the scenario that takes the place of its positions and orders where one is named.

    A scenario needs no database: without one the shipped limits hold. Raises what `copied` and `read_book` do, and
    SettingsError for a scenario that cannot be read.
    """
    from riskguard.brokers.dhan.sandbox import read_scenario

    played = None if scenario is None else read_scenario(scenario)
    now_us = SystemClock().now_us() if now_us is None else now_us
    path = sqlite_path(url)
    if played is not None and (path is None or not path.exists()):
        book = DrillBook(checked_name("account", account or "leader"), DatabaseSettings(), ())
    else:
        folder = directory / "copied"
        folder.mkdir(mode=0o700)
        copy = copied(url, folder)
        halt.prepare(folder)
        with closing(Store(f"sqlite:///{copy}", deadline_ms=DEADLINE_MS)) as store:
            named: set[Key] = set()
            if played is not None:
                named = {(each.segment, each.security_id) for each in played.positions}
                named |= {(each.segment, each.security_id) for each in played.quotes}
            book = read_book(store, account, now_us, named)
        for left in folder.glob("book.db*"):
            left.unlink()  # sealed secrets are in it, and nothing of it is needed any more
    return (book, None) if played is None else (with_scenario(book, played, now_us), played)


def with_scenario(book: DrillBook, played: Scenario, now_us: int) -> DrillBook:
    """Return *book* with the positions, holdings and prices of a scenario in place of its own; its orders are left out."""
    quotes = {
        (each.segment, each.security_id): Quote.of(
            ltp=each.ltp, bid=each.bid or None, ask=each.ask or None, at_us=now_us
        )
        for each in played.quotes
    }
    return replace(
        book,
        lines=tuple(
            DrillLine(each.segment, each.security_id, each.product, each.quantity, 0) for each in played.positions
        ),
        resting=(),
        holdings=tuple(
            DrillHolding("NSE_EQ", each.security_id, each.isin, each.quantity, each.quantity, None)
            for each in played.holdings
        ),
        quotes=quotes,
        guesses={(each.segment, each.security_id): to_e4(each.price) for each in played.positions},
        listed_us=now_us,
    )
