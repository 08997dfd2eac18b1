"""Goal: a message of the broker says exactly what it says: nothing is guessed, and nothing that cannot be read passes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riskguard.core.news import FINAL_STATUSES, OrderNews, is_stale
from riskguard.core.seen import SeenOrder
from riskguard.feeds.dhan_events import Message, read_postback, read_stream
from tests.core.tables import Row, table
from tests.feeds.messages import CAMEL, PASCAL, alert, posted

TOLD_US = 1_790_054_059_000_000
"""2026-09-22 10:44:19 in India."""


def news(message: Message) -> OrderNews:
    assert message.problem == "" and message.news is not None, message
    return message.news


def test_a_stream_message_is_what_it_says() -> None:
    """Every field of the documented sample, in our words and units."""
    assert news(read_stream(alert())) == OrderNews(
        order_id="82260922104417", status="PENDING", correlation_id="rg-kx-000042", exchange_segment="NSE_FNO",
        security_id="52211", side="SELL", product="INTRADAY", order_type="LIMIT", quantity=150, filled=75,
        average_e4=1_184_000, price_e4=1_183_500, trigger_price_e4=None, at_us=TOLD_US, detail="CONFIRMED",
        client_id="1100099001", symbol="NIFTY 27 OCT 25200 CALL", exchange_order_id="1300000047710233",
    )  # fmt: skip


def test_a_postback_is_what_it_says() -> None:
    """`filled_qty` is the sum; there is no average, and none is made up."""
    found = news(read_postback(posted()))

    assert (found.status, found.is_live, found.filled, found.average_e4) == ("TRADED", False, 150, None)
    assert found.at_us == TOLD_US + 12_000_000 and found.symbol == "NIFTY-Oct2026-25200-CE"


def test_case_and_text_numbers_do_not_matter() -> None:
    """PascalCase with numbers as text, camelCase, and both in one message, are the same news."""
    mixed = {**{k: v for k, v in PASCAL.items() if k < "P"}, **{k: v for k, v in CAMEL.items() if k[0].upper() >= "P"}}

    assert read_stream(alert(PASCAL)) == read_stream(alert(mixed)) == read_stream(alert())


SEGMENTS = table("""
    exchange  segment  means
    NSE       E        NSE_EQ
    NSE       D        NSE_FNO
    NSE       C        NSE_CURRENCY
    BSE       E        BSE_EQ
    BSE       D        BSE_FNO
    BSE       C        BSE_CURRENCY
    MCX       M        MCX_COMM
    NSE       M        -
    XYZ       E        -
""")


@pytest.mark.parametrize("row", SEGMENTS, ids=str)
def test_segments(row: Row) -> None:
    """A pair nobody knows is not said: the order's own row knows where it is."""
    assert news(read_stream(alert(exchange=row.exchange, segment=row.segment))).exchange_segment == (
        row.opt("means") or ""
    )


WORDS = table("""
    key        said            means             field
    product    C               CNC               product
    product    I               INTRADAY          product
    product    M               MARGIN            product
    product    F               MTF               product
    product    V               CO                product
    product    B               BO                product
    product    Z               -                 product
    txnType    B               BUY               side
    txnType    S               SELL              side
    orderType  MKT             MARKET            order_type
    orderType  LMT             LIMIT             order_type
    orderType  SL              STOP_LOSS         order_type
    orderType  SLM             STOP_LOSS_MARKET  order_type
    orderType  ICEBERG         -                 order_type
    status     Cancelled       CANCELLED         status
    status     REJECTED        REJECTED          status
    status     Expired         EXPIRED           status
    status     TRANSIT         TRANSIT           status
    status     Part_Traded     PART_TRADED       status
    status     AMO_RECEIVED    AMO_RECEIVED      status
""")


@pytest.mark.parametrize("row", WORDS, ids=str)
def test_words(row: Row) -> None:
    """Ours for the broker's; an unknown product or type is not said, an unknown status is kept."""
    found = news(read_stream(alert(**{row.key: row.said, "productName": None})))

    assert getattr(found, row.field) == (row.opt("means") or "")


@pytest.mark.parametrize("word", ["Triggered", "MODIFIED", "INACTIVE", "CONFIRM", "Whatever", "TRANSIT", "PENDING"])
def test_a_word_that_is_not_surely_final_is_a_live_order(word: str) -> None:
    """Else a kill would not cancel it, and its room would be free."""
    assert news(read_stream(alert(status=word))).is_live


@pytest.mark.parametrize("word", sorted(FINAL_STATUSES))
def test_final_words_are_final_in_any_case(word: str) -> None:
    """The stream writes its words in title case."""
    assert not news(read_stream(alert(status=word.title()))).is_live


