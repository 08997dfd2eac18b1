"""
Token expiry: an access token that dies before the close leaves positions nobody can exit.

Said once per token as soon as it is known that it dies before today's close. `before_end_s` before it dies, *reaching*
it, nothing is added any more; a later token clears that at once. A token that does not say when it ends is not judged.
"""

from __future__ import annotations

import datetime as dt

from riskguard.core.limits import Limit, live_check
from riskguard.core.live.verdict import Clear, Finding, Memory, Verdict, breach, cause_of
from riskguard.core.live.view import View
from riskguard.core.params import US, Params, Seconds

SEGMENT = "NSE_EQ"
"""Whose close counts as the day's: the session all accounts share."""


class Parameters(Params):
    """How long before its end a token is too old to open anything with."""

    before_end_s: Seconds


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """Compare the token's end with now and with the close."""
    until_us = view.token_until_us
    if until_us is None and view.profile is not None:
        until_us = view.profile.token_until_us
    if until_us is None:
        return Verdict(memory)
    kept = dict(memory)
    made = Verdict(kept)
    left_s = (until_us - now_us) // US
    close_us = _close_us(view)
    early = close_us is not None and now_us < close_us and until_us < close_us
    if early and kept.get("told_us") != until_us:
        said = f"the access token ends {max(0, left_s) // 60} min from now, before the close (limit `{limit.id}`)"
        made.findings.append(Finding("TOKEN_ENDS_EARLY", "warning", said, limit.id, unit=""))
        kept["told_us"] = until_us
    near = until_us - now_us <= params.before_end_s
    if near and not kept.get("raised"):
        said = f"the access token ends in {max(0, left_s)} s: nothing could be exited afterwards (limit `{limit.id}`)"
        found = Finding("TOKEN_EXPIRY_NEAR", "critical", said, limit.id, unit="")
        made.findings.append(found)
        made.actions.append(breach(limit, found, soft=True))
        kept["raised"] = True
    elif not near and kept.get("raised"):
        made.clears.append(Clear(limit, cause_of(limit), "", "a later token was set"))
        del kept["raised"]
    return made


def _close_us(view: View) -> int | None:
    if view.calendar is None:
        return None
    windows = view.calendar.windows(SEGMENT, dt.date.fromisoformat(view.date))
    return windows[-1].close_us if windows else None


CHECK = live_check("token_expiry", Parameters, judge, period="ever")
