"""Does an order add risk or take it away? Both sides of each edge. checks.md §0 "Direction"."""

from __future__ import annotations

import pytest

from riskguard.core.book import Line, Working
from riskguard.core.direction import direction, naked_short_units
from riskguard.core.instrument import Instrument
from riskguard.core.order import Order
from tests.core.builders import NOW, SHARE, account, line, option, order, order_of
from tests.core.tables import Row, table

SIMPLE = table("""
    why                              held  buying  selling  side  quantity  expected
    opens long                       0     0       0        BUY   1         INCREASING
    opens short                      0     0       0        SELL  1         INCREASING
    adds to a long                   10    0       0        BUY   1         INCREASING
    adds to a short                  -10   0       0        SELL  1         INCREASING
    part of a long                   10    0       0        SELL  9         REDUCING
    all of a long                    10    0       0        SELL  10        REDUCING
    one too many                     10    0       0        SELL  11        FLIP
    part of a short                  -10   0       0        BUY   9         REDUCING
    all of a short                   -10   0       0        BUY   10        REDUCING
    the last unit of a long          1     0       0        SELL  1         REDUCING
    the last unit of a short         -1    0       0        BUY   1         REDUCING
    one too many                     -10   0       0        BUY   11        FLIP
    beside a working exit            10    0       4        SELL  6         REDUCING
    over a working exit              10    0       4        SELL  7         INCREASING
    over it and past zero            10    0       4        SELL  11        FLIP
    beside a working cover           -10   4       0        BUY   6         REDUCING
    over a working cover             -10   4       0        BUY   7         INCREASING
    everything is leaving already    10    0       10       SELL  1         INCREASING
    more is leaving than is held     10    0       15       SELL  1         INCREASING
    working buys are no position     0     10      0        SELL  1         INCREASING
    working buys hold nothing back   10    5       0        SELL  10        REDUCING
    working sells are no short       0     0       10       BUY   1         INCREASING
""")


def judged(
    asked: Order, *lines: Line, instrument: Instrument = SHARE, others: tuple[tuple[Instrument, Line], ...] = ()
) -> str:
    """Return the direction of *asked* in an account of *lines*, what must be cancelled first behind it."""
    of = account(*lines, instrument=instrument, others=others)
    own = of.positions.get(asked.instrument, {}).get(asked.product)
    found, first = direction(asked, own, True, of.instruments.get(asked.instrument), of.positions, of.instruments)
    return " ".join([found.value, *first])


@pytest.mark.parametrize("row", SIMPLE, ids=str)
def test_an_exit_fits_the_position_and_what_already_leaves_it(row: Row) -> None:
    """To the last unit is reducing, one more crosses zero; the caller's word counts for nothing."""
    held = line(row.number("held"), buys=row.number("buying"), sells=row.number("selling"))

    assert judged(order(row.side, row.number("quantity")), held) == row.expected


def test_nothing_known_nothing_reduces() -> None:
    """Without a complete list, or without a line, an order adds risk; a delivery sale of nothing is one of its own."""
    of = account(line(10))
    own = of.positions[SHARE.key]["INTRADAY"]

    assert direction(order("SELL", 10), own, False, SHARE, of.positions, of.instruments)[0] == "INCREASING"
    assert direction(order("SELL", 10, product="CNC"), None, False, SHARE, {}, {})[0] == "INCREASING"
    assert judged(order("SELL", 10)) == "INCREASING"
    assert judged(order("SELL", 10, product="CNC")) == "SHORT_DELIVERY"
    assert judged(order("BUY", 10, product="CNC")) == "INCREASING"


def test_products_do_not_net() -> None:
    """A Dhan exit must carry the product of its entry: in another it opens a second position."""
    assert judged(order("SELL", 10, product="MARGIN"), line(10)) == "INCREASING"
    assert judged(order("SELL", 10), line(10, product="MARGIN")) == "INCREASING"
    assert judged(order("SELL", 10), line(10), line(-10, product="MARGIN")) == "REDUCING"


LAGGING = table("""
    why                                    book  list  side  quantity  expected
    a buy the list does not show yet       10    0     SELL  1         INCREASING
    a second buy it does not show          20    10    SELL  10        REDUCING
    a second buy it does not show          20    10    SELL  11        FLIP
    a sale it does not show                6     10    SELL  6         REDUCING
    a sale it does not show                6     10    SELL  7         FLIP
    a closing it does not show             0     10    SELL  1         INCREASING
    a closing we do not know               10    0     SELL  1         INCREASING
    a cover it does not show               -6    -10   BUY   6         REDUCING
    a cover it does not show               -6    -10   BUY   7         FLIP
    a flip it does not show                -5    10    BUY   1         INCREASING
    a flip it does not show                -5    10    SELL  1         INCREASING
""")


