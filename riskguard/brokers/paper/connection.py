"""One account's connection to the paper market: every operation goes through `_call`, and breaks as it was told to."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
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


class Connection(Market):
    """See the module."""

    def __init__(self, file: MarketFile, account: str, clock: Clock) -> None:
        super().__init__(file, clock)
        self._account = account
        self._charges = ChargeBook()

    @property
    def account(self) -> str:
        return self._account

    def _landed(self) -> tuple[str, int]:
        """Let orders whose transit is over reach the market; return the session date and the time."""
        today, now_us = self._now()
        with self._file.reading() as connection:
            due = book.is_landing(connection, today, now_us)
        if due:
            with self._file.writing() as connection:
                book.land(connection, today, now_us)
        return today, now_us

    def _call(self, operation: str, act: Callable[[str], Answer], leave: Callable[[], None] = lambda: None) -> Answer:
        """Do one operation as `behave` says; *leave* is what happens to a request that goes out for nothing."""
        with self._file.reading() as connection:
            found = standing(connection, self._account, operation)
            settings = book.settings_of(connection, self._account)
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
        if how == "refuse" or how == "lost" or (how == "hang" and not settings.hang_acts):
            leave()
        if how == "refuse":
            raise BrokerRefusedError(f"`{operation}` was refused: told to")
        if how in ("lost", "silent", "hang"):
            if how == "silent" or (how == "hang" and settings.hang_acts):
                with contextlib.suppress(BrokerRefusedError):  # it said no, and nobody heard it
                    act(how)
            if how == "hang":
                time.sleep(settings.hang_s)
            raise BrokerUnconfirmedError(f"no answer to `{operation}`: it may or may not have acted")
        return act(how)
