"""
Group loss: the day's loss of all accounts of a group together.

Each account's own sweep adds its reading to the last ones of the others and acts on its own account, so that a group
kill is one kill per account. A peer without a reading today makes the sum unknown; one whose reading is older than
60 s, or rests on old marks, makes it no proof. *Reaching* the limit counts.
"""

from __future__ import annotations

from riskguard.core.limits import Limit, live_check
from riskguard.core.live.loss import AtOnce, Reading, Tiers, judge_loss
from riskguard.core.live.verdict import Memory, Verdict
from riskguard.core.live.view import View
from riskguard.core.params import Inr, Params


class Parameters(Params):
    """What a group may lose in a day."""

    group_loss_inr_max: Inr
    warn_at_pct: Tiers
    at_once_pct: AtOnce


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """Judge the sum."""
    total_e4, fresh = view.day_e4(limit.scope)
    if total_e4 is None:
        return Verdict(memory)
    reading = Reading(max(0, -total_e4), params.group_loss_inr_max, fresh, view.date, "the group's loss")
    return judge_loss(
        limit, memory, reading, now_us, warn_at_pct=params.warn_at_pct, at_once_pct=params.at_once_pct
    )  # fmt: skip


CHECK = live_check("group_loss", Parameters, judge, on_breach="kill", scopes=("GROUP",))
