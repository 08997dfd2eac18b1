"""
The file of a paper market: one SQLite database that several processes and threads trade in at once.

WAL, so that a read never waits for a fill. Checkpoints are made by whoever finds the log large, while holding
the write lock: SQLite before 3.51.3 can corrupt a file when two connections write and checkpoint at one instant.
"""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

from riskguard.errors import BrokerError, BrokerUnavailableError, BrokerUnconfirmedError, SettingsError

APPLICATION_ID: Final = 0x52475050  # "RGPP"
LOCK_WAIT_S_MAX: Final = 5.0
"""A call that cannot get the lock in this time never left: the caller is told, not kept."""
WAL_BYTES_MAX: Final = 4 * 1024 * 1024
LOOKED_AT_EVERY: Final = 256

SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS accounts (account TEXT PRIMARY KEY, settings TEXT NOT NULL) STRICT",
    """CREATE TABLE IF NOT EXISTS instruments (
        exchange_segment TEXT NOT NULL, security_id TEXT NOT NULL, fields TEXT NOT NULL,
        PRIMARY KEY (exchange_segment, security_id)) STRICT""",
    # One row a day: yesterday's last one is today's previous close, and never fills an order of today.
    """CREATE TABLE IF NOT EXISTS quotes (
        exchange_segment TEXT NOT NULL, security_id TEXT NOT NULL, session_date TEXT NOT NULL,
        ltp_e4 INTEGER, bid_e4 INTEGER, ask_e4 INTEGER, at_us INTEGER NOT NULL,
        lower_e4 INTEGER, upper_e4 INTEGER,
        PRIMARY KEY (exchange_segment, security_id, session_date)) STRICT""",
    """CREATE TABLE IF NOT EXISTS orders (
        number INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, correlation_id TEXT NOT NULL,
        session_date TEXT NOT NULL, exchange_segment TEXT NOT NULL, security_id TEXT NOT NULL,
        side TEXT NOT NULL, product TEXT NOT NULL, order_type TEXT NOT NULL, validity TEXT NOT NULL,
        quantity INTEGER NOT NULL CHECK (quantity > 0), price_e4 INTEGER, trigger_price_e4 INTEGER,
        status TEXT NOT NULL, filled INTEGER NOT NULL DEFAULT 0 CHECK (filled BETWEEN 0 AND quantity),
        triggered INTEGER NOT NULL DEFAULT 0, lands_us INTEGER NOT NULL, detail TEXT NOT NULL DEFAULT '',
        kind TEXT NOT NULL DEFAULT 'ORDER', group_name TEXT NOT NULL DEFAULT '', leg TEXT NOT NULL DEFAULT '',
        placed_us INTEGER NOT NULL DEFAULT 0, cancel_us INTEGER,
        UNIQUE (account, correlation_id)) STRICT""",
    """CREATE INDEX IF NOT EXISTS orders_working ON orders (exchange_segment, security_id, number)
        WHERE status IN ('TRANSIT', 'PENDING', 'PART_TRADED')""",
    "CREATE INDEX IF NOT EXISTS orders_landing ON orders (lands_us) WHERE status = 'TRANSIT'",
    "CREATE INDEX IF NOT EXISTS orders_of_day ON orders (account, session_date)",
    """CREATE INDEX IF NOT EXISTS orders_waiting ON orders (exchange_segment, security_id)
        WHERE status IN ('CONFIRM', 'ACTIVE')""",
    "CREATE INDEX IF NOT EXISTS orders_for_opening ON orders (lands_us) WHERE status = 'AMO'",
    "CREATE INDEX IF NOT EXISTS orders_cancelling ON orders (cancel_us) WHERE cancel_us IS NOT NULL",
    """CREATE TABLE IF NOT EXISTS trades (
        number INTEGER PRIMARY KEY AUTOINCREMENT, order_number INTEGER NOT NULL REFERENCES orders (number),
        account TEXT NOT NULL, session_date TEXT NOT NULL, quantity INTEGER NOT NULL CHECK (quantity > 0),
        price_e4 INTEGER NOT NULL CHECK (price_e4 > 0), at_us INTEGER NOT NULL) STRICT""",
    "CREATE INDEX IF NOT EXISTS trades_of_account ON trades (account, number)",
    """CREATE TABLE IF NOT EXISTS carried (
        account TEXT NOT NULL, exchange_segment TEXT NOT NULL, security_id TEXT NOT NULL, product TEXT NOT NULL,
        session_date TEXT NOT NULL, quantity INTEGER NOT NULL, previous_close_e4 INTEGER NOT NULL,
        PRIMARY KEY (account, exchange_segment, security_id, product)) STRICT""",
    """CREATE TABLE IF NOT EXISTS faults (
        account TEXT NOT NULL, operation TEXT NOT NULL, how TEXT NOT NULL, times INTEGER,
        PRIMARY KEY (account, operation)) STRICT""",
    # What happened, in its order: messages, placements, changes, fills. Nothing is ever taken out of it.
    """CREATE TABLE IF NOT EXISTS events (
        number INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, at_us INTEGER NOT NULL, what TEXT NOT NULL,
        order_number INTEGER, fields TEXT NOT NULL DEFAULT '{}') STRICT""",
    "CREATE INDEX IF NOT EXISTS events_of_account ON events (account, number)",
    """CREATE TABLE IF NOT EXISTS switches (
        account TEXT NOT NULL, session_date TEXT NOT NULL, is_on INTEGER NOT NULL,
        PRIMARY KEY (account, session_date)) STRICT""",
    """CREATE TABLE IF NOT EXISTS backstops (
        account TEXT NOT NULL, session_date TEXT NOT NULL, loss_e4 INTEGER NOT NULL, products TEXT NOT NULL,
        PRIMARY KEY (account, session_date)) STRICT""",
)

