"""
Time to flat: stopping everything must not take longer than this, at the pace messages may be sent.

A cancel for each working order, this one too, and a message for each freeze quantity of the positions reachable. On
the limit is allowed. Exits are exempt.
"""

from __future__ import annotations

from riskguard.core import measure
from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Count, Params, Seconds
from riskguard.core.reject import Reject, RejectCode

MS = 1_000


class Parameters(Params):
    flat_s_max: Seconds
    messages_per_s: Count


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse when being flat again would take longer than the limit, in milliseconds rounded up."""
    book, sign, pace = facts.to_flat(), facts.order.sign, params.messages_per_s
    return measure.above(
        facts, RejectCode.TIME_TO_FLAT_ABOVE_LIMIT, lambda quantity: -(book.after(sign, quantity) * MS // -pace),
        params.flat_s_max // MS, unit="ms", detail="to cancel and flatten all that stands and this order",
        hint="cancel working orders, or hold fewer positions",
    )  # fmt: skip


CHECK = Check("time_to_flat", Parameters, check, exits=False)
