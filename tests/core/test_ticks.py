"""Ticks: what becomes a mark and what is kept out, on both sides of every edge, and on recorded ticks with their faults."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskguard.core.money import PRICE_MAX_E4, to_e4
from riskguard.core.quote import Quote
from riskguard.core.ticks import Fault, Taken, Tick, Track, take
from tests.core.tables import Row, table

TICKS = Path(__file__).parents[1] / "data" / "ticks"
SECOND = 1_000_000
NOW = 1_780_551_000 * SECOND  # 2026-06-04 11:00 in India


def at(row: Row, name: str) -> int | None:
    """Seconds from NOW, `-` for none."""
    text = row.opt(name)
    return None if text is None else NOW + round(float(text) * SECOND)


def held(price: str, at_us: int = NOW - SECOND) -> Track:
    quote = Quote(to_e4(price), None, None, at_us, None, None, at_us)
    return Track(quote, at_us)


ONE = table("""
    goal                                    ltp       bid     ask     traded   taken  faults
    a trade of this second                  100       -       -       0        0      -
    a trade of an hour ago, no book         100       -       -       -3600    -3600  -
    the same with two near sides            100       99.9    100.1   -3600    0      -
    sides exactly 20 % apart are near       100       90      110     -3600    0      -
    sides further apart say nothing         100       89.9    110.1   -3600    -3600  -
    sides alone are enough                  -         99.9    100.1   -        0      -
    sides alone, too far apart              -         80      120     -        -      UNTIMED
    one side alone has no time              -         99.9    -       -        -      UNTIMED
    a trade beside one side                 100       99.9    -       0        0      -
    a last price without its time           100       -       -       -        -      UNTIMED
    the same with two near sides            100       99.9    100.1   -        0      -
    nothing at all                          -         -       -       0        -      NO_PRICE
    zero is no price                        0         0       0       0        -      NO_PRICE
    negative is none                        -1        -       -       0        -      NO_PRICE
    beyond any price is none                10000000.01  -    -       0        -      NO_PRICE
    zero beside a market                    0         99.9    100.1   -        0      -
    a crossed book, and a trade             100       100.1   99.9    0        0      CROSSED
    a crossed book alone                    -         100.1   99.9    -        -      CROSSED,NO_PRICE
    a locked book is a market               100       100     100     -        0      -
    two seconds ahead are skew              100       -       -       2        0      -
    more is another clock                   100       99.9    100.1   2.000001  -     AHEAD
    stamped 1970                            100       -       -       -1780551000  -  OLD_DAY
    stamped 1970, with a market             100       99.9    100.1   -1780551000  0  OLD_DAY
    the first second of today               100       -       -       -39600   -39600  -
    the last of yesterday                   100       -       -       -39600.000001  -  OLD_DAY
    exactly 10 % away                       110       -       -       0        0      -
    a paisa more                            110.01    -       -       0        -      WILD
    exactly 10 % below                      90        -       -       0        0      -
    a paisa less                            89.99     -       -       0        -      WILD
    ten times the price                     1000      -       -       0        -      WILD
    a hundredth of it                       1         -       -       0        -      WILD
    a wild book is as wild                  -         49.9    50.1    -        -      WILD
    a wild book under a calm last price     100       49.9    50.1    0        -      WILD
    and the other way round                 50        99.9    100.1   0        -      WILD
    traded with what is held                100       -       -       -1       -1     -
    traded before what is held              100       99.9    100.1   -1.000001  -    BACKWARD
