"""Exposure by hand: every figure of these tables was worked out from the prices of `tests.core.market`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from riskguard.core import exposure
from riskguard.core.account import Account, Unfunded
from riskguard.core.book import Line, Working
from riskguard.core.direction import naked_short_units
from riskguard.core.exposure import Exposure, Naked, Reach, ToFlat
from riskguard.core.exposure.units import way
from riskguard.core.facts import Facts
from riskguard.core.quote import Quote
from riskguard.core.scope import Scope
from tests.core.builders import NOW, SHARE, inr
from tests.core.market import BY_NAME, CALL, CRUDE, FUTURE, NEAR_CALL, PUT, asking, at, holding, working
from tests.core.tables import Row, table

HERE = Scope("ACCOUNT", "leader")


def measured(of: Account, order: str, scope: Scope = HERE) -> tuple[Exposure, int, int]:
    """The exposure around an order, with its sign and quantity."""
    asked = asking(order)
    return Facts.of(asked, of, NOW).exposure(scope), asked.sign, asked.quantity


def rupees(e4: int | None) -> str:
    """Whole rupees as text, `-` for unknown."""
    if e4 is None:
        return "-"
    assert e4 % 10_000 == 0
    return str(e4 // 10_000)


VALUES = table("""
    why                                     book                          order               gross   net    one
    an empty book                           -                             BUY 10 share 100    1000    1000   1000
    the order's price, if above the mark    -                             BUY 10 share 110    1100    1100   1100
    the mark, if above the order's price    -                             BUY 10 share 90     1000    1000   1000
    a sale counts on its own side           -                             SELL 10 share 100   1000    1000   1000
    held and working add                    share 60 +10                  BUY 10 share 100    8000    8000   8000
    the larger side of a line               share 60 +10 -90              BUY 10 share 100    8000    8000   8000
    the larger side of a line               share 60 +10 -90              SELL 10 share 100   7000    4000   4000
    a short line                            share -60                     SELL 10 share 100   7000    7000   7000
    products stand apart                    share 60 MARGIN               SELL 10 share 100   7000    -5000  1000
    products stand apart                    share 60; share -30 MARGIN    BUY 1 share 100     9100    3100   6100
    products add on their side              share 60; share 30 MARGIN     BUY 1 share 100     9100    9100   9100
    another instrument adds                 fut 25                        BUY 1 share 100     6375    6375   100
    another instrument offsets net alone    fut -25                       BUY 1 share 100     6375    -6175  100
    its working buys lean with a buy        fut -25 +25                   BUY 1 share 100     6375    100    100
    its working buys do not help a sale     fut -25 +25                   SELL 1 share 100    6375    6375   100
    a long call by premium                  ce 25                         BUY 1 share 100     400     400    100
    a long put leans the other way          pe 25                         BUY 1 share 100     200     0      100
    a long put leans the other way          pe 25                         SELL 1 share 100    200     200    100
    a short call by notional                ce -25                        SELL 1 share 100    6350    6350   100
    a short call offsets nothing            ce -25                        BUY 1 share 100     6350    100    100
    a short put by notional                 pe -25                        BUY 1 share 100     6350    6350   100
    a short put offsets nothing             pe -25                        SELL 1 share 100    6350    100    100
    buying a call                           -                             BUY 25 ce 12        300     300    300
    selling a call                          -                             SELL 25 ce 12       6250    6250   6250
    selling a put leans up                  fut 25                        SELL 25 pe 4        12525   12525  6250
    buying a put leans down                 fut -25                       BUY 25 pe 4         6375    6375   100
    buying a put against a future           fut 25                        BUY 25 pe 4         6375    -6175  100
    out of a long call, by its premium      ce 50                         SELL 25 ce 12       600     -300   0
    a short one too, above the mark         share -30 MARGIN              SELL 10 share 110   4400    4400   4400
    through zero, out of a short call       ce -25                        BUY 50 ce 12        6250    300    300
    not yet through zero                    ce -50                        BUY 25 ce 12        12500   0      0
    through zero, out of a long call        ce 25                         SELL 50 ce 12       6250    6250   6250
    a contract of 100 rupees a point        -                             BUY 2 crude 50      10000   10000  10000
    a contract of 100 rupees a point        crude 1                       BUY 1 share 100     5100    5100   100
    delivery sold is no short               share 0 -40 CNC               SELL 10 share 100   1000    1000   1000
    delivery held and sold                  share 60 -40 CNC              SELL 10 share 100   7000    -1000  1000
""")


@pytest.mark.parametrize("row", VALUES, ids=str)
def test_what_a_book_with_an_order_is_exposed_to(row: Row) -> None:
    """Gross adds the larger side of each line, net leans to the order's side, one is the order's own instrument."""
    book, sign, quantity = measured(holding(row.book), row.order)

    assert book.unknown == ""
    found = book.gross(sign, quantity), book.net(sign, quantity), book.instrument(sign, quantity)
    assert [rupees(each) for each in found] == [row.gross, row.net, row.one]


@pytest.mark.parametrize(
    ("book", "bullish", "bearish"),
    [("fut 25", 6275, -6275), ("fut -25", -6275, 6275), ("pe 25", -100, 100), ("pe -25", 6250, 0), ("ce -25", 0, 6250)],
)
def test_which_way_a_book_leans(book: str, bullish: int, bearish: int) -> None:
    """Futures, calls and short puts gain in a rise; what a long one gains there it loses in a fall."""
    found = measured(holding(book), "BUY 1 share 100")[0]

    assert (found.bullish_e4, found.bearish_e4) == (bullish * 10_000, bearish * 10_000)
    assert [way(kind) for kind in ("CE", "PE", "")] == [1, -1, 1]


def test_a_market_order_counts_at_its_risk_price() -> None:
    """A market buy may fill 5 % above the market; an older position of the instrument counts at that price too."""
    book, sign, quantity = measured(holding("share 10"), "BUY 10 share -")
    assert rupees(book.gross(sign, quantity)) == "2100"

    book, sign, quantity = measured(holding("share 10"), "SELL 30 share -")
    assert rupees(book.gross(sign, quantity)) == "2000"


UNKNOWN = table("""
    why                                   book            unpriced     order              names       gross  one
    another line without a price          fut 25          fut          BUY 1 share 100    NIFTY-FUT   -      100
    a flat one is worth nothing           fut 0           fut          BUY 1 share 100    -           100    100
    only its working buys matter          fut 0 +25       fut          BUY 1 share 100    NIFTY-FUT   -      100
    the order has no price                share 10        share        BUY 1 share -      -           -      -
    the order's price will do             share 10        share        BUY 1 share 100    -           1100   1100
    a short option needs no price         ce -25          ce           BUY 1 share 100    -           6350   100
    nor does the sale of one              -               ce           SELL 25 ce -       -           6250   6250
    the purchase of one does              -               ce           BUY 25 ce -        -           -      -
    without a spot its strike             ce -25          NIFTY        BUY 1 share 100    -           6100   100
