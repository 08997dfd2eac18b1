"""Which price a line is valued at: fresh marks, what widens a stale one, auctions, halts, closed markets, expiry."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from riskguard import data
from riskguard.core.calendar import Calendar, ist_us
from riskguard.core.instrument import Instrument
from riskguard.core.marking import Mark, Phase, is_indicative, mark, newest, phase
from riskguard.core.money import to_text
from riskguard.core.quote import Quote
from riskguard.feeds.bars import load_day
from tests.core.builders import FUTURE, NOW, SECOND, SHARE, inr, option
from tests.core.tables import Row, table

CALENDAR = Calendar.parse(data.calendar_text())
MONDAY = date(2026, 8, 10)  # the closing auction exists, and derivatives trade to 15:40
BANDED = replace(SHARE, lower_band_e4=inr("90"), upper_band_e4=inr("110"))
NEAR = replace(SHARE, lower_band_e4=inr("99"), upper_band_e4=inr("101"))
DYNAMIC = replace(SHARE, lpp_pct_e2=500, lpp_abs_e4=inr("1"))
DYNAMIC_NEAR = replace(DYNAMIC, lower_band_e4=inr("97"))


def shown(found: Mark | None) -> str:
    return "-" if found is None else to_text(found.price_e4)


def at(hour: int, minute: int, second: int = 0, day: date = MONDAY) -> int:
    return ist_us(day, hour * 3600 + minute * 60 + second)


# -- how far a stale mark is moved --------------------------------------------------------------------------------------

WIDENED = table("""
    goal                                     instrument    net  expected
    a share: 2 %                             plain         1    98.00
    and against a short                      plain         -1   102.00
    an option: 20 %                          option        1    80.00
    and against a short                      option        -1   120.00
    a circuit further off does not matter    banded        1    98.00
    nobody trades beyond the circuit         near          1    99.00
    nor above it                             near          -1   101.00
    how far the next trade may go, if known  dynamic       1    95.00
    and that against a short                 dynamic       -1   105.00
    but not past the circuit                 dynamic-near  1    97.00
    never less than the band's own least     least         1    92.00
    nor against a short                      least         -1   108.00
    a band of nothing is a band              none          1    100.00
    also against a short                     none          -1   100.00
    an unknown instrument is a share         unknown       1    98.00
    and against a short                      unknown       -1   102.00
""")
KINDS = {
    "plain": SHARE, "option": option(), "banded": BANDED, "near": NEAR, "dynamic": DYNAMIC, "dynamic-near": DYNAMIC_NEAR,
    "least": replace(DYNAMIC, lpp_abs_e4=inr("8")), "none": replace(SHARE, lpp_pct_e2=0), "unknown": None,
}  # fmt: skip


@pytest.mark.parametrize("row", WIDENED, ids=str)
def test_a_stale_mark_is_moved_by_the_band(row: Row) -> None:
    """The exchange's own band where it is known, a percentage else; fresh, the same quote is taken as it is."""
    old = Quote.of(ltp="100", at_us=NOW - 60 * SECOND)
    found = mark(row.number("net"), old, KINDS[row.instrument], Phase(NOW), NOW)

    assert found is not None and not found.fresh
    assert shown(found) == row.expected
    fresh = mark(row.number("net"), old._replace(at_us=NOW), KINDS[row.instrument], Phase(NOW), NOW)
    assert fresh == Mark(inr("100"))


def test_the_feeds_circuit_goes_before_the_masters() -> None:
    """Circuits are moved during the day; one the price has left behind says nothing any more."""
    old = Quote.of(ltp="100", at_us=NOW - 60 * SECOND, lower_band="99.5", upper_band="150")
    assert shown(mark(1, old, BANDED, Phase(NOW), NOW)) == "99.50"
    assert shown(mark(1, old._replace(lower_band_e4=inr("100.05")), BANDED, Phase(NOW), NOW)) == "98.00"
    assert shown(mark(-1, old._replace(upper_band_e4=inr("100.5")), BANDED, Phase(NOW), NOW)) == "100.50"
    assert shown(mark(-1, old._replace(upper_band_e4=inr("99.95")), BANDED, Phase(NOW), NOW)) == "102.00"


