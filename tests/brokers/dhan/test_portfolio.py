"""Goal: what is held, what it made and what money there is, exactly; what is not said is not known, and never zero."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest

from riskguard.brokers.dhan import portfolio
from riskguard.brokers.dhan.sandbox.scenario import OpeningHolding, OpeningPosition, Voucher
from riskguard.core.seen import SeenFunds, SeenHolding, SeenPosition
from riskguard.errors import BrokerRefusedError, BrokerUnconfirmedError
from tests.dhan_server import OPTION, START_US, World

POSITION: dict[str, Any] = {
    "dhanClientId": "1", "securityId": "52211", "exchangeSegment": "NSE_FNO", "productType": "MARGIN", "netQty": -75,
    "realizedProfit": Decimal("90.0"), "unrealizedProfit": Decimal("-412.50005"),
}  # fmt: skip


def test_positions_come_with_what_they_made() -> None:
    """Signed net per product, carried lines and closed ones too, against the server's own arithmetic."""
    carried = OpeningPosition("NSE_FNO", "52211", "MARGIN", -75, "118.40")
    with World(positions=(carried,)) as world:
        world.quote("1650", "1649.95", "1650.05")
        world.quote("123.90", of=OPTION)
        world.place("BUY 10 MARKET - -")
        world.place("SELL 10 MARKET - -")

        assert world.broker.positions() == (
            SeenPosition("NSE_FNO", "52211", "MARGIN", -75, None, 0, -75 * 55_000),
            SeenPosition("NSE_EQ", "1333", "INTRADAY", 0, None, -10_000, 0),
        )


def test_the_position_list_lags_behind_orders_and_fills() -> None:
    """An exit repeated on the old list would double: orders and trades are current, positions are not."""
    with World(position_lag_s=4) as world:
        world.quote("1650")
        order_id = world.place("BUY 10 MARKET - -")

        assert (world.seen(order_id).filled, len(world.broker.trades()), world.net()) == (10, 1, {})
        world.clock.pass_s(4)
        assert world.net() == {"1333": 10}


@pytest.mark.parametrize(
    ("name", "value"),
    [("netQty", None), ("netQty", "gone"), ("netQty", ""), ("netQty", "few"), ("netQty", Decimal("0.5")), ("netQty", False),
     ("securityId", ""), ("exchangeSegment", None), ("productType", "NA"), ("realizedProfit", "much"),
     ("realizedProfit", {}), ("unrealizedProfit", True)],
)  # fmt: skip
def test_a_position_with_a_wrong_field_fails_the_read(name: str, value: Any) -> None:
    """Positions read as zero on an error were somebody's loss."""
    row = {**POSITION, name: value}
    if value == "gone":
        del row[name]
    with pytest.raises(BrokerUnconfirmedError):
        portfolio.positions([row], "1")


def test_a_profit_that_is_not_said_is_not_known() -> None:
    """None, never zero; a fifth place is rounded to even."""
    (said,) = portfolio.positions([POSITION], "1")
    (silent,) = portfolio.positions([{**POSITION, "realizedProfit": None, "unrealizedProfit": ""}], "1")

    assert (said.realised_e4, said.unrealised_e4) == (900_000, -4_125_000)
    assert (silent.realised_e4, silent.unrealised_e4) == (None, None)


def test_a_line_listed_twice_with_two_quantities_is_no_position_list() -> None:
    """Adding them up, or taking one, would both be guesses."""
    assert len(portfolio.positions([POSITION, POSITION], "1")) == 1
    with pytest.raises(BrokerUnconfirmedError, match="twice"):
        portfolio.positions([POSITION, {**POSITION, "netQty": -150}], "1")


# -- trades -----------------------------------------------------------------------------------------------------------


def test_fills_carry_their_time_in_india() -> None:
    """Part fills are fills of their own."""
    with World(fill_quantity_max=4) as world:
        world.quote("1650", "1649.95", "1650.05")
        order_id = world.place("BUY 10 LIMIT 1651 -")
        for _ in range(2):
            world.clock.pass_s(1)
            world.quote("1650", "1649.95", "1650.05")

        fills = world.broker.trades()
        assert [(each.quantity, each.order_id, each.at_us) for each in fills] == [
            (4, order_id, START_US), (4, order_id, START_US + 1_000_000), (2, order_id, START_US + 2_000_000),
        ]  # fmt: skip
        assert world.seen(order_id).status == "TRADED"


