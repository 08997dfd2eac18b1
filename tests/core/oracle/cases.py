"""
Random cases, weighted to the edges: any of them is found again by the seed and its number alone.

Numbers are few and round, so that sums land on limits; then one limit of most cases is set exactly on what the order
measures there, or one unit below it (`edges`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import Any

from riskguard import data
from riskguard.core.account import Account, PnlReading, TimeLog, Unfunded, signature
from riskguard.core.book import Line, Working
from riskguard.core.calendar import Calendar
from riskguard.core.checks import by_name
from riskguard.core.instrument import Instrument
from riskguard.core.limits import Check, Limit, LimitSet
from riskguard.core.money import to_text
from riskguard.core.order import Order
from riskguard.core.params import Params
from riskguard.core.quote import Quote
from riskguard.core.scope import Scope
from riskguard.core.state import Cause, TradingState
from tests.core.oracle import prices
from tests.core.oracle.answer import MANDATORY, OF_SWEEPS
from tests.core.oracle.case import Case

SEED = 20_240_604
SECOND = 1_000_000
RUPEE = 10_000
CALENDAR = Calendar.parse(data.calendar_text())
PRODUCTS = ("INTRADAY", "MARGIN", "CNC", "MTF")
NAMES = ("", "dip", "dip", "rip")


class Dice(Random):
    """`Random` with a choice that costs a third; a case makes a hundred."""

    def choice(self, among: Any) -> Any:
        return among[int(self.random() * len(among))]


class PlainLimitSet(LimitSet):
    """A set without its digest, which no answer rests on and which is half the price of a case."""

    __slots__ = ()

    def canonical(self) -> str:
        return ""


def at(text: str, us: int = 0) -> int:
    """Microseconds UTC of a time in India, `2024-06-04 09:15`."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() - 19_800) * SECOND + us


# The third column is how often: most orders are asked in the middle of a day.
MOMENTS = tuple(
    (text[:10], at(text, us))
    for text, us, times in (
        ("2024-06-04 11:00:00", 0, 40), ("2026-08-04 11:00:00", 0, 20),
        ("2024-06-04 09:15:00", -1, 1), ("2024-06-04 09:15:00", 0, 2), ("2024-06-04 15:14:59", 0, 1),
        ("2024-06-04 15:15:00", 0, 1), ("2024-06-04 15:30:00", -1, 1), ("2024-06-04 15:30:00", 0, 1),
        ("2024-06-17 11:00:00", 0, 1), ("2027-03-02 11:00:00", 0, 2), ("2026-08-04 15:00:00", -1, 1),
        ("2026-08-04 15:00:00", 0, 1), ("2026-08-04 15:15:00", -1, 1), ("2026-08-04 15:15:00", 0, 3),
        ("2026-08-04 15:30:00", 0, 3), ("2026-08-04 15:35:00", -1, 1), ("2026-08-04 15:35:00", 0, 1),
        ("2026-08-04 15:40:00", -1, 1), ("2026-08-04 15:40:00", 0, 1),
    )
    for _ in range(times)
)  # fmt: skip


def _option(security_id: str, kind: str, expiry: str, **more: Any) -> Instrument:
    fields = {"lot_size": 25, "underlying": "NIFTY", "strike_e4": 100 * RUPEE, **more}
    name = f"NIFTY-{security_id}"
    return Instrument("NSE_FNO", security_id, name, "OPTIDX", expiry=expiry, option_type=kind, **fields)


def yesterday(today: str) -> str:
    """The day before; none of ours is the first of a month."""
    return f"{today[:8]}{int(today[8:]) - 1:02d}"


