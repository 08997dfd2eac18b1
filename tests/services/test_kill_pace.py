"""A kill among a hundred working orders: as fast as the account may send, and never faster."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from riskguard.clock import SystemClock
from riskguard.core.account import Account, TimeLog
from riskguard.services.kill.killrun import KillRunner
from riskguard.services.kill.killrun.pace import Pace
from riskguard.services.kill.killrun.plans import BACK_OFF_US_MAX, EXHAUSTED_US, back_off_us
from riskguard.services.sweeps.schedule import Schedule
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, SECOND, Desk, eventually, rulebook
from tests.services.killing import Judge, drive, net_of, quote_all

ORDERS = 100


@pytest.mark.parametrize("rate", [5, 10])
def test_a_hundred_orders_are_gone_in_the_time_their_messages_take(make_desk: Callable[..., Desk], rate: int) -> None:
    """From the kill to the last cancellation: a hundred messages at the allowed rate, and two seconds. In virtual time."""
    limit = f'check = "order_rate"\nwindows = [{{ messages_max = {rate}, reserve = 1, per_s = 1 }}]'
    desk = make_desk(text=rulebook(order_rate=limit))
    desk.sweep()
    quote_all(desk)
    for _ in range(ORDERS):
        desk.past(desk.order("BUY", 1, "90"))
    desk.clock.advance(2)
    desk.kill()
    began_us = desk.clock.now_us()
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker)
    for _ in range(200):
        (run,) = runner.advance()
        if run.state == "DONE":
            break
        assert runner.next_at_us is not None
        desk.clock.at_us = max(desk.clock.at_us + 1, runner.next_at_us)

    ended = [event for event in desk.broker.events() if event.what == "ENDED" and event.at_us >= began_us]
    assert run.state == "DONE" and len(ended) == ORDERS
    assert ended[-1].at_us - began_us <= (ORDERS // rate + 2) * SECOND
    messages = [event.at_us for event in desk.broker.events() if event.what == "MESSAGE" and event.at_us >= began_us]
    assert all(sum(at_us - SECOND < each <= at_us for each in messages) <= rate for at_us in messages)
    assert Judge(desk.broker.events(), began_us).replay({}) == []
    assert desk.one("SELECT count(*) FROM order_messages WHERE kind = 'CANCEL'") == ORDERS


def test_what_others_sent_counts(make_desk: Callable[..., Desk]) -> None:
    """Eight messages of strategies in this second leave two of ten: retries and first tries alike."""
    limit = 'check = "order_rate"\nwindows = [{ messages_max = 10, reserve = 2, per_s = 1 }]'
    desk = make_desk(text=rulebook(order_rate=limit))
    desk.sweep()
    quote_all(desk)
    for _ in range(8):
        desk.place(desk.order(price="90"))
    desk.kill()
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker)
    runner.advance()
    assert len(desk.rows("SELECT id FROM kill_steps")) == 2
    desk.clock.at_us = runner.next_at_us or 0
    runner.advance()

    assert len(desk.rows("SELECT id FROM kill_steps")) == 8


@pytest.mark.parametrize("stops", [9, 12])
def test_more_stops_than_a_second_takes_messages_do_not_hold_up_the_exit(
    make_desk: Callable[..., Desk], stops: int
) -> None:
    """An exit and its stops go together where that many messages ever leave at once, else as many as do."""
    limit = 'check = "order_rate"\nwindows = [{ messages_max = 10, reserve = 2, per_s = 1 }]'
    desk = make_desk(text=rulebook(order_rate=limit))
    desk.sweep()
    quote_all(desk)
    desk.hold(stops)
    for number in range(stops):
        desk.past(desk.order("SELL", 1, str(80 - number), order_type="STOP_LOSS", trigger_price=str(81 - number)))
    desk.sweep(6)
    desk.broker.behave("modify", "refuse")
    desk.clock.advance(1)
    from_us = desk.clock.now_us()
    desk.kill(plan="flatten")
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker)
    run = drive(desk, runner, s_max=60, move=lambda: quote_all(desk), until=lambda run: run.state == "DONE")

    assert (run.state, net_of(desk)) == ("DONE", {})
    assert [said for said in Judge(desk.broker.events(), from_us).replay({}) if not said.startswith("naked")] == []


def test_the_daemon_does_not_wait_a_tick_for_the_next_messages(make_desk: Callable[..., Desk]) -> None:
    """Fifteen orders at five a second, and a tick of ten minutes: the rounds after the first are fired by what they can do."""
    limit = 'check = "order_rate"\nwindows = [{ messages_max = 5, reserve = 1, per_s = 1 }]'
    desk = make_desk(text=rulebook(order_rate=limit), clock=SystemClock())
    desk.sweeper.sweep()
    for _ in range(15):
        desk.past(desk.order("BUY", 1, "90"))
    desk.kill()
    schedule = Schedule(desk.guard)
    schedule.watch(desk.sweeper, 600.0)
    schedule.start()
    try:
        eventually(lambda: desk.one("SELECT state FROM kill_runs") == "DONE", 120)
    finally:
        schedule.stop()
    assert [order for order in desk.broker.orders() if order.is_live] == []


LEFT = table("""
    sent  granted  left  waits
    0     0        10    no
    9     0        1     no
    9     1        0     yes
    10    0        0     yes
    12    0        -2    yes
""")


@pytest.mark.parametrize("row", LEFT, ids=str)
def test_what_is_left_of_a_window(row: Row) -> None:
    """Without a limit of ours the broker's own: ten a second. Permits granted and not sent count as sent."""
    account = Account("leader", "2025-06-02", sent=TimeLog([5 * SECOND] * row.number("sent")))
    account.granted = row.number("granted")
    pace = Pace()
    pace.refresh(account, 5 * SECOND)

    assert pace.left == row.number("left")
    assert (pace.frees_us is not None) == row.has("waits")
    assert pace.take() == (row.number("left") > 0)


BACK_OFF = table("""
    tries  seconds
    0      0
    1      1
    2      2
    5      16
    6      30
    11     30
    12     300
    40     300
""")


@pytest.mark.parametrize("row", BACK_OFF, ids=str)
def test_attempts_are_bounded_and_spaced(row: Row) -> None:
    """Doubling up to half a minute, then every five minutes: what was refused for a reason may have lost it."""
    assert back_off_us(row.number("tries"), 12) == row.number("seconds") * SECOND
    assert back_off_us(row.number("tries"), 12) <= max(BACK_OFF_US_MAX, EXHAUSTED_US)
