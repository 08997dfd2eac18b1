"""Goal: the local server keeps the rules of the real one that a guard must live with, and a scenario is read strictly."""

from __future__ import annotations

import contextlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from riskguard.brokers.dhan import DhanRefusedError
from riskguard.brokers.dhan.sandbox import Fault, Sandbox, Scenario, read_scenario
from riskguard.brokers.dhan.sandbox.limits import READS, WRITES, Windows
from riskguard.brokers.dhan.sandbox.scenario import OpeningPosition, OpeningQuote
from riskguard.brokers.dhan.sandbox.table import ROUTES
from riskguard.errors import SettingsError
from tests.dhan_server import OPTION, World

WAIT_S = 20


@pytest.fixture
def world() -> Iterator[World]:
    with World() as made:
        made.quote("1650", "1649.95", "1650.05")
        yield made


# -- rates, tokens, addresses -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "most"), WRITES)
def test_a_window_takes_so_many_and_no_more(seconds: int, most: int) -> None:
    """The last that fits is taken, the next is not; when the first has left the window there is room again."""
    now = [1_000_000_000]
    windows = Windows(((seconds, most),), lambda: now[0])

    assert all(windows.take() for _ in range(most))
    assert not windows.take()
    now[0] += seconds * 1_000_000
    assert windows.take()


def test_writes_and_reads_are_limited_apart() -> None:
    """Ten writes in a second, the eleventh is DH-904 and 429 without Retry-After; reads have their own window."""
    with World(rate_limits=True) as world:
        for _ in range(10):
            world.place("BUY 1 LIMIT 10 -")
        with pytest.raises(DhanRefusedError) as caught:
            world.place("BUY 1 LIMIT 10 -")
        assert (caught.value.kind, caught.value.too_many) == ("rate", True)
        assert len(world.broker.positions()) == 0

        world.clock.pass_s(1)
        assert len([each for each in world.broker.orders() if each.is_live]) == 10
    assert READS == ((1, 20),)


def test_a_token_ends_and_a_new_one_kills_the_old(world: World) -> None:
    """After its life every call says DH-901, writes and reads alike."""
    with World(token_life_s=60) as short:
        assert short.broker.positions() == ()
        short.clock.pass_s(60)
        for call in (short.broker.positions, short.place):
            with pytest.raises(DhanRefusedError, match="riskguard token set") as caught:
                call()
            assert caught.value.kind == "token"
    world.server.expire_token()
    with pytest.raises(DhanRefusedError):
        world.broker.funds()


# -- the market -------------------------------------------------------------------------------------------------------


def test_a_stop_rests_until_it_is_triggered(world: World) -> None:
    """Then it is a market or a limit order; on the wrong side of the last price a stop at market is refused."""
    stop = world.place("SELL 10 STOP_LOSS_MARKET - 1600")
    assert world.seen(stop).status == "PENDING"
    with pytest.raises(DhanRefusedError):
        world.place("SELL 10 STOP_LOSS_MARKET - 1700")

    world.quote("1600", "1599.95", "1600.05")

    assert (world.seen(stop).status, world.broker.trades()[0].price_e4) == ("TRADED", 15_999_500)


def test_an_immediate_order_leaves_no_rest(world: World) -> None:
    assert world.seen(world.place("BUY 10 LIMIT 1600 -", validity="IOC")).status == "CANCELLED"


def test_a_forever_order_fires_into_the_book(world: World) -> None:
    """The leg that is reached places its order; the other is gone with it."""
    client = world.client()
    client.place_forever(
        "1333", "NSE_EQ", "SELL", "CNC", "LIMIT", 5, 1690, 1699, order_flag="OCO", price1=1490, trigger_Price1=1500,
        quantity1=5,
    )  # fmt: skip
    world.quote("1660", "1659.95", "1660.05")
    assert [each.kind for each in world.broker.orders()] == ["FOREVER", "FOREVER"]

    world.quote("1700", "1699.95", "1700.05")

    book = [each for each in world.broker.orders() if each.kind == "ORDER"]
    assert [(each.side, each.filled, each.status) for each in book] == [("SELL", 5, "TRADED")]
    assert not any(each.is_live for each in world.broker.orders())