@cache
def instruments(today: str) -> tuple[Instrument, ...]:
    """Every kind of contract, two of the same where they may cover each other, as of a session date."""
    near, far = "2027-06-24", "2027-07-29"
    return (
        Instrument("NSE_EQ", "1333", "HDFCBANK", series="EQ"),
        Instrument(
            "NSE_EQ", "2", "ITC", series="BE", freeze_quantity=40, order_value_max_e4=4_000 * RUPEE,
            lower_band_e4=90 * RUPEE, upper_band_e4=110 * RUPEE,
        ),
        Instrument("NSE_FNO", "10", "HDFCBANK-FUT", "FUTSTK", lot_size=5, underlying="HDFCBANK", expiry=near),
        Instrument(
            "NSE_FNO", "11", "NIFTY-FUT", "FUTIDX", lot_size=25, underlying="NIFTY", expiry=near, freeze_quantity=50,
            lpp_pct_e2=200, lpp_abs_e4=3 * RUPEE, stop_gap_pct_e2=200, stop_gap_abs_e4=1 * RUPEE, protection_pct_e2=300,
        ),
        Instrument("NSE_FNO", "12", "NIFTY-NOW", "FUTIDX", lot_size=25, underlying="NIFTY", expiry=today),
        Instrument("NSE_FNO", "13", "NIFTY-OLD", "FUTIDX", lot_size=25, underlying="NIFTY", expiry=yesterday(today)),
        _option("20", "CE", near),
        _option("21", "CE", far, lot_size=50),
        _option("22", "PE", near, stop_gap_pct_e2=1_000, stop_gap_abs_e4=8 * RUPEE, lpp_pct_e2=1_000),
        _option("23", "PE", far, strike_e4=None, freeze_quantity=75),
        _option("24", "", far),  # the master names the kind and forgets which
        Instrument("MCX_COMM", "30", "CRUDE", "FUTCOM", tick_e4=RUPEE, multiplier=10, underlying="CRUDE"),
        Instrument("MCX_COMM", "31", "GOLD", "FUTCOM", tick_e4=0, multiplier=None, underlying="GOLD"),
    )  # fmt: skip


# -- limits -------------------------------------------------------------------------------------------------------

_LOSS: dict[str, Any] = {"warn_at_pct": [80], "reduce_only_at_pct": 80, "at_once_pct": 150}
_RATE = {"messages_max": 10, "reserve": 2, "per_s": 1}
_HOURS: dict[str, Any] = {"unknown_day": "allow", "windows": "session", "square_off_tail_s": "none"}
_WIDE, _TIGHT = {"collar_pct_max": 1_000}, {"collar_pct_max": 5}

