"""The live checks as a whole: each is registered, documented, releasable, and none is asked of an order."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import riskguard.core.live
from riskguard.core.assess import assess
from riskguard.core.checks import ALWAYS, CHECKS, EVERY, LIVE_CHECKS, MANDATORY, by_name
from riskguard.core.limits import PERIODS, PLANS, LimitSet, limit_from
from riskguard.core.live.view import View
from riskguard.core.pnl import DayPnl
from riskguard.core.release import FAMILY_OF
from riskguard.core.rulebook import parse
from riskguard.errors import RulebookError
from riskguard.locate import folder, rulebook_text
from tests.core.builders import NOW, account, line, mandatory, order

PAGE = (folder("rules").parent / "docs" / "live-checks.md").read_text(encoding="utf-8")
SOURCES = Path(riskguard.core.live.__file__).parent


def test_each_check_is_one_file_and_stands_in_the_table() -> None:
    """Named by its file; one row, or a part of one, in docs/live-checks.md."""
    names = {check.name for check in LIVE_CHECKS}
    rows = {
        word for row in re.findall(r"^\| (`[^|]+) \|", PAGE, flags=re.MULTILINE) for word in re.findall(r"`(\w+)`", row)
    }

    assert rows == names
    assert names <= {path.stem for path in SOURCES.glob("*.py")}
    assert len(names) == len(LIVE_CHECKS) == 26 and len(EVERY) == len(CHECKS) + 25


def test_every_code_a_live_check_finds_is_explained() -> None:
    """Each code in the sources stands in the page; the losses by their common ending."""
    found = {code for path in SOURCES.glob("*.py") for code in re.findall(r'Finding\(\s*"([A-Z_]+)"', path.read_text())}

    assert len(found) > 20
    assert [code for code in sorted(found) if f"`{code}`" not in PAGE] == []


def test_every_cause_has_a_way_out() -> None:
    """A release knows what each needs; what is not listed would be taken for somebody's own kill."""
    assert [check.name for check in LIVE_CHECKS if check.name.upper() not in FAMILY_OF] == []


def test_what_each_declares_is_a_word_that_exists() -> None:
    for check in LIVE_CHECKS:
        assert check.judge is not None and check.live
        assert check.period in PERIODS and check.plan in PLANS
    assert [check.name for check in LIVE_CHECKS if check.mandatory] == ["daily_loss", "reconciliation"]


def test_an_order_is_not_asked_about_them() -> None:
    """They are in no plan and cost an order nothing; a mandatory one must only be there."""
    limits = [*mandatory(), *(each for each in parse(rulebook_text("sebi-algo"), account="leader").limits)]
    asked = {ask.limit.check.name for ask in LimitSet(tuple(limits)).plan(order(), "").every}
    assert asked <= {check.name for check in CHECKS}

    without = LimitSet(tuple(mandatory(reconciliation=None))).plan(order(), "")
    assert without.missing == ("reconciliation",)
    assert {each.check.name for each in ALWAYS} <= set(MANDATORY)


SCOPES = [
    ("group_loss", "ACCOUNT:leader", False), ("group_loss", "GROUP:desk", True), ("weekly_loss", "STRATEGY:dip", False),
    ("weekly_loss", "GLOBAL", True), ("position_loss", "STRATEGY:dip", False), ("position_loss", "UNDERLYING:NIFTY", True),
    ("loss_streak", "STRATEGY:dip", True), ("reconciliation", "SEGMENT:NSE_EQ", False),
]  # fmt: skip
GIVEN: dict[str, dict[str, Any]] = {
    "group_loss": {"group_loss_inr_max": "1", "warn_at_pct": [50], "at_once_pct": 150},
    "weekly_loss": {"loss_inr_max": "1", "warn_at_pct": [50], "at_once_pct": 150},
    "position_loss": {"position_loss_inr_max": "1", "at_once_pct": 150},
    "loss_streak": {"losses_max": 1, "pause_s": 1},
    "reconciliation": {"reads_max": 1, "halt_after_s": 1},
}


@pytest.mark.parametrize(("check", "scope", "taken"), SCOPES)
def test_what_cannot_be_measured_over_a_scope_is_refused(check: str, scope: str, taken: bool) -> None:
    """A limit that stands there and can never fire is worse than none."""
    if taken:
        assert str(limit_from(id="x", check=check, parameters=GIVEN[check], scope=scope).scope) == scope
        return
    with pytest.raises(RulebookError, match="cannot be measured over"):
        limit_from(id="x", check=check, parameters=GIVEN[check], scope=scope)


def test_nothing_known_is_no_breach() -> None:
    """Every limit of every shipped rulebook, judged by a view in which nothing but a position is known."""
    for path in folder("rules").glob("*.toml"):
        limits = parse(path.read_text(encoding="utf-8"), account="leader").limits
        of = account(line(10), limits=LimitSet(limits))
        memories: dict[str, Any] = {}
        for at_s in range(0, 4, 2):
            made = assess(View(of, NOW + at_s * 1_000_000, DayPnl(None, 0, False, "nobody knows")), memories, NOW)
            memories = dict(made.memories)
            assert (made.broken, [each.finding.code for each in made.actions]) == ([], [])


def test_the_default_action_is_the_checks_own() -> None:
    """What a rulebook leaves unsaid: the breach and the plan of the check, not those of an order."""
    text = rulebook_text("intraday-equity")
    (limit,) = [each for each in parse(text, account="leader").limits if each.check.name == "position_loss"]

    assert (limit.on_breach, limit.plan) == ("reduce_only", "flatten")
    assert by_name("position_loss").plan == "flatten" and by_name("daily_loss").plan == "cancel"
