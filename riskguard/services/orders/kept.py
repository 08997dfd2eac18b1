"""
What one process keeps between checks: accounts as it last saw them, flags it settled, refusals it wrote.

An account is kept under the key of its heads and used while none of them moved. It is taken out when a
transaction opens it and put back only once that transaction stands.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from riskguard.core.state import Cause, TradingState
from riskguard.errors import UnknownAccountError
from riskguard.services.kill import latch
from riskguard.services.limits import rulebooks
from riskguard.services.sweeps.reconciler import book_loose
from riskguard.store import books, controls, folding, loader, permits, supply, violations
from riskguard.store.loader import Loaded
from riskguard.store.session import ACCOUNTS, Ask, Session, Store, asks_heads


@dataclass(slots=True)
class Kept:
    """See the module. One per guard; used under the store's lock."""

    store: Store
    loaded: dict[str, Loaded] = field(default_factory=dict)
    settled_flags: set[str] = field(default_factory=set)  # flag files whose kill the database knows
    limit_sets: set[str] = field(default_factory=set)  # digests known to be on disk
    repeats: violations.Repeats = field(default_factory=violations.Repeats)
    pid: int = field(default_factory=os.getpid)
    opened: int = 0
    heeds_skew: bool = False  # what is stored is dated by the database's clock, and quotes by this host's

    def leave_the_parent(self) -> bool:
        """Start over in a forked child, whose parent's counts are not its own; True if that was needed."""
        if self.pid == os.getpid():
            return False
        self.pid = os.getpid()
        self.repeats = violations.Repeats()
        self.loaded.clear()
        return True

    def width(self, account: str) -> str | None:
        """Return what a session for this account says of itself: its name, None where a limit sums over all accounts."""
        kept = self.loaded.get(account)
        return None if kept is not None and "everybody" in kept.account.limits.needs else account

    def keep(self, session: Session, loaded: Loaded, now_us: int) -> None:
        """Put *loaded* back as of this committed transaction, whose heads were read again after its last write."""
        name = loaded.account.name
        loaded.key = loader.cache_key(session, name, loaded.group, self.store.opened, now_us)
        self.loaded[name] = loaded

    def open(self, session: Session, name: str, now_us: int) -> Loaded:
        """Return the account as of this transaction: the kept one while no head moved, else read anew."""
        kept = self.loaded.pop(name, None)  # put back only once this transaction stands
        session.read_heads(name, kept.group if kept is not None else "")
        if name not in session.heads:
            raise UnknownAccountError(name, tuple(row[0] for row in session.rows(ACCOUNTS)))
        if kept is not None and (kept.next_expiry_us is None or kept.next_expiry_us > now_us):
            key = loader.cache_key(session, name, kept.group, self.store.opened, now_us)
            if key == kept.key:
                kept.writes = False
                return kept
        self.settled_flags.clear()  # whatever changed may have been a release: look at the flags again
        if self.opened != self.store.opened:
            self.opened = self.store.opened
            self.limit_sets.clear()  # another server, or an older copy, may not have them
        if session.is_far:
            session.foresee(_asks(name, kept.group if kept is not None else "", now_us))
        writes = permits.expire(session, name, now_us) > 0
        group = loader.group_of(session, name) or ""
        writes |= latch.adopt_sql(session, name, group, now_us)
        writes |= rulebooks.take_effect(session, name, now_us)
        writes |= book_loose(session, name, now_us) > 0
        session.read_heads(name, group)
        loaded = loader.load(session, name, group, now_us, before=kept)
        supply.at_load(session, loaded, now_us)
        for (account, strategy, _), counted in self.repeats.counts.items():
            if account == name:  # asked here, and not on disk yet
                folding.count_attempts(loaded, strategy, counted.repeats, now_us)
                _, at_us, turn = counted.violation
                if turn is not None and at_us > loaded.looped_since_us:
                    folding.count_refusals(loaded, turn, counted.repeats, at_us)
        if self.store.is_behind(session.heads["GLOBAL"].generation):
            said = "the GENERATION file is ahead of the database: a backup was restored, and a halt may be missing"
            loaded.account.causes += (
                Cause("GLOBAL", TradingState.HALTED, "GENERATION_AHEAD", said, "riskguard", now_us),
            )
            loaded.account.settle_state()
        if self.heeds_skew and self.store.skew_us:
            said = (
                f"this host's clock and the database's differ by {abs(self.store.skew_us) / 1e6:.1f} s: set one right"
            )
            loaded.account.causes += (
                Cause("GLOBAL", TradingState.REDUCE_ONLY, "CLOCK_SKEW", said, "riskguard", now_us),
            )
            loaded.account.settle_state()
        loaded.writes = writes
        loaded.key = loader.cache_key(session, name, group, self.store.opened, now_us)
        return loaded


def _asks(name: str, group: str, now_us: int) -> list[Ask]:
    """
    Return what reading an account anew asks before it is loaded, and what does not depend on that; *group* as it was last.

    The heads come before all that is loaded: what changes in between shows in them the next time.
    """
    return [
        permits.asks_due(name, now_us), loader.asks_group(name), controls.asks_changes(name, group), rulebooks.asks_waiting(name),
        books.asks_unbooked(name, loader.midnight_us(now_us)), asks_heads(name, group), supply.asks_released(name, group),
    ]  # fmt: skip
