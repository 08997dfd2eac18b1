"""
Goal: four lists become one, nothing that may trade is left out or counted twice, and every order in it can be
cancelled by the id it shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from riskguard.brokers.dhan import orders as listed
from riskguard.brokers.dhan.wire import Answer
from riskguard.core.seen import SeenOrder
from riskguard.errors import BrokerRefusedError, BrokerUnconfirmedError
from tests.dhan_server import SHARE, World

BOOK_ROW: dict[str, Any] = {
    "dhanClientId": "1100099001", "orderId": "82260922104417", "correlationId": "rg-kx-000042",
    "orderStatus": "PART_TRADED", "transactionType": "SELL", "exchangeSegment": "NSE_FNO", "productType": "INTRADAY",
    "orderType": "LIMIT", "validity": "DAY", "securityId": "52211", "quantity": 150, "price": Decimal("118.35"),
    "triggerPrice": Decimal("0.0"), "legName": "NA", "omsErrorCode": None, "omsErrorDescription": "CONFIRMED",
    "remainingQuantity": 75, "filledQty": 75,
}  # fmt: skip


@pytest.fixture
def world() -> Iterator[World]:
    with World() as made:
        made.quote("1650", "1649.95", "1650.05")
        yield made


def book(**changes: Any) -> SeenOrder:
    row = {name: value for name, value in {**BOOK_ROW, **changes}.items() if value != "gone"}
    (seen,) = listed.book_orders([row], "1100099001")
    return seen


# -- the book ---------------------------------------------------------------------------------------------------------

STATUSES = """
TRANSIT      live
PENDING      live
PART_TRADED  live
TRIGGERED    live
CONFIRM      live
MODIFIED     live
INACTIVE     live
SETTLING     live
TRADED       done
CANCELLED    done
REJECTED     done
EXPIRED      done
CLOSED       done
"""


@pytest.mark.parametrize("row", STATUSES.strip().splitlines(), ids=str)
def test_a_status_not_known_to_be_final_is_live(row: str) -> None:
    """An unknown word counts as live, and is kept."""
    word, expected = row.split()

    seen = book(orderStatus=word)

    assert (seen.status, seen.is_live) == (word, expected == "live")


def test_an_entry_of_the_book_is_translated_whole() -> None:
    """CONFIRMED is no complaint, NA is no id, zero is no trigger."""
    assert book() == SeenOrder(
        "82260922104417", "rg-kx-000042", "NSE_FNO", "52211", "SELL", "INTRADAY", "LIMIT", 150, 75, 1_183_500, None,
        "PART_TRADED", True,
    )  # fmt: skip
    assert book(correlationId="NA").correlation_id == ""
    assert book(orderStatus="REJECTED", omsErrorCode="16052", omsErrorDescription="RMS: no margin").detail == (
        "16052: RMS: no margin"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"orderId": ""}, {"orderId": "gone"}, {"orderStatus": "gone"}, {"orderStatus": None}, {"quantity": "gone"},
        {"quantity": ""}, {"quantity": -1}, {"quantity": True}, {"quantity": Decimal("1.5")}, {"filledQty": 151},
        {"filledQty": -1}, {"filledQty": "many"}, {"price": []}, {"price": "1E+999999999"}, {"securityId": None},
        {"transactionType": "HOLD"}, {"price": "NaN"}, {"dhanClientId": "1100099002"},
    ],
    ids=str,
)  # fmt: skip
def test_one_wrong_field_fails_the_whole_read(changes: dict[str, Any]) -> None:
    """Half a list is no list. The control is the test before: the row without a change is taken."""
    with pytest.raises(BrokerUnconfirmedError):
        book(**changes)


def test_what_filled_is_found_where_it_stands() -> None:
    """Other spellings, numbers as text, and the rest where the order still lives; of a cancelled one it says nothing."""
    assert book(filledQty="75").filled == 75
    assert book(filledQty="gone", filled_qty=75).filled == 75
    assert book(filledQty="gone").filled == 75  # 150 less the 75 that remain
    with pytest.raises(BrokerUnconfirmedError):
        book(filledQty="gone", orderStatus="CANCELLED", remainingQuantity=0)


@pytest.mark.parametrize(
    "body", ["", "{}", '""', "null", "[null]", "[[]]", "3", '{"data": []}', '[{"a": 1}]', "[1, 2]"]
)
def test_no_list_of_orders_is_no_orders(body: str) -> None:
    """Only `[]` says that there are none."""
    from riskguard.brokers.dhan.answers import judged

    with pytest.raises((BrokerUnconfirmedError, BrokerRefusedError)):
        listed.book_orders(judged("orders", Answer(200, body.encode()), writes=False), "1100099001")
    assert listed.book_orders(judged("orders", Answer(200, b"[]"), writes=False), "1100099001") == ()


def test_rows_that_come_twice_count_once(world: World) -> None:
    """The same row twice is one order; one id that says two things is an answer worth nothing."""
    order_id = world.place("BUY 10 LIMIT 1600 -")
    for endpoint in ("GET /orders", "GET /positions", "GET /trades", "GET /super/orders"):
        world.server.break_next(endpoint, "duplicate")
    assert [each.order_id for each in world.broker.orders()] == [order_id]
    with pytest.raises(BrokerUnconfirmedError, match="listed twice"):
        listed.book_orders([BOOK_ROW, {**BOOK_ROW, "filledQty": 80}], "1100099001")


def test_legs_that_share_an_id_are_told_apart() -> None:
    """One id, two legs: both are there, and each has an id of its own that can be cancelled."""
    rows = [{**BOOK_ROW, "legName": "ENTRY_LEG"}, {**BOOK_ROW, "legName": "TARGET_LEG", "filledQty": 0}]

    seen = listed.book_orders(rows, "1100099001")

    assert [each.order_id for each in seen] == ["82260922104417", "leg:82260922104417:TARGET_LEG"]
    assert listed.parts_of(seen[1].order_id)[1] == "82260922104417"


def test_unknown_statuses_of_a_whole_list_are_all_live(world: World) -> None:
    """A word that Dhan adds tomorrow empties no kill list."""
    world.place("BUY 10 MARKET - -")
    world.server.break_next("GET /orders", "unknown_status")

    assert [(each.status, each.is_live) for each in world.broker.orders()] == [("SETTLING", True)]


# -- legs -------------------------------------------------------------------------------------------------------------


def place_super(world: World, price: float = 1600) -> str:
    answer = world.client().place_super_order("1333", "NSE_EQ", "BUY", 10, "LIMIT", "INTRADAY", price, 1700, 1500, 2.0)
    return str(answer["data"]["orderId"])


@pytest.mark.parametrize("scenario", [{}, {"shared_leg_ids": True}, {"legs_in_book": False}], ids=str)
def test_a_super_order_is_three_orders_of_one_group_once(scenario: dict[str, Any]) -> None:
    """Whether legs have ids of their own or the entry's, and whether the book shows them again or not."""
    with World(**scenario) as world:
        number = place_super(world)

        seen = world.broker.orders()

        assert [(each.order_id, each.leg, each.side, each.quantity) for each in seen] == [
            (f"super:{number}:ENTRY_LEG", "ENTRY", "BUY", 10),
            (f"super:{number}:STOP_LOSS_LEG", "STOP_LOSS", "SELL", 10),
            (f"super:{number}:TARGET_LEG", "TARGET", "SELL", 10),
        ]
        assert {each.group for each in seen} == {f"super:{number}"}
        assert all(each.is_live and each.kind == "SUPER" for each in seen)
        assert (seen[1].trigger_price_e4, seen[1].price_e4, seen[2].price_e4) == (15_000_000, None, 17_000_000)