FIGURES: Mapping[str, tuple[dict[str, Any], ...]] = {
    "trading_state": ({}, {"hedge_premium_inr_max": 2_500}, {"hedge_premium_inr_max": 100_000}),
    "order_validity": ({},),
    "permission": (
        {"sides_allowed": ["BUY", "SELL"]}, {"sides_allowed": ["SELL"]}, {"segments_allowed": ["NSE_EQ", "NSE_FNO"]},
        {"products_allowed": ["INTRADAY", "MARGIN"]}, {"order_types_allowed": ["LIMIT", "STOP_LOSS"]},
        {"instruments_allowed": ["NSE_EQ:1333", "NSE_FNO:20", "NSE_FNO:11"]}, {"instruments_denied": ["NSE_EQ:2"]},
        {"underlyings_allowed": ["NIFTY", "HDFCBANK"]}, {"underlyings_denied": ["HDFCBANK"]},
        {"underlyings_banned": ["HDFCBANK"]}, {"symbols_denied": ["ITC"]}, {"series_allowed": ["EQ"]},
        {"series_denied": ["BE"], "products_allowed": ["INTRADAY", "CNC", "MTF"]},
    ),
    "trading_window": (
        _HOURS, {**_HOURS, "unknown_day": "refuse"}, {**_HOURS, "square_off_tail_s": 900},
        {**_HOURS, "windows": [{"open": "09:15", "close": "11:00"}]},
        {**_HOURS, "windows": [{"open": "11:00", "close": "15:30"}, {"open": "09:15", "close": "09:16"}]},
    ),
    "lot_size": ({},), "freeze_quantity": ({},), "price_tick": ({},), "stop_limit_gap": ({},), "price_band": ({},),
    "price_collar": (
        {"share": _WIDE, "future": _WIDE, "option": _WIDE}, {"share": _TIGHT, "future": _TIGHT, "option": _TIGHT},
        {"share": {"collar_ticks_max": 20}, "future": {"collar_pct_max": 1, "collar_ticks_max": 40},
         "option": {"collar_pct_max": 10}},
    ),
    "data_freshness": ({"snapshot_age_s_max": 60}, {"snapshot_age_s_max": 10}),
    "clock_skew": ({"ahead_s_max": 2}, {"ahead_s_max": 1}),
    "signal_age": ({"signal_age_s_max": 60}, {"signal_age_s_max": 10}),
    "sweep_heartbeat": ({"intervals_max": 10}, {"intervals_max": 3}),
    "daily_loss": (
        {**_LOSS, "daily_loss_inr_max": 5_000}, {**_LOSS, "daily_loss_pct_max": 5},
        {**_LOSS, "daily_loss_inr_max": 500, "daily_loss_pct_max": 2},
    ),
    "projected_daily_loss": (
        {"daily_loss_inr_max": 50_000, "scenario_pct": 5}, {"daily_loss_inr_max": 500, "scenario_pct": "2.5"},
        {"daily_loss_pct_max": 5, "scenario_pct": 10}, {"daily_loss_inr_max": 600, "daily_loss_pct_max": 2, "scenario_pct": 5},
    ),
    "stop_required": ({},),
    "risk_per_trade": (
        {"risk_inr_max": 5_000}, {"risk_inr_max": 250}, {"risk_pct_max": 1}, {"risk_inr_max": 500, "risk_pct_max": "0.5"},
    ),
    "order_quantity": ({"quantity_max": 400, "unit": "units"}, {"quantity_max": 25, "unit": "units"},
                       {"quantity_max": 2, "unit": "lots"}),
    "order_value": ({"order_value_inr_max": 50_000}, {"order_value_inr_max": 5_000}, {"order_value_inr_max": 2_500}),
    "net_position": (
        {"position_max": 400, "unit": "units"}, {"position_max": 50, "unit": "units"}, {"position_max": 2, "unit": "lots"},
        {"position_max": "2.5", "unit": "lots"}, {"position_max": 5_000, "unit": "inr"},
        {"position_max": 60, "unit": "unconfirmed"}, {"position_max": 75, "unit": "units", "per": "underlying"},
        {"position_max": 4, "unit": "lots", "per": "underlying"},
    ),
    "naked_short_option": ({"naked_lots_max": 4}, {"naked_lots_max": 1}, {"naked_lots_max": "none"}),
    "position_value": ({"position_value_inr_max": 50_000}, {"position_value_inr_max": 5_000}),
    "gross_exposure": ({"gross_exposure_inr_max": 100_000}, {"gross_exposure_inr_max": 10_000}),
    "net_exposure": ({"net_exposure_inr_max": 50_000}, {"net_exposure_inr_max": 5_000}),
    "leverage": ({"leverage_max": 4}, {"leverage_max": "0.25"}),
    "concentration": ({"concentration_pct_max": 100}, {"concentration_pct_max": "12.5"}),
    "margin_available": (
        {"buffer_pct": 5, "short_margin_pct": 20, "funds_age_s_max": 60},
        {"buffer_pct": "2.5", "short_margin_pct": "12.5", "funds_age_s_max": 10},
    ),
    "open_order_value": ({"open_order_value_inr_max": 50_000}, {"open_order_value_inr_max": 5_000}),
    "open_order_count": ({"open_orders_max": 8}, {"open_orders_max": 2}),
    "time_to_flat": ({"flat_s_max": 10, "messages_per_s": 3}, {"flat_s_max": 1, "messages_per_s": 3}),
    "self_trade": ({},),
    "unconfirmed_in_flight": ({"answer_s_max": 5}, {"answer_s_max": 1}),
    "duplicate_order": ({"within_s": 2}, {"within_s": 60}),
    "repeated_execution": (
        {"trip_at_fills": 4, "trip_at_refusals": 4, "per_s": 60}, {"trip_at_fills": 2, "trip_at_refusals": 3, "per_s": 1},
    ),
    "modification_count": ({"modifications_max": 25}, {"modifications_max": 2}),
    "order_to_trade_ratio": (
        {"orders_per_trade_max": 2, "exempt_band_pct_max": "0.75", "orders_free": 9},
        {"orders_per_trade_max": 2, "exempt_band_pct_max": 1, "orders_free": 2},
    ),
    "order_rate": (
        {"windows": [_RATE]}, {"windows": [{"messages_max": 3, "reserve": 1, "per_s": 1}]},
        {"windows": [_RATE, {"messages_max": 4, "reserve": 2, "per_s": 60}]},
    ),
    "attempt_rate": ({"attempts_max": 9, "per_s": 1}, {"attempts_max": 2, "per_s": 1}, {"attempts_max": 3, "per_s": 60}),
}  # fmt: skip
"""Parameters of every check, the roomiest first."""

