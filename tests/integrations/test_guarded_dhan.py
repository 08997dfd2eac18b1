"""
The user's own client with the guard in front: what adds risk is asked, what stops is let through, nothing is lost.

The real dhanhq client talks to a local server; what reached it is what counts.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dhanhq import DhanContext, dhanhq

from riskguard import GuardedDhan, OrderRefusedError, RiskGuard, SettingsError
from riskguard.brokers.dhan.sandbox.scenario import Scenario
from riskguard.brokers.dhan.sandbox.server import Sandbox
from riskguard.clock import SystemClock
from riskguard.core.state import Cause, TradingState
from riskguard.store import controls
from tests.core.tables import Row, table
from tests.services.desk import CALL, FUTURE, Desk, rulebook

BOT = Path(__file__).with_name("example_bot.py")
TOKEN = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.canary-of-the-bot.c2lnbmF0dXJl"
WRITES = {"POST /orders", "POST /orders/slicing", "POST /super/orders", "POST /forever/orders", "POST /alerts/orders",
          "PUT /orders/{id}", "PUT /super/orders/{id}", "PUT /forever/orders/{id}", "PUT /alerts/orders/{id}"}  # fmt: skip


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(Scenario(token=TOKEN, rate_limits=False)) as running:
        for key in (("NSE_EQ", "1333"), FUTURE.key, CALL.key):
            running.quote(*key, ltp="100", bid="99.95", ask="100.05")
        yield running


def client(server: Sandbox) -> Any:
    context = DhanContext(server.scenario.client_id, TOKEN)
    context.get_dhan_http().base_url = server.url
    context.get_dhan_http().timeout = 5  # the user may say so; the client itself waits a minute
    return dhanhq(context)


@pytest.fixture
def dhan(desk: Desk, server: Sandbox) -> GuardedDhan:
    return GuardedDhan(client(server), desk.guard)


def buy(dhan: Any, quantity: int = 10, price: float = 90.0, **more: Any) -> dict[str, Any]:
    """Place a limit order that rests."""
    found: dict[str, Any] = dhan.place_order("1333", "NSE_EQ", "BUY", quantity, "LIMIT", "INTRADAY", price, **more)
    return found


def sent(server: Sandbox) -> list[tuple[str, dict[str, Any]]]:
    return [call for call in server.calls if call[0] in WRITES]


# -- the same door --------------------------------------------------------------------------------------------------------


def test_names_and_signatures_are_dhanhqs() -> None:
    """Every guarded method takes what the client's takes, in the same order, with the same defaults."""
    guarded = [name for name in vars(GuardedDhan) if not name.startswith("_") and hasattr(dhanhq, name)]
    assert len(guarded) == 16
    for name in guarded:
        ours, theirs = (inspect.signature(getattr(owner, name)).parameters for owner in (GuardedDhan, dhanhq))
        assert [(each.name, each.default) for each in ours.values()] == [
            (each.name, each.default) for each in theirs.values()
        ], name


def test_everything_that_writes_is_guarded() -> None:
    """A method of the client that places or modifies and is not guarded would be a hole: name it here, with the reason."""
    free = {
        "modify_ip": "of another class",
        # US shares through another broker: no account of ours holds them.
        "place_global_order": "", "modify_global_order": "", "place_global_stock_order": "", "place_global_stocks_order": "",
        "modify_global_stocks_order": "",
    }  # fmt: skip
    writes = {name for name in dir(dhanhq) if name.startswith(("place", "modify"))}
    assert {name for name in writes if name not in vars(GuardedDhan)} <= set(free)


def test_the_rest_is_the_clients_own(dhan: GuardedDhan, server: Sandbox) -> None:
    """Constants, reads and the kill switch pass through; an unknown name is the client's AttributeError."""
    assert (dhan.NSE, dhan.INTRA, dhan.SLM) == ("NSE_EQ", "INTRADAY", "STOP_LOSS_MARKET")
    assert dhan.get_positions()["status"] == "success"
    assert dhan.status_kill_switch()["status"] == "success"
    with pytest.raises(AttributeError):
        dhan.no_such_method()
    assert TOKEN not in repr(dhan)