""")

OLDER = {"a trade of an hour ago, no book", "the same with two near sides", "sides exactly 20 % apart are near",
         "sides further apart say nothing", "the first second of today"}  # fmt: skip


@pytest.mark.parametrize("row", ONE, ids=str)
def test_one_tick_after_a_quote_of_100(row: Row) -> None:
    """What is taken, as of when, and what is kept out; what is kept out leaves the quote that stands."""
    track = held("100", NOW - 86_400 * SECOND if row.goal in OLDER else NOW - SECOND)
    tick = Tick(row.e4("ltp"), row.e4("bid"), row.e4("ask"), at(row, "traded"), NOW)

    taken = take(track, tick)
    assert ",".join(each.name for each in taken.faults) == (row.opt("faults") or "")
    assert (None if taken.quote is None else taken.quote.at_us) == at(row, "taken")
    if taken.quote is None:
        assert taken.track.quote == track.quote
    else:
        assert taken.quote.is_whole() and taken.track.quote == taken.quote


def feed(*ticks: tuple[float, str], track: Track | None = None, is_option: bool = False) -> list[str | None]:
    """Give (second, price) one after the other; returns the price that stands after each, None for none."""
    track = track or held("100")
    stands: list[str | None] = []
    for second, price in ticks:
        at_us = NOW + round(second * SECOND)
        track = take(track, Tick(to_e4(price), None, None, at_us, at_us), is_option=is_option).track
        stands.append(None if track.quote is None or track.quote.ltp_e4 is None else f"{track.quote.ltp_e4 / 10_000:g}")
    return stands


def test_one_wild_tick_never_counts() -> None:
    """The market before it and after it agree: it was a slip, and the next slip has to prove itself anew."""
    assert feed((0, "100"), (1, "10"), (2, "100.5"), (3, "10"), (4, "100.2")) == [
        "100",
        "100",
        "100.5",
        "100.5",
        "100.2",
    ]


def test_a_crash_is_seen_a_second_late() -> None:
    """The second tick that says the same counts, once a second has passed; within it none does."""
    assert feed((0, "80"), (0.999999, "80.1")) == ["100", "100"]
    assert feed((0, "80"), (1, "80.1")) == ["100", "80.1"]
    assert feed((0, "80"), (0.5, "79"), (1, "78.5")) == ["100", "100", "78.5"]
    assert feed((0, "80"), (5, "79")) == ["100", "79"]


def test_two_slips_that_differ_prove_nothing() -> None:
    """Nonsense is seldom the same twice; what agrees within two percent is a market."""
    assert feed((0, "10"), (1, "1000"), (2, "20")) == ["100", "100", "100"]
    assert feed((0, "80"), (1, "81.6")) == ["100", "81.6"]
    assert feed((0, "80"), (1, "81.61")) == ["100", "100"]


def test_a_repetition_proves_nothing_until_it_persists() -> None:
    """The same tick sent again is the same slip; after fifteen seconds it is a market nobody can leave."""
    track, tick = held("100"), Tick(to_e4("10"), None, None, NOW, NOW)
    for second, expected in ((0, None), (1, None), (2, None), (14.999999, None), (15, to_e4("10"))):
        taken = take(track, tick._replace(received_us=NOW + round(second * SECOND)))
        track = taken.track
        assert (taken.quote and taken.quote.ltp_e4) == expected, second


def test_a_gap_does_not_make_the_first_tick_after_it_true() -> None:
    """A minute without ticks, then a price from nowhere: it waits as any other, and the one a second later counts."""
    assert feed((60, "50"), (61, "99")) == ["100", "99"]
    assert feed((60, "50"), (61, "50.2")) == ["100", "50.2"]


OPTIONS = table("""
    held  next   taken
    100   150    yes
    100   150.01  no
    100   50     yes
    100   49.99  no
    2     7      yes
    2     7.01   no
    2     0.05   yes
