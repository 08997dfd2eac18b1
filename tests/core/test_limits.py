"""Limits: which concern an order, in what order they are asked, and one digest for one set."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace
from typing import Any

import pytest

from riskguard.core.checks import ALWAYS, CHECKS, MANDATORY, by_name
from riskguard.core.limits import Check, Limit, LimitSet, limit_from, live_check, unasked
from riskguard.core.scope import KINDS, Scope
from riskguard.core.state import Cause, TradingState
from riskguard.errors import RulebookError
from tests.core.builders import FUTURE, NOW, facts, limit, mandatory, option, order, order_of
from tests.core.tables import Row, table

SCOPES = table("""
    scope                     order            inside
    GLOBAL                    NSE_FNO 50001    yes
    GROUP:desk                NSE_FNO 50001    yes
    ACCOUNT:leader            NSE_FNO 50001    yes
    SEGMENT:NSE_FNO           NSE_FNO 50001    yes
    SEGMENT:NSE_EQ            NSE_FNO 50001    no
    STRATEGY:dip              NSE_FNO 50001    yes
    STRATEGY:di               NSE_FNO 50001    no
    UNDERLYING:NIFTY          NSE_FNO 50001    yes
    UNDERLYING:NIFTYNXT50     NSE_FNO 50001    no
    INSTRUMENT:NSE_FNO:50001  NSE_FNO 50001    yes
    INSTRUMENT:BSE_FNO:50001  NSE_FNO 50001    no
    INSTRUMENT:NSE_FNO:50002  NSE_FNO 50001    no
    UNDERLYING:NIFTY          NSE_EQ 1333      no
""")


@pytest.mark.parametrize("row", SCOPES, ids=str)
def test_a_limit_out_of_scope_is_not_asked(row: Row) -> None:
    """Each kind of scope holds what it names, whole names only."""
    segment, security_id = row.order.split()
    asked = order(exchange_segment=segment, security_id=security_id, strategy="dip")
    limits = LimitSet((limit("order_quantity", scope=row.scope, quantity_max=1, unit="units"),))
    plan = limits.plan(asked, "NIFTY" if segment == "NSE_FNO" else "")

    assert ("order_quantity" in [each.limit.check.name for each in plan.every]) is row.has("inside")


TEXTS = table("""
    text              parsed
    GLOBAL            yes
    GLOBAL:x          no
    GROUP:desk        yes
    GROUP             no
    ACCOUNT:          no
    INSTRUMENT:a:b    yes
    global            no
    DESK:x            no
    :x                no
""")


@pytest.mark.parametrize("row", TEXTS, ids=str)
def test_scopes_as_text(row: Row) -> None:
    """A kind that exists, and a name where it wants one; the text comes back the same."""
    if row.has("parsed"):
        assert str(Scope.parse(row.text)) == row.text
        assert Scope.parse(row.text).kind in KINDS
    else:
        with pytest.raises(ValueError) as refused:
            Scope.parse(row.text)
        assert str(refused.value) == (
            f"`{row.text}` is no scope; write one of GLOBAL, GROUP:…, ACCOUNT:…, SEGMENT:…, STRATEGY:…, UNDERLYING:…, "
            "INSTRUMENT:…"
        )


def test_the_limits_of_a_check_are_found_once() -> None:
    """Asked again they are the same; what is handed out is a list of one's own."""
    limits = LimitSet((limit("order_value", "a", order_value_inr_max="1"), limit("lot_size")))
    for _ in range(2):
        found = limits.of("order_value")
        assert [each.id for each in found] == ["a"] and limits.of("price_tick") == []
        found.clear()


def test_a_live_check_has_nothing_to_say_of_an_order() -> None:
    """It may stand in a plan by mistake; it would object to nothing."""
    asked = limit("cooldown", after="stop", pause_s=60).asked
    assert asked.run(facts(order()), asked.params) is None


def test_a_cause_in_one_line() -> None:
    """Who stopped what and why; what nobody said is not said, and who is not known is called so."""
    cause = Cause("ACCOUNT:leader", TradingState.HALTED, "MANUAL", "fat finger", "desk", NOW)
    assert cause.sentence() == "ACCOUNT:leader is HALTED (MANUAL by desk): fat finger"
    assert replace(cause, detail="", by="").sentence() == "ACCOUNT:leader is HALTED (MANUAL by unknown)"


