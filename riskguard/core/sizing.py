"""
The quantity a refusal names: the most that would have passed, in whole lots.

One lot more would not have; 0 says that nothing would. Where the lot is not known a unit counts as one.
"""

from __future__ import annotations

from collections.abc import Callable

from riskguard.core.instrument import Instrument


def whole_lots(quantity: int, instrument: Instrument | None) -> int:
    """Return *quantity* units rounded down to whole lots of *instrument*, at least 0."""
    if quantity <= 0:
        return 0
    return quantity if instrument is None else quantity - quantity % instrument.lot_size


def most_within(limit: int, each: int, instrument: Instrument | None, standing: int = 0) -> int:
    """
    Return the most units q of whole lots for which standing + q × each ≤ limit.

    All three in one unit, *each* above 0: the straight line, and so the usual case.
    """
    return whole_lots((limit - standing) // each, instrument)


def most_passing(measure: Callable[[int], int | None], limit: int, refused: int, instrument: Instrument | None) -> int:
    """
    Return the most units of whole lots below *refused* for which measure(q) ≤ *limit*; None counts as above it.

    For measures that are no straight line: they may fall before they rise, but must not fall again after it, and
    `measure(refused)` is above the limit. About thirty questions at most, and only where an order is refused.
    """
    lot = 1 if instrument is None else instrument.lot_size
    passing, failing = 0, -(refused // -lot)  # lots; what is refused stays refused when its last lot is filled up
    while failing - passing > 1:
        middle = (passing + failing) // 2
        measured = measure(middle * lot)
        if measured is not None and measured <= limit:
            passing = middle
        else:
            failing = middle
    return passing * lot


def largest_order(instrument: Instrument | None, price_e4: int | None) -> int | None:
    """
    Return the most units the exchange takes in one order: its freeze quantity and its ceiling of value.

    None where neither is known or binds. The ceiling binds only with a *price_e4* to value one unit at. Never below a
    lot: what the exchange would do with that is its to say.
    """
    if instrument is None:
        return None
    bounds = [instrument.freeze_quantity] if instrument.freeze_quantity else []
    if instrument.order_value_max_e4 and price_e4 and instrument.multiplier:
        bounds.append(instrument.order_value_max_e4 // (price_e4 * instrument.multiplier))
    return max(instrument.lot_size, whole_lots(min(bounds), instrument)) if bounds else None


def slices(quantity: int, most: int) -> int:
    """Return how many orders of *most* units at most *quantity* takes."""
    return -(quantity // -most)
