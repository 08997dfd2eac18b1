"""
Rulebooks against the database: what applying one changes, that it is applied whole or not at all, and by whom.

What is refused in the text itself is `tests/core/test_rulebook.py`.
"""

from __future__ import annotations

import copy as copying
import hashlib
import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from riskguard import admin
from riskguard.core.rulebook import parse
from riskguard.errors import RulebookError, UnknownAccountError
from riskguard.services.limits import rulebooks
from riskguard.store import controls, journal
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, LIMITS, Desk, rulebook

VALUE = 'check = "order_value"\norder_value_inr_max = "{}"'


def apply(desk: Desk, text: str, **how: Any) -> list[tuple[str, str]]:
    """Apply a rulebook with a second approver, so that it counts at once; returns what changed, what stayed left out."""
    given = {"account": ACCOUNT, "by": "asha", "approver": "meera", "clock": desk.clock, **how}
    found = admin.apply_rulebook(desk.store, text, **given)
    return [(change.kind, change.limit_id) for change in found if change.kind != "keep"]


def plan(desk: Desk, text: str) -> list[tuple[str, str]]:
    found = rulebooks.plan(desk.store, ACCOUNT, parse(text, account=ACCOUNT), desk.clock.now_us())
    return [(change.kind, change.limit_id) for change in found if change.kind != "keep"]


def digest(desk: Desk) -> str:
    with desk.store.session() as session:
        found = controls.limits(session, ACCOUNT, "").digest
        desk.store.roll_back(session)
    return found


# -- plan and apply -------------------------------------------------------------------------------------------------

CHANGES = table("""
    limit           before                                                     after                                                      kind
    order_value     order_value order_value_inr_max="1000"                     order_value order_value_inr_max="1000"                     keep
    order_value     order_value order_value_inr_max="1000"                     order_value order_value_inr_max="999.99"                   tighten
    order_value     order_value order_value_inr_max="1000"                     order_value order_value_inr_max="1000.01"                  loosen
    net_position    net_position position_max="50" unit="units"                net_position position_max="50" unit="lots"                 loosen
    net_position    net_position position_max="50" unit="units"                net_position position_max="49" unit="units"                tighten
    daily_loss      daily_loss daily_loss_inr_max="5000" warn_at_pct=[50] reduce_only_at_pct=80 at_once_pct=150  daily_loss daily_loss_inr_max="5000" warn_at_pct=[50] reduce_only_at_pct=79 at_once_pct=150  tighten
    daily_loss      daily_loss daily_loss_inr_max="5000" warn_at_pct=[50] reduce_only_at_pct=80 at_once_pct=150  daily_loss daily_loss_inr_max="5000" warn_at_pct=[50] reduce_only_at_pct=80 at_once_pct=151  loosen
    daily_loss      daily_loss daily_loss_inr_max="5000" warn_at_pct=[50] reduce_only_at_pct=80 at_once_pct=150  daily_loss daily_loss_inr_max="5000" daily_loss_pct_max=2 warn_at_pct=[50] reduce_only_at_pct=80 at_once_pct=150  tighten
    daily_loss      daily_loss daily_loss_inr_max="5000" warn_at_pct=[50] reduce_only_at_pct=80 at_once_pct=150 on_breach="kill"  daily_loss daily_loss_inr_max="5000" warn_at_pct=[50] reduce_only_at_pct=80 at_once_pct=150 on_breach="halt"  loosen
    duplicate_order  duplicate_order within_s=2                                 duplicate_order within_s=3                                 tighten
    duplicate_order  duplicate_order within_s=2                                 duplicate_order within_s=1                                 loosen
    order_quantity  order_quantity quantity_max=5 unit="lots"                  order_quantity quantity_max=5 unit="lots" mode="shadow"    loosen
    order_quantity  order_quantity quantity_max=5 unit="lots" mode="shadow"    order_quantity quantity_max=5 unit="lots"                  tighten
    order_quantity  order_quantity quantity_max=5 unit="lots"                  order_quantity quantity_max=5 unit="lots" scope="SEGMENT:NSE_EQ"  loosen
    order_quantity  -                                                          order_quantity quantity_max=5 unit="lots"                  add
    order_quantity  order_quantity quantity_max=5 unit="lots"                  -                                                          retire
    order_rate      order_rate windows=[{messages_max=10,reserve=3,per_s=1}]   order_rate windows=[{messages_max=9,reserve=3,per_s=1}]    tighten
    order_rate      order_rate windows=[{messages_max=10,reserve=3,per_s=1}]   order_rate windows=[{messages_max=9,reserve=2,per_s=1}]    loosen
    order_rate      order_rate windows=[{messages_max=10,reserve=3,per_s=1}]   order_rate windows=[{messages_max=10,reserve=3,per_s=1},{messages_max=99,reserve=3,per_s=60}]  loosen
""")  # noqa: E501


