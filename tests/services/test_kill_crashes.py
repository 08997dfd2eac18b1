"""
A kill run whose process is killed, for real: forked, SIGKILLed at a random moment, carried on by another process.

Whoever finishes it, the broker's own log must show that nothing was crossed, nothing was sent twice and the run ended the
same. The controls take one guard away each and show that the judge then finds what it prevents.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from typing import Any

import pytest

from riskguard.core.quote import Quote
from riskguard.core.state import TradingState
from riskguard.services.kill.killrun import LEASE_US, KillRunner, aside, converting
from riskguard.services.kill.killrun.plans import FENCE_US
from riskguard.services.kill.killrun.round import Round
from riskguard.services.orders.permits import Approved
from tests.reliability.claiming import Claims
from tests.services.desk import ACCOUNT, SECOND, Clock, Desk, EachDesk, rulebook
from tests.services.killing import ORDER_RATE, Judge, drive, hold, net_of, quote_all, rest

EVERY_KILLS = 5


class Ticking(Clock):
    """Each question for the time takes a little of it, so that a run goes on without anybody moving the clock."""

    def now_us(self) -> int:
        self.at_us += 500
        return self.at_us


def busy(desk: Desk) -> None:
    """Long 10 with a stop, a super order in force, three buys resting: plan flatten has something to do at each step."""
    desk.sweep()
    quote_all(desk)
    hold(desk, "share+10")
    hold(desk, "call-25")
    desk.sweep()
    desk.sweep(6)
    quote_all(desk)
    rest(desk, "stop10@90")
    for price in ("90", "91", "92"):
        rest(desk, f"buy10@{price}")
    desk.clock.advance(2)
    desk.kill(plan="flatten")


def killed_child(desk: Desk, after_s: float) -> None:
    """Fork, let the child carry the run on as fast as it can, and SIGKILL it *after_s* seconds later."""
    child = os.fork()
    if child == 0:
        try:
            clock = Ticking(desk.clock.at_us)
            desk.clock = clock
            guard = desk.another_guard()
            broker = desk.join_market()
            runner = KillRunner(guard, ACCOUNT, broker)
            while True:
                clock.at_us += SECOND // 2
                broker.set_quote("NSE_EQ", "1333", Quote.of(ltp="100", at_us=clock.at_us))
                runner.advance()
        finally:
            os._exit(1)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def finished(desk: Desk, from_us: int) -> tuple[Any, list[str]]:
    """Carry the run on as another process does once the lease is over; returns the run and what the judge found."""
    last_us = max(event.at_us for event in desk.broker.events())
    desk.clock.at_us = max(desk.clock.at_us, last_us) + LEASE_US + SECOND
    quote_all(desk)
    runner = KillRunner(desk.another_guard(), ACCOUNT, desk.broker)
    done: list[Any] = []

    def until(run: Any) -> bool:
        done.append(run)
        return bool(run.state == "DONE" or run.blocked_by == "EXIT_UNANSWERED")

    rows = desk.rows("SELECT state FROM kill_runs")
    run = None
    if rows != [("DONE",)]:
        run = drive(desk, runner, s_max=90, move=lambda: quote_all(desk), until=until)
    judge = Judge(desk.broker.events(), from_us)
    return run, judge.replay({})


def kills(desk: Desk, after_s: float) -> None:
    """Kill one run, resume it, and hold the result against what must be."""
    from_us = desk.clock.now_us()
    killed_child(desk, after_s)
    run, wrong = finished(desk, from_us)
    names = Counter(order.correlation_id for order in desk.broker.orders())

    assert [each for each in wrong if "messages" not in each] == []  # two holders may share one second
    assert max(names.values()) == 1
    assert desk.guard.state(ACCOUNT).state is TradingState.HALTED
    if run is not None and run.blocked_by == "EXIT_UNANSWERED":
        marked = desk.rows("SELECT count(*) FROM permits WHERE strategy = 'kill-run' AND state IN ('SENT', 'UNKNOWN')")
        assert marked[0][0] >= 1, "it waits for a person only where nobody can say whether an exit left"
        return
    assert desk.rows("SELECT state FROM kill_runs") == [("DONE",)]
    assert net_of(desk) == {}
    assert [order.order_id for order in desk.broker.orders() if order.is_live] == []


@pytest.mark.claim("I7", "SIGKILL at any moment of a kill run, finished by another", of="SIGKILLs", ci=20, soak=200)
def test_a_run_killed_at_any_moment_is_finished_by_another(each_desk: EachDesk, claim: Claims) -> None:
    """Between two and two hundred and fifty milliseconds into the run."""
    seeded = random.Random(20250602)
    for _ in range(claim("I7").figure):
        with each_desk(text=rulebook(order_rate=ORDER_RATE)) as desk:
            busy(desk)
            kills(desk, seeded.uniform(0.002, 0.25))
        claim("I7").trial()


# -- controls: each guard taken away is seen ---------------------------------------------------------------------------


def test_without_the_fence_a_duplicate_appears(each_desk: EachDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A holder stops between its mark and the wire, for longer than its lease; a person exits by hand; then it wakes up.

    With the fence the order does not leave. Without it the position is sold twice: crossed.
    """
    for fenced in (True, False):
        with each_desk() as desk:
            desk.sweep()
            desk.hold(10)
            desk.kill(plan="flatten")
            from_us = desk.clock.now_us()

            class Sleepy:
                """Sleeps right before the wire; somebody at the broker's app closes the position meanwhile."""

                name = "paper"
                slept = False

                def __getattr__(self, name: str, desk: Desk = desk) -> Any:
                    return getattr(desk.broker, name)

                def place(self, approved: Any, desk: Desk = desk) -> str:
                    if not self.slept:
                        self.slept = True
                        desk.clock.advance(LEASE_US / SECOND + 1)
                        desk.clock.skipped_us += LEASE_US + SECOND
                        desk.quote("100")
                        desk.past(desk.order("SELL", 10, None))
                    return desk.broker.place(approved)

            with monkeypatch.context() as without:
                if not fenced:
                    without.setattr(Round, "fence", lambda _self: None)
                    without.setattr(Approved, "begin", lambda _self: None)
                runner = KillRunner(desk.another_guard(), ACCOUNT, Sleepy())  # type: ignore[arg-type]
                for _ in range(8):
                    desk.clock.advance(2)
                    desk.quote("100")
                    runner.advance()
            wrong = Judge(desk.broker.events(), from_us).replay({})
            sold = sum(trade.quantity for trade in desk.broker.trades() if trade.side == "SELL")
            assert (sold, bool(wrong)) == ((10, False) if fenced else (20, True))
    assert FENCE_US == 250_000