def test_questions_stand_in_order_of_precedence() -> None:
    """Checks as declared, limits of one check by id; exits are asked only what applies to them."""
    names = [check.name for check in CHECKS]
    limits = [*mandatory(), limit("lot_size"), limit("price_tick"), limit("attempt_rate", attempts_max=9, per_s=1),
              limit("order_value", "a-first", order_value_inr_max="1")]  # fmt: skip
    random.Random(1).shuffle(limits)
    plan = LimitSet(tuple(limits)).plan(order(), "")

    asked = [(names.index(each.limit.check.name), each.limit.id) for each in plan.every]
    assert asked == sorted(asked)
    assert [each.limit.id for each in plan.every if each.limit.check.name == "order_value"] == [
        "a-first",
        "order_value",
    ]
    assert plan.exits == tuple(each for each in plan.every if each.limit.check.exits)
    assert {each.limit.check.name for each in plan.exits} == {
        "trading_state", "order_validity", "order_value", "unconfirmed_in_flight", "order_rate"
    }  # fmt: skip


def test_missing_mandatory_limits_are_named() -> None:
    """Every one of them, in order; what is built in is never missing; out of scope is missing."""
    assert LimitSet(()).plan(order(), "").missing == tuple(
        each for each in MANDATORY if each not in ("trading_state", "order_validity")
    )
    for name in MANDATORY:
        plan = LimitSet(tuple(mandatory(**{name: None}))).plan(order(), "")
        assert plan.missing == (() if name in ("trading_state", "order_validity") else (name,))
    elsewhere = mandatory(order_value=limit("order_value", scope="SEGMENT:NSE_FNO", order_value_inr_max="1"))
    limits = LimitSet(tuple(elsewhere))
    assert limits.plan(order(), "").missing == ("order_value",)
    assert limits.plan(order_of(FUTURE), "NIFTY").missing == ()


def test_state_and_validity_are_asked_whatever_the_limits_say() -> None:
    """Deleting, or shadowing, a row must not open a halted account."""
    assert [each.check.name for each in ALWAYS] == ["trading_state", "order_validity"]
    for limits in ((), (limit("trading_state", mode="shadow"), limit("order_validity", mode="shadow"))):
        plan = LimitSet(limits).plan(order(), "")
        enforced = [each.limit.check.name for each in plan.every if each.limit.mode == "enforce"]
        assert enforced[:2] == ["trading_state", "order_validity"]
    own = LimitSet((limit("trading_state", "own", hedge_premium_inr_max="5000"),)).plan(order(), "")
    assert [each.limit.id for each in own.every] == ["own", "built-in-order_validity"]


def test_a_plan_is_compiled_once_per_instrument_and_strategy() -> None:
    """The same object comes back; the cache is emptied, not grown, when it is full."""
    limits = LimitSet(tuple(mandatory()))
    plan = limits.plan(order(), "")

    assert limits.plan(order("SELL", 99, None), "") is plan
    assert limits.plan(order(strategy="dip"), "") is not plan
    for number in range(5_100):
        limits.plan(order(strategy=f"s{number}"), "")
    assert len(limits.plans) <= 5_000
    assert limits.plan(order(), "") == plan


def test_an_underlying_learnt_later_brings_its_limits() -> None:
    """The first order came before the instruments were imported."""
    limits = LimitSet((limit("order_quantity", scope="UNDERLYING:NIFTY", quantity_max=1, unit="units"),))
    asked = order_of(option())
    limits.plan(asked, "")

    assert "order_quantity" in [each.limit.check.name for each in limits.plan(asked, "NIFTY").every]


def test_the_digest_is_that_of_the_set() -> None:
    """Row order, wording, author and row numbers make no difference; anything that decides does."""
    limits = mandatory()
    digest = LimitSet(tuple(limits)).digest
    chance = random.Random(7)
    for _ in range(20):
        chance.shuffle(limits)
        assert LimitSet(tuple(limits)).digest == digest
    assert len(digest) == 64
    assert LimitSet(()).digest != digest
    assert LimitSet(tuple(limits)).plan(order(), "").digest == digest

    def with_value(**changes: Any) -> str:
        attributes = {
            "on_breach": "reject",
            "mode": "enforce",
            "plan": "cancel",
            "order_value_inr_max": "100000",
            **changes,
        }
        return LimitSet(tuple(mandatory(order_value=limit("order_value", **attributes)))).digest

    assert with_value() == with_value(order_value_inr_max=100000) == with_value(row_id=7)
    changes: list[dict[str, Any]] = [
        {"order_value_inr_max": "99999.99"}, {"id": "other"}, {"scope": "GLOBAL"}, {"on_breach": "kill"},
        {"mode": "shadow"}, {"plan": "flatten"},
    ]  # fmt: skip
    digests = [with_value(), *(with_value(**change) for change in changes)]
    assert len(set(digests)) == len(digests)