def test_a_position_is_converted(world: World) -> None:
    """INTRADAY to CNC: the net moves from one line to the other."""
    world.place("BUY 10 MARKET - -")
    client = world.client()
    assert client.convert_position("INTRADAY", "NSE_EQ", "LONG", "1333", 4, "CNC")["status"] == "success"

    assert [(each.product, each.net) for each in world.broker.positions()] == [("INTRADAY", 6), ("CNC", 4)]
    assert client.convert_position("INTRADAY", "NSE_EQ", "LONG", "1333", 7, "CNC")["status"] == "failure"


def test_unknown_orders_look_as_they_do_at_dhan(world: World) -> None:
    """By id an empty list with 200; by tag 404, also for one in transit."""
    client = world.client()
    assert client.get_order_by_id("123") == {"status": "success", "remarks": "", "data": []}
    assert client.get_order_by_correlationID("none")["remarks"]["error_code"] == "DH-906"
    world.place("BUY 10 LIMIT 10 -")
    assert client.get_order_by_correlationID("rg00001")["data"]["correlationId"] == "rg00001"
    assert client.get_trade_history("2026-09-01", "2026-09-30", 0)["data"] == []


def test_an_order_is_modified_25_times(world: World) -> None:
    client, order_id = world.client(), world.place("BUY 10 LIMIT 10 -")
    answers = [client.modify_order(order_id, "LIMIT", "NA", 10, 10 + n, 0, 0, "DAY")["status"] for n in range(26)]
    assert answers == ["success"] * 25 + ["failure"]


@pytest.mark.parametrize(
    "changes",
    [{"correlationId": "x" * 26}, {"quantity": 0}, {"quantity": ""}, {"orderType": "GUESS"}, {"price": ""}, {"price": 0},
     {"securityId": ""}, {"dhanClientId": "other"}, {"exchangeSegment": "NYSE"}, {"productType": "MIS"}],
    ids=str,
)  # fmt: skip
def test_bad_fields_are_refused_as_dhan_does(world: World, changes: dict[str, Any]) -> None:
    """Empty texts too: documented samples hold them, the service refuses them."""
    body = {
        "dhanClientId": "1100099001", "transactionType": "BUY", "exchangeSegment": "NSE_EQ", "productType": "CNC",
        "orderType": "LIMIT", "validity": "DAY", "securityId": "1333", "quantity": 1, "price": 10.0, **changes,
    }  # fmt: skip
    request = urllib.request.Request(
        f"{world.server.url}/orders", json.dumps(body).encode(), {"access-token": world.token}, method="POST"
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=WAIT_S)
    assert (caught.value.code, json.load(caught.value)["errorCode"]) == (400, "DH-905")


