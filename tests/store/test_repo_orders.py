"""Goal: orders, events, changes, legs and forever orders are kept whole, told once, and never lost by a save."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from riskguard.errors import RowInvalidError, RowRefusedError
from riskguard.store import Database
from riskguard.store.rows import BracketOrderLegRow, ForeverOrderRow, OrderEventRow, OrderRow, TradeRow
from tests.store.rows import EVENT, FOREVER, LEG, ORDER, TRADE, Row, T


def row(values: Row, **changes: Any) -> dict[str, Any]:
    """Return *values* with their floats as the decimals they are written as."""
    return {name: Decimal(repr(each)) if type(each) is float else each for name, each in {**values, **changes}.items()}


def order(**changes: Any) -> OrderRow:
    return OrderRow(**row(ORDER, **changes))


ANSWER: Row = {
    "dhanClientId": "1100099001", "orderId": "82260922104417", "exchangeOrderId": "1300000047710233",
    "correlationId": "rgABC", "orderStatus": "TRADED", "transactionType": "BUY", "exchangeSegment": "NSE_FNO",
    "productType": "INTRADAY", "orderType": "LIMIT", "validity": "DAY", "tradingSymbol": "NIFTY", "securityId": "52211",
    "quantity": 75, "disclosedQuantity": 0, "price": 118.4, "triggerPrice": 0.0, "afterMarketOrder": False,
    "boProfitValue": 0.0, "boStopLossValue": 0.0, "legName": "NA", "createTime": "2025-11-21 10:30:00",
    "updateTime": "2025-11-21 10:30:05", "exchangeTime": "0001-01-01 00:00:00", "drvExpiryDate": "0001-01-01",
    "drvOptionType": "NA", "drvStrikePrice": 0.0, "omsErrorCode": None, "omsErrorDescription": "CONFIRMED",
    "algoId": "0", "remainingQuantity": 0, "averageTradedPrice": 118.35, "filledQty": 75,
}  # fmt: skip
AT_1030_IST = 1_763_701_200


def test_a_saved_order_keeps_its_events_trades_and_changes(database: Database) -> None:
    """Version 3 saved by replacing, and the replaced row took its children along."""
    database.orders.save_order(order())
    database.orders.save_order_event(OrderEventRow(**EVENT))
    database.orders.save_order_modification("A1", "PRICE", "1480", "1481")
    database.trades.save_trade(TradeRow(**row(TRADE)))

    database.orders.save_order(order(status="EXECUTED", traded_qty=100))

    found = database.orders.get_order("A1")
    assert found is not None and (found.status, found.traded_qty, found.price) == (
        "EXECUTED",
        100,
        Decimal("1480.0000"),
    )
    assert len(database.orders.get_order_events("A1")) == 1
    assert len(database.orders.get_order_modifications("A1")) == 1
    assert [trade.id for trade in database.trades.get_trades_by_order_id("A1")] == ["T1"]


def test_a_save_changes_only_what_it_says(database: Database) -> None:
    """Columns left out stay; what tells where an order came from keeps its first word, also through the triggers."""
    database.orders.save_order(order(client_order_id="c-1", source="guard", raw_request="{}", trigger_price="9"))

    database.orders.save_order(order(status="PART_TRADED", created_at=T + 60, client_order_id="c-2", source="sync"))

    found = database.orders.get_order("A1")
    assert found is not None
    assert (found.client_order_id, found.source, found.created_at) == ("c-1", "guard", T)
    assert (found.status, found.trigger_price, found.raw_request) == ("PART_TRADED", Decimal("9.0000"), "{}")
    assert database.orders.get_orders_by_client_order_id("leader", "c-1") == [found]


def test_another_accounts_order_is_not_taken_over(database: Database) -> None:
    """An order moved to another account would leave the first account's book: refused, and nothing changes."""
    database.orders.save_order(order())

    with pytest.raises(RowRefusedError, match="account_type"):
        database.orders.save_order(order(account_type="follower", status="CANCELLED"))

    found = database.orders.get_order("A1")
    assert found is not None and (found.account_type, found.status) == ("leader", "PENDING")


