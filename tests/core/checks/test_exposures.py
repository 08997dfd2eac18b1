"""Limits on what a book is worth, leans and has working: on the ceiling passes, above it does not, and hints are true."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from riskguard.core.account import Account, PnlReading
from riskguard.core.checks import (
    by_name,
    concentration,
    gross_exposure,
    leverage,
    naked_short_option,
    net_exposure,
    net_position,
    self_trade,
    time_to_flat,
)
from riskguard.core.decide import decide
from riskguard.core.facts import Facts
from riskguard.core.instrument import Instrument
from riskguard.core.limits import LimitSet
from riskguard.errors import RulebookError
from tests.core.builders import NOW, SHARE, ask, code, inr, limit, line, mandatory, order_of
from tests.core.checks.test_sizes import assert_hint
from tests.core.market import BY_NAME, CALL, CRUDE, FUTURE, asking, holding, working
from tests.core.tables import Row, table

CEILINGS: dict[str, dict[str, Any]] = {
    "position_value": {"position_value_inr_max": "1000"},
    "gross_exposure": {"gross_exposure_inr_max": "10000"},
    "net_exposure": {"net_exposure_inr_max": "10000"},
    "leverage": {"leverage_max": "10"},
    "concentration": {"concentration_pct_max": "100"},
    "open_order_value": {"open_order_value_inr_max": "1000"},
    "open_order_count": {"open_orders_max": 2},
    "naked_short_option": {"naked_lots_max": 2},
    "time_to_flat": {"flat_s_max": 1, "messages_per_s": 4},
}

EDGES = table("""
    check               book                        order               expected                      measured
    position_value      -                           BUY 10 share 100    -                             -
    position_value      -                           BUY 11 share 100    POSITION_VALUE_ABOVE_LIMIT    1100
    position_value      -                           SELL 10 share 100   -                             -
    position_value      -                           SELL 11 share 100   POSITION_VALUE_ABOVE_LIMIT    1100
    position_value      -                           BUY 10 share 100.05  POSITION_VALUE_ABOVE_LIMIT   1000.50
    position_value      share 5 +3                  BUY 2 share 100     -                             -
    position_value      share 5 +3                  BUY 3 share 100     POSITION_VALUE_ABOVE_LIMIT    1100
    position_value      share 20 -25                SELL 5 share 100    -                             -
    position_value      share 20 -25                SELL 6 share 100    POSITION_VALUE_ABOVE_LIMIT    1100
    position_value      fut 100                     BUY 10 share 100    -                             -
    position_value      -                           BUY 75 ce 12        -                             -
    position_value      -                           BUY 100 ce 12       POSITION_VALUE_ABOVE_LIMIT    1200
    position_value      -                           SELL 25 ce 12       POSITION_VALUE_ABOVE_LIMIT    6250
    position_value      -                           BUY 1 crude 50      POSITION_VALUE_ABOVE_LIMIT    5000
    position_value      -                           BUY 9 share -       -                             -
    position_value      -                           BUY 10 share -      POSITION_VALUE_ABOVE_LIMIT    1050
    position_value      -                           SELL 10 share -     -                             -
    gross_exposure      fut 25                      BUY 37 share 100    -                             -
    gross_exposure      fut 25                      BUY 38 share 100    GROSS_EXPOSURE_ABOVE_LIMIT    10075
    gross_exposure      fut -25                     BUY 38 share 100    GROSS_EXPOSURE_ABOVE_LIMIT    10075
    gross_exposure      fut -25                     SELL 37 share 100   -                             -
    gross_exposure      share 60 MARGIN             SELL 40 share 100   -                             -
    gross_exposure      share 60 MARGIN             SELL 41 share 100   GROSS_EXPOSURE_ABOVE_LIMIT    10100
    gross_exposure      -                           SELL 25 ce 12       -                             -
    gross_exposure      -                           SELL 50 ce 12       GROSS_EXPOSURE_ABOVE_LIMIT    12500
    gross_exposure      -                           SELL 50 pe 4        GROSS_EXPOSURE_ABOVE_LIMIT    12500
    net_exposure        fut 25                      BUY 37 share 100    -                             -
    net_exposure        fut 25                      BUY 38 share 100    NET_EXPOSURE_ABOVE_LIMIT      10075
    net_exposure        fut -25                     BUY 100 share 100   -                             -
    net_exposure        fut 75                      SELL 200 share 100  -                             -
    net_exposure        fut 25                      SELL 50 pe 4        NET_EXPOSURE_ABOVE_LIMIT      18775
    net_exposure        ce -25                      SELL 37 share 100   -                             -
    net_exposure        ce -25                      SELL 38 share 100   NET_EXPOSURE_ABOVE_LIMIT      10050
    leverage            fut 25                      BUY 37 share 100    -                             -
    leverage            fut 25                      BUY 38 share 100    LEVERAGE_ABOVE_LIMIT          10075
    concentration       -                           BUY 10 share 100    -                             -
    concentration       -                           BUY 11 share 100    CONCENTRATION_ABOVE_LIMIT     1100
    concentration       stockfut 5                  BUY 4 share 100     -                             -
    concentration       stockfut 5                  BUY 5 share 100     CONCENTRATION_ABOVE_LIMIT     1005
    concentration       fut 25                      BUY 10 share 100    -                             -
    concentration       share 5                     BUY 5 stockfut 101  CONCENTRATION_ABOVE_LIMIT     1005
    open_order_value    share 99 +5                 BUY 5 share 100     -                             -
    open_order_value    share 99 +5                 BUY 6 share 100     OPEN_ORDER_VALUE_ABOVE_LIMIT  1100
    open_order_value    share 99 +5                 SELL 6 fut 251      OPEN_ORDER_VALUE_ABOVE_LIMIT  2006
    open_order_value    share 99 +5                 BUY 40 ce 12        -                             -
    open_order_value    share 99 +5                 BUY 1 crude 50      OPEN_ORDER_VALUE_ABOVE_LIMIT  5500
    open_order_value    -                           BUY 9 share -       -                             -
    open_order_value    -                           BUY 10 share -      OPEN_ORDER_VALUE_ABOVE_LIMIT  1050
    open_order_count    share 0 +5                  BUY 5 fut 251       -                             -
    open_order_count    share 0 +5 -5               BUY 5 fut 251       OPEN_ORDER_COUNT_ABOVE_LIMIT  3
    naked_short_option  -                           SELL 50 ce 12       -                             -
    naked_short_option  -                           SELL 75 ce 12       NAKED_SHORT_ABOVE_LIMIT       3
    naked_short_option  ce 25                       SELL 75 near 12     -                             -
    naked_short_option  ce 25                       SELL 100 near 12    NAKED_SHORT_ABOVE_LIMIT       3
    naked_short_option  pe -25                      SELL 25 ce 12       -                             -
    naked_short_option  pe -25                      SELL 50 ce 12       NAKED_SHORT_ABOVE_LIMIT       3
    naked_short_option  ce -500                     BUY 25 pe 12        -                             -
    naked_short_option  ce -500                     SELL 25 fut 251     -                             -
    naked_short_option  ce -500                     SELL 25 share 100   -                             -
    time_to_flat        share 10 +5                 BUY 25 fut 251      -                             -
    time_to_flat        share 10 +5 -5              BUY 25 fut 251      TIME_TO_FLAT_ABOVE_LIMIT      1250
    time_to_flat        share 10; ce 25; pe 25      BUY 5 share 100     -                             -
    time_to_flat        share 10; ce 25; pe 25      BUY 25 fut 251      TIME_TO_FLAT_ABOVE_LIMIT      1250
