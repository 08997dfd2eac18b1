"""What holds of every decision, over generated accounts and orders: total, replayable, and its hints are true."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riskguard import data
from riskguard.core.account import Account, PnlReading, TimeLog, Unfunded, signature
from riskguard.core.book import Line, Working
from riskguard.core.calendar import Calendar
from riskguard.core.checks import CHECKS
from riskguard.core.decide import Decision, decide, judge
from riskguard.core.exposure import underlying_of
from riskguard.core.facts import Facts, canonical, leg_of
from riskguard.core.instrument import Instrument
from riskguard.core.limits import LimitSet
from riskguard.core.order import Order
from riskguard.core.quote import Quote
from riskguard.core.reject import PRECEDENCE
from riskguard.core.state import Cause, TradingState
from tests.core.builders import FUTURE, LOSS, NOW, SECOND, SHARE, limit, option

CRUDE = Instrument("MCX_COMM", "77", "CRUDEOIL", "FUTCOM", tick_e4=10_000, multiplier=None, underlying="CRUDEOIL")
BANDED = Instrument("BSE_EQ", "500180", "HDFCBANK", upper_band_e4=1_200_000, lot_size=1)
OPTIONS = (option("1", expiry="2024-06-13"), option("2"), option("3", kind="PE"))
RULED = replace(
    option("4"), freeze_quantity=40, order_value_max_e4=40_000_000, lower_band_e4=300_000, upper_band_e4=1_500_000,
    stop_gap_pct_e2=2_000, stop_gap_abs_e4=100_000, lpp_pct_e2=4_000, lpp_abs_e4=200_000,
)  # fmt: skip
GONE = replace(option("5"), expiry="2024-06-03")
INSTRUMENTS = (SHARE, FUTURE, CRUDE, BANDED, *OPTIONS, RULED, GONE)
CALENDAR = Calendar.parse(data.calendar_text())
PRODUCTS = ("INTRADAY", "MARGIN", "CNC", "MTF")
CHECK_NAMES = [check.name for check in CHECKS]
WINDOWS = [{"messages_max": 5, "reserve": 2, "per_s": 1}, {"messages_max": 9, "reserve": 1, "per_s": 60}]

WHOSE = ["", "dip", "rip"]
small = st.integers(-60, 60)
few = st.integers(0, 60)
moments = st.sampled_from(
    [NOW - age_us for age_us in (0, 0, 0, 0, SECOND, 3 * SECOND, 60 * SECOND, 60 * SECOND + 1, -2 * SECOND - 1)]
    + [None]
)
ticks = st.one_of(st.integers(200, 4_000), st.integers(200, 4_000), st.integers(1, 40))
prices_e4 = ticks.map(lambda count: count * 500)  # 10 to 200 rupees, and now and then less than two


@st.composite
def quotes(draw: st.DrawFn) -> Quote:
    low, high = sorted((draw(prices_e4), draw(prices_e4)))
    bid, ask = draw(st.sampled_from([(low, high), (None, high), (low, None), (None, None)]))
    ltp = draw(st.one_of(st.none(), prices_e4)) if bid is not None or ask is not None else draw(prices_e4)
    return Quote(ltp, bid, ask, NOW - draw(st.integers(-3 * SECOND, 40 * SECOND)))


@st.composite
def lines(draw: st.DrawFn, product: str) -> Line:
    made = Line(product, start=draw(small), seen_us=NOW, sellable_start=draw(few), sellable_now=draw(st.none() | few))
    made.seen = made.start
    if draw(st.booleans()):  # the day has moved on, and the list may lag
        made.filled, made.seen = draw(small), draw(st.none() | small)
        made.last_fill_us = draw(st.sampled_from([0, NOW, NOW - 6 * SECOND]))
    for number in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        made.working[f"w{number}"] = Working(
            f"w{number}", draw(st.sampled_from([1, -1])), draw(few), draw(st.booleans()), draw(st.booleans()),
            draw(st.sampled_from(["", "g"])), price_e4=draw(st.none() | prices_e4), strategy=draw(st.sampled_from(WHOSE)),
            trigger_price_e4=draw(st.none() | prices_e4), risk_price_e4=draw(st.none() | prices_e4),
        )  # fmt: skip
    return made.refresh()


@st.composite
def limit_sets(draw: st.DrawFn) -> LimitSet:
    """Every kind of limit, at figures that small orders land on; now and then one missing, narrow or in shadow."""
    rupees = st.sampled_from([1_000, 10_000, 100_000])
    parameters: dict[str, dict[str, Any]] = {
        "trading_state": draw(st.sampled_from([{}, {"hedge_premium_inr_max": "3000"}])),
        "order_validity": {}, "lot_size": {}, "price_tick": {},
        "data_freshness": {"snapshot_age_s_max": 60}, "sweep_heartbeat": {"intervals_max": 3},
        "daily_loss": {**LOSS, **draw(st.sampled_from([{"daily_loss_inr_max": "500"}, {"daily_loss_pct_max": 5}]))},
        "order_quantity": {"quantity_max": draw(st.integers(1, 80)), "unit": draw(st.sampled_from(["units", "lots"]))},
        "order_value": {"order_value_inr_max": draw(st.sampled_from([100, 3_000, 30_000]))},
        "net_position": {
            "position_max": draw(st.sampled_from([20, 90, 3_000, 30_000])),
            **draw(st.sampled_from([
                {"unit": "units"}, {"unit": "lots"}, {"unit": "inr"}, {"unit": "unconfirmed"},
                {"unit": "units", "per": "underlying"}, {"unit": "lots", "per": "underlying"},
            ])),
        },
        "unconfirmed_in_flight": {"answer_s_max": 5}, "duplicate_order": {"within_s": 2},
        "order_rate": {"windows": WINDOWS}, "attempt_rate": {"attempts_max": 3, "per_s": 1},
        "projected_daily_loss": {"daily_loss_inr_max": draw(st.sampled_from([50, 500, 5_000])), "scenario_pct": "5"},
        "stop_required": {}, "risk_per_trade": {"risk_inr_max": draw(st.sampled_from([50, 500])), "risk_pct_max": "0.5"},
        "naked_short_option": {"naked_lots_max": draw(st.sampled_from(["none", 1, 2, 4]))},
        "position_value": {"position_value_inr_max": draw(rupees)},
        "gross_exposure": {"gross_exposure_inr_max": draw(rupees)}, "net_exposure": {"net_exposure_inr_max": draw(rupees)},
        "leverage": {"leverage_max": "0.5"}, "concentration": {"concentration_pct_max": "12.5"},
        "margin_available": {"buffer_pct": "5", "short_margin_pct": "20", "funds_age_s_max": 30},
        "open_order_value": {"open_order_value_inr_max": draw(rupees)}, "open_order_count": {"open_orders_max": 3},
        "time_to_flat": {"flat_s_max": draw(st.sampled_from([1, 3])), "messages_per_s": 3}, "self_trade": {},
        **draw(conduct()),
    }  # fmt: skip
    assert sorted(parameters) == sorted(CHECK_NAMES)
    some = st.sampled_from([*[""] * 2 * len(CHECK_NAMES), *CHECK_NAMES])
    missing, narrow, shadowed = draw(some), draw(some), draw(some)
    scope = draw(
        st.sampled_from(["ACCOUNT:leader", "STRATEGY:dip", "SEGMENT:NSE_FNO", "UNDERLYING:NIFTY", "GROUP:desk"])
    )
    wide = draw(st.sampled_from(["GLOBAL", "ACCOUNT:leader"]))
    made = []
    for name in CHECK_NAMES:
        mode = "shadow" if name == shadowed else "enforce"
        if name != missing:
            made.append(limit(name, scope=scope if name == narrow else wide, mode=mode, **parameters[name]))
    return LimitSet(tuple(made))


@st.composite
def conduct(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    """Parameters of what the exchange takes, when, and how a strategy behaves; mostly wide, or nothing would pass."""
    collars = [{"collar_pct_max": 1_000}, {"collar_pct_max": 1_000, "collar_ticks_max": 40}, {"collar_pct_max": 5}]
    now, later = [{"open": "09:15", "close": "09:16"}], [{"open": "10:00", "close": "11:00"}]
    hours = {"unknown_day": draw(st.sampled_from(["allow", "allow", "refuse"])),
             "windows": draw(st.sampled_from(["session", "session", now, later])),
             "square_off_tail_s": draw(st.sampled_from(["none", "none", 900, 86_400]))}  # fmt: skip
    loops = st.sampled_from([2, 100, 100])
    return {
        "permission": draw(st.sampled_from([
            {"sides_allowed": ["BUY", "SELL"]}, {"sides_allowed": ["BUY", "SELL"]}, {"sides_allowed": ["SELL"]},
            {"segments_allowed": ["NSE_EQ", "NSE_FNO", "MCX_COMM"], "symbols_denied": ["HDFCBANK"]},
            {"underlyings_banned": ["NIFTY"]}, {"series_denied": ["BE"]},
        ])),
        "trading_window": hours,
        "freeze_quantity": {}, "stop_limit_gap": {}, "price_band": {},
        "price_collar": {name: draw(st.sampled_from(collars)) for name in ("share", "future", "option")},
        "clock_skew": {"ahead_s_max": 3}, "signal_age": {"signal_age_s_max": 5},
        "repeated_execution": {"trip_at_fills": draw(loops), "trip_at_refusals": draw(loops), "per_s": 60},
        "modification_count": {"modifications_max": 25},
        "order_to_trade_ratio": {"orders_per_trade_max": 2, "exempt_band_pct_max": "0.75", "orders_free": 5},
    }  # fmt: skip


STOPPABLE = ["GLOBAL", "ACCOUNT:leader", "STRATEGY:dip", "SEGMENT:NSE_EQ", "UNDERLYING:NIFTY", "INSTRUMENT:MCX_COMM:77"]


@st.composite
def surroundings(draw: st.DrawFn, made: Account, asked: Order) -> None:
    """What only some limits ask for: prices of what is held, funds, margins, other accounts, whose fills are whose."""
    for key in made.positions:
        if draw(st.integers(0, 3)):
            made.quotes.setdefault(key, draw(quotes()))
    if draw(st.booleans()):
        made.spots["NIFTY"] = draw(quotes())
    made.funds_available_e4 = draw(st.sampled_from([None, -1, 5_000_000, 500_000_000]))
    made.funds_at_us = draw(moments)
    if draw(st.booleans()):
        made.margins[leg_of(asked)] = (draw(st.sampled_from([1, 4_000_000, 900_000_000])), NOW)
        made.unfunded = (
            Unfunded(draw(st.sampled_from(INSTRUMENTS)).key, draw(st.sampled_from([1, -1])), 10, 9_000, None),
        )
    made.attributed = {(name, asked.instrument, asked.product): draw(small) for name in ("dip", "rip")}
    others = []
    for name in ("sibling", "stranger")[: draw(st.sampled_from([0, 0, 1, 2]))]:
        other = Account(name, made.session_date, instruments=made.instruments, position_seen_us=draw(moments))
        other.opening_equity_e4, other.pnl = draw(st.sampled_from([10**9, None])), PnlReading(0, NOW, fresh_marks=True)
        held = draw(st.sampled_from([asked.instrument, *(each.key for each in INSTRUMENTS)]))
        other.positions[held] = {"INTRADAY": draw(lines("INTRADAY"))}
        others.append(other)
    made.peers = {"GROUP": tuple(others[:1]), "GLOBAL": tuple(others)}
    loop = (asked.strategy, asked.instrument, asked.side)
    made.cycles = {loop: TimeLog([NOW - 61 * SECOND] + [NOW] * draw(st.integers(0, 3)))}
    made.refused = {loop: TimeLog([NOW] * draw(st.integers(0, 3)))}
    made.day_orders, made.day_trades = {75: draw(st.integers(0, 9))}, draw(st.integers(0, 3))
    made.calendar = draw(st.sampled_from([None, CALENDAR, CALENDAR]))
    made.auction_names = draw(st.sampled_from([None, frozenset({"HDFCBANK"})]))


@st.composite
def accounts(draw: st.DrawFn, asked: Order) -> Account:
    """An account that usually holds, quotes and watches what is asked about, and sometimes does not."""
    made = Account("leader", "2024-06-04", limits=draw(limit_sets()))
    forgotten = draw(st.sampled_from([None, None, None, *INSTRUMENTS]))
    made.instruments = {each.key: each for each in INSTRUMENTS if each is not forgotten}
    keys = [asked.instrument, asked.instrument, *(each.key for each in INSTRUMENTS)]
    for key in draw(st.lists(st.sampled_from(keys), min_size=1, max_size=4)):
        product = draw(st.sampled_from([asked.product, *PRODUCTS]))
        made.positions.setdefault(key, {})[product] = draw(lines(product))
    if draw(st.integers(0, 3)):
        made.quotes[asked.instrument] = draw(quotes())
    if draw(st.integers(0, 3)) == 3:
        made.unanswered[asked.instrument] = {"x": NOW - draw(st.integers(0, 9 * SECOND))}
        made.reducing_live[asked.instrument] = draw(st.integers(0, 1))
    made.position_seen_us, made.sweep_at_us = draw(moments), draw(moments)
    made.sweep_interval_us = draw(st.sampled_from([SECOND, SECOND, 20 * SECOND, 0]))
    pnl_e4 = draw(st.sampled_from([0, 0, 0, 50_000, None, -4_999_999, -5_000_000, -90_000_000]))
    made.pnl = draw(st.sampled_from([PnlReading(pnl_e4, NOW, fresh_marks=True)] * 5 + [None]))
    made.opening_equity_e4 = draw(st.sampled_from([10**9, 10**9, 10**9, None, 0, -1]))
    made.sent = TimeLog(sorted(NOW - age_us for age_us in draw(st.lists(st.integers(0, 70 * SECOND), max_size=4))))
    made.granted = draw(st.sampled_from([0, 0, 0, 1, 4]))
    made.attempts = {"dip": TimeLog([NOW] * draw(st.integers(0, 3)))}
    draw(surroundings(made, asked))
    if draw(st.integers(0, 2)) == 2:
        states = st.sampled_from([TradingState.REDUCE_ONLY, TradingState.HALTED])
        scopes = draw(st.sets(st.sampled_from(STOPPABLE), min_size=1, max_size=2))
        made.causes = tuple(Cause(scope, draw(states), "MANUAL", "", "desk", NOW) for scope in sorted(scopes))
    made.settle_state()
    return made


@st.composite
def orders(draw: st.DrawFn) -> Order:
    instrument = draw(st.sampled_from(INSTRUMENTS))
    side, order_type = draw(st.sampled_from(["BUY", "SELL"])), draw(
        st.sampled_from(["LIMIT", "LIMIT", "MARKET", "STOP_LOSS", "STOP_LOSS_MARKET"])
    )  # fmt: skip
    low, high = sorted((draw(prices_e4) + draw(st.sampled_from([0, 0, 0, 100])), draw(prices_e4)))
    price_e4, trigger_e4 = (high, low) if side == "BUY" else (low, high)
    quantity = draw(st.one_of(st.integers(1, 60), st.integers(1, 3).map(lambda lots: lots * instrument.lot_size)))
    return Order(
        account="leader", exchange_segment=instrument.exchange_segment, security_id=instrument.security_id, side=side,
        product=draw(st.sampled_from(["INTRADAY", "MARGIN", *PRODUCTS])), order_type=order_type, quantity=quantity,
        price=f"{price_e4 // 10_000}.{price_e4 % 10_000:04d}" if order_type in ("LIMIT", "STOP_LOSS") else None,
        trigger_price=f"{trigger_e4 // 10_000}.{trigger_e4 % 10_000:04d}" if order_type.startswith("STOP") else None,
        strategy=draw(st.sampled_from(["", "dip"])), quote=draw(st.one_of(st.none(), quotes())),
        disclosed_quantity=draw(st.sampled_from([0] * 9 + [1])), signal_at=NOW - draw(st.sampled_from([0, 0, 0, 6 * SECOND])),
        stop_loss=draw(st.none() | st.just("0.01" if side == "BUY" else "999.95")),
    )  # fmt: skip


@st.composite
def cases(draw: st.DrawFn) -> tuple[Account, Order]:
    """An order, and an account that usually has to do with it."""
    asked = draw(orders())
    return draw(accounts(asked)), asked


EXIT_CODES = {
    "TRADING_HALTED", "REDUCE_ONLY", "CHECK_BROKEN", "UNCONFIRMED_IN_FLIGHT", "ORDER_RATE_ABOVE_LIMIT",
    "DISCLOSED_QUANTITY_OUT_OF_RANGE", "SELF_TRADE", "ABOVE_FREEZE_QUANTITY", "ORDER_VALUE_ABOVE_LIMIT",
    "PRICE_OUTSIDE_COLLAR", "NOT_PERMITTED", "OUTSIDE_TRADING_WINDOW", "CONTRACT_EXPIRED", "STOP_ORDER_NOT_TAKEN",
}  # fmt: skip
LOTS = {
    "freeze_quantity", "order_quantity", "order_value", "net_position", "position_value", "gross_exposure",
    "net_exposure", "leverage", "concentration", "naked_short_option", "open_order_value", "time_to_flat",
    "projected_daily_loss", "risk_per_trade",
}  # fmt: skip
"""Checks whose `max_quantity` is the most that passes: one lot more does not."""
SIZED = LOTS | {"order_validity", "trading_state", "margin_available"}
thorough = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def facts_of(decision: Decision) -> Facts:
    assert decision.facts is not None
    return decision.facts


@thorough
@given(cases(), st.sampled_from(["", "", "asha"]), st.booleans())
def test_every_decision_is_whole_and_replays(case: tuple[Account, Order], by: str, doubled: bool) -> None:
    """Never an exception; approved exactly when nothing refuses; the record alone gives the same answer."""
    of, asked = case
    if doubled:
        of.same = {signature(asked): NOW - SECOND}
    decision = decide(asked, of, NOW, by)

    assert decision.approved is not bool(decision.rejects)
    places = [PRECEDENCE[each.code] for each in decision.rejects]
    assert places == sorted(places)
    said = {each.code.value for each in (*decision.rejects, *decision.shadow_rejects)}
    assert "CHECK_BROKEN" not in said, decision.explain()
    if decision.direction == "REDUCING":
        assert said <= EXIT_CODES
    json.dumps(decision.as_dict(), allow_nan=False)

    record = canonical(facts_of(decision).recorded())
    facts = Facts.replayed(asked.replaced(quote=None), json.loads(record))
    instrument = facts_of(decision).instrument
    underlying = "" if instrument is None else underlying_of(instrument)
    again = judge(facts, LimitSet(of.limits.limits).plan(asked, underlying))
    assert [each.kept() for each in again.rejects] == [each.kept() for each in decision.rejects]
    assert [each.kept() for each in again.shadow_rejects] == [each.kept() for each in decision.shadow_rejects]
    assert again.direction == decision.direction and again.adjusted_to == decision.adjusted_to
    assert canonical(facts.recorded()) == record


@thorough
@given(cases())
def test_a_stopped_account_lets_only_exits_out(case: tuple[Account, Order]) -> None:
    """HALTED approves nothing without a person, and REDUCE_ONLY nothing that adds risk but a hedge."""
    of, asked = case
    decision = decide(asked, of, NOW)
    if not decision.approved:
        return
    state = facts_of(decision).state

    assert state is not TradingState.HALTED
    assert state is TradingState.ACTIVE or decision.direction in ("REDUCING", "HEDGING")


@thorough
@given(cases())
def test_nothing_unknown_adds_risk(case: tuple[Account, Order]) -> None:
    """Without a complete position list an order is INCREASING; under the mandatory limits it is refused."""
    of, asked = case
    of.position_seen_us = None
    decision = decide(asked, of, NOW)

    assert decision.direction == "INCREASING"
    enforced = {each.check.name for each in of.limits.limits if each.mode == "enforce" and each.scope.kind == "GLOBAL"}
    assert "data_freshness" not in enforced or not decision.approved


@thorough
@given(cases())
def test_the_quantity_a_refusal_names_really_passes(case: tuple[Account, Order]) -> None:
    """`max_quantity` passes the limit that named it; a lot more does not. None and 0 promise nothing."""
    of, asked = case
    decision = decide(asked, of, NOW)
    by_id = {each.id: each for each in of.limits.limits}
    for reject in (*decision.rejects, *decision.shadow_rejects):
        if reject.check not in SIZED or reject.limit_id not in by_id or not reject.max_quantity:
            continue
        bound = by_id[reject.limit_id]
        plain = {"disclosed_quantity": 0}
        passing = asked.replaced(quantity=reject.max_quantity, **plain)
        run = bound.check.question(bound.scope, bound.params)
        assert run(Facts.of(passing, of, NOW), bound.params) is None, reject
        if reject.check in LOTS:
            instrument = of.instruments.get(asked.instrument)
            lot = 1 if instrument is None else instrument.lot_size
            above = asked.replaced(quantity=reject.max_quantity + lot, **plain)
            assert run(Facts.of(above, of, NOW), bound.params) is not None, reject
