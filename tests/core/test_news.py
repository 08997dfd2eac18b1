"""News of one order: what they leave out, what they deny, how far along a word is, and when a message comes too late."""

from __future__ import annotations

from dataclasses import replace

import pytest

from riskguard.core.news import FINAL_STATUSES, FeedHealth, OrderNews, is_stale, rank
from riskguard.core.seen import SeenOrder
from tests.core.builders import NOW, SECOND
from tests.core.tables import Row, table

KNOWN = SeenOrder("7", "rg7", "NSE_EQ", "1333", "BUY", "CNC", "LIMIT", 10, 4, 1_000_000, None, "PENDING", True)
WHOLE = OrderNews(
    "7", "PART_TRADED", "rg7", "NSE_EQ", "1333", "BUY", "CNC", "LIMIT", 10, 6, price_e4=1_000_000, detail="so it is",
    kind="SUPER", group="g", leg="ENTRY",
)  # fmt: skip
BARE = OrderNews("7", "TRADED")


def test_what_news_must_say_and_where_the_rest_comes_from() -> None:
    """Empty is "it does not say"; a whole message is missing nothing, and what it says stands against what was known."""
    names = ("exchange_segment", "security_id", "side", "product", "order_type", "quantity")
    assert (WHOLE.missing(), BARE.missing()) == ((), names)
    for name in names:
        assert replace(WHOLE, **{name: None if name == "quantity" else ""}).missing() == (name,)

    assert WHOLE.completed(replace(KNOWN, product="MARGIN", correlation_id="other", quantity=99)) == WHOLE
    made = BARE.completed(KNOWN)
    assert (made.exchange_segment, made.security_id, made.side) == ("NSE_EQ", "1333", "BUY")
    assert (made.product, made.order_type, made.quantity, made.correlation_id) == ("CNC", "LIMIT", 10, "rg7")


FILLED = table("""
    status     quantity  filled  expected
    TRADED     -         -       10
    EXECUTED   -         -       10
    TRADED     10        6       6
    PENDING    -         -       -
    CANCELLED  -         3       3
""")


@pytest.mark.parametrize("row", FILLED, ids=str)
def test_a_word_that_means_all_of_it(row: Row) -> None:
    """TRADED without a quantity is the whole known one; every other word says nothing of how much."""
    news = replace(BARE, status=row.status, quantity=row.opt_number("quantity"), filled=row.opt_number("filled"))
    assert news.completed(KNOWN).filled == row.opt_number("expected")


DENIED = table("""
    field             said     expected
    exchange_segment  BSE_EQ   exchange_segment BSE_EQ, known as NSE_EQ
    security_id       1334     security_id 1334, known as 1333
    side              SELL     side SELL, known as BUY
    side              BUY      -
    product           MARGIN   -
""")


@pytest.mark.parametrize("row", DENIED, ids=str)
def test_news_of_another_order(row: Row) -> None:
    """Where it trades, what and which way never change; what either does not say denies nothing."""
    news = replace(WHOLE, **{row.field: row.said})
    assert news.contradicts(KNOWN) == (row.opt("expected") or "")
    assert BARE.contradicts(KNOWN) == news.contradicts(replace(KNOWN, **{row.field: ""})) == ""


def test_news_as_an_order() -> None:
    """Every field is carried over, the filled units are the caller's; what is not whole makes no order."""
    expected = SeenOrder(
        "7", "rg7", "NSE_EQ", "1333", "BUY", "CNC", "LIMIT", 10, 8, 1_000_000, 900_000, "PART_TRADED", True,
        "so it is", "SUPER", "g", "ENTRY",
    )  # fmt: skip
    made = replace(WHOLE, trigger_price_e4=900_000).order(8)
    assert made == expected
    assert (made.remaining, replace(made, filled=11).remaining) == (2, 0)
    assert not replace(WHOLE, status="CANCELLED").order(6).is_live
    with pytest.raises(ValueError, match=r"^news of `7` do not say side, quantity$"):
        replace(WHOLE, side="", quantity=None).order(1)
    with pytest.raises(ValueError, match=r"do not say side$"):
        replace(WHOLE, side="").order(1)


def test_a_word_nobody_knows_is_a_live_order() -> None:
    """It may still fill; only the words that end an order end it."""
    assert OrderNews("7", "SURPRISE").is_live and not BARE.is_live
    assert not any(OrderNews("7", word).is_live for word in FINAL_STATUSES)


def test_how_far_along_a_word_is() -> None:
    """Further to the right, whatever the case; an unknown word lies between the live ones and the final ones."""
    order = [
        {"TRANSIT"}, {"PENDING", "CONFIRM"}, {"MODIFIED", "TRIGGERED"}, {"PART_TRADED"}, {"SURPRISE", ""},
        {"EXPIRED", "CLOSED"}, {"REJECTED"}, {"CANCELLED"}, {"TRADED", "EXECUTED"},
    ]  # fmt: skip
    for number, words in enumerate(order):
        assert {rank(word) for word in words} | {rank(word.lower()) for word in words} == {number}


STALE = table("""
    status       known      at_s  known_s  stale
    PENDING      TRADED     9     0        yes
    pending      traded     9     0        yes
    TRADED       PENDING    0     9        no
    PENDING      CONFIRM    5     6        yes
    PENDING      CONFIRM    6     5        no
    MODIFIED     PENDING    5     6        yes
    PENDING      MODIFIED   6     5        no
    PENDING      MODIFIED   5     5        yes
    MODIFIED     PENDING    5     5        no
    PENDING      PENDING    5     5        no
    PENDING      MODIFIED   -     5        yes
    PENDING      MODIFIED   9     -        yes
    MODIFIED     PENDING    -     -        no
    CANCELLED    TRADED     9     0        yes
    TRADED       CANCELLED  0     9        no
""")


@pytest.mark.parametrize("row", STALE, ids=str)
def test_a_message_that_is_overtaken(row: Row) -> None:
    """Done stays done whatever the times; among live words the later one, of one second the further one."""
    assert is_stale(row.status, row.known, row.opt_number("at_s"), row.opt_number("known_s")) is row.has("stale")


HEARD = table("""
    connected  heard_s  stale
    yes        0        no
    yes        30       no
    yes        31       yes
    yes        -5       no
    yes        -        yes
    no         0        yes
""")


@pytest.mark.parametrize("row", HEARD, ids=str)
def test_when_a_stream_cannot_be_relied_on(row: Row) -> None:
    """Down, never heard, or silent for longer than 30 s; heard in the future is heard now."""
    age_s = row.opt_number("heard_s")
    heard_us = None if age_s is None else NOW - age_s * SECOND
    health = FeedHealth("leader", row.has("connected"), "up", 0, heard_us, NOW, None, None)

    assert health.is_stale(NOW, 30 * SECOND) is row.has("stale")
    assert health.heard_age_us(NOW) == (None if age_s is None else max(0, age_s) * SECOND)
