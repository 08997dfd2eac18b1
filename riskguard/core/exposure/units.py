"""How far positions may go, in units or lots; and the short options that no long one covers."""

from __future__ import annotations

from typing import NamedTuple

from riskguard.core.account import Account, InstrumentKey
from riskguard.core.book import Line
from riskguard.core.direction import naked_short_units
from riskguard.core.exposure.held import accounts_of, covers, held_by, held_in, name_of, underlying_of
from riskguard.core.instrument import Instrument
from riskguard.core.order import QUANTITY_MAX, Order
from riskguard.core.scope import Scope
from riskguard.core.terms import CASH_SEGMENTS


def way(option_type: str) -> int:
    """+1 for what gains in a rise when bought, −1 for a put."""
    return -1 if option_type == "PE" else 1


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
            unknown = unknown or name_of(instrument, held.key)
            continue
        elif underlying_of(instrument) != underlying_of(own):
            continue
        lot = instrument.lot_size if in_lots and instrument is not None else 1
        sides = -(max(0, held.up) // -lot), -(max(0, -held.down) // -lot)
        if own is not None and instrument is not None and way(own.option_type) != way(instrument.option_type):
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
        return Naked(0, 0, 0, 1, name_of(None, order.instrument))
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
                    return Naked(0, 0, 0, 1, name_of(None, key))
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
    """The book of one strategy as lines of their own, of each what `naked_short_units` reads."""
    made: dict[InstrumentKey, dict[str, Line]] = {}
    for held in held_by(account, strategy):
        line = Line(held.product, down=held.net_down, selling=held.selling)
        if held.line is not None and held.line.covering:
            mine = [each for each in held.line.working.values() if each.covers and each.strategy in (strategy, "")]
            line.covering = sum(each.remaining for each in mine)
        made.setdefault(held.key, {})[held.product] = line
    return made
