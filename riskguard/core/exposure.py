"""
What an account is exposed to: the worst the book may become, in rupees and units, per instrument and over a scope.

A line (one product of one instrument in one account) is judged by its reach: what is held plus everything working on
one side. Lines add with their sides apart. Long options count by premium, short ones by the notional of their
underlying (its strike where the underlying shows no price); all else by price. Limits of a GROUP or of GLOBAL hold
over the sum of their accounts, those of a STRATEGY over its own fills and what nobody claims.
Source: checks.md §0 "The book", "Value bases", §1, §5.4, §5.14.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from riskguard.core.account import Account, InstrumentKey
from riskguard.core.book import Line, Working, working_quantity
from riskguard.core.direction import naked_short_units
from riskguard.core.instrument import Instrument
from riskguard.core.order import QUANTITY_MAX, Order
from riskguard.core.pnl import mark_e4
from riskguard.core.scope import Scope
from riskguard.core.terms import CASH_SEGMENTS, DELIVERY_PRODUCTS

SUMMED = ("GLOBAL", "GROUP")
"""Scopes that reach over several accounts."""


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
        return (self.bullish_e4 if sign * _way(self.option_type) > 0 else self.bearish_e4) + value_e4

    def instrument(self, sign: int, quantity: int) -> int | None:
        """Return the value of the order's own instrument on the side of *sign*, with *quantity* more."""
        units = self._side(sign) + quantity + (self.long if sign > 0 else self.short)
        return _worth(max(0, units), self._units(sign)[0])

    def _side(self, sign: int) -> int:
        return self.up if sign > 0 else -self.down

    def _units(self, sign: int) -> tuple[int | None, int | None]:
        units = self.long_unit_e4, self.short_unit_e4
        return units if sign > 0 else (units[1], units[0])


class Held(NamedTuple):
    """One line inside a scope, with what of it belongs there. Units, signed; `buying` and `selling` ≥ 0."""

    owner: Account
    key: InstrumentKey
    product: str
    line: Line | None  # None: flat, and only strategies have shares in it
    net_up: int
    net_down: int
    buying: int
    selling: int

    @property
    def up(self) -> int:
        """With every buy filled."""
        return self.net_up + self.buying

    @property
    def down(self) -> int:
        """With every sell filled; a delivery sale empties the line and goes no further."""
        down = self.net_down - self.selling
        return max(0, down) if self.product in DELIVERY_PRODUCTS else down


def accounts_of(account: Account, scope: Scope) -> tuple[Account, ...]:
    """Return the accounts *scope* sums over: the account itself, and for GROUP and GLOBAL its peers."""
    return (account, *account.peers.get(scope.kind, ()))


def unseen(account: Account, scope: Scope) -> str:
    """Return the name of an account of *scope* whose positions nobody has seen whole, "" for none."""
    return next((owner.name for owner in accounts_of(account, scope) if owner.position_seen_us is None), "")


def equity_e4(account: Account, scope: Scope) -> int | None:
    """Return day-start equity plus the day's P&L, summed over the accounts of *scope*; None when one is unknown."""
    total = 0
    for owner in accounts_of(account, scope):
        pnl_e4 = None if owner.pnl is None else owner.pnl.day_pnl_e4
        if owner.opening_equity_e4 is None or pnl_e4 is None:
            return None
        total += owner.opening_equity_e4 + pnl_e4
    return total


def held_in(account: Account, scope: Scope) -> Iterator[Held]:
    """Go through the lines of *scope* that hold or may come to hold something."""
    if scope.kind == "STRATEGY":
        yield from _held_by(account, scope.name)
        return
    for owner in accounts_of(account, scope):
        for key, lines in owner.positions.items():
            if covers(scope, owner, key):
                for product, line in lines.items():
                    if not line.is_idle:
                        yield Held(owner, key, product, line, line.up, line.down, line.buying, line.selling)


def _held_by(account: Account, strategy: str) -> Iterator[Held]:
    """
    Go through the shares of one strategy: the book less what the others filled, and what works for it or nobody.

    A line that is flat as a whole may be long for one strategy and short for another.
    """
    others: dict[tuple[InstrumentKey, str], int] = {}
    for (whose, key, product), signed in account.attributed.items():
        if whose != strategy:
            others[key, product] = others.get((key, product), 0) + signed
    for key, lines in account.positions.items():
        for product, line in lines.items():
            up, down = _ends(line, others.pop((key, product), 0))
            mine = [each for each in line.working.values() if each.strategy in (strategy, "")]
            buying, selling = working_quantity(mine, 1), working_quantity(mine, -1)
            if up or down or buying or selling:
                yield Held(account, key, product, line, up, down, buying, selling)
    for (key, product), theirs in others.items():
        if theirs and (product not in DELIVERY_PRODUCTS or theirs < 0):
            yield Held(account, key, product, None, -theirs, -theirs, 0, 0)


