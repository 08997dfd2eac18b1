"""
A session: one transaction that holds the write lock from its first statement.

Whoever decides, reserves, kills or records does so inside one. Nothing else writes.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from riskguard.core.limits import LimitSet
from riskguard.errors import StoreError, StoreUnavailableError
from riskguard.home import sqlite_path, state_directories
from riskguard.store import sqlite as lite
from riskguard.store.halt import gate, read_generation
from riskguard.store.statements import Prepared, insert_into, param, prepare
from riskguard.store.tables.journal import account_heads, accounts

GLOBAL = "GLOBAL"
INSIST_AFTER_S = 0.1
CLOSE_WAIT_S = 5.0


class StoreBusyError(StoreUnavailableError):
    """The write lock was not to be had within the deadline; nothing was written."""


class CommitUnknownError(StoreError):
    """COMMIT itself failed: the transaction may or may not stand."""


class Head(NamedTuple):
    """One row of `account_heads`."""

    account: str
    sequence: int
    last_hash: str
    epoch: int
    version: int
    generation: int


_h = account_heads.c
HEADS = prepare(
    sa.select(_h.account, _h.sequence, _h.last_hash, _h.epoch, _h.version, _h.generation).where(
        _h.account.in_([param("account"), param("global_"), param("group_name")])
    )
)
ADVANCE = prepare(
    sa.update(account_heads)
    .where(_h.account == param("of_account"))
    .values(sequence=param("to_sequence"), last_hash=param("to_hash"))
    .returning(_h.version)
)
BUMP_EPOCH = prepare(sa.update(account_heads).where(_h.account == param("of_account")).values(epoch=_h.epoch + 1))
NEXT_GENERATION = prepare(
    sa.update(account_heads).where(_h.account == param("of_account")).values(generation=param("to_generation"))
)
ACCOUNTS = prepare(
    sa.select(accounts.c.account, accounts.c.role, accounts.c.group_name, accounts.c.broker).order_by(
        accounts.c.account
    )
)
ADD_ACCOUNT = insert_into(accounts, "account", "role", "group_name", "broker", "created_at_us", ignore=True)
ADD_HEAD = insert_into(account_heads, "account", ignore=True)


def _is_open(connection: sqlite3.Connection) -> bool:
    """Ask the connection anew: a failed COMMIT may or may not have ended its transaction."""
    return connection.in_transaction


class Session:
    """One open transaction; see `Store.session`."""

    __slots__ = ("_cursor", "connection", "durable", "heads", "store", "waited")

    def __init__(self, store: Store, connection: sqlite3.Connection, durable: bool, waited: bool) -> None:
        self.store = store
        self.connection = connection
        self.durable = durable
        self.waited = waited
        self.heads: dict[str, Head] = {}
        self._cursor = connection.cursor()

    def run(self, statement: Prepared, **values: Any) -> sqlite3.Cursor:
        """Run a prepared statement on this transaction and return the cursor."""
        sql, constants = statement.compiled()
        return self._cursor.execute(sql, {**constants, **values} if constants else values)

    def run_many(self, statement: Prepared, rows: Iterable[dict[str, Any]]) -> None:
        """Run one statement for each of *rows*: a list of hundreds costs half of as many single calls."""
        sql, constants = statement.compiled()
        self._cursor.executemany(sql, ({**constants, **row} for row in rows))

    def rows(self, statement: Prepared, **values: Any) -> list[tuple[Any, ...]]:
        return self.run(statement, **values).fetchall()

    def row(self, statement: Prepared, **values: Any) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self.run(statement, **values).fetchone()
        return found

    def read_heads(self, account: str, group: str = "") -> dict[str, Head]:
        """Read the heads of the account, its group and GLOBAL: whatever changed under us shows here."""
        group_name = f"GROUP:{group}" if group else ""
        for found in self.rows(HEADS, account=account, global_=GLOBAL, group_name=group_name):
            head = Head(*found)
            self.heads[head.account] = head
        return self.heads


class Store:
    """
    One database, seen from one process. Threads share it: sessions run one at a time.

    Opening never creates. After `fork` the child opens its own connections at its first session.
    """

    def __init__(self, url: str, *, deadline_ms: int = 50) -> None:
        path = sqlite_path(url)
        if path is None:
            raise StoreUnavailableError(f"`{url.partition('://')[0]}` is not served here: use a sqlite:/// URL")
        self.url = url
        self.path: Path = path
        self.deadline_s = deadline_ms / 1000
        self.directories = state_directories(url)
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._normal: sqlite3.Connection | None = None
        self._full: sqlite3.Connection | None = None
        self._inherited: list[sqlite3.Connection] = []
        self._watch: lite.FileWatch | None = None
        self.parsed_limits: dict[tuple[tuple[Any, ...], ...], LimitSet] = {}  # see `controls.limits`
        self.memo: dict[tuple[object, ...], Any] = {}  # read from rows that never change, kept by what names them
        self.opened = 0  # how often the files were opened: part of every cache key
        self._commits = 0
        self._generation_seen: tuple[object, int | None] = (None, 0)

    # -- connections ----------------------------------------------------------------------------------------

    def _leave_the_parent(self) -> None:
        """
        Start over in a forked child. Before any lock is taken: another thread of the parent may have held ours.

        SQLite forbids carrying connections across a fork. They are kept, because forgetting one would close it.
        """
        if self._pid != os.getpid():
            self._inherited += [each for each in (self._normal, self._full) if each is not None]
            self._normal = self._full = self._watch = None
            self._lock = threading.RLock()
            self._pid = os.getpid()
            self.opened += 1

    def _connection(self, durable: bool) -> sqlite3.Connection:
        if self._watch is not None and not self._watch.is_same():
            self.close()
        found = self._full if durable else self._normal
        if found is None:
            found = lite.connect(self.path, durable=durable)
            if durable:
                self._full = found
            else:
                self._normal = found
            # The first statement makes -wal and -shm appear; only then can they be watched.
            lite._patiently(found, "SELECT 1 FROM account_heads LIMIT 1").fetchone()
            if self._watch is None:
                self._watch = lite.FileWatch(self.path)
                self.opened += 1
        return found

    def close(self) -> None:
        """
        Close the connections; the next session opens them again.

        One that another thread still works on is left to it: closed under its hands it would end the process.
        """
        self._leave_the_parent()
        if not self._lock.acquire(timeout=CLOSE_WAIT_S):
            return
        try:
            for connection in (self._normal, self._full):
                if connection is not None:
                    connection.close()
            self._normal = self._full = self._watch = None
        finally:
            self._lock.release()

    # -- transactions ---------------------------------------------------------------------------------------

    @contextmanager
    def session(
        self, *, durable: bool = True, wait_s: float | None = None, gated: bool = True, insist: bool = False
    ) -> Iterator[Session]:
        """
        Open a transaction with the write lock; commit when the block ends, roll back when it raises.

        *insist* raises the gate when the lock is not to be had within 100 ms: a sweep must not starve.

        Raises:
            StoreBusyError: The lock was not to be had in time. StoreUnavailableError: The database is broken
            or gone; nothing was written. CommitUnknownError: The commit may or may not stand.
        """
        self._leave_the_parent()
        wait = self.deadline_s if wait_s is None else wait_s
        if not self._lock.acquire(timeout=max(wait, 0.001)):
            raise StoreBusyError("another thread of this process holds the database")
        try:
            try:
                connection = self._connection(durable)
            except sqlite3.Error as e:
                raise self._classified(e) from None
            if connection.in_transaction:
                raise StoreUnavailableError("a session is already open in this thread")
            try:
                # From BEGIN to COMMIT nothing may leave without undoing: an interrupt would keep the lock for ever.
                session = Session(self, connection, durable, self._begin(connection, gated, insist, wait))
                yield session
                self._commit(connection)
            except sqlite3.Error as e:
                self._roll_back(connection)
                raise self._classified(e) from None
            except BaseException:
                self._roll_back(connection)
                raise
        finally:
            self._lock.release()

    def _begin(self, connection: sqlite3.Connection, gated: bool, insist: bool, wait: float) -> bool:
        gate_directory = self.directories[0] if gated else None
        if not insist:
            return lite.begin(connection, gate_directory, wait)
        try:
            return lite.begin(connection, gate_directory, INSIST_AFTER_S)
        except sqlite3.OperationalError:
            with gate(self.directories[0]):
                lite.begin(connection, None, wait)
            return True

    def commit(self, session: Session) -> None:
        """Commit now, inside the block, so that what follows may trust it stands."""
        self._commit(session.connection)

    def roll_back(self, session: Session) -> None:
        """Undo everything since the session began; the block may end normally."""
        self._roll_back(session.connection)

    def _commit(self, connection: sqlite3.Connection) -> None:
        if not connection.in_transaction:
            return  # rolled back, or committed, inside the block
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as e:
            still_open = _is_open(connection)
            self._roll_back(connection)
            is_full = getattr(e, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
            if still_open or is_full:
                # Refused before writing, or no room for the commit mark, which is written last: it is undone.
                raise self._classified(e) from None
            raise CommitUnknownError(str(e)) from None
        self._commits += 1
        if self._commits % 256 == 0:
            lite.checkpoint_if_large(self.path, connection)

    @staticmethod
    def _roll_back(connection: sqlite3.Connection) -> None:
        try:
            connection.rollback()
        except sqlite3.Error:
            connection.close()  # whatever it still holds goes with it

    def _classified(self, error: sqlite3.Error) -> StoreUnavailableError:
        if lite.is_busy(error) or "stand back" in str(error):
            return StoreBusyError(f"the database was busy for {self.deadline_s * 1000:g} ms")
        self.close()
        return StoreUnavailableError(f"the database cannot be used: {error}")

    def tidy(self) -> bool:
        """Be the janitor once: checkpoint a WAL that has grown large."""
        self._leave_the_parent()
        with self._lock:
            return lite.checkpoint_if_large(self.path, self._connection(True))

    # -- what stands beside the database ----------------------------------------------------------------------

    def is_behind(self, generation: int) -> bool:
        """
        Say whether the GENERATION file is ahead of the database's *generation*: a backup was restored.

        Read again only when the file changed; unreadable counts as ahead.
        """
        path = f"{self.path}.GENERATION"
        try:
            status = os.stat(path)
            stamp: object = (status.st_ino, status.st_mtime_ns, status.st_size)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        if stamp != self._generation_seen[0]:
            self._generation_seen = (stamp, read_generation(self.path))
        on_disk = self._generation_seen[1]
        return on_disk is None or on_disk > generation
