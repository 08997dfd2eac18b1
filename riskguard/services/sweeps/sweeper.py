"""
One sweep: look outside, then lock, judge, write, act. What a sweep means is decided in `core.assess`.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import secrets
from dataclasses import dataclass, field, replace

from riskguard.core.account import Account
from riskguard.core.assess import Action, Finding, LossWatch, assess
from riskguard.core.calendar import ist_us
from riskguard.core.pnl import DayPnl
from riskguard.core.seen import Seen
from riskguard.core.state import Cause, TradingState
from riskguard.errors import StoreError
from riskguard.ports import Alerts, Broker, Marks
from riskguard.services.kill import killswitch, latch
from riskguard.services.kill.killrun import KillRunner
from riskguard.services.limits import rulebooks
from riskguard.services.limits.nearness import Nearness
from riskguard.services.orders.guard import RiskGuard
from riskguard.services.sweeps.look import look
from riskguard.services.sweeps.measuring import measured, quotes_of
from riskguard.services.sweeps.reconciler import end_earlier_day, take_over
from riskguard.services.sweeps.rollover import roll_over
from riskguard.services.tokens import ExpiryWatch
from riskguard.store import controls, halt, journal, loader, permits, runs, violations
from riskguard.store.session import Session, StoreBusyError

log = logging.getLogger("riskguard")

KIND = "daily_loss"
LOCK_WAIT_S = 5.0
INTERVAL_US = 2_000_000


class LogAlerts:
    """Alerts as log lines; never blocks, never raises."""

    def tell(self, account: str, severity: str, message: str) -> None:
        level = {"critical": logging.CRITICAL, "warning": logging.WARNING}.get(severity, logging.INFO)
        log.log(level, "%s: %s", account, message)


@dataclass(slots=True)
class SweepReport:
    """What one sweep saw and did. `pnl` is None when the slot was done already by somebody else."""

    account: str
    slot: int
    pnl: DayPnl | None
    findings: list[Finding] = field(default_factory=list)
    failures: tuple[str, ...] = ()
    killed: bool = False


class Sweeper:
    """Watches one account; several may run, in several processes: a slot is done once."""

    def __init__(
        self, guard: RiskGuard, account: str, broker: Broker | None, *, interval_us: int = INTERVAL_US,
        alerts: Alerts | None = None, marks: Marks | None = None,
    ) -> None:  # fmt: skip
        self.marks = marks
        self.guard = guard
        self.account = account
        self.broker = broker
        self.interval_us = interval_us
        self.alerts: Alerts = alerts or LogAlerts()
        self.holder = f"{os.getpid()}-{secrets.token_hex(4)}"
        self.kill_runner = KillRunner(guard, account, broker)
        self.token_watch = ExpiryWatch()
        self.nearness = Nearness(guard.store, account)
        self._journaled_to = 0

    def sweep(self, *, now: bool = False) -> SweepReport:
        """
        Do the sweep that is due; a second fire of the same slot does nothing.

        *now* sweeps even if the slot is done (a person asked). Raises StoreError when the database cannot be
        used: the missing heartbeat then refuses what adds risk.
        """
        clock, store = self.guard.clock, self.guard.store
        slot = clock.now_us() // self.interval_us
        with store.session(durable=False, wait_s=LOCK_WAIT_S, insist=True) as session:
            if not runs.claim_slot(
                session, self.account, KIND, slot, self.interval_us, clock.now_us(), self.holder
            ) and not now:  # fmt: skip
                return SweepReport(self.account, slot, None)
        seen = look(self.broker, clock) if self.broker is not None else None
        report, actions = self._judge(slot, seen)
        for finding in report.findings:
            self.alerts.tell(self.account, finding.severity, finding.message)
        for action in actions:
            if action.kill:
                outcome = killswitch.engage(
                    store, self.account, by="sweep", reason=action.finding.message, plan=action.limit.plan,
                    cause="DAILY_LOSS", clock=clock,
                )  # fmt: skip
                report.killed |= outcome.halted
                if outcome.exit_status != killswitch.HALTED:
                    self.alerts.tell(self.account, "critical", outcome.report())
        self._follow_kills()
        self._count_nearness(report)
        return report

    def _count_nearness(self, report: SweepReport) -> None:
        """Say which limits the orders since the last sweep came near to; no kill waits for it, and nothing hangs on it."""
        try:
            found = self.nearness.count(self._journaled_to, self.guard.clock.now_us())
        except StoreError as e:
            log.warning("how near %s is to its limits waits for the next sweep: %s", self.account, e)
            return
        report.findings += found
        for finding in found:
            self.alerts.tell(self.account, finding.severity, finding.message)

    def _follow_kills(self) -> None:
        try:
            self.kill_runner.advance()
        except StoreBusyError as e:
            log.warning("kill runs of %s wait: %s", self.account, e)

    def _judge(self, slot: int, seen: Seen | None) -> tuple[SweepReport, list[Action]]:
        """Under the write lock: take over what was seen, measure, judge, write."""
        guard = self.guard
        with guard.store.session(durable=True, wait_s=LOCK_WAIT_S, insist=True) as session:
            now_us = guard.clock.now_us()
            date = loader.session_date(now_us)
            session.read_heads(self.account)
            released, generation = self._adopt_kills(session, now_us)
            rulebooks.take_effect(session, self.account, now_us)
            roll_over(session, self.account, date, seen, now_us)
            end_earlier_day(session, self.account, ist_us(dt.date.fromisoformat(date)), seen, now_us)
            if seen is not None:
                take_over(session, self.account, date, seen, now_us, "sweep")
            permits.expire(session, self.account, now_us)
            spool = [path for directory in guard.store.directories for path in violations.spooled(directory)]
            for path in spool:
                violations.adopt(session, path, now_us)
            session.read_heads(self.account)
            group = loader.group_of(session, self.account) or ""
            account = loader.load(session, self.account, group, now_us, whole_day=True).account
            quotes = quotes_of(guard, self.marks, session, account)
            pnl = measured(session, account, quotes, date, now_us)
            before = runs.watches(session, self.account, date)
            judged = assess(account, pnl, _not_yet_done(before, account, now_us), now_us)
            if seen is not None and seen.failures:
                judged.findings.append(Finding("BROKER_READ_FAILED", "warning", "; ".join(seen.failures)))
            judged.findings += self.token_watch.findings(session, self.account, now_us)
            runs.save_reading(session, self.account, date, pnl, now_us)
            runs.save_watches(session, self.account, date, judged.watches, before)
            for action in judged.actions:
                self._write(session, account, action, now_us)
            said = [[each.code, each.severity, each.message] for each in judged.findings]
            runs.finish_slot(session, self.account, KIND, slot, said, now_us)
            self._journaled_to = session.heads[self.account].sequence
        if generation is not None:
            latch.after_commit(guard.store, generation)
        if released:
            halt.lower_flags(guard.store.directories, released)
        for path in spool:  # their rows are committed; one left behind by a crash is recognised by its digest
            path.unlink(missing_ok=True)
        failures = seen.failures if seen is not None else ()
        return SweepReport(self.account, slot, pnl, judged.findings, failures), judged.actions

    def _adopt_kills(self, session: Session, now_us: int) -> tuple[frozenset[str], int | None]:
        """
        Take over kills that reached only a flag file, or only a row by SQL, when no check comes to do it.

        Returns the kills whose flags are left over from a release, and the generation to write: both are for
        after the commit.
        """
        guard = self.guard
        flags = latch.look(guard.halt_directories, self.account, now_us)
        wrote, released = latch.adopt_flags(guard.store, session, flags.names, now_us)
        generation = controls.advance_generation(session) if wrote else None
        latch.adopt_sql(session, self.account, loader.group_of(session, self.account) or "", now_us)
        session.read_heads(self.account)
        return released, generation

    def _write(self, session: Session, account: Account, action: Action, now_us: int) -> None:
        """Write one action: the violation, and the state unless the kill switch will."""
        limit, finding = action.limit, action.finding
        did = "KILL_SWITCH_ACTIVATED" if action.kill else action.state.name
        violations.live_breach(
            session, self.account, finding.code, limit.id, str(limit.scope), finding.measured_e4, finding.limit_e4, did,
            finding.message, now_us, limit.row_id,
        )  # fmt: skip
        contents = {"action": did, "limit": limit.id, "finding": finding.message, "digest": account.limits.digest}
        journal.append(session, self.account, "STATE", contents, now_us)
        if not action.kill:
            cause = Cause(f"ACCOUNT:{self.account}", action.state, "DAILY_LOSS", finding.message, "sweep", now_us)
            controls.raise_cause(session, self.account, cause)
            if action.state >= TradingState.REDUCE_ONLY:
                permits.void_increasing(session, self.account, now_us, finding.message)


def _not_yet_done(watches: dict[str, LossWatch], account: Account, now_us: int) -> dict[str, LossWatch]:
    """
    Return the watches with a trip that halted nobody taken back: whoever judged it died before the kill.

    A release takes a trip back by itself, so a tripped limit whose account is not halted was never carried out.
    """
    if account.state is TradingState.HALTED:
        return watches
    halting = {
        limit.id
        for limit in account.limits.of("daily_loss")
        if limit.on_breach in ("halt", "kill") and not limit.only_watches(now_us)
    }
    return {
        limit_id: replace(watch, tripped=False) if limit_id in halting else watch for limit_id, watch in watches.items()
    }
