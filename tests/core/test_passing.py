"""
The lines that say when a check surely has no objection: never laxer than the check, and worth having.

A line too lax would let an order out. So each is held against its check over the oracle's cases, whole decisions are made
both ways, and each comparison of each line is widened in its turn to see that this is noticed.
"""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from riskguard.core.checks import CHECKS
from riskguard.core.decide import Decision, judge
from riskguard.core.facts import Facts, canonical
from riskguard.core.limits import Check, Limit, Plan
from riskguard.core.passing import JOINED_AFTER, Questions, joined, line_of, source
from riskguard.core.scope import Scope
from tests.core.oracle.case import Case
from tests.core.oracle.cases import case, with_check
from tests.core.oracle.mutants import noticed_at

CASES = 400
CASES_MAX = 6_000
UNIT = 10_000
"""One rupee, or one unit of a position."""
WITH_LINES = tuple(check for check in CHECKS if check.passes)
SURE_PCT_MIN = 75
"""Of the orders that add risk and a check passes, so many its line knows at once; for fewer it would not be worth it."""


def facts_of(made: Case) -> Facts:
    return Facts.of(made.order, made.account, made.now_us, made.by, made.modifying, made.lowering)


def plan_of(made: Case) -> Plan:
    instrument = made.instrument
    return made.account.limits.plan(
        made.order, "" if instrument is None else instrument.underlying or instrument.symbol
    )


def answer(decision: Decision) -> bytes:
    """Everything a decision says, and everything it read."""
    assert decision.facts is not None
    return canonical([decision.as_dict(), [each.kept() for each in decision.rejects], decision.facts.recorded()])


def joined_at_once(plan: Plan) -> Plan:
    made = {name: Questions(getattr(plan, name).asks) for name in ("of_any", "of_exits")}
    for questions in made.values():
        questions.doubts_of = joined(questions.asks)
    return replace(plan, **made)


def test_one_by_one_and_joined_give_the_same_answer_and_read_the_same_facts() -> None:
    """The bytes the journal would keep are equal, whichever way the questions were put; and both answers occur."""
    seen: Counter[bool] = Counter()
    for number in range(CASES):
        made = case(number)
        plan = plan_of(made)
        one_by_one, at_once = judge(facts_of(made), plan), judge(facts_of(made), joined_at_once(plan))
        assert answer(one_by_one) == answer(at_once), number
        seen[at_once.approved] += 1

    assert min(seen[True], seen[False]) > CASES // 20, seen


