"""What a trade may lose and what it needs: stops, risk per trade, the day's projected loss, margin."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from riskguard.core.account import Account, PnlReading, Unfunded
from riskguard.core.basket import decide_basket
from riskguard.core.checks import margin_available, projected_daily_loss, risk_per_trade, stop_required
from riskguard.core.decide import decide
from riskguard.core.facts import Facts, leg_of
from riskguard.core.limits import LimitSet
from riskguard.core.order import Order
from riskguard.errors import RulebookError
from tests.core.builders import NOW, SECOND, SHARE, ask, code, inr, limit, mandatory
from tests.core.checks.test_sizes import assert_hint
from tests.core.market import BY_NAME, CALL, CRUDE, FUTURE, asking, holding, working
from tests.core.tables import Row, table


def ordering(text: str, stop: str | None) -> Order:
    """An order with its stop; `100/95` as a price is a STOP_LOSS of trigger 95 (100 for the limit), `/95` one at market."""
    words = text.split()
    limit_price, _, trigger = words[3].partition("/")
    made = asking(" ".join([*words[:3], limit_price or "-", *words[4:]])).replaced(stop_loss=None)
    if trigger:
        kind = "STOP_LOSS" if limit_price else "STOP_LOSS_MARKET"
        made = made.replaced(order_type=kind, trigger_price=trigger)
    return made.replaced(stop_loss=stop)


STOPS = table("""
    why                                 order              stop  expected
    none                                BUY 1 share 100    -     STOP_REQUIRED
    none                                SELL 1 share 100   -     STOP_REQUIRED
    below a buy                         BUY 1 share 100    99    -
    above a sale                        SELL 1 share 100   101   -
    below a market buy                  BUY 1 share -      104.95  -
    at what a market buy may cost       BUY 1 share -      105   STOP_REQUIRED
    above a market sale                 SELL 1 share -     95.05  -
    however little                      BUY 1 share -      104.9999  -
    however little                      SELL 1 share -     95.0001   -
    at what a market sale may bring     SELL 1 share -     95    STOP_REQUIRED
    a stop order has its own            BUY 1 share 102/101  100  -
    a stop order at market              BUY 1 share /101   100   -
    a stop order at market              SELL 1 share /99   100   -
""")


@pytest.mark.parametrize("row", STOPS, ids=str)
def test_every_entry_says_where_it_is_given_up(row: Row) -> None:
    """On the losing side of the worst price it may fill at: 5 % off the market for an order without a limit."""
    reject = ask(stop_required.CHECK, ordering(row.order, row.opt("stop")), holding("-"))

    assert code(reject) == row.expected
    assert reject is None or (reject.max_quantity == 0 and "stop_loss" in reject.hint)


def test_a_stop_is_not_measured_where_no_price_is_known() -> None:
    """Without a market nobody can say on which side a stop lies; that one is there is all this check asks."""
    of = holding("-", unpriced="share")

    assert ask(stop_required.CHECK, ordering("BUY 1 share -", "99"), of) is None
    assert code(ask(stop_required.CHECK, ordering("BUY 1 share -", None), of)) == "STOP_REQUIRED"


RISKS = table("""
    why                               order                 stop    expected                    measured
    5 a unit                          BUY 20 share 100      95      -                           -
    5 a unit                          BUY 21 share 100      95      RISK_PER_TRADE_ABOVE_LIMIT  105
    a sale                            SELL 20 share 100     105     -                           -
    a sale                            SELL 21 share 100     105     RISK_PER_TRADE_ABOVE_LIMIT  105
    a tick more a unit                BUY 20 share 100      94.95   RISK_PER_TRADE_ABOVE_LIMIT  101
    a market buy at 105               BUY 10 share -        95      -                           -
    a market buy at 105               BUY 11 share -        95      RISK_PER_TRADE_ABOVE_LIMIT  110
    a market sale at 95               SELL 10 share -       105     -                           -
    a market sale at 95               SELL 11 share -       105     RISK_PER_TRADE_ABOVE_LIMIT  110
    a low limit sale at its limit     SELL 10 share 90      100     -                           -
    a low limit sale at its limit     SELL 11 share 90      100     RISK_PER_TRADE_ABOVE_LIMIT  110
    a stop buy at its limit           BUY 10 share 105/101  95      -                           -
    a stop buy at its limit           BUY 11 share 105/101  95      RISK_PER_TRADE_ABOVE_LIMIT  110
    a stop buy at market              BUY 5 share /100      85      -                           -
    a stop buy at market              BUY 6 share /100      85      RISK_PER_TRADE_ABOVE_LIMIT  120
    a stop sale at market             SELL 5 share /100     115     -                           -
    a stop sale at market             SELL 6 share /100     115     RISK_PER_TRADE_ABOVE_LIMIT  120
    a lot of an option                BUY 25 ce 12          8       -                           -
    two lots of an option             BUY 50 ce 12          8       RISK_PER_TRADE_ABOVE_LIMIT  200
    100 rupees a point                BUY 1 crude 50        49      -                           -
    100 rupees a point                BUY 2 crude 50        49      RISK_PER_TRADE_ABOVE_LIMIT  200
    no stop                           BUY 1 share 100       -       STOP_REQUIRED               -
    the stop is no stop               BUY 1 share -         105     STOP_REQUIRED               -