SWEPT: Mapping[str, tuple[dict[str, Any], ...]] = {"reconciliation": ({"reads_max": 2, "halt_after_s": 60},)}
"""Parameters of what an order is not asked about, and must not be without."""

OF_ORDERS = tuple(name for name in MANDATORY if name not in OF_SWEEPS)
OPTIONAL = tuple(name for name in FIGURES if name not in MANDATORY)
SELDOM = (
    "freeze_quantity", "permission", "stop_limit_gap", "price_tick", "lot_size", "price_band", "price_collar",
    "modification_count", "trading_window",
)  # fmt: skip
"""Checks that few orders have to do with: asked more often, so that their refusals are seen as often as others'."""


@cache
def _params(check: str, place: int) -> Params:
    return by_name(check).params.read({**FIGURES, **SWEPT}[check][place], where="a case")


@cache
def _limit(check: str, place: int, scope: str, mode: str, on_breach: str, until: str) -> Limit:
    return Limit(
        f"{check}/{place}/{scope}/{mode}/{on_breach}/{until}", by_name(check), _params(check, place),
        Scope.parse(scope), on_breach, mode, acknowledged_until=until,
    )  # fmt: skip


def _scope(rng: Random, order: Order, of: Account) -> str:
    """A scope that usually holds the order."""
    instrument = of.instruments.get(order.instrument)
    name = "NIFTY" if instrument is None else instrument.underlying or instrument.symbol
    return rng.choice((
        "ACCOUNT:leader", "ACCOUNT:leader", "GLOBAL", "GROUP:desk", f"STRATEGY:{order.strategy or 'dip'}",
        f"SEGMENT:{order.exchange_segment}", f"UNDERLYING:{name}", f"INSTRUMENT:{':'.join(order.instrument)}",
        rng.choice(("STRATEGY:dip", "SEGMENT:NSE_FNO", "UNDERLYING:NIFTY", "INSTRUMENT:NSE_EQ:1333")),
    ))  # fmt: skip


def limits(rng: Random, order: Order, of: Account, checks: tuple[str, ...] | None) -> list[Limit]:
    """The mandatory limits, mostly roomy, and some others; with *checks*, two limits of each of those alone."""
    made: dict[str, Limit] = {}
    random, choice = rng.random, rng.choice
    if checks is None:
        names = [name for name in OF_ORDERS if random() > 0.01]
        names += [*rng.sample(OPTIONAL, rng.choice((1, 2, 4, 8))), choice(SELDOM), choice(SELDOM)]
    else:
        names = [name for name in checks for _ in range(2)]
    mandatory = checks is None
    for number, name in enumerate(names):
        many = len(FIGURES[name])
        usual = mandatory and number < len(OF_ORDERS)
        place = 0 if usual and random() < 0.9 else int(random() * many)
        scope = "ACCOUNT:leader" if usual and random() < 0.97 else _scope(rng, order, of)
        mode = "shadow" if random() < 0.03 else "enforce"
        breach = "warn" if random() < 0.02 else "reject"
        until = ""
        if mode == "shadow" or breach == "warn":
            until = rng.choice(("", of.session_date, of.session_date, yesterday(of.session_date)))
        limit = _limit(name, place, scope, mode, breach, until)
        made[limit.id] = limit
    for name in OF_SWEEPS if mandatory else ():
        made[name] = _limit(name, 0, "ACCOUNT:leader", "enforce", "reject", "")
    return list(made.values())


