"""
Real days, swept minute by minute: the account is stopped in the minute a pocket calculator says, and on a halt, a frozen
feed or a broken tick it is not.

The market is moved by the bars of the day (`tests/services/real_days.py`); everything else is the real desk. An ordinary
run sweeps the minutes that matter and a coarse grid; the soak sweeps every minute.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from riskguard.core.money import to_e4, to_text
from riskguard.core.quote import Quote
from riskguard.core.ticks import Tick
from riskguard.errors import QuoteInvalidError
from riskguard.feeds.market.book import MarketBook
from tests.core.tables import Row, table
from tests.services.real_days import (
    LOTS,
    RELIANCE,
    RealDay,
    bars_of,
    limit_of,
    minute_of,
    real_day,
    ticks_of,
    trades_of,
    us_of,
)

EVENING = {"2021-11-04": "18:14"}
"""When the desk is opened on a day that does not begin in the morning."""
HOURS = {"2021-11-04": "library", "2024-05-18": "library"}
"""Accounts with a market that has hours; the paper market has none, and there a mark ages through a pause."""

# What the entry costs, line by line, rounded as a contract note rounds: exchange, SEBI, IPFT and GST to the paisa, STT and
# stamp to the rupee. Turnover is units × entry; brokerage is 0.03 %, at most 20 an order, and 20 stands in before
# November 2021, where nobody wrote it down; so does 0.002 % for the stamp before July 2020. GST is 18 % of brokerage,
# exchange and IPFT, from July 2022 of SEBI too.
#
#   day         side  turnover                       brokerage  exchange          SEBI  IPFT  STT     stamp  GST   total
#   2024-06-04  BUY   25 × 22807.20 =   570,180.00   20         × 0.00188 % 10.72  0.57  0.57  -       11     5.73   48.59
#   2024-07-16  SELL  25 × 24618.80 =   615,470.00   20         × 0.00188 % 11.57  0.62  0.62  77      -      5.91  115.72
#   2020-03-23  BUY   75 ×  7953.45 =   596,508.75   20         × 0.0019 %  11.33  0.60  0.00  -       12     5.64   49.57
#   2021-02-24  SELL  75 × 14811.05 = 1,110,828.75   20         × 0.002 %   22.22  0.56  0.00  111     -      7.60  161.38
#   2021-11-04  BUY   50 × 17939.30 =   896,965.00   20         × 0.002 %   17.94  0.90  0.00  -       18     6.83   63.67
#   2024-05-18  SELL  25 × 22470.15 =   561,753.75   20         × 0.00188 % 10.56  0.56  0.56  70      -      5.70  107.38
#
# loss = units × (entry − price) + charges, for a short units × (price − entry) + charges:
#
#   2024-06-04  11:07  25 × (22807.20 − 22125.25) = 25 × 681.95 = 17,048.75 +  48.59 = 17,097.34; 11:08 has 20,093.59
#   2024-07-16  11:37  25 × (24659.55 − 24618.80) = 25 ×  40.75 =  1,018.75 + 115.72 =  1,134.47; the worst of the day
#   2020-03-23  10:58  75 × ( 7953.45 −  7827.15) = 75 × 126.30 =  9,472.50 +  49.57 =  9,522.07; 11:15 has 10,819.57
#   2021-02-24  16:18  75 × (14967.20 − 14811.05) = 75 × 156.15 = 11,711.25 + 161.38 = 11,872.63; 16:28 has 12,195.13
#   2021-11-04  19:05  50 × (17939.30 − 17914.90) = 50 ×  24.40 =  1,220.00 +  63.67 =  1,283.67; 19:06 has 1,718.67
#   2021-11-04  19:06  50 × (17939.30 − 17906.20) = 50 ×  33.10 =  1,655.00 +  63.67 =  1,718.67; the worst of the day
#   2024-05-18  12:13  25 × (22508.55 − 22470.15) = 25 ×  38.40 =    960.00 + 107.38 =  1,067.38; 12:16 has 1,073.63
#
# The limit is the loss to the paisa, and reaching it counts: `at` is the minute it trips in. A limit a rupee higher trips
# in the minute `later`, or never.
HAND = table("""
    day         lots  entered  entry     charges  at     price     loss      later
    2024-06-04  1     09:20    22807.20  48.59    11:07  22125.25  17097.34  11:08
    2024-07-16  -1    09:20    24618.80  115.72   11:37  24659.55  1134.47   -
    2020-03-23  1     09:40    7953.45   49.57    10:58  7827.15   9522.07   11:15
    2021-02-24  -1    10:05    14811.05  161.38   16:18  14967.20  11872.63  16:28
    2021-11-04  1     18:16    17939.30  63.67    19:05  17914.90  1283.67   19:06
    2021-11-04  1     18:16    17939.30  63.67    19:06  17906.20  1718.67   -
    2024-05-18  -1    09:58    22470.15  107.38   12:13  22508.55  1067.38   12:16