@pytest.mark.parametrize("row", LAGGING, ids=str)
def test_while_the_list_lags_the_book_nearer_zero_is_left(row: Row) -> None:
    """What one of the two books does not have cannot be sold; if their signs differ, nothing can."""
    lagging = Line(
        "INTRADAY", filled=row.number("book"), seen=row.number("list"), seen_us=NOW, last_fill_us=NOW
    ).refresh()

    assert judged(order(row.side, row.number("quantity")), lagging) == row.expected


PROTECTED = table("""
    why                                   held  exits                     side  quantity  expected
    a stop in the way goes first          10    S10rp                     SELL  10        REDUCING w0
    a stop in part of the way             10    S4rp                      SELL  6         REDUCING
    a stop in part of the way             10    S4rp                      SELL  7         REDUCING w0
    a target of a group goes first too    10    S10r:g S10rp:g            SELL  10        REDUCING w0 w1
    an exit nobody protects with stays    10    S10r                      SELL  10        INCREASING
    one such exit among stops             10    S5rp S5r                  SELL  10        INCREASING
    an entry on the same side stays       10    S5                        SELL  10        INCREASING
    past zero is a flip whatever works    10    S10rp                     SELL  11        FLIP
    a cover's stop goes first             -10   B10rp                     BUY   10        REDUCING w0
    the other side is not in the way      10    B10rp                     SELL  10        REDUCING
""")


def exits(text: str) -> tuple[Working, ...]:
    """Read `S10rp:g`: a sale of 10, reducing, protective, of group g."""
    made = []
    for number, word in enumerate(text.split()):
        body, _, group = word.partition(":")
        digits = "".join(each for each in body if each.isdigit())
        made.append(
            Working(f"w{number}", 1 if body[0] == "B" else -1, int(digits), "r" in body, "p" in body, exit_group=group)
        )
    return tuple(made)


@pytest.mark.parametrize("row", PROTECTED, ids=str)
def test_protective_exits_give_way(row: Row) -> None:
    """An exit too large only because of protective ones is reducing, and says which must be cancelled first."""
    held = line(row.number("held"), working=exits(row.exits))

    assert judged(order(row.side, row.number("quantity")), held) == row.expected


def test_the_brokers_order_id_is_what_must_be_cancelled() -> None:
    """Where it is known; our own id where it is not yet."""
    stop = Working("a1", -1, 10, reducing=True, protective=True, order_id="P00000007")

    assert judged(order("SELL", 10), line(10, working=(stop,))) == "REDUCING P00000007"


DELIVERIES = table("""
    why                              held  filled  selling  side  quantity  expected
    all that is held                 10    0       0        SELL  10        REDUCING
    one share too many               10    0       0        SELL  11        SHORT_DELIVERY
    sold before                      10    -4      0        SELL  6         REDUCING
    sold before                      10    -4      0        SELL  7         SHORT_DELIVERY
    beside a working sale            10    0       4        SELL  6         REDUCING
    over a working sale              10    0       4        SELL  7         SHORT_DELIVERY
    bought today                     0     5       0        SELL  5         REDUCING
    bought today                     0     5       0        SELL  6         SHORT_DELIVERY
    nothing                          0     0       0        SELL  1         SHORT_DELIVERY
    a buy is a buy                   10    0       0        BUY   1         INCREASING
    sold holdings are no short       10    -4      0        BUY   4         INCREASING
""")


@pytest.mark.parametrize("row", DELIVERIES, ids=str)
def test_delivery_sales(row: Row) -> None:
    """CNC reduces up to what can be delivered; above it the account would sell what it does not have."""
    held = Line("CNC", filled=row.number("filled"), seen=row.number("filled"), sellable_start=row.number("held"))
    if row.number("selling"):
        held.working["w"] = Working("w", -1, row.number("selling"), reducing=True)

    assert judged(order(row.side, row.number("quantity"), product="CNC"), held.refresh()) == row.expected


# -- options --------------------------------------------------------------------------------------------------

NEAR, FAR = "2024-06-13", "2024-06-27"
LONG_FAR, LONG_NEAR, SHORT_NEAR, SHORT_FAR = (
    option("1", expiry=FAR), option("2", expiry=NEAR), option("3", expiry=NEAR), option("4", expiry=FAR),
)  # fmt: skip
BY_NAME = {
    "LF": LONG_FAR, "LN": LONG_NEAR, "SN": SHORT_NEAR, "SF": SHORT_FAR,
    "PUT": option("5", kind="PE"), "BANK": option("6", underlying="BANKNIFTY"), "STRAY": option("7", underlying=""),
}  # fmt: skip

