"""
When the sweeps of one account are due, and who does them: slots of an interval, each claimed in the database.

What this process knows to be done is not asked about again; what an event wants now is due at once.
"""

from __future__ import annotations

import threading

from riskguard.ports import Clock
from riskguard.services.sweeps.cadence import Cadence
from riskguard.services.sweeps.claims import Claim, Lease, ResultDroppedError, new_holder
from riskguard.store import runs, sweeps
from riskguard.store.calendar import calendar
from riskguard.store.session import Session, Store

LOCK_WAIT_S = 5.0
DROPPED_AFTER_US = 20_000_000
"""A look older than this is not written: the scheduler gave it up, and another one was made since."""


class Slots:
    """The slots of one account as one process sees them; its methods may be called from several threads."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        account: str,
        *,
        interval_us: int,
        cadence: Cadence | None,
        lease: Lease | None,
    ) -> None:
        self.account = account
        self.interval_us = interval_us
        self.holder = new_holder()
        self.killing = False  # a kill run is open: all lists every two seconds
        self._store = store
        self._clock = clock
        self.cadence = cadence
        self._lease = lease
        self._lock = threading.Lock()
        self._claims = 0
        self._known_done: dict[str, tuple[int, int]] = {}  # kind -> (interval, slot) not to be asked about again
        self._wanted: set[str] = set()

    def want(self, *kinds: str) -> None:
        """Let these kinds be due now."""
        with self._lock:
            self._wanted |= set(kinds)

    def is_due(self, kind: str) -> bool:
        """Say whether it is worth asking the database: no, when this process did the slot itself."""
        interval_us = self._interval_us(kind)
        slot = self._clock.now_us() // interval_us
        with self._lock:
            return kind in self._wanted or self._known_done.get(kind) != (interval_us, slot)

    def due(self, kind: str) -> Claim | None:
        """Claim the sweep of *kind* that is due; None: done, or somebody else's."""
        interval_us = self._interval_us(kind)
        slot = self._clock.now_us() // interval_us
        with self._lock:
            wanted = kind in self._wanted
            if not wanted and self._known_done.get(kind) == (interval_us, slot):
                return None
            self._wanted.discard(kind)
        claim = self.claim(kind, interval_us, now=wanted)
        with self._lock:
            if claim is not None or self._lease is None or self._lease.token is not None:
                self._known_done[kind] = (interval_us, slot)
        return claim

    def claim(self, kind: str, interval_us: int, *, now: bool = False) -> Claim | None:
        """Claim a slot, and the lease with it; *now*: also one that is done, which then is not ours alone."""
        with self._lock:
            self._claims += 1
            holder = f"{self.holder}.{self._claims}"  # of this run: one that hangs must not finish for the next
        with self._store.session(durable=False, wait_s=LOCK_WAIT_S, insist=True) as session:
            now_us = self._clock.now_us()
            slot = now_us // interval_us
            if self._lease is not None and not self._lease.take(session, now_us):
                return None
            owned = runs.claim_slot(session, self.account, kind, slot, interval_us, now_us, holder)
        if not owned and not now:
            return None
        return Claim(kind, slot, interval_us, holder, self._clock.elapsed_us(), owned and not now)

    def fence(self, session: Session, claim: Claim) -> None:
        """Raise ResultDroppedError when what was seen may not be written any more: see `claims`."""
        if claim.owned and not sweeps.still_mine(session, self.account, claim.kind, claim.slot, claim.holder):
            raise ResultDroppedError(f"slot {claim.slot} of `{claim.kind}` was taken over")
        if self._lease is not None and not self._lease.holds(session):
            raise ResultDroppedError("another daemon took the lease")
        if self._clock.elapsed_us() - claim.began_us > DROPPED_AFTER_US:
            raise ResultDroppedError(f"it began {DROPPED_AFTER_US // 1_000_000} s ago and more")

    def _interval_us(self, kind: str) -> int:
        if self.cadence is None:
            return self.interval_us
        return self.cadence.interval_us(kind, self._clock.now_us(), calendar(), killing=self.killing)
