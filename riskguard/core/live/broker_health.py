"""
Broker health: a broker that answers wrongly, late or not at all cannot be asked for an exit: nothing is added.

Judged by the share of failed requests and the slow ones of the last minute, as the sweep counts them; without such
counts by this look alone: reads that failed over reads that were made. `bad_reads` looks in a row raise it,
`clean_reads` good ones clear it. A sweep that did not look at the broker neither counts nor clears.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from riskguard.core.limits import Limit, live_check
from riskguard.core.live.health import judge_soft
from riskguard.core.live.soft import Reads
from riskguard.core.live.verdict import Memory, Verdict
from riskguard.core.live.view import View
from riskguard.core.params import US, Params, Seconds

READS_OF_A_LOOK: Final = 4
"""Orders, trades, positions, funds."""


class Parameters(Params):
    """How often, and how slowly, a broker may answer."""

    errors_pct_max: Annotated[int, Field(gt=0, lt=100)]
    latency_s_max: Seconds
    bad_reads: Reads
    clean_reads: Reads


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """On the limit is well; above it is not."""
    counted = None if view.health is None else view.health.get("broker")
    wrong = None
    if counted is not None and counted.asked:
        if counted.failed * 100 > counted.asked * params.errors_pct_max:
            wrong = f"{counted.failed} of {counted.asked} requests to the broker failed"
        elif counted.latency_us is not None and counted.latency_us > params.latency_s_max:
            wrong = f"the broker takes {counted.latency_us / US:.1f} s to answer"
    elif view.seen is not None:
        failed = len(view.seen.failures)
        if failed * 100 > READS_OF_A_LOOK * params.errors_pct_max:
            wrong = f"{failed} reads of the broker failed: {view.seen.failures[0]}"
    known = view.seen is not None or bool(counted is not None and counted.asked)
    return judge_soft(
        limit, memory, wrong=wrong, known=known, at_us=now_us, bad_reads=params.bad_reads, clean_reads=params.clean_reads
    )  # fmt: skip


CHECK = live_check("broker_health", Parameters, judge, period="ever")
