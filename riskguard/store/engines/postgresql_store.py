"""
Sessions on PostgreSQL: one connection per process, a lock before everything else, a deadline on everything.

Two widths: a *wide* session excludes every other, one of an
account those of the same account and group. Nothing rests on the state of a server connection, so a pooler in
transaction mode may stand between.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from riskguard.clock import SystemClock
from riskguard.core.pricing import CLOCK_SKEW_MAX_US
from riskguard.errors import ExtraMissingError, SchemaMismatchError, StoreUnavailableError
from riskguard.home import host_home
from riskguard.store.engines import postgresql, postgresql_opening
from riskguard.store.engines.postgresql_opening import IDLE_S_WIDE, READING, STATEMENT_S_MAX, Opening, Openings
from riskguard.store.engines.postgresql_session import Answer, PostgresSession
from riskguard.store.generation import write_generation
from riskguard.store.session import CLOSE_WAIT_S, GLOBAL, Ask, CommitUnknownError, Session, Store, StoreBusyError

if TYPE_CHECKING:
    import psycopg

    from riskguard.store.engines.postgresql_wire import Connection

DEADLINE_MS: Final = 250
INSIST_AFTER_S: Final = 1.0
"""How long a kill or a sweep waits before it looks at who holds the lock."""
RETRY_S: Final = 0.1
ROLLBACK_S_MAX: Final = 0.25
_SEND_AWAY: Final = f"""
SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a
WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND pg_has_role(a.usesysid, 'MEMBER')
    AND (a.state = 'active' AND a.wait_event = 'ClientRead' AND a.query_start < clock_timestamp() - interval '1 second'
        OR a.state LIKE 'idle in transaction%' AND a.state_change < clock_timestamp() - interval '{IDLE_S_WIDE:g} seconds')
    AND EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.granted AND (l.locktype = 'advisory'
        OR l.relation = 'public.account_heads'::regclass AND l.mode IN ('RowShareLock', 'RowExclusiveLock')))
"""  # noqa: S608 - a number of our own
# Lock timeout, deadlock, serialisation failure, statement timeout, too many connections: waiting may help.
BUSY_STATES: Final = ("55P03", "40P01", "40001", "57014", "53300")
LOST_STATES: Final = ("08", "57P")
TIMED_OUT_STATES: Final = ("25P03", "25P04")
"""The server ended the session, which was idle, or open, for too long: what it had not committed is gone."""
READ_ONLY: Final = "25006"


class ServerClock:
    """
    The server's clock, which is what machines that share a database share: as of the last lock taken.

    Between two sessions it goes on as this host's does. Until the first session it is this host's.
    """

    def __init__(self) -> None:
        self._host = SystemClock()
        self.ahead_us = 0

    def heard(self, server_us: int) -> None:
        """Note what the server said just now."""
        self.ahead_us = server_us - self._host.now_us()

    def host_us(self) -> int:
        """What this host's own clock says."""
        return self._host.now_us()

    def now_us(self) -> int:
        return self._host.now_us() + self.ahead_us

    def elapsed_us(self) -> int:
        return self._host.elapsed_us()


