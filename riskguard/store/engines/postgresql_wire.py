"""
One connection to PostgreSQL that nobody waits for longer than asked.

A server that is stopped, or a network that swallows everything, answers nothing and breaks nothing: no setting of the
server or of TCP ends that wait in time (reliability.md F9). So connections are made on a thread of their own, and each
statement has a moment on this host's clock after which the connection is dropped.

Imported only where a URL names PostgreSQL: psycopg is an extra.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Generator
from typing import Any, Final

import psycopg
from psycopg import pq, waiting
from psycopg.types.numeric import NumericLoader

from riskguard.errors import SchemaMismatchError, StoreUnavailableError
from riskguard.store.catalog import REVISIONS
from riskguard.store.engines import postgresql
from riskguard.store.tables.base import SCHEMA_VERSION

log = logging.getLogger("riskguard")

CONNECT_S_MAX: Final = 5
BACK_OFF_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
"""How long a server that did not answer is not asked again by those who cannot wait; the last goes on."""
_LOOK_S: Final = 0.1
"""How often a wait looks up: for an interrupt, and for its deadline."""
FACTS: Final = (
    "SELECT current_setting('server_version_num')::int, pg_is_in_recovery(), current_setting('server_encoding'),"
    " current_setting('synchronous_commit'), to_regclass('public.alembic_version') IS NOT NULL"
)
KEEPALIVE: Final = "; ".join(
    f"SET tcp_{name} = {value}"
    for name, value in {
        "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "user_timeout": 10_000,
    }.items()
)  # fmt: skip
"""The server's side of the same: it must notice a client that is gone, and with it whatever locks it held."""
VERSION: Final = "SELECT max(version_num), count(*) FROM public.alembic_version"
REVISION: Final = next(name for name, version in REVISIONS.items() if version == SCHEMA_VERSION)


class DeadlineError(psycopg.OperationalError):
    """The server did not answer in time; the connection is gone."""


def _until(gen: Generator[Any, Any, Any], deadline: float) -> Generator[Any, Any, Any]:
    """Hand the driver's own steps through, and stop when the moment has come."""
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() >= deadline:
                raise DeadlineError("the server did not answer in time")
            wanted = gen.send(ready)
    except StopIteration as e:
        return e.value


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """
    A connection whose every wait ends at `deadline`, a moment of `time.monotonic`.

    Whatever cuts a wait short (the deadline, an interrupt) leaves half an answer on the wire: the connection is
    dropped, without a word to the server, which would have to be waited for.
    """

    deadline: float = float("inf")
    place: str = ""
    synchronous_commit: str = "on"
    _scribe: psycopg.ClientCursor[tuple[Any, ...]] | None = None

    def wait(self, gen: Any, interval: float = _LOOK_S, timeout: float | None = None) -> Any:
        left = self.deadline - time.monotonic()
        try:
            return waiting.wait(_until(gen, self.deadline), self.pgconn.socket, interval=max(0.001, min(left, _LOOK_S)))
        except DeadlineError:
            self.pgconn.finish()
            raise
        except psycopg.Error:
            raise
        except BaseException:
            self.pgconn.finish()
            raise

    @property
    def waiting(self) -> str:
        """The setting with which a commit waits for the disk: as the server says, and never weaker than `on`."""
        return "on" if self.synchronous_commit in ("off", "local") else self.synchronous_commit

    def written(self, sql: str, values: dict[str, Any]) -> str:
        """Return the statement with its values written in as literals, so that several may go in one message."""
        if self._scribe is None:
            self._scribe = psycopg.ClientCursor(self)
        return self._scribe.mogrify(sql, values)

    def drop(self) -> None:
        """Let go of the socket without a word."""
        self.pgconn.finish()


class _Whole(NumericLoader):
    """Sums of BIGINT come as NUMERIC; ours are whole, and stay integers as they are on SQLite."""

    def load(self, data: Any) -> Any:
        text = bytes(data)
        return int(text) if text.lstrip(b"-").isdigit() else super().load(data)


class _Attempt:
    """One try to connect, on a thread of its own: looking up a name or a handshake may take what a check has not."""

    def __init__(self, url: str, prepare: bool) -> None:
        self.began = self.ended = time.monotonic()
        self.done = threading.Event()
        self.was_waited_for = False
        self.made: Connection | None = None
        self.error: Exception | None = None
        self._given_up = False
        self._lock = threading.Lock()
        threading.Thread(target=self._run, args=(url, prepare), name="riskguard-connect", daemon=True).start()

    def _run(self, url: str, prepare: bool) -> None:
        made = None
        try:
            made = _connected(url, prepare)
        except Exception as e:
            self.error = e
        self.ended = time.monotonic()
        with self._lock:
            if made is not None and self._given_up:
                made.drop()
            else:
                self.made = made
            self.done.set()

    def give_up(self) -> None:
        with self._lock:
            self._given_up = True
            if self.made is not None:
                self.made.drop()


