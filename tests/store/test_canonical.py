"""Goal: what is written fast is the text the standard library writes, byte for byte; else the same fact had two hashes."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from riskguard.core import facts
from riskguard.store.bounds import REAL_ABS_MAX
from riskguard.store.canonical import canonical
from tests.services.desk import Desk, rulebook

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates and control characters too
REAL = st.integers(-REAL_ABS_MAX * 10_000 + 1, REAL_ABS_MAX * 10_000 - 1).map(lambda e4: e4 / 10_000)
"""What the REAL columns of a violation hold."""
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | ANY_TEXT | REAL,
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner) | st.tuples(inner, inner),
    max_leaves=30,
)


@settings(max_examples=2_000)
@example({"": "\x00\x1f\x20\x7e\x7f\x80\x9f", "é": "\u2028\ud800", "\U0001f600": -0.0, "\uffff": '"\\/\b\f\n\r\t'})
@example([2**53, -(2**63), 2**64 - 1, 2**64, -(2**63) - 1, 10**400])
@example([0.0001, -0.0001, 123456789012345.6789, float(REAL_ABS_MAX)])
@given(VALUES)
def test_it_is_the_text_of_the_standard_library(value: Any) -> None:
    assert canonical(value) == facts.canonical(value)


class Named(NamedTuple):
    quantity: int


class Side(enum.StrEnum):
    BUY = "BUY"


class State(enum.IntEnum):
    HALTED = 2


class Text(str):
    __slots__ = ()


def test_what_is_nearly_of_a_plain_kind_is_written_as_the_plain_kind() -> None:
    given = {
        "named": Named(5),
        "side": Side.BUY,
        "state": State.HALTED,
        "text": Text("x"),
        "deep": json.loads("[" * 300 + "]" * 300),
    }
    assert canonical(given) == facts.canonical(given)


@dataclass
class Kept:
    quantity: int


@pytest.mark.parametrize("refused", [Kept(5), datetime(2024, 6, 3, tzinfo=UTC), {5}, b"x", object(), {None: {5}}])
def test_what_the_standard_library_refuses_is_refused(refused: object) -> None:
    """orjson has texts for some of these."""
    for write in (facts.canonical, canonical):
        with pytest.raises(TypeError):
            write({"value": refused})


@pytest.mark.parametrize(
    "value",
    ["\x7f", "é", "\ud800", 2**64, Named(5), [Kept(5)]],
    ids=["delete", "letter", "surrogate", "long", "named", "class"],
)
def test_control_orjson_alone_says_otherwise(value: object) -> None:
    """Negative control: each reason to go back to the standard library is one."""

    def said(write: Callable[[object], bytes]) -> bytes:
        try:
            return write(value)
        except (TypeError, ValueError):
            return b"refused"

    assert said(lambda each: orjson.dumps(each, None, orjson.OPT_SORT_KEYS)) != said(facts.canonical)


def test_what_a_check_writes_is_what_it_was(make_desk: Callable[..., Desk]) -> None:
    """An approval and a refusal, as they stand in the database."""
    desk = make_desk(text=rulebook(order_value='check = "order_value"\norder_value_inr_max = "1000"'))
    desk.sweep()
    assert [desk.guard.check(desk.order(quantity=quantity)).approved for quantity in (10, 11)] == [True, False]

    bodies = [row[0] for row in desk.rows("SELECT body FROM decisions WHERE kind = 'ORDER' ORDER BY sequence")]
    assert len(bodies) == 2
    assert all(facts.canonical(json.loads(body)).decode() == body for body in bodies)
