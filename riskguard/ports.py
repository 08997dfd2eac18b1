"""
What the services need from outside, with numbered guarantees an adapter must keep.

A test double breaks each guarantee in turn; the services must stay safe when one is broken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from riskguard.core.order import Order
from riskguard.core.quote import Quote
from riskguard.core.seen import SeenFunds, SeenMargin, SeenOrder, SeenPosition, SeenTrade


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
class Marks(Protocol):
    """Quotes. (1) A quote carries the time it was true. (2) None is "not known"."""

    def quote(self, exchange_segment: str, security_id: str) -> Quote | None: ...


class Alerts(Protocol):
    """Tells people. (1) Never blocks a check or a kill. (2) Never raises."""

    def tell(self, account: str, severity: str, message: str) -> None: ...
