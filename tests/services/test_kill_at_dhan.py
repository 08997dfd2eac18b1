"""
The kill run against Dhan itself: the real adapter on the real client, over HTTP, to the local server with its rate limits.

What the paper market cannot lie about: four lists in one, requests that are counted, a change that keeps what it leaves
out, answers that say nothing. Time is virtual at both ends; what stands at the server in the end is what counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from riskguard.brokers.dhan import Credentials, DhanBroker
from riskguard.brokers.dhan.sandbox import Sandbox, Scenario
from riskguard.brokers.dhan.sandbox.scenario import OpeningPosition, OpeningQuote
from riskguard.core.state import TradingState
from riskguard.services.kill.killrun import KillRunner
from riskguard.services.kill.killrun.pace import LOOK_BACK_OFF_US, Looks
from riskguard.services.kill.options import PREFIX
from riskguard.store.kills import KillRun
from tests.core.tables import Row, table
from tests.dhan_server import PATIENT
from tests.services.desk import ACCOUNT, SECOND, Clock, Desk, rulebook
from tests.services.killing import ORDER_RATE, steps

TOKEN = "token-of-a-kill"
SHARE = ("NSE_EQ", "1333")
POLL_S = 0.5

AT_DHAN = table("""
    plan     orders                            scenario            broken                             ends             left
    cancel   buy,stop,super,forever,alert,amo  -                   -                                  DONE             share,stop
    cancel   wide                              -                   -                                  DONE             share,stop
    cancel   wide                              -                   PUT_/orders/{id}:DH-906*9          DONE             share,stop
    cancel   wide                              -                   PUT_/orders/{id}:reset_after*1     DONE             share,stop
    cancel   wide                              -                   PUT_/orders/{id}:reset_before*1    DONE             share,stop
    cancel   buy                               -                   DELETE_/orders/{id}:reset_after*1  DONE             share
    cancel   buy                               -                   GET_/forever/orders:DH-904*3       DONE             share
    cancel   buy                               ip_registered=0     -                                  IP               share,buy
    cancel   buy                               dead_token=1        -                                  TOKEN            share,buy
    flatten  stop                              position_lag_s=3    -                                  DONE             -
    flatten  buy,stop,super,forever            quoted=1            -                                  DONE             -
    flatten  -                                 quoted=1,falling=1  -                                  DONE             -
    flatten  stop                              -                   PUT_/orders/{id}:DH-906*9          DONE             -
    flatten  -                                 -                   POST_/orders:reset_after*1         DONE             -
    flatten  -                                 -                   POST_/orders:reset_before*1        EXIT_UNANSWERED  share
    flatten  -                                 exit_all=1          -                                  DONE             -
    broker   stop,forever                      position_lag_s=3    -                                  LOCKED           -
    broker   -                                 -                   POST_/killswitch:DH-904*2          LOCKED           -
""")  # fmt: skip


class BothClocks(Clock):
    """Waiting passes virtually too: the runner waits by the one and the server counts by the other."""

    def pass_s(self, seconds: float) -> None:
        self.advance(seconds)
        self.skipped_us += round(seconds * SECOND)


@pytest.fixture
def at_dhan(make_desk: Callable[..., Desk]) -> Iterator[Callable[..., tuple[Desk, Sandbox, DhanBroker]]]:
    """Make a desk, a server of ten shares at 100 on the desk's clock, and the adapter between them."""
    made: list[Any] = []

    def world(**scenario: Any) -> tuple[Desk, Sandbox, DhanBroker]:
        desk = make_desk(profile="dhan", clock=BothClocks(), text=rulebook(order_rate=ORDER_RATE))
        held = OpeningPosition(*SHARE, "INTRADAY", 10, "100")
        settings = Scenario(
            token=TOKEN, positions=(held,), quotes=(OpeningQuote(*SHARE, "100", "99.95", "100.05"),), **scenario
        )
        server = Sandbox(settings, now_us=desk.clock.now_us).start()
        credentials = lambda: Credentials(settings.client_id, TOKEN)  # noqa: E731
        broker = DhanBroker(credentials, account=ACCOUNT, base_url=server.url, timeouts=PATIENT)
        made.extend((broker.close, server.stop))
        return desk, server, broker

    yield world
    for end in made:
        end()


