"""
What the limits of exposure, money and risk measure, with the order working in the book; 1/10000 rupee, None unknown.

Each measure builds the book as it would be and adds it up, line by line. Nothing is prepared, shared or searched.
Source: checks.md §0 "Value bases", §1, §5.4, §5.14, and the docstrings of the checks.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import ceil

from riskguard.core.book import Working
from riskguard.core.instrument import Instrument
from riskguard.core.scope import Scope
from tests.core.oracle import prices
from tests.core.oracle.book import (
    CASH,
    Row,
    accounts,
    hangs_on,
    is_own,
    is_within,
    own_row,
    rows,
    uncovered,
    working,
    worst_options,
)
from tests.core.oracle.case import Case
from tests.core.oracle.prices import Price, part


class BookUnknownError(Exception):
    """Something in the book cannot be valued: a limit over it is refused for want of a price."""


class OrderUnknownError(Exception):
    """The order itself cannot be valued."""


# -- what one unit counts ---------------------------------------------------------------------------------------


def mark(case: Case, scope: Scope, instrument: Instrument) -> Price:
    """The newest mark, however old, else the highest previous close any account of the scope has."""
    seen = prices.mark(
        case.account.quotes.get(instrument.key), instrument.option_type != "" or instrument.kind.startswith("OPT")
    )
    if seen is not None:
        return seen
    lines = [line for owner in accounts(case, scope) for line in owner.positions.get(instrument.key, {}).values()]
    return max([line.previous_close_e4 for line in lines if line.previous_close_e4], default=None)


def notional(case: Case, instrument: Instrument) -> Price:
    """What one unit of an option stands for: its underlying's price, else its strike."""
    spot = case.account.spots.get(instrument.underlying)
    seen = prices.mark(spot, False)
    base = instrument.strike_e4 if seen is None else seen
    return None if base is None or instrument.multiplier is None else base * instrument.multiplier


def unit(case: Case, scope: Scope, instrument: Instrument, bought: bool, asked: Price = None) -> Price:
    """Short options by the notional of the underlying, all else by the higher of mark and order price."""
    if instrument.multiplier is None:
        return None
    if instrument.is_option and not bought:
        return notional(case, instrument)
    known = [price for price in (mark(case, scope, instrument), asked) if price is not None]
    return max(known) * instrument.multiplier if known else None


def _unit_of(case: Case, scope: Scope, row: Row, bought: bool) -> Price:
    instrument = row.instrument
    if instrument is None:
        raise BookUnknownError
    return unit(case, scope, instrument, bought, prices.risk(case) if row.key == case.order.instrument else None)


def _own_unit(case: Case, scope: Scope, bought: bool) -> Price:
    """The side that is ordered counts at the worst it may cost, or not at all; a sold option needs no price."""
    instrument, price = case.instrument, prices.risk(case)
    if instrument is None:
        return None
    if bought == (case.order.side == "BUY") and price is None and (bought or not instrument.is_option):
        return None
    return unit(case, scope, instrument, bought, price)


def _value(case: Case, scope: Scope, row: Row, units: int, bought: bool) -> int:
    """What *units* of one side are worth; none are worth nothing, whatever one costs."""
    if units <= 0:
        return 0
    own = is_own(case, row)
    each = _own_unit(case, scope, bought) if own else _unit_of(case, scope, row, bought)
    if each is None:
        raise OrderUnknownError if own else BookUnknownError
    return units * each


def _with_order(case: Case, scope: Scope, underlying: str = "") -> list[tuple[Row, int, int]]:
    """Every line of the scope as (line, long reach, short reach), the order filled in its own."""
    found = list(rows(case, scope))
    own = own_row(case, found)
    made = []
    for row in [own, *(row for row in found if not is_own(case, row))]:
        instrument = row.instrument
        if underlying and row is not own and instrument is not None and hangs_on(instrument) != underlying:
            continue
        if instrument is None and row is not own:
            raise BookUnknownError
        bought = case.order.quantity if row is own and case.order.side == "BUY" else 0
        sold = case.order.quantity if row is own and case.order.side == "SELL" else 0
        made.append((row, row.top + bought, -row.bottom + sold))
    # The book first: what cannot be valued there is said before the order is looked at.
    return made[1:] + made[:1]


def gross(case: Case, scope: Scope, underlying: str = "") -> int:
    """Σ over lines of the larger side they may reach; nothing offsets anything."""
    return sum(
        max(_value(case, scope, row, long, True), _value(case, scope, row, short, False))
        for row, long, short in _with_order(case, scope, underlying)
    )


