"""
The link breaks while a transaction commits: whoever asks again with the same client order id hears what stands.

Never two permits, never an order at the broker that is not SENT on disk, never a "no" while a permit stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from riskguard.core.order import Order
from riskguard.errors import DecisionUnknownError, PermitError, StoreError
from riskguard.services.orders.guard import RiskGuard
from riskguard.store import journal
from tests.postgres.ground import PATIENCE_MS, codes, guarding, order
from tests.postgres.proxy import Proxy
from tests.services.desk import eventually

COMMIT = re.compile(rb"COMMIT\x00")
Link = tuple[Proxy, str]
UNKNOWN, APPROVED, REFUSED = "unknown", "approved", "refused"


def asked(guard: RiskGuard, an_order: Order) -> str:
    """Check, and say what the caller heard."""
    try:
        decision = guard.check(an_order)
    except DecisionUnknownError:
        return UNKNOWN
    if decision.approved:
        return APPROVED
    assert {"STORE_BUSY", "STORE_UNAVAILABLE"} >= set(codes(decision)), decision.explain()
    return REFUSED


def permits(url: str, name: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [
            row[0]
            for row in connection.execute("SELECT state FROM permits WHERE client_order_id = %s ORDER BY 1", (name,))
        ]


def ask_until_answered(guard: RiskGuard, an_order: Order) -> str:
    """Ask again with the same id, as a program does, until the database is there again."""
    heard: list[str] = []

    def answered() -> bool:
        heard.append(asked(guard, an_order))
        return heard[-1] == APPROVED

    eventually(answered, 60)
    return heard[-1]


def wrong(url: str, name: str, heard: str) -> str:
    """Say what is wrong with what a caller heard, given what stands; "" when nothing is."""
    standing = permits(url, name)
    if len(standing) > 1:
        return f"{name}: {len(standing)} permits"
    if heard == REFUSED and standing:
        return f"{name}: refused, and a permit stands"
    if heard == APPROVED and standing != ["GRANTED"]:
        return f"{name}: approved, and {standing} stands"
    return ""


@pytest.mark.parametrize(("fault", "stands"), [("cut_before", 0), ("cut_after", 1)])
@pytest.mark.claim("I5", "COMMIT is cut before or after PostgreSQL did it", of="approvals", ci=6, soak=300)
def test_a_commit_that_is_cut_is_unknown_and_asked_again_it_is_true(
    link: Link, url: str, claim: Any, fault: str, stands: int
) -> None:
    """The caller hears "unknown" both times; asked again there is one permit, the first or a new one."""
    proxy, through = link
    shown = claim("I5")
    with guarding(through) as guard:
        assert asked(guard, order("warm")) == APPROVED
        for number in range(shown.figure):
            name = f"o{number}"
            setattr(proxy.faults, fault, COMMIT)
            heard = asked(guard, order(name))
            assert proxy.cuts == number + 1  # the fault happened
            kept = heard == UNKNOWN and len(permits(url, name)) == stands and not wrong(url, name, heard)
            again = ask_until_answered(guard, order(name))
            shown.trial(kept and not wrong(url, name, again), f"{name}: {heard}, then {permits(url, name)}")
        with guard.store.session() as session:
            assert journal.verify(session, "leader")[1] is None


@pytest.mark.claim("I5", "the link is cut at every message of a check", of="messages", ci=15, soak=200)
def test_a_link_that_is_cut_anywhere_never_says_no_to_what_stands(link: Link, url: str, claim: Any) -> None:
    """At the first, second, third … message that a check and the one after it send."""
    proxy, through = link
    shown = claim("I5")
    with guarding(through) as guard:
        assert asked(guard, order("warm")) == APPROVED
        for number in range(shown.figure):
            name = f"o{number}"
            proxy.faults.cut_at_message = 1 + number % 8
            heard = asked(guard, order(name))
            said = wrong(url, name, heard)
            again = ask_until_answered(guard, order(name))
            shown.trial(not said and not wrong(url, name, again), said or f"{name}: {again}, {permits(url, name)}")
        proxy.faults.cut_at_message = None
        assert proxy.cuts > 0


@pytest.mark.parametrize("fault", ["cut_before", "cut_after"])
@pytest.mark.parametrize("passing", [0, 1, 2], ids=["approval", "sent", "answer"])
@pytest.mark.claim("I3", "COMMIT of approval, SENT and answer is cut", of="orders", ci=1, soak=50)
def test_nothing_goes_to_the_broker_that_is_not_sent_on_disk(
    link: Link, url: str, claim: Any, fault: str, passing: int
) -> None:
    """`place` is cut at each of its commits: at the broker at most once, and then it was SENT before."""
    proxy, through = link
    shown = claim("I3")
    with guarding(through) as guard:
        guard.place(order("warm"), lambda _approved: "B-warm")
        for number in range(shown.figure):
            name, at_broker = f"o{number}", []
            place = _placing(url, name, at_broker)
            proxy.faults.passing = passing
            setattr(proxy.faults, fault, COMMIT)
            eventually(_placed(guard, order(name), place), 60)
            shown.trial(
                len(at_broker) <= 1 and set(at_broker) <= {"SENT"} and len(permits(url, name)) == 1,
                f"{name}: at the broker {at_broker}, {permits(url, name)}",
            )
            assert proxy.cuts == number + 1
            settle(url, name)


def settle(url: str, name: str) -> None:
    """As a sweep does: one that stays without an answer keeps every later order of its instrument back after five seconds."""
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE permits SET state = 'CANCELLED' WHERE client_order_id = %s", (name,))


def _placed(guard: RiskGuard, an_order: Order, place: Callable[..., str]) -> Callable[[], bool]:
    """Place it, again and again, until the database has answered."""

    def done() -> bool:
        try:
            decision = guard.place(an_order, place)
        except (StoreError, PermitError):
            return False
        return bool(decision.approved or decision.recorded)

    return done


def _placing(url: str, name: str, at_broker: list[str]) -> Callable[..., str]:
    def place(_approved: Any) -> str:
        at_broker.extend(permits(url, name))
        return f"B-{name}"

    return place


class Careless(RiskGuard):
    """The control: a commit nobody answered is taken for one that failed."""

    def answered(self, order: Order, ask: Callable[[], Any]) -> Any:
        from riskguard.core.reject import RejectCode

        try:
            return super().answered(order, ask)
        except DecisionUnknownError as e:
            return self._unrecorded(order, RejectCode.STORE_UNAVAILABLE, str(e), "ask again")


def test_the_control_a_lost_answer_taken_for_a_no_is_caught(link: Link, url: str) -> None:
    """A guard that calls the unknown a refusal leaves a permit that nobody knows of: the same question finds it."""
    proxy, through = link
    with guarding(through, PATIENCE_MS) as guard:
        assert asked(guard, order("warm")) == APPROVED
        guard.__class__ = Careless
        proxy.faults.cut_after = COMMIT
        heard = asked(guard, order("lost"))
    assert wrong(url, "lost", heard) == "lost: refused, and a permit stands"
