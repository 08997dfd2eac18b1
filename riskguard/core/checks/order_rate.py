"""
Message throttle: new, modify and cancel messages sent per sliding window, over all processes of the account.

Permits granted and not yet sent count already; refusals do not. Each window keeps a reserve that only exits
and cancels may use: a runaway strategy cannot eat the messages the kill switch needs.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Count, Params, Seconds
from riskguard.core.reject import Reject, RejectCode


class Window(Params):
    messages_max: Count
    reserve: Annotated[int, Field(ge=0, le=10**9)]
    per_s: Seconds

    @model_validator(mode="after")
    def _reserve_leaves_room(self) -> Window:
        if self.reserve >= self.messages_max:
            raise ValueError(f"a reserve of {self.reserve} leaves nothing of {self.messages_max} messages")
        return self


class Parameters(Params):
    windows: Annotated[list[Window], Field(min_length=1, max_length=8)]


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse when this message would be one too many in any window; the longest wait is reported."""
    worst: Reject | None = None
    reducing = facts.reducing
    for window in params.windows:
        limit = window.messages_max if reducing else window.messages_max - window.reserve
        messages = facts.sent_in(window.per_s) + 1
        if messages > limit:
            # Time alone frees it only when sent messages, not waiting permits, fill the window.
            frees_us = facts.sent_leaves_us(limit - facts.granted, window.per_s) if limit > facts.granted else None
            reject = Reject(
                RejectCode.ORDER_RATE_ABOVE_LIMIT,
                measured=messages,
                limit=limit,
                unit="messages",
                max_quantity=0,
                frees_at_us=frees_us,
                detail=f"messages in {window.per_s / 1_000_000:g} s",
            )
            if worst is None or _longer(reject.frees_at_us, worst.frees_at_us):
                worst = reject
    return worst


def _longer(one_us: int | None, other_us: int | None) -> bool:
    """Say whether the first wait is the longer; one that time does not end is the longest."""
    return other_us is not None and (one_us is None or one_us > other_us)


def _surely(params: Parameters) -> str:
    """Every window has room beside its reserve; exits, which may use that, are then let out as well."""
    return " and ".join(f"facts.sent_in({each.per_s}) < {each.messages_max - each.reserve}" for each in params.windows)


CHECK = Check("order_rate", Parameters, check, exits=True, mandatory=True, passes=_surely)
