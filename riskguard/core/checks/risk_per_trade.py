"""
Risk of one trade: what it loses if its stop is hit, against rupees, a part of equity, or the tighter of both.

(entry − stop) × quantity × multiplier, the entry at the worst price it may fill at. An entry without a stop has no
measured risk and is refused. Equity is the day's opening equity plus its P&L; unknown or used up is refused where a
part of it is the limit. On the limit is allowed. Exits are exempt.
"""

from __future__ import annotations

from pydantic import model_validator

from riskguard.core import measure
from riskguard.core.checks.stop_required import no_stop
from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import FinePercent, Inr, Params
from riskguard.core.reject import RUPEES, Reject, RejectCode
from riskguard.core.sizing import most_within


class Parameters(Params):
    risk_inr_max: Inr | None = None
    risk_pct_max: FinePercent | None = None

    @model_validator(mode="after")
    def _some_limit(self) -> Parameters:
        if self.risk_inr_max is None and self.risk_pct_max is None:
            raise ValueError("wants `risk_inr_max` or `risk_pct_max`")
        return self


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse an entry that may lose more at its stop than the limit, or whose loss cannot be measured."""
    order, instrument, limit_e4 = facts.order, facts.instrument, params.risk_inr_max
    if params.risk_pct_max is not None:
        equity_e4 = facts.equity_e4()
        if equity_e4 is None or equity_e4 <= 0:
            return measure.equity_unknown(equity_e4)
        part_e4 = equity_e4 * params.risk_pct_max // 10_000
        limit_e4 = part_e4 if limit_e4 is None else min(limit_e4, part_e4)
    assert limit_e4 is not None
    if order.stop_loss_e4 is None:
        return no_stop("no stop loss: what the trade risks is not known")
    entry_e4 = facts.entry_e4()
    if entry_e4 is None or instrument is None or instrument.multiplier is None:
        return measure.unvalued(facts, limit_e4)
    each_e4 = (entry_e4 - order.stop_loss_e4) * order.sign * instrument.multiplier
    if each_e4 <= 0:
        return no_stop("the stop loss is on the winning side of the market")
    risk_e4 = order.quantity * each_e4
    if risk_e4 <= limit_e4:
        return None
    return Reject(
        RejectCode.RISK_PER_TRADE_ABOVE_LIMIT,
        measured=risk_e4,
        limit=limit_e4,
        unit=RUPEES,
        max_quantity=most_within(limit_e4, each_e4, instrument),
        detail="loss of this trade at its stop",
        hint="trade less, or bring the stop nearer",
    )


CHECK = Check("risk_per_trade", Parameters, check, exits=False)