@pytest.mark.parametrize("account", ["nobody", None])
def test_the_account_must_be_known(make_two: Desk, server: Sandbox, account: str | None) -> None:
    """A name the database does not have is refused; so is none where there are two."""
    with pytest.raises(SettingsError, match="leader"):
        GuardedDhan(client(server), make_two.guard, account)
    assert GuardedDhan(client(server), make_two.guard, "leader").account == "leader"


@pytest.fixture
def make_two(make_desk: Any) -> Desk:
    found: Desk = make_desk(accounts=("leader", "second"))
    return found


# -- placing --------------------------------------------------------------------------------------------------------------


def test_an_approved_order_is_sent_once_and_reported(desk: Desk, dhan: GuardedDhan, server: Sandbox) -> None:
    """The server has it with our correlation id; the permit is ACKED with the server's order id."""
    answer = buy(dhan)

    assert answer["status"] == "success"
    (call,) = sent(server)
    assert call[1]["price"] == 90.0 and call[1]["quantity"] == 10
    assert call[1]["correlationId"].startswith("rg")
    assert desk.rows("SELECT state, order_id, correlation_id FROM permits") == [
        ("ACKED", answer["data"]["orderId"], call[1]["correlationId"])
    ]


def test_a_refusal_is_dhanhqs_own_failure(desk: Desk, dhan: GuardedDhan, server: Sandbox) -> None:
    """Code and message stand in `remarks`, `data` is the empty text; nothing reached the server; it is on disk."""
    desk.kill()
    answer = buy(dhan)

    assert answer["status"] == "failure" and answer["data"] == ""
    assert answer["remarks"]["error_code"] == "TRADING_HALTED" and answer["remarks"]["error_type"] == "RISKGUARD"
    assert "fat finger" in answer["remarks"]["error_message"]
    assert sent(server) == []
    assert desk.one("SELECT count(*) FROM risk_violations") == 1


def test_a_refusal_may_be_raised(desk: Desk, server: Sandbox) -> None:
    """`on_refusal="raise"`: OrderRefusedError with the decision; a malformed call raises what is wrong with it."""
    dhan = GuardedDhan(client(server), desk.guard, on_refusal="raise")
    desk.kill()
    with pytest.raises(OrderRefusedError) as said:
        buy(dhan)
    assert said.value.decision.rejects[0].code == "TRADING_HALTED"
    with pytest.raises(ValueError, match="quantity"):
        buy(dhan, quantity=0)
    with pytest.raises(SettingsError):
        GuardedDhan(client(server), desk.guard, on_refusal="ignore")  # type: ignore[arg-type]


MALFORMED = table("""
    quantity  price  product
    0         90     INTRADAY
    -1        90     INTRADAY
    1.5       90     INTRADAY
    10        nan    INTRADAY
    10        -1     INTRADAY
    10        0      INTRADAY
    10        90     CO
    10        90     NOSUCH
""")


@pytest.mark.parametrize("row", MALFORMED, ids=str)
def test_a_malformed_call_is_never_sent(dhan: GuardedDhan, server: Sandbox, row: Row) -> None:
    """`ORDER_INVALID` names the field; dhanhq itself would have sent most of these."""
    quantity: Any = float(row.quantity) if "." in row.quantity else int(row.quantity)
    answer = dhan.place_order("1333", "NSE_EQ", "BUY", quantity, "LIMIT", row.product, float(row.price))
    assert answer["status"] == "failure" and answer["remarks"]["error_code"] == "ORDER_INVALID"
    assert sent(server) == []


ANSWERS = table("""
    how                 state
    DH-905              REFUSED
    DH-906              REFUSED
    DH-904              REFUSED
    server_error        UNKNOWN
    unreachable         UNKNOWN
    reset_before        UNKNOWN
    reset_after         UNKNOWN
    close_after         UNKNOWN
    truncated           UNKNOWN
    html                UNKNOWN
    html_502            UNKNOWN
    empty               UNKNOWN
    error_inside        UNKNOWN
    error_list          UNKNOWN
    blank_data          UNKNOWN
    gateway_404         UNKNOWN
""")


