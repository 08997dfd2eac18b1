"""Opening the session's book: once, from what is proven, never re-based; rebuilt in mid-session, unknown where it cannot be."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from riskguard import admin
from riskguard.core.calendar import ist_us
from riskguard.core.money import to_text
from riskguard.core.seen import Seen, SeenFunds, SeenPosition, SeenTrade
from riskguard.errors import ReportInvalidError
from riskguard.services.sweeps.measuring import measure
from riskguard.services.sweeps.reconciler import take_over
from riskguard.services.sweeps.rollover import roll_over
from riskguard.services.sweeps.sweeper import Sweeper
from riskguard.store import books, days, loader
from riskguard.store.session import Session
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, CALL, DAY, FUTURE, REFUSED, SECOND, SHARE, START, Desk, e4

KEY = (*SHARE.key, "MARGIN")


@pytest.fixture
def library(make_desk: Callable[..., Desk]) -> Desk:
    """Profile `library`: no broker of its own, no baseline, nothing known yet."""
    return make_desk(profile="library")


@contextmanager
def working(desk: Desk) -> Iterator[Session]:
    with desk.store.session(durable=False, wait_s=5) as session:
        session.read_heads(ACCOUNT)
        yield session


def listed(net: int, close: str | None = None, key: tuple[str, str, str] = KEY, **more: Any) -> SeenPosition:
    return SeenPosition(*key, net, None if close is None else e4(close), **more)


def traded(
    desk: Desk, side: str, quantity: int, price: str, *, age_s: float = 60, key: Any = KEY, number: int = 1
) -> SeenTrade:
    return SeenTrade(
        str(number), f"B{number}", "", key[0], key[1], side, key[2], quantity, e4(price),
        desk.clock.now_us() - round(age_s * SECOND),
    )  # fmt: skip


def look(desk: Desk, positions: list[SeenPosition] | None, trades: list[SeenTrade] | None = None, **more: Any) -> Seen:
    return Seen(
        desk.clock.now_us(), None if positions is None else tuple(positions), (),
        None if trades is None else tuple(trades), more.get("funds", SeenFunds(e4("90000"), e4("100000"), e4("10000"))),
    )  # fmt: skip


def opened(desk: Desk, seen: Seen | None) -> bool:
    """Open the day by one look and take the look over, as a sweep does."""
    with working(desk) as session:
        now_us = desk.clock.now_us()
        date = loader.session_date(now_us)
        done = roll_over(session, ACCOUNT, date, seen, now_us)
        if seen is not None:
            take_over(session, ACCOUNT, date, seen, now_us, "test")
    return done


def pnl(desk: Desk, seen: Seen | None = None) -> tuple[str, str]:
    """Measure with the shared marks; returns (figure or `-`, detail)."""
    with working(desk) as session:
        now_us = desk.clock.now_us()
        account = loader.load(session, ACCOUNT, "", now_us, whole_day=True).account
        quotes = {key: found for key in account.positions if (found := books.mark(session, key)) is not None}
        made = measure(session, account, quotes, loader.session_date(now_us), now_us, seen).pnl
    return "-" if made.total_e4 is None else to_text(made.total_e4 + made.charges_e4), made.detail


def lines(desk: Desk) -> list[tuple[Any, ...]]:
    return desk.rows(
        "SELECT security_id, product, start_quantity, previous_close_e4 / 10000.0 FROM day_books "
        "WHERE start_quantity <> 0 ORDER BY session_date DESC, security_id"
    )


# -- what was carried in -------------------------------------------------------------------------------------------------

CARRIED = table("""
    goal                                    net  close  fills            start  source
    held overnight                          10   100    -                10     OPEN
    some of it sold since                   6    100    SELL_4           10     REBUILT
    all of it sold, and still listed        0    100    SELL_10          10     REBUILT
    bought today alone                      4    -      BUY_4            -      REBUILT
    bought on top of it                     14   100    BUY_4            10     REBUILT
    turned around                           -5   100    SELL_15          10     REBUILT
    flat                                    0    -      -                -      OPEN
