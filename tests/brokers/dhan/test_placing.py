"""Goal: what is approved goes out exactly as approved, once; a change keeps its meaning; a cancellation is the truth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from riskguard.brokers.dhan import DhanRefusedError
from riskguard.errors import BrokerRefusedError, BrokerUnconfirmedError
from tests.dhan_server import OPTION, Approved, World


@pytest.fixture
def world() -> Iterator[World]:
    with World() as made:
        made.quote("1650", "1649.95", "1650.05")
        yield made


def sent(world: World, call: str = "POST /orders") -> dict[str, Any]:
    """Return the body of the last call of an endpoint."""
    return [body for name, body in world.server.calls if name == call][-1]


# order                          what goes out: type, price, trigger
WIRE = [
    ("BUY 10 MARKET - -", "MARKET", 0.0, 0.0),
    ("BUY 10 LIMIT 1600.05 -", "LIMIT", 1600.05, 0.0),
    ("SELL 10 STOP_LOSS 1599.95 1600", "STOP_LOSS", 1599.95, 1600.0),
    ("SELL 10 STOP_LOSS_MARKET - 1600", "STOP_LOSS_MARKET", 0.0, 1600.0),
    ("BUY 999999 LIMIT 0.0025 -", "LIMIT", 0.0025, 0.0),
]


@pytest.mark.parametrize(("text", "kind", "price", "trigger"), WIRE)
def test_an_order_goes_out_as_it_was_approved(world: World, text: str, kind: str, price: float, trigger: float) -> None:
    """Words, numbers and tag; nothing that does not apply is sent as an empty text or null."""
    order_id = world.place(text, validity="DAY")

    body = sent(world)
    assert (body["orderType"], body["price"], body["triggerPrice"]) == (kind, price, trigger)
    assert (body["transactionType"], body["quantity"]) == (text.split(maxsplit=1)[0], int(text.split()[1]))
    assert (body["securityId"], body["exchangeSegment"], body["productType"]) == ("1333", "NSE_EQ", "INTRADAY")
    assert (body["correlationId"], body["dhanClientId"], body["validity"]) == ("rg00001", "1100099001", "DAY")
    assert None not in body.values() and "" not in body.values()
    assert world.seen(order_id).correlation_id == "rg00001"


def test_a_market_order_may_rest_as_a_protected_limit(world: World) -> None:
    """Since March 2026: it is taken, shows as LIMIT, and has not filled. An exit must look, not assume."""
    world.quote("100", of=OPTION)  # no bid and no ask: it trades at the last price
    filled = world.place("BUY 50 MARKET - -", instrument=OPTION)
    assert (world.seen(filled).order_type, world.seen(filled).filled) == ("LIMIT", 50)

    world.server.quote(*OPTION, ltp="100", bid="99", ask="110")
    resting = world.place("BUY 50 MARKET - -", instrument=OPTION)

    seen = world.seen(resting)
    assert (seen.order_type, seen.status, seen.filled, seen.price_e4) == ("LIMIT", "PENDING", 0, 1_030_000)


def test_what_the_exchange_refuses_shows_in_the_book_alone(world: World) -> None:
    """The answer was good and had an id."""
    order_id = world.place("BUY 10 LIMIT 1600 -")
    world.server.reject(order_id, "price beyond the circuit limit")

    seen = world.seen(order_id)
    assert (seen.status, seen.is_live, seen.detail) == ("REJECTED", False, "EXCH:16052: price beyond the circuit limit")


@pytest.mark.parametrize(("characters", "is_taken"), [(0, False), (1, True), (25, True), (26, False)])
def test_a_correlation_id_has_up_to_25_characters(world: World, characters: int, is_taken: bool) -> None:
    """26 are refused here, and nothing leaves: at Dhan it would be an error that names nothing."""
    approved = Approved(world.order(), "r" * characters)
    if is_taken:
        assert world.broker.place(approved)
    else:
        with pytest.raises(BrokerRefusedError):
            world.broker.place(approved)
        assert (world.server.counted("POST /orders"), approved.begun) == (0, 0)


def test_an_order_of_another_account_is_not_taken(world: World) -> None:
    """Leader and follower have a connection each; mixing them up must not be possible."""
    with pytest.raises(BrokerRefusedError, match="follower"):
        world.place(account="follower")
    assert world.server.counted("POST /orders") == 0


def test_a_token_of_another_client_is_found_out() -> None:
    """Every list it would read belongs to somebody else."""
    with World() as world:
        credentials = world.credentials
        world.broker = world.broker_with()
        world.broker.wire._credentials = lambda: type(credentials())("1100099002", credentials().token)
        with pytest.raises(BrokerUnconfirmedError, match="another client"):
            world.broker.funds()


def test_a_large_order_is_cut_by_dhan(world: World) -> None:
    """Several ids, one tag; each of them is in the book."""
    approved = world.approved("BUY 4000 LIMIT 1600 -")

    ids = world.broker.place_sliced(approved)

    seen = world.broker.orders()
    assert [each.order_id for each in seen] == list(ids)
    assert [each.quantity for each in seen] == [1800, 1800, 400]
    assert {each.correlation_id for each in seen} == {approved.correlation_id}


@pytest.mark.parametrize("when", ["OPEN", "OPEN_30", "OPEN_60"])
def test_an_after_market_order_waits(world: World, when: str) -> None:
    """It rests whatever the quote; the words that exist are taken, and no other."""
    order_id = world.broker.place(world.approved(), after_market=when)

    assert (sent(world)["afterMarketOrder"], sent(world)["amoTime"]) == (True, when)
    assert world.seen(order_id).status == "PENDING"
    with pytest.raises(BrokerRefusedError):
        world.broker.place(world.approved(), after_market="PRE_OPEN")


ANSWERS = """
{"orderId": "7", "orderStatus": "TRANSIT"}    7
{"orderId": 7, "orderStatus": "PENDING"}      7
[{"orderId": "7"}]                            7
{"orderId": "7", "orderStatus": "REJECTED"}   7
{"orderId": ""}                               unknown
{"orderId": null}                             unknown
{"orderStatus": "TRANSIT"}                    unknown
[{"orderId": "7"}, {"orderId": "8"}]          unknown
[]                                            unknown
{}                                            unknown
"ok"                                          unknown
"""


@pytest.mark.parametrize("row", ANSWERS.strip().splitlines(), ids=str)
def test_only_one_order_id_is_an_order_id(row: str) -> None:
    """Whatever else a success says: without exactly one id nobody knows what rests there."""
    from riskguard.brokers.dhan.answers import judged
    from riskguard.brokers.dhan.placing import _one_id
    from riskguard.brokers.dhan.wire import Answer

    body, _, expected = row.rpartition(" ")
    found = _one_id(judged("place", Answer(200, body.strip().encode()), writes=True, doubtful=True))

    assert found == (None if expected == "unknown" else expected)


# -- changing ---------------------------------------------------------------------------------------------------------


def test_a_change_carries_the_whole_quantity(world: World) -> None:
    """Not the open rest; the id stays, and the change is begun like an order."""
    order_id = world.place("BUY 10 LIMIT 1600 -")
    approved = Approved(world.order("BUY 25 LIMIT 1601 -"), "rgchange", modifies=order_id)

    assert world.broker.modify(approved) == order_id

    assert (world.seen(order_id).quantity, world.seen(order_id).price_e4, approved.begun) == (25, 16_010_000, 1)
    body = sent(world, "PUT /orders/{id}")
    assert body["triggerPrice"] == 0 and "legName" not in body and None not in body.values()


def test_a_stop_that_becomes_an_exit_loses_its_trigger(world: World) -> None:
    """What a change leaves out stays as it stood: a stop changed to LIMIT or MARKET would go on waiting for its trigger."""
    world.quote("1650", "1649.95", "1650.05")
    for kind, price in (("LIMIT", "1640"), ("MARKET", "-")):
        order_id = world.place("SELL 10 STOP_LOSS 1590 1600")
        world.broker.modify(Approved(world.order(f"SELL 10 {kind} {price} -"), f"rg{kind}", modifies=order_id))

        assert world.seen(order_id).status == "TRADED", kind


@pytest.mark.parametrize("modifies", [None, "super:1:TARGET_LEG", "forever:1", "alert:1"])
def test_what_cannot_be_changed_safely_is_refused(world: World, modifies: str | None) -> None:
    """Changing a leg may end its trailing without a word."""
    with pytest.raises(BrokerRefusedError):
        world.broker.modify(Approved(world.order("BUY 25 LIMIT 1601 -"), "rgchange", modifies=modifies))
    assert not [name for name, _ in world.server.calls if name.startswith("PUT")]


def test_a_finished_order_is_not_changed(world: World) -> None:
    """Dhan's refusal is a refusal."""
    order_id = world.place("BUY 10 MARKET - -")
    with pytest.raises(DhanRefusedError) as caught:
        world.broker.modify(Approved(world.order("BUY 25 LIMIT 1601 -"), "rgchange", modifies=order_id))
    assert (caught.value.code, caught.value.kind) == ("DH-906", "other")


