"""
Bypass after a kill: while the account is killed, risk was added. The kill is run again.

At the first look under a kill the reach of each line is kept: its position with everything that works on that side
filled. A position beyond that reach, or a working order that adds to a position and was not there, is a bypass. Late
fills of orders that worked when the kill came are none. What was found becomes the new reach: each bypass runs the kill
once. The broker's own switch found off is seen by the finished kill run itself, which reads it (`killrun.watch`).
"""

from __future__ import annotations

from typing import Any

from riskguard.core.limits import Limit, live_check
from riskguard.core.live.verdict import Finding, Memory, Verdict, breach
from riskguard.core.live.view import View
from riskguard.core.params import Params
from riskguard.core.state import TradingState


class Parameters(Params):
    """None: nothing may add risk while killed."""


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """Compare the book with what the kill found."""
    since_us = [cause.since_us for cause in view.account.wide if cause.state is TradingState.HALTED]
    if not since_us:
        return Verdict({} if memory else memory)
    begun_us = min(since_us)
    now = _book(view)
    if memory.get("begun_us") != begun_us:
        return Verdict({"begun_us": begun_us, **now})
    wrong = _beyond(view, memory, now)
    reach = {
        name: [max(high, now["reach"].get(name, (0, 0))[0]), min(low, now["reach"].get(name, (0, 0))[1])]
        for name, (high, low) in {**dict.fromkeys(now["reach"], (0, 0)), **memory["reach"]}.items()
    }
    orders = sorted({*memory["orders"], *now["orders"]})
    made = Verdict({"begun_us": begun_us, "reach": reach, "orders": orders})
    if wrong:
        said = f"risk was added while killed: {'; '.join(wrong[:5])} (limit `{limit.id}`)"
        found = Finding("BYPASS_AFTER_KILL", "critical", said, limit.id, len(wrong), 0, "events")
        made.findings.append(found)
        made.actions.append(breach(limit, found))
    return made


def _book(view: View) -> dict[str, Any]:
    """Return how far each line may go by what works now, and the orders that would take it further from zero."""
    reach: dict[str, list[int]] = {}
    orders = []
    for key, lines in view.account.positions.items():
        for line in lines.values():
            adding = [each for each in line.working.values() if not each.reducing and each.remaining]
            orders += [each.order_id or each.key for each in adding]
            high = max(0, line.net) + sum(each.remaining for each in adding if each.sign > 0)
            low = min(0, line.net) - sum(each.remaining for each in adding if each.sign < 0)
            if high or low:
                reach[f"{key[0]}:{key[1]}:{line.product}"] = [high, low]
    return {"reach": reach, "orders": sorted(orders)}


def _beyond(view: View, memory: Memory, now: dict[str, Any]) -> list[str]:
    wrong = []
    for key, line in view.open_lines(delivery=True):
        high, low = memory["reach"].get(f"{key[0]}:{key[1]}:{line.product}", (0, 0))
        # A position the reach allows may be closed and not turned over: beyond zero is a new one.
        if line.net > high or line.net < low:
            wrong.append(f"{view.name(key)} {line.product} stands at {line.net:+d}")
    known = set(memory["orders"])
    wrong += [f"order `{each}` works" for each in now["orders"] if each not in known]
    return wrong


CHECK = live_check("bypass_after_kill", Parameters, judge, period="ever", on_breach="kill")