""")


@pytest.mark.parametrize("row", OPTIONS, ids=str)
def test_premiums_may_move_further(row: Row) -> None:
    """Half the premium or ₹5 in a moment; the same move of a share waits."""
    stands = row.next if row.has("taken") else row.held

    assert feed((0, row.next), track=held(row.held), is_option=True) == [f"{float(stands):g}"]


def test_the_first_price_wants_something_to_hold_it_against() -> None:
    """The previous close, two near sides around it, or a second tick; a circuit of 20 % is the widest opening."""
    tick = Tick(to_e4("100"), None, None, NOW, NOW)
    assert take(Track(), tick).faults == (Fault.UNPROVEN,)
    assert take(Track(), tick._replace(bid_e4=to_e4("99.9"), ask_e4=to_e4("100.1"))).faults == ()
    assert take(Track(), tick._replace(bid_e4=to_e4("98"), ask_e4=to_e4("99"))).faults == (Fault.UNPROVEN,)
    assert feed((0, "100"), (0.001, "100.05"), track=Track()) == [None, "100.05"]
    for close, faults in (("125", ()), ("125.01", (Fault.WILD,)), ("83.34", ()), ("83.33", (Fault.WILD,))):
        assert take(Track(close_e4=to_e4(close)), tick).faults == faults, close
    assert take(Track(close_e4=to_e4("1")), tick, is_option=True).faults == (Fault.UNPROVEN,)


def test_outside_the_circuit_has_to_prove_itself_too() -> None:
    """Nobody can trade there, unless the circuit was moved: then the next tick says so."""
    track = held("100")
    calm = Tick(to_e4("100"), None, None, NOW, NOW, to_e4("95"), to_e4("105"))
    track = take(track, calm).track
    outside = Tick(to_e4("105.05"), None, None, NOW + SECOND, NOW + SECOND)
    assert take(track, outside._replace(ltp_e4=to_e4("105"))).faults == ()
    waits = take(track, outside)
    assert waits.faults == (Fault.WILD,)
    later = take(waits.track, Tick(to_e4("105.1"), None, None, NOW + 2 * SECOND, NOW + 2 * SECOND))
    assert later.quote is not None and later.quote.upper_band_e4 == to_e4("105")


def test_circuits_are_kept_for_the_day_and_no_longer() -> None:
    """A packet that leaves them out does not forget them; tomorrow's are others, and crossed ones are none."""
    day = 86_400 * SECOND
    track = take(held("100"), Tick(to_e4("100"), None, None, NOW, NOW, to_e4("95"), to_e4("105"))).track
    same = take(track, Tick(to_e4("101"), None, None, NOW + SECOND, NOW + SECOND)).quote
    next_day = take(track, Tick(to_e4("101"), None, None, NOW + day, NOW + day)).quote
    crossed = take(held("100"), Tick(to_e4("100"), None, None, NOW, NOW, to_e4("105"), to_e4("95"))).quote

    assert same is not None and (same.lower_band_e4, same.upper_band_e4) == (to_e4("95"), to_e4("105"))
    assert next_day is not None and next_day.lower_band_e4 is None
    assert crossed is not None and crossed.lower_band_e4 is None


def test_a_book_that_falls_apart_makes_no_quote_older() -> None:
    """Near sides were the market of that moment; far ones say nothing, and the quote that stands grows old by itself."""
    near = take(held("100"), Tick(to_e4("100"), to_e4("99.9"), to_e4("100.1"), NOW - SECOND, NOW))
    far = Tick(to_e4("100"), to_e4("50"), to_e4("150"), NOW - SECOND, NOW + SECOND)
    assert take(near.track, far).faults == (Fault.OLDER,)
    assert take(near.track, far._replace(traded_us=NOW)).faults == ()


def test_a_last_trade_far_from_its_book_is_at_home_there() -> None:
    """An option nobody traded for hours: once its book was believed, the next packets of it are nothing new."""
    track, at_us = held("100"), NOW
    faults = []
    for second in range(6):
        at_us = NOW + second * SECOND
        tick = Tick(to_e4("100"), to_e4("40"), to_e4("41") + second, NOW - SECOND, at_us)
        taken = take(track, tick, is_option=True)
        track = taken.track
        faults.append(taken.faults)
    assert faults == [(Fault.WILD,), (), (), (), (), ()]


