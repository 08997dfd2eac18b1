"""
What holds of `decide` whatever the account, the order and the limits: each test is a theorem over generated cases.

The cases are those of the oracle (`tests/core/oracle/cases.py`): a failure names the number that makes it again. Where
a theorem could hold because nothing it speaks of ever happened, the test counts that it did.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import permutations
from random import Random
from typing import Any

import pytest
from pydantic import BaseModel

from riskguard.core.account import Account, TimeLog, signature
from riskguard.core.basket import decide_basket
from riskguard.core.book import Line, Working
from riskguard.core.checks import CHECKS, MANDATORY
from riskguard.core.decide import Decision, decide, judge
from riskguard.core.exposure import underlying_of
from riskguard.core.facts import Facts, canonical
from riskguard.core.limits import Limit, LimitSet
from riskguard.core.money import PRICE_MAX_E4, to_text
from riskguard.core.order import QUANTITY_MAX, Order
from riskguard.core.reject import PRECEDENCE
from tests.core.oracle import prices
from tests.core.oracle.answer import answer, decided, holds
from tests.core.oracle.case import Case
from tests.core.oracle.cases import FIGURES, PlainLimitSet, case
from tests.core.oracle.rules import RULES
from tests.core.test_decide_properties import LOTS, SIZED

CASES = 1_000
EVERY_CHECK = tuple(FIGURES)


def cases(count: int = CASES, checks: tuple[str, ...] | None = None) -> Iterator[Case]:
    for number in range(count):
        yield case(number, checks=checks)


def kept(decision: Decision) -> tuple[Any, ...]:
    """All a decision says, as data."""
    said = [[each.kept() for each in which] for which in (decision.rejects, decision.shadow_rejects)]
    return decision.approved, decision.direction, decision.cancel_first, *said


def under(made: Case, limits: tuple[Limit, ...]) -> Decision:
    """Put the case to `decide` under other limits."""
    made.account.limits = PlainLimitSet(limits)
    return decided(made)


# -- what an answer is ----------------------------------------------------------------------------------------------


def test_default_deny() -> None:
    """Without limits, or with one mandatory limit missing, nothing that adds risk is approved."""
    missed: Counter[str] = Counter()
    for made in cases():
        limits = made.account.limits.limits
        bare = under(made, ())
        codes = {each.code for each in bare.rejects}
        assert bare.direction == "REDUCING" or "LIMITS_NOT_CONFIGURED" in codes, made.number
        name = MANDATORY[made.number % len(MANDATORY)]
        without = under(made, tuple(each for each in limits if each.check.name != name))
        if without.direction == "REDUCING" or name in ("trading_state", "order_validity"):
            continue  # exits need no limits, and these two are asked whatever the limits say
        assert not without.approved, (made.number, name)
        missed[name] += 1
    assert len(missed) == len(MANDATORY) - 2


def test_any_reject_refuses() -> None:
    """Approved exactly when nothing enforced objects; every limit speaks for itself, and none is outvoted."""
    refused = 0
    for made in cases():
        limits = made.account.limits.limits
        whole = decided(made)
        places = [PRECEDENCE[each.code] for each in whole.rejects]
        assert whole.approved is not bool(whole.rejects) and places == sorted(places), made.number
        alone = set()
        for limit in limits:
            said = under(made, (limit,))
            alone |= {(each.limit_id, each.code) for each in said.rejects if each.limit_id == limit.id}
        of_limits = {each.id for each in limits}
        together = {(each.limit_id, each.code) for each in whole.rejects if each.limit_id in of_limits}
        assert alone == together, made.number
        refused += bool(alone)
    assert refused > CASES // 4


def test_decide_is_total() -> None:
    """Nothing raises, no check breaks, and every answer can be written down: at the ends of every number, too."""
    rng = Random(1)
    for made in cases():
        asked, end = made.order, to_text(rng.choice((1, PRICE_MAX_E4)))
        for changes in (
            {},
            {"quantity": QUANTITY_MAX, "disclosed_quantity": 0},
            {"quantity": 1, "disclosed_quantity": 0},
            {"order_type": "LIMIT", "price": end, "trigger_price": None, "stop_loss": None},
            {"security_id": "nobody-knows"},
            {"exchange_segment": "IDX_I"},
        ):
            made.order = asked.replaced(**changes)
            decision = decided(made)
            said = {each.code for each in (*decision.rejects, *decision.shadow_rejects)}
            assert "CHECK_BROKEN" not in said, made.number
            json.dumps(decision.as_dict(), allow_nan=False)
    blank = Account("leader", "2024-06-04")
    assert not decide(case(1).order, blank, 0).approved


def test_replay_is_identical() -> None:
    """Facts written as canonical bytes and read back give the same answer, and the same bytes."""
    for made in cases():
        decision = decided(made)
        facts = decision.facts
        assert facts is not None
        record = canonical(facts.recorded())
        restored = Facts.replayed(made.order.replaced(quote=None), json.loads(record))
        instrument = made.instrument
        underlying = "" if instrument is None else underlying_of(instrument)
        plan = LimitSet(made.account.limits.limits).plan(made.order, underlying)
        again = judge(restored, plan)
        assert kept(again) == kept(decision), made.number
        assert again.adjusted_to == decision.adjusted_to
        assert canonical(restored.recorded()) == record


def frozen(value: object) -> object:
    """Everything a value holds, in words; limits and calendar keep memos of their own and are left to themselves."""
    if isinstance(value, TimeLog):
        return value.stamps_us[:]
    if isinstance(value, Account):
        names = [each.name for each in fields(value) if each.name not in ("limits", "calendar")]
        return [(name, frozen(getattr(value, name))) for name in names]
    if isinstance(value, dict):
        return [(key, frozen(each)) for key, each in value.items()]
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return [frozen(each) for each in value]
    return repr(value)


def test_decide_does_not_change_the_account() -> None:
    """Asking twice is asking once: nothing of the account or its peers has moved, not even the order of its rows."""
    for made in cases():
        before = frozen(made.account)
        first = kept(decided(made))
        assert frozen(made.account) == before, made.number
        assert kept(decided(made)) == first
    made = next(each for each in cases() if each.account.positions)
    before = frozen(made.account)
    line = next(iter(next(iter(made.account.positions.values())).values()))
    line.filled += 1
    assert frozen(made.account) != before  # the control: a unit more is noticed


# -- what limits do to an answer ------------------------------------------------------------------------------------


def test_order_of_limits_does_not_matter() -> None:
    """Shuffled limits give the same decision, refusals in the same order."""
    rng = Random(1)
    for made in cases():
        limits = list(made.account.limits.limits)
        before = kept(decided(made))
        rng.shuffle(limits)
        assert kept(under(made, tuple(limits))) == before, made.number


def test_shadow_never_changes_the_answer() -> None:
    """Any limits in shadow beside the others: the same answer, and what they would have refused is said apart."""
    watched = 0
    optional = tuple(check.name for check in CHECKS if not check.mandatory)
    for made in cases(400):
        limits = made.account.limits.limits
        more = [replace(each, id=f"shadow {each.id}", mode="shadow", acknowledged_until="") for each in limits]
        more += [
            replace(each, id=f"shadow {each.id}", mode="shadow", acknowledged_until="")
            for each in case(made.number, checks=optional).account.limits.limits
        ]
        shadows = tuple(each for each in more if not each.check.mandatory)
        before = decided(made)
        after = under(made, (*limits, *shadows))
        assert kept(after)[:4] == kept(before)[:4], made.number
        added = {each.limit_id for each in after.shadow_rejects} - {each.limit_id for each in before.shadow_rejects}
        assert added <= {each.id for each in shadows}
        watched += bool(added)
    assert watched > 100


def test_scope_out_is_as_if_absent() -> None:
    """A limit whose scope does not hold the order could as well not be there."""
    left_out = 0
    for made in cases():
        limits = made.account.limits.limits
        inside = tuple(each for each in limits if holds(each.scope, made))
        left_out += len(inside) < len(limits)
        before = kept(decided(made))
        assert kept(under(made, inside)) == before, made.number
    assert left_out > CASES // 20


def test_reducing_is_never_refused_by_an_exempt_check() -> None:
    """Of an exit only the checks that apply to exits speak, whatever limits are in force."""
    exits = 0
    for made in cases(checks=EVERY_CHECK):
        decision = decided(made)
        if decision.direction != "REDUCING":
            continue
        exits += 1
        said = {each.check for each in (*decision.rejects, *decision.shadow_rejects)}
        assert all(RULES[name][1] != "exempt" for name in said), (made.number, said)
        assert all(RULES[each.check][1] == "applies" for each in decision.rejects), made.number
    assert exits > CASES // 10


# -- what numbers do to an answer -----------------------------------------------------------------------------------

TIGHTER_UP = {
    "scenario_pct", "buffer_pct", "short_margin_pct", "square_off_tail_s", "reserve", "per_s", "within_s", "open",
}  # fmt: skip
"""Parameters that refuse more when they grow. All others refuse more when they shrink."""
NOT_OF_AN_ORDER = {"warn_at_pct", "reduce_only_at_pct", "at_once_pct"}
"""Read by the sweep alone."""


def tightened(params: BaseModel, rng: Random) -> Iterator[tuple[str, BaseModel]]:
    """Every number in *params* by its name, with the parameters in which it alone is tighter."""
    for name in type(params).model_fields:
        value = getattr(params, name)
        if name in NOT_OF_AN_ORDER:
            continue
        if type(value) is int:
            if name in TIGHTER_UP:
                other = rng.choice((value + 1, value + 2, value * 2, value * 10))
            else:
                other = max(1, rng.choice((value - 1, value - 1, value // 2, value // 10, 1)))
            if (other > value) is (name in TIGHTER_UP) and other != value:
                yield name, params.model_copy(update={name: other})
        elif isinstance(value, BaseModel):
            for inner, changed in tightened(value, rng):
                yield inner, params.model_copy(update={name: changed})
        elif isinstance(value, list):
            for place, each in enumerate(value):
                if isinstance(each, BaseModel):
                    for inner, changed in tightened(each, rng):
                        yield inner, params.model_copy(update={name: [*value[:place], changed, *value[place + 1 :]]})


NUMBERED = [
    name
    for name, figures in FIGURES.items()
    if any(
        True
        for place in range(len(figures))
        for _ in tightened(next(c for c in CHECKS if c.name == name).params.read(figures[place], where=name), Random(1))
    )
]


@pytest.mark.parametrize("name", NUMBERED)
def test_tightening_never_turns_a_refusal_into_an_approval(name: str) -> None:
    """Whatever number of a limit is made tighter, what it refused stays refused; and some of what passed does not."""
    rng = Random(1)
    kept_out: Counter[str] = Counter()
    newly_out: Counter[str] = Counter()
    named: set[str] = set()
    count = 5_000 if name == "trading_state" else 700  # few orders are hedges in an account that only reduces
    for made in cases(count, checks=(name,)):
        facts = Facts.of(made.order, made.account, made.now_us, made.by, made.modifying, made.lowering)
        for limit in made.account.limits.limits:
            before = limit.check.question(limit.scope, limit.params)(facts, limit.params)
            for number, params in tightened(limit.params, rng):
                if number == "exempt_band_pct_max":  # the nearer band counts at least as many orders
                    counts, old = made.account.day_orders, limit.params.exempt_band_pct_max  # type: ignore[attr-defined]
                    near: int = params.exempt_band_pct_max  # type: ignore[attr-defined]
                    counts[near] = max(counts.get(near, 0), counts[old] + rng.choice((0, 1)))
                    facts.memo.pop(f"day:{near}", None)
                after = limit.check.question(limit.scope, params)(facts, params)  # type: ignore[arg-type]
                assert before is None or after is not None, (made.number, limit.id, number, limit.params, params)
                named.add(number)
                kept_out[number] += before is not None
                newly_out[number] += before is None and after is not None
    assert named and all(kept_out[each] and newly_out[each] for each in named), (kept_out, newly_out)


@pytest.mark.parametrize("name", sorted(SIZED))
def test_max_quantity_passes_and_one_lot_more_does_not(name: str) -> None:
    """The quantity a refusal names passes the limit that named it; a lot more does not. None and 0 promise nothing."""
    named = 0
    for made in cases(700, checks=(name,)):
        by_id = {each.id: each for each in made.account.limits.limits}
        decision = decided(made)
        for reject in (*decision.rejects, *decision.shadow_rejects):
            if reject.limit_id not in by_id or reject.check != name or not reject.max_quantity:
                continue
            named += 1
            bound = by_id[reject.limit_id]
            asks = bound.check.question(bound.scope, bound.params)
            lot = 1 if made.instrument is None else made.instrument.lot_size

            def asked(quantity: int) -> Facts:
                order = made.order.replaced(quantity=quantity, disclosed_quantity=0)  # noqa: B023 -- asked at once
                return Facts.of(order, made.account, made.now_us, made.by, made.modifying, made.lowering)  # noqa: B023

            assert asks(asked(reject.max_quantity), bound.params) is None, (made.number, reject)
            above = asked(reject.max_quantity + lot)
            if name in LOTS and above.reducing is (decision.direction == "REDUCING"):  # else it is judged as an exit
                assert asks(above, bound.params) is not None, (made.number, reject)
    assert named > 5


# -- several orders -------------------------------------------------------------------------------------------------


def let_work(account: Account, order: Order, key: str, risk_e4: int | None, reducing: bool = False) -> None:
    """Let *order* work in the book as an approved one does."""
    line = account.positions.setdefault(order.instrument, {}).setdefault(
        order.product, Line(order.product, seen=0 if account.position_seen_us is not None else None)
    )
    line.working[key] = Working(
        key, order.sign, order.quantity, reducing, exit_group=order.exit_group, price_e4=order.price_e4,
        trigger_price_e4=order.trigger_price_e4, risk_price_e4=risk_e4, strategy=order.strategy, covers=order.sign > 0,
    )  # fmt: skip
    line.refresh()
    account.granted += 1
    account.same[signature(order)] = 0


def test_permuting_independent_orders_keeps_the_total() -> None:
    """Three orders that work leave the same room for a fourth, in whatever order they were let out."""
    refused = 0
    for number in range(150):
        found = []
        others = [case(number * 7 + each + 1) for each in range(3)]
        for arranged in permutations(range(3)):
            made = case(number, checks=EVERY_CHECK)
            for each in arranged:
                let_work(made.account, others[each].order, f"p{each}", prices.risk(others[each]))
            decision = decided(made)
            refused += any(each.measured_raw is not None for each in decision.rejects)
            # `cancel_first` and what cannot be valued are named in the order they came: the figures must agree.
            said = [(each.limit_id, each.code, each.measured_raw, each.max_quantity) for each in decision.rejects]
            found.append((decision.direction, sorted(decision.cancel_first), said))
        assert all(each == found[0] for each in found), number
    assert refused > 300


def plain_case(number: int) -> Case:
    """A case of new orders alone, with nobody behind them."""
    made = case(number)
    made.by, made.modifying, made.lowering = "", "", False
    return made


def basket_passes(number: int, legs: list[Order]) -> bool:
    """Ask the oracle, leg by leg, each on a book in which the earlier ones work."""
    made = plain_case(number)
    for place, leg in enumerate(legs):
        made.order = leg
        found = answer(made, made.account.limits.limits)
        if not found.approved:
            return False
        let_work(made.account, leg, f"leg {place}", prices.risk(made), found.direction == "REDUCING")
        made.account.same[signature(leg)] = made.now_us
    return True


def test_a_basket_is_approved_only_if_every_prefix_is() -> None:
    """
    What is proposed passes leg by leg, and so does each part of it from the start; what is refused passes in no order.

    Both are asked of the oracle, which knows nothing of baskets.
    """
    passed = refused = arranged = 0
    for number in range(700):
        made = plain_case(number)
        legs = [made.order]
        for each in range(number % 2 + 1):
            other = case(number * 3 + each + 1).order
            legs.append(other.replaced(client_order_id=f"l{each}", strategy=made.order.strategy))
        decisions = decide_basket(legs, made.account, made.now_us)
        whole = all(each.approved for each in decisions)
        if any(each.adjusted_to is not None for each in decisions):
            continue  # the book then holds the mended exit, which the oracle does not mend
        if whole:
            sent = [each.order for each in decisions]
            assert all(basket_passes(number, sent[: end + 1]) for end in range(len(sent))), number
            assert sorted(map(repr, sent)) == sorted(map(repr, legs))
            passed, arranged = passed + 1, arranged + (sent != legs)
        else:
            assert not any(basket_passes(number, list(each)) for each in permutations(legs)), number
            assert not any(each.approved for each in decisions)
            refused += 1
    assert passed > 20 and refused > 200 and arranged
