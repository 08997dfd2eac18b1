"""
Net position ceiling: the worst position reachable if everything working on one side fills.

Reach of a buy = N + W⁺ + q, of a sell = −N + W⁻ + q; other products of the instrument add, sides apart.
Landing on the ceiling is allowed. Exits are exempt. The ceiling is `traders_control.position_size_limit`,
which schema v3 left without a unit: until one is confirmed it binds by the tighter reading.
"""

from __future__ import annotations

from typing import Literal

from riskguard.core.facts import Facts
from riskguard.core.instrument import Instrument
from riskguard.core.limits import Check
from riskguard.core.params import Inr, Params
from riskguard.core.reject import RUPEES, Reject, RejectCode


class Parameters(Params):
    position_max: Inr  # 1/10000 of the unit, like the v3 column: 500 units are 5_000_000
    unit: Literal["units", "lots", "inr", "unconfirmed"]


SCALE = 10_000


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse when the reach after this order passes the ceiling, or cannot be measured."""
    if not facts.known:
        return Reject(
            RejectCode.POSITION_UNKNOWN,
            limit=_shown(params.position_max, params.unit),
            unit=RUPEES if params.unit == "inr" else "units",
            max_quantity=0,
            detail="no complete position list was fetched yet",
            hint="run a sweep, or report positions with `guard.report_positions(...)`",
        )
    if facts.order.sign > 0:
        standing = facts.net_up + facts.buying + facts.long_other
    else:
        standing = -facts.net_down + facts.selling + facts.short_other
    reach = standing + facts.order.quantity
    if reach <= 0:
        return None
    if params.unit == "inr":
        return _by_value(facts, params, standing, reach)
    if params.unit == "unconfirmed":
        return _tighter(_by_value(facts, params, standing, reach), _by_quantity(facts, params, standing, reach))
    return _by_quantity(facts, params, standing, reach)


def _tighter(one: Reject | None, other: Reject | None) -> Reject | None:
    """Return the refusal that lets less pass; the hint of one alone might not pass the other."""
    if one is None or other is None:
        return one or other
    return min(one, other, key=lambda reject: reject.max_quantity or 0)


def _by_quantity(facts: Facts, params: Parameters, standing: int, reach: int) -> Reject | None:
    lot = 1
    if params.unit == "lots":
        if facts.instrument is None:
            return Reject(RejectCode.INSTRUMENT_UNKNOWN, detail="the lot of the instrument is unknown", max_quantity=0)
        lot = facts.instrument.lot_size
    limit = params.position_max * lot // SCALE
    if reach <= limit:
        return None
    return Reject(
        RejectCode.NET_POSITION_ABOVE_LIMIT,
        measured=-(reach // -lot),
        limit=params.position_max // SCALE,
        unit="lots" if params.unit == "lots" else "units",
        max_quantity=_whole_lots(limit - standing, facts.instrument),
    )


def _by_value(facts: Facts, params: Parameters, standing: int, reach: int) -> Reject | None:
    instrument = facts.instrument
    multiplier = 1 if instrument is None else instrument.multiplier
    price_e4 = facts.risk_price_e4()
    if price_e4 is None or multiplier is None:
        return Reject(
            RejectCode.PRICE_UNKNOWN if price_e4 is None else RejectCode.MULTIPLIER_UNKNOWN,
            limit=params.position_max,
            unit=RUPEES,
            max_quantity=0,
            detail="the position cannot be valued",
            hint="push a quote with `guard.quote(...)`",
        )
    each_e4 = price_e4 * multiplier
    if reach * each_e4 <= params.position_max:
        return None
    return Reject(
        RejectCode.NET_POSITION_ABOVE_LIMIT,
        measured=reach * each_e4,
        limit=params.position_max,
        unit=RUPEES,
        max_quantity=_whole_lots(params.position_max // each_e4 - standing, instrument),
    )


def _whole_lots(quantity: int, instrument: Instrument | None) -> int:
    lot = 1 if instrument is None else instrument.lot_size
    return max(0, quantity - quantity % lot)


def _shown(limit_e4: int, unit: str) -> int:
    return limit_e4 if unit == "inr" else limit_e4 // SCALE


CHECK = Check(
    "net_position",
    Parameters,
    check,
    exits=False,
    v3_column="position_size_limit",
    v3_field="position_max",
)
