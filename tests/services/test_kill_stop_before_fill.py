"""
A stop sent right after its entry, before anybody saw the fill, guards the line like any other: the kill run changes it into the
exit, and does not clear it away first.
"""

from __future__ import annotations

import pytest

from riskguard.services.kill.killrun import aside, closing
from riskguard.services.kill.killrun.round import Round
from tests.services.desk import Desk
from tests.services.killing import Judge, net_of


def flattened(desk: Desk, how: str = "ok", times: int | None = None) -> list[str]:
    """
    Buy, protect at once, let the lists catch up, and kill; returns what was ever wrong at the broker.

    From the kill on the broker answers so many placements so.
    """
    desk.sweep()
    desk.quote("100")
    desk.place(desk.order("BUY", 10, "100"))
    stop = desk.order("SELL", 10, "95", order_type="STOP_LOSS", trigger_price="96")
    desk.place(stop)  # no sweep in between: nobody knows yet that ten are held
    assert desk.one("SELECT direction FROM permits WHERE client_order_id = ?", stop.client_order_id) == "INCREASING"
    for _ in range(4):
        desk.sweep(3)
        desk.quote("100")
    desk.clock.advance(1)
    from_us = desk.clock.now_us()
    desk.broker.behave("place", how, times)
    desk.kill(plan="flatten")
    for _ in range(20):
        desk.quote("100")
        desk.sweep()
    assert net_of(desk) == {} and desk.one("SELECT state FROM kill_runs") == "DONE"
    return Judge(desk.broker.events(), from_us).replay({})


def test_a_stop_from_before_the_fill_becomes_the_exit(desk: Desk) -> None:
    """Flat in the end, and not bare for a moment on the way."""
    assert flattened(desk) == []
    assert [each.what for each in desk.broker.events() if each.what in ("CHANGED", "ENDED")] == ["CHANGED"]


@pytest.mark.parametrize(("looks_again", "bare"), [(True, False), (False, True)])
def test_the_control_clearing_it_first_leaves_the_line_bare(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, looks_again: bool, bare: bool
) -> None:
    """Judged by what it was let out as, it is in the way: it goes, and the line is without a stop until the next look."""
    monkeypatch.setattr(closing, "_guards", lambda *_: False)
    if not looks_again:
        monkeypatch.setattr(Round, "look_again", lambda _self: None)

    assert any(said.startswith("naked") for said in flattened(desk)) == bare


@pytest.mark.parametrize("how", ["refuse", "deaf"])
def test_where_the_broker_does_not_change_it_the_exit_goes_in_the_same_breath(desk: Desk, how: str) -> None:
    """Asked for twice in vain, the stop is cancelled, looked for, and its exit sent before anything else is done."""
    desk.broker.behave("modify", how)

    assert flattened(desk) == []


@pytest.mark.parametrize("how", ["fail", "refuse"])
def test_an_exit_that_does_not_go_brings_the_stop_back_in_the_same_breath(desk: Desk, how: str) -> None:
    """Cleared for an exit the broker then does not take, it stands again before the round is over."""
    desk.broker.behave("modify", "refuse")
    assert flattened(desk, how, 1) == []
    assert ("PUT_BACK", "DONE") in desk.rows("SELECT step, state FROM kill_steps")


def test_the_control_the_line_is_bare_until_the_next_round(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a stop that still rested when the exit was asked for was looked after."""
    monkeypatch.setattr(aside, "taken_away", lambda _steps: {})
    desk.broker.behave("modify", "refuse")

    assert any(said.startswith("naked") for said in flattened(desk, "fail", 1))