def _ends(line: Line, claimed: int) -> tuple[int, int]:
    """The most and the least a line holds without what others claim; see `Line.refresh`."""
    nets = {line.net} if line.seen is None or line.settled else {line.net, line.seen}
    up, down = max(nets) - claimed, min(nets) - claimed
    return (max(0, up), max(0, down)) if line.product in DELIVERY_PRODUCTS else (up, down)


def covers(scope: Scope, owner: Account, key: InstrumentKey) -> bool:
    """
    Say whether *scope* holds an instrument; one the master does not know may hang on any underlying.
    """
    if scope.kind == "SEGMENT":
        return scope.name == key[0]
    if scope.kind == "INSTRUMENT":
        return scope.name == f"{key[0]}:{key[1]}"
    if scope.kind == "UNDERLYING":
        instrument = owner.instruments.get(key)
        return instrument is None or underlying_of(instrument) == scope.name
    return True


def underlying_of(instrument: Instrument) -> str:
    """Return what the contract derives from; a share is its own underlying, so that cash and futures of it add."""
    return instrument.underlying or instrument.symbol


def _name(instrument: Instrument | None, key: InstrumentKey) -> str:
    return instrument.symbol if instrument is not None else f"{key[0]}:{key[1]}"


# -- in rupees ------------------------------------------------------------------------------------------------


