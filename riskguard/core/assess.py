"""
The sweep's judgement: what a look at the account means, and what must be done. Pure, like `decide`.

`assess` returns findings and actions as data; the sweeper writes them and carries them out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from riskguard.core.account import Account
from riskguard.core.checks.daily_loss import Parameters as DailyLoss
from riskguard.core.limits import Limit
from riskguard.core.money import rupees
from riskguard.core.pnl import DayPnl
from riskguard.core.state import TradingState

TWICE_US_MIN = 2_000_000
TWICE_US_MAX = 30_000_000
"""Two readings prove a loss when they are this far apart: closer is one tick, further is two stories."""


@dataclass(frozen=True, slots=True)
class LossWatch:
    """What a loss limit has already said today; durable, so that a restart neither repeats nor forgets."""

    breached_at_us: int | None = None
    warned_pct: int = 0
    reduced: bool = False
    tripped: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """Something seen; severity is info, warning or critical."""

    code: str
    severity: str
    message: str
    limit_id: str = ""
    measured_e4: int | None = None
    limit_e4: int | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do: raise a state, or pull the kill switch with a plan."""

    state: TradingState
    limit: Limit
    finding: Finding
    kill: bool = False


@dataclass(slots=True)
class Assessment:
    """The sweep's answer."""

    pnl: DayPnl
    findings: list[Finding] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    watches: dict[str, LossWatch] = field(default_factory=dict)


def assess(account: Account, pnl: DayPnl, watches: dict[str, LossWatch], now_us: int) -> Assessment:
    """
    Judge the day's P&L against every loss limit of the account.

    A warning is given once per tier and day. Reaching `reduce_only_at_pct` stops what adds risk. Reaching the
    limit itself does the limit's own action, but needs fresh marks on two readings 2 to 30 s apart, or one
    reading at `at_once_pct`; without fresh marks it goes no further than REDUCE_ONLY.
    """
    made = Assessment(pnl)
    if pnl.total_e4 is None:
        made.findings.append(Finding("PNL_UNKNOWN", "warning", f"day P&L is unknown: {pnl.detail}"))
    elif not pnl.fresh:
        made.findings.append(Finding("MARKS_STALE", "warning", pnl.detail))
    for limit in account.limits.of("daily_loss"):
        assert isinstance(limit.params, DailyLoss)
        watch = watches.get(limit.id, LossWatch())
        made.watches[limit.id] = _loss(made, account, limit, limit.params, watch, now_us)
    return made


def _loss(
    made: Assessment, account: Account, limit: Limit, params: DailyLoss, watch: LossWatch, now_us: int
) -> LossWatch:
    limit_e4 = params.limit_e4(account.opening_equity_e4)
    total_e4, fresh = made.pnl.total_e4, made.pnl.fresh
    if limit_e4 is None or total_e4 is None:
        return watch  # unknown neither counts nor clears
    loss_e4 = max(0, -total_e4)
    watch = _warn(made, limit, params, watch, loss_e4, limit_e4)
    if loss_e4 * 100 >= limit_e4 * params.reduce_only_at_pct and not watch.reduced and not limit.only_watches(now_us):
        found = _finding("DAILY_LOSS_NEAR", limit, loss_e4, limit_e4, "only orders that reduce pass from here")
        made.findings.append(found)
        made.actions.append(Action(TradingState.REDUCE_ONLY, limit, found))
        watch = replace(watch, reduced=True)
    if loss_e4 < limit_e4:
        # A fresh reading above the limit starts the count anew; a widened one proves nothing either way.
        return replace(watch, breached_at_us=None) if fresh else watch
    if watch.tripped or not fresh:
        return watch
    return _reached(made, limit, params, watch, loss_e4, limit_e4, now_us)


def _warn(
    made: Assessment, limit: Limit, params: DailyLoss, watch: LossWatch, loss_e4: int, limit_e4: int
) -> LossWatch:
    """Warn once about the highest tier reached and not yet said."""
    reached = max((tier for tier in params.warn_at_pct if loss_e4 * 100 >= limit_e4 * tier), default=0)
    if reached <= watch.warned_pct:
        return watch
    made.findings.append(_finding("DAILY_LOSS_WARNING", limit, loss_e4, limit_e4, f"{reached} % reached"))
    return replace(watch, warned_pct=reached)


def _reached(
    made: Assessment, limit: Limit, params: DailyLoss, watch: LossWatch, loss_e4: int, limit_e4: int, now_us: int
) -> LossWatch:
    at_once = loss_e4 * 100 >= limit_e4 * params.at_once_pct
    first_us = watch.breached_at_us
    apart_us = None if first_us is None else now_us - first_us
    if not at_once and (apart_us is None or apart_us > TWICE_US_MAX or apart_us < 0):
        made.findings.append(
            _finding("DAILY_LOSS_SEEN", limit, loss_e4, limit_e4, "one reading; a second one confirms")
        )
        return replace(watch, breached_at_us=now_us)
    if not at_once and apart_us is not None and apart_us < TWICE_US_MIN:
        return watch
    how = f"at once, {params.at_once_pct} % of the limit" if at_once else "on two readings"
    found = _finding("DAILY_LOSS_REACHED", limit, loss_e4, limit_e4, how, severity="critical")
    made.findings.append(found)
    if not limit.only_watches(now_us):
        kill = limit.on_breach == "kill"
        state = (
            TradingState.REDUCE_ONLY if limit.on_breach in ("warn", "reject", "reduce_only") else TradingState.HALTED
        )
        made.actions.append(Action(state, limit, found, kill))
    return replace(watch, tripped=True)


def _finding(code: str, limit: Limit, loss_e4: int, limit_e4: int, said: str, severity: str = "warning") -> Finding:
    message = f"loss {rupees(loss_e4)} of {rupees(limit_e4)} (limit `{limit.id}`): {said}"
    return Finding(code, severity, message, limit.id, loss_e4, limit_e4)
