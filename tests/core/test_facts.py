"""Facts of a record: what it does not hold is an error, never a zero."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from riskguard.core.account import TimeLog
from riskguard.core.facts import FactMissingError, Facts
from riskguard.core.instrument import Instrument
from riskguard.core.quote import Quote
from riskguard.core.scope import Scope
from riskguard.core.state import Cause, TradingState
from tests.core.builders import (
    FUTURE,
    NOW,
    SECOND,
    SHARE,
    account,
    facts,
    halted,
    inr,
    line,
    option,
    order,
    order_of,
    quote,
)  # fmt: skip

GLOBAL = Scope("GLOBAL")
UNIT = Scope("ACCOUNT", "leader")
MISSING: list[tuple[str, Callable[[Facts], Any]]] = [
    ("date", lambda found: found.session_date()),
    (f"sent:{SECOND}", lambda found: found.sent_in(SECOND)),
    (f"loops:{SECOND}", lambda found: found.loops_in(SECOND)),
    (f"leaves:1:{SECOND}", lambda found: found.sent_leaves_us(1, SECOND)),
    (f"attempts:{SECOND}", lambda found: found.attempts_in(SECOND)),
    (f"attempt-leaves:1:{SECOND}", lambda found: found.attempt_leaves_us(1, SECOND)),
    ("same", lambda found: found.same_order_us()),
    ("day:500", lambda found: found.day_counts(500)),
    ("feed", lambda found: found.feed_reference_e4()),
    ("entry_e4", lambda found: found.entry_e4()),
    ("bands", lambda found: found.bands_e4()),
    ("exposure:GLOBAL", lambda found: found.exposure(GLOBAL)),
    ("exposure:GLOBAL:NIFTY", lambda found: found.exposure(GLOBAL, "NIFTY")),
    ("reach:GLOBAL:underlying:lots", lambda found: found.reach(GLOBAL, per_underlying=True, in_lots=True)),
    ("reach:GLOBAL:instrument:units", lambda found: found.reach(GLOBAL, per_underlying=False, in_lots=False)),
    ("unseen:GLOBAL", lambda found: found.unseen(GLOBAL)),
    ("open:ACCOUNT:leader", lambda found: found.open_orders(UNIT)),
    ("stops:500", lambda found: found.losses_at_stops(500)),
    ("scenario:500", lambda found: found.scenario_e4(500)),
    ("opposite", lambda found: found.opposite_orders()),
    ("to-flat", lambda found: found.to_flat()),
    ("naked:GLOBAL", lambda found: found.uncovered(GLOBAL)),
    ("equity:GLOBAL", lambda found: found.equity_e4(GLOBAL)),
    ("funds", lambda found: found.funds()),
    ("margin", lambda found: found.margin()),
    ("held:500", lambda found: found.margin_held(500)),
    ("margin-basis", lambda found: found.margin_basis_e4()),
    ("hours", lambda found: found.hours()),
    ("auction", lambda found: found.in_auction()),
    ("next-open", lambda found: found.next_open_us()),
    ("modifications", lambda found: found.modifications_of()),
]
"""Every name a record is kept under: replay asks for these years later, so a name that changes forgets a fact."""


@pytest.mark.parametrize(("name", "read"), MISSING, ids=[name for name, _ in MISSING])
def test_what_was_not_read_then_cannot_be_read_now(name: str, read: Callable[[Facts], Any]) -> None:
    """What was read before the record was made is in it; what was not is named."""
    live, blind = (Facts.of(order_of(option()), account(instrument=option()), NOW, "", "seven") for _ in "12")
    known = read(live)
    assert name in live.recorded()["memo"]
    again = Facts.replayed(live.order, live.recorded())
    assert read(again) == known
    with pytest.raises(FactMissingError, match=f"^the record holds no `{name}`$"):
        read(Facts.replayed(order(), blind.recorded()))
    with pytest.raises(FactMissingError, match=f"^the record holds no `{name}`$"):
        read(blind)  # from the record on nothing more is read


def test_what_was_recorded_is_not_worked_out_again() -> None:
    """The reference a decision rested on stays what it was, whatever later code makes of the same quote."""
    live = facts(order(), account(quoted=quote("99", "100", "101")))
    assert live.reference_e4() == inr("100")
    kept = live.recorded()
    kept["memo"] = {**kept["memo"], "reference_e4": inr("77")}
    assert Facts.replayed(order(), kept).reference_e4() == inr("77")


def test_how_often_the_order_it_replaces_was_changed() -> None:
    """A new order replaces none; one nobody changed was changed never."""
    of = account(modifications={"seven": 3})
    counts = [Facts.of(order(), of, NOW, "", modifying).modifications_of() for modifying in ("", "seven", "eight")]
    assert counts == [0, 3, 0]


# -- what every order is asked about ------------------------------------------------------------------------------------


def test_nothing_known_of_is_nothing() -> None:
    """An empty account: no name behind an exit, nothing sellable, naked, waiting or leaving, and no state to speak of."""
    found = Facts.of(order(), account(), NOW)
    assert (found.emergency_by, found.modifying, found.state, found.state_said) == ("", "", TradingState.ACTIVE, "")
    assert (found.sellable, found.naked, found.exits_live, found.unanswered_since_us) == (0, 0, 0, None)
    assert (found.next_open_us(), found.day_counts(500), found.attempt_leaves_us(1, SECOND)) == (None, [0, 0], None)
    assert (found.loops_in(SECOND), found.sent_in(SECOND)) == ([0, 0], 0)


def test_what_waits_and_leaves_is_of_its_own_instrument() -> None:
    """Another instrument's exits and questions are not this one's."""
    of = account(reducing_live={FUTURE.key: 3}, unanswered={FUTURE.key: {"a": 5}})
    assert (facts(order(), of).exits_live, facts(order(), of).unanswered_since_us) == (0, None)
    of = account(reducing_live={SHARE.key: 3, FUTURE.key: 1}, unanswered={SHARE.key: {"a": 5, "b": 4}})
    assert (facts(order(), of).exits_live, facts(order(), of).unanswered_since_us) == (3, 4)


def test_only_a_delivery_is_sold_out_of_holdings() -> None:
    """What is held in another product is there to be closed, not to be delivered."""
    for product, sellable in (("CNC", 10), ("INTRADAY", 0)):
        assert facts(order("SELL", product=product), account(line(10, product=product))).sellable == sellable


def test_other_products_add_up_side_by_side() -> None:
    """All of them, each side at its worst; sales for delivery leave no short position, and its own line is none of them."""
    held = (
        line(7),
        line(5, product="MARGIN", buys=2),
        line(3, product="CNC", sells=9),
        line(-4, product="CO", sells=1),
    )
    found = facts(order(), account(*held, line(-6, product="BO")))
    assert (found.long_other, found.short_other) == (5 + 2 + 3, 4 + 1 + 6)


def test_what_is_naked_is_asked_of_a_hedge_alone() -> None:
    """A purchase that covers counts what it may cover; another sale of the same option adds to it and counts nothing."""
    call = option()
    short = account(
        line(-50, product="MARGIN"), instrument=call, others=((option("50002"), line(0, product="MARGIN")),)
    )
    hedge = facts(order_of(option("50002"), "BUY", 25, product="MARGIN"), short)
    assert (hedge.direction.value, hedge.naked) == ("HEDGING", 50)
    assert facts(order_of(call, "SELL", 25, product="MARGIN"), short).naked == 0


def test_whose_state_it_is_is_said_where_there_is_one() -> None:
    """Of the severest cause that holds the order; another strategy's says nothing, and one that stops nobody neither."""
    stops, other = halted("STRATEGY:dip"), halted("STRATEGY:mom", TradingState.REDUCE_ONLY)
    idle = Cause("STRATEGY:dip", TradingState.ACTIVE, "MANUAL", "", "desk", NOW)
    for causes, state, said in (
        ((stops, other), TradingState.HALTED, stops.sentence()), ((other,), TradingState.ACTIVE, ""),
        ((idle,), TradingState.ACTIVE, ""), ((), TradingState.ACTIVE, ""),
    ):  # fmt: skip
        found = facts(order(strategy="dip"), account(causes=causes))
        assert (found.state, found.state_said) == (state, said)