FILLED = table("""
    status     quantity  traded  left    filled
    Pending    150       0       150     0
    Pending    150       75      75      75
    Pending    150       -       75      75
    Pending    150       -       -       -
    Pending    150       25      25      125
    Pending    150       75      0       75
    Pending    150       -       0       -
    Transit    150       0       0       0
    Traded     150       150     0       150
    Traded     150       50      0       150
    Traded     150       -       -       150
    Cancelled  150       0       0       0
    Cancelled  150       75      0       75
    Cancelled  150       -       0       -
    Rejected   150       0       150     0
    Whatever   150       10      0       10
""")


@pytest.mark.parametrize("row", FILLED, ids=str)
def test_what_traded_so_far(row: Row) -> None:
    """The sum, from whichever key says it; what is left of an order that ended says nothing."""
    found = news(
        read_stream(
            alert(
                status=row.status, quantity=row.number("quantity"), tradedQty=row.opt("traded"),
                remainingQuantity=row.opt("left"),
            )
        )
    )  # fmt: skip

    assert found.filled == row.opt_number("filled")


NOT_SAID = ["", "NA", "na", " ", "null", "0001-01-01", "0001-01-01 00:00:00"]


@pytest.mark.parametrize("word", NOT_SAID)
def test_what_is_not_set_is_not_said(word: str) -> None:
    """Empty, NA and the year 1 are no times and no ids; and empty is no quantity: never zero."""
    found = news(read_stream(alert(lastUpdatedTime=word, exchOrderTime=word, orderDateTime=word)))
    assert found.at_us is None
    if not word.startswith("0001"):
        empty = news(read_stream(alert(tradedQty=word, remainingQuantity=word, correlationId=word, securityId=word)))
        assert (empty.filled, empty.correlation_id, empty.security_id) == (None, "", "")
        assert empty.missing() == ("security_id",)


BROKEN: list[tuple[str, Any]] = [
    ("quantity", "NaN"), ("quantity", "12.5"), ("quantity", -1), ("quantity", True), ("quantity", "ten"),
    ("quantity", 10**12), ("tradedQty", "Infinity"), ("tradedQty", 151), ("price", "NaN"), ("price", -1), ("price", "1e99"),
    ("avgTradedPrice", "abc"), ("txnType", "X"), ("orderNo", {"a": 1}), ("orderNo", "9" * 200), ("orderNo", None),
    ("orderNo", "a\ud800b"), ("status", None), ("status", ""), ("status", ["Traded"]),
]  # fmt: skip


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_what_is_there_and_cannot_be_read_is_a_problem(case: tuple[str, Any]) -> None:
    """A wrong number is no number near it; the message is kept with what is wrong, and never raises."""
    found = read_stream(alert(**{case[0]: case[1]}))

    assert found.news is None and found.problem and len(found.problem) < 200


NO_MESSAGES = {
    "empty": "", "cut": "{", "a list": "[]", "null": "null", "text": '"x"', "deep": "[" * 100_000,
    "far": "[1e-4009999999999999999999]",
    "no data": '{"Type": "order_alert"}', "data of no object": '{"Type": "order_alert", "Data": []}', "digits": "1" * 9_999,
}  # fmt: skip


@pytest.mark.parametrize("body", NO_MESSAGES.values(), ids=NO_MESSAGES.keys())
def test_what_is_no_message_is_a_problem(body: str) -> None:
    """Also a body made to exhaust the parser."""
    assert read_stream(body).problem or read_stream(body).kind == "unknown"
    assert read_postback(body).problem


def test_a_message_about_something_else_is_no_news_and_no_problem() -> None:
    """The stream may say other things; they are kept and nothing is made of them."""
    assert read_stream('{"Type": "heartbeat", "at": NaN}') == Message("heartbeat")


def test_nan_in_a_field_nobody_needs_is_no_problem() -> None:
    """JSON has no NaN; the broker's serialiser may."""
    body = alert().replace('"refLtp": 118.6', '"refLtp": NaN')

    assert "NaN" in body and read_stream(body) == read_stream(alert())


def test_an_average_of_many_decimals_is_rounded_to_the_nearest() -> None:
    """Half to even, at four places."""
    for said, e4 in (
        ("100.33333333", 1_003_333),
        ("100.33335", 1_003_334),
        ("100.33345", 1_003_334),
        (100.1, 1_001_000),
    ):
        assert news(read_stream(alert(avgTradedPrice=said))).average_e4 == e4


def test_legs_of_a_super_order_share_their_entry() -> None:
    """Stop and target are exits of which one fills; the entry's number may come as a float."""
    stop = news(read_stream(alert(legNo=2, algoOrdNo=92260922110301.0, remarks="Super Order")))
    target = news(read_stream(alert(legNo=3, algoOrdNo="92260922110301", remarks="Super Order")))
    entry = news(read_stream(alert(legNo=1, algoOrdNo="0", remarks="Super Order")))

    assert (stop.kind, stop.leg, stop.group) == ("SUPER", "STOP_LOSS", "92260922110301")
    assert (target.leg, target.group) == ("TARGET", stop.group)
    assert (entry.kind, entry.leg, entry.group) == ("SUPER", "ENTRY", "")
    assert news(read_stream(alert())).kind == "ORDER"


