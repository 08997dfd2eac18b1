"""What a program without a broker adapter tells the guard: positions, fills, orders, instruments."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from typing import Any

import pytest

from riskguard.core.order import Order
from riskguard.core.seen import SeenOrder
from riskguard.errors import OrderInvalidError, ReportInvalidError, UnknownAccountError
from riskguard.services.sweeps.reports import report_order
from riskguard.services.sweeps.sweeper import Sweeper
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, DAY, SECOND, Desk


@pytest.fixture
def library(make_desk: Callable[..., Desk]) -> Desk:
    """Profile `library`: no broker, no baseline, nothing known yet."""
    return make_desk(profile="library")


def position(net: int = 10, **changes: Any) -> dict[str, Any]:
    return {"exchange_segment": "NSE_EQ", "security_id": "1333", "product": "MARGIN", "net": net, **changes}


def fill(desk: Desk, **changes: Any) -> bool:
    fields = {
        "order_id": "B1", "trade_id": "T1", "exchange_segment": "NSE_EQ", "security_id": "1333", "side": "BUY",
        "product": "INTRADAY", "quantity": 10, "price": "100",
    }  # fmt: skip
    return desk.guard.report_fill(ACCOUNT, **{**fields, **changes})


def watched(desk: Desk) -> None:
    desk.clock.advance(2)
    Sweeper(desk.guard, ACCOUNT, None).sweep()


# -- positions --------------------------------------------------------------------------------------------------------


def test_the_first_approved_order_needs_no_daemon_token_or_feed(library: Desk) -> None:
    """An empty list says "flat": after it and one sweep an order passes, before it none that adds risk does."""
    before = [each.code.value for each in library.guard.check(library.order()).rejects]
    assert "POSITION_UNKNOWN" in before
    assert library.guard.report_positions([]) == 0
    watched(library)

    assert library.guard.check(library.order()).approved


def test_a_report_is_the_complete_list(library: Desk) -> None:
    """What it does not name is not held; a later one replaces it as the broker's view."""
    library.guard.report_positions(
        [position(10, previous_close="100"), position(5, security_id="2885", previous_close="50")]
    )
    library.guard.quote("NSE_EQ", "1333", ltp="100")
    library.guard.quote("NSE_EQ", "2885", ltp="50")
    watched(library)
    assert library.guard.check(library.order("SELL", 10, product="MARGIN")).direction == "REDUCING"
    library.clock.advance(6)
    library.guard.report_positions([position(5, security_id="2885")])

    assert library.guard.check(library.order("SELL", 1, product="MARGIN", price="101")).direction == "INCREASING"


def test_the_first_report_opens_the_day_and_no_later_one_does(library: Desk) -> None:
    """What fills of the day do not explain was carried in; the baseline is never written twice."""
    fill(library, product="MARGIN", quantity=4)
    library.guard.report_positions([position(10, previous_close="90")])
    start = "SELECT start_quantity, previous_close_e4, filled_quantity FROM day_books"
    assert library.rows(start) == [(6, 900_000, 4)]  # also where a fill was told before the list
    before = library.rows(start), library.rows("SELECT * FROM day_baselines")
    library.clock.advance(60)
    library.guard.report_positions([position(50, previous_close="10")])

    assert (library.rows(start), library.rows("SELECT * FROM day_baselines")) == before
    assert library.rows("SELECT source FROM day_baselines") == [("REPORTED",)]


CLOSES = table("""
    close  mark  pnl
    100    95    -50.00
    100    105   50.00
    -      95    -
""")


@pytest.mark.parametrize("row", CLOSES, ids=str)
def test_a_carried_position_wants_its_previous_close(library: Desk, row: Row) -> None:
    """Without it the day's profit and loss is unknown, and what adds risk is refused."""
    close = {} if row.opt("close") is None else {"previous_close": row.close}
    library.guard.report_positions([position(10, **close)])
    library.guard.quote("NSE_EQ", "1333", ltp=row.mark)
    Sweeper(library.guard, ACCOUNT, None).sweep()
    (found,) = library.rows("SELECT day_pnl_e4 FROM pnl_readings ORDER BY id DESC LIMIT 1")

    assert found == (None if row.opt("pnl") is None else round(float(row.pnl) * 10_000),)
    assert library.guard.check(library.order()).approved == (row.opt("pnl") is not None)