def test_replayed_facts_get_the_same_answer_joined() -> None:
    """What was recorded one by one is enough for the joined questions, years later: they read nothing more."""
    for number in range(CASES // 5):
        made = case(number)
        plan, facts = plan_of(made), facts_of(made)
        first = judge(facts, plan)
        again = judge(Facts.replayed(made.order, facts.recorded()), joined_at_once(plan))
        assert first.as_dict() | {"adjusted_to": None} == again.as_dict() | {"adjusted_to": None}, number


def test_no_line_is_laxer_than_its_check_and_each_knows_the_usual_case() -> None:
    """Whenever a line is sure, its check passes; and of what the check passes, the line is sure of most."""
    passed: Counter[str] = Counter()
    sure: Counter[str] = Counter()
    for number in range(CASES):
        made = case(number)
        facts, asks = facts_of(made), plan_of(made).of_any.asks
        with_line = [place for place, ask in enumerate(asks) if line_of(ask)]
        passes = [ask.run(facts, ask.params) is None for ask in asks]
        doubts = joined(asks)(facts_of(made))
        for place in with_line:
            name, is_sure = asks[place].limit.check.name, place not in doubts
            assert passes[place] or not is_sure, (number, name)
            if passes[place] and not facts.reducing:
                passed[name] += 1
                sure[name] += is_sure
    few = {name: f"{sure[name]} of {passed[name]}" for name in passed if sure[name] * 100 < SURE_PCT_MIN * passed[name]}

    assert set(passed) == {check.name for check in WITH_LINES}
    assert not few


class Wider(ast.NodeTransformer):
    """Make ordering comparison number *which* of a line hold for *step* more."""

    def __init__(self, which: int, step: int) -> None:
        self.which, self.step, self.seen = which, step, 0

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        for number, operator in enumerate(node.ops):
            if isinstance(operator, ast.Lt | ast.LtE | ast.Gt | ast.GtE):
                if self.seen == self.which:
                    way = ast.Add() if isinstance(operator, ast.Lt | ast.LtE) else ast.Sub()
                    node.comparators[number] = ast.BinOp(node.comparators[number], way, ast.Constant(self.step))
                self.seen += 1
        return node


def wider(check: Check, which: int, step: int) -> Check:
    def passes(params: Any) -> str:
        line = check.passes if isinstance(check.passes, str) else check.passes(params)
        if not line:
            return ""
        tree = Wider(which, step).visit(ast.parse(line, mode="eval"))
        return ast.unparse(ast.fix_missing_locations(tree))

    return replace(check, passes=passes)


WIDER = [
    ("data_freshness", 1, 1), ("sweep_heartbeat", 0, 1), ("daily_loss", 0, 1), ("order_value", 0, UNIT),
    ("order_value", 1, 1_000 * UNIT), ("net_position", 1, UNIT), ("unconfirmed_in_flight", 0, 1),
    ("repeated_execution", 0, 1), ("repeated_execution", 1, 1), ("order_rate", 0, 1),
]  # fmt: skip
"""
Check, which of its line's ordering comparisons, and by how much it is made to hold for more: the least there is
(of the exchange's ceiling, which few instruments have, a quarter).

Left out: `0 <=` of data_freshness, since the check itself allows for clocks that differ a little; and which side an order
has, which is +1 or −1.
"""


@pytest.mark.parametrize(("name", "which", "step"), WIDER)
def test_a_line_that_is_too_lax_is_noticed(name: str, which: int, step: int) -> None:
    """The negative control: with one comparison holding for one more, some order gets another answer."""
    lax = wider(next(check for check in CHECKS if check.name == name), which, step)

    def differs(number: int) -> bool:
        made = with_check(case(number, checks=(name,)), lax)
        plan = plan_of(made)
        return answer(judge(facts_of(made), plan)) != answer(judge(facts_of(made), joined_at_once(plan)))

    assert noticed_at(differs, CASES_MAX) is not None


@pytest.mark.parametrize("name", ["trading_state", "order_validity"])
def test_a_line_that_is_always_sure_is_noticed(name: str) -> None:
    """The same for the two whose lines compare no numbers."""
    lax = replace(next(check for check in CHECKS if check.name == name), passes="True")

    def differs(number: int) -> bool:
        made = with_check(case(number, checks=(name,)), lax)
        plan = joined_at_once(plan_of(made))
        return any(
            ask.limit.check is lax and ask.run(facts_of(made), ask.params) is not None for ask in plan.of_any.asks
        )

    assert noticed_at(differs, CASES_MAX) is not None


def test_questions_are_joined_once_they_are_asked_often() -> None:
    """The first orders are put to them one by one; from then on the function is asked, and says the same."""
    made = case(0)
    questions, facts = Questions(plan_of(made).of_any.asks), facts_of(made)
    every = tuple(range(len(questions.asks)))
    for _ in range(JOINED_AFTER):
        assert questions.doubts_of(facts) == every

    together = joined(questions.asks)
    assert questions.doubts_of(facts) == together(facts) != every
    assert together.__code__.co_filename == "<the limits of an account>", "what a traceback through it names"
    assert source(questions.asks).count("doubts += ") == len(every)


def test_a_limit_is_written_as_python_writes_it() -> None:
    """Numbers, words and None go in as literals, so that no text of a limit is read as code; anything else is refused."""
    check = next(check for check in CHECKS if check.name == "unconfirmed_in_flight")
    limit = Limit(
        "x", replace(check, passes="params.answer_s_max is None"), check.params(answer_s_max=5), Scope("GLOBAL")
    )
    object.__setattr__(limit.asked.params, "answer_s_max", "') or (True")
    assert line_of(limit.asked) == '("\') or (True") is None'

    object.__setattr__(limit.asked.params, "answer_s_max", [1])
    with pytest.raises(TypeError, match="cannot stand in a line"):
        line_of(limit.asked)
