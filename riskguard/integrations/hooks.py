"""
A decorator and a context manager round any function that places an order.

    @guarded(guard)
    def place(order: Order) -> str:
        return my_broker.send(...)

    with placing(guard, order) as wire:
        wire.order_id = my_broker.send(...)

Both ask first, mark the order SENT before the wire, and report what came of it. A refusal raises OrderRefusedError
and the function is not called. What the function raises is raised: it leaves the order in doubt, unless it is
BrokerRefusedError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from riskguard.core.order import Order
from riskguard.errors import OrderInvalidError

if TYPE_CHECKING:
    from riskguard.services.orders.guard import RiskGuard
    from riskguard.services.orders.permits import Wire

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def placing(guard: RiskGuard, order: Order, *, emergency_exit: str | None = None) -> Iterator[Wire]:
    """
    Ask about *order*, and open the way to the wire; put the broker's order id into what this gives.

    Raises OrderRefusedError, PermitNotSendableError (a kill came between), DecisionUnknownError.
    """
    decision = guard.check(order, emergency_exit=emergency_exit)
    decision.raise_for_reject()
    assert decision.permit is not None
    with decision.permit.sending() as wire:
        decision.approved_order.begin()
        yield wire


def guarded(
    guard: RiskGuard,
    *,
    order_of: Callable[..., Order] | None = None,
    order_id_of: Callable[[Any], object] = lambda answer: answer,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """
    Guard a function that places one order.

    Args:
        order_of: Makes the `Order` from the function's arguments; without it the first argument is one.
        order_id_of: Takes the broker's order id out of what the function returns; None leaves the order in doubt.

    The function that comes out has the same arguments and returns what the function returns.
    """

    def wrap(place: Callable[P, R]) -> Callable[P, R]:
        @wraps(place)
        def asked(*args: P.args, **kwargs: P.kwargs) -> R:
            order = order_of(*args, **kwargs) if order_of is not None else next(iter(args), None)
            if not isinstance(order, Order):
                raise OrderInvalidError("order", order, "wants a riskguard.Order first, or `guarded(…, order_of=…)`")
            with placing(guard, order) as wire:
                answer = place(*args, **kwargs)
                found = order_id_of(answer)
                wire.order_id = str(found) if found else None
            return answer

        return asked

    return wrap