TRADE: dict[str, Any] = {
    "orderId": "1", "exchangeTradeId": "9", "transactionType": "SELL", "exchangeSegment": "NSE_FNO", "securityId": "5",
    "productType": "INTRADAY", "tradedQuantity": 75, "tradedPrice": Decimal("118.4"),
    "createTime": "2026-09-22 10:44:17", "updateTime": "NA", "exchangeTime": "0001-01-01 00:00:00",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [("tradedPrice", 0), ("tradedPrice", None), ("tradedPrice", -1), ("tradedQuantity", 0), ("tradedQuantity", None),
     ("createTime", "NA"), ("createTime", "soon"), ("exchangeTradeId", ""), ("transactionType", "B")],
)  # fmt: skip
def test_a_fill_with_a_wrong_field_fails_the_read(name: str, value: Any) -> None:
    """A fill without price, quantity or time moves no book. The control: without the change it is read."""
    (seen,) = portfolio.trades([TRADE], "")
    assert seen.at_us == round(dt.datetime(2026, 9, 22, 5, 14, 17, tzinfo=dt.UTC).timestamp()) * 1_000_000
    with pytest.raises(BrokerUnconfirmedError):
        portfolio.trades([{**TRADE, name: value}], "")


# -- money ------------------------------------------------------------------------------------------------------------

FUNDS = [
    ({"availabelBalance": Decimal("184220.35"), "sodLimit": 212000}, SeenFunds(1_842_203_500, 2_120_000_000, None)),
    ({"availableBalance": Decimal("1.5")}, SeenFunds(15_000, None, None)),  # the right spelling, should it ever come
    ({"availabelBalance": 0, "availableBalance": 7}, SeenFunds(0, None, None)),  # a true zero is a zero
    ({"sodLimit": 10, "utilizedAmount": "2.50"}, SeenFunds(None, 100_000, 25_000)),
    ({"availabelBalance": "", "sodLimit": 10}, SeenFunds(None, 100_000, None)),
]


@pytest.mark.parametrize(("value", "expected"), FUNDS, ids=str)
def test_funds_are_read_in_dhans_spelling(value: dict[str, Any], expected: SeenFunds) -> None:
    """A balance that is not there is None."""
    assert portfolio.funds(value, "") == expected


@pytest.mark.parametrize(
    "value", [{}, [], "", None, {"balance": 5}, {"availabelBalance": "much"}, {"availabelBalance": []}]
)
def test_funds_without_money_are_no_funds(value: Any) -> None:
    """An empty answer is not an empty account."""
    with pytest.raises(BrokerUnconfirmedError):
        portfolio.funds(value, "")


def test_no_holdings_is_an_error_at_dhan_and_none_here() -> None:
    """HTTP 500 with DH-1111 says "none" and is asked once; another 500 says nothing and is asked again."""
    with World() as world:
        assert world.broker.holdings() == ()
        assert world.server.counted("GET /holdings") == 1
        world.server.break_next("GET /holdings", "server_error", times=3)
        with pytest.raises(BrokerUnconfirmedError):
            world.broker.holdings()
        assert world.server.counted("GET /holdings") == 4
    with World(no_holdings_is_error=False) as world:
        assert world.broker.holdings() == ()


def test_holdings_leave_out_what_is_pledged() -> None:
    """T1 may be sold, collateral may not."""
    held = OpeningHolding("10576", "INF204KB14I2", 10, "252.05", collateral=4, t1=1)
    with World(holdings=(held,)) as world:
        assert world.broker.holdings() == (SeenHolding("NSE_EQ", "10576", 10, 6, 2_520_500, "INF204KB14I2"),)


LEDGER = (
    Voucher("2026-09-03", "FUNDS RECEIVED", "R1", credit="10000.00"),
    Voucher("2026-09-04", "FUNDS PAID OUT", "P1", debit="2500.00", narration="PAYOUT TO BANK"),
    Voucher("2026-09-04", "DP CHARGES", "", debit="15.93"),
    Voucher("2026-09-04", "DP CHARGES", "", debit="15.93"),
    Voucher("2026-09-05", "TRADES SETTLEMENT BILL", "B7", credit="120.55"),
    Voucher("2026-09-05", "SOMETHING ELSE", "X", debit="1.00"),
    Voucher("2026-09-05", "CLOSING BALANCE", "", credit="0.00"),
)


