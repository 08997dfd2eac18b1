"""
`Database`: typed access to one database, by repositories, in transactions of the caller's choosing.

    with open_database("sqlite:///risk.db") as database:
        order = database.orders.get_order("1122509300001")

For programs that read and record what the broker said. What decides an order is `RiskGuard`, what kills is the
kill switch; neither passes here, and nothing here loosens a limit or lifts a halt.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy import exc

from riskguard.clock import SystemClock
from riskguard.errors import (
    ExtraMissingError,
    RowRefusedError,
    SchemaMismatchError,
    SettingsError,
    StoreError,
    StoreUnavailableError,
    shown,
)
from riskguard.home import database_url, sqlite_path, state_directories
from riskguard.ports import Clock
from riskguard.store.engines import postgresql
from riskguard.store.engines import sqlite as lite
from riskguard.store.gate import gate_is_up
from riskguard.store.session import CommitUnknownError, StoreBusyError

if TYPE_CHECKING:
    from riskguard.store.repositories.audit import AuditRepository
    from riskguard.store.repositories.authentication import AuthenticationRepository
    from riskguard.store.repositories.config import ConfigRepository
    from riskguard.store.repositories.control import ControlRepository
    from riskguard.store.repositories.copy_mappings import CopyMappingRepository
    from riskguard.store.repositories.edis import EdisRepository
    from riskguard.store.repositories.forever_orders import ForeverOrderRepository
    from riskguard.store.repositories.funds import FundsRepository
    from riskguard.store.repositories.instruments import InstrumentRepository
    from riskguard.store.repositories.journal import JournalRepository
    from riskguard.store.repositories.live_updates import LiveUpdateRepository
    from riskguard.store.repositories.orders import OrderRepository
    from riskguard.store.repositories.portfolio import PortfolioRepository
    from riskguard.store.repositories.postback import PostbackRepository
    from riskguard.store.repositories.runs import RunRepository
    from riskguard.store.repositories.snapshots import SnapshotRepository
    from riskguard.store.repositories.statements import LedgerRepository, TradeRepository
    from riskguard.store.repositories.super_orders import SuperOrderRepository

DEADLINE_MS: Final = 5_000
CONNECTIONS_MAX: Final = 64
CHECKPOINT_EVERY: Final = 16
# Lock timeout, deadlock, serialisation failure, statement timeout, too many connections: waiting may help.
_BUSY_STATES: Final = ("55P03", "40P01", "40001", "57014", "53300")
_UNDEFINED_TABLE: Final = "42P01"


def open_database(url: str | None = None, *, deadline_ms: int = DEADLINE_MS) -> Database:
    """
    Open the database at *url* and look at it once; never creates one.

    *url* is a SQLite path or URL, a PostgreSQL URL, or None for the one riskguard itself would use.

    Raises:
        SettingsError: The URL is malformed. DatabaseMissingError, SchemaMismatchError: It is not there, or not
        of this schema. StoreUnavailableError: It cannot be reached. ExtraMissingError: psycopg is not installed.
    """
    database = Database(url, deadline_ms=deadline_ms)
    try:
        with database.reading():
            pass
    except BaseException:
        database.close()
        raise
    return database


class Database:
    """
    One database, seen from one process; threads share it, each with a connection of its own while it works.

    Not opened before its first use. After `fork` the child opens its own connections. The deadline is how long
    a write waits for the write lock, for a kill that asked writers to stand back, or for a free connection.
    """

    def __init__(self, url: str | None = None, *, deadline_ms: int = DEADLINE_MS, clock: Clock | None = None) -> None:
        self._url = database_url(url)
        self._path: Path | None = sqlite_path(self._url)
        self.dialect = "postgresql" if self._path is None else "sqlite"
        self._place = self._url if self._path is not None else postgresql.place(self._url)
        self.clock: Clock = clock or SystemClock()
        self.deadline_s = deadline_ms / 1000
        self._gate_directory = state_directories(self._url)[0]
        self._inherited: list[object] = []
        self._repositories: dict[str, Any] = {}
        self._start_over()

    def __repr__(self) -> str:
        return f"Database({self._place!r})"

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- connections ----------------------------------------------------------------------------------------

    def _start_over(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._kept: sa.Engine | None = None
        self._watch: lite.FileWatch | None = None
        self._is_known = False
        self._open = _OpenInThread()
        self._commits = 0

    def _leave_the_parent(self) -> None:
        """
        Start over in a forked child, before any lock is taken: another thread of the parent may have held ours.

        What was inherited is kept, never closed: closing it here would end the parent's transaction or locks.
        """
        if self._pid != os.getpid():
            self._inherited += [self._kept, self._open.__dict__.copy(), self._lock]
            self._start_over()

    def _engine(self) -> sa.Engine:
        """Return the engine, opened anew when the files were replaced under their names."""
        with self._lock:
            if self._watch is not None and not self._watch.is_same():
                self._dispose()
            if self._kept is None:
                self._kept = self._opened()
            return self._kept

    def _opened(self) -> sa.Engine:
        pool: dict[str, Any] = {
            "pool_size": 4, "max_overflow": CONNECTIONS_MAX - 4, "pool_timeout": self.deadline_s,
            # Parameters hold tokens and orders: never in an error or a log.
            "hide_parameters": True,
        }  # fmt: skip
        if self._path is not None:
            path = self._path
            lite.connect(path, durable=True).close()  # typed errors now, not out of the pool
            engine = sa.create_engine(
                "sqlite://", creator=lambda: lite.connect(path, durable=True), poolclass=sa.QueuePool, **pool
            )
            sa.event.listen(engine, "begin", self._begin_sqlite)
            return engine
        parsed = postgresql.parse(self._url)
        timeout = {} if "connect_timeout" in parsed.query else {"connect_timeout": postgresql.CONNECT_S_MAX}
        given = {**timeout, "application_name": "riskguard"}
        try:
            engine = sa.create_engine(parsed, pool_pre_ping=True, connect_args=given, **pool)
        except ImportError:
            raise ExtraMissingError("postgres", "psycopg", "PostgreSQL databases") from None
        except (exc.SQLAlchemyError, TypeError, ValueError):
            raise SettingsError(postgresql.WRONG_URL) from None
        sa.event.listen(engine, "begin", self._begin_postgresql)
        return engine

    def _begin_sqlite(self, connection: sa.Connection) -> None:
        raw: Any = connection.connection.dbapi_connection
        wait_s = connection.get_execution_options().get("riskguard_wait_s")
        if wait_s is None:
            # A reader waits inside SQLite, and cannot write: its writes would pass the gate and the lock by.
            raw.execute(f"PRAGMA busy_timeout = {round(self.deadline_s * 1000)}")
            raw.execute("PRAGMA query_only = 1")
            raw.execute("BEGIN")
            return
        raw.execute("PRAGMA busy_timeout = 0")
        raw.execute("PRAGMA query_only = 0")
        lite.begin(raw, self._gate_directory, wait_s)

    def _begin_postgresql(self, connection: sa.Connection) -> None:
        wait_s = connection.get_execution_options().get("riskguard_wait_s")
        if wait_s is None:
            return
        deadline = time.monotonic() + wait_s
        while gate_is_up(self._gate_directory):
            if time.monotonic() >= deadline:
                raise StoreBusyError("a kill asks writers to stand back: try again")
            time.sleep(0.002)
        raw: Any = connection.connection.dbapi_connection
        raw.execute(f"SET LOCAL lock_timeout = {max(1, round(wait_s * 1000))}")

    def _dispose(self) -> None:
        engine, self._kept, self._watch, self._is_known = self._kept, None, None, False
        if engine is not None:
            engine.dispose()

    def close(self) -> None:
        """Close the connections that are not at work; the next call opens them again."""
        self._leave_the_parent()
        with self._lock:
            self._dispose()

    # -- transactions ---------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self, *, deadline_s: float | None = None) -> Iterator[sa.Connection]:
        """
        Group writes: all that this thread writes in the block stands together, or none of it.

        On SQLite it holds the write lock from its first moment, so keep it short, and do not `await` in it. A
        block inside a block joins it; when the inner one raises, only its own part is undone.

        Raises:
            StoreBusyError: The lock was not to be had within *deadline_s*. StoreUnavailableError: The database
            is gone or broken; nothing was written. RowRefusedError: A constraint or trigger said no.
            CommitUnknownError: The commit may or may not stand.
        """
        self._leave_the_parent()
        outer = self._open.joined()
        if outer is not None:
            with self._translated(), outer.begin_nested():
                yield outer
            return
        with self._connected(self.deadline_s if deadline_s is None else deadline_s) as connection:
            self._open.put(connection, writes=True)
            try:
                yield connection
            except BaseException:
                self._still_mine()
                self._roll_back(connection)
                raise
            finally:
                self._open.drop(writes=True)
            self._still_mine()
            self._commit(connection)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """
        Group reads: all of the block sees one instant, or, inside a transaction, what that has written so far.

        Raises StoreUnavailableError and its family.
        """
        self._leave_the_parent()
        outer = self._open.joined() or self._open.reader()
        if outer is not None:
            with self._translated():
                yield outer
            return
        with self._connected(None) as connection:
            self._open.put(connection, writes=False)
            try:
                yield connection
            finally:
                self._open.drop(writes=False)
                if self._pid == os.getpid():
                    self._roll_back(connection)

    @contextmanager
    def _connected(self, wait_s: float | None) -> Iterator[sa.Connection]:
        with self._translated():
            connection = self._engine().connect()
            try:
                if wait_s is not None:
                    connection = connection.execution_options(riskguard_wait_s=wait_s)
                elif self.dialect == "postgresql":
                    connection = connection.execution_options(
                        isolation_level="REPEATABLE READ", postgresql_readonly=True
                    )
                connection.begin()
                self._known(connection)
                yield connection
            finally:
                if self._pid == os.getpid():
                    connection.close()
                else:
                    self._inherited.append(connection)

    def _known(self, connection: sa.Connection) -> None:
        """See once per engine that the database is ours, and remember which files it is."""
        if self._is_known:
            return
        if self._path is not None:
            connection.exec_driver_sql("SELECT 1 FROM account_heads LIMIT 1").fetchone()  # makes -wal and -shm appear
            with self._lock:
                self._watch = self._watch or lite.FileWatch(self._path)
                self._is_known = True
            return
        try:
            found = connection.exec_driver_sql("SELECT value FROM config WHERE key = 'schema_version'").scalar()
        except exc.DBAPIError as e:
            if getattr(e.orig, "sqlstate", None) != _UNDEFINED_TABLE:
                raise
            found = None
        if found != str(lite.SCHEMA_VERSION):
            raise SchemaMismatchError(
                f"`{self._place}` is not of schema {lite.SCHEMA_VERSION} (found {shown(found)}): `riskguard db upgrade`"
            )
        self._is_known = True

    def _still_mine(self) -> None:
        if self._pid != os.getpid():
            raise StoreUnavailableError("the process forked inside a transaction: it belongs to the parent")

    def _commit(self, connection: sa.Connection) -> None:
        raw: Any = connection.connection.dbapi_connection
        try:
            connection.commit()
        except (exc.DBAPIError, sqlite3.Error) as e:
            said = e.orig if isinstance(e, exc.DBAPIError) else e
            still_open = self.dialect == "sqlite" and raw.in_transaction
            self._roll_back(connection)
            if still_open or getattr(said, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
                raise  # refused before writing, or no room for the commit mark, which is written last
            state = getattr(said, "sqlstate", None)
            if state is not None and not state.startswith(("08", "57P")):
                raise  # the server itself said no: a deferred constraint, a serialisation failure
            raise CommitUnknownError(
                "the commit was interrupted and may or may not stand: read back before writing again"
            ) from None
        self._commits += 1
        if self._path is not None and self._commits % CHECKPOINT_EVERY == 0:
            raw.execute("PRAGMA query_only = 0")
            lite.checkpoint_if_large(self._path, raw)

    @staticmethod
    def _roll_back(connection: sa.Connection) -> None:
        try:
            connection.rollback()
        except (exc.SQLAlchemyError, sqlite3.Error):
            connection.invalidate()  # whatever it still holds goes with it

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except exc.DBAPIError as e:
            raise self._typed(e.orig) from None
        except exc.TimeoutError:
            raise StoreBusyError(
                f"no connection was free for {self.deadline_s:g} s: close transactions sooner"
            ) from None
        except exc.SQLAlchemyError as e:
            raise StoreError(f"the database could not do it: {type(e).__name__}") from None
        except sqlite3.Error as e:
            raise self._typed(e) from None

    def _typed(self, error: BaseException | None) -> StoreError:
        """Return the error of ours for the driver's, without any value: rows and tokens stay out of messages."""
        if isinstance(error, sqlite3.Error):
            if lite.is_busy(error) or "stand back" in str(error):
                return StoreBusyError(f"the database was busy for {self.deadline_s:g} s: try again")
            if isinstance(error, sqlite3.IntegrityError):
                return RowRefusedError(str(error))  # names of constraints, or what a trigger of ours says
            if isinstance(error, (sqlite3.ProgrammingError, sqlite3.InterfaceError)):
                return StoreError("the database could not do it: a statement or value it does not know")
            if self._pid == os.getpid():
                with self._lock:
                    self._dispose()
            return StoreUnavailableError(f"the database cannot be used: {error}")
        state = str(getattr(error, "sqlstate", None) or "")
        diag = getattr(error, "diag", None)
        if state in _BUSY_STATES:
            return StoreBusyError(f"the database was busy for {self.deadline_s:g} s: try again")
        if (state == "23000" or state.startswith(("P0", "25006"))) and diag is not None:
            return RowRefusedError(str(diag.message_primary))  # what a trigger of ours says
        if state.startswith(("22", "23")):
            named = getattr(diag, "constraint_name", None) or getattr(diag, "column_name", None) or f"state {state}"
            return RowRefusedError(f"`{getattr(diag, 'table_name', None) or 'a value'}`: {named}")
        if state and not state.startswith(("08", "57", "53", "58", "XX", "28", "3D")):
            return StoreError(f"the database could not do it: SQLSTATE {state}")
        why = f"SQLSTATE {state}" if state else "no connection to the PostgreSQL server"
        return StoreUnavailableError(f"`{self._place}` cannot be used: {why}")

    # -- repositories ---------------------------------------------------------------------------------------

    def _repository(self, area: str, name: str) -> Any:
        found = self._repositories.get(name)
        if found is None:
            made = getattr(import_module(f"riskguard.store.repositories.{area}"), name)
            found = self._repositories.setdefault(name, made(self))
        return found

    @property
    def orders(self) -> OrderRepository:
        """Orders, their events and what was asked to change."""
        found: OrderRepository = self._repository("orders", "OrderRepository")
        return found

    @property
    def super_orders(self) -> SuperOrderRepository:
        """Legs of bracket and super orders."""
        found: SuperOrderRepository = self._repository("super_orders", "SuperOrderRepository")
        return found

    @property
    def forever_orders(self) -> ForeverOrderRepository:
        """Orders that rest at the broker until a price triggers them."""
        found: ForeverOrderRepository = self._repository("forever_orders", "ForeverOrderRepository")
        return found

    @property
    def trades(self) -> TradeRepository:
        """Fills."""
        found: TradeRepository = self._repository("statements", "TradeRepository")
        return found

    @property
    def ledger(self) -> LedgerRepository:
        """Lines of the broker's ledger statement."""
        found: LedgerRepository = self._repository("statements", "LedgerRepository")
        return found

    @property
    def portfolio(self) -> PortfolioRepository:
        """Positions and holdings, as the broker listed them."""
        found: PortfolioRepository = self._repository("portfolio", "PortfolioRepository")
        return found

    @property
    def funds(self) -> FundsRepository:
        """Funds and margins."""
        found: FundsRepository = self._repository("funds", "FundsRepository")
        return found

    @property
    def instruments(self) -> InstrumentRepository:
        """The instrument master."""
        found: InstrumentRepository = self._repository("instruments", "InstrumentRepository")
        return found

    @property
    def copy_mappings(self) -> CopyMappingRepository:
        """Which follower order copies which leader order."""
        found: CopyMappingRepository = self._repository("copy_mappings", "CopyMappingRepository")
        return found

    @property
    def live_updates(self) -> LiveUpdateRepository:
        """Connections and messages of the order update stream."""
        found: LiveUpdateRepository = self._repository("live_updates", "LiveUpdateRepository")
        return found

    @property
    def audit(self) -> AuditRepository:
        """Calls made to the broker, and errors."""
        found: AuditRepository = self._repository("audit", "AuditRepository")
        return found

    @property
    def config(self) -> ConfigRepository:
        """Settings of the copying program."""
        found: ConfigRepository = self._repository("config", "ConfigRepository")
        return found

    @property
    def control(self) -> ControlRepository:
        """Limits, kill latch and violations; to read."""
        found: ControlRepository = self._repository("control", "ControlRepository")
        return found

    @property
    def journal(self) -> JournalRepository:
        """Accounts, decisions and permits; to read."""
        found: JournalRepository = self._repository("journal", "JournalRepository")
        return found

    @property
    def runs(self) -> RunRepository:
        """Sweeps, readings, day books and kill runs; to read."""
        found: RunRepository = self._repository("runs", "RunRepository")
        return found

    @property
    def snapshots(self) -> SnapshotRepository:
        """Headers of the lists fetched from the broker; to read."""
        found: SnapshotRepository = self._repository("snapshots", "SnapshotRepository")
        return found

    @property
    def authentication(self) -> AuthenticationRepository:
        """Access tokens and sensitive settings, encrypted."""
        found: AuthenticationRepository = self._repository("authentication", "AuthenticationRepository")
        return found

    @property
    def edis(self) -> EdisRepository:
        """Authorisations to debit shares from a demat account."""
        found: EdisRepository = self._repository("edis", "EdisRepository")
        return found

    @property
    def postback(self) -> PostbackRepository:
        """Webhook registrations and messages."""
        found: PostbackRepository = self._repository("postback", "PostbackRepository")
        return found

    def get_schema_version(self) -> int:
        """Return the schema's version, 0 when the database does not say. Raises StoreUnavailableError."""
        said = self.config.get_config_value("schema_version") or ""
        return int(said) if said.isdecimal() else 0


class _OpenInThread(threading.local):
    """The transaction and the read this thread has open; each thread sees its own."""

    def __init__(self) -> None:
        self._writer: tuple[sa.Connection, object] | None = None
        self._reader: tuple[sa.Connection, object] | None = None

    def put(self, connection: sa.Connection, *, writes: bool) -> None:
        if writes:
            self._writer = (connection, _task())
        else:
            self._reader = (connection, _task())

    def drop(self, *, writes: bool) -> None:
        if writes:
            self._writer = None
        else:
            self._reader = None

    def joined(self) -> sa.Connection | None:
        """
        Return this thread's open transaction.

        Raises StoreError when another asyncio task of the thread opened it: its rollback would take our rows along.
        """
        if self._writer is None:
            return None
        connection, task = self._writer
        if task is not _task():
            raise StoreError("another task holds a transaction open in this thread: do not `await` inside one")
        return connection

    def reader(self) -> sa.Connection | None:
        if self._reader is None or self._reader[1] is not _task():
            return None
        return self._reader[0]


def _task() -> object:
    """Return the asyncio task that is running, or None outside one."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
