"""Several legs as one decision: in an order that can be sent, reserved whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from riskguard.core.order import Order
from riskguard.errors import OrderInvalidError, PermitNotSendableError
from riskguard.services import overview
from tests.services.desk import ACCOUNT, CALL, COVER, Desk, rulebook

SPREADS = rulebook(
    naked_short_option='check = "naked_short_option"\nnaked_lots_max = "none"',
    net_position='check = "net_position"\nposition_max = "100"\nunit = "units"',
)


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Iterator[Desk]:
    """A desk on which no option may be sold without cover."""
    made = make_desk(text=SPREADS)
    made.quote("100")
    made.quote("100", CALL)
    made.quote("100", COVER)
    made.sweep()
    yield made


def sell(desk: Desk, quantity: int = 25, **more: object) -> Order:
    return desk.order_of(CALL, "SELL", quantity, "100", **more)


def buy(desk: Desk, quantity: int = 25, **more: object) -> Order:
    return desk.order_of(COVER, "BUY", quantity, "100", **more)


def test_the_cover_goes_first(desk: Desk) -> None:
    """Sell first is refused alone, and approved in a basket that buys first; the legs come in that order."""
    assert not desk.guard.check(sell(desk)).approved

    basket = desk.guard.check_basket([sell(desk), buy(desk)])

    assert basket.approved and basket.recorded and basket.reordered
    assert [leg.order.side for leg in basket.legs] == ["BUY", "SELL"]
    assert not desk.guard.check_basket([buy(desk), sell(desk)]).reordered


def test_a_later_leg_waits_for_the_earlier(desk: Desk) -> None:
    """The short cannot be sent before its cover; afterwards it can. A refused cover holds the short back for good."""
    basket = desk.guard.check_basket([buy(desk), sell(desk)])
    cover, short = basket.legs
    with pytest.raises(PermitNotSendableError, match="leg 1 of its basket"), short.permit.sending():
        pass
    for leg in (cover, short):
        with leg.permit.sending() as wire:
            wire.order_id = desk.broker.place(leg.approved_order)
    assert len(desk.broker.orders()) == 2


@pytest.mark.parametrize("legs", [[25, 50], [50, 25]])
def test_cover_counts_to_the_unit(desk: Desk, legs: list[int]) -> None:
    """25 bought cover 25 sold, not 50."""
    bought, sold = legs
    basket = desk.guard.check_basket([buy(desk, bought), sell(desk, sold)])

    assert basket.approved is (sold <= bought)


def test_all_or_nothing(desk: Desk) -> None:
    """One leg too many units: nothing is reserved, each leg has its refusal on disk and says which leg it was."""
    basket = desk.guard.check_basket([buy(desk, 25), desk.order(quantity=101)])

    assert not basket.approved and basket.recorded
    assert [[each.code.value for each in leg.rejects] for leg in basket.legs] == [
        ["BASKET_REFUSED"], ["NET_POSITION_ABOVE_LIMIT"],
    ]  # fmt: skip
    assert "leg 2 of 2" in basket.explain()
    assert desk.one("SELECT count(*) FROM permits") == 0
    assert desk.one("SELECT count(*) FROM risk_violations WHERE code = 'BASKET_REFUSED'") == 1


def test_legs_count_beside_each_other(desk: Desk) -> None:
    """Two buys of one share: 60 and 40 reach the 100 allowed, 60 and 41 do not."""
    assert desk.guard.check_basket([desk.order(quantity=60), desk.order(quantity=40)]).approved
    assert not desk.guard.check_basket([desk.order(quantity=1)]).approved


def test_the_book_is_as_before_a_refused_basket(desk: Desk) -> None:
    """What was tried on the way leaves nothing behind in this process's memory."""
    assert not desk.guard.check_basket([desk.order(quantity=60), desk.order(quantity=41)]).approved
    assert desk.guard.check(desk.order(quantity=100)).approved


def test_asked_again_it_answers_what_stands(desk: Desk) -> None:
    """The same ids in any order: the same permits, in the order to send them. One leg swapped: refused."""
    legs = [sell(desk, client_order_id="s"), buy(desk, client_order_id="b")]
    first = desk.guard.check_basket(legs)
    again = desk.guard.check_basket(legs)

    assert [leg.client_order_id for leg in again.legs] == ["b", "s"] == [leg.client_order_id for leg in first.legs]
    assert [leg.sequence for leg in again.legs] == [leg.sequence for leg in first.legs]
    other = desk.guard.check_basket([legs[0], buy(desk, client_order_id="b2")])
    assert not other.approved
    assert desk.one("SELECT count(*) FROM permits") == 2


def test_malformed_baskets(desk: Desk) -> None:
    """No leg, two accounts, one id twice."""
    one = desk.order(client_order_id="x")
    for legs in ([], [one, one.replaced(account="other", client_order_id="y")], [one, buy(desk, client_order_id="x")]):
        with pytest.raises(OrderInvalidError):
            desk.guard.check_basket(legs)


def test_a_killed_account_takes_no_basket(desk: Desk) -> None:
    """The state counts for every leg, from rows and from flags alike."""
    desk.kill()

    basket = desk.guard.check_basket([buy(desk), sell(desk)])
    assert {each.code.value for each in basket.rejects} >= {"TRADING_HALTED"}


def test_the_journal_replays(desk: Desk) -> None:
    """Each leg's own record agrees, approved or refused."""
    desk.guard.check_basket([sell(desk), buy(desk)])
    desk.guard.check_basket([desk.order(quantity=60), desk.order(quantity=41)])

    (mine,) = [each for each in overview.verify(desk.store) if each["account"] == ACCOUNT]
    assert (mine["wrong"], mine["replay_disagrees"]) == (None, [])


def test_a_closed_database_refuses_every_leg(desk: Desk) -> None:
    """Nothing could be written: each leg is refused, and says so."""
    desk.lose()

    basket = desk.guard.check_basket([buy(desk), sell(desk)])
    assert not basket.approved and len(basket.legs) == 2
    assert {each.code.value for each in basket.rejects} == {"STORE_UNAVAILABLE"}