# -- books --------------------------------------------------------------------------------------------------------

_LOTS = (0, 0, 1, 1, 2, 3, -1, -1, -2, -3)
_STEPS = (0, 0, 0, 1, -1, 2, -2, 5, -5, 10, -10, 20, -20, 40, -40)
_AGES = (0, 0, 0, 0, 0, SECOND, 5 * SECOND, 5 * SECOND + 1, 10 * SECOND, 10 * SECOND + 1, 30 * SECOND, 30 * SECOND + 1,
         60 * SECOND, 60 * SECOND + 1, -SECOND, -SECOND - 1, -2 * SECOND, -2 * SECOND - 1, 86_400 * SECOND)  # fmt: skip


def _price(rng: Random) -> int:
    """Around a hundred rupees, in steps of one percent; now and then a tick or less beside it."""
    price = RUPEE * (100 + rng.choice(_STEPS))
    beside = rng.random()
    if beside < 0.85:
        return price
    return price + (500 if beside < 0.95 else -500 if beside < 0.98 else 1)


def quote(rng: Random, now_us: int) -> Quote:
    """Both sides, one, or none; the last price inside or not; fresh or stale; now and then with its own band."""
    middle, age_us = _price(rng), rng.choice(_AGES)
    spread = rng.choice((0, 500, RUPEE, 10 * RUPEE, 30 * RUPEE))
    bid: int | None = max(500, middle - spread)
    ask: int | None = middle + spread
    last: int | None = rng.choice((middle, middle, middle, bid, ask)) if rng.random() < 0.7 else _price(rng)
    shown = rng.random()
    if shown < 0.1:
        bid = None
    elif shown < 0.2:
        ask = None
    elif shown < 0.3:
        bid = ask = None
    if rng.random() < 0.15 and (bid or ask):
        last = None
    if rng.random() < 0.85:
        return Quote(last, bid, ask, now_us - age_us)
    low, high = RUPEE * rng.choice((60, 90, 95)), RUPEE * rng.choice((105, 110, 140))
    return Quote(
        last, bid, ask, now_us - age_us, low if rng.random() < 0.7 else None, high if rng.random() < 0.7 else None
    )


def _working(rng: Random, number: int, lot: int) -> Working:
    kind, sign, price = rng.random(), rng.choice((1, -1)), _price(rng)
    limit: int | None = price
    trigger: int | None = None
    if kind < 0.15:
        limit = None
    elif kind < 0.4:
        limit, trigger = (price if kind < 0.3 else None), _price(rng)
    reducing = rng.random() < 0.5
    return Working(
        f"w{number}", sign, lot * rng.choice((1, 1, 2)), reducing, protective=reducing and rng.random() < 0.7,
        exit_group=rng.choice(("", "", "g")), price_e4=limit, trigger_price_e4=trigger,
        risk_price_e4=price if rng.random() < 0.6 else None, strategy=rng.choice(NAMES), covers=rng.random() < 0.1,
    )  # fmt: skip


def step(instrument: Instrument) -> int:
    """What quantities are multiples of: the lot, ten shares, five lots of what counts in lots."""
    if instrument.lot_size > 1:
        return instrument.lot_size
    return 10 if instrument.exchange_segment == "NSE_EQ" else 5