""")
IN_RUPEES = [
    "POSITION_VALUE_ABOVE_LIMIT", "GROSS_EXPOSURE_ABOVE_LIMIT", "NET_EXPOSURE_ABOVE_LIMIT", "LEVERAGE_ABOVE_LIMIT",
    "CONCENTRATION_ABOVE_LIMIT", "OPEN_ORDER_VALUE_ABOVE_LIMIT",
]  # fmt: skip


@pytest.mark.parametrize("row", EDGES, ids=str)
def test_on_the_ceiling_passes_and_above_it_does_not(row: Row) -> None:
    """Equity is 1000. The number, its headroom and the quantity that would pass are one line."""
    of, asked, check = holding(row.book), asking(row.order), by_name(row.check)
    reject = ask(check, asked, of, **CEILINGS[row.check])

    assert code(reject) == row.expected
    if reject is None:
        return
    assert reject.measured_raw == (row.e4("measured") if row.expected in IN_RUPEES else row.number("measured"))
    assert reject.unit == ("inr" if row.expected in IN_RUPEES else reject.unit) != ""
    assert reject.headroom is not None and reject.headroom < 0 and "\n" not in reject.message
    lot = BY_NAME[row.order.split()[2]].lot_size
    if reject.max_quantity or row.expected not in ("OPEN_ORDER_COUNT_ABOVE_LIMIT", "TIME_TO_FLAT_ABOVE_LIMIT"):
        assert_hint(check, asked, of, lot, **CEILINGS[row.check])


def test_a_book_above_its_ceiling_lets_nothing_in_but_what_leans_back() -> None:
    """Gross is refused whole, with nothing that would pass; net passes towards the middle alone."""
    of = holding("fut 50")

    reject = ask(gross_exposure.CHECK, asking("SELL 1 share 100"), of, **CEILINGS["gross_exposure"])
    assert reject is not None and reject.max_quantity == 0
    assert ask(net_exposure.CHECK, asking("SELL 1 share 100"), of, **CEILINGS["net_exposure"]) is None
    assert ask(net_exposure.CHECK, asking("BUY 1 share 100"), of, **CEILINGS["net_exposure"]) is not None


SCOPED = table("""
    check               order              alone  group                          everybody
    position_value      BUY 4 share 100    -      POSITION_VALUE_ABOVE_LIMIT     POSITION_VALUE_ABOVE_LIMIT
    position_value      BUY 3 share 100    -      -                              POSITION_VALUE_ABOVE_LIMIT
    open_order_value    BUY 4 share 100    -      -                              OPEN_ORDER_VALUE_ABOVE_LIMIT
    open_order_value    BUY 3 share 100    -      -                              -
    open_order_count    BUY 4 share 100    -      -                              OPEN_ORDER_COUNT_ABOVE_LIMIT
    gross_exposure      BUY 93 share 100   -      -                              GROSS_EXPOSURE_ABOVE_LIMIT
    gross_exposure      BUY 94 share 100   -      GROSS_EXPOSURE_ABOVE_LIMIT     GROSS_EXPOSURE_ABOVE_LIMIT
    net_exposure        BUY 93 share 100   -      -                              NET_EXPOSURE_ABOVE_LIMIT
    net_exposure        BUY 94 share 100   -      NET_EXPOSURE_ABOVE_LIMIT       NET_EXPOSURE_ABOVE_LIMIT
    naked_short_option  SELL 50 ce 12      -      NAKED_SHORT_ABOVE_LIMIT        NAKED_SHORT_ABOVE_LIMIT
    naked_short_option  SELL 25 ce 12      -      -                              NAKED_SHORT_ABOVE_LIMIT
