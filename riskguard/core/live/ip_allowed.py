"""
Address allowed: a broker that takes no orders from this address takes no exits either.

The broker's own word, read with the profile. False raises it at once and tells people at once, because a kill could
not flatten; True clears it; not said neither counts nor clears.
"""

from __future__ import annotations

from riskguard.core.limits import Limit, live_check
from riskguard.core.live.health import judge_soft
from riskguard.core.live.verdict import Memory, Verdict
from riskguard.core.live.view import View
from riskguard.core.params import Params


class Parameters(Params):
    """None: the broker says yes or no."""


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """Believe the broker."""
    profile = view.profile
    known = profile is not None and profile.may_place is not None
    wrong = None
    if profile is not None and profile.may_place is False:
        why = f" ({profile.detail})" if profile.detail else ""
        wrong = f"the broker takes no orders from this address{why}: a kill could not flatten from here"
    at_us = view.profile_at_us if view.profile_at_us is not None else now_us
    return judge_soft(
        limit, memory, wrong=wrong, known=known, at_us=at_us, bad_reads=1, clean_reads=1, severity="critical"
    )  # fmt: skip


CHECK = live_check("ip_allowed", Parameters, judge, period="ever")