def line(rng: Random, product: str, lot: int, net: int, now_us: int) -> Line:
    """A line of *net* units, settled or not, with orders that work."""
    made = Line(product, start=net, seen=net, seen_us=now_us)
    settled = rng.random()
    if settled < 0.3:  # the day has moved on, and the list may lag
        made.filled = lot * rng.choice(_LOTS)
        made.start = net - made.filled
        made.last_fill_us = now_us - rng.choice((0, 5 * SECOND - 1, 5 * SECOND, 60 * SECOND))
        if settled < 0.15:
            made.seen = lot * rng.choice(_LOTS) if settled > 0.03 else None
    for number in range(rng.choice((0, 0, 0, 1, 2, 3))):
        each = _working(rng, number, lot)
        made.working[each.key] = each
    if rng.random() < 0.2:
        made.previous_close_e4 = _price(rng)
    if product == "CNC":
        made.sellable_start = lot * rng.choice((0, 0, 1, 2, 3))
        made.sellable_now = rng.choice((None, made.sellable_start, max(0, made.sellable_start - lot), lot))
    return made.refresh()


def _order(rng: Random, instrument: Instrument, now_us: int) -> Order:
    side = "BUY" if rng.random() < 0.5 else "SELL"
    order_type = rng.choice(("LIMIT", "LIMIT", "LIMIT", "LIMIT", "MARKET", "MARKET", "STOP_LOSS", "STOP_LOSS_MARKET"))
    low, high = sorted((_price(rng), _price(rng)))
    random = rng.random
    if order_type == "STOP_LOSS" and random() < 0.4:  # as far apart as the exchange's rules say, or not quite
        apart = RUPEE * rng.choice((0, 1, 2, 8, 10)) + rng.choice((0, 0, 500))
        low, high = (100 * RUPEE, 100 * RUPEE + apart) if side == "BUY" else (100 * RUPEE - apart, 100 * RUPEE)
    price, trigger = (high, low) if side == "BUY" else (low, high)
    quantity = step(instrument) * rng.choice((1, 1, 1, 2, 2, 3, 4))
    if random() < 0.05:
        quantity += rng.choice((1, -1, 7))
    stop: str | None = None
    if random() < 0.6:
        stop = to_text(RUPEE * rng.choice((95, 80, 40) if side == "BUY" else (105, 120, 160)))
        entry = price if order_type in ("LIMIT", "STOP_LOSS") else trigger if order_type != "MARKET" else None
        if entry is not None and (entry - RUPEE * int(stop.partition(".")[0])) * (1 if side == "BUY" else -1) <= 0:
            stop = None
    sliced = random() < 0.03
    return Order(
        account="leader", exchange_segment=instrument.exchange_segment, security_id=instrument.security_id, side=side,
        product=rng.choice(("INTRADAY", "INTRADAY", "INTRADAY", "MARGIN", "CNC", "MTF")), order_type=order_type,
        quantity=max(1, quantity), price=to_text(price) if order_type in ("LIMIT", "STOP_LOSS") else None,
        trigger_price=to_text(trigger) if order_type in ("STOP_LOSS", "STOP_LOSS_MARKET") else None,
        strategy=rng.choice(NAMES), quote=quote(rng, now_us) if random() < 0.2 else None, stop_loss=stop,
        disclosed_quantity=rng.choice((1, 3, 8)) if random() < 0.06 and quantity >= 8 else 0,
        validity="IOC" if random() < 0.1 else "DAY", slice_of="whole" if sliced else "",
        client_order_id="c" if sliced else None,
        signal_at=None if random() < 0.15 else now_us - rng.choice(_AGES),
    )  # fmt: skip


def _log(rng: Random, now_us: int) -> TimeLog:
    ages = (0, 0, SECOND - 1, SECOND, 30 * SECOND, 60 * SECOND - 1, 60 * SECOND, -SECOND)
    return TimeLog(sorted(now_us - rng.choice(ages) for _ in range(rng.choice((0, 0, 1, 2, 3)))))


_STOPPABLE = ("GLOBAL", "GROUP:desk", "ACCOUNT:leader", "STRATEGY:dip", "SEGMENT:NSE_EQ", "UNDERLYING:NIFTY",
              "INSTRUMENT:NSE_EQ:1333", "COSMOS:mars")  # fmt: skip


