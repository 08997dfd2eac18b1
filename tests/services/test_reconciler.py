"""
What the broker shows, brought into the book: every fill once, every permit settled by evidence, nothing freed by age.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riskguard.core.book import Line
from riskguard.core.seen import Seen, SeenOrder, SeenPosition, SeenTrade
from riskguard.services.sweeps.reconciler import end_earlier_day, take_fill, take_order, take_over
from riskguard.store import loader, permits
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, SECOND, START, Desk, EachDesk, e4

DATE = "2025-06-02"


def trade(quantity: int = 10, **changes: Any) -> SeenTrade:
    fields: dict[str, Any] = {
        "trade_id": "T1", "order_id": "B1", "correlation_id": "", "exchange_segment": "NSE_EQ", "security_id": "1333",
        "side": "BUY", "product": "INTRADAY", "quantity": quantity, "price_e4": e4("100"), "at_us": START,
    }  # fmt: skip
    return SeenTrade(**{**fields, **changes})


def listed(status: str = "PENDING", filled: int = 0, **changes: Any) -> SeenOrder:
    fields: dict[str, Any] = {
        "order_id": "B1", "correlation_id": "", "exchange_segment": "NSE_EQ", "security_id": "1333", "side": "BUY",
        "product": "INTRADAY", "order_type": "LIMIT", "quantity": 10, "filled": filled, "price_e4": e4("100"),
        "trigger_price_e4": None, "status": status,
        "is_live": status not in ("TRADED", "CANCELLED", "REJECTED", "EXPIRED"),
    }  # fmt: skip
    return SeenOrder(**{**fields, **changes})


def tell(desk: Desk, *told: SeenTrade | SeenOrder) -> None:
    """Put what the broker says into the book, one transaction each."""
    for each in told:
        with desk.store.session() as session:
            session.read_heads(ACCOUNT)
            if isinstance(each, SeenTrade):
                take_fill(session, ACCOUNT, DATE, each, desk.clock.now_us())
            else:
                take_order(session, ACCOUNT, each, desk.clock.now_us(), "test")


def sent(desk: Desk, order_id: str | None = "B1", **changes: Any) -> str:
    """An order of ours that was sent; without *order_id* nobody heard of its outcome. Returns its correlation id."""
    permit = desk.guard.check(desk.order(**changes)).permit
    with permit.sending() as wire:  # type: ignore[union-attr]
        wire.order_id = order_id
    return permit.approved_order.correlation_id  # type: ignore[union-attr,no-any-return]


def line(desk: Desk) -> Line:
    """Return the share's intraday line as a check would load it."""
    with desk.store.session() as session:
        session.read_heads(ACCOUNT)
        account = loader.load(session, ACCOUNT, "", desk.clock.now_us()).account
        desk.store.roll_back(session)
    return account.positions.get(("NSE_EQ", "1333"), {}).get("INTRADAY") or Line("INTRADAY").refresh()


# -- fills ----------------------------------------------------------------------------------------------------------


def test_the_same_fill_counts_once_whoever_tells_it(desk: Desk) -> None:
    """A feed, a sweep, another program and the sweep again."""
    sent(desk)
    tell(desk, trade(), trade(), trade(correlation_id="x"))
    desk.guard.report_fill(
        ACCOUNT, order_id="B1", trade_id="T1", exchange_segment="NSE_EQ", security_id="1333", side="BUY",
        product="INTRADAY", quantity=10, price="100",
    )  # fmt: skip

    assert desk.rows("SELECT filled_quantity, fills, buy_value_e4 FROM day_books") == [(10, 1, e4("1000"))]
    assert desk.permit("o-1") == "FILLED" and line(desk).buying == 0


SAME = table("""
    changed           fills
    nothing           1
    trade_id          2
    order_id          2
    exchange_segment  2
""")


@pytest.mark.parametrize("row", SAME, ids=str)
def test_what_makes_a_fill_another_one(desk: Desk, row: Row) -> None:
    """Segment, day, order and trade id together: exchanges number their trades apart."""
    values = {"trade_id": "T2", "order_id": "B2", "exchange_segment": "BSE_EQ"}
    changes = {} if row.changed == "nothing" else {row.changed: values[row.changed]}
    tell(desk, trade(), trade(**changes))

    assert desk.one("SELECT sum(fills) FROM day_books") == row.number("fills")


def test_a_fill_leaves_its_permit_in_the_transaction_that_books_it(desk: Desk) -> None:
    """Net plus working is the same before and after each part: the limit can be passed at no moment."""
    sent(desk)
    reach = []
    for number, quantity in enumerate((4, 1, 5)):
        reach.append(line(desk).net + line(desk).buying)
        tell(desk, trade(quantity, trade_id=f"T{number}"))
    reach.append(line(desk).net + line(desk).buying)

    assert reach == [10, 10, 10, 10]
    assert desk.rows("SELECT state, filled_quantity FROM permits") == [("FILLED", 10)]


