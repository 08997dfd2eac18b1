"""
The kill run: cancel, flatten if the plan says so, verify. Durable, leased, resumable by any process.

One call of `advance` does one round: look at the broker, decide what is left, write each intent before it and
each answer after it. Source: kill-switch.md §3.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Callable

from riskguard.core.account import Account
from riskguard.core.book import Line
from riskguard.core.instrument import Instrument
from riskguard.core.order import Order
from riskguard.core.seen import Seen, SeenOrder
from riskguard.errors import BrokerError, BrokerRefusedError, PermitError, RiskGuardError, StoreError
from riskguard.ports import Broker
from riskguard.redaction import redacted
from riskguard.services.orders.guard import RiskGuard
from riskguard.services.orders.slicing import sliced
from riskguard.services.sweeps.look import look
from riskguard.services.sweeps.reconciler import take_over
from riskguard.store import loader, permits, runs
from riskguard.store.runs import KillRun

log = logging.getLogger("riskguard")

LEASE_US = 20_000_000
CLEAN_APART_US = 2_000_000
"""Two reads that find nothing must be this far apart: the broker's lists lag."""
DOUBT_US = 15_000_000
"""A sent order nobody answered may still appear; only after this long does it stop holding the run up."""
WRITE_WAIT_S = 5.0

STEPS_OF = {"halt": (), "cancel": ("CANCEL", "VERIFY"), "flatten": ("CANCEL", "FLATTEN", "VERIFY")}
STEPS_OF["broker"] = STEPS_OF["flatten"]