# -- cancelling -------------------------------------------------------------------------------------------------------


def test_an_order_in_transit_cannot_be_cancelled_yet() -> None:
    """Refused, and the error says so; once it has landed, it can."""
    with World(transit_s=3) as world:
        order_id = world.place("BUY 10 LIMIT 10 -")
        with pytest.raises(DhanRefusedError) as caught:
            world.broker.cancel(order_id)
        assert caught.value.kind == "transit" and world.seen(order_id).status == "TRANSIT"

        world.clock.pass_s(3)

        world.broker.cancel(order_id)
        assert world.seen(order_id).status == "CANCELLED"


def test_a_cancellation_whose_reading_back_fails_is_unknown(world: World) -> None:
    """It did act, and nobody could see it."""
    order_id = world.place("BUY 10 LIMIT 1600 -")
    world.server.break_next("DELETE /orders/{id}", "reset_after")
    world.server.break_next("GET /orders/{id}", "html", times=9)

    with pytest.raises(BrokerUnconfirmedError):
        world.broker.cancel(order_id)


def test_not_found_proves_nothing(world: World) -> None:
    """GET /orders/{id} answers an empty list with 200 for what it does not know."""
    order_id = world.place("BUY 10 LIMIT 1600 -")
    world.server.break_next("DELETE /orders/{id}", "reset_after")
    world.server.break_next("GET /orders/{id}", "missing_rows")

    with pytest.raises(BrokerUnconfirmedError):
        world.broker.cancel(order_id)


