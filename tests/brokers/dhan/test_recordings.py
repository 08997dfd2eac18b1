"""
Goal: what the real service was recorded to answer is understood, and the local server answers in the same keys and
types, so that what passes against it means something.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riskguard.brokers.dhan import DhanRefusedError, portfolio
from riskguard.brokers.dhan import orders as listed
from riskguard.brokers.dhan.answers import judged
from riskguard.brokers.dhan.placing import _one_id
from riskguard.brokers.dhan.sandbox.scenario import OpeningHolding, OpeningPosition, Voucher
from riskguard.brokers.dhan.wire import Answer
from riskguard.errors import BrokerUnconfirmedError
from tests.dhan_server import OPTION, World

FOLDER = Path(__file__).parents[2] / "data" / "dhan_api"
CLIENT = "1000000001"


def recording(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def value(name: str, *, writes: bool = False) -> Any:
    """Return what the adapter reads out of a recorded answer."""
    found = recording(name)
    answer = Answer(found["status"], json.dumps(found["body"]).encode())
    return judged(name, answer, writes=writes)


# -- understood -------------------------------------------------------------------------------------------------------


def test_an_order_that_waits_for_the_market() -> None:
    """An after-market order, with every sentinel there is: NA, year one, zero prices."""
    (seen,) = listed.book_orders(value("orders_list_amo_pending"), CLIENT)

    assert (seen.status, seen.is_live, seen.quantity, seen.filled, seen.price_e4) == ("PENDING", True, 20, 0, 3_600)
    assert (seen.correlation_id, seen.trigger_price_e4, seen.detail, seen.leg) == ("", None, "", "")


def test_a_cancelled_order_comes_as_a_list_of_one() -> None:
    """Its remaining quantity is zero although nothing filled: the filled one is what counts."""
    (seen,) = listed.book_orders(value("order_get_cancelled_is_list"), CLIENT)

    assert (seen.status, seen.is_live, seen.filled, seen.remaining) == ("CANCELLED", False, 0, 20)


def test_a_placement_in_transit() -> None:
    assert _one_id(value("order_create_amo_transit", writes=True)) == "900000000000002"


def test_a_day_of_trades() -> None:
    """Every fill of a real day has a price, a quantity, a time of that day, and an id of its own."""
    seen = portfolio.trades(value("trades_today_2025-07-07"), CLIENT)

    assert len(seen) == len(recording("trades_today_2025-07-07")["body"]) > 10
    first, last = 1_751_859_900, 1_751_882_400  # 09:15 and 15:30 in India
    assert all(each.price_e4 > 0 and each.quantity > 0 and first <= each.at_us // 1_000_000 <= last for each in seen)


def test_positions_that_were_closed() -> None:
    """Five decimals in a profit; a row that calls itself OPEN with a net of zero is flat."""
    seen = portfolio.positions(value("positions_closed_options_2024-07_pasted"), CLIENT)

    assert [each.net for each in seen] == [0, 0, 0]
    assert [each.unrealised_e4 for each in seen] == [32_711_265, -5_720_621, 7_333_633]
    assert portfolio.positions(value("positions_empty"), CLIENT) == ()


def test_money_and_shares() -> None:
    funds = portfolio.funds(value("fundlimit_ok"), CLIENT)
    assert (funds.available_e4, funds.opening_e4, funds.used_e4) == (1_156_400, 1_156_400, 0)
    assert portfolio.funds(value("fundlimit_sandbox_ok"), CLIENT).available_e4 == 10**10
    (held,) = portfolio.holdings(value("holdings_ok"), CLIENT)
    assert (held.security_id, held.total, held.available, held.average_e4) == ("10576", 2, 2, 2_520_500)
    assert portfolio.ledger(value("ledger_ok"), CLIENT) == ()  # opening and closing balance alone
    assert portfolio.margin(value("margincalculator_ok")).total_e4 == 71_400_000


def test_the_account() -> None:
    seen = portfolio.profile(value("profile_ok"), CLIENT, None)
    assert len(seen.segments) == 7 and seen.token_until_us == 1_743_329_220_000_000  # 2025-03-30 15:37 in India
    assert (seen.may_place, seen.detail.split(";")[0]) == (None, "DDPI Active")


ERRORS = {
    "error_dh901_bad_token": ("token", "DH-901"),
    "error_dh904_rate_limit": ("rate", "DH-904"),
    "error_dh905_bad_input": ("other", "DH-905"),
    "error_806_no_data_plan": ("other", "806"),
    "order_modify_market_closed_dh906": ("other", "DH-906"),
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("writes", [False, True])
def test_a_recorded_error_is_a_refusal(name: str, writes: bool) -> None:
    """With 200, 400, 401 or 429 alike."""
    with pytest.raises(DhanRefusedError) as caught:
        value(name, writes=writes)
    assert (caught.value.kind, caught.value.code) == ERRORS[name]


def test_a_recorded_500_is_unknown() -> None:
    """A readable error of a broken back end: nobody knows what it did."""
    with pytest.raises(BrokerUnconfirmedError):
        value("charts_intraday_error_500", writes=True)


def test_every_recording_is_used() -> None:
    """One that is added and read by no test proves nothing."""
    said = Path(__file__).read_text(encoding="utf-8")
    unused = {path.stem for path in FOLDER.glob("*.json")} - {
        path.stem for path in FOLDER.glob("*.json") if path.stem in said
    }
    assert not unused


# -- answered alike ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world() -> Any:
    scenario = {
        "holdings": (OpeningHolding("10576", "INF204KB14I2", 2, "252.05", t1=1),),
        "ledger": (Voucher("2026-09-04", "OPENING BALANCE", "", narration="OPENING BALANCE"),),
        "positions": (OpeningPosition("NSE_FNO", "52211", "MARGIN", 75, "100"),),
    }
    with World(**scenario) as made:
        made.quote("100", of=OPTION)
        made.place("SELL 75 MARKET - -", instrument=OPTION, product="MARGIN")
        made.broker.place(made.approved("BUY 5 LIMIT 10 -"), after_market="OPEN")
        yield made


def raw(world: World, call: Callable[[Any], Any]) -> Any:
    """Return what the server answered, read by the official client's own transport."""
    answer = call(world.client())
    assert answer["status"] == "success", answer
    return answer["data"]