def limit_text(cell: str) -> str | None:
    if cell == "-":
        return None
    check, *settings = cell.split(" ")
    return "\n".join([f'check = "{check}"', *(each.replace("=", " = ", 1) for each in settings)])


@pytest.mark.parametrize("row", CHANGES, ids=lambda row: f"{row.kind} {row.after[:60]}")
def test_what_applying_changes(make_desk: Callable[..., Desk], row: Row) -> None:
    """Only what provably tightens counts as tightening; the plan says it and writes nothing, apply does it."""
    desk = make_desk(text=rulebook(**{row.limit: limit_text(row.before)}))
    after = rulebook(**{row.limit: limit_text(row.after)})
    expected = [] if row.kind == "keep" else [(row.kind, row.limit.replace("_", "-"))]
    before, rows = digest(desk), desk.rows("SELECT * FROM traders_control")

    assert plan(desk, after) == expected
    assert (digest(desk), desk.rows("SELECT * FROM traders_control")) == (before, rows)
    assert apply(desk, after) == expected
    assert (digest(desk) == before) == (row.kind == "keep")
    assert plan(desk, after) == []


def test_applying_counts_at_the_next_check_of_every_guard(desk: Desk) -> None:
    """Tightened and loosened again, by another process."""
    other = desk.another_guard()
    for ceiling, approved in (("999", False), ("1000", True), ("500", False), ("2000", True)):
        apply(desk, rulebook(order_value=VALUE.format(ceiling)))
        for guard in (desk.guard, other):
            assert guard.check(desk.order(quantity=10, price="100")).approved == approved


def test_a_limit_is_superseded_not_rewritten(desk: Desk) -> None:
    """Every number that ever held stays in the table, with who set it, why, and the digest of its rulebook."""
    first, second = (rulebook(order_value=VALUE.format(each)) for each in ("1000", "900"))
    apply(desk, first)
    apply(desk, second, by="ravi")
    rows = desk.rows(
        "SELECT order_value_limit, is_active, activated_by, rulebook_digest, reason FROM traders_control "
        "WHERE limit_id = 'order-value' ORDER BY id"
    )

    assert [row[:3] for row in rows] == [(100_000_000.0, 0, "init"), (1000.0, 0, "asha"), (900.0, 1, "ravi")]
    assert [row[3] for row in rows[1:]] == [hashlib.sha256(each.encode()).hexdigest() for each in (first, second)]
    assert {row[4] for row in rows} == {"a test"}


def test_every_apply_is_journaled(desk: Desk) -> None:
    """Who, with which digest, and each field with its old and new value; the act is closed behind it."""
    apply(desk, rulebook(order_value=VALUE.format("1000")), reason="smaller book")
    body = desk.one("SELECT body FROM decisions WHERE kind = 'APPLY' ORDER BY sequence DESC LIMIT 1")

    assert '"by":"asha"' in body and '"reason":"smaller book"' in body
    assert '["order_value_inr_max","100000000.00","1000.00"]' in body
    assert desk.rows("SELECT count(*) FROM control_actions WHERE is_open = 1") == [(0,)]
    assert desk.one("SELECT sequence FROM control_actions ORDER BY id DESC LIMIT 1") is not None
    with desk.store.session() as session:
        assert journal.verify(session, ACCOUNT)[1] is None


def test_a_rulebook_is_applied_whole_or_not_at_all(desk: Desk) -> None:
    """The last limit is malformed: nothing of the good ones before it counts, and nothing is journaled."""
    before = digest(desk), desk.rows("SELECT count(*) FROM decisions")
    text = rulebook(order_value=VALUE.format("1"), order_rate='check = "order_rate"\nwindows = []')
    with pytest.raises(RulebookError, match="order-rate"):
        apply(desk, text)

    assert (digest(desk), desk.rows("SELECT count(*) FROM decisions")) == before