def test_each_day_opens_anew(library: Desk) -> None:
    library.guard.report_positions([])
    library.clock.advance(DAY / SECOND)
    library.guard.report_positions([position(3, previous_close="100")])

    assert library.rows("SELECT session_date FROM day_baselines ORDER BY 1") == [("2025-06-02",), ("2025-06-03",)]


WRONG_ROWS: list[Any] = [
    None,
    7,
    "row",
    [],
    {},
    position() | {"qty": 1},
    {key: value for key, value in position().items() if key != "net"},
    {key: value for key, value in position().items() if key != "product"},
    position(exchange_segment="NSE"),
    position(exchange_segment=None),
    position(security_id=""),
    position(security_id=1333),
    position(security_id="13 33"),
    position(product="intraday"),
    position(product=""),
    position(net=True),
    position(net=1.0),
    position(net="10"),
    position(net=None),
    position(net=10**10),
    position(net=math.nan),
    position(previous_close=0),
    position(previous_close="-1"),
    position(previous_close=100.5),
    position(previous_close="nan"),
    position(previous_close="1e3"),
    position(previous_close="1.00001"),
]


@pytest.mark.parametrize("wrong", WRONG_ROWS, ids=repr)
def test_a_malformed_report_takes_nothing_over(library: Desk, wrong: Any) -> None:
    """The row is named, and the good row beside it does not count either."""
    with pytest.raises(ReportInvalidError, match="row 2"):
        library.guard.report_positions([position(previous_close="100"), wrong])
    assert library.rows("SELECT count(*) FROM snapshots") == [(0,)]
    assert library.rows("SELECT count(*) FROM day_baselines") == [(0,)]


AT = table("""
    at           age_s
    now          0
    earlier      30
    aware        30
    naive        -
    text         -
""")


@pytest.mark.parametrize("row", AT, ids=str)
def test_a_report_says_when_it_was_true(library: Desk, row: Row) -> None:
    """Microseconds or an aware time; a naive one could be anybody's morning."""
    then_us = library.clock.now_us() - 30 * SECOND
    aware = dt.datetime.fromtimestamp(then_us / SECOND, dt.timezone(dt.timedelta(hours=5, minutes=30)))
    at = {"now": None, "earlier": then_us, "aware": aware, "naive": aware.replace(tzinfo=None), "text": "10:30"}[row.at]
    if row.opt("age_s") is None:
        with pytest.raises(ReportInvalidError, match="aware"):
            library.guard.report_positions([], at=at)
        return
    library.guard.report_positions([], at=at)
    fetched_us = library.one("SELECT fetched_at_us FROM snapshots")

    assert library.clock.now_us() - fetched_us == row.number("age_s") * SECOND


# -- whose ----------------------------------------------------------------------------------------------------------


def test_the_account_may_be_left_out_while_there_is_only_one(make_desk: Callable[..., Desk]) -> None:
    """With two the report must say whose it is; an unknown name is nobody's."""
    one, two = make_desk(profile="library"), make_desk(profile="library", accounts=(ACCOUNT, "follower"))
    assert one.guard.report_positions([]) == 0
    with pytest.raises(UnknownAccountError):
        two.guard.report_positions([])
    assert two.guard.report_positions([], account="follower") == 0
    for desk in (one, two):
        with pytest.raises(UnknownAccountError, match="laeder"):
            desk.guard.report_positions([], account="laeder")
    with pytest.raises(UnknownAccountError):
        one.guard.report_fill(
            "laeder", order_id="B1", trade_id="T1", exchange_segment="NSE_EQ", security_id="1333", side="BUY",
            product="INTRADAY", quantity=10, price="100",
        )  # fmt: skip


# -- fills ----------------------------------------------------------------------------------------------------------


