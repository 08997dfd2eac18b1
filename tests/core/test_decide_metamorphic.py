"""
What makes things worse never turns a refusal into an approval: more of it, a larger loss, less known, older, busier, stopped.

Each relation changes one thing of a generated case and asks again. A failure names the case's number. Tightening a limit's
numbers is in `test_decide_theorems.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from riskguard.core.account import Account, TimeLog
from riskguard.core.decide import Decision
from riskguard.core.state import Cause, TradingState
from tests.core.oracle.answer import decided
from tests.core.oracle.case import Case
from tests.core.oracle.cases import case
from tests.reliability.claiming import Claims

SECOND = 1_000_000
CASES_CONTROL = 3_000
FIRST = 700_000  # other cases than those the oracle is asked about

Worse = Callable[[Case, Random], bool]
"""Makes the case worse; False: there is nothing in it to make worse."""


def more_of_it(made: Case, rng: Random) -> bool:
    """More lots of what adds. What hangs on the very quantity, duplicates and what the broker said it needs, is left out."""
    lot = 1 if made.instrument is None else made.instrument.lot_size
    made.order = made.order.replaced(quantity=made.order.quantity + lot * rng.choice((1, 2, 10)))
    return True


def a_larger_loss(made: Case, rng: Random) -> bool:
    pnl = made.account.pnl
    if pnl is None or pnl.day_pnl_e4 is None:
        return False
    made.account.pnl = replace(pnl, day_pnl_e4=pnl.day_pnl_e4 - rng.choice((1, 10_000, 10**7, 10**9)))
    return True


def less_is_known(made: Case, rng: Random) -> bool:
    of, what = made.account, rng.choice(("pnl", "funds_available_e4", "opening_equity_e4", "sweep_at_us"))
    if getattr(of, what) is None:
        return False
    setattr(of, what, None)
    return True


def it_is_older(made: Case, rng: Random) -> bool:
    """The sweep, the position list, the funds, the P&L: as they were, seen longer ago."""
    of, by_us = made.account, SECOND * rng.choice((1, 30, 3_600))
    what = rng.choice(("sweep_at_us", "position_seen_us", "funds_at_us", "pnl"))
    at_us = of.pnl.at_us if what == "pnl" and of.pnl is not None else getattr(of, what)
    if at_us is None or at_us > made.now_us:  # stamped in the future: older is truer
        return False
    if what == "pnl":
        assert of.pnl is not None
        of.pnl = replace(of.pnl, at_us=of.pnl.at_us - by_us)
    else:
        setattr(of, what, getattr(of, what) - by_us)
    return True


def it_is_busier(made: Case, rng: Random) -> bool:
    """More messages went out within the last moments, more permits wait to be sent."""
    of = made.account
    stamps = [*of.sent.stamps_us, *(made.now_us - rng.randrange(SECOND) for _ in range(rng.choice((1, 5, 50))))]
    of.sent, of.granted = TimeLog(sorted(stamps)), of.granted + rng.choice((0, 1, 9))
    return True


def it_is_stopped(made: Case, rng: Random) -> bool:
    state = rng.choice((TradingState.REDUCE_ONLY, TradingState.HALTED))
    made.account.causes = (*made.account.causes, Cause("GLOBAL", state, "MANUAL", "", "desk", made.now_us))
    made.account.settle_state()
    return True


RELATIONS: tuple[Worse, ...] = (more_of_it, a_larger_loss, less_is_known, it_is_older, it_is_busier, it_is_stopped)


def adds(decision: Decision) -> bool:
    return decision.direction == "INCREASING"


def asked_again(relations: tuple[Worse, ...], numbers: range) -> Counter[str]:
    """Ask every case, make it worse in every way, ask again; returns how often each way found something to change."""
    seen: Counter[str] = Counter()
    for number in numbers:
        made, rng = case(number), Random(number)
        if made.by or made.modifying:
            continue  # a person's exit, and a change of what works, are judged by what they leave
        whole = made.order, kept(made.account)
        for relation in relations:
            if relation is more_of_it:
                made.account.same, made.account.margins = {}, {}
            first = decided(made)
            if adds(first) and relation(made, rng):
                after = decided(made)
                seen[relation.__name__] += 1
                seen[f"{relation.__name__} refuses"] += first.approved and not after.approved
                assert first.approved or not after.approved, (
                    f"case {number}: {relation.__name__} approves {made.order!r}, refused before: {first.explain()}"
                )
            made.order = whole[0]
            restore(made.account, whole[1])
    return seen


CHANGED = (
    "pnl", "funds_available_e4", "opening_equity_e4", "sweep_at_us", "position_seen_us", "funds_at_us", "sent", "granted",
    "causes", "same", "margins",
)  # fmt: skip


def kept(of: Account) -> dict[str, object]:
    return {name: getattr(of, name) for name in CHANGED}


def restore(of: Account, values: dict[str, object]) -> None:
    for name, value in values.items():
        setattr(of, name, value)
    of.settle_state()


@pytest.mark.claim("I13", "a case asked again, worse in one way", of="cases", ci=3_000, soak=20_000)
def test_nothing_worse_is_ever_approved(claim: Claims) -> None:
    """Every relation over every case; each really met, and each really turned approvals into refusals."""
    shown = claim("I13")
    seen = asked_again(RELATIONS, range(FIRST, FIRST + shown.figure))
    shown.trials(shown.figure)
    shown.counted(pairs=sum(seen[each.__name__] for each in RELATIONS))

    for relation in RELATIONS:
        assert seen[relation.__name__] > shown.figure // 4, seen
        assert seen[f"{relation.__name__} refuses"] > 3, seen


def test_the_control_what_makes_things_better_is_seen() -> None:
    """The comparison can fail: where a halt is taken away some refusal becomes an approval."""

    def released(made: Case, rng: Random) -> bool:
        made.account.causes = ()
        made.account.settle_state()
        return True

    with pytest.raises(AssertionError, match="released approves"):
        asked_again((released,), range(FIRST, FIRST + CASES_CONTROL))
