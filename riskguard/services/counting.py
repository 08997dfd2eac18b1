"""A broker whose requests are counted into `rate_limit_tracking`; otherwise the broker it stands before."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from riskguard.core.seen import SeenFunds, SeenOrder, SeenPosition, SeenTrade
from riskguard.ports import ApprovedOrder, Broker
from riskguard.services.orders.guard import RiskGuard
from riskguard.store.rate_limits import RateLedger

ORDERS, READS = "orders", "reads"
"""Classes of endpoints. The broker does not say which of its limits the lists count against, so they are apart."""

WRITES = frozenset({"modify", "lock", "unlock", "exit_all", "arm_backstop", "disarm_backstop"})

_ledgers: WeakKeyDictionary[RiskGuard, RateLedger] = WeakKeyDictionary()


def ledger_of(guard: RiskGuard) -> RateLedger:
    """Return the one ledger of a guard; it is written out when the guard is closed."""
    found = _ledgers.get(guard)
    if found is None:
        found = _ledgers[guard] = RateLedger(guard.store, guard.clock)
        guard.on_close(found.close)
    return found


class RequestMeter:
    """Counts each request of an adapter that says itself when one leaves: a read of it may be several."""

    def __init__(self, account: str, ledger: RateLedger) -> None:
        self.account, self.ledger = account, ledger

    def leaves(self, *, writes: bool) -> None:
        """Count a request that leaves now; writes nothing."""
        self.ledger.note(self.account, ORDERS if writes else READS)

    def answered(self) -> None:
        """Write what was counted; called after a read, never around an order."""
        self.ledger.flush()


class CountedBroker:
    """
    Counts each request as it leaves, also one that then fails: the broker counts those as well.

    What was counted is written after a read, never before or after a placement or a cancellation: those are due.
    """

    def __init__(self, inner: Broker, account: str, ledger: RateLedger) -> None:
        self.inner, self.account, self.ledger = inner, account, ledger
        self.name = inner.name

    def place(self, approved: ApprovedOrder) -> str:
        self.ledger.note(self.account, ORDERS)
        return self.inner.place(approved)

    def cancel(self, order_id: str) -> None:
        self.ledger.note(self.account, ORDERS)
        self.inner.cancel(order_id)

    def orders(self) -> tuple[SeenOrder, ...]:
        self.ledger.note(self.account, READS)
        return self.inner.orders()

    def positions(self) -> tuple[SeenPosition, ...]:
        self.ledger.note(self.account, READS)
        return self.inner.positions()

    def trades(self) -> tuple[SeenTrade, ...]:
        self.ledger.note(self.account, READS)
        return self.inner.trades()

    def __getattr__(self, name: str) -> Any:
        """Pass on what this broker can besides (changes, its switch, an exit at a loss), each call counted as it leaves."""
        if name.startswith("_") or name == "inner":
            raise AttributeError(name)
        found = getattr(self.inner, name)
        if not callable(found):
            return found

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.ledger.note(self.account, ORDERS if name in WRITES else READS)
            return found(*args, **kwargs)

        return counted

    def funds(self) -> SeenFunds:
        self.ledger.note(self.account, READS)
        found = self.inner.funds()
        self.ledger.flush()
        return found
