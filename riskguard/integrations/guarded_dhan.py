"""
The user's own `dhanhq` client with riskguard in front of everything that can add risk.

    dhan = GuardedDhan(dhanhq(DhanContext(client_id, token)), RiskGuard.open())

The methods keep their names and signatures. What places or changes an order is asked first, sent with a correlation
id of ours, and reported; cancels always go, and are counted; all else goes straight to the client. A refusal comes
back in dhanhq's own envelope (`status: failure`, our code and message in `remarks`), or is raised with
`on_refusal="raise"`. Nothing is retried here, and no second login is made.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from riskguard.core.order import Order
from riskguard.errors import OrderInvalidError, SettingsError, shown
from riskguard.integrations.dhan_sender import Envelope, Sender, number
from riskguard.integrations.standing import STOP, TARGET
from riskguard.integrations.words import price_of, quantity_of, word_of

if TYPE_CHECKING:
    from riskguard.services.orders.guard import RiskGuard


class GuardedDhan:
    """
    See the module.

    Args:
        dhan: The user's own `dhanhq` object; it is used as it is, its time limits included.
        guard: An open guard.
        account: Whose orders these are; may be left out where the database has one account.
        strategy: The name limits, throttles and duplicates are counted under. A tag is no strategy: it may be new
            with every order, and then nothing would ever be a duplicate.
        on_refusal: `envelope` answers as dhanhq does; `raise` raises OrderRefusedError, or what stopped the order.
    """

    def __init__(
        self, dhan: Any, guard: RiskGuard, account: str | None = None, *, strategy: str = "",
        on_refusal: Literal["envelope", "raise"] = "envelope",
    ) -> None:  # fmt: skip
        if on_refusal not in ("envelope", "raise"):
            raise SettingsError(f"`on_refusal` = {shown(on_refusal)}: wants `envelope` or `raise`")
        known = guard.accounts()
        if account is None:
            if len(known) != 1:
                raise SettingsError(f"name the account: the database has {', '.join(known) or 'none'}")
            account = known[0]
        elif account not in known:
            raise SettingsError(f"`account` = {shown(account)}: the database has {', '.join(known) or 'none'}")
        self.dhan = dhan
        self.guard = guard
        self.account = account
        self._sender = Sender(guard, account, strategy, raises=on_refusal == "raise")

    def __getattr__(self, name: str) -> Any:
        """Everything that is not guarded is the client's own."""
        if name.startswith("__") or name == "dhan":
            raise AttributeError(name)
        return getattr(self.dhan, name)

    def __repr__(self) -> str:
        return f"<GuardedDhan of {self.account}>"  # the client's own repr may show a token

    # -- placing ----------------------------------------------------------------------------------------------------

    def place_order(
        self, security_id: Any, exchange_segment: Any, transaction_type: Any, quantity: Any, order_type: Any,
        product_type: Any, price: Any, trigger_price: Any = 0, disclosed_quantity: Any = 0,
        after_market_order: bool = False, validity: str = "DAY", amo_time: str = "OPEN", bo_profit_value: Any = None,
        bo_stop_loss_Value: Any = None, tag: str | None = None, should_slice: bool = False,
    ) -> Envelope:  # fmt: skip
        """Ask, then `dhanhq.place_order`; with *should_slice* in orders no larger than the exchange takes."""

        def build() -> Order:
            return self._sender.order(
                tag, security_id=security_id, exchange_segment=exchange_segment, transaction_type=transaction_type,
                quantity=quantity, order_type=order_type, product_type=product_type, price=price,
                trigger_price=trigger_price, disclosed_quantity=disclosed_quantity, validity=validity,
            )  # fmt: skip

        def send(order: Order, correlation_id: str) -> Any:
            # `should_slice` is ours to do: each slice is asked about, counted and reported by itself.
            return self.dhan.place_order(
                order.security_id, order.exchange_segment, order.side, order.quantity, order.order_type, order.product,
                number(order.price_e4), number(order.trigger_price_e4), order.disclosed_quantity, after_market_order,
                order.validity, amo_time, bo_profit_value, bo_stop_loss_Value, correlation_id,
            )  # fmt: skip

        return self._sender.placed(build, send, slicing=should_slice)

    def place_slice_order(
        self, security_id: Any, exchange_segment: Any, transaction_type: Any, quantity: Any, order_type: Any,
        product_type: Any, price: Any, trigger_price: Any = 0, disclosed_quantity: Any = 0,
        after_market_order: bool = False, validity: str = "DAY", amo_time: str = "OPEN", bo_profit_value: Any = None,
        bo_stop_loss_Value: Any = None, tag: str | None = None,
    ) -> Envelope:  # fmt: skip
        """Ask about all slices together, then send each; `data` lists the orders, as the broker's own slicing does."""
        return self.place_order(
            security_id, exchange_segment, transaction_type, quantity, order_type, product_type, price, trigger_price,
            disclosed_quantity, after_market_order, validity, amo_time, bo_profit_value, bo_stop_loss_Value, tag, True,
        )  # fmt: skip

    def place_super_order(
        self, security_id: Any, exchange_segment: Any, transaction_type: Any, quantity: Any, order_type: Any,
        product_type: Any, price: Any, targetPrice: Any = 0.0, stopLossPrice: Any = 0.0, trailingJump: Any = 0.0,
        tag: str | None = None,
    ) -> Envelope:  # fmt: skip
        """Ask about the entry, its stop leg as its promised stop; its exits are children of a known parent."""

        def build() -> Order:
            return self._sender.order(
                tag, security_id=security_id, exchange_segment=exchange_segment, transaction_type=transaction_type,
                quantity=quantity, order_type=order_type, product_type=product_type, price=price,
                stop_loss=price_of("stopLossPrice", stopLossPrice),
            )  # fmt: skip

        def send(order: Order, correlation_id: str) -> Any:
            return self.dhan.place_super_order(
                order.security_id, order.exchange_segment, order.side, order.quantity, order.order_type, order.product,
                price if order.price_e4 is None else number(order.price_e4), targetPrice, stopLossPrice, trailingJump,
                correlation_id,
            )  # fmt: skip

        return self._sender.placed(build, send)

    def place_forever(
        self, security_id: Any, exchange_segment: Any, transaction_type: Any, product_type: Any, order_type: Any,
        quantity: Any, price: Any, trigger_Price: Any, order_flag: str = "SINGLE", disclosed_quantity: Any = 0,
        validity: str = "DAY", price1: Any = 0, trigger_Price1: Any = 0, quantity1: Any = 0, tag: str | None = None,
    ) -> Envelope:  # fmt: skip
        """
        Ask, then `dhanhq.place_forever`. An OCO is asked about once, at the larger quantity and the dearer price:
        one leg done ends the other.
        """

        def build() -> Order:
            kind = word_of("order_type", order_type)
            legs = [(quantity_of(quantity), price_of("price", price), price_of("trigger_Price", trigger_Price))]
            if word_of("order_flag", order_flag) == "OCO":
                legs.append(
                    (quantity_of(quantity1), price_of("price1", price1), price_of("trigger_Price1", trigger_Price1))
                )
            prices = [each for _quantity, own, trigger in legs for each in (own, trigger) if each is not None]
            if not prices:
                raise OrderInvalidError("price", price, "a forever order wants a price, or a trigger")
            # What it becomes once triggered: a limit order at its price; at market, one at its trigger.
            return self._sender.order(
                tag, security_id=security_id, exchange_segment=exchange_segment, transaction_type=transaction_type,
                quantity=max(each[0] for each in legs), order_type="LIMIT" if kind != "MARKET" else kind,
                product_type=product_type, price=max(prices), disclosed_quantity=disclosed_quantity, validity=validity,
            )  # fmt: skip

        def send(order: Order, correlation_id: str) -> Any:
            return self.dhan.place_forever(
                order.security_id, order.exchange_segment, order.side, order.product, order_type, quantity, price,
                trigger_Price, order_flag, disclosed_quantity, validity, price1, trigger_Price1, quantity1,
                correlation_id,
            )  # fmt: skip

        return self._sender.placed(build, send)

    def place_conditional_order(self, condition: Any, orders: Any) -> Envelope:
        """Ask about all its orders as one decision, then `dhanhq.place_conditional_order`."""
        return self._sender.placed_together(orders, partial(self.dhan.place_conditional_order, condition, orders))

    def place_multi_order(self, orders: Any, *args: Any, **kwargs: Any) -> Envelope:
        """Ask about all orders as one decision, then the client's own `place_multi_order`, where it has one."""
        call = self.dhan.place_multi_order  # a client without it says so, before anything is reserved
        return self._sender.placed_together(orders, partial(call, orders, *args, **kwargs))

    # -- changing ---------------------------------------------------------------------------------------------------

    def modify_order(
        self, order_id: Any, order_type: Any, leg_name: Any, quantity: Any, price: Any, trigger_price: Any,
        disclosed_quantity: Any, validity: Any,
    ) -> Envelope:  # fmt: skip
        """Ask about what it becomes, then `dhanhq.modify_order`; *quantity* is the whole, as the broker wants it."""
        send = partial(
            self.dhan.modify_order,
            order_id,
            order_type,
            leg_name,
            quantity,
            price,
            trigger_price,
            disclosed_quantity,
            validity,
        )
        return self._sender.modified(order_id, send, order_type, quantity, price, trigger_price, validity)

    def modify_forever(
        self, order_id: Any, order_flag: Any, order_type: Any, leg_name: Any, quantity: Any, price: Any,
        trigger_price: Any, disclosed_quantity: Any, validity: Any,
    ) -> Envelope:  # fmt: skip
        """Ask about what it becomes, then `dhanhq.modify_forever`."""
        send = partial(
            self.dhan.modify_forever,
            order_id,
            order_flag,
            order_type,
            leg_name,
            quantity,
            price,
            trigger_price,
            disclosed_quantity,
            validity,
        )
        return self._sender.modified(order_id, send, "LIMIT", quantity, price or trigger_price, 0, validity)

    def modify_super_order(
        self, order_id: Any, order_type: Any, leg_name: Any, quantity: Any = 0, price: Any = 0.0,
        targetPrice: Any = 0.0, stopLossPrice: Any = 0.0, trailingJump: Any = 0.0,
    ) -> Envelope:  # fmt: skip
        """
        Ask about a change of the entry. The target and the stop only reduce: they go as a counted message while the
        account is ACTIVE; under REDUCE_ONLY and HALTED only towards the market (read back from the broker first), for
        a stop moved away, or one that trails less closely, leaves the position less protected. The same
        holds for the exits' prices that go along with a change of the entry. `cancel_super_order` always goes.
        """
        send = partial(
            self.dhan.modify_super_order,
            order_id,
            order_type,
            leg_name,
            quantity,
            price,
            targetPrice,
            stopLossPrice,
            trailingJump,
        )
        if isinstance(leg_name, str) and leg_name.upper() == "ENTRY_LEG":
            # The broker takes the exits' prices along with the entry's: what is filled of it leans on them already.
            moves = {STOP: (stopLossPrice, trailingJump), TARGET: (targetPrice, 0)}
            refused = self._sender.exits_refused(order_id, moves, self.dhan.get_super_order_list, all_stand=False)
            if refused is not None:
                return refused
            return self._sender.modified(order_id, send, order_type, quantity, price, 0, None)
        name = str(leg_name).upper()  # what is no leg's name the client itself refuses
        price = stopLossPrice if name == STOP else targetPrice
        return self._sender.leg_moved(order_id, name, price, trailingJump, self.dhan.get_super_order_list, send)

    def modify_conditional_order(self, alert_id: Any, condition: Any, orders: Any = None) -> Envelope:
        """
        Ask about its new orders as one decision. A change of the condition alone can make the orders it has fire: they
        are read back from the broker and judged in the place of those that wait, and the change goes as a counted
        message. What cannot be read back is refused; `cancel_conditional_order` always goes.
        """
        send = partial(self.dhan.modify_conditional_order, alert_id, condition, orders)
        if orders is None:
            return self._sender.recondition(alert_id, partial(self.dhan.get_conditional_order, alert_id), send)
        return self._sender.placed_together(orders, send)

    # -- cancelling: never refused, always counted --------------------------------------------------------------------

    def cancel_order(self, order_id: Any) -> Envelope:
        """Count the message and cancel."""
        return self._sender.cancelled(order_id, partial(self.dhan.cancel_order, order_id))

    def cancel_super_order(self, order_id: Any, order_leg: Any) -> Envelope:
        """Count the message and cancel the leg."""
        return self._sender.cancelled(order_id, partial(self.dhan.cancel_super_order, order_id, order_leg))

    def cancel_forever(self, order_id: Any) -> Envelope:
        """Count the message and cancel."""
        return self._sender.cancelled(order_id, partial(self.dhan.cancel_forever, order_id))

    def cancel_conditional_order(self, alert_id: Any) -> Envelope:
        """Count the message and cancel."""
        return self._sender.cancelled(alert_id, partial(self.dhan.cancel_conditional_order, alert_id))

    # -- reading: the program's own tags ------------------------------------------------------------------------------

    def get_order_list(self) -> Envelope:
        """The client's answer, with the program's tags."""
        return self._sender.shown(self.dhan.get_order_list())

    def get_order_by_id(self, order_id: Any) -> Envelope:
        """The client's answer, with the program's tag."""
        return self._sender.shown(self.dhan.get_order_by_id(order_id))

    def get_order_by_correlationID(self, correlation_id: Any) -> Envelope:
        """The newest order placed under that tag, by this program or an earlier run of it."""
        ours = self._sender.tags.correlation_id(correlation_id) if isinstance(correlation_id, str) else None
        return self._sender.shown(self.dhan.get_order_by_correlationID(ours or correlation_id))
