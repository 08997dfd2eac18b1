"""
A session: one transaction that holds the write lock from its first statement.

Whoever decides, reserves, kills or records does so inside one. Nothing else writes. `Store(url)` is the SQLite or the
PostgreSQL one, by the URL; what differs between them is in `sqlite_store` and `postgresql_store`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from riskguard.core.limits import LimitSet
from riskguard.errors import StoreError, StoreUnavailableError
from riskguard.home import sqlite_path, state_directories
from riskguard.ports import Clock
from riskguard.store.generation import read_generation
from riskguard.store.spelling import Prepared, insert_into, param, prepare, sa, tables

if TYPE_CHECKING:
    import sqlite3

account_heads, accounts = tables.journal.account_heads, tables.journal.accounts

GLOBAL = "GLOBAL"
CLOSE_WAIT_S = 5.0


class StoreBusyError(StoreUnavailableError):
    """The write lock was not to be had within the deadline; nothing was written."""


class CommitUnknownError(StoreError):
    """COMMIT itself failed: the transaction may or may not stand."""


class WideNeededError(StoreUnavailableError):
    """A session of one account met what concerns others: roll back, and do it again in a wide one."""


class Head(NamedTuple):
    """One row of `account_heads`."""

    account: str
    sequence: int
    last_hash: str
    epoch: int
    version: int
    generation: int
    controls: int


_h = account_heads.c
HEADS = prepare(
    sa.select(_h.account, _h.sequence, _h.last_hash, _h.epoch, _h.version, _h.generation, _h.controls).where(
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


Ask = tuple[Prepared, dict[str, Any]]
"""A statement and the values it is run with."""


def asks_heads(account: str, group: str = "") -> Ask:
    """Return what `Session.read_heads` asks."""
    return HEADS, {"account": account, "global_": GLOBAL, "group_name": f"GROUP:{group}" if group else ""}


class Rows(Protocol):
    """What a statement gave: the driver's cursor, as far as both drivers agree."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Session:
    """
    One open transaction; see `Store.session`.

    Attributes:
        durable: Its commit returns only when all of it is on disk; `make_durable` says so later than `Store.session`.
        waited: The lock had to be waited for, so that what was looked at before it may be old.
        is_wide: It excludes every other writer. A session of one account excludes those of the same account and group.
    """

    __slots__ = ("durable", "heads", "is_wide", "store", "waited")
    is_far = False
    """Each question is a journey to a server: what is sure to be asked is better asked together, see `foresee`."""
    connection: Any  # the driver's

    def __init__(self, store: Store, durable: bool, waited: bool, is_wide: bool = True) -> None:
        self.store = store
        self.durable = durable
        self.waited = waited
        self.is_wide = is_wide
        self.heads: dict[str, Head] = {}

    def run(self, statement: Prepared, **values: Any) -> Rows:
        """Run a prepared statement on this transaction and return the cursor."""
        raise NotImplementedError

    def later(self, statement: Prepared, **values: Any) -> None:
        """
        Run it before whatever is asked next, and before the commit; nothing is asked of how it went.

        A server gets it in one message with the next one. Where it fails, that one raises.
        """
        self.run(statement, **values)

    def run_many(self, statement: Prepared, rows: Iterable[dict[str, Any]]) -> None:
        """Run one statement for each of *rows*: a list of hundreds costs half of as many single calls."""
        raise NotImplementedError

    def insert(self, statement: Prepared, **values: Any) -> int | None:
        """Run an INSERT into a table that numbers its rows; the row's number, None when none was written."""
        raise NotImplementedError

    def rows(self, statement: Prepared, **values: Any) -> list[tuple[Any, ...]]:
        return self.run(statement, **values).fetchall()

    def row(self, statement: Prepared, **values: Any) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self.run(statement, **values).fetchone()
        return found

    def ask(self, ask: Ask) -> tuple[Any, ...] | None:
        """Return the first row of what *ask* asks; see *ahead* of `Store.session`."""
        statement, values = ask
        return self.row(statement, **values)

    def all(self, ask: Ask) -> list[tuple[Any, ...]]:
        """Return every row of what *ask* asks."""
        statement, values = ask
        return self.rows(statement, **values)

    def foresee(self, asks: Iterable[Ask]) -> None:
        """
        Ask all of this at once where the database is far; each keeps its answer until it is asked, or something is written.

        For nothing where it is not. What is asked otherwise than foreseen is only asked once more.
        """

    def savepoint(self) -> Savepoint:
        """Mark this moment; `back()` takes back what was written since, `release()` forgets the mark."""
        raise NotImplementedError

    def make_durable(self) -> None:
        """Have the commit wait for the disk, though the session was opened without: what is answered now is evidence."""
        raise NotImplementedError

    def need_wide(self) -> None:
        """Raise WideNeededError in a session of one account: what comes next concerns others too."""
        if not self.is_wide:
            raise WideNeededError("this concerns more than one account")

    def read_heads(self, account: str, group: str = "") -> dict[str, Head]:
        """Read the heads of the account, its group and GLOBAL: whatever changed under us shows here."""
        for found in self.all(asks_heads(account, group)):
            head = Head(*found)
            self.heads[head.account] = head
        return self.heads


class Savepoint(Protocol):
    """See `Session.savepoint`."""

    def back(self) -> None: ...

    def release(self) -> None: ...