""")


@pytest.mark.parametrize("row", SCOPED, ids=str)
def test_a_limit_of_several_accounts_holds_over_their_sum(row: Row) -> None:
    """checks.md §5.4: a sibling holds 7 shares and a call sold, a stranger orders 7 and has sold one too."""
    of, asked, check = holding("-"), asking(row.order), by_name(row.check)
    shares = row.check not in ("naked_short_option",)
    sibling = holding("share 7" if shares else "ce -25", "sibling")
    stranger = holding("share 0 +7" if shares else "ce -25", "stranger")
    if row.check == "open_order_count":
        sibling = holding("share 0 +7", "sibling")
    of.peers = {"GROUP": (sibling,), "GLOBAL": (sibling, stranger)}
    for scope, expected in (("ACCOUNT:leader", row.alone), ("GROUP:desk", row.group), ("GLOBAL", row.everybody)):
        reject = ask(check, asked, of, scope=scope, **CEILINGS[row.check])
        assert code(reject) == expected, scope
        if reject is not None and reject.max_quantity:
            assert_hint(check, asked, of, 25 if not shares else 1, scope=scope, **CEILINGS[row.check])


def test_equity_of_a_group_is_the_sum_of_its_accounts() -> None:
    """Twice the equity bears twice the exposure; what one account lost takes off it."""
    of, sibling = holding("-"), holding("-", "sibling")
    of.peers = {"GROUP": (sibling,), "GLOBAL": (sibling,)}
    asked = asking("BUY 20 share 100")
    parameters = CEILINGS["concentration"]

    assert code(ask(concentration.CHECK, asked, of, **parameters)) == "CONCENTRATION_ABOVE_LIMIT"
    assert ask(concentration.CHECK, asked, of, scope="GROUP:desk", **parameters) is None
    sibling.pnl = PnlReading(-inr("0.01"), NOW, fresh_marks=True)
    reject = ask(concentration.CHECK, asked, of, scope="GROUP:desk", **parameters)
    assert reject is not None and str(reject.limit) == "1999.99" and reject.max_quantity == 19
    sibling.pnl = None
    assert code(ask(concentration.CHECK, asked, of, scope="GROUP:desk", **parameters)) == "EQUITY_UNKNOWN"


EQUITIES = table("""
    opening  pnl    expected
    1000     0      -
    1000     -500   ABOVE
    600      400    -
    -        0      EQUITY_UNKNOWN
    1000     -      EQUITY_UNKNOWN
    0        0      EQUITY_UNKNOWN
    100      -100   EQUITY_UNKNOWN
    100      -101   EQUITY_UNKNOWN
