"""
Price collar: our own band around what the market shows, tighter than the exchange's. The fat-finger check of a price.

A buy limit may be at most the collar above the reference, a sell limit at most the collar below it; on the edge is
allowed, and so is any price on the passive side. The limit of a stop is judged against its own trigger, and needs no
market. Orders without a limit price have nothing to judge. The reference is the feed's: evidence on the order opens
no collar. Orders that reduce get twice the collar, clipped to the day's band; their stops are never blocked.
Source: checks.md §1, §5.7, §5.10; MiFID II RTS 6 art. 15 (price collars).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from riskguard.core.adjust import adjusted
from riskguard.core.facts import Facts
from riskguard.core.instrument import Instrument
from riskguard.core.limits import Check
from riskguard.core.money import to_text
from riskguard.core.params import FinePercent, Params
from riskguard.core.reject import RUPEES, Reject, RejectCode

Ticks = Annotated[int, Field(gt=0, le=100_000)]
WIDENED = 2
"""How many collars an exit may use: getting out is worth a worse price, not any price."""


class Collar(Params):
    """The wider of the two holds: a percentage of a cheap option is less than a tick."""

    collar_pct_max: FinePercent | None = None  # of the reference, 1/100 percent inside
    collar_ticks_max: Ticks | None = None

    @model_validator(mode="after")
    def _some_width(self) -> Collar:
        if self.collar_pct_max is None and self.collar_ticks_max is None:
            raise ValueError("wants `collar_pct_max` or `collar_ticks_max`")
        return self


class Parameters(Params):
    share: Collar
    future: Collar
    option: Collar


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse a limit price beyond the collar, or one that needs a reference where the market shows none."""
    order, instrument = facts.order, facts.instrument
    price_e4 = order.price_e4
    if price_e4 is None or instrument is None:
        return None
    sign, reducing = order.sign, facts.reducing
    reference_e4 = order.trigger_price_e4
    if reference_e4 is None:
        reference_e4 = facts.feed_reference_e4()
    elif reducing:
        return None
    if reference_e4 is None:
        return None if reducing else _no_reference(price_e4)
    width_e4 = _width_e4(_of(params, instrument), reference_e4, instrument.tick_e4)
    if reducing:
        width_e4 *= WIDENED
    if (price_e4 - reference_e4) * sign <= width_e4:
        return None
    if reducing:
        sent = adjusted(facts)
        price_e4 = price_e4 if sent is None or sent.price_e4 is None else sent.price_e4
        if (price_e4 - reference_e4) * sign <= width_e4:
            return None  # the band stops it before the collar does
    return _beyond(price_e4, reference_e4, width_e4, sign, order.trigger_price_e4 is not None)


def _of(params: Parameters, instrument: Instrument) -> Collar:
    if instrument.option_type:
        return params.option
    return params.future if instrument.kind.startswith("FUT") else params.share


def _width_e4(collar: Collar, reference_e4: int, tick_e4: int) -> int:
    """Return how far a price may be from the reference, rounded down."""
    by_percent_e4 = reference_e4 * (collar.collar_pct_max or 0) // 10_000
    return max(by_percent_e4, (collar.collar_ticks_max or 0) * tick_e4)


def _no_reference(price_e4: int) -> Reject:
    return Reject(
        RejectCode.PRICE_UNKNOWN,
        unit=RUPEES,
        max_quantity=0,
        detail=f"no fresh price of the feed to judge a limit of {to_text(price_e4)} by",
        hint="push a quote with `guard.quote(...)`",
    )


def _beyond(price_e4: int, reference_e4: int, width_e4: int, sign: int, is_stop: bool) -> Reject:
    edge_e4 = reference_e4 + sign * width_e4
    whose = "the trigger of" if is_stop else "the reference of"
    return Reject(
        RejectCode.PRICE_OUTSIDE_COLLAR,
        measured=(price_e4 - reference_e4) * sign,
        limit=width_e4,
        unit=RUPEES,
        max_quantity=0,
        detail=f"limit {to_text(price_e4)} is beyond {whose} {to_text(reference_e4)}",
        hint=f"{'buy at' if sign > 0 else 'sell at'} {to_text(edge_e4)} or {'below' if sign > 0 else 'above'}",
    )


CHECK = Check("price_collar", Parameters, check, exits=True)
