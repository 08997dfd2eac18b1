"""A decorator and a context manager: asked first, marked before the wire, and reported; a refusal calls nothing."""

from __future__ import annotations

from typing import Any

import pytest

import riskguard
from riskguard import BrokerRefusedError, Order, OrderInvalidError, OrderRefusedError, guarded, placing
from riskguard.integrations.words import kite_order
from tests.core.tables import Row, table
from tests.services.desk import Desk

OUTCOMES = table("""
    what          state
    id            ACKED
    nothing       UNKNOWN
    BrokerError   REFUSED
    TimeoutError  UNKNOWN
    ctrl-c        UNKNOWN
""")


def place_as(what: str) -> Any:
    def place(order: Order) -> str | None:
        """Send it."""
        errors = {
            "BrokerError": BrokerRefusedError("no"),
            "TimeoutError": TimeoutError(),
            "ctrl-c": KeyboardInterrupt(),
        }
        if what in errors:
            raise errors[what]
        return "77" if what == "id" else None

    return place


@pytest.mark.parametrize("how", ["decorator", "context"])
@pytest.mark.parametrize("row", OUTCOMES, ids=str)
def test_what_comes_of_it_is_written(desk: Desk, row: Row, how: str) -> None:
    """An id acknowledges, a broker's no frees, and everything else leaves the order in doubt."""
    order, place = desk.order("BUY", 10, client_order_id="one"), place_as(row.what)
    try:
        if how == "decorator":
            assert guarded(desk.guard)(place)(order) == ("77" if row.what == "id" else None)
        else:
            with placing(desk.guard, order) as wire:
                wire.order_id = place(order)
    except BaseException as e:
        assert row.what not in ("id", "nothing"), e
    assert desk.permit("one") == row.state


def test_a_refusal_calls_nothing(desk: Desk) -> None:
    """A halted account: OrderRefusedError carries the decision; the function is never called."""
    called: list[Order] = []
    place = guarded(desk.guard)(called.append)
    desk.kill()
    with pytest.raises(OrderRefusedError, match="TRADING_HALTED") as said:
        place(desk.order())
    with pytest.raises(OrderRefusedError), placing(desk.guard, desk.order()):
        called.append(desk.order())
    assert called == [] and isinstance(said.value.decision, riskguard.Decision)
    assert not said.value.decision.approved and "\n" not in str(said.value)


def test_a_kill_between_the_check_and_the_wire_wins(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Approved, then killed: the permit is void, and the function is not called."""
    check = desk.guard.check

    def then_killed(order: Order, **how: Any) -> Any:
        decision = check(order, **how)
        desk.kill()
        return decision

    monkeypatch.setattr(desk.guard, "check", then_killed)
    called: list[Order] = []
    with pytest.raises(riskguard.PermitNotSendableError):
        guarded(desk.guard)(called.append)(desk.order())
    assert called == []


def test_a_function_of_other_words_is_guarded_too(desk: Desk) -> None:
    """`order_of` makes the order, `order_id_of` finds the broker's id; name and docstring stay."""

    @guarded(
        desk.guard,
        order_of=lambda params, **_more: kite_order(desk.guard, "leader", params),
        order_id_of=lambda answer: answer["data"]["order_id"],
    )
    def place_kite(params: dict[str, Any], *, variety: str = "regular") -> dict[str, Any]:
        """Place it."""
        return {"data": {"order_id": 4711}, "variety": variety}

    params = {
        "tradingsymbol": "HDFCBANK", "exchange": "NSE", "transaction_type": "BUY", "quantity": 1,
        "order_type": "LIMIT", "product": "MIS", "price": 100,
    }  # fmt: skip
    assert place_kite(params, variety="amo")["variety"] == "amo"
    assert place_kite.__name__ == "place_kite" and place_kite.__doc__ == "Place it."
    assert desk.rows("SELECT state, order_id FROM permits") == [("ACKED", "4711")]


def test_what_is_no_order_is_said(desk: Desk) -> None:
    """Without `order_of` the first argument must be an Order."""
    place = guarded(desk.guard)(lambda *args: "1")
    for args in ((), ("BUY",)):
        with pytest.raises(OrderInvalidError, match="order_of"):
            place(*args)
