"""Order quantity, order value and net position: on the ceiling passes, above it does not, and the hint is true."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from riskguard.core.account import Account
from riskguard.core.checks import net_position, order_quantity, order_value
from riskguard.core.instrument import Instrument
from riskguard.core.limits import Check
from riskguard.core.order import Order
from tests.core.builders import FUTURE, SHARE, account, ask, code, line, option, order, order_of, quote
from tests.core.tables import Row, table


def assert_hint(check: Check, asked: Order, of: Account, lot: int, **parameters: Any) -> None:
    """`max_quantity` passes this check, and one lot more does not."""
    reject = ask(check, asked, of, **parameters)
    assert reject is not None and reject.max_quantity is not None
    if reject.max_quantity:
        assert ask(check, asked.replaced(quantity=reject.max_quantity), of, **parameters) is None
    assert ask(check, asked.replaced(quantity=reject.max_quantity + lot), of, **parameters) is not None


QUANTITIES = table("""
    unit   most  quantity  expected                    measured
    units  100   99        -                           -
    units  100   100       -                           -
    units  100   101       ORDER_QUANTITY_ABOVE_LIMIT  101
    lots   4     99        -                           -
    lots   4     100       -                           -
    lots   4     101       ORDER_QUANTITY_ABOVE_LIMIT  5
    lots   4     125       ORDER_QUANTITY_ABOVE_LIMIT  5
    lots   4     126       ORDER_QUANTITY_ABOVE_LIMIT  6
""")


@pytest.mark.parametrize("row", QUANTITIES, ids=str)
def test_order_quantity(row: Row) -> None:
    """In units or in lots of 25; a part of a lot counts as one."""
    parameters: dict[str, Any] = {"unit": row.unit, "quantity_max": row.number("most")}
    asked = order_of(FUTURE, quantity=row.number("quantity"))
    reject = ask(order_quantity.CHECK, asked, **parameters)

    assert code(reject) == row.expected
    if reject is not None:
        assert (reject.measured, reject.limit, reject.unit) == (row.number("measured"), row.number("most"), row.unit)
        assert_hint(order_quantity.CHECK, asked, account(), 1 if row.unit == "units" else 25, **parameters)


def test_order_quantity_in_lots_needs_the_lot() -> None:
    """Unknown is refused; in units nothing need be known."""
    unknown = account()
    unknown.instruments.clear()

    assert code(ask(order_quantity.CHECK, order(), unknown, unit="lots", quantity_max=1)) == "INSTRUMENT_UNKNOWN"
    assert ask(order_quantity.CHECK, order(), unknown, unit="units", quantity_max=10) is None
    assert not order_quantity.CHECK.exits


VALUES = table("""
    why                               order                bid  ltp  ask   expected                 measured
    on the ceiling                    BUY 10 LIMIT 100     -    -    -     -                        -
    a tick above                      BUY 10 LIMIT 100.05  -    -    -     ORDER_VALUE_ABOVE_LIMIT  1000.50
    a unit above                      BUY 11 LIMIT 100     -    -    -     ORDER_VALUE_ABOVE_LIMIT  1100
    a sale counts alike               SELL 11 LIMIT 100    -    -    -     ORDER_VALUE_ABOVE_LIMIT  1100
    a low limit sale at the market    SELL 10 LIMIT 1      99   100  101   -                        -
    a low limit sale at the market    SELL 10 LIMIT 1      99   100.05  101  ORDER_VALUE_ABOVE_LIMIT  1000.50
    a market buy is protected         BUY 9 MARKET -       99   100  101   -                        -
    a market buy is protected         BUY 10 MARKET -      99   100  101   ORDER_VALUE_ABOVE_LIMIT  1060.50
    a market sale                     SELL 10 MARKET -     99   100  101   -                        -
    a market order without a market   BUY 1 MARKET -       -    -    -     PRICE_UNKNOWN            -
    a market sale without a market    SELL 1 MARKET -      -    -    -     PRICE_UNKNOWN            -
    a limit buy needs none            BUY 1 LIMIT 100      -    -    -     -                        -
    one unit alone is too dear        BUY 1 LIMIT 1000.05  -    -    -     ORDER_VALUE_ABOVE_LIMIT  1000.05