def test_without_the_put_back_a_naked_book_appears(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker changes no stop and refuses the exit once: the stop was taken aside, and must stand again."""
    for restores in (True, False):
        with monkeypatch.context() as without:
            without.setattr(converting, "can", lambda _round, _order: False)
            if not restores:
                without.setattr(aside, "restore", lambda *_args: None)
                without.setattr(aside, "restore_all", lambda _round: None)
            made = _one_refused_exit(desk)
        naked = [each for each in made if each.startswith("naked")]
        assert bool(naked) != restores, made
        desk.sql("UPDATE kill_runs SET state = 'DONE', watch_until_us = NULL")
        if restores:
            desk.broker.behave("all", "ok")
            drive_flat(desk)


def _one_refused_exit(desk: Desk) -> list[str]:
    """Hold 10 with a stop, kill, refuse one placement; returns what the judge says of the next seconds."""
    desk.broker.behave("all", "ok")
    quote_all(desk)
    hold(desk, "share+10")
    desk.sweep()
    desk.sweep(6)
    quote_all(desk)
    rest(desk, "stop10@90")
    desk.clock.advance(2)
    desk.kill(plan="flatten")
    from_us = desk.clock.now_us()
    desk.broker.behave("place", "refuse", 1)
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker)
    for _ in range(12):
        desk.clock.advance(1)
        quote_all(desk)
        runner.advance()
    return Judge(desk.broker.events(), from_us).replay({})


def drive_flat(desk: Desk) -> None:
    """Bring the desk back to flat and order-free."""
    for order in desk.broker.orders():
        if order.is_live:
            desk.broker.cancel(order.order_id)
    for position in desk.broker.positions():
        if position.net:
            desk.past(desk.order("SELL" if position.net > 0 else "BUY", abs(position.net), None))
    desk.clock.advance(8)
    desk.sweep()
