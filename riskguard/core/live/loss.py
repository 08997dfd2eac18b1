"""
How every loss limit goes from a figure to an act: warnings once per tier and day, proof by two readings, no more than
REDUCE_ONLY without fresh marks. Source: checks.md §2 and §5.12.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator

from riskguard.core.limits import Limit
from riskguard.core.live.verdict import Action, Finding, Memory, Verdict, breach, cause_of
from riskguard.core.money import rupees
from riskguard.core.params import Inr, Params
from riskguard.core.state import TradingState

TWICE_US_MIN: Final = 2_000_000
TWICE_US_MAX: Final = 30_000_000
"""Two readings prove a loss when they are this far apart: closer is one tick, further is two stories."""
STAND_IN_US_MAX: Final = 150_000_000
"""The same for another's figure, and how old one may be: funds are asked for every minute only."""

Tier = Annotated[int, Field(gt=0, lt=100)]
Tiers = Annotated[list[Tier], Field(min_length=1, max_length=10)]
AtOnce = Annotated[int, Field(ge=100, le=1000)]


class PeriodLoss(Params):
    """The loss of a period in rupees, in percent of the equity it began with, or both: the tighter holds."""

    loss_inr_max: Inr | None = None
    loss_pct_max: Annotated[int, Field(gt=0, le=100)] | None = None
    warn_at_pct: Tiers
    at_once_pct: AtOnce  # one reading this far trips without a second

    @model_validator(mode="after")
    def _some_limit(self) -> Self:
        if self.loss_inr_max is None and self.loss_pct_max is None:
            raise ValueError("wants `loss_inr_max` or `loss_pct_max`")
        return self

    def limit_e4(self, equity_e4: int | None) -> int | None:
        """Return the binding loss (> 0); None when only a percentage of unknown equity is set."""
        return tighter_e4(self.loss_inr_max, self.loss_pct_max, equity_e4)


def tighter_e4(inr_e4: int | None, pct: int | None, base_e4: int | None) -> int | None:
    """Return the smaller of an amount and a percentage of *base_e4*; None when neither is known."""
    by_percent = None
    if pct is not None and base_e4 is not None and base_e4 > 0:
        by_percent = max(1, base_e4 * pct // 100)
    known = [each for each in (inr_e4, by_percent) if each is not None]
    return min(known) if known else None


@dataclass(frozen=True, slots=True)
class Reading:
    """
    One measured loss against its limit, both 1/10000 rupee.

    `fresh` is False where a mark had to be widened; `proof` False where another's figure stands in for ours: it
    needs the second reading however large it is, and never flattens. `at_us` is when such a figure was asked for:
    the same answer looked at twice is one reading. None: now.
    """

    loss_e4: int
    limit_e4: int
    fresh: bool
    date: str
    what: str = "loss"
    proof: bool = True
    at_us: int | None = None


def judge_loss(
    limit: Limit, memory: Memory, reading: Reading, now_us: int, *, warn_at_pct: list[int], at_once_pct: int,
    reduce_only_at_pct: int | None = None,
) -> Verdict:  # fmt: skip
    """
    Warn, reduce and trip by one reading.

    Reaching counts. A fresh reading below the limit starts the proof anew; one on widened marks neither counts nor
    clears, and at the limit it stops what adds risk. `tripped` and `reduced` hold until a release takes them back.
    """
    made = Verdict(dict(memory))
    kept: dict[str, Any] = made.memory  # type: ignore[assignment]
    loss_e4, limit_e4 = reading.loss_e4, reading.limit_e4
    _warn(made, kept, limit, reading, warn_at_pct)
    near = reduce_only_at_pct is not None and loss_e4 * 100 >= limit_e4 * reduce_only_at_pct
    near = near or (loss_e4 >= limit_e4 and not reading.fresh)
    if near and not kept.get("reduced") and not kept.get("tripped") and not limit.only_watches(now_us):
        found = _finding(limit, reading, "NEAR", "only orders that reduce pass from here")
        made.findings.append(found)
        made.actions.append(Action(TradingState.REDUCE_ONLY, limit, found, cause=cause_of(limit)))
        kept["reduced"] = True
    if loss_e4 < limit_e4:
        if reading.fresh:
            kept.pop("breached_at_us", None)
        return made
    if kept.get("tripped") or not reading.fresh:
        return made
    if _proven(made, kept, limit, reading, now_us, at_once_pct):
        how = f"at once, {at_once_pct} % of the limit"
        if not (reading.proof and loss_e4 * 100 >= limit_e4 * at_once_pct):
            how = "on two readings"
        found = _finding(limit, reading, "REACHED", how, severity="critical")
        made.findings.append(found)
        made.actions.append(breach(limit if reading.proof else _never_flattens(limit), found))
        kept["tripped"] = True
    return made


def _warn(made: Verdict, kept: dict[str, Any], limit: Limit, reading: Reading, tiers: list[int]) -> None:
    """Warn once a day about the highest tier reached and not yet said."""
    reached = max((tier for tier in tiers if reading.loss_e4 * 100 >= reading.limit_e4 * tier), default=0)
    said = kept.get("warned_pct", 0) if kept.get("warned_on") == reading.date else 0
    if reached > said:
        made.findings.append(_finding(limit, reading, "WARNING", f"{reached} % reached"))
        kept["warned_on"], kept["warned_pct"] = reading.date, reached


def _proven(made: Verdict, kept: dict[str, Any], limit: Limit, reading: Reading, now_us: int, at_once_pct: int) -> bool:
    """Say whether this reading proves the loss; else keep it as the first of two."""
    if reading.proof and reading.loss_e4 * 100 >= reading.limit_e4 * at_once_pct:
        return True
    at_us = now_us if reading.at_us is None else reading.at_us
    first_us = kept.get("breached_at_us")
    apart_us = None if first_us is None else at_us - first_us
    if apart_us is None or apart_us > (TWICE_US_MAX if reading.proof else STAND_IN_US_MAX) or apart_us < 0:
        made.findings.append(_finding(limit, reading, "SEEN", "one reading; a second one confirms"))
        kept["breached_at_us"] = at_us
        return False
    return bool(apart_us >= TWICE_US_MIN)


def _never_flattens(limit: Limit) -> Limit:
    return replace(limit, plan="cancel") if limit.plan in ("flatten", "broker") else limit


def _finding(limit: Limit, reading: Reading, word: str, said: str, severity: str = "warning") -> Finding:
    message = f"{reading.what} {rupees(reading.loss_e4)} of {rupees(reading.limit_e4)} (limit `{limit.id}`): {said}"
    return Finding(f"{cause_of(limit)}_{word}", severity, message, limit.id, reading.loss_e4, reading.limit_e4)
