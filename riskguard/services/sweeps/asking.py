"""What is asked of the broker seldom: funds, holdings, what it says of the account, its ledger. Outside any lock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from riskguard.core.seen import SeenFunds, SeenHolding, SeenLedgerEntry, SeenProfile
from riskguard.ports import Broker, Clock, Holdings, Ledger, Profile
from riskguard.services.budget import ReadBudget
from riskguard.services.counting import CountedBroker
from riskguard.services.feeds import portfolio
from riskguard.services.sweeps.cadence import FUNDS, HOLDINGS, LEDGER, PROFILE
from riskguard.services.sweeps.health import Health
from riskguard.services.sweeps.look import Reader
from riskguard.store import books, days, loader
from riskguard.store.session import Session

PORTS: Final[dict[str, type]] = {HOLDINGS: Holdings, PROFILE: Profile, LEDGER: Ledger}
"""The method of each port is called what the sweep is called."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the broker; `value` is None where it gave none, with the reason in `failures`."""

    kind: str
    at_us: int
    value: Any
    failures: tuple[str, ...] = ()

    def known(self) -> dict[str, object]:
        """Return what the judgement learns from it: a failure takes nothing back, what is known grows old."""
        if self.value is None or self.kind not in (FUNDS, PROFILE):
            return {}
        return {self.kind: self.value, f"{self.kind}_at_us": self.at_us}


def offered(broker: Broker, kind: str) -> Any:
    """Return who answers for *kind*: the broker, or the one it stands before; None: nobody does."""
    if kind == FUNDS:
        return broker
    inner = broker.inner if isinstance(broker, CountedBroker) else None
    for each in (broker, inner):
        # By what it can do: an attribute of the port's name may be something else (the counts of `CountedBroker`).
        if isinstance(each, PORTS[kind]) and callable(getattr(each, kind)):
            return each
    return None


def offers(broker: Broker, kind: str) -> bool:
    """Say whether *kind* can be asked of this broker."""
    return offered(broker, kind) is not None


def ask(
    broker: Broker, kind: str, clock: Clock, budget: ReadBudget | None = None, health: Health | None = None
) -> Answer:
    """Ask once; what breaks is an answer without a value."""
    reader = Reader(broker.name, clock, budget=budget, health=health)
    port = offered(broker, kind)
    today = loader.session_date(clock.now_us())
    question: Callable[[], object] = partial(port.ledger, today, today) if kind == LEDGER else getattr(port, kind)
    at_us = clock.now_us()
    value = reader.read(kind, question)
    return Answer(kind, at_us, value, tuple(reader.failures))


def write(session: Session, account: str, answer: Answer, now_us: int) -> None:
    """Store what was answered, inside the sweep's transaction; no answer changes nothing."""
    value = answer.value
    if value is None:
        return
    if answer.kind == FUNDS:
        assert isinstance(value, SeenFunds)
        books.save_funds(session, account, answer.at_us, value)
        days.put_opening(session, account, loader.session_date(answer.at_us), value.opening_e4)
    elif answer.kind == HOLDINGS:
        holdings: tuple[SeenHolding, ...] = value
        portfolio.save_holdings(session, account, answer.at_us, holdings)
    elif answer.kind == LEDGER:
        entries: tuple[SeenLedgerEntry, ...] = value
        portfolio.save_ledger(session, account, entries, now_us)
    else:
        assert isinstance(value, SeenProfile)  # kept in memory: it is judged, not stored