""")


@pytest.mark.parametrize("row", CARRIED, ids=str)
def test_what_was_carried_is_the_list_less_todays_fills(library: Desk, row: Row) -> None:
    """At any hour: before the first fill the day is OPEN, after it REBUILT, and both say the same of the night."""
    fills = []
    if row.opt("fills"):
        side, _, quantity = row.fills.partition("_")
        fills = [traded(library, side, int(quantity), "101")]
    assert opened(library, look(library, [listed(row.number("net"), row.opt("close"))], fills))

    expected = [] if row.opt("start") is None else [("1333", "MARGIN", row.number("start"), 100.0)]
    assert lines(library) == expected
    assert library.rows("SELECT source, opening_equity_e4 FROM day_baselines") == [(row.source, e4("100000"))]


def test_what_was_sold_out_and_is_not_listed_any_more_was_carried(library: Desk) -> None:
    """The real day of 2025-07-07 sold 210 puts nobody bought; a delivery that is not listed came from the holdings."""
    library.guard.quote("NSE_EQ", "1333", ltp="101")
    delivery = (*SHARE.key, "CNC")
    fills = [traded(library, "SELL", 10, "101"), traded(library, "SELL", 3, "101", key=delivery, number=2)]
    assert opened(library, look(library, [], fills))

    assert lines(library) == [("1333", "MARGIN", 10, None)]
    assert pnl(library) == ("-", "HDFCBANK: carried in without a previous close")


def test_a_list_that_lags_a_fill_opens_no_day(library: Desk) -> None:
    """A fill of three seconds ago may not be in it: ten bought would look like ten sold short overnight."""
    young = traded(library, "BUY", 10, "101", age_s=3)
    assert not opened(library, look(library, [], [young]))
    assert library.rows("SELECT * FROM day_baselines") == []
    library.clock.advance(3)
    assert opened(library, look(library, [listed(10)], [young]))
    assert lines(library) == []


def test_a_young_fill_is_believed_where_yesterdays_book_agrees(library: Desk) -> None:
    """The night is known from both sides, so nobody has to wait; another number waits."""
    assert opened(library, look(library, [listed(10, "100")], []))
    library.clock.advance(DAY / SECOND)
    sold = traded(library, "SELL", 4, "101", age_s=1)
    assert not opened(library, look(library, [listed(5, "100")], [sold]))
    assert opened(library, look(library, [listed(6, "100")], [sold]))


@pytest.mark.parametrize("missing", ["positions", "trades"])
def test_without_a_list_the_day_stays_unknown(library: Desk, missing: str) -> None:
    """Nothing proves what was carried in, and what adds risk is refused until somebody looks or says."""
    seen = look(library, None if missing == "positions" else [], None if missing == "trades" else [])
    assert not opened(library, seen)
    assert pnl(library)[0] == "-" and "baseline" in pnl(library)[1]
    assert "PNL_UNKNOWN" in [each.code.value for each in library.guard.check(library.order()).rejects]


# -- where the close comes from --------------------------------------------------------------------------------------------


def settle(desk: Desk, price: str, date: str, key: tuple[str, str] = SHARE.key) -> None:
    desk.sql(
        "INSERT INTO settlement_prices VALUES (?, ?, ?, ?, NULL, 'test', ?)", *key, date, e4(price), desk.clock.now_us()
    )


def mark_at(desk: Desk, price: str, at_us: int) -> None:
    segment, security = SHARE.key
    key = {"exchange_segment": segment, "security_id": security}
    desk.put("marks", tuple(key), **key, ltp_e4=e4(price), at_us=at_us)


FRIDAY = ist_us(dt.date(2025, 5, 30), 15 * 3600)  # the session before 2025-06-02, a Monday
THURSDAY = ist_us(dt.date(2025, 5, 29), 15 * 3600)
CLOSES = table("""
    goal                                  listed  settled            mark      expected
    the broker's own                      100     99@2025-05-30      friday    100.0
    else the exchange's                   -       99@2025-05-30      friday    99.0
    else the last mark of that day        -       -                  friday    98.0
    no older settlement                   -       99@2025-05-29      friday    98.0
    no older mark                         -       -                  thursday  -
    nothing                               -       -                  -         -
    a close of nothing is none            0       -                  -         -
""")


@pytest.mark.parametrize("row", CLOSES, ids=str)
def test_the_previous_close(library: Desk, row: Row) -> None:
    """Of the last session, over the weekend; a price of another day would move its move into today."""
    if row.opt("settled"):
        settle(library, *row.settled.split("@"))
    if row.opt("mark"):
        mark_at(library, "98", {"friday": FRIDAY, "thursday": THURSDAY}[row.mark])
    assert opened(library, look(library, [listed(10, row.opt("listed"))], []))

    assert lines(library) == [("1333", "MARGIN", 10, None if row.opt("expected") is None else float(row.expected))]


def test_a_close_that_comes_later_is_put_in_once(library: Desk) -> None:
    """Unknown until the broker's list says it; from then on it stands, whatever a later list says."""
    library.guard.quote("NSE_EQ", "1333", ltp="95")
    assert opened(library, look(library, [listed(10)], []))
    assert pnl(library)[0] == "-"
    assert not opened(library, look(library, [listed(10, "100")], []))
    assert pnl(library)[0] == "-50.00"
    assert not opened(library, look(library, [listed(10, "96")], []))
    assert pnl(library)[0] == "-50.00"


