"""Goal: a feed's news are in the book once, whoever tells them first, in whatever order; and no message stops the feed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riskguard.core.seen import Seen, SeenTrade
from riskguard.services.feeds import merging
from riskguard.services.sweeps.reconciler import take_order, take_over
from riskguard.store import permits, told_fills
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, SECOND, START, Desk, EachDesk, e4, eventually
from tests.services.feeding import DATE, Feed, posting, rupees, update
from tests.services.test_reconciler import line, listed, sent, trade


@pytest.fixture
def feed(desk: Desk) -> Feed:
    return Feed(desk)


def kept(desk: Desk) -> list[tuple[Any, ...]]:
    return desk.rows("SELECT is_processed, error_message IS NOT NULL FROM websocket_messages ORDER BY id")


# -- what a message does ------------------------------------------------------------------------------------------

DRIVEN = table("""
    before   status     traded  average  after      net  reserved
    SENT     Transit    0       -        ACKED      0    10
    SENT     Pending    0       -        ACKED      0    10
    UNKNOWN  Pending    0       -        ACKED      0    10
    ACKED    Pending    4       100      ACKED      4    6
    ACKED    Pending    4       -        ACKED      0    10
    ACKED    Traded     10      100      FILLED     10   0
    ACKED    Traded     10      -        ACKED      0    10
    SENT     Traded     10      100      FILLED     10   0
    ACKED    Cancelled  0       -        CANCELLED  0    0
    ACKED    Cancelled  4       100      CANCELLED  4    0
    ACKED    Cancelled  4       -        ACKED      0    10
    SENT     Rejected   0       -        REFUSED    0    0
    ACKED    Expired    0       -        CANCELLED  0    0
    ACKED    Whatever   0       -        ACKED      0    10
""")


@pytest.mark.parametrize("row", DRIVEN, ids=str)
def test_a_message_drives_the_permit(feed: Feed, row: Row) -> None:
    """What traded at a known price is in the book; what traded at none stays reserved until the list tells it."""
    sent(feed.desk)
    feed.desk.sql("UPDATE permits SET state = ?", row.before)
    feed.tell(update(status=row.status, tradedQty=row.number("traded"), avgTradedPrice=row.opt("average")))

    found = line(feed.desk)
    assert feed.desk.permit("o-1") == row.after
    assert (found.net, found.buying) == (row.number("net"), row.number("reserved"))
    assert kept(feed.desk) == [(1, 0)]


def test_the_stream_can_be_quicker_than_our_own_answer(feed: Feed) -> None:
    """The correlation id ties order and permit; whoever places it then finds it answered."""
    desk = feed.desk
    permit = desk.guard.check(desk.order()).permit
    assert permit is not None
    with permit.sending() as wire:
        feed.tell(
            update(
                status="Traded", tradedQty=10, avgTradedPrice=100, correlationId=permit.approved_order.correlation_id
            )
        )
        wire.order_id = "B1"

    assert desk.rows("SELECT state, order_id, filled_quantity FROM permits") == [("FILLED", "B1", 10)]
    assert (line(desk).net, line(desk).buying) == (10, 0)


def test_fills_told_before_anybody_knew_whose_they_are_find_their_permit(feed: Feed) -> None:
    """Without a correlation id the order is a stranger's, counted besides ours, until our answer names it."""
    desk = feed.desk
    sent(desk, None)
    feed.tell(update(tradedQty=4, avgTradedPrice=100))
    assert (line(desk).net, line(desk).buying) == (4, 6 + 10)
    desk.sql("UPDATE permits SET state = 'ACKED', order_id = 'B1'")  # the answer comes
    feed.list_trade(trade(4, trade_id="T1"))
    assert (line(desk).net, line(desk).buying) == (4, 6)
    feed.tell(update(status="Traded", tradedQty=10, avgTradedPrice=100))

    assert (line(desk).net, line(desk).buying, desk.permit("o-1")) == (10, 0, "FILLED")


