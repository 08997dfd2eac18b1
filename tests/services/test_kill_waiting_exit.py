"""
An exit that was approved and not sent before a kill cannot be sent after it: it holds no room that the kill run needs for a
stop that comes back, or a person for theirs. One a person stands behind still goes, and keeps its room.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from riskguard.core.state import TradingState
from riskguard.store import permits
from tests.services.desk import Desk
from tests.services.killing import Judge, net_of


def as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Void only what adds risk: the exit stays reserved until it expires."""
    monkeypatch.setitem(permits.VOIDS, (TradingState.HALTED, False), permits.VOIDS[TradingState.REDUCE_ONLY, False])


def killed(desk: Desk, plan: str) -> list[str]:
    """
    Long 5 behind a stop of 15 nobody may change, an exit of 5 waits to be sent, and a kill.

    Returns what was ever wrong at the broker.
    """
    desk.sweep()
    desk.quote("100")
    desk.hold(15)
    desk.place(desk.order("SELL", 15, "89", order_type="STOP_LOSS", trigger_price="90"))
    desk.past(desk.order("SELL", 10, None))
    desk.sweep(6)
    desk.quote("100")
    assert desk.guard.check(exit_ := desk.order("SELL", 5, "120")).approved
    desk.broker.behave("modify", "refuse", 1)
    desk.clock.advance(1)
    from_us = desk.clock.now_us()
    desk.kill(plan=plan)
    for _ in range(10):
        desk.quote("100")
        desk.sweep()
    assert desk.permit(str(exit_.client_order_id)) in ("VOID", "EXPIRED")
    assert desk.one("SELECT state FROM kill_runs") == "DONE"
    assert net_of(desk) == ({} if plan == "flatten" else {"1333:INTRADAY": 5})
    return Judge(desk.broker.events(), from_us).replay({})


@pytest.mark.parametrize("plan", ["cancel", "flatten"])
def test_a_stop_too_large_comes_back_at_once_where_an_exit_waited(desk: Desk, plan: str) -> None:
    """It goes, since the rest of it would open a short, and stands again as large as the position in the same breath."""
    assert killed(desk, plan) == []


@pytest.mark.parametrize("plan", ["cancel", "flatten"])
def test_the_control_an_exit_that_stays_reserved_leaves_the_line_bare(
    make_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch, plan: str
) -> None:
    """Counted as working on the line, an exit nobody may send keeps the stop from coming back for its ten seconds."""
    as_before(monkeypatch)

    assert any(said.startswith("naked") for said in killed(make_desk(), plan))


@pytest.mark.parametrize("frees", [True, False])
@pytest.mark.parametrize("how", ["kill", "sql"])
def test_a_person_may_exit_where_an_exit_waited(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, how: str, frees: bool
) -> None:
    """All of the position, right after the kill, also one written by SQL; while the other exit holds its room they may not."""
    if not frees:
        as_before(monkeypatch)
    desk.hold(10)
    desk.sweep()
    assert desk.guard.check(waiting := desk.order("SELL", 4, "120")).approved
    if how == "kill":
        desk.kill(plan="halt")
    else:
        desk.sql(
            "UPDATE traders_control SET kill_switch_status = 'ACTIVE' WHERE account_type = 'GLOBAL' AND is_active = 1"
        )
    assert not desk.guard.check(desk.order("SELL", 10, "100")).approved

    assert desk.guard.check(desk.order("SELL", 10, "100"), emergency_exit="priya").approved == frees
    assert desk.permit(str(waiting.client_order_id)) == ("VOID" if frees else "GRANTED")


def test_an_exit_somebody_stands_behind_outlives_the_kill(desk: Desk) -> None:
    """Approved before the kill in a person's name: it goes after it, and its room is kept until then."""
    desk.hold(10)
    desk.sweep()
    leaving = desk.guard.check(desk.order("SELL", 10, "100"), emergency_exit="priya")
    assert leaving.approved and leaving.permit is not None
    desk.kill(plan="halt")

    assert not desk.guard.check(desk.order("SELL", 1, "100"), emergency_exit="ravi").approved
    with leaving.permit.sending() as wire:
        wire.order_id = desk.broker.place(leaving.approved_order)
    assert desk.permit(str(leaving.order.client_order_id)) == "ACKED"
