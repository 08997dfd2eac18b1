"""Sessions, windows, the square-off tail, the closing auction and the last day of a contract; each edge from both sides."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from riskguard import data
from riskguard.core.account import Account
from riskguard.core.calendar import Calendar
from riskguard.core.checks import trading_window
from riskguard.core.facts import Facts
from riskguard.core.instrument import Instrument
from riskguard.core.order import Order
from riskguard.core.reject import Reject
from riskguard.errors import RulebookError
from tests.core.builders import FUTURE, SECOND, SHARE, account, code, line, order, order_of
from tests.core.tables import Row, table

CALENDAR = Calendar.parse(data.calendar_text())
CRUDE = Instrument("MCX_COMM", "77", "CRUDEOIL", "FUTCOM", multiplier=100, underlying="CRUDEOIL")
LATER = replace(FUTURE, expiry="2026-12-29")
OPEN: dict[str, Any] = {"unknown_day": "refuse", "windows": "session", "square_off_tail_s": "none"}


def at(text: str) -> int:
    """Microseconds UTC of a time in India, `2026-08-04 15:15:00`."""
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC) - timedelta(hours=5, minutes=30)
    return int(moment.timestamp()) * SECOND


def judged(
    asked: Order, when: str, of: Account | None = None, by: str = "", auction: frozenset[str] | None = None, **parameters: Any
) -> Reject | None:  # fmt: skip
    found = of or account(instrument=LATER)
    found.calendar, found.auction_names, found.session_date = CALENDAR, auction, when[:10]
    params = trading_window.Parameters.read({**OPEN, **parameters}, where="the test")
    return trading_window.check(Facts.of(asked, found, at(when), by), params)


SESSIONS = table("""
    why                     of      when                 expected
    before the open         share   2024-06-04 09:14:59  OUTSIDE_TRADING_WINDOW
    at the open             share   2024-06-04 09:15:00  -
    before the close        share   2024-06-04 15:29:59  -
    at the close            share   2024-06-04 15:30:00  OUTSIDE_TRADING_WINDOW
    a weekend               share   2024-06-08 11:00:00  OUTSIDE_TRADING_WINDOW
    a holiday               share   2024-06-17 11:00:00  OUTSIDE_TRADING_WINDOW
    a Sunday that trades    share   2026-02-01 11:00:00  -
    an evening hour         share   2024-11-01 18:30:00  -
    that day in the morning  share  2024-11-01 11:00:00  OUTSIDE_TRADING_WINDOW
    a mock session          share   2026-08-22 11:00:00  OUTSIDE_TRADING_WINDOW
    futures trade longer    future  2026-08-04 15:39:59  -
    until 15:40             future  2026-08-04 15:40:00  OUTSIDE_TRADING_WINDOW
    hours nobody told       share   2026-11-08 18:30:00  OUTSIDE_TRADING_WINDOW
    beyond the calendar     share   2027-03-02 11:00:00  OUTSIDE_TRADING_WINDOW
    a segment not listed    crude   2024-06-04 11:00:00  OUTSIDE_TRADING_WINDOW
""")


@pytest.mark.parametrize("row", SESSIONS, ids=str)
def test_sessions_are_open_included_and_close_excluded(row: Row) -> None:
    """[open, close) of the segment on that day; a day or segment nobody knows is refused by policy."""
    instrument = {"share": SHARE, "future": LATER, "crude": CRUDE}[row.of]
    asked = order_of(instrument, "BUY", 25)

    assert code(judged(asked, row.when, account(instrument=instrument))) == row.expected


def test_an_unknown_day_is_open_where_the_desk_says_so() -> None:
    """And its own windows hold there too."""
    windows = [{"open": "10:00", "close": "11:00"}]
    asked = order_of(CRUDE, "BUY", 1)
    of = account(instrument=CRUDE)

    assert judged(asked, "2024-06-04 23:00:00", of, unknown_day="allow") is None
    assert judged(asked, "2024-06-04 10:59:59", of, unknown_day="allow", windows=windows) is None
    assert (
        code(judged(asked, "2024-06-04 11:00:00", of, unknown_day="allow", windows=windows)) == "OUTSIDE_TRADING_WINDOW"
    )
    refused = judged(asked, "2024-06-04 11:00:00", of)
    assert refused is not None and refused.frees_at_us is None and "not known" in refused.message


WINDOWS = table("""
    when                 expected                frees
    2024-06-04 09:19:59  OUTSIDE_TRADING_WINDOW  2024-06-04 09:20:00
    2024-06-04 09:20:00  -                       -
    2024-06-04 11:29:59  -                       -
    2024-06-04 11:30:00  OUTSIDE_TRADING_WINDOW  2024-06-04 13:00:30
    2024-06-04 13:00:30  -                       -
    2024-06-04 15:00:00  OUTSIDE_TRADING_WINDOW  -
    2024-06-04 08:00:00  OUTSIDE_TRADING_WINDOW  2024-06-04 09:20:00
    2024-06-07 18:00:00  OUTSIDE_TRADING_WINDOW  2024-06-10 09:20:00