COVERED = table("""
    why                                    book              order         expected
    nothing short: a plain exit            LF+50             SELL LF 50    REDUCING
    it covers a short                      LF+50 SN-50       SELL LF 25    UNHEDGING
    more than the short needs              LF+75 SN-50       SELL LF 25    REDUCING
    one lot into the cover                 LF+75 SN-50       SELL LF 50    UNHEDGING
    same expiry covers                     LN+50 SN-50       SELL LN 25    UNHEDGING
    an earlier expiry never covered        LN+50 SF-50       SELL LN 50    REDUCING
    a put never covered a call             PUT+50 SN-50      SELL PUT 50   REDUCING
    another underlying never covered       BANK+50 SN-50     SELL BANK 50  REDUCING
    the short is closed first              LF+50 SN-50       BUY SN 50     REDUCING
    two covers, one is enough              LF+50 LN+50 SN-50  SELL LN 50   REDUCING
    two covers, both needed                LF+25 LN+25 SN-50  SELL LN 25   UNHEDGING
    the far one is needed for the far      LF+50 LN+50 SF-50  SELL LF 25   UNHEDGING
    the near one is not                    LF+50 LN+50 SF-50  SELL LN 50   REDUCING
    a hedge for a naked short              SN-50             BUY LF 25     HEDGING
    a hedge of the same expiry             SN-50             BUY LN 50     HEDGING
    a hedge larger than the naked lots     SN-50             BUY LF 75     HEDGING
    a hedge that expires too early         SF-50             BUY LN 50     INCREASING
    a put hedges no call                   SN-50             BUY PUT 50    INCREASING
    another underlying hedges nothing      SN-50             BUY BANK 50   INCREASING
    covered already: just a purchase       LF+50 SN-50       BUY LF 25     INCREASING
    half covered                           LF+25 SN-50       BUY LF 25     HEDGING
    more of the short                      SN-50             SELL SN 25    INCREASING
    across zero is a flip                  LF+50 SN-50       SELL LF 75    FLIP
    an option nobody can place             STRAY+50 SN-50    SELL STRAY 50  REDUCING
""")


def options(text: str) -> tuple[tuple[Instrument, Line], ...]:
    """Read `LF+50 SN-50`."""
    made = []
    for word in text.split():
        sign = "+" if "+" in word else "-"
        name, _, quantity = word.partition(sign)
        made.append((BY_NAME[name], line(int(f"{sign}{quantity}"), product="MARGIN")))
    return tuple(made)


@pytest.mark.parametrize("row", COVERED, ids=str)
def test_cover_of_short_options(row: Row) -> None:
    """A long covers a short of the same underlying and type that does not expire later than it."""
    side, name, quantity = row.order.split()
    asked = order_of(BY_NAME[name], side, int(quantity), product="MARGIN")
    others = (*options(row.book), *((each, line(0, product="NRML")) for each in BY_NAME.values()))
    of = account(others=others)
    own = of.positions[asked.instrument].get("MARGIN")

    found, _ = direction(asked, own, True, BY_NAME[name], of.positions, of.instruments)
    assert found.value == row.expected


NAKED = table("""
    why                                 book                    naked
    none                                LF+50                   0
    all                                 SN-50                   50
    part                                LF+25 SN-50             25
    the far cover goes to the far       LF+50 SN-50 SF-50       50
    a near cover only covers near       LN+50 SN-50 SF-50       50
    both                                LF+50 LN+50 SN-50 SF-50  0
    surplus cover is no negative        LF+75 SN-50             0
    two shorts of one day add up        LN-25 SN-50             75
    two longs of one day add up         LF+25 SF+25 SN-50       0
    one unit is a unit                  LF+1 SN-2               1
    one unit covers one                 LF+1 SN-1               0
    puts and others are apart           PUT+50 BANK+50 SN-50    50
""")


@pytest.mark.parametrize("row", NAKED, ids=str)
def test_naked_short_units(row: Row) -> None:
    """Each long covers once, the longest-dated first in line for the shorts only it can cover."""
    of = account(others=options(row.book))

    assert naked_short_units(SHORT_NEAR, of.positions, of.instruments) == row.number("naked")


def test_working_orders_and_cover() -> None:
    """A working sale counts as sold, a working purchase covers nothing yet; products add up."""
    of = account(others=((LONG_FAR, line(50, product="MARGIN", sells=25)), (SHORT_NEAR, line(-50, product="MARGIN"))))
    assert naked_short_units(SHORT_NEAR, of.positions, of.instruments) == 25
    of = account(others=((LONG_FAR, line(0, product="MARGIN", buys=50)), (SHORT_NEAR, line(-50, product="MARGIN"))))
    assert naked_short_units(SHORT_NEAR, of.positions, of.instruments) == 50
    of = account(others=(
        (LONG_FAR, line(25, product="MARGIN")), (LONG_FAR, line(25, product="INTRADAY")), (SHORT_NEAR, line(-50)),
    ))  # fmt: skip
    assert naked_short_units(SHORT_NEAR, of.positions, of.instruments) == 0
