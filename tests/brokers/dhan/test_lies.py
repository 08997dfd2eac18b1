"""
Goal: each mistake that programs on this API are known to have made is made impossible; one test per mistake.

Beside each stands what the official client alone would have told: the mistake is an easy one.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from riskguard.errors import BrokerError, BrokerUnconfirmedError
from tests.dhan_server import OPTION, World


@pytest.fixture
def world() -> Iterator[World]:
    with World() as made:
        made.quote("1650", "1649.95", "1650.05")
        yield made


def test_cancel_all_that_looks_at_pending_alone() -> None:
    """TRANSIT, part-traded, legs, forever orders and triggers all may trade: each is live, and each is in the list."""
    with World(transit_s=1, fill_quantity_max=4) as world:
        world.quote("1650", "1649.95", "1650.05")
        world.place("BUY 10 LIMIT 1651 -")
        client = world.client()
        client.place_forever("1333", "NSE_EQ", "SELL", "CNC", "LIMIT", 5, 1700, 1699)
        at = {
            "exchangeSegment": "NSE_EQ",
            "securityId": "1333",
            "comparisonType": "PRICE_WITH_VALUE",
            "frequency": "ONCE",
        }
        order = {"transactionType": "SELL", "exchangeSegment": "NSE_EQ", "productType": "INTRADAY", "orderType": "MARKET",
                 "securityId": "1333", "quantity": 5, "validity": "DAY"}  # fmt: skip
        client.place_conditional_order(at, [order])
        world.clock.pass_s(1)
        world.broker.orders()  # what was in transit has landed, and a part of it has traded
        client.place_super_order("1333", "NSE_EQ", "BUY", 10, "LIMIT", "INTRADAY", 1600, 1700, 1500)

        live = {(each.kind, each.status) for each in world.broker.orders() if each.is_live}

        assert live == {
            ("ORDER", "PART_TRADED"), ("SUPER", "TRANSIT"), ("SUPER", "PENDING"), ("FOREVER", "CONFIRM"),
            ("ALERT", "ACTIVE"),
        }  # fmt: skip


def test_cancel_called_a_success_for_any_answer(world: World) -> None:
    """An error body is not empty either."""
    order_id = world.place("BUY 10 LIMIT 1600 -")
    world.server.break_next("DELETE /orders/{id}", "error_inside", times=2)
    assert world.client().cancel_order(order_id)["status"] == "success"  # what the client alone says

    with pytest.raises(BrokerError):
        world.broker.cancel(order_id)
    assert world.seen(order_id).is_live


def test_is_the_switch_on_answered_with_no_on_an_error(world: World) -> None:
    """No answer is no state."""
    world.server.break_next("GET /killswitch", "html", times=4)
    assert world.client().status_kill_switch()["data"] == ""  # which is not "ACTIVATE", so: off?

    with pytest.raises(BrokerUnconfirmedError):
        world.broker.is_locked()


def test_the_sentence_taken_for_the_state() -> None:
    """It holds the word activated while the switch is off."""
    with World(kill_refusal="sentence") as world:
        world.place("BUY 10 LIMIT 10 -")
        assert "activated" in world.client().kill_switch("ACTIVATE")["data"]["killSwitchStatus"]

        world.broker.lock()
        assert world.broker.is_locked() is False


def test_close_all_that_ignores_what_came_of_each_order(world: World) -> None:
    """A refused exit raises; it is never counted as sent."""
    world.server.break_next("POST /orders", "DH-906")
    with pytest.raises(BrokerError):
        world.place("SELL 10 MARKET - -")
    assert world.broker.orders() == ()


@pytest.mark.parametrize("how", ["html", "truncated", "empty", "DH-901", "server_error", "reset_before", "blank_data"])
def test_positions_read_as_nothing_on_an_error(world: World, how: str) -> None:
    """ "Cannot see" is not "flat", and the loss of an empty list is zero."""
    world.place("BUY 10 MARKET - -")
    world.server.break_next("GET /positions", how)
    assert sum(row["realizedProfit"] for row in world.client().get_positions()["data"]) == 0  # the mistake, in one line

    world.server.break_next("GET /positions", how, times=5)
    with pytest.raises(BrokerError):
        world.broker.positions()
    world.server.mend()
    assert world.net() == {"1333": 10}


def test_the_exit_at_a_loss_trusted_for_margin() -> None:
    """It stands, it fires, and the carried contracts are still there."""
    with World() as world:
        world.quote("100", "99.95", "100.05", of=OPTION)
        world.place("BUY 1000 MARKET - -", instrument=OPTION, product="MARGIN")
        world.broker.arm_backstop(10_000_000, ["INTRADAY", "CNC"])

        world.quote("50", "49.95", "50.05", of=OPTION)  # fifty thousand lost at a limit of one thousand

        assert world.broker.backstop().is_armed and world.net() == {"52211": 1000}
        with pytest.raises(BrokerError, match="not `MARGIN`"):
            world.broker.arm_backstop(10_000_000, ["MARGIN"])


def test_exits_repeated_on_a_list_that_lags() -> None:
    """The position is old, the orders and fills are not: what they say together is that nothing is left to exit."""
    with World(position_lag_s=4) as world:
        world.quote("1650", "1649.95", "1650.05")
        world.place("BUY 10 MARKET - -")
        world.clock.pass_s(4)
        world.place("SELL 10 MARKET - -")

        stale = world.net()["1333"]
        done = sum(each.filled if each.side == "BUY" else -each.filled for each in world.broker.orders())

        assert (stale, done) == (10, 0)


def test_a_positive_loss_value() -> None:
    """Refused by live accounts; the negative one goes first."""
    with World(loss_sign="negative") as world:
        assert world.client().set_pnl_exit(9_999, 8_000, ["INTRADAY"])["status"] == "failure"
        world.broker.arm_backstop(80_000_000, ["INTRADAY"])
        assert world.broker.backstop().loss_e4 == 80_000_000


def test_the_balance_read_by_its_right_spelling(world: World) -> None:
    """Dhan's is `availabelBalance`; the right one gives nothing, which must not become zero."""
    data = world.client().get_fund_limits()["data"]
    assert data.get("availableBalance", 0) == 0 < data["availabelBalance"]

    assert world.broker.funds().available_e4 == round(data["availabelBalance"] * 10_000)


def test_a_success_without_a_body_called_a_failure() -> None:
    """The client alone fails to parse it, and the exit would be sent again."""
    with World(exit_all_reply="empty") as world:
        assert world.client().exit_all_positions()["status"] == "failure"
        world.broker.exit_all()


def test_sixty_seconds_of_waiting(world: World) -> None:
    """The client's own patience is longer than a kill has; ours ends within seconds."""
    assert world.client().dhan_http.timeout == 60
    from riskguard.brokers.dhan import Timeouts

    limits = Timeouts()
    assert (limits.connect_s, limits.read_s) == (2.0, 3.0) and limits.call_s <= 5 and limits.operation_s <= 8