FILLS = table("""
    before     filled  after      reserved
    SENT       4       ACKED      6
    UNKNOWN    4       ACKED      6
    ACKED      4       ACKED      6
    ACKED      10      FILLED     0
    ACKED      11      FILLED     0
    UNKNOWN    10      FILLED     0
    CANCELLED  4       CANCELLED  0
    CANCELLED  10      FILLED     0
    REFUSED    4       REFUSED    0
    EXPIRED    10      FILLED     0
""")


@pytest.mark.parametrize("row", FILLS, ids=str)
def test_a_fill_is_evidence_whatever_the_permit_said(desk: Desk, row: Row) -> None:
    """A late fill after a cancel, one of an order nobody answered for, more than was ordered: it is in the book."""
    sent(desk)
    desk.sql("UPDATE permits SET state = ?", row.before)
    tell(desk, trade(row.number("filled")))

    assert desk.permit("o-1") == row.after
    assert (line(desk).net, line(desk).buying) == (row.number("filled"), row.number("reserved"))


# -- orders ---------------------------------------------------------------------------------------------------------

SETTLED = table("""
    before   status     filled  booked  after      reserved
    SENT     PENDING    0       0       ACKED      10
    UNKNOWN  PENDING    0       0       ACKED      10
    UNKNOWN  TRANSIT    0       0       ACKED      10
    UNKNOWN  WHATEVER   0       0       ACKED      10
    ACKED    PENDING    0       0       ACKED      10
    SENT     REJECTED   0       0       REFUSED    0
    UNKNOWN  REJECTED   0       0       REFUSED    0
    ACKED    CANCELLED  0       0       CANCELLED  0
    ACKED    EXPIRED    0       0       CANCELLED  0
    UNKNOWN  CANCELLED  0       0       CANCELLED  0
    ACKED    CANCELLED  4       4       CANCELLED  0
    ACKED    CANCELLED  4       0       ACKED      10
    ACKED    TRADED     10      10      FILLED     0
    ACKED    TRADED     10      4       ACKED      6
    ACKED    TRADED     10      0       ACKED      10
    GRANTED  PENDING    0       0       ACKED      10
""")


@pytest.mark.parametrize("row", SETTLED, ids=str)
def test_the_order_list_settles_a_permit(desk: Desk, row: Row) -> None:
    """A word nobody knows is a live order; what filled must reach the book before its room is free."""
    sent(desk)
    desk.sql("UPDATE permits SET state = ?", row.before)
    if row.number("booked"):
        tell(desk, trade(row.number("booked")))
    tell(desk, listed(row.status, row.number("filled")))

    assert desk.permit("o-1") == row.after
    found = line(desk)
    assert (found.net, found.buying) == (row.number("booked"), row.number("reserved"))


def test_an_answer_nobody_heard_is_found_by_the_name_it_was_given(desk: Desk) -> None:
    """Unknown outcome: the correlation id in the broker's list ties order and permit together."""
    correlation = sent(desk, None)
    assert desk.permit("o-1") == "UNKNOWN"
    tell(desk, listed(correlation_id="rgSOMEBODYELSES00000000"))
    assert desk.permit("o-1") == "UNKNOWN"
    tell(desk, listed(order_id="B7", correlation_id=correlation))

    assert desk.rows("SELECT state, order_id FROM permits") == [("ACKED", "B7")]
    assert desk.rows("SELECT client_order_id FROM orders WHERE id = 'B7'") == [("o-1",)]


def test_orders_of_other_programs_count_as_working(desk: Desk) -> None:
    """Nobody asked about them: until they are done they are room that is taken."""
    tell(desk, listed(order_id="X1", quantity=30), listed(order_id="X2", quantity=5, side="SELL"))
    assert (line(desk).buying, line(desk).selling) == (30, 5)
    tell(desk, listed("PART_TRADED", 12, order_id="X1", quantity=30), trade(12, order_id="X1"))
    assert (line(desk).net, line(desk).buying) == (12, 18)
    tell(desk, listed("CANCELLED", 12, order_id="X1", quantity=30), listed("CANCELLED", order_id="X2", side="SELL"))

    assert (line(desk).net, line(desk).buying, line(desk).selling) == (12, 0, 0)


def test_our_own_order_in_the_list_is_not_counted_twice(desk: Desk) -> None:
    """Known by its id, or only by the name we gave it."""
    correlation = sent(desk)
    tell(desk, listed(correlation_id=correlation))
    sent(desk, None, client_order_id="second")
    second = permits.correlation_id(ACCOUNT, "second")
    tell(desk, listed(order_id="B9", correlation_id=second))

    assert line(desk).buying == 20


# -- lists ----------------------------------------------------------------------------------------------------------


def test_a_list_that_could_not_be_read_changes_nothing(desk: Desk) -> None:
    """None is unknown; an empty list is the claim that there is nothing."""
    desk.hold(10)
    before = desk.rows("SELECT count(*) FROM snapshots")
    with desk.store.session() as session:
        session.read_heads(ACCOUNT)
        take_over(
            session, ACCOUNT, DATE, Seen(desk.clock.now_us(), None, None, None, None), desk.clock.now_us(), "test"
        )
    assert desk.rows("SELECT count(*) FROM snapshots") == before
    with desk.store.session() as session:
        session.read_heads(ACCOUNT)
        take_over(session, ACCOUNT, DATE, Seen(desk.clock.now_us(), (), (), (), None), desk.clock.now_us(), "test")
    found = line(desk)

    assert (found.net, found.seen, found.near, found.up) == (10, 0, 0, 10)


