"""
The day's loss, live: warnings, REDUCE_ONLY at its tier, the limit's own action when the loss is proven.

What counts: own fills at fresh marks less charges, against the day's baseline, over the limit's scope. While that is
not known, the broker's figure or the change of equity stands in, the worse of the two: two answers of the broker act like
ours, but never flatten. Nor does our figure where the holdings it should take in are not known; the charges of closing only
make a loss larger, so that one without them still counts. The parameters are those of the order check of the same name.

Over a GROUP or GLOBAL the accounts are added up, their percentages taken of their equity together, and each account's own
sweep acts on its own account. A reading older than 60 s makes the sum no proof. While an account of the scope was not
measured today nothing can be added up: each of the others is judged by itself then, because a loss that is known must not
wait for one that is not. Source: checks.md §5.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from riskguard.core.limits import Limit
from riskguard.core.live.loss import STAND_IN_US_MAX, Reading, judge_loss
from riskguard.core.live.verdict import Memory, Verdict
from riskguard.core.live.view import View

if TYPE_CHECKING:
    from riskguard.core.checks.daily_loss import Parameters


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """Judge the day's P&L; unknown neither counts nor clears."""
    total_e4, fresh, opening_e4, what = _over(view, limit)
    proof, at_us = True, None
    if total_e4 is None and limit.scope.kind == "ACCOUNT":
        total_e4, at_us = _stand_in(view)
        fresh, proof = True, False
    elif total_e4 is not None and limit.scope.kind == "ACCOUNT":
        total_e4, proof = _with_options(view, params, total_e4)
    limit_e4 = params.limit_e4(opening_e4)
    if limit_e4 is None or total_e4 is None:
        return Verdict(memory)
    if not proof:
        what = "loss by the broker's own figures"
    if view.pnl.total_e4 is not None and not proof:
        what = "loss without the holdings, which are not known,"
    reading = Reading(max(0, -total_e4), limit_e4, fresh, view.date, what, proof, at_us)
    return judge_loss(
        limit, memory, reading, now_us, warn_at_pct=params.warn_at_pct, at_once_pct=params.at_once_pct,
        reduce_only_at_pct=params.reduce_only_at_pct,
    )  # fmt: skip


def _over(view: View, limit: Limit) -> tuple[int | None, bool, int | None, str]:
    """Return the day's P&L over the scope, whether it is fresh, the equity a percentage is of, and what to call the loss."""
    equity_e4 = view.account.opening_equity_e4
    if limit.scope.kind not in ("GROUP", "GLOBAL"):
        return *view.day_e4(limit.scope), equity_e4, "loss"
    total_e4, fresh = view.summed_e4(limit.scope)
    if total_e4 is None or not view.others(limit.scope):
        return view.pnl.total_e4, view.pnl.fresh, equity_e4, "loss"
    what = "the group's loss" if limit.scope.kind == "GROUP" else "the loss of all accounts"
    return total_e4, fresh, view.opening_e4(limit.scope), what


def _with_options(view: View, params: Parameters, total_e4: int) -> tuple[int, bool]:
    """Return the figure with what the limit takes into it, and whether it proves: not while holdings are unknown."""
    if params.include_exit_cost and view.pnl.exit_cost_e4 is not None:
        total_e4 -= view.pnl.exit_cost_e4
    if not params.include_holdings:
        return total_e4, True
    holdings_e4 = view.pnl.holdings_e4
    return (total_e4, False) if holdings_e4 is None else (total_e4 + holdings_e4, True)


def _stand_in(view: View) -> tuple[int | None, int | None]:
    """Return the worse of what the broker's figures say, and when it was asked for; one too old says nothing."""
    told = ((view.broker_pnl_e4, view.broker_at_us), (view.equity_pnl_e4, view.equity_at_us))
    known = [
        (figure_e4, at_us)
        for figure_e4, at_us in told
        if figure_e4 is not None and (at_us is None or view.now_us - at_us <= STAND_IN_US_MAX)
    ]
    return min(known, key=lambda each: each[0], default=(None, None))