def test_orders_are_found_newest_first(database: Database) -> None:
    """By account with a bound, by correlation id the newest of several; absent is None."""
    for number in range(3):
        database.orders.save_order(order(id=f"A{number}", created_at=T + number, correlation_id="tie"))
    database.orders.save_order(order(id="B", account_type="follower"))

    assert [each.id for each in database.orders.get_orders_by_account("leader", limit=2)] == ["A2", "A1"]
    newest = database.orders.get_order_by_correlation_id("tie")
    assert newest is not None and newest.id == "A2"
    assert database.orders.get_order("none") is None
    assert database.orders.get_order_by_correlation_id("none") is None


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, 10**9])
def test_a_nonsense_bound_is_refused(database: Database, limit: Any) -> None:
    """Zero would look like "no orders"."""
    with pytest.raises(RowInvalidError, match="limit"):
        database.orders.get_orders_by_account("leader", limit=limit)


LIVE = {
    "PENDING": 1,
    "PART_TRADED": 1,
    "Confirm": 1,
    "SOMETHING_NEW": 1,
    "EXECUTED": 0,
    "Traded": 0,
    "EXPIRED": 0,
    "CLOSED": 0,
}


@pytest.mark.parametrize("word", LIVE)
def test_an_unknown_word_is_a_live_order(database: Database, word: str) -> None:
    """A kill that cancels what is listed must see it."""
    database.orders.save_order(order(status=word))

    assert len(database.orders.get_active_orders("leader")) == LIVE[word]
    assert len(database.orders.get_active_orders()) == LIVE[word]
    assert database.orders.get_active_orders("other") == []


def test_a_status_is_updated_and_an_absent_order_is_said(database: Database) -> None:
    """`completed_at` is set once, by a word that ends the order; no such order is False, not silence."""
    database.orders.save_order(order())

    assert database.orders.update_order_status("A1", "PART_TRADED")
    assert database.orders.get_order("A1").completed_at is None  # type: ignore[union-attr]
    assert database.orders.update_order_status("A1", "CANCELLED")
    assert database.orders.get_order("A1").completed_at == T  # type: ignore[union-attr]
    assert not database.orders.update_order_status("none", "CANCELLED")
    with pytest.raises(RowInvalidError, match=r"orders\.status"):
        database.orders.update_order_status("A1", " ")


def test_a_brokers_order_is_mapped(database: Database) -> None:
    """TRADED is EXECUTED inside; NA and the year 1 are None; times in India become epoch seconds; no float stays."""
    found = database.orders.save_from_broker("leader", ANSWER, client_order_id="c-1")

    assert (found.id, found.status, found.order_status, found.source) == (
        "82260922104417",
        "EXECUTED",
        "TRADED",
        "sync",
    )
    assert (found.created_at, found.updated_at, found.completed_at) == (AT_1030_IST, AT_1030_IST + 5, AT_1030_IST + 5)
    assert (found.exchange_time, found.drv_expiry_date, found.drv_option_type, found.drv_strike_price) == (None,) * 4
    assert (found.price, found.avg_price, found.traded_qty) == (Decimal("118.4"), Decimal("118.35"), 75)
    assert (found.leg_type, found.bo_profit_value, found.after_market_order) == (None, None, False)
    assert found.client_order_id == "c-1" and '"CONFIRMED"' in (found.raw_response or "")


@pytest.mark.parametrize(
    ("key", "value", "column", "expected"),
    [
        ("legName", "STOP_LOSS_LEG", "leg_type", "SL"),
        ("legName", "TARGET_LEG", "leg_type", "TARGET"),
        ("legName", "ENTRY_LEG", "leg_type", "ENTRY"),
        ("drvOptionType", "CALL", "drv_option_type", "CALL"),
        ("drvOptionType", "XX", "drv_option_type", None),
        ("drvExpiryDate", "2025-11-21", "drv_expiry_date", 1_763_663_400),
        ("drvExpiryDate", "soon", "drv_expiry_date", None),
        ("drvStrikePrice", -0.01, "drv_strike_price", None),
        ("drvStrikePrice", 25200.0, "drv_strike_price", Decimal("25200.0000")),
        ("exchangeTime", "2025-11-21 10:30:00", "exchange_time", AT_1030_IST),
        ("exchangeTime", "2025-11-21T05:00:00Z", "exchange_time", AT_1030_IST),
        ("orderStatus", "PART_TRADED", "status", "PART_TRADED"),
        ("orderStatus", "Confirm", "status", "CONFIRM"),
        ("orderStatus", "NEVER_HEARD", "status", "NEVER_HEARD"),
        ("quantity", "75", "quantity", 75),
        ("quantity", 75.0, "quantity", 75),
        ("boProfitValue", 4.5, "bo_profit_value", Decimal("4.5000")),
    ],
)  # fmt: skip
def test_each_word_of_the_broker(database: Database, key: str, value: Any, column: str, expected: Any) -> None:
    """Both sides of each mapping: what says something, and what means none."""
    assert getattr(database.orders.save_from_broker("leader", {**ANSWER, key: value}), column) == expected