def test_a_price_on_its_circuit_is_not_moved() -> None:
    """Nobody trades beyond it, so there is nowhere to go; and no price is moved below 0."""
    locked = Quote.of(ltp="100", at_us=NOW - 60 * SECOND, lower_band="100", upper_band="100")
    assert shown(mark(1, locked, SHARE, Phase(NOW), NOW)) == shown(mark(-1, locked, SHARE, Phase(NOW), NOW)) == "100.00"
    assert mark(1, locked._replace(ltp_e4=0, lower_band_e4=None), SHARE, Phase(NOW), NOW) == Mark(0, "older than 5 s")
    all_of_it = replace(SHARE, lpp_pct_e2=0, lpp_abs_e4=inr("150"))
    assert shown(mark(1, locked._replace(lower_band_e4=None), all_of_it, Phase(NOW), NOW)) == "0.00"


# -- illiquid options -----------------------------------------------------------------------------------------------------


CLOSED = [f"07-{day}" for day in range(28, 32)] + [f"08-{day:02d}" for day in range(1, 10)]


def test_a_market_that_has_been_closed_for_weeks() -> None:
    """The last close is looked for two weeks back and no further: behind that, marks simply age."""
    closed = ", ".join(f"{{ date = 2026-{day}, name = 'x' }}" for day in CLOSED)
    seldom = Calendar.parse(
        f"segments = ['A']\nholidays = [{closed}]\n"
        "sessions = [{ effective_from = 2026-01-01, open = 09:15:00, close = 15:30:00 }]"
    )
    last = date(2026, 7, 27)  # a fortnight before the Monday, and the last day it traded
    early, late = at(8, 0, day=date(2026, 8, 9)), at(8, 0)
    assert phase(seldom, None, "A", early).judged_at_us == at(15, 30, day=last)
    assert phase(seldom, None, "A", late).judged_at_us == late
    assert phase(seldom, None, "A", at(15, 30)).judged_at_us == at(15, 30)


TRADES = table("""
    goal                                       bid  ltp  ask     trade_s  expected  fresh
    the middle, whatever the last trade        99   90   101     600      100.00    yes
    20 % apart is still the middle             90   95   110     600      100.00    yes
    further apart: a trade of now              90   95   110.01  30       95.00     yes
    further apart: a trade too old             90   95   110.01  30.5     76.00     no
    further apart and nobody says when         90   95   110.01  -        95.00     yes
    further apart and no trade at all          50   -    200     -        100.00    no
    one side alone is no price                 99   -    -       -        -         no
    nothing at all but a trade of now          -    95   -       0        95.00     yes
    nothing at all but a trade too old         -    95   -       31       76.00     no
""")


@pytest.mark.parametrize("row", TRADES, ids=str)
def test_an_illiquid_option(row: Row) -> None:
    """Never the far touch, and a last trade only while it is one of now: the quote around it may be newer."""
    traded = None if row.opt("trade_s") is None else NOW - round(float(row.trade_s) * SECOND)
    quoted = Quote.of(bid=row.opt("bid"), ltp=row.opt("ltp"), ask=row.opt("ask"), at_us=NOW, ltp_at_us=traded)
    found = mark(25, quoted, option(), Phase(NOW), NOW)

    assert shown(found) == row.expected
    assert (found is not None and found.fresh) == row.has("fresh")


@pytest.mark.parametrize(
    ("ltp", "trade_s", "age_s", "expected", "why"),
    [
        ("90", 0, 0, "90.00", ""),
        ("90", 6, 0, "100.00", ""),
        (None, None, 0, "100.00", ""),
        ("90", 6, 6, "88.20", "older than 5 s"),
        (None, None, 6, "98.00", "older than 5 s"),
    ],
)
def test_a_share_is_its_last_trade_while_that_is_one_of_now(
    ltp: str | None, trade_s: int | None, age_s: int, expected: str, why: str
) -> None:
    """The middle of a narrow quote stands in for an old trade or none, as long as the quote itself is of now."""
    traded_us = None if trade_s is None else NOW - trade_s * SECOND
    quoted = Quote.of(bid="99", ltp=ltp, ask="101", at_us=NOW - age_s * SECOND, ltp_at_us=traded_us)
    found = mark(1, quoted, SHARE, Phase(NOW), NOW)

    assert found is not None and (shown(found), found.why) == (expected, why)


def test_an_old_trade_is_named_as_one() -> None:
    """Whoever reads it looks for a market without trades, not for a feed that stopped."""
    quoted = Quote.of(ltp="100", at_us=NOW, ltp_at_us=NOW - 6 * SECOND)
    assert mark(1, quoted, SHARE, Phase(NOW), NOW) == Mark(inr("98"), "last trade older than 5 s")


# -- auctions ---------------------------------------------------------------------------------------------------------------