# -- clocks, nights and weekends ------------------------------------------------------------------------------------------


def test_a_clock_that_went_back_opens_nothing(library: Desk) -> None:
    """Yesterday has no baseline and gets none; the day is unknown and says why; the right time goes on as before."""
    assert opened(library, look(library, [listed(10, "100")], []))
    library.clock.advance(-DAY / SECOND)
    assert not opened(library, look(library, [listed(10, "50")], []))
    figure, detail = pnl(library)
    assert (
        figure == "-" and "the clock went back: it says 2025-06-01, and the session of 2025-06-02 has begun" in detail
    )
    with pytest.raises(ReportInvalidError, match="clock went back"):
        admin.set_baseline(library.store, ACCOUNT, day_pnl="-1", by="asha", reason="try", clock=library.clock)
    library.clock.advance(DAY / SECOND)
    library.guard.quote("NSE_EQ", "1333", ltp="95")

    assert pnl(library)[0] == "-50.00"
    assert library.rows("SELECT session_date FROM day_baselines") == [("2025-06-02",)]


def test_a_day_is_opened_once_and_each_date_of_a_weekend_once(library: Desk) -> None:
    """Friday's line is carried through Saturday and Sunday at Friday's close, and its gain is counted on one day alone."""
    library.clock.at_us = FRIDAY
    library.guard.quote("NSE_EQ", "1333", ltp="90")
    assert opened(library, look(library, [listed(10, "100")], []))
    assert pnl(library)[0] == "-100.00"
    mark_at(library, "90", ist_us(dt.date(2025, 5, 30), 15 * 3600 + 29 * 60 + 58))
    for hours in (24, 48, 66):
        library.clock.at_us = FRIDAY + hours * 3600 * SECOND
        assert opened(library, None)
        assert not opened(library, None)
        assert pnl(library) == ("0.00", ""), "no market trades, so Friday's close is the mark, and it is not stale"
    assert [row[3] for row in lines(library)] == [90.0, 90.0, 90.0, 100.0]


def test_an_expired_contract_is_not_carried_on(library: Desk) -> None:
    """Without a broker nobody takes it off the list: the day after its last day it is gone."""
    option = (*CALL.key, "MARGIN")
    library.clock.at_us = ist_us(dt.date(2025, 6, 26), 11 * 3600)
    assert opened(library, look(library, [listed(25, "100", option), listed(10, "100")], []))
    library.clock.advance(DAY / SECOND)
    assert opened(library, None)

    assert [row[:3] for row in lines(library)][:1] == [("1333", "MARGIN", 10)]
    assert len(library.rows("SELECT 1 FROM day_books WHERE session_date = '2025-06-27'")) == 1


def test_an_expired_contract_is_measured_at_its_settlement(library: Desk) -> None:
    """After the close of its last day: the official worth, tax on exercise in the charges; before, its mark."""
    option = (*CALL.key, "MARGIN")
    library.clock.at_us = ist_us(dt.date(2025, 6, 26), 15 * 3600 + 29 * 60 + 50)
    library.guard.quote(*CALL.key, ltp="120")
    assert opened(library, look(library, [listed(25, "100", option)], []))
    settle(library, "80", "2025-06-26", CALL.key)
    assert pnl(library)[0] == "500.00"
    library.clock.advance(600)
    assert pnl(library)[0] == "-500.00"
    with working(library) as session:
        account = loader.load(session, ACCOUNT, "", library.clock.now_us(), whole_day=True).account
        made = measure(session, account, {}, "2025-06-26", library.clock.now_us())
    assert to_text(made.pnl.charges_e4) == "3.00"  # 25 × 80 × 0.125 % = 2.50, to the rupee
    assert made.pnl.fresh and not made.charges.is_known, "what the broker takes at expiry nobody says"


# -- a restart in mid-session -----------------------------------------------------------------------------------------------


