"""
The sweep's judgement: what a look at the account means, and what must be done. Pure, like `decide`.

`assess` asks every live check of the limits in force and returns findings and actions as data; `services.sweeps.judging`
writes them and carries them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from riskguard.core.checks import LIVE_CHECKS
from riskguard.core.limits import Limit
from riskguard.core.live.verdict import NOTHING, Action, Clear, Finding, Memory, rearmed
from riskguard.core.live.view import View

__all__ = ["Action", "Assessment", "Clear", "Finding", "Memory", "assess", "live_limits"]

_PLACE = {check.name: number for number, check in enumerate(LIVE_CHECKS)}


@dataclass(slots=True)
class Assessment:
    """The sweep's answer. `memories`: by limit, what is to be remembered, changed or not."""

    findings: list[Finding] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    clears: list[Clear] = field(default_factory=list)
    memories: dict[str, Memory] = field(default_factory=dict)
    broken: list[tuple[Limit, Exception]] = field(default_factory=list)


def live_limits(limits: tuple[Limit, ...]) -> list[Limit]:
    """Return the limits a sweep asks, in order of precedence."""
    found = [limit for limit in limits if limit.check.judge is not None]
    return sorted(found, key=lambda limit: (_PLACE[limit.check.name], limit.id))


def assess(
    view: View, memories: Mapping[str, Memory], now_us: int, unreadable: frozenset[str] = frozenset()
) -> Assessment:  # fmt: skip
    """
    Ask every live limit of the account. A limit that only watches finds and remembers, and does nothing.

    Total: a check that raises is broken and keeps its memory, and so is one whose memory is *unreadable*; the others
    are asked all the same.
    """
    made = Assessment()
    if view.pnl.total_e4 is None:
        made.findings.append(Finding("PNL_UNKNOWN", "warning", f"day P&L is unknown: {view.pnl.detail}"))
    elif not view.pnl.fresh:
        made.findings.append(Finding("MARKS_STALE", "warning", view.pnl.detail))
    for limit in live_limits(view.account.limits.limits):
        if limit.id in unreadable:
            made.broken.append(
                (
                    limit,
                    ValueError(
                        "what it remembers cannot be read: mend its live_watches row, with `written = written + 1`"
                    ),
                )
            )
            continue
        watches = limit.only_watches(now_us)
        memory = memories.get(limit.id, NOTHING)
        if memory.get("watched") and not watches:
            # What it did while it only watched was never done: it is looked at anew now that it enforces.
            memory = {key: value for key, value in rearmed(memory).items() if key != "watched"}
        judge = limit.check.judge
        assert judge is not None
        try:
            verdict = judge(view, limit, limit.params, memory, now_us)
        except Exception as e:  # whatever broke, the other limits still watch
            made.broken.append((limit, e))
            continue
        made.findings += verdict.findings
        made.memories[limit.id] = verdict.memory
        if watches:
            if verdict.memory:
                made.memories[limit.id] = {**verdict.memory, "watched": True}
            continue
        made.clears += verdict.clears
        made.actions += verdict.actions
    return made
