"""
A stop sent right after its entry, before anybody saw the fill, guards the line like any other: the kill run changes it into the
exit, and does not clear it away first.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from riskguard.services.kill.killrun import closing
from tests.services.desk import Desk
from tests.services.killing import Judge, net_of


def flattened(desk: Desk) -> list[str]:
    """Buy, protect at once, let the lists catch up, and kill; returns what was ever wrong at the broker."""
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
    desk.kill(plan="flatten")
    for _ in range(10):
        desk.quote("100")
        desk.sweep()
    assert net_of(desk) == {} and desk.one("SELECT state FROM kill_runs") == "DONE"
    return Judge(desk.broker.events(), from_us).replay({})


def test_a_stop_from_before_the_fill_becomes_the_exit(desk: Desk) -> None:
    """Flat in the end, and not bare for a moment on the way."""
    assert flattened(desk) == []
    assert [each.what for each in desk.broker.events() if each.what in ("CHANGED", "ENDED")] == ["CHANGED"]


def test_the_control_clearing_it_first_leaves_the_line_bare(
    make_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Judged by what it was let out as, it is in the way: it goes, and the line is without a stop until the exit comes."""
    monkeypatch.setattr(closing, "_guards", lambda *_: False)

    assert any(said.startswith("naked") for said in flattened(make_desk()))