""")


def loss_e4(row: Row, price_e4: int) -> int:
    """The arithmetic of the table, in 1/10000 rupee."""
    units = row.number("lots") * LOTS[row.day]
    return units * (to_e4(row.entry) - price_e4) + to_e4(row.charges)


def a_rupee_more(rupees: str) -> str:
    return to_text(to_e4(rupees) + to_e4("1"))


@pytest.mark.parametrize("row", HAND, ids=str)
def test_the_table_is_the_days(row: Row) -> None:
    """Entry and price are closes of the bars, the loss is the arithmetic, and no minute in between reached either limit."""
    bars, loss = trades_of(row.day), to_e4(row.loss)
    after = {minute: loss_e4(row, bar.close_e4) for minute, bar in bars.items() if minute > row.entered}

    assert (to_text(bars[row.entered].close_e4), to_text(bars[row.at].close_e4)) == (row.entry, row.price)
    assert after[row.at] == loss
    assert next(minute for minute, each in after.items() if each >= loss) == row.at
    assert next((minute for minute, each in after.items() if each >= loss + to_e4("1")), None) == row.opt("later")


def minutes_between(row: Row, *, every: bool) -> list[str]:
    """The minutes to live through: all that traded, or each twentieth and those around the two that matter."""
    traded = [minute for minute in trades_of(row.day) if minute > row.entered]
    if every:
        return traded
    wanted = set(traded[::20]) | {traded[-1]}
    for minute in (row.at, row.opt("later")):
        if minute is not None:
            place = traded.index(minute)
            wanted |= set(traded[max(0, place - 1) : place + 2])
    return [minute for minute in traded if minute in wanted]


def entered(directory: Path, row: Row, limit: str) -> RealDay:
    """Make a desk that holds what the row says."""
    made = RealDay(
        directory, row.day, limit_of(limit), opens=EVENING.get(row.day, "09:00"), profile=HOURS.get(row.day, "paper")
    )
    made.hold(row.number("lots"), row.entered, row.entry)
    return made


def lived_through(directory: Path, row: Row, *, more: bool, every: bool) -> None:
    """At its limit the account is stopped in the minute the table says; with a rupee *more*, in the later one or never."""
    limit, minute = (a_rupee_more(row.loss), row.opt("later")) if more else (row.loss, row.at)
    desk = entered(directory, row, limit)
    try:
        assert desk.charges() == row.charges
        assert desk.first(minutes_between(row, every=every), "HALTED") == minute
        assert desk.kills() == ([] if minute is None else [minute])
        assert desk.desk.one("SELECT count(*) FROM kill_runs") == len(desk.kills())
        if not more:
            said = "SELECT actual_value, limit_value FROM risk_violations WHERE action_taken LIKE 'KILL%'"
            assert desk.desk.rows(said) == [(float(row.loss), float(row.loss))]
    finally:
        desk.close()


@pytest.mark.parametrize("more", [False, True], ids=["at its limit", "a rupee more"])
@pytest.mark.parametrize("row", HAND, ids=str)
def test_the_account_is_stopped_in_the_minute_the_hand_says(row: Row, more: bool, tmp_path: Path) -> None:
    """Crash, quiet day, halt, frozen feed, evening and two windows, each on both sides of its limit."""
    lived_through(tmp_path / "desk", row, more=more, every=False)


@pytest.mark.soak
@pytest.mark.parametrize("more", [False, True], ids=["at its limit", "a rupee more"])
@pytest.mark.parametrize("row", HAND, ids=str)
def test_every_minute_of_every_day(row: Row, more: bool, tmp_path: Path) -> None:
    """The same with two sweeps in every minute that traded: none in between stops it."""
    lived_through(tmp_path / "desk", row, more=more, every=True)


# -- the crash, carried in -------------------------------------------------------------------------------------------

# One lot bought the day before and carried at its last price of 2024-06-03, 23305.95. Nothing is bought today: no charges.
#   11:06  25 × (23305.95 − 22222.05) = 25 × 1,083.90 = 27,097.50; the morning's worst before it: 11:05, 26,307.50
#   11:07  25 × (23305.95 − 22125.25) = 25 × 1,180.70 = 29,517.50
CARRIED = table("""
    limit     at
    27097.50  11:06
    27098.50  11:07