def test_books_that_slip_twice_are_not_vouched_for_by_a_calm_trade() -> None:
    """The last trade agrees both times, the middles tell two stories: neither counts."""
    first = take(held("100"), Tick(to_e4("100"), to_e4("10"), to_e4("10.1"), NOW, NOW))
    second = take(first.track, Tick(to_e4("100.05"), to_e4("500"), to_e4("501"), NOW + SECOND, NOW + SECOND))
    third = take(second.track, Tick(to_e4("100.1"), to_e4("500.5"), to_e4("501"), NOW + 2 * SECOND, NOW + 2 * SECOND))

    assert (first.faults, second.faults, third.faults) == ((Fault.WILD,), (Fault.WILD,), ())


def test_a_clock_set_back_begins_anew() -> None:
    """What was stamped by the wrong clock is forgotten; two seconds are skew, and then the older tick is out of order."""
    track = held("100", NOW + 3600 * SECOND)
    first = take(track, Tick(to_e4("100"), to_e4("99.9"), to_e4("100.1"), NOW, NOW))
    assert first.quote is not None and first.quote.at_us == NOW
    near = take(held("100", NOW + 2 * SECOND), Tick(to_e4("100"), None, None, NOW, NOW))
    assert near.faults == (Fault.BACKWARD,)


# -- what is kept of a tick ---------------------------------------------------------------------------------------------


def test_the_quote_a_tick_becomes() -> None:
    """Whole: its prices, its circuits (the least price, the dearest, and equal ones too), when it was true and last traded."""
    tick = Tick(to_e4("100"), to_e4("99.9"), to_e4("100.1"), NOW - SECOND, NOW, 1, PRICE_MAX_E4)
    made = Quote(to_e4("100"), to_e4("99.9"), to_e4("100.1"), NOW, 1, PRICE_MAX_E4, NOW - SECOND)
    taken = take(Track(close_e4=to_e4("101")), tick)

    assert taken == (Track(made, NOW - SECOND, to_e4("101")), made, ())
    locked = take(held("100"), tick._replace(lower_band_e4=to_e4("100"), upper_band_e4=to_e4("100"))).quote
    assert locked is not None and (locked.lower_band_e4, locked.upper_band_e4) == (to_e4("100"), to_e4("100"))
    beyond = take(held("100"), tick._replace(lower_band_e4=0, upper_band_e4=PRICE_MAX_E4 + 1)).quote
    assert beyond is not None and (beyond.lower_band_e4, beyond.upper_band_e4) == (None, None)


def test_what_is_known_outlives_what_is_kept_out() -> None:
    """The previous close when the clock is set back, the newest trade under a book alone, everything under an older tick."""
    ahead = Track(held("100", NOW + 3600 * SECOND).quote, NOW, to_e4("101"))
    assert take(ahead, Tick(to_e4("100"), None, None, NOW, NOW)).track.close_e4 == to_e4("101")
    book = take(held("100"), Tick(None, to_e4("99.9"), to_e4("100.1"), None, NOW)).track
    assert book.traded_us == NOW - SECOND
    far = take(book, Tick(to_e4("100"), to_e4("50"), to_e4("150"), NOW - SECOND, NOW + SECOND))
    assert (far.track, far.faults) == (book, (Fault.OLDER,))


def test_on_the_edge_of_its_book_and_of_its_circuit_a_price_is_inside() -> None:
    """The first price at the bid and at the ask is vouched for by both; one on the circuit is no doubt."""
    for ltp in ("99", "101"):
        assert take(Track(), Tick(to_e4(ltp), to_e4("99"), to_e4("101"), NOW, NOW)).faults == ()
    for ltp in ("98.99", "101.01"):
        assert take(Track(), Tick(to_e4(ltp), to_e4("99"), to_e4("101"), NOW, NOW)).faults == (Fault.UNPROVEN,)
    for ltp, faults in (("95", ()), ("94.99", (Fault.WILD,)), ("105", ()), ("105.01", (Fault.WILD,))):
        tick = Tick(to_e4(ltp), None, None, NOW, NOW, to_e4("95"), to_e4("105"))
        assert take(held("100"), tick).faults == faults, ltp


