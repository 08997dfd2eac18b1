"""
The intake: makes of kept messages what they say, each in a transaction of its own, by a thread of its own.

Messages are kept first, by whoever received them; this reads them from the database. So nothing is lost when the
process dies in between, two processes may do it at once, and a message that breaks something stops no other.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import Final

from riskguard.errors import StoreError, StoreUnavailableError
from riskguard.feeds.dhan_events import Message, read_postback, read_stream
from riskguard.redaction import redacted
from riskguard.services.feeds.merging import Outcome, Trust, merge
from riskguard.services.feeds.rereads import Rereads
from riskguard.services.orders.guard import RiskGuard
from riskguard.store import inbox
from riskguard.store.inbox import POSTBACK, STREAM, Kept
from riskguard.store.session import StoreBusyError

log = logging.getLogger("riskguard")

WAIT_S: Final = 5.0
BATCH: Final = 100
TICK_S: Final = 1.0
LOOK_EVERY_US: Final = 5_000_000
"""How often the inbox is looked at unasked: for what another process kept and died over."""
WAITING_EVERY_US: Final = 5_000_000
WAITS_US_MAX: Final = 86_400_000_000
"""A message whose order nobody ever saw is given up after a day; it stays in the inbox with its reason."""
TRIES_MAX: Final = 3


class Intake:
    """The intake of every account of one guard. `drain` does what is there; `start` does so from now on."""

    def __init__(self, guard: RiskGuard, rereads: Rereads) -> None:
        self.guard = guard
        self.rereads = rereads
        self._wake, self._stopped = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._tries: Counter[tuple[str, int]] = Counter()
        self._after = {STREAM: 0, POSTBACK: 0}
        self._looked_us: int | None = None

    # -- its thread -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Drain from now on, in a thread; what was left by an earlier process comes first."""
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, name="riskguard-intake", daemon=True)
        self._thread.start()

    def stop(self, wait_s: float = 10.0) -> bool:
        """End after the message at hand; what is left stays in the inbox. False when it did not end in time."""
        self._stopped.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(wait_s)
            return not self._thread.is_alive()
        return True

    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def wake(self) -> None:
        """Say that something was kept."""
        self._wake.set()

    def _run(self) -> None:
        looked_us: int | None = None
        while not self._stopped.is_set():
            is_woken = self._wake.wait(0 if looked_us is None else TICK_S)
            self._wake.clear()
            now_us = self.guard.clock.elapsed_us()
            try:
                if is_woken or looked_us is None or now_us - looked_us >= LOOK_EVERY_US:
                    self.drain()
                    looked_us = now_us
                self.rereads.tick()
            except StoreError as e:
                log.warning("the intake waits: %s", e)
                self._stopped.wait(TICK_S)
            except Exception:
                log.exception("the intake stumbled; it goes on")
                self._stopped.wait(TICK_S)

    # -- what it does -----------------------------------------------------------------------------------------

    def drain(self, *, waiting: bool = False) -> int:
        """
        Deal with every message that is there, oldest first; returns how many.

        Those that wait for their order are looked at every five seconds, or now when *waiting*. Raises StoreError
        when the database cannot be used: nothing is lost then.
        """
        count = 0
        for source in (STREAM, POSTBACK):
            while not self._stopped.is_set():
                with self.guard.store.session(durable=False, wait_s=WAIT_S) as session:
                    found = inbox.unread(session, source, BATCH)
                    self.guard.store.roll_back(session)
                for kept in found:
                    count += self._settle(kept)
                    if self._stopped.is_set():
                        break
                if len(found) < BATCH:
                    break
        now_us = self.guard.clock.elapsed_us()
        if waiting or self._looked_us is None or now_us - self._looked_us >= WAITING_EVERY_US:
            self._looked_us = now_us
            count += self._settle_waiting()
        return count

    def _settle_waiting(self) -> int:
        """Look at some of those that wait for their order; the next time at the next ones."""
        count = 0
        for source, after in self._after.items():
            with self.guard.store.session(durable=False, wait_s=WAIT_S) as session:
                found = inbox.waiting(session, source, after, BATCH)
                self.guard.store.roll_back(session)
            self._after[source] = found[-1].id if len(found) == BATCH else 0
            count += sum(self._settle(kept) for kept in found)
        return count

    def _settle(self, kept: Kept) -> bool:
        """Deal with one message; False when it goes on waiting, or somebody else was first."""
        message = read_stream(kept.payload) if kept.source == STREAM else read_postback(kept.payload)
        try:
            outcome = self._take(kept, message)
        except StoreBusyError:
            raise
        except StoreUnavailableError as e:
            # A row the database refuses looks the same as a database that is gone: told apart by trying again.
            self._tries[kept.source, kept.id] += 1
            if self._tries[kept.source, kept.id] < TRIES_MAX:
                raise
            outcome = self._give_up(kept, message, str(e))
        except StoreError:
            raise
        except Exception as e:
            log.exception("message %d of the %s of %s broke", kept.id, kept.source, kept.account)
            outcome = self._give_up(kept, message, f"{type(e).__name__}: {e}")
        self._tries.pop((kept.source, kept.id), None)
        if outcome is None:
            return False
        if outcome.problem:
            log.warning("%s: message %d of the %s: %s", kept.account, kept.id, kept.source, redacted(outcome.problem))
        if outcome.reread and not (kept.waits and outcome.waits):
            self.rereads.request(kept.account, outcome.reread)
        return not outcome.waits

    def _take(self, kept: Kept, message: Message) -> Outcome | None:
        store, clock = self.guard.store, self.guard.clock
        received_us = kept.received_s * 1_000_000
        with store.session(durable=False, wait_s=WAIT_S) as session:
            now_us = clock.now_us()
            session.read_heads(kept.account)
            if message.problem:
                # What it wanted to say may be a fill: the broker is asked instead.
                outcome = Outcome(problem=message.problem, reread="a message could not be read")
            elif message.news is None:
                outcome = Outcome()
            else:
                trust = Trust.BROKER if kept.source == STREAM else Trust.SIGNED if kept.verified else Trust.UNSIGNED
                outcome = merge(session, kept.account, message.news, message.trade, trust, received_us, now_us)
            if outcome.waits and now_us - received_us > WAITS_US_MAX:
                outcome = Outcome(problem=f"its order was never known: {outcome.waits}")
            if outcome.waits:
                inbox.let_wait(session, kept, f"waits: {outcome.waits}")
            elif not inbox.done(session, kept, message.order_id, now_us, redacted(outcome.problem)):
                store.roll_back(session)  # another process was first: what it made of it stands
                return None
        return outcome

    def _give_up(self, kept: Kept, message: Message, why: str) -> Outcome:
        """Keep a message with the reason nothing could be made of it; the broker's lists say what it would have."""
        outcome = Outcome(problem=f"could not be taken over: {why}"[:300], reread="a message could not be taken over")
        with self.guard.store.session(durable=False, wait_s=WAIT_S) as session:
            inbox.done(session, kept, message.order_id, self.guard.clock.now_us(), redacted(outcome.problem))
        return outcome