class KillRunner:
    """Carries the kill runs of one account to their end."""

    def __init__(self, guard: RiskGuard, account: str, broker: Broker | None) -> None:
        self.guard = guard
        self.account = account
        self.broker = broker
        self.holder = f"{os.getpid()}-{secrets.token_hex(4)}"

    def advance(self) -> list[KillRun]:
        """Do one round of every open run; returns the runs as they then stand (empty: none is open)."""
        with self.guard.store.session(durable=False, wait_s=WRITE_WAIT_S) as session:
            waiting = runs.open_kill_runs(session, self.account)
            self.guard.store.roll_back(session)
        if not waiting:
            return []  # the usual sweep: nothing is being killed
        with self.guard.store.session(durable=True, wait_s=WRITE_WAIT_S) as session:
            now_us = self.guard.clock.now_us()
            mine = [runs.take_run(session, run.id, self.holder, now_us, LEASE_US) for run in waiting]
        for run in mine:
            if run is not None:
                try:
                    self._round(run)
                except StoreError as e:
                    log.warning("kill run %s waits: %s", run.id, e)
        with self.guard.store.session(durable=False, wait_s=WRITE_WAIT_S) as session:
            open_now = {run.id: run for run in runs.open_kill_runs(session, self.account)}
            rows = [session.row(runs.RUN, run_id=run.id) for run in waiting]
        return [open_now.get(int(row[0])) or KillRun(*row) for row in rows if row is not None]

    def finish(self, *, wait_s_max: float, pause: Callable[[], None] = lambda: time.sleep(0.5)) -> list[KillRun]:
        """Advance until every run is done or blocked, or the time is over; returns how they stand."""
        end = time.monotonic() + wait_s_max
        while True:
            standing = self.advance()
            if all(run.state != "OPEN" for run in standing) or time.monotonic() >= end:
                return standing
            pause()

    # -- one round ------------------------------------------------------------------------------------------

    def _round(self, run: KillRun) -> None:
        steps = STEPS_OF[run.kill_plan]
        if not steps:
            self._move(run, state="DONE", step="WATCH", detail="halted; plan `halt` touches no order")
            return
        if self.broker is None:
            self._move(run, state="BLOCKED", step=run.step, detail="no broker is attached: cancel and close by hand")
            return
        seen = look(self.broker, self.guard.clock, with_funds=False)
        if seen.orders is None or seen.positions is None or seen.trades is None:
            self._late(run, "the broker cannot be read: " + "; ".join(seen.failures))
            return
        account, doubt = self._take_over(seen)
        if run.step == "CANCEL":
            self._cancel(run, account, seen, doubt)
        elif run.step == "FLATTEN":
            self._flatten(run, account, seen)
        else:
            self._verify(run, account, seen)

    def _take_over(self, seen: Seen) -> tuple[Account, str]:
        """Put the look into the book; return the account and what is still in doubt there."""
        with self.guard.store.session(durable=False, wait_s=WRITE_WAIT_S) as session:
            now_us = self.guard.clock.now_us()
            date = loader.session_date(now_us)
            session.read_heads(self.account)
            take_over(session, self.account, date, seen, now_us, "kill-run")
            permits.expire(session, self.account, now_us)
            permits.void_increasing(session, self.account, now_us, "killed")
            count, youngest_us = runs.in_doubt(session, self.account)
            session.read_heads(self.account)
            account = loader.load(session, self.account, loader.group_of(session, self.account) or "", now_us).account
        fresh_doubt = count and (youngest_us is None or now_us - youngest_us < DOUBT_US)
        return account, f"{count} sent orders without an answer" if fresh_doubt else ""

    def _cancel(self, run: KillRun, account: Account, seen: Seen, doubt: str) -> None:
        """Cancel what adds risk; protective and other reducing orders stay, and what only may reduce waits."""
        adding, unsure = _judged(seen, account)
        if unsure:
            doubt = f"{len(unsure)} orders the position list has not caught up with" + (f", {doubt}" if doubt else "")
        if not adding and not doubt:
            self._clean(
                run, "FLATTEN" if "FLATTEN" in STEPS_OF[run.kill_plan] else "VERIFY", "nothing that adds risk rests"
            )
            return
        for order in adding:
            if order.status.upper() != "TRANSIT":  # in transit it cannot be cancelled: look again
                self._cancel_one(run, order)
        self._late(run, f"{len(adding)} orders to cancel" + (f", {doubt}" if doubt else ""))

    def _cancel_one(self, run: KillRun, order: SeenOrder) -> None:
        step_id = self._intend(run, order.order_id, "", f"cancel {order.side} {order.remaining}")
        if step_id is None or self.broker is None:
            return
        try:
            self.broker.cancel(order.order_id)
            self._answer(run, step_id, "DONE", "the broker took the request")
        except BrokerRefusedError as e:
            self._answer(run, step_id, "FAILED", redacted(str(e)))
        except Exception as e:
            self._answer(run, step_id, "UNKNOWN", redacted(f"{type(e).__name__}: {e}"))

    def _flatten(self, run: KillRun, account: Account, seen: Seen) -> None:
        """Close what the plan covers, short options first; each exit goes through the check like any order."""
        left = list(covered(account))
        if not left:
            self._clean(run, "VERIFY", "flat")
            return
        for instrument, key, line in left:
            quantity = abs(line.near) - (line.selling if line.near > 0 else line.buying)
            if quantity > 0:
                self._exit(run, key, line, quantity, instrument)
            elif line.near and any(each.protective for each in line.working.values()):
                self._make_room(run, line, seen)
        self._late(run, f"{len(left)} positions to close")

    def _exit(
        self, run: KillRun, key: tuple[str, str], line: Line, quantity: int, instrument: Instrument | None
    ) -> None:
        """Send exits for what is left after working exits, never across zero, each no larger than the exchange takes."""
        name = f"kill-{run.id}-{run.kill_id[-8:]}-{self._next_round(run)}"
        side = "SELL" if line.near > 0 else "BUY"
        order = Order(
            account=self.account, client_order_id=name, exchange_segment=key[0], security_id=key[1], side=side,
            product=line.product, order_type="MARKET", quantity=quantity, strategy="kill-run",
        )  # fmt: skip
        for each in sliced(self.guard, order, instrument)[0]:  # the next round sees what is left
            self._send(run, each)

    def _send(self, run: KillRun, order: Order) -> None:
        """Intend, send, and write what came of it."""
        target, name = f"{order.exchange_segment}:{order.security_id}:{order.product}", str(order.client_order_id)
        step_id = self._intend(run, target, name, f"close {order.quantity}", self._next_round(run))
        if step_id is None or self.broker is None:
            return
        if not self._set(run, step_id, "INTENDED", "SENT", ""):
            return  # another holder took the run over: it must not be sent twice
        try:
            decision = self.guard.place(order, self.broker.place, emergency_exit=f"kill-run:{run.id}")
        except (BrokerError, PermitError, StoreError) as e:
            self._set(run, step_id, "SENT", "UNKNOWN", redacted(f"{type(e).__name__}: {e}"))
            return
        if decision.approved:
            self._set(run, step_id, "SENT", "DONE", "placed")
        else:
            self._set(run, step_id, "SENT", "FAILED", decision.explain())

    def _make_room(self, run: KillRun, line: Line, seen: Seen) -> None:
        """A stop holds the room an exit needs: it goes now, the exit follows in the next round."""
        protecting = {each.order_id for each in line.working.values() if each.protective}
        for order in seen.orders or ():
            if order.is_live and order.order_id in protecting:
                self._cancel_one(run, order)

    def _verify(self, run: KillRun, account: Account, seen: Seen) -> None:
        """Look again: flat where the plan covers, nothing pending that adds risk, twice."""
        adding, unsure = _judged(seen, account)
        if adding or unsure:
            said = f"{len(adding) + len(unsure)} orders appeared that may add risk"
            self._move(run, state="OPEN", step="CANCEL", detail=said)
            return
        left = list(covered(account)) if "FLATTEN" in STEPS_OF[run.kill_plan] else []
        if left:
            self._move(run, state="OPEN", step="FLATTEN", detail=f"{len(left)} positions are open")
            return
        said = "flat, nothing pending" if "FLATTEN" in STEPS_OF[run.kill_plan] else "nothing pending that adds risk"
        if run.kill_plan == "broker":
            said += "; LOCKED_LOCALLY: this broker has no switch of its own"
        self._clean(run, "WATCH", said)

    # -- where it stands --------------------------------------------------------------------------------------

    def _clean(self, run: KillRun, next_step: str, said: str) -> None:
        """A read found nothing left in this step: the second one, late enough, ends it."""
        now_us = self.guard.clock.now_us()
        if run.clean_at_us is not None and now_us - run.clean_at_us >= CLEAN_APART_US:
            done = next_step == "WATCH"
            self._move(run, state="DONE" if done else "OPEN", step=next_step, detail=said)
            return
        self._move(run, state="OPEN", step=run.step, detail=said, clean_at_us=run.clean_at_us or now_us)

    def _late(self, run: KillRun, said: str) -> None:
        """Something is left: go on, or say BLOCKED once the deadline is over. It stays halted either way."""
        blocked = self.guard.clock.now_us() >= run.deadline_us
        self._move(run, state="BLOCKED" if blocked else "OPEN", step=run.step, detail=said)

    def _move(self, run: KillRun, *, state: str, step: str, detail: str, clean_at_us: int | None = None) -> None:
        with self.guard.store.session(durable=True, wait_s=WRITE_WAIT_S) as session:
            now_us = self.guard.clock.now_us()
            runs.move_run(
                session,
                run,
                state=state,
                step=step,
                detail=detail,
                clean_at_us=clean_at_us,
                now_us=now_us,
                lease_us=LEASE_US,
            )

    def _next_round(self, run: KillRun) -> int:
        with self.guard.store.session(durable=False, wait_s=WRITE_WAIT_S) as session:
            return runs.last_round(session, run.id) + 1

    def _intend(
        self, run: KillRun, target: str, client_order_id: str, said: str, round_: int | None = None
    ) -> int | None:
        with self.guard.store.session(durable=True, wait_s=WRITE_WAIT_S) as session:
            now_us = self.guard.clock.now_us()
            number = runs.last_round(session, run.id) + 1 if round_ is None else round_
            if not client_order_id:
                permits.count_message(session, self.account, "CANCEL", now_us)
            return runs.intend(session, run, run.step, number, target, client_order_id, said, now_us)

    def _answer(self, run: KillRun, step_id: int, state: str, said: str) -> None:
        self._set(run, step_id, "INTENDED", state, said)

    def _set(self, run: KillRun, step_id: int, before: str, after: str, said: str) -> bool:
        try:
            with self.guard.store.session(durable=True, wait_s=WRITE_WAIT_S) as session:
                return runs.set_step(session, run, step_id, before, after, said, self.guard.clock.now_us())
        except RiskGuardError as e:
            log.warning("kill run %s: step %s could not be written: %s", run.id, step_id, e)
            return False


