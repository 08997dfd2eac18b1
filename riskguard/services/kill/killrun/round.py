"""
One round of a kill run: what it saw, where the run stands, and the writes that come before and after each act.

Each write to the broker is a row unique by (run, step, round, target): intended, marked SENT by compare-and-set on the
lease's token in a durable transaction, answered. A holder whose token moved stops where it is.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from riskguard.core.account import Account
from riskguard.core.seen import Seen
from riskguard.core.state import TradingState
from riskguard.errors import BrokerRefusedError, BrokerUnavailableError, RiskGuardError
from riskguard.ports import Broker
from riskguard.redaction import redacted
from riskguard.services.budget import is_too_many
from riskguard.services.kill.killrun import naming, reasons, sharing
from riskguard.services.kill.killrun.pace import Pace
from riskguard.services.kill.killrun.plans import (
    CLEAN_APART_US,
    DOUBT_US,
    FENCE_US,
    LEASE_US,
    STALL_US,
    STEPS_OF,
)
from riskguard.services.kill.options import KillOptions, read_options
from riskguard.services.orders.guard import RiskGuard
from riskguard.services.sweeps.look import look
from riskguard.services.sweeps.reconciler import take_over
from riskguard.services.sweeps.rollover import roll_over
from riskguard.store import kills, loader, permits
from riskguard.store.kills import KillRun, KillStep

log = logging.getLogger("riskguard")

WRITE_WAIT_S = 5.0
NOT_NOW = "not now: "
"""Before the answer of a write that never left, or came as one too many: nobody judged it, so it is no refusal of it."""


class Overtaken(Exception):
    """Another holder has the run now: nothing more is written and nothing more is sent here."""


class Unreadable(Exception):
    """A list of the broker could not be read: nothing can be proven, and nothing is guessed."""


class TooLate(BrokerUnavailableError):
    """The mark of a write is older than its request may be: it does not leave."""


@dataclass(slots=True)
class Round:
    """See the module. Made by `begin`; `look_again` replaces what was seen."""

    guard: RiskGuard
    broker: Broker
    run: KillRun
    seen: Seen
    account: Account
    doubt: str
    options: KillOptions
    steps: list[KillStep]
    number: int
    pace: Pace
    others: sharing.Others
    wake_us: int | None = None  # when something can be done that cannot be done now
    _marked_us: int = 0
    _did_us: int = 0  # when a write of this very round was taken: the steps were read before it
    _begun: set[tuple[str, str]] = field(default_factory=set)

    @property
    def now_us(self) -> int:
        return self.guard.clock.now_us()

    @property
    def name(self) -> str:
        return self.run.account

    @property
    def scope(self) -> str:
        """What the run is about: a kill is about the whole account, a task may be about a part of it."""
        return "" if self.run.halts else self.run.scope

    def plan_has(self, step: str) -> bool:
        return step in STEPS_OF[self.run.kill_plan]

    def look_again(self) -> None:
        """Read the lists anew in the middle of a round, after something was changed. Raises Unreadable."""
        self.seen = read(self.guard, self.broker)
        taken = _taken_over(self.guard, self.run, self.seen)
        self.account, self.doubt, self.options, self.steps, self.others = taken
        self.pace.refresh(self.account, self.now_us)

    # -- writes to the broker -----------------------------------------------------------------------------------

    def intend(
        self, step: str, target: str, said: str, *, client_order_id: str = "", contents: str = "", number: int | None = None
    ) -> int | None:  # fmt: skip
        """
        Write an intent; None when it was begun before (in this round, or by whoever held the run then).

        Raises Overtaken.
        """
        if (step, target) in self._begun:
            return None
        with self._writing() as session:
            step_id = kills.intend(
                session, self.run, step, self.number if number is None else number, target, client_order_id, said,
                self.now_us, contents,
            )  # fmt: skip
            row = kills.one_run(session, self.run.id) if step_id is None else None
        if row is not None and row.token != self.run.token:
            raise Overtaken
        self._begun.add((step, target))
        return step_id

    def mark(self, step_id: int, message: str = "") -> None:
        """Mark SENT by compare-and-set and count *message* (CANCEL, MODIFY; "" where a permit counts it). Raises Overtaken."""
        with self._writing() as session:
            if message:
                permits.count_message(session, self.name, message, self.now_us)
            if self.run.step == "FLATTEN" and sharing.is_outranked(session, self):
                raise Overtaken
            if not kills.set_step(session, self.run, step_id, "INTENDED", "SENT", "", self.now_us):
                raise Overtaken
        self._marked_us = self.guard.clock.elapsed_us()

    def fence(self) -> None:
        """Called right before the wire. Raises TooLate where the mark has aged: somebody else may be at it by now."""
        if self.guard.clock.elapsed_us() - self._marked_us > FENCE_US:
            raise TooLate("its mark was too old: it did not leave")

    def write(self, step_id: int, act: Callable[[], Any], *, message: str = "") -> tuple[str, str]:
        """Mark, act, and write what came of it; returns (DONE, FAILED or UNKNOWN, what was answered)."""
        self.mark(step_id, message)
        try:
            self.fence()
            act()
            state, said = "DONE", "the broker took the request"
        except (BrokerRefusedError, BrokerUnavailableError) as e:
            passing = isinstance(e, BrokerUnavailableError) or is_too_many(e)
            state, said = "FAILED", redacted(f"{NOT_NOW}{e}" if passing else str(e))
        except Exception as e:
            state, said = "UNKNOWN", redacted(f"{type(e).__name__}: {e}")
        self.answered(step_id, state, said)
        return state, said

    def answered(self, step_id: int, state: str, said: str) -> None:
        """
        Write an answer, or that it never came to be sent. Never raises for the database: a lost answer is only doubt.
        """
        try:
            with self._writing() as session:
                for before in ("SENT", "INTENDED"):
                    if kills.set_step(session, self.run, step_id, before, state, said, self.now_us):
                        self._did_us = self.now_us if state == "DONE" else self._did_us
                        break
        except RiskGuardError as e:
            log.warning("kill run %s: step %s could not be written: %s", self.run.id, step_id, e)

    def tries(self, step: str, target: str) -> list[KillStep]:
        """Return the attempts of one write so far, oldest first, this round's left out."""
        return [each for each in self.steps if each.step == step and each.target == target]

    def read_back(self) -> None:
        """Keep beside each write what the lists show of it now: an answer alone proves nothing."""
        states = {each.order_id: f"{each.status} {each.filled}/{each.quantity}" for each in self.seen.orders or ()}
        by_tag = {each.correlation_id: each for each in self.seen.orders or () if each.correlation_id}
        found: list[tuple[int, str]] = []
        for step in self.steps:
            said = states.get(step.target, "")
            if step.client_order_id:
                names = (step.client_order_id, step.client_order_id + naming.AT_MARKET)
                tags = (permits.correlation_id(self.name, name) for name in names)
                order = next((by_tag[tag] for tag in tags if tag in by_tag), None)
                said = "" if order is None else f"{order.order_id} {states[order.order_id]}"
            if said and said != step.read_back and step.state in ("SENT", "DONE", "UNKNOWN"):
                found.append((step.id, said))
                step.read_back = said
        if found:
            with self._writing() as session:
                for step_id, said in found:
                    kills.read_back(session, step_id, said)

    # -- where the run stands -----------------------------------------------------------------------------------

    def move(self, state: str, step: str, said: str, **more: Any) -> None:
        """Write where the run stands. Raises Overtaken."""
        with self._writing() as session:
            moved = kills.move_run(
                session, self.run, state=state, step=step, detail=said, clean_at_us=more.pop("clean_at_us", None),
                now_us=self.now_us, lease_us=LEASE_US, **more,
            )  # fmt: skip
        if not moved:
            raise Overtaken
        self.run.state, self.run.step, self.run.detail = state, step, said

    def mirror(self, lines: list[tuple[str, str]]) -> None:
        """Let the followers of a leader follow its flatten where the option says so; once, as tasks of their own."""
        from riskguard.services.kill.followers import mirror

        if self.options.followers == "mirror_flatten" and lines:
            with self._writing() as session:
                mirror(session, self.run, lines, self.now_us)

    def clean(self, said: str) -> bool:
        """Note that this read found nothing left in this step; True when it is the second one, late enough."""
        now_us, first_us = self.now_us, self.run.clean_at_us
        if first_us is not None and now_us - first_us >= CLEAN_APART_US:
            return True
        self.move("OPEN", self.run.step, said, clean_at_us=first_us or now_us)
        self.wake_us = (first_us or now_us) + CLEAN_APART_US
        return False

    def late(self, said: str, why: reasons.Reason | None = None) -> None:
        """
        Something is left: go on; without progress for a minute it is BLOCKED, so that people hear of it.

        *why* is the reason then, where one is known that by itself is none yet.
        """
        if self.now_us - self._progress_us() >= STALL_US or self.now_us >= self.run.deadline_us:
            self.block(why or reasons.Reason("TIMEOUT", said))
        else:
            self.move("OPEN", self.run.step, said)

    def block(self, why: reasons.Reason) -> None:
        """Say why it cannot go on now. It stays halted, people are told again and again, and each sweep looks anew."""
        self.move("BLOCKED", self.run.step, why.said, blocked_by=why.code, retry_at_us=why.retry_us)

    def _progress_us(self) -> int:
        """Return when something last got done."""
        done = (each.answered_at_us or each.at_us for each in self.steps if each.state == "DONE")
        fills = (line.last_fill_us for lines in self.account.positions.values() for line in lines.values())
        return max(self.run.started_at_us, self.run.deadline_us - 15 * STALL_US, self._did_us, *done, *fills)

    def held(self) -> str:
        """Return what is held now as JSON: what a watch compares with."""
        lines = {
            f"{key[0]}:{key[1]}:{line.product}": line.near
            for key, products in sorted(self.account.positions.items())
            for line in products.values()
            if line.near
        }
        return json.dumps(lines)

    def _writing(self) -> Any:
        return self.guard.store.session(durable=True, wait_s=WRITE_WAIT_S)