def test_a_limit_is_found_by_its_check() -> None:
    """`of` lists every limit of one check, in no particular scope."""
    limits = LimitSet(
        (limit("lot_size"), limit("order_quantity", quantity_max=1, unit="lots"), limit("lot_size", "two", "GLOBAL"))
    )

    assert [each.id for each in limits.of("lot_size")] == ["lot_size", "two"]
    assert limits.of("price_tick") == []


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("order_valeu", {}, "did you mean `order_value`"),
    ("", {}, "known:"),
    ("order_value", {"order_value_inr_mx": "1"}, "did you mean `order_value_inr_max`"),
    ("order_value", {}, "`order_value_inr_max` is missing"),
    ("order_value", {"order_value_inr_max": "0"}, "order_value_inr_max"),
    ("order_value", {"order_value_inr_max": 1.0}, "float"),
    ("order_value", {"order_value_inr_max": True}, "bool"),
    ("order_value", {"order_value_inr_max": "NaN"}, "order_value_inr_max"),
    ("order_quantity", {"quantity_max": "10", "unit": "units"}, "quantity_max"),
    ("order_quantity", {"quantity_max": 10, "unit": "shares"}, "unit"),
    ("data_freshness", {"snapshot_age_s_max": "60s"}, "snapshot_age_s_max"),
    ("data_freshness", {"snapshot_age_s_max": -1}, "snapshot_age_s_max"),
    ("lot_size", {"lots": 1}, "unknown key `lots`"),
]


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_a_malformed_limit_says_what_was_likely_meant(case: tuple[str, dict[str, Any], str]) -> None:
    """Unknown checks and keys, missing and meaningless values: one line each."""
    name, parameters, said = case
    with pytest.raises(RulebookError, match=said) as caught:
        limit_from(id="x", check=name, parameters=parameters, scope="GLOBAL")
    assert "\n" not in str(caught.value)


def test_no_check_is_looked_up_by_what_is_no_name() -> None:
    """Whatever a TOML file holds there."""
    not_names: list[Any] = [None, 1, ["order_value"], {}, 1.5]
    for name in not_names:
        with pytest.raises(RulebookError):
            by_name(name)
    assert [by_name(check.name) for check in CHECKS] == list(CHECKS)


def test_a_limit_does_not_change() -> None:
    """Neither it nor its parameters."""
    made: Limit = limit("order_quantity", quantity_max=1, unit="units")
    with pytest.raises(AttributeError):
        made.mode = "shadow"  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        made.params.quantity_max = 2  # type: ignore[attr-defined]


def recording(**rest: Any) -> Check:
    """A check whose question gives back what it was asked."""
    return replace(by_name("order_value"), run=lambda *given: given, **rest)  # type: ignore[arg-type, return-value]


def test_a_measure_that_adds_up_is_asked_with_its_scope() -> None:
    """Facts, parameters and the scope; one that does not is asked without, and one that gives its own question gives that."""
    scope = Scope("GROUP", "desk")

    def put(check: Check) -> Any:
        return check.question(scope, "params")("facts", "params")  # type: ignore[arg-type]

    assert put(recording()) == ("facts", "params")
    assert put(recording(scoped=True)) == ("facts", "params", scope)
    assert put(recording(over=lambda params, over: lambda *given: (over, *given))) == (scope, "facts", "params")
    assert put(recording(over=lambda params, over: None)) == ("facts", "params")


NEEDS = table("""
    check           scope            needs
    order_value     ACCOUNT:leader   -
    order_value     GROUP:desk       -
    order_value     GLOBAL           -
    order_value     STRATEGY:dip     -
    gross_exposure  ACCOUNT:leader   -
    gross_exposure  GROUP:desk       peers
    gross_exposure  GLOBAL           everybody,peers
    gross_exposure  STRATEGY:dip     attributed
""")
VALUES = {"order_value": {"order_value_inr_max": "5"}, "gross_exposure": {"gross_exposure_inr_max": "5"}}


@pytest.mark.parametrize("row", NEEDS, ids=str)
def test_what_the_store_must_have_ready(row: Row) -> None:
    """What the check says, and for what adds up over others the others, or whose fills were whose."""
    made = limit(row.check, scope=row.scope, **VALUES[row.check])
    more = set() if row.opt("needs") is None else set(row.needs.split(","))
    assert LimitSet((made,)).needs == set(made.check.needs) | more
    assert LimitSet((made, limit("risk_per_trade", risk_inr_max="5"))).needs >= set(made.check.needs) | more