""")


@pytest.mark.parametrize("row", RISKS, ids=str)
def test_what_a_trade_may_lose_at_its_stop(row: Row) -> None:
    """100 rupees, or a tenth of an equity of 1000: the same; the entry at the worst price it may fill at."""
    of, asked = holding("-"), ordering(row.order, row.opt("stop"))
    for parameters in (
        {"risk_inr_max": "100"},
        {"risk_pct_max": "10"},
        {"risk_inr_max": "500", "risk_pct_max": "10"},
        {"risk_inr_max": "100", "risk_pct_max": "50"},
    ):
        reject = ask(risk_per_trade.CHECK, asked, of, **parameters)
        assert code(reject) == row.expected
        if reject is not None and reject.measured_raw is not None:
            assert (reject.measured_raw, reject.limit_raw) == (row.e4("measured"), inr("100"))
            lot = BY_NAME[row.order.split()[2]].lot_size
            assert_hint(risk_per_trade.CHECK, asked, of, lot, **parameters)


def test_a_stop_next_to_the_price_is_a_stop() -> None:
    """1/10000 rupee apart it loses that much, which the last 1/10000 rupee of equity is enough for."""
    of, asked = holding("-"), asking("BUY 1 share 100").replaced(stop_loss="99.9999")
    of.opening_equity_e4 = 1

    assert ask(risk_per_trade.CHECK, asked, of, risk_pct_max="100") is None
    assert (
        code(ask(risk_per_trade.CHECK, asked.replaced(quantity=2), of, risk_pct_max="100"))
        == "RISK_PER_TRADE_ABOVE_LIMIT"
    )


def test_the_tighter_of_rupees_and_equity_binds() -> None:
    """And equity that is unknown, or used up, refuses wherever a part of it is the limit."""
    asked, of = ordering("BUY 20 share 100", "95"), holding("-")
    both = {"risk_inr_max": "100", "risk_pct_max": "9.99"}
    reject = ask(risk_per_trade.CHECK, asked, of, **both)
    assert reject is not None and str(reject.limit) == "99.90"
    for opening, pnl_e4 in ((None, 0), (inr("1000"), None), (0, 0), (inr("5"), -inr("5"))):
        of.opening_equity_e4, of.pnl = opening, PnlReading(pnl_e4, NOW, fresh_marks=True)
        assert code(ask(risk_per_trade.CHECK, asked, of, **both)) == "EQUITY_UNKNOWN"
        assert ask(risk_per_trade.CHECK, asked, of, risk_inr_max="100") is None
    with pytest.raises(RulebookError, match="risk_inr_max"):
        limit("risk_per_trade")


def test_a_trade_that_cannot_be_priced_is_refused() -> None:
    """Price, multiplier, instrument: each taken away on its own."""
    parameters = {"risk_inr_max": "100000"}
    of = holding("-", unpriced="share")
    assert code(ask(risk_per_trade.CHECK, ordering("BUY 1 share -", "95"), of, **parameters)) == "PRICE_UNKNOWN"
    assert ask(risk_per_trade.CHECK, ordering("BUY 1 share 100", "95"), of, **parameters) is None
    of.instruments[CRUDE.key] = replace(CRUDE, multiplier=None)
    assert code(ask(risk_per_trade.CHECK, ordering("BUY 1 crude 50", "49"), of, **parameters)) == "MULTIPLIER_UNKNOWN"
    del of.instruments[SHARE.key]
    assert code(ask(risk_per_trade.CHECK, ordering("BUY 1 share 100", "95"), of, **parameters)) == "INSTRUMENT_UNKNOWN"


DAILY: dict[str, Any] = {"daily_loss_inr_max": "100", "scenario_pct": "5"}

PROJECTED = table("""
    why                                pnl   book                 order              stop  expected                measured
    short of the limit                 0     -                    BUY 19 share 100   95    -                       -
    reaching it refuses                0     -                    BUY 20 share 100   95    PROJECTED_LOSS_REACHED  100
    a sale                             0     -                    SELL 19 share 100  105   -                       -
    a sale                             0     -                    SELL 20 share 100  105   PROJECTED_LOSS_REACHED  100
    without a stop 5 %                 0     -                    BUY 19 share 100   -     -                       -
    without a stop 5 %                 0     -                    BUY 20 share 100   -     PROJECTED_LOSS_REACHED  100
    what is lost already adds          -50   -                    BUY 9 share 100    95    -                       -
    what is lost already adds          -50   -                    BUY 10 share 100   95    PROJECTED_LOSS_REACHED  100
    what is won helps                  50    -                    BUY 29 share 100   95    -                       -
    what is won helps                  50    -                    BUY 30 share 100   95    PROJECTED_LOSS_REACHED  100
    a position without a stop          0     stockfut 0; share 10  BUY 9 share 100   95    -                       -
    a position without a stop          0     share 10             BUY 10 share 100   95    PROJECTED_LOSS_REACHED  100
    an entry that works                0     share 0 +10          BUY 9 share 100    95    -                       -
    an entry that works                0     share 0 +10          BUY 10 share 100   95    PROJECTED_LOSS_REACHED  100
    another instrument                 0     crude -1             BUY 1 share 100    95    PROJECTED_LOSS_REACHED  255
    the limit is passed already        -200  -                    BUY 1 share 100    95    PROJECTED_LOSS_REACHED  205
    a long option by its premium       0     -                    BUY 5 ce 12        -     -                       -
    a long option by its premium       0     -                    BUY 25 ce 12       -     PROJECTED_LOSS_REACHED  300
    a short option by its underlying   0     -                    SELL 25 ce 12      -     PROJECTED_LOSS_REACHED  312.50
    a market buy at 105                0     -                    BUY 10 share -     96    -                       -
    a market buy at 105                0     -                    BUY 10 share -     95    PROJECTED_LOSS_REACHED  100
