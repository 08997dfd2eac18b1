"""
Drawdown: how far the account stands below its best, over sessions, whatever was paid in or out.

Measured on the sum of day P&L since the limit came into force, not on the balance, so that a deposit is no profit and
a payout no loss. STATIC: below where it began. EOD_TRAILING: below the best close. INTRADAY_TRAILING: below the best
fresh reading. REALISED_TRAILING: below the best realised sum. The percentage is of the peak in today's money: what the
account is worth now plus the drawdown. The peak survives restarts and releases. Reaching the limit trips.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from riskguard.core.limits import Limit, live_check
from riskguard.core.live.loss import AtOnce, Reading, Tiers, judge_loss, tighter_e4
from riskguard.core.live.verdict import Memory, Verdict
from riskguard.core.live.view import View
from riskguard.core.params import Inr, Params


class Parameters(Params):
    """What counts as the peak, and how far below it is too far: rupees, percent, or both."""

    kind: Literal["STATIC", "EOD_TRAILING", "INTRADAY_TRAILING", "REALISED_TRAILING"]
    drawdown_inr_max: Inr | None = None
    drawdown_pct_max: Annotated[int, Field(gt=0, le=100)] | None = None
    warn_at_pct: Tiers
    at_once_pct: AtOnce

    @model_validator(mode="after")
    def _some_limit(self) -> Self:
        if self.drawdown_inr_max is None and self.drawdown_pct_max is None:
            raise ValueError("wants `drawdown_inr_max` or `drawdown_pct_max`")
        return self


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """Judge where the account stands below its peak; a date before the newest one seen changes nothing."""
    today_e4, fresh = view.day_e4(limit.scope)
    if view.date < memory.get("day", ""):
        return Verdict(memory)
    kept = _rolled(dict(memory), view.date, params.kind)
    if today_e4 is None:
        return Verdict(kept)
    kept["today_e4"] = today_e4
    realised_e4 = _realised_e4(view, today_e4)
    if realised_e4 is not None:
        kept["realised_today_e4"] = realised_e4
    now_e4 = kept["closed_e4"] + today_e4
    if params.kind == "INTRADAY_TRAILING" and fresh:
        kept["peak_e4"] = max(kept["peak_e4"], now_e4)
    if params.kind == "REALISED_TRAILING":
        kept["peak_e4"] = max(kept["peak_e4"], kept["realised_e4"] + kept["realised_today_e4"])
    down_e4 = max(0, kept["peak_e4"] - now_e4)
    equity_e4 = view.equity_e4
    limit_e4 = tighter_e4(
        params.drawdown_inr_max, params.drawdown_pct_max, None if equity_e4 is None else equity_e4 + down_e4
    )
    if limit_e4 is None:
        return Verdict(kept)
    reading = Reading(down_e4, limit_e4, fresh, view.date, "drawdown")
    return judge_loss(
        limit, kept, reading, now_us, warn_at_pct=params.warn_at_pct, at_once_pct=params.at_once_pct
    )  # fmt: skip


def _rolled(kept: dict[str, Any], date: str, kind: str) -> dict[str, Any]:
    """Begin at zero, or close the session before: its last figure joins the sum."""
    if not kept.get("day"):
        fresh = {"day": date, "closed_e4": 0, "today_e4": 0, "peak_e4": 0, "realised_e4": 0, "realised_today_e4": 0}
        return {**kept, **fresh}
    if kept["day"] < date:
        kept["closed_e4"] += kept["today_e4"]
        kept["realised_e4"] += kept["realised_today_e4"]
        kept["day"], kept["today_e4"], kept["realised_today_e4"] = date, 0, 0
        if kind == "EOD_TRAILING":
            kept["peak_e4"] = max(kept["peak_e4"], kept["closed_e4"])
    return kept


def _realised_e4(view: View, today_e4: int) -> int | None:
    """Return today's realised P&L; a flat account's is all of it."""
    if view.realised_e4 is not None:
        return view.realised_e4
    return today_e4 if next(view.open_lines(delivery=True), None) is None else None


CHECK = live_check("drawdown", Parameters, judge, period="ever", on_breach="kill")