# -- prices -------------------------------------------------------------------------------------------------------------

CAPPED = replace(SHARE, upper_band_e4=inr("101"))
WIDE = replace(SHARE, protection_pct_e2=1_000)


@pytest.mark.parametrize(
    ("instrument", "fed", "evidence", "expected"),
    [
        (CAPPED, {}, None, "101"),
        (CAPPED, {"upper_band": "103"}, None, "103"),
        (CAPPED, {}, {"ask": "102"}, "102"),
        (CAPPED, {}, {"ask": "102", "upper_band": "104"}, "104"),
        (SHARE, {}, {"ask": "99"}, "105"),
        (SHARE, {}, {"ask": "102"}, "107.1"),
        (SHARE, {}, {"bid": "98", "ltp": "99", "ask": "104"}, "109.2"),
        (WIDE, {}, {"ask": "102"}, "112.2"),
        (SHARE, {}, {"ask": "102", "age_s": 5}, "107.1"),
        (SHARE, {}, {"ask": "102", "age_s": 6}, "105"),
        (option(), {}, {"ask": "102", "age_s": 30}, "122.4"),
        (option(), {}, {"ask": "102", "age_s": 31}, "120"),
    ],
)
def test_evidence_raises_the_price_a_market_order_is_judged_at(
    instrument: Instrument, fed: dict[str, str], evidence: dict[str, Any] | None, expected: str
) -> None:
    """As the feed's quote would: by its ask, its circuit and the instrument's own band, while it is fresh. Never lowered."""
    rides = {**evidence} if evidence else {}
    rides["at_us"] = NOW - rides.pop("age_s", 0) * SECOND
    asked = order_of(instrument, "BUY", 25, None, product="MARGIN", quote=Quote.of(**rides) if evidence else None)
    found = facts(asked, account(instrument=instrument, quoted=Quote.of(ltp="100", at_us=NOW, **fed)))  # type: ignore[arg-type]

    assert found.risk_price_e4() == inr(expected)