""")


@pytest.mark.parametrize("row", UNKNOWN, ids=str)
def test_what_cannot_be_valued_is_not_worth_zero(row: Row) -> None:
    """None, and the name of the line; a side that holds nothing needs no price."""
    book, sign, quantity = measured(holding(row.book, unpriced=row.unpriced), row.order)

    assert book.unknown == (row.opt("names") or "")
    assert [rupees(book.gross(sign, quantity)), rupees(book.instrument(sign, quantity))] == [row.gross, row.one]
    assert (book.net(sign, quantity) is None) is (row.gross == "-")


def test_a_stale_mark_values_what_is_held_and_no_market_order() -> None:
    """An old price bounds a position; what a market order may cost it does not say."""
    of = holding("share 10")
    of.quotes[SHARE.key] = at("100", age_s=6)
    book, _, quantity = measured(of, "BUY 1 share -")
    assert book.gross(1, quantity) is None and book.instrument(1, quantity) is None
    assert rupees(measured(of, "BUY 1 fut 251")[0].gross(1, 1)) == "1251"
    of.quotes[CALL.key] = at("12", age_s=31)
    assert rupees(measured(of, "SELL 25 ce -")[0].gross(-1, 25)) == "7250"


def test_an_unknown_contract_or_multiplier_is_named() -> None:
    """A line nobody imported, and one no table has a multiplier for."""
    of = holding("fut 25; crude 1")
    del of.instruments[FUTURE.key]
    assert measured(of, "BUY 1 share 100")[0].unknown == "NSE_FNO:35001"
    of = holding("fut 25; share 60")
    del of.instruments[FUTURE.key]
    assert rupees(measured(of, "BUY 1 share 100")[0].instrument(1, 1)) == "6100"  # what comes after it still counts
    of = holding("share -20")
    del of.instruments[SHARE.key]
    book, sign, quantity = measured(of, "BUY 10 share 100")
    assert book.net(sign, quantity) is None and book.unknown == ""

    of = holding("crude 1")
    of.instruments[CRUDE.key] = replace(CRUDE, multiplier=None)
    assert measured(of, "BUY 1 share 100")[0].unknown == "CRUDEOIL"
    book, sign, quantity = measured(of, "BUY 1 crude 50")
    assert book.gross(sign, quantity) is None and book.instrument(sign, quantity) is None


UNIT_VALUES = table("""
    why                            mark  age_s  close  price  side  value
    the mark                       12    0      -      -      long  12
    however old                    12    99999  -      -      long  12
    else the previous close        -     0      11     -      long  11
    the mark before the close      12    0      99     -      long  12
    the order's price, if higher   12    0      -      13     long  13
    the mark, if higher            12    0      -      11     long  12
    the order's price alone        -     0      -      13     long  13
    nothing                        -     0      -      -      long  -
    a short one by its underlying  12    0      -      13     short  250
    which needs no mark            -     0      -      -      short  250
""")


@pytest.mark.parametrize("row", UNIT_VALUES, ids=str)
def test_what_one_unit_of_an_option_counts(row: Row) -> None:
    """Premium when long, the notional of its underlying when short."""
    of = holding("ce 25")
    of.quotes.clear()
    if row.mark != "-":
        of.quotes[CALL.key] = at(row.mark, row.number("age_s"))
    of.positions[CALL.key]["INTRADAY"].previous_close_e4 = row.e4("close")
    value_e4 = exposure.unit_value_e4(of, HERE, CALL, 1 if row.side == "long" else -1, row.e4("price"))

    assert rupees(value_e4) == row.value


def test_an_option_counts_at_its_middle_while_the_spread_is_sane() -> None:
    """Its last trade may be an hour old; a share's is its price."""
    of = holding("ce 25; share 10")
    for key in (CALL.key, SHARE.key):
        of.quotes[key] = Quote.of(bid="11.90", ltp="15", ask="12.10", at_us=NOW)

    assert exposure.unit_value_e4(of, HERE, CALL, 1, None) == inr("12")
    assert exposure.unit_value_e4(of, HERE, SHARE, 1, None) == inr("15")


def test_an_option_without_spot_and_strike_has_no_notional() -> None:
    """The strike stands in for a spot nobody quotes; without either nothing does."""
    of = holding("-", unpriced="NIFTY")

    assert rupees(exposure.notional_e4(of, CALL)) == "240"
    assert exposure.notional_e4(of, replace(CALL, strike_e4=None)) is None
    of.spots["NIFTY"] = at("250", age_s=99_999)
    assert rupees(exposure.notional_e4(of, replace(CALL, strike_e4=None))) == "250"
    assert rupees(exposure.notional_e4(of, replace(CALL, multiplier=10))) == "2500"
    assert exposure.notional_e4(of, replace(CALL, multiplier=None)) is None


def grouped(leader: str, sibling: str, stranger: str = "-") -> Account:
    """The leader of a group of two, and a third account that is in no group."""
    made, other, third = holding(leader), holding(sibling, "sibling"), holding(stranger, "stranger")
    made.peers = {"GROUP": (other,), "GLOBAL": (other, third)}
    return made


GROUPS = table("""
    why                            scope           leader    sibling    stranger  gross  net     one
    one account                    ACCOUNT:leader  share 10  share 20   share 40  1100   1100    1100
    a group adds                   GROUP:desk      share 10  share 20   share 40  3100   3100    3100
    everybody adds                 GLOBAL          share 10  share 20   share 40  7100   7100    7100
    a sibling's short adds gross   GROUP:desk      share 10  share -20  -         3100   -900    1100
    a sibling's buys work too      GROUP:desk      share 10  share 0 +20  -       3100   3100    3100
    a sibling's other instrument   GROUP:desk      share 10  fut 25     -         7375   7375    1100
    nobody else                    GROUP:desk      share 10  -          share 40  1100   1100    1100
""")