def test_a_fill_the_list_told_first_finds_its_permit_too(feed: Feed) -> None:
    """The trade list names no correlation id: without this the permit would stay reserved all day."""
    desk = feed.desk
    correlation = sent(desk, None)
    feed.list_trade(trade(10, trade_id="T1"))
    assert line(desk).buying == 10
    feed.tell(update(status="Traded", tradedQty=10, avgTradedPrice=100, correlationId=correlation))

    assert (line(desk).net, line(desk).buying, desk.permit("o-1")) == (10, 0, "FILLED")
    assert feed.book()[0][3:] == (10, 10, 0, e4("1000"), 0, 1)


# -- the same fill from several sources ---------------------------------------------------------------------------


def test_the_same_fill_told_by_stream_and_list_counts_once(feed: Feed) -> None:
    """The stream's sum first, then the numbered fills: each takes its part out of it, at its own price."""
    sent(feed.desk)
    feed.tell(update(status="Traded", tradedQty=10, avgTradedPrice=99.4))
    assert feed.book()[0][3:] == (10, 10, 0, e4("994"), 0, 1)
    feed.list_trade(trade(6, trade_id="T1", price_e4=e4("99")))
    assert feed.book()[0][3:] == (10, 10, 0, e4("994"), 0, 2)
    feed.list_trade(trade(4, trade_id="T2", price_e4=e4("100")))

    assert feed.book()[0][3:] == (10, 10, 0, e4("994"), 0, 2)
    assert feed.desk.rows("SELECT count(*) FROM trades WHERE exchange_trade_id IS NULL") == [(0,)]
    assert feed.desk.rows("SELECT state, filled_quantity FROM permits") == [("FILLED", 10)]


def test_the_list_first_leaves_the_stream_nothing_to_add(feed: Feed) -> None:
    """A sum that is in the book already is no fill."""
    sent(feed.desk)
    feed.list_trade(trade(10, trade_id="T1", price_e4=e4("99.4")))
    before = feed.book()
    feed.tell(update(status="Traded", tradedQty=10, avgTradedPrice=99.4), update(tradedQty=4, avgTradedPrice=99))

    assert feed.book() == before and feed.desk.permit("o-1") == "FILLED"


def test_a_stored_fill_of_another_program_takes_its_part_as_well(feed: Feed) -> None:
    """A version 3 program writes the trade list's rows; they are booked at the next check."""
    sent(feed.desk)
    feed.tell(update(status="Traded", tradedQty=10, avgTradedPrice=100))
    feed.desk.sql(
        "INSERT INTO trades (id, order_id, account_type, exchange_trade_id, security_id, exchange_segment, side, product,"
        " quantity, price, trade_ts, created_at) VALUES ('40771902', 'B1', 'leader', '40771902', '1333', 'NSE_EQ', 'BUY',"
        " 'INTRADAY', 10, 100.0, ?, ?)",
        START // SECOND,
        START // SECOND,
    )
    feed.desk.guard.check(feed.desk.order())

    assert feed.book()[0][3:] == (10, 10, 0, e4("1000"), 0, 1)


def test_two_partial_sums_and_late_ones(feed: Feed) -> None:
    """4, then 10, then 4 again: the sum grows and never shrinks, and the value follows the average."""
    sent(feed.desk)
    feed.tell(update(tradedQty=4, avgTradedPrice=100), update(tradedQty=10, avgTradedPrice="100.6", status="Traded"))
    feed.tell(update(tradedQty=4, avgTradedPrice=100, price=100.0))

    assert feed.book()[0][3:] == (10, 10, 0, e4("1006"), 0, 1)
    assert feed.desk.permit("o-1") == "FILLED"


