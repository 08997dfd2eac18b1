"""
Every check of checks.md §1 once more, in the words of its table and as slow as it must be: a code, or None.

`RULES` says of each what it means for an order that reduces. Nothing of the checks themselves is read but the plain
values of their parameters, by name.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from fractions import Fraction
from math import ceil, floor
from typing import Any, NamedTuple

from riskguard.core.account import TimeLog
from riskguard.core.scope import Scope
from tests.core.oracle import book, measures, prices
from tests.core.oracle.case import Case
from tests.core.oracle.measures import BookUnknownError, OrderUnknownError
from tests.core.oracle.prices import DAY_US, INDIA_US, SECOND_US, part

Code = str | None
Params = Any
"""Parameters are read by name alone: each check has its own."""

INTRADAY = ("INTRADAY", "CO", "BO")


class View(NamedTuple):
    """A case with what most rules begin with."""

    case: Case
    direction: str
    state: str

    @property
    def reduces(self) -> bool:
        return self.direction == "REDUCING"


def view(case: Case) -> View:
    return View(case, book.direction(case), state(case))


def state(case: Case) -> str:
    """The severest state of every scope that contains the order; a scope nobody knows contains every order."""
    order, instrument, worst = case.order, case.instrument, 0
    for cause in case.account.causes:
        kind, _, name = cause.scope.partition(":")
        mine = {
            "STRATEGY": order.strategy,
            "SEGMENT": order.exchange_segment,
            "INSTRUMENT": f"{order.exchange_segment}:{order.security_id}",
            "UNDERLYING": "" if instrument is None else book.hangs_on(instrument),
        }.get(kind, name)
        if mine == name:
            worst = max(worst, int(cause.state))
    return ("ACTIVE", "REDUCE_ONLY", "HALTED")[worst]


def unvalued(case: Case) -> str:
    """Why the order itself cannot be valued."""
    if case.instrument is None:
        return "INSTRUMENT_UNKNOWN"
    return "MULTIPLIER_UNKNOWN" if case.instrument.multiplier is None else "PRICE_UNKNOWN"


def blind(case: Case, scope: Scope) -> Code:
    """An account of the scope whose positions nobody has seen whole."""
    unseen = any(owner.position_seen_us is None for owner in book.accounts(case, scope))
    return "POSITION_UNKNOWN" if unseen else None


def above(case: Case, measure: Callable[[], int], limit: Fraction | int, code: str) -> Code:
    """§0 "Edges": landing on a cap is allowed, above it is refused, what cannot be measured is refused."""
    try:
        return code if measure() > limit else None
    except BookUnknownError:
        return "PRICE_UNKNOWN"
    except OrderUnknownError:
        return unvalued(case)


def within(log: TimeLog | None, window_us: int, now_us: int) -> int:
    """§5.13: how many times lie in (t − w, t]; one ahead of t counts too."""
    return 0 if log is None else sum(at_us > now_us - window_us for at_us in log.stamps_us)


# -- state, form and permission -----------------------------------------------------------------------------------


def trading_state(v: View, p: Params, scope: Scope) -> Code:
    """REDUCE_ONLY and neither REDUCING nor HEDGING; HALTED and not a person's exit."""
    if v.state == "ACTIVE":
        return None
    if v.state == "HALTED":
        return None if v.reduces and v.case.by else "TRADING_HALTED"
    if v.reduces or (v.direction == "HEDGING" and _hedges_within(v.case, p.hedge_premium_inr_max)):
        return None
    return "REDUCE_ONLY"


