"""Several legs as one decision: which orders of them are tried, what is said of the others, and a book left as it was."""

from __future__ import annotations

from riskguard.core.account import Account
from riskguard.core.basket import PERMUTED_MAX, decide_basket
from riskguard.core.book import Line
from riskguard.core.limits import LimitSet
from tests.core.builders import NOW, account, limit, mandatory, option, order, order_of

CALL, COVER = option(), option("50002")


def options() -> Account:
    """An account that may sell no option uncovered."""
    limits = (*mandatory(), limit("naked_short_option", naked_lots_max="none"))
    return account(instrument=CALL, others=((COVER, account().line(COVER.key, "MARGIN")),), limits=LimitSet(limits))


def bounded(quantity: int) -> Account:
    return account(limits=LimitSet((*mandatory(), limit("order_quantity", quantity_max=quantity, unit="units"))))


def test_the_cover_is_sent_first_whatever_was_asked_for() -> None:
    """Sold first the call is uncovered; bought first its cover is there, and that order is the one to send."""
    of = options()
    legs = (order_of(CALL, "SELL", 25, product="MARGIN"), order_of(COVER, "BUY", 25, product="MARGIN"))
    decisions = decide_basket(legs, of, NOW)

    assert [(each.approved, each.order) for each in decisions] == [(True, legs[1]), (True, legs[0])]
    assert [each.order for each in decide_basket(legs[::-1], of, NOW)] == [legs[1], legs[0]]
    left = [line for lines in of.positions.values() for line in lines.values()]
    assert all(line.is_idle and line == Line("MARGIN", seen=0, settled=True) for line in left)
    assert (of.granted, of.unfunded, of.same) == (0, (), {})


def test_a_refused_basket_is_said_in_the_order_asked_for() -> None:
    """What refused a leg stands with it; a leg that passes alone is refused for the others, named by their places."""
    of = bounded(5)
    legs = [order("SELL", quantity, strategy=f"s{quantity}") for quantity in (4, 6, 5, 7)]
    for more in (0, PERMUTED_MAX - 3):  # few legs are tried in every order, many in two
        asked = [*legs, *(order("BUY", 1, strategy=f"b{number}") for number in range(more))]
        decisions = decide_basket(asked, of, NOW)

        assert [each.order for each in decisions] == asked
        assert [each.rejects[0].code.value for each in decisions][:4] == [
            "BASKET_REFUSED", "ORDER_QUANTITY_ABOVE_LIMIT", "BASKET_REFUSED", "ORDER_QUANTITY_ABOVE_LIMIT",
        ]  # fmt: skip
        (alone,) = decisions[0].rejects
        assert alone.detail == f"leg 2, 4 of {len(asked)} was refused: nothing was reserved"
        assert (alone.hint, alone.max_quantity) == ("a basket is approved whole or not at all", 0)
        assert decisions[0].facts is None and decisions[0].limits_digest == of.limits.digest
        assert decisions[0].decided_at_us == NOW


def test_no_legs_are_no_decision() -> None:
    assert decide_basket((), bounded(5), NOW) == ()