def test_every_method_of_the_official_client_is_served() -> None:
    """Each path it asks is one of the server's; prices and streams of other hosts apart."""
    with World() as world:
        client = world.client()
        at = {"exchangeSegment": "NSE_EQ", "securityId": "1333", "comparisonType": "PRICE_WITH_VALUE"}
        calls: list[tuple[str, tuple[Any, ...]]] = [
            ("get_order_list", ()), ("get_order_by_id", ("1",)), ("get_order_by_correlationID", ("1",)),
            ("modify_order", ("1", "LIMIT", "NA", 1, 1, 0, 0, "DAY")), ("cancel_order", ("1",)),
            ("place_order", ("1", "NSE_EQ", "BUY", 1, "LIMIT", "CNC", 1)),
            ("place_slice_order", ("1", "NSE_EQ", "BUY", 1, "LIMIT", "CNC", 1)), ("get_super_order_list", ()),
            ("place_super_order", ("1", "NSE_EQ", "BUY", 1, "LIMIT", "CNC", 10, 20, 5)),
            ("modify_super_order", ("1", "LIMIT", "TARGET_LEG")), ("cancel_super_order", ("1", "ENTRY_LEG")),
            ("place_forever", ("1", "NSE_EQ", "BUY", "CNC", "LIMIT", 1, 1, 1)), ("get_forever", ()),
            ("modify_forever", ("1", "SINGLE", "LIMIT", "TARGET_LEG", 1, 1, 1, 0, "DAY")), ("cancel_forever", ("1",)),
            ("place_conditional_order", (at, [{"quantity": 1}])), ("get_conditional_orders", ()),
            ("get_conditional_order", ("1",)), ("modify_conditional_order", ("1", at)), ("cancel_conditional_order", ("1",)),
            ("get_holdings", ()), ("get_positions", ()), ("convert_position", ("CNC", "NSE_EQ", "LONG", "1", 1, "INTRADAY")),
            ("kill_switch", ("ACTIVATE",)), ("status_kill_switch", ()), ("set_pnl_exit", (1, -1, ["INTRADAY"])),
            ("get_pnl_exit", ()), ("stop_pnl_exit", ()), ("get_fund_limits", ()),
            ("margin_calculator", ("1", "NSE_EQ", "BUY", 1, "CNC", 1)), ("margin_calculator_multi", ([{}],)),
            ("get_trade_book", ()), ("get_trade_book", ("1",)), ("get_trade_history", ("2026-09-01", "2026-09-02")),
            ("ledger_report", ("2026-09-01", "2026-09-02")), ("edis_inquiry", ("ALL",)), ("ticker_data", ({"NSE_EQ": [1]},)),
            ("ohlc_data", ({"NSE_EQ": [1]},)), ("quote_data", ({"NSE_EQ": [1]},)), ("generate_tpin", ()),
            ("exit_all_positions", ()),
        ]  # fmt: skip
        for name, words in calls:
            before = len(world.server.calls)
            # Two of its methods stumble over the answer, after it was asked.
            with contextlib.suppress(TypeError, ValueError, AttributeError):
                getattr(client, name)(*words)
            assert len(world.server.calls) == before + 1, name


# -- order updates ----------------------------------------------------------------------------------------------------


def login(world: World, token: str) -> str:
    told = {"LoginReq": {"MsgCode": 42, "ClientId": "1100099001", "Token": token}, "UserType": "SELF"}
    return json.dumps(told)


def test_every_change_of_an_order_is_told(world: World) -> None:
    """Placed, landed, filled in parts; in the case seen on the wire. A connection that is cut says so."""
    with connect(world.server.stream_url, open_timeout=WAIT_S) as stream:
        stream.send(login(world, world.token))
        while not world.server._stream.listeners:
            time.sleep(0.001)
        order_id = world.place("BUY 10 MARKET - -")

        told = [json.loads(stream.recv(timeout=WAIT_S)) for _ in range(3)]
        assert [each["Type"] for each in told] == ["order_alert"] * 3
        assert [each["Data"]["status"] for each in told] == ["Transit", "Pending", "Traded"]
        assert {each["Data"]["orderNo"] for each in told} == {order_id}
        assert (told[-1]["Data"]["tradedQty"], told[-1]["Data"]["correlationId"]) == (10, "rg00001")
        world.server._stream.drop()
        with pytest.raises(ConnectionClosed):
            stream.recv(timeout=WAIT_S)


def test_a_bad_token_is_cut_off_without_a_word(world: World) -> None:
    """No close frame and no answer: that is how it looks."""
    with connect(world.server.stream_url, open_timeout=WAIT_S) as stream:
        stream.send(login(world, "wrong"))
        with pytest.raises(ConnectionClosed) as caught:
            stream.recv(timeout=WAIT_S)
        assert caught.value.rcvd is None


# -- scenarios --------------------------------------------------------------------------------------------------------

TOML = """
transit_s = 1
position_lag_s = 4.5
fill_quantity_max = 50
kill_refusal = "sentence"

[[quotes]]
segment = "NSE_FNO"
security_id = "52211"
ltp = "118.40"

[[positions]]
segment = "NSE_FNO"
security_id = "52211"
product = "MARGIN"
quantity = -75
price = "117.20"

[[faults]]
call = "POST /orders"
how = "reset_after"
on = [1, 3]
"""


