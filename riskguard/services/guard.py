"""
The pre-order check: the door every order goes through.

It decides nothing: it reads an account inside one transaction, asks `core.decide`, and commits the answer
with its reservation or its violation before anybody hears of it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from riskguard.core.decide import Decision, breach_of, decide
from riskguard.core.direction import Direction
from riskguard.core.order import Order
from riskguard.core.quote import Quote
from riskguard.core.reject import Reject, RejectCode
from riskguard.core.state import Cause, TradingState, severest
from riskguard.errors import (
    DecisionUnknownError,
    KillNotTakenError,
    PermitNotSendableError,
    RiskGuardError,
    StoreError,
    StoreUnavailableError,
    UnknownAccountError,
)
from riskguard.ports import Clock
from riskguard.services import latch
from riskguard.services.permits import Approved, Permit
from riskguard.store import books, controls, halt, journal, loader, permits, violations
from riskguard.store.loader import Loaded
from riskguard.store.session import ACCOUNTS, BUMP_EPOCH, CommitUnknownError, Session, Store, StoreBusyError

log = logging.getLogger("riskguard")

SHARED_MARK_US = 1_000_000
"""A quote of this process younger than this is used as it is; else the shared `marks` row is looked at too."""
ANSWER_WAIT_S = 2.0
"""What the broker said is written however long the lock takes: nothing waits for it, and losing it costs doubt."""


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
        self._loaded: dict[str, Loaded] = {}
        self._kept_limits: set[str] = set()
        self._quotes: dict[tuple[str, str], Quote] = {}
        self._saved_marks: dict[tuple[str, str], int] = {}
        self._repeats = violations.Repeats()
        self._halt_directories = tuple(str(directory / halt.HALT) for directory in store.directories)
        self._settled_flags: set[str] = set()
        self._executor: ThreadPoolExecutor | None = None
        self._pid = os.getpid()
        self._closers: list[Callable[[], None]] = []
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
        try:
            return self._check(order, emergency_exit or "")
        except CommitUnknownError as e:
            self._loaded.pop(order.account, None)
            raise DecisionUnknownError(str(order.client_order_id), str(e)) from None
        except (UnknownAccountError, DecisionUnknownError):
            self._loaded.pop(order.account, None)
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
            self._loaded.pop(order.account, None)
            raise

    def _leave_the_parent(self) -> None:
        """Start over in a forked child: its parent's thread is not here, and its parent's counts are not ours."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._executor = None
            self._repeats = violations.Repeats()
            self._loaded.clear()

    def _check(self, order: Order, emergency_by: str) -> Decision:
        self._leave_the_parent()
        flags = latch.look(self._halt_directories, order.account, self.clock.now_us())
        # A flag this process has not settled yet is adopted, durably; a known one is only obeyed.
        return self._answer(order, emergency_by, flags, durable=not self._settled_flags.issuperset(flags.names))

    def _answer(self, order: Order, emergency_by: str, flags: latch.Flags, *, durable: bool) -> Decision:
        """
        Answer in one transaction. A refusal found on the NORMAL connection is thrown away and made again on
        the FULL one: whichever decision commits is the answer.
        """
        wrote_generation: int | None = None
        released: frozenset[str] = frozenset()
        with self.store.session(durable=durable) as session:
            now_us = self.clock.now_us()
            if session.waited or durable:
                flags = latch.look(self._halt_directories, order.account, now_us)
            if flags.names and durable:
                wrote, released = latch.adopt_flags(self.store, session, flags.names, now_us)
                if wrote:
                    wrote_generation = controls.advance_generation(session)
                if released:
                    # Released for good: what is left of the file is litter, not a halt.
                    flags = flags._replace(causes=tuple(c for c in flags.causes if c.kill_id not in released))
            loaded = self._account(session, order.account, now_us)
            known = session.row(journal.KNOWN, account=order.account, client_order_id=order.client_order_id)
            loader.know_instrument(session, loaded, order.instrument)
            self._freshen_quote(session, loaded, order)
            decision = self._judge(session, loaded, order, emergency_by, flags, known, now_us)
            restated = decision.recorded  # what stands already; a reused id is a new refusal
            if decision.approved and known is None:
                self._grant(session, loaded, decision, emergency_by)
            elif not decision.approved and not decision.recorded:
                if not durable or (wrote_generation is None and self._repeats.of(decision) is not None):
                    self.store.roll_back(session)
                else:
                    self._refuse(session, loaded, decision, known is not None)
            elif known is not None and not loaded.writes and wrote_generation is None:
                self.store.roll_back(session)  # nothing to write: the answer stands already
        if wrote_generation is not None:
            latch.after_commit(self.store, wrote_generation)
        if released:
            self._lower(released)
            flags = flags._replace(names=tuple(n for n in flags.names if halt.parse_flag(n)[1] not in released))
        self._settled_flags.update(flags.names)
        if not decision.approved and not decision.recorded:
            return self._refused_here(order, emergency_by, flags, decision, loaded)
        self._published(loaded, decision, restated)
        return decision

    def _refused_here(
        self, order: Order, emergency_by: str, flags: latch.Flags, decision: Decision, loaded: Loaded
    ) -> Decision:
        """Settle a refusal that was only looked at: a repeat is counted, a new one is made durable."""
        repeat_of = self._repeats.of(decision)
        if repeat_of is None:
            return self._answer(order, emergency_by, flags, durable=True)
        self._repeats.count(decision, repeat_of)
        decision.recorded, decision.repeat_of = True, repeat_of
        if loaded.writes:
            self._loaded.pop(order.account, None)
        else:
            loader.fold_attempt(loaded, decision)
            self._loaded[order.account] = loaded
        return decision

    def _account(self, session: Session, name: str, now_us: int) -> Loaded:
        """Return the account as of this transaction: the kept one while no head moved, else read anew."""
        kept = self._loaded.pop(name, None)  # put back only once this transaction stands
        session.read_heads(name, kept.group if kept is not None else "")
        if name not in session.heads:
            raise UnknownAccountError(name, tuple(row[0] for row in session.rows(ACCOUNTS)))
        if kept is not None and (kept.next_expiry_us is None or kept.next_expiry_us > now_us):
            key = loader.cache_key(session, name, kept.group, self.store.opened, now_us)
            if key == kept.key:
                kept.writes = False
                return kept
        self._settled_flags.clear()  # whatever changed may have been a release: look at the flags again
        group = loader.group_of(session, name) or ""
        writes = permits.expire(session, name, now_us) > 0
        writes |= self._adopt_sql(session, name, group, now_us)
        writes |= self._book_loose_trades(session, name, now_us)
        session.read_heads(name, group)
        loaded = loader.load(session, name, group, now_us)
        for (account, strategy, _violation), repeats in self._repeats.counts.items():
            if account == name:  # asked here, and not on disk yet
                loader.count_attempts(loaded, strategy, repeats, now_us)
        if self.store.is_behind(session.heads["GLOBAL"].generation):
            said = "the GENERATION file is ahead of the database: a backup was restored, and a halt may be missing"
            loaded.account.causes += (
                Cause("GLOBAL", TradingState.HALTED, "GENERATION_AHEAD", said, "riskguard", now_us),
            )
            loaded.account.settle_state()
        loaded.writes = writes
        loaded.key = loader.cache_key(session, name, group, self.store.opened, now_us)
        return loaded

    def _adopt_sql(self, session: Session, name: str, group: str, now_us: int) -> bool:
        """Journal what plain SQL changed; a kill written that way gets its epoch, void permits and kill run."""
        changes = controls.open_changes(session, name, group)
        if not changes:
            return False
        owners = dict.fromkeys(change[1] for change in changes)
        said = [{"what": what, "id": row_id, "old": old, "new": new} for _i, _o, what, row_id, _t, old, new in changes]
        journal.append(session, name, "ADOPTED", {"changes": said}, now_us)
        if any(change[4] == "KILL_SWITCH" for change in changes):
            causes = controls.kill_causes(session, name, group)
            for cause in causes[:1]:
                kill_id = f"sql-{changes[-1][0]}-{secrets.token_hex(4)}"
                session.run(
                    latch.ADD_RUN, kill_id=kill_id, account=name, scope=cause.scope, kill_plan="cancel", state="OPEN", cause="SQL",
                    by_whom=cause.by, reason=cause.detail, started_at_us=now_us,
                    deadline_us=now_us + latch.KILL_RUN_LIFE_US,
                )  # fmt: skip
                permits.void_increasing(session, name, now_us, "killed by SQL")
                session.run(BUMP_EPOCH, of_account=name)
        for owner in owners:
            controls.adopt_changes(session, owner)
        return True

    def _book_loose_trades(self, session: Session, name: str, now_us: int) -> bool:
        """Fills another program stored count in the book from this transaction on."""
        date = loader.session_date(now_us)
        found = books.unbooked(session, name, _midnight_us(now_us))
        for row_id, trade in found:
            permit = permits.by_broker_order(session, name, trade.order_id, "")
            if permit is not None:
                permits.fill(session, permit, trade.quantity, now_us, trade.order_id)
            books.add_fill(session, name, date, trade)
            client_id = permit.client_order_id if permit is not None else None
            session.run(books.BOOKED, of_id=row_id, now_us=now_us, to_date=date, to_client_id=client_id)
        return bool(found)

    def _freshen_quote(self, session: Session, loaded: Loaded, order: Order) -> None:
        key = order.instrument
        own = self._quotes.get(key)
        if own is None or self.clock.now_us() - own.at_us > SHARED_MARK_US:
            shared = books.mark(session, key)
            if shared is not None and (own is None or shared.at_us > own.at_us):
                own = shared
        if own is not None:
            loaded.account.quotes[key] = own

    def _judge(
        self, session: Session, loaded: Loaded, order: Order, emergency_by: str, flags: latch.Flags,
        known: tuple[Any, ...] | None, now_us: int,
    ) -> Decision:  # fmt: skip
        account = loaded.account
        if not flags.causes:
            return self._decide_or_restate(session, loaded, order, emergency_by, known, now_us)
        kept_causes = account.causes
        account.causes = (*kept_causes, *flags.causes)
        account.settle_state()
        try:
            return self._decide_or_restate(session, loaded, order, emergency_by, known, now_us)
        finally:
            account.causes = kept_causes
            account.settle_state()

    def _decide_or_restate(
        self,
        session: Session,
        loaded: Loaded,
        order: Order,
        emergency_by: str,
        known: tuple[Any, ...] | None,
        now_us: int,
    ) -> Decision:
        if known is None:
            return decide(order, loaded.account, now_us, emergency_by)
        return self._restate(session, loaded, order, known, now_us)

    def _restate(self, session: Session, loaded: Loaded, order: Order, known: tuple[Any, ...], now_us: int) -> Decision:
        """Answer a client order id that was asked before: what stands, with the permit's present state."""
        sequence, approved, body_text = known
        body = json.loads(body_text)
        if Order.from_mapping(body["order"]).contents() != order.contents():
            reject = Reject(
                RejectCode.CLIENT_ORDER_ID_REUSED,
                detail=f"`{order.client_order_id}` was asked before with other contents (decision {sequence})",
                hint="a client order id names one order for ever: use a new one",
            )
            return Decision(order, (reject,), now_us)
        rejects = tuple(Reject.restored(kept) for kept in body["rejects"])
        row = permits.one(session, order.account, str(order.client_order_id)) if approved else None
        if row is not None:
            rejects = self._present(loaded, row)
        decision = Decision(order, rejects, body["at_us"], None, body["limits"])
        decision.recorded, decision.sequence = True, sequence
        decision.direction = None if body["facts"] is None else Direction(body["facts"]["direction"])
        if decision.approved and row is not None:
            decision.permit = Permit(self, row, _permitted(row, order))
        return decision

    @staticmethod
    def _present(loaded: Loaded, row: permits.PermitRow) -> tuple[Reject, ...]:
        """Say why a permit granted earlier is no yes now; empty while it still is."""
        if row.state != "GRANTED":
            said = f"its permit is {row.state}{': ' + row.detail if row.detail else ''}"
            return (Reject(RejectCode.PERMIT_VOID, detail=said, hint="a new order needs a new client order id"),)
        if not _admits(loaded.account.state, row):
            code = (
                RejectCode.REDUCE_ONLY
                if loaded.account.state is TradingState.REDUCE_ONLY
                else RejectCode.TRADING_HALTED
            )
            said = "; ".join(cause.sentence() for cause in loaded.account.causes)
            return (Reject(code, detail=said),)
        return ()

    def _grant(self, session: Session, loaded: Loaded, decision: Decision, emergency_by: str) -> None:
        order = decision.order
        head = session.heads[order.account]
        self._keep_limits(session, loaded, decision)
        row = permits.grant(session, decision, head.sequence + 1, emergency_by)
        head = journal.append(
            session, order.account, "ORDER", _contents(decision), decision.decided_at_us,
            client_order_id=order.client_order_id, approved=True, strategy=order.strategy,
        )  # fmt: skip
        decision.sequence = head.sequence
        decision.permit = Permit(self, row, decision.adjusted_to or order)
        loaded.key = loader.cache_key(session, order.account, loaded.group, self.store.opened, decision.decided_at_us)

    def _refuse(self, session: Session, loaded: Loaded, decision: Decision, reused: bool) -> None:
        """Journal the refusal, write its violations, and raise what its limits demand beyond a refusal."""
        order = decision.order
        self._keep_limits(session, loaded, decision)
        head = journal.append(
            session, order.account, "ORDER", _contents(decision), decision.decided_at_us,
            client_order_id=None if reused else order.client_order_id, strategy=order.strategy,
        )  # fmt: skip
        decision.sequence = head.sequence
        violation_id = violations.record(session, decision, head.sequence)
        self._repeats.flush(session, decision.decided_at_us)
        if decision.facts is not None:
            instrument = decision.facts.instrument
            plan = loaded.account.limits.plan(order, "" if instrument is None else instrument.underlying)
            breach = breach_of(decision, plan)
            if breach is not None and not breach.check.live:
                self._raise(session, order.account, breach, decision)
        session.read_heads(order.account, loaded.group)
        self.store.commit(session)
        decision.recorded = True
        self._repeats.flushed()
        self._repeats.wrote(decision, violation_id)
        loaded.key = loader.cache_key(session, order.account, loaded.group, self.store.opened, decision.decided_at_us)

    def _raise(self, session: Session, account: str, breach: Any, decision: Decision) -> None:
        state = TradingState.REDUCE_ONLY if breach.on_breach == "reduce_only" else TradingState.HALTED
        said = f"limit `{breach.id}` was breached by {decision.order.client_order_id}"
        cause = Cause(f"ACCOUNT:{account}", state, "LIMIT_BREACHED", said, "riskguard", decision.decided_at_us)
        controls.raise_cause(session, account, cause)
        permits.void_increasing(session, account, decision.decided_at_us, said)

    def _keep_limits(self, session: Session, loaded: Loaded, decision: Decision) -> None:
        if decision.limits_digest and decision.limits_digest not in self._kept_limits:
            journal.keep_limits(session, loaded.account.limits)
            # Believed only after a commit of ours stands; a lost one writes it again, which changes nothing.
            loaded.writes = True

    def _published(self, loaded: Loaded, decision: Decision, restated: bool) -> None:
        """Keep the account for the next check: only now, when the transaction stands."""
        name = decision.order.account
        try:
            if decision.approved and not restated and decision.permit is not None:
                decision.recorded = True
                loader.fold_grant(loaded, decision, decision.permit.row)  # type: ignore[attr-defined]
                self._kept_limits.add(decision.limits_digest)
            elif not restated:
                loader.fold_attempt(loaded, decision)
                self._kept_limits.add(decision.limits_digest)
            if restated and loaded.writes:
                return
        except loader.MemoryFullError:
            return
        self._loaded[name] = loaded

    def _lower(self, released: frozenset[str]) -> None:
        halt.lower_flags(self.store.directories, released)

    def _unrecorded(self, order: Order, code: RejectCode, said: str, hint: str) -> Decision:
        """Refuse without the database: the refusal goes to the spool file, and is adopted later."""
        self._loaded.pop(order.account, None)
        decision = Decision(order, (Reject(code, detail=said, hint=hint),), self.clock.now_us())
        if not any(violations.spool(directory, decision) for directory in self.store.directories):
            log.error("a refusal of %s could not be written anywhere: %s", order.account, said)
        return decision

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
        """Mark SENT in a FULL transaction, looking at the state again; see `Permit.sending`."""
        name, account = permit.row.client_order_id, permit.row.account
        with self.store.session(durable=True) as session:
            now_us = self.clock.now_us()
            flags = latch.look(self._halt_directories, account, now_us)
            loaded = self._account(session, account, now_us)
            row = permits.one(session, account, name)
            if row is None:
                raise PermitNotSendableError(name, "its approval did not survive; ask again")
            state = max(loaded.account.state, severest(flags.causes))
            why = _unsendable(row, state, loaded, now_us)
            if why:
                raise PermitNotSendableError(name, why)
            if not permits.send(session, row, now_us):
                raise PermitNotSendableError(name, "another process was first")
            session.read_heads(account, loaded.group)
            self.store.commit(session)
            row.state, row.sent_at_us = "SENT", now_us
            permit.row = row
            if not loaded.writes:
                loader.fold_sent(loaded, row, now_us)
                loaded.key = loader.cache_key(session, account, loaded.group, self.store.opened, now_us)
                self._loaded[account] = loaded

    def note_answer(self, permit: Permit, state: str, *, order_id: str | None = None, why: str = "") -> None:
        """
        Write what the broker answered. Never raises: the order is out, and a lost answer is only doubt, which
        the next reconciliation settles by the correlation id.
        """
        row = permit.row
        try:
            with self.store.session(durable=False, wait_s=ANSWER_WAIT_S) as session:
                now_us = self.clock.now_us()
                loaded = self._account(session, row.account, now_us)
                current = permits.one(session, row.account, row.client_order_id)
                if current is None or current.state != "SENT":
                    return  # a feed told us first
                permits.move(session, current, state, now_us, order_id=order_id, why=why)
                session.read_heads(row.account, loaded.group)
                self.store.commit(session)
                row.state, row.order_id = state, order_id
                if state == "ACKED" and order_id is not None and not loaded.writes:
                    loader.fold_acknowledged(loaded, row, order_id)
                    loaded.key = loader.cache_key(session, row.account, loaded.group, self.store.opened, now_us)
                    self._loaded[row.account] = loaded
        except RiskGuardError as e:
            log.warning("the answer to %s could not be written: %s; it stays reserved", row.client_order_id, e)

    def release_permit(self, permit: Permit) -> None:
        """Give back a reservation that was never sent; afterwards the id stays used."""
        row = permit.row
        with self.store.session(durable=False, wait_s=ANSWER_WAIT_S) as session:
            self._loaded.pop(row.account, None)
            current = permits.one(session, row.account, row.client_order_id)
            if current is None or current.state != "GRANTED":
                raise PermitNotSendableError(row.client_order_id, f"it is {current.state if current else 'gone'}")
            permits.move(session, current, "RELEASED", self.clock.now_us(), why="released by its owner")
        row.state = "RELEASED"

    async def acheck(self, order: Order) -> Decision:
        """`check` for asyncio, on the guard's own thread; cancelling it releases the permit it may have got."""
        self._leave_the_parent()
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
    ) -> Quote:
        """
        Push a quote: rupees as text, int or Decimal; *at* an aware datetime or microseconds, default now.

        Other processes see it within a second, through a `marks` row. Raises QuoteInvalidError; the previous
        quote then stands. A quote older than the one held is ignored.
        """
        now_us = self.clock.now_us()
        at_us = now_us if at is None else at if isinstance(at, int) else int(at.timestamp() * 1_000_000)
        key = (exchange_segment, security_id)
        made = Quote.of(ltp=ltp, bid=bid, ask=ask, at_us=at_us)
        held = self._quotes.get(key)
        if held is not None and held.at_us > made.at_us:
            return held
        self._quotes[key] = made
        for listener in self.quote_listeners:
            listener(exchange_segment, security_id, made)
        if now_us - self._saved_marks.get(key, 0) >= SHARED_MARK_US:
            try:
                with self.store.session(durable=False) as session:
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
        flags = latch.look(self._halt_directories, account, now_us)
        try:
            with self.store.session(durable=False, wait_s=ANSWER_WAIT_S) as session:
                loaded = self._account(session, account, now_us)
                if not loaded.writes:
                    self.store.roll_back(session)
                    self._loaded[account] = loaded
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
        from riskguard.services.killswitch import engage

        outcome = engage(self.store, account, by=by, reason=reason, plan=plan, clock=self.clock)
        if not outcome.halted:
            raise KillNotTakenError(outcome.report())
        return outcome

    def report_positions(self, rows: Any, *, account: str | None = None, at: Any = None) -> int:
        """Report the complete position list of an account; see `services.reports.report_positions`."""
        from riskguard.services.reports import report_positions

        return report_positions(self, rows, account=account, at=at)

    def report_fill(self, account: str, **fill: Any) -> bool:
        """Report one fill; see `services.reports.report_fill`."""
        from riskguard.services.reports import report_fill

        return report_fill(self, account, **fill)

    @property
    def instruments(self) -> Any:
        """Instruments by symbol, for `Order.from_symbol`."""
        from riskguard.services.reports import Instruments

        return Instruments(self.store)

    def on_close(self, closer: Callable[[], None]) -> None:
        """Call *closer* when the guard is closed (the in-process sweep, for one)."""
        self._closers.append(closer)

    def close(self) -> None:
        """Stop what was started, write the counts of repeated refusals, and close the database."""
        self._leave_the_parent()
        for closer in self._closers:
            closer()
        self._closers.clear()
        if self._executor is not None:
            self._executor.shutdown(wait=True)
            self._executor = None
        self.flush_repeats()
        self.store.close()

    def flush_repeats(self) -> None:
        """Write how often refusals were repeated; a failure keeps the counts for the next time."""
        self._leave_the_parent()
        if not self._repeats.counts:
            return
        try:
            with self.store.session(durable=False) as session:
                self._repeats.flush(session, self.clock.now_us())
            self._repeats.flushed()
        except StoreError as e:
            log.warning("repeat counts were not written: %s", e)

    def __enter__(self) -> RiskGuard:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<RiskGuard {self.store.url} in process {os.getpid()}>"


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