def exposure(account: Account, order: Order, scope: Scope, price_e4: int | None, underlying: str = "") -> Exposure:
    """
    Add up *scope* around *order*; *price_e4* is the order's risk price, None unknown.

    With *underlying* only what hangs on it counts.
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
            unknown = unknown or _name(None, key)
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
            unknown = unknown or _name(instrument, key)
            continue
        gross += bigger
        if _way(instrument.option_type) < 0:
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


def _way(option_type: str) -> int:
    """+1 for what gains in a rise when bought, −1 for a put."""
    return -1 if option_type == "PE" else 1


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


def unit_value_e4(
    account: Account, scope: Scope, instrument: Instrument | None, sign: int, price_e4: int | None
) -> int | None:
    """
    Return what one unit held on the side of *sign* counts, in 1/10000 rupee; None when it cannot be known.

    The newest mark, however old, else the previous close: an old price bounds an exposure better than none does.
    *price_e4*, the price an order is judged at, counts where it is the higher.
    """
    if instrument is None or instrument.multiplier is None:
        return None
    if sign < 0 and instrument.is_option:
        return notional_e4(account, instrument)
    value_e4 = _price_e4(account, scope, instrument)
    known = [each for each in (value_e4, price_e4) if each is not None]
    return max(known) * instrument.multiplier if known else None


def notional_e4(account: Account, instrument: Instrument) -> int | None:
    """Return what one unit of an option stands for: the price of its underlying, else its strike; None unknown."""
    if instrument.multiplier is None:
        return None
    spot = account.spots.get(instrument.underlying)
    base_e4 = None if spot is None else mark_e4(spot, None)
    if base_e4 is None:
        base_e4 = instrument.strike_e4
    return None if base_e4 is None else base_e4 * instrument.multiplier


def _price_e4(account: Account, scope: Scope, instrument: Instrument) -> int | None:
    quote = account.quotes.get(instrument.key)
    price_e4 = None if quote is None else mark_e4(quote, instrument)
    if price_e4 is not None:
        return price_e4
    closes = [
        line.previous_close_e4
        for owner in accounts_of(account, scope)
        for line in owner.positions.get(instrument.key, {}).values()
    ]
    return max((close_e4 for close_e4 in closes if close_e4), default=None)


# -- in units -------------------------------------------------------------------------------------------------


class Reach(NamedTuple):
    """
    How far positions may go, in units of the broker or in lots, per instrument or per underlying.

    `up` and `down` are the order's own line, signed, in units; `long` and `short` what the other lines add to a buy
    and to a sale of the order's instrument, in what was asked for. `unknown` names a line that cannot be told.
    """

    up: int
    down: int
    long: int
    short: int
    unknown: str


def reach(account: Account, order: Order, scope: Scope, *, per_underlying: bool, in_lots: bool) -> Reach:
    """
    Add up *scope* around the instrument of *order*, sides apart: a long line excuses no short one.

    By underlying quantity adds by direction of exposure: long calls, short puts and long futures are one side.
    A part of a lot counts as a lot. Source: checks.md §5.4, §5.14.
    """
    own = account.instruments.get(order.instrument)
    up = down = long = short = 0
    unknown = ""
    for held in held_in(account, scope):
        instrument = held.owner.instruments.get(held.key)
        if held.key == order.instrument:
            if held.owner is account and held.product == order.product:
                up, down = held.up, held.net_down - held.selling  # as `Facts` has it: N + W, to the letter
                continue
        elif not per_underlying:
            continue
        elif instrument is None or own is None:
            unknown = unknown or _name(instrument, held.key)
            continue
        elif underlying_of(instrument) != underlying_of(own):
            continue
        lot = instrument.lot_size if in_lots and instrument is not None else 1
        sides = -(max(0, held.up) // -lot), -(max(0, -held.down) // -lot)
        if own is not None and instrument is not None and _way(own.option_type) != _way(instrument.option_type):
            sides = sides[1], sides[0]
        long, short = long + sides[0], short + sides[1]
    return Reach(up, down, long, short, unknown)


class Naked(NamedTuple):
    """
    Short options of one scope that no long one covers: lots of other families, and the order's own in units.

    A family is one account's options of one underlying and type. `free` units may still be sold before one more is
    uncovered. `unknown` names a sold contract nobody knows.
    """

    others_lots: int
    units: int
    free: int
    lot: int
    unknown: str

    def after(self, quantity: int) -> int:
        """Return the uncovered lots once *quantity* more units of the order's option are sold."""
        return self.others_lots - ((self.units + max(0, quantity - self.free)) // -self.lot)


def naked(account: Account, order: Order, scope: Scope) -> Naked:
    """
    Count the uncovered short options of *scope* as they stand, around the option of *order*.

    Cover is looked for in the same account, underlying and type alone; see `direction.naked_short_units`. A limit of
    one INSTRUMENT counts all that shares its underlying and type: which of the shorts a long covers nobody can say.
    """
    own = account.instruments.get(order.instrument)
    if own is None:
        return Naked(0, 0, 0, 1, _name(None, order.instrument))
    others = units = free = 0
    own_lot = own.lot_size
    for owner in accounts_of(account, scope):
        positions = _shares(account, scope.name) if scope.kind == "STRATEGY" else owner.positions
        families: dict[tuple[str, str], tuple[Instrument, int]] = {}
        for key, lines in positions.items():
            instrument = owner.instruments.get(key)
            if instrument is None:
                sold = sum(line.down - line.selling for line in lines.values())
                if sold < 0 and key[0] not in CASH_SEGMENTS and covers(scope, owner, key):
                    return Naked(0, 0, 0, 1, _name(None, key))
            elif instrument.is_option and _in_family(scope, owner, instrument, own):
                family = (instrument.underlying, instrument.option_type)
                # Where lots of one family differ, the smallest makes the most of them.
                lot = min(instrument.lot_size, families[family][1] if family in families else instrument.lot_size)
                families[family] = instrument, lot
        if owner is account:
            mine = families.pop((own.underlying, own.option_type), None)
            own_lot = own_lot if mine is None else min(mine[1], own_lot)
            units = naked_short_units(own, positions, owner.instruments)
            free = units + QUANTITY_MAX - naked_short_units(own, positions, owner.instruments, own.key, -QUANTITY_MAX)
        for instrument, lot in families.values():
            others -= naked_short_units(instrument, positions, owner.instruments) // -lot
    return Naked(others, units, free, own_lot, "")


def _in_family(scope: Scope, owner: Account, instrument: Instrument, own: Instrument) -> bool:
    if scope.kind == "INSTRUMENT":
        return (instrument.underlying, instrument.option_type) == (own.underlying, own.option_type)
    return covers(scope, owner, instrument.key)


def _shares(account: Account, strategy: str) -> dict[InstrumentKey, dict[str, Line]]:
    """The book of one strategy, as lines of their own."""
    made: dict[InstrumentKey, dict[str, Line]] = {}
    for held in _held_by(account, strategy):
        line = Line(held.product, up=held.net_up, down=held.net_down, buying=held.buying, selling=held.selling)
        if held.line is not None and held.line.covering:
            mine = [each for each in held.line.working.values() if each.covers and each.strategy in (strategy, "")]
            line.covering = sum(each.remaining for each in mine)
        made.setdefault(held.key, {})[held.product] = line
    return made


# -- orders ---------------------------------------------------------------------------------------------------


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
                        unknown = unknown or _name(instrument, key)
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
            mark = _price_e4(account, scope, instrument)
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


# -- losses ---------------------------------------------------------------------------------------------------


def losses_at_stops(account: Account, scope: Scope, percent_e2: int) -> tuple[int, str]:
    """
    Return (what is lost if every stop of *scope* is hit, what cannot be valued), in 1/10000 rupee ≥ 0.

    Measured from the mark: what is already lost or won is in the day's P&L. Orders that would open count as filled.
    What no stop covers loses in a move of *percent_e2* (1/100 percent) of its price or underlying; see
    `scenario_e4`. Of one line the worse side counts.
    """
    loss_e4 = 0
    for held in held_in(account, scope):
        instrument = held.owner.instruments.get(held.key)
        working = [] if held.line is None else list(held.line.working.values())
        sides = [
            _side_loss_e4(account, scope, instrument, sign, units, working, percent_e2)
            for sign, units in ((1, held.net_up), (-1, -held.net_down))
        ]
        if sides[0] is None or sides[1] is None:
            return 0, _name(instrument, held.key)
        loss_e4 += max(sides[0], sides[1])
    return loss_e4, ""


def _side_loss_e4(
    account: Account, scope: Scope, instrument: Instrument | None, sign: int, units: int, working: list[Working],
    percent_e2: int,
) -> int | None:  # fmt: skip
    """What one side of a line may lose: what is held, and what would open; None when it cannot be valued."""
    opening = [each for each in working if each.sign == sign and not each.reducing]
    if units <= 0 and not opening:
        return 0
    if instrument is None or instrument.multiplier is None:
        return None
    loss_e4 = 0
    if units > 0:
        mark = unit_value_e4(account, scope, instrument, 1, None)
        bare_e4 = scenario_e4(account, scope, instrument, sign, None, percent_e2)
        if mark is None or bare_e4 is None:
            return None
        loss_e4 = _at_stops(units, sign, mark, bare_e4, instrument.multiplier, working)
    for each in opening:
        bare_e4 = scenario_e4(account, scope, instrument, sign, each.worst_price_e4, percent_e2)
        if bare_e4 is None:
            return None
        loss_e4 += each.remaining * bare_e4
    return loss_e4


def _at_stops(units: int, sign: int, mark_e4: int, bare_e4: int, multiplier: int, working: Iterable[Working]) -> int:
    """What *units* held on the side of *sign* lose: the stops that cost most first, for which fires is not ours."""
    covered: dict[str, tuple[int, int]] = {}
    for each in working:
        if not each.protective or each.sign == sign or each.trigger_price_e4 is None:
            continue
        # A stop with a limit may fill as far as its limit.
        fills = [price_e4 for price_e4 in (each.trigger_price_e4, each.price_e4) if price_e4 is not None]
        worst_e4 = (min(fills) if sign > 0 else max(fills)) * multiplier
        beyond_e4 = max(0, (mark_e4 - worst_e4) * sign)
        name = f"group {each.exit_group}" if each.exit_group else f"order {each.key}"
        before = covered.get(name)
        if before is not None:  # legs of one OCO: one of them fires, say the worse one, for the fewer units
            beyond_e4, left = max(beyond_e4, before[0]), min(each.remaining, before[1])
        else:
            left = each.remaining
        covered[name] = beyond_e4, left
    loss_e4 = 0
    for beyond_e4, remaining in sorted(covered.values(), reverse=True):
        taken = min(units, remaining)
        loss_e4 += taken * beyond_e4
        units -= taken
    return loss_e4 + units * bare_e4


def scenario_e4(
    account: Account, scope: Scope, instrument: Instrument, sign: int, price_e4: int | None, percent_e2: int
) -> int | None:
    """
    Return what one unit without a stop loses when the market moves *percent_e2* (1/100 percent) against it.

    In 1/10000 rupee, rounded up; None unknown. An option loses as its underlying moves, a bought one no more than
    its premium.
    """
    value_e4 = unit_value_e4(account, scope, instrument, 1, price_e4)
    if instrument.is_option:
        notional = notional_e4(account, instrument)
        if sign < 0:
            return None if notional is None else -(notional * percent_e2 // -10_000)
        if value_e4 is None or notional is None:
            return value_e4
        return min(value_e4, -(notional * percent_e2 // -10_000))
    return None if value_e4 is None else -(value_e4 * percent_e2 // -10_000)


# -- margin ---------------------------------------------------------------------------------------------------


def margin_basis_e4(account: Account, instrument: Instrument | None, sign: int, price_e4: int | None) -> int | None:
    """Return what a margin is a part of, per unit: the notional of a sold option, the price of all else."""
    if instrument is None or instrument.multiplier is None:
        return None
    if sign < 0 and instrument.is_option:
        return notional_e4(account, instrument)
    return None if price_e4 is None else price_e4 * instrument.multiplier


def margin_held(account: Account, short_pct_e2: int) -> tuple[int, str]:
    """
    Return (margin of what was approved since the broker told the funds, what of it cannot be valued).

    As the broker said where it was asked; else buys in full, sales at *short_pct_e2* (1/100 percent) of notional.
    """
    held_e4 = 0
    for each in account.unfunded:
        if each.required_e4 is not None:
            held_e4 += each.required_e4
            continue
        instrument = account.instruments.get(each.key)
        basis_e4 = margin_basis_e4(account, instrument, each.sign, each.price_e4)
        if basis_e4 is None:
            return 0, _name(instrument, each.key)
        held_e4 -= each.quantity * basis_e4 * (10_000 if each.sign > 0 else short_pct_e2) // -10_000
    return held_e4, ""
