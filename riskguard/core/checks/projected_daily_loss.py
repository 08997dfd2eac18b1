"""
Projected daily loss: the day's loss if every stop is hit, this order's too, must stay short of the daily limit.

Day P&L, less what open positions lose from here to their stops, less what this order loses at its own. Entries that
work count as filled; what no stop covers loses in a move of `scenario_pct` of its price (an option's underlying). A
position is covered by stops that work, not by promised ones: an order whose stop is promised counts at the scenario
once it works, so `scenario_pct` should be no narrower than the stops a strategy uses.

The limit is this check's own, in rupees or percent of day-start equity (the tighter): write the figure of the
`daily_loss` limit, or a smaller one to stop entries earlier. *Reaching* it refuses, as there. Exits are exempt.
Source: checks.md §1, §5.12.
"""

from __future__ import annotations

from riskguard.core import measure
from riskguard.core.checks.daily_loss import LossLimit
from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import FinePercent
from riskguard.core.reject import RUPEES, Reject, RejectCode
from riskguard.core.scope import Scope
from riskguard.core.sizing import most_within


class Parameters(LossLimit):
    scenario_pct: FinePercent


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse when the day would end at the limit or beyond it, or when what may be lost cannot be measured."""
    limit_e4 = params.binding_e4(facts.opening_equity_e4)
    pnl_e4, instrument = facts.pnl_e4, facts.instrument
    if limit_e4 is None or pnl_e4 is None:
        return Reject(
            RejectCode.PNL_UNKNOWN, limit=limit_e4, unit=RUPEES, max_quantity=0,
            detail="the day's profit and loss is unknown" if pnl_e4 is None else "day-start equity is unknown",
            hint="run a sweep with fresh marks",
        )  # fmt: skip
    blind = measure.position_unknown(facts, Scope("ACCOUNT", facts.order.account), limit_e4, RUPEES)
    if blind is not None:
        return blind
    at_stops_e4, unknown = facts.losses_at_stops(params.scenario_pct)
    each_e4 = _own_e4(facts, params)
    if unknown or each_e4 is None or instrument is None:
        return measure.unvalued(facts, limit_e4, unknown)
    standing_e4 = at_stops_e4 - pnl_e4
    projected_e4 = standing_e4 + facts.order.quantity * each_e4
    if projected_e4 < limit_e4:
        return None
    return Reject(
        RejectCode.PROJECTED_LOSS_REACHED,
        measured=projected_e4,
        limit=limit_e4,
        unit=RUPEES,
        max_quantity=most_within(limit_e4 - 1, each_e4, instrument, standing_e4),
        detail="the day's loss if every stop is hit",
        hint="trade less, or bring stops nearer",
    )


def _own_e4(facts: Facts, params: Parameters) -> int | None:
    """What one unit of this order loses, at least 1/10000 rupee; None when nobody knows."""
    stop_e4, instrument = facts.order.stop_loss_e4, facts.instrument
    if stop_e4 is None:
        lost_e4 = facts.scenario_e4(params.scenario_pct)
        return None if lost_e4 is None else max(1, lost_e4)
    entry_e4 = facts.entry_e4()
    if entry_e4 is None or instrument is None or instrument.multiplier is None:
        return None
    # A stop a fill would already be past is hit at once: what it loses is not less than nothing.
    return max(1, (entry_e4 - stop_e4) * facts.order.sign * instrument.multiplier)


CHECK = Check("projected_daily_loss", Parameters, check, exits=False, needs=("marks",))