""")


@pytest.mark.parametrize("row", EQUITIES, ids=str)
@pytest.mark.parametrize(
    ("name", "quantity"), [("leverage", 100), ("concentration", 10)], ids=["leverage", "concentration"]
)
def test_a_part_of_equity_needs_equity(name: str, quantity: int, row: Row) -> None:
    """The day's P&L counts; unknown equity, and none left, refuse everything."""
    of = holding("-")
    of.opening_equity_e4 = row.e4("opening")
    of.pnl = None if row.pnl == "-" else PnlReading(row.e4("pnl"), NOW, fresh_marks=True)
    reject = ask(by_name(name), asking(f"BUY {quantity} share 100"), of, **CEILINGS[name])

    assert code(reject) == row.expected.replace("ABOVE", f"{name.upper()}_ABOVE_LIMIT")
    assert reject is None or row.expected == "ABOVE" or reject.max_quantity == 0


def test_parts_of_equity_are_rounded_down() -> None:
    """4.5 times 0.0003 is 0.0013; a third of a paisa is no room."""
    of = holding("-")
    of.opening_equity_e4 = 3
    reject = ask(leverage.CHECK, asking("BUY 1 share 100"), of, leverage_max="4.5")
    assert reject is not None and reject.limit_raw == 13
    reject = ask(concentration.CHECK, asking("BUY 1 share 100"), of, concentration_pct_max="33.33")
    assert reject is not None and reject.limit_raw == 0 and reject.max_quantity == 0


MISSING = table("""
    check               what        order              expected
    position_value      positions   BUY 1 share 100    POSITION_UNKNOWN
    gross_exposure      positions   BUY 1 share 100    POSITION_UNKNOWN
    net_exposure        positions   BUY 1 share 100    POSITION_UNKNOWN
    leverage            positions   BUY 1 share 100    POSITION_UNKNOWN
    concentration       positions   BUY 1 share 100    POSITION_UNKNOWN
    naked_short_option  positions   SELL 25 ce 12      POSITION_UNKNOWN
    naked_short_option  positions   BUY 25 ce 12       -
    position_value      price       BUY 1 share -      PRICE_UNKNOWN
    position_value      price       SELL 1 share -     PRICE_UNKNOWN
    position_value      price       BUY 1 share 100    -
    gross_exposure      price       BUY 1 share -      PRICE_UNKNOWN
    net_exposure        price       BUY 1 share -      PRICE_UNKNOWN
    leverage            price       BUY 1 share -      PRICE_UNKNOWN
    concentration       price       BUY 1 share -      PRICE_UNKNOWN
    open_order_value    price       BUY 1 share -      PRICE_UNKNOWN
    open_order_value    price       BUY 1 share 100    -
    open_order_count    price       BUY 1 share -      -
    gross_exposure      other       BUY 1 share 100    PRICE_UNKNOWN
    net_exposure        other       BUY 1 share 100    PRICE_UNKNOWN
    leverage            other       BUY 1 share 100    PRICE_UNKNOWN
    concentration       other       BUY 1 share 100    -
    concentration       other       BUY 1 fut 251      -
    open_order_value    other       BUY 1 share 100    PRICE_UNKNOWN
    position_value      instrument  BUY 1 share 100    INSTRUMENT_UNKNOWN
    gross_exposure      instrument  BUY 1 share 100    INSTRUMENT_UNKNOWN
    net_exposure        instrument  BUY 1 share 100    INSTRUMENT_UNKNOWN
    concentration       instrument  BUY 1 share 100    INSTRUMENT_UNKNOWN
    open_order_value    instrument  BUY 1 share 100    INSTRUMENT_UNKNOWN
    naked_short_option  instrument  SELL 1 share 100   INSTRUMENT_UNKNOWN
    naked_short_option  instrument  BUY 1 share 100    -
    time_to_flat        instrument  BUY 1 share 100    -
    position_value      multiplier  BUY 1 crude 50     MULTIPLIER_UNKNOWN
    gross_exposure      multiplier  BUY 1 crude 50     MULTIPLIER_UNKNOWN
    net_exposure        multiplier  BUY 1 crude 50     MULTIPLIER_UNKNOWN
    leverage            multiplier  BUY 1 crude 50     MULTIPLIER_UNKNOWN
    concentration       multiplier  BUY 1 crude 50     MULTIPLIER_UNKNOWN
    open_order_value    multiplier  BUY 1 crude 50     MULTIPLIER_UNKNOWN
""")