@pytest.mark.parametrize("row", ANSWERS, ids=str)
def test_only_the_brokers_own_no_frees_the_reservation(
    desk: Desk, dhan: GuardedDhan, server: Sandbox, row: Row
) -> None:
    """Everything else may rest there: it stays reserved, and the bot gets the client's answer as it was."""
    server.break_next("POST /orders", row.how)
    answer = buy(dhan)

    assert desk.rows("SELECT state FROM permits") == [(row.state,)]
    assert set(answer) == {"status", "remarks", "data"}
    assert len(sent(server)) == 1, "nothing is sent twice"


def test_slices_are_reserved_together_and_sent_one_by_one(make_desk: Any, server: Sandbox) -> None:
    """1,000 units against a freeze quantity of 400: 400, 400 and 200, in our own calls; `data` lists them."""
    desk: Desk = make_desk()
    desk.sweep()
    desk.sql("UPDATE instruments SET freeze_quantity = 400 WHERE security_id = '1333'")
    dhan = GuardedDhan(client(server), desk.guard)

    answer = dhan.place_slice_order("1333", "NSE_EQ", "BUY", 1000, "LIMIT", "INTRADAY", 90.0, tag="big")

    assert answer["status"] == "success" and len(answer["data"]) == 3
    assert [call[1]["quantity"] for call in sent(server)] == [400, 400, 200]
    assert desk.rows("SELECT DISTINCT state FROM permits") == [("ACKED",)]

    server.break_next("POST /orders", "DH-905")
    answer = dhan.place_slice_order("1333", "NSE_EQ", "BUY", 1000, "LIMIT", "INTRADAY", 89.0)
    assert answer["status"] == "failure"
    assert sorted(row[0] for row in desk.rows("SELECT state FROM permits WHERE price_e4 = 890000")) == [
        "REFUSED", "RELEASED", "RELEASED",
    ]  # fmt: skip


def test_super_forever_and_conditional_orders_are_asked(desk: Desk, dhan: GuardedDhan, server: Sandbox) -> None:
    """Each reserves what it may buy; killed, none of them reaches the server."""
    leg = {
        "transactionType": "BUY", "exchangeSegment": "NSE_EQ", "productType": "INTRADAY", "orderType": "LIMIT",
        "securityId": "1333", "quantity": 5, "validity": "DAY", "price": 90.0,
    }  # fmt: skip
    condition = {
        "comparisonType": "PRICE_WITH_VALUE", "exchangeSegment": "NSE_EQ", "securityId": "1333",
        "operator": "LESS_THAN", "comparingValue": 91, "expDate": "2027-01-01", "frequency": "ONCE",
    }  # fmt: skip

    def ask() -> list[dict[str, Any]]:
        return [
            dhan.place_super_order("1333", "NSE_EQ", "BUY", 10, "LIMIT", "INTRADAY", 90.0, 95.0, 85.0),
            dhan.place_forever("1333", "NSE_EQ", "BUY", "CNC", "LIMIT", 7, 89.0, 89.5),
            dhan.place_conditional_order(condition, [leg, {**leg, "quantity": 6}]),
        ]

    assert [answer["status"] for answer in ask()] == ["success"] * 3
    assert desk.rows("SELECT quantity, state FROM permits ORDER BY quantity") == [
        (5, "ACKED"), (6, "ACKED"), (7, "ACKED"), (10, "ACKED"),
    ]  # fmt: skip
    before = len(sent(server))
    desk.kill()
    assert {answer["remarks"]["error_code"] for answer in ask()} == {"TRADING_HALTED"}
    assert len(sent(server)) == before


# -- changing and cancelling -----------------------------------------------------------------------------------------------