def net(case: Case, scope: Scope) -> int:
    """
    How far the book leans to the order's side, everything working on that side filled.

    Long calls, short puts and long futures lean one way. What stands on the other side offsets, but a short option
    offsets nothing: it gains no more than its premium.
    """
    instrument = case.instrument
    rises = (case.order.side == "BUY") != (instrument is not None and instrument.option_type == "PE")
    total = 0
    for row, long, short in _with_order(case, scope):
        if not is_own(case, row):
            _value(case, scope, row, long, True)  # a line that cannot be valued on either side is not valued at all
            _value(case, scope, row, short, False)
        option = row.instrument
        is_put = option is not None and option.option_type == "PE"
        bought = rises != is_put  # the side of this line that leans there
        units = long if bought else short
        if units >= 0:
            total += _value(case, scope, row, units, bought)
        elif not (bought and option is not None and option.is_option):
            total -= _value(case, scope, row, -units, not bought)
    return total


def position(case: Case, scope: Scope) -> int:
    """What the order's own instrument may be worth on the order's side, over all lines of the scope."""
    buy, units = case.order.side == "BUY", case.order.quantity
    for row in rows(case, scope):
        if row.key == case.order.instrument:
            side = row.top if buy else -row.bottom
            units += side if is_own(case, row) else max(0, side)
    if units <= 0:
        return 0
    each = _own_unit(case, scope, buy)
    if each is None:
        raise OrderUnknownError
    return units * each


# -- units and lots ---------------------------------------------------------------------------------------------


def _own_reach(case: Case, row: Row) -> int:
    """N + W⁺ of a buy, −N + W⁻ of a sale: to the letter, a delivery line sold beyond what it holds included."""
    if case.order.side == "BUY":
        return row.most + working(row.orders, 1)
    return -row.least + working(row.orders, -1)


def reach(case: Case, scope: Scope) -> int:
    """N + W⁺ + q of a buy, −N + W⁻ + q of a sale; other lines of the instrument add, but excuse nothing."""
    total = case.order.quantity
    for row in rows(case, scope):
        if is_own(case, row):
            total += _own_reach(case, row)
        elif row.key == case.order.instrument:
            total += max(0, row.top if case.order.side == "BUY" else -row.bottom)
    return total


def reach_by_underlying(case: Case, scope: Scope, in_lots: bool) -> Fraction | None:
    """
    The same over all that hangs on the order's underlying, by direction of exposure; None: a line nobody knows.

    In lots each line counts in lots of its own, a part as one; the order's own line exactly.
    """
    instrument = case.instrument
    assert instrument is not None
    buy, lot = case.order.side == "BUY", instrument.lot_size if in_lots else 1
    total = Fraction(case.order.quantity, lot)
    unknown = False
    for row in rows(case, scope):
        if is_own(case, row):
            total += Fraction(_own_reach(case, row), lot)
        elif row.instrument is None:
            unknown = True
        elif hangs_on(row.instrument) == hangs_on(instrument):
            alike = (row.instrument.option_type == "PE") == (instrument.option_type == "PE")
            side = max(0, row.top if buy == alike else -row.bottom)
            total += ceil(Fraction(side, row.instrument.lot_size)) if in_lots else side
    return None if unknown else total


def naked_lots(case: Case, scope: Scope) -> int | None:
    """
    Sold option lots that no bought option covers once the order is filled; None: a sold contract nobody knows.

    Cover is looked for in the same account, underlying and type alone. A limit of one INSTRUMENT counts all that
    shares its underlying and type. Where lots differ, the smallest makes the most of them.
    """
    own = case.instrument
    assert own is not None
    sold: dict[tuple[str, tuple[str, str]], int] = {}
    for row in rows(case, scope):
        if row.instrument is None and row.key[0] not in CASH:
            place = (row.owner.name, row.key)
            sold[place] = sold.get(place, 0) + row.least - working(row.orders, -1)
    if any(units < 0 for units in sold.values()):
        return None
    lots = 0
    for owner in accounts(case, scope):
        held = _strategy_options(case, scope) if scope.kind == "STRATEGY" else worst_options(owner)
        smallest: dict[tuple[str, str], int] = {}
        if owner is case.account:
            held[own.key] = held.get(own.key, 0) - case.order.quantity
            smallest[own.underlying, own.option_type] = own.lot_size
        for key in held:
            option = owner.instruments.get(key)
            if option is None or not option.is_option:
                continue
            kind = (option.underlying, option.option_type)
            alike = kind == (own.underlying, own.option_type)
            if alike if scope.kind == "INSTRUMENT" else is_within(scope, owner, key):
                smallest[kind] = min(option.lot_size, smallest.get(kind, option.lot_size))
        for kind, lot in smallest.items():
            lots += ceil(Fraction(uncovered(owner.instruments, held, kind), lot))
    return lots


# -- orders -----------------------------------------------------------------------------------------------------


