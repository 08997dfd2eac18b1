"""
How a session on PostgreSQL opens: one message begins the transaction, takes the lock, and asks for all that a session is
sure to ask; its answer has the heads, those answers and the server's time.

READ COMMITTED: each statement sees what is committed when it begins. So the lock is taken by statements of its own, and
whatever a session decides on is read by later ones, even where they travel together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from riskguard.store.engines.postgresql_session import written
from riskguard.store.session import Ask, Head
from riskguard.store.triggers.postgresql import SCHEMA

if TYPE_CHECKING:
    import psycopg

    from riskguard.store.engines.postgresql_wire import Connection

STATEMENT_S_MAX: Final = 30.0
"""How long a statement of a sweep, a kill or a command may take; a check's has what is left of its deadline."""
TRANSACTION_S_MAX: Final = 60.0
IDLE_S_ACCOUNT: Final = 2.0
IDLE_S_WIDE: Final = 5.0
"""How long a stopped process may hold the lock before the server takes it away; a kill waits longer than that."""
TRANSACTION_TIMEOUT_SINCE: Final = 170_000
TEXTS_MAX: Final = 512
"""Openings kept of one store."""
LOCK: Final = 0x5249_534B_4755_4152
"""The advisory lock: shared by sessions of one account, alone for a wide one; granted in the order of asking."""
_PATH: Final = f"SET LOCAL search_path = {SCHEMA}, pg_temp"
_LOCK_ALONE: Final = f"SELECT pg_advisory_xact_lock({LOCK})"
# Among plain writers the row goes to whoever comes at the right moment; for the table they queue, and a kill waits for those alone
# that were there before it.
_LOCK_FIRST: Final = "LOCK TABLE public.account_heads IN EXCLUSIVE MODE"
_LOCK_SHARED: Final = f"SELECT pg_advisory_xact_lock_shared({LOCK})"
_LOCK_HEADS: Final = """SELECT account, sequence, last_hash, epoch, version, generation, controls FROM public.account_heads
ORDER BY account COLLATE "C" FOR UPDATE"""
# The group's head first: whoever waits for it holds nothing that another of the group might want.
_LOCK_ACCOUNT: Final = """SELECT account, sequence, last_hash, epoch, version, generation, controls FROM public.account_heads
WHERE account IN ({account},
    (SELECT 'GROUP:' || a.group_name FROM public.accounts a WHERE a.account = {account} AND a.group_name <> ''))
ORDER BY starts_with(account, 'GROUP:') DESC FOR UPDATE;
SELECT account, sequence, last_hash, epoch, version, generation, controls FROM public.account_heads WHERE account = 'GLOBAL'"""
READING: Final = (
    f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_PATH}; "
    f"SET LOCAL statement_timeout = {round(STATEMENT_S_MAX * 1000)}"
)
_NOW: Final = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"


class Opening(NamedTuple):
    """What a session was opened for; see `Store.session`. *is_short*: within the deadline of a check; *is_first*: a kill's."""

    is_short: bool
    is_first: bool
    durable: bool
    account: str | None
    ahead: Sequence[Ask]


class Openings:
    """The openings of one store, kept: a check asks for the same one again and again."""

    def __init__(self) -> None:
        self._texts: dict[tuple[object, ...], str] = {}

    def message(self, connection: Connection, left: float, opening: Opening) -> str:
        """Return the whole opening as one message; *left*: the seconds the lock may take."""
        asked = (written(connection, statement, values) for statement, values in opening.ahead)
        return "; ".join([self._beginning(connection, left, opening), *asked, _NOW])

    def _beginning(self, connection: Connection, left: float, opening: Opening) -> str:
        """Return everything before the questions."""
        lock_ms = _rounded_ms(left if not opening.is_short else left * 0.8)
        key = (lock_ms, opening[:-1], connection.synchronous_commit)
        kept = self._texts.get(key)
        if kept is None:
            if len(self._texts) >= TEXTS_MAX:
                self._texts.clear()
            kept = self._texts[key] = beginning(connection, lock_ms, opening)
        return kept


def read(
    cursor: psycopg.Cursor[tuple[Any, ...]], ahead: int
) -> tuple[dict[str, Head], list[list[tuple[Any, ...]]], int]:
    """Return what came with the lock: the heads, the answers to *ahead* questions, and the server's time."""
    found: list[list[tuple[Any, ...]]] = []
    more: bool | None = True
    while more:
        if cursor.pgresult is not None and cursor.pgresult.nfields:  # `description` would be made for each of seventeen
            found.append(cursor.fetchall())
        more = cursor.nextset()
    said = len(found) - 1 - ahead
    heads = {row[0]: Head(*row) for rows in found[:said] for row in rows if len(row) > 1}
    return heads, found[said:-1], int(found[-1][0][0])


def beginning(connection: Connection, lock_ms: int, opening: Opening) -> str:
    """Return everything up to the first statement of a session's own, as one message to the server."""
    from psycopg import sql

    is_short, account = opening.is_short, opening.account
    settings: dict[str, str | int] = {
        "lock_timeout": lock_ms,
        "statement_timeout": lock_ms if is_short else round(STATEMENT_S_MAX * 1000),
        "idle_in_transaction_session_timeout": round((IDLE_S_WIDE if account is None else IDLE_S_ACCOUNT) * 1000),
    }
    if connection.pgconn.server_version >= TRANSACTION_TIMEOUT_SINCE:
        # The others do not run while a message that was begun never ends.
        settings["transaction_timeout"] = round((IDLE_S_ACCOUNT if is_short else TRANSACTION_S_MAX) * 1000)
    settings["synchronous_commit"] = connection.waiting if opening.durable else "off"
    # Not READ WRITE: a server that was made read-only by default is fenced off, and stays so.
    parts = ["BEGIN ISOLATION LEVEL READ COMMITTED", _PATH]
    parts += [f"SET LOCAL {name} = {value}" for name, value in settings.items()]
    if account is None:
        parts += [_LOCK_ALONE, _LOCK_FIRST, _LOCK_HEADS] if opening.is_first else [_LOCK_ALONE, _LOCK_HEADS]
    else:
        parts.append(_LOCK_SHARED)
    if account:
        parts.append(sql.SQL(_LOCK_ACCOUNT).format(account=sql.Literal(account)).as_string(connection))
    return "; ".join(parts)


def _rounded_ms(seconds: float) -> int:
    """Whole milliseconds to two figures, downwards: a text per millisecond would not be worth keeping."""
    ms = max(1, int(seconds * 1000))
    step: int = 10 ** max(0, len(str(ms)) - 2)
    return ms // step * step
