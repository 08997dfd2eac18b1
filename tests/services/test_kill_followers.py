"""A leader is killed: what its followers still copy, and what is closed with it. A group is killed account by account."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from riskguard.brokers.paper import PaperBroker
from riskguard.core.copying import CopyRule
from riskguard.core.state import TradingState
from riskguard.services.kill import killswitch
from riskguard.services.kill.killrun import KillRunner
from riskguard.services.sweeps.sweeper import Sweeper
from riskguard.store.copy_rules import save_rule
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, Desk

FOLLOWER, ALONE = "follower", "alone"
ACCOUNTS = (ACCOUNT, FOLLOWER, ALONE)


@pytest.fixture
def family(make_desk: Callable[..., Desk]) -> Desk:
    """A leader, a follower that copies it one for one, and one that copies nobody; two of them in a group."""
    made = make_desk(accounts=ACCOUNTS)
    made.sql("UPDATE accounts SET group_name = 'family' WHERE account IN ('leader', 'follower')")
    with made.store.session() as session:
        rule = {
            "leader": ACCOUNT, "follower": FOLLOWER, "sizing": "fixed_ratio", "ratio": "1", "copy_delay_s": 5,
            "copy_slippage_pct": "5",
        }  # fmt: skip
        save_rule(session, CopyRule.model_validate(rule), made.clock.now_us())
    made.quote("100")
    for name in ACCOUNTS:
        Sweeper(made.guard, name, market(made, name)).sweep()
    return made


def market(desk: Desk, name: str) -> PaperBroker:
    found: dict[str, PaperBroker] = desk.__dict__.setdefault("_brokers", {})
    if name not in found:
        found[name] = desk.broker if name == ACCOUNT else desk.join_market(name)
    return found[name]


def option(desk: Desk, value: str) -> None:
    desk.configure("kill_followers", value)


def hold_each(desk: Desk, quantity: int) -> None:
    desk.quote("100")
    for name in ACCOUNTS:
        market(desk, name).place(_past(desk, name, quantity))
    for after_s in (2, 6):
        desk.clock.advance(after_s)
        desk.quote("100")
        for name in ACCOUNTS:
            Sweeper(desk.guard, name, market(desk, name)).sweep()


def _past(desk: Desk, name: str, quantity: int):  # type: ignore[no-untyped-def]
    from tests.services.desk import Past

    order = desk.order("BUY", quantity, "100", account=name)
    return Past(order, f"app-{order.client_order_id}")


def carry_on(desk: Desk, rounds: int = 25) -> None:
    runners = [KillRunner(desk.guard, name, market(desk, name)) for name in ACCOUNTS]
    for _ in range(rounds):
        desk.clock.advance(2)
        desk.quote("100")
        for runner in runners:
            runner.advance()


def held(desk: Desk) -> dict[str, int]:
    return {name: sum(each.net for each in market(desk, name).positions()) for name in ACCOUNTS}


OPTIONS = table("""
    option          plan     leader  follower
    stop_copy       flatten  0       10
    mirror_flatten  flatten  0       0
    mirror_flatten  cancel   10      10
    ignore          flatten  0       10
""")


@pytest.mark.parametrize("row", OPTIONS, ids=str)
def test_what_a_leaders_kill_closes_at_its_followers(family: Desk, row: Row) -> None:
    """Only `mirror_flatten` closes, only where the leader's plan does, and nobody but the leader is halted."""
    option(family, row.option)
    hold_each(family, 10)
    family.kill(plan=row.plan)
    carry_on(family)

    assert held(family) == {ACCOUNT: row.number("leader"), FOLLOWER: row.number("follower"), ALONE: 10}
    assert family.guard.state(ACCOUNT).state is TradingState.HALTED
    assert family.guard.state(FOLLOWER).state is TradingState.ACTIVE
    tasks = family.rows("SELECT account, cause, halts, state FROM kill_runs WHERE halts = 0")
    mirrored = row.option == "mirror_flatten" and row.plan == "flatten"
    assert tasks == ([(FOLLOWER, "LEADER_KILLED", 0, "DONE")] if mirrored else [])


COPIES = table("""
    option          entry  exit
    stop_copy       no     yes
    mirror_flatten  no     yes
    ignore          yes    yes
""")


@pytest.mark.parametrize("row", COPIES, ids=str)
def test_what_followers_still_copy(family: Desk, row: Row) -> None:
    """Entries of a stopped leader are not copied, unless the option ignores its stop; its exits always are."""
    from riskguard.services.orders.copying import LeaderFill

    option(family, row.option)
    hold_each(family, 10)
    family.kill(plan="halt")
    now_us = family.clock.now_us()
    family.quote("100")
    filled = {"account": ACCOUNT, "exchange_segment": "NSE_EQ", "product": "INTRADAY", "price": "100", "at_us": now_us}
    entry = family.guard.check_copies(LeaderFill(order_id="e1", security_id="2885", side="BUY", quantity=5, **filled))  # type: ignore[arg-type]
    leaving = family.guard.check_copies(
        LeaderFill(order_id="x1", security_id="1333", side="SELL", quantity=4, **filled)
    )  # type: ignore[arg-type]

    assert (FOLLOWER in entry.followers) == row.has("entry")
    assert all(decision.approved for decision in leaving.followers[FOLLOWER]) == row.has("exit")


def test_a_group_is_killed_account_by_account(family: Desk) -> None:
    """One kill each, with an id, a flag and a run of its own; who is not in the group trades on."""
    outcomes = killswitch.engage_group(family.store, "family", by="asha", reason="enough", clock=family.clock)

    assert sorted(each.scope for each in outcomes) == ["ACCOUNT:follower", "ACCOUNT:leader"]
    assert len({each.kill_id for each in outcomes}) == 2
    assert all(each.exit_status == killswitch.HALTED for each in outcomes)
    states = {name: family.guard.state(name).state for name in ACCOUNTS}
    assert states == {
        ACCOUNT: TradingState.HALTED, FOLLOWER: TradingState.HALTED, ALONE: TradingState.ACTIVE,
    }  # fmt: skip
    carry_on(family, 6)
    assert sorted(family.rows("SELECT account, scope, state FROM kill_runs")) == [
        (FOLLOWER, "ACCOUNT:follower", "DONE"), (ACCOUNT, "ACCOUNT:leader", "DONE"),
    ]  # fmt: skip


@pytest.mark.parametrize("group", ["famly", "", "family' OR '1'='1"])
def test_a_group_nobody_knows_halts_everything(family: Desk, group: str) -> None:
    """A misspelt name must not leave the right one trading."""
    (outcome,) = killswitch.engage_group(family.store, group, by="asha", clock=family.clock)

    assert outcome.scope == "GLOBAL"
    assert {family.guard.state(name).state for name in ACCOUNTS} == {TradingState.HALTED}
