"""
How a guarded call goes: asked, marked SENT, sent through the user's own client, and what came of it written.

What stops an order on the way becomes dhanhq's own envelope, or is raised; the broker's answer is handed on as it is,
with the program's tag where ours stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from riskguard.core.decide import Decision
from riskguard.core.order import Order
from riskguard.core.state import TradingState
from riskguard.errors import (
    BrokerRefusedError,
    BrokerUnconfirmedError,
    DecisionUnknownError,
    OrderInvalidError,
    OrderRefusedError,
    PermitNotSendableError,
    RiskGuardError,
    StoreError,
)
from riskguard.integrations import answers, standing
from riskguard.integrations.tags import Tags
from riskguard.integrations.words import dhan_order, price_of, quantity_of, word_of

if TYPE_CHECKING:
    from riskguard.services.orders.guard import RiskGuard

ERROR_TYPE: Final = "RISKGUARD"
Envelope = dict[str, Any]

CODES: Final = (
    (OrderInvalidError, "ORDER_INVALID"),
    (DecisionUnknownError, "DECISION_UNKNOWN"),
    (PermitNotSendableError, "NOT_SENDABLE"),
    (StoreError, "STORE_UNAVAILABLE"),
)
"""What stands in `remarks.error_code` where no limit refused: the order was not sent in any of these cases."""


class Sender:
    """One account's guarded calls; holds what they share, and no order."""

    def __init__(self, guard: RiskGuard, account: str, strategy: str, *, raises: bool) -> None:
        self.guard = guard
        self.account = account
        self.tags = Tags(guard, account)
        self._strategy = strategy
        self._raises = raises

    def order(self, tag: str | None, **fields: Any) -> Order:
        return dhan_order(self.account, client_order_id=self.tags.name(tag), strategy=self._strategy, **fields)

    def placed(
        self, build: Callable[[], Order], send: Callable[[Order, str], Any], *, slicing: bool = False
    ) -> Envelope:
        try:
            order = build()
            if slicing:
                parts = self.slices(order)
                if len(parts) > 1:
                    return self.sent_apart(parts, send)
            decision = self.guard.check(order)
            if not decision.approved:
                return self._refused(decision)
            return self._send([decision], partial(send, _as_sent(decision), _correlation_id(decision)))
        except RiskGuardError as e:
            return self._failed(e)

    def slices(self, order: Order) -> list[Order]:
        """Return *order* in parts the exchange takes; one where nothing is known to bind."""
        from riskguard.core.sizing import largest_order
        from riskguard.services.orders.slicing import parts_of

        found = self.guard.instruments.by_key(*order.instrument)
        return parts_of(order, largest_order(found, order.price_e4))

    def sent_apart(self, parts: Sequence[Order], send: Callable[[Order, str], Any]) -> Envelope:
        """Reserve all parts or none, then send one after the other; what one of them was refused stops the rest."""
        basket = self.guard.check_basket(parts)
        if not basket.approved:
            return self._refused_basket(basket)
        rows: list[Any] = []
        last: Envelope = {}
        for place, leg in enumerate(basket.legs):
            try:
                last = self._send([leg], partial(send, _as_sent(leg), _correlation_id(leg)))
            except RiskGuardError as e:
                last = self._failed(e)
            if last.get("status") != "success":
                for unsent in basket.legs[place + 1 :]:
                    if unsent.permit is not None:
                        unsent.permit.release()
                break
            data = last.get("data")
            rows += data if isinstance(data, list) else [data]
        return {**last, "data": rows} if rows else last

    def placed_together(self, orders: Any, send: Callable[[], Any]) -> Envelope:
        try:
            if not isinstance(orders, Sequence) or isinstance(orders, str) or not orders:
                raise OrderInvalidError("orders", orders, "wants a list of orders")
            basket = self.guard.check_basket([self.order(None, **_plain(each)) for each in orders])
            if not basket.approved:
                return self._refused_basket(basket)
            return self._send(list(basket.legs), send)
        except RiskGuardError as e:
            return self._failed(e)

    def modified(
        self, order_id: Any, send: Callable[[], Any], order_type: Any, quantity: Any, price: Any, trigger_price: Any,
        validity: Any,
    ) -> Envelope:  # fmt: skip
        try:
            kind = word_of("order_type", order_type)
            changes: dict[str, Any] = {"order_type": kind}
            if quantity not in (0, None, ""):
                changes["quantity"] = quantity_of(quantity)
            if kind in ("LIMIT", "STOP_LOSS"):
                changes["price"] = price_of("price", price)
            if kind in ("STOP_LOSS", "STOP_LOSS_MARKET"):
                changes["trigger_price"] = price_of("trigger_price", trigger_price)
            if validity not in (None, ""):
                changes["validity"] = word_of("validity", validity)
            decision = self.guard.check_modify(str(order_id), account=self.account, **changes)
            return self._send([decision], send) if decision.approved else self._refused(decision)
        except RiskGuardError as e:
            return self._failed(e)

    def leg_moved(
        self, order_id: Any, name: str, price: Any, trailing: Any, read: Callable[[], Any], send: Callable[[], Any]
    ) -> Envelope:
        """Count the message and send it; unless the account is ACTIVE the leg is read back, and moved one way only."""
        refused = self.exits_refused(order_id, {name: (price, trailing)}, read)
        if refused is not None:
            return refused
        self.guard.count_cancel(self.account, str(order_id))
        return self.shown(send())

    def exits_refused(
        self, order_id: Any, moves: Mapping[str, tuple[Any, Any]], read: Callable[[], Any], *, all_stand: bool = True
    ) -> Envelope | None:
        """
        Return why exits of a super order may not be moved to these (price, trailing jump), by leg; None: they may.

        While the account is ACTIVE the broker is not asked. *all_stand*: a leg the order does not have is refused too.
        """
        try:
            if self.guard.state(self.account).state is TradingState.ACTIVE:
                return None
            legs = standing.legs_of(read(), str(order_id))
            if legs is None or (all_stand and not moves.keys() <= legs.keys()):
                raise BrokerUnconfirmedError(
                    f"the exits of super order `{order_id}` cannot be read back, and the account is not ACTIVE: cancel "
                    "what you would move, or ask again"
                )
            for name, (price, trailing) in moves.items():
                refused = self._moved(name, legs[name], price, trailing) if name in legs else None
                if refused is not None:
                    return self._refused(refused)
        except RiskGuardError as e:
            return self._failed(e)
        return None

    def _moved(self, name: str, leg: standing.Leg, price: Any, trailing: Any) -> Decision | None:
        """Judge the move of an exit beside what the broker shows of it; returns the refusal."""
        from riskguard.services.orders.standing import check_leg

        stop = name == standing.STOP
        new = price_of("stopLossPrice" if stop else "targetPrice", price)
        order = Order(
            account=self.account, exchange_segment=leg.exchange_segment, security_id=leg.security_id, side=leg.side,
            product=leg.product, order_type="STOP_LOSS_MARKET" if stop else "LIMIT", quantity=leg.quantity,
            price=None if stop else new or leg.price, trigger_price=new or leg.price if stop else None,
            strategy=self._strategy,
        )  # fmt: skip
        return check_leg(self.guard, order, away=leg.away(name, new, price_of("trailingJump", trailing)))

    def recondition(self, alert_id: Any, read: Callable[[], Any], send: Callable[[], Any]) -> Envelope:
        """Judge the orders the alert names already, read back from the broker; then count the message and send it."""
        from riskguard.services.orders.standing import check_alert

        try:
            found = standing.alert_orders(read(), str(alert_id))
            refused = check_alert(self.guard, str(alert_id), [self.order(None, **_plain(each)) for each in found])
        except RiskGuardError as e:
            return self._failed(e)
        if refused is not None:
            return self._refused(refused)
        self.guard.count_cancel(self.account, str(alert_id))
        return self.shown(send())

    def _send(self, decisions: Sequence[Decision], send: Callable[[], Any]) -> Envelope:
        """Mark every permit SENT, send, and write what the answer says of them; returns the answer."""
        response: Any = None
        try:
            with ExitStack() as stack:
                wires = []
                for decision in decisions:
                    assert decision.permit is not None
                    wires.append(stack.enter_context(decision.permit.sending()))
                for decision in decisions:
                    decision.approved_order.begin()
                response = send()
                answer = answers.read(response)
                if answer.kind == "REFUSED":
                    raise BrokerRefusedError(answer.said)
                if answer.kind == "UNKNOWN":
                    raise BrokerUnconfirmedError(answer.said)
                for place, wire in enumerate(wires):
                    wire.order_id = answer.order_ids[place] if place < len(answer.order_ids) else answer.order_ids[0]
        except (BrokerRefusedError, BrokerUnconfirmedError):
            if response is None:
                raise
        return self.shown(response)

    def cancelled(self, order_id: Any, send: Callable[[], Any]) -> Envelope:
        self.guard.count_cancel(self.account, str(order_id))
        return self.shown(send())

    def shown(self, response: Any) -> Envelope:
        try:
            found: Envelope = self.tags.shown(response)
        except StoreError:  # a tag is a comfort; the broker's answer is not lost for it
            return response  # type: ignore[no-any-return]
        return found

    # -- refusals -------------------------------------------------------------------------------------------------------

    def _refused(self, decision: Decision) -> Envelope:
        if self._raises:
            raise OrderRefusedError(decision, decision.explain())
        first = decision.rejects[0] if decision.rejects else None
        return _envelope(first.code.value if first is not None else "REFUSED", decision.explain())

    def _refused_basket(self, basket: Any) -> Envelope:
        if self._raises:
            raise OrderRefusedError(basket, basket.explain())
        first = next((reject for reject in basket.rejects), None)
        return _envelope(first.code.value if first is not None else "REFUSED", basket.explain())

    def _failed(self, error: RiskGuardError) -> Envelope:
        """What stopped the order, in the form asked for; it was not sent, or the broker's answer was returned already."""
        if self._raises or isinstance(error, OrderRefusedError):
            raise error
        code = next((word for kind, word in CODES if isinstance(error, kind)), "NOT_SENT")
        return _envelope(code, str(error))