def test_a_change_is_judged_as_what_it_becomes(make_desk: Any, server: Sandbox) -> None:
    """Within the limit it goes; above it, it is refused and the server never hears of it; unknown orders too."""
    desk: Desk = make_desk(text=rulebook(order_value='check = "order_value"\norder_value_inr_max = "2000"'))
    desk.sweep()
    dhan = GuardedDhan(client(server), desk.guard)
    order_id = buy(dhan)["data"]["orderId"]

    assert dhan.modify_order(order_id, "LIMIT", "", 20, 91.0, 0, 0, "DAY")["status"] == "success"
    refused = dhan.modify_order(order_id, "LIMIT", "", 40, 91.0, 0, 0, "DAY")
    unknown = dhan.modify_order("999", "LIMIT", "", 5, 91.0, 0, 0, "DAY")

    assert refused["remarks"]["error_code"] == "ORDER_VALUE_ABOVE_LIMIT"
    assert unknown["remarks"]["error_code"] == "NOT_SENDABLE"
    assert [call[0] for call in sent(server)] == ["POST /orders", "PUT /orders/{id}"]


LEG = {
    "transactionType": "BUY", "exchangeSegment": "NSE_EQ", "productType": "INTRADAY", "orderType": "LIMIT",
    "securityId": "1333", "quantity": 10, "validity": "DAY", "price": 90.0,
}  # fmt: skip


def condition(at: float) -> dict[str, Any]:
    return {
        "comparisonType": "PRICE_WITH_VALUE", "exchangeSegment": "NSE_EQ", "securityId": "1333",
        "operator": "LESS_THAN", "comparingValue": at, "expDate": "2027-01-01", "frequency": "ONCE",
    }  # fmt: skip


def stop_all(desk: Desk, state: str) -> None:
    """Bring the account into a state: HALTED by a kill, REDUCE_ONLY by a limit."""
    if state == "HALTED":
        desk.kill()
    elif state == "REDUCE_ONLY":
        with desk.store.session(durable=True, wait_s=5.0) as session:
            session.read_heads(desk.account)
            why = Cause(
                f"ACCOUNT:{desk.account}", TradingState.REDUCE_ONLY, "FEED_HEALTH", "seen", "sweep", desk.clock.now_us()
            )
            controls.raise_cause(session, desk.account, why)


CONDITIONS = table("""
    side  state        code
    BUY   ACTIVE       -
    BUY   REDUCE_ONLY  REDUCE_ONLY
    BUY   HALTED       TRADING_HALTED
    SELL  ACTIVE       -
    SELL  REDUCE_ONLY  -
    SELL  HALTED       TRADING_HALTED
""")


@pytest.mark.parametrize("row", CONDITIONS, ids=str)
def test_a_new_condition_is_judged_by_the_orders_it_lets_fire(
    desk: Desk, dhan: GuardedDhan, server: Sandbox, row: Row
) -> None:
    """
    Ten are held. An alert that buys may not be moved to where it fires while nothing may be added; one that sells what
    is held may, while exits are let out. Its own reservation does not stand in its way; a refusal is on disk.
    """
    desk.hold(10)
    alert_id = dhan.place_conditional_order(condition(50), [{**LEG, "transactionType": row.side}])["data"]["alertId"]
    stop_all(desk, row.state)
    before = desk.one("SELECT count(*) FROM risk_violations")

    answer = dhan.modify_conditional_order(alert_id, condition(101))

    went = [call[0] for call in sent(server)].count("PUT /alerts/orders/{id}")
    messages = desk.one("SELECT count(*) FROM order_messages WHERE kind = 'CANCEL'")
    if row.opt("code") is None:
        assert answer["remarks"]["error_type"] != "RISKGUARD" and (went, messages) == (1, 1), answer
    else:
        assert (answer["remarks"]["error_code"], went, messages) == (row.code, 0, 0)
        assert desk.one("SELECT count(*) FROM risk_violations") == before + 1
    assert dhan.cancel_conditional_order(alert_id)["status"] == "success"


def test_an_alert_that_cannot_be_read_back_is_not_changed(desk: Desk, dhan: GuardedDhan, server: Sandbox) -> None:
    """Nobody can say what it would place: unknown to the broker, or the broker is silent."""
    alert_id = dhan.place_conditional_order(condition(50), [LEG])["data"]["alertId"]
    for name in ("999", alert_id):
        if name == alert_id:
            server.break_next("GET /alerts/orders/{id}", "DH-910")
        answer = dhan.modify_conditional_order(name, condition(101))
        assert answer["remarks"]["error_code"] == "NOT_SENT" and "cannot be read back" in str(answer["remarks"])
    assert [call[0] for call in sent(server)] == ["POST /alerts/orders"]


