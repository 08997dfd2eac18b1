"""
Does an order add risk or take it away? One function, used by all.

Dhan has no reduce-only flag and the caller's word counts for nothing: direction is computed from the book.
Source: checks.md §0 "Direction".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from riskguard.core.book import Line
from riskguard.core.instrument import Instrument
from riskguard.core.order import Order
from riskguard.core.terms import DELIVERY_PRODUCTS

InstrumentKey = tuple[str, str]
Positions = Mapping[InstrumentKey, Mapping[str, Line]]


class Direction(StrEnum):
    """What an order does to the position it meets. Only REDUCING is let out of a stopped account."""

    REDUCING = "REDUCING"
    INCREASING = "INCREASING"
    FLIP = "FLIP"  # crosses zero; judged whole
    HEDGING = "HEDGING"  # a bought option that lowers the naked short ones
    UNHEDGING = "UNHEDGING"  # sells the cover of a short option
    SHORT_DELIVERY = "SHORT_DELIVERY"  # sells shares the account does not have


# Members as plain names: an enum attribute costs a descriptor call each time, and this runs on every order.
_REDUCING, _INCREASING, _FLIP = Direction.REDUCING, Direction.INCREASING, Direction.FLIP

Verdict = tuple[Direction, tuple[str, ...]]


def direction(
    order: Order,
    line: Line | None,
    known: bool,
    instrument: Instrument | None,
    positions: Positions,
    instruments: Mapping[InstrumentKey, Instrument],
) -> Verdict:
    """
    Return the direction of *order* and the protective exits that must go first (usually none).

    `known` is False when no complete position list exists: then nothing is provably an exit.
    """
    if not known:
        return _INCREASING, ()
    if line is None:
        # Nothing held, nothing working: the usual opening order.
        if order.sign < 0 and order.product == "CNC":
            return Direction.SHORT_DELIVERY, ()
        verdict: Verdict = (_INCREASING, ())
    else:
        sign = order.sign
        verdict = _exit(order.quantity, closable(line, sign), line.selling if sign < 0 else line.buying, line, sign)
        if sign < 0 and order.product == "CNC" and verdict[0] is not _REDUCING:
            return Direction.SHORT_DELIVERY, ()
    if instrument is not None and instrument.option_type and order.product not in DELIVERY_PRODUCTS:
        return _with_cover(order, verdict, instrument, positions, instruments)
    return verdict


def closable(line: Line, sign: int) -> int:
    """Return how many units of *line* an order of that sign (+1 buys, -1 sells) could close, were nothing working."""
    if sign < 0 and line.product == "CNC":
        return line.sellable()
    near = line.near * -sign
    return near if near > 0 else 0


def _exit(quantity: int, held: int, leaving: int, line: Line, sign: int) -> Verdict:
    """Judge an order against *held* units on the other side, *leaving* of which already have an exit working."""
    if held == 0:
        return _INCREASING, ()
    if quantity <= held - leaving:
        return _REDUCING, ()
    if quantity > held:
        return _FLIP, ()
    # It fits the position, but exits in the way are counted too: if they are only protective, they go first.
    in_the_way = [each for each in line.working.values() if each.sign == sign]
    if all(each.reducing and (each.protective or each.exit_group) for each in in_the_way):
        return _REDUCING, tuple(each.order_id or each.key for each in in_the_way)
    return _INCREASING, ()


def _with_cover(
    order: Order,
    verdict: Verdict,
    instrument: Instrument,
    positions: Positions,
    instruments: Mapping[InstrumentKey, Instrument],
) -> Verdict:
    """Look at what the order does to the cover of short options of the same underlying and type."""
    before = naked_short_units(instrument, positions, instruments)
    after = naked_short_units(instrument, positions, instruments, order.instrument, order.sign * order.quantity)
    if verdict[0] is _REDUCING and after > before:
        return Direction.UNHEDGING, ()
    if verdict[0] is _INCREASING and order.sign > 0 and after < before:
        return Direction.HEDGING, ()
    return verdict


def naked_short_units(
    instrument: Instrument,
    positions: Positions,
    instruments: Mapping[InstrumentKey, Instrument],
    changed: InstrumentKey | None = None,
    change: int = 0,
) -> int:
    """
    Return how many short option units no long one covers, after *change* units of *changed*.

    A long covers a short of the same underlying and type whose expiry is not later than its own. Working
    sells count as sold and working buys do not cover yet.
    """
    net: dict[str, list[int]] = {}  # expiry -> [long, short]
    keys = set(positions) | ({changed} if changed is not None else set())
    for key in keys:
        each = instruments.get(key)
        if each is None or each.underlying != instrument.underlying or each.option_type != instrument.option_type:
            continue
        if not each.is_option:
            continue  # a future has no type either, like an option whose type the master forgot: it covers none
        held = sum(line.down - line.selling + line.covering for line in positions.get(key, {}).values())
        held += change if key == changed else 0
        sides = net.setdefault(each.expiry, [0, 0])
        sides[0 if held > 0 else 1] += abs(held)
    spare = naked = 0
    for expiry in sorted(net, reverse=True):  # the longest-dated cover is there for every earlier short
        long, short = net[expiry]
        spare += long
        naked += max(0, short - spare)
        spare = max(0, spare - short)
    return naked
