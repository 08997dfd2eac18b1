"""
Protective order missing: an open position without an accepted stop for `missing_s_max`.

A stop protects when it rests at the broker (it has an order id), stands against the position in the same product, and
all of them together cover its quantity. Shares for delivery and bought options are left out: what they can lose is
paid. `warn` (the default) says it once; anything more also runs the limit's plan over the instrument.
"""

from __future__ import annotations

from riskguard.core.account import InstrumentKey
from riskguard.core.book import Line
from riskguard.core.limits import Limit, live_check
from riskguard.core.live.session import aged, begun, settle
from riskguard.core.live.verdict import Finding, Memory, Verdict, instrument_scope
from riskguard.core.live.view import View
from riskguard.core.params import US, Params, Seconds


class Parameters(Params):
    """How long a position may stand without its stop."""

    missing_s_max: Seconds


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """*Reaching* the time counts."""
    made, kept = begun(view, limit, memory)
    bare = {}
    for key, line in view.open_lines(limit.scope):
        if not _is_paid(view, key, line) and _protected(line) < abs(line.net):
            bare[f"{key[0]}:{key[1]}:{line.product}"] = key, line
    since = aged(kept, "bare", set(bare), now_us)
    found = {}
    for name, (key, line) in bare.items():
        if now_us - since[name] >= params.missing_s_max:
            said = f"{view.name(key)} {line.product} {line.net:+d} is open without a stop for its whole quantity"
            message = f"{said} for {(now_us - since[name]) // US} s (limit `{limit.id}`)"
            found[instrument_scope(key)] = Finding(
                "PROTECTIVE_ORDER_MISSING", "warning", message, limit.id, _protected(line), abs(line.net), "units"
            )
    settle(made, kept, limit, found)
    return made


def _protected(line: Line) -> int:
    """Return what stops at the broker would close."""
    return sum(
        each.remaining
        for each in line.working.values()
        if each.order_id and each.sign * line.net < 0 and (each.protective or each.trigger_price_e4 is not None)
    )


def _is_paid(view: View, key: InstrumentKey, line: Line) -> bool:
    instrument = view.account.instruments.get(key)
    return line.net > 0 and instrument is not None and instrument.is_option


CHECK = live_check(
    "protective_order_missing", Parameters, judge, period="ever", on_breach="warn", plan="flatten",
    scopes=("ACCOUNT", "GROUP", "GLOBAL", "SEGMENT", "UNDERLYING", "INSTRUMENT"),
)  # fmt: skip
