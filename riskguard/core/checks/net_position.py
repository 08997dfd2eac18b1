"""
Net position ceiling: the worst position reachable if everything working on one side fills.

Reach of a buy = N + W⁺ + q, of a sell = −N + W⁻ + q; other products and accounts of the scope add, sides apart.
Counted by instrument; with `per = "underlying"` all that hangs on one adds by direction of exposure: long calls, short
puts and long futures are one side.
A STRATEGY has its own fills and what nobody claims. Landing on the ceiling is allowed. Exits are exempt. The ceiling
is `traders_control.position_size_limit`, which schema v3 left without a unit: until one is confirmed it binds by the
tighter reading. Source: checks.md §1, §5.4, §5.5, §5.14.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import model_validator

from riskguard.core import measure
from riskguard.core.exposure import SUMMED
from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Inr, Params
from riskguard.core.reject import RUPEES, Reject, RejectCode
from riskguard.core.scope import Scope
from riskguard.core.sizing import most_within


class Parameters(Params):
    position_max: Inr  # 1/10000 of the unit, like the v3 column: 500 units are 5_000_000
    unit: Literal["units", "lots", "inr", "unconfirmed"]
    per: Literal["instrument", "underlying"] = "instrument"

    @model_validator(mode="after")
    def _unit_adds_up(self) -> Parameters:
        if self.per == "underlying" and self.unit not in ("units", "lots"):
            raise ValueError('`per = "underlying"` counts units or lots; for rupees see `concentration`')
        return self


SCALE = 10_000


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse when the reach in this account after this order passes the ceiling, or cannot be measured."""
    if not facts.known:
        unit = params.unit
        return measure.position_unknown(
            facts, Scope("ACCOUNT"), _shown(params.position_max, unit), RUPEES if unit == "inr" else "units"
        )
    order = facts.order
    if order.sign > 0:
        standing = facts.net_up + facts.buying + facts.long_other
    else:
        standing = -facts.net_down + facts.selling + facts.short_other
    return _judged(facts, params, standing)


def over(params: Parameters, scope: Scope) -> Callable[[Facts, Parameters], Reject | None] | None:
    """Return the question of a limit that adds lines up; in one account and instrument `check` says it all."""
    if scope.kind not in (*SUMMED, "STRATEGY") and params.per == "instrument":
        return None
    return lambda facts, params: _check_over(facts, params, scope)


def _check_over(facts: Facts, params: Parameters, scope: Scope) -> Reject | None:
    """Refuse when the reach in all of *scope* passes the ceiling, or cannot be measured."""
    unit, instrument = params.unit, facts.instrument
    blind = measure.position_unknown(
        facts, scope, _shown(params.position_max, unit), RUPEES if unit == "inr" else "units"
    )
    if blind is not None:
        return blind
    per_underlying = params.per == "underlying"
    if per_underlying and instrument is None:
        return measure.unvalued(facts, params.position_max // SCALE, unit=unit)  # never rupees: see `Parameters`
    in_lots = per_underlying and unit == "lots"  # each line in lots of its own
    found = facts.reach(scope, per_underlying=per_underlying, in_lots=in_lots)
    if found.unknown:
        return Reject(
            RejectCode.INSTRUMENT_UNKNOWN, limit=params.position_max // SCALE, unit=unit, max_quantity=0,
            detail=f"`{found.unknown}` is in the book, and nobody knows what it hangs on",
            hint="import the instrument master",
        )  # fmt: skip
    own, others = (found.up, found.long) if facts.order.sign > 0 else (-found.down, found.short)
    if in_lots and instrument is not None:
        others *= instrument.lot_size
    return _judged(facts, params, own + others)


def _judged(facts: Facts, params: Parameters, standing: int) -> Reject | None:
    reach = standing + facts.order.quantity
    unit = params.unit
    if reach <= 0:
        return None
    if unit == "inr":
        return _by_value(facts, params, standing, reach)
    if unit == "unconfirmed":
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
        max_quantity=most_within(limit, 1, facts.instrument, standing),
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
            hint=measure.PUSH if price_e4 is None else "give the instrument its multiplier",
        )
    each_e4 = price_e4 * multiplier
    if reach * each_e4 <= params.position_max:
        return None
    return Reject(
        RejectCode.NET_POSITION_ABOVE_LIMIT,
        measured=reach * each_e4,
        limit=params.position_max,
        unit=RUPEES,
        max_quantity=most_within(params.position_max, each_e4, instrument, standing * each_e4),
    )


def _shown(limit_e4: int, unit: str) -> int:
    return limit_e4 if unit == "inr" else limit_e4 // SCALE


def _surely(params: Parameters) -> str:
    """Units are counted here; lots and rupees are worked out by the check."""
    if params.unit != "units":
        return ""
    return (
        "facts.known and ((facts.net_up + facts.buying + facts.long_other if order.sign > 0 "
        f"else facts.selling + facts.short_other - facts.net_down) + quantity) * {SCALE} <= params.position_max"
    )


CHECK = Check(
    "net_position",
    Parameters,
    check,
    exits=False,
    scoped=True,
    over=over,
    v3_column="position_size_limit",
    v3_field="position_max",
    passes=_surely,
)
