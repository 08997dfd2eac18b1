"""The book of one scope in rupees, sides apart, ready to be asked "and with q units more?"."""

from __future__ import annotations

from typing import NamedTuple

from riskguard.core.account import Account, InstrumentKey
from riskguard.core.exposure.held import held_in, name_of, underlying_of
from riskguard.core.exposure.prices import unit_value_e4
from riskguard.core.exposure.units import way
from riskguard.core.instrument import Instrument
from riskguard.core.order import Order
from riskguard.core.scope import Scope


class Exposure(NamedTuple):
    """
    The book of one scope around one order, ready to be asked "and with q units more?".

    The order's own line (its account, instrument and product) stands apart from all others: only it can be offset by
    the order. Money in 1/10000 rupee. A unit value of None is not known. `unknown` names another line that cannot be
    valued ("" for none): sums over the scope then mean nothing.
    """

    gross_e4: int  # Σ over the other lines of the larger side
    bullish_e4: int  # other lines, all that gains in a rise filled; signed: bearish ones offset
    bearish_e4: int  # the same for a fall
    up: int  # own line with every buy filled, signed
    down: int  # own line with every sell filled, signed
    long: int  # other lines of the same instrument: Σ of their long reach
    short: int
    long_unit_e4: int | None
    short_unit_e4: int | None
    option_type: str
    unknown: str

    def gross(self, sign: int, quantity: int) -> int | None:
        """Return Σ over lines of the larger side, with *quantity* more on the side of *sign*; None unknown."""
        up, down = (self.up + quantity, self.down) if sign > 0 else (self.up, self.down - quantity)
        long_e4, short_e4 = _worth(max(0, up), self.long_unit_e4), _worth(max(0, -down), self.short_unit_e4)
        if self.unknown or long_e4 is None or short_e4 is None:
            return None
        return self.gross_e4 + max(long_e4, short_e4)

    def net(self, sign: int, quantity: int) -> int | None:
        """
        Return how far the market's move on the order's side counts, with *quantity* more; ≤ 0: not at all.

        Measured on the side the order adds to, so that an order towards the middle is never above a limit.
        """
        value_e4 = _side(self._side(sign) + quantity, *self._units(sign), self.option_type, sign)
        if self.unknown or value_e4 is None:
            return None
        return (self.bullish_e4 if sign * way(self.option_type) > 0 else self.bearish_e4) + value_e4

    def instrument(self, sign: int, quantity: int) -> int | None:
        """Return the value of the order's own instrument on the side of *sign*, with *quantity* more."""
        units = self._side(sign) + quantity + (self.long if sign > 0 else self.short)
        return _worth(max(0, units), self._units(sign)[0])

    def _side(self, sign: int) -> int:
        return self.up if sign > 0 else -self.down

    def _units(self, sign: int) -> tuple[int | None, int | None]:
        units = self.long_unit_e4, self.short_unit_e4
        return units if sign > 0 else (units[1], units[0])


def exposure(account: Account, order: Order, scope: Scope, price_e4: int | None, underlying: str) -> Exposure:
    """
    Add up *scope* around *order*; *price_e4* is the order's risk price, None unknown.

    With *underlying* only what hangs on it counts; "" counts all.
    """
    gross = bullish = bearish = up = down = long = short = 0
    unknown = ""
    units: dict[InstrumentKey, tuple[int | None, int | None]] = {}
    for held in held_in(account, scope):
        key, owner = held.key, held.owner
        instrument = owner.instruments.get(key)
        if underlying and instrument is not None and underlying_of(instrument) != underlying:
            continue
        if key == order.instrument:
            if owner is account and held.product == order.product:
                up, down = held.up, held.down
                continue
            long, short = long + max(0, held.up), short + max(0, -held.down)
        if instrument is None:
            unknown = unknown or name_of(None, key)
            continue
        if key not in units:
            own_e4 = price_e4 if key == order.instrument else None
            units[key] = (
                unit_value_e4(account, scope, instrument, 1, own_e4),
                unit_value_e4(account, scope, instrument, -1, own_e4),
            )
        buys, sells = units[key]
        bigger = _larger(_worth(max(0, held.up), buys), _worth(max(0, -held.down), sells))
        rise = _side(held.up, buys, sells, _type(instrument), 1)
        fall = _side(-held.down, sells, buys, _type(instrument), -1)
        if bigger is None or rise is None or fall is None:
            unknown = unknown or instrument.symbol
            continue
        gross += bigger
        if way(instrument.option_type) < 0:
            rise, fall = fall, rise
        bullish, bearish = bullish + rise, bearish + fall
    own = account.instruments.get(order.instrument)
    sides = [unit_value_e4(account, scope, own, sign, price_e4) for sign in (1, -1)]
    if price_e4 is None and not (order.sign < 0 and own is not None and own.is_option):
        sides[0 if order.sign > 0 else 1] = None  # what is ordered counts at the worst it may cost, or not at all
    kind = "" if own is None else _type(own)
    return Exposure(gross, bullish, bearish, up, down, long, short, sides[0], sides[1], kind, unknown)


def _worth(units: int, each_e4: int | None) -> int | None:
    """What *units* ≥ 0 are worth; nothing is worth nothing, whatever one costs."""
    if not units:
        return 0
    return None if each_e4 is None else units * each_e4


def _larger(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(one, other)


def _type(instrument: Instrument) -> str:
    """CE, PE, "" for what is no option; `?` for an option whose type the master forgot: short, it offsets nothing."""
    return instrument.option_type or ("?" if instrument.is_option else "")


def _side(units: int, same_e4: int | None, other_e4: int | None, option_type: str, sign: int) -> int | None:
    """
    Return what *units* of the side of *sign* count on that side; a negative number offsets.

    A short option counts in full against us and offsets nothing: it gains no more than its premium.
    """
    if units >= 0:
        return _worth(units, same_e4)
    if option_type and sign > 0:
        return 0
    offset_e4 = _worth(-units, other_e4)
    return None if offset_e4 is None else -offset_e4