""")


@pytest.mark.parametrize("row", WINDOWS, ids=str)
def test_the_desks_own_windows(row: Row) -> None:
    """Inside both the session and a window; the refusal says when time alone frees it."""
    windows = [{"open": "09:20", "close": "11:30"}, {"open": "13:00:30", "close": "15:00"}]
    reject = judged(order(), row.when, windows=windows)

    assert code(reject) == row.expected
    if reject is not None:
        assert reject.frees_at_us == (None if row.frees == "-" else at(row.frees))
        assert row.frees == "-" or judged(order(), row.frees, windows=windows) is None


TAILS = table("""
    product   when                 auction  expected
    INTRADAY  2024-06-04 15:14:59  no       -
    INTRADAY  2024-06-04 15:15:00  no       OUTSIDE_TRADING_WINDOW
    BO        2024-06-04 15:15:00  no       OUTSIDE_TRADING_WINDOW
    CNC       2024-06-04 15:29:59  no       -
    MARGIN    2024-06-04 15:29:59  no       -
    INTRADAY  2026-08-04 14:59:59  yes      -
    INTRADAY  2026-08-04 15:00:00  yes      OUTSIDE_TRADING_WINDOW
    INTRADAY  2026-08-04 15:20:00  yes      OUTSIDE_TRADING_WINDOW
    INTRADAY  2026-08-04 15:14:59  no       -
    INTRADAY  2026-08-04 15:15:00  no       OUTSIDE_TRADING_WINDOW
""")


@pytest.mark.parametrize("row", TAILS, ids=str)
def test_the_square_off_tail(row: Row) -> None:
    """Fifteen minutes before continuous trading ends: 15:30, and 15:15 for a share of the closing auction."""
    auction = frozenset({"HDFCBANK"}) if row.has("auction") else frozenset({"TCS"})
    reject = judged(order(product=row.product), row.when, auction=auction, square_off_tail_s=900)

    assert code(reject) == row.expected


AUCTIONS = table("""
    why                        names     when                 order              expected
    continuous until 15:15     HDFCBANK  2026-08-04 15:14:59  BUY STOP_LOSS DAY  -
    no stops from then         HDFCBANK  2026-08-04 15:15:00  BUY STOP_LOSS DAY  STOP_ORDER_NOT_TAKEN
    no IOC                     HDFCBANK  2026-08-04 15:15:00  BUY LIMIT IOC      OUTSIDE_TRADING_WINDOW
    a limit may                HDFCBANK  2026-08-04 15:34:59  BUY LIMIT DAY      -
    until its end              HDFCBANK  2026-08-04 15:35:00  BUY LIMIT DAY      OUTSIDE_TRADING_WINDOW
    another share trades on    TCS       2026-08-04 15:29:59  BUY STOP_LOSS DAY  -
    another share trades on    TCS       2026-08-04 15:29:59  BUY LIMIT IOC      -
    and closes at 15:30        TCS       2026-08-04 15:30:00  BUY LIMIT DAY      OUTSIDE_TRADING_WINDOW
    nobody knows which         -         2026-08-04 15:15:00  BUY STOP_LOSS DAY  STOP_ORDER_NOT_TAKEN
    nobody knows which         -         2026-08-04 15:29:59  BUY LIMIT DAY      -
    nobody knows which         -         2026-08-04 15:30:00  BUY LIMIT DAY      OUTSIDE_TRADING_WINDOW
    before there was one       HDFCBANK  2024-06-04 15:29:59  BUY STOP_LOSS DAY  -
    an exit's stop, too        HDFCBANK  2026-08-04 15:15:00  SELL STOP_LOSS DAY  STOP_ORDER_NOT_TAKEN
    doubt favours an exit      -         2026-08-04 15:15:00  SELL STOP_LOSS DAY  -