def test_the_digest_is_made_of_this_text() -> None:
    """Sorted, without blanks, numbers as a rulebook writes them: a byte more would be another rulebook to the journal."""
    watched = limit(
        "order_value",
        "b",
        mode="shadow",
        acknowledged_by="asha",
        acknowledged_until="2026-12-31",
        order_value_inr_max="5.5",
    )
    plain = limit("unconfirmed_in_flight", "a", "GLOBAL", answer_s_max=5, on_breach="halt", plan="flatten")
    text = (
        '[["a","unconfirmed_in_flight",{"answer_s_max":"5.00"},"GLOBAL","halt","enforce","flatten"],'
        '["b","order_value",{"order_value_inr_max":"5.50"},"ACCOUNT:leader","reject","shadow","cancel","2026-12-31"]]'
    )
    paced = limit("order_rate", "c", windows=[{"reserve": 3, "per_s": 1, "messages_max": 10}])
    assert LimitSet((paced,)).canonical() == (
        '[["c","order_rate",{"windows":[{"messages_max":10,"per_s":"1.00","reserve":3}]},"ACCOUNT:leader","reject","enforce","cancel"]]'
    )
    twice = [limit("order_value", "d", order_value_inr_max=each) for each in ("6", "5")]
    assert LimitSet(tuple(twice)).digest == LimitSet(tuple(twice[::-1])).digest
    for limits in ((watched, plain), (plain, watched)):
        assert LimitSet(limits).canonical() == text
        assert LimitSet(limits).digest == hashlib.sha256(text.encode()).hexdigest()


WATCHING = table("""
    check          mode     on_breach  until       watches
    order_value    enforce  reject     -           no
    order_value    enforce  warn       -           yes
    order_value    shadow   reject     -           no
    order_value    shadow   warn       -           yes
    order_value    shadow   reject     2024-06-04  yes
    order_value    shadow   reject     2024-06-03  no
    order_value    enforce  warn       2024-06-03  no
    lot_size       enforce  reject     -           no
    lot_size       shadow   reject     -           yes
    lot_size       shadow   reject     2024-06-03  no
    trading_state  enforce  halt       -           no
    trading_state  shadow   reject     2024-06-03  yes
""")


@pytest.mark.parametrize("row", WATCHING, ids=str)
def test_which_limits_only_watch(row: Row) -> None:
    """Those that warn or stand in shadow, a mandatory one only under a name and until its day; the built-in ones stand beside."""
    made = limit(
        row.check, mode=row.mode, on_breach=row.on_breach, acknowledged_until=row.opt("until") or "",
        **VALUES.get(row.check, {}),
    )  # fmt: skip
    assert made.only_watches(NOW) == row.has("watches")
    assert (made.asked.scope, made.asked.limit, type(made.asked.params).__name__) == (
        "ACCOUNT:leader",
        made,
        "Parameters",
    )


def test_a_plan_asks_what_it_says_and_shares_it() -> None:
    """Its questions are those of any order and of exits; another strategy's plan with the same limits has the very same."""
    of = LimitSet(tuple(mandatory()))
    one, other = (of.plan(order(strategy=name), "HDFCBANK") for name in ("a", "b"))
    assert (one.of_any.asks, one.of_exits.asks) == (one.every, one.exits) and one.every != one.exits
    assert other is not one and other.of_any is one.of_any and other.of_exits is one.of_exits


def test_the_limits_of_a_check_are_looked_for_once() -> None:
    """What was found is kept; who changes the list he was given changes nothing."""
    of = LimitSet(tuple(mandatory()))
    first = of.of("order_value")
    assert [each.check.name for each in first] == ["order_value"] and of._of == {"order_value": tuple(first)}
    first.clear()
    assert len(of.of("order_value")) == 1
    of._of["order_value"] = ()
    assert of.of("order_value") == []


def test_what_only_warns_does_not_take_the_place_of_what_is_always_asked() -> None:
    """The built-in limit is asked beside it; one that enforces stands alone."""
    for on_breach, count in (("warn", 2), ("reject", 1)):
        plan = LimitSet((limit("order_validity", on_breach=on_breach),)).plan(order(), "HDFCBANK")
        assert [ask.limit.check.name for ask in plan.every].count("order_validity") == count


def test_plans_are_kept_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the number itself all are forgotten, with the questions they shared."""
    monkeypatch.setattr("riskguard.core.limits.PLANS_CACHED_MAX", 2)
    of = LimitSet(tuple(mandatory()))
    kept = []
    for name in ("a", "b", "c"):
        of.plan(order(strategy=name), "X")
        kept.append((len(of.plans), len(of._asked)))
    assert kept == [(1, 2), (2, 2), (1, 2)]


def test_what_only_the_sweep_asks_is_made_alike() -> None:
    """No question of an order, no exit held up, reduce-only over an account whole; what is said otherwise holds."""
    params, judge = by_name("order_value").params, print
    made = live_check("x", params, judge)
    assert made == Check(
        "x", params, unasked, exits=False, live=True, judge=judge, on_breach="reduce_only",
        scopes=("ACCOUNT", "GROUP", "GLOBAL"),
    )  # fmt: skip
    assert made.asks_orders is False and unasked(facts(order()), None) is None
    other = live_check("x", params, judge, on_breach="warn", scopes=("GROUP",), period="week")
    assert (other.on_breach, other.scopes, other.period) == ("warn", ("GROUP",), "week")