def test_two_orders_under_one_name_give_their_permit_each_fill_once(feed: Feed) -> None:
    """A placement that was sent twice: the permit names the later one, and no fill is given to it a second time."""
    desk = feed.desk
    correlation = sent(desk, None, quantity=20)
    feed.tell(update("B1", quantity=20, tradedQty=4, avgTradedPrice=100, correlationId=correlation))
    feed.tell(update("B2", quantity=20, tradedQty=5, avgTradedPrice=100, correlationId=correlation))
    feed.list_trade(trade(4, trade_id="T1", order_id="B1"))
    feed.list_trade(trade(5, trade_id="T2", order_id="B2"))
    feed.tell(update("B1", quantity=20, tradedQty=4, avgTradedPrice=100, correlationId=correlation, price=101))

    assert desk.rows("SELECT filled_quantity FROM permits") == [(9,)] and feed.book()[0][3] == 9


# -- out of order -------------------------------------------------------------------------------------------------


def test_an_older_message_after_a_newer_one_changes_nothing(feed: Feed) -> None:
    """What is done does not live again by a late message; a part that filled before the cancel still counts."""
    desk = feed.desk
    sent(desk)
    feed.tell(update(status="Cancelled", tradedQty=4, avgTradedPrice=None, lastUpdatedTime="2025-06-02 10:30:09"))
    assert (desk.permit("o-1"), line(desk).buying) == ("ACKED", 10), "what traded has no price yet: all stays reserved"
    feed.tell(update(tradedQty=4, avgTradedPrice=100, lastUpdatedTime="2025-06-02 10:30:05"))
    feed.tell(update(status="Transit", lastUpdatedTime="2025-06-02 10:30:01"))

    assert desk.rows("SELECT status, traded_qty FROM orders") == [("CANCELLED", 4)]
    assert line(desk).net == 4
    feed.list_trade(trade(4, trade_id="T1"))
    with desk.store.session() as session:  # the next list of the broker
        session.read_heads(ACCOUNT)
        take_order(session, ACCOUNT, listed("CANCELLED", 4), desk.clock.now_us(), "sweep")
    assert (desk.permit("o-1"), line(desk).net, line(desk).buying) == ("CANCELLED", 4, 0)


def test_an_older_price_does_not_come_back(feed: Feed) -> None:
    """A modified order keeps what it was modified to, by the broker's own times."""
    feed.tell(
        update(price=101, lastUpdatedTime="2025-06-02 10:30:05"),
        update(price=99, lastUpdatedTime="2025-06-02 10:30:01"),
    )

    assert feed.desk.rows("SELECT price FROM orders") == [(101.0,)]


def test_a_list_of_the_broker_may_say_that_an_order_lives(feed: Feed) -> None:
    """A feed that was wrong about an end is put right by the list: the order counts as working again."""
    feed.tell(update(status="Rejected"))
    assert line(feed.desk).buying == 0
    with feed.desk.store.session() as session:
        session.read_heads(ACCOUNT)
        take_order(session, ACCOUNT, listed("PENDING"), feed.desk.clock.now_us(), "sweep")

    assert line(feed.desk).buying == 10


# -- orders of others, and messages that come too early --------------------------------------------------------------


def test_an_order_nobody_asked_about_counts_as_working_and_its_fills_are_booked(feed: Feed) -> None:
    """From the app: seen at once, and the lists are asked for so that a sweep can judge it."""
    feed.tell(update("X1", quantity=30))
    assert line(feed.desk).buying == 30 and "nobody asked about order X1" in feed.asked[-1][1]
    feed.tell(update("X1", quantity=30, tradedQty=12, avgTradedPrice=100, status="Part Traded"))
    assert (line(feed.desk).net, line(feed.desk).buying) == (12, 18)
    feed.tell(update("X1", quantity=30, tradedQty=12, avgTradedPrice=100, status="Cancelled"))

    assert (line(feed.desk).net, line(feed.desk).buying) == (12, 0)


