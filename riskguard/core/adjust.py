"""
Exits as they can be sent: an order that reduces is mended where the exchange would refuse it, not refused.

Three steps, in this order: prices to the tick, prices into the band, the limit of a stop to its trigger. What comes
out is on the tick and inside the band. The adjusted order is what the permit holds and what is sent, and the decision
says so. An order that adds risk is never changed: its checks refuse it with a hint.
Source: checks.md §1 `price_tick`, `price_band`, `stop_limit_gap`, §5.10.
"""

from __future__ import annotations

from typing import Any

from riskguard.core.facts import Facts
from riskguard.core.instrument import Instrument
from riskguard.core.money import to_text
from riskguard.core.order import Order
from riskguard.core.pricing import OPTION_PROTECTION_PCT
from riskguard.errors import OrderInvalidError

Band = tuple[int | None, int | None]


def adjusted(facts: Facts) -> Order | None:
    """
    Return the exit as it can be sent, or None where it can go as it was asked.

    Passive to the tick (a buy down, a sell up), so that it never pays more for a paisa. Into the circuit band from
    either side: beyond it nothing trades today. Into the limit price protection from the aggressive side only: its
    reference is the exchange's, ours is a guess, and a target must not be sold cheaper for a guess.
    """
    order, instrument = facts.order, facts.instrument
    price_e4, trigger_e4, order_type = order.price_e4, order.trigger_price_e4, order.order_type
    if instrument is None or (price_e4 is None and trigger_e4 is None):
        return None  # a market order has no price to mend
    sign, tick_e4 = order.sign, max(1, instrument.tick_e4)
    band = _on_grid(facts.bands_e4(), tick_e4)
    if trigger_e4 is not None:
        trigger_e4 = _into(_to_tick(trigger_e4, tick_e4, sign), band)
    if price_e4 is not None:
        price_e4 = _to_tick(price_e4, tick_e4, sign)
        if trigger_e4 is None:
            price_e4 = _into(price_e4, _on_grid(_protected(facts, instrument), tick_e4))
        price_e4 = _into(price_e4, band)
    if trigger_e4 is not None:
        gap_e4 = stop_gap_e4(instrument, trigger_e4)
        if price_e4 is None and instrument.is_option:
            # The exchange takes no market stop of an option; of the limits it takes the widest is likeliest to fill.
            order_type = "STOP_LOSS"
            gap_e4 = trigger_e4 * _protection_e2(instrument) // 10_000 if gap_e4 is None else gap_e4
            price_e4 = _into(_apart(trigger_e4, gap_e4, tick_e4, sign), band)
        elif price_e4 is not None and gap_e4 is not None and (price_e4 - trigger_e4) * sign > gap_e4:
            price_e4 = _into(_apart(trigger_e4, gap_e4, tick_e4, sign), band)
    return _replaced(order, order_type, price_e4, trigger_e4)


def stop_gap_e4(instrument: Instrument, trigger_e4: int) -> int | None:
    """
    Return how far the limit of a stop may be from its trigger, in 1/10000 rupee rounded down; None: no rule known.

    The larger of a percentage of the trigger and an absolute number.
    """
    return _wider(instrument.stop_gap_pct_e2, instrument.stop_gap_abs_e4, trigger_e4)


def protection_e4(instrument: Instrument, reference_e4: int) -> int | None:
    """Return how far a limit may be from the reference by the exchange's limit price protection; None: no rule known."""
    return _wider(instrument.lpp_pct_e2, instrument.lpp_abs_e4, reference_e4)


def _wider(percent_e2: int | None, absolute_e4: int | None, base_e4: int) -> int | None:
    if percent_e2 is None and absolute_e4 is None:
        return None
    return max(base_e4 * (percent_e2 or 0) // 10_000, absolute_e4 or 0)


def _protected(facts: Facts, instrument: Instrument) -> Band:
    """Return the one edge of the limit price protection this order could be on the wrong side of."""
    if instrument.lpp_pct_e2 is None and instrument.lpp_abs_e4 is None:
        return None, None
    reference_e4 = facts.feed_reference_e4()
    width_e4 = None if reference_e4 is None else protection_e4(instrument, reference_e4)
    if reference_e4 is None or width_e4 is None:
        return None, None
    return (None, reference_e4 + width_e4) if facts.order.sign > 0 else (reference_e4 - width_e4, None)


def _protection_e2(instrument: Instrument) -> int:
    known = instrument.protection_pct_e2
    return 100 * OPTION_PROTECTION_PCT if known is None else known


def _to_tick(price_e4: int, tick_e4: int, sign: int) -> int:
    down_e4 = price_e4 - price_e4 % tick_e4
    if down_e4 == price_e4:
        return price_e4
    return down_e4 if sign > 0 and down_e4 > 0 else down_e4 + tick_e4


def _on_grid(band: Band, tick_e4: int) -> Band:
    """Return the ticks just inside *band*; a band that holds none, or is upside down, is no band."""
    lower_e4, upper_e4 = band
    lower_e4 = None if lower_e4 is None else max(tick_e4, -(lower_e4 // -tick_e4) * tick_e4)
    upper_e4 = None if upper_e4 is None else upper_e4 // tick_e4 * tick_e4
    if upper_e4 is not None and upper_e4 < (lower_e4 or tick_e4):
        return None, None
    return lower_e4, upper_e4


def _into(price_e4: int, band: Band) -> int:
    lower_e4, upper_e4 = band
    if lower_e4 is not None and price_e4 < lower_e4:
        return lower_e4
    return upper_e4 if upper_e4 is not None and price_e4 > upper_e4 else price_e4


def _apart(trigger_e4: int, gap_e4: int, tick_e4: int, sign: int) -> int:
    """Return the limit furthest from the trigger within the gap, on the tick, at least one tick."""
    if sign > 0:
        return max(trigger_e4, (trigger_e4 + gap_e4) // tick_e4 * tick_e4)
    return min(trigger_e4, max(tick_e4, -((trigger_e4 - gap_e4) // -tick_e4) * tick_e4))


def _replaced(order: Order, order_type: str, price_e4: int | None, trigger_e4: int | None) -> Order | None:
    changes: dict[str, Any] = {}
    if order_type != order.order_type:
        changes["order_type"] = order_type
    if price_e4 is not None and price_e4 != order.price_e4:
        changes["price"] = to_text(price_e4)
    if trigger_e4 is not None and trigger_e4 != order.trigger_price_e4:
        changes["trigger_price"] = to_text(trigger_e4)
    if not changes:
        return None
    try:
        return order.replaced(**changes)
    except OrderInvalidError:
        pass
    if order.stop_loss_e4 is not None:
        changes["stop_loss"] = None  # an exit opens nothing a stop could give up; it must not keep the order unmended
    try:
        return order.replaced(**changes)
    except OrderInvalidError:
        return None  # no such price exists: it goes out as it was asked, and the exchange has the last word
