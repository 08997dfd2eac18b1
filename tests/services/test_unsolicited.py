"""
What nobody asked riskguard about: found within one sweep, told apart, counted as any other; and quantity nothing explains.
"""

from __future__ import annotations

from typing import Any

import pytest

from riskguard.core.calendar import ist_us
from riskguard.core.seen import Seen, SeenOrder, SeenPosition
from riskguard.services.sweeps import differences, known
from riskguard.services.sweeps.reconciler import take_over
from riskguard.services.sweeps.sweeper import Sweeper
from riskguard.store import sweeps
from riskguard.store.sweeps import Difference
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, SECOND, Desk
from tests.services.test_reconciler import DATE, line, listed, sent, trade


def show(desk: Desk, *orders: SeenOrder, at_us: int | None = None, **more: Any) -> None:
    """Take over one look that shows these orders."""
    now_us = desk.clock.now_us() if at_us is None else at_us
    fields: dict[str, Any] = {"positions": None, "trades": None, "funds": None, **more}
    seen = Seen(now_us, fields["positions"], tuple(orders), fields["trades"], fields["funds"])
    with desk.store.session() as session:
        session.read_heads(ACCOUNT)
        take_over(session, ACCOUNT, DATE, seen, now_us, "sweep")


def recorded(desk: Desk) -> dict[str, str]:
    return dict(desk.rows("SELECT order_id, origin FROM unsolicited_orders ORDER BY order_id"))


# -- orders ---------------------------------------------------------------------------------------------------------------


def test_an_order_from_the_app_is_found_within_one_sweep_and_counts(desk: Desk) -> None:
    """Sent past us: recorded, its rest is working quantity, its fill is in the book and in the day's P&L."""
    desk.quote("100")
    resting = desk.past(desk.order(price="90", quantity=7))
    filled = desk.past(desk.order(price="100", quantity=10))
    desk.sweep()
    assert recorded(desk) == {resting: "OTHER", filled: "OTHER"}
    found = line(desk)
    assert (found.net, found.buying) == (10, 7)
    desk.quote("50")
    report = desk.sweep()

    assert report.pnl is not None and report.pnl.total_e4 is not None
    assert report.pnl.total_e4 < -7 * 40 * 10_000, "both orders are held at half their price"


def test_our_own_orders_are_never_recorded(desk: Desk) -> None:
    """By their id, or only by the name we gave them when nobody heard the answer."""
    desk.quote("100")
    desk.place(desk.order(price="90"))
    desk.broker.behave("place", "silent", times=1)
    with pytest.raises(Exception, match="no answer"):
        desk.guard.place(desk.order(price="91"), desk.broker.place)
    for _ in range(3):
        desk.sweep()

    assert recorded(desk) == {}
    assert [desk.permit(f"o-{number}") for number in (1, 2)] == ["ACKED", "ACKED"]


def test_it_is_recorded_once_whoever_sees_it(desk: Desk) -> None:
    """Two sweepers, twenty looks, one row."""
    desk.quote("100")
    desk.past(desk.order(price="90"))
    other = Sweeper(desk.another_guard(), ACCOUNT, desk.join_market())
    for _ in range(10):
        desk.sweep()
        other.sweep(now=True)

    assert len(recorded(desk)) == 1
    assert desk.one("SELECT session_date FROM unsolicited_orders") == DATE


def test_one_that_came_and_went_between_two_looks_is_recorded(desk: Desk) -> None:
    """It is in the day's list as done: it was there."""
    show(desk, listed("CANCELLED", order_id="X1"), listed("TRADED", 10, order_id="X2"))

    assert recorded(desk) == {"X1": "OTHER", "X2": "OTHER"}
    assert line(desk).buying == 0


def test_one_that_a_feed_stored_first_is_recorded_by_the_next_look(desk: Desk) -> None:
    """The stream told of it before the list: known as an order, still nobody's."""
    from riskguard.services.sweeps.reconciler import take_order

    with desk.store.session() as session:
        session.read_heads(ACCOUNT)
        take_order(session, ACCOUNT, listed(order_id="X1"), desk.clock.now_us(), "stream")
    assert recorded(desk) == {}
    show(desk, listed(order_id="X1"))

    assert recorded(desk) == {"X1": "OTHER"}


LEGS = table("""
    goal                                   entry  parent_is_ours  leg        group  origin
    a target of our own super order        yes    yes             TARGET     G1     CHILD
    a stop of our own super order          yes    yes             STOP_LOSS  G1     CHILD
    a stop of somebody's super order       yes    no              STOP_LOSS  G1     CHILD
    a stop whose parent nobody shows       no     no              STOP_LOSS  G1     OTHER
    an order of its own                    yes    yes             -          -      OTHER
""")