def test_what_a_stranger_traded_at_no_price_stays_working(feed: Feed) -> None:
    """It is neither in the book nor free: the room is taken until the trade list brings the price."""
    feed.tell(update("X1", quantity=30), update("X1", quantity=30, tradedQty=12, avgTradedPrice=None))
    assert (line(feed.desk).net, line(feed.desk).buying) == (0, 30)
    feed.tell(update("X1", quantity=30, tradedQty=30, avgTradedPrice=None, status="Traded"))
    assert (line(feed.desk).net, line(feed.desk).buying) == (0, 30)
    assert "at a price nobody told" in feed.asked[-1][1]
    feed.list_trade(trade(30, order_id="X1", trade_id="T1"))
    with feed.desk.store.session() as session:
        session.read_heads(ACCOUNT)
        take_order(
            session, ACCOUNT, listed("TRADED", 30, order_id="X1", quantity=30), feed.desk.clock.now_us(), "sweep"
        )

    assert (line(feed.desk).net, line(feed.desk).buying) == (30, 0)


def test_a_message_that_says_too_little_waits_for_its_order(feed: Feed) -> None:
    """Known by its number only: it is kept, and dealt with once the order is known."""
    bare = json.dumps({"Type": "order_alert", "Data": {"orderNo": "X1", "status": "Cancelled", "tradedQty": 0}})
    feed.tell(bare)
    assert kept(feed.desk) == [(0, 1)] and feed.asked
    feed.tell(update("X1"))

    assert kept(feed.desk) == [(1, 0), (1, 0)]
    assert feed.desk.rows("SELECT status FROM orders") == [("CANCELLED",)]


def test_a_message_whose_order_is_never_known_is_given_up_after_a_day(feed: Feed) -> None:
    """It stays with its reason, and is not looked at for ever."""
    feed.tell(json.dumps({"Type": "order_alert", "Data": {"orderNo": "X1", "status": "Cancelled"}}))
    feed.desk.clock.advance(86_400)
    feed.intake.drain(waiting=True)
    assert kept(feed.desk) == [(0, 1)]
    feed.desk.clock.advance(1)
    feed.intake.drain(waiting=True)

    assert kept(feed.desk) == [(1, 1)] and feed.intake.drain(waiting=True) == 0


def test_an_order_of_another_account_is_not_touched(make_desk: Callable[..., Desk]) -> None:
    """An order number is one account's; a message on another's line changes nothing of it."""
    desk = make_desk(accounts=(ACCOUNT, "follower"))
    desk.sweep()
    first, second = Feed(desk), Feed(desk, "follower")
    first.tell(update("B1"))
    second.tell(update("B1", status="Cancelled"))

    assert desk.rows("SELECT account_type, status FROM orders") == [(ACCOUNT, "PENDING")]
    assert desk.one("SELECT error_message FROM websocket_messages WHERE account_type = 'follower'").endswith(
        "another account"
    )


@pytest.mark.parametrize("change", [{"txnType": "S"}, {"securityId": "9999"}, {"exchange": "BSE"}], ids=str)
def test_a_message_that_contradicts_the_order_is_not_believed(feed: Feed, change: dict[str, str]) -> None:
    """Neither side nor instrument of an order change: the lists decide."""
    sent(feed.desk)
    feed.tell(update(status="Traded", tradedQty=10, avgTradedPrice=100, **change))

    assert (line(feed.desk).net, line(feed.desk).buying, feed.desk.permit("o-1")) == (0, 10, "ACKED")
    assert kept(feed.desk) == [(1, 1)] and "contradicts" in feed.asked[-1][1]


def test_a_message_of_another_client_is_not_this_accounts(feed: Feed) -> None:
    """One line, one client."""
    assert not feed.stream.message(update(clientId="1100099002"), "1100099001")
    feed.intake.drain()

    assert kept(feed.desk) == [] and feed.desk.rows("SELECT * FROM orders") == []


def test_news_of_yesterday_change_no_book(feed: Feed) -> None:
    """Its book is closed, and its orders ended with it."""
    feed.tell(update(status="Traded", tradedQty=10, avgTradedPrice=100, lastUpdatedTime="2025-06-01 15:29:59"))

    assert feed.book() == [] and line(feed.desk).net == 0 and kept(feed.desk) == [(1, 0)]


# -- what is kept -------------------------------------------------------------------------------------------------


