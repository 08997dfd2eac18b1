"""
From permission to wire: the permit of an approved order, and the one way to use it.

    with decision.permit.sending() as wire:
        wire.order_id = broker.place(decision.approved_order)

SENT is on disk before the block begins, and the state is looked at again, so a kill between check and send
wins. Leaving with an id acknowledges; `BrokerRefusedError` refuses; anything else leaves it UNKNOWN.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from riskguard.core.order import Order
from riskguard.errors import BrokerRefusedError, BrokerUnavailableError, PermitNotSendableError
from riskguard.redaction import redacted
from riskguard.store.permits import PermitRow

if TYPE_CHECKING:
    from riskguard.services.orders.guard import RiskGuard

BEGIN_WITHIN_US = 250_000
"""The request must leave this soon after the mark: later, a kill may already have looked and gone on."""


class Approved:
    """What a broker adapter accepts: the order, what to tell the broker, and the last gate before the wire."""

    __slots__ = ("_begun", "_marked_us", "_permit", "correlation_id", "order")

    def __init__(self, permit: Permit, order: Order, correlation_id: str) -> None:
        self._permit = permit
        self._marked_us: int | None = None
        self._begun = False
        self.order = order
        self.correlation_id = correlation_id

    def begin(self) -> None:
        """
        Say that the request leaves now; a broker adapter calls it right before the wire.

        Raises PermitNotSendableError outside `sending()`, a second time, or more than 250 ms after the mark.
        """
        name = str(self.order.client_order_id)
        if self._marked_us is None:
            raise PermitNotSendableError(name, "it was not marked SENT: place it inside `permit.sending()`")
        if self._begun:
            raise PermitNotSendableError(name, "its request has left already")
        late_us = self._permit.guard.clock.elapsed_us() - self._marked_us
        if late_us > BEGIN_WITHIN_US:
            raise PermitNotSendableError(name, f"its mark is {late_us // 1000} ms old; the wire takes it within 250 ms")
        self._begun = True

    def mark(self, elapsed_us: int) -> None:
        """Record that SENT is committed."""
        self._marked_us = elapsed_us

    @property
    def modifies(self) -> str | None:
        """The broker's id of the working order this changes; None for a new order."""
        row = self._permit.row
        return str(json.loads(row.becomes)["order_id"]) if row.kind == "MODIFY" else None

    @property
    def has_begun(self) -> bool:
        return self._begun


@dataclass(slots=True)
class Wire:
    """The open send: put the broker's order id here."""

    order_id: str | None = None


class Permit:
    """The reservation of one approved order."""

    __slots__ = ("approved_order", "guard", "row")

    def __init__(self, guard: RiskGuard, row: PermitRow, order: Order) -> None:
        self.guard = guard
        self.row = row
        self.approved_order = Approved(self, order, row.correlation_id)

    @property
    def state(self) -> str:
        """The permit's state as last known here; `guard.permit(...)` reads it again."""
        return self.row.state

    @contextmanager
    def sending(self) -> Iterator[Wire]:
        """
        Mark the order SENT, durably, then open the way to the broker.

        Raises PermitNotSendableError: sent before, expired, void, or the state no longer admits it.
        """
        self.guard.mark_sent(self)
        self.approved_order.mark(self.guard.clock.elapsed_us())
        wire = Wire()
        try:
            yield wire
        except BrokerRefusedError as e:
            self.guard.note_answer(self, "REFUSED", why=redacted(str(e)))
            raise
        except BrokerUnavailableError as e:
            # It never left: nothing can rest there, unless the adapter had begun and merely says so.
            self.guard.note_answer(
                self, "UNKNOWN" if self.approved_order.has_begun else "REFUSED", why=redacted(str(e))
            )
            raise
        except BaseException as e:
            self.guard.note_answer(self, "UNKNOWN", why=redacted(f"{type(e).__name__}: {e}"))
            raise
        if isinstance(wire.order_id, str) and wire.order_id:
            self.guard.note_answer(self, "ACKED", order_id=wire.order_id)
        else:
            self.guard.note_answer(self, "UNKNOWN", why="the broker gave no order id")

    def release(self) -> None:
        """Give the reservation back; only an order that was never sent can be released."""
        self.guard.release_permit(self)

    def __repr__(self) -> str:
        return f"<Permit {self.row.client_order_id}: {self.row.state}, {self.row.remaining} reserved>"