def _connected(url: str, prepare: bool) -> Connection:
    """Connect and look at what was reached. Raises StoreUnavailableError and its family."""
    place = postgresql.place(url)
    given: dict[str, Any] = {
        "connect_timeout": CONNECT_S_MAX, "application_name": "riskguard", "keepalives": 1, "keepalives_idle": 5,
        "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000,
        **postgresql.driver_arguments(url),
    }  # fmt: skip
    try:
        made = Connection.connect(autocommit=True, prepare_threshold=5 if prepare else None, **given)
    except psycopg.Error as e:
        raise StoreUnavailableError(f"`{place}`: {postgresql.first_line(e)}") from None
    try:
        made.deadline = time.monotonic() + CONNECT_S_MAX
        made.place = place
        made.execute(KEEPALIVE)
        made.adapters.register_loader("numeric", _Whole)
        version, is_standby, encoding, made.synchronous_commit, has_versions = made.execute(FACTS).fetchone() or ()
        if version // 10_000 < postgresql.VERSION_MIN:
            raise StoreUnavailableError(
                f"`{place}` is PostgreSQL {version // 10_000}: riskguard needs {postgresql.VERSION_MIN} or newer"
            )
        if encoding != "UTF8":
            raise StoreUnavailableError(f"`{place}` is encoded in {encoding}: create the database with ENCODING 'UTF8'")
        if is_standby:
            raise StoreUnavailableError(f"`{place}` is a standby and takes no writes: name the primary")
        revisions = made.execute(VERSION).fetchone() if has_versions else None
        if revisions != (REVISION, 1):
            raise SchemaMismatchError(
                f"`{place}` is no riskguard database of schema {SCHEMA_VERSION}: `riskguard init`"
            )
    except psycopg.Error as e:
        made.drop()
        raise StoreUnavailableError(f"`{place}`: {postgresql.first_line(e)}") from None
    except BaseException:
        made.drop()
        raise
    return made


class Wire:
    """The one connection of a store: made when it is asked for, forgotten when it breaks or the process forks."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.place = postgresql.place(url)
        self.prepare = postgresql.option(url, "riskguard_prepare") == "on"
        self.made = 0
        self._kept: Connection | None = None
        self._attempt: _Attempt | None = None
        self._failures = 0
        self._not_before = 0.0
        self._why = ""
        self._inherited: list[object] = []

    def connection(self, until: float, *, patient: bool) -> Connection:
        """
        Return the connection, waiting for a new one until that moment at most.

        Who is not *patient* is refused at once while a server that cost somebody their time is not due again.

        Raises StoreUnavailableError, SchemaMismatchError.
        """
        kept = self._kept
        if kept is not None:
            if not kept.closed:
                return kept
            self._kept = None
        attempt = self._attempt
        if attempt is not None and attempt.done.is_set() and attempt.error is not None:
            # A try that nobody waited for to its end: what it found may have changed since.
            self.failed(str(attempt.error), attempt.ended)
            attempt = self._attempt = None
        if attempt is None:
            if not patient and time.monotonic() < self._not_before:
                raise StoreUnavailableError(self._why)
            attempt = self._attempt = _Attempt(self.url, self.prepare)
        elif not patient and attempt.was_waited_for and not attempt.done.is_set():
            raise StoreUnavailableError(self._why)
        if not attempt.done.wait(max(0.0, until - time.monotonic())):
            attempt.was_waited_for = True
            self._why = f"`{self.place}` has not answered for {time.monotonic() - attempt.began:.1f} s"
            raise StoreUnavailableError(self._why)
        self._attempt = None
        if attempt.error is not None or attempt.made is None:
            self.failed(str(attempt.error))
            raise attempt.error or StoreUnavailableError(self._why)
        self._failures, self._not_before = 0, 0.0
        self._kept = attempt.made
        self.made += 1
        return self._kept

    def kept(self) -> Connection | None:
        """Return the connection that is open, if there is one."""
        return self._kept if self._kept is not None and not self._kept.closed else None

    def failed(self, why: str, at: float | None = None) -> None:
        """Note that the server did not do it: for a short while only those who can wait ask it again."""
        self._why = why
        self._not_before = (time.monotonic() if at is None else at) + BACK_OFF_S[
            min(self._failures, len(BACK_OFF_S) - 1)
        ]
        self._failures += 1

    def drop(self) -> None:
        """Forget the connection without a word to the server."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.drop()

    def close(self) -> None:
        """Say goodbye and forget the connection."""
        kept, self._kept = self._kept, None
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.give_up()
        if kept is not None:
            kept.close()

    def leave_the_parent(self) -> None:
        """
        Forget what was inherited over a fork: the socket is the parent's, and a goodbye on it would end its session.

        The descriptor is closed here all the same: were the parent to die, a copy held open would keep its transaction,
        and the locks, alive at the server. The object is kept, so that nothing closes it once more.
        """
        if self._kept is not None:
            with contextlib.suppress(OSError, psycopg.Error):
                os.close(self._kept.pgconn.socket)
            self._inherited.append(self._kept)
        self._inherited.append(self._attempt)
        self._kept = self._attempt = None
        self._failures, self._not_before = 0, 0.0


def is_ours(connection: Connection) -> bool:
    """Say whether nothing is under way on the connection, so that it can be told something."""
    return not connection.closed and connection.pgconn.transaction_status != pq.TransactionStatus.ACTIVE


__all__ = ["Connection", "DeadlineError", "Wire", "is_ours"]