ALIKE: dict[str, Callable[[World], Any]] = {
    "orders_list_amo_pending": lambda world: raw(world, lambda dhan: dhan.get_order_list())[1:],
    "order_get_cancelled_is_list": lambda world: raw(
        world, lambda dhan: dhan.get_order_by_id(world.broker.orders()[0].order_id)
    ),
    "trades_today_2025-07-07": lambda world: raw(world, lambda dhan: dhan.get_trade_book()),
    "positions_closed_options_2024-07_pasted": lambda world: raw(world, lambda dhan: dhan.get_positions()),
    "fundlimit_ok": lambda world: raw(world, lambda dhan: dhan.get_fund_limits()),
    "fundlimit_sandbox_ok": lambda world: raw(world, lambda dhan: dhan.get_fund_limits()),
    "holdings_ok": lambda world: raw(world, lambda dhan: dhan.get_holdings()),
    "ledger_ok": lambda world: raw(world, lambda dhan: dhan.ledger_report("2026-09-01", "2026-09-30")),
    "margincalculator_ok": lambda world: raw(
        world, lambda dhan: dhan.margin_calculator("1333", "NSE_EQ", "BUY", 5, "CNC", 1428)
    ),
    "profile_ok": lambda world: raw(world, lambda dhan: dhan.dhan_http.get("/profile")),
    "order_create_amo_transit": lambda world: raw(
        world, lambda dhan: dhan.place_order("1333", "NSE_EQ", "BUY", 5, "LIMIT", "CNC", 10, tag="alike")
    ),
    "positions_convert_ok": lambda world: raw(
        world, lambda dhan: dhan.convert_position("INTRADAY", "NSE_EQ", "LONG", "1333", 1, "CNC")
    ),
    "marketfeed_ltp_empty": lambda world: raw(world, lambda dhan: dhan.ticker_data({"instruments": ["NSE:INFY"]})),
    "marketfeed_quote_market_closed": lambda world: raw(world, lambda dhan: dhan.quote_data({"NSE_FNO": [52211]})),
}


def keys_and_types(value: Any) -> Any:
    """
    Return the shape of a value: keys, and text, number, truth or nothing. Numbers of JSON are one kind: 0 and 0.0 were
    recorded for the same field. A text that may be null is either; a list has the shape of its first element.
    """
    if isinstance(value, dict):
        return {name if not name.isdecimal() else "ID": keys_and_types(each) for name, each in value.items()}
    if isinstance(value, list):
        return [keys_and_types(value[0])] if value else []
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int | float):
        return "number"
    return "text or nothing"


@pytest.mark.parametrize("name", ALIKE)
def test_the_local_server_answers_in_the_same_shape(world: World, name: str) -> None:
    """Every key of the recording and no other, each of the same type."""
    if name == "positions_convert_ok":
        world.quote("1650", "1649.95", "1650.05")
        world.place("BUY 5 MARKET - -")

    assert keys_and_types(ALIKE[name](world)) == keys_and_types(recording(name)["body"])


def test_a_shape_that_differs_is_seen() -> None:
    """The control: a key more, a key less, and a text for a number are three differences."""
    good = recording("fundlimit_ok")["body"]
    for bad in ({**good, "more": 1}, {k: v for k, v in good.items() if k != "sodLimit"}, {**good, "sodLimit": "1"}):
        assert keys_and_types(bad) != keys_and_types(good)


@pytest.mark.parametrize(
    ("name", "how"),
    [("error_dh901_bad_token", "DH-901"), ("error_dh904_rate_limit", "DH-904"), ("error_dh905_bad_input", "DH-905"),
     ("order_modify_market_closed_dh906", "DH-906")],
)  # fmt: skip
def test_errors_of_the_local_server_are_shaped_like_the_real_ones(world: World, name: str, how: str) -> None:
    """Status and keys."""
    from riskguard.brokers.dhan.sandbox.wire import refusal

    found, told = recording(name), refusal(how)
    assert (told.status, set(told.body)) == (found["status"], set(found["body"]))
    assert world.server.url.startswith("http://127.0.0.1:")