def test_two_orders_of_an_alert_are_judged_together(desk: Desk, dhan: GuardedDhan) -> None:
    """Each sells what is held, both would go short: what reduces alone does not reduce twice."""
    desk.hold(10)
    sells = [{**LEG, "transactionType": "SELL"}, {**LEG, "transactionType": "SELL", "price": 91.0}]
    alert_id = dhan.place_conditional_order(condition(50), sells)["data"]["alertId"]
    stop_all(desk, "REDUCE_ONLY")

    assert dhan.modify_conditional_order(alert_id, condition(101))["remarks"]["error_code"] == "REDUCE_ONLY"


MOVES = table("""
    leg            to    trailing  ACTIVE  REDUCE_ONLY  HALTED
    STOP_LOSS_LEG  86    1         yes     yes          yes
    STOP_LOSS_LEG  85    1         yes     yes          yes
    STOP_LOSS_LEG  84    1         yes     no           no
    STOP_LOSS_LEG  0     1         any     no           no
    STOP_LOSS_LEG  86    0.5       yes     yes          yes
    STOP_LOSS_LEG  86    2         yes     no           no
    STOP_LOSS_LEG  86    0         yes     no           no
    TARGET_LEG     94    0         yes     yes          yes
    TARGET_LEG     95    0         yes     yes          yes
    TARGET_LEG     96    0         yes     no           no
    TARGET_LEG     nan   0         any     no           no
""")


@pytest.mark.parametrize("row", MOVES, ids=str)
@pytest.mark.parametrize("state", ["ACTIVE", "REDUCE_ONLY", "HALTED"])
def test_an_exit_leg_moves_only_towards_the_market_while_the_account_is_stopped(
    desk: Desk, dhan: GuardedDhan, server: Sandbox, row: Row, state: str
) -> None:
    """Bought with a stop at 85 that trails by 1 and a target at 95: away from there the position is less protected."""
    placed = dhan.place_super_order("1333", "NSE_EQ", "BUY", 10, "LIMIT", "INTRADAY", 90.0, 95.0, 85.0, 1.0)
    stop_all(desk, state)
    expected = getattr(row, state)
    if expected == "any":
        return  # the broker's to refuse

    answer = dhan.modify_super_order(
        placed["data"]["orderId"], "LIMIT", row.leg, targetPrice=float(row.to), stopLossPrice=float(row.to),
        trailingJump=float(row.trailing),
    )  # fmt: skip

    went = [call[0] for call in sent(server)].count("PUT /super/orders/{id}")
    if expected == "yes":
        assert (answer["status"], went) == ("success", 1), answer
    else:
        words = {"HALTED": "TRADING_HALTED", "REDUCE_ONLY": "REDUCE_ONLY"}
        assert answer["remarks"]["error_code"] in (words[state], "ORDER_INVALID") and went == 0
        refused = desk.one("SELECT count(*) FROM risk_violations WHERE code = ?", words[state])
        assert refused == (answer["remarks"]["error_code"] == words[state])
    assert dhan.cancel_super_order(placed["data"]["orderId"], row.leg)["status"] == "success"


@pytest.mark.parametrize(("target", "stop", "code"), [(95, 85, ""), (95, 84, "REDUCE_ONLY"), (96, 85, "REDUCE_ONLY")])
def test_a_change_of_the_entry_takes_no_exit_away(
    desk: Desk, dhan: GuardedDhan, server: Sandbox, target: float, stop: float, code: str
) -> None:
    """Under REDUCE_ONLY the entry may be made smaller; the prices of its exits go along and may not move away."""
    placed = dhan.place_super_order("1333", "NSE_EQ", "BUY", 10, "LIMIT", "INTRADAY", 90.0, 95.0, 85.0)
    stop_all(desk, "REDUCE_ONLY")

    answer = dhan.modify_super_order(placed["data"]["orderId"], "LIMIT", "ENTRY_LEG", 5, 90.0, target, stop)

    went = [call[0] for call in sent(server)].count("PUT /super/orders/{id}")
    if code:
        assert (answer["remarks"]["error_code"], went) == (code, 0)
    else:
        assert (answer["status"], went) == ("success", 1), answer


