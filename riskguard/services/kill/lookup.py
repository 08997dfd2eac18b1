"""
Names of accounts, asked while the flags of a kill are being put. Standard library only, and never for long.

A misspelt name must not leave the right one trading, and nothing that is wrong with the database may stop a kill: what is
not told in half a second is unknown.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from riskguard.home import sqlite_path

if TYPE_CHECKING:
    from riskguard.store.session import Store

LOOK_S = 0.5


class Opened(NamedTuple):
    """A connection to a SQLite file that has read the schema, and which file the name meant just before."""

    connection: sqlite3.Connection
    identity: tuple[int, int]


class Lookup:
    """
    Asks an open store that is at hand, and where that does not tell, the database itself.

    On SQLite the connection opened for it is kept, for the row of the kill: another one would read the whole schema again,
    which among busy writers takes as long as all the rest.
    """

    def __init__(self, url: str, at_hand: Store | None = None) -> None:
        self._url, self._at_hand = url, at_hand
        self._opened: Opened | None = None

    def is_known(self, account: str) -> bool | None:
        """Say whether the account exists; None when the database does not tell."""
        found = self._asked("SELECT account FROM accounts WHERE account = ?", account)
        return None if found is None else bool(found)

    def accounts_of(self, group: str) -> tuple[str, ...]:
        """
        Return the accounts of *group*, () when there is none or the database does not tell.

        Whoever kills a group and gets nothing kills everything: a misspelt name must not leave the right one trading.
        """
        asked = "SELECT account FROM accounts WHERE group_name = ? AND group_name <> '' ORDER BY account"
        return self._asked(asked, group) or ()

    def hand_over(self) -> Opened | None:
        """Give away what was opened; whoever gets it closes it."""
        opened, self._opened = self._opened, None
        return opened

    def close(self) -> None:
        opened = self.hand_over()
        if opened is not None:
            with suppress(sqlite3.Error):
                opened.connection.close()

    def _asked(self, query: str, name: str) -> tuple[str, ...] | None:
        if self._at_hand is not None:
            with suppress(Exception):  # whatever it is, the database itself is asked again
                if (told := self._at_hand.glance(query, name, LOOK_S)) is not None:
                    return told
        path = sqlite_path(self._url)
        if path is None:
            try:  # the import too: a broken installation must not stop what comes after the flag
                from riskguard.store.engines.postgresql_look import names

                return names(self._url, query.replace("?", "%s"), name, LOOK_S)
            except Exception:
                return None
        try:
            if self._opened is None:
                self._opened = _opened(os.fspath(path))
            return tuple(row[0] for row in self._opened.connection.execute(query, (name,)))
        except (sqlite3.Error, OSError):
            return None


def _opened(path: str) -> Opened:
    """Open an existing file, as `store.engines.sqlite.connect` does but for its checks. Raises sqlite3.Error, OSError."""
    status = os.stat(path)
    connection = sqlite3.connect(
        f"file:{quote(path)}?mode=rw", uri=True, isolation_level=None, check_same_thread=False, timeout=LOOK_S,
        cached_statements=256,
    )  # fmt: skip
    return Opened(connection, (status.st_dev, status.st_ino))