""")


@pytest.mark.parametrize("row", AUCTIONS, ids=str)
def test_the_closing_auction(row: Row) -> None:
    """Shares with derivatives leave continuous trading for it; it takes no stops and no IOC. checks.md §4, §5.11."""
    side, order_type, validity = row.order.split()
    stop = {"trigger_price": "100"} if order_type == "STOP_LOSS" else {}
    asked = order(side, order_type=order_type, validity=validity, **stop)
    names = None if row.names == "-" else frozenset({row.names})

    assert code(judged(asked, row.when, account(line(10)), auction=names)) == row.expected


LEAVING = table("""
    why                         when                 by    expected
    in the session              2024-06-04 15:29:59  -     -
    before the open             2024-06-04 09:14:59  -     OUTSIDE_TRADING_WINDOW
    after the close             2024-06-04 15:30:00  -     OUTSIDE_TRADING_WINDOW
    by a person, at any time    2024-06-04 15:30:00  asha  -
    on a day nobody knows       2027-03-02 11:00:00  -     -
""")


@pytest.mark.parametrize("row", LEAVING, ids=str)
def test_exits_may_use_the_whole_session(row: Row) -> None:
    """Neither the desk's windows nor the tail bind them; the time outside does."""
    narrow: dict[str, Any] = {"windows": [{"open": "09:20", "close": "09:30"}], "square_off_tail_s": 3600}
    reject = judged(order("SELL", 10), row.when, account(line(10)), row.opt("by") or "", **narrow)

    assert code(reject) == row.expected
    assert trading_window.CHECK.exits and trading_window.CHECK.needs == ("hours",)


EXPIRIES = table("""
    expiry      when                 expected
    2024-06-04  2024-06-04 15:29:59  -
    2024-06-03  2024-06-04 09:15:00  CONTRACT_EXPIRED
    2024-06-03  2027-06-04 09:15:00  CONTRACT_EXPIRED
    -           2024-06-04 09:15:00  -
""")


@pytest.mark.parametrize("row", EXPIRIES, ids=str)
def test_a_contract_ends_with_its_last_day(row: Row) -> None:
    """On it, it trades; the day after, nothing does, and for exits neither."""
    gone = replace(FUTURE, expiry=row.opt("expiry") or "")
    for side, net in (("BUY", 0), ("SELL", 25)):
        of = account(line(net), instrument=gone)
        assert code(judged(order_of(gone, side, 25), row.when, of)) == row.expected


WRONG: list[dict[str, Any]] = [
    {"unknown_day": "maybe"}, {"unknown_day": None}, {"windows": []}, {"windows": [{"open": "10:00"}]}, {"windows": None},
    {"windows": "all day"}, {"square_off_tail_s": None}, {"square_off_tail_s": ""},
    {"windows": [{"open": "11:00", "close": "10:00"}]}, {"windows": [{"open": "10:00", "close": "10:00"}]},
    {"windows": [{"open": "9:20", "close": "10:00"}]}, {"windows": [{"open": "09:20", "close": "24:00"}]},
    {"windows": [{"open": 33600, "close": "10:00"}]}, {"square_off_tail_s": 0}, {"square_off_tail_s": "-1"},
]  # fmt: skip


@pytest.mark.parametrize("change", WRONG, ids=str)
def test_a_window_that_means_nothing_is_refused(change: dict[str, Any]) -> None:
    """Nothing is guessed: a policy for unknown days must be written, and a window must go forward."""
    with pytest.raises(RulebookError):
        trading_window.Parameters.read({**OPEN, **change}, where="the test")


def test_a_window_is_stored_as_it_was_written() -> None:
    """What the database keeps is read back as the same limit."""
    given = {**OPEN, "windows": [{"open": "09:20", "close": "13:00:30"}], "square_off_tail_s": "900"}
    params = trading_window.Parameters.read(given, where="the test")

    assert params.model_dump(mode="json", exclude_none=True) == given | {"square_off_tail_s": "900.00"}
    assert trading_window.Parameters.read(params.model_dump(mode="json", exclude_none=True), where="again") == params