""")


@pytest.mark.parametrize("row", CARRIED, ids=str)
def test_what_was_carried_into_the_crash_counts_from_the_close(row: Row, tmp_path: Path) -> None:
    """Bought at 23278.10: what the last ten minutes of yesterday made is yesterday's, and today counts from 23305.95."""
    with real_day(tmp_path / "desk", "2024-06-03", limit_of(row.limit), opens="15:15") as desk:
        desk.hold(1, "15:20", "23278.10", product="MARGIN")
        desk.at("15:29")
        assert desk.reading()[0] is not None and desk.state == "ACTIVE"
        desk.go_to("2024-06-04")
        minutes = ["09:15", "09:20", "09:30", "10:30", "11:00", "11:04", "11:05", "11:06", "11:07"]

        assert desk.first(minutes[:-2], "HALTED") is None
        assert desk.reading() == ("-26307.50", True) and desk.charges() == "0.00"
        assert desk.first(minutes[-2:], "HALTED") == row.at


# -- the halt ---------------------------------------------------------------------------------------------------------

# 2020-03-23: the last trade before the halt is of 09:58, 7903.00; 10:42 to 10:49 is a call auction; 10:57 trades again.
# One lot sold at 7953.45 (09:40). Charges: 20 + 11.33 + 0.60 + 0.00 + STT 60 + GST 5.64 = 97.57.
#   an auction row, 10:42, shows 8355.55: 75 × (8355.55 − 7953.45) = 30,157.50 + 97.57 = 30,255.07, if anybody had traded
#   the last trade widened by 2 %: 7903.00 × 1.02 = 8061.06; 75 × (8061.06 − 7953.45) = 8,070.75 + 97.57 = 8,168.32
HALT_LIMIT = "10000"
WIDENED = "-8168.32"
AUCTION = ("10:42", "10:43", "10:46", "10:49")


def sold_before_the_halt(directory: Path) -> RealDay:
    desk = RealDay(directory, "2020-03-23", limit_of(HALT_LIMIT))
    desk.hold(-1, "09:40", "7953.45")
    desk.at("09:57")
    desk.at("09:58")
    assert desk.reading() == ("3686.18", True) and desk.state == "ACTIVE"  # 75 × 50.45 = 3,783.75 − 97.57
    return desk


def show_auction(desk: RealDay, *, indicative: bool) -> Iterator[str]:
    """Show each auction row at its high and at its close, as a feed would, and sweep after both."""
    rows = {minute_of(bar.start_us): bar for bar in bars_of("2020-03-23") if bar.phase == "auction"}
    assert len(rows) == 8 and max(bar.high_e4 for bar in rows.values()) == to_e4("8355.55")
    for minute in AUCTION:
        for second, price_e4 in ((20, rows[minute].high_e4), (57, rows[minute].close_e4)):
            desk.clock.at_us = us_of("2020-03-23", minute, second)
            for _ in range(2):
                desk.quote(to_text(price_e4), indicative=indicative)
                desk.look()
                desk.clock.advance(2)
            yield minute