def client_of(server: Sandbox) -> Any:
    from dhanhq import DhanContext, dhanhq

    context = DhanContext(server.scenario.client_id, TOKEN)
    context.get_dhan_http().base_url = server.url
    return dhanhq(context)


def rest(server: Sandbox, word: str) -> None:
    """Place past riskguard, as the broker's app or another program does."""
    dhan, share = client_of(server), {"security_id": "1333", "exchange_segment": "NSE_EQ", "quantity": 10}
    buy = {**share, "transaction_type": "BUY", "order_type": "LIMIT", "price": 90.0}
    stop = {
        "transaction_type": "SELL",
        "order_type": "STOP_LOSS",
        "product_type": "INTRADAY",
        "price": 89.0,
        "trigger_price": 90.0,
    }
    at = {"exchangeSegment": "NSE_EQ", "securityId": "1333", "comparisonType": "PRICE_WITH_VALUE", "operator": "GREATER_THAN",
          "timeFrame": "DAY", "comparingValue": 180.0, "expDate": "2026-12-31", "frequency": "ONCE"}  # fmt: skip
    then = {"transactionType": "BUY", "exchangeSegment": "NSE_EQ", "productType": "INTRADAY", "orderType": "LIMIT",
            "securityId": "1333", "quantity": 5, "validity": "DAY", "price": 150.0}  # fmt: skip
    answer = {
        "buy": lambda: dhan.place_order(**buy, product_type="INTRADAY"),
        "amo": lambda: dhan.place_order(**buy, product_type="INTRADAY", after_market_order=True),
        "stop": lambda: dhan.place_order(**share, **stop),
        "wide": lambda: dhan.place_order(**{**share, **stop, "quantity": 25}),  # than what is held
        "super": lambda: dhan.place_super_order(**buy, product_type="INTRADAY", targetPrice=120.0, stopLossPrice=80.0),
        "forever": lambda: dhan.place_forever(**buy, product_type="CNC", trigger_Price=91.0),
        "alert": lambda: dhan.place_conditional_order(at, [then]),
    }[word]()  # fmt: skip
    assert answer["status"] == "success", answer


def resting(server: Sandbox) -> list[str]:
    """Return what still can trade at the server: sides and types of orders, and standing instructions."""
    found = [
        "stop" if each.trigger_e4 else each.side.lower()
        for each in server.desk.exchange.orders.values()
        if each.is_live
    ]
    found += ["forever" for each in server.desk.forevers.values() if each.status == "CONFIRM"]
    return found + ["alert" for each in server.desk.alerts.values() if each.status == "ACTIVE"]


def drive(
    desk: Desk, runner: KillRunner, move: Callable[[int], None], *, s_max: float = 100, poll_s: float = POLL_S
) -> KillRun:
    """Poll as the command does until the run is done or blocked, time passing meanwhile."""
    run: KillRun | None = None
    for number in range(int(s_max / poll_s)):
        desk.clock.pass_s(poll_s)
        move(number)
        standing = runner.advance()
        run = standing[-1] if standing else run
        if run is not None and run.state != "OPEN":
            return run
    assert run is not None
    return run


def settings_of(words: str) -> dict[str, Any]:
    given = dict(word.split("=") for word in words.split(",") if word != "-")
    return {name: int(value) if value.isdecimal() else value for name, value in given.items()}


