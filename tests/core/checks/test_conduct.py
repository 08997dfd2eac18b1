"""How an order is sent and how a strategy behaves: freeze, ceiling, signals, clocks, changes, ratios and runaways."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from riskguard.core.account import Account, TimeLog
from riskguard.core.checks import (
    clock_skew,
    freeze_quantity,
    modification_count,
    order_to_trade_ratio,
    order_value,
    repeated_execution,
    signal_age,
)
from riskguard.core.facts import Facts
from riskguard.core.order import Order
from riskguard.core.quote import Quote
from riskguard.core.reject import Reject, RejectCode
from tests.core.builders import (
    FUTURE,
    NOW,
    SECOND,
    SHARE,
    account,
    ask,
    code,
    inr,
    line,
    option,
    order,
    order_of,
    quote,
)
from tests.core.tables import Row, table

FREEZES = table("""
    freeze  held  order      expected               max_quantity
    1800    0     BUY 1800   -                      -
    1800    0     BUY 1825   ABOVE_FREEZE_QUANTITY  1800
    1810    0     BUY 1825   ABOVE_FREEZE_QUANTITY  1800
    1800    0     SELL 3600  ABOVE_FREEZE_QUANTITY  1800
    1800    3600  SELL 1800  -                      -
    1800    3600  SELL 3600  ABOVE_FREEZE_QUANTITY  1800
    10      0     BUY 25     ABOVE_FREEZE_QUANTITY  0
    -       0     BUY 99999  -                      -
    0       0     BUY 99999  -                      -
""")


@pytest.mark.parametrize("row", FREEZES, ids=str)
def test_freeze_quantity(row: Row) -> None:
    """On it is allowed; exits are frozen like everybody; without a number nothing is judged. checks.md §5.11."""
    future = replace(FUTURE, freeze_quantity=row.opt_number("freeze"))
    side, quantity = row.order.split()
    of = account(line(row.number("held")), instrument=future)
    reject = ask(freeze_quantity.CHECK, order_of(future, side, int(quantity)), of)

    assert code(reject) == row.expected and freeze_quantity.CHECK.exits
    if reject is not None:
        assert (reject.measured, reject.max_quantity) == (int(quantity), row.number("max_quantity"))
        assert "slices" in reject.hint or not reject.max_quantity
        if reject.max_quantity:
            assert ask(freeze_quantity.CHECK, order_of(future, side, reject.max_quantity), of) is None


CEILINGS = table("""
    why                            ours    theirs  held  order     quote  expected                 limit  most
    ours binds                     1000    10000   0     BUY 11    -      ORDER_VALUE_ABOVE_LIMIT  1000   10
    theirs binds                   100000  10000   0     BUY 100   -      -                        -      -
    theirs binds                   100000  10000   0     BUY 101   -      ORDER_VALUE_ABOVE_LIMIT  10000  100
    an exit is free of ours        1000    10000   100   SELL 100  -      -                        -      -
    an exit is not free of theirs  1000    10000   101   SELL 101  -      ORDER_VALUE_ABOVE_LIMIT  10000  100
    nobody knows theirs            1000    -       101   SELL 101  -      -                        -      -
    at the market                  1000    10000   101   SELL 101  100    ORDER_VALUE_ABOVE_LIMIT  10000  100
""")


@pytest.mark.parametrize("row", CEILINGS, ids=str)
def test_the_exchanges_ceiling_of_one_order(row: Row) -> None:
    """The tighter of ours and theirs for an entry, theirs alone for an exit. checks.md §5.11."""
    share = replace(SHARE, order_value_max_e4=row.e4("theirs"))
    quoted = None if row.quote == "-" else quote(None, row.quote, None)
    of = account(line(row.number("held")), instrument=share, quoted=quoted)
    side, quantity = row.order.split()
    asked = order(side, int(quantity), None if quoted else "100")
    reject = ask(order_value.CHECK, asked, of, order_value_inr_max=row.ours)

    assert code(reject) == row.expected
    if reject is not None:
        assert (reject.limit_raw, reject.max_quantity) == (row.e4("limit"), row.number("most"))
        assert (
            ask(order_value.CHECK, asked.replaced(quantity=reject.max_quantity), of, order_value_inr_max=row.ours)
            is None
        )


def test_an_exit_that_cannot_be_valued_passes() -> None:
    """Without a price, and without a multiplier. checks.md §5.11."""
    share = replace(SHARE, order_value_max_e4=inr("1"))
    assert (
        ask(order_value.CHECK, order("SELL", 10, None), account(line(10), instrument=share), order_value_inr_max="1")
        is None
    )
    unknown = replace(share, multiplier=None)
    assert (
        ask(order_value.CHECK, order("SELL", 10), account(line(10), instrument=unknown), order_value_inr_max="1")
        is None
    )
    entry = account(instrument=unknown)
    assert code(ask(order_value.CHECK, order(), entry, order_value_inr_max="1")) == "MULTIPLIER_UNKNOWN"


SIGNALS = table("""
    age_us      expected
    0           -
    5_000_000   -
    5_000_001   SIGNAL_STALE
    -2_000_000  -
    -2_000_001  CLOCK_SKEW
    -           SIGNAL_STALE
