"""
What a kill of a leader does to its followers. Setting `kill_followers`:

- `stop_copy` (the default): nothing of theirs is closed here; copies that add risk are skipped while the leader is
  stopped, its exits are still delivered, and `orphan_follower` closes what the leader has left them with.
- `mirror_flatten`: where the leader's plan closes positions, a task closes the same lines of every follower. They are
  not halted: a follower may hold and trade what is its own.
- `ignore`: the leader's stop does not reach its copies; each follower's own limits decide.
"""

from __future__ import annotations

import logging

from riskguard.errors import InputError, SettingsError
from riskguard.services.kill import tasks
from riskguard.services.kill.options import read_options
from riskguard.store.kills import KillRun
from riskguard.store.session import Session

log = logging.getLogger("riskguard")

MIRRORED = ("flatten", "broker")
CAUSE = "LEADER_KILLED"


def mirror(session: Session, run: KillRun, lines: list[tuple[str, str]], now_us: int) -> list[str]:
    """
    Open a task per follower and line when the option says so, in the transaction that records the leader's own end.

    Args:
        lines: Segment and security of what the leader's plan closes.

    Returns the followers for whom something was opened. Rules that cannot be read mirror nothing, and say so in the log.
    """
    if not run.halts or run.kill_plan not in MIRRORED or read_options(session).followers != "mirror_flatten":
        return []
    from riskguard.store.copy_rules import read_rules

    try:
        rules = read_rules(session, run.account)
    except SettingsError as e:
        log.error("kill %s: no follower is flattened: %s", run.kill_id, e)
        return []
    opened = []
    for rule in rules:
        session.read_heads(rule.follower)
        for segment, security in lines:
            try:
                done = tasks.request(
                    session, rule.follower, scope=f"INSTRUMENT:{segment}:{security}", plan="flatten", cause=CAUSE,
                    reason=f"{run.account} was killed ({run.reason or run.cause})", now_us=now_us,
                )  # fmt: skip
            except InputError as e:
                log.error("kill %s: %s is not mirrored: %s", run.kill_id, rule.follower, e)
                continue
            if done and rule.follower not in opened:
                opened.append(rule.follower)
    return opened


def copies_go_on(session: Session) -> bool:
    """Say whether copies that add risk go on while their leader is stopped: only with `ignore`."""
    return read_options(session).followers == "ignore"
