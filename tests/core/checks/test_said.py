"""
What a refusal says, whole: the words people read beside an order, the figures programs read, and when time frees it.

`said.txt` has a line for each question here: `code: detail; hint | measured of limit unit | what would pass | frees in µs`,
money in 1/10000 rupee, `-` for what is not there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from riskguard import data
from riskguard.core import measure
from riskguard.core.account import Account, PnlReading, TimeLog, Unfunded, signature
from riskguard.core.calendar import Calendar
from riskguard.core.checks import CHECKS, EVERY, by_name
from riskguard.core.facts import Facts, leg_of
from riskguard.core.order import Order
from riskguard.core.quote import Quote
from riskguard.core.reject import Reject, RejectCode
from riskguard.core.scope import Scope
from riskguard.core.state import TradingState
from riskguard.errors import RulebookError
from tests.core.builders import (
    LOSS,
    NOW,
    SECOND,
    SHARE,
    WINDOW,
    account,
    halted,
    inr,
    line,
    option,
    order,
    order_of,
    quote,
)
from tests.core.checks.test_trading_state import HEDGE, hedged
from tests.core.checks.test_trading_window import at
from tests.core.market import CALL, CRUDE, FUTURE, asking, holding, working

BY_NAME = {check.name: check for check in CHECKS}
CALENDAR = Calendar.parse(data.calendar_text())
GROUP = "GROUP:desk"


def refusal(
    check: str, asked: Order, of: Account, scope: str = "ACCOUNT:leader", now_us: int = NOW, by: str = "",
    modifying: str = "", **parameters: Any,
) -> Reject | None:  # fmt: skip
    """Ask one check as a limit of *scope* would."""
    its = BY_NAME[check]
    params = its.params.read(parameters, where="the test")
    return its.question(Scope.parse(scope), params)(Facts.of(asked, of, now_us, by, modifying), params)


def said(reject: Reject | None, now_us: int = NOW) -> str:
    """Write a refusal as one line."""
    assert reject is not None

    def shown(value: object) -> str:
        return "-" if value is None else str(value)

    words = "; ".join("-" if each == "" else str(each) for each in (reject.detail, reject.hint))
    figures = f"{shown(reject.measured_raw)} of {shown(reject.limit_raw)} {reject.unit or '-'}"
    frees = None if reject.frees_at_us is None else reject.frees_at_us - now_us
    return f"{reject.code.value}: {words} | {figures} | {shown(reject.max_quantity)} | {shown(frees)}"


def told(check: str, asked: Order, of: Account, scope: str = "ACCOUNT:leader", **parameters: Any) -> str:
    return said(refusal(check, asked, of, scope, **parameters))


def without(of: Account, *instruments: Any) -> Account:
    """The account that does not know them."""
    for each in instruments:
        del of.instruments[each.key]
    return of


def having(of: Account, **fields: Any) -> Account:
    for name, value in fields.items():
        setattr(of, name, value)
    return of


def sent(*ages_us: int) -> TimeLog:
    return TimeLog(sorted(NOW - age_us for age_us in ages_us))


def blind(book: str = "-") -> Account:
    """A group of two, whose other account nobody has seen whole."""
    made, other = holding(book), holding("-", "sibling")
    other.position_seen_us = None
    made.peers = {"GROUP": (other,), "GLOBAL": (other,)}
    return made


def resting(*orders: Any) -> Account:
    """A flat line of shares, with orders that work."""
    made = holding("share 0")
    made.positions[SHARE.key]["INTRADAY"].working = {each.key: each for each in orders}
    return made


def sold(trigger: str | None = None) -> Order:
    """A sale of one share at market; a stop where *trigger* is named."""
    made = asking("SELL 1 share -")
    return made if trigger is None else made.replaced(order_type="STOP_LOSS_MARKET", trigger_price=trigger)


BUY, CALL_SOLD = asking("BUY 10 share 100"), asking("SELL 25 ce 12")
COLLARS: dict[str, Any] = {
    "share": {"collar_pct_max": "2.5"}, "future": {"collar_pct_max": 1}, "option": {"collar_ticks_max": 20},
}  # fmt: skip
PROTECTED = replace(option(), stop_gap_abs_e4=inr("10"), lpp_abs_e4=inr("20"))
BANDED = replace(SHARE, lower_band_e4=inr("90"), upper_band_e4=inr("110"))
MARGIN: dict[str, Any] = {"buffer_pct": 5, "short_margin_pct": 20, "funds_age_s_max": 60}


def funded(available: str = "100", age_s: int = 0, **more: Any) -> Account:
    return having(holding("-"), funds_available_e4=inr(available), funds_at_us=NOW - age_s * SECOND, **more)


def on(when: str, of: Account, **more: Any) -> Account:
    """The account on a day of the calendar that is shipped."""
    return having(of, calendar=CALENDAR, session_date=when[:10], **more)


def timed(
    asked: Order, when: str, of: Account | None = None, auction: frozenset[str] | None = None, **more: Any
) -> str:
    """What `trading_window` says at *when*, and how long from then."""
    parameters = {"unknown_day": "refuse", "windows": "session", "square_off_tail_s": "none"} | more
    at_us = at(when)
    made = on(when, of or account(), auction_names=auction)
    return said(refusal("trading_window", asked, made, now_us=at_us, **parameters), at_us)


def stopped(state: TradingState, *lines: Any, **more: Any) -> Account:
    return account(*lines, causes=(halted(state=state),), **more)


# fmt: off
SAID: dict[str, list[Callable[[], str]]] = {
    "trading_state": [
        lambda: told("trading_state", order(), stopped(TradingState.HALTED)),
        lambda: told("trading_state", order("SELL", 11), stopped(TradingState.REDUCE_ONLY, line(10))),
        lambda: told("trading_state", order("SELL", 13, product="CNC"), stopped(TradingState.REDUCE_ONLY,
            line(10, product="CNC", sellable_start=2))),
        lambda: told("trading_state", order("SELL", 3), stopped(TradingState.REDUCE_ONLY, line(10), known=False)),
        lambda: told("trading_state", order(quantity=3), stopped(TradingState.REDUCE_ONLY, line(-10, buys=8))),
        lambda: told("trading_state", order_of(HEDGE, quantity=50, product="MARGIN"), hedged(), hedge_premium_inr_max=3750),
        lambda: told("trading_state", order_of(HEDGE, "SELL", product="MARGIN"), hedged(50)),
        lambda: told("trading_state", order_of(HEDGE, price=None, product="MARGIN"), having(hedged(), quotes={}),
            hedge_premium_inr_max=3750),
    ],
    "order_validity": [
        lambda: told("order_validity", order("SELL", 10, product="CNC"), account(line(8, product="CNC", sells=5))),
        lambda: told("order_validity", order("SELL", 10, product="CNC"), account(line(5, product="CNC", sells=8))),
        lambda: told("order_validity", order(), without(account(), SHARE)),
        lambda: told("order_validity", order(quantity=1000, disclosed_quantity=299), account()),
    ],
    "permission": [
        lambda: told("permission", order(), account(), segments_allowed=["NSE_FNO"]),
        lambda: told("permission", order(), account(), products_allowed=["CNC"]),
        lambda: told("permission", order(), account(), order_types_allowed=["MARKET"]),
        lambda: told("permission", order(), account(), sides_allowed=["SELL"]),
        lambda: told("permission", order("SELL"), account(line(10)), sides_allowed=["BUY"]),
        lambda: told("permission", order(), account(), instruments_allowed=["NSE_EQ:11"]),
        lambda: told("permission", order(), account(), instruments_denied=["NSE_EQ:1333"]),
        lambda: told("permission", CALL_SOLD, holding("-"), underlyings_allowed=["BANKNIFTY"]),
        lambda: told("permission", CALL_SOLD, holding("-"), underlyings_denied=["NIFTY"]),
        lambda: told("permission", CALL_SOLD, holding("-"), underlyings_banned=["NIFTY"]),
        lambda: told("permission", order(), account(), symbols_denied=["HDFCBANK"]),
        lambda: told("permission", order(), account(), series_allowed=["EQ"]),
        lambda: told("permission", order(), account(instrument=replace(SHARE, series="BE")), series_allowed=["EQ"]),
        lambda: told("permission", order(), account(instrument=replace(SHARE, series="BE")), series_denied=["BE"]),
    ],
    "trading_window": [
        lambda: timed(order(), "2024-06-04 08:15:00"),
        lambda: timed(order(), "2024-06-04 08:15:00", windows=[{"open": "09:15", "close": "11:30"}]),
        lambda: timed(order(), "2024-06-04 15:30:00", windows=[{"open": "09:20", "close": "11:30"}]),
        lambda: timed(order("SELL"), "2024-06-04 08:15:00", account(line(10)), windows=[{"open": "09:20",
            "close": "11:30"}]),
        lambda: timed(order(), "2024-06-04 09:16:00", windows=[{"open": "09:20", "close": "11:30"}]),
        lambda: timed(order(), "2024-06-04 11:30:00", windows=[{"open": "09:20", "close": "11:30"}]),
        lambda: timed(order(), "2027-03-02 11:00:00"),
        lambda: timed(order(), "2024-06-04 15:20:00", square_off_tail_s=900),
        lambda: timed(order_of(FUTURE), "2024-07-04 11:00:00"),
        lambda: timed(order(validity="IOC"), "2026-08-04 15:20:00", auction=frozenset({"HDFCBANK"})),
        lambda: timed(sold("90"), "2026-08-04 15:20:00", auction=frozenset({"HDFCBANK"})),
    ],
    "lot_size": [
        lambda: told("lot_size", order_of(FUTURE, quantity=51), account()),
    ],
    "freeze_quantity": [
        lambda: told("freeze_quantity", order_of(FUTURE, quantity=125), having(account(),
            instruments={FUTURE.key: replace(FUTURE, freeze_quantity=60)})),
        lambda: told("freeze_quantity", order_of(FUTURE, quantity=25), having(account(),
            instruments={FUTURE.key: replace(FUTURE, freeze_quantity=20)})),
    ],
    "price_tick": [
        lambda: told("price_tick", order(price="100.04"), account()),
        lambda: told("price_tick", order(order_type="STOP_LOSS", price="100.05", trigger_price="100.01"), account()),
    ],
    "stop_limit_gap": [
        lambda: told("stop_limit_gap", order_of(PROTECTED, order_type="STOP_LOSS", price="120",
            trigger_price="100"), account(instrument=PROTECTED)),
        lambda: told("stop_limit_gap", order_of(PROTECTED, "SELL", order_type="STOP_LOSS", price="80",
            trigger_price="100"), account(instrument=PROTECTED)),
        lambda: told("stop_limit_gap", order_of(PROTECTED, order_type="STOP_LOSS_MARKET", price=None,
            trigger_price="100"), account(instrument=PROTECTED)),
    ],
    "price_band": [
        lambda: told("price_band", order(price="110.05"), account(instrument=BANDED)),
        lambda: told("price_band", order(price="110", order_type="STOP_LOSS", trigger_price="89.95"),
            account(instrument=BANDED)),
        lambda: told("price_band", order_of(PROTECTED, price="120.05"), account(instrument=PROTECTED,
            quoted=quote(None, "100", None))),
        lambda: told("price_band", order_of(PROTECTED, price="35.05"), account(instrument=PROTECTED,
            quoted=quote(None, "15", None))),
        lambda: told("price_band", order_of(PROTECTED), account(instrument=PROTECTED)),
    ],
    "price_collar": [
        lambda: told("price_collar", order(price="102.55"), account(quoted=quote(None, "100", None)), **COLLARS),
        lambda: told("price_collar", order("SELL", price="97.45"), account(quoted=quote(None, "100", None)),
            **COLLARS),
        lambda: told("price_collar", order_of(option(), "SELL", price="0.05", order_type="STOP_LOSS",
            trigger_price="0.90"), account(instrument=replace(option(), tick_e4=100)), **COLLARS),
        lambda: told("price_collar", order_of(option(), price="100002"), account(instrument=option(),
            quoted=quote(None, "100000", None)), **COLLARS),
        lambda: told("price_collar", order(), account(), **COLLARS),
    ],
    "data_freshness": [
        lambda: told("data_freshness", order(), account(known=False), snapshot_age_s_max=60),
        lambda: told("data_freshness", order(), account(position_seen_us=NOW + 3 * SECOND), snapshot_age_s_max=60),
        lambda: told("data_freshness", order(), account(position_seen_us=NOW - 61 * SECOND), snapshot_age_s_max=60),
    ],
    "clock_skew": [
        lambda: told("clock_skew", order(), account(quoted=Quote.of(ltp="1", at_us=NOW + 4 * SECOND)), ahead_s_max=3),
        lambda: told("clock_skew", order(quote=Quote.of(ltp="1", at_us=NOW + 4 * SECOND)), account(), ahead_s_max=3),
        lambda: told("clock_skew", order(quote=Quote.of(ltp="1", at_us=NOW + 4 * SECOND)),
            account(quoted=quote(None, "100", None)), ahead_s_max=3),
        lambda: told("clock_skew", order(signal_at=NOW + 4 * SECOND), account(), ahead_s_max=3),
        lambda: told("clock_skew", order(), account(position_seen_us=NOW + 4 * SECOND), ahead_s_max=3),
    ],
    "signal_age": [
        lambda: told("signal_age", order(signal_at=NOW + 3 * SECOND), account(), signal_age_s_max=5),
        lambda: told("signal_age", order(signal_at=NOW - 6 * SECOND), account(), signal_age_s_max=5),
        lambda: told("signal_age", order(), account(), signal_age_s_max=5),
    ],
    "sweep_heartbeat": [
        lambda: told("sweep_heartbeat", order(), account(sweep_at_us=None), intervals_max=3),
        lambda: told("sweep_heartbeat", order(), account(sweep_at_us=NOW - 4 * SECOND), intervals_max=3),
    ],
    "unconfirmed_in_flight": [
        lambda: told("unconfirmed_in_flight", order(), account(unanswered={SHARE.key: {"a": NOW - 6 *
            SECOND}}), answer_s_max=5),
    ],
    "daily_loss": [
        lambda: told("daily_loss", order(), account(pnl=None), daily_loss_inr_max=5, **LOSS),
        lambda: told("daily_loss", order(), account(), daily_loss_pct_max=5, **LOSS),
        lambda: told("daily_loss", order(), account(pnl=PnlReading(inr("-5"), NOW, fresh_marks=True)),
            daily_loss_inr_max=5, **LOSS),
    ],
    "projected_daily_loss": [
        lambda: told("projected_daily_loss", BUY, having(holding("-"), pnl=None), daily_loss_inr_max=5,
            scenario_pct=5),
        lambda: told("projected_daily_loss", BUY, having(holding("-"), opening_equity_e4=None),
            daily_loss_inr_max=5, daily_loss_pct_max=5, scenario_pct=5),
        lambda: told("projected_daily_loss", BUY, having(holding("-"), position_seen_us=None),
            daily_loss_inr_max=5, scenario_pct=5),
        lambda: told("projected_daily_loss", BUY, holding("fut 25", unpriced="fut"), daily_loss_inr_max=5,
            scenario_pct=5),
        lambda: told("projected_daily_loss", asking("BUY 10 share -"), holding("-", unpriced="share"),
            daily_loss_inr_max=5, scenario_pct=5),
        lambda: told("projected_daily_loss", BUY, holding("share 2"), daily_loss_inr_max=40, scenario_pct=5),
        lambda: told("projected_daily_loss", asking("BUY 50 fut 251"), holding("-"), daily_loss_inr_max=400, scenario_pct=5),
        lambda: told("projected_daily_loss", asking("BUY 50000 share 100").replaced(stop_loss="99.9999"), holding("-"),
            daily_loss_inr_max=5, scenario_pct=5),
        lambda: told("projected_daily_loss", asking("BUY 50000 share 1"), holding("-", unpriced="share"),
            daily_loss_inr_max=5, scenario_pct="0.01"),
    ],
    "stop_required": [
        lambda: told("stop_required", BUY, holding("-")),
        lambda: told("stop_required", asking("BUY 1 share -").replaced(stop_loss="105"), holding("-")),
    ],
    "risk_per_trade": [
        lambda: told("risk_per_trade", BUY, holding("-"), risk_inr_max=5),
        lambda: told("risk_per_trade", asking("BUY 1 share -").replaced(stop_loss="105"), holding("-"),
            risk_inr_max=5),
        lambda: told("risk_per_trade", asking("BUY 1 share -").replaced(stop_loss="95"), holding("-",
            unpriced="share"), risk_inr_max=5),
        lambda: told("risk_per_trade", BUY.replaced(stop_loss="98"), holding("-"), risk_inr_max=5),
        lambda: told("risk_per_trade", asking("BUY 50 ce 12").replaced(stop_loss="8"), holding("-"), risk_inr_max=130),
        lambda: told("risk_per_trade", BUY.replaced(stop_loss="98"), having(holding("-"),
            opening_equity_e4=None), risk_pct_max=5),
        lambda: told("risk_per_trade", BUY.replaced(stop_loss="98"), having(holding("-"),
            opening_equity_e4=0), risk_pct_max=5),
    ],
    "order_quantity": [
        lambda: told("order_quantity", order_of(FUTURE, quantity=51), account(), quantity_max=2, unit="lots"),
        lambda: told("order_quantity", order(), account(), quantity_max=9, unit="units"),
        lambda: told("order_quantity", order(), without(account(), SHARE), quantity_max=9, unit="lots"),
    ],
    "order_value": [
        lambda: told("order_value", order(), account(), order_value_inr_max=999),
        lambda: told("order_value", order(), account(instrument=replace(SHARE,
            order_value_max_e4=inr("300"))), order_value_inr_max=999),
        lambda: told("order_value", order(), account(instrument=replace(SHARE,
            order_value_max_e4=inr("99"))), order_value_inr_max=999),
        lambda: told("order_value", order(price=None), account(), order_value_inr_max=999),
        lambda: told("order_value", order(), account(instrument=replace(SHARE, multiplier=None)),
            order_value_inr_max=999),
    ],
    "net_position": [
        lambda: told("net_position", order(), account(line(5)), position_max=14, unit="units"),
        lambda: told("net_position", order(), account(line(5)), position_max=1499, unit="inr"),
        lambda: told("net_position", order_of(FUTURE, quantity=75), account(), position_max=60, unit="units"),
        lambda: told("net_position", order_of(FUTURE, quantity=75), account(), position_max=6000, unit="inr"),
        lambda: told("net_position", order_of(FUTURE, quantity=51), account(), position_max=2, unit="lots"),
        lambda: told("net_position", order(), account(known=False), position_max=14, unit="units"),
        lambda: told("net_position", order(), account(known=False), position_max=14, unit="inr"),
        lambda: told("net_position", order(), without(account(), SHARE), position_max=14, unit="lots"),
        lambda: told("net_position", order(price=None), account(), position_max=14, unit="inr"),
        lambda: told("net_position", order(), account(instrument=replace(SHARE, multiplier=None)),
            position_max=14, unit="inr"),
        lambda: told("net_position", BUY, blind(), GROUP, position_max=14, unit="units"),
        lambda: told("net_position", BUY, blind(), GROUP, position_max=14, unit="inr"),
        lambda: told("net_position", BUY, without(holding("-"), SHARE), position_max=14, unit="units",
            per="underlying"),
        lambda: told("net_position", BUY, without(holding("fut 25"), FUTURE), position_max=14, unit="units",
            per="underlying"),
        lambda: told("net_position", BUY, holding("stockfut 10"), position_max=11, unit="lots", per="underlying"),
    ],
    "position_value": [
        lambda: told("position_value", BUY, holding("share 5"), position_value_inr_max=1499),
        lambda: told("position_value", BUY, blind(), GROUP, position_value_inr_max=1499),
    ],
    "gross_exposure": [
        lambda: told("gross_exposure", BUY, holding("fut 25"), gross_exposure_inr_max=6999),
        lambda: told("gross_exposure", asking("BUY 50 fut 251"), holding("-"), gross_exposure_inr_max=10000),
        lambda: told("gross_exposure", BUY, holding("fut 25", unpriced="fut"), gross_exposure_inr_max=6999),
        lambda: told("gross_exposure", BUY, blind(), GROUP, gross_exposure_inr_max=6999),
        lambda: told("gross_exposure", BUY, without(holding("-"), SHARE), gross_exposure_inr_max=6999),
        lambda: told("gross_exposure", asking("BUY 1 crude 50"), having(holding("-"),
            instruments={CRUDE.key: replace(CRUDE, multiplier=None)}), gross_exposure_inr_max=6999),
        lambda: told("gross_exposure", asking("BUY 1 share -"), holding("-", unpriced="share"),
            gross_exposure_inr_max=6999),
    ],
    "net_exposure": [
        lambda: told("net_exposure", BUY, holding("fut 25"), net_exposure_inr_max=6999),
        lambda: told("net_exposure", BUY, holding("fut 25", unpriced="fut"), net_exposure_inr_max=6999),
        lambda: told("net_exposure", BUY, blind(), GROUP, net_exposure_inr_max=6999),
    ],
    "leverage": [
        lambda: told("leverage", BUY, holding("fut 25"), leverage_max="5.5"),
        lambda: told("leverage", BUY, holding("fut 25", unpriced="fut"), leverage_max="5.5"),
        lambda: told("leverage", BUY, blind(), GROUP, leverage_max="5.5"),
        lambda: told("leverage", BUY, having(holding("-"), opening_equity_e4=None), leverage_max="5.5"),
        lambda: told("leverage", BUY, having(holding("-"), opening_equity_e4=0), leverage_max="5.5"),
        lambda: told("leverage", BUY, having(holding("-"), opening_equity_e4=1), leverage_max="5.5"),
    ],
    "concentration": [
        lambda: told("concentration", BUY, holding("fut 25; share 5"), concentration_pct_max="50"),
        lambda: told("concentration", BUY, holding("stockfut 5", unpriced="stockfut"), concentration_pct_max="50"),
        lambda: told("concentration", BUY, without(holding("-"), SHARE), concentration_pct_max="50"),
        lambda: told("concentration", BUY, blind(), GROUP, concentration_pct_max="50"),
        lambda: told("concentration", BUY, having(holding("-"), opening_equity_e4=inr("-1")),
            concentration_pct_max="50"),
        lambda: told("concentration", BUY, having(holding("-"), opening_equity_e4=1), concentration_pct_max="50"),
    ],
    "naked_short_option": [
        lambda: told("naked_short_option", CALL_SOLD, holding("-"), naked_lots_max="none"),
        lambda: told("naked_short_option", CALL_SOLD, holding("ce 25; near -25"), naked_lots_max="none"),
        lambda: told("naked_short_option", CALL_SOLD, without(holding("fut -25"), FUTURE), naked_lots_max=1),
        lambda: told("naked_short_option", CALL_SOLD, without(holding("-"), CALL), naked_lots_max=1),
        lambda: told("naked_short_option", CALL_SOLD, having(holding("-"), position_seen_us=None), naked_lots_max=1),
    ],
    "margin_available": [
        lambda: told("margin_available", BUY, holding("-"), **MARGIN),
        lambda: told("margin_available", BUY, funded(age_s=61), **MARGIN),
        lambda: told("margin_available", BUY, funded(unfunded=(Unfunded(FUTURE.key, 1, 25, None, None),)), **MARGIN),
        lambda: told("margin_available", asking("BUY 1 share -"), having(funded(), quotes={}), **MARGIN),
        lambda: told("margin_available", BUY, funded("1000"), **MARGIN),
        lambda: told("margin_available", BUY, funded("1000", unfunded=(Unfunded(SHARE.key, -1, 10, inr("100"), None),)),
            **MARGIN),
        lambda: told("margin_available", BUY, funded("1000", margins={leg_of(BUY): (inr("960"), NOW)}), **MARGIN),
    ],
    "open_order_value": [
        lambda: told("open_order_value", BUY, holding("share 0 +5"), open_order_value_inr_max=1400),
        lambda: told("open_order_value", BUY, holding("share 0 +5; fut 0 +25", unpriced="fut"),
            open_order_value_inr_max=1400),
    ],
    "open_order_count": [
        lambda: told("open_order_count", BUY, holding("share 0 +5"), open_orders_max=1),
    ],
    "time_to_flat": [
        lambda: told("time_to_flat", BUY, holding("share 0 +5; fut 25"), flat_s_max=1, messages_per_s=3),
    ],
    "self_trade": [
        lambda: told("self_trade", BUY, holding("share 0 -5")),
        lambda: told("self_trade", BUY, resting(working(-1, 5, "99"))),
    ],
    "duplicate_order": [
        lambda: told("duplicate_order", order(), account(same={signature(order()): NOW - SECOND}), within_s=2),
    ],
    "repeated_execution": [
        lambda: told("repeated_execution", order(strategy="dip"), account(cycles={("dip", SHARE.key, "BUY"):
            sent(1, 2)}), trip_at_fills=2, trip_at_refusals=3, per_s=60),
        lambda: told("repeated_execution", order("SELL"), account(refused={("", SHARE.key, "SELL"): sent(1,
            2)}), trip_at_fills=3, trip_at_refusals=2, per_s="0.5"),
    ],
    "modification_count": [
        lambda: told("modification_count", order(), account(modifications={"w1": 3}), modifying="w1",
            modifications_max=3),
    ],
    "order_to_trade_ratio": [
        lambda: told("order_to_trade_ratio", order(price="101"), account(quoted=quote(None, "100", None),
            day_orders={75: 5}, day_trades=1), orders_per_trade_max=3, exempt_band_pct_max="0.75",
            orders_free=5),
    ],
    "order_rate": [
        lambda: told("order_rate", order(), account(sent=sent(1, 2)), windows=[{"messages_max": 3,
            "reserve": 1, "per_s": 1}]),
    ],
    "attempt_rate": [
        lambda: told("attempt_rate", order(strategy="dip"), account(attempts={"dip": sent(1, 2)}),
            attempts_max=2, per_s=1),
    ],
}
# fmt: on


def golden() -> dict[str, list[str]]:
    """What `said.txt` has under each check's name."""
    found: dict[str, list[str]] = {}
    name = ""
    for text in Path(__file__).with_name("said.txt").read_text(encoding="utf-8").splitlines():
        if text.startswith(" "):
            found[name].append(text.strip())
        else:
            name = text
            found[name] = []
    return found


