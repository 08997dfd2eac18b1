"""
`init`: the one thing that creates a database. Directories, schema, account, limits, latch and baseline.
"""

from __future__ import annotations

import contextlib
import csv
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from riskguard import data
from riskguard.clock import SystemClock
from riskguard.core.instrument import Instrument
from riskguard.core.money import to_decimal, to_e4
from riskguard.core.order import checked_name
from riskguard.core.rulebook import parse
from riskguard.errors import OrderInvalidError, SettingsError, UpgradeError
from riskguard.home import sqlite_path, state_directories
from riskguard.locate import folder, rulebook_text
from riskguard.ports import Clock
from riskguard.services.limits import rulebooks
from riskguard.services.settings import DatabaseSettings, Profile, read_settings, save_settings
from riskguard.store import books, controls, halt, journal, loader
from riskguard.store.engines import sqlite as lite
from riskguard.store.session import ACCOUNTS, ADD_ACCOUNT, ADD_HEAD, GLOBAL, Session, Store
from riskguard.store.statements import insert_into
from riskguard.store.tables.authentication import seed_config
from riskguard.store.tables.instruments import instruments

WAIT_S = 5.0
ADD_INSTRUMENT = insert_into(
    instruments, "security_id", "exchange_segment", "symbol", "trading_symbol", "name", "instrument_type", "expiry_date",
    "lot_size", "tick_size", "underlying_symbol", "isin", "updated_at", "multiplier", "series",
    "option_type", "strike_price", "freeze_quantity", replace=True,
)  # fmt: skip
ROLES_MAX = 64


@dataclass(frozen=True, slots=True)
class Initialised:
    """What `init` made."""

    url: str
    account: str
    created: bool
    limits: int
    profile: Profile
    lost: tuple[Path, ...] = ()
    """Halt directories that are missing and were there: everything stays halted until a release brings them back."""


def initialise(
    url: str, *, profile: Profile = "paper", account: str = "leader", role: str = "leader", group: str = "",
    rulebook: str = "default", by: str = "init", clock: Clock | None = None, settings: DatabaseSettings | None = None,
    client_id: str = "", base_url: str = "",
) -> Initialised:  # fmt: skip
    """
    Create the database at *url* with its first account, or add another account to one that stands. On a host that has no
    halt directory yet, an account that stands on a server is left as it is: the host joins those that trade it.

    A halt directory that was lost is not made again: whoever it halts, of this database or of another beside it, stays
    halted until a person's release.

    Raises SettingsError (an account that exists, a malformed name, an unknown rulebook, a file that is not
    ours), RulebookError. Nothing is left behind when the database could not be completed.
    """
    path = sqlite_path(url)
    try:
        account, role = checked_name("account", account), checked_name("role", role)
        group = checked_name("group", group, empty=True)
    except OrderInvalidError as e:
        raise SettingsError(str(e)) from None
    if account == GLOBAL or ":" in account:
        raise SettingsError(f"`--account {account}`: `GLOBAL` and `:` are kept for scopes")
    text = rulebook_text(rulebook)
    parse(text, account=account)  # malformed rules must not leave half a database behind
    kept = settings or DatabaseSettings(profile=profile, release_hold_s=0 if profile == "paper" else 60)
    kept = _at_dhan(kept, profile, client_id, base_url)
    clock = clock or SystemClock()
    is_new_here = path is None and not (state_directories(url)[0] / halt.HALT).is_dir()
    created = path is not None and not path.exists()
    lost = _prepare(url, path, created)
    if path is None:
        _create_on_server(url, clock)
    elif created:
        _create(path)
    try:
        store = Store(url)
        with contextlib.closing(store), store.session(durable=True, wait_s=WAIT_S) as session:
            if path is None:
                created = GLOBAL not in session.read_heads(GLOBAL)  # a schema, and nobody in it yet
                if is_new_here and account in {row[0] for row in session.rows(ACCOUNTS)}:
                    return Initialised(store.place, account, False, 0, read_settings(session).profile, lost)  # it joins
            if not created:
                if base_url:
                    raise SettingsError("`--base-url` is set when the database is made; later: docs/how-to/dhan.md")
                kept = read_settings(session)  # what the database is, not what was typed
            written = _add_account(session, account, role, group, text, by, clock.now_us(), kept, created)
            if client_id:
                from riskguard.services.dhan import save_client_id

                save_client_id(session, account, client_id, clock.now_us())
    except BaseException:
        if created and path is not None:
            _discard(path)
        raise
    return Initialised(url if path is not None else store.place, account, created, written, kept.profile, lost)


def _prepare(url: str, path: Path | None, created: bool) -> tuple[Path, ...]:
    """
    Make the halt directories that never were; returns those that are lost.

    Beside a file that stands there was one, whatever is left of it: `init` made both.
    """
    lost = []
    for directory in state_directories(url):
        is_beside = path is not None and directory == path.parent
        is_missing = is_beside and not created and not (directory / halt.HALT).is_dir()
        if is_missing or not halt.prepare_new(directory):
            lost.append(directory / halt.HALT)
    return tuple(lost)