@pytest.mark.parametrize("row", AT_DHAN, ids=lambda row: f"{row.plan}|{row.orders}|{row.scenario}|{row.broken}")
def test_a_kill_at_dhan_ends_where_it_must(at_dhan: Callable[..., Any], row: Row) -> None:
    """Flat and locked, or blocked with its reason; never short, and no write is refused for there being too many."""
    how = settings_of(row.scenario)
    own = {name: how.pop(name, 0) for name in ("dead_token", "quoted", "falling", "exit_all")}
    how |= {"ip_registered": bool(how.get("ip_registered", 1)), "exit_all_reply": "empty"}
    desk, server, broker = at_dhan(**{**how, "ip_registered": True})
    for word in [] if row.orders == "-" else row.orders.split(","):
        rest(server, word)
    desk.clock.pass_s(2)
    if own["exit_all"]:  # its answer has no body at all
        desk.sql("UPDATE config SET value = 'on' WHERE key = ?", f"{PREFIX}flatten_exit_all")
    object.__setattr__(server.desk.scenario, "ip_registered", how["ip_registered"])
    if own["dead_token"]:
        server.expire_token()
    if row.broken != "-":
        call, _, fault = row.broken.replace("_/", " /").partition(":")
        fault, _, times = fault.partition("*")
        server.break_next(call, fault, int(times))

    def move(number: int) -> None:
        price = max(80.0, 100 - number * 0.2) if own["falling"] else 100.0
        server.quote(*SHARE, ltp=f"{price:.2f}", bid=f"{price - 0.05:.2f}", ask=f"{price + 0.05:.2f}")
        if own["quoted"]:
            desk.guard.quote(*SHARE, ltp=f"{price:.2f}", at=desk.clock.now_us())

    desk.kill(plan=row.plan)
    run = drive(desk, KillRunner(desk.guard, ACCOUNT, broker, desk.alerts), move)

    assert (run.blocked_by or run.state) == ("DONE" if row.ends == "LOCKED" else row.ends), (run.detail, steps(desk))
    assert (bool(run.locked), server.desk.kill_on) == ((True, True) if row.ends == "LOCKED" else (False, False)), run
    assert desk.guard.state(ACCOUNT).state is TradingState.HALTED
    left = set(row.left.split(",")) - {"-"}
    held = {each.product: each.net for each in server.desk.positions(lagging=False) if each.net}
    assert held == ({"INTRADAY": 10} if "share" in left else {})
    assert resting(server) == sorted(left - {"share"})
    stops = [
        each.quantity - each.filled for each in server.desk.exchange.orders.values() if each.is_live and each.trigger_e4
    ]
    assert stops == [10] * ("stop" in left)
    net = 10
    for fill in server.desk.exchange.fills:
        net += fill.quantity if fill.order.side == "BUY" else -fill.quantity
        assert 0 <= net <= 10, "crossed zero, or opened"


def test_a_broker_that_is_polled_too_often_is_never_read_again(
    at_dhan: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: without the distance between looks the server refuses them all, and nothing is ever cancelled."""
    desk, server, broker = at_dhan()
    rest(server, "buy")
    monkeypatch.setattr(Looks, "wait_us", lambda _self: 0)
    desk.kill()
    run = drive(desk, KillRunner(desk.guard, ACCOUNT, broker), lambda _: None, s_max=8, poll_s=0.25)

    assert run.state == "OPEN" and "DH-904" in run.detail, run
    monkeypatch.undo()
    assert drive(desk, KillRunner(desk.guard, ACCOUNT, broker), lambda _: None, s_max=40, poll_s=0.25).state == "DONE"


LOOKED = table("""
    refused  apart_s  waits_s
    0        1        1
    1        1        2
    2        1        4
    3        1        8
    9        1        8
    0        0        0
    1        0        2
""")


@pytest.mark.parametrize("row", LOOKED, ids=str)
def test_looks_stand_apart_and_back(row: Row) -> None:
    """The broker's own distance; two, four, eight seconds after so many refusals in a row; one good look ends that."""
    clock = Still()
    looks = Looks(clock, int(row.apart_s) * SECOND)
    assert looks.wait_us() == 0, "the first look is never late"
    refused, apart_us = int(row.refused), int(row.apart_s) * SECOND
    looks = Looks(clock, apart_us)
    for _ in range(refused):
        looks.made(1, clock.elapsed_us(), too_many=True)
    if not refused:
        looks.made(1, clock.elapsed_us(), too_many=False)
    assert looks.wait_us() == int(row.waits_s) * SECOND
    looks.made(2, clock.elapsed_us(), too_many=False)
    assert looks.wait_us() == 2 * apart_us
    assert max(LOOK_BACK_OFF_US) < 20 * SECOND, "the lease is kept meanwhile"


class Still(Clock):
    """Waiting time that stands."""

    def elapsed_us(self) -> int:
        return 7 * SECOND