@pytest.mark.parametrize("row", LEGS, ids=str)
def test_children_of_known_parents_are_told_apart(desk: Desk, row: Row) -> None:
    """The exchange opens the legs when the entry fills: nobody sent them. They exit one position, and count once."""
    desk.quote("100")
    correlation = sent(desk, "P1") if row.has("parent_is_ours") else ""
    orders = []
    if row.has("entry"):
        orders.append(
            listed("TRADED", 10, order_id="P1", correlation_id=correlation, kind="SUPER", group="G1", leg="ENTRY")
        )
    leg = listed(order_id="L1", side="SELL", leg=row.opt("leg") or "", group=row.opt("group") or "", kind="SUPER")
    show(desk, *orders, leg)

    assert recorded(desk)["L1"] == row.origin
    assert ("P1" in recorded(desk)) == (row.has("entry") and not row.has("parent_is_ours"))


def test_target_and_stop_of_one_order_hold_one_position_once(desk: Desk) -> None:
    """At most one of them fills: together they are ten to sell, not twenty."""
    show(
        desk, listed("TRADED", 10, order_id="P1", kind="SUPER", group="G1", leg="ENTRY"),
        listed(order_id="L1", side="SELL", leg="TARGET", group="G1"),
        listed(order_id="L2", side="SELL", leg="STOP_LOSS", group="G1"), trades=(trade(10, order_id="P1"),),
    )  # fmt: skip

    assert (line(desk).net, line(desk).selling) == (10, 10)
    assert desk.rows("SELECT id, exit_group, leg_type FROM orders ORDER BY id") == [
        ("L1", "G1", "TARGET"), ("L2", "G1", "SL"), ("P1", None, "ENTRY"),
    ]  # fmt: skip


SQUARE_OFFS = table("""
    goal                          at     segment  side  quantity  product   name  origin
    at its hour, all of it        15:20  NSE_EQ   SELL  10        INTRADAY  -     SQUARE_OFF
    at its hour, a part           15:21  NSE_EQ   SELL  4         INTRADAY  -     SQUARE_OFF
    a minute before               15:19  NSE_EQ   SELL  10        INTRADAY  -     OTHER
    more than is held             15:20  NSE_EQ   SELL  11        INTRADAY  -     OTHER
    it adds                       15:20  NSE_EQ   BUY   10        INTRADAY  -     OTHER
    carried products are kept     15:20  NSE_EQ   SELL  10        MARGIN    -     OTHER
    delivery is kept              15:20  NSE_EQ   SELL  10        CNC       -     OTHER
    somebody gave it a name       15:20  NSE_EQ   SELL  10        INTRADAY  bot1  OTHER
""")


@pytest.mark.parametrize("row", SQUARE_OFFS, ids=str)
def test_the_brokers_own_square_off_is_told_apart(desk: Desk, row: Row) -> None:
    """Ten held; an order without anybody's name, at the broker's hour, that takes them away."""
    import datetime as dt

    hours, minutes = row.at.split(":")
    at_us = ist_us(dt.date.fromisoformat(DATE), int(hours) * 3600 + int(minutes) * 60)
    bought = trade(10, order_id="P1", product=row.product, exchange_segment=row.segment)
    show(desk, trades=(bought,))
    order = listed(
        "PENDING", order_id="S1", side=row.side, quantity=row.number("quantity"), product=row.product,
        exchange_segment=row.segment, correlation_id=row.opt("name") or "",
    )  # fmt: skip
    show(desk, order, at_us=at_us)

    assert recorded(desk)["S1"] == row.origin


def test_a_square_off_that_filled_already_is_told_apart(desk: Desk) -> None:
    """The position is gone when it is seen: it is judged by what was held before."""
    import datetime as dt

    at_us = ist_us(dt.date.fromisoformat(DATE), 15 * 3600 + 22 * 60)
    show(desk, trades=(trade(10, order_id="P1"),))
    done = trade(10, order_id="S1", trade_id="T9", side="SELL", at_us=at_us)
    show(desk, listed("TRADED", 10, order_id="S1", side="SELL"), trades=(done,), at_us=at_us)

    assert recorded(desk)["S1"] == "SQUARE_OFF" and line(desk).net == 0


def test_what_rests_for_days_does_not_keep_yesterdays_orders_alive(desk: Desk) -> None:
    """A forever order is in the list of every day; a DAY order of yesterday that is not, rests nowhere."""
    from riskguard.services.sweeps.reconciler import end_earlier_day

    forever = listed(order_id="forever:1", kind="FOREVER")
    show(desk, forever, listed(order_id="B7"))
    midnight_us = desk.clock.now_us() + 12 * 3600 * SECOND
    with desk.store.session() as session:
        session.read_heads(ACCOUNT)
        end_earlier_day(session, ACCOUNT, midnight_us, Seen(midnight_us, (), (forever,), (), None), midnight_us)

    assert desk.rows("SELECT id, status FROM orders ORDER BY id") == [("B7", "EXPIRED"), ("forever:1", "PENDING")]