def open_orders(case: Case, scope: Scope) -> list[tuple[Row, Working]]:
    """Every working order of the scope, of each OCO group the largest."""
    found: list[tuple[Row, Working]] = []
    for owner in accounts(case, scope):
        for key, lines in owner.positions.items():
            if not is_within(scope, owner, key):
                continue
            for product, line in lines.items():
                row = Row(owner, key, product, 0, 0, ())
                of_scope = scope.name if scope.kind == "STRATEGY" else None
                mine = [each for each in line.working.values() if of_scope is None or each.strategy in (of_scope, "")]
                groups: dict[tuple[int, str], list[Working]] = {}
                for each in mine:
                    if each.reducing and each.exit_group:
                        groups.setdefault((each.sign, each.exit_group), []).append(each)
                    else:
                        found.append((row, each))
                for legs in groups.values():
                    found.append((row, max(legs, key=lambda leg: order_worth(case, scope, row, leg) or 0)))
    return found


def any_unvalued(case: Case, scope: Scope) -> bool:
    """Say whether a working order of the scope cannot be valued, be it a leg of a group."""
    return any(
        order_worth(case, scope, Row(owner, key, product, 0, 0, ()), each) is None
        for owner in accounts(case, scope)
        for key, lines in owner.positions.items()
        if is_within(scope, owner, key)
        for product, line in lines.items()
        for each in line.working.values()
        if scope.kind != "STRATEGY" or each.strategy in (scope.name, "")
    )


def order_worth(case: Case, scope: Scope, row: Row, each: Working) -> Price:
    """As judged when it was let out; else at its own prices, a sale or one without at the mark if that is higher."""
    instrument = row.instrument
    if instrument is None or instrument.multiplier is None:
        return None
    if each.risk_price_e4 is not None:
        return each.remaining * each.risk_price_e4 * instrument.multiplier
    known = [price for price in (each.price_e4, each.trigger_price_e4) if price]
    if each.sign < 0 or not known:
        seen = mark(case, scope, instrument)
        known += [] if seen is None else [seen]
    return each.remaining * max(known) * instrument.multiplier if known else None


def could_meet(case: Case, other: Working) -> bool:
    """
    Say whether the order and an opposite one could trade with each other.

    Two limits must meet; an order at market meets any that rests; a stop meets only what rests beyond its trigger,
    and two stops never stand in the market together.
    """
    order = case.order
    buy = order.side == "BUY"
    limits = (order.price_e4, other.price_e4) if buy else (other.price_e4, order.price_e4)
    if limits[0] is not None and limits[1] is not None and limits[0] < limits[1]:
        return False  # the buyer pays less than the seller wants
    if order.trigger_price_e4 is None and other.trigger_price_e4 is None:
        return True
    if order.trigger_price_e4 is not None and other.trigger_price_e4 is not None:
        return False
    if order.trigger_price_e4 is not None:
        stop_buys, trigger, rests = buy, order.trigger_price_e4, other.price_e4
    else:
        stop_buys, trigger, rests = not buy, other.trigger_price_e4 or 0, order.price_e4
    if rests is None:
        return False  # what is at market is gone before the stop fires
    if stop_buys:
        return rests >= trigger if order.trigger_price_e4 is not None else rests > trigger
    return rests <= trigger if order.trigger_price_e4 is not None else rests < trigger


def messages_to_flat(case: Case) -> int:
    """A cancel for each working order, the new one too, and a message for each freeze quantity reachable."""
    messages = 1
    scope = Scope("ACCOUNT", case.account.name)
    found = list(rows(case, scope))
    own = own_row(case, found)
    for row in [own, *(row for row in found if not is_own(case, row))]:
        long, short = row.top, -row.bottom
        if row is own:
            long += case.order.quantity if case.order.side == "BUY" else 0
            short += case.order.quantity if case.order.side == "SELL" else 0
        messages += len(row.orders)
        units = max(0, long, short)
        freeze = None if row.instrument is None else row.instrument.freeze_quantity
        messages += ceil(Fraction(units, freeze)) if freeze else min(1, units)
    return messages


# -- losses -----------------------------------------------------------------------------------------------------


def scenario(case: Case, scope: Scope, instrument: Instrument, bought: bool, asked: Price, percent: Fraction) -> Price:
    """
    What a unit without a stop loses in a move of *percent*, rounded up.

    An option loses as its underlying moves; a bought one no more than its premium.
    """
    value = unit(case, scope, instrument, True, asked)
    if not instrument.is_option:
        return None if value is None else ceil(value * percent)
    base = notional(case, instrument)
    moved = None if base is None else ceil(base * percent)
    if not bought:
        return moved
    return value if value is None or moved is None else min(value, moved)