@pytest.mark.parametrize("row", MISSING, ids=str)
def test_what_cannot_be_measured_is_refused(row: Row) -> None:
    """Each thing a measure needs, taken away on its own; what it does not need may be missing."""
    of = holding("-")
    if row.what == "positions":
        of.position_seen_us = None
    elif row.what == "price":
        of = holding("-", unpriced="share")
    elif row.what == "other":
        of = holding("fut 1 +1", unpriced="fut")
    elif row.what == "instrument":
        del of.instruments[SHARE.key]
    else:
        of.instruments[CRUDE.key] = replace(CRUDE, multiplier=None)
    parameters = dict(CEILINGS[row.check])
    if row.check not in ("naked_short_option", "time_to_flat", "open_order_count"):
        parameters = {name: "100000" if name != "concentration_pct_max" else "1000" for name in parameters}
    reject = ask(by_name(row.check), asking(row.order), of, **parameters)

    assert code(reject) == row.expected
    assert reject is None or (reject.max_quantity == 0 and reject.measured is None and reject.hint)


def test_a_sold_contract_nobody_knows_leaves_naked_lots_unknown() -> None:
    """It may be a short option; bought, it cannot be."""
    for book, expected in (("fut -25", "INSTRUMENT_UNKNOWN"), ("fut 25", "-")):
        of = holding(book)
        del of.instruments[FUTURE.key]
        assert code(ask(naked_short_option.CHECK, asking("SELL 25 ce 12"), of, naked_lots_max=2)) == expected


def test_no_naked_lots_at_all() -> None:
    """A ceiling of none lets only covered sales through; the sale of a cover is told to close the short first."""
    of = holding("ce 25; near -25")
    assert ask(naked_short_option.CHECK, asking("SELL 25 near 12"), holding("ce 25"), naked_lots_max="none") is None
    assert ask(naked_short_option.CHECK, asking("BUY 25 near 12"), of, naked_lots_max="none") is None

    reject = ask(naked_short_option.CHECK, asking("SELL 25 ce 12"), of, naked_lots_max="none")
    assert code(reject) == "NAKED_SHORT_ABOVE_LIMIT"
    assert reject is not None and reject.hint == "it covers a short option: close the short first"
    reject = ask(naked_short_option.CHECK, asking("SELL 25 ce 12"), holding("-"), naked_lots_max="none")
    assert reject is not None and reject.hint == "buy the cover first" and reject.max_quantity == 0


def test_time_to_flat_says_how_much_would_pass() -> None:
    """Slices of 25: four messages a second are this order's cancel and three slices."""
    of = holding("-")
    of.instruments[FUTURE.key] = replace(FUTURE, freeze_quantity=25)
    asked = asking("BUY 100 fut 251")
    reject = ask(time_to_flat.CHECK, asked, of, **CEILINGS["time_to_flat"])

    assert reject is not None and (reject.measured, reject.limit, reject.max_quantity) == (1250, 1000, 75)
    assert_hint(time_to_flat.CHECK, asked, of, 25, **CEILINGS["time_to_flat"])
    assert ask(time_to_flat.CHECK, asked, of, flat_s_max="1.25", messages_per_s=4) is None
    reject = ask(time_to_flat.CHECK, asked, of, flat_s_max="1.6666", messages_per_s=3)
    assert reject is not None and reject.measured == 1667  # a part of a millisecond counts as one


# -- net position over scopes ---------------------------------------------------------------------------------

