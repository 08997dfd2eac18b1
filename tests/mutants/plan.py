"""
Which files are mutated, and which tests each group of them has to answer to.

The modules that decide: what an order is asked, how a position is valued and counted, what a breach does, who may release.
A group's tests are the quick ones that are about it; a mutant that only an hour of generated cases finds is not well tested.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LEAST_PCT: Final = 95
"""Of each group's mutants so many are to be killed, equivalent ones left out."""

CASES: Final = "tests/mutants/few_cases.py"
DECIDE: Final = ("tests/core/test_decide.py", "tests/core/test_direction.py", "tests/core/checks")


@dataclass(frozen=True)
class Group:
    """Files to mutate (globs from the root), and the tests (files, folders) that are run on each mutant."""

    files: tuple[str, ...]
    tests: tuple[str, ...]


GROUPS: Final[dict[str, Group]] = {
    "decide": Group(
        (
            "riskguard/core/decide.py", "riskguard/core/direction.py", "riskguard/core/state.py",
            "riskguard/core/scope.py", "riskguard/core/expiry.py",
        ),
        (*DECIDE, "tests/core/test_limits.py", CASES),
    ),
    "release": Group(("riskguard/core/release.py",), ("tests/core/test_release.py",)),
    "money": Group(
        ("riskguard/core/money.py", "riskguard/core/pricing.py"),
        ("tests/core/test_money.py", "tests/core/test_pricing.py", "tests/core/test_quote.py", CASES),
    ),
    "checks": Group(("riskguard/core/checks/*.py", "riskguard/core/measure.py"), ("tests/core/checks", CASES)),
    "exposure": Group(
        ("riskguard/core/exposure/*.py",),
        ("tests/core/test_exposure.py", "tests/core/checks/test_exposures.py", "tests/core/checks/test_risk.py", CASES),
    ),
    "pnl": Group(("riskguard/core/pnl.py",), ("tests/core/test_pnl.py", "tests/core/test_pnl_parts.py")),
    "live": Group(
        ("riskguard/core/assess.py", "riskguard/core/live/*.py"), ("tests/core/test_assess.py", "tests/core/live"),
    ),
}  # fmt: skip