SIDES = table("""
    booked  seen  fetched_after_s  up   down  near  settled
    10      10    5                10   10    10    yes
    10      10    4.999999         10   10    10    no
    10      0     5                10   0     0     no
    10      4     5                10   4     4     no
    10      14    5                14   10    10    no
    10      -3    5                10   -3    0     no
    -10     -10   5                -10  -10   -10   yes
    -10     0     5                0    -10   0     no
    -10     -4    5                -4   -10   -4    no
""")


@pytest.mark.parametrize("row", SIDES, ids=str)
def test_until_list_and_fills_agree_each_side_is_judged_on_the_worse(desk: Desk, row: Row) -> None:
    """The list lags by seconds: a snapshot settles the line only 5 s after its last fill."""
    booked = row.number("booked")
    tell(desk, trade(abs(booked), side="BUY" if booked > 0 else "SELL", at_us=desk.clock.now_us()))
    fetched_us = desk.clock.now_us() + round(float(row.fetched_after_s) * SECOND)
    desk.clock.at_us = fetched_us
    shown = (SeenPosition("NSE_EQ", "1333", "INTRADAY", row.number("seen")),)
    with desk.store.session() as session:
        session.read_heads(ACCOUNT)
        take_over(session, ACCOUNT, DATE, Seen(fetched_us, shown, None, None, None), fetched_us, "test")
    found = line(desk)

    assert (found.up, found.down, found.near) == (row.number("up"), row.number("down"), row.number("near"))
    assert found.settled == row.has("settled")


def test_a_day_order_ends_with_its_day(desk: Desk) -> None:
    """Only what the complete list of the new day no longer shows as live."""
    correlation = sent(desk)
    sent(desk, "B2", client_order_id="other")
    midnight_us = START + 12 * 3600 * SECOND
    seen = Seen(midnight_us, (), (listed(correlation_id=correlation),), (), None)
    blind = Seen(midnight_us, (), None, (), None)
    with desk.store.session() as session:
        session.read_heads(ACCOUNT)
        assert end_earlier_day(session, ACCOUNT, midnight_us, blind, midnight_us) == 0
        assert end_earlier_day(session, ACCOUNT, midnight_us, seen, midnight_us) == 1
        assert end_earlier_day(session, ACCOUNT, midnight_us, seen, midnight_us) == 0

    assert [desk.permit("o-1"), desk.permit("other")] == ["ACKED", "CANCELLED"]


# -- any order of news ------------------------------------------------------------------------------------------------


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    orders=st.lists(st.tuples(st.integers(1, 30), st.integers(0, 30), st.booleans()), min_size=1, max_size=4),
    seed=st.integers(0, 2**32),
)
def test_in_whatever_order_the_news_come_the_book_ends_the_same(
    orders: list[tuple[int, int, bool]],
    seed: int,
    each_desk: EachDesk,
) -> None:
    """
    Orders that fill in parts and then end, told in any order, repeatedly, with gaps: at every moment what is booked and
    what is reserved cover what was really filled, and when everything was told the book is exact.
    """
    chance = random.Random(seed)
    with each_desk() as desk:
        desk.sweep()
        news: list[SeenTrade | SeenOrder] = []
        filled_in_all = 0
        for number, (quantity, wanted, ends) in enumerate(orders):
            order_id, filled, left = f"B{number}", 0, min(quantity, wanted)
            filled_in_all += left
            sent(desk, order_id if chance.random() < 0.7 else None, client_order_id=f"c{number}", quantity=quantity)
            common = {"order_id": order_id, "correlation_id": permits.correlation_id(ACCOUNT, f"c{number}")}
            while left:
                part = chance.randint(1, left)
                left, filled = left - part, filled + part
                news.append(trade(part, trade_id=f"T{number}-{filled}", **common))
                news.append(listed("PART_TRADED", filled, quantity=quantity, **common))
            if ends or filled == quantity:
                status = "TRADED" if filled == quantity else "CANCELLED"
                news.append(listed(status, filled, quantity=quantity, **common))
        told = news + [chance.choice(news) for _ in news]
        chance.shuffle(told)
        for each in told:
            tell(desk, each)
            found = line(desk)
            known = sum(t.quantity for t in {t.trade_id: t for t in told if isinstance(t, SeenTrade)}.values())
            assert found.net <= known == filled_in_all <= found.net + found.buying
        for each in sorted(news, key=lambda item: isinstance(item, SeenOrder) and item.filled):
            tell(desk, each)  # a last complete look, the lists as they are in the end
        found = line(desk)

        still = sum(q - min(q, w) for q, w, ends in orders if not ends and min(q, w) < q)
        assert found.net == filled_in_all
        assert found.buying == still
