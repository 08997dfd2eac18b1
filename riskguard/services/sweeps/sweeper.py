"""
The sweeps of one account: look outside, then lock, judge, write, act. What a sweep means is decided in `core`.

`sweep` does all of it at once, for a small bot and for a person; the daemon calls its parts, each on a thread of its
own: `loss` judges by marks and asks no broker, `book` and `slow` ask it, `follow_kills` carries kills out.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from riskguard.core.assess import Action, Finding
from riskguard.core.calendar import ist_us
from riskguard.core.pnl import DayPnl
from riskguard.core.seen import Seen
from riskguard.errors import StoreError
from riskguard.ports import Alerts, Broker, Marks
from riskguard.services.budget import ReadBudget, look_reads
from riskguard.services.kill import killswitch, latch
from riskguard.services.kill.killrun import KillRunner
from riskguard.services.limits import rulebooks
from riskguard.services.limits.nearness import Nearness
from riskguard.services.orders.guard import RiskGuard
from riskguard.services.sweeps import asking, judging
from riskguard.services.sweeps.cadence import BOOK, LOSS, SLOW, Cadence
from riskguard.services.sweeps.claims import Claim, Lease, ResultDroppedError
from riskguard.services.sweeps.health import Health
from riskguard.services.sweeps.known import Known, reconciled
from riskguard.services.sweeps.look import look
from riskguard.services.sweeps.measuring import measure, quotes_of
from riskguard.services.sweeps.reconciler import book_loose, end_earlier_day, stage, take_over
from riskguard.services.sweeps.rollover import roll_over
from riskguard.services.sweeps.slots import LOCK_WAIT_S, Slots
from riskguard.services.sweeps.voice import LogAlerts, Voice
from riskguard.services.tokens import ExpiryWatch
from riskguard.store import controls, days, halt, loader, permits, runs, sweeps, violations
from riskguard.store.session import Session, StoreBusyError

log = logging.getLogger("riskguard")

INTERVAL_US = 2_000_000
HELD_BACK_TOLD = 15
"""Ticks a look may wait for the read budget before somebody is told."""


@dataclass(slots=True)
class SweepReport:
    """What one sweep saw and did. `pnl` is None when the slot was done already by somebody else."""

    account: str
    slot: int
    pnl: DayPnl | None
    findings: list[Finding] = field(default_factory=list)
    failures: tuple[str, ...] = ()
    killed: bool = False
    blind: bool = False  # the broker answered none of what it was asked


class Sweeper:
    """Watches one account; several may run, in several processes: a slot is done once."""

    def __init__(
        self, guard: RiskGuard, account: str, broker: Broker | None, *, interval_us: int = INTERVAL_US,
        alerts: Alerts | None = None, marks: Marks | None = None, cadence: Cadence | None = None,
        lease: Lease | None = None, budget: ReadBudget | None = None,
    ) -> None:  # fmt: skip
        """
        Args:
            cadence: When the parts are due; None: every *interval_us*, whatever the hour.
            lease: Shared by the sweepers of one daemon; None: nobody is asked.
            budget: How often the broker may be read; None: as often as asked.
        """
        self.marks = marks
        self.guard = guard
        self.account = account
        self.broker = broker
        self.alerts: Alerts = alerts or LogAlerts()
        self.voice = Voice(account, self.alerts)
        self.slots = Slots(guard.store, guard.clock, account, interval_us=interval_us, cadence=cadence, lease=lease)
        self.kill_runner = KillRunner(guard, account, broker, self.alerts)
        self.token_watch = ExpiryWatch()
        self.nearness = Nearness(guard.store, account)
        self.budget = budget
        self.health = Health()
        self.on_kill: Callable[[], None] = lambda: None  # the kill run should begin at once
        self.on_event: Callable[[], None] = lambda: None  # the book should be looked at now
        self.known = Known()
        self._journaled_to = 0
        self._lock = threading.Lock()
        self._book_us = 0  # when the newest look at the book was begun, wall time
        self._has_looked = broker is None  # this process has seen the broker's orders and fills
        self._held_back = 0
        self._before: loader.Loaded | None = None  # the account as of the last judgement that stands

    @property
    def killing(self) -> bool:
        """A kill run is open."""
        return self.slots.killing

    # -- the sweeps ------------------------------------------------------------------------------------------

    def sweep(self, *, now: bool = False) -> SweepReport:
        """
        Do the whole sweep that is due; a second fire of the same slot does nothing.

        *now* sweeps even if the slot is done (a person asked). Raises StoreError when the database cannot be
        used: the missing heartbeat then refuses what adds risk.
        """
        claim = self.slots.claim(LOSS, self.slots.interval_us, now=now)
        if claim is None:
            return SweepReport(self.account, self.guard.clock.now_us() // self.slots.interval_us, None)
        seen = None
        if self.broker is not None:
            seen = look(self.broker, self.guard.clock, budget=self.budget, health=self.health)
        try:
            report, kills = self._judge(claim, seen, took=True)
        except ResultDroppedError as e:
            log.warning("%s: a sweep is dropped: %s", self.account, e)
            return SweepReport(self.account, claim.slot, None)
        self._act(report, kills)
        self.follow_kills()
        self._count_nearness(report)
        return report

    def loss(self) -> SweepReport:
        """
        Judge the day by what is known and by fresh marks; asks the broker nothing. The daemon's heartbeat.

        Raises StoreError as `sweep` does.
        """
        claim = self.slots.due(LOSS)
        if claim is None:
            return SweepReport(self.account, 0, None)
        try:
            report, kills = self._judge(claim, None, took=self.broker is None)
        except ResultDroppedError as e:
            log.warning("%s: a sweep is dropped: %s", self.account, e)
            return SweepReport(self.account, claim.slot, None)
        self._act(report, kills)
        if report.killed:
            self.slots.killing = True
            self.on_kill()
        self._count_nearness(report)
        return report

    def book(self) -> bool:
        """Look at orders, fills and positions if it is time, and take them over; says whether it was done."""
        if self.broker is None or not self.slots.is_due(BOOK) or not self._may_read(look_reads(self.broker)):
            return False
        claim = self.slots.due(BOOK)
        if claim is None:
            return False
        clock, store = self.guard.clock, self.guard.store
        self._book_us = clock.now_us()
        seen = look(self.broker, clock, with_funds=False, budget=self.budget, health=self.health)
        staged = stage(store, self.account, seen, "sweep")
        findings = [Finding("BROKER_READ_FAILED", "warning", "; ".join(seen.failures))] if seen.failures else []
        try:
            with store.session(durable=True, wait_s=LOCK_WAIT_S, insist=True) as session:
                now_us = clock.now_us()
                self.slots.fence(session, claim)
                session.read_heads(self.account)
                self._take(session, loader.session_date(now_us), seen, now_us, staged)
                self._finish(session, claim, findings, now_us)
                self.voice.keep(session, findings, now_us)
        except ResultDroppedError as e:
            log.warning("%s: a look at the book is dropped: %s", self.account, e)
            return False
        self._has_looked |= _is_whole(seen)
        self.voice.tell(findings)
        return True

    def slow(self) -> tuple[str, ...]:
        """Ask what is asked seldom and is due: funds, holdings, what the broker says of the account, its ledger."""
        if self.broker is None:
            return ()
        return tuple(kind for kind in SLOW if asking.offers(self.broker, kind) and self._ask(kind))

    def follow_kills(self) -> None:
        """Carry kill runs on by a round; while one is open every list is asked for at its pace."""
        budget = self.budget
        try:
            if budget is None:
                standing = self.kill_runner.advance()
            else:
                with budget.kill_reads():
                    standing = self.kill_runner.advance()
                budget.spend(look_reads(self.broker) * len(standing))
        except StoreBusyError as e:
            log.warning("kill runs of %s wait: %s", self.account, e)
            return
        self.slots.killing = any(run.state == "OPEN" for run in standing)

    def wake(self, *kinds: str) -> None:
        """Let these kinds be due now: an event says that the broker's lists changed, or that some were missed."""
        self.slots.want(*kinds)
        self.on_event()

    # -- when --------------------------------------------------------------------------------------------------

    def _may_read(self, reads: int) -> bool:
        """Ask the read budget; a broker that is asked too often is asked later, and somebody is told."""
        if self.budget is None or self.budget.take(reads):
            self._held_back = 0
            return True
        self._held_back += 1
        if self._held_back == HELD_BACK_TOLD:
            message = f"looks at {self.account} wait for the read budget: {self.budget.rate_per_s:g} requests a second"
            self.voice.say("warning", message, "READ_BUDGET_SPENT")
        return False

    # -- under the lock ------------------------------------------------------------------------------------------

    def _finish(self, session: Session, claim: Claim, findings: list[Finding], now_us: int) -> None:
        said = [[each.code, each.severity, each.message] for each in findings]
        runs.finish_slot(session, self.account, claim.kind, claim.slot, said, now_us)

    def _take(self, session: Session, date: str, seen: Seen | None, now_us: int, staged: int | None = None) -> None:
        """Open the day, end the one before, and take over what was seen; None: there is no broker to look at."""
        if roll_over(session, self.account, date, seen, now_us):
            ordinal = dt.date.fromisoformat(date).toordinal()
            sweeps.add_done(session, self.account, "rollover", ordinal, loader.DAY_US, now_us, self.slots.holder)
        funds, at_us = self.known.funds, self.known.funds_at_us
        if seen is not None and seen.funds is not None:
            funds, at_us = seen.funds, seen.fetched_at_us
        if funds is not None and at_us is not None and loader.session_date(at_us) == date:
            days.put_opening(session, self.account, date, funds.opening_e4)  # funds are asked apart from the book
        end_earlier_day(session, self.account, ist_us(dt.date.fromisoformat(date)), seen, now_us)
        if seen is not None:
            take_over(session, self.account, date, seen, now_us, "sweep", staged=staged)

    def _judge(self, claim: Claim, seen: Seen | None, *, took: bool) -> tuple[SweepReport, list[Action]]:
        """
        Under the write lock: adopt, take over what was seen (*took*), measure, judge, write.

        A process that has not seen the broker's orders yet judges losses and leaves no heartbeat while a permit is in
        doubt: what whoever watched before left unanswered is settled before anything that adds risk passes.
        """
        guard = self.guard
        staged = stage(guard.store, self.account, seen, "sweep") if seen is not None else None
        with guard.store.session(durable=True, wait_s=LOCK_WAIT_S, insist=True) as session:
            now_us = guard.clock.now_us()
            date = loader.session_date(now_us)
            self.slots.fence(session, claim)
            session.read_heads(self.account)
            released, generation = self._adopt_kills(session, now_us)
            rulebooks.take_effect(session, self.account, now_us)
            if took:
                self._take(session, date, seen, now_us, staged)
            book_loose(session, self.account, now_us)
            permits.expire(session, self.account, now_us)
            spool = self._adopt_spool(session, now_us)
            session.read_heads(self.account)
            group = loader.group_of(session, self.account) or ""
            loaded = loader.load(session, self.account, group, now_us, whole_day=True, before=self._before)
            account = loaded.account
            quotes = quotes_of(guard, self.marks, session, account)
            day = measure(session, account, quotes, date, now_us, seen)
            pnl = day.pnl
            known = self._known(session, date, seen, now_us)
            judged = judging.judge(session, account, pnl, seen, date, now_us, known, quotes=quotes, views=day.views)
            judged.findings += self.token_watch.findings(session, self.account, now_us)
            runs.save_reading(session, self.account, date, pnl, now_us, day.views)
            self.voice.keep(session, judged.findings, now_us)
            if self._has_looked or _is_whole(seen) or not runs.in_doubt(session, self.account)[0]:
                self._finish(session, claim, judged.findings, now_us)
            self._journaled_to = session.heads[self.account].sequence
            sent_since = permits.sent_since(session, self.account, self._book_us) if not took else False
        self._before = loaded
        if generation is not None:
            latch.after_commit(guard.store, generation)
        if released:
            halt.lower_flags(guard.store.directories, released)
        for path in spool:  # their rows are committed; one left behind by a crash is recognised by its digest
            path.unlink(missing_ok=True)
        if sent_since:
            self.wake(BOOK)  # an order went out since the last look: its fate is asked for now, not in ten seconds
        self._has_looked |= _is_whole(seen)
        failures = seen.failures if seen is not None else ()
        blind = seen is not None and not any(
            each is not None for each in (seen.positions, seen.orders, seen.trades, seen.funds)
        )
        return SweepReport(self.account, claim.slot, pnl, judged.findings, failures, blind=blind), judged.kills

    def _known(self, session: Session, date: str, seen: Seen | None, now_us: int) -> Known:
        """Everything the judgement may use besides this look."""
        if seen is not None and seen.funds is not None:
            self._learn(funds=seen.funds, funds_at_us=seen.fetched_at_us)
        unexplained, compared_us, unsolicited = reconciled(session, self.account, date, now_us)
        answers = self.health.seen(self.guard.clock.elapsed_us())
        return self._learn(
            health={} if answers is None else {"broker": answers}, unexplained=unexplained,
            unexplained_at_us=compared_us, unsolicited=unsolicited,
        )  # fmt: skip

    def _learn(self, **known: object) -> Known:
        with self._lock:
            self.known = replace(self.known, **known)  # type: ignore[arg-type]
            return self.known

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

    def _adopt_spool(self, session: Session, now_us: int) -> list[Path]:
        """Take over refusals the database could not take when they were made; returns the files to remove afterwards."""
        taken = []
        for path in [each for directory in self.guard.store.directories for each in violations.spooled(directory)]:
            try:
                violations.adopt(session, path, now_us)
            except FileNotFoundError:
                continue  # another sweep took it, and its rows are there
            except OSError as e:
                log.warning("refusals wait in %s, which cannot be read: %s", path, e)
                continue
            taken.append(path)
        return taken

    # -- after the commit ------------------------------------------------------------------------------------------

    def _act(self, report: SweepReport, kills: list[Action]) -> None:
        """Pull the switch where a limit says so, then tell what was found: a log nobody reads holds up no kill."""
        try:
            self._pull(report, kills)
        finally:
            self.voice.tell(report.findings)

    def _pull(self, report: SweepReport, kills: list[Action]) -> None:
        for action in kills:
            outcome = killswitch.engage(
                self.guard.store, self.account, by="sweep", reason=action.finding.message, plan=action.limit.plan,
                cause=action.cause, clock=self.guard.clock,
            )  # fmt: skip
            report.killed |= outcome.halted
            if outcome.exit_status != killswitch.HALTED:
                self.voice.say("critical", outcome.report(), "KILL_INCOMPLETE")

    def _count_nearness(self, report: SweepReport) -> None:
        """Say which limits the orders since the last sweep came near to; no kill waits for it, and nothing hangs on it."""
        try:
            found = self.nearness.count(self._journaled_to, self.guard.clock.now_us())
        except StoreError as e:
            log.warning("how near %s is to its limits waits for the next sweep: %s", self.account, e)
            return
        report.findings += found
        for finding in found:
            self.voice.say(finding.severity, finding.message, finding.code)

    # -- what is asked seldom ------------------------------------------------------------------------------------------

    def _ask(self, kind: str) -> bool:
        """Ask for one of them if it is due, outside any lock, and write what was answered."""
        if not self.slots.is_due(kind) or not self._may_read(1):
            return False
        claim = self.slots.due(kind)
        if claim is None or self.broker is None:
            return False
        answer = asking.ask(self.broker, kind, self.guard.clock, self.budget, self.health)
        findings = [Finding("BROKER_READ_FAILED", "warning", each) for each in answer.failures]
        try:
            with self.guard.store.session(durable=False, wait_s=LOCK_WAIT_S, insist=True) as session:
                now_us = self.guard.clock.now_us()
                self.slots.fence(session, claim)
                session.read_heads(self.account)
                asking.write(session, self.account, answer, now_us)
                self._finish(session, claim, findings, now_us)
                self.voice.keep(session, findings, now_us)
        except ResultDroppedError as e:
            log.warning("%s: what `%s` said is dropped: %s", self.account, kind, e)
            return False
        self._learn(**answer.known())
        self.voice.tell(findings)
        return not findings


def _is_whole(seen: Seen | None) -> bool:
    """Say whether a look showed what settles permits: orders and fills, both."""
    return seen is not None and seen.orders is not None and seen.trades is not None