@pytest.mark.parametrize(
    ("key", "value", "column"),
    [
        ("quantity", None, "orders.quantity"), ("quantity", 0, "orders.quantity"), ("quantity", 7.5, "orders.quantity"),
        ("quantity", "many", "orders.quantity"), ("orderId", "", "orders.id"), ("orderStatus", None, "orders.status"),
        ("price", float("nan"), "orders.price"), ("price", True, "orders.price"), ("transactionType", "HOLD", "orders.side"),
        ("securityId", "NA", "orders.security_id"), ("filledQty", -1, "orders.traded_qty"),
    ],
)  # fmt: skip
def test_a_guess_is_refused(database: Database, key: str, value: Any, column: str) -> None:
    """A wrong quantity or price is worse than none: the error names table and column."""
    with pytest.raises(RowInvalidError, match=column.replace(".", r"\.")):
        database.orders.save_from_broker("leader", {**ANSWER, key: value})
    assert database.orders.get_orders_by_account("leader") == []


def test_a_late_message_does_not_bring_an_order_back(database: Database) -> None:
    """Overtaken on its way it changes nothing of how far the order is; a newer one does."""
    database.orders.save_from_broker("leader", ANSWER)

    late = {**ANSWER, "orderStatus": "PENDING", "filledQty": 0, "updateTime": "2025-11-21 10:30:05", "algoId": "7"}
    after_late = database.orders.save_from_broker("leader", late)
    newer = database.orders.save_from_broker("leader", {**late, "updateTime": "2025-11-21 10:30:06"})

    assert (after_late.status, after_late.traded_qty, after_late.algo_id) == ("EXECUTED", 75, "7")
    assert (newer.status, newer.traded_qty) == ("PENDING", 0)


def test_events_are_told_once(database: Database) -> None:
    """The same event twice is one row, before its order has a row; another source, time or text is another event."""
    event = OrderEventRow(**EVENT)

    assert database.orders.save_order_event(event)
    assert not database.orders.save_order_event(event)
    assert database.orders.save_order_event(OrderEventRow(**{**EVENT, "event_ts": T + 1}))
    assert database.orders.save_order_event(OrderEventRow(**{**EVENT, "event_source": "POSTBACK"}))
    assert [each.event_ts for each in database.orders.get_order_events("A1")] == [T, T, T + 1]


def test_a_number_that_is_taken_is_not_swallowed(database: Database) -> None:
    """The same numbered event is one row; another one under its number is refused, not dropped."""
    numbered = {**EVENT, "sequence": 1}
    assert database.orders.save_order_event(OrderEventRow(**numbered))
    assert not database.orders.save_order_event(OrderEventRow(**numbered))

    with pytest.raises(RowRefusedError, match="number 1"):
        database.orders.save_order_event(OrderEventRow(**{**numbered, "event_type": "EXECUTED"}))


def test_modifications_newest_first_and_answered(database: Database) -> None:
    """The order needs no row; what was asked and how it was answered stays."""
    first = database.orders.save_order_modification("X", "QUANTITY", {"quantity": 5}, {"quantity": 7})
    second = database.orders.save_order_modification("X", "PRICE")

    assert database.orders.update_order_modification(first, "FAILED", "DH-906")
    assert not database.orders.update_order_modification(999, "FAILED")
    found = database.orders.get_order_modifications("X")
    assert [each.id for each in found] == [second, first]
    assert (found[1].old_value, found[1].status, found[1].error_message) == ('{"quantity": 5}', "FAILED", "DH-906")