@pytest.mark.parametrize(
    ("second", "as_option", "as_share"), [("120", True, False), ("120.01", False, False), ("102", True, True)]
)
def test_two_premiums_agree_within_a_fifth(second: str, as_option: bool, as_share: bool) -> None:
    """The first price of an option, and a wild one: another within 20 % says the same; of a share only within 2 %."""
    for is_option, agrees in ((True, as_option), (False, as_share)):
        first = feed((0, "100"), (1, second), track=Track(), is_option=is_option)
        assert first[0] is None and (first[1] is not None) == agrees
        wild = feed((0, "100"), (1, second), track=held("20"), is_option=is_option)
        assert wild[0] == "20" and (wild[1] != "20") == agrees


def test_a_first_price_may_be_confirmed_in_the_same_microsecond() -> None:
    """Two ticks of one packet; but the very same tick again confirms nothing."""
    assert feed((0, "100"), (0, "100.05"), track=Track()) == [None, "100.05"]
    assert feed((0, "100"), (0, "100"), track=Track()) == [None, None]


@pytest.mark.parametrize(("seconds", "taken"), [((0, 15), False), ((0, 1, 15), True), ((0, 1, 14.999999), False)])
def test_how_often_and_how_long_the_same_tick_persists(seconds: tuple[float, ...], taken: bool) -> None:
    """Three times over fifteen seconds: twice is too few, and a microsecond less too short."""
    track, tick = held("100"), Tick(to_e4("10"), None, None, NOW, NOW)
    for second in seconds:
        last = take(track, tick._replace(received_us=NOW + round(second * SECOND)))
        track = last.track
    assert (last.quote is not None) == taken


def test_what_only_one_of_two_ticks_says_is_no_doubt() -> None:
    """A wild trade, and then the same with a book around it: what both say agrees, and the middle is a whole number."""
    first = take(held("100"), Tick(to_e4("50"), None, None, NOW, NOW))
    second = Tick(to_e4("50.1"), to_e4("50"), to_e4("50.2") + 1, NOW + SECOND, NOW + SECOND)
    assert first.faults == (Fault.WILD,) and take(first.track, second).faults == ()
    alone = take(held("100"), second).track.suspect
    assert alone is not None and alone.prices == (to_e4("50.1"), to_e4("50.1")) and type(alone.prices[1]) is int


def test_a_trade_is_held_against_the_book_where_no_trade_is_known() -> None:
    """A share that was only quoted: the first trade far from its middle waits, one near it does not."""
    book = take(Track(), Tick(None, to_e4("99"), to_e4("101"), None, NOW)).track
    for ltp, faults in (("110", ()), ("110.01", (Fault.WILD,))):
        assert take(book, Tick(to_e4(ltp), None, None, NOW, NOW)).faults == faults


# -- recorded ticks -----------------------------------------------------------------------------------------------------


def recorded(name: str) -> list[tuple[int, int]]:
    """Return (stamp, price) in order of arrival."""
    with (TICKS / name).open() as file:
        return [
            (round(datetime.fromisoformat(row["ts"]).timestamp()) * SECOND, to_e4(row["ltp"]))
            for row in csv.DictReader(file)
        ]


RECORDED = table("""
    file                                  ticks  taken  BACKWARD  OLD_DAY  UNPROVEN
    NIFTY_2021-04-12_0915-0945.csv        1565   1564   0         0        1
    RELIANCE_2021-04-12_0915-0945.csv     1775   1766   8         0        1
    RELIANCE_2021-04-22_bad_start.csv     400    398    0         1        1
""")