def test_the_ledger_says_what_came_and_what_went() -> None:
    """Balances are no movements; two lines that say the same are two, and their ids stay the same the next time."""
    with World(ledger=LEDGER) as world:
        first, again = world.broker.ledger("2026-09-01", "2026-09-30"), world.broker.ledger("2026-09-01", "2026-09-30")

        assert [(each.date, each.kind, each.amount_e4) for each in first] == [
            ("2026-09-03", "DEPOSIT", 100_000_000),
            ("2026-09-04", "PAYOUT", -25_000_000),
            ("2026-09-04", "CHARGE", -159_300),
            ("2026-09-04", "CHARGE", -159_300),
            ("2026-09-05", "SETTLEMENT", 1_205_500),
            ("2026-09-05", "OTHER", -10_000),
        ]
        assert first == again and len({each.entry_id for each in first}) == 6
        assert [each.kind for each in world.broker.ledger("2026-09-03", "2026-09-03")] == ["DEPOSIT"]


def test_a_ledger_of_one_line_may_come_bare() -> None:
    """The documents show an object, the wire a list."""
    line = {"voucherdate": "Sep 04, 2026", "voucherdesc": "X", "debit": "0.00", "credit": "5.00"}
    assert portfolio.ledger(line, "") == portfolio.ledger([line], "")
    for wrong in ({"voucherdate": "yesterday"}, {"debit": "-1.00"}, {"credit": "much"}):
        with pytest.raises(BrokerUnconfirmedError):
            portfolio.ledger([{**line, **wrong}], "")


# -- margins and the account ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["snake", "camel"])
def test_margins_are_read_in_either_shape(shape: str) -> None:
    """Numbers or texts, one order or several; a part that is not said is None."""
    with World(margin_multi_reply=shape) as world:
        one, two = world.order("BUY 10 LIMIT 100 -"), world.order("SELL 10 LIMIT 50 -")

        single, both = world.broker.margin([one]), world.broker.margin([one, two])

        assert (single.total_e4, both.total_e4) == (200 * 10_000, 300 * 10_000)
        assert both.var_e4 is None


def test_a_margin_without_a_price_is_refused() -> None:
    """Dhan would compute with zero."""
    with World() as world:
        for orders in ([world.order("BUY 10 MARKET - -")], []):
            with pytest.raises(BrokerRefusedError):
                world.broker.margin(orders)
        assert not world.server.calls
    with pytest.raises(BrokerUnconfirmedError):
        portfolio.margin({"spanMargin": 5})


@pytest.mark.parametrize(
    ("said", "expected"),
    [("E, D, C, M, ", 7), ("Equity, Derivative, Currency, Commodity", 7), ("E", 2), ("", 0), ("M, X", 1)],
)
def test_segments_are_read_as_letters_or_words(said: str, expected: int) -> None:
    """What it does not know it leaves out: an account that may not trade a segment is refused there by Dhan anyway."""
    with World(segments=said) as world:
        assert len(world.broker.profile().segments) == expected


ADDRESSES = [
    ({"ordersAllowed": True}, True),
    ({"ordersAllowed": "false"}, False),
    ({"ipMatchStatus": False}, False),
    ({"ipMatchStatus": "MATCHED"}, True),
    ({"primaryIP": "10.1.1.1"}, None),
    ([{"message": "no", "status": "ERROR"}], None),
    (None, None),
]


@pytest.mark.parametrize(("address", "expected"), ADDRESSES, ids=str)
def test_whether_orders_are_taken_from_here(address: Any, expected: bool | None) -> None:
    """False is said only where Dhan says it; silence is not known."""
    assert portfolio.profile({"activeSegment": "E"}, "", address).may_place is expected


def test_the_profile_says_when_the_token_ends() -> None:
    """India's time, to the minute; and an address that is not registered, while the reads go on."""
    with World(token_life_s=3_600, ip_registered=False) as world:
        seen = world.broker.profile()
        assert seen.token_until_us is not None and 0 <= START_US + 3_600_000_000 - seen.token_until_us < 60_000_000
        assert seen.may_place is False and "exit" in seen.detail
    with World() as world:
        world.server.break_next("GET /ip/getIP", "error_list", times=3)
        assert world.broker.profile().may_place is None


def test_json_without_floats() -> None:
    """Amounts come as Decimal: 0.1 + 0.2 of an answer is 0.3."""
    from riskguard.brokers.dhan.answers import parsed
    from riskguard.brokers.dhan.wire import Answer

    value = parsed(Answer(200, json.dumps({"a": 0.1, "b": 0.2}).encode()))
    assert value["a"] + value["b"] == Decimal("0.3")
    for body in (b"NaN", b"[Infinity]", b"{", b"\xff\xfe", b"[" * 100_000, b"[1e-4009999999999999999999]"):
        with pytest.raises(ValueError):
            parsed(Answer(200, body))