POSITIONS = table("""
    why                           scope    per  unit   most   leader           sibling      order                 measured
    one account                   ACCOUNT  one  units  100    share 60         share 60     BUY 40 share 100      -
    a group adds                  GROUP    one  units  100    share 60         share 30     BUY 10 share 100      -
    a group adds                  GROUP    one  units  100    share 60         share 30     BUY 11 share 100      101
    working of a sibling adds     GROUP    one  units  100    share 60         share 0 +30  BUY 11 share 100      101
    no account excuses another    GROUP    one  units  100    share 60         share -90    BUY 40 share 100      -
    no account excuses another    GROUP    one  units  100    share 60         share -90    BUY 41 share 100      101
    a sale on the short side      GROUP    one  units  100    share 60         share -90    SELL 70 share 100     -
    a sale on the short side      GROUP    one  units  100    share 60         share -90    SELL 71 share 100     101
    other instruments do not add  GROUP    one  units  100    stockfut 60      stockfut 60  BUY 100 share 100     -
    by underlying they do         ACCOUNT  all  units  100    stockfut 60      -            BUY 40 share 100      -
    by underlying they do         ACCOUNT  all  units  100    stockfut 60      -            BUY 41 share 100      101
    a group by underlying         GROUP    all  units  100    stockfut 30      stockfut 30  BUY 41 share 100      101
    in rupees                     GROUP    one  inr    10000  share 60         share 30     BUY 10 share 100      -
    in rupees                     GROUP    one  inr    10000  share 60         share 30     BUY 11 share 100      10100
    calls and futures are one     ACCOUNT  all  lots   4      fut 50; ce 25    -            BUY 25 fut 251        -
    calls and futures are one     ACCOUNT  all  lots   4      fut 50; ce 25    -            BUY 50 fut 251        5
    short puts too                ACCOUNT  all  lots   4      fut 50; pe -25   -            BUY 50 fut 251        5
    long puts not                 ACCOUNT  all  lots   4      fut 50; pe 25    -            BUY 50 fut 251        -
    puts and short futures        ACCOUNT  all  lots   4      fut -50; ce -25  -            BUY 50 pe 4           5
    a part of a lot is one        ACCOUNT  all  lots   4      ce 26            -            BUY 50 fut 251        -
    a part of a lot is one        ACCOUNT  all  lots   4      ce 51            -            BUY 50 fut 251        5
    a limit of a segment          SEGMENT  all  units  100    share 90; fut 5  -            BUY 100 stockfut 101  -
    everybody, in lots            GLOBAL   one  lots   4      fut 25           fut 25       BUY 50 fut 251        -
    everybody, in lots            GLOBAL   one  lots   4      fut 25           fut 25       BUY 75 fut 251        5
""")


@pytest.mark.parametrize("row", POSITIONS, ids=str)
def test_net_position_over_its_scope(row: Row) -> None:
    """Sums over accounts and over all that hangs on an underlying, sides apart; landing on the ceiling passes."""
    of, asked = holding(row.leader), asking(row.order)
    sibling = holding(row.sibling, "sibling")
    of.peers = {"GROUP": (sibling,), "GLOBAL": (sibling,)}
    scope = {"ACCOUNT": "ACCOUNT:leader", "GROUP": "GROUP:desk", "SEGMENT": "SEGMENT:NSE_FNO", "GLOBAL": "GLOBAL"}
    per = {"one": "instrument", "all": "underlying"}[row.per]
    parameters = {"position_max": row.most, "unit": row.unit, "per": per, "scope": scope[row.scope]}
    reject = ask(net_position.CHECK, asked, of, **parameters)

    assert code(reject) == ("-" if row.measured == "-" else "NET_POSITION_ABOVE_LIMIT")
    if reject is not None:
        assert reject.measured == row.number("measured") and reject.limit == row.number("most")
        assert_hint(net_position.CHECK, asked, of, BY_NAME[row.order.split()[2]].lot_size, **parameters)


def test_a_delivery_sale_that_works_is_no_short_of_another_product() -> None:
    """Shares sold out of holdings leave no short; the same sale in MARGIN would."""
    parameters = {"position_max": "100", "unit": "units"}
    for product, expected in (("CNC", "-"), ("MTF", "-"), ("MARGIN", "NET_POSITION_ABOVE_LIMIT")):
        of = holding(f"share 0 -60 {product}")
        for scope in ("ACCOUNT:leader", "GLOBAL"):
            reject = ask(net_position.CHECK, asking("SELL 41 share 100"), of, scope=scope, **parameters)
            assert code(reject) == expected, (product, scope)


def strategies(held: str, **claims: int) -> Account:
    of = holding(held)
    of.attributed = {(name, SHARE.key, "INTRADAY"): signed for name, signed in claims.items()}
    return of


def test_net_position_of_a_strategy() -> None:
    """Its own fills and what nobody claims; what another filled is the other's. checks.md §5.4."""
    parameters = {"position_max": "100", "unit": "units", "scope": "STRATEGY:dip"}
    of = strategies("share 90", dip=30, rip=40)  # 50 of the 90 are not rip's
    assert ask(net_position.CHECK, asking("BUY 50 share 100").replaced(strategy="dip"), of, **parameters) is None
    over = asking("BUY 51 share 100").replaced(strategy="dip")
    assert code(ask(net_position.CHECK, over, of, **parameters)) == "NET_POSITION_ABOVE_LIMIT"
    assert_hint(net_position.CHECK, over, of, 1, **parameters)
    # Flat as a whole, long for one and short for the other.
    of = strategies("share 0", dip=60, rip=-60)
    of.positions.clear()
    assert ask(net_position.CHECK, asking("BUY 40 share 100"), of, **parameters) is None
    assert ask(net_position.CHECK, asking("BUY 41 share 100"), of, **parameters) is not None


