"""
Faults on order: what the paper broker does instead of answering, for tests of everything that calls a broker.

Kept in the file per account, so that one process can break the broker another one uses.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from riskguard.errors import SettingsError

WRITES: Final = ("place", "modify", "cancel", "lock", "exit_all", "arm_backstop")
LISTS: Final = ("orders", "positions", "trades")
OPERATIONS: Final = (*WRITES, *LISTS, "funds", "margin", "is_locked", "backstop")

FAULTS: Final = {
    "ok": "answers as it should",
    "refuse": "says no (BrokerRefusedError)",
    "fail": "the request never leaves (BrokerUnavailableError)",
    "silent": "acts, and does not answer (BrokerUnconfirmedError)",
    "lost": "does not act, and does not answer (BrokerUnconfirmedError)",
    "hang": "answers nothing for a while; whether it acts is a setting (BrokerUnconfirmedError)",
    "deaf": "answers that it did, and does nothing",
    "empty": "a list without what is there",
    "reject": "takes the order and gives an id; the exchange then rejects it",
}
TIMES_MAX: Final = 1_000_000


def set_fault(connection: sqlite3.Connection, account: str, operation: str, how: str, times: int | None) -> None:
    """
    Make *operation* behave so for the next *times* calls (None: until told otherwise).

    `all` replaces whatever was set before; a single operation set afterwards wins over `all`.

    Raises:
        SettingsError: No such operation or fault, or one that means nothing for the operation.
    """
    if operation != "all" and operation not in OPERATIONS:
        raise SettingsError(f"no operation `{operation}`; known: all, {', '.join(OPERATIONS)}")
    if how not in FAULTS:
        raise SettingsError(f"no fault `{how}`; known: {', '.join(FAULTS)}")
    if operation not in ("all", *LISTS) and how == "empty":
        raise SettingsError(f"`{operation}` returns no list that could be empty")
    if operation not in ("modify", "cancel", "lock", "exit_all", "arm_backstop") and how == "deaf":
        raise SettingsError(f"`{operation}` cannot be deaf: what it answers is what it did")
    if operation != "place" and how == "reject":
        raise SettingsError("only `place` can be rejected by the exchange")
    if times is not None and (type(times) is not int or not 0 < times <= TIMES_MAX):
        raise SettingsError(f"`times` = {times!r}: wants a whole number from 1 to {TIMES_MAX}, or None")
    if operation == "all":
        connection.execute("DELETE FROM faults WHERE account = ?", (account,))
    if (operation, how) != ("all", "ok"):
        connection.execute("INSERT OR REPLACE INTO faults VALUES (?, ?, ?, ?)", (account, operation, how, times))


def standing(connection: sqlite3.Connection, account: str, operation: str) -> tuple[str, str, int | None] | None:
    """Return the row that holds for *operation*: its name in the table, the fault, and the calls left."""
    row = connection.execute(
        "SELECT operation, how, times FROM faults WHERE account = ? AND operation IN (?, 'all') "
        "ORDER BY operation = 'all' LIMIT 1",
        (account, operation),
    ).fetchone()
    return None if row is None else (row[0], row[1], row[2])


def use_up(connection: sqlite3.Connection, account: str, operation: str) -> str:
    """Count one call against the fault that stands now, and return how this call behaves."""
    found = standing(connection, account, operation)
    if found is None:
        return "ok"
    name, how, times = found
    if times is not None:
        if times > 1:
            connection.execute(
                "UPDATE faults SET times = times - 1 WHERE account = ? AND operation = ?", (account, name)
            )
        else:
            connection.execute("DELETE FROM faults WHERE account = ? AND operation = ?", (account, name))
    return how
