"""
How often an answer goes to the server and back: on another machine each of those takes longer than what is asked.

Counted at a proxy between a guard and a real server.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from riskguard.services.orders.guard import RiskGuard
from riskguard.store import books, journal
from riskguard.store.engines.postgresql_session import PostgresSession
from tests.core.tables import table
from tests.postgres.ground import guarding, order
from tests.postgres.proxy import Proxy

Link = tuple[Proxy, str]

DEEDS = """
    deed        trips   which
    approval    3       lock and read; permit, entry and head; COMMIT
    known       3       lock and read; its permit; ROLLBACK
    sent        4       lock and read; permit; heads; COMMIT
    answered    4       lock and read; permit; heads; COMMIT
    refusal     5       lock and read; entry and head; violation; heads; COMMIT
    cancel      3       lock; message; COMMIT
"""


def deeds(guard: RiskGuard) -> dict[str, Callable[[], Any]]:
    """Return each deed, done on what the ones before left."""

    def approved(name: str) -> Any:
        decision = guard.check(order(name))
        assert decision.approved, decision.explain()
        return decision.permit

    held: list[Any] = []

    def sent() -> None:
        guard.mark_sent(held[0])

    def answered() -> None:
        guard.note_answer(held[0], "ACKED", order_id="B-1")

    def refused() -> None:
        assert not guard.check(order("large", quantity=10**6)).approved

    return {
        "approval": lambda: held.append(approved("one")),
        "known": lambda: approved("one"),
        "sent": sent,
        "answered": answered,
        "refusal": refused,
        "cancel": lambda: guard.count_cancel("leader", "B-1"),
    }


def test_an_answer_takes_few_round_trips(link: Link) -> None:
    """An approval three, whatever its limits are; the account is known already, as between two orders of a program."""
    proxy, url = link
    expected = {row.deed: int(row.trips) for row in table(DEEDS)}
    found = {}
    with guarding(url) as guard:
        for number in range(3):  # the account is read, its limits are kept, and what is kept is used
            assert guard.check(order(f"warm{number}")).approved
        for name, deed in deeds(guard).items():
            before = proxy.asked
            deed()
            found[name] = proxy.asked - before
    assert found == expected


@pytest.mark.parametrize(("is_far", "trips"), [(True, 8), (False, 26)], ids=["as it is", "control: one by one"])
def test_an_account_that_others_moved_is_read_in_few(
    link: Link, monkeypatch: pytest.MonkeyPatch, is_far: bool, trips: int
) -> None:
    """Two programs on one account: each reads it anew for every order, and asks together what it is sure to ask."""
    proxy, url = link
    monkeypatch.setattr(PostgresSession, "is_far", is_far)
    with guarding(url) as guard, guarding(url) as other:
        found = []
        for number in range(4):
            assert other.check(order(f"other{number}")).approved
            before = proxy.asked
            assert guard.check(order(f"one{number}")).approved
            found.append(proxy.asked - before)
    assert found[1:] == [trips] * 3


@pytest.mark.parametrize("what", ["known", "mark"])
def test_what_is_not_asked_ahead_is_a_round_trip_more(link: Link, what: str) -> None:
    """The control of the count: the same question, once with the lock and once without."""
    proxy, url = link
    ask = journal.asks_known("leader", "any") if what == "known" else books.asks_mark(("NSE_EQ", "1333"))
    with guarding(url) as guard:
        assert guard.check(order("warm")).approved
        found = []
        for ahead in ([ask], []):
            before = proxy.asked
            with guard.store.session(durable=False, account="leader", ahead=ahead) as session:
                session.ask(ask)
            found.append(proxy.asked - before)
    assert found[1] == found[0] + 1
