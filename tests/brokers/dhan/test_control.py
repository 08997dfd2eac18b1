"""Goal: Dhan's own switches are believed only where they are read back, and each of their known lies is caught."""

from __future__ import annotations

from typing import Any

import pytest

from riskguard.brokers.dhan import DhanRefusedError
from riskguard.brokers.dhan.control import _backstop, _is_on
from riskguard.core.seen import SeenBackstop
from riskguard.errors import BrokerError, BrokerRefusedError, BrokerUnconfirmedError
from riskguard.ports import Broker, BrokerBackstop, BrokerLock, ExitAll, Holdings, Ledger, Margins, Profile
from tests.dhan_server import OPTION, World


def test_it_is_every_port_there_is() -> None:
    """The services ask by port; one that is missing would silently not be used."""
    with World() as world:
        broker: Broker = world.broker
        for port in (BrokerLock, ExitAll, BrokerBackstop, Holdings, Ledger, Profile, Margins):
            assert isinstance(broker, port), port


# -- the kill switch --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["error", "sentence"])
def test_the_switch_engages_on_a_flat_account_only(how: str) -> None:
    """Its refusal is an error or a sentence with 200; only reading back is the same for both."""
    with World(kill_refusal=how) as world:
        world.quote("1650", "1649.95", "1650.05")
        world.place("BUY 10 MARKET - -")
        if how == "error":
            with pytest.raises(DhanRefusedError):
                world.broker.lock()
        else:
            world.broker.lock()  # it was taken, and says no in English
        assert world.broker.is_locked() is False

        world.broker.exit_all()
        world.broker.lock()

        assert world.broker.is_locked() is True
        with pytest.raises(BrokerRefusedError, match="segments and switches"):
            world.place()
        world.broker.unlock()
        assert world.broker.is_locked() is False


def test_a_resting_order_prevents_the_switch_and_it_cancels_nothing() -> None:
    """The switch is a seal: it closes and cancels nothing by itself."""
    with World() as world:
        order_id = world.place("BUY 10 LIMIT 10 -")
        with pytest.raises(DhanRefusedError):
            world.broker.lock()
        assert world.seen(order_id).is_live


STATES = [
    ("ACTIVATE", True), ("ACTIVE", True), ("activate", True), ("DEACTIVATE", False), ("INACTIVE", False),
    ("Kill Switch has been successfully activated", None), ("", None), (None, None), (True, None),
]  # fmt: skip


@pytest.mark.parametrize(("word", "expected"), STATES)
def test_only_a_word_is_a_state(word: Any, expected: bool | None) -> None:
    """A sentence is no state, and neither is silence: "is it on?" is never answered with no on an error."""
    if expected is None:
        with pytest.raises(BrokerUnconfirmedError):
            _is_on({"killSwitchStatus": word}, "")
    else:
        assert _is_on({"killSwitchStatus": word}, "") is expected


@pytest.mark.parametrize("how", ["html", "DH-901", "DH-904", "server_error", "error_inside", "reset_before", "empty"])
def test_a_switch_that_cannot_be_read_is_not_off(how: str) -> None:
    """It raises."""
    with World() as world:
        world.server.break_next("GET /killswitch", how, times=9)
        with pytest.raises(BrokerError):
            world.broker.is_locked()


# -- exit-all ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["object", "empty", "plain"])
def test_exit_all_is_taken_in_each_of_its_answers(shape: str) -> None:
    """An object, an empty 202, an empty object: all mean taken. The book says what came of it."""
    with World(exit_all_reply=shape) as world:
        world.quote("1650", "1649.95", "1650.05")
        world.place("BUY 10 MARKET - -")
        resting = world.place("BUY 10 LIMIT 1600 -")

        world.broker.exit_all()

        assert world.net() == {"1333": 0}
        assert world.seen(resting).status == "CANCELLED"


def test_exit_all_may_leave_orders_and_exits_that_rest() -> None:
    """Older text says it leaves pending orders alone, and a market exit can rest: neither shows in the answer."""
    with World(exit_all_cancels=False) as world:
        world.quote("100", "99", "101", of=OPTION)
        world.place("BUY 50 MARKET - -", instrument=OPTION)
        resting = world.place("BUY 10 LIMIT 90 -", instrument=OPTION)
        world.quote("100", "90", "101", of=OPTION)  # the band ends at 97

        world.broker.exit_all()

        assert world.net() == {"52211": 50}
        assert world.seen(resting).is_live
        assert [each.side for each in world.broker.orders() if each.is_live] == ["BUY", "SELL"]