def _peers(rng: Random, of: Account, order: Order, pool: tuple[Instrument, ...], now_us: int) -> None:
    others: list[Account] = []
    for name in ("sibling", "stranger")[: rng.choice((0, 0, 1, 2))]:
        other = Account(name, of.session_date, instruments=of.instruments)
        other.position_seen_us = now_us if rng.random() < 0.95 else None
        if rng.random() < 0.9:
            other.opening_equity_e4, other.pnl = 10**8, PnlReading(0, now_us, fresh_marks=True)
        for instrument in rng.sample(pool, 1) + [each for each in pool if each.key == order.instrument]:
            product = rng.choice(PRODUCTS)
            net = step(instrument) * rng.choice(_LOTS)
            other.positions.setdefault(instrument.key, {})[product] = line(rng, product, step(instrument), net, now_us)
        others.append(other)
    of.peers = {"GROUP": tuple(others[:1]), "GLOBAL": tuple(others)}


def _account(rng: Random, order: Order, own: Instrument, today: str, now_us: int) -> Account:
    random, choice = rng.random, rng.choice
    pool = instruments(today)
    made = Account("leader", today)
    held = {(own.key, order.product): own} if random() < 0.7 else {}
    for _ in range(choice((0, 0, 1, 1, 2, 3))):
        other = own if random() < 0.3 else choice(pool[6:11] if own.is_option and random() < 0.7 else pool)
        held.setdefault((other.key, choice((order.product, "INTRADAY", "MARGIN", *PRODUCTS))), other)
    forgotten = choice((choice(pool), *held.values())) if random() < 0.08 else None
    made.instruments = {each.key: each for each in pool if each is not forgotten}
    for (key, product), instrument in held.items():
        lot = step(instrument)
        net = lot * choice(_LOTS)
        if (key, product) == (order.instrument, order.product) and random() < 0.6:
            net = -order.sign * (order.quantity + choice((0, 0, lot, lot, 1, -1, -lot)))
        made.positions.setdefault(key, {})[product] = line(rng, product, lot, net, now_us)
        if random() < 0.85:
            made.quotes[key] = quote(rng, now_us)
    if random() < 0.9:
        made.quotes[own.key] = quote(rng, now_us)
    if order.quote is not None and random() < 0.1:
        made.quotes[own.key] = order.quote
    if own.is_option and random() < 0.1:  # a long option and the short one it covers
        short = pool[6] if own.option_type == "CE" else pool[8]
        made.positions[own.key] = {order.product: line(rng, order.product, own.lot_size, order.quantity, now_us)}
        sold = line(rng, "MARGIN", short.lot_size, -short.lot_size * choice((1, 2, 3)), now_us)
        made.positions.setdefault(short.key, {})["MARGIN"] = sold
    made.position_seen_us = None if random() < 0.03 else now_us - (choice(_AGES) if random() < 0.2 else 0)
    made.sweep_at_us = None if random() < 0.02 else now_us - (choice(_AGES) if random() < 0.2 else 0)
    made.sweep_interval_us = choice((SECOND, SECOND, 10 * SECOND, 0))
    day = choice((0, 0, 0, 500, -499, -500, -1_000, -4_999, -5_000, -5_001, None)) if random() < 0.3 else 0
    made.pnl = None if random() < 0.02 else PnlReading(None if day is None else day * RUPEE, now_us, fresh_marks=True)
    made.opening_equity_e4 = choice((None, 0, -1, 500 * RUPEE)) if random() < 0.08 else choice((10**8, 2 * 10**8))
    made.sent, made.granted = _log(rng, now_us), choice((0, 0, 0, 0, 1, 3))
    made.attempts = {name: _log(rng, now_us) for name in ("dip", "")}
    if random() < 0.1:
        made.same = {signature(order): now_us - choice((0, 2 * SECOND - 1, 2 * SECOND, 60 * SECOND, -SECOND))}
    if random() < 0.1:
        made.unanswered[own.key] = {"x": now_us - choice((0, SECOND, SECOND + 1, 5 * SECOND, 5 * SECOND + 1))}
        made.reducing_live[own.key] = choice((0, 0, 1))
    if random() < 0.7:
        made.spots["NIFTY"] = quote(rng, now_us)
    made.funds_available_e4 = None if random() < 0.03 else RUPEE * choice((5_000, 10_000, 10**6, 10**6))
    made.funds_at_us = None if random() < 0.02 else now_us - (choice(_AGES) if random() < 0.1 else 0)
    if random() < 0.2:
        needs = choice((2_500, 9_500, 10_000)) * RUPEE
        made.margins[order.instrument, order.side, order.product, order.quantity] = (needs, now_us)
    if random() < 0.2:
        other = choice(pool)
        price, required = choice((None, 100 * RUPEE)), choice((None, None, 10**6))
        made.unfunded = (Unfunded(other.key, choice((1, -1)), other.lot_size, price, required),)
    for _ in range(choice((0, 0, 1, 2))):
        instrument = choice((own, choice(pool)))
        place = (choice(("dip", "rip")), instrument.key, choice((order.product, *PRODUCTS)))
        made.attributed[place] = instrument.lot_size * choice(_LOTS)
    _peers(rng, made, order, pool, now_us)
    loop = (order.strategy, order.instrument, order.side)
    made.cycles, made.refused = {loop: _log(rng, now_us)}, {loop: _log(rng, now_us)}
    made.day_orders = {75: choice((0, 1, 8, 9)), 100: choice((0, 1, 2, 4))}
    made.day_trades = choice((0, 1, 2, 5))
    made.calendar = None if random() < 0.04 else CALENDAR
    made.auction_names = choice((None, frozenset({"HDFCBANK"}), frozenset({"HDFCBANK"})))
    if random() < 0.12:
        states = (TradingState.REDUCE_ONLY, TradingState.REDUCE_ONLY, TradingState.HALTED)
        made.causes = tuple(
            Cause(choice(_STOPPABLE), choice(states), "MANUAL", "", "desk", now_us) for _ in range(choice((1, 1, 2)))
        )
    made.settle_state()
    return made


