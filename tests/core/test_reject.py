"""A refusal in words and as data: what it says with little and with everything, and that the journal gives it back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from riskguard.core.reject import RUPEES, Reject, RejectCode
from tests.core.builders import inr

CODE = RejectCode.ORDER_VALUE_ABOVE_LIMIT
WHOLE: dict[str, Any] = {
    "measured": inr("500000.5"), "limit": inr("400000"), "unit": RUPEES, "max_quantity": 7, "frees_at_us": 9,
    "detail": "the order's value", "hint": "make it smaller",
}  # fmt: skip


def whole() -> Reject:
    made = Reject(CODE, **WHOLE)
    made.check, made.limit_id, made.scope, made.row_id = "order_value", "ov", "ACCOUNT:leader", 3
    return made


MESSAGES: list[tuple[dict[str, Any], str]] = [
    ({}, "order value above limit"),
    ({"detail": "too much"}, "too much"),
    ({"measured": 5}, "order value above limit"),
    ({"limit": 5}, "order value above limit"),
    ({"measured": 0, "limit": 0}, "order value above limit; 0 against a limit of 0"),
    ({"measured": 5, "limit": 4, "unit": "lots"}, "order value above limit; 5 lots against a limit of 4 lots"),
    ({"max_quantity": 0}, "order value above limit"),
    ({"max_quantity": 1}, "order value above limit; up to 1 would pass"),
    ({"hint": "wait"}, "order value above limit; wait"),
]


@pytest.mark.parametrize(("given", "said"), MESSAGES, ids=str)
def test_what_is_not_known_is_not_said(given: dict[str, Any], said: str) -> None:
    """Each part by itself: how much of how much only with both, and nothing that would pass is no offer."""
    made = Reject(CODE, **given)
    assert made.message == said
    assert repr(made) == f"<Reject ORDER_VALUE_ABOVE_LIMIT: {said}>"


def test_everything_is_said_in_one_line() -> None:
    """What, how much of how much, whose limit, what would pass, and the way out."""
    assert whole().message == (
        "the order's value; ₹5,00,000.50 against a limit of ₹4,00,000.00; limit `ov` (ACCOUNT:leader); "
        "up to 7 would pass; make it smaller"
    )


def test_rupees_are_shown_as_rupees_and_the_rest_as_it_is() -> None:
    """Headroom is what is left: below zero by how much it is over, unknown where one of the two is."""
    made = whole()
    assert (made.measured, made.limit, made.headroom) == (
        Decimal("500000.50"),
        Decimal("400000.00"),
        Decimal("-100000.50"),
    )
    counted = Reject(CODE, measured=5, limit=4, unit="lots")
    assert (counted.measured, counted.limit, counted.headroom) == (5, 4, -1)
    assert Reject(CODE, measured=5, unit=RUPEES).headroom is Reject(CODE, limit=5, unit=RUPEES).headroom is None
    assert Reject(CODE, unit=RUPEES).measured is None


def test_as_data() -> None:
    """Rupees as text, counts as numbers, nothing for what is not there."""
    assert whole().as_dict() == {
        "code": "ORDER_VALUE_ABOVE_LIMIT", "check": "order_value", "limit_id": "ov", "scope": "ACCOUNT:leader",
        "measured": "500000.50", "limit": "400000.00", "unit": RUPEES, "headroom": "-100000.50", "max_quantity": 7,
        "frees_at_us": 9, "message": whole().message,
    }  # fmt: skip
    assert Reject(CODE).as_dict() == {
        "code": "ORDER_VALUE_ABOVE_LIMIT", "check": "", "limit_id": "", "scope": "", "measured": None, "limit": None,
        "unit": "", "headroom": None, "max_quantity": None, "frees_at_us": None, "message": "order value above limit",
    }  # fmt: skip
    assert Reject(CODE, measured=5, limit=4).as_dict()["headroom"] == -1


def test_the_journal_keeps_it_whole() -> None:
    """Every field by its name, in our integers, and back again the same."""
    kept = whole().kept()
    assert kept == {
        "code": "ORDER_VALUE_ABOVE_LIMIT", "check": "order_value", "detail": "the order's value", "frees_at_us": 9,
        "hint": "make it smaller", "limit_id": "ov", "limit_raw": inr("400000"), "max_quantity": 7,
        "measured_raw": inr("500000.5"), "row_id": 3, "scope": "ACCOUNT:leader", "unit": RUPEES,
    }  # fmt: skip
    again = Reject.restored(kept)
    assert again.kept() == kept and again.as_dict() == whole().as_dict()
    bare = Reject(CODE)
    assert Reject.restored(bare.kept()).kept() == bare.kept() and bare.row_id is None
