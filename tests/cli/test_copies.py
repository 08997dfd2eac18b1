"""`riskguard copies`: kept once per follower, shown, refused in one line when it means nothing."""

from __future__ import annotations

import json

import pytest

from tests.cli.shell import Shell


@pytest.fixture
def family(shell: Shell) -> Shell:
    """A leader and a follower."""
    assert shell("init", "--account", "follower", "--role", "follower").status == 0
    return shell


def test_a_rule_is_kept_and_replaced(family: Shell) -> None:
    """One rule per follower: the second replaces the first; both views say so."""
    for words in (["--sizing", "fixed_ratio", "--ratio", "0.5"], ["--sizing", "risk_based", "--risk-inr", "500"]):
        assert family("copies", "set", "leader", "follower", *words).status == 0

    (rule,) = json.loads(family("copies", "show", "--json").out)
    assert (rule["leader"], rule["follower"], rule["sizing"], rule["risk_inr"]) == (
        "leader", "follower", "risk_based", "500.00",
    )  # fmt: skip
    assert "risk_based" in family("copies", "show").out


WRONG = {
    "ratio": ["leader", "follower", "--sizing", "fixed_ratio"],
    "`ratio` = 0": ["leader", "follower", "--sizing", "fixed_ratio", "--ratio", "0"],
    "copy itself": ["leader", "leader", "--sizing", "capital_proportional"],
    "no account `nobody`": ["leader", "nobody", "--sizing", "capital_proportional"],
    "copy_delay_s": ["leader", "follower", "--sizing", "capital_proportional", "--copy-delay-s", "soon"],
}


@pytest.mark.parametrize("said", WRONG)
def test_nonsense_is_one_line_and_keeps_nothing(family: Shell, said: str) -> None:
    """Exit status 2, one line that names what is wrong, no rule."""
    got = family("copies", "set", *WRONG[said])

    assert got.status == 2
    assert said in got.err and len(got.err.strip().splitlines()) == 1
    assert json.loads(family("copies", "show", "--json").out) == []
