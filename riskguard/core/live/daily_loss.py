"""
The day's loss, live: warnings, REDUCE_ONLY at its tier, the limit's own action when the loss is proven.

What counts: own fills at fresh marks less charges, against the day's baseline, over the limit's scope. While that is
not known, the broker's figure or the change of equity stands in, the worse of the two: two readings of it act like ours, but
never flatten. The parameters are those of the order check of the same name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from riskguard.core.limits import Limit
from riskguard.core.live.loss import Reading, judge_loss
from riskguard.core.live.verdict import Memory, Verdict
from riskguard.core.live.view import View

if TYPE_CHECKING:
    from riskguard.core.checks.daily_loss import Parameters


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """Judge the day's P&L; unknown neither counts nor clears."""
    total_e4, fresh = view.day_e4(limit.scope)
    proof = True
    if total_e4 is None and limit.scope.kind == "ACCOUNT":
        total_e4, fresh, proof = _stand_in_e4(view), True, False
    elif total_e4 is not None and limit.scope.kind == "ACCOUNT":
        total_e4 = _with_options_e4(view, params, total_e4)
    limit_e4 = params.limit_e4(view.account.opening_equity_e4)
    if limit_e4 is None or total_e4 is None:
        return Verdict(memory)
    what = "loss" if proof else "loss by the broker's own figures"
    reading = Reading(max(0, -total_e4), limit_e4, fresh, view.date, what, proof)
    return judge_loss(
        limit, memory, reading, now_us, warn_at_pct=params.warn_at_pct, at_once_pct=params.at_once_pct,
        reduce_only_at_pct=params.reduce_only_at_pct,
    )  # fmt: skip


def _with_options_e4(view: View, params: Parameters, total_e4: int) -> int | None:
    """Return the figure with what the limit takes into it; unknown when a part of it is."""
    if params.include_exit_cost:
        if view.pnl.exit_cost_e4 is None:
            return None
        total_e4 -= view.pnl.exit_cost_e4
    if params.include_holdings:
        return None if view.pnl.holdings_e4 is None else total_e4 + view.pnl.holdings_e4
    return total_e4


def _stand_in_e4(view: View) -> int | None:
    known = [each for each in (view.broker_pnl_e4, view.equity_pnl_e4) if each is not None]
    return min(known, default=None)