def test_no_loss_is_measured_on_an_auction(tmp_path: Path) -> None:
    """Through halt and auction the last trade stands, widened: it may take what adds risk, never halt; then trade goes on."""
    desk = sold_before_the_halt(tmp_path / "desk")
    try:
        for minute in ("09:59", "10:10", "10:41"):
            desk.at(minute)
            assert desk.reading() == (WIDENED, False)
        assert desk.state == "REDUCE_ONLY"  # 8,168.32 is 81 % of the limit
        for _ in show_auction(desk, indicative=True):
            assert desk.reading() == (WIDENED, False)
        for minute in ("10:50", "10:56"):
            desk.at(minute)
            assert desk.reading() == (WIDENED, False)
        desk.at("10:57")
        assert desk.reading() == ("1732.43", True)  # 75 × (7953.45 − 7929.05) = 1,830.00 − 97.57
        assert desk.state == "REDUCE_ONLY" and desk.kills() == []
    finally:
        desk.close()


def test_taken_for_trades_the_auction_would_have_killed(tmp_path: Path) -> None:
    """The negative control: the same rows, not marked as indicative, halt the account in 10:42."""
    desk = sold_before_the_halt(tmp_path / "desk")
    try:
        assert next(show_auction(desk, indicative=False)) == "10:42"
        assert desk.state == "HALTED" and desk.kills() == ["10:42"]
        assert desk.desk.one("SELECT min(day_pnl_e4) FROM pnl_readings") == to_e4("-30255.07")
    finally:
        desk.close()


# -- the frozen feed ---------------------------------------------------------------------------------------------------

# 2021-02-24: the index stands at 14820.45 from 10:07 and the feed repeats it until 15:45, with the time of its last trade.
# One lot bought at 14811.05 (10:05). Charges: 20 + 22.22 + 0.56 + 0.00 + stamp 22 + GST 7.60 = 72.38.
#   widened by 2 %: 14820.45 × 0.98 = 14524.041; 75 × (14811.05 − 14524.041) = 21,525.675 + 72.38 = 21,598.055
#   a limit of 14,000 is passed by more than half: one fresh reading of it would kill at once
FROZEN = ("10:08", "10:09", "11:00", "12:30", "14:00", "15:29", "15:44")


def test_a_frozen_feed_reduces_and_never_kills(tmp_path: Path) -> None:
    """Five hours of the same price: only exits pass, nobody is halted; the second session is measured again."""
    with real_day(tmp_path / "desk", "2021-02-24", limit_of("14000")) as desk:
        desk.hold(1, "10:05", "14811.05")
        desk.at("10:07")
        assert desk.reading() == ("632.62", True) and desk.state == "ACTIVE"  # 75 × 9.40 = 705.00 − 72.38
        stood_us = us_of("2021-02-24", "10:07", 57)
        for minute in FROZEN:
            for second in (20, 22, 57, 59):
                desk.clock.at_us = us_of("2021-02-24", minute, second)
                desk.quote("14820.45", traded_us=stood_us)
                desk.look()
            assert desk.reading() == ("-21598.055", False)
            assert desk.state == "REDUCE_ONLY" and desk.kills() == []
        exit_order = desk.desk.order_of(desk.instrument, "SELL", 75, "14820.45")
        assert desk.desk.guard.check(exit_order).approved
        desk.at("15:45")
        assert desk.reading() == ("-2202.38", True)  # 75 × (14811.05 − 14782.65) = 2,130.00 + 72.38
        for minute in ("16:18", "16:40", "16:59"):
            desk.at(minute)
        assert desk.kills() == []


def test_the_time_of_the_last_trade_is_what_shows_it(tmp_path: Path) -> None:
    """The negative control: a feed that stamps the frozen price anew each time is believed."""
    with real_day(tmp_path / "desk", "2021-02-24", limit_of("14000")) as desk:
        desk.hold(1, "10:05", "14811.05")
        desk.at("10:07")
        desk.clock.at_us = us_of("2021-02-24", "12:30")
        desk.quote("14820.45")
        desk.look()
        assert desk.reading() == ("632.62", True) and desk.state == "ACTIVE"