def test_a_message_told_twice_is_one_row_and_one_event(feed: Feed) -> None:
    """The same content; another word of the same order is another."""
    feed.tell(update(), update(), update(status="Cancelled"), update())

    assert len(kept(feed.desk)) == 2
    assert feed.desk.rows("SELECT event_type, event_source FROM order_events ORDER BY id") == [
        ("PLACED", "WEBSOCKET"),
        ("CANCELLED", "WEBSOCKET"),
    ]


def test_a_malformed_message_is_kept_with_its_error_and_stops_nothing(feed: Feed) -> None:
    """And the lists are asked for: what it wanted to say may have been a fill."""
    feed.tell("{", update(quantity="NaN"), update(status="Traded", tradedQty=10, avgTradedPrice=100))

    assert kept(feed.desk) == [(1, 1), (1, 1), (1, 0)]
    assert feed.desk.one("SELECT error_message FROM websocket_messages WHERE id = 2").startswith("`quantity` = 'NaN'")
    assert [why for _, why in feed.asked[:2]] == ["a message could not be read"] * 2
    assert line(feed.desk).net == 10


def test_a_message_that_breaks_us_is_kept_with_its_error_and_stops_nothing(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours costs one message its meaning, not the feed its life."""

    def breaks(*_args: object, **_more: object) -> None:
        raise ZeroDivisionError("a fault of ours")

    with monkeypatch.context() as patched:
        patched.setattr(merging, "take_order", breaks)
        feed.tell(update("B1"))
    feed.tell(update("B2"))

    assert kept(feed.desk) == [(1, 1), (1, 0)]
    assert feed.desk.rows("SELECT id FROM orders") == [("B2",)]


def test_messages_wait_in_memory_while_the_database_is_locked(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost: they are written with the next one, in their order."""
    monkeypatch.setattr("riskguard.services.feeds.stream.KEEP_WAIT_S", 0.05)
    with feed.desk.unwritable():
        assert not feed.stream.message(update("B1"), "")
    assert kept(feed.desk) == []
    feed.tell(update("B2"))

    assert feed.desk.rows("SELECT order_id FROM websocket_messages ORDER BY id") == [("B1",), ("B2",)]


def test_what_does_not_fit_into_memory_is_a_gap(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is dropped, and the lists are asked for once the database is back."""
    monkeypatch.setattr("riskguard.services.feeds.stream.KEEP_WAIT_S", 0.01)
    monkeypatch.setattr("riskguard.services.feeds.stream.BACKLOG_MAX", 2)
    with feed.desk.unwritable():
        for number in range(3):
            feed.stream.message(update(f"B{number}"), "")
    feed.stream.state("HEARD")

    assert feed.desk.rows("SELECT order_id FROM websocket_messages ORDER BY id") == [("B1",), ("B2",)]
    assert feed.asked == [(ACCOUNT, "1 messages were dropped while the database could not be written")]


def test_a_hole_in_the_senders_numbers_is_a_gap(feed: Feed) -> None:
    """Where the sender numbers its messages; a number again, or a new line, is none."""
    for number in (5, 6, 6, 9):
        body = json.dumps({**json.loads(update(f"B{number}")), "SequenceNumber": number})
        feed.stream.message(body, "")

    assert feed.asked == [(ACCOUNT, "messages 7 to 8 of the stream are missing")]


def test_what_an_earlier_process_left_is_dealt_with_by_the_next(feed: Feed) -> None:
    """Kept, then the process died: the row is the memory; a thread takes it up."""
    sent(feed.desk)
    feed.stream.message(update(status="Traded", tradedQty=10, avgTradedPrice=100), "")
    assert line(feed.desk).net == 0
    later = Feed(feed.desk)
    later.intake.start()
    eventually(lambda: kept(feed.desk) == [(1, 0)])
    assert later.intake.stop()

    assert line(feed.desk).net == 10 and not later.intake.is_alive()


def test_two_intakes_at_once_count_a_message_once(feed: Feed) -> None:
    """Two daemons share an inbox."""
    sent(feed.desk, quantity=400)
    others = [feed.intake, Feed(feed.desk).intake]
    for each in others:
        each.start()
    for number in range(1, 41):
        feed.stream.message(update(quantity=400, tradedQty=number * 10, avgTradedPrice=100), "")
        others[1].wake()
    eventually(lambda: feed.desk.one("SELECT count(*) FROM websocket_messages WHERE is_processed = 0") == 0)
    assert all(each.stop() for each in others)

    assert feed.book()[0][3:6] == (400, 400, 0) and feed.desk.permit("o-1") == "FILLED"


# -- what a webhook may do ----------------------------------------------------------------------------------------


def test_an_unsigned_body_only_makes_the_broker_be_asked(feed: Feed) -> None:
    """Kept and noted with its source; no order, no fill, no permit moves."""
    sent(feed.desk)
    before = feed.desk.rows("SELECT * FROM permits"), feed.book(), line(feed.desk)
    for status, filled in (("TRADED", 10), ("CANCELLED", 0), ("REJECTED", 0), ("PENDING", 0)):
        feed.post(posting(status=status, filled_qty=filled))
    feed.post(posting("STRANGE"))

    assert (feed.desk.rows("SELECT * FROM permits"), feed.book(), line(feed.desk)) == before
    assert feed.desk.rows("SELECT * FROM orders") == []
    assert len(feed.asked) == 5 and "a webhook told of order B1" in feed.asked[0][1]
    assert feed.desk.rows("SELECT DISTINCT event_source FROM order_events") == [("POSTBACK",)]
    assert feed.desk.rows("SELECT DISTINCT is_verified, is_processed FROM postback_events") == [(0, 1)]


def test_a_signed_body_may_make_a_live_order_count_and_nothing_else(feed: Feed) -> None:
    """It takes room, as if nothing of it had traded; an end it tells frees nothing."""
    feed.post(posting("X1", quantity=30, filled_qty=12), verified=True)
    assert (line(feed.desk).net, line(feed.desk).buying) == (0, 30)
    feed.post(posting("X1", quantity=30, status="CANCELLED"), verified=True)
    feed.post(posting("X2", status="CANCELLED"), verified=True)

    assert line(feed.desk).buying == 30 and feed.desk.rows("SELECT id, source FROM orders") == [("X1", "postback")]


def test_a_body_that_comes_again_signed_counts_as_signed(feed: Feed) -> None:
    """The broker's own call came first, the relay's second."""
    feed.post(posting("X1"))
    feed.post(posting("X1"), verified=True)

    assert line(feed.desk).buying == 10
    assert feed.desk.rows("SELECT is_verified, is_processed FROM postback_events") == [(1, 1)]


FORGED = st.fixed_dictionaries(
    {
        "order_id": st.sampled_from(["B1", "B2", "X9"]),
        "status": st.sampled_from(["TRADED", "CANCELLED", "REJECTED", "EXPIRED", "PENDING", "TRANSIT", "ODD"]),
        "quantity": st.integers(1, 500),
        "filled_qty": st.integers(0, 500),
        "transactionType": st.sampled_from(["BUY", "SELL"]),
        "averageTradedPrice": st.integers(0, 500),
        "verified": st.booleans(),
        "ours": st.booleans(),
    }
)


@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(bodies=st.lists(FORGED, min_size=1, max_size=5))
def test_no_forged_body_frees_anything(bodies: list[dict[str, Any]], each_desk: EachDesk) -> None:
    """Whatever is posted, signed or not: what is held stays, what is reserved stays, what works grows at most."""
    with each_desk() as desk:
        desk.sweep()
        sent(desk)
        correlation = sent(desk, None, client_order_id="second")
        feed = Feed(desk)
        feed.list_trade(trade(4, trade_id="T1"))
        held, reserved = line(desk).net, (line(desk).buying, line(desk).selling)
        permits_before = desk.rows("SELECT * FROM permits")
        for each in bodies:
            verified, ours = each.pop("verified"), each.pop("ours")
            feed.post(posting(**each, correlationId=correlation if ours else None), verified=verified)
            assert line(desk).net == held and desk.rows("SELECT * FROM permits") == permits_before
            assert line(desk).buying >= reserved[0] and line(desk).selling >= reserved[1]


# -- any order of a day -------------------------------------------------------------------------------------------


def day_of(orders: list[tuple[int, int, bool]], chance: random.Random) -> tuple[list[SeenTrade], list[tuple[str, str]]]:
    """Return a day's trade list, and what the feeds tell of it: stream and postback, with gaps."""
    fills: list[SeenTrade] = []
    told: list[tuple[str, str]] = []
    for number, (quantity, wanted, ends) in enumerate(orders):
        order_id, side = f"B{number}", "B" if number % 2 else "S"
        word = {"B": "BUY", "S": "SELL"}[side]
        filled = value_e4 = second = 0
        left = min(quantity, wanted)
        common: dict[str, Any] = {"quantity": quantity, "txnType": side}
        if chance.random() < 0.7:
            common["correlationId"] = permits.correlation_id(ACCOUNT, f"c{number}")
        while left:
            part, price_e4 = chance.randint(1, left), 100 * chance.randint(9_000, 11_000)
            left, filled, value_e4, second = left - part, filled + part, value_e4 + part * price_e4, second + 1
            at = f"2025-06-02 10:{10 + number}:{second:02d}"
            fills.append(trade(part, trade_id=f"T{number}-{filled}", order_id=order_id, side=word, price_e4=price_e4))
            average = rupees(round(value_e4 / filled))
            state = "Traded" if filled == quantity else "Pending"
            told.append(
                (
                    "stream",
                    update(order_id, state, tradedQty=filled, avgTradedPrice=average, lastUpdatedTime=at, **common),
                )
            )
            told.append(
                ("post", posting(order_id, state.upper(), filled_qty=filled, quantity=quantity, transactionType=word))
            )
        if ends and filled < quantity:
            at = f"2025-06-02 10:{10 + number}:59"
            average = rupees(round(value_e4 / filled)) if filled else None
            told.append(
                (
                    "stream",
                    update(
                        order_id, "Cancelled", tradedQty=filled, avgTradedPrice=average, lastUpdatedTime=at, **common
                    ),
                )
            )
    return fills, told


ORDERS = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 30), st.booleans()), min_size=1, max_size=3)
Orders = list[tuple[int, int, bool]]
Sums = tuple[int, int, int, int, int]