""")


def value_order(text: str) -> Order:
    side, quantity, _, price = text.split()
    return order(side, int(quantity), None if price == "-" else price)


@pytest.mark.parametrize("row", VALUES, ids=str)
def test_order_value(row: Row) -> None:
    """₹1,000 at the risk price, both sides alike; what cannot be priced is refused."""
    of = account()
    if row.ltp != "-":
        of.quotes[SHARE.key] = quote(row.bid, row.ltp, row.ask)
    asked = value_order(row.order)
    reject = ask(order_value.CHECK, asked, of, order_value_inr_max="1000")

    assert code(reject) == row.expected
    if reject is not None and reject.measured_raw is not None:
        assert reject.measured_raw == row.e4("measured")
        assert_hint(order_value.CHECK, asked, of, 1, order_value_inr_max="1000")


def test_a_stale_quote_prices_nothing() -> None:
    """Five seconds for a share still count, six do not."""
    for age_s, expected in ((5, "-"), (6, "PRICE_UNKNOWN")):
        of = account(quoted=quote("99", "100", "101", age_s))
        assert code(ask(order_value.CHECK, order(price=None), of, order_value_inr_max="100000")) == expected


EVIDENCE = table("""
    why                                  feed  evidence  order      expected
    the feed alone                       100   -         SELL 10    -
    evidence raises                      100   101       SELL 10    ORDER_VALUE_ABOVE_LIMIT
    evidence never lowers                101   100       SELL 10    ORDER_VALUE_ABOVE_LIMIT
    evidence where the feed has none     -     100       SELL 10    -
    evidence where the feed has none     -     101       SELL 10    ORDER_VALUE_ABOVE_LIMIT
    neither                              -     -         SELL 10    PRICE_UNKNOWN