# -- days with hours of their own -----------------------------------------------------------------------------------

PAUSE = table("""
    profile  at_1030   at_1129   at_1130_without_a_tick
    library  yes       yes       no
    paper    no        no        no
""")


@pytest.mark.parametrize("row", PAUSE, ids=str)
def test_the_pause_of_a_saturday_ages_no_price(row: Row, tmp_path: Path) -> None:
    """2024-05-18: between the windows the last price of the first one is as good as it was; from 11:30 it is an old one."""
    with real_day(tmp_path / "desk", "2024-05-18", limit_of("14000"), profile=row.profile) as desk:
        desk.hold(-1, "09:58", "22470.15")
        desk.at("09:59")
        assert desk.reading() == ("-409.88", True)  # 25 × (22482.25 − 22470.15) = 302.50 + 107.38
        for minute, fresh in (("10:30", row.at_1030), ("11:29", row.at_1129)):
            desk.at(minute)
            assert desk.reading()[1] == (fresh == "yes")
        desk.bars = {}
        desk.at("11:30")
        assert desk.reading()[1] == (row.at_1130_without_a_tick == "yes")
        # 22482.25 × 1.02 = 22931.895; 25 × (22931.895 − 22470.15) = 11,543.625 + 107.38: above 80 %, and no more than that
        assert desk.reading()[0] == "-11651.005"
        assert desk.state == "REDUCE_ONLY" and desk.kills() == []


def test_the_evening_of_muhurat_belongs_to_its_own_day(tmp_path: Path) -> None:
    """2021-11-04, 18:15 to 19:15: one session of that date; the last price stays what it was until midnight, and trips nothing."""
    with real_day(tmp_path / "desk", "2021-11-04", limit_of("2000"), opens="18:14", profile="library") as desk:
        desk.hold(1, "18:16", "17939.30")
        desk.at("19:06")
        assert desk.reading() == ("-1718.67", True) and desk.state == "REDUCE_ONLY"
        desk.at("19:14")
        before = desk.reading()
        for minute in ("19:15", "21:00", "23:58"):
            desk.at(minute)
            assert desk.reading() == before and before[1]
        assert desk.kills() == []
        assert desk.desk.rows("SELECT session_date FROM day_baselines") == [("2021-11-04",)]


# -- raw ticks ---------------------------------------------------------------------------------------------------------

# RELIANCE 2021-04-22: the first tick is stamped 1970 and shows the day before; then 09:22:10 at 1886.45, 09:40:09 at 1882.75.
# 1,000 shares bought at 1886.45. Turnover 1,886,450.00: brokerage 20, exchange × 0.00345 % 65.08, SEBI 1.89, IPFT 0.00,
# stamp × 0.003 % 57, GST 18 % of 85.08 = 15.31; together 159.28.
# Swept every second; loss at what stands then, in rupees:
#
#   second   09       10       11       12       13       14       15       16       17       18       19
#   price    1882.75  1882.45  1882.45  1882.70  1882.70  1882.65  1882.30  1882.00  1881.45  1881.45  1881.65
#   loss     3859.28  4159.28  4159.28  3909.28  3909.28  3959.28  4309.28  4609.28  5159.28  5159.28  4959.28
#   second   20       21       22       23       24       25       26       27       28
#   price    1881.15  1881.00  1881.15  1881.10  1881.15  1881.15  1881.00  1881.00  1881.00
#   loss     5459.28  5609.28  5459.28  5509.28  5459.28  5459.28  5609.28  5609.28  5609.28
#
# Two readings two seconds apart prove a loss; one below the limit in between begins anew.
TICKS = table("""
    limit    killed_at  why
    3859.28  11         09 and 11
    4159.28  17         10 and 11 are one second apart, 12 is below; 15 and 17
    4609.28  18         16 and 18
    4610.28  19         17 and 19
    5459.28  22         20 and 22, which reaches it
    5460.28  28         21, then 22 is below; 23, then 24 is below; 26 and 28
""")