def _envelope(code: str, message: str) -> Envelope:
    remarks = {"error_code": code, "error_type": ERROR_TYPE, "error_message": message}
    return {"status": "failure", "remarks": remarks, "data": ""}


def _as_sent(decision: Decision) -> Order:
    """Return the order the broker is to be told: the one the decision carries, adjusted where it says so."""
    order: Order = decision.approved_order.order
    return order


def _correlation_id(decision: Decision) -> str:
    return str(decision.approved_order.correlation_id)


def number(price_e4: int | None) -> float:
    """Return a price as dhanhq takes it: a float, and 0 where the type has none."""
    return 0 if price_e4 is None else float(f"{price_e4 // 10_000}.{price_e4 % 10_000:04d}")


_FIELDS: Final = {
    "securityId": "security_id", "exchangeSegment": "exchange_segment", "transactionType": "transaction_type",
    "quantity": "quantity", "orderType": "order_type", "productType": "product_type", "price": "price",
    "triggerPrice": "trigger_price", "discQuantity": "disclosed_quantity", "disclosedQuantity": "disclosed_quantity",
    "validity": "validity",
}  # fmt: skip


_NEEDED: Final = frozenset(set(_FIELDS.values()) - {"price", "trigger_price", "disclosed_quantity", "validity"})


def _plain(order: object) -> dict[str, Any]:
    """Return one order of a list, in Dhan's keys, as `dhan_order` takes it; keys it does not know are the broker's."""
    if not isinstance(order, Mapping):
        raise OrderInvalidError("orders", order, "wants an object of named fields")
    found = {name: order[key] for key, name in _FIELDS.items() if key in order}
    missing = sorted(_NEEDED - found.keys())
    if missing:
        raise OrderInvalidError(missing[0], None, "is missing")
    return found
