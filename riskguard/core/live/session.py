"""What lasts a session, and causes that stand over a part of the account while something is found there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from riskguard.core.limits import Limit
from riskguard.core.live.verdict import Clear, Finding, Memory, Verdict, breach, cause_of
from riskguard.core.live.view import View


def begun(view: View, limit: Limit, memory: Memory) -> tuple[Verdict, dict[str, Any]]:
    """
    Return a verdict and the memory it keeps, emptied when a later session has begun.

    `tripped` had raised a soft cause over the limit's own scope, and each scope in `raised` one over that: they are
    cleared then. An earlier date (a clock set back) keeps everything.
    """
    kept = dict(memory)
    made = Verdict(kept)
    if kept.get("day", view.date) < view.date:
        scopes = [""] if kept.get("tripped") else []
        scopes += sorted(kept.get("raised", ()))
        made.clears += [Clear(limit, cause_of(limit), scope, "a new session") for scope in scopes]
        kept.clear()
    kept["day"] = max(view.date, kept.get("day", ""))
    return made, kept


def settle(
    made: Verdict, kept: dict[str, Any], limit: Limit, found: Mapping[str, Finding], *, lasts: bool = False
) -> None:
    """
    Act on each scope something is *found* over, once while it stands, and clear those where it is gone.

    The limit's plan runs over the scope without a halt; plan `halt` runs nothing. With *lasts* a scope stays raised to
    the session's end.
    """
    raised = dict(kept.get("raised", {}))
    task = {"broker": "flatten", "halt": ""}.get(limit.plan, limit.plan)
    for scope, finding in found.items():
        if scope not in raised:
            made.findings.append(finding)
            made.actions.append(breach(limit, finding, scope=scope, task=task, soft=True))
            raised[scope] = 1
    if not lasts:
        for scope in sorted(set(raised) - set(found)):
            made.clears.append(Clear(limit, cause_of(limit), scope, "it is gone"))
            del raised[scope]
    if raised:
        kept["raised"] = raised
    else:
        kept.pop("raised", None)


def aged(kept: dict[str, Any], name: str, present: set[str], now_us: int) -> dict[str, int]:
    """Return since when each of *present* has been there without a break, kept under *name*; a clock set back restarts."""
    before = kept.get(name, {})
    since = {each: min(before.get(each, now_us), now_us) for each in sorted(present)}
    if since:
        kept[name] = since
    else:
        kept.pop(name, None)
    return since