class Ticked:
    """A desk whose market is moved by raw ticks, each let in by the rules of the market feed at the second it arrived."""

    def __init__(self, directory: Path, name: str, day: str, text: str, close: str) -> None:
        self.day = RealDay(directory, day, text, opens="09:10", instrument=RELIANCE)
        self.book = self.day.sweeper.marks = MarketBook()
        self.book.closed_at(RELIANCE.key, to_e4(close))
        self.waiting = deque(ticks_of(name))

    def arrive(self, until_us: int) -> None:
        """Let all ticks arrive that are stamped up to here, and what came between them: one a slip behind comes as late."""
        while self.waiting and self.waiting[0][0] <= until_us:
            stamp_us, ltp = self.waiting.popleft()
            if self.book.take(RELIANCE.key, Tick(to_e4(ltp), None, None, stamp_us, self.day.clock.now_us())):
                quote = self.book.quote(*RELIANCE.key)
                assert quote is not None
                self.day.broker.set_quote(*RELIANCE.key, quote)

    def look_at(self, minute: str, second: int) -> None:
        """Let the ticks up to a second arrive, and sweep in it."""
        self.day.clock.at_us = us_of(self.day.day, minute, second)
        self.arrive(self.day.clock.now_us())
        self.day.look()

    def buy(self, shares: int, price: str, second: int) -> None:
        """Buy at *price*, `second` of the minute the clock is in, and let the list settle."""
        desk, minute = self.day.desk, minute_of(self.day.clock.now_us())
        desk.place(desk.order_of(RELIANCE, "BUY", shares, price))
        for after_s in (2, 8):
            self.look_at(minute, second + after_s)


@pytest.mark.parametrize("row", TICKS, ids=str)
def test_raw_ticks_stop_the_account_in_the_second_they_say(row: Row, tmp_path: Path) -> None:
    """1970 is no price of today, eighteen minutes of silence prove nothing, and then each second counts."""
    ticked = Ticked(tmp_path / "desk", "RELIANCE_2021-04-22_bad_start", "2021-04-22", limit_of(row.limit), "1901.15")
    day = ticked.day
    try:
        ticked.look_at("09:22", 9)
        assert ticked.book.quote(*RELIANCE.key) is None and ticked.book.kept_out == {"OLD_DAY": 1}
        ticked.look_at("09:22", 10)
        day.broker.set_quote(*RELIANCE.key, Quote.of(ltp="1886.45", at_us=day.clock.now_us()))
        ticked.buy(1000, "1886.45", 10)
        assert day.charges() == "159.28"
        for minute in ("09:25", "09:35", "09:40"):
            for second in (0, 2):
                ticked.look_at(minute, second)
            # 1886.45 × 0.98 = 1848.721; 1,000 × 37.729 = 37,729.00 + 159.28: far beyond the limit, and an old price
            assert day.reading() == ("-37888.28", False) and day.state == "REDUCE_ONLY" and day.kills() == []
        for second in range(9, 29):
            ticked.look_at("09:40", second)
            if day.state == "HALTED":
                break
        assert (day.state, second) == ("HALTED", row.number("killed_at"))
    finally:
        day.close()


def test_a_tick_of_1970_is_no_quote_by_hand_either(tmp_path: Path) -> None:
    """Pushed instead of fed, the first tick of that day is refused in words, and no mark is left of it."""
    with real_day(tmp_path / "desk", "2021-04-22", limit_of("5000"), instrument=RELIANCE) as day:
        stamp_us, ltp = ticks_of("RELIANCE_2021-04-22_bad_start")[0]
        with pytest.raises(QuoteInvalidError):
            day.desk.guard.quote(*RELIANCE.key, ltp=ltp, at=stamp_us)
        assert day.desk.guard.held_quote(RELIANCE.key) is None
        assert day.desk.one("SELECT count(*) FROM marks") == 0
