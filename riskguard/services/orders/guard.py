"""
The pre-order check: the door every order goes through.

It decides nothing: it reads an account inside one transaction, asks `core.decide`, and commits the answer
with its reservation or its violation before anybody hears of it.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from riskguard.core.decide import Decision, breaches_of, decide
from riskguard.core.exposure import underlying_of
from riskguard.core.order import Order
from riskguard.core.pricing import CLOCK_SKEW_MAX_US, supersedes
from riskguard.core.quote import Quote
from riskguard.core.reject import Reject, RejectCode
from riskguard.core.state import Cause, TradingState, severest
from riskguard.errors import (
    DecisionUnknownError,
    InputError,
    KillNotTakenError,
    RiskGuardError,
    StoreError,
    StoreUnavailableError,
)
from riskguard.ports import Clock
from riskguard.services.kill import latch
from riskguard.services.orders import sending
from riskguard.services.orders.kept import Kept
from riskguard.services.orders.permits import Approved, Permit
from riskguard.services.orders.restating import restate
from riskguard.services.orders.sending import ANSWER_WAIT_S
from riskguard.store import books, controls, folding, halt, journal, loader, permits, supply, violations
from riskguard.store.loader import Loaded
from riskguard.store.session import ACCOUNTS, CommitUnknownError, Session, Store, StoreBusyError, WideNeededError

if TYPE_CHECKING:
    from riskguard.core.seen import SeenMargin
    from riskguard.ports import Margins
    from riskguard.services.orders.baskets import BasketDecision
    from riskguard.services.orders.copying import CopyDecision, LeaderFill

log = logging.getLogger("riskguard")
log.addHandler(logging.NullHandler())  # a library is silent until its user says where to

SHARED_MARK_US = 1_000_000
"""A quote of this process younger than this is used as it is; else the shared `marks` row is looked at too."""


@dataclass(frozen=True, slots=True)
class AccountState:
    """What an account admits now, and why."""

    account: str
    state: TradingState
    causes: tuple[Cause, ...]

    def explain(self) -> str:
        return "\n".join(cause.sentence() for cause in self.causes) or f"{self.account} is ACTIVE"


class RiskGuard:
    """
    One process's door to riskguard. Threads may share it; a forked child opens its own connections.

    Use `RiskGuard.open(...)`. Everything it answers is on disk before it is returned, or says that it is not.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.kept = Kept(store, heeds_skew=clock is store.clock)
        self._quotes: dict[tuple[str, str], Quote] = {}
        self._saved_marks: dict[tuple[str, str], int] = {}
        self.halt_directories = tuple(str(directory / halt.HALT) for directory in store.directories)
        self._executor: ThreadPoolExecutor | None = None
        self._closers: list[Callable[[], None]] = []
        self.margins: Callable[[str], Margins | None] = lambda _account: None  # who computes an account's margins
        self.quote_listeners: list[Callable[[str, str, Quote], None]] = []

    @classmethod
    def open(cls, url: str | None = None, **options: Any) -> RiskGuard:
        """
        Open an existing database: *url*, else `RISKGUARD_DB`, else the default data directory.

        Options are those of `riskguard.services.wiring.open_guard`: `sweep`, `clock`, `deadline_ms`.

        Raises:
            DatabaseMissingError: Nothing there; `riskguard init` creates one, this never does.
            SchemaMismatchError: Another schema version.
        """
        from riskguard.services.wiring import open_guard

        return open_guard(url, **options)

    # -- the check ------------------------------------------------------------------------------------------

    def check(self, order: Order, *, emergency_exit: str | None = None) -> Decision:
        """
        Decide on *order* and reserve what it needs. The only yes is `decision.approved`.

        *emergency_exit* names the person who lets a verified exit out of a halted account.

        Raises:
            DecisionUnknownError: Our own commit was interrupted; ask again with the same client order id.
            UnknownAccountError: The account is not in the database.
        """
        if order.client_order_id is None:
            order = order.replaced(client_order_id=f"rg-{secrets.token_hex(12)}")
        return self.answered(order, lambda: self._check(order, emergency_exit or ""))

    def answered(self, order: Order, ask: Callable[[], Decision]) -> Decision:
        """Return what *ask* answers; whatever breaks on the way becomes a refusal, or an error that says "not known"."""
        try:
            return ask()
        except CommitUnknownError as e:
            self.kept.loaded.pop(order.account, None)
            raise DecisionUnknownError(str(order.client_order_id), str(e)) from None
        except (InputError, DecisionUnknownError):
            self.kept.loaded.pop(order.account, None)
            raise
        except StoreBusyError as e:
            return self._unrecorded(order, RejectCode.STORE_BUSY, str(e), "ask again; nothing was reserved")
        except StoreError as e:
            return self._unrecorded(order, RejectCode.STORE_UNAVAILABLE, str(e), "see `riskguard status`")
        except Exception as e:
            # Whatever broke, nobody may trade on it; the traceback is for us, the refusal for the caller.
            log.exception("a check of %s broke", order.account)
            said = f"the check broke: {type(e).__name__}"
            return self._unrecorded(order, RejectCode.CHECK_BROKEN, said, "see the log; nothing was reserved")
        except BaseException:
            self.kept.loaded.pop(order.account, None)
            raise

    def _check(self, order: Order, emergency_by: str) -> Decision:
        if self.kept.leave_the_parent():
            self._executor = None  # its thread stayed with the parent
        flags = latch.look(self.halt_directories, order.account, self.clock.now_us())
        # A flag this process has not settled yet is adopted, durably; a known one is only obeyed.
        return self._answer(order, emergency_by, flags, durable=not self.kept.settled_flags.issuperset(flags.names))

    def _answer(self, order: Order, emergency_by: str, flags: latch.Flags, *, durable: bool) -> Decision:
        """
        Answer in one transaction. It waits for the disk when the answer turns out to be a refusal: that is evidence,
        and an approval that is lost was never sent.
        """
        try:
            return self._answer_in(order, emergency_by, flags, durable, self.kept.width(order.account))
        except WideNeededError:
            return self._answer_in(order, emergency_by, flags, durable, None)

    def _answer_in(
        self, order: Order, emergency_by: str, flags: latch.Flags, durable: bool, width: str | None
    ) -> Decision:  # fmt: skip
        wrote_generation: int | None = None
        released: frozenset[str] = frozenset()
        ahead = [journal.asks_known(order.account, order.client_order_id)]
        if not self._has_quote(order.instrument):
            ahead.append(books.asks_mark(order.instrument))
        with self.store.session(durable=durable, account=width, ahead=ahead) as session:
            now_us = self.clock.now_us()
            if session.waited or durable:
                flags = latch.look(self.halt_directories, order.account, now_us)
            if flags.names and durable:
                wrote, released = latch.adopt_flags(self.store, session, flags.names, now_us)
                if wrote:
                    wrote_generation = controls.advance_generation(session)
                if released:
                    # Released for good: what is left of the file is litter, not a halt.
                    flags = flags._replace(causes=tuple(c for c in flags.causes if c.kill_id not in released))
            loaded = self.kept.open(session, order.account, now_us)
            known = journal.known(session, order.account, order.client_order_id)
            loader.know_instrument(session, loaded, order.instrument)
            self._freshen_quote(session, loaded, order.instrument)
            supply.at_check(session, loaded, order, now_us, self.newest_quote)
            decision = self._judge(session, loaded, order, emergency_by, flags, known, now_us)
            restated = decision.recorded  # what stands already; a reused id is a new refusal
            if decision.approved and known is None:
                self.grant(session, loaded, decision, emergency_by)
            elif not decision.approved and not decision.recorded:
                if wrote_generation is None and self.kept.repeats.of(decision) is not None:
                    self.store.roll_back(session)
                else:
                    session.make_durable()
                    self._refuse(session, loaded, decision, known is not None)
            elif not decision.approved:
                session.make_durable()  # it stands already: whoever wrote it may not have told it yet
            elif known is not None and not loaded.writes and wrote_generation is None:
                self.store.roll_back(session)  # nothing to write
        if wrote_generation is not None:
            latch.after_commit(self.store, wrote_generation)
        if released:
            self._lower(released)
            flags = flags._replace(names=tuple(n for n in flags.names if halt.parse_flag(n)[1] not in released))
        self.kept.settled_flags.update(flags.names)
        if not decision.approved and not decision.recorded:
            return self._repeated(decision, loaded)
        self._published(loaded, decision, restated)
        return decision

    def _repeated(self, decision: Decision, loaded: Loaded) -> Decision:
        """Count a refusal whose like was written within its second, and keep what was read for the next check."""
        repeat_of = self.kept.repeats.of(decision)
        assert repeat_of is not None  # only such a one is rolled back
        self.kept.repeats.count(decision, repeat_of)
        decision.recorded, decision.repeat_of = True, repeat_of.violation_id
        if loaded.writes:
            self.kept.loaded.pop(decision.order.account, None)
        else:
            folding.fold_attempt(loaded, decision)
            self.kept.loaded[decision.order.account] = loaded
        return decision

    def _freshen_quote(self, session: Session, loaded: Loaded, key: tuple[str, str]) -> None:
        found = self.newest_quote(session, key)
        if found is not None:
            loaded.account.quotes[key] = found

    def newest_quote(self, session: Session, key: tuple[str, str]) -> Quote | None:
        """Return the newer of this process's quote and the shared `marks` row."""
        own = self._quotes.get(key)
        if not self._has_quote(key):
            shared = books.mark(session, key)
            if shared is not None and (own is None or supersedes(shared, own, self.clock.now_us())):
                own = shared
        return own

    def _has_quote(self, key: tuple[str, str]) -> bool:
        """Say whether this process has been told a quote so lately that nobody else's is looked up."""
        own = self._quotes.get(key)
        return own is not None and -CLOCK_SKEW_MAX_US <= self.clock.now_us() - own.at_us <= SHARED_MARK_US

    def _judge(
        self, session: Session, loaded: Loaded, order: Order, emergency_by: str, flags: latch.Flags,
        known: tuple[Any, ...] | None, now_us: int,
    ) -> Decision:  # fmt: skip
        if known is None and not flags.causes:
            return decide(order, loaded.account, now_us, emergency_by)
        with latch.obeyed(loaded.account, flags):
            if known is None:
                return decide(order, loaded.account, now_us, emergency_by)
            return restate(self, session, loaded, order, known, now_us)

    def grant(
        self, session: Session, loaded: Loaded, decision: Decision, emergency_by: str, entry: str = "ORDER", **more: Any
    ) -> None:
        """Write the permit of an approved decision and its journal entry; *more* as `store.permits.grant`."""
        order = decision.order
        head = session.heads[order.account]
        self._keep_limits(session, loaded, decision)
        row = permits.grant(session, decision, head.sequence + 1, emergency_by, **more)
        head = journal.append(
            session, order.account, entry, {**_contents(decision), "permit": row.said()}, decision.decided_at_us,
            client_order_id=order.client_order_id, approved=True, strategy=order.strategy,
        )  # fmt: skip
        decision.sequence = head.sequence
        decision.permit = Permit(self, row, decision.adjusted_to or order)
        loaded.key = loader.cache_key(session, order.account, loaded.group, self.store.opened, decision.decided_at_us)

    def _refuse(self, session: Session, loaded: Loaded, decision: Decision, reused: bool) -> None:
        """Write a refusal and commit it."""
        order = decision.order
        causes = loaded.raised
        violation_id = self.refuse(session, loaded, decision, reused=reused)
        whose = None if session.is_wide else order.account
        self.kept.repeats.flush(session, decision.decided_at_us, whose)
        session.read_heads(order.account, loaded.group)
        self.store.commit(session)
        decision.recorded = True
        self.kept.repeats.flushed(whose)
        self.kept.repeats.wrote(decision, violation_id)
        if loaded.raised != causes:
            loaded.key = ()  # a halt and void permits are not folded in: this process, too, reads the account anew
            return
        loaded.key = loader.cache_key(session, order.account, loaded.group, self.store.opened, decision.decided_at_us)

    def refuse(
        self, session: Session, loaded: Loaded, decision: Decision, *, reused: bool = False, kind: str = "ORDER"
    ) -> int:
        """
        Journal the refusal, write its violations, and raise what its limits demand beyond a refusal.

        Returns the id of the weightiest violation. *reused*: its client order id names another order already.
        """
        order = decision.order
        self._keep_limits(session, loaded, decision)
        broken = violations.rows_of(decision)
        head = journal.append(
            session, order.account, kind, {**_contents(decision), "violations": violations.claim(broken)},
            decision.decided_at_us, client_order_id=None if reused else order.client_order_id, strategy=order.strategy,
        )  # fmt: skip
        decision.sequence = head.sequence
        violation_id = violations.write(session, broken, head.sequence)
        if decision.facts is not None:
            instrument = decision.facts.instrument
            plan = loaded.account.limits.plan(order, "" if instrument is None else underlying_of(instrument))
            for breach in breaches_of(decision, plan):
                if not breach.check.live:
                    self._raise(session, order.account, breach, decision)
                    loaded.raised += 1
        return violation_id

    def _raise(self, session: Session, account: str, breach: Any, decision: Decision) -> None:
        state = TradingState.REDUCE_ONLY if breach.on_breach == "reduce_only" else TradingState.HALTED
        said = f"limit `{breach.id}` was breached by {decision.order.client_order_id}"
        # An order without a strategy has nobody else to stop than the account.
        strategy = decision.order.strategy if breach.check.halts == "STRATEGY" else ""
        whose = f"STRATEGY:{strategy}" if strategy else f"ACCOUNT:{account}"
        cause = Cause(whose, state, "LIMIT_BREACHED", said, "riskguard", decision.decided_at_us)
        controls.raise_cause(session, account, cause)
        permits.void(session, account, state, decision.decided_at_us, said, strategy)

    def _keep_limits(self, session: Session, loaded: Loaded, decision: Decision) -> None:
        if decision.limits_digest and decision.limits_digest not in self.kept.limit_sets:
            journal.keep_limits(session, loaded.account.limits)
            # Believed only after a commit of ours stands; a lost one writes it again, which changes nothing.
            loaded.writes = True

    def _published(self, loaded: Loaded, decision: Decision, restated: bool) -> None:
        """Keep the account for the next check: only now, when the transaction stands."""
        name = decision.order.account
        try:
            if decision.approved and not restated and decision.permit is not None:
                decision.recorded = True
                folding.fold_grant(loaded, decision, decision.permit.row)  # type: ignore[attr-defined]
                self.kept.limit_sets.add(decision.limits_digest)
            elif not restated:
                folding.fold_attempt(loaded, decision)
                self.kept.limit_sets.add(decision.limits_digest)
            if restated and loaded.writes:
                return
        except folding.MemoryFullError:
            return
        self.kept.loaded[name] = loaded

    def _lower(self, released: frozenset[str]) -> None:
        halt.lower_flags(self.store.directories, released)

    def _unrecorded(self, order: Order, code: RejectCode, said: str, hint: str) -> Decision:
        """Refuse without the database: the refusal goes to the spool file, and is adopted later."""
        self.kept.loaded.pop(order.account, None)
        decision = Decision(order, (Reject(code, detail=said, hint=hint),), self.clock.now_us())
        if not any(violations.spool(directory, decision) for directory in self.store.directories):
            log.error("a refusal of %s could not be written anywhere: %s", order.account, said)
        return decision

    # -- baskets, changes, cancels ----------------------------------------------------------------------------

    def check_basket(self, orders: Sequence[Order], *, emergency_exit: str | None = None) -> BasketDecision:
        """Decide on several legs as one, all or nothing; see `services.baskets.check_basket`."""
        from riskguard.services.orders.baskets import check_basket

        return check_basket(self, orders, emergency_exit=emergency_exit or "")

    def check_modify(
        self, target: Permit | str, *, account: str | None = None, client_order_id: str | None = None,
        emergency_exit: str | None = None, **changes: Any,
    ) -> Decision:  # fmt: skip
        """Decide on a change of a working order; see `services.changes.check_modify`."""
        from riskguard.services.orders.changes import check_modify

        return check_modify(
            self, target, changes, account=account, client_order_id=client_order_id, emergency_by=emergency_exit or ""
        )

    def check_copies(self, asked: Order | LeaderFill, *, mode: Literal["any", "all"] = "any") -> CopyDecision:
        """Judge every follower's copy of a leader's order or fill; see `services.copying.check_copies`."""
        from riskguard.services.orders.copying import check_copies

        return check_copies(self, asked, mode=mode)

    def prepare(self, orders: Order | Sequence[Order], margins: Margins | None = None) -> SeenMargin:
        """Ask the broker what *orders* need and keep it for the check; see `services.margins.prepare`."""
        from riskguard.services.orders.margins import prepare

        return prepare(self, orders, margins)

    def cancel(self, account: str, order_id: str, cancel: Callable[[str], Any]) -> None:
        """
        Count a cancel message and send it with `cancel(order_id)`.

        A cancel is never refused, not even when it cannot be counted; what `cancel` raises is raised.
        """
        self.count_cancel(account, order_id)
        cancel(order_id)

    def count_cancel(self, account: str, order_id: str = "") -> None:
        """Count one cancel message in the account's throttle; call it before the message leaves. Never raises."""
        try:
            with self.store.session(durable=False, account=account) as session:
                permits.count_message(session, account, "CANCEL", self.clock.now_us(), order_id)
        except StoreError as e:
            log.warning("a cancel of %s was sent without being counted: %s", account, e)

    # -- sending --------------------------------------------------------------------------------------------

    def place(self, order: Order, place: Callable[[Approved], str], *, emergency_exit: str | None = None) -> Decision:
        """
        Check *order* and, if approved, send it with `place(approved_order)`, which returns the broker's order id.

        Returns the decision; a refusal is returned, not raised, and `place` is then not called. What `place`
        raises is raised, after it is recorded (refused, or unknown).
        """
        decision = self.check(order, emergency_exit=emergency_exit)
        if decision.approved and decision.permit is not None:
            with decision.permit.sending() as wire:
                wire.order_id = place(decision.approved_order)
        return decision

    def mark_sent(self, permit: Permit) -> None:
        """Mark SENT; see `services.sending`. Called by `permit.sending()`."""
        sending.mark_sent(self, permit)

    def note_answer(self, permit: Permit, state: str, *, order_id: str | None = None, why: str = "") -> None:
        """Write what the broker answered; see `services.sending`."""
        sending.note_answer(self, permit, state, order_id=order_id, why=why)

    def release_permit(self, permit: Permit) -> None:
        """Give back a reservation that was never sent; see `services.sending`."""
        sending.release_permit(self, permit)

    async def acheck(self, order: Order) -> Decision:
        """`check` for asyncio, on the guard's own thread; cancelling it releases the permit it may have got."""
        import asyncio

        if self.kept.leave_the_parent():
            self._executor = None  # its thread stayed with the parent
        if self._executor is None:
            self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="riskguard")
        working = self._executor.submit(self.check, order)
        try:
            return await asyncio.shield(asyncio.wrap_future(working))
        except asyncio.CancelledError:
            working.add_done_callback(_release_if_granted)
            raise

    # -- what is told and asked -------------------------------------------------------------------------------

    def quote(
        self,
        exchange_segment: str,
        security_id: str,
        *,
        ltp: Any = None,
        bid: Any = None,
        ask: Any = None,
        at: Any = None,
        lower_band: Any = None,
        upper_band: Any = None,
    ) -> Quote:
        """
        Push a quote: rupees as text, int or Decimal; *at* an aware datetime or microseconds, default now.

        The bands are the day's circuit limits; a quote that leaves them out keeps those told last today.

        Other processes see it within a second, through a `marks` row. Raises QuoteInvalidError; the previous
        quote then stands. A quote older than the one held is ignored, unless that was stamped in the future.
        """
        now_us = self.clock.now_us()
        at_us: Any = now_us if at is None else at
        if isinstance(at, dt.datetime) and at.tzinfo is not None:
            at_us = int(at.timestamp() * 1_000_000)
        key = (exchange_segment, security_id)
        made = Quote.of(ltp=ltp, bid=bid, ask=ask, at_us=at_us, lower_band=lower_band, upper_band=upper_band)
        held = self._quotes.get(key)
        if held is not None and not supersedes(made, held, now_us):
            return held
        if held is not None and loader.session_date(held.at_us) == loader.session_date(made.at_us):
            made = made._replace(
                lower_band_e4=held.lower_band_e4 if made.lower_band_e4 is None else made.lower_band_e4,
                upper_band_e4=held.upper_band_e4 if made.upper_band_e4 is None else made.upper_band_e4,
            )
        self._quotes[key] = made
        for listener in self.quote_listeners:
            listener(exchange_segment, security_id, made)
        if now_us - self._saved_marks.get(key, 0) >= SHARED_MARK_US:
            try:
                with self.store.session(durable=False, account="") as session:
                    stands = books.mark(session, key)
                    if stands is None or supersedes(made, stands, now_us):
                        books.save_mark(session, key, made, "pushed")
                self._saved_marks[key] = now_us
            except StoreUnavailableError as e:
                log.warning("a quote was not shared: %s", e)
        return made

    def held_quote(self, key: tuple[str, str]) -> Quote | None:
        """Return the quote this process was told last, however old."""
        return self._quotes.get(key)

    def state(self, account: str) -> AccountState:
        """
        Return what *account* admits and why. Reads the flags and the database; unreadable is HALTED.

        Raises UnknownAccountError.
        """
        now_us = self.clock.now_us()
        flags = latch.look(self.halt_directories, account, now_us)
        try:
            with self.store.session(durable=False, wait_s=ANSWER_WAIT_S) as session:
                loaded = self.kept.open(session, account, now_us)
                if not loaded.writes:
                    self.store.roll_back(session)
                    self.kept.loaded[account] = loaded
                causes = loaded.account.causes
        except StoreUnavailableError as e:
            causes = (Cause("GLOBAL", TradingState.HALTED, "STORE_UNAVAILABLE", str(e), "riskguard", now_us),)
        causes = (*causes, *flags.causes)
        return AccountState(account, severest(causes), causes)

    def accounts(self) -> tuple[str, ...]:
        """Return the names of all accounts."""
        with self.store.session(durable=False, wait_s=ANSWER_WAIT_S) as session:
            return tuple(row[0] for row in session.rows(ACCOUNTS))

    def kill(self, account: str | None = None, *, by: str, reason: str = "", plan: str = "cancel") -> Any:
        """
        Pull the kill switch: *account*, or everything. Returns a `KillOutcome`; see `services.killswitch`.

        There is no release here: that is `riskguard.admin`, or the command line.

        Raises:
            KillNotTakenError: Nothing is halted. An outcome that halts this host alone is returned, and says so.
        """
        from riskguard.services.kill.killswitch import engage

        outcome = engage(self.store, account, by=by, reason=reason, plan=plan, clock=self.clock)
        if not outcome.halted:
            raise KillNotTakenError(outcome.report())
        return outcome

    def report_positions(self, rows: Any, *, account: str | None = None, at: Any = None) -> int:
        """Report the complete position list of an account; see `services.reports.report_positions`."""
        from riskguard.services.sweeps.reports import report_positions

        return report_positions(self, rows, account=account, at=at)

    def report_fill(self, account: str, **fill: Any) -> bool:
        """Report one fill; see `services.reports.report_fill`."""
        from riskguard.services.sweeps.reports import report_fill

        return report_fill(self, account, **fill)

    @property
    def instruments(self) -> Any:
        """Instruments by symbol, for `Order.from_symbol`."""
        from riskguard.services.sweeps.reports import Instruments

        return Instruments(self.store)

    def on_close(self, closer: Callable[[], None]) -> None:
        """Call *closer* when the guard is closed (the in-process sweep, for one)."""
        self._closers.append(closer)

    def close(self) -> None:
        """Stop what was started, write the counts of repeated refusals, and close the database."""
        if self.kept.leave_the_parent():
            self._executor = None  # its thread stayed with the parent
        for closer in reversed(self._closers):  # what was started last may need what was started first
            closer()
        self._closers.clear()
        if self._executor is not None:
            self._executor.shutdown(wait=True)
            self._executor = None
        self.flush_repeats()
        self.store.close()

    def flush_repeats(self) -> None:
        """Write how often refusals were repeated; a failure keeps the counts for the next time."""
        if self.kept.leave_the_parent():
            self._executor = None  # its thread stayed with the parent
        if not self.kept.repeats.counts:
            return
        try:
            with self.store.session(durable=False) as session:
                self.kept.repeats.flush(session, self.clock.now_us())
            self.kept.repeats.flushed()
        except StoreError as e:
            log.warning("repeat counts were not written: %s", e)

    def __enter__(self) -> RiskGuard:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        shown = self.store.url if self.store.dialect == "sqlite" else self.store.place  # never a password
        return f"<RiskGuard {shown} in process {os.getpid()}>"


def _contents(decision: Decision) -> dict[str, Any]:
    """What the journal keeps of a decision: enough to replay it."""
    return {
        "order": decision.order.arguments(),
        "facts": None if decision.facts is None else decision.facts.recorded(),
        "rejects": [each.kept() for each in decision.rejects],
        "shadow": [each.kept() for each in decision.shadow_rejects],
        "limits": decision.limits_digest,
        "adjusted_to": None if decision.adjusted_to is None else decision.adjusted_to.arguments(),
    }


def _release_if_granted(done: Future[Decision]) -> None:
    if not done.cancelled() and done.exception() is None:
        permit = done.result().permit
        if permit is not None:
            try:
                permit.release()
            except RiskGuardError as e:
                log.warning("a cancelled check kept its permit: %s", e)
