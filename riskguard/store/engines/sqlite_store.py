"""Sessions on SQLite: one connection per process, the log it syncs, the gate, and what notices that a file was replaced."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from riskguard.clock import SystemClock
from riskguard.errors import SchemaMismatchError, StoreUnavailableError
from riskguard.home import sqlite_path
from riskguard.store.engines import sqlite as lite
from riskguard.store.gate import gate
from riskguard.store.session import CLOSE_WAIT_S, Ask, CommitUnknownError, Session, Store, StoreBusyError
from riskguard.store.spelling import Prepared

INSIST_AFTER_S = 0.1


def _is_open(connection: sqlite3.Connection) -> bool:
    """Ask the connection anew: a failed COMMIT may or may not have ended its transaction."""
    return connection.in_transaction


class SqliteSession(Session):
    """One open transaction on SQLite."""

    __slots__ = ("_cursor", "connection")

    def __init__(self, store: Store, connection: sqlite3.Connection, durable: bool, waited: bool) -> None:
        super().__init__(store, durable, waited)
        self.connection = connection
        self._cursor = connection.cursor()

    def given(self, statement: Prepared, values: dict[str, Any]) -> sqlite3.Cursor:
        """Run a statement with *values*; all of ours go through here, or through `run_many`."""
        sql, constants = statement.compiled()
        return self._cursor.execute(sql, {**constants, **values} if constants else values)

    def run(self, statement: Prepared, **values: Any) -> sqlite3.Cursor:
        return self.given(statement, values)

    # What a check uses comes straight to `given`: a row of thirty columns unpacked at every step costs more than a step.
    def later(self, statement: Prepared, **values: Any) -> None:
        self.given(statement, values)

    def ask(self, ask: Ask) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self.given(*ask).fetchone()
        return found

    def all(self, ask: Ask) -> list[tuple[Any, ...]]:
        return self.given(*ask).fetchall()

    def run_many(self, statement: Prepared, rows: Iterable[dict[str, Any]]) -> None:
        sql, constants = statement.compiled()
        self._cursor.executemany(sql, ({**constants, **row} for row in rows))

    def insert(self, statement: Prepared, **values: Any) -> int | None:
        cursor = self.given(statement, values)
        return cursor.lastrowid if cursor.rowcount == 1 else None

    def rows(self, statement: Prepared, **values: Any) -> list[tuple[Any, ...]]:
        return self.given(statement, values).fetchall()

    def row(self, statement: Prepared, **values: Any) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self.given(statement, values).fetchone()
        return found

    def make_durable(self) -> None:
        self.durable = True

    def savepoint(self) -> _Savepoint:
        return _Savepoint(self.connection)


class _Savepoint:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute("SAVEPOINT here")

    def back(self) -> None:
        self._connection.execute("ROLLBACK TO here")

    def release(self) -> None:
        self._connection.execute("RELEASE here")


class SqliteStore(Store):
    """
    See `Store`. One NORMAL connection, which never waits for the disk; a durable session syncs the log after its COMMIT.

    That is what FULL does, but for two things: whether to wait may be said at the end, when the answer is known, and the
    write lock is not held meanwhile. Others may see what was committed before it is synced; what they sync includes it.
    """

    dialect = "sqlite"

    def __init__(self, url: str, *, deadline_ms: int | None = None) -> None:
        super().__init__(url, deadline_ms=deadline_ms)
        path = sqlite_path(url)
        if path is None:
            raise StoreUnavailableError(f"`{url.partition('://')[0]}` is no SQLite URL: write sqlite:///…")
        self.path = path
        self.clock = SystemClock()
        self._held: sqlite3.Connection | None = None
        self._given: tuple[sqlite3.Connection, tuple[int, int]] | None = None  # see `adopt`; until the first opening
        # A descriptor of the -wal. SQLite keeps no locks on that file, so ours may be closed.
        self._log: int | None = None
        self._is_log_doubtful = False
        self._inherited: list[sqlite3.Connection] = []
        self._watch: lite.FileWatch | None = None
        self._commits = 0
        self._looked_s = 0.0

    # -- connections ----------------------------------------------------------------------------------------

    def _leave_the_parent(self) -> None:
        """
        Start over in a forked child. Before any lock is taken: another thread of the parent may have held ours.

        SQLite forbids carrying connections across a fork. They are kept, because forgetting one would close it.
        """
        if self._pid != os.getpid():
            if self._held is not None:
                self._inherited.append(self._held)
            self._held = self._watch = None
            self._close_log()
            self._lock = threading.RLock()
            self._pid = os.getpid()
            self.opened += 1

    def _connection(self, wait: float = lite.OPENING_S_MAX) -> sqlite3.Connection:
        if self._watch is not None and not self._watch.is_same():
            self.close()
        found = self._held
        if found is None:
            found = self._held = self._opened(wait)
        elif time.monotonic() - self._looked_s >= lite.VERSION_LOOK_S:
            self._look_at_version(found)
        if self._is_log_doubtful:
            self._settle_log(found)
        return found

    def _opened(self, wait: float) -> sqlite3.Connection:
        """Open a connection with all that watches over it, or nothing at all."""
        until = time.monotonic() + wait
        given, self._given = self._given, None
        made = lite.connect(self.path, durable=False, patience_s=wait, given=given)
        try:
            # The first statement makes -wal and -shm appear; only then can they be watched.
            lite._patiently(made, "SELECT 1 FROM account_heads LIMIT 1", until).fetchone()
            watch = lite.FileWatch(self.path)
            self._log = lite.open_log(self.path)
            if self._log is None:  # somebody took the file out of WAL mode: as safe, and slower
                made.execute("PRAGMA synchronous = FULL")
        except BaseException:
            made.close()
            self._close_log()
            raise
        self._watch, self._looked_s = watch, time.monotonic()
        self.opened += 1
        return made

    def adopt(self, connection: sqlite3.Connection, identity: tuple[int, int]) -> None:
        self._given = connection, identity

    def _settle_log(self, connection: sqlite3.Connection) -> None:
        """
        After a sync that failed: go on only once the whole log is in the database.

        The system reports such a failure once, and calls the next sync of the same file a success.
        """
        if not lite.checkpoint(self.path, connection):
            raise StoreUnavailableError(f"the log of `{self.path}` could not be synced: see to the disk")
        self._is_log_doubtful = False

    def _look_at_version(self, connection: sqlite3.Connection) -> None:
        """Refuse to go on in a file that another program has migrated in place: old code must not write a new schema."""
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != lite.SCHEMA_VERSION:
            self.close()
            raise SchemaMismatchError(
                f"`{self.path}` was migrated to schema {version} under this program, which knows {lite.SCHEMA_VERSION}: "
                "restart it with the version that did"
            )
        self._looked_s = time.monotonic()

    def close(self) -> None:
        self._leave_the_parent()
        if not self._lock.acquire(timeout=CLOSE_WAIT_S):
            return
        try:
            if self._held is not None:
                self._held.close()
            self._held = self._watch = None
            self._close_log()
        finally:
            self._lock.release()

    def _close_log(self) -> None:
        log, self._log = self._log, None
        if log is not None:
            os.close(log)

    # -- transactions ---------------------------------------------------------------------------------------

    @contextmanager
    def session(
        self, *, durable: bool = True, wait_s: float | None = None, gated: bool = True, insist: bool = False,
        account: str | None = None,  # there is one lock, whatever it is for
        ahead: Sequence[Ask] = (),  # nobody is far away
    ) -> Iterator[SqliteSession]:  # fmt: skip
        self._leave_the_parent()
        wait = self.deadline_s if wait_s is None else wait_s
        if not self._lock.acquire(timeout=max(wait, 0.001)):
            raise StoreBusyError("another thread of this process holds the database")
        try:
            try:
                connection = self._connection(wait)
            except sqlite3.Error as e:
                raise self._classified(e) from None
            except StoreUnavailableError as e:
                if isinstance(e.__cause__, sqlite3.Error) and lite.is_busy(e.__cause__):
                    raise StoreBusyError(str(e)) from None
                raise
            if connection.in_transaction:
                raise StoreUnavailableError("a session is already open in this thread")
            try:
                # From BEGIN to COMMIT nothing may leave without undoing: an interrupt would keep the lock for ever.
                session = SqliteSession(self, connection, durable, self._begin(connection, gated, insist, wait))
                yield session
                self._commit(session)
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
            with self.gate():
                lite.begin(connection, None, wait)
            return True

    def is_idle(self) -> bool:
        held, watch = self._held, self._watch
        return held is not None and watch is not None and not held.in_transaction and watch.is_same()

    def glance(self, query: str, name: str, wait_s: float) -> tuple[str, ...] | None:
        held = self._held
        if held is None:
            return None
        try:  # a reader waits for nobody, whatever *wait_s* is
            return tuple(row[0] for row in held.execute(query, (name,)))
        except sqlite3.Error:
            return None

    @contextmanager
    def reading(self, wait_s: float = 5.0) -> Iterator[SqliteSession]:
        connection = lite.connect(self.path, durable=False)
        try:
            connection.execute(f"PRAGMA busy_timeout = {round(wait_s * 1000)}")
            connection.execute("PRAGMA query_only = 1")
            connection.execute("BEGIN")
            yield SqliteSession(self, connection, False, False)
        except sqlite3.Error as e:
            raise StoreUnavailableError(f"the database cannot be read: {e}") from None
        finally:
            connection.close()

    def commit(self, session: Session) -> None:
        self._commit(session)

    def roll_back(self, session: Session) -> None:
        self._roll_back(session.connection)

    def _commit(self, session: Session) -> None:
        connection: sqlite3.Connection = session.connection
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
        if session.durable:
            self._sync()
        self._commits += 1
        if self._commits % 256 == 0:
            lite.checkpoint_if_large(self.path, connection)

    def _sync(self) -> None:
        """Wait until all that was committed is on disk."""
        if self._log is not None:
            try:
                lite.sync(self._log)
            except OSError as e:
                self._is_log_doubtful = True
                raise CommitUnknownError(f"the log of `{self.path}` could not be synced: {e.strerror}") from None
        if self._watch is not None and not self._watch.is_same():
            # Whoever closed a stray descriptor of the file in this process let another one delete the log under us: what
            # was just synced may lie in a file nobody can open.
            raise CommitUnknownError("the database's files were replaced while the transaction was written")

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
            return lite.checkpoint_if_large(self.path, self._connection())

    def gate(self) -> AbstractContextManager[None]:
        return gate(self.directories[0])