""")


@pytest.mark.parametrize("row", PROJECTED, ids=str)
def test_the_day_if_every_stop_is_hit(row: Row) -> None:
    """A limit of 100; checks.md §5.12: landing on it refuses. What no stop covers loses 5 %."""
    of, asked = holding(row.book), ordering(row.order, row.opt("stop"))
    of.pnl = PnlReading(row.e4("pnl"), NOW, fresh_marks=True)
    for limits in ({}, {"daily_loss_pct_max": 10}, {"daily_loss_inr_max": "500", "daily_loss_pct_max": 10}):
        parameters = {**DAILY, **limits}
        reject = ask(projected_daily_loss.CHECK, asked, of, **parameters)
        assert code(reject) == row.expected
        if reject is not None:
            assert (reject.measured_raw, reject.limit_raw) == (row.e4("measured"), inr("100"))
            assert_hint(projected_daily_loss.CHECK, asked, of, BY_NAME[row.order.split()[2]].lot_size, **parameters)


def test_a_stop_that_works_covers_its_position() -> None:
    """A long of 100 loses 40 to its stop instead of 500 in a move; a promised stop covers nothing yet."""
    of = holding("share 100")
    asked = ordering("BUY 1 share 100", "95")
    reject = ask(projected_daily_loss.CHECK, asked, of, **DAILY)
    assert reject is not None and str(reject.measured) == "505.00" and reject.max_quantity == 0
    line = of.positions[SHARE.key]["INTRADAY"]
    line.working["s"] = working(-1, 100, None, key="s", reducing=True, trigger_price_e4="99.60")
    line.working["s"].protective = True
    line.refresh()

    assert ask(projected_daily_loss.CHECK, ordering("BUY 11 share 100", "95"), of, **DAILY) is None
    assert (
        code(ask(projected_daily_loss.CHECK, ordering("BUY 12 share 100", "95"), of, **DAILY))
        == "PROJECTED_LOSS_REACHED"
    )


PROJECTED_UNKNOWN = table("""
    what        order             expected
    pnl         BUY 1 share 100   PNL_UNKNOWN
    reading     BUY 1 share 100   PNL_UNKNOWN
    equity      BUY 1 share 100   PNL_UNKNOWN
    positions   BUY 1 share 100   POSITION_UNKNOWN
    other       BUY 1 share 100   PRICE_UNKNOWN
    price       BUY 1 share -     PRICE_UNKNOWN
    price       BUY 1 share 100   -
    instrument  BUY 1 share 100   INSTRUMENT_UNKNOWN
    multiplier  BUY 1 crude 50    MULTIPLIER_UNKNOWN
    notional    SELL 25 ce 12     PRICE_UNKNOWN
