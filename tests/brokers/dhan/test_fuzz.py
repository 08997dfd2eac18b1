"""Goal: whatever an answer holds, it is translated or refused as worth nothing; nothing else is ever raised."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riskguard.brokers.dhan import control, portfolio
from riskguard.brokers.dhan import orders as listed
from riskguard.brokers.dhan.answers import judged
from riskguard.brokers.dhan.placing import _ids
from riskguard.brokers.dhan.wire import Answer
from riskguard.errors import BrokerError

FOLDER = Path(__file__).parents[2] / "data" / "dhan_api"


def body(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["body"]


LEG = {"orderId": "2", "legName": "TARGET_LEG", "orderStatus": "PENDING", "totalQuatity": 20, "remainingQuantity": 20,
       "price": 9.5, "transactionType": "SELL"}  # fmt: skip
ALERT = {"alertId": "1", "alertStatus": "ACTIVE", "condition": {"frequency": "ONCE"},
         "orders": [{"transactionType": "BUY", "exchangeSegment": "NSE_EQ", "productType": "CNC", "orderType": "LIMIT",
                     "securityId": "1", "quantity": 5, "price": "10"}]}  # fmt: skip
GOOD: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "orders": (body("orders_list_amo_pending"), lambda value: listed.book_orders(value, "1000000001")),
    "super orders": (
        [{**body("orders_list_amo_pending")[0], "legDetails": [LEG]}], lambda value: listed.super_orders(value, ""),
    ),
    "forever orders": (body("orders_list_amo_pending"), lambda value: listed.forever_orders(value, "")),
    "alerts": ([ALERT], lambda value: listed.alert_orders(value, "")),
    "positions": (body("positions_closed_options_2024-07_pasted"), lambda value: portfolio.positions(value, "")),
    "trades": (body("trades_today_2025-07-07")[:3], lambda value: portfolio.trades(value, "")),
    "funds": (body("fundlimit_ok"), lambda value: portfolio.funds(value, "")),
    "holdings": (body("holdings_ok"), lambda value: portfolio.holdings(value, "")),
    "ledger": ([{**body("ledger_ok")[0], "voucherdesc": "X"}], lambda value: portfolio.ledger(value, "")),
    "profile": (body("profile_ok"), lambda value: portfolio.profile(value, "", value)),
    "margin": (body("margincalculator_ok"), portfolio.margin),
    "switch": ({"killSwitchStatus": "ACTIVATE"}, lambda value: control._is_on(value, "")),
    "backstop": (
        {"pnlExitStatus": "ACTIVE", "loss": "-1.00", "productType": ["INTRADAY"]},
        lambda value: control._backstop(value, ""),
    ),
    "place": ({"orderId": "1", "orderStatus": "TRANSIT"}, _ids),
}  # fmt: skip

ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
    st.sampled_from(["1E+999999", "-0", "0001-01-01 00:00:01", "9999-12-31 23:59:59", 10**400, "٣", "NA", "\x00", -1, 1e308,
                     "12.5", "Infinity", "Feb 30, 2026", "2026-02-30 10:00:00", 10**18]),
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every value inside *value*, itself included."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, each in inner for found in places(each, (*path, key)))]


def put(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    if not path:
        return odd
    changed = copy.deepcopy(value)
    owner = changed
    for key in path[:-1]:
        owner = owner[key]
    owner[path[-1]] = odd
    return changed


@pytest.mark.parametrize("name", GOOD)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_an_odd_value_anywhere_is_read_or_refused(name: str, data: st.DataObject) -> None:
    """One value of a good answer becomes anything at all; the good answer itself is read, as the control."""
    good, make = GOOD[name]
    assert make(judged(name, Answer(200, json.dumps(good).encode()), writes=False)) is not None
    path, odd = data.draw(st.sampled_from(places(good))), data.draw(ODD)

    raw = json.dumps(put(good, path, odd)).encode()
    try:
        make(judged(name, Answer(200, raw), writes=False))
    except BrokerError as e:
        assert "\n" not in str(e)
