"""One account's connection to the paper market: every operation goes through `_call`, and breaks as it was told to."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from riskguard.brokers.paper import events
from riskguard.brokers.paper import orders as book
from riskguard.brokers.paper.faults import WRITES, standing, use_up
from riskguard.brokers.paper.file import MarketFile
from riskguard.brokers.paper.ledger import ChargeBook
from riskguard.brokers.paper.market import Market
from riskguard.errors import BrokerRefusedError, BrokerUnavailableError, BrokerUnconfirmedError
from riskguard.ports import Clock

Answer = TypeVar("Answer")
Item = TypeVar("Item")


class Connection(Market):
    """See the module."""

    def __init__(self, file: MarketFile, account: str, clock: Clock) -> None:
        super().__init__(file, clock)
        self._account = account
        self._charges = ChargeBook()

    @property
    def account(self) -> str:
        return self._account

    @contextlib.contextmanager
    def _looking(self) -> Iterator[tuple[sqlite3.Connection, str, int]]:
        """Yield one instant of the market in which orders whose transit is over are there; its session date and the time."""
        today, now_us = self._now()
        with self._file.reading() as connection:
            if not book.is_landing(connection, today, now_us):
                yield connection, today, now_us
                return
        with self._file.writing() as connection:
            book.land(connection, today, now_us)
        with self._file.reading() as connection:
            yield connection, today, now_us

    def _list(
        self, operation: str, look: Callable[[sqlite3.Connection, str, int], tuple[Item, ...]]
    ) -> tuple[Item, ...]:
        """Answer with a list: in the transaction that finds no fault and nobody landing, which is the usual one."""
        with self._file.reading() as connection:
            today, now_us = self._now()
            if standing(connection, self._account, operation) is None and not book.is_landing(
                connection, today, now_us
            ):
                return look(connection, today, now_us)

        def act(how: str) -> tuple[Item, ...]:
            if how == "empty":
                return ()
            with self._looking() as (connection, today, now_us):
                return look(connection, today, now_us)

        return self._call(operation, act)

    def _call(self, operation: str, act: Callable[[str], Answer], leave: Callable[[], None] = lambda: None) -> Answer:
        """Do one operation as `behave` says; *leave* is what happens to a request that goes out for nothing."""
        with self._file.reading() as connection:
            found = standing(connection, self._account, operation)
            hang_s, hang_acts = (0.0, False) if found is None else _hanging(connection, self._account)
        how = "ok" if found is None else found[1]
        if found is not None and found[2] is not None:
            with self._file.writing() as connection:
                how = use_up(connection, self._account, operation)
        if how == "fail":
            raise BrokerUnavailableError(f"`{operation}` never left: told to fail")
        if operation in WRITES:
            with self._file.writing() as connection:
                events.note(connection, self._account, self._now()[1], "MESSAGE", operation=operation, how=how)
        if how == "deaf":
            return act(how)
        if how == "refuse" or how == "lost" or (how == "hang" and not hang_acts):
            leave()
        if how == "refuse":
            raise BrokerRefusedError(f"`{operation}` was refused: told to")
        if how in ("lost", "silent", "hang"):
            if how == "silent" or (how == "hang" and hang_acts):
                with contextlib.suppress(BrokerRefusedError):  # it said no, and nobody heard it
                    act(how)
            if how == "hang":
                time.sleep(hang_s)
            raise BrokerUnconfirmedError(f"no answer to `{operation}`: it may or may not have acted")
        return act(how)


def _hanging(connection: sqlite3.Connection, account: str) -> tuple[float, bool]:
    """Return how long a hanging call takes, and whether it acts."""
    settings = book.settings_of(connection, account)
    return settings.hang_s, settings.hang_acts