@pytest.mark.parametrize("row", GROUPS, ids=str)
def test_groups_add_up_and_no_account_excuses_another(row: Row) -> None:
    """checks.md §5.4: the sum over the accounts of the scope, each line with its sides apart."""
    of = grouped(row.leader, row.sibling, row.stranger)
    book, sign, quantity = measured(of, "BUY 1 share 100", Scope.parse(row.scope))
    found = book.gross(sign, quantity), book.net(sign, quantity), book.instrument(sign, quantity)

    assert [rupees(each) for each in found] == [row.gross, row.net, row.one]


def test_a_siblings_instruments_are_its_own_to_know() -> None:
    """What only the sibling imported is valued; what nobody did is named."""
    of = grouped("-", "fut 25")
    del of.instruments[FUTURE.key]
    book, sign, quantity = measured(of, "BUY 1 share 100", Scope("GROUP", "desk"))
    assert rupees(book.gross(sign, quantity)) == "6375"

    del of.peers["GROUP"][0].instruments[FUTURE.key]
    assert measured(of, "BUY 1 share 100", Scope("GROUP", "desk"))[0].unknown == "NSE_FNO:35001"


def test_a_scope_is_blind_when_one_of_its_accounts_is() -> None:
    """An account whose positions nobody has seen whole, or whose equity nobody knows, leaves the sum unknown."""
    of = grouped("-", "-")
    assert exposure.unseen(of, Scope("GROUP", "desk")) == ""
    assert exposure.equity_e4(of, Scope("GROUP", "desk")) == inr("2000")
    assert exposure.equity_e4(of, Scope("GLOBAL")) == inr("3000")

    of.peers["GROUP"][0].position_seen_us = None
    of.peers["GROUP"][0].pnl = None
    assert exposure.unseen(of, Scope("GROUP", "desk")) == "sibling"
    assert exposure.unseen(of, HERE) == ""
    assert exposure.equity_e4(of, Scope("GROUP", "desk")) is None
    assert exposure.equity_e4(of, HERE) == inr("1000")


SCOPES = table("""
    scope                   gross
    ACCOUNT:leader          8180
    SEGMENT:NSE_EQ          1100
    SEGMENT:NSE_FNO         7180
    UNDERLYING:NIFTY        6675
    UNDERLYING:HDFCBANK     1605
    INSTRUMENT:NSE_EQ:1333  1100
""")


@pytest.mark.parametrize("row", SCOPES, ids=str)
def test_scopes_inside_an_account(row: Row) -> None:
    """1000 of shares, 505 of their future, 6275 of the index future, 300 of calls, 100 of the order, asked of any."""
    of = holding("share 10; stockfut 5; fut 25; ce 25")
    book = Facts.of(asking("BUY 1 share 100"), of, NOW).exposure(Scope.parse(row.scope))

    assert rupees(book.gross(1, 1)) == row.gross


def test_an_unknown_contract_may_hang_on_any_underlying() -> None:
    """A limit of one underlying cannot be kept while nobody knows what a line hangs on; one of a segment can."""
    of = holding("share 10; fut 25")
    del of.instruments[FUTURE.key]

    assert measured(of, "BUY 1 share 100", Scope("UNDERLYING", "HDFCBANK"))[0].unknown == "NSE_FNO:35001"
    assert measured(of, "BUY 1 share 100", Scope("SEGMENT", "NSE_EQ"))[0].unknown == ""


# -- strategies -----------------------------------------------------------------------------------------------

STRATEGIES = table("""
    why                                 held      claims              up    down
    all its own                         100       dip 100             100   100
    another's is not its own            100       dip 60 rip 40       60    60
    what nobody claims is everybody's   100       dip 60              100   100
    all of it another's                 100       rip 100             0     0
    of several others                   100       rip 30 rex 40       30    30
    several others even out             0         rip 30 rex -30      0     0
    one unit inside a flat line         0         rip 1               -1    -1
    long and short inside a flat line   0         dip -50 rip 50      -50   -50
    working of one's own and nobody's   100 +7 -5  dip 100            107   95
    a sale nobody claims                40        dip 100             40    40
""")


@pytest.mark.parametrize("row", STRATEGIES, ids=str)
def test_a_strategy_has_its_own_fills_and_what_nobody_claims(row: Row) -> None:
    """checks.md §5.4; the book less what the others filled today."""
    of = holding(f"share {row.held}")
    if row.held == "0":
        of.positions.clear()  # the store leaves flat lines where they are
    words = row.claims.split()
    for whose, signed in zip(words[::2], words[1::2], strict=True):
        of.attributed[whose, SHARE.key, "INTRADAY"] = int(signed)
    found = list(exposure.held_in(of, Scope("STRATEGY", "dip")))

    expected = [(row.number("up"), row.number("down"))]
    assert [(each.up, each.down) for each in found] == ([] if row.up == "0" else expected)


def test_a_strategys_orders_are_its_own_and_nobodys() -> None:
    """Another strategy's working orders are left out, and exits of one OCO group count once there too."""
    of = holding("share 100")
    line = of.positions[SHARE.key]["INTRADAY"]
    for number, (sign, left, whose, group) in enumerate(
        [(1, 7, "dip", ""), (1, 5, "", ""), (1, 90, "rip", ""), (-1, 100, "dip", "g"), (-1, 60, "dip", "g")]
    ):
        made = working(sign, left, "100", key=f"k{number}", strategy=whose, exit_group=group, reducing=bool(group))
        line.working[made.key] = made
    line.refresh()
    (held,) = exposure.held_in(of, Scope("STRATEGY", "dip"))

    assert (held.buying, held.selling, held.up, held.down) == (12, 100, 112, 0)
    (held,) = exposure.held_in(of, HERE)
    assert (held.buying, held.selling) == (102, 100)


def test_a_delivery_sale_of_one_strategy_is_no_purchase_of_another() -> None:
    """Shares another strategy sold for delivery leave nothing here; what it bought is its own."""
    of = holding("share 0 CNC")
    line = of.positions[SHARE.key]["CNC"]
    line.filled = -50
    line.seen = -50
    line.refresh()
    of.attributed["rip", SHARE.key, "CNC"] = -50
    assert list(exposure.held_in(of, Scope("STRATEGY", "dip"))) == []

    line.filled = line.seen = 50
    line.refresh()
    of.attributed["rip", SHARE.key, "CNC"] = 50
    assert list(exposure.held_in(of, Scope("STRATEGY", "dip"))) == []
    of.positions.clear()
    assert list(exposure.held_in(of, Scope("STRATEGY", "dip"))) == []

    # Nobody claims the sale: it is no short either. And what another sold out of a flat line is held here.
    of = holding("share 0 CNC")
    line = of.positions[SHARE.key]["CNC"]
    line.filled = line.seen = -50
    line.refresh()
    assert list(exposure.held_in(of, Scope("STRATEGY", "dip"))) == []
    of.positions.clear()
    of.attributed["rip", SHARE.key, "CNC"] = -50
    (held,) = exposure.held_in(of, Scope("STRATEGY", "dip"))
    assert (held.product, held.line, held.up, held.down) == ("CNC", None, 50, 50)


