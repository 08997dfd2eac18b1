"""
`decide` against a second implementation of the specification, case by case.

The oracle (`tests/core/oracle/`) is written from the specification, shares nothing with the checks but the plain
values, and is meant to be verified by eye. Agreement means something only where both sides of every rule occur, so
that is counted too.

A case is its seed and its number, and runs again alone:
`python -c "from tests.core.oracle.answer import compared; from tests.core.oracle.cases import case;
print(compared(case(4711))[1])"` at the root of the checkout.
"""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from riskguard.core.checks import CHECKS, MANDATORY
from riskguard.core.reject import RejectCode
from tests.core.oracle import answer as oracle
from tests.core.oracle.answer import compared, holds
from tests.core.oracle.cases import FIGURES, SEED, case
from tests.core.oracle.rules import RULES
from tests.reliability.claiming import Claims

BLOCKS = 10
CASES_PER_BLOCK = 5_000
SOAK_PARTS = 20
DIFFERENCES_SHOWN_MAX = 3
TIMES_MIN = 40
"""How often each code, and each check's yes and no, must have been seen among the fifty thousand."""

NOT_OF_A_CHECK = {
    "CLIENT_ORDER_ID_REUSED", "STORE_UNAVAILABLE", "STORE_BUSY", "PERMIT_VOID", "BASKET_REFUSED", "COPY_REFUSED",
    "CHECK_BROKEN",
}  # fmt: skip
"""Codes of the journal, the store, baskets and copies; and of a check that breaks, which none may."""


@cache
def run(block: int) -> tuple[list[str], Counter[str]]:
    """Run one block: what differs, in words, and how often each kind of thing was seen."""
    differing: list[str] = []
    seen: Counter[str] = Counter()
    for number in range(block * CASES_PER_BLOCK, (block + 1) * CASES_PER_BLOCK):
        made = case(number)
        ours, differs = compared(made)
        if differs:
            differing.append(differs)
            if len(differing) == DIFFERENCES_SHOWN_MAX:
                break
        exits = " of an exit" if ours.direction == "REDUCING" else ""
        found = {limit_id: code for limit_id, code in ours.refused | ours.watched}
        refused = {limit_id.partition("/")[0] for limit_id in found}
        seen[ours.direction] += 1
        seen["approved" if ours.approved else "refused"] += 1
        seen.update(f"code {code}" for code in found.values())
        seen.update(f"{name} {'refuses' if name in refused else 'passes'}{exits}" for name in set(ours.asked))
        seen.update(
            f"{'refuses' if limit.id in found else 'passes'} in {limit.scope.kind}"
            for limit in made.account.limits.limits
            if limit.check.scoped and holds(limit.scope, made)
        )
    return differing, seen


def total(blocks: range) -> Counter[str]:
    return sum((run(block)[1] for block in blocks), Counter())


@pytest.mark.claim("I8", "seeded orders and accounts, decided twice", of="cases", ci=5_000, soak=5_000)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_decide_and_the_oracle_agree(block: int, claim: Claims) -> None:
    """The same answer, direction, limits and codes, enforced and in shadow, in every case of the block."""
    show(claim, range(block, block + 1))


@pytest.mark.claim("I8", "seeded orders and accounts, decided twice", of="cases", ci=0, soak=50_000, seconds=30)
@pytest.mark.parametrize("part", range(1, SOAK_PARTS))
def test_decide_and_the_oracle_agree_for_long(part: int, claim: Claims) -> None:
    """The same over a million cases in all."""
    show(claim, range(part * BLOCKS, (part + 1) * BLOCKS))


def show(claim: Claims, blocks: range) -> None:
    for block in blocks:
        differing, _ = run(block)
        claim("I8").trials(CASES_PER_BLOCK, [f"seed {SEED}: {each}" for each in differing])


def test_every_code_has_been_seen() -> None:
    """Each reason a check can give was given many times, so that agreement on it means something."""
    seen = total(range(BLOCKS))
    few = {code.value: seen[f"code {code}"] for code in RejectCode if seen[f"code {code}"] < TIMES_MIN}

    assert set(few) == NOT_OF_A_CHECK, few


def test_every_check_has_passed_and_refused() -> None:
    """Orders that add risk meet both answers of every check, exits both of every check that applies to them."""
    seen = total(range(BLOCKS))
    wanted = [f"{check.name} {said}" for check in CHECKS for said in ("passes", "refuses")]
    wanted += [
        f"{name} {said} of an exit"
        for name, (_, exits) in RULES.items()
        for said in ("passes", "refuses")
        if exits != "exempt"
    ]
    few = {what: seen[what] for what in wanted if seen[what] < TIMES_MIN}

    assert not few


def test_every_way_scope_and_answer_has_been_seen() -> None:
    """Each direction, each kind of scope of limits that add up, approvals and refusals."""
    seen = total(range(BLOCKS))
    wanted = ["approved", "refused", "REDUCING", "INCREASING", "FLIP", "HEDGING", "UNHEDGING", "SHORT_DELIVERY"]
    wanted += [
        f"{said} in {kind}"
        for said in ("passes", "refuses")
        for kind in ("GLOBAL", "GROUP", "ACCOUNT", "SEGMENT", "STRATEGY", "UNDERLYING", "INSTRUMENT")
    ]
    few = {what: seen[what] for what in wanted if seen[what] < 10 * TIMES_MIN}

    assert not few


def test_the_oracle_knows_every_check() -> None:
    """A check without a rule, or without figures to generate, is a visible gap; so is a mandatory one it forgot."""
    names = {check.name for check in CHECKS}

    assert set(RULES) == set(FIGURES) == names
    assert set(oracle.MANDATORY) == set(MANDATORY)
    assert {name for name, (_, exits) in RULES.items() if exits == "exempt"} == {
        check.name for check in CHECKS if not check.exits
    }
    assert {name for name, (_, exits) in RULES.items() if exits == "warns"} == {
        check.name for check in CHECKS if check.warns_exits
    }


def test_a_case_is_its_number() -> None:
    """The same seed and number make the same case, another of either another one."""
    one, again, other, elsewhere = case(17), case(17), case(18), case(17, seed=1)

    assert one.order == again.order and compared(one)[0] == compared(again)[0]
    assert [each.canonical() for each in one.account.limits.limits] == [
        each.canonical() for each in again.account.limits.limits
    ]
    assert len({repr(each.account.positions) for each in (one, other, elsewhere)}) == 3
