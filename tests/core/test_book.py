"""The book: what counts as held, what as working, what can still be delivered. checks.md §0 "The book"."""

from __future__ import annotations

import pytest

from riskguard.core.book import SETTLE_US, Line, Working
from tests.core.tables import Row, table

FILL_US = 1_000_000_000

BOOKS = table("""
    why                               product   start  filled  seen  seen_after_us  up   down  near  settled
    no list ever                      INTRADAY  10     0       -     0              10   10    10    no
    nothing filled, list agrees       INTRADAY  10     0       10    0              10   10    10    yes
    nothing filled, list differs      INTRADAY  10     0       12    0              12   10    10    no
    list lags a buy                   INTRADAY  0      10      0     1_000_000      10   0     0     no
    list lags a second buy            INTRADAY  10     10      10    1_000_000      20   10    10    no
    list lags a sale                  INTRADAY  10     -4      10    1_000_000      10   6     6     no
    list lags a closing               INTRADAY  10     -10     10    1_000_000      10   0     0     no
    list lags a flip                  INTRADAY  10     -15     10    1_000_000      10   -5    0     no
    list lags a short                 INTRADAY  0      -10     0     1_000_000      0    -10   0     no
    list lags a cover                 INTRADAY  -10    4       -10   1_000_000      -6   -10   -6    no
    it agrees but too early           INTRADAY  0      10      10    4_999_999      10   10    10    no
    it agrees and is late enough      INTRADAY  0      10      10    5_000_000      10   10    10    yes
    late enough but it differs        INTRADAY  0      10      8     9_000_000      10   8     8     no
    broker shows more                 INTRADAY  0      10      14    9_000_000      14   10    10    no
    signs differ                      INTRADAY  0      10      -3    9_000_000      10   -3    0     no
    one held, the list shows two      INTRADAY  1      0       2     0              2    1     1     no
    two held, the list shows one      INTRADAY  2      0       1     0              2    1     1     no
    none held, the list has a short   INTRADAY  0      0       -3    0              0    -3    0     no
    a delivery sale is no short       CNC       0      -10     -10   9_000_000      0    0     0     yes
    a lagging delivery sale           CNC       0      -10     0     1_000_000      0    0     0     no
    delivery bought                   CNC       0      10      10    9_000_000      10   10    10    yes
    margin funded delivery sale       MTF       0      -10     -10   9_000_000      0    0     0     yes
    carried and sold more             MTF       5      -10     -5    9_000_000      0    0     0     yes
""")


@pytest.mark.parametrize("row", BOOKS, ids=str)
def test_until_the_list_has_caught_up_each_side_sees_the_worse_book(row: Row) -> None:
    """B against S: a buy reaches from the larger, a sell from the smaller, an exit from the one nearer zero."""
    seen = row.opt_number("seen")
    filled = row.number("filled")
    made = Line(
        row.product, start=row.number("start"), filled=filled, seen=seen, seen_us=FILL_US + row.number("seen_after_us"),
        last_fill_us=FILL_US if filled else 0,
    ).refresh()  # fmt: skip

    assert (made.up, made.down, made.near) == (row.number("up"), row.number("down"), row.number("near"))
    assert made.settled is row.has("settled")
    assert made.net == row.number("start") + filled
    assert SETTLE_US == 5_000_000


def test_a_list_settles_at_once_what_nothing_was_filled_in() -> None:
    """There is nothing it could lag behind, however early it was fetched; one fill, and it has to be late enough."""
    assert Line("INTRADAY", start=10, seen=10, seen_us=0).refresh().settled
    assert not Line("INTRADAY", start=9, filled=1, seen=10, seen_us=5_000_000, last_fill_us=1).refresh().settled


def test_what_earlier_legs_bought_covers() -> None:
    """Only what is marked so, at what remains of it; the rest of what works covers nothing."""
    made = Line("INTRADAY", working=working("B5 B7 B2")).refresh()
    assert made.covering == 0
    made.working["w0"].covers = made.working["w2"].covers = True
    assert made.refresh().covering == 7


WORKING = table("""
    why                                   orders                                          buying  selling
    nothing                               -                                               0       0
    both sides apart                      B5 S3                                           5       3
    they add                              B5 B7 S3 S4                                     12      7
    one group of exits, the largest       S10r:g S4r:g                                    0       10
    two groups add                        S10r:g S4r:g S6r:h                              0       16
    a group and a single one              S10r:g S4r:g S3r                                0       13
    exits without a group add             S10r S4r                                        0       14
    what adds risk is never one of them   S10:g S4:g                                      0       14
    a mixed group counts its entry too    S10r:g S4:g                                     0       14
    each side has its own group           S10r:g B4r:g                                    4       10
    done orders count nothing             S0r:g B0                                        0       0
""")


def working(text: str) -> dict[str, Working]:
    """Read `S10r:g`: a sale of 10, reducing, of group g."""
    made = {}
    for number, word in enumerate([] if text == "-" else text.split()):
        body, _, group = word.partition(":")
        reducing = body.endswith("r")
        sign = 1 if body[0] == "B" else -1
        made[f"w{number}"] = Working(f"w{number}", sign, int(body[1:].rstrip("r")), reducing, exit_group=group)
    return made


@pytest.mark.parametrize("row", WORKING, ids=str)
def test_exits_of_one_group_count_once(row: Row) -> None:
    """At the largest remaining quantity: only one of them will fill. Everything else adds up."""
    made = Line("INTRADAY", working=working(row.orders)).refresh()

    assert (made.buying, made.selling) == (row.number("buying"), row.number("selling"))


SELLABLE = table("""
    why                                        start  filled  held  now  sellable
    nothing                                    0      0       0     -    0
    holdings                                   0      0       10    -    10
    holdings, seen again                       0      0       10    10   10
    bought today                               0      5       0     -    5
    bought today beside holdings               0      5       10    10   15
    sold today, not yet noticed                0      -4      10    10   6
    sold today, noticed: subtracted once       0      -4      10    6    6
    somebody sold in the app                   0      0       10    7    7
    somebody sold more than we know            0      -4      10    3    3
    everything sold                            0      -10     10    0    0
    never below nothing                        0      -12     10    10   0
    more available than at the start           0      0       10    12   10
    carried in as a position                   5      0       0     -    5
""")


@pytest.mark.parametrize("row", SELLABLE, ids=str)
def test_what_a_delivery_sale_can_deliver(row: Row) -> None:
    """Day-start holdings and today's net, or what is available now once that has fallen. checks.md §5.8."""
    made = Line(
        "CNC", start=row.number("start"), filled=row.number("filled"), sellable_start=row.number("held"),
        sellable_now=row.opt_number("now"),
    )  # fmt: skip

    assert made.sellable() == row.number("sellable")


def test_an_idle_line_has_nothing_held_and_nothing_working() -> None:
    """A line the broker still shows is not idle, one with a working order neither."""
    assert Line("INTRADAY").refresh().is_idle
    assert Line("INTRADAY", start=5, filled=-5, seen=0).refresh().is_idle
    assert not Line("INTRADAY", start=5).refresh().is_idle
    assert not Line("INTRADAY", seen=5).refresh().is_idle
    assert not Line("INTRADAY", working=working("B5")).refresh().is_idle