def test_each_leg_is_cancelled_by_its_own_id(world: World) -> None:
    """One exit alone; then the entry, which takes the other with it."""
    number = place_super(world)

    world.broker.cancel(f"super:{number}:TARGET_LEG")
    assert [(each.leg, each.is_live) for each in world.broker.orders()] == [
        ("ENTRY", True), ("STOP_LOSS", True), ("TARGET", False),
    ]  # fmt: skip
    world.broker.cancel(f"super:{number}:ENTRY_LEG")
    assert not any(each.is_live for each in world.broker.orders())


def test_the_exits_of_a_filled_entry_are_cancelled_leg_by_leg(world: World) -> None:
    """The entry is done and can no longer be cancelled; its exits rest, and each has an id."""
    number = place_super(world, price=1660)
    assert [(each.leg, each.is_live, each.filled) for each in world.broker.orders()] == [
        ("ENTRY", False, 10), ("STOP_LOSS", True, 0), ("TARGET", True, 0),
    ]  # fmt: skip
    with pytest.raises(BrokerRefusedError):
        world.broker.cancel(f"super:{number}:ENTRY_LEG")

    for leg in ("STOP_LOSS_LEG", "TARGET_LEG"):
        world.broker.cancel(f"super:{number}:{leg}")

    assert not any(each.is_live for each in world.broker.orders())
    assert world.net() == {"1333": 10}