def test_an_indicative_price_is_no_mark() -> None:
    """By the feed's own word: nobody traded at it. The same price without the word is one."""
    quoted = Quote.of(ltp="80", at_us=NOW, is_indicative=True)
    assert mark(10, quoted, SHARE, Phase(NOW), NOW) is None
    assert mark(10, quoted._replace(is_indicative=False), SHARE, Phase(NOW), NOW) == Mark(inr("80"))


AUCTION = CALENDAR.closing_auction("NSE_EQ", MONDAY)
assert AUCTION is not None
IN_AUCTION = table("""
    goal                                names     seconds  indicative
    a second before it                  HDFCBANK  -1       no
    when it opens                       HDFCBANK  0        yes
    a minute into it                    HDFCBANK  60       yes
    another share is not in it          RELIANCE  60       no
    nobody knows which: all are         -         60       yes
""")


@pytest.mark.parametrize("row", IN_AUCTION, ids=str)
def test_the_closing_auction_makes_quotes_indicative(row: Row) -> None:
    """In its hours, and only for the shares that take part; a derivative has none."""
    assert AUCTION is not None
    now_us = AUCTION.open_us + row.number("seconds") * SECOND
    names = None if row.opt("names") is None else frozenset({row.names})
    quoted = Quote.of(ltp="80", at_us=now_us)

    assert is_indicative(quoted, phase(CALENDAR, SHARE, "NSE_EQ", now_us, names)) == row.has("indicative")
    assert not is_indicative(quoted, phase(CALENDAR, FUTURE, "NSE_FNO", now_us, names))


def test_the_auctions_end_ends_it() -> None:
    """The first price after it is one people traded at."""
    assert AUCTION is not None
    after = Quote.of(ltp="80", at_us=AUCTION.close_us)
    assert not is_indicative(after, phase(CALENDAR, SHARE, "NSE_EQ", AUCTION.close_us, None))


def test_in_the_evening_a_quote_of_the_auction_is_still_indicative() -> None:
    """The last one of it is what the feed left behind; nobody traded at it then, and nobody has since."""
    assert AUCTION is not None
    evening = phase(CALENDAR, SHARE, "NSE_EQ", at(21, 0), frozenset({"HDFCBANK"}))
    assert is_indicative(Quote.of(ltp="80", at_us=AUCTION.open_us), evening)
    assert not is_indicative(Quote.of(ltp="80", at_us=AUCTION.close_us), evening)


def test_a_real_price_goes_before_an_indicative_one() -> None:
    """However old it is: it is stale then, not a loss. Only where there is none the indicative one is left."""
    real = Quote.of(ltp="100", at_us=NOW - 600 * SECOND)
    shadow = Quote.of(ltp="40", at_us=NOW, is_indicative=True)

    assert newest([shadow, real], Phase(NOW)) == real
    assert newest([shadow], Phase(NOW)) == shadow
    assert newest([real, real._replace(at_us=NOW)], Phase(NOW)) == real._replace(at_us=NOW)
    assert newest([], Phase(NOW)) is None


# -- markets that do not trade -------------------------------------------------------------------------------------------

HOURS = table("""
    goal                                    day         hour  minute  second  quoted                fresh
    while it trades, five seconds           2026-08-10  11    0       0       2026-08-10 10:59:55   yes
    while it trades, six                    2026-08-10  11    0       0       2026-08-10 10:59:54   no
    in the evening the close is the mark    2026-08-10  21    0       0       2026-08-10 15:39:57   yes
    but a price from before it is not       2026-08-10  21    0       0       2026-08-10 15:30:00   no
    before the open yesterday's close       2026-08-11  9     14      59      2026-08-10 15:39:57   yes
    at the open it is old                   2026-08-11  9     15      0       2026-08-10 15:39:57   no
    on Sunday Friday's close                2026-08-16  12    0       0       2026-08-14 15:39:58   yes
""")


def test_at_the_close_itself_ages_count_to_it() -> None:
    """Not to the close of the day before; a contract that goes on is not expired."""
    future = replace(FUTURE, expiry="2026-08-27")
    assert phase(CALENDAR, future, "NSE_FNO", at(15, 40)) == Phase(at(15, 40), None, expired=False)
    assert phase(CALENDAR, future, "NSE_FNO", at(9, 14, 59, date(2026, 8, 11))) == Phase(
        at(15, 40), None, expired=False
    )
    assert phase(CALENDAR, SHARE, "NSE_FNO", at(21, 0)) == Phase(at(15, 40), None, expired=False)