def _admits(state: TradingState, row: permits.PermitRow) -> bool:
    """Say whether *state* admits the class of this permit."""
    if state is TradingState.ACTIVE:
        return True
    if state is TradingState.REDUCE_ONLY:
        return row.direction in ("REDUCING", "HEDGING")
    return row.reducing and bool(row.emergency_by)


def _unsendable(row: permits.PermitRow, state: TradingState, loaded: Loaded, now_us: int) -> str:
    """Say why this permit may not be sent now; empty when it may."""
    if row.state != "GRANTED":
        return f"its permit is {row.state}{': ' + row.detail if row.detail else ''}"
    if row.expires_at_us <= now_us:
        return "its permit has expired: ask again with a new client order id"
    if not _admits(state, row):
        return f"trading is {state.name} now: " + "; ".join(cause.sentence() for cause in loaded.account.causes)
    first = set(json.loads(row.cancel_first))
    line = loaded.account.positions.get((row.exchange_segment, row.security_id), {}).get(row.product)
    resting = first & {each.order_id or each.key for each in (line.working.values() if line else ())}
    if resting:
        return f"cancel {', '.join(sorted(resting))} first: this exit needs their room"
    return ""


def _permitted(row: permits.PermitRow, order: Order) -> Order:
    """Return the order as it was permitted: an exit may have been moved to the tick."""
    from riskguard.core.money import to_text

    return order.replaced(
        price=None if row.price_e4 is None else to_text(row.price_e4),
        trigger_price=None if row.trigger_price_e4 is None else to_text(row.trigger_price_e4),
    )


def _release_if_granted(done: Future[Decision]) -> None:
    if not done.cancelled() and done.exception() is None:
        permit = done.result().permit
        if permit is not None:
            try:
                permit.release()
            except RiskGuardError as e:
                log.warning("a cancelled check kept its permit: %s", e)


def _midnight_us(now_us: int) -> int:
    """Return the start of the Indian day *now_us* lies in."""
    offset = 19_800_000_000
    return (now_us + offset) // loader.DAY_US * loader.DAY_US - offset
