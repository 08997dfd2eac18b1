"""
Reconciliation: quantity at the broker that nothing explains. Our book is wrong, or somebody else trades here.

Explained is what our fills say, and what our working orders may just have filled. The same line unexplained in
`reads_max` reads of the position list, 5 s apart, stops what adds risk; still so `halt_after_s` after the first read, it halts.
An explained read forgets the line; what was raised stays until a named person, with clean books, releases it.
"""

from __future__ import annotations

from riskguard.core.book import SETTLE_US
from riskguard.core.limits import Limit, live_check
from riskguard.core.live.soft import Reads
from riskguard.core.live.verdict import Action, Finding, Memory, Verdict, breach, cause_of
from riskguard.core.live.view import Unexplained, View
from riskguard.core.params import Params, Seconds
from riskguard.core.state import TradingState


class Parameters(Params):
    """In how many reads, and for how long, a line may be unexplained."""

    reads_max: Reads
    halt_after_s: Seconds


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """Count the reads of each unexplained line; a read is counted once."""
    at_us = view.unexplained_at_us
    if view.unexplained is None or at_us is None or at_us <= memory.get("read_us", 0):
        return Verdict(memory)
    found_now = [each for each in view.unexplained if not _may_be_filling(view, each)]
    if found_now and memory.get("lines") and at_us < memory["read_us"] + SETTLE_US:
        return Verdict(memory)  # the list lags: a look so soon after the last one is not another one
    before = memory.get("lines", {})
    lines = {}
    for each in found_now:
        name = f"{each.key[0]}:{each.key[1]}:{each.product}"
        reads, since_us = before.get(name, (0, at_us))
        lines[name] = [reads + 1, min(since_us, at_us)]
    if not lines and not before:
        return Verdict(memory)
    kept = {key: memory[key] for key in ("reduced", "tripped") if key in memory}
    kept |= {"read_us": at_us, "lines": lines}
    made = Verdict(kept)
    seen = [(each, *lines[f"{each.key[0]}:{each.key[1]}:{each.product}"]) for each in found_now]
    proven = [(each, since_us) for each, reads, since_us in seen if reads >= params.reads_max]
    if not proven:
        return made
    if limit.on_breach in ("halt", "kill") and not kept.get("tripped"):
        late = [each for each, since_us in proven if at_us - since_us >= params.halt_after_s]
        if late:
            found = _finding(view, limit, "RECONCILIATION_FAILED", late, "critical")
            made.findings.append(found)
            made.actions.append(breach(limit, found))
            kept |= {"tripped": True, "reduced": True}
            return made
    if not kept.get("reduced"):
        found = _finding(view, limit, "RECONCILIATION_DIFFERS", [each for each, _ in proven], "warning")
        made.findings.append(found)
        made.actions.append(Action(TradingState.REDUCE_ONLY, limit, found, cause=cause_of(limit)))
        kept["reduced"] = True
    return made


def _may_be_filling(view: View, each: Unexplained) -> bool:
    """Say whether orders that work may just have filled that much: the list of fills lags that of positions."""
    line = view.account.positions.get(each.key, {}).get(each.product)
    working = () if line is None else line.working.values()
    side = 1 if each.quantity > 0 else -1
    return sum(order.remaining for order in working if order.sign == side) >= abs(each.quantity)


def _finding(view: View, limit: Limit, code: str, lines: list[Unexplained], severity: str) -> Finding:
    shown = ", ".join(f"{view.name(each.key)} {each.product} {each.quantity:+d}" for each in lines[:5])
    more = f" and {len(lines) - 5} more" if len(lines) > 5 else ""
    said = f"the broker shows what nothing explains: {shown}{more} (limit `{limit.id}`)"
    return Finding(code, severity, said, limit.id, abs(lines[0].quantity), 0, "units")


CHECK = live_check("reconciliation", Parameters, judge, period="ever", on_breach="halt", mandatory=True)
