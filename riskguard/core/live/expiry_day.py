"""
Expiry day: derivatives of a share are settled in shares, and nobody who did not mean it should deliver.

From `warn_days` calendar days before a contract's expiry each open one is said once a day. On the day itself,
`before_close_s` before the close of its segment, *reaching* it flattens it (plan `flatten`), and its instrument can
only be reduced. Index contracts are settled in cash and left alone.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final

from pydantic import Field

from riskguard.core.limits import Limit, live_check
from riskguard.core.live.session import begun, settle
from riskguard.core.live.square_off_time import close_of
from riskguard.core.live.verdict import Finding, Memory, Verdict, instrument_scope
from riskguard.core.live.view import View
from riskguard.core.params import Params, Seconds

PHYSICAL: Final = frozenset({"FUTSTK", "OPTSTK"})


class Parameters(Params):
    """From when on it is said, and when it must be flat."""

    warn_days: Annotated[int, Field(gt=0, le=30)]
    before_close_s: Seconds


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """Look at every open contract that is settled in shares."""
    made, kept = begun(view, limit, memory)
    today = dt.date.fromisoformat(view.date)
    told = set(kept.get("told", ()))
    found = {}
    for key, line in view.open_lines(limit.scope):
        instrument = view.account.instruments.get(key)
        if instrument is None or instrument.kind not in PHYSICAL or not instrument.expiry:
            continue
        days = (dt.date.fromisoformat(instrument.expiry) - today).days
        if days > params.warn_days:
            continue
        name = f"{key[0]}:{key[1]}"
        what = f"{instrument.symbol} {line.net:+d} expires {instrument.expiry} and is settled in shares"
        if name not in told:
            told.add(name)
            said = f"{what}: close or roll it (limit `{limit.id}`)"
            made.findings.append(Finding("EXPIRY_NEAR", "warning", said, limit.id, days, params.warn_days, "days"))
        close_us = close_of(view, key)
        if days <= 0 and close_us is not None and close_us - params.before_close_s <= now_us:
            message = f"{what} today (limit `{limit.id}`)"
            found[instrument_scope(key)] = Finding("EXPIRY_DUE", "critical", message, limit.id, days, 0, "days")
    if told:
        kept["told"] = sorted(told)
    settle(made, kept, limit, found, lasts=True)
    return made


CHECK = live_check(
    "expiry_day", Parameters, judge, period="ever", plan="flatten",
    scopes=("ACCOUNT", "GROUP", "GLOBAL", "SEGMENT", "UNDERLYING", "INSTRUMENT"),
)  # fmt: skip