@pytest.mark.parametrize("row", HOURS, ids=str)
def test_a_price_does_not_grow_old_while_nobody_can_trade(row: Row) -> None:
    """Ages count to the last close: an evening's stale marks must not stop the next morning."""
    now_us = at(row.number("hour"), row.number("minute"), row.number("second"), date.fromisoformat(row.day))
    day, time = row.quoted.split(" ")
    hour, minute, second = map(int, time.split(":"))
    quoted = Quote.of(ltp="100", at_us=at(hour, minute, second, date.fromisoformat(day)))
    future = replace(FUTURE, expiry="2026-08-27")
    found = mark(25, quoted, future, phase(CALENDAR, future, "NSE_FNO", now_us), now_us)

    assert found is not None and found.fresh == row.has("fresh")


def test_a_halt_is_stale_and_no_loss() -> None:
    """The market is open and nothing comes: the last price, widened, and what is said does not change with its age."""
    quoted = Quote.of(ltp="100", at_us=at(9, 58))
    said = set()
    for minute in (5, 20, 40):
        now_us = at(10, minute)
        found = mark(10, quoted, SHARE, phase(CALENDAR, SHARE, "NSE_EQ", now_us, frozenset()), now_us)
        assert found is not None and shown(found) == "98.00"
        said.add(found.why)
    assert said == {"older than 5 s"}


# -- expiry ------------------------------------------------------------------------------------------------------------

EXPIRING = replace(option(expiry="2026-08-11"), strike_e4=inr("25000"))
EXPIRED = table("""
    goal                                      day         hour  minute  settled  expected  fresh
    it trades on its last day                 2026-08-11  15    39      7.50     100.00    yes
    after the close its settlement            2026-08-11  15    40      7.50     7.50      yes
    without one the last mark, widened        2026-08-11  15    41      -        80.00     no
    the day after, its settlement             2026-08-12  9     20      0        0.00      yes
    the day after, without one                2026-08-12  9     20      -        80.00     no
""")


@pytest.mark.parametrize("row", EXPIRED, ids=str)
def test_an_expired_contract_is_worth_its_settlement(row: Row) -> None:
    """Worthless is 0, and known; a settlement price of a contract that still trades is not its mark."""
    now_us = at(row.number("hour"), row.number("minute"), 0, date.fromisoformat(row.day))
    quoted = Quote.of(ltp="100", at_us=min(now_us, at(15, 39, 59, date(2026, 8, 11))))
    settled = None if row.opt("settled") is None else inr(row.settled)
    found = mark(25, quoted, EXPIRING, phase(CALENDAR, EXPIRING, "NSE_FNO", now_us), now_us, settled)

    assert shown(found) == row.expected
    assert found is not None and found.why == ("" if row.has("fresh") else "expired without a settlement price")


def test_without_a_calendar_marks_age() -> None:
    """Nothing is known of hours: the cautious answer."""
    unknown = Instrument("MCX_COMM", "7", "GOLD", "FUTCOM")
    assert phase(None, unknown, "MCX_COMM", NOW) == Phase(NOW)


# -- a real day ----------------------------------------------------------------------------------------------------------


def test_the_halt_and_the_auction_of_march_2020() -> None:
    """
    NIFTY fell to its limit at 09:58, stood still until 10:42, and an auction showed prices up to 8355.55 nobody got.

    A future held through it is stale and widened for an hour, and neither the halt nor the auction's prices are a gain
    or a loss. Without the mark on them the auction's prices would be a fresh profit of thousands.
    """
    future = replace(FUTURE, expiry="2020-03-26")
    at_open = Phase(NOW)
    known: list[Quote] = []
    fresh_in_halt, seen_in_auction = set(), set()
    last_real = None
    for bar in load_day(date(2020, 3, 23)).bars["NIFTY"]:
        quoted = Quote(bar.close_e4, None, None, bar.end_us, is_indicative=bar.phase == "auction")
        known = [newest([*known, quoted], at_open) or quoted]
        found = mark(75, known[0], future, Phase(bar.end_us), bar.end_us)
        if bar.phase == "regular":
            last_real = bar.close_e4
            assert found == Mark(bar.close_e4)
        elif bar.phase == "auction":
            assert found is not None and last_real is not None
            fresh_in_halt.add(found.fresh)
            seen_in_auction.add(found.price_e4)
            assert found.price_e4 == last_real - -(last_real * 2 // -100)
            as_a_trade = quoted._replace(is_indicative=False)
            assert mark(75, as_a_trade, future, Phase(bar.end_us), bar.end_us) == Mark(bar.close_e4)

    assert fresh_in_halt == {False} and len(seen_in_auction) == 1
