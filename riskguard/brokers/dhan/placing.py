"""Orders to Dhan: placed once, changed once, cancelled until it is known that they are gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from riskguard.brokers.dhan import orders as listed
from riskguard.brokers.dhan.answers import DhanRefusedError, judged, unknown
from riskguard.brokers.dhan.attempt import Deadline
from riskguard.brokers.dhan.fields import rows_of
from riskguard.brokers.dhan.portfolio import as_number
from riskguard.brokers.dhan.wire import Answer, Wire
from riskguard.errors import BrokerError, BrokerRefusedError, BrokerUnavailableError, BrokerUnconfirmedError
from riskguard.ports import ApprovedOrder

CORRELATION_ID_CHARACTERS_MAX: Final = 25
"""What Dhan takes; one more was measured to be refused, whatever its documents say."""
AFTER_MARKET: Final = ("OPEN", "OPEN_30", "OPEN_60")

Ids = TypeVar("Ids")


class Placing:
    """What writes orders. The rest of the broker reads."""

    wire: Wire
    account: str

    def place(self, approved: ApprovedOrder, *, after_market: str = "") -> str:
        """
        Send the order, once, and return Dhan's id. That it was taken does not say that the exchange takes it: a
        refusal of the exchange shows in the order book alone.

        Args:
            after_market: `OPEN`, `OPEN_30`, `OPEN_60`: rest until then; "": an order of this session.

        Raises:
            PermitNotSendableError: `approved.begin()` said so; nothing left.
            BrokerRefusedError, BrokerUnavailableError, BrokerUnconfirmedError: As `ports.Broker` says.
        """
        asked = self._asked(approved, after_market)
        return self._sent(approved, lambda dhan: dhan.place_order(**asked), _one_id)

    def place_sliced(self, approved: ApprovedOrder, *, after_market: str = "") -> tuple[str, ...]:
        """
        Send an order above the freeze quantity and let Dhan cut it; return the ids of the pieces.

        They share the correlation id, and some may be taken where others are not: look at the book.
        """
        asked = self._asked(approved, after_market)
        return self._sent(approved, lambda dhan: dhan.place_slice_order(**asked), _ids)

    def modify(self, approved: ApprovedOrder) -> str:
        """
        Change the order `approved.modifies` to what the approved order says; its quantity is the whole, what has
        filled included. Sent once. Legs, forever orders and triggers are refused: cancel them and place anew, for
        changing one may end its trailing without a word.
        """
        if approved.modifies is None:
            raise BrokerRefusedError("it changes no order: place it")
        kind, number, _ = listed.parts_of(approved.modifies)
        if kind != "":
            raise BrokerRefusedError(
                f"`{approved.modifies}` is not changed through riskguard: cancel it and place anew"
            )
        self._own(approved)
        order = approved.order
        # Zeros and not nothing: what is left out may stay as it stood, and a stop that keeps its trigger is no exit.
        asked = {
            "order_id": number, "order_type": order.order_type, "leg_name": None, "quantity": order.quantity,
            "price": 0.0 if order.price_e4 is None else as_number(order.price_e4),
            "trigger_price": 0.0 if order.trigger_price_e4 is None else as_number(order.trigger_price_e4),
            "disclosed_quantity": order.disclosed_quantity or None, "validity": order.validity,
        }  # fmt: skip
        return self._sent(approved, lambda dhan: dhan.modify_order(**asked), _one_id, what="modify")

    def cancel(self, order_id: str) -> None:
        """
        Cancel an order, one leg (`super:ID:LEG`; the entry's takes all), a forever order or a trigger.

        Without a usable answer the order is read back: gone is done; still resting is asked once more. An order in
        TRANSIT is refused: wait, and try again.

        Raises BrokerRefusedError, BrokerUnavailableError, BrokerUnconfirmedError.
        """
        kind, number, leg = listed.parts_of(order_id)
        deadline = Deadline(self.wire.timeouts.operation_s)
        try:
            self._cancel(kind, number, leg, deadline)
        except BrokerUnconfirmedError as e:
            if not self._still_rests(kind, number, leg, deadline, e):
                return
            try:
                self._cancel(kind, number, leg, deadline)
            except DhanRefusedError:
                # The first one may have arrived after all, and this one came too late.
                if self._still_rests(kind, number, leg, deadline, e):
                    raise

    # -- how ----------------------------------------------------------------------------------------------------------

    def _own(self, approved: ApprovedOrder) -> None:
        if self.account and approved.order.account != self.account:
            raise BrokerRefusedError(f"an order of `{approved.order.account}` on the connection of `{self.account}`")

    def _asked(self, approved: ApprovedOrder, after_market: str) -> dict[str, Any]:
        """Return what the client is called with; raises BrokerRefusedError for what Dhan would misread."""
        order, tag = approved.order, approved.correlation_id
        self._own(approved)
        if not 0 < len(tag) <= CORRELATION_ID_CHARACTERS_MAX:
            raise BrokerRefusedError(f"a correlation id has 1 to {CORRELATION_ID_CHARACTERS_MAX} characters")
        if after_market and after_market not in AFTER_MARKET:
            raise BrokerRefusedError(
                f"`{after_market[:20]}` is no time of an after-market order: {', '.join(AFTER_MARKET)}"
            )
        asked: dict[str, Any] = {
            "security_id": order.security_id, "exchange_segment": order.exchange_segment,
            "transaction_type": order.side, "quantity": order.quantity, "order_type": order.order_type,
            "product_type": order.product, "price": 0.0 if order.price_e4 is None else as_number(order.price_e4),
            "trigger_price": 0.0 if order.trigger_price_e4 is None else as_number(order.trigger_price_e4),
            "disclosed_quantity": order.disclosed_quantity, "validity": order.validity, "tag": tag,
        }  # fmt: skip
        if after_market:
            asked |= {"after_market_order": True, "amo_time": after_market}
        return asked

    def _sent(
        self, approved: ApprovedOrder, use: Callable[[Any], Answer], read: Callable[[Any], Ids | None], what: str = "place"
    ) -> Ids:  # fmt: skip
        answer = self.wire.call(what, use, writes=True, before=approved.begin)
        found = read(judged(what, answer, writes=True, doubtful=True))
        if found is None:
            raise unknown(what, answer, "no order id", writes=True)
        return found

    def _cancel(self, kind: str, number: str, leg: str, deadline: Deadline) -> None:
        def use(dhan: Any) -> Any:
            if kind == "super":
                return dhan.cancel_super_order(number, leg)
            if kind == "forever":
                return dhan.cancel_forever(number)
            return dhan.cancel_conditional_order(number) if kind == "alert" else dhan.cancel_order(number)

        judged("cancel", self.wire.call("cancel", use, writes=True, deadline=deadline), writes=True)

    def _still_rests(self, kind: str, number: str, leg: str, deadline: Deadline, why: BrokerError) -> bool:
        """Read the order back; raises *why*, the first error, when that does not settle it."""
        try:
            status = self._status(kind, number, leg, deadline)
        except (BrokerUnconfirmedError, BrokerUnavailableError, BrokerRefusedError):
            raise why from None
        if status is None or status == "TRANSIT":
            raise why  # not found proves nothing, and in transit nothing can be cancelled
        return status not in (listed.ALERT_FINAL if kind == "alert" else listed.FINAL)

    def _status(self, kind: str, number: str, leg: str, deadline: Deadline) -> str | None:
        def use(dhan: Any) -> Any:
            if kind == "super":
                return dhan.get_super_order_list()
            if kind == "forever":
                return dhan.get_forever()
            return dhan.get_conditional_order(number) if kind == "alert" else dhan.get_order_by_id(number)

        answer = self.wire.call("read back", use, writes=False, deadline=deadline)
        value = judged("read back", answer, writes=False)
        client_id = self.wire.client_id()
        rows = rows_of("read back", [value] if isinstance(value, dict) else value, client_id)
        if kind == "alert":
            return next((row.word("alertStatus").upper() for row in rows if row.text("alertId") == number), None)
        for row in rows:
            if row.text("orderId") == number and (kind != "leg" or row.text("legName").upper() == leg):
                if kind != "super" or leg == "ENTRY_LEG":
                    return row.word("orderStatus").upper()
                legs = row.rows("legDetails")
                return next((each.word("orderStatus").upper() for each in legs if each.text("legName") == leg), None)
        return None


def _one_id(value: Any) -> str | None:
    """Return the id in the answer to one order, whether it comes bare or in a list of one."""
    ids = _ids(value)
    return ids[0] if ids is not None and len(ids) == 1 else None


def _ids(value: Any) -> tuple[str, ...] | None:
    """Return the ids in an answer, one object or a list of them; None if one is missing."""
    rows = [value] if isinstance(value, dict) else value
    if not isinstance(rows, list) or not rows or not all(isinstance(each, dict) for each in rows):
        return None
    found = []
    for each in rows:
        number = each.get("orderId")
        text = str(number) if type(number) is int else number
        if not isinstance(text, str) or not text.strip():
            return None
        found.append(text.strip())
    return tuple(found)
