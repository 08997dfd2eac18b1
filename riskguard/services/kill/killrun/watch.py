"""WATCH: to the session's end nothing may get past a finished kill; what does opens it again (`bypass_after_kill`)."""

from __future__ import annotations

import json
import logging

from riskguard.core.state import TradingState
from riskguard.ports import Alerts
from riskguard.services.kill.killrun import lock
from riskguard.services.kill.killrun.judging import judge
from riskguard.services.kill.killrun.plans import RERUN_LIFE_US, SECOND_US, SEVERITY
from riskguard.services.kill.killrun.round import WRITE_WAIT_S, Round, Unreadable, begin
from riskguard.services.kill.powers import lock_of
from riskguard.services.orders.guard import RiskGuard
from riskguard.store import journal, kills
from riskguard.store.kills import KillRun

log = logging.getLogger("riskguard")

WATCH_EVERY_US = 10 * SECOND_US
BYPASS = "bypass_after_kill"


class Watch:
    """Looks at the account of finished kills, at most every ten seconds in this process."""

    def __init__(self, guard: RiskGuard, account: str, broker: object, alerts: Alerts) -> None:
        self.guard, self.account, self.broker, self.alerts = guard, account, broker, alerts
        self._looked_us: int | None = None

    def look(self, watched: list[KillRun]) -> KillRun | None:
        """Look once if it is time; returns the run that was opened again, None when nothing got past."""
        now_us = self.guard.clock.now_us()
        if self._looked_us is not None and 0 <= now_us - self._looked_us < WATCH_EVERY_US:
            return None
        self._looked_us = now_us
        if any(run.watch_until_us is not None and run.watch_until_us <= now_us for run in watched):
            with self.guard.store.session(durable=False, wait_s=WRITE_WAIT_S) as session:
                kills.end_watches(session, self.account, now_us)
            watched = [run for run in watched if run.watch_until_us is not None and run.watch_until_us > now_us]
        if not watched or self.broker is None:
            return None
        run = max(watched, key=lambda each: (SEVERITY.index(each.kill_plan), each.id))
        try:
            round_ = begin(self.guard, self.broker, run)  # type: ignore[arg-type]
        except Unreadable as e:
            log.warning("kill %s cannot be watched: %s", run.kill_id, e)
            return None
        if round_.account.state is not TradingState.HALTED:
            return None
        found = past(round_)
        return run if found and self._open_again(run, found) else None

    def _open_again(self, run: KillRun, found: str) -> bool:
        with self.guard.store.session(durable=True, wait_s=WRITE_WAIT_S) as session:
            now_us = self.guard.clock.now_us()
            opened = kills.rerun(session, run, f"{BYPASS}: {found}", now_us + RERUN_LIFE_US)
            if opened:
                session.read_heads(self.account)
                said = {"action": "KILL_RERUN", "cause": BYPASS, "kill_id": run.kill_id, "finding": found}
                journal.append(session, self.account, "STATE", said, now_us)
        if opened:
            self.alerts.tell(self.account, "critical", f"{BYPASS}: {found}; kill {run.kill_id} runs again")
        return opened


def past(round_: Round) -> str:
    """Say what got past the kill: an order, a position or fill that adds risk, the broker's switch found off; else ""."""
    adding = judge(round_.seen.orders or (), round_.account).adding
    if adding:
        return f"{len(adding)} orders that may add risk rest: {', '.join(each.order_id for each in adding[:5])}"
    held: dict[str, int] = json.loads(round_.run.held)
    for key, products in round_.account.positions.items():
        for line in products.values():
            name = f"{key[0]}:{key[1]}:{line.product}"
            before = held.get(name, 0)
            if line.near and (abs(line.near) > abs(before) or (line.near > 0) != (before > 0)):
                return f"{name} is {line.near}, and was {before} when the kill was done"
    if round_.run.locked:
        broker = lock_of(round_.broker)
        if broker is not None and lock.read(broker)[0] is False:
            return "the broker's own switch reads as off"
    return ""