""")


@pytest.mark.parametrize("row", PROJECTED_UNKNOWN, ids=str)
@pytest.mark.parametrize("stop", [True, False])
def test_a_day_that_cannot_be_projected_is_refused(row: Row, stop: bool) -> None:
    """Each thing it needs, taken away on its own; a stop spares the order's own scenario, nothing else."""
    of = holding("fut 25", unpriced={"other": "fut", "price": "share", "notional": "NIFTY"}.get(row.what, ""))
    parameters = {**DAILY, "daily_loss_inr_max": "100000", "daily_loss_pct_max": 100}
    of.opening_equity_e4 = inr("100000")
    if row.what == "pnl":
        of.pnl = PnlReading(None, NOW, fresh_marks=True)
    elif row.what == "reading":
        of.pnl = None
    elif row.what == "equity":
        of.opening_equity_e4 = None
    elif row.what == "positions":
        of.position_seen_us = None
    elif row.what == "instrument":
        del of.instruments[SHARE.key]
    of.instruments[CRUDE.key] = replace(CRUDE, multiplier=None)
    of.instruments[CALL.key] = replace(CALL, strike_e4=None)
    sign = 1 if row.order.startswith("BUY") else -1
    prices = {1: "1", -1: "120"}
    reject = ask(projected_daily_loss.CHECK, ordering(row.order, prices[sign] if stop else None), of, **parameters)

    expected = "-" if row.what == "notional" and stop else row.expected
    assert code(reject) == expected
    assert reject is None or reject.max_quantity == 0
    if row.what == "equity":
        known = {**DAILY, "daily_loss_inr_max": "100000"}
        assert ask(projected_daily_loss.CHECK, ordering(row.order, "1"), of, **known) is None


def test_what_a_projection_asked_is_kept_by_name() -> None:
    """The journal says of which account the positions had been seen."""
    facts = Facts.of(asking("BUY 1 share 100"), holding("-"), NOW)
    params = projected_daily_loss.Parameters.read({**DAILY, "daily_loss_inr_max": "100000"}, where="the test")

    assert projected_daily_loss.check(facts, params) is None
    assert "unseen:ACCOUNT:leader" in str(facts.recorded())


MARGIN: dict[str, Any] = {"buffer_pct": "5", "short_margin_pct": "20", "funds_age_s_max": 60}


