"""
The negative control of the oracle: a comparison with the wrong sign, anywhere in a check, and it disagrees.

Every `<`, `<=`, `>` and `>=` of every check, of direction, prices and exposure is changed in its turn. The few whose
change no answer shows are named here, each with its reason: one that is not named and not noticed is an edge nobody
holds.
"""

from __future__ import annotations

import pytest

from riskguard.core import facts
from tests.core.oracle.answer import compared
from tests.core.oracle.cases import FIGURES, case, with_check
from tests.core.oracle.mutants import Mutant, noticed_at, of_checks, of_the_book

CASES_MAX = 6_000
"""The rarest edge is met among the first few thousand cases, the usual one among the first hundred."""

NOT_OF_THE_ANSWER = {
    ("permission", "_named"): "reads parameters, never an order",
    ("trading_window", "_next_window_us"): "says when it frees up",
    ("trading_state", "_would_pass"): "says what quantity would pass",
    ("price_collar", "_beyond"): "writes the hint",
    ("order_rate", "_longer"): "says when it frees up",
    ("pricing", "supersedes"): "chooses which quote is kept, before anybody asks",
}
"""Functions whose numbers are said beside the answer; they have tables of their own."""

SAME_EITHER_WAY = {
    "by_fills = fills >= params.trip_at_fills": "names the one of two that tripped",
    "frees_us = facts.sent_leaves_us(limit - facts.granted, window.per_s) if limit > facts.granted else None": "a time",
    "frees_us = facts.attempt_leaves_us(most - 1, window_us) if most > 1 else None": "a time",
    "elif ceiling_e4 is not None and ceiling_e4 < limit_e4:": "the lower of two that are equal",
    'if unit == "units" and reach * SCALE <= params.position_max:': "a short cut before the same question",
    'if reach <= 0 or (unit == "units" and reach * SCALE <= params.position_max):': "a short cut, or a reach of nothing",
    "return _by_value(facts, params, standing, reach) if reach > 0 else None": "a reach of nothing is worth nothing",
    "return near if near > 0 else 0": "0 of two kinds",
    "sides[0 if held > 0 else 1] += abs(held)": "nothing on either side",
    "if theirs and (product not in DELIVERY_PRODUCTS or theirs < 0):": "it is not 0 there",
    "if way(instrument.option_type) < 0:": "a way is +1 or −1",
    "if units >= 0:": "nothing is worth nothing, and offsets nothing",
}
"""Lines whose change makes no difference, and why."""


def _ids(mutants: list[Mutant]) -> list[str]:
    return [str(each) for each in mutants]


def _is_named(mutant: Mutant) -> bool:
    return (mutant.where, mutant.function) in NOT_OF_THE_ANSWER or mutant.line in SAME_EITHER_WAY


CHECKED = [each for each in of_checks() if not _is_named(each)]
UNDERNEATH = [each for each in of_the_book() if not _is_named(each)]
OF_THE_ORDER_ALONE = ("order_validity", "lot_size", "freeze_quantity", "price_tick")
STANDING_ON_IT = tuple(name for name in FIGURES if name not in OF_THE_ORDER_ALONE)


@pytest.mark.parametrize("mutant", CHECKED, ids=_ids(CHECKED))
def test_a_wrong_comparison_in_a_check_is_noticed(mutant: Mutant) -> None:
    """With the sign changed, and nothing else, some case is answered otherwise than the oracle says."""
    check = mutant.check
    assert check is not None

    def differs(number: int) -> bool:
        return compared(with_check(case(number, checks=(check.name,)), check))[1] != ""

    assert noticed_at(differs, CASES_MAX) is not None


@pytest.mark.parametrize("mutant", UNDERNEATH, ids=_ids(UNDERNEATH))
def test_a_wrong_comparison_under_the_checks_is_noticed(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same of what all checks stand on: which way an order goes, what it may cost, what the book may become."""
    for name, function in mutant.patches.items():
        monkeypatch.setattr(facts, name, function)

    def differs(number: int) -> bool:
        return compared(case(number, checks=STANDING_ON_IT))[1] != ""

    assert noticed_at(differs, CASES_MAX) is not None


def test_there_are_mutants_of_most_checks() -> None:
    """The control would be empty if the machinery found nothing to change."""
    assert len({each.where for each in CHECKED}) > 25 and len(CHECKED) > 45
    assert len(UNDERNEATH) > 12
    assert all(each.patches for each in UNDERNEATH)


def test_nothing_differs_without_a_mutant() -> None:
    """What the control runs on agrees as it stands: a difference is the mutant's doing."""
    for number in range(300):
        assert not compared(case(number, checks=STANDING_ON_IT))[1]
        made = case(number, checks=("gross_exposure",))
        assert not compared(with_check(made, made.account.limits.limits[0].check))[1]