# -- quantity -------------------------------------------------------------------------------------------------------------


def look(desk: Desk, net: int | None, after_s: float = 10, product: str = "INTRADAY") -> list[Difference]:
    """Compare with a list that shows *net* of the share; None: a list without it."""
    at_us = desk.clock.advance(after_s)
    rows = () if net is None else (SeenPosition("NSE_EQ", "1333", product, net),)
    with desk.store.session() as session:
        session.read_heads(ACCOUNT)
        return differences.compare(session, ACCOUNT, DATE, Seen(at_us, rows, (), (), None))


LISTS = table("""
    goal                              booked  looks        reads
    both agree                        10      10 10        -
    the broker shows more             10      14           1
    and again                         10      14 14        2
    and again                         10      14 14 14     3
    the broker shows none             10      - -          2
    the other side                    10      -10 -10      2
    explained after one look          10      14 10        -
    explained, and then anew          10      14 10 14     1
    the amount changes, it stands     10      14 15        2
    we have none, the broker has      0       3 3          2
    neither has any                   0       - -          -
""")


@pytest.mark.parametrize("row", LISTS, ids=str)
def test_quantity_nothing_explains_is_counted_look_by_look(desk: Desk, row: Row) -> None:
    """Each look at the list that contradicts the book counts one; one that agrees forgets it."""
    if row.number("booked"):
        show(desk, trades=(trade(row.number("booked"), at_us=desk.clock.now_us()),))
    standing: list[Difference] = []
    for shown in row.looks.split():
        standing = look(desk, None if shown == "-" else int(shown))

    assert [each.reads for each in standing] == ([] if row.opt("reads") is None else [row.number("reads")])
    assert desk.one("SELECT count(*) FROM book_differences") == len(standing)


LAGS = table("""
    after_s   reads
    0         -
    4.999999  -
    5         1
""")


@pytest.mark.parametrize("row", LAGS, ids=str)
def test_a_list_that_may_lag_is_not_compared(desk: Desk, row: Row) -> None:
    """It follows its fills by seconds: five after the last one it is taken at its word."""
    show(desk, trades=(trade(10, at_us=desk.clock.now_us()),))
    standing = look(desk, 0, after_s=float(row.after_s))

    assert [each.reads for each in standing] == ([] if row.opt("reads") is None else [1])


def test_two_looks_in_a_hurry_are_one(desk: Desk) -> None:
    """While a kill looks every two seconds, one late list would otherwise count five times."""
    assert [each.reads for each in look(desk, 14)] == [1]
    assert [each.reads for each in look(desk, 14, after_s=2)] == [1]
    assert [each.reads for each in look(desk, 14, after_s=2)] == [1]

    assert [each.reads for each in look(desk, 14, after_s=1)] == [2]


def test_it_survives_a_restart_and_is_handed_to_the_judgement(desk: Desk) -> None:
    """Another process knows what stands, since when the list was compared, and the day's unsolicited orders."""
    show(desk, listed(order_id="X1"))
    look(desk, 14)
    desk.clock.advance(10)
    held = (SeenPosition("NSE_EQ", "1333", "INTRADAY", 14),)
    show(desk, listed(order_id="X1"), positions=held)
    other = desk.another_guard()
    with other.store.session() as session:
        unexplained, compared_us, orders = known.reconciled(session, ACCOUNT, DATE, desk.clock.now_us())

    assert unexplained is not None and [(each.product, each.quantity) for each in unexplained] == [("INTRADAY", 14)]
    assert compared_us == desk.clock.now_us()
    assert [(each.order_id, each.adopted) for each in orders] == [("X1", False)]


def test_nothing_is_compared_before_the_day_has_begun(desk: Desk) -> None:
    """Without a baseline nobody knows what was carried in: everything would differ."""
    tomorrow = "2025-06-03"
    seen = Seen(desk.clock.now_us(), (SeenPosition("NSE_EQ", "1333", "MARGIN", 5),), (), (), None)
    with desk.store.session() as session:
        session.read_heads(ACCOUNT)
        assert differences.compare(session, ACCOUNT, tomorrow, seen) == []
        assert sweeps.differences(session, ACCOUNT) == []


def test_a_manual_trade_in_the_app_differs_for_no_moment(desk: Desk) -> None:
    """Its fill is in the same look as the position it made: explained, and never counted."""
    desk.quote("100")
    for _ in range(5):
        desk.past(desk.order(price="100", quantity=10))
        desk.sweep()
        desk.sweep(10)

    assert desk.rows("SELECT * FROM book_differences") == []
    assert line(desk).net == 50 and line(desk).settled
