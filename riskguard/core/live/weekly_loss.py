"""
The week's loss: today's P&L and that of the week's earlier sessions, as each was last measured. ISO weeks, in India.

A session without any known figure is left out and said once. Reaching the limit halts; while the week lasts a release
does not help, because the sum still stands and the next sweep halts again. Next week begins at zero.
"""

from __future__ import annotations

import datetime as dt

from riskguard.core.limits import Limit, live_check
from riskguard.core.live.loss import PeriodLoss, Reading, judge_loss
from riskguard.core.live.verdict import Finding, Memory, Verdict
from riskguard.core.live.view import View


class Parameters(PeriodLoss):
    """See `PeriodLoss`."""


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """Judge the week up to now."""
    week = dt.date.fromisoformat(view.date).isocalendar()[:2]
    return judge_period(
        view, limit, params, memory, now_us, "the week's loss",
        lambda date: dt.date.fromisoformat(date).isocalendar()[:2] == week,
    )  # fmt: skip


def judge_period(
    view: View, limit: Limit, params: PeriodLoss, memory: Memory, now_us: int, what: str, inside: object
) -> Verdict:
    """Judge today's P&L and that of the earlier sessions *inside* says belong to the period."""
    assert callable(inside)
    today_e4, fresh = view.day_e4(limit.scope)
    if today_e4 is None or view.days is None:
        return Verdict(memory)
    earlier = {date: pnl_e4 for date, pnl_e4 in view.days.items() if date < view.date and inside(date)}
    before_e4 = sum(pnl_e4 for pnl_e4 in earlier.values() if pnl_e4 is not None)
    opening_e4 = view.account.opening_equity_e4
    limit_e4 = params.limit_e4(None if opening_e4 is None else opening_e4 - before_e4)
    if limit_e4 is None:
        return Verdict(memory)
    reading = Reading(max(0, -(before_e4 + today_e4)), limit_e4, fresh, view.date, what)
    made = judge_loss(
        limit, memory, reading, now_us, warn_at_pct=params.warn_at_pct, at_once_pct=params.at_once_pct
    )  # fmt: skip
    missing = sorted(date for date, pnl_e4 in earlier.items() if pnl_e4 is None)
    if missing and made.memory.get("missing") != missing:
        made.memory = {**made.memory, "missing": missing}
        said = f"{what} leaves out {', '.join(missing)}: nothing was measured then (limit `{limit.id}`)"
        made.findings.append(Finding("PERIOD_INCOMPLETE", "warning", said, limit.id))
    return made


CHECK = live_check("weekly_loss", Parameters, judge, period="week", on_breach="halt")