def test_a_first_cancellation_that_arrived_late_is_no_refusal(world: World) -> None:
    """Unknown, read back as resting, sent again, refused because it is gone by now: that is done."""
    order_id = world.place("BUY 10 LIMIT 1600 -")
    world.server.break_next("DELETE /orders/{id}", "reset_before")
    world.server.break_next("DELETE /orders/{id}", "DH-906")
    original = world.broker._status  # what it looks like between the two: resting, then gone
    found = iter(["PENDING", "CANCELLED"])
    world.broker._status = lambda *_: next(found)  # type: ignore[method-assign]

    world.broker.cancel(order_id)

    world.broker._status = original  # type: ignore[method-assign]
    with pytest.raises(StopIteration):
        next(found)
    assert world.server.counted("DELETE /orders/{id}") == 2


@pytest.mark.parametrize("object_or_list", [True, False])
def test_reading_back_takes_an_object_or_a_list(object_or_list: bool) -> None:
    """The documents show an object, the wire a list."""
    with World(by_id_is_list=object_or_list) as world:
        order_id = world.place("BUY 10 LIMIT 1600 -")
        world.server.break_next("DELETE /orders/{id}", "reset_after")

        world.broker.cancel(order_id)

        assert world.seen(order_id).status == "CANCELLED"