def test_a_restart_in_mid_session_finds_the_same_day(make_desk: Callable[..., Desk]) -> None:
    """A first start at noon, rebuilt from the lists, says what a program that watched all day says."""
    sums = "SELECT security_id, start_quantity, filled_quantity, buy_value_e4, sell_value_e4 FROM day_books ORDER BY 1"
    watched, late = make_desk(profile="library"), make_desk(profile="library")
    other_key = (*FUTURE.key, "MARGIN")
    for desk in (watched, late):
        desk.guard.quote("NSE_EQ", "1333", ltp="95")
        desk.guard.quote(*FUTURE.key, ltp="200")
    fills = [traded(watched, "SELL", 4, "97"), traded(watched, "BUY", 25, "210", key=other_key, number=2)]
    noon = look(watched, [listed(6, "100"), listed(25, None, other_key)], fills)
    assert opened(watched, look(watched, [listed(10, "100")], []))
    assert not opened(watched, noon)
    assert opened(late, noon)

    assert pnl(late) == pnl(watched) == ("-292.00", "")  # 4 × (97 − 100) + 6 × (95 − 100) + 25 × (200 − 210)
    assert late.rows(sums) == watched.rows(sums)
    assert [desk.one("SELECT source FROM day_baselines") for desk in (watched, late)] == ["OPEN", "REBUILT"]
    unsold = make_desk(profile="library")  # without the day's fills the same list is another night
    assert opened(unsold, look(unsold, [listed(6, "100"), listed(25, None, other_key)], []))
    assert unsold.rows(sums) != watched.rows(sums)


# -- what a person says ----------------------------------------------------------------------------------------------------


def say(desk: Desk, figure: str) -> int:
    return admin.set_baseline(desk.store, ACCOUNT, day_pnl=figure, by="asha", reason="contract note", clock=desk.clock)


FIGURES = table("""
    figure    passes
    -49.99    no
    -50.00    no
    -50.01    yes
    -1000     yes
""")


@pytest.mark.parametrize("row", FIGURES, ids=str)
def test_a_person_may_only_lower_a_figure_that_is_known(library: Desk, row: Row) -> None:
    """The day stands at −₹50: the same figure and a better one are refused and change nothing, a worse one is taken."""
    library.guard.quote("NSE_EQ", "1333", ltp="95")
    assert opened(library, look(library, [listed(10, "100")], []))
    if row.has("passes"):
        say(library, row.figure)
        assert pnl(library)[0] == to_text(e4(row.figure))
        assert library.rows("SELECT by_whom, reason FROM day_baselines") == [("asha", "contract note")]
    else:
        with pytest.raises(ReportInvalidError, match="never re-based"):
            say(library, row.figure)
        assert pnl(library)[0] == "-50.00"


def test_a_person_settles_a_close_nobody_knows(library: Desk) -> None:
    """From then on the line counts from its mark of now, and the figure says what was lost before; a gain is refused."""
    library.guard.quote("NSE_EQ", "1333", ltp="95")
    assert opened(library, look(library, [listed(10)], []))
    assert pnl(library)[0] == "-"
    with pytest.raises(ReportInvalidError, match="or less"):
        say(library, "1")
    say(library, "-300")
    assert pnl(library)[0] == "-300.00"
    library.guard.quote("NSE_EQ", "1333", ltp="94", at=library.clock.advance(2))

    assert pnl(library)[0] == "-310.00"
    Sweeper(library.guard, ACCOUNT, None).sweep(now=True)
    assert "PNL_UNKNOWN" not in [each.code.value for each in library.guard.check(library.order()).rejects]


def test_a_person_cannot_settle_what_has_no_fresh_mark(library: Desk) -> None:
    """A base from an old price would hide what happened since; nothing is written."""
    library.guard.quote("NSE_EQ", "1333", ltp="95")
    assert opened(library, look(library, [listed(10)], []))
    library.clock.advance(6)
    with pytest.raises(ReportInvalidError, match="no fresh mark: quote it"):
        say(library, "-300")
    assert lines(library) == [("1333", "MARGIN", 10, None)]


def test_a_person_begins_a_day_that_has_no_baseline(library: Desk) -> None:
    """What is held counts from now; fills that say worse than the person are believed."""
    library.guard.quote("NSE_EQ", "1333", ltp="95")
    fills = [traded(library, "BUY", 10, "100")]
    with working(library) as session:  # the lists were told, and nobody could open the day by them
        take_over(session, ACCOUNT, "2025-06-02", look(library, [listed(30)], fills), library.clock.now_us(), "test")
    with pytest.raises(ReportInvalidError, match="may only lower"):
        say(library, "-50")  # 10 × (95 − 100), and charges besides
    assert library.rows("SELECT * FROM day_baselines") == []
    say(library, "-400")
    figure = library.rows("SELECT source, adjustment_e4 FROM day_baselines")

    assert figure[0][0] == "PERSON" and figure[0][1] < 0
    assert lines(library) == [("1333", "MARGIN", 20, 95.0)]