def test_while_the_list_lags_a_strategy_is_judged_on_the_worse_book_too() -> None:
    """60 known of, 80 seen: up to 80 less the other's 10, down to 60 less them."""
    of = holding("share 60")
    line = of.positions[SHARE.key]["INTRADAY"]
    line.seen = 80
    line.refresh()
    of.attributed["rip", SHARE.key, "INTRADAY"] = 10
    (held,) = exposure.held_in(of, Scope("STRATEGY", "dip"))
    assert (held.net_up, held.net_down) == (70, 50)

    line.seen = 0
    line.refresh()
    of.attributed.clear()
    (held,) = exposure.held_in(of, Scope("STRATEGY", "dip"))
    assert (held.net_up, held.net_down) == (60, 0)


# -- units ----------------------------------------------------------------------------------------------------

REACHES = table("""
    why                              book                        order             per         lots  own    others
    the own line, signed             share 60 +10                BUY 1 share 100   instrument  no    70     0
    the own line, signed             share 60 -90                SELL 1 share 100  instrument  no    30     0
    another product                  share 60; share 30 MARGIN   BUY 1 share 100   instrument  no    60     30
    a short one excuses nothing      share 60; share -30 MARGIN  BUY 1 share 100   instrument  no    60     0
    other instruments do not count   share 60; fut 25            BUY 1 share 100   instrument  no    60     0
    its future does, by underlying   share 60; stockfut 10       BUY 1 share 100   underlying  no    60     10
    another underlying does not      share 60; fut 25            BUY 1 share 100   underlying  no    60     0
    long calls are one side          fut 25; ce 50               BUY 25 fut 251    underlying  no    25     50
    short puts are that side too     fut 25; pe -50              BUY 25 fut 251    underlying  no    25     50
    long puts are the other          fut 25; pe 50               BUY 25 fut 251    underlying  no    25     0
    long puts are the other          fut 25; pe 50               SELL 25 fut 251   underlying  no    -25    50
    short calls are the other        fut 25; ce -50              SELL 25 fut 251   underlying  no    -25    50
    a put is bought, bearish         fut -25; ce -50; pe 25      BUY 25 pe 4       underlying  no    25     75
    a put is sold, bullish           fut 25; ce 50; pe -25       SELL 25 pe 4      underlying  no    25     75
    working counts as held           fut 0; ce 0 +50 -75         BUY 25 fut 251    underlying  no    0      50
    working counts as held           fut 0; ce 0 +50 -75         SELL 25 fut 251   underlying  no    0      75
    in lots, a part as one           fut 0; ce 30                BUY 25 fut 251    underlying  yes   0      2
    in lots of each line             share 60; stockfut 10       BUY 1 share 100   underlying  yes   60     2
    in whatever order lines come     fut 25; share 30 MARGIN; share 60     BUY 1 share 100  instrument  no  60  30
    in whatever order lines come     fut 25; stockfut 10; share 60         BUY 1 share 100  underlying  no  60  10
""")


@pytest.mark.parametrize("row", REACHES, ids=str)
def test_how_far_positions_reach(row: Row) -> None:
    """checks.md §5.14: by underlying quantity adds by direction of exposure, sides apart; the own line in units."""
    of, asked = holding(row.book), asking(row.order)
    found: Reach = Facts.of(asked, of, NOW).reach(HERE, per_underlying=row.per == "underlying", in_lots=row.has("lots"))
    own, others = (found.up, found.long) if asked.sign > 0 else (-found.down, found.short)

    assert (own, others, found.unknown) == (row.number("own"), row.number("others"), "")


def test_what_nobody_knows_may_be_of_the_underlying() -> None:
    """By instrument it does not matter what another line is; by underlying it does."""
    of = holding("share 60; fut 25")
    del of.instruments[FUTURE.key]
    facts = Facts.of(asking("BUY 1 share 100"), of, NOW)

    assert facts.reach(HERE, per_underlying=False, in_lots=False).unknown == ""
    assert facts.reach(HERE, per_underlying=True, in_lots=False).unknown == "NSE_FNO:35001"

    of = holding("fut 25; ce 25; share 60")
    del of.instruments[FUTURE.key], of.instruments[CALL.key]
    found = Facts.of(asking("BUY 1 share 100"), of, NOW).reach(HERE, per_underlying=True, in_lots=False)
    assert (found.up, found.unknown) == (60, "NSE_FNO:35001")  # the first is named, what comes after still counts
    of = holding("fut 25")
    del of.instruments[SHARE.key]
    facts = Facts.of(asking("BUY 1 share 100"), of, NOW)
    assert facts.reach(HERE, per_underlying=True, in_lots=False).unknown == "NIFTY-FUT"


NAKED = table("""
    why                                    book                  order           scope             lots
    nothing yet                            -                     SELL 25 ce 12   ACCOUNT:leader    1
    a part of a lot counts as one          -                     SELL 26 ce 12   ACCOUNT:leader    2
    a long covers it                       ce 25                 SELL 25 near 12  ACCOUNT:leader   0
    a long that ends sooner does not       near 25               SELL 25 ce 12   ACCOUNT:leader    1
    another type does not                  pe 25                 SELL 25 ce 12   ACCOUNT:leader    1
    a future does not                      fut 25                SELL 25 ce 12   ACCOUNT:leader    1
    a working buy does not yet             ce 0 +25              SELL 25 near 12  ACCOUNT:leader   1
    a working sale is sold                 near 0 -25            SELL 25 near 12  ACCOUNT:leader   2
    the cover itself is sold               ce 25; near -25       SELL 25 ce 12   ACCOUNT:leader    1
    more than the cover is sold            ce 25; near -25       SELL 50 ce 12   ACCOUNT:leader    2
    the other type adds                    pe -50                SELL 25 ce 12   ACCOUNT:leader    3
    unless the limit is of one instrument  pe -50; near -25      SELL 25 ce 12   INSTRUMENT:NSE_FNO:50001  2
    an underlying has both types           pe -50                SELL 25 ce 12   UNDERLYING:NIFTY  3
    a part of another's lot is one too     pe -30                SELL 25 ce 12   ACCOUNT:leader    3
""")


