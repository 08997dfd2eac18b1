"""
P&L divergence: the broker's figure of the day, or the change of equity, says otherwise than ours.

*Above* max(`difference_inr_max`, `difference_pct_max` of the larger figure) is apart. The first such reading is said
once; `bad_reads` in a row stop what adds risk until `clean_reads` agree again. Only fresh readings of ours are
compared, and a figure the broker does not give is not compared. What stands in while ours is unknown: `daily_loss`.
"""

from __future__ import annotations

from riskguard.core.limits import Limit, live_check
from riskguard.core.live.soft import CLEAR, RAISE, Reads, step
from riskguard.core.live.verdict import Clear, Finding, Memory, Verdict, breach, cause_of
from riskguard.core.live.view import View
from riskguard.core.money import rupees
from riskguard.core.params import Inr, Params, Percent


class Parameters(Params):
    """How far two figures of one day may be apart, and how surely."""

    difference_inr_max: Inr
    difference_pct_max: Percent
    bad_reads: Reads
    clean_reads: Reads


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """Compare ours with each figure that is known."""
    known = _pairs(view)
    if not view.pnl.fresh or not known:
        return Verdict(memory)
    worst_e4, wrong = 0, ""
    for name, ours_e4, value_e4 in known:
        apart_e4 = abs(ours_e4 - value_e4)
        allowed_e4 = params.difference_inr_max
        allowed_e4 = max(allowed_e4, max(abs(ours_e4), abs(value_e4)) * params.difference_pct_max // 100)
        if apart_e4 > max(allowed_e4, worst_e4):
            worst_e4 = apart_e4
            wrong = f"day P&L {rupees(ours_e4)} by our book, {rupees(value_e4)} by {name}"
    kept, what = step(
        memory, bad=bool(wrong), at_us=now_us, bad_reads=params.bad_reads, clean_reads=params.clean_reads
    )  # fmt: skip
    made = Verdict(kept)
    message = f"{wrong} (limit `{limit.id}`)"
    found = Finding("PNL_DIVERGENCE_BAD", "warning", message, limit.id, worst_e4, params.difference_inr_max)
    if what == RAISE:
        made.findings.append(found)
        made.actions.append(breach(limit, found, soft=True))
    elif what == CLEAR:
        made.clears.append(Clear(limit, cause_of(limit), "", "the figures agree again"))
    elif wrong and not kept.get("raised") and kept.get("bad") == 1:
        made.findings.append(Finding("PNL_DIVERGENCE_SEEN", "warning", message, limit.id, worst_e4))
    return made


def _pairs(view: View) -> list[tuple[str, int, int]]:
    """Return (whose, ours, theirs) of every figure both sides have; the broker's rows that can be compared go first."""
    found = []
    ours_e4 = view.pnl.total_e4
    if view.compared_e4 is not None:
        found.append(("the broker's positions", *view.compared_e4))
    elif ours_e4 is not None and view.broker_pnl_e4 is not None:
        found.append(("the broker's positions", ours_e4, view.broker_pnl_e4))
    if ours_e4 is not None and view.equity_pnl_e4 is not None:
        found.append(("the change of equity", ours_e4, view.equity_pnl_e4))
    return found


CHECK = live_check("pnl_divergence", Parameters, judge, period="ever")