VERSION: Final = 2
ADDED: Final = (
    "ALTER TABLE orders ADD COLUMN kind TEXT NOT NULL DEFAULT 'ORDER'",
    "ALTER TABLE orders ADD COLUMN group_name TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE orders ADD COLUMN leg TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE orders ADD COLUMN placed_us INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE orders ADD COLUMN cancel_us INTEGER",
    "ALTER TABLE quotes ADD COLUMN lower_e4 INTEGER",
    "ALTER TABLE quotes ADD COLUMN upper_e4 INTEGER",
)
"""What a file of the first version lacks; its tables are made as for a new one."""


class MarketFile:
    """Transactions on the file. One connection per process behind a lock; a fork opens its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writes = 0
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._inherited: list[sqlite3.Connection] = []
        _create(path)
        self._connection = _connect(path)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection that sees one instant. Raises BrokerUnavailableError."""
        with self._lock:
            connection = self._mine()
            try:
                _patiently(connection, "BEGIN")
                _patiently(connection, "SELECT 1 FROM accounts")  # the first read fixes the instant
                yield connection
            except sqlite3.Error as e:
                raise BrokerUnavailableError(f"the paper market `{self._path}` cannot be read: {e}") from e
            finally:
                _rollback(connection)

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """
        Yield a connection that holds the write lock; commit at the end, roll back on any exception.

        Raises BrokerUnavailableError when nothing happened, BrokerUnconfirmedError when COMMIT itself broke.
        """
        with self._lock:
            connection = self._mine()
            try:
                _begin(connection)
                yield connection
            except sqlite3.Error as e:
                _rollback(connection)
                raise BrokerUnavailableError(f"the paper market `{self._path}` took nothing: {e}") from e
            except BaseException:
                _rollback(connection)
                raise
            try:
                connection.execute("COMMIT")
            except sqlite3.Error as e:
                _rollback(connection)
                raise BrokerUnconfirmedError(f"the paper market `{self._path}` gave no clear answer: {e}") from e
            self._checkpoint_if_large(connection)

    def close(self) -> None:
        """Close this process's connection; the market goes on."""
        with self._lock:
            if self._pid == os.getpid():
                self._connection.close()

    def _mine(self) -> sqlite3.Connection:
        if self._pid != os.getpid():
            # Kept, not closed: a forked child must not touch a connection its parent opened.
            self._inherited.append(self._connection)
            self._connection, self._pid = _connect(self._path), os.getpid()
        return self._connection

    def _checkpoint_if_large(self, connection: sqlite3.Connection) -> None:
        """Copy a large log back into the file while nobody writes; on any trouble it stays as it was."""
        self._writes += 1
        if self._writes % LOOKED_AT_EVERY:
            return  # a log once grown keeps its size when it starts over: looking each time would copy each time
        with contextlib.suppress(OSError, sqlite3.Error, BrokerError):
            if os.stat(f"{self._path}-wal").st_size < WAL_BYTES_MAX:
                return
            connection.execute("BEGIN IMMEDIATE")
            try:
                with contextlib.closing(_connect(self._path)) as second:
                    second.execute("PRAGMA wal_checkpoint(PASSIVE)")
            finally:
                _rollback(connection)


