"""
The month's loss: today's P&L and that of the month's earlier sessions, as each was last measured. Months of India.

Otherwise as `weekly_loss`: reaching it halts to the month's end.
"""

from __future__ import annotations

from riskguard.core.limits import Limit, live_check
from riskguard.core.live.loss import PeriodLoss
from riskguard.core.live.verdict import Memory, Verdict
from riskguard.core.live.view import View
from riskguard.core.live.weekly_loss import judge_period


class Parameters(PeriodLoss):
    """See `PeriodLoss`."""


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """Judge the month up to now."""
    month = view.date[:7]
    return judge_period(
        view, limit, params, memory, now_us, "the month's loss", lambda date: date.startswith(month)
    )  # fmt: skip


CHECK = live_check("monthly_loss", Parameters, judge, period="month", on_breach="halt")