def test_a_market_sale_may_open_as_far_below_as_its_own_band() -> None:
    """10 % where the instrument says so, 5 % of a share else."""
    for instrument, expected in ((WIDE, "90"), (SHARE, "95")):
        of = account(instrument=instrument, quoted=quote(None, "100", None))
        assert facts(order_of(instrument, "SELL", 5, None), of).entry_e4() == inr(expected)


@pytest.mark.parametrize(
    ("instrument", "side", "spot", "expected"),
    [
        (SHARE, "SELL", None, None), (SHARE, "BUY", None, None), (option(), "BUY", "250", None),
        (option(), "SELL", "250", "12.5"), (option(), "SELL", None, None),
    ],
)  # fmt: skip
def test_a_move_without_a_price(instrument: Instrument, side: str, spot: str | None, expected: str | None) -> None:
    """Only a sold option loses by its underlying alone; everything else wants a price of its own, and an old one is none."""
    spots = {} if spot is None else {"NIFTY": Quote.of(ltp=spot, at_us=NOW)}
    of = account(instrument=instrument, spots=spots, quoted=quote(None, "100", None, age_s=600))
    found = facts(order_of(instrument, side, 25, None, product="MARGIN"), of)
    assert found.scenario_e4(500) == (None if expected is None else inr(expected))


# -- messages -----------------------------------------------------------------------------------------------------------


def test_loops_are_of_this_strategy_instrument_and_side() -> None:
    """Orders that filled and refusals, each by itself; another side's are none of them."""
    buys, sells = (("", SHARE.key, side) for side in ("BUY", "SELL"))
    log = TimeLog([NOW, NOW])
    assert facts(order(), account(cycles={buys: log})).loops_in(SECOND) == [2, 0]
    assert facts(order(), account(refused={buys: log})).loops_in(SECOND) == [0, 2]
    assert facts(order(), account(cycles={sells: log}, refused={sells: log})).loops_in(SECOND) == [0, 0]


def test_orders_of_another_band_are_not_of_this_one() -> None:
    """Who counts orders 5 % off the market does not count those 10 % off it."""
    found = facts(order(), account(day_orders={1_000: 4}, day_trades=2))
    assert (found.day_counts(500), found.day_counts(1_000)) == ([0, 2], [4, 2])