def test_an_interrupted_apply_leaves_what_stood(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half-way through its rows the process is stopped: the old limits hold, the act is not open."""
    before, written = digest(desk), []
    plain = controls.write_limit

    def dies(*args: Any) -> int:
        written.append(1)
        if len(written) == 2:
            raise KeyboardInterrupt
        return plain(*args)

    monkeypatch.setattr(controls, "write_limit", dies)
    with pytest.raises(KeyboardInterrupt):
        apply(
            desk,
            rulebook(
                order_value=VALUE.format("1"), net_position='check = "net_position"\nposition_max = "1"\nunit = "lots"'
            ),
        )

    assert digest(desk) == before
    assert desk.rows("SELECT count(*) FROM control_actions WHERE is_open = 1") == [(0,)]


def test_an_unknown_account_has_no_limits(desk: Desk) -> None:
    for act in (
        lambda: apply(desk, rulebook(), account="laeder"),
        lambda: rulebooks.plan(desk.store, "laeder", parse(rulebook(), account="laeder"), desk.clock.now_us()),
    ):
        with pytest.raises(UnknownAccountError):
            act()


def test_a_rulebook_of_another_account_is_not_applied(desk: Desk) -> None:
    text = rulebook(order_value=VALUE.format("1000") + '\nscope = "ACCOUNT:follower"')
    with pytest.raises(RulebookError, match="follower"):
        apply(desk, text)


def test_without_a_mandatory_limit_nothing_that_adds_risk_passes(desk: Desk) -> None:
    """Retiring one is possible, silence is not: the refusal names what is missing, and exits still pass."""
    desk.hold(10)
    for name in (
        "order-value",
        "order-rate",
        "daily-loss",
        "unconfirmed-in-flight",
        "repeated-execution",
        "data-freshness",
        "sweep-heartbeat",
    ):
        apply(desk, rulebook(**{name.replace("-", "_"): None}))
        decision = desk.guard.check(desk.order())
        assert [each.code.value for each in decision.rejects] == ["LIMITS_NOT_CONFIGURED"]
        assert name.replace("-", "_") in decision.rejects[0].detail
        assert desk.guard.check(desk.order("SELL", 1)).approved
    apply(desk, rulebook())
    assert desk.guard.check(desk.order(strategy="again")).approved


def test_the_latch_and_validity_cannot_be_retired(desk: Desk) -> None:
    """Both are asked of every order, whatever the rulebook says."""
    apply(desk, rulebook(trading_state=None, order_validity=None))
    assert desk.guard.check(desk.order()).approved
    assert desk.guard.check(desk.order(security_id="404")).rejects[0].code.value == "INSTRUMENT_UNKNOWN"
    desk.kill()
    assert [each.code.value for each in desk.guard.check(desk.order()).rejects] == ["TRADING_HALTED"]


# -- every key, one at a time ----------------------------------------------------------------------------------------

WRONG: tuple[Any, ...] = (
    "",
    "abc",
    "-1",
    "0",
    "nan",
    "inf",
    "1e400",
    0,
    -1,
    True,
    10**40,
    [],
    {},
    float("nan"),
    float("inf"),
    -0.0,
)


def toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return "[" + ", ".join(toml(each) for each in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + "}"
    return repr(value)


def written(book: dict[str, Any]) -> str:
    lines = ['rulebook = "wide"']
    for limit in book["limit"]:
        lines += ["[[limit]]", *(f"{key} = {toml(value)}" for key, value in limit.items())]
    return "\n".join(lines)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value inside *value*."""
    found = [path] if path else []
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        found += places(each, (*path, key))
    return found


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_every_key_mutated_is_refused_or_no_looser(desk: Desk, name: str) -> None:
    """
    One value at a time is taken away, misspelt or made nonsense, and the book applied to a real database: either it is
    refused and nothing changed, or what stands is at least as tight. Never is it read as "unlimited".
    """
    whole = tomllib.loads(rulebook())
    number = next(place for place, limit in enumerate(whole["limit"]) if limit["id"] == name)
    apply(desk, rulebook())
    standing, tried = digest(desk), 0
    for path in places(whole["limit"][number]):
        for wrong in ("(gone)", "(misspelt)", *WRONG):
            book = copying.deepcopy(whole)
            inside: Any = book["limit"][number]
            for key in path[:-1]:
                inside = inside[key]
            value = inside[path[-1]]
            if wrong == "(gone)":
                del inside[path[-1]]
            elif wrong == "(misspelt)":
                if not isinstance(inside, dict):
                    continue
                inside[f"{path[-1]}s"] = inside.pop(path[-1])
            else:
                inside[path[-1]] = wrong
            tried += 1
            try:
                text = written(book)
                kinds = {kind for kind, limit_id in plan(desk, text) if limit_id == name}
            except RulebookError:
                continue
            # What is let through: words for people, another id, an action or plan by its default, a tier less, and a
            # reserve of 0, which is a number a desk may mean; the plan calls it a loosening.
            harmless = path[0] in ("why", "source", "id") or (path[0], wrong) == ("warn_at_pct", [])
            defaulted = path[0] in ("on_breach", "plan") and wrong == "(gone)"
            fewer_tiers = path[0] == "warn_at_pct" and wrong == "(gone)"
            no_reserve = path[-1] == "reserve" and wrong == 0 and kinds == {"loosen"}
            assert harmless or defaulted or fewer_tiers or no_reserve or kinds <= {"tighten"}, (
                path,
                value,
                wrong,
                kinds,
            )

    assert tried > 30 and digest(desk) == standing
