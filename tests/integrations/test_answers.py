"""What an answer of dhanhq says: only the broker's own no is a no."""

from __future__ import annotations

from typing import Any

import pytest

from riskguard.integrations.answers import read

ANSWERS: list[tuple[str, Any, str, tuple[str, ...]]] = [
    ("taken", {"status": "success", "remarks": "", "data": {"orderId": "1", "orderStatus": "TRANSIT"}}, "TAKEN", ("1",)),
    ("a number", {"status": "success", "remarks": "", "data": {"orderId": 7, "orderStatus": "PENDING"}}, "TAKEN", ("7",)),
    ("slices", {"status": "success", "data": [{"orderId": "1"}, {"orderId": "2"}]}, "TAKEN", ("1", "2")),
    ("an alert", {"status": "success", "data": {"alertId": "9", "alertStatus": "ACTIVE"}}, "TAKEN", ("9",)),
    ("rejected", {"status": "success", "data": {"orderId": "1", "orderStatus": "REJECTED"}}, "REFUSED", ("1",)),
    ("one slice rejected", {"status": "success", "data": [{"orderId": "1", "orderStatus": "REJECTED"},
                            {"orderId": "2", "orderStatus": "PENDING"}]}, "TAKEN", ("1", "2")),
    ("success with an error inside", {"status": "success", "data": [{"status": "ERROR", "message": "x"}]}, "UNKNOWN", ()),
    ("success and nothing", {"status": "success", "data": ""}, "UNKNOWN", ()),
    ("no id", {"status": "success", "data": {"orderStatus": "TRANSIT"}}, "UNKNOWN", ()),
    ("id 0", {"status": "success", "data": {"orderId": "0"}}, "UNKNOWN", ()),
    ("DH-905", {"status": "failure", "remarks": {"error_code": "DH-905", "error_message": "bad"}, "data": ""}, "REFUSED", ()),
    ("DH-908", {"status": "failure", "remarks": {"error_code": "DH-908"}, "data": ""}, "UNKNOWN", ()),
    ("DH-909", {"status": "failure", "remarks": {"error_code": "DH-909"}, "data": ""}, "UNKNOWN", ()),
    ("a gateway's 404", {"status": "failure", "remarks": {"error_code": None}, "data": ""}, "UNKNOWN", ()),
    ("a timeout", {"status": "failure", "remarks": "HTTPSConnectionPool: Read timed out.", "data": ""}, "UNKNOWN", ()),
    ("an empty 202", {"status": "failure", "remarks": "Expecting value: line 1", "data": ""}, "UNKNOWN", ()),
    ("None", None, "UNKNOWN", ()),
    ("text", "ok", "UNKNOWN", ()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "response", "kind", "ids"), ANSWERS, ids=[each[0] for each in ANSWERS])
def test_an_answer_is_read_for_what_it_proves(name: str, response: Any, kind: str, ids: tuple[str, ...]) -> None:
    """Text in `remarks` is doubt, an error without Dhan's code is doubt, a success without an id is doubt."""
    found = read(response)
    assert (found.kind, found.order_ids) == (kind, ids), name
    assert isinstance(found.said, str)