@pytest.mark.parametrize("check", SAID)
def test_every_refusal_says_what_it_should(check: str) -> None:
    """Code, words, figures, what would pass and when: nothing of it may change unnoticed."""
    assert [ask() for ask in SAID[check]] == golden()[check]


def test_every_check_has_said_something() -> None:
    """A new check brings its words along."""
    assert sorted(SAID) == sorted(BY_NAME) == sorted(golden())


def test_what_cannot_be_measured_is_said_in_the_unit_of_its_limit() -> None:
    """Whatever is measured; the limit is named beside it."""
    facts = Facts.of(BUY, holding("-"), NOW)
    reject = measure.above(facts, RejectCode.NAKED_SHORT_ABOVE_LIMIT, lambda quantity: None, 5, unit="lots", detail="")

    assert reject is not None and (reject.unit, reject.limit_raw) == ("lots", 5)


SURE: list[tuple[str, dict[str, Any], str]] = [
    ("daily_loss", {**LOSS, "daily_loss_inr_max": 5}, "facts.pnl_e4 is not None and facts.pnl_e4 > -params.daily_loss_inr_max"),
    ("daily_loss", {**LOSS, "daily_loss_pct_max": 5}, ""),
    ("daily_loss", {**LOSS, "daily_loss_inr_max": 5, "daily_loss_pct_max": 5}, ""),
    ("order_rate", {"windows": [WINDOW, {"messages_max": 9, "reserve": 1, "per_s": 60}]},
     "facts.sent_in(1000000) < 7 and facts.sent_in(60000000) < 8"),
    ("net_position", {"position_max": 5, "unit": "lots"}, ""),
    ("net_position", {"position_max": 5, "unit": "units"},
     "facts.known and ((facts.net_up + facts.buying + facts.long_other if order.sign > 0 else facts.selling + "
     "facts.short_other - facts.net_down) + quantity) * 10000 <= params.position_max"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "parameters", "line_"), SURE)
def test_which_line_says_that_there_is_surely_no_objection(check: str, parameters: dict[str, Any], line_: str) -> None:
    """Only where a number of the account and one of the limit say it; `tests/core/test_passing.py` holds them to the check."""
    passes = BY_NAME[check].passes
    assert callable(passes)

    assert passes(BY_NAME[check].params.read(parameters, where="the test")) == line_


KNOWN = ", ".join(sorted(check.name for check in EVERY))
NAMES: list[tuple[object, str]] = [
    ("order_valu", "no check `order_valu`: did you mean `order_value`?"),
    ("?", f"no check `?`: known: {KNOWN}"),
    (5, f"no check `5`: known: {KNOWN}"),
    ([], f"no check `[]`: known: {KNOWN}"),
    ("?" * 41, f"no check `{'?' * 40}`: known: {KNOWN}"),
]


@pytest.mark.parametrize(("name", "words"), NAMES, ids=lambda each: str(each)[:20])
def test_a_name_that_is_no_checks_is_said_with_the_nearest(name: object, words: str) -> None:
    """Whatever it is: a rulebook may hold anything where a name belongs."""
    with pytest.raises(RulebookError) as caught:
        by_name(name)
    assert str(caught.value) == words
    assert by_name("order_value").name == "order_value"
