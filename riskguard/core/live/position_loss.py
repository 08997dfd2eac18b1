"""
Position loss: one position may lose so much, then it is flattened; the others stay.

Unrealised: quantity × (mark − average price of what is open) × multiplier, per product. The average is that of today's
fills, and of what was carried in its previous close. It counts on fresh marks, on two readings 2 to 30 s apart or one
at `at_once_pct`. The instrument stays REDUCE_ONLY to the session's end: a stop that is entered again at once is none.
Shares for delivery count only where the limit's scope names their instrument, underlying or segment.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import model_validator

from riskguard.core.limits import Limit, live_check
from riskguard.core.live.loss import TWICE_US_MAX, TWICE_US_MIN, AtOnce, tighter_e4
from riskguard.core.live.session import begun, settle
from riskguard.core.live.verdict import Finding, Memory, Verdict, instrument_scope
from riskguard.core.live.view import View
from riskguard.core.money import rupees
from riskguard.core.params import Inr, Params, Percent


class Parameters(Params):
    """How much one position may lose: in rupees, in percent of what it cost, or both."""

    position_loss_inr_max: Inr | None = None
    position_loss_pct_max: Percent | None = None
    at_once_pct: AtOnce

    @model_validator(mode="after")
    def _some_limit(self) -> Self:
        if self.position_loss_inr_max is None and self.position_loss_pct_max is None:
            raise ValueError("wants `position_loss_inr_max` or `position_loss_pct_max`")
        return self


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """Judge every open position by itself."""
    made, kept = begun(view, limit, memory)
    if view.fills is None:
        return made
    first: dict[str, int] = dict(kept.get("breached", {}))
    found: dict[str, Finding] = {}
    named = limit.scope.kind in ("SEGMENT", "UNDERLYING", "INSTRUMENT")
    still: dict[str, Any] = {}
    for key, line in view.open_lines(limit.scope, delivery=named):
        name = f"{key[0]}:{key[1]}:{line.product}"
        average_e4 = view.fills.average_e4.get((*key, line.product))
        mark_e4, fresh = view.mark(key)
        instrument = view.account.instruments.get(key)
        multiplier = 1 if instrument is None else instrument.multiplier
        if average_e4 is None or mark_e4 is None or multiplier is None or not fresh:
            if name in first:
                still[name] = first[name]  # unknown neither counts nor clears
            continue
        loss_e4 = -line.net * (mark_e4 - average_e4) * multiplier
        cost_e4 = abs(line.net) * average_e4 * multiplier
        limit_e4 = tighter_e4(params.position_loss_inr_max, params.position_loss_pct_max, cost_e4)
        if limit_e4 is None or loss_e4 < limit_e4:
            continue
        since_us = first.get(name)
        at_once = loss_e4 * 100 >= limit_e4 * params.at_once_pct
        if not at_once and (since_us is None or not 0 <= now_us - since_us <= TWICE_US_MAX):
            still[name] = now_us
            continue
        if not at_once and since_us is not None and now_us - since_us < TWICE_US_MIN:
            still[name] = since_us
            continue
        said = f"{view.name(key)} {line.product} lost {rupees(loss_e4)} of {rupees(limit_e4)} (limit `{limit.id}`)"
        scope = instrument_scope(key)
        found[scope] = Finding("POSITION_LOSS_REACHED", "critical", said, limit.id, loss_e4, limit_e4)
    kept.pop("breached", None)
    if still:
        kept["breached"] = still
    settle(made, kept, limit, found, lasts=True)
    return made


CHECK = live_check(
    "position_loss", Parameters, judge, period="ever", plan="flatten",
    scopes=("ACCOUNT", "GROUP", "GLOBAL", "SEGMENT", "UNDERLYING", "INSTRUMENT"),
)  # fmt: skip
