"""Tasks: runs that follow a breach and halt nobody. Once per account, scope, cause and session; closed is what was named."""

from __future__ import annotations

import pytest

from riskguard.core.state import TradingState
from riskguard.errors import InputError
from riskguard.services.kill import tasks
from riskguard.services.kill.killrun import KillRunner
from riskguard.store import kills
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, CALL, FUTURE, Desk
from tests.services.killing import drive, hold, net_of, quote_all, rest


def ask(desk: Desk, scope: str, plan: str = "flatten", cause: str = "STOP_MISSING") -> bool:
    with desk.store.session() as session:
        session.read_heads(ACCOUNT)
        return tasks.request(
            session, ACCOUNT, scope=scope, plan=plan, cause=cause, reason="a test", now_us=desk.clock.now_us(),
            limit_id="stop-required",
        )  # fmt: skip


def follow(desk: Desk) -> None:
    run = drive(
        desk, KillRunner(desk.guard, ACCOUNT, desk.broker), s_max=40, move=lambda: quote_all(desk),
        until=lambda run: run.state == "DONE",
    )  # fmt: skip
    assert run.state == "DONE", run.detail


def full(desk: Desk) -> None:
    """A share intraday and for delivery, a future carried in and a call of today."""
    hold(desk, "future^+25")
    desk.clock.advance(86_400)
    quote_all(desk)
    for word in ("share+10", "share+4:CNC", "call-25"):
        hold(desk, word)
    desk.sweep()
    desk.sweep(6)
    quote_all(desk)


CLOSED = table("""
    scope                     plan     left
    INSTRUMENT:NSE_EQ:1333    flatten  1333:CNC 35001:MARGIN 50001:MARGIN
    INSTRUMENT:NSE_FNO:35001  flatten  1333:CNC 1333:INTRADAY 50001:MARGIN
    PRODUCT:INTRADAY          flatten  1333:CNC 35001:MARGIN 50001:MARGIN
    PRODUCT:MARGIN            flatten  1333:CNC 1333:INTRADAY
    PRODUCT:CNC               flatten  1333:INTRADAY 35001:MARGIN 50001:MARGIN
    ACCOUNT:leader            flatten  1333:CNC 35001:MARGIN
    ACCOUNT:leader            cancel   1333:CNC 1333:INTRADAY 35001:MARGIN 50001:MARGIN
""")


@pytest.mark.parametrize("row", CLOSED, ids=str)
def test_a_task_closes_what_it_names_and_halts_nobody(desk: Desk, row: Row) -> None:
    """Delivery only where the product is named; what was carried in only where the line or the product is."""
    full(desk)
    assert ask(desk, row.scope, row.plan)
    follow(desk)

    assert set(net_of(desk)) == set(row.left.split())
    assert desk.guard.state(ACCOUNT).state is TradingState.ACTIVE
    assert desk.rows("SELECT halts, limit_id, watch_until_us FROM kill_runs") == [(0, "stop-required", None)]


def test_it_cancels_only_in_its_scope(desk: Desk) -> None:
    """Orders of another instrument, and permits of strategies, are nobody's business here."""
    quote_all(desk)
    rest(desk, "buy10@90")
    other = desk.past(desk.order_of(FUTURE, "BUY", 25, "90", product="MARGIN"))
    kept = desk.guard.check(desk.order_of(CALL, "BUY", 25, "9", product="MARGIN"))
    assert ask(desk, "INSTRUMENT:NSE_EQ:1333", "cancel")
    KillRunner(desk.guard, ACCOUNT, desk.broker).advance()

    assert [order.order_id for order in desk.broker.orders() if order.is_live] == [other]
    assert desk.permit(str(kept.client_order_id)) == "GRANTED"


def test_once_per_scope_cause_and_session(desk: Desk) -> None:
    """Asked again it is False, also when it is done; another cause, scope or day is another task."""
    assert ask(desk, "PRODUCT:INTRADAY")
    assert not ask(desk, "PRODUCT:INTRADAY")
    assert not ask(desk, "PRODUCT:INTRADAY", "cancel")
    assert ask(desk, "PRODUCT:INTRADAY", cause="SQUARE_OFF")
    assert ask(desk, "PRODUCT:MARGIN")
    follow(desk)
    assert not ask(desk, "PRODUCT:INTRADAY")
    desk.clock.advance(86_400)
    assert ask(desk, "PRODUCT:INTRADAY")


def test_it_is_no_kill_to_release(desk: Desk) -> None:
    """What asks for standing kills of a scope finds kills alone."""
    assert ask(desk, f"ACCOUNT:{ACCOUNT}", "cancel")
    with desk.store.session() as session:
        assert session.rows(kills.KILLS_OF_SCOPE, scope=f"ACCOUNT:{ACCOUNT}") == []
        (run,) = kills.open_kill_runs(session, ACCOUNT)
    assert not run.halts


WRONG = table("""
    scope              plan
    ACCOUNT:follower   cancel
    GLOBAL             cancel
    STRATEGY:x         cancel
    PRODUCT:GOLD       flatten
    INSTRUMENT:NSE_EQ  flatten
    INSTRUMENT::1333   flatten
    ACCOUNT:leader     broker
    ACCOUNT:leader     halt
""")


@pytest.mark.parametrize("row", WRONG, ids=str)
def test_what_names_nothing_is_refused(desk: Desk, row: Row) -> None:
    with pytest.raises(InputError, match="task"):
        ask(desk, row.scope, row.plan)
    assert desk.one("SELECT count(*) FROM kill_runs") == 0
