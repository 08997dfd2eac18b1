"""What a live check is asked with in these tests: one limit, one view, and its memory from one look to the next."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from riskguard.core.account import Account
from riskguard.core.assess import Assessment, Memory, assess
from riskguard.core.checks import by_name
from riskguard.core.limits import LimitSet
from riskguard.core.live.view import View
from riskguard.core.pnl import DayPnl
from tests.core.builders import NOW, SECOND, account, inr, limit

TIERS: dict[str, Any] = {"warn_at_pct": [50, 90], "at_once_pct": 150}


class Watch:
    """
    One limit looked at again and again. The memory goes through JSON between two looks, as it does on disk.

    `look` returns what was done, in words: `reduce_only`, `halted`, `kill`, `task:plan@scope`, `clear`, `-`.
    """

    def __init__(self, check: str, of: Account | None = None, *, scope: str = "ACCOUNT:leader", **parameters: Any):
        parameters = {"on_breach": by_name(check).on_breach, **parameters}  # as a rulebook reads it
        self.limit = limit(check, "it", scope, **parameters)
        self.of = of or account()
        self.memory: Memory = {}
        self.made = Assessment()
        self.at_s = 0.0

    def look(self, at_s: float | None = None, *, pnl: str | None = "0", fresh: bool = True, **seen: Any) -> str:
        """One look *at_s* seconds after the first, 2 s after the last when not said; *seen* are fields of the view."""
        self.at_s = self.at_s + 2 if at_s is None else at_s
        now_us = NOW + round(self.at_s * SECOND)
        self.of.limits = LimitSet((self.limit,))
        if "date" in seen:
            self.of.session_date = seen.pop("date")
        parts = {name: seen.pop(name) for name in ("exit_cost_e4", "holdings_e4") if name in seen}
        total_e4 = None if pnl is None else inr(pnl)
        figure = DayPnl(total_e4, 0, fresh and pnl is not None, "" if fresh else "old", **parts)
        view = replace(View(self.of, now_us, figure), **seen)
        self.made = assess(view, {"it": self.memory} if self.memory else {}, now_us)
        assert not self.made.broken, self.made.broken
        self.memory = json.loads(json.dumps(dict(self.made.memories["it"])))
        return self.said()

    def said(self) -> str:
        done = []
        for each in self.made.actions:
            word = "kill" if each.kill else each.state.name.lower()
            if each.state or not each.task:
                done.append(word + (f"@{each.scope}" if each.scope else ""))
            if each.task:
                done.append(f"task:{each.task}@{each.scope or 'account'}")
        done += [f"clear{'@' if each.scope else ''}{each.scope}" for each in self.made.clears]
        return " ".join(done) or "-"

    def codes(self) -> str:
        """Return the findings that are this limit's own."""
        return " ".join(each.code for each in self.made.findings if each.limit_id) or "-"