def funded(available: str, *, age_s: int = 0, book: str = "-", unpriced: str = "") -> Account:
    of = holding(book, unpriced=unpriced)
    of.funds_available_e4, of.funds_at_us = inr(available), NOW - age_s * SECOND
    return of


MARGINS = table("""
    why                              available  said   order              expected           measured
    as the broker said               1000       950    BUY 10 share 100   -                  -
    as the broker said               1000       950.01  BUY 10 share 100  MARGIN_NOT_ENOUGH  950.01
    a sale as the broker said        1000       950    SELL 10 share 100  -                  -
    a future as the broker said      1000       950    BUY 25 fut 251     -                  -
    a buy not asked about in full    1000       -      BUY 9 share 100    -                  -
    a buy not asked about in full    1000       -      BUY 10 share 100   MARGIN_NOT_ENOUGH  1000
    a market buy at its risk price   1000       -      BUY 9 share -      -                  -
    a market buy at its risk price   1000       -      BUY 10 share -     MARGIN_NOT_ENOUGH  1050
    a future in full                 1000       -      BUY 25 fut 251     MARGIN_NOT_ENOUGH  6275
    an option by premium             1000       -      BUY 75 ce 12       -                  -
    an option by premium             1000       -      BUY 100 ce 12      MARGIN_NOT_ENOUGH  1200
    a sale a fifth of notional       1000       -      SELL 47 share 100  -                  -
    a sale a fifth of notional       1000       -      SELL 48 share 100  MARGIN_NOT_ENOUGH  960
    a sold option by its underlying  1316       -      SELL 25 ce 12      -                  -
    a sold option by its underlying  1315       -      SELL 25 ce 12      MARGIN_NOT_ENOUGH  1250
    100 rupees a point               1000       -      SELL 1 crude 50    MARGIN_NOT_ENOUGH  1000
    nothing left                     0          -      BUY 1 share 100    MARGIN_NOT_ENOUGH  100
    less than nothing                -5         -      BUY 1 share 100    MARGIN_NOT_ENOUGH  100
""")


@pytest.mark.parametrize("row", MARGINS, ids=str)
def test_what_an_order_needs_must_be_there(row: Row) -> None:
    """Available less 5 %; landing on it passes. What would pass is reckoned by estimate: the broker said one quantity."""
    of, asked = funded(row.available), asking(row.order)
    if row.said != "-":
        of.margins[leg_of(asked)] = (inr(row.said), NOW)
    reject = ask(margin_available.CHECK, asked, of, **MARGIN)

    assert code(reject) == row.expected
    if reject is not None:
        assert reject.measured_raw == row.e4("measured") and reject.limit_raw == inr(row.available) * 95 // 100
        assert ("by estimate" in reject.detail) is (row.said == "-")
        assert_hint(margin_available.CHECK, asked, of, BY_NAME[row.order.split()[2]].lot_size, **MARGIN)


def test_the_broker_answers_for_exactly_one_leg() -> None:
    """Another quantity, side or product is another question: the estimate stands."""
    of, asked = funded("1000"), asking("BUY 25 fut 251")
    for other in ("BUY 50 fut 251", "SELL 25 fut 251", "BUY 25 fut 251 MARGIN", "BUY 25 ce 12"):
        of.margins = {leg_of(asking(other)): (inr("1"), NOW)}
        assert code(ask(margin_available.CHECK, asked, of, **MARGIN)) == "MARGIN_NOT_ENOUGH", other
    of.margins[leg_of(asked)] = (inr("1"), NOW)
    assert ask(margin_available.CHECK, asked, of, **MARGIN) is None


FUNDS = table("""
    age_s  expected
    0      -
    60     -
    61     MARGIN_UNKNOWN
    -2     -
    -3     MARGIN_UNKNOWN
""")


@pytest.mark.parametrize("row", FUNDS, ids=str)
def test_old_funds_are_no_funds(row: Row) -> None:
    """As old as allowed still counts, and a clock may be two seconds ahead."""
    asked = asking("BUY 1 share 100")
    reject = ask(margin_available.CHECK, asked, funded("1000", age_s=row.number("age_s")), **MARGIN)

    assert code(reject) == row.expected
    assert reject is None or (reject.max_quantity == 0 and reject.measured is None)


