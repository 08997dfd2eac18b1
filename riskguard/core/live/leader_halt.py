"""
Leader halted: what a follower does while the account it copies is stopped.

`stop_copy`: only orders that reduce pass (the leader's exits still arrive). `mirror_flatten`: besides, when the leader
is HALTED, this account is flattened too. `ignore`: it is said and nothing more. The cause clears itself after
`clean_reads` looks at a leader who is ACTIVE. Whoever has no leader is not judged.
"""

from __future__ import annotations

from typing import Literal

from riskguard.core.limits import Limit, live_check
from riskguard.core.live.soft import CLEAR, RAISE, Reads, step
from riskguard.core.live.verdict import Action, Clear, Finding, Memory, Verdict, breach, cause_of
from riskguard.core.live.view import View
from riskguard.core.params import Params
from riskguard.core.state import TradingState


class Parameters(Params):
    """What to do, and how surely the leader must be back."""

    then: Literal["stop_copy", "mirror_flatten", "ignore"]
    clean_reads: Reads


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """Follow the leader's state."""
    leader = view.leader
    if leader is None:
        return Verdict(memory)
    stopped = leader.state is not TradingState.ACTIVE
    kept, what = step(memory, bad=stopped, at_us=now_us, bad_reads=1, clean_reads=params.clean_reads)
    made = Verdict(kept)
    said = f"`{leader.name}`, whom this account copies, is {leader.state.name} (limit `{limit.id}`)"
    found = Finding("LEADER_HALTED", "warning", said, limit.id, unit="")
    if what == RAISE:
        made.findings.append(found)
        if params.then == "ignore":
            kept["silent"] = True  # nothing was raised, so nothing is missing
        else:
            made.actions.append(breach(limit, found, soft=True))
    elif what == CLEAR:
        made.clears.append(Clear(limit, cause_of(limit), "", "the leader is ACTIVE again"))
    mirrors = params.then == "mirror_flatten" and leader.state is TradingState.HALTED
    if mirrors and kept.get("raised") and not kept.get("mirrored"):
        kept["mirrored"] = True
        made.actions.append(Action(TradingState.ACTIVE, limit, found, cause=cause_of(limit), task="flatten"))
    return made


CHECK = live_check("leader_halt", Parameters, judge, period="ever")