def _create(path: Path) -> None:
    """Make the file, 0600 from its first moment, unless it is there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        # Opened by nobody but SQLite from here on: closing a descriptor would drop this process's locks.
        return
    except OSError as e:
        raise BrokerUnavailableError(f"cannot create the paper market `{path}`: {e.strerror}") from e


def _connect(path: Path) -> sqlite3.Connection:
    """Open the file and make its tables if there are none yet."""
    try:
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?mode=rw", uri=True, isolation_level=None, check_same_thread=False, timeout=0
        )
    except sqlite3.Error as e:
        raise BrokerUnavailableError(f"cannot open the paper market `{path}`: {e}") from e
    try:
        if _patiently(connection, "PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            _set_up(connection, path)
        elif _patiently(connection, "PRAGMA user_version").fetchone()[0] < VERSION:
            _bring_up(connection)
        _patiently(connection, "PRAGMA synchronous = NORMAL")
        _patiently(connection, "PRAGMA wal_autocheckpoint = 0")
    except sqlite3.Error as e:
        connection.close()
        raise BrokerUnavailableError(f"the paper market `{path}` is not readable: {e}") from e
    except BaseException:
        connection.close()
        raise
    connection.row_factory = sqlite3.Row
    return connection


def _set_up(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables in an empty file; several processes may be at it at once."""
    _patiently(connection, "PRAGMA journal_mode = WAL")
    _begin(connection)
    try:
        if connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID:
            return  # another process was faster
        if connection.execute("SELECT 1 FROM sqlite_master").fetchone() is not None:
            raise SettingsError(f"`{path}` is a database, but no paper market: name another file")
        for statement in SCHEMA:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
    finally:
        _rollback(connection)


def _bring_up(connection: sqlite3.Connection) -> None:
    """Add what a file of an earlier version lacks; nothing in it is changed."""
    _begin(connection)
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] >= VERSION:
            return  # another process was faster
        for statement in (*ADDED, *SCHEMA):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    finally:
        _rollback(connection)


def _begin(connection: sqlite3.Connection) -> None:
    """Take the write lock; raises sqlite3.OperationalError past the deadline."""
    _patiently(connection, "BEGIN IMMEDIATE")


def _patiently(connection: sqlite3.Connection, sql: str) -> sqlite3.Cursor:
    deadline = time.monotonic() + LOCK_WAIT_S_MAX
    while True:
        try:
            return connection.execute(sql)
        except sqlite3.OperationalError as e:
            busy = getattr(e, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not busy or time.monotonic() > deadline:
                raise
        # Jitter, or the same loser loses every round: SQLite's lock has no queue.
        time.sleep(random.uniform(0.000_05, 0.000_8))


def _rollback(connection: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")
