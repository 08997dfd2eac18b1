"""
A session on PostgreSQL: what it asks goes to the server in as few messages as it can.

Each message and its answer is a round trip, which on another machine takes longer than what is asked. So what a session is
sure to ask travels with its opening (`ahead`), and what it writes without asking how it went with whatever comes next
(`later`). An approval is three: lock and read, write, commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from riskguard.store.session import Ask, Head, Rows, Session, Store
from riskguard.store.spelling import Prepared

if TYPE_CHECKING:
    import psycopg

    from riskguard.store.engines.postgresql_wire import Connection


class Answer(NamedTuple):
    """What came with the lock to a question of this session."""

    ask: Ask
    rows: list[tuple[Any, ...]]


class Told:
    """Rows that were read before they were asked for."""

    __slots__ = ("_rows", "rowcount")

    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        self._rows = iter(rows)
        self.rowcount = len(rows)

    def fetchone(self) -> tuple[Any, ...] | None:
        return next(self._rows, None)

    def fetchall(self) -> list[tuple[Any, ...]]:
        return list(self._rows)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self._rows


class PostgresSession(Session):
    """One open transaction on PostgreSQL."""

    __slots__ = ("_answers", "_cursor", "_later", "_read", "connection")
    is_far = True

    def __init__(
        self, store: Store, connection: Connection, cursor: psycopg.Cursor[tuple[Any, ...]], durable: bool, is_wide: bool,
        read: dict[str, Head], answers: list[Answer],
    ) -> None:  # fmt: skip
        super().__init__(store, durable, True, is_wide)  # a round trip is a wait
        self.connection = connection
        self._cursor = cursor
        self._read: dict[str, Head] | None = read
        self._answers = answers
        self._later: list[str] = []

    def run(self, statement: Prepared, **values: Any) -> Rows:
        sql, constants = statement.on_postgresql()
        for answer in self._answers:
            if answer.ask == (statement, values):
                self._answers.remove(answer)
                return Told(answer.rows)
        if not sql.startswith("SELECT"):
            self._answers.clear()
        given = {**constants, **values} if constants else values
        if not self._later:
            return self._cursor.execute(sql, given)
        self._send(self.connection.written(sql, given))
        return self._cursor

    def foresee(self, asks: Iterable[Ask]) -> None:
        wanted = list(asks)
        if not wanted:
            return
        self._send()  # first, and alone: its own answers are nobody's
        self._cursor.execute("; ".join(written(self.connection, *ask) for ask in wanted))
        for ask in wanted:
            self._answers.append(Answer(ask, self._cursor.fetchall()))
            self._cursor.nextset()

    def later(self, statement: Prepared, **values: Any) -> None:
        self._answers.clear()
        self._later.append(written(self.connection, statement, values))

    def _send(self, *texts: str) -> None:
        """Send what was left for later and *texts* in one message; the cursor then holds the last answer."""
        self._later += texts
        message, self._later = "; ".join(self._later), []
        if message:
            self._cursor.execute(message)
            while self._cursor.nextset():
                pass

    def send(self) -> None:
        """Send what was left for later."""
        self._send()

    def run_many(self, statement: Prepared, rows: Iterable[dict[str, Any]]) -> None:
        self._answers.clear()
        self._send()
        sql, constants = statement.on_postgresql()
        self._cursor.executemany(sql, [{**constants, **row} for row in rows])

    def insert(self, statement: Prepared, **values: Any) -> int | None:
        row = self.run(statement, **values).fetchone()
        return None if row is None else row[0]

    def read_heads(self, account: str, group: str = "") -> dict[str, Head]:
        """Read the heads; the first time they are those that came with the lock."""
        read, self._read = self._read, None
        if read is None or account not in read:
            return super().read_heads(account, group)
        self.heads.update(read)
        return self.heads

    def make_durable(self) -> None:
        if not self.durable:
            self._later.append(self._waiting_for_disk())
            self.durable = True

    def _waiting_for_disk(self) -> str:
        return f"SET LOCAL synchronous_commit = {self.connection.waiting}"

    def savepoint(self) -> _Savepoint:
        return _Savepoint(self)


class _Savepoint:
    def __init__(self, session: PostgresSession) -> None:
        self._session = session
        self._was_durable = session.durable
        session._send("SAVEPOINT here")

    def back(self) -> None:
        session = self._session
        session._later.clear()  # written since, and never sent: what is wrong with it must not keep us from going back
        session._send("ROLLBACK TO SAVEPOINT here")
        if session.durable and not self._was_durable:
            session._later.append(session._waiting_for_disk())  # taken back with the rest

    def release(self) -> None:
        self._session._send("RELEASE SAVEPOINT here")


def written(connection: Connection, statement: Prepared, values: Mapping[str, Any]) -> str:
    """Return a statement with its values written in."""
    sql, constants = statement.on_postgresql()
    return connection.written(sql, {**constants, **values})


__all__ = ["Answer", "PostgresSession", "written"]