def test_one_exit_done_ends_the_other(world: World) -> None:
    """The server plays it as Dhan does, and CLOSED reads as done."""
    place_super(world, price=1660)

    world.quote("1700", "1700", "1700.05")

    assert [(each.leg, each.status) for each in world.broker.orders()] == [
        ("ENTRY", "CLOSED"), ("STOP_LOSS", "CANCELLED"), ("TARGET", "TRADED"),
    ]  # fmt: skip
    assert world.net() == {"1333": 0}


def test_a_leg_that_only_the_book_calls_live_stays_in() -> None:
    """Two lists that disagree: the one that says it may still trade wins."""
    row = {**BOOK_ROW, "orderId": "92260922110302", "orderStatus": "PENDING", "filledQty": 0}
    parent = {
        **BOOK_ROW, "orderId": "92260922110301", "orderStatus": "CLOSED", "filledQty": 150,
        "legDetails": [{"orderId": "92260922110302", "legName": "TARGET_LEG", "orderStatus": "CANCELLED",
                        "totalQuantity": 150, "remainingQuantity": 0, "price": 110}],
    }  # fmt: skip
    _, legs = listed.super_orders([parent], "1100099001")

    seen = listed.merged(listed.book_orders([row], "1100099001"), legs, ())

    assert [(each.order_id, each.is_live) for each in seen] == [
        ("92260922110302", True), ("super:92260922110301:ENTRY_LEG", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "filled", "is_live"), [("CANCELLED", 0, False), ("CANCELLED", 1, True), ("PENDING", 0, True)]
)
def test_exits_of_an_entry_that_ended_unfilled_are_done(status: str, filled: int, is_live: bool) -> None:
    """They never arm; with one unit filled they protect it, and are live."""
    leg = {"orderId": "2", "legName": "STOP_LOSS_LEG", "orderStatus": "PENDING", "remainingQuantity": 150, "price": 100}
    parent = {**BOOK_ROW, "orderId": "1", "orderStatus": status, "filledQty": filled, "legDetails": [leg]}

    seen, _ = listed.super_orders([parent], "1100099001")

    assert [each.is_live for each in seen] == [status == "PENDING", is_live]


# -- standing instructions --------------------------------------------------------------------------------------------


def test_forever_orders_show_and_go(world: World) -> None:
    """A single one and a pair; the pair is one group, and any of its ids takes both."""
    client = world.client()
    single = client.place_forever("1333", "NSE_EQ", "SELL", "CNC", "LIMIT", 5, 1700, 1699)["data"]["orderId"]
    pair = client.place_forever(
        "1333", "NSE_EQ", "SELL", "CNC", "LIMIT", 5, 1700, 1699, order_flag="OCO", price1=1500, trigger_Price1=1501,
        quantity1=5,
    )["data"]["orderId"]  # fmt: skip

    seen = world.broker.orders()

    assert [(each.order_id, each.group, each.leg) for each in seen] == [
        (f"forever:{single}", "", ""),
        (f"forever:{pair}:TARGET_LEG", f"forever:{pair}", "TARGET"),
        (f"forever:{pair}:STOP_LOSS_LEG", f"forever:{pair}", "STOP_LOSS"),
    ]
    assert all(each.is_live and each.kind == "FOREVER" and each.status == "CONFIRM" for each in seen)
    assert (seen[0].trigger_price_e4, seen[0].price_e4) == (16_990_000, 17_000_000)
    world.broker.cancel(f"forever:{single}")
    world.broker.cancel(f"forever:{pair}:STOP_LOSS_LEG")
    assert not any(each.is_live for each in world.broker.orders())


