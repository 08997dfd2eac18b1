"""A few cases of the oracle, for each mutant: a second implementation notices most wrong comparisons at once."""

from __future__ import annotations

from tests.core.oracle.answer import compared
from tests.core.oracle.cases import case

CASES = 300


def test_decide_and_the_oracle_agree_on_a_few() -> None:
    """The first cases that differ end it."""
    for number in range(CASES):
        differs = compared(case(number))[1]
        assert not differs, differs
