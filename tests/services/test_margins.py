"""`guard.prepare`: asked of the broker outside any lock, kept as a row for exactly this leg or set."""

from __future__ import annotations

import threading

import pytest

from riskguard.core.facts import leg_of
from riskguard.core.seen import SeenMargin
from riskguard.errors import BrokerRefusedError, SettingsError
from riskguard.store import supply
from tests.services.desk import CALL, COVER, Desk


def test_the_answer_is_kept_and_read_for_this_leg_alone(desk: Desk) -> None:
    """A fifth of 10 × 100 intraday; another quantity, side or product has no requirement."""
    desk.quote("100")
    order = desk.order(quantity=10)
    seen = desk.guard.prepare(order)

    assert seen.total_e4 == 2_000_000
    assert desk.rows("SELECT account_type, side, quantity, total_margin, leg_set FROM margin_requirements") == [
        ("leader", "BUY", 10, 200.0, None)
    ]
    for asked, known in ((order, True), (desk.order(quantity=11), False), (desk.order("SELL", 10), False)):
        assert bool(margins(desk, asked)) is known


@pytest.mark.parametrize(("later_s", "known"), [(60, True), (61, False)])
def test_it_counts_for_a_minute(desk: Desk, later_s: int, known: bool) -> None:
    """At 60 s it still counts, at 61 s it was asked about another market."""
    desk.quote("100")
    order = desk.order(quantity=10)
    desk.guard.prepare(order)
    desk.clock.advance(later_s)

    assert bool(margins(desk, order)) is known


def test_a_basket_is_asked_for_together(desk: Desk) -> None:
    """The set's figure counts for each of its legs, in whatever order they are named; a part of the set has none."""
    desk.quote("100", CALL)
    desk.quote("50", COVER)
    legs = [desk.order_of(COVER, "BUY", 25, "50"), desk.order_of(CALL, "SELL", 25, "100")]
    desk.guard.prepare(legs)

    with desk.store.session(durable=False) as session:
        account = desk.guard.kept.open(session, "leader", desk.clock.now_us()).account
        supply.read_margins(session, account, list(reversed(legs)), desk.clock.now_us())
        found = dict(account.margins)
        supply.read_margins(session, account, legs[:1], desk.clock.now_us())
        part = dict(account.margins)
        desk.store.roll_back(session)
    assert set(found) == {leg_of(leg) for leg in legs} and len({each[0] for each in found.values()}) == 1
    assert part == {}


def test_no_lock_is_held_while_the_broker_thinks(desk: Desk) -> None:
    """Another guard's check is answered while the calculator has not come back."""
    thinking, answer = threading.Event(), threading.Event()

    class Slow:
        def margin(self, orders: object) -> SeenMargin:
            thinking.set()
            assert answer.wait(20)
            return SeenMargin(1, None, None, None)

    other = desk.another_guard()
    asking = threading.Thread(target=lambda: desk.guard.prepare(desk.order(), Slow()))
    asking.start()
    assert thinking.wait(20)
    assert other.check(desk.order()).approved
    answer.set()
    asking.join()


def test_a_broker_that_cannot_say_is_heard(desk: Desk) -> None:
    """No price: the broker's own error, and no row that says zero. No calculator: how to give one."""
    with pytest.raises(BrokerRefusedError):
        desk.guard.prepare(desk.order_of(CALL, "SELL", 25, None))
    assert desk.one("SELECT count(*) FROM margin_requirements") == 0
    desk.guard.margins = lambda _account: None
    with pytest.raises(SettingsError, match="prepare"):
        desk.guard.prepare(desk.order())


def margins(desk: Desk, order: object) -> object:
    """What the check would read."""
    with desk.store.session(durable=False) as session:
        account = desk.guard.kept.open(session, "leader", desk.clock.now_us()).account
        supply.read_margin(session, account, order, desk.clock.now_us())  # type: ignore[arg-type]
        desk.store.roll_back(session)
    return account.margins