def test_net_position_needs_every_account_and_what_hangs_on_an_underlying() -> None:
    """A sibling nobody has seen whole, and a contract nobody knows, refuse; by instrument the latter does not matter."""
    parameters = {"position_max": "1000", "unit": "units"}
    of, sibling = holding("fut 25"), holding("-", "sibling")
    of.peers = {"GROUP": (sibling,), "GLOBAL": (sibling,)}
    sibling.position_seen_us = None
    reject = ask(net_position.CHECK, asking("BUY 1 share 100"), of, scope="GROUP:desk", **parameters)
    assert code(reject) == "POSITION_UNKNOWN" and reject is not None and "`sibling`" in reject.detail
    assert ask(net_position.CHECK, asking("BUY 1 share 100"), of, **parameters) is None

    del of.instruments[FUTURE.key]
    asked = asking("BUY 1 share 100")
    assert ask(net_position.CHECK, asked, of, **parameters) is None
    assert code(ask(net_position.CHECK, asked, of, per="underlying", **parameters)) == "INSTRUMENT_UNKNOWN"
    unknown = asking("BUY 25 fut 251")
    assert code(ask(net_position.CHECK, unknown, of, per="underlying", **parameters)) == "INSTRUMENT_UNKNOWN"


def test_a_limit_by_underlying_counts_quantity() -> None:
    """Rupees of an underlying are another check's, and a unit nobody confirmed is none to add up."""
    from riskguard.errors import RulebookError

    for unit in ("inr", "unconfirmed"):
        with pytest.raises(RulebookError, match="concentration"):
            limit("net_position", position_max="1", unit=unit, per="underlying")


def test_a_limit_of_one_account_reads_only_its_own_line() -> None:
    """The usual limit is answered from the line; a scope that adds up asks for the book."""
    asked, of = asking("BUY 1 share 100"), holding("share 1")
    for scope, reads in (("ACCOUNT:leader", False), ("INSTRUMENT:NSE_EQ:1333", False), ("GLOBAL", True)):
        bound = limit("net_position", scope=scope, position_max="5", unit="units")
        of.limits = LimitSet(tuple(mandatory(net_position=bound)))
        decision = decide(asked, of, NOW)
        assert decision.facts is not None
        assert any(name.startswith("reach:") for name in decision.facts.memo) is reads, scope


# -- one's own orders -----------------------------------------------------------------------------------------


def test_self_trade_refuses_an_entry_and_warns_an_exit() -> None:
    """An opposite order of one's own that could match: what adds risk is refused, what reduces is let out with a word."""
    of = holding("share 10")
    resting = working(1, 5, "100", key="x")
    of.positions[SHARE.key]["INTRADAY"].working["x"] = resting
    of.positions[SHARE.key]["INTRADAY"].refresh()
    of.limits = LimitSet(tuple(mandatory(self_trade=limit("self_trade"))))

    leaving = decide(asking("SELL 10 share 100"), of, NOW)
    assert leaving.approved and leaving.direction == "REDUCING"
    assert [each.code.value for each in leaving.shadow_rejects] == ["SELF_TRADE"]
    assert decide(asking("SELL 10 share 100.05"), of, NOW).shadow_rejects == ()
    entry = decide(asking("SELL 11 share 100"), of, NOW)
    assert [each.code.value for each in entry.rejects] == ["SELF_TRADE"]
    assert entry.rejects[0].max_quantity == 0 and "at 100.00" in entry.rejects[0].message
    resting.price_e4 = None
    assert "at market" in decide(asking("SELL 11 share 100"), of, NOW).rejects[0].message
    assert ask(self_trade.CHECK, asking("BUY 1 share 100"), of) is None


def test_exits_are_exempt_where_the_table_says_so() -> None:
    """A book far above every ceiling still lets an exit out; only self-trade is asked, and only warns."""
    checks = [by_name(name) for name in CEILINGS]

    assert not any(check.exits for check in checks) and self_trade.CHECK.exits and self_trade.CHECK.warns_exits
    of = holding("fut 500; share 900")
    bound = {name: limit(name, **parameters) for name, parameters in CEILINGS.items()}
    of.limits = LimitSet(tuple(mandatory(**bound)))
    assert decide(asking("SELL 900 share 100"), of, NOW).approved
    assert len(decide(asking("BUY 900 share 100"), of, NOW).rejects) >= 5


NAMELESS = Instrument(
    "NSE_FNO", "50009", "NIFTY-OPT", "OPTIDX", lot_size=25, underlying="NIFTY", expiry="2024-06-27",
    strike_e4=inr("240"),
)  # fmt: skip
"""An option of which the master forgot whether it is a call or a put."""