ORDER_OF_ALERT = {
    "transactionType": "SELL", "exchangeSegment": "NSE_EQ", "productType": "INTRADAY", "orderType": "MARKET",
    "securityId": "1333", "quantity": 5, "validity": "DAY", "price": "0", "triggerPrice": "0",
}  # fmt: skip
PRICE_ABOVE = {
    "comparisonType": "PRICE_WITH_VALUE", "exchangeSegment": "NSE_EQ", "securityId": "1333",
    "operator": "GREATER_THAN", "comparingValue": "1680", "frequency": "ONCE",
}  # fmt: skip


def test_conditional_triggers_show_and_go(world: World) -> None:
    """Each order one would place is in the list; cancelling one takes the trigger with all of them."""
    client = world.client()
    one = client.place_conditional_order(PRICE_ABOVE, [ORDER_OF_ALERT])["data"]["alertId"]
    two = client.place_conditional_order(PRICE_ABOVE, [ORDER_OF_ALERT, ORDER_OF_ALERT])["data"]["alertId"]

    seen = world.broker.orders()

    assert [each.order_id for each in seen] == [f"alert:{one}", f"alert:{two}:1", f"alert:{two}:2"]
    assert all(each.is_live and each.kind == "ALERT" and each.quantity == 5 for each in seen)
    world.broker.cancel(f"alert:{two}:2")
    assert [each.is_live for each in world.broker.orders()] == [True, False, False]


@pytest.mark.parametrize(
    ("status", "frequency", "is_live"),
    [("ACTIVE", "ONCE", True), ("TRIGGERED", "ONCE", False), ("TRIGGERED", "ALWAYS", True), ("TRIGGERED", None, True),
     ("EXPIRED", "ONCE", False), ("CANCELLED", "ALWAYS", False), ("PAUSED", "ONCE", True)],
)  # fmt: skip
def test_a_trigger_that_may_fire_again_is_live(status: str, frequency: str | None, is_live: bool) -> None:
    """One that fires once is done when it has; one that does not say how often is not."""
    row = {"alertId": "7", "alertStatus": status, "condition": {"frequency": frequency}, "orders": [ORDER_OF_ALERT]}

    (seen,) = listed.alert_orders([row], "")

    assert seen.is_live is is_live


def test_a_trigger_that_fired_shows_its_order_in_the_book(world: World) -> None:
    """The server plays it: a kill that forgot triggers would meet this order later."""
    world.client().place_conditional_order(PRICE_ABOVE, [ORDER_OF_ALERT])

    world.quote("1690", "1689.95", "1690.05")

    kinds = {each.kind: each for each in world.broker.orders()}
    assert (kinds["ALERT"].is_live, kinds["ORDER"].status) == (False, "TRADED")


def test_a_list_that_is_not_served_can_be_left_out(world: World) -> None:
    """Dhan's own sandbox has the book alone; elsewhere a missing list fails the read."""
    world.server.break_next("GET /super/orders", "gateway_404", times=2)
    with pytest.raises(BrokerRefusedError):
        world.broker.orders()

    assert world.broker_with(lists=("book",)).orders() == ()


# -- ids --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "order_id",
    ["", ":", "super:", "super:1", "super:1:ENTRY", "forever:", "alert:../orders", "a b", "1/../../killswitch", "other:1",
     "x" * 41, "1?killSwitchStatus=ACTIVATE", "super:1:ENTRY_LEG/x"],
)  # fmt: skip
def test_what_is_no_id_never_becomes_an_address(world: World, order_id: str) -> None:
    """It would be put into a path."""
    with pytest.raises(BrokerRefusedError):
        world.broker.cancel(order_id)
    assert not [name for name, _ in world.server.calls if name.startswith("DELETE")]


def test_an_id_keeps_its_parts() -> None:
    """The other side of the edge: what the lists show is taken."""
    assert listed.parts_of("82260922104417") == ("", "82260922104417", "")
    assert listed.parts_of("super:1:TARGET_LEG") == ("super", "1", "TARGET_LEG")
    assert listed.parts_of("forever:1:STOP_LOSS_LEG") == ("forever", "1", "STOP_LOSS_LEG")
    assert listed.parts_of("alert:1:2") == ("alert", "1", "2")
    assert SHARE == ("NSE_EQ", "1333")