def begin(guard: RiskGuard, broker: Broker, run: KillRun) -> Round:
    """Look at the broker, take over what it shows, and begin a round. Raises Unreadable."""
    seen = read(guard, broker)
    account, doubt, options, steps, others = _taken_over(guard, run, seen)
    number = max((each.round for each in steps), default=0) + 1
    made = Round(guard, broker, run, seen, account, doubt, options, steps, number, Pace(), others)
    made.pace.refresh(account, made.now_us)
    made.read_back()
    return made


def read(guard: RiskGuard, broker: Broker) -> Seen:
    """Read the three lists a kill stands on. Raises Unreadable unless all are complete."""
    seen = look(broker, guard.clock, with_funds=False)
    if seen.orders is None or seen.positions is None or seen.trades is None:
        raise Unreadable("; ".join(seen.failures))
    return seen


def _taken_over(
    guard: RiskGuard, run: KillRun, seen: Seen
) -> tuple[Account, str, KillOptions, list[KillStep], sharing.Others]:
    """Put the look into the book; return the account, what is in doubt there, the options, the steps, the other runs."""
    with guard.store.session(durable=False, wait_s=WRITE_WAIT_S) as session:
        now_us = guard.clock.now_us()
        session.read_heads(run.account)
        date = loader.session_date(now_us)
        # Nobody may have swept today: without the day's start what was carried in is no position of anybody's to close.
        roll_over(session, run.account, date, seen, now_us)
        take_over(session, run.account, date, seen, now_us, "kill-run")
        permits.expire(session, run.account, now_us)
        if run.halts:
            permits.void(session, run.account, TradingState.HALTED, now_us, "killed")
        count, youngest_us = kills.in_doubt(session, run.account)
        session.read_heads(run.account)
        group = loader.group_of(session, run.account) or ""
        account = loader.load(session, run.account, group, now_us).account
        for key in account.positions:
            quote = guard.newest_quote(session, key)
            if quote is not None:
                account.quotes[key] = quote
        options = read_options(session)
        steps = kills.steps_of(session, run.id)
        others = sharing.read_others(session, run, now_us)
    fresh = count and (youngest_us is None or now_us - youngest_us < DOUBT_US)
    return account, f"{count} sent orders without an answer" if fresh else "", options, steps, others
