"""
Feed health: a position whose price nobody tells cannot be watched: nothing is added.

The oldest mark of everything open, in segments that trade now; no mark at all is older than any. *Above*
`mark_age_s_max` in `bad_reads` sweeps in a row raises it, `clean_reads` with all marks young clear it. With nothing
open, or all markets closed, a sweep counts as clean: there is nothing to watch.
"""

from __future__ import annotations

from riskguard.core.limits import Limit, live_check
from riskguard.core.live.health import judge_soft
from riskguard.core.live.soft import Reads
from riskguard.core.live.verdict import Memory, Verdict
from riskguard.core.live.view import View
from riskguard.core.params import US, Params, Seconds


class Parameters(Params):
    """How old the mark of an open position may be."""

    mark_age_s_max: Seconds
    bad_reads: Reads
    clean_reads: Reads


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """Look for the oldest mark."""
    wrong, oldest_us = None, -1
    for key, _line in view.open_lines():
        if view.is_open(key[0]) is False:
            continue
        quote = view.quotes.get(key)
        if quote is None:
            wrong = f"{view.name(key)} is open and has no price"
            break
        age_us = now_us - quote.at_us
        if age_us > max(params.mark_age_s_max, oldest_us):
            wrong, oldest_us = f"the price of {view.name(key)} is {age_us // US} s old", age_us
    return judge_soft(
        limit, memory, wrong=wrong, known=True, at_us=now_us, bad_reads=params.bad_reads, clean_reads=params.clean_reads
    )  # fmt: skip


CHECK = live_check("feed_health", Parameters, judge, period="ever")
