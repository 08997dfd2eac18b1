"""
What the services need from outside, with numbered guarantees an adapter must keep.

A test double breaks each guarantee in turn; the services must stay safe when one is broken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from riskguard.core.order import Order
from riskguard.core.quote import Quote
from riskguard.core.seen import (
    SeenBackstop,
    SeenFunds,
    SeenHolding,
    SeenLedgerEntry,
    SeenMargin,
    SeenOrder,
    SeenPosition,
    SeenProfile,
    SeenTrade,
)


class Clock(Protocol):
    """
    Time. (1) `now_us` is UTC wall time in microseconds, settable backwards by the world. (2) `elapsed_us`
    never goes back and counts suspend. Nothing else in riskguard asks what time it is.
    """

    def now_us(self) -> int: ...

    def elapsed_us(self) -> int: ...


class ApprovedOrder(Protocol):
    """
    The only thing a broker adapter accepts: an order riskguard approved and marked SENT.

    `begin()` is called by the adapter right before the request leaves; it raises PermitNotSendableError when
    the order was not marked SENT, was begun before, or the mark is older than 250 ms.
    """

    @property
    def order(self) -> Order: ...

    @property
    def correlation_id(self) -> str: ...

    @property
    def modifies(self) -> str | None:
        """The broker's id of the working order this changes; None for a new order."""
        ...

    def begin(self) -> None: ...


class Broker(Protocol):
    """
    One account at one broker.

    1. `place` returns the broker's order id, or raises: BrokerRefusedError (nothing rests there),
       BrokerUnavailableError (the request never left), BrokerUnconfirmedError (anything else). It never retries.
    2. Each read returns the complete list or raises; an empty list means "none", never "could not see".
    3. `cancel` returning means the request was taken, not that the order is gone: read it back.
    4. Words the adapter does not know are kept, and count as live.
    5. No call outlasts its timeout; none sleeps to wait for fills.
    """

    name: str

    def place(self, approved: ApprovedOrder) -> str: ...

    def cancel(self, order_id: str) -> None: ...

    def orders(self) -> tuple[SeenOrder, ...]: ...

    def positions(self) -> tuple[SeenPosition, ...]: ...

    def trades(self) -> tuple[SeenTrade, ...]: ...

    def funds(self) -> SeenFunds: ...


@runtime_checkable
class Margins(Protocol):
    """
    A broker's margin calculator. (1) It reads only. (2) The figure is for these orders together, in the account as
    it stands. (3) What it cannot compute raises; it is never zero.
    """

    def margin(self, orders: Sequence[Order]) -> SeenMargin: ...


@runtime_checkable
class BrokerLock(Protocol):
    """
    The broker's own kill switch. (1) `lock` returning says only that the request was taken. (2) `is_locked` is
    what the broker reads back; what it cannot say raises. (3) BrokerRefusedError: it will not, and says why.
    """

    def lock(self) -> None: ...

    def unlock(self) -> None: ...

    def is_locked(self) -> bool: ...


@runtime_checkable
class ExitAll(Protocol):
    """The broker's close-everything. Returning says only that the request was taken: look at the book."""

    def exit_all(self) -> None: ...


@runtime_checkable
class BrokerBackstop(Protocol):
    """The broker's exit at a loss of the day. (1) It is never trusted alone. (2) What was armed is read back."""

    def arm_backstop(self, loss_e4: int, products: Sequence[str]) -> None: ...

    def disarm_backstop(self) -> None: ...

    def backstop(self) -> SeenBackstop: ...


@runtime_checkable
class Holdings(Protocol):
    """The demat account. The list is complete, or it raises."""

    def holdings(self) -> tuple[SeenHolding, ...]: ...


@runtime_checkable
class Ledger(Protocol):
    """The broker's book of money, first and last date included (ISO)."""

    def ledger(self, first: str, last: str) -> tuple[SeenLedgerEntry, ...]: ...


@runtime_checkable
class Profile(Protocol):
    """What the broker says of the account: token, segments, and whether orders from here are taken."""

    def profile(self) -> SeenProfile: ...


@runtime_checkable
class Marks(Protocol):
    """Quotes. (1) A quote carries the time it was true. (2) None is "not known"."""

    def quote(self, exchange_segment: str, security_id: str) -> Quote | None: ...


class Alerts(Protocol):
    """Tells people. (1) Never blocks a check or a kill. (2) Never raises."""

    def tell(self, account: str, severity: str, message: str) -> None: ...


@runtime_checkable
class Outbox(Protocol):
    """
    Alerts that may be kept in the database with what they are about. (1) `keep` writes in the caller's transaction: the
    alert is told when it commits, and never was when it is undone. (2) `tell` is that of `Alerts`, and takes *code*, the
    event in one word.
    """

    def keep(self, session: Any, account: str, severity: str, message: str, now_us: int, *, code: str = "") -> bool: ...

    def tell(self, account: str, severity: str, message: str, *, code: str = "") -> None: ...
