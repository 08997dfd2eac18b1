"""Several legs as one decision: which orders of them are tried, what is said of the others, and a book left as it was."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from riskguard.core.account import Account, Unfunded, signature
from riskguard.core.basket import PERMUTED_MAX, decide_basket
from riskguard.core.book import Line, Working
from riskguard.core.checks import CHECKS
from riskguard.core.facts import Facts, leg_of
from riskguard.core.limits import Limit, LimitSet
from riskguard.core.scope import Scope
from tests.core.builders import NOW, account, halted, inr, limit, line, mandatory, option, order, order_of

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


def test_buys_go_first_where_there_are_too_many_legs_to_try_every_order() -> None:
    """Two orders are tried of many legs: as asked for, and the purchases first. Nothing covers what has no purchase."""
    sells = [order_of(CALL, "SELL", 25, product="MARGIN", strategy=f"s{number}") for number in range(3)]
    buys = [order_of(COVER, "BUY", 25, product="MARGIN", strategy=f"b{number}") for number in range(3)]
    assert len(sells) + len(buys) > PERMUTED_MAX

    assert [(each.approved, each.order) for each in decide_basket([*sells, *buys], options(), NOW)] == [
        (True, leg) for leg in (*buys, *sells)
    ]
    assert not any(each.approved for each in decide_basket([*sells, *buys[1:]], options(), NOW))


@pytest.mark.parametrize(("legs", "approved"), [(PERMUTED_MAX, True), (PERMUTED_MAX + 1, False)])
def test_every_order_of_a_few_legs_is_tried(legs: int, approved: bool) -> None:
    """One strategy may be the first to send and no other: found among five legs, not looked for among six."""
    first = limit("order_rate", "first", "STRATEGY:first", windows=[{"messages_max": 1, "reserve": 0, "per_s": 1}])
    of = account(limits=LimitSet((*mandatory(), first)))
    asked = [*(order("BUY", 1, strategy=f"s{number}") for number in range(1, legs)), order("BUY", 1, strategy="first")]
    found = decide_basket(asked, of, NOW)

    assert all(each.approved for each in found) == approved
    assert (found[0].order.strategy == "first") == approved


def test_the_legs_of_one_line_add_up() -> None:
    """Each is judged on a book in which all the earlier ones work, not only the last."""
    limits = LimitSet((*mandatory(), limit("net_position", position_max=5, unit="units")))
    legs = [order("BUY", 2, strategy=f"s{number}") for number in range(3)]

    assert [each.approved for each in decide_basket(legs[:2], account(limits=limits), NOW)] == [True, True]
    codes = [each.rejects[0].code.value for each in decide_basket(legs, account(limits=limits), NOW)]
    assert codes == ["BASKET_REFUSED", "BASKET_REFUSED", "NET_POSITION_ABOVE_LIMIT"]


def test_a_person_may_let_a_basket_of_exits_out_of_a_halted_account() -> None:
    """By name: what nobody answers for stays refused."""
    of = account(line(10), limits=LimitSet(tuple(mandatory())), causes=(halted(),))
    exits = [order("SELL", 4, strategy="a"), order("SELL", 5, strategy="b")]

    assert not any(each.approved for each in decide_basket(exits, of, NOW))
    found = decide_basket(exits, of, NOW, "asha")
    assert [each.approved for each in found] == [True, True]
    assert [each.facts.emergency_by for each in found if each.facts is not None] == ["asha", "asha"]


class Looking:
    """A limit without an objection that keeps what each leg finds in the account."""

    def __init__(self) -> None:
        self.found: list[Any] = []

    def __call__(self, facts: Facts, params: Any) -> None:
        of = facts._account
        assert of is not None
        working = {product: each.working for product, each in of.positions[facts.order.instrument].items()}
        self.found.append(copy.deepcopy((working, of.granted, of.unfunded, of.same)))

    def limit(self) -> Limit:
        check = next(each for each in CHECKS if each.name == "order_validity")
        looks = replace(check, run=self, exits=True, passes="", mandatory=False, over=None, scoped=False)
        return Limit("looking", looks, check.params(), Scope("GLOBAL"))


@pytest.mark.parametrize("of_set", [False, True])
def test_each_leg_finds_the_earlier_ones_as_they_would_work(of_set: bool) -> None:
    """At the price they are sent at, with all that is asked of an order that works; exits take no money. Then all is back."""
    looking = Looking()
    of = account(
        line(10),
        line(product="MARGIN"),
        limits=LimitSet((*mandatory(), looking.limit())),
        granted=3,
        margin_of_set=of_set,
    )
    leaving = order("SELL", 10, "100.01", exit_group="g", strategy="dip")
    entering = order(
        "BUY", 5, "102", order_type="STOP_LOSS", trigger_price="101", product="MARGIN", strategy="mom"
    )  # fmt: skip
    of.margins = {leg_of(entering): (inr("70"), NOW)}
    spent = (Unfunded(("NSE_EQ", "1"), 1, 1, None, None),)
    of.unfunded = spent
    before = copy.deepcopy((of.positions, of.granted, of.unfunded, of.same))
    found = decide_basket([leaving, entering, order("BUY", 1, "99", product="MARGIN")], of, NOW)

    assert [each.approved for each in found] == [True, True, True]
    sent = found[0].adjusted_to
    assert sent is not None and sent.price_e4 == inr("100.05")
    out = Working(
        "leg 0", -1, 10, True, exit_group="g", price_e4=inr("100.05"), risk_price_e4=inr("100.01"), strategy="dip"
    )
    into = Working(
        "leg 1", 1, 5, False, price_e4=inr("102"), trigger_price_e4=inr("101"), risk_price_e4=inr("102"), strategy="mom",
        covers=True,
    )  # fmt: skip
    taken = () if of_set else (Unfunded(entering.instrument, 1, 5, inr("102"), inr("70")),)
    assert looking.found == [
        ({"INTRADAY": {}, "MARGIN": {}}, 3, spent, {}),
        ({"INTRADAY": {"leg 0": out}, "MARGIN": {}}, 4, spent, {signature(sent): NOW}),
        (
            {"INTRADAY": {"leg 0": out}, "MARGIN": {"leg 1": into}}, 5, (*spent, *taken),
            {signature(sent): NOW, signature(entering): NOW},
        ),
    ]  # fmt: skip
    assert (of.positions, of.granted, of.unfunded, of.same) == before