class PostgresStore(Store):
    """See `Store`."""

    dialect = "postgresql"
    deadline_ms_usual = DEADLINE_MS

    def __init__(self, url: str, *, deadline_ms: int | None = None) -> None:
        try:
            from riskguard.store.engines.postgresql_wire import Wire
        except ImportError:
            raise ExtraMissingError("postgres", "psycopg", "PostgreSQL databases") from None
        super().__init__(url, deadline_ms=deadline_ms)
        # Keyed by the place, not by who logs in: every user of this host must notice a server that forgot a halt.
        self.path = host_home() / "postgresql" / f"{postgresql.digest(url)}.db"
        self.clock: ServerClock = ServerClock()
        self._wire = Wire(url)
        self._session: PostgresSession | None = None
        self._openings = Openings()

    @property
    def place(self) -> str:
        return self._wire.place

    # -- connections ----------------------------------------------------------------------------------------

    def _leave_the_parent(self) -> None:
        """Start over in a forked child. Before any lock is taken: another thread of the parent may have held ours."""
        if self._pid != os.getpid():
            self._wire.leave_the_parent()
            self._session = None
            self._lock = threading.RLock()
            self._pid = os.getpid()
            self.opened += 1

    def close(self) -> None:
        self._leave_the_parent()
        if not self._lock.acquire(timeout=CLOSE_WAIT_S):
            return
        try:
            self._wire.close()
        finally:
            self._lock.release()

    # -- transactions ---------------------------------------------------------------------------------------

    @contextmanager
    def session(
        self, *, durable: bool = True, wait_s: float | None = None, gated: bool = True, insist: bool = False,
        account: str | None = None, ahead: Sequence[Ask] = (),
    ) -> Iterator[PostgresSession]:  # fmt: skip
        self._leave_the_parent()
        began = time.monotonic()
        wait = self.deadline_s if wait_s is None else wait_s
        if not self._lock.acquire(timeout=max(wait, 0.001)):
            raise StoreBusyError("another thread of this process holds the database")
        outer = self._session
        try:
            if outer is not None and outer is not _DONE:
                raise StoreUnavailableError("a session is already open in this thread")
            import psycopg

            try:
                # From BEGIN to COMMIT nothing may leave without undoing: an interrupt would keep the lock.
                begin = self._insist if insist or not gated else self._begin
                session = begin(began, wait, Opening(wait_s is None, not gated, durable, account, ahead))
                yield session
                self._commit()
            except psycopg.Error as e:
                self._roll_back()
                raise self._classified(e) from None
            except BaseException:
                self._roll_back()
                raise
            finally:
                self._session = outer
        finally:
            self._lock.release()

    def is_idle(self) -> bool:
        return self._session is None and self._wire.kept() is not None

    def glance(self, query: str, name: str, wait_s: float) -> tuple[str, ...] | None:
        import psycopg

        connection = self._wire.kept()
        if connection is None:
            return None
        connection.deadline = time.monotonic() + wait_s
        try:
            return tuple(row[0] for row in connection.execute(query.replace("?", "%s"), (name,)).fetchall())
        except psycopg.Error:
            self._wire.drop()  # cut by a firewall, or half an answer on it: nothing more is sent on that one
            return None

    @contextmanager
    def reading(self, wait_s: float = 5.0) -> Iterator[PostgresSession]:
        import psycopg

        from riskguard.store.engines.postgresql_wire import Wire

        wire = Wire(self.url)
        try:
            connection = wire.connection(time.monotonic() + wait_s, patient=True)
            connection.deadline = time.monotonic() + STATEMENT_S_MAX
            cursor = connection.cursor()
            cursor.execute(READING)
            yield PostgresSession(self, connection, cursor, False, True, {}, [])
        except psycopg.Error as e:
            raise StoreUnavailableError(f"`{self.place}` cannot be read: {postgresql.first_line(e)}") from None
        finally:
            wire.close()

    def _begin(self, began: float, wait: float, opening: Opening) -> PostgresSession:
        """Take the lock, and with it the heads and the time: one round trip."""
        import psycopg

        until = began + max(wait, 0.001)
        connection = self._wire.connection(until, patient=not opening.is_short)
        is_kept = connection is self._known
        try:
            return self._opened(connection, until, wait, opening)
        except psycopg.OperationalError as e:
            if not is_kept or not self._is_lost(e):
                raise
        # The server was restarted, or a firewall forgot us, since the last session: nothing was asked yet.
        connection = self._wire.connection(until, patient=not opening.is_short)
        return self._opened(connection, until, wait, opening)

    def _is_lost(self, error: psycopg.Error) -> bool:
        """Say whether the connection is gone, and forget it; one that only did not answer in time is no such case."""
        from riskguard.store.engines.postgresql_wire import DeadlineError

        if isinstance(error, DeadlineError) or not (error.sqlstate or LOST_STATES[0]).startswith(LOST_STATES):
            return False
        self._wire.drop()
        return True

    def _opened(self, connection: Connection, until: float, wait: float, opening: Opening) -> PostgresSession:
        if connection is not self._known:
            self._known = connection
            self._start_over()
        now = time.monotonic()
        left = max(0.005, until - now)
        # The server gives up first: its answer keeps the connection, which our own deadline would cost us.
        connection.deadline = now + left + (0.0 if opening.is_short else 1.0)
        asked_us = self.clock.host_us()
        try:
            cursor = connection.cursor()
            cursor.execute(self._openings.message(connection, left, opening))
            heads, told, server_us = postgresql_opening.read(cursor, len(opening.ahead))
            self.clock.heard(server_us)
            self._note_skew(asked_us)
            self._note_generation(heads[GLOBAL].generation if GLOBAL in heads else 0)
            if not opening.is_short:
                connection.deadline = time.monotonic() + max(wait, STATEMENT_S_MAX)
            answers = list(map(Answer, opening.ahead, told))
            # Kept in here: an interrupt at any moment finds either this block or the session to be undone.
            self._session = PostgresSession(
                self, connection, cursor, opening.durable, opening.account is None, heads, answers
            )
        except BaseException:
            self._undo(connection)
            raise
        return self._session

    def _insist(self, began: float, wait: float, opening: Opening) -> PostgresSession:
        """
        Take the lock for a kill or a sweep: who is in the way with nothing to say any more is sent away.

        A link that died in the middle of a message leaves its session reading for ever, and no timeout of the server
        before 17 ends that; nor does one end a person's open transaction. Each look costs the place in the queue, so it is
        waited twice as long from one to the next.
        """
        import psycopg

        end, patience_s = began + wait, INSIST_AFTER_S
        while True:
            now = time.monotonic()
            try:
                return self._begin(now, max(0.0, min(end - now, patience_s)), opening._replace(is_short=False))
            except psycopg.errors.LockNotAvailable:
                patience_s *= 2
                if time.monotonic() >= end or self._known is None:
                    raise
                with contextlib.suppress(psycopg.Error):
                    self._known.deadline = time.monotonic() + 1.0
                    self._known.execute(_SEND_AWAY)
            except (StoreUnavailableError, psycopg.OperationalError) as e:
                # A server that comes back, or a connection that takes long: it is tried for as long as was asked.
                if isinstance(e, SchemaMismatchError) or time.monotonic() + RETRY_S >= end:
                    raise
                if isinstance(e, psycopg.Error):
                    self._classified(e)
                time.sleep(RETRY_S)

    def _start_over(self) -> None:
        """Believe nothing that another server said, or this one before it was restored."""
        self.opened += 1
        self.parsed_limits.clear()
        self.memo.clear()
        with contextlib.suppress(OSError):  # what cannot be kept here only warns less
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _note_skew(self, asked_us: int) -> None:
        """A server's time between the question and the answer is no skew, however long that took."""
        server_us = self.clock.now_us()
        ahead_us = self.clock.ahead_us if self.clock.ahead_us > 0 else min(0, server_us - asked_us)
        skew_us = ahead_us if abs(ahead_us) > CLOCK_SKEW_MAX_US else 0
        if bool(skew_us) != bool(self.skew_us):
            self.opened += 1  # whoever keeps an account reads it anew, and sees or forgets the skew
        self.skew_us = skew_us

    def _note_generation(self, generation: int) -> None:
        """Keep on this host the highest number of latches seen: a server that knows fewer has forgotten a halt."""
        if generation > self._generation_kept:
            with contextlib.suppress(OSError):
                write_generation(self.path, generation)
                self._generation_kept = generation

    def commit(self, session: Session) -> None:
        self._commit()

    def roll_back(self, session: Session) -> None:
        self._roll_back()

    def _commit(self) -> None:
        session = self._session
        if session is _DONE or session is None:
            return  # rolled back, or committed, inside the block
        session.send()  # as what it is, a statement: no commit is under way yet
        self._session = _DONE
        import psycopg

        connection = session.connection
        # What is under way cannot be taken back by waiting less: a commit has a deadline of its own.
        connection.deadline = max(connection.deadline, time.monotonic() + self.deadline_s)
        try:
            said = session._cursor.execute("COMMIT").statusmessage
        except psycopg.Error as e:
            state = e.sqlstate or ""
            if state and not state.startswith(LOST_STATES):
                self._undo(connection)
                raise self._classified(e) from None  # the server itself said no: nothing stands
            self._wire.drop()
            self._wire.failed(f"`{self.place}` was lost: {postgresql.first_line(e)}")
            raise CommitUnknownError(
                f"the commit was under way when `{self.place}` was lost: it may or may not stand"
            ) from None
        except BaseException:
            self._wire.drop()
            raise
        if said != "COMMIT":
            raise StoreUnavailableError(f"`{self.place}` rolled back what was to be committed: nothing was written")

    def _roll_back(self) -> None:
        session, self._session = self._session, _DONE
        if session is _DONE or session is None:
            return
        self._undo(session.connection)

    def _undo(self, connection: Connection) -> None:
        """Roll back if the server can be told; else drop the connection, and whatever it holds goes with it."""
        from riskguard.store.engines.postgresql_wire import is_ours

        if not is_ours(connection):
            self._wire.drop()
            return
        connection.deadline = time.monotonic() + ROLLBACK_S_MAX
        try:
            connection.execute("ROLLBACK")
        except Exception:
            self._wire.drop()

    def _classified(self, error: psycopg.Error) -> StoreUnavailableError:
        """Return the error of ours for the driver's; nothing was written."""
        from riskguard.store.engines.postgresql_wire import DeadlineError

        state = error.sqlstate or ""
        if state in BUSY_STATES:
            return StoreBusyError(f"the database was busy for {self.deadline_s * 1000:g} ms")
        if state == READ_ONLY:
            self._wire.close()
            return StoreUnavailableError(
                f"`{self.place}` is a standby or read-only and takes no writes: name the primary"
            )
        import psycopg

        # What the driver itself refuses (a NUL character) comes without a state, too: the server never heard of it.
        is_lost = isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)) and not state
        if isinstance(error, DeadlineError) or is_lost or state.startswith(LOST_STATES) or state in TIMED_OUT_STATES:
            self._wire.drop()
            said = f"`{self.place}` cannot be used: {postgresql.first_line(error)}"
            self._wire.failed(said)
            return StoreUnavailableError(said)
        return StoreUnavailableError(
            f"the database cannot be used: {postgresql.first_line(error)} (SQLSTATE {state or 'none'})"
        )

    _known: Connection | None = None
    _generation_kept = 0


_DONE: Final[Any] = object()
"""The session of a block whose transaction has ended already."""


__all__ = ["DEADLINE_MS", "PostgresSession", "PostgresStore", "ServerClock"]
