"""Telling people how a kill run stands: once when it ends or gets stuck, and again while it is stuck."""

from __future__ import annotations

import logging

from riskguard.errors import StoreError
from riskguard.ports import Alerts
from riskguard.services.kill.killrun.lock import ALONE
from riskguard.services.kill.killrun.plans import TELL_AGAIN_US
from riskguard.services.orders.guard import RiskGuard
from riskguard.store import kills
from riskguard.store.kills import KillRun

log = logging.getLogger("riskguard")


class LogOnly:
    """Alerts as log lines, where nobody gave anything better."""

    def tell(self, account: str, severity: str, message: str) -> None:
        log.log(logging.CRITICAL if severity == "critical" else logging.WARNING, "%s: %s", account, message)


def tell(guard: RiskGuard, alerts: Alerts, before: KillRun, after: KillRun) -> None:
    """Say what changed: BLOCKED again every few minutes, over all processes; DONE, or ended early, once. Never raises."""
    try:
        if after.state == "BLOCKED":
            with guard.store.session(durable=False, wait_s=5.0) as session:
                now_us = guard.clock.now_us()
                again_us = TELL_AGAIN_US if before.blocked_by == after.blocked_by and before.state == "BLOCKED" else 0
                due = kills.may_tell(session, after.id, now_us, again_us)
            if due:
                alerts.tell(
                    after.account, "critical", f"{_what(after)} is BLOCKED ({after.blocked_by}): {after.detail}"
                )
        elif after.state == "DONE" and before.state != "DONE":
            severity = "critical" if ALONE in after.detail else "warning"
            step = kills.cut_short(after.kill_plan, after.state, after.step)
            ended = f"ended at {step}, not finished" if step else "is done"
            alerts.tell(after.account, severity, f"{_what(after)} {ended}: {after.detail}")
    except StoreError as e:
        log.warning("kill run %s: telling waits: %s", after.id, e)


def _what(run: KillRun) -> str:
    if run.halts:
        return f"kill {run.kill_id} (plan {run.kill_plan})"
    return f"task {run.cause} on {run.scope} (plan {run.kill_plan})"