# -- the exit at a loss -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sign", "requests"), [("negative", 1), ("positive", 2)])
def test_the_exit_at_a_loss_is_armed_with_either_sign(sign: str, requests: int) -> None:
    """Negative first, as live accounts want it; the documented positive one if that is refused. Amounts are texts."""
    with World(loss_sign=sign) as world:
        world.broker.arm_backstop(80_000_000, ["INTRADAY", "CNC"])

        assert world.broker.backstop() == SeenBackstop(True, 80_000_000, ("CNC", "INTRADAY"))
        assert world.server.counted("POST /pnlExit") == requests
        body = [body for name, body in world.server.calls if name == "POST /pnlExit"][-1]
        assert body["lossValue"] == ("-8000.00" if sign == "negative" else "8000.00")
        assert (body["productType"], body["enableKillSwitch"]) == (["DELIVERY", "INTRADAY"], True)

        world.broker.disarm_backstop()
        assert world.broker.backstop() == SeenBackstop(False, None)


@pytest.mark.parametrize("products", [["MARGIN"], ["INTRADAY", "MARGIN"], ["MTF"], []])
def test_what_it_does_not_cover_is_refused(products: list[str]) -> None:
    """It never covers carried contracts: somebody trusted it with an overnight spread."""
    with World() as world:
        with pytest.raises(BrokerRefusedError, match="covers INTRADAY and CNC"):
            world.broker.arm_backstop(80_000_000, products)
        assert not world.server.calls


@pytest.mark.parametrize(("loss_e4", "said"), [(1, "-0.01"), (100, "-0.01"), (101, "-0.02"), (0, None), (-5, None)])
def test_a_loss_is_above_zero_and_whole_paise(loss_e4: int, said: str | None) -> None:
    """Rounded up: it is the net below ours and must not trip first."""
    with World() as world:
        if said is None:
            with pytest.raises(BrokerRefusedError):
                world.broker.arm_backstop(loss_e4, ["INTRADAY"])
            return
        world.broker.arm_backstop(loss_e4, ["INTRADAY"])
        assert world.server.calls[0][1]["lossValue"] == said


@pytest.mark.parametrize(
    ("how", "is_armed"), [("reset_after", True), ("empty", True), ("reset_before", False), ("html", False)]
)
def test_what_stands_is_what_is_read_back(how: str, is_armed: bool) -> None:
    """An answer that was lost is no failure if it stands, and a success is none if it does not."""
    with World() as world:
        world.server.break_next("POST /pnlExit", how)
        if is_armed:
            world.broker.arm_backstop(80_000_000, ["INTRADAY"])
        else:
            with pytest.raises(BrokerUnconfirmedError, match="reads back nothing"):
                world.broker.arm_backstop(80_000_000, ["INTRADAY"])


def test_it_fires_at_once_when_it_is_breached_already() -> None:
    """Then it does not stand, and arming says so."""
    with World() as world:
        world.quote("1650", "1649.95", "1650.05")
        world.place("BUY 100 MARKET - -")
        world.quote("1500", "1499.95", "1500.05")

        with pytest.raises(BrokerUnconfirmedError):
            world.broker.arm_backstop(80_000_000, ["INTRADAY"])
        assert world.net() == {"1333": 0}


BACKSTOPS: list[tuple[dict[str, Any], SeenBackstop | None]] = [
    ({"pnlExitStatus": "ACTIVE", "loss": "-8000.00", "productType": ["INTRADAY"]}, SeenBackstop(True, 80_000_000, ("INTRADAY",))),
    ({"pnlExitStatus": "ACTIVE", "lossValue": 8000, "productType": "DELIVERY"}, SeenBackstop(True, 80_000_000, ("CNC",))),
    ({"pnlExitStatus": "DISABLED", "productType": []}, SeenBackstop(False, None)),
    ({"pnlExitStatus": "INACTIVE", "loss": "0.00"}, SeenBackstop(False, 0)),
    ({"pnlExitStatus": "ACTIVE"}, None),
    ({"pnlExitStatus": "PAUSED", "loss": "1"}, None),
    ({"status": "ok"}, None),
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), BACKSTOPS, ids=str)
def test_the_exit_at_a_loss_is_read_in_every_spelling(value: dict[str, Any], expected: SeenBackstop | None) -> None:
    """Sign, text or number, table's names or sample's; armed without a figure is not an answer."""
    if expected is None:
        with pytest.raises(BrokerUnconfirmedError):
            _backstop(value, "")
    else:
        assert _backstop(value, "") == expected


@pytest.mark.parametrize("how", ["DH-901", "DH-904", "html", "server_error"])
def test_not_being_able_to_read_it_is_not_disarmed(how: str) -> None:
    """Only "there is none" reads as not armed."""
    with World() as world:
        assert world.broker.backstop() == SeenBackstop(False, None)
        world.server.break_next("GET /pnlExit", how, times=9)
        with pytest.raises(BrokerError):
            world.broker.backstop()


# -- the address ------------------------------------------------------------------------------------------------------


def test_from_an_unregistered_address_every_write_is_refused_and_says_so() -> None:
    """Reads go on: the account looks healthy until something must be closed."""
    with World(ip_registered=False) as world:
        for call in (world.place, world.broker.exit_all, world.broker.lock, lambda: world.broker.cancel("1")):
            with pytest.raises(DhanRefusedError, match="register this host's address") as caught:
                call()
            assert caught.value.kind == "address"
        assert world.broker.positions() == ()