""")


@pytest.mark.parametrize("row", EVIDENCE, ids=str)
def test_evidence_can_raise_a_price_and_never_lower_it(row: Row) -> None:
    """`Order.quote` counts where the feed has none, or where it is worse for us. checks.md §5.7."""
    of = account()
    if row.feed != "-":
        of.quotes[SHARE.key] = quote(None, row.feed, None)
    side, quantity = row.order.split()
    asked = order(side, int(quantity), None, quote=None if row.evidence == "-" else quote(None, row.evidence, None))

    assert code(ask(order_value.CHECK, asked, of, order_value_inr_max="1000")) == row.expected


def test_evidence_counts_where_the_feed_is_stale() -> None:
    """checks.md §5.7: a *fresh* feed quote wins over `Order.quote`."""
    of = account(quoted=quote("99", "100", "101", age_s=60))
    asked = order(price=None, quote=quote("99", "100", "101"))

    assert ask(order_value.CHECK, asked, of, order_value_inr_max="100000") is None


def test_the_multiplier_is_never_taken_as_one() -> None:
    """A contract that needs one and has none is refused; with it, value is per lot."""
    crude = Instrument("MCX_COMM", "77", "CRUDEOIL", "FUTCOM", multiplier=None)
    asked = order_of(crude, quantity=1, price="6500", product="MARGIN")
    of = account(instrument=crude)
    assert code(ask(order_value.CHECK, asked, of, order_value_inr_max="650000")) == "MULTIPLIER_UNKNOWN"
    assert code(ask(net_position.CHECK, asked, of, position_max="650000", unit="inr")) == "MULTIPLIER_UNKNOWN"
    of.instruments[crude.key] = replace(crude, multiplier=100)

    assert ask(order_value.CHECK, asked, of, order_value_inr_max="650000") is None
    assert code(ask(order_value.CHECK, asked, of, order_value_inr_max="649999.99")) == "ORDER_VALUE_ABOVE_LIMIT"
    assert ask(net_position.CHECK, asked, of, position_max="650000", unit="inr") is None
    assert code(ask(net_position.CHECK, asked, of, position_max="649999.99", unit="inr")) == "NET_POSITION_ABOVE_LIMIT"


def test_an_instrument_nobody_knows_counts_one_rupee_a_point() -> None:
    """Another check refuses it; here 10 at 100 are 1,000 rupees."""
    of = account()
    of.instruments.clear()

    assert ask(order_value.CHECK, order(), of, order_value_inr_max="1000") is None
    assert code(ask(order_value.CHECK, order(), of, order_value_inr_max="999.99")) == "ORDER_VALUE_ABOVE_LIMIT"
    assert ask(net_position.CHECK, order(), of, position_max="1000", unit="inr") is None
    assert code(ask(net_position.CHECK, order(), of, position_max="999.99", unit="inr")) == "NET_POSITION_ABOVE_LIMIT"


def test_an_option_counts_by_its_premium_and_in_whole_lots() -> None:
    """The hint is a multiple of the lot."""
    of = account(instrument=option())
    asked = order_of(option(), quantity=75, price="100")
    reject = ask(order_value.CHECK, asked, of, order_value_inr_max="7499")

    assert reject is not None and reject.max_quantity == 50
    assert_hint(order_value.CHECK, asked, of, 25, order_value_inr_max="7499")
    assert ask(order_value.CHECK, asked, of, order_value_inr_max="7500") is None
    assert (order_value.CHECK.exits, order_value.CHECK.mandatory) == (True, True)


REACHES = table("""
    why                               held  buying  selling  other  order     expected                  measured
    landing on it                     60    0       0        0      BUY 40    -                         -
    one above                         60    0       0        0      BUY 41    NET_POSITION_ABOVE_LIMIT  101
    working orders count as filled    50    10      0        0      BUY 40    -                         -
    working orders count as filled    50    11      0        0      BUY 40    NET_POSITION_ABOVE_LIMIT  101
    the other side takes nothing off  50    11      90       0      BUY 40    NET_POSITION_ABOVE_LIMIT  101
    the short side                    60    0       0        0      SELL 160  -                         -
    the short side                    60    0       0        0      SELL 161  NET_POSITION_ABOVE_LIMIT  101
    working sales too                 60    0       10       0      SELL 150  -                         -
    working sales too                 60    0       10       0      SELL 151  NET_POSITION_ABOVE_LIMIT  101
    from a short                      -60   0       0        0      SELL 40   -                         -
    from a short                      -60   0       0        0      SELL 41   NET_POSITION_ABOVE_LIMIT  101
    through zero                      -60   0       0        0      BUY 160   -                         -
    through zero                      -60   0       0        0      BUY 161   NET_POSITION_ABOVE_LIMIT  101
    another product adds              30    0       0        30     BUY 40    -                         -
    another product adds              30    0       0        30     BUY 41    NET_POSITION_ABOVE_LIMIT  101
    a short one excuses no long one   60    0       0        -50    BUY 40    -                         -
    a short one excuses no long one   60    0       0        -50    BUY 41    NET_POSITION_ABOVE_LIMIT  101
    a long one excuses no short one   -60   0       0        50     SELL 40   -                         -
    a long one excuses no short one   -60   0       0        50     SELL 41   NET_POSITION_ABOVE_LIMIT  101
    another product's shorts add      -30   0       0        -30    SELL 41   NET_POSITION_ABOVE_LIMIT  101
    above it already, less of it      150   0       0        0      SELL 10   -                         -
    above it already, more of it      150   0       0        0      BUY 1     NET_POSITION_ABOVE_LIMIT  151
""")


@pytest.mark.parametrize("row", REACHES, ids=str)
def test_net_position_is_the_worst_reachable(row: Row) -> None:
    """N and everything working on the order's side; 100 units, landing on it is allowed."""
    lines = [line(row.number("held"), buys=row.number("buying"), sells=row.number("selling"))]
    if row.number("other"):
        lines.append(line(row.number("other"), product="MARGIN"))
    of = account(*lines)
    side, quantity = row.order.split()
    asked = order(side, int(quantity))
    reject = ask(net_position.CHECK, asked, of, position_max="100", unit="units")

    assert code(reject) == row.expected
    if reject is not None:
        assert (reject.measured, reject.limit, reject.unit) == (row.number("measured"), 100, "units")
        assert_hint(net_position.CHECK, asked, of, 1, position_max="100", unit="units")
    # The same at ₹100 a unit: the reach is valued whole, and the hint takes off what stands already.
    in_rupees = ask(net_position.CHECK, asked, of, position_max="10000", unit="inr")
    assert code(in_rupees) == row.expected
    if in_rupees is not None:
        assert (in_rupees.measured, in_rupees.limit) == (100 * row.number("measured"), 10_000)
        assert_hint(net_position.CHECK, asked, of, 1, position_max="10000", unit="inr")


