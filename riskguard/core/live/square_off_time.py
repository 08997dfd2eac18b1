"""
Square-off time: intraday products are flat `before_close_s` before the close of their class, or we make them so.

The close is the end of continuous trading from the dated calendar: shares with derivatives stop for their closing
auction, derivatives trade on. *Reaching* the time flattens each open intraday position by itself (plan `flatten`) and
lets its instrument only be reduced until the next session. The broker squares off too, at its own time and price.
Without a calendar, and on days without trading, nothing is judged.
"""

from __future__ import annotations

import datetime as dt

from riskguard.core.account import InstrumentKey
from riskguard.core.limits import Limit, live_check
from riskguard.core.live.session import begun, settle
from riskguard.core.live.verdict import Finding, Memory, Verdict, instrument_scope
from riskguard.core.live.view import View
from riskguard.core.params import US, Params, Seconds
from riskguard.core.terms import CASH_SEGMENTS

PRODUCTS = frozenset({"INTRADAY", "CO", "BO"})


class Parameters(Params):
    """How long before the close of its class an intraday position must be flat."""

    before_close_s: Seconds


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """Find intraday positions past their time."""
    made, kept = begun(view, limit, memory)
    found = {}
    for key, line in view.open_lines(limit.scope):
        if line.product not in PRODUCTS:
            continue
        close_us = close_of(view, key)
        if close_us is not None and close_us - params.before_close_s <= now_us:
            left = f"{max(0, close_us - now_us) // US} s before its close"
            said = f"{view.name(key)} {line.product} {line.net:+d} is still open {left} (limit `{limit.id}`)"
            found[instrument_scope(key)] = Finding("SQUARE_OFF_DUE", "warning", said, limit.id, unit="")
    settle(made, kept, limit, found, lasts=True)
    return made


def close_of(view: View, key: InstrumentKey) -> int | None:
    """Return when continuous trading of an instrument ends today; a share may stop for the auction, so it is taken to."""
    if view.calendar is None:
        return None
    names = view.account.auction_names
    instrument = view.account.instruments.get(key)
    auction = key[0] in CASH_SEGMENTS and (names is None or instrument is None or instrument.symbol in names)
    return view.calendar.continuous_close(key[0], dt.date.fromisoformat(view.date), auction)


CHECK = live_check(
    "square_off_time", Parameters, judge, period="ever", plan="flatten",
    scopes=("ACCOUNT", "GROUP", "GLOBAL", "SEGMENT", "UNDERLYING", "INSTRUMENT"),
)  # fmt: skip