def test_an_option_without_a_type_is_covered_by_no_future() -> None:
    """A future has no type either, and is no option: long it covers nothing, short it is no naked option."""
    for futures in (0, 25, -25):
        of = holding(f"fut {futures}")
        of.instruments[NAMELESS.key] = NAMELESS
        for lots, expected in ((2, "-"), (3, "NAKED_SHORT_ABOVE_LIMIT")):
            asked = order_of(NAMELESS, "SELL", 25 * lots, "12")
            assert code(ask(naked_short_option.CHECK, asked, of, naked_lots_max=2)) == expected


def test_a_sold_option_without_a_type_offsets_nothing() -> None:
    """Sold it gains no more than its premium, whatever it is: what leans the other way counts in full."""
    of = holding("-")
    of.instruments[NAMELESS.key] = NAMELESS
    of.positions[NAMELESS.key] = {"INTRADAY": line(-25)}
    for price, expected in (("100", "-"), ("100.05", "NET_EXPOSURE_ABOVE_LIMIT")):
        asked = asking(f"BUY 100 share {price}")
        assert code(ask(net_exposure.CHECK, asked, of, net_exposure_inr_max="10000")) == expected


def test_a_strategy_may_lean_on_the_cover_its_basket_buys() -> None:
    """A leg bought for it earlier in the basket covers under its own limit as it does under the account's."""
    for covers, expected in ((True, "-"), (False, "NAKED_SHORT_ABOVE_LIMIT")):
        of = holding("-")
        bought = working(1, 25, "12", strategy="dip", covers=covers)
        of.positions[CALL.key] = {"INTRADAY": line(working=(bought,))}
        asked = asking("SELL 25 near 12").replaced(strategy="dip")
        for scope in ("STRATEGY:dip", "ACCOUNT:leader"):
            assert code(ask(naked_short_option.CHECK, asked, of, scope=scope, naked_lots_max="none")) == expected


def test_the_reach_of_a_group_counts_what_its_account_counts() -> None:
    """Delivery sales that work beyond what is held count for the next one, under a GROUP limit as under an ACCOUNT's."""
    of = holding("-")
    of.positions[SHARE.key] = {"MTF": line(10, product="MTF", sells=20)}
    for quantity, expected in ((5, "-"), (6, "NET_POSITION_ABOVE_LIMIT")):
        asked = asking(f"SELL {quantity} share 100 MTF")
        for scope in ("ACCOUNT:leader", "GROUP:desk"):
            assert code(ask(net_position.CHECK, asked, of, scope=scope, position_max="15", unit="units")) == expected


@pytest.mark.parametrize(("given", "lots"), [("none", 0), (1, 1), (10**9, 10**9)])
def test_naked_lots_are_a_number_or_the_word_none(given: object, lots: int) -> None:
    """Read, and written back as it was given."""
    params = naked_short_option.Parameters.read({"naked_lots_max": given}, where="the test")

    assert params.naked_lots_max == lots
    assert params.model_dump(mode="json") == {"naked_lots_max": given}


@pytest.mark.parametrize("given", [0, 0.0, -1, 10**9 + 1, "5", "", "None", True, False, None, 1.5])
def test_no_lots_at_all_must_be_said_in_words(given: object) -> None:
    """A limit of 0 is a number somebody forgot to fill in; a text that is not the word is no number."""
    with pytest.raises(RulebookError) as caught:
        naked_short_option.Parameters.read({"naked_lots_max": given}, where="the test")
    assert type(given) is not int or given or 'write "none" for none at all' in str(caught.value)


def test_what_a_position_limit_asked_is_kept_by_name() -> None:
    """An account nobody has seen whole is asked for as such: the journal keeps it under that name."""
    of = holding("-")
    of.position_seen_us = None
    facts = Facts.of(asking("BUY 1 share 100"), of, NOW)
    params = net_position.Parameters.read({"position_max": "5", "unit": "units"}, where="the test")

    assert code(net_position.check(facts, params)) == "POSITION_UNKNOWN"
    assert "unseen:ACCOUNT" in str(facts.recorded())


def test_what_leads_to_no_position_needs_no_price() -> None:
    """A market buy that leaves the account short reaches nothing; one that turns it long must be valued."""
    of = holding("share -20", unpriced="share")

    assert ask(net_position.CHECK, asking("BUY 20 share -"), of, position_max="1", unit="inr") is None
    assert code(ask(net_position.CHECK, asking("BUY 21 share -"), of, position_max="1", unit="inr")) == "PRICE_UNKNOWN"
