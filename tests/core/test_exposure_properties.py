"""
What a limit says of an order is what the book says once the order works: over generated books where all is known.

Each measure has two ways to the same number, "and with q units more" and the book with q units working.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riskguard.core import exposure
from riskguard.core.account import Account
from riskguard.core.book import Line, Working
from riskguard.core.checks import by_name
from riskguard.core.direction import Direction, naked_short_units
from riskguard.core.facts import Facts
from riskguard.core.order import Order
from riskguard.core.scope import Scope
from tests.core.builders import NOW, ask, inr, order_of
from tests.core.market import BY_NAME, PRICES, holding

SCOPES = ["ACCOUNT:leader", "GROUP:desk", "GLOBAL", "STRATEGY:dip", "SEGMENT:NSE_FNO", "UNDERLYING:NIFTY"]
LIMITS: dict[str, dict[str, Any]] = {
    "net_position": {"position_max": "120", "unit": "units"},
    "position_value": {"position_value_inr_max": "12000"},
    "gross_exposure": {"gross_exposure_inr_max": "40000"},
    "net_exposure": {"net_exposure_inr_max": "15000"},
    "leverage": {"leverage_max": "40"},
    "concentration": {"concentration_pct_max": "1000"},
    "naked_short_option": {"naked_lots_max": 4},
    "open_order_value": {"open_order_value_inr_max": "12000"},
    "time_to_flat": {"flat_s_max": 3, "messages_per_s": 3},
    "projected_daily_loss": {"daily_loss_inr_max": "2000", "scenario_pct": "5"},
    "margin_available": {"buffer_pct": "5", "short_margin_pct": "20", "funds_age_s_max": 60},
}
thorough = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
held = st.integers(-4, 4)
lots = st.integers(1, 8)


@st.composite
def lines(draw: st.DrawFn, word: str, product: str) -> Line:
    lot = BY_NAME[word].lot_size
    made = Line(product, start=draw(held) * lot, seen_us=NOW)
    made.seen = draw(st.sampled_from([made.start, made.start, made.start + lot]))
    for number in range(draw(st.integers(0, 2))):
        sign = draw(st.sampled_from([1, -1]))
        group = draw(st.sampled_from(["", "", "g"]))
        key = f"w{number}"
        made.working[key] = Working(
            key, sign, draw(lots) * lot, reducing=bool(group), exit_group=group, risk_price_e4=inr(PRICES[word]),
            strategy=draw(st.sampled_from(["", "dip", "rip"])),
        )  # fmt: skip
    return made.refresh()


@st.composite
def books(draw: st.DrawFn, name: str) -> Account:
    made = holding("-", name)
    made.funds_available_e4, made.funds_at_us = inr("9000"), NOW
    for word in draw(st.lists(st.sampled_from(list(BY_NAME)), max_size=4)):
        product = draw(st.sampled_from(["INTRADAY", "MARGIN"] if word != "share" else ["INTRADAY", "MARGIN", "CNC"]))
        made.positions.setdefault(BY_NAME[word].key, {})[product] = draw(lines(word, product))
    return made


@st.composite
def cases(draw: st.DrawFn) -> tuple[Account, Order, str]:
    """A book with a sibling, an order it has room to think about, and a scope that holds it."""
    of, sibling = draw(books("leader")), draw(books("sibling"))
    of.peers = {"GROUP": (sibling,), "GLOBAL": (sibling,)}
    word = draw(st.sampled_from(list(BY_NAME)))
    instrument = BY_NAME[word]
    asked = order_of(
        instrument, draw(st.sampled_from(["BUY", "SELL"])), draw(lots) * instrument.lot_size, PRICES[word],
        product=draw(st.sampled_from(["INTRADAY", "MARGIN"])), strategy="dip",
    )  # fmt: skip
    for key, found in of.positions.items():
        for product in found:
            of.attributed["rip", key, product] = draw(st.integers(-20, 20))
    scope = draw(st.sampled_from([each for each in SCOPES if Scope.parse(each).holds(asked, instrument.underlying)]))
    return of, asked, scope


def with_it(of: Account, asked: Order) -> Account:
    """Let *asked* work in the book."""
    line = of.line(asked.instrument, asked.product)
    line.working["it"] = Working(
        "it", asked.sign, asked.quantity, reducing=False, risk_price_e4=asked.price_e4, strategy=asked.strategy
    )
    line.refresh()
    return of


@thorough
@given(cases())
def test_a_measure_with_the_order_is_the_measure_of_the_book_it_works_in(case: tuple[Account, Order, str]) -> None:
    """Gross, net, one instrument; reach by instrument and underlying; naked lots; open orders; time to flat."""
    of, asked, named = case
    scope, sign, quantity = Scope.parse(named), asked.sign, asked.quantity
    before = Facts.of(asked, of, NOW)
    instrument = of.instruments[asked.instrument]
    of_one = exposure.underlying_of(instrument)
    book, book_of_one = before.exposure(scope), before.exposure(scope, of_one)
    reaches = [before.reach(scope, per_underlying=flag, in_lots=False) for flag in (False, True)]
    bare, count, messages = before.uncovered(scope), before.open_orders(scope), before.to_flat().after(sign, quantity)
    after = Facts.of(asked, with_it(of, asked), NOW)

    found, found_of_one = after.exposure(scope), after.exposure(scope, of_one)
    assert not book.unknown and not found.unknown
    assert found.gross(sign, 0) == book.gross(sign, quantity)
    assert found_of_one.gross(sign, 0) == book_of_one.gross(sign, quantity)
    assert found.net(sign, 0) == book.net(sign, quantity)
    assert found.instrument(sign, 0) == book.instrument(sign, quantity)
    for one, flag in zip(reaches, (False, True), strict=True):
        other = after.reach(scope, per_underlying=flag, in_lots=False)
        now = (other.up, other.long) if sign > 0 else (-other.down, other.short)
        assert now == ((one.up + quantity, one.long) if sign > 0 else (-one.down + quantity, one.short))
    if sign < 0 and instrument.is_option:
        assert after.uncovered(scope).after(0) == bare.after(quantity)
    added = exposure.open_orders(of, scope)
    value_e4 = quantity * (asked.price_e4 or 0) * (instrument.multiplier or 0)
    assert added == (count[0] + 1, count[1] + value_e4, "")
    assert after.to_flat().after(sign, 0) - 1 == messages


@thorough
@given(cases(), st.sampled_from(sorted(LIMITS)))
def test_the_quantity_a_refusal_names_is_the_most_that_passes(case: tuple[Account, Order, str], name: str) -> None:
    """`max_quantity` passes, one lot more does not, and nothing is unknown in a book where all is known."""
    of, asked, scope = case
    check, lot = by_name(name), of.instruments[asked.instrument].lot_size
    reject = ask(check, asked, of, scope=scope, **LIMITS[name])
    if reject is None:
        return

    assert reject.measured is not None and reject.max_quantity is not None and reject.max_quantity < asked.quantity
    if reject.max_quantity:
        assert ask(check, asked.replaced(quantity=reject.max_quantity), of, scope=scope, **LIMITS[name]) is None
    above = asked.replaced(quantity=reject.max_quantity + lot)
    assert ask(check, above, of, scope=scope, **LIMITS[name]) is not None


@thorough
@given(cases())
def test_losses_grow_by_no_more_than_the_order_was_said_to_lose(case: tuple[Account, Order, str]) -> None:
    """The projection of an order is never less than that of the book in which it works."""
    of, asked, _ = case
    here = Scope("ACCOUNT", "leader")
    before_e4, unknown = exposure.losses_at_stops(of, here, 500)
    each_e4 = Facts.of(asked, of, NOW).scenario_e4(500)
    after_e4, _ = exposure.losses_at_stops(with_it(of, asked), here, 500)

    assert not unknown and each_e4 is not None
    assert before_e4 <= after_e4 <= before_e4 + asked.quantity * each_e4


@thorough
@given(st.data())
def test_a_hedge_is_worth_what_it_covers(data: st.DataObject) -> None:
    """The units a HEDGING order is said to cover are those the naked ones fall by, however much is bought."""
    of = holding("-")
    for word in ("ce", "near", "pe"):
        of.positions[BY_NAME[word].key] = {"INTRADAY": data.draw(lines(word, "INTRADAY"))}
    instrument = BY_NAME[data.draw(st.sampled_from(["ce", "near"]))]
    facts = Facts.of(order_of(instrument, "BUY", 25, "12", product="MARGIN"), of, NOW)
    book = instrument, of.positions, of.instruments
    bare = naked_short_units(*book)
    if facts.direction is not Direction.HEDGING:
        assert naked_short_units(*book, instrument.key, 10**9) == bare
        return

    assert facts.naked > 0
    for bought, covered in ((facts.naked - 1, facts.naked - 1), (facts.naked, facts.naked), (10**6, facts.naked)):
        assert naked_short_units(*book, instrument.key, bought) == bare - covered