def _judged(seen: Seen, account: Account) -> tuple[list[SeenOrder], list[SeenOrder]]:
    """Return the live orders that add risk, and those that reduce only if our own fills are right."""
    live = [order for order in seen.orders or () if order.is_live]
    adding = [order for order in live if _reduces(order, account) is False]
    return adding, [order for order in live if _reduces(order, account) is None]


def _reduces(order: SeenOrder, account: Account) -> bool | None:
    """
    Say whether a resting order can only take a position away.

    None while the broker's list lags behind our fills and only one of the two says so: cancelling the stop of a
    position just opened would leave it naked.
    """
    line = account.positions.get((order.exchange_segment, order.security_id), {}).get(order.product)
    if line is None:
        return False
    if order.product == "CNC" and order.side == "SELL":
        return order.remaining <= line.sellable()
    near, far = (line.near, line.up) if order.side == "SELL" else (-line.near, -line.down)
    if 0 < order.remaining <= near:
        return True
    return None if not line.settled and 0 < order.remaining <= far else False


def covered(account: Account) -> list[tuple[Instrument | None, tuple[str, str], Line]]:
    """
    Return the lines a flatten closes, in its order: short options, futures, long options, intraday shares.

    INTRADAY anywhere and derivatives opened today; what was carried in is kept. A line is closed only when our
    fills and the broker's list both say so: the list lags, and "flat" must be true.
    """
    found = []
    for key, lines in account.positions.items():
        instrument = account.instruments.get(key)
        for line in lines.values():
            opened_today = line.product == "INTRADAY" or (key[0].endswith("_FNO") and line.start == 0)
            if (line.up or line.down) and opened_today:
                found.append((instrument, key, line))
    return sorted(found, key=lambda each: (_turn(each[0], each[2]), each[1]))


def _turn(instrument: Instrument | None, line: Line) -> int:
    kind = "" if instrument is None else instrument.kind
    if kind.startswith("OPT"):
        return 0 if line.near < 0 else 2
    return 1 if kind.startswith("FUT") else 3