""")


@pytest.mark.parametrize("row", SIGNALS, ids=str)
def test_signal_age(row: Row) -> None:
    """Five seconds; unknown is too old, and the future is no age."""
    age_us = row.opt_number("age_us")
    asked = order(signal_at=None if age_us is None else NOW - age_us)
    reject = ask(signal_age.CHECK, asked, signal_age_s_max=5)

    assert code(reject) == row.expected and not signal_age.CHECK.exits
    assert reject is None or reject.max_quantity == 0


SKEWS = table("""
    what       ahead_us   expected
    quote      3_000_000  -
    quote      3_000_001  CLOCK_SKEW
    evidence   3_000_000  -
    evidence   3_000_001  CLOCK_SKEW
    signal     3_000_000  -
    signal     3_000_001  CLOCK_SKEW
    positions  3_000_000  -
    positions  3_000_001  CLOCK_SKEW
    none       0          -
""")


def test_evidence_from_the_future_beside_a_fresh_feed() -> None:
    """The feed is what is judged by; evidence that cannot be true is refused all the same."""
    of = account(quoted=Quote.of(ltp="100", at_us=NOW))
    for ahead_us, expected in ((3_000_000, "-"), (3_000_001, "CLOCK_SKEW")):
        reject = ask(clock_skew.CHECK, order(quote=Quote.of(ltp="100", at_us=NOW + ahead_us)), of, ahead_s_max=3)
        assert code(reject) == expected
        assert reject is None or "the quote on the order" in reject.message


@pytest.mark.parametrize("row", SKEWS, ids=str)
def test_clock_skew(row: Row) -> None:
    """Three seconds ahead, whatever is stamped; what is old is not this check's."""
    at_us = NOW + row.number("ahead_us")
    of = account(quoted=Quote.of(ltp="100", at_us=at_us) if row.what == "quote" else None)
    of.position_seen_us = at_us if row.what == "positions" else 1
    more: dict[str, Any] = {"evidence": {"quote": Quote.of(ltp="100", at_us=at_us)}, "signal": {"signal_at": at_us}}
    reject = ask(clock_skew.CHECK, order(**more.get(row.what, {})), of, ahead_s_max=3)

    assert code(reject) == row.expected and not clock_skew.CHECK.exits
    assert reject is None or (reject.measured, reject.limit) == (3_000, 3_000)


def changed(times: int, modifying: str = "w1", side: str = "BUY") -> Reject | None:
    of = account(line(10), modifications={"w1": times})
    params = modification_count.Parameters.read({"modifications_max": 25}, where="the test")
    return modification_count.check(Facts.of(order(side), of, NOW, modifying=modifying), params)


def test_modification_count() -> None:
    """The 25th change of an order goes, the 26th does not, of an exit neither; a new order is no change."""
    assert changed(24) is None and changed(99, modifying="") is None and changed(99, modifying="w2") is None
    for side in ("BUY", "SELL"):
        reject = changed(25, side=side)
        assert reject is not None and (reject.measured, reject.limit, reject.max_quantity) == (26, 25, 0)
    assert modification_count.CHECK.exits


RATIO: dict[str, Any] = {"orders_per_trade_max": 3, "exempt_band_pct_max": "0.75", "orders_free": 5}
RATIOS = table("""
    why                          orders  trades  price    expected                          limit
    free                         4       0       101      -                                 -
    one above what is free       5       0       101      ORDER_TO_TRADE_RATIO_ABOVE_LIMIT  5
    trades make room             5       2       101      -                                 -
    on the ratio                 8       3       101      -                                 -
    above it                     9       3       101      ORDER_TO_TRADE_RATIO_ABOVE_LIMIT  9
    on the edge of the band      99      3       100.75   -                                 -
    a tick outside               99      3       100.80   ORDER_TO_TRADE_RATIO_ABOVE_LIMIT  9
    below it alike               99      3       99.25    -                                 -
    below it alike               99      3       99.20    ORDER_TO_TRADE_RATIO_ABOVE_LIMIT  9
    at the market                99      3       -        -                                 -
""")