def test_another_products_working_orders_add() -> None:
    """Buys to the long side, sales to the short side; also when the order's own product has no line yet."""
    of = account(line(0, product="MARGIN", buys=60, sells=70))

    assert ask(net_position.CHECK, order("BUY", 40), of, position_max="100", unit="units") is None
    assert (
        code(ask(net_position.CHECK, order("BUY", 41), of, position_max="100", unit="units"))
        == "NET_POSITION_ABOVE_LIMIT"
    )
    assert ask(net_position.CHECK, order("SELL", 30), of, position_max="100", unit="units") is None
    assert (
        code(ask(net_position.CHECK, order("SELL", 31), of, position_max="100", unit="units"))
        == "NET_POSITION_ABOVE_LIMIT"
    )


UNITS = table("""
    unit         most    price   quantity  expected                  measured
    lots         4       100     100       -                         -
    lots         4       100     101       NET_POSITION_ABOVE_LIMIT  5
    lots         4       100     125       NET_POSITION_ABOVE_LIMIT  5
    inr          10000   100     100       -                         -
    inr          10000   100.05  100       NET_POSITION_ABOVE_LIMIT  10005
    inr          10000   100     125       NET_POSITION_ABOVE_LIMIT  12500
    unconfirmed  10000   100     100       -                         -
    unconfirmed  10000   100     125       NET_POSITION_ABOVE_LIMIT  12500
    unconfirmed  100     0.05    100       -                         -
    unconfirmed  100     0.05    125       NET_POSITION_ABOVE_LIMIT  125
""")


@pytest.mark.parametrize("row", UNITS, ids=str)
def test_net_position_in_lots_in_rupees_and_unconfirmed(row: Row) -> None:
    """A part of a lot counts as one; an unconfirmed unit binds by the tighter reading. checks.md §5.5."""
    asked = order_of(FUTURE, quantity=row.number("quantity"), price=row.price)
    parameters = {"unit": row.unit, "position_max": row.most}
    reject = ask(net_position.CHECK, asked, account(), **parameters)

    assert code(reject) == row.expected
    if reject is not None:
        in_rupees = row.unit == "inr" or (row.unit == "unconfirmed" and row.price == "100")
        assert reject.unit == ("inr" if in_rupees else "lots" if row.unit == "lots" else "units")
        assert reject.measured_raw == (row.e4("measured") if in_rupees else row.number("measured"))
        assert reject.limit_raw == (row.e4("most") if in_rupees else row.number("most"))
        assert_hint(net_position.CHECK, asked, account(), 25, **parameters)


def test_the_hint_of_an_unconfirmed_unit_passes_both_readings() -> None:
    """Below ₹1 a unit both readings can refuse; the hint must pass the tighter."""
    of = account()

    assert_hint(
        net_position.CHECK,
        order_of(FUTURE, quantity=5_000, price="0.05"),
        of,
        25,
        unit="unconfirmed",
        position_max="100",
    )


def test_net_position_needs_the_book_and_what_its_unit_needs() -> None:
    """Unknown positions, lots or prices are refused; units need only the book."""
    parameters: dict[str, Any] = {"position_max": "1000000"}
    unknown = account()
    unknown.instruments.clear()

    for unit in ("units", "lots", "inr", "unconfirmed"):
        assert (
            code(ask(net_position.CHECK, order(), account(known=False), unit=unit, **parameters)) == "POSITION_UNKNOWN"
        )
        blind = ask(net_position.CHECK, order(), account(known=False), unit=unit, **parameters)
        assert blind is not None and blind.limit == 1_000_000 and blind.unit == ("inr" if unit == "inr" else "units")
    assert ask(net_position.CHECK, order(), unknown, unit="units", **parameters) is None
    assert ask(net_position.CHECK, order(price="100"), unknown, unit="inr", **parameters) is None
    assert code(ask(net_position.CHECK, order(), unknown, unit="lots", **parameters)) == "INSTRUMENT_UNKNOWN"
    for unit in ("inr", "unconfirmed"):
        assert code(ask(net_position.CHECK, order(price=None), unit=unit, **parameters)) == "PRICE_UNKNOWN"
    assert not net_position.CHECK.exits


def test_while_the_list_lags_each_side_reaches_from_the_worse_book() -> None:
    """A fill the list does not show counts for buys; one we do not know counts too."""
    for seen, room in ((0, 40), (60, 40), (80, 20)):
        of = account(line(60, seen=seen))
        assert ask(net_position.CHECK, order("BUY", room), of, position_max="100", unit="units") is None
        assert ask(net_position.CHECK, order("BUY", room + 1), of, position_max="100", unit="units") is not None