def _hedges_within(case: Case, premium: int | None) -> bool:
    """§5.14: a hedge covers no more than is naked, for no more than the premium, both in whole lots."""
    instrument, price = case.instrument, prices.risk(case)
    if premium is None or price is None or instrument is None or instrument.multiplier is None:
        return False
    kind = (instrument.underlying, instrument.option_type)
    naked, without_end = (
        book.uncovered(case.account.instruments, book.worst_options(case.account, instrument.key, bought), kind)
        for bought in (0, 10**12)
    )
    most = min(naked - without_end, premium // (price * instrument.multiplier))
    return case.order.quantity <= most // instrument.lot_size * instrument.lot_size


def order_validity(v: View, p: Params, scope: Scope) -> Code:
    """What is malformed in itself never becomes an Order; here what needs the instrument or the book."""
    order = v.case.order
    if v.direction == "SHORT_DELIVERY":
        return "SHORT_DELIVERY"
    if v.case.instrument is None and not v.reduces:
        return "INSTRUMENT_UNKNOWN"
    if order.disclosed_quantity and order.disclosed_quantity < Fraction(30, 100) * order.quantity:
        return "DISCLOSED_QUANTITY_OUT_OF_RANGE"
    return None


def permission(v: View, p: Params, scope: Scope) -> Code:
    """What is on a list of denied, or not on one of allowed; for exits only the side locks, and not a person's."""
    order, instrument = v.case.order, v.case.instrument
    locked = p.sides_allowed is not None and order.side not in p.sides_allowed
    if v.reduces:
        return "NOT_PERMITTED" if locked and not v.case.by else None
    key = f"{order.exchange_segment}:{order.security_id}"
    allowed = [
        (p.segments_allowed, order.exchange_segment),
        (p.products_allowed, order.product),
        (p.order_types_allowed, order.order_type),
        (p.instruments_allowed, key),
    ]
    denied = [(p.instruments_denied, key)]
    if instrument is not None:
        hangs_on = book.hangs_on(instrument)
        allowed.append((p.underlyings_allowed, hangs_on))
        denied += [(p.underlyings_denied, hangs_on), (p.symbols_denied, instrument.symbol)]
        if instrument.underlying:  # the exchange's ban is of derivatives alone
            denied.append((p.underlyings_banned, instrument.underlying))
        if instrument.exchange_segment in book.CASH:
            allowed.append((p.series_allowed, instrument.series))
            denied.append((p.series_denied, instrument.series))
    refused = any(listed is not None and each not in listed for listed, each in allowed)
    refused = refused or any(listed is not None and each in listed for listed, each in denied)
    return "NOT_PERMITTED" if refused or locked else None


def trading_window(v: View, p: Params, scope: Scope) -> Code:
    """Outside the class's session ∩ user's window, in the tail, a stop or IOC in the auction, expired."""
    case, order, instrument, now_us = v.case, v.case.order, v.case.instrument, v.case.now_us
    if v.reduces and case.by:
        return None
    if instrument is not None and instrument.expiry and instrument.expiry < case.account.session_date:
        return "CONTRACT_EXPIRED"
    outside = "OUTSIDE_TRADING_WINDOW"
    calendar, segment = case.account.calendar, order.exchange_segment
    day = date(1970, 1, 1).fromordinal(date(1970, 1, 1).toordinal() + (now_us + INDIA_US) // DAY_US)
    if calendar is None or not calendar.known(segment, day):
        if not v.reduces and p.unknown_day == "refuse":
            return outside
    else:
        sessions = [(each.open_us, each.close_us) for each in calendar.windows(segment, day)]
        close_us = next((close_us for open_us, close_us in sessions if open_us <= now_us < close_us), None)
        auction = calendar.closing_auction(segment, day)
        names = case.account.auction_names
        takes_part: bool | None = False  # None: nobody knows which shares have derivatives
        if auction is not None and segment in book.CASH:
            takes_part = None if names is None or instrument is None else instrument.symbol in names
        in_auction = auction is not None and auction.open_us <= now_us < auction.close_us
        if close_us is None and not (in_auction and takes_part):
            return outside
        if close_us is not None and takes_part and auction is not None:
            close_us = min(close_us, auction.open_us)  # such a share leaves continuous trading then
        if in_auction and (takes_part or (takes_part is None and not v.reduces)):
            if order.trigger_price_e4 is not None:
                return "STOP_ORDER_NOT_TAKEN"
            if order.validity == "IOC":
                return outside
        has_tail = p.square_off_tail_s != "none" and not v.reduces and order.product in INTRADAY
        if has_tail and (close_us is None or now_us >= close_us - p.square_off_tail_s):
            return outside
    if p.windows != "session" and not v.reduces:
        second = (now_us + INDIA_US) % DAY_US // SECOND_US
        if not any(window.open <= second < window.close for window in p.windows):
            return outside
    return None


# -- the exchange's grid and bands ----------------------------------------------------------------------------------


def lot_size(v: View, p: Params, scope: Scope) -> Code:
    """Not a multiple of the lot."""
    instrument = v.case.instrument
    return "NOT_A_LOT_MULTIPLE" if instrument is not None and v.case.order.quantity % instrument.lot_size else None


def freeze_quantity(v: View, p: Params, scope: Scope) -> Code:
    """Above the exchange freeze quantity; §5.11: exits too."""
    freeze = None if v.case.instrument is None else v.case.instrument.freeze_quantity
    return "ABOVE_FREEZE_QUANTITY" if freeze and v.case.order.quantity > freeze else None


def price_tick(v: View, p: Params, scope: Scope) -> Code:
    """Price or trigger is not a multiple of the tick."""
    order, instrument = v.case.order, v.case.instrument
    if instrument is None or instrument.tick_e4 <= 0:
        return None
    given = [price for price in (order.price_e4, order.trigger_price_e4) if price is not None]
    return "NOT_A_TICK_MULTIPLE" if any(price % instrument.tick_e4 for price in given) else None


def stop_limit_gap(v: View, p: Params, scope: Scope) -> Code:
    """|limit − trigger| > max(percent × trigger, absolute); a market stop of an option."""
    order, instrument = v.case.order, v.case.instrument
    if order.trigger_price_e4 is None or instrument is None:
        return None
    if order.price_e4 is None:
        return "STOP_ORDER_NOT_TAKEN" if instrument.option_type else None
    gap = prices.exchange_width(instrument.stop_gap_pct_e2, instrument.stop_gap_abs_e4, order.trigger_price_e4)
    apart = abs(order.price_e4 - order.trigger_price_e4)
    return "STOP_LIMIT_GAP_ABOVE_LIMIT" if gap is not None and apart > gap else None


def price_band(v: View, p: Params, scope: Scope) -> Code:
    """Outside the circuit band; a plain limit outside reference ± max(percent, absolute)."""
    order, instrument = v.case.order, v.case.instrument
    lower, upper = prices.bands(v.case)
    for price in (order.price_e4, order.trigger_price_e4):
        if price is not None and ((lower is not None and price < lower) or (upper is not None and price > upper)):
            return "PRICE_OUTSIDE_BAND"
    if order.order_type != "LIMIT" or instrument is None or order.price_e4 is None:
        return None
    if instrument.lpp_pct_e2 is None and instrument.lpp_abs_e4 is None:
        return None
    seen = prices.feed_reference(v.case)
    if seen is None:
        return "PRICE_UNKNOWN"
    width = prices.exchange_width(instrument.lpp_pct_e2, instrument.lpp_abs_e4, seen)
    return "PRICE_OUTSIDE_BAND" if width is not None and abs(order.price_e4 - seen) > width else None


def price_collar(v: View, p: Params, scope: Scope) -> Code:
    """
    BUY limit > P_ref × (1 + c), SELL limit < P_ref × (1 − c); the limit of a stop against its trigger only.

    §5.10: exits get it doubled, then clipped to the band; their stops are never blocked.
    """
    order, instrument = v.case.order, v.case.instrument
    if order.price_e4 is None or instrument is None:
        return None
    if order.trigger_price_e4 is not None and v.reduces:
        return None
    base = prices.feed_reference(v.case) if order.trigger_price_e4 is None else order.trigger_price_e4
    if base is None:
        return None if v.reduces else "PRICE_UNKNOWN"
    collar = p.option if instrument.option_type else p.future if instrument.kind.startswith("FUT") else p.share
    by_percent = floor(base * part(collar.collar_pct_max or 0))
    width = max(by_percent, (collar.collar_ticks_max or 0) * instrument.tick_e4) * (2 if v.reduces else 1)

    def is_beyond(price: int) -> bool:
        return price > base + width if order.side == "BUY" else price < base - width

    beyond = is_beyond(order.price_e4)
    if beyond and v.reduces:
        sent = prices.sent_price(v.case)
        beyond = sent is not None and is_beyond(sent)
    return "PRICE_OUTSIDE_COLLAR" if beyond else None


# -- ages and losses ------------------------------------------------------------------------------------------------


def data_freshness(v: View, p: Params, scope: Scope) -> Code:
    """The position list is older than its limit, or more than 2 s in the future."""
    seen_us, now_us = v.case.account.position_seen_us, v.case.now_us
    if seen_us is None:
        return "POSITION_UNKNOWN"
    if seen_us > now_us + 2 * SECOND_US:
        return "CLOCK_SKEW"
    return "SNAPSHOT_STALE" if now_us - seen_us > p.snapshot_age_s_max else None


def clock_skew(v: View, p: Params, scope: Scope) -> Code:
    """Anything the decision rests on is stamped further ahead than allowed."""
    case, quote, evidence = v.case, prices.shown(v.case), v.case.order.quote
    stamps = [
        None if quote is None else quote.at_us,
        None if evidence is None else evidence.at_us,
        case.order.signal_at_us,
        case.account.position_seen_us,
    ]
    ahead = any(at_us is not None and at_us - case.now_us > p.ahead_s_max for at_us in stamps)
    return "CLOCK_SKEW" if ahead else None


def signal_age(v: View, p: Params, scope: Scope) -> Code:
    """The signal is older than its limit, or not said, or more than 2 s in the future."""
    at_us, now_us = v.case.order.signal_at_us, v.case.now_us
    if at_us is not None and at_us > now_us + 2 * SECOND_US:
        return "CLOCK_SKEW"
    return "SIGNAL_STALE" if at_us is None or now_us - at_us > p.signal_age_s_max else None


def sweep_heartbeat(v: View, p: Params, scope: Scope) -> Code:
    """No sweep finished for n intervals."""
    at_us = v.case.account.sweep_at_us
    allowed_us = p.intervals_max * v.case.account.sweep_interval_us
    return "SWEEP_STALE" if at_us is None or v.case.now_us - at_us > allowed_us else None


def _day(case: Case) -> int | None:
    return None if case.account.pnl is None else case.account.pnl.day_pnl_e4


def _daily_limit(case: Case, p: Params) -> int | None:
    """Rupees or percent of day-start equity, the tighter; with a percentage of nobody knows what, unknown."""
    limits = [] if p.daily_loss_inr_max is None else [p.daily_loss_inr_max]
    if p.daily_loss_pct_max is not None:
        opening = case.account.opening_equity_e4
        if opening is None or opening <= 0:
            return None
        limits.append(max(1, floor(Fraction(p.daily_loss_pct_max, 100) * opening)))
    tightest: int = min(limits)
    return tightest


def daily_loss(v: View, p: Params, scope: Scope) -> Code:
    """Day P&L ≤ −limit: *reaching* it trips."""
    limit, day = _daily_limit(v.case, p), _day(v.case)
    if limit is None or day is None:
        return "PNL_UNKNOWN"
    return "DAILY_LOSS_REACHED" if day <= -limit else None


def projected_daily_loss(v: View, p: Params, scope: Scope) -> Code:
    """Day P&L − Σ loss at stops (open positions + this order) would reach the daily limit; §5.12: at equality."""
    case, instrument = v.case, v.case.instrument
    limit, day, percent = _daily_limit(case, p), _day(case), part(p.scenario_pct)
    if limit is None or day is None:
        return "PNL_UNKNOWN"
    if case.account.position_seen_us is None:
        return "POSITION_UNKNOWN"
    try:
        standing = measures.loss_at_stops(case, percent)
    except BookUnknownError:
        return "PRICE_UNKNOWN"
    has_stop = case.order.stop_loss_e4 is not None
    each = _to_stop(case) if has_stop else measures.own_scenario(case, percent)
    if each is None or instrument is None:
        return unvalued(case)
    return "PROJECTED_LOSS_REACHED" if standing - day + case.order.quantity * max(1, each) >= limit else None


def _to_stop(case: Case) -> int | None:
    """(entry − stop) × multiplier of one unit; below 0 where a fill would be past the stop already."""
    entry, instrument, stop = prices.entry(case), case.instrument, case.order.stop_loss_e4
    if entry is None or stop is None or instrument is None or instrument.multiplier is None:
        return None
    return (entry - stop if case.order.side == "BUY" else stop - entry) * instrument.multiplier


def stop_required(v: View, p: Params, scope: Scope) -> Code:
    """No stop, or one on the winning side of where a market order would open."""
    stop, entry = v.case.order.stop_loss_e4, prices.entry(v.case)
    if stop is None:
        return "STOP_REQUIRED"
    if entry is None:
        return None
    return "STOP_REQUIRED" if (stop >= entry if v.case.order.side == "BUY" else stop <= entry) else None


def risk_per_trade(v: View, p: Params, scope: Scope) -> Code:
    """(entry − stop) × q > rupees or f × equity; no stop."""
    case = v.case
    limits: list[Fraction | int] = [] if p.risk_inr_max is None else [p.risk_inr_max]
    if p.risk_pct_max is not None:
        equity = measures.equity(case, Scope("ACCOUNT", case.account.name))
        if equity is None or equity <= 0:
            return "EQUITY_UNKNOWN"
        limits.append(part(p.risk_pct_max) * equity)
    if case.order.stop_loss_e4 is None:
        return "STOP_REQUIRED"
    each = _to_stop(case)
    if each is None:
        return unvalued(case)
    if each <= 0:
        return "STOP_REQUIRED"
    return "RISK_PER_TRADE_ABOVE_LIMIT" if each * case.order.quantity > min(limits) else None


# -- size, exposure and margin --------------------------------------------------------------------------------------


def order_quantity(v: View, p: Params, scope: Scope) -> Code:
    """Quantity > max, in units or lots."""
    if p.unit == "lots" and v.case.instrument is None:
        return "INSTRUMENT_UNKNOWN"
    lot = v.case.instrument.lot_size if p.unit == "lots" and v.case.instrument is not None else 1
    return "ORDER_QUANTITY_ABOVE_LIMIT" if Fraction(v.case.order.quantity, lot) > p.quantity_max else None


def order_value(v: View, p: Params, scope: Scope) -> Code:
    """Value > max, ours for entries, the exchange's for exits too; an exit that cannot be valued passes (§5.11)."""
    instrument = v.case.instrument
    limits = [] if v.reduces else [p.order_value_inr_max]
    if instrument is not None and instrument.order_value_max_e4 is not None:
        limits.append(instrument.order_value_max_e4)
    if not limits:
        return None
    # An instrument nobody knows is `order_validity`'s to refuse; here its value is that of a share.
    multiplier, price = 1 if instrument is None else instrument.multiplier, prices.risk(v.case)
    if multiplier is None or price is None:
        return None if v.reduces else "MULTIPLIER_UNKNOWN" if multiplier is None else "PRICE_UNKNOWN"
    return "ORDER_VALUE_ABOVE_LIMIT" if v.case.order.quantity * price * multiplier > min(limits) else None


def net_position(v: View, p: Params, scope: Scope) -> Code:
    """Reach N + W⁺ + q (buy) or −N + W⁻ + q (sell) > max, in units, lots or rupees; by instrument or underlying."""
    case, instrument = v.case, v.case.instrument
    unknown = blind(case, scope)
    if unknown is not None:
        return unknown
    most = Fraction(p.position_max, 10_000)  # like the v3 column: 500 units are 5_000_000
    if p.per == "underlying":
        if instrument is None:
            return "INSTRUMENT_UNKNOWN"
        found = measures.reach_by_underlying(case, scope, p.unit == "lots")
        if found is None:
            return "INSTRUMENT_UNKNOWN"
        return "NET_POSITION_ABOVE_LIMIT" if found > 0 and found > most else None
    units = measures.reach(case, scope)
    if units <= 0:
        return None
    by_value = by_quantity = None
    if p.unit in ("inr", "unconfirmed"):
        multiplier, price = 1 if instrument is None else instrument.multiplier, prices.risk(case)
        if price is None or multiplier is None:
            by_value = "PRICE_UNKNOWN" if price is None else "MULTIPLIER_UNKNOWN"
        elif units * price * multiplier > p.position_max:
            by_value = "NET_POSITION_ABOVE_LIMIT"
    if p.unit != "inr":
        if p.unit == "lots" and instrument is None:
            return "INSTRUMENT_UNKNOWN"
        lot = instrument.lot_size if p.unit == "lots" and instrument is not None else 1
        by_quantity = "NET_POSITION_ABOVE_LIMIT" if Fraction(units, lot) > most else None
    return by_value or by_quantity  # §5.5: the tighter of two readings


def naked_short_option(v: View, p: Params, scope: Scope) -> Code:
    """Uncovered short lots after the order > max; a purchase uncovers nothing."""
    case, instrument = v.case, v.case.instrument
    if case.order.side == "BUY" or (instrument is not None and not instrument.is_option):
        return None
    unknown = blind(case, scope)
    if unknown is not None or instrument is None:
        return unknown or "INSTRUMENT_UNKNOWN"
    lots = measures.naked_lots(case, scope)
    if lots is None:
        return "INSTRUMENT_UNKNOWN"
    return "NAKED_SHORT_ABOVE_LIMIT" if lots > p.naked_lots_max else None


def position_value(v: View, p: Params, scope: Scope) -> Code:
    """Value of the reach after this order > max."""
    return blind(v.case, scope) or above(
        v.case, lambda: measures.position(v.case, scope), p.position_value_inr_max, "POSITION_VALUE_ABOVE_LIMIT"
    )


def gross_exposure(v: View, p: Params, scope: Scope) -> Code:
    return blind(v.case, scope) or above(
        v.case, lambda: measures.gross(v.case, scope), p.gross_exposure_inr_max, "GROSS_EXPOSURE_ABOVE_LIMIT"
    )


def net_exposure(v: View, p: Params, scope: Scope) -> Code:
    return blind(v.case, scope) or above(
        v.case, lambda: measures.net(v.case, scope), p.net_exposure_inr_max, "NET_EXPOSURE_ABOVE_LIMIT"
    )


def leverage(v: View, p: Params, scope: Scope) -> Code:
    """Gross exposure > k × equity; equity unknown or ≤ 0 is refused."""
    equity = measures.equity(v.case, scope)
    if equity is None or equity <= 0:
        return "EQUITY_UNKNOWN"
    most = Fraction(p.leverage_max, 10_000) * equity
    return blind(v.case, scope) or above(v.case, lambda: measures.gross(v.case, scope), most, "LEVERAGE_ABOVE_LIMIT")


def concentration(v: View, p: Params, scope: Scope) -> Code:
    """Exposure of the underlying > c × equity after the order."""
    equity, instrument = measures.equity(v.case, scope), v.case.instrument
    if equity is None or equity <= 0:
        return "EQUITY_UNKNOWN"
    unknown = blind(v.case, scope)
    if unknown is not None or instrument is None:
        return unknown or "INSTRUMENT_UNKNOWN"
    most, underlying = part(p.concentration_pct_max) * equity, book.hangs_on(instrument)
    return above(v.case, lambda: measures.gross(v.case, scope, underlying), most, "CONCENTRATION_ABOVE_LIMIT")


def margin_available(v: View, p: Params, scope: Scope) -> Code:
    """Required > (available − held) × (1 − buffer), both rounded against the order; neither known."""
    case, order = v.case, v.case.order
    available, at_us = case.account.funds_available_e4, case.account.funds_at_us
    if available is None or at_us is None:
        return "MARGIN_UNKNOWN"
    if not case.now_us - p.funds_age_s_max <= at_us <= case.now_us + 2 * SECOND_US:
        return "MARGIN_UNKNOWN"
    try:
        held = measures.margin_held(case, p.short_margin_pct)
    except BookUnknownError:
        return "MARGIN_UNKNOWN"
    leg = (order.instrument, order.side, order.product, order.quantity)
    required = case.account.margins[leg][0] if leg in case.account.margins else None
    if required is None:
        required = measures.margin_of(
            case, case.instrument, order.sign, order.quantity, prices.risk(case), p.short_margin_pct
        )
    if required is None:
        return "MARGIN_UNKNOWN"
    return "MARGIN_NOT_ENOUGH" if required > floor((available - held) * (1 - part(p.buffer_pct))) else None


def open_order_value(v: View, p: Params, scope: Scope) -> Code:
    """Working orders and permits, unknown ones in full, + this > max."""
    case, instrument, price = v.case, v.case.instrument, prices.risk(v.case)
    if measures.any_unvalued(case, scope):
        return "PRICE_UNKNOWN"
    if instrument is None or instrument.multiplier is None or price is None:
        return unvalued(case)
    value = case.order.quantity * price * instrument.multiplier
    value += sum(measures.order_worth(case, scope, row, each) or 0 for row, each in measures.open_orders(case, scope))
    return "OPEN_ORDER_VALUE_ABOVE_LIMIT" if value > p.open_order_value_inr_max else None


def open_order_count(v: View, p: Params, scope: Scope) -> Code:
    """Working orders and this > max."""
    many = len(measures.open_orders(v.case, scope)) + 1 > p.open_orders_max
    return "OPEN_ORDER_COUNT_ABOVE_LIMIT" if many else None


def time_to_flat(v: View, p: Params, scope: Scope) -> Code:
    """Messages and slices needed to be flat > T, in milliseconds rounded up."""
    took_ms = ceil(Fraction(measures.messages_to_flat(v.case) * 1_000, p.messages_per_s))
    return "TIME_TO_FLAT_ABOVE_LIMIT" if took_ms > p.flat_s_max // 1_000 else None


# -- conduct ----------------------------------------------------------------------------------------------------------


def self_trade(v: View, p: Params, scope: Scope) -> Code:
    """An opposite working order of one's own group that could match."""
    meets = any(
        each.sign != v.case.order.sign and each.remaining and measures.could_meet(v.case, each)
        for owner in book.accounts(v.case, Scope("GROUP"))
        for line in owner.positions.get(v.case.order.instrument, {}).values()
        for each in line.working.values()
    )
    return "SELF_TRADE" if meets else None


def unconfirmed_in_flight(v: View, p: Params, scope: Scope) -> Code:
    """A permit SENT without an answer for this instrument for more than t; one exit is allowed."""
    account, key = v.case.account, v.case.order.instrument
    waits = any(v.case.now_us - at_us > p.answer_s_max for at_us in account.unanswered.get(key, {}).values())
    first_exit = v.reduces and not account.reducing_live.get(key)
    return "UNCONFIRMED_IN_FLIGHT" if waits and not first_exit else None


def duplicate_order(v: View, p: Params, scope: Scope) -> Code:
    """The same order approved less than w ago; slices and changes of an order are none."""
    order = v.case.order
    same = (
        order.strategy, order.instrument, order.side, order.product, order.quantity, order.order_type, order.price_e4,
        order.trigger_price_e4,
    )  # fmt: skip
    at_us = v.case.account.same.get(same)
    if at_us is None or v.case.modifying or order.slice_of:
        return None
    return "DUPLICATE_ORDER" if v.case.now_us - at_us < p.within_s else None


def repeated_execution(v: View, p: Params, scope: Scope) -> Code:
    """≥ n fills, or refusals, of (strategy, instrument, side) in a window."""
    loop = (v.case.order.strategy, v.case.order.instrument, v.case.order.side)
    fills = within(v.case.account.cycles.get(loop), p.per_s, v.case.now_us)
    refusals = within(v.case.account.refused.get(loop), p.per_s, v.case.now_us)
    return "REPEATED_EXECUTION" if fills >= p.trip_at_fills or refusals >= p.trip_at_refusals else None


def modification_count(v: View, p: Params, scope: Scope) -> Code:
    """More than n modifications of one order, this one counted."""
    if not v.case.modifying:
        return None
    many = v.case.account.modifications.get(v.case.modifying, 0) + 1 > p.modifications_max
    return "MODIFICATIONS_ABOVE_LIMIT" if many else None


def order_to_trade_ratio(v: View, p: Params, scope: Scope) -> Code:
    """Orders outside the exempt band / trades > r over the day; the first few are free, and any inside the band."""
    order, seen = v.case.order, prices.reference(v.case)
    price = order.price_e4 if order.price_e4 is not None else order.trigger_price_e4
    if price is None or (seen is not None and abs(price - seen) <= seen * part(p.exempt_band_pct_max)):
        return None
    orders = v.case.account.day_orders.get(p.exempt_band_pct_max, 0) + 1
    allowed = max(p.orders_free, p.orders_per_trade_max * v.case.account.day_trades)
    return "ORDER_TO_TRADE_RATIO_ABOVE_LIMIT" if orders > allowed else None


def order_rate(v: View, p: Params, scope: Scope) -> Code:
    """More messages in a sliding window than allowed; the reserve is for exits; granted permits count already."""
    account = v.case.account
    for window in p.windows:
        messages = within(account.sent, window.per_s, v.case.now_us) + account.granted + 1
        if messages > window.messages_max - (0 if v.reduces else window.reserve):
            return "ORDER_RATE_ABOVE_LIMIT"
    return None


def attempt_rate(v: View, p: Params, scope: Scope) -> Code:
    """More than n checks asked per strategy in a window, this one counted."""
    asked = within(v.case.account.attempts.get(v.case.order.strategy), p.per_s, v.case.now_us) + 1
    return "ATTEMPT_RATE_ABOVE_LIMIT" if asked > p.attempts_max else None


Rule = Callable[[View, Params, Scope], Code]
RULES: dict[str, tuple[Rule, str]] = {
    "trading_state": (trading_state, "applies"),
    "order_validity": (order_validity, "applies"),
    "permission": (permission, "applies"),  # but for the lists: a side lock alone
    "trading_window": (trading_window, "applies"),  # allowed within the session
    "lot_size": (lot_size, "exempt"),  # odd lots that close are allowed
    "freeze_quantity": (freeze_quantity, "applies"),
    "price_tick": (price_tick, "exempt"),  # rounded to the passive side
    "stop_limit_gap": (stop_limit_gap, "exempt"),  # adjusted
    "price_band": (price_band, "exempt"),  # clipped to the band
    "price_collar": (price_collar, "applies"),  # doubled
    "data_freshness": (data_freshness, "exempt"),
    "clock_skew": (clock_skew, "exempt"),
    "signal_age": (signal_age, "exempt"),
    "sweep_heartbeat": (sweep_heartbeat, "exempt"),
    "daily_loss": (daily_loss, "exempt"),
    "projected_daily_loss": (projected_daily_loss, "exempt"),
    "stop_required": (stop_required, "exempt"),
    "risk_per_trade": (risk_per_trade, "exempt"),
    "order_quantity": (order_quantity, "exempt"),
    "order_value": (order_value, "applies"),  # the exchange's ceiling alone
    "net_position": (net_position, "exempt"),
    "naked_short_option": (naked_short_option, "exempt"),
    "position_value": (position_value, "exempt"),
    "gross_exposure": (gross_exposure, "exempt"),
    "net_exposure": (net_exposure, "exempt"),
    "leverage": (leverage, "exempt"),
    "concentration": (concentration, "exempt"),
    "margin_available": (margin_available, "exempt"),
    "open_order_value": (open_order_value, "exempt"),
    "open_order_count": (open_order_count, "exempt"),
    "time_to_flat": (time_to_flat, "exempt"),
    "self_trade": (self_trade, "warns"),
    "unconfirmed_in_flight": (unconfirmed_in_flight, "applies"),  # one allowed
    "duplicate_order": (duplicate_order, "exempt"),
    "repeated_execution": (repeated_execution, "exempt"),
    "modification_count": (modification_count, "applies"),
    "order_to_trade_ratio": (order_to_trade_ratio, "exempt"),
    "order_rate": (order_rate, "applies"),  # draws on the reserve
    "attempt_rate": (attempt_rate, "exempt"),
}
"""The table of checks.md §1, with its last column."""