def test_a_fill_is_booked_once_and_leaves_its_permit(library: Desk) -> None:
    """The library user's way: check, send by hand, report what came of it."""
    library.guard.report_positions([])
    watched(library)
    permit = library.guard.check(library.order()).permit
    with permit.sending() as wire:  # type: ignore[union-attr]
        wire.order_id = "B1"

    assert fill(library, quantity=4) is True
    assert fill(library, quantity=4) is False
    assert fill(library, quantity=6, trade_id="T2") is True
    assert library.permit("o-1") == "FILLED"
    assert library.rows("SELECT filled_quantity FROM day_books") == [(10,)]


WRONG_FILLS = table("""
    field             value
    order_id          -
    order_id          with blank
    trade_id          -
    exchange_segment  -
    security_id       -
    side              buy
    side              -
    product           XYZ
    quantity          0
    quantity          -5
    quantity          1.5
    quantity          True
    price             0
    price             -1
    price             nan
    price             inf
    price             100.5f
    at                yesterday
""")


@pytest.mark.parametrize("row", WRONG_FILLS, ids=str)
def test_a_malformed_fill_is_not_booked(library: Desk, row: Row) -> None:
    values: dict[str, Any] = {"-": "", "0": 0, "-5": -5, "1.5": 1.5, "True": True, "100.5f": 100.5}
    value = row.value if row.field == "price" and row.value in ("-1",) else values.get(row.value, row.value)
    with pytest.raises(ReportInvalidError, match=row.field):
        fill(library, **{row.field: value})
    assert library.rows("SELECT count(*) FROM trades") == [(0,)]


def test_an_order_reported_settles_its_permit(library: Desk) -> None:
    library.guard.report_positions([])
    watched(library)
    with library.guard.check(library.order()).permit.sending() as wire:  # type: ignore[union-attr]
        wire.order_id = "B1"
    seen = SeenOrder(
        "B1", "", "NSE_EQ", "1333", "BUY", "INTRADAY", "LIMIT", 10, 0, 1_000_000, None, "REJECTED", False, "no margin"
    )
    report_order(library.guard, ACCOUNT, seen)

    assert library.rows("SELECT state, detail FROM permits") == [("REFUSED", "no margin")]


# -- instruments ------------------------------------------------------------------------------------------------------


def test_instruments_are_found_by_their_symbol(library: Desk) -> None:
    """In every segment, or in the one that is named; an unknown symbol finds nothing."""
    (found,) = library.guard.instruments.by_symbol("HDFCBANK")
    assert (found.exchange_segment, found.security_id, found.lot_size) == ("NSE_EQ", "1333", 1)
    assert library.guard.instruments.by_symbol("HDFCBANK", "BSE_EQ") == []
    assert library.guard.instruments.by_symbol("hdfcbank") == []


def test_an_order_by_symbol_is_the_order_by_its_id(library: Desk) -> None:
    fields = {
        "account": ACCOUNT,
        "side": "BUY",
        "product": "INTRADAY",
        "order_type": "LIMIT",
        "quantity": 1,
        "price": "100",
    }
    made = Order.from_symbol("HDFCBANK", instruments=library.guard.instruments, client_order_id="a", **fields)
    assert made == library.order(quantity=1, client_order_id="a")
    library.sql(
        "INSERT INTO instruments (security_id, exchange_segment, symbol, instrument_type, lot_size, tick_size, updated_at) "
        "VALUES ('500180', 'BSE_EQ', 'HDFCBANK', 'EQUITY', 1, 0.05, 1748840400)"
    )
    with pytest.raises(OrderInvalidError, match="BSE_EQ, NSE_EQ"):
        Order.from_symbol("HDFCBANK", instruments=library.guard.instruments, **fields)
    assert Order.from_symbol(
        "HDFCBANK", instruments=library.guard.instruments, exchange_segment="BSE_EQ", **fields
    ).instrument == ("BSE_EQ", "500180")
    with pytest.raises(OrderInvalidError, match="not among the instruments"):
        Order.from_symbol("NOSUCH", instruments=library.guard.instruments, **fields)