def sums_of(fills: list[SeenTrade]) -> Sums:
    """Return bought, sold, paid, received and count, as the trade list alone gives them."""
    buys, sells = ([each for each in fills if each.side == side] for side in ("BUY", "SELL"))
    return (
        sum(each.quantity for each in buys), sum(each.quantity for each in sells),
        sum(each.quantity * each.price_e4 for each in buys), sum(each.quantity * each.price_e4 for each in sells), len(fills),
    )  # fmt: skip


def tell_all(desk: Desk, orders: Orders, seed: int, *, listed_too: bool = True) -> Sums:
    """
    Tell a day in an order *seed* decides, with repeats; return the sums of the book it ends in.

    At every moment what is booked and what is reserved cover what was really filled, on each side.
    """
    chance = random.Random(seed)
    fills, told = day_of(orders, chance)
    bought, sold, *_ = sums_of(fills)
    for number, (quantity, _wanted, _ends) in enumerate(orders):
        side = "BUY" if number % 2 else "SELL"
        sent(
            desk,
            f"B{number}" if chance.random() < 0.7 else None,
            client_order_id=f"c{number}",
            quantity=quantity,
            side=side,
        )
    feed = Feed(desk)
    news: list[SeenTrade | tuple[str, str]] = [*(fills if listed_too else ()), *told]
    news += [chance.choice(news) for _ in news[: len(news) // 2]]
    chance.shuffle(news)
    found = (0, 0, 0, 0, 0)
    for each in news:
        if isinstance(each, SeenTrade):
            feed.list_trade(each)
        elif each[0] == "stream":
            feed.tell(each[1])
        else:
            feed.post(each[1])
        ((*_, has_bought, has_sold, paid, received, count),) = feed.book() or [(0, 0, 0, 0, 0)]
        found, now = (has_bought, has_sold, paid, received, count), line(desk)
        assert has_bought <= bought <= has_bought + now.buying and has_sold <= sold <= has_sold + now.selling
    return found


def one_day(orders: Orders, seed: int, each_desk: EachDesk) -> None:
    """Tell one day, in any order: it ends in the book the trade list alone gives, to the paisa."""
    with each_desk() as desk:
        desk.sweep()
        assert tell_all(desk, orders, seed) == sums_of(day_of(orders, random.Random(seed))[0])
        assert desk.one("SELECT count(*) FROM websocket_messages WHERE is_processed = 0") == 0
        assert desk.one("SELECT count(*) FROM trades WHERE exchange_trade_id IS NULL") == 0


CHECKED_OFF = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=4, deadline=None, suppress_health_check=CHECKED_OFF)
@given(orders=ORDERS, seed=st.integers(0, 2**32))
def test_any_order_of_a_days_news_ends_in_the_book_of_the_trade_list(
    orders: Orders, seed: int, each_desk: EachDesk
) -> None:
    """Stream, postback and trade list, shuffled and repeated."""
    one_day(orders, seed, each_desk)


@pytest.mark.soak
@settings(max_examples=300, deadline=None, suppress_health_check=CHECKED_OFF)
@given(orders=ORDERS, seed=st.integers(0, 2**32))
def test_any_order_of_many_days(orders: Orders, seed: int, each_desk: EachDesk) -> None:
    """The same, long."""
    one_day(orders, seed, each_desk)


@settings(max_examples=2, deadline=None, suppress_health_check=CHECKED_OFF)
@given(orders=ORDERS, seed=st.integers(0, 2**32))
def test_the_stream_alone_books_every_unit(orders: Orders, seed: int, each_desk: EachDesk) -> None:
    """Without the trade list the quantities are exact, and values to the rounding of an average."""
    with each_desk() as desk:
        desk.sweep()
        bought, sold, paid, received, _count = tell_all(desk, orders, seed, listed_too=False)
    true = sums_of(day_of(orders, random.Random(seed))[0])

    assert (bought, sold) == true[:2]
    assert abs(paid - true[2]) <= 2 * bought and abs(received - true[3]) <= 2 * sold


def test_without_taking_the_told_part_out_the_same_fill_would_count_twice(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: the property above rests on it."""
    monkeypatch.setattr(told_fills, "absorb", lambda *_args: 0)
    sent(feed.desk)
    feed.tell(update(status="Traded", tradedQty=10, avgTradedPrice=100))
    feed.list_trade(trade(10, trade_id="T1"))

    assert feed.book()[0][3] == 20


def test_without_the_guard_against_late_messages_a_done_order_would_live_again(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control."""
    monkeypatch.setattr(merging, "is_stale", lambda *_args: False)
    feed.tell(update("X1", "Cancelled"), update("X1"))

    assert line(feed.desk).buying == 10


def test_a_whole_look_and_the_feed_agree(feed: Feed) -> None:
    """A sweep's lists after the feed's news change nothing that is right."""
    sent(feed.desk)
    feed.tell(update(status="Traded", tradedQty=10, avgTradedPrice=100))
    before = feed.book()
    now_us = feed.desk.clock.advance(10)
    seen = Seen(now_us, (), (listed("TRADED", 10),), (trade(10),), None)
    with feed.desk.store.session() as session:
        session.read_heads(ACCOUNT)
        take_over(session, ACCOUNT, DATE, seen, now_us, "sweep")

    assert feed.book() == before and feed.desk.permit("o-1") == "FILLED"
