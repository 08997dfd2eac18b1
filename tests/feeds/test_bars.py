"""The shipped days: facts that were published, gaps that stay gaps, and files that are refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from riskguard.core.money import to_text
from riskguard.feeds.bars import Bar, BarFormatError, UnknownDayError, available_days, load_day, parse_bars

CRASH = date(2020, 3, 23)
RESULT = date(2024, 6, 4)
QUIET = date(2024, 7, 16)


def ist(bar: Bar) -> str:
    """Return the start of *bar* in India as `09:15`."""
    start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=bar.start_us)
    return (start + timedelta(hours=5, minutes=30)).strftime("%H:%M")


FACTS = [
    # day, symbol, trades, high, low, first open, last close
    (CRASH, "NIFTY", 317, "8159.25", "7583.60", "7963.55", None),
    (RESULT, "NIFTY", 375, None, "21282.65", "23157.25", "21996.45"),
    (RESULT, "BANKNIFTY", 375, None, None, "50523.25", "47206.25"),
    (QUIET, "NIFTY", 375, None, None, "24615.90", "24601.10"),
    (QUIET, "BANKNIFTY", 375, None, None, "52466.70", "52399.95"),
]


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: f"{fact[0]} {fact[1]}")
def test_the_days_are_what_was_published(
    fact: tuple[date, str, int, str | None, str | None, str, str | None],
) -> None:
    """Rows, extremes and ends of each file, to the last paisa of a point."""
    day, symbol, count, high, low, first, last = fact
    trades = load_day(day).trades(symbol)

    assert len(trades) == count
    assert to_text(trades[0].open_e4) == first
    assert last is None or to_text(trades[-1].close_e4) == last
    assert high is None or to_text(max(bar.high_e4 for bar in trades)) == high
    assert low is None or to_text(min(bar.low_e4 for bar in trades)) == low
    assert ist(trades[0]) == "09:15"
    assert ist(trades[-1]) == "15:29"


def test_a_halt_is_a_gap_and_its_auction_is_no_trade() -> None:
    """2020-03-23: nothing from 09:58 to 10:42, indicative prices to 10:49, the next trade at 10:57."""
    bars = load_day(CRASH).bars["NIFTY"]
    auction = [bar for bar in bars if bar.phase == "auction"]
    trades = load_day(CRASH).trades("NIFTY")
    before = max(bar for bar in map(ist, trades) if bar < "10:30")

    assert before == "09:58"
    assert (ist(auction[0]), ist(auction[-1])) == ("10:42", "10:49")
    assert min(bar for bar in map(ist, trades) if bar > before) == "10:57"
    assert to_text(max(bar.high_e4 for bar in auction)) == "8355.55"
    assert not any(bar.is_trade for bar in auction)
    assert to_text(bars[-1].close_e4) == "7610.25"
    assert bars[-1].phase == "post"
    assert bars[0].phase == "pre"


def test_the_days_there_are() -> None:
    """Three dates, oldest first, with the symbols of each."""
    assert available_days() == (CRASH, RESULT, QUIET)
    assert [sorted(load_day(day).bars) for day in available_days()] == [
        ["NIFTY"],
        ["BANKNIFTY", "NIFTY"],
        ["BANKNIFTY", "NIFTY"],
    ]


def test_an_unknown_day_names_the_known_ones() -> None:
    """The message is the way out."""
    with pytest.raises(UnknownDayError, match=r"`2024-06-05`.*`2020-03-23`, `2024-06-04`, `2024-07-16`") as error:
        load_day(date(2024, 6, 5))

    assert error.value.available == available_days()
    assert isinstance(error.value, ValueError)


LOTS = [
    (CRASH, [("NIFTY-Mar2020-FUT", 75)]),
    (RESULT, [("NIFTY-Jun2024-FUT", 25), ("BANKNIFTY-Jun2024-FUT", 15)]),
    (QUIET, [("NIFTY-Jul2024-FUT", 25), ("BANKNIFTY-Jul2024-FUT", 15)]),
]


@pytest.mark.parametrize(("day", "lots"), LOTS, ids=str)
def test_contracts_have_the_lot_of_their_date(day: date, lots: list[tuple[str, int]]) -> None:
    """Each contract can be traded on bars of the same day, expires later, and ticks in 0.05."""
    loaded = load_day(day)

    assert [(c.symbol, c.lot_size) for c in loaded.instruments] == lots
    for contract in loaded.instruments:
        assert contract.underlying in loaded.bars
        assert contract.expiry > day.isoformat()
        assert (contract.kind, contract.exchange_segment, contract.tick_e4) == ("FUTIDX", "NSE_FNO", 500)


def test_every_bar_is_a_minute_of_its_day() -> None:
    """Starts lie on whole minutes of the date in India, and the end is where the next may start."""
    for day in available_days():
        for bars in load_day(day).bars.values():
            for bar in bars:
                assert bar.start_us % 60_000_000 == 0
                assert bar.end_us - bar.start_us == 60_000_000
                assert bar.volume is None
                start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=bar.start_us)
                assert (start + timedelta(hours=5, minutes=30)).date() == day


HEAD = "ts,open,high,low,close,volume,phase\n"
ROW = "2024-06-04T09:15+05:30,10,12,9,11,5,regular\n"
BROKEN = [
    ("", "the columns must be"),
    ("ts,open\n", "the columns must be"),
    (HEAD + "a,b\n", "line 2: 2 fields"),
    (HEAD + ROW + ROW, "line 3: time does not go on"),
    (HEAD + ROW.replace("+05:30", ""), "no offset"),
    (HEAD + ROW.replace("09:15", "25:15"), "line 2"),
    (HEAD + ROW.replace("regular", "open"), "unknown phase"),
    (HEAD + ROW.replace(",12,", ",10.99,"), "between low and high"),
    (HEAD + ROW.replace(",9,", ",10.01,"), "between low and high"),
    (HEAD + ROW.replace(",9,", ",0,"), "above 0"),
    (HEAD + ROW.replace(",9,", ",-9,"), "above 0"),
    (HEAD + ROW.replace(",9,", ",nan,"), "line 2"),
    (HEAD + ROW.replace(",9,", ",9.00001,"), "more than four decimals"),
    (HEAD + ROW.replace(",5,", ",x,"), "line 2"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_a_damaged_file_is_refused(text: str, message: str) -> None:
    """A price that is not understood must not become a profit."""
    with pytest.raises(BarFormatError, match=message):
        parse_bars(text)


def test_volume_is_kept_where_there_is_one() -> None:
    """Shares have a volume; an index has none, which is not zero."""
    (bar,) = parse_bars(HEAD + ROW)

    assert (bar.volume, bar.open_e4, bar.high_e4) == (5, 100_000, 120_000)
