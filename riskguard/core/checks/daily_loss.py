"""
Daily loss limit: *reaching* it refuses what adds risk here, and trips the kill switch in the sweep.

Day P&L is measured by the sweep and judged in `core.live.daily_loss`; unknown is refused, it is never zero. Exits
are exempt.
The limit is `traders_control.daily_loss_limit`, or a percent of day-start equity; the tighter of the two.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.live.daily_loss import judge
from riskguard.core.params import Inr, Params
from riskguard.core.reject import RUPEES, Reject, RejectCode

Tier = Annotated[int, Field(gt=0, lt=100)]


class LossLimit(Params):
    """A day's loss in rupees, in percent of day-start equity, or both."""

    daily_loss_inr_max: Inr | None = None
    daily_loss_pct_max: Annotated[int, Field(gt=0, le=100)] | None = None

    @model_validator(mode="after")
    def _some_limit(self) -> Self:
        if self.daily_loss_inr_max is None and self.daily_loss_pct_max is None:
            raise ValueError("wants `daily_loss_inr_max` or `daily_loss_pct_max`")
        return self

    def limit_e4(self, opening_equity_e4: int | None) -> int | None:
        """Return the binding loss in 1/10000 rupee (> 0); None when only a percentage of unknown equity is set."""
        by_percent = None
        if self.daily_loss_pct_max is not None and opening_equity_e4 is not None and opening_equity_e4 > 0:
            by_percent = max(1, opening_equity_e4 * self.daily_loss_pct_max // 100)
        known = [each for each in (self.daily_loss_inr_max, by_percent) if each is not None]
        return min(known) if known else None

    def binding_e4(self, opening_equity_e4: int | None) -> int | None:
        """Return the limit for an order: which of two binds is unknown while equity is."""
        if self.daily_loss_pct_max is not None and (opening_equity_e4 is None or opening_equity_e4 <= 0):
            return None
        return self.limit_e4(opening_equity_e4)


class Parameters(LossLimit):
    warn_at_pct: Annotated[list[Tier], Field(min_length=1, max_length=10)]
    reduce_only_at_pct: Annotated[int, Field(gt=0, le=100)]
    at_once_pct: Annotated[int, Field(ge=100, le=1000)]  # one reading this far trips without a second
    include_exit_cost: bool = False  # the sweep also counts the charges that closing everything now would cause
    include_holdings: bool = False  # the sweep also counts what shares held since earlier days made today


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse when the day's loss has reached the limit, or is unknown."""
    limit_e4 = params.daily_loss_inr_max
    if params.daily_loss_pct_max is not None:
        limit_e4 = params.binding_e4(facts.opening_equity_e4)  # the sweep goes by the one that is known
    pnl_e4 = facts.pnl_e4
    if limit_e4 is not None and pnl_e4 is not None and pnl_e4 > -limit_e4:
        return None
    if limit_e4 is None or pnl_e4 is None:
        return Reject(
            RejectCode.PNL_UNKNOWN,
            limit=limit_e4,
            unit=RUPEES,
            max_quantity=0,
            detail="the day's profit and loss is unknown" if pnl_e4 is None else "day-start equity is unknown",
            hint="run a sweep with fresh marks",
        )
    return Reject(
        RejectCode.DAILY_LOSS_REACHED,
        measured=-pnl_e4,
        limit=limit_e4,
        unit=RUPEES,
        max_quantity=0,
        detail="the day's loss has reached its limit",
    )


def _surely(params: Parameters) -> str:
    """A loss in rupees binds whatever equity is; a percentage of it is worked out by the check."""
    if params.daily_loss_inr_max is None or params.daily_loss_pct_max is not None:
        return ""
    return "facts.pnl_e4 is not None and facts.pnl_e4 > -params.daily_loss_inr_max"


CHECK = Check(
    "daily_loss",
    Parameters,
    check,
    exits=False,
    mandatory=True,
    live=True,
    judge=judge,
    v3_column="daily_loss_limit",
    v3_field="daily_loss_inr_max",
    on_breach="kill",
    passes=_surely,
)