def test_a_leg_that_cannot_be_read_back_stays_while_the_account_is_stopped(
    desk: Desk, dhan: GuardedDhan, server: Sandbox
) -> None:
    """Active: the broker's to answer. Stopped: nobody can say which way it would move."""
    assert dhan.modify_super_order("999", "LIMIT", "STOP_LOSS_LEG", stopLossPrice=86.0)["status"] == "failure"
    assert [call[0] for call in sent(server)] == ["PUT /super/orders/{id}"]
    desk.kill()
    answer = dhan.modify_super_order("999", "LIMIT", "STOP_LOSS_LEG", stopLossPrice=86.0)
    assert answer["remarks"]["error_code"] == "NOT_SENT" and len(sent(server)) == 1


def test_a_cancel_always_goes_and_is_counted(desk: Desk, dhan: GuardedDhan, server: Sandbox) -> None:
    """Killed, and even with the database locked by another program."""
    order_id = buy(dhan)["data"]["orderId"]
    desk.kill()
    assert dhan.cancel_order(order_id)["status"] == "success"
    assert desk.one("SELECT count(*) FROM order_messages WHERE kind = 'CANCEL'") == 1

    with contextlib.closing(__import__("sqlite3").connect(desk.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        dhan.cancel_order(order_id)
        dhan.cancel_forever("1")
        other.execute("ROLLBACK")
    assert [call[0] for call in server.calls if call[0].startswith("DELETE")] == [
        "DELETE /orders/{id}", "DELETE /orders/{id}", "DELETE /forever/orders/{id}",
    ]  # fmt: skip


# -- tags -------------------------------------------------------------------------------------------------------------------


def test_a_program_sees_its_own_tags(desk: Desk, dhan: GuardedDhan, server: Sandbox) -> None:
    """The broker has ours, the program its own, also one with a blank, also twice, also after a restart."""
    for price, tag in ((90.0, "dip"), (89.0, "dip"), (88.0, "my tag"), (87.0, None)):
        assert buy(dhan, price=price, tag=tag)["status"] == "success"
    assert all(call[1]["correlationId"].startswith("rg") for call in sent(server))

    again = GuardedDhan(client(server), desk.another_guard())
    for each in (dhan, again):
        rows = each.get_order_list()["data"]
        assert sorted(row["correlationId"] for row in rows if not row["correlationId"].startswith("rg")) == [
            "dip", "dip", "my tag",
        ]  # fmt: skip
        (newest,) = [each.get_order_by_correlationID("dip")["data"]]
        newest = newest[0] if isinstance(newest, list) else newest
        assert newest["price"] == 89.0 and newest["correlationId"] == "dip"
    assert dhan.get_order_by_correlationID("never")["status"] == "failure"


# -- killed -----------------------------------------------------------------------------------------------------------------


class Hammer(threading.Thread):
    """A strategy gone wild: places as fast as it can until it has been told `TRADING_HALTED` ten times."""

    def __init__(self, dhan: GuardedDhan) -> None:
        super().__init__(daemon=True)
        self.dhan, self.through, self.heard = dhan, threading.Event(), list[str]()

    def run(self) -> None:
        price = 50.0
        while self.heard.count("TRADING_HALTED") < 10 and len(self.heard) < 100_000:
            price += 0.05
            answer = buy(self.dhan, 1, round(price, 2))
            self.heard.append("success" if answer["status"] == "success" else answer["remarks"]["error_code"])
            if answer["status"] == "success":
                self.through.set()


@pytest.mark.parametrize("_round", [0, 1, *(pytest.param(number, marks=pytest.mark.soak) for number in range(2, 100))])
def test_a_strategy_that_hammers_while_killed_gets_nothing_through(
    make_desk: Any, server: Sandbox, _round: int
) -> None:
    """Three threads, each with a client of its own; after `kill()` returned nothing is marked SENT, so nothing goes."""
    desk: Desk = make_desk(clock=SystemClock())
    desk.sweeper.sweep()
    workers = [Hammer(GuardedDhan(client(server), desk.guard, strategy="loop")) for _ in range(3)]
    for each in workers:
        each.start()
    assert all(each.through.wait(60) for each in workers), [each.heard[-1:] for each in workers]
    desk.kill()
    killed_us, before = SystemClock().now_us(), len(sent(server))
    for each in workers:
        each.join(120)
        assert not each.is_alive() and each.heard[-1] == "TRADING_HALTED"
    # What was marked SENT before the kill may still have been on the wire: one order per thread at the most.
    assert desk.one("SELECT count(*) FROM permits WHERE sent_at_us > ?", killed_us) == 0
    assert len(sent(server)) - before <= len(workers)
    assert desk.one("SELECT count(*) FROM permits WHERE sent_at_us IS NOT NULL") >= 3


# -- an example bot, both ways ----------------------------------------------------------------------------------------------


def run_bot(text: str, directory: Path, server: Sandbox) -> list[str]:
    script = directory / "bot.py"
    script.write_text(text)
    done = subprocess.run(
        [sys.executable, str(script), server.url, server.scenario.client_id, TOKEN], capture_output=True, text=True,
        cwd=directory, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert TOKEN not in done.stdout + done.stderr
    return done.stdout.splitlines()


def test_one_changed_line_guards_an_existing_bot(make_desk: Any, server: Sandbox, tmp_path: Path) -> None:
    """The same bot bare and guarded: the same orders go, the one above the limit does not, and its tags are its own."""
    desk: Desk = make_desk(
        text=rulebook(order_value='check = "order_value"\norder_value_inr_max = "5000"'), clock=SystemClock()
    )
    desk.sweeper.sweep()
    bare = run_bot(BOT.read_text(), tmp_path, server)
    first = len(server.calls)
    line = "dhan = dhanhq(context)\n"
    changed = f"from riskguard import GuardedDhan, RiskGuard\ndhan = GuardedDhan(dhanhq(context), RiskGuard.open({desk.url!r}, sweep=False))\n"  # noqa: E501
    assert BOT.read_text().count(line) == 1
    guarded = run_bot(BOT.read_text().replace(line, changed), tmp_path, server)

    assert bare[3] == '{"status": "success", "code": null}'
    assert guarded[3] == '{"status": "failure", "code": "ORDER_VALUE_ABOVE_LIMIT"}'
    assert [guarded[place] for place in (0, 1, 2, 4, 6)] == [bare[place] for place in (0, 1, 2, 4, 6)]
    assert "'entry', 'entry'" in guarded[5]
    theirs, ours = (
        [call for call in calls if call[0] in WRITES] for calls in (server.calls[:first], server.calls[first:])
    )
    plain = [
        {name: value for name, value in body.items() if name not in ("correlationId", "orderId")} for _n, body in theirs
    ]
    asked = [
        {name: value for name, value in body.items() if name not in ("correlationId", "orderId")} for _n, body in ours
    ]
    assert asked == [body for body in plain if body["quantity"] != 9000]


def test_the_token_is_nowhere(desk: Desk, dhan: GuardedDhan, server: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """Not in the database, its files, our logs or what is said, whatever goes wrong."""
    with caplog.at_level(logging.DEBUG, logger="riskguard"):
        for how in ("reset_before", "html", "DH-901", "truncated", "empty"):
            server.break_next("POST /orders", how)
            assert TOKEN not in str(buy(dhan, price=90.0 + len(how)))
        desk.kill()
        assert TOKEN not in str(buy(dhan))
    assert TOKEN not in "".join(record.getMessage() for record in caplog.records if record.name.startswith("riskguard"))
    for path in desk.path.parent.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path
    assert isinstance(desk.guard, RiskGuard)
