"""
Orphan follower: the leader is out of what this account holds by copying it.

The leader's book, product by product added up, is flat in an instrument, and this account, which copied it today, has
a position there. So for `orphan_s_max`, it is flattened (plan `flatten`). What the account trades on its own, and a
leader whose book is not known, are not judged.
"""

from __future__ import annotations

from riskguard.core.limits import Limit, live_check
from riskguard.core.live.session import aged, begun, settle
from riskguard.core.live.verdict import Finding, Memory, Verdict, instrument_scope
from riskguard.core.live.view import View
from riskguard.core.params import US, Params, Seconds


class Parameters(Params):
    """How long a copy may outlive its original."""

    orphan_s_max: Seconds


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """*Reaching* the time counts."""
    made, kept = begun(view, limit, memory)
    leader = view.leader
    if leader is None or leader.nets is None or view.copied is None:
        return made
    held: dict[tuple[str, str], int] = {}
    for key, line in view.open_lines(delivery=True):
        held[key] = held.get(key, 0) + line.net
    alone = {
        f"{key[0]}:{key[1]}": key
        for key, net in held.items()
        if net and key in view.copied and not leader.nets.get(key)
    }
    since = aged(kept, "alone", set(alone), now_us)
    found = {}
    for name, key in alone.items():
        if now_us - since[name] >= params.orphan_s_max:
            said = f"{view.name(key)} {held[key]:+d} is held, and `{leader.name}` who was copied is out"
            message = f"{said} for {(now_us - since[name]) // US} s (limit `{limit.id}`)"
            found[instrument_scope(key)] = Finding("ORPHAN_FOLLOWER_FOUND", "critical", message, limit.id, unit="")
    settle(made, kept, limit, found)
    return made


CHECK = live_check("orphan_follower", Parameters, judge, period="ever", plan="flatten")