def test_a_fill_with_the_exchanges_number_is_a_fill() -> None:
    """Dhan's feeds name none; one that does is worth a numbered fill."""
    found = read_stream(alert(exchangeTradeId="T77", tradedQuantity=75))

    assert found.trade is not None and (found.trade.trade_id, found.trade.quantity) == ("T77", 75)
    assert read_stream(alert()).trade is None


def test_a_sequence_is_read_where_there_is_one() -> None:
    """Dhan numbers nothing today."""
    body = json.loads(alert()) | {"SequenceNumber": "17"}

    assert read_stream(json.dumps(body)).sequence == 17 and read_stream(alert()).sequence is None


KEYS = st.sampled_from([*CAMEL, *PASCAL, "Data", "Type", "orderId"])
WORD = st.sampled_from(["NA", "", "NaN", "B", "Traded", "order_alert"]) | st.text(max_size=20)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | WORD,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner),
        max_leaves=30,
    )
)
def test_nothing_that_is_json_raises(value: Any) -> None:
    """Total: whatever comes is news, nothing, or a problem."""
    for body in (json.dumps(value), json.dumps({"Type": "order_alert", "Data": value})):
        for read in (read_stream, read_postback):
            found = read(body)
            if found.news is not None:
                assert found.news.order_id and found.news.status
                assert found.news.quantity is None or found.news.quantity >= 0


# -- what is older ------------------------------------------------------------------------------------------------

STALE = table("""
    status     known      at  known_at  stale
    PENDING    TRADED     9   1         yes
    TRANSIT    CANCELLED  -   -         yes
    TRADED     PENDING    1   9         no
    CANCELLED  PENDING    -   -         no
    PENDING    PENDING    1   2         yes
    PENDING    PENDING    2   2         no
    PENDING    PENDING    3   2         no
    PENDING    TRANSIT    1   1         no
    TRANSIT    PENDING    1   1         yes
    TRANSIT    PENDING    -   5         yes
    WHATEVER   PENDING    1   1         no
    PENDING    WHATEVER   1   1         yes
    TRADED     CANCELLED  1   9         no
    CANCELLED  TRADED     9   1         yes
    CANCELLED  CANCELLED  1   1         no
""")


@pytest.mark.parametrize("row", STALE, ids=str)
def test_which_of_two_messages_is_overtaken(row: Row) -> None:
    """What is done stays done, whatever the clocks say; then time; then how far along the word is."""
    at_us, known_us = row.opt_number("at"), row.opt_number("known_at")

    assert is_stale(row.status, row.known, at_us, known_us) == row.has("stale")


def test_of_two_different_words_of_one_moment_one_is_overtaken() -> None:
    """Else the order they come in would decide."""
    words = ["TRANSIT", "PENDING", "PART_TRADED", "WHATEVER", "CANCELLED", "REJECTED", "TRADED", "EXPIRED"]
    for one in words:
        for other in words:
            if one != other:
                assert is_stale(one, other, 1, 1) != is_stale(other, one, 1, 1), (one, other)


# -- what a message leaves out ------------------------------------------------------------------------------------

KNOWN = SeenOrder("82260922104417", "c", "NSE_EQ", "1333", "BUY", "CNC", "LIMIT", 40, 0, None, None, "PENDING", True)


def test_gaps_are_filled_from_what_is_known_and_nothing_else_is() -> None:
    """A message that names only the order and its end is enough, once the order is known."""
    bare = OrderNews("82260922104417", "TRADED")
    assert set(bare.missing()) == {"exchange_segment", "security_id", "side", "product", "order_type", "quantity"}
    with pytest.raises(ValueError, match="do not say"):
        bare.order(0)

    found = bare.completed(KNOWN)

    assert not found.missing() and (found.quantity, found.filled, found.side) == (40, 40, "BUY")
    assert replace(bare, quantity=50).completed(KNOWN).quantity == 50
    assert replace(bare, filled=7).completed(KNOWN).filled == 40, "the word means all of it"
    assert replace(bare, status="CANCELLED", filled=7).completed(KNOWN).filled == 7


@pytest.mark.parametrize("field", ["exchange_segment", "security_id", "side"])
def test_news_of_another_instrument_or_side_contradict(field: str) -> None:
    """An order number that means something else is not believed."""
    told = OrderNews("82260922104417", "PENDING", exchange_segment="NSE_EQ", security_id="1333", side="BUY")
    assert told.contradicts(KNOWN) == ""
    assert field in replace(told, **{field: "SELL"}).contradicts(KNOWN)