def test_a_scenario_is_read_from_toml(tmp_path: Path) -> None:
    """Names are those of the value, lists are tables."""
    path = tmp_path / "day.toml"
    path.write_text(TOML)

    assert read_scenario(path) == Scenario(
        transit_s=1.0, position_lag_s=4.5, fill_quantity_max=50, kill_refusal="sentence",
        quotes=(OpeningQuote("NSE_FNO", "52211", "118.40"),),
        positions=(OpeningPosition("NSE_FNO", "52211", "MARGIN", -75, "117.20"),),
        faults=(Fault("POST /orders", "reset_after", (1, 3)),),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("transit = 1", "`transit` is no key"),
        ('transit_s = "1"', "`transit_s` = '1'"),
        ("transit_s = -1", "transit_s"),
        ("transit_s = nan", "transit_s"),
        ('kill_refusal = "never"', "error, sentence"),
        ("rate_limits = 1", "rate_limits"),
        ("faults = 3", "`faults` wants a list"),
        ('[[faults]]\ncall = "POST /orders"\nhow = "explode"', "explode"),
        ('[[faults]]\ncall = "POST /orders"', "how"),
        ('[[faults]]\ncall = "POST /orders"\nhow = "html"\non = ["first"]', "on"),
        ('[[quotes]]\nsegment = "NSE_EQ"\nsecurity_id = "1"\nltp = 1.5', "ltp"),
        ('[[quotes]]\nsegment = "NSE_EQ"\nsecurity_id = "1"\nltp = "dear"', "ltp"),
        ("positions = [1]", "positions[0]"),
        ("= 3", "no TOML"),
    ],
)
def test_a_scenario_that_is_wrong_says_where(tmp_path: Path, text: str, named: str) -> None:
    """The file, the key, and what it wants."""
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_scenario(path)
    assert named in str(caught.value) and "wrong.toml" in str(caught.value)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_scenario(tmp_path / "missing.toml")


def test_a_fault_names_an_endpoint_that_exists() -> None:
    """A misspelt one would never come, and the rehearsal would prove nothing."""
    with pytest.raises(SettingsError, match="no such endpoint"):
        Sandbox(Scenario(faults=(Fault("POST /order", "html"),)))
    assert len({route.name for route in ROUTES}) == len(ROUTES)


def test_the_calls_that_break_are_those_of_the_scenario() -> None:
    """By endpoint and number, counted from one."""
    with World(faults=(Fault("POST /orders", "DH-906", (2,)),)) as world:
        taken = []
        for _ in range(3):
            try:
                taken.append(bool(world.place("BUY 1 LIMIT 10 -")))
            except DhanRefusedError:
                taken.append(False)
        assert taken == [True, False, True]


def ask(world: World, path: str, **body: Any) -> int:
    """Arrange something as a person does with curl; return the status."""
    url = world.server.url.removesuffix("/v2") + path
    try:
        with urllib.request.urlopen(url, json.dumps(body).encode(), timeout=WAIT_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as e:
        return int(e.code)


def test_a_person_moves_the_market_with_any_http_client(world: World) -> None:
    """Quotes, faults and rejections; what is malformed is refused, and nothing changes."""
    order_id = world.place("BUY 10 LIMIT 1600 -")
    assert ask(world, "/sandbox/quote", segment="NSE_EQ", security_id="1333", ltp="1599") == 200
    assert world.seen(order_id).status == "TRADED"
    assert ask(world, "/sandbox/fault", call="GET /positions", how="DH-901", times=1) == 200
    with pytest.raises(DhanRefusedError):
        world.broker.positions()
    resting = world.place("BUY 10 LIMIT 1000 -")
    assert ask(world, "/sandbox/reject", order_id=resting, why="circuit") == 200
    assert world.seen(resting).detail == "EXCH:16052: circuit"

    for path, body in (
        ("/sandbox/quote", {"segment": "NSE_EQ", "security_id": "1333", "ltp": "-5"}),
        ("/sandbox/quote", {"segment": "NSE_EQ"}),
        ("/sandbox/fault", {"call": "GET /nothing", "how": "html"}),
        ("/sandbox/fault", {"call": "GET /positions", "how": "html", "times": 0}),
        ("/sandbox/reject", {"order_id": "none"}),
        ("/sandbox/nothing", {}),
    ):
        assert ask(world, path, **body) in (400, 404), path


def test_a_port_in_use_is_said(world: World) -> None:
    """One line and the way out."""
    port = int(world.server.url.split(":")[2].split("/")[0])
    with pytest.raises(SettingsError, match="--port"):
        Sandbox(port=port)
    assert OPTION[0] == "NSE_FNO"