def test_bracket_legs(database: Database) -> None:
    """Saving works and says its number, twice is one row, a wrong key is an error and not False."""
    number = database.super_orders.save_bracket_order_leg(LEG)
    assert database.super_orders.save_bracket_order_leg(BracketOrderLegRow(**{**LEG, "status": "TRADED"})) == number

    with pytest.raises(RowInvalidError, match=r"bracket_order_legs\.quantity"):
        database.super_orders.save_bracket_order_leg({**LEG, "quantity": 5})
    with pytest.raises(RowInvalidError, match=r"bracket_order_legs\.leg_type"):
        database.super_orders.save_bracket_order_leg({**LEG, "leg_type": "ENTRY_LEG"})
    assert database.super_orders.update_bracket_order_leg_status(number, "PENDING")
    assert database.super_orders.update_bracket_order_leg_status("A1-SL", "Confirm")
    assert not database.super_orders.update_bracket_order_leg_status("none", "PENDING")
    (leg,) = database.super_orders.get_bracket_order_legs("A1")
    assert (leg.id, leg.status) == (number, "Confirm")
    assert database.super_orders.get_live_legs("leader") == [leg]
    assert database.super_orders.get_bracket_order_legs("none") == []


def test_a_super_orders_legs_are_kept_under_one_id_too(database: Database) -> None:
    """The broker's sample gives every leg the parent's id: three legs stay three."""
    answer = {
        "orderId": "9", "orderStatus": "TRADED", "legName": "ENTRY_LEG", "createTime": "2025-11-21 10:30:00",
        "legDetails": [
            {"orderId": "9", "legName": "STOP_LOSS_LEG", "orderStatus": "PENDING"},
            {"orderId": "9", "legName": "TARGET_LEG", "orderStatus": "PENDING"},
        ],
    }  # fmt: skip
    legs = database.super_orders.save_from_broker("leader", answer)
    again = database.super_orders.save_from_broker("leader", answer)

    assert sorted((leg.leg_type, leg.status) for leg in legs) == [
        ("ENTRY", "EXECUTED"), ("SL", "PENDING"), ("TARGET", "PENDING"),
    ]  # fmt: skip
    assert [leg.id for leg in again] == [leg.id for leg in legs]
    assert len(database.super_orders.get_live_legs("leader")) == 2


def test_forever_orders(database: Database) -> None:
    """Resting words stay live; TRIGGERED ends it and names the order that came of it."""
    database.forever_orders.save_forever_order(ForeverOrderRow(**row(FOREVER, status="CONFIRM")))

    assert [each.id for each in database.forever_orders.get_active_forever_orders("leader")] == ["F1"]
    assert database.forever_orders.update_forever_order_status("F1", "TRIGGERED", "A9")
    assert database.forever_orders.get_active_forever_orders() == []
    found = database.forever_orders.get_forever_order("F1")
    assert found is not None and (found.triggered_order_id, found.triggered_at) == ("A9", T)
    assert not database.forever_orders.update_forever_order_status("none", "CANCELLED")


@pytest.mark.parametrize("order_of_legs", [(0, 1), (1, 0)])
def test_both_legs_of_an_oco_share_a_row(database: Database, order_of_legs: tuple[int, int]) -> None:
    """Whichever is told first, both prices stand."""
    common = {
        "orderId": "5", "orderStatus": "CONFIRM", "transactionType": "SELL", "exchangeSegment": "NSE_EQ",
        "productType": "CNC", "orderType": "OCO", "securityId": "1333", "quantity": 10,
    }  # fmt: skip
    legs = (
        {**common, "legName": "TARGET_LEG", "price": 110.0, "triggerPrice": 109.0},
        {**common, "legName": "STOP_LOSS_LEG", "price": 90.0, "triggerPrice": 91.0, "quantity": 10},
    )
    for number in order_of_legs:
        database.forever_orders.save_from_broker("leader", legs[number])

    (found,) = database.forever_orders.get_forever_orders("leader")
    assert (found.status, found.price, found.trigger_price) == ("CONFIRM", Decimal(110), Decimal(109))
    assert (found.price1, found.trigger_price1, found.quantity1, found.quantity) == (Decimal(90), Decimal(91), 10, 10)