def _at_dhan(settings: DatabaseSettings, profile: str, client_id: str, base_url: str) -> DatabaseSettings:
    """Return the settings with the base URL in them; raises SettingsError for what is malformed or does not belong."""
    if client_id:
        from riskguard.services.dhan import checked_client_id

        checked_client_id(client_id)
    if not base_url:
        return settings
    if profile != "dhan":
        raise SettingsError(f"`--base-url` belongs to `--profile dhan`, not to `{profile}`")
    from riskguard.brokers.dhan import checked_url

    return settings.model_copy(update={"dhan_base_url": checked_url(base_url)})


def _add_account(
    session: Session, account: str, role: str, group: str, text: str, by: str, now_us: int, settings: DatabaseSettings,
    created: bool,
) -> int:  # fmt: skip
    if account in {row[0] for row in session.rows(ACCOUNTS)}:
        raise SettingsError(f"account `{account}` is there already: add another with `--account NAME`, or use it")
    if created:
        save_settings(session, settings, now_us)
        _open_latch(session, GLOBAL, by, now_us)
        _add_instruments(session, starter_instruments(), now_us)
    broker = settings.profile if settings.profile != "library" else ""
    session.run(ADD_ACCOUNT, account=account, role=role, group_name=group, broker=broker, created_at_us=now_us)
    _open_latch(session, account, by, now_us)
    if group:
        session.run(ADD_HEAD, account=f"GROUP:{group}")  # what its limits bump when they change
    action_id = controls.open_action(session, account, "APPLY", by, "riskguard init", now_us)
    book = parse(text, account=account, author=by)
    rulebooks.write(session, account, book, by, "riskguard init", now_us, action_id)
    if settings.profile == "paper":
        # A new paper account is flat and has no past: the day begins here.
        books.write_baseline(
            session, account, loader.session_date(now_us), now_us, source="INIT", opening_equity_e4=None, by=by
        )
    return len(book.limits)


def _open_latch(session: Session, owner: str, by: str, now_us: int) -> None:
    """Write the INACTIVE row every scope needs, with the journal entry that makes it count."""
    session.run(ADD_HEAD, account=owner)
    session.read_heads(owner)
    action_id = controls.open_action(session, owner, "INIT", by, "riskguard init", now_us)
    controls.unlatch(session, owner, by, "riskguard init", action_id, now_us)
    head = journal.append(session, owner, "INIT", {"by": by}, now_us)
    controls.close_action(session, action_id, head.sequence)


def starter_instruments() -> list[tuple[Instrument, dict[str, str]]]:
    """Return the shipped handful of instruments: enough for the first orders, no substitute for the master."""
    rows = csv.DictReader(data.text("starter_instruments.csv").splitlines())
    return [
        (
            Instrument(
                row["exchange_segment"],
                row["security_id"],
                row["symbol"],
                row["kind"],
                int(row["lot_size"]),
                to_e4(row["tick"]),
            ),
            row,
        )
        for row in rows
    ]


def add_instruments(session: Session, found: list[Instrument], now_us: int) -> None:
    """Write instruments, replacing rows of the same segment and id."""
    _add_instruments(session, [(each, {}) for each in found], now_us)


def _add_instruments(session: Session, found: list[tuple[Instrument, dict[str, str]]], now_us: int) -> None:
    for each, row in found:
        session.run(
            ADD_INSTRUMENT, security_id=each.security_id, exchange_segment=each.exchange_segment, symbol=each.symbol,
            trading_symbol=each.symbol, name=row.get("name"), instrument_type=each.kind, expiry_date=each.expiry or None,
            lot_size=each.lot_size, tick_size=float(to_decimal(each.tick_e4)), underlying_symbol=each.underlying,
            isin=row.get("isin"), updated_at=now_us // 1_000_000, multiplier=each.multiplier, series=row.get("series"),
            option_type=each.option_type or None, freeze_quantity=each.freeze_quantity,
            strike_price=None if each.strike_e4 is None else float(to_decimal(each.strike_e4)),
        )  # fmt: skip


def _create(path: Path) -> None:
    """Make the file 0600, in WAL mode, stamped as ours, with the schema of this version."""
    lite.create_file(path)
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before the first page: see services/upkeep
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            connection.execute(f"PRAGMA application_id = {lite.APPLICATION_ID}")
        migrate(path)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            # Last: a file without its version is not opened by anybody.
            connection.execute(f"PRAGMA user_version = {lite.SCHEMA_VERSION}")
    except BaseException:
        _discard(path)
        raise


def _create_on_server(url: str, clock: Clock) -> None:
    """Make the schema where there is none; what holds anything else is refused and untouched."""
    from riskguard.services.server import upgrade

    try:
        upgrade(url, clock=clock)
    except UpgradeError as e:
        raise SettingsError(str(e)) from None


def migrate(path: Path) -> None:
    """Run Alembic's versions on the file, in one transaction."""
    engine = sa.create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(path, isolation_level=None), poolclass=sa.NullPool
    )
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        run_versions(connection)
        seed_config(connection, SystemClock().now_us() // 1_000_000)
        connection.exec_driver_sql("COMMIT")
    engine.dispose()


def run_versions(connection: sa.Connection) -> None:
    """Run the versions the database does not have yet, in the caller's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(folder("schema")).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _discard(path: Path) -> None:
    """Take back a database that was never finished."""
    for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        with contextlib.suppress(OSError):
            name.unlink()