@pytest.mark.parametrize("row", RATIOS, ids=str)
def test_order_to_trade_ratio(row: Row) -> None:
    """Orders outside 0.75 % of the market, this one among them, against three for each trade; five are free."""
    of = account(
        quoted=quote(None, "100", None), day_orders={75: row.number("orders")}, day_trades=row.number("trades")
    )
    reject = ask(order_to_trade_ratio.CHECK, order(price=row.opt("price")), of, **RATIO)

    assert code(reject) == row.expected
    assert not order_to_trade_ratio.CHECK.exits and order_to_trade_ratio.CHECK.needs == ("day",)
    if reject is not None:
        assert (reject.measured, reject.limit) == (row.number("orders") + 1, row.number("limit"))


def test_an_order_whose_reference_is_not_known_counts() -> None:
    """So does a stop by its trigger, which is where it rests."""
    over: dict[str, Any] = {"day_orders": {75: 5}}
    assert (
        code(ask(order_to_trade_ratio.CHECK, order(), account(**over), **RATIO)) == "ORDER_TO_TRADE_RATIO_ABOVE_LIMIT"
    )
    stop = order(price=None, order_type="STOP_LOSS_MARKET", trigger_price="101")
    near = order(price=None, order_type="STOP_LOSS_MARKET", trigger_price="100.50")
    quoted = account(quoted=quote(None, "100", None), **over)
    assert code(ask(order_to_trade_ratio.CHECK, stop, quoted, **RATIO)) == "ORDER_TO_TRADE_RATIO_ABOVE_LIMIT"
    assert ask(order_to_trade_ratio.CHECK, near, quoted, **RATIO) is None


WHEEL: dict[str, Any] = {"trip_at_fills": 3, "trip_at_refusals": 5, "per_s": 60}
WHEELS = table("""
    why                       fills_s_ago    refusals_s_ago    expected            measured  unit
    nothing                   -              -                 -                   -         -
    two turns                 1 2            -                 -                   -         -
    the third trips           1 2 3          -                 REPEATED_EXECUTION  3         fills
    the window's edge         1 2 59         -                 REPEATED_EXECUTION  3         fills
    just left it              1 2 60         -                 -                   -         -
    four refusals             -              1 1 1 1           -                   -         -
    the fifth trips           -              1 1 1 1 1         REPEATED_EXECUTION  5         refusals
    they do not add up        1 2            1 1 1 1           -                   -         -
    both                      1 2 3 4        1 1 1 1 1         REPEATED_EXECUTION  4         fills
""")


def turning(row: Row, loop: tuple[object, ...]) -> Account:
    def log(column: str) -> TimeLog:
        return TimeLog(sorted(NOW - int(age_s) * SECOND for age_s in (row.opt(column) or "").split()))

    return account(line(50), cycles={loop: log("fills_s_ago")}, refused={loop: log("refusals_s_ago")})


@pytest.mark.parametrize("row", WHEELS, ids=str)
def test_repeated_execution(row: Row) -> None:
    """Reaching the number trips: three fills, or five refusals, of one strategy, instrument and side in a minute."""
    of = turning(row, ("dip", SHARE.key, "BUY"))
    reject = ask(repeated_execution.CHECK, order(strategy="dip"), of, **WHEEL)

    assert code(reject) == row.expected
    if reject is not None:
        assert (reject.measured, reject.unit, reject.max_quantity) == (row.number("measured"), row.unit, 0)
        assert "release" in reject.hint and reject.frees_at_us is None


OTHERS: list[Order] = [
    order(strategy="calm"), order("SELL", 60, strategy="dip"), order_of(option(), strategy="dip"),
    order(strategy="dip", exchange_segment="BSE_EQ"),
]  # fmt: skip


@pytest.mark.parametrize("asked", OTHERS, ids=repr)
def test_another_strategy_side_or_instrument_is_another_wheel(asked: Order) -> None:
    row = next(row for row in WHEELS if row.why == "both")

    assert ask(repeated_execution.CHECK, asked, turning(row, ("dip", SHARE.key, "BUY")), **WHEEL) is None


def test_a_runaway_halts_its_strategy_by_default() -> None:
    """Mandatory, never asked of exits, and what it demands is a halt of the strategy."""
    check = repeated_execution.CHECK

    assert (check.mandatory, check.exits, check.on_breach, check.halts) == (True, False, "halt", "STRATEGY")
    assert RejectCode.TRADING_HALTED in repeated_execution.NOT_COUNTED
    assert RejectCode.ORDER_VALUE_ABOVE_LIMIT not in repeated_execution.NOT_COUNTED