@pytest.mark.parametrize("row", NAKED, ids=str)
def test_sold_options_no_bought_one_covers(row: Row) -> None:
    """In lots, after the order; the cover expires no sooner, and is of the same underlying and type."""
    asked = asking(row.order)
    book: Naked = Facts.of(asked, holding(row.book), NOW).uncovered(Scope.parse(row.scope))

    assert book.unknown == "" and book.after(asked.quantity) == row.number("lots")


def test_naked_lots_follow_the_quantity_exactly() -> None:
    """What `after` says of any quantity is what the book would show with it: the short way is the long one."""
    of = holding("ce 60; near -25 -10; pe -25")
    book = Facts.of(asking("SELL 25 ce 12"), of, NOW).uncovered(HERE)
    for quantity in range(1, 130):
        line = of.positions[CALL.key]["INTRADAY"]
        held = naked_short_units(CALL, of.positions, of.instruments, CALL.key, -quantity)
        assert book.after(quantity) == -(held // -25) + 1, quantity
        assert line.net == 60


def test_groups_and_strategies_are_naked_each_by_itself() -> None:
    """A sibling's cover covers nothing here, its shorts add; a strategy leans on its own cover and nobody's."""
    of = grouped("ce 25; near -25", "near -50")
    book = Facts.of(asking("SELL 25 near 12"), of, NOW).uncovered(Scope("GROUP", "desk"))
    assert book.after(25) == 3
    assert Facts.of(asking("SELL 25 near 12"), grouped("near -25", "ce 50"), NOW).uncovered(
        Scope("GROUP", "desk")
    ).after(25) == 2  # fmt: skip

    of = holding("ce 25")
    of.attributed["rip", CALL.key, "INTRADAY"] = 25
    assert Facts.of(asking("SELL 25 near 12"), of, NOW).uncovered(Scope("STRATEGY", "dip")).after(25) == 1
    of.attributed.clear()
    assert Facts.of(asking("SELL 25 near 12"), of, NOW).uncovered(Scope("STRATEGY", "dip")).after(25) == 0


LOTS = table("""
    why                                    near  call  put  other  order           scope                   lot  lots
    the smaller of a family's              10    25    25   25     SELL 25 ce 12   ACCOUNT:leader          10   10
    whichever comes first                  25    10    25   25     SELL 25 near 12  ACCOUNT:leader         10   10
    that of its own, whoever else asks     10    25    25   25     SELL 25 ce 12   INSTRUMENT:NSE_FNO:50001  10  8
    the other type's, in its own           25    25    10   25     SELL 25 ce 12   ACCOUNT:leader          25   8
    the other type's, in its smallest      25    25    25   10     SELL 25 ce 12   ACCOUNT:leader          25   8
""")


@pytest.mark.parametrize("row", LOTS, ids=str)
def test_where_lots_of_one_family_differ_the_smallest_counts(row: Row) -> None:
    """50 near calls, 20 puts and 30 other puts are sold, then 25 of the order: 75 of its type and 50 of the other."""
    second = replace(PUT, security_id="50009", expiry="2024-06-13")
    of = holding("near -50; ce 0; pe -20")
    of.positions[second.key] = {"INTRADAY": Line("INTRADAY", start=-30, seen=-30).refresh()}
    lots = {
        NEAR_CALL: row.number("near"),
        CALL: row.number("call"),
        PUT: row.number("put"),
        second: row.number("other"),
    }
    of.instruments |= {each.key: replace(each, lot_size=lot) for each, lot in lots.items()}
    book = Facts.of(asking(row.order), of, NOW).uncovered(Scope.parse(row.scope))

    assert (book.lot, book.after(25)) == (row.number("lot"), row.number("lots"))


def test_a_strategy_leans_on_the_legs_of_its_own_basket() -> None:
    """What an earlier leg buys covers the strategy that buys it, and everybody where nobody is named."""
    for whose, lots in (("dip", 0), ("", 0), ("rip", 1)):
        of = holding("ce 0 +5")
        leg = working(1, 25, "12", key="leg", covers=True, strategy=whose)
        of.positions[CALL.key]["INTRADAY"].working[leg.key] = leg
        of.positions[CALL.key]["INTRADAY"].refresh()
        assert Facts.of(asking("SELL 25 near 12"), of, NOW).uncovered(Scope("STRATEGY", "dip")).after(25) == lots, whose
    # What it sells is sold.
    assert (
        Facts.of(asking("SELL 25 near 12"), holding("near 0 -25"), NOW).uncovered(Scope("STRATEGY", "dip")).after(25)
        == 2
    )
    # A line that is flat as a whole has no legs; here this strategy is long of it, there short.
    for theirs, lots in ((-25, 0), (25, 2)):
        of = holding("-")
        of.attributed["rip", CALL.key, "INTRADAY"] = theirs
        assert Facts.of(asking("SELL 25 near 12"), of, NOW).uncovered(Scope("STRATEGY", "dip")).after(25) == lots


def test_a_sold_contract_nobody_knows_may_be_a_naked_option() -> None:
    """Named when sold in a derivative segment, working sales too; not when bought or flat, and not among shares."""
    books = {
        "fut -25": 1,
        "fut 0 -25": 1,
        "fut 10 -11": 1,
        "fut 25": 0,
        "fut 0 +25": 0,
        "fut 10 -10": 0,
        "fut 10 -9": 0,
    }
    for book, named in books.items():
        of = holding(book)
        del of.instruments[FUTURE.key]
        found = Facts.of(asking("SELL 25 ce 12"), of, NOW).uncovered(HERE)
        assert found.unknown == ("NSE_FNO:35001" if named else ""), book
        assert not named or found == Naked(0, 0, 0, 1, "NSE_FNO:35001")
    for scope, named in (("UNDERLYING:NIFTY", 1), ("SEGMENT:NSE_FNO", 1), ("INSTRUMENT:NSE_FNO:50001", 0)):
        of = holding("fut -25")
        del of.instruments[FUTURE.key]
        found = Facts.of(asking("SELL 25 ce 12"), of, NOW).uncovered(Scope.parse(scope))
        assert found.unknown == ("NSE_FNO:35001" if named else ""), scope
    of = holding("-")
    del of.instruments[CALL.key]
    assert Facts.of(asking("SELL 25 ce 12"), of, NOW).uncovered(HERE) == Naked(0, 0, 0, 1, "NSE_FNO:50001")
    of = holding("share -10")
    del of.instruments[SHARE.key]
    assert Facts.of(asking("SELL 25 ce 12"), of, NOW).uncovered(HERE).unknown == ""


# -- orders ---------------------------------------------------------------------------------------------------


def test_open_orders_count_at_their_worst_price() -> None:
    """As judged, else their own price; a sale nobody judged at the mark if that is higher; an OCO group once."""
    of = holding("share 50; crude 1")
    line = of.positions[SHARE.key]["INTRADAY"]
    for made in (
        working(1, 10, "99", key="judged", risk_price_e4="101"),  # 1010
        working(1, 10, "99", key="own"),  # 990
        working(-1, 10, "99", key="sale"),  # at the mark: 1000
        working(-1, 10, "105", key="dear sale"),  # 1050
        working(1, 10, None, key="market"),  # at the mark: 1000
        working(1, 10, None, key="stop", trigger_price_e4="103"),  # 1030
        working(-1, 50, "110", key="target", exit_group="g", reducing=True, risk_price_e4="110"),  # 5500
        working(-1, 50, "90", key="guard", exit_group="g", reducing=True, risk_price_e4="100"),  # the same group
    ):
        line.working[made.key] = made
    barrel = working(1, 2, "51", key="barrel", strategy="dip")  # 2 × 51 × 100 = 10200
    of.positions[CRUDE.key]["INTRADAY"].working[barrel.key] = barrel

    assert exposure.open_orders(of, HERE) == (8, inr("21780"), "")
    assert exposure.open_orders(of, Scope("SEGMENT", "NSE_EQ")) == (7, inr("11580"), "")
    assert exposure.open_orders(of, Scope("STRATEGY", "rip")) == (7, inr("11580"), "")
    sibling = holding("share 0", "sibling")
    sibling.positions[SHARE.key]["INTRADAY"].working["x"] = working(1, 10, "100", key="x")
    of.peers = {"GROUP": (sibling,)}
    assert exposure.open_orders(of, Scope("GROUP", "desk")) == (9, inr("22780"), "")


def test_open_orders_in_whatever_order_they_come() -> None:
    """What a scope leaves out ends nothing; a sale counts as it was judged, and each OCO group for itself."""
    of = holding("crude 1; share 50")
    barrel = working(1, 2, "51", key="barrel")
    of.positions[CRUDE.key]["INTRADAY"].working[barrel.key] = barrel
    for made in (
        working(1, 10, "99", key="another's", strategy="dip"),
        working(-1, 10, "90", key="judged", risk_price_e4="95"),  # 950, though the mark is 100
        working(-1, 10, "110", key="one", exit_group="g", reducing=True, risk_price_e4="110"),  # 1100
        working(-1, 10, "120", key="other", exit_group="h", reducing=True, risk_price_e4="120"),  # 1200
    ):
        of.positions[SHARE.key]["INTRADAY"].working[made.key] = made

    assert exposure.open_orders(of, Scope("SEGMENT", "NSE_EQ")) == (4, inr("4240"), "")
    assert exposure.open_orders(of, Scope("STRATEGY", "rip")) == (4, inr("13450"), "")


def test_an_open_order_that_cannot_be_priced_is_named() -> None:
    """A market order without a mark; it still counts as one. So does one of a group, with nothing."""
    of = holding("share 0 +10", unpriced="share")
    assert exposure.open_orders(of, HERE) == (1, 0, "HDFCBANK")

    exit_ = working(-1, 10, None, key="exit", exit_group="g", reducing=True)
    of.positions[SHARE.key]["INTRADAY"].working = {exit_.key: exit_}
    assert exposure.open_orders(of, HERE) == (1, 0, "HDFCBANK")


OPPOSITE = table("""
    why                                order             other                      could
    a sale below the buy               BUY 10 LIMIT 100  SELL LIMIT 99              yes
    at it                              BUY 10 LIMIT 100  SELL LIMIT 100             yes
    above it                           BUY 10 LIMIT 100  SELL LIMIT 100.05          no
    the same side                      BUY 10 LIMIT 100  BUY LIMIT 99               no
    a buy above the sale               SELL 10 LIMIT 100  BUY LIMIT 101             yes
    a buy at the sale                  SELL 10 LIMIT 100  BUY LIMIT 100             yes
    a buy below the sale               SELL 10 LIMIT 100  BUY LIMIT 99.95           no
    a market order could meet any      BUY 10 MARKET -   SELL LIMIT 500             yes
    and any could meet one             BUY 10 LIMIT 1    SELL MARKET -              yes
    a stop below a bid above it        BUY 10 LIMIT 100  SELL STOP 95               no
    a stop at the bid                  BUY 10 LIMIT 95   SELL STOP 95               no
    a stop above the bid               BUY 10 LIMIT 94   SELL STOP 95               yes
    however little                     BUY 10 LIMIT 94.9999  SELL STOP 95           yes
    a stop and a market order          BUY 10 MARKET -   SELL STOP 95               no
    a stop whose limit is above        BUY 10 LIMIT 94   SELL STOP 95/94.50         no
    a stop whose limit is at it        BUY 10 LIMIT 94   SELL STOP 95/94            yes
    a buy stop above one's ask         SELL 10 LIMIT 104  BUY STOP 105              no
    a buy stop below one's ask         SELL 10 LIMIT 106  BUY STOP 105              yes
    a stop of ours below their ask     BUY 10 STOP 105   SELL LIMIT 106             yes
    a stop of ours at their ask        BUY 10 STOP 105   SELL LIMIT 105             yes
    a stop of ours above their ask     BUY 10 STOP 105   SELL LIMIT 104             no
    two stops                          BUY 10 STOP 105   SELL STOP 95               no
""")


@pytest.mark.parametrize("row", OPPOSITE, ids=str)
def test_which_orders_could_trade_with_each_other(row: Row) -> None:
    """Limits meet when they cross or touch; a stop meets what rests beyond its trigger; market orders meet all."""
    side, kind, price = row.other.split()
    trigger, _, limit = price.partition("/") if kind == "STOP" else ("", "", price)
    resting = working(1 if side == "BUY" else -1, 5, limit if limit not in ("", "-") else None)
    resting.trigger_price_e4 = inr(trigger) if trigger else None
    words = row.order.split()
    asked = asking(f"{words[0]} {words[1]} share {words[3] if words[2] == 'LIMIT' else '-'}")
    if words[2] == "STOP":
        asked = asked.replaced(order_type="STOP_LOSS_MARKET", trigger_price=words[3])
    of = holding("share 0")
    of.positions[SHARE.key]["INTRADAY"].working["x"] = resting

    assert exposure.opposite_orders(of, asked)[0] == int(row.has("could"))
    # The same order of a sibling, and of an account outside the group.
    apart = grouped("-", "share 0", "share 0")
    apart.peers["GLOBAL"][1].positions[SHARE.key]["INTRADAY"].working["x"] = resting
    assert exposure.opposite_orders(apart, asked) == [0, 0]
    apart.peers["GROUP"][0].positions[SHARE.key]["INTRADAY"].working["x"] = resting
    assert exposure.opposite_orders(apart, asked)[0] == int(row.has("could"))


def test_the_nearest_of_the_opposite_orders_is_named() -> None:
    """The lowest sale for a buy, the highest buy for a sale; 0 when one is at market. What is filled is gone."""
    of = holding("share 0")
    rests = of.positions[SHARE.key]["INTRADAY"].working
    rests |= {each.key: each for each in (working(-1, 5, "99"), working(-1, 5, "98"), working(-1, 0, "97"))}
    assert exposure.opposite_orders(of, asking("BUY 1 share 100")) == [2, inr("98")]
    rests["m"] = working(-1, 5, None)
    assert exposure.opposite_orders(of, asking("BUY 1 share 100")) == [3, 0]
    rests.clear()
    rests |= {each.key: each for each in (working(1, 5, "101"), working(1, 5, "102"))}
    assert exposure.opposite_orders(of, asking("SELL 1 share 100")) == [2, inr("102")]
    rests["m"] = working(1, 5, None)
    assert exposure.opposite_orders(of, asking("SELL 1 share 100")) == [3, 0]


def test_messages_to_be_flat() -> None:
    """A cancel for each working order and for this one, a message for each freeze quantity of what may be held."""
    of = holding("share 60 +10 -5; fut 100; ce 0 +25; share 5 CNC")
    of.instruments[FUTURE.key] = replace(FUTURE, freeze_quantity=40)
    asked = asking("BUY 25 fut 251")
    found: ToFlat = Facts.of(asked, of, NOW).to_flat()

    # Cancels: 3. Other lines: share, call and delivery 1 each. The future: 100 in slices of 40.
    assert found == ToFlat(6, 100, 100, 40)
    assert [found.after(1, quantity) for quantity in (20, 21, 60, 61)] == [10, 11, 11, 12]
    assert [found.after(-1, quantity) for quantity in (1, 220, 221)] == [10, 10, 11]  # a sale may stay unfilled
    assert Facts.of(asking("BUY 10 share 100"), of, NOW).to_flat() == ToFlat(8, 70, 55, 0)


TO_FLAT = table("""
    why                                   book          messages
    nothing                               -             0
    a flat line                           fut 0         0
    one unit                              fut 1         1
    without a freeze quantity             ce 9999       1
    a short one                           fut -81       3
    on the edge of a slice                fut -80       2
    one beyond it                         fut 81        3
    a delivery sale goes no further       share 0 -10 CNC   1
    where one of other products does      share 0 -10   2
""")


@pytest.mark.parametrize("row", TO_FLAT, ids=str)
def test_messages_for_other_lines(row: Row) -> None:
    """The future is frozen above 40; an instrument nobody knows has no freeze quantity we could slice by."""
    of = holding(row.book)
    of.instruments[FUTURE.key] = replace(FUTURE, freeze_quantity=40)
    assert Facts.of(asking("BUY 1 crude 50"), of, NOW).to_flat().messages == row.number("messages")

    del of.instruments[FUTURE.key], of.instruments[SHARE.key]
    unknown = min(1, row.number("messages")) if row.book.startswith("fut") else row.number("messages")
    assert Facts.of(asking("BUY 1 crude 50"), of, NOW).to_flat().messages == unknown


def test_an_order_moves_its_own_side_alone() -> None:
    """80 held either way and slices of 40: a buy adds to what is long, a sale to what is short."""
    long, short = ToFlat(0, 80, 80, 40), ToFlat(0, -80, -80, 40)

    assert (long.after(1, 1), long.after(-1, 1)) == (4, 3)
    assert (short.after(1, 1), short.after(-1, 1)) == (3, 4)


# -- losses ---------------------------------------------------------------------------------------------------

LOSSES = table("""
    why                                    held  stops                 loss
    no stop: 5 % of 100                    10    -                     50
    a stop below the mark                  10    SELL 10 96            40
    a stop above the mark loses nothing    10    SELL 10 104           0
    a part of it                           10    SELL 4 96             46
    more than it                           10    SELL 40 96            40
    a limit below its trigger              10    SELL 10 96/94         60
    the dearest stops first                10    SELL 10 96, SELL 5 90  70
    legs of one group cover once           10    SELL 10 96 g, SELL 5 97 g  45
    not the wrong way round                10    BUY 10 96             50
    not an order without a trigger         10    SELL 10 -             50
    nor does it hide the next              10    SELL 5 -, SELL 10 96  40
    short, no stop                         -10   -                     50
    short, a stop above                    -10   BUY 10 103            30
    short, its limit above that            -10   BUY 10 103/105        50
    short, a stop below loses nothing      -10   BUY 10 97             0
    flat                                   0     -                     0
""")


@pytest.mark.parametrize("row", LOSSES, ids=str)
def test_what_is_lost_at_the_stops(row: Row) -> None:
    """From the mark of 100 to the stop that costs most first; what none covers loses 5 %."""
    of = holding(f"share {row.held}")
    line = of.positions[SHARE.key]["INTRADAY"]
    for number, each in enumerate(row.stops.split(", ") if row.stops != "-" else ()):
        side, quantity, price, *group = each.split()
        trigger, _, limit = price.partition("/")
        made = working(1 if side == "BUY" else -1, int(quantity), limit or None, key=f"k{number}", reducing=True)
        made.protective = trigger != "-"
        made.trigger_price_e4 = inr(trigger) if trigger != "-" else None
        made.exit_group = group[0] if group else ""
        line.working[made.key] = made
    line.refresh()

    loss_e4, unknown = exposure.losses_at_stops(of, HERE, 500)
    assert (rupees(loss_e4), unknown) == (row.loss, "")


SCENARIOS = table("""
    why                                        book          unpriced  loss
    a future, 5 % of 251                       fut 20        -         251
    a long call, 5 % of 250 above its premium  ce 25         -         300
    a long put, no more than its premium       pe 25         -         100
    a short call, 5 % of its underlying        ce -2         -         25
    a short call, 5 % of its strike            ce -2         NIFTY     24
    a contract of 100 rupees a point           crude 1       -         250
    entries that work count as filled          share 10 +10  -         100
    the worse side of a line                   share 10 +10 -30  -     150
    two lines                                  share 10; fut 20  -     301
""")


@pytest.mark.parametrize("row", SCENARIOS, ids=str)
def test_what_no_stop_covers_loses_a_move(row: Row) -> None:
    """Options lose as their underlying moves, bought ones no more than their premium; the larger side of a line."""
    of = holding(row.book, unpriced=row.unpriced)

    loss_e4, unknown = exposure.losses_at_stops(of, HERE, 500)
    assert (rupees(loss_e4), unknown) == (row.loss, "")


def test_a_loss_is_rounded_up_and_an_unknown_one_is_named() -> None:
    """0.01 % of 100 is a paisa; 0.01 % of 0.05 is not nothing. Without a mark the line is named."""
    of = holding("share 1")
    assert exposure.losses_at_stops(of, HERE, 1) == (inr("0.01"), "")
    of.quotes[SHARE.key] = at("0.05")
    assert exposure.losses_at_stops(of, HERE, 1) == (1, "")
    assert exposure.losses_at_stops(holding("share 1", unpriced="share"), HERE, 500) == (0, "HDFCBANK")
    of = holding("fut 1")
    del of.instruments[FUTURE.key]
    assert exposure.losses_at_stops(of, HERE, 500) == (0, "NSE_FNO:35001")


def test_a_call_loses_what_its_underlying_loses_and_no_more_than_its_premium() -> None:
    """5 % of 250 is 12.50, of which a premium of 12 is less and one of 20 is more; unknown, the premium is."""
    of = holding("ce 2")
    assert exposure.losses_at_stops(of, HERE, 500) == (inr("24"), "")
    of.quotes[CALL.key] = at("20")
    assert exposure.losses_at_stops(of, HERE, 500) == (inr("25"), "")
    of.spots.clear()
    of.instruments[CALL.key] = replace(CALL, strike_e4=None)
    assert exposure.losses_at_stops(of, HERE, 500) == (inr("40"), "")


def test_what_one_strategy_may_lose_in_a_line_that_is_flat_as_a_whole() -> None:
    """50 short of 100 lose 5 %; nothing of it works."""
    of = holding("-")
    of.attributed["rip", SHARE.key, "INTRADAY"] = 50

    assert exposure.losses_at_stops(of, Scope("STRATEGY", "dip"), 500) == (inr("250"), "")


def test_a_side_that_holds_nothing_needs_no_price() -> None:
    """A flat line with an exit left over loses nothing, whoever knows it; an entry that works counts at its own price."""
    of = holding("fut 0")
    rests = of.positions[FUTURE.key]["INTRADAY"]
    rests.working["exit"] = working(-1, 25, "250", key="exit", reducing=True)
    del of.instruments[FUTURE.key]
    assert exposure.losses_at_stops(of, HERE, 500) == (0, "")

    of = holding("share 0", unpriced="share")
    of.positions[SHARE.key]["INTRADAY"].working["x"] = working(1, 10, "200", key="x", risk_price_e4="200")
    assert exposure.losses_at_stops(of, HERE, 500) == (inr("100"), "")


def test_a_fat_finger_that_works_loses_from_its_own_price() -> None:
    """A working entry far above the mark counts at what it may cost; one the market has run from at the mark."""
    of = holding("share 0")
    of.positions[SHARE.key]["INTRADAY"].working["x"] = working(1, 10, "200", key="x", risk_price_e4="200")
    of.positions[SHARE.key]["INTRADAY"].refresh()
    assert exposure.losses_at_stops(of, HERE, 500) == (inr("100"), "")
    of.positions[SHARE.key]["INTRADAY"].working["x"].risk_price_e4 = inr("50")
    assert exposure.losses_at_stops(of, HERE, 500) == (inr("50"), "")


# -- margin ---------------------------------------------------------------------------------------------------

BASES = table("""
    instrument  side  price  basis
    share       BUY   100    100
    share       SELL  100    100
    ce          BUY   12     12
    ce          SELL  12     250
    ce          SELL  -      250
    pe          SELL  -      250
    fut         SELL  251    251
    crude       BUY   50     5000
    share       BUY   -      -
""")


@pytest.mark.parametrize("row", BASES, ids=str)
def test_what_a_margin_is_a_part_of(row: Row) -> None:
    """The price, and for a sold option what its underlying costs; times the multiplier."""
    instrument, sign = BY_NAME[row.instrument], 1 if row.side == "BUY" else -1

    assert rupees(exposure.margin_basis_e4(holding("-"), instrument, sign, row.e4("price"))) == row.basis
    unknown = replace(instrument, multiplier=None)
    assert exposure.margin_basis_e4(holding("-"), unknown, sign, row.e4("price")) is None
    assert exposure.margin_basis_e4(holding("-"), None, sign, row.e4("price")) is None


def test_margin_held_since_the_funds_were_told() -> None:
    """As the broker said where it was asked, else buys in full and sales a part of notional, rounded up."""
    of = holding("-")
    asked = Unfunded(SHARE.key, 1, 10, inr("100"), inr("123.45"))
    bought = Unfunded(SHARE.key, 1, 10, inr("100"), None)
    sold = Unfunded(CALL.key, -1, 25, inr("12"), None)
    of.unfunded = (asked, bought, sold)
    assert exposure.margin_held(of, 2_000) == (inr("123.45") + inr("1000") + inr("1250"), "")

    of.unfunded = (Unfunded(SHARE.key, -1, 1, 1, None),)
    assert exposure.margin_held(of, 2_000) == (1, "")
    of.unfunded = (Unfunded(FUTURE.key, 1, 25, None, None),)
    assert exposure.margin_held(of, 2_000) == (0, "NIFTY-FUT")
    del of.instruments[FUTURE.key]
    assert exposure.margin_held(of, 2_000) == (0, "NSE_FNO:35001")


def test_an_opening_order_nobody_can_price_makes_the_loss_unknown() -> None:
    """Nothing is held, and what works would open something at a price nobody knows."""
    of = holding("share 0", unpriced="share")
    line = of.line(SHARE.key, "INTRADAY")
    line.working["w"] = Working("w", 1, 10, reducing=False)
    line.refresh()
    assert exposure.losses_at_stops(of, HERE, 500) == (0, "HDFCBANK")
    line.working["w"].price_e4 = inr("100")
    line.refresh()
    assert exposure.losses_at_stops(of, HERE, 500) == (inr("50"), "")