class Store:
    """
    One database, seen from one process. Threads share it: sessions run one at a time.

    Opening never creates. After `fork` the child opens its own connections at its first session.

    Attributes:
        path: The SQLite file. On PostgreSQL a name on this host: what stands beside a file there stands beside it here.
        clock: What time it is for what is stored and compared: this host's, on PostgreSQL the server's.
    """

    dialect: str
    path: Path
    clock: Clock

    def __new__(cls, url: str, **_options: Any) -> Store:
        if cls is not Store:
            return super().__new__(cls)
        if sqlite_path(url) is not None:
            from riskguard.store.engines.sqlite_store import SqliteStore

            return super().__new__(SqliteStore)
        from riskguard.store.engines import postgresql

        postgresql.parse(url)  # another scheme, or malformed: said before a driver is looked for
        from riskguard.store.engines.postgresql_store import PostgresStore

        return super().__new__(PostgresStore)

    def __init__(self, url: str, *, deadline_ms: int | None = None) -> None:
        self.url = url
        self.deadline_s = (self.deadline_ms_usual if deadline_ms is None else deadline_ms) / 1000
        self.directories = state_directories(url)
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self.parsed_limits: dict[tuple[tuple[Any, ...], ...], LimitSet] = {}  # see `controls.limits`
        self.memo: dict[tuple[object, ...], Any] = {}  # read from rows that never change, kept by what names them
        self.opened = 0  # how often the database was opened: part of every cache key
        self._generation_seen: tuple[object, int | None] = (None, 0)

    deadline_ms_usual = 50

    skew_us = 0
    """How far this host's clock is from the database's, where that is too much to trade by; else 0."""

    @property
    def place(self) -> str:
        """How the database is called in messages; never a password."""
        return str(self.path)

    def session(
        self, *, durable: bool = True, wait_s: float | None = None, gated: bool = True, insist: bool = False,
        account: str | None = None, ahead: Sequence[Ask] = (),
    ) -> AbstractContextManager[Session]:  # fmt: skip
        """
        Open a transaction with the write lock; commit when the block ends, roll back when it raises.

        *insist* raises the gate when the lock is not to be had within 100 ms: a sweep must not starve.
        *account* says that nothing of another account (but of its group) is decided or written on what is read here
        (`""`: of no account at all). On PostgreSQL such sessions exclude only each other and wide ones.
        *ahead* are questions this session is going to ask: a server answers them in the message that takes the lock,
        and each keeps its answer until it is asked, or something was written.

        Raises:
            StoreBusyError: The lock was not to be had in time. StoreUnavailableError: The database is broken
            or gone; nothing was written. CommitUnknownError: The commit may or may not stand.
        """
        raise NotImplementedError

    @contextmanager
    def at_hand(self) -> Iterator[bool]:
        """
        Keep the open connection from other threads for this block; False where there is none, or somebody uses it.

        Never waits and asks nobody: what a kill may try before it opens a connection of its own.
        """
        self._leave_the_parent()
        if not self._lock.acquire(blocking=False):
            yield False
            return
        try:
            yield self.is_idle()
        finally:
            self._lock.release()

    def glance(self, query: str, name: str, wait_s: float) -> tuple[str, ...] | None:
        """
        Ask on the connection that is at hand, without a lock and outside of any transaction; see `at_hand`.

        *query* has one `?`, for *name*, and is answered by one column. None when it was not told within *wait_s*.
        """
        raise NotImplementedError

    def adopt(self, connection: sqlite3.Connection, identity: tuple[int, int]) -> None:
        """
        Begin with a connection that is open already, where *identity* is still what the path names; else it is closed.

        What a kill asked for a name on, and before anything of this package could be imported. Only SQLite's is opened so.
        """
        raise NotImplementedError

    def is_idle(self) -> bool:
        """Say whether a connection is open, still that of the database, and in no transaction."""
        raise NotImplementedError

    def _leave_the_parent(self) -> None:
        """Start over in a forked child."""
        raise NotImplementedError

    def reading(self, wait_s: float = 5.0) -> AbstractContextManager[Session]:
        """
        Look at one instant of the database, on a connection of its own and without the write lock: what takes longer
        to read than a check may wait.

        Raises StoreUnavailableError and its family.
        """
        raise NotImplementedError

    def commit(self, session: Session) -> None:
        """Commit now, inside the block, so that what follows may trust it stands."""
        raise NotImplementedError

    def roll_back(self, session: Session) -> None:
        """Undo everything since the session began; the block may end normally."""
        raise NotImplementedError

    def close(self) -> None:
        """
        Close the connections; the next session opens them again.

        One that another thread still works on is left to it: closed under its hands it would end the process.
        """
        raise NotImplementedError

    def tidy(self) -> bool:
        """Be the janitor once, where the database wants one; True when something was done."""
        return False

    def gate(self) -> AbstractContextManager[None]:
        """Make other writers stand back while a kill takes the lock; only SQLite's lock is unfair enough to want it."""
        return nullcontext()

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


def clock_of(store: Store, given: Clock | None) -> Clock:
    """Return *given*, or what time it is at the database."""
    return store.clock if given is None else given


__all__ = [
    "ACCOUNTS", "ADD_ACCOUNT", "ADD_HEAD", "ADVANCE", "BUMP_EPOCH", "GLOBAL", "HEADS", "NEXT_GENERATION", "CommitUnknownError",
    "Head", "Rows", "Savepoint", "Session", "Store", "StoreBusyError", "WideNeededError", "clock_of",
]  # fmt: skip