@pytest.mark.parametrize("row", RECORDED, ids=str)
def test_recorded_ticks_are_survived(row: Row) -> None:
    """Stamps of 1970, yesterday's price first, time backwards, repetitions: counted, kept out, and nothing else is."""
    ticks = recorded(row.file)
    day_us = ticks[-1][0] - 86_400 * SECOND
    track, received_us = Track(), min(stamp for stamp, _ in ticks if stamp > day_us)
    counted: Counter[str] = Counter()
    for stamp_us, price_e4 in ticks:
        received_us = max(received_us, stamp_us) + 1
        taken = take(track, Tick(price_e4, None, None, stamp_us, received_us))
        track = taken.track
        counted.update([fault.name for fault in taken.faults] or ["taken"])
        if taken.quote is not None:
            assert taken.quote.at_us == stamp_us and taken.quote.ltp_e4 == price_e4

    assert len(ticks) == row.number("ticks") == sum(counted.values())
    expected = {name: row.number(name) for name in ("taken", "BACKWARD", "OLD_DAY", "UNPROVEN")}
    assert {name: counted[name] for name in expected} == expected
    assert sum(expected.values()) == row.number("ticks")


@pytest.mark.parametrize("name", [row.file for row in RECORDED])
def test_a_slip_anywhere_in_a_recorded_half_hour_is_kept_out(name: str) -> None:
    """Each hundredth tick is made a tenth, tenfold, zero or negative: the marks are those of the day without them."""
    ticks = recorded(name)
    start = ticks[1][0]
    clean, spoilt = Track(), Track()
    received_us = start
    for number, (stamp_us, price_e4) in enumerate(ticks):
        received_us = max(received_us, stamp_us) + 1
        clean = take(clean, Tick(price_e4, None, None, stamp_us, received_us)).track
        spoilt = take(spoilt, Tick(price_e4, None, None, stamp_us, received_us)).track
        if number % 100 == 50:
            for slip_e4 in (price_e4 // 10, price_e4 * 10, 0, -price_e4):
                spoilt = take(spoilt, Tick(slip_e4, None, None, stamp_us, received_us + 1)).track
        assert spoilt.quote == clean.quote


PRICES = st.one_of(st.none(), st.integers(-(10**6), 2 * 10**11), st.sampled_from([0, 1, 10**6, 11 * 10**5, 10**11]))
OFFSETS = st.one_of(st.none(), st.integers(-3 * 10**6, 3 * 10**6), st.integers(-(2 * 10**15), 10**14))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(PRICES, PRICES, PRICES, OFFSETS, st.integers(0, 5 * 10**6), st.booleans()), max_size=12))
def test_any_ticks_get_an_answer(rows: list[tuple[int | None, int | None, int | None, int | None, int, bool]]) -> None:
    """Total, and what is taken is a whole quote, never crossed, never of the future, never older than the one before it."""
    track, now_us = Track(), NOW
    for ltp, bid, ask, offset, later_us, is_option in rows:
        now_us += later_us
        before = track.quote
        traded_us = None if offset is None else now_us + offset
        taken: Taken = take(track, Tick(ltp, bid, ask, traded_us, now_us), is_option=is_option)
        track = taken.track
        quote = taken.quote
        if quote is None:
            assert taken.faults and track.quote == before
            continue
        assert quote.is_whole() and quote.at_us <= now_us
        assert quote.bid_e4 is None or quote.ask_e4 is None or quote.bid_e4 <= quote.ask_e4
        assert before is None or quote.at_us >= before.at_us - 2 * SECOND
        assert quote.ltp_at_us is None or timedelta(microseconds=now_us - quote.ltp_at_us) < timedelta(days=1)


def test_a_price_within_reach_of_the_last_one_is_always_taken() -> None:
    """The negative control: rules that keep everything out would pass most of the above."""
    assert feed((0, "101"), (1, "103"), (2, "99"), (3, "108.9")) == ["101", "103", "99", "108.9"]