def loss_at_stops(case: Case, percent: Fraction) -> int:
    """What the account loses from its marks if every stop is hit; of one line the worse side."""
    scope = Scope("ACCOUNT", case.account.name)
    return sum(
        max(
            _side_loss(case, scope, row, True, row.most, percent),
            _side_loss(case, scope, row, False, -row.least, percent),
        )
        for row in rows(case, scope)
    )


def _side_loss(case: Case, scope: Scope, row: Row, bought: bool, units: int, percent: Fraction) -> int:
    """What is held loses to its stops, what would open in the move; an order that opens counts as filled."""
    opening = [each for each in row.orders if (each.sign > 0) == bought and not each.reducing]
    if units <= 0 and not opening:
        return 0
    instrument = row.instrument
    if instrument is None or instrument.multiplier is None:
        raise BookUnknownError
    loss = 0
    if units > 0:
        value = unit(case, scope, instrument, True)
        bare = scenario(case, scope, instrument, bought, None, percent)
        if value is None or bare is None:
            raise BookUnknownError
        for beyond, stopped in _stops(row.orders, bought, value, instrument.multiplier):
            loss += min(units, stopped) * beyond
            units -= min(units, stopped)
        loss += units * bare
    for each in opening:
        known = [price for price in (each.price_e4, each.trigger_price_e4) if price]
        price = each.risk_price_e4 if each.risk_price_e4 is not None else max(known, default=None)
        bare = scenario(case, scope, instrument, bought, price, percent)
        if bare is None:
            raise BookUnknownError
        loss += each.remaining * bare
    return loss


def _stops(orders: Iterable[Working], bought: bool, value: int, multiplier: int) -> list[tuple[int, int]]:
    """
    (loss per unit, units) of the stops of one side, the dearest first: which of them fires is not ours to choose.

    A stop may fill as far as its limit. Of one OCO group one leg fires: say the worse, for the fewer units.
    """
    legs: dict[str, list[tuple[int, int]]] = {}
    for each in orders:
        if each.protective and (each.sign < 0) == bought and each.trigger_price_e4 is not None:
            fills = [each.trigger_price_e4] + ([] if each.price_e4 is None else [each.price_e4])
            worst = multiplier * (min(fills) if bought else max(fills))
            beyond = max(0, value - worst if bought else worst - value)
            legs.setdefault(each.exit_group or f"alone: {each.key}", []).append((beyond, each.remaining))
    stops = [(max(beyond for beyond, _ in group), min(units for _, units in group)) for group in legs.values()]
    return sorted(stops, reverse=True)


def own_scenario(case: Case, percent: Fraction) -> Price:
    """The move for one unit of the order; the price it would open at must be known, but for a sold option."""
    instrument, price = case.instrument, prices.risk(case)
    bought = case.order.side == "BUY"
    if instrument is None or (price is None and (bought or not instrument.is_option)):
        return None
    return scenario(case, Scope("ACCOUNT", case.account.name), instrument, bought, price, percent)


# -- margin and equity ------------------------------------------------------------------------------------------


def margin_of(case: Case, instrument: Instrument | None, sign: int, quantity: int, price: Price, short: int) -> Price:
    """Where the broker was not asked: buys in full, sales a percentage of notional, rounded up."""
    if instrument is None or instrument.multiplier is None:
        return None
    base = None if price is None else price * instrument.multiplier
    if sign < 0 and instrument.is_option:
        base = notional(case, instrument)
    return None if base is None else ceil(quantity * base * (1 if sign > 0 else part(short)))


def margin_held(case: Case, short: int) -> int:
    """Margin of what was approved since the funds were told."""
    total = 0
    for each in case.account.unfunded:
        instrument = case.account.instruments.get(each.key)
        needed = each.required_e4
        if needed is None:
            needed = margin_of(case, instrument, each.sign, each.quantity, each.price_e4, short)
        if needed is None:
            raise BookUnknownError
        total += needed
    return total


def equity(case: Case, scope: Scope) -> Price:
    """Day-start equity plus the day's P&L, over the accounts of the scope; None when one is unknown."""
    total = 0
    for owner in accounts(case, scope):
        day = None if owner.pnl is None else owner.pnl.day_pnl_e4
        if owner.opening_equity_e4 is None or day is None:
            return None
        total += owner.opening_equity_e4 + day
    return total


def _strategy_options(case: Case, scope: Scope) -> dict[tuple[str, str], int]:
    """A strategy's own options at their worst, what a basket's earlier legs bought for it included."""
    held: dict[tuple[str, str], int] = {}
    for row in rows(case, scope):
        units = row.least - working(row.orders, -1) + sum(each.remaining for each in row.orders if each.covers)
        held[row.key] = held.get(row.key, 0) + units
    return held