def case(number: int, seed: int = SEED, checks: tuple[str, ...] | None = None) -> Case:
    """Make case *number*; with *checks*, only limits of those are in force."""
    from tests.core.oracle.edges import sharpen

    rng = Dice(seed * 1_000_003 + number)
    today, now_us = rng.choice(MOMENTS)
    pool = instruments(today)
    own = rng.choice(pool[6:11]) if rng.random() < 0.35 else rng.choice(pool)
    order = _order(rng, own, now_us)
    of = _account(rng, order, own, today, now_us)
    made = Case(order, of, now_us, number=number)
    if order.order_type == "MARKET" and rng.random() < 0.2:
        _stop_at_entry(rng, made)
    if rng.random() < 0.06:
        made.by = "asha"
    if rng.random() < 0.08:
        made.modifying = "old"
        of.modifications = {"old": rng.choice((0, 1, 2, 24, 25))}
        made.lowering = rng.random() < 0.3
    of.limits = PlainLimitSet(tuple(limits(rng, order, of, checks)))
    if rng.random() < 0.7:
        sharpen(rng, made)
    return made


def _stop_at_entry(rng: Random, made: Case) -> None:
    """Give a market order its stop where it would open, or a step beside that: only there is the difference."""
    entry = prices.entry(made)
    if entry is not None and entry > 1:
        made.order = made.order.replaced(stop_loss=to_text(entry + rng.choice((0, 0, 1, -1))))


def with_check(made: Case, check: Check) -> Case:
    """Put *check* in the place of the one of its name, in every limit of it."""
    of = made.account
    of.limits = PlainLimitSet(
        tuple(replace(each, check=check) if each.check.name == check.name else each for each in of.limits.limits)
    )
    return made