# -- nothing is forgotten ------------------------------------------------------------------------------------------------------

FORGETTING = table("""
    statement                                                          refused
    DELETE FROM day_baselines                                          yes
    DELETE FROM day_books                                              yes
    DELETE FROM day_charges                                            yes
    DELETE FROM trades                                                 yes
    UPDATE day_baselines SET adjustment_e4 = 100000000                 yes
    UPDATE day_baselines SET session_date = '1999-01-01'               yes
    UPDATE day_baselines SET opening_equity_e4 = 90000000000000        yes
    UPDATE day_books SET buy_value_e4 = 0                              yes
    UPDATE day_books SET fills = 0, buy_value_e4 = 0                   yes
    UPDATE day_books SET start_quantity = 0                            yes
    UPDATE day_books SET previous_close_e4 = 1                         yes
    UPDATE day_charges SET total_e4 = 0                                yes
    DELETE FROM orders                                                 no
    DELETE FROM snapshots                                              no
    DELETE FROM positions                                              no
    REPLACE INTO day_baselines SELECT * FROM day_baselines             no
    UPDATE day_baselines SET adjustment_e4 = adjustment_e4 - 1         no
""")


REPLACES = pytest.mark.sqlite_only("PostgreSQL knows no REPLACE: there it is an UPDATE, as in other rows")


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, marks=[REPLACES] * row.statement.startswith("REPLACE"), id=str(row)) for row in FORGETTING],
)
def test_plain_sql_forgets_no_loss(make_desk: Callable[..., Desk], row: Row) -> None:
    """It is refused by the database, or the figure is afterwards unknown or as bad as before; never better."""
    desk = make_desk()
    desk.sweep()
    desk.hold(10, "1000", product="MARGIN")
    desk.clock.advance(DAY / SECOND)
    desk.quote("1000")
    desk.sweep()
    desk.place(desk.order("BUY", 10, "1000"))
    desk.sweep()
    desk.quote("900")
    desk.sweep()
    before = desk.rows("SELECT day_pnl_e4 FROM pnl_readings ORDER BY id DESC LIMIT 1")[0][0]
    assert before < e4("-2000")
    try:
        desk.sql(row.statement)
    except REFUSED:
        assert row.has("refused")
    else:
        assert not row.has("refused"), row.statement
    desk.guard.close()
    desk.clock.advance(2)
    desk.quote("900")
    Sweeper(desk.another_guard(), ACCOUNT, desk.join_market()).sweep(now=True)
    after = desk.rows("SELECT day_pnl_e4 FROM pnl_readings ORDER BY id DESC LIMIT 1")[0][0]

    assert after is None or after <= before


def test_a_replaced_row_of_the_day_is_the_old_one(library: Desk) -> None:
    """A REPLACE deletes without asking a DELETE trigger: the second row is passed over, as a second baseline is."""
    assert opened(library, look(library, [listed(10, "100")], []))
    for again in (
        "INSERT INTO day_books (account, session_date, exchange_segment, security_id, product) "
        "SELECT account, session_date, exchange_segment, security_id, product FROM day_books",
        "INSERT INTO day_baselines (account, session_date, at_us, source) "
        "SELECT account, session_date, at_us, 'INIT' FROM day_baselines",
    ):
        library.sql(again.replace("INSERT", "REPLACE") if library.store.dialect == "sqlite" else again)

    assert lines(library) == [("1333", "MARGIN", 10, 100.0)]
    assert library.rows("SELECT source FROM day_baselines") == [("OPEN",)]


def test_a_fill_of_an_earlier_session_may_leave(library: Desk) -> None:
    """The archive takes old years out; only what the running session counts is held."""
    assert opened(library, look(library, [listed(10)], [traded(library, "BUY", 10, "100")]))
    library.clock.advance(DAY / SECOND)
    assert opened(library, look(library, [listed(10, "100")], []))
    library.sql("DELETE FROM trades")

    assert library.rows("SELECT count(*) FROM trades") == [(0,)]


def test_the_newest_session_is_what_was_opened_last(library: Desk) -> None:
    with working(library) as session:
        assert days.newest_session(session, ACCOUNT) is None
    assert library.clock.now_us() == START
    assert opened(library, look(library, [], []))
    with working(library) as session:
        assert days.newest_session(session, ACCOUNT) == "2025-06-02"
