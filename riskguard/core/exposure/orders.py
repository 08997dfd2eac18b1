"""What works: how much of it, what of it could trade with an order of one's own, and how long stopping takes."""

from __future__ import annotations

from typing import NamedTuple

from riskguard.core.account import Account
from riskguard.core.book import Working
from riskguard.core.exposure.held import Held, accounts_of, covers, name_of
from riskguard.core.exposure.prices import newest_price_e4
from riskguard.core.instrument import Instrument
from riskguard.core.order import Order
from riskguard.core.scope import Scope


def open_orders(account: Account, scope: Scope) -> tuple[int, int, str]:
    """
    Return (how many orders of *scope* work, what they are worth at their worst prices, what cannot be valued).

    Permits count as working, those without an answer in full. Exits of one OCO group count once, at the largest.
    """
    count = value_e4 = 0
    unknown = ""
    for owner in accounts_of(account, scope):
        for key, lines in owner.positions.items():
            if not covers(scope, owner, key):
                continue
            for line in lines.values():
                groups: dict[tuple[int, str], int] = {}
                for each in line.working.values():
                    if scope.kind == "STRATEGY" and each.strategy not in (scope.name, ""):
                        continue
                    instrument = owner.instruments.get(key)
                    worth_e4 = _order_value_e4(account, scope, instrument, each)
                    if worth_e4 is None:
                        unknown = unknown or name_of(instrument, key)
                        worth_e4 = 0
                    if each.exit_group and each.reducing:
                        group = (each.sign, each.exit_group)
                        groups[group] = max(groups.get(group, 0), worth_e4)
                    else:
                        count, value_e4 = count + 1, value_e4 + worth_e4
                count, value_e4 = count + len(groups), value_e4 + sum(groups.values())
    return count, value_e4, unknown


def _order_value_e4(account: Account, scope: Scope, instrument: Instrument | None, each: Working) -> int | None:
    """What a working order may cost or bring; one nobody judged counts at its own prices or the mark, if higher."""
    if instrument is None or instrument.multiplier is None:
        return None
    price_e4 = each.risk_price_e4
    if price_e4 is None:
        own_e4, mark = each.worst_price_e4, None
        if own_e4 is None or each.sign < 0:
            mark = newest_price_e4(account, scope, instrument)
        price_e4 = max((known for known in (own_e4, mark) if known is not None), default=None)
    return None if price_e4 is None else each.remaining * price_e4 * instrument.multiplier


def opposite_orders(account: Account, order: Order) -> list[int]:
    """
    Return [opposite orders of the account and its group that could match *order*, the nearest of their prices].

    The price (1/10000 rupee) is the lowest sell for a buy and the highest buy for a sell; 0 when one is at market.
    """
    prices = [
        0 if each.price_e4 is None else each.price_e4
        for owner in accounts_of(account, Scope("GROUP"))
        for line in owner.positions.get(order.instrument, {}).values()
        for each in line.working.values()
        if each.sign != order.sign and each.remaining and _could_meet(order, each)
    ]
    nearest = 0 if 0 in prices else min(prices, default=0) if order.sign > 0 else max(prices, default=0)
    return [len(prices), nearest]


def _could_meet(order: Order, other: Working) -> bool:
    """
    Say whether the two could trade with each other. An order at market could meet any that rests.

    A stop joins the market only beyond its trigger, where a resting order on the near side of it has traded already:
    a stop sale meets the bids below its trigger. Two opposite stops never stand in the market together.
    """
    resting_e4, sign = order.price_e4, order.sign
    if order.trigger_price_e4 is not None and other.trigger_price_e4 is not None:
        return False
    if resting_e4 is not None and other.price_e4 is not None and (resting_e4 - other.price_e4) * sign < 0:
        return False  # their limits do not meet
    if other.trigger_price_e4 is not None:
        return resting_e4 is not None and (other.trigger_price_e4 - resting_e4) * sign > 0
    if order.trigger_price_e4 is not None:
        return other.price_e4 is not None and (other.price_e4 - order.trigger_price_e4) * sign >= 0
    return True


class ToFlat(NamedTuple):
    """Messages it takes to be flat without the order: cancels and slices of all other lines; the own line apart."""

    messages: int
    up: int
    down: int
    slice_units: int  # 0: no freeze quantity, one order is enough

    def after(self, sign: int, quantity: int) -> int:
        """Return the messages with an order of *quantity* on the side of *sign*: its own cancel, and its slices."""
        reach = max(self.up + (quantity if sign > 0 else 0), -self.down + (quantity if sign < 0 else 0))
        return self.messages + 1 + _slices(reach, self.slice_units)


def to_flat(account: Account, order: Order) -> ToFlat:
    """Count what it takes to stop: a cancel for each working order, a message for each freeze quantity held."""
    messages = up = down = 0
    for key, lines in account.positions.items():
        slice_units = _freeze(account.instruments.get(key))
        for product, line in lines.items():
            messages += len(line.working)
            held = Held(account, key, product, line, line.up, line.down, line.buying, line.selling)
            if key == order.instrument and product == order.product:
                up, down = held.up, held.down
            else:
                messages += _slices(max(held.up, -held.down), slice_units)
    return ToFlat(messages, up, down, _freeze(account.instruments.get(order.instrument)))


def _freeze(instrument: Instrument | None) -> int:
    return instrument.freeze_quantity or 0 if instrument is not None else 0


def _slices(units: int, slice_units: int) -> int:
    if units <= 0:
        return 0
    return -(units // -slice_units) if slice_units else 1
