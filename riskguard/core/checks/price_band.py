"""
The exchange's own bands: the day's circuit limits, and its limit price protection (LPP).

Limit and trigger price must lie within the circuit limits; a plain limit also within reference ± max(percent,
absolute) of the dated table. On the edge is allowed. Stops are left out of the protection: it is `stop_limit_gap`
that the exchange judges them by. What nobody says is not judged, but a protection that holds and cannot be measured
for want of a reference is refused. Exits are not refused: `core.adjust` clips them, and the decision says so.
Source: checks.md §1, §4.
"""

from __future__ import annotations

from riskguard.core.adjust import protection_e4
from riskguard.core.facts import Facts
from riskguard.core.instrument import Instrument
from riskguard.core.limits import Check
from riskguard.core.money import to_text
from riskguard.core.params import Params
from riskguard.core.reject import RUPEES, Reject, RejectCode


class Parameters(Params):
    pass


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse a price the exchange would not take today."""
    order = facts.order
    price_e4, trigger_e4 = order.price_e4, order.trigger_price_e4
    if price_e4 is None and trigger_e4 is None:
        return None
    lower_e4, upper_e4 = facts.bands_e4()
    if lower_e4 is not None or upper_e4 is not None:
        for name, each_e4 in (("limit", price_e4), ("trigger", trigger_e4)):
            if each_e4 is None:
                continue
            if upper_e4 is not None and each_e4 > upper_e4:
                return _outside(name, each_e4, upper_e4, "above the day's upper limit of")
            if lower_e4 is not None and each_e4 < lower_e4:
                return _outside(name, each_e4, lower_e4, "below the day's lower limit of")
    instrument = facts.instrument
    if trigger_e4 is not None or price_e4 is None or instrument is None:
        return None
    if instrument.lpp_pct_e2 is None and instrument.lpp_abs_e4 is None:
        return None
    return _by_protection(facts, instrument, price_e4)


def _by_protection(facts: Facts, instrument: Instrument, price_e4: int) -> Reject | None:
    reference_e4 = facts.feed_reference_e4()
    width_e4 = None if reference_e4 is None else protection_e4(instrument, reference_e4)
    if reference_e4 is None or width_e4 is None:
        return Reject(
            RejectCode.PRICE_UNKNOWN,
            unit=RUPEES,
            max_quantity=0,
            detail="no fresh price to judge the exchange's limit price protection by",
            hint="push a quote with `guard.quote(...)`",
        )
    distance_e4 = abs(price_e4 - reference_e4)
    if distance_e4 <= width_e4:
        return None
    low, high = to_text(max(0, reference_e4 - width_e4)), to_text(reference_e4 + width_e4)
    return Reject(
        RejectCode.PRICE_OUTSIDE_BAND,
        measured=distance_e4,
        limit=width_e4,
        unit=RUPEES,
        max_quantity=0,
        detail=f"limit {to_text(price_e4)} is too far from the reference of {to_text(reference_e4)} for the exchange",
        hint=f"its limit price protection takes {low} to {high}",
    )


def _outside(name: str, price_e4: int, edge_e4: int, said: str) -> Reject:
    """Measured by how far it is outside, against none: both edges read alike."""
    return Reject(
        RejectCode.PRICE_OUTSIDE_BAND,
        measured=abs(price_e4 - edge_e4),
        limit=0,
        unit=RUPEES,
        max_quantity=0,
        detail=f"{name} {to_text(price_e4)} is {said} {to_text(edge_e4)}",
        hint="nothing trades beyond the circuit limits today",
    )


CHECK = Check("price_band", Parameters, check, exits=False)
