"""The kill itself, step by step: HALT, CANCEL, FLATTEN, VERIFY, BROKER LOCK, WATCH, and a release that must be refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from riskguard.brokers.dhan.orders import parts_of
from riskguard.brokers.dhan.sandbox import Scenario
from riskguard.brokers.dhan.sandbox.desk import Desk
from riskguard.core.account import Account
from riskguard.core.order import Order
from riskguard.core.reject import RejectCode
from riskguard.errors import ReleaseRefusedError, RiskGuardError
from riskguard.services.drill.blockers import blockers
from riskguard.services.drill.book import DrillBook
from riskguard.services.drill.outcome import WRITES as WRITE_KINDS
from riskguard.services.drill.outcome import Outcome, Step, budget_s, costs_of, counted, slices_of
from riskguard.services.drill.stage import BY, WAIT_S, DrillClock, Stage, staged
from riskguard.services.kill import killswitch
from riskguard.services.kill.killrun import STEPS_OF, KillRunner
from riskguard.services.kill.killrun.covering import covered
from riskguard.services.kill.killrun.judging import judge
from riskguard.services.kill.killrun.lock import ALONE
from riskguard.store import kills, loader
from riskguard.store.kills import KillRun

PLANS: Final = ("flatten", "cancel", "broker")
REASON: Final = "a drill"
QUICK_S, SLOW_S = 0.5, 2.0
QUICK_FOR_S: Final = 20.0
GIVEN_UP_S: Final = 300.0
"""A kill that is not done after five minutes is not done: its deadline is fifteen."""
BLOCKED_FOR_S: Final = 30.0
"""BLOCKED is looked at again for so long: a refusal may have lost its reason."""
WATCH_S: Final = 11.0
HELD_S: Final = 120.0
"""Longer than a manual kill is held: what refuses the release then is the broker that cannot be read."""
NAMES: Final = {"LOCK": "BROKER LOCK"}

Release = Callable[..., Any]
"""`admin.release`: handed in, for this room may not know that one."""


def rehearse(
    book: DrillBook, directory: Path, *, plan: str, release: Release, source: str, scenario: Scenario | None = None,
    tell: Callable[[str], None] = lambda _line: None, clock: DrillClock | None = None,
) -> Outcome:  # fmt: skip
    """
    Kill the copied account in *directory*, inside `own_home`, and return what came of it.

    Raises RiskGuardError where the stage could not be set up; what fails after the kill is a step that did not pass.
    """
    clock = clock or DrillClock()
    asked_us = clock.now_us()
    with staged(book, directory, clock, scenario=scenario) as stage:
        outcome = Outcome(book.account, plan, source)
        before = _account(stage)
        outcome.would_block = blockers(book, before, plan, asked_us)
        goal = _goal(stage, before)
        fills = len(stage.server.desk.exchange.fills)
        calls = len(stage.server.calls)
        killed_us = stage.clock.now_us()

        def note(name: str, passed: bool, said: str, at_us: int | None) -> None:
            took_s = None if at_us is None else round((at_us - killed_us) / 1_000_000, 1)
            outcome.steps.append(Step(name, passed, said, took_s))
            tell(f"{'pass' if passed else 'FAIL'}  {name}: {said}")

        _halt(stage, plan, note)
        run, left_us, flat_us = _carried_out(stage, goal, killed_us)
        sent = stage.server.calls[calls:]
        exits = stage.server.desk.exchange.fills[fills:]
        _judge_steps(stage, run, plan, left_us, flat_us, note)
        outcome.messages, outcome.slices = counted(sent), slices_of(sent)
        outcome.refused = _refusals(stage, run)
        outcome.budget_s = budget_s(before, sum(outcome.messages.get(kind, 0) for kind in WRITE_KINDS))
        outcome.flat_s = None if flat_us is None else round((flat_us - killed_us) / 1_000_000, 1)
        done_us = left_us.get("DONE")
        outcome.proven_s = None if done_us is None else round((done_us - killed_us) / 1_000_000, 1)
        date = dt.date.fromisoformat(loader.session_date(killed_us))
        outcome.costs = costs_of(book, stage.server.desk.exchange.fills[:fills], exits, date)
        outcome.ends = (
            f"{run.state} at {run.step}" + (f" ({run.blocked_by})" if run.blocked_by else "") + f": {run.detail}"
        )
        _watched(stage, run, note)
        _released(stage, release, note)
        return outcome


Note = Callable[[str, bool, str, int | None], None]


def _account(stage: Stage) -> Account:
    with stage.guard.store.session(durable=False, wait_s=WAIT_S) as session:
        session.read_heads(stage.book.account)
        found = loader.load(session, stage.book.account, "", stage.clock.now_us()).account
        for key in found.positions:
            row = session.row(loader.INSTRUMENT, exchange_segment=key[0], security_id=key[1])
            if row is not None and key in stage.book.instruments:
                found.instruments[key] = stage.book.instruments[key]
        stage.guard.store.roll_back(session)
    return found


def _halt(stage: Stage, plan: str, note: Note) -> None:
    """The latch stands, and what adds risk is refused for it."""
    name = stage.book.account
    outcome = killswitch.engage(stage.guard.store, name, by=BY, reason=REASON, plan=plan, clock=stage.clock)
    decision = stage.guard.check(
        Order(
            account=name, client_order_id="drill-adds-risk", exchange_segment="NSE_EQ", security_id="1333", side="BUY",
            product="CNC", order_type="LIMIT", quantity=1, price="1600",
        )
    )  # fmt: skip
    halted = any(each.code is RejectCode.TRADING_HALTED for each in decision.rejects)
    passed = outcome.exit_status == killswitch.HALTED and halted and not decision.approved
    said = f"{len(outcome.flags)} flags on disk, the row written, an order that adds risk is refused"
    note(
        "HALT",
        passed,
        said if passed else f"{outcome.report()}; a new order: {decision.explain()}",
        stage.clock.now_us(),
    )


class Goal(NamedTuple):
    """What is to be gone: orders that may add risk, and the lines the plan covers, as they stood at the kill."""

    adding: tuple[str, ...]
    lines: tuple[tuple[str, str, str], ...]


def _goal(stage: Stage, before: Account) -> Goal:
    adding = judge(stage.broker.orders(), before).adding
    return Goal(
        tuple(each.order_id for each in adding),
        tuple((*each.key, each.line.product) for each in _covered(stage, before)),
    )


def _carried_out(stage: Stage, goal: Goal, killed_us: int) -> tuple[KillRun, dict[str, int], int | None]:
    """Advance the run to its end; returns it, when each step was left, and when the account was first really flat."""
    runner = KillRunner(stage.guard, stage.book.account, stage.broker, stage.heard)
    left_us: dict[str, int] = {}
    flat_us: int | None = None
    blocked_us: int | None = None
    run: KillRun | None = None
    at = ""
    while True:
        standing = runner.advance()
        now_us = stage.clock.now_us()
        run = next((each for each in standing if each.halts), run)
        assert run is not None  # `engage` wrote it in the transaction that halted
        if at and run.step != at:
            left_us[at] = now_us
        at = run.step
        if flat_us is None and _is_flat(stage, run, goal):
            flat_us = now_us
        if run.state == "DONE":
            left_us["DONE"] = now_us
            break
        blocked_us = (blocked_us or now_us) if run.state == "BLOCKED" else None
        if (blocked_us and now_us - blocked_us > BLOCKED_FOR_S * 1e6) or now_us - killed_us > GIVEN_UP_S * 1e6:
            break
        stage.pass_s(QUICK_S if now_us - killed_us < QUICK_FOR_S * 1e6 else SLOW_S)
    return run, left_us, flat_us


def _is_flat(stage: Stage, run: KillRun, goal: Goal) -> bool:
    """Ask the market itself, not its lagging lists: is what the plan covers closed, and what added risk gone?"""
    if any(_is_live(stage.server.desk, order_id) for order_id in goal.adding):
        return False
    nets = _nets(stage)
    return "FLATTEN" not in STEPS_OF[run.kill_plan] or not any(nets.get(line) for line in goal.lines)


def _nets(stage: Stage) -> dict[tuple[str, str, str], int]:
    return {(row.segment, row.security_id, row.product): row.net for row in stage.server.desk.positions(lagging=False)}


def _is_live(desk: Desk, order_id: str) -> bool:
    kind, number, leg = parts_of(order_id)
    if kind == "forever":
        return desk.forevers[number].status == "CONFIRM"
    if kind == "alert":
        return desk.alerts[number].status == "ACTIVE"
    if kind == "super" and leg != "ENTRY_LEG":
        found = (each for each in desk.exchange.orders.values() if number in (each.order_id, each.parent))
        return any(each.is_live for each in found if each.leg == leg)
    return desk.exchange.orders[number].is_live


def _covered(stage: Stage, account: Account) -> list[Any]:
    products = frozenset(each.strip() for each in stage.book.settings.flatten_products.split(",") if each.strip())
    return covered(account, "", products)


def _judge_steps(
    stage: Stage, run: KillRun, plan: str, left_us: dict[str, int], flat_us: int | None, note: Note
) -> None:
    """Each step by what the market and the run say, not by what was asked."""
    steps = STEPS_OF[plan]
    reached = len(steps) if run.state == "DONE" else steps.index(run.step) if run.step in steps else 0
    why = f"{run.blocked_by or run.state}: {run.detail}"
    account = _account(stage)
    adding = judge(stage.broker.orders(), account).adding
    nets = _nets(stage)
    still = [each.target for each in _covered(stage, account) if nets.get((*each.key, each.line.product))]
    for number, step in enumerate(steps):
        passed, said = number < reached, why
        if step == "CANCEL":
            passed = passed and not adding
            said = "nothing that adds risk rests" if passed else f"{len(adding)} orders still may add risk; {why}"
        elif step == "FLATTEN":
            passed = passed and not still
            said = "what the plan covers is flat" if passed else f"open: {', '.join(still[:5]) or 'not reached'}; {why}"
        elif step == "VERIFY" and passed:
            said = "read twice, at least 2 s apart"
        elif step == "LOCK":
            passed = passed and bool(run.locked) and stage.server.desk.kill_on
            said = "the broker's switch reads as on" if passed else (run.detail if ALONE in run.detail else why)
        note(NAMES.get(step, step), passed, said, left_us.get(step) or left_us.get("DONE"))


def _refusals(stage: Stage, run: KillRun) -> int:
    """Count writes of the run the server answered with "too many"."""
    with stage.guard.store.session(durable=False, wait_s=WAIT_S) as session:
        steps = kills.steps_of(session, run.id)
        stage.guard.store.roll_back(session)
    return sum("DH-904" in each.detail for each in steps)


def _watched(stage: Stage, run: KillRun, note: Note) -> None:
    """Somebody places an order past riskguard, from the broker's app: the kill must run again, and take it."""
    if run.state != "DONE":
        note("WATCH", False, "the kill never ended, so nothing is watched", None)
        return
    desk = stage.server.desk
    order = desk.order(
        segment="NSE_EQ", security_id="1333", side="BUY", product="CNC", order_type="LIMIT", quantity=1, price_e4=500
    )
    order.status = "PENDING"
    desk.exchange.orders[order.order_id] = order
    began_us = stage.clock.now_us()
    runner = KillRunner(stage.guard, stage.book.account, stage.broker, stage.heard)
    again: KillRun | None = None
    while stage.clock.now_us() - began_us < 60_000_000:
        stage.pass_s(WATCH_S if again is None else 1.0)
        again = next((each for each in runner.advance() if each.halts), again)
        if again is not None and again.state == "DONE" and not order.is_live:
            break
    passed = order.status == "CANCELLED" and again is not None and again.reruns > run.reruns
    said = "an order placed in the broker's app was seen and cancelled"
    note("WATCH", passed, said if passed else f"an order placed past riskguard is {order.status}", stage.clock.now_us())


def _released(stage: Stage, release: Release, note: Note) -> None:
    """With a token that is dead nobody can say how the account stands: a release must be refused, and for that."""
    stage.pass_s(HELD_S)
    stage.look()
    stage.server.expire_token()
    try:
        locks = {stage.book.account: stage.broker}
        release(stage.guard.store, stage.book.account, by=BY, reason=REASON, locks=locks, clock=stage.clock)
    except ReleaseRefusedError as e:
        note("RELEASE", True, f"refused while the broker cannot be read: {e}", stage.clock.now_us())
    except RiskGuardError as e:
        note("RELEASE", False, f"neither refused nor done: {e}", stage.clock.now_us())
    else:
        note("RELEASE", False, "it was released although the broker cannot be read", stage.clock.now_us())