def test_funds_or_needs_nobody_knows_are_refused() -> None:
    """No funds row; no price and no answer; a permit since that cannot be valued."""
    asked = asking("BUY 1 share -")
    assert code(ask(margin_available.CHECK, asked, holding("-"), **MARGIN)) == "MARGIN_UNKNOWN"
    of = funded("1000", unpriced="share")
    assert code(ask(margin_available.CHECK, asked, of, **MARGIN)) == "MARGIN_UNKNOWN"
    of.margins[leg_of(asked)] = (inr("100"), NOW)
    assert ask(margin_available.CHECK, asked, of, **MARGIN) is None
    of.unfunded = (Unfunded(FUTURE.key, 1, 25, None, None),)
    assert code(ask(margin_available.CHECK, asked, of, **MARGIN)) == "MARGIN_UNKNOWN"


def test_what_was_approved_since_is_spoken_for() -> None:
    """Two orders in the second of one funds answer do not spend the same money."""
    of, asked = funded("1000"), asking("BUY 5 share 100")
    of.unfunded = (Unfunded(SHARE.key, 1, 4, inr("100"), None), Unfunded(SHARE.key, 1, 1, inr("100"), inr("73.60")))
    assert ask(margin_available.CHECK, asked, of, **MARGIN) is None  # (1000 − 473.60) × 0.95 = 500.08
    of.unfunded = (Unfunded(SHARE.key, 1, 4, inr("100"), None), Unfunded(SHARE.key, 1, 1, inr("100"), inr("73.70")))
    reject = ask(margin_available.CHECK, asked, of, **MARGIN)
    assert reject is not None and str(reject.limit) == "499.985" and reject.max_quantity == 4


def test_legs_of_one_basket_do_not_spend_the_same_money() -> None:
    """Each leg fits alone; together they do not, unless the broker said what all of them need at once."""
    of = funded("1000")
    of.limits = LimitSet(tuple(mandatory(margin_available=limit("margin_available", **MARGIN))))
    legs = [asking("BUY 5 share 100"), asking("BUY 1 stockfut 101").replaced(quantity=5)]
    assert all(decide(leg, of, NOW).approved for leg in legs)

    refused = decide_basket(legs, of, NOW)
    assert {each.code.value for leg in refused for each in leg.rejects} == {"MARGIN_NOT_ENOUGH", "BASKET_REFUSED"}
    assert of.unfunded == ()
    of.margins, of.margin_of_set = {leg_of(leg): (inr("900"), NOW) for leg in legs}, True
    assert all(leg.approved for leg in decide_basket(legs, of, NOW))
    of.margins, of.margin_of_set = {leg_of(leg): (inr("470"), NOW) for leg in legs}, False
    assert all(leg.approved for leg in decide_basket(legs, of, NOW))
    of.margins = {leg_of(leg): (inr("490"), NOW) for leg in legs}
    assert not any(leg.approved for leg in decide_basket(legs, of, NOW))


def test_exits_are_exempt() -> None:
    """A position is left without a stop, without margin and past the day's limit."""
    of = funded("0", book="share 10")
    of.pnl = PnlReading(-inr("90"), NOW, fresh_marks=True)
    bound = {
        "stop_required": limit("stop_required"), "risk_per_trade": limit("risk_per_trade", risk_inr_max="1"),
        "projected_daily_loss": limit("projected_daily_loss", **DAILY),
        "margin_available": limit("margin_available", **MARGIN),
    }  # fmt: skip
    of.limits = LimitSet(tuple(mandatory(**bound)))

    assert decide(asking("SELL 10 share 100"), of, NOW).approved
    entry = decide(asking("BUY 10 share 100"), of, NOW)
    assert [each.code.value for each in entry.rejects] == [
        "PROJECTED_LOSS_REACHED", "STOP_REQUIRED", "STOP_REQUIRED", "MARGIN_NOT_ENOUGH",
    ]  # fmt: skip
