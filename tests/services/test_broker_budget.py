"""
Goal: a strategy may use all of an account's messages but the reserve, and a kill still goes, within the broker's own windows.

The windows are the local server's: ten a second, 250 a minute, as the broker documents them; one more is answered 429.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from riskguard.brokers.dhan import Credentials, DhanBroker
from riskguard.brokers.dhan.sandbox import Sandbox, Scenario
from riskguard.brokers.paper import PaperBroker
from riskguard.clock import SystemClock
from riskguard.services.budget import ReadBudget, look_reads
from riskguard.services.counting import CountedBroker, RequestMeter, ledger_of
from riskguard.services.kill.killrun import KillRunner
from riskguard.services.sweeps.look import look
from riskguard.services.sweeps.sweeper import Sweeper
from tests.dhan_server import PATIENT, World
from tests.services.desk import Desk, rulebook
from tests.services.killing import ORDER_RATE

RESERVE = 100
"""Of the 250 a minute, as `ORDER_RATE` has it."""
RESTING = 20


@contextlib.contextmanager
def account(desk: Desk) -> Iterator[tuple[Sandbox, DhanBroker]]:
    """The desk's account at a server that keeps its windows, by the desk's clock."""
    with Sandbox(Scenario(), now_us=desk.clock.now_us) as server:
        server.quote("NSE_EQ", "1333", ltp="100", bid="99.95", ask="100.05")
        known = Credentials(server.scenario.client_id, server.scenario.token)
        broker = DhanBroker(
            lambda: known, account="leader", base_url=server.url, timeouts=PATIENT,
            meter=RequestMeter("leader", ledger_of(desk.guard)),
        )  # fmt: skip
        with contextlib.closing(broker):
            yield server, broker


def flooded(desk: Desk, server: Sandbox, broker: DhanBroker, most: int) -> int:
    """Send like a runaway, seven a second, until an order is refused or *most* have gone; the first ones rest."""
    sent = 0
    desk.guard.quote("NSE_EQ", "1333", ltp="100", at=desk.clock.now_us())
    broker.funds()
    while sent < most:
        if sent % 7 == 0:
            desk.clock.advance(1.01)
            desk.guard.quote("NSE_EQ", "1333", ltp="100", at=desk.clock.now_us())
        how = {} if sent < RESTING else {"validity": "IOC"}
        decision = desk.guard.place(desk.order("BUY", 1, "90", **how), broker.place)
        if not decision.approved:
            assert decision.rejects[0].code == "ORDER_RATE_ABOVE_LIMIT", decision.explain()
            break
        sent += 1
    return sent


def killed(desk: Desk, broker: DhanBroker, seconds: int) -> float:
    """Kill, and follow the run every half second for at most *seconds*; returns how long it took."""
    desk.kill()
    runner, began_us = KillRunner(desk.guard, "leader", broker, desk.alerts), desk.clock.now_us()
    for _ in range(2 * seconds):
        desk.clock.advance(0.5)
        desk.clock.skipped_us += 500_000  # a kill looks no oftener than the broker bears, by the clock nobody sets
        if all(run.state == "DONE" for run in runner.advance()):
            break
    return (desk.clock.now_us() - began_us) / 1_000_000


def refused(desk: Desk) -> int:
    """How many of the kill's writes the server answered with 429."""
    return int(desk.one("SELECT count(*) FROM kill_steps WHERE detail LIKE '%HTTP 429%'"))


def test_a_kill_of_twenty_orders_goes_within_the_reserve(make_desk: Callable[..., Desk]) -> None:
    """A strategy has used all but the reserve of the minute: 20 cancels go at once, ten a second, none refused."""
    desk = make_desk(text=rulebook(order_rate=ORDER_RATE))
    desk.sweep()
    with account(desk) as (server, broker):
        sent = flooded(desk, server, broker, 400)
        assert sent == 250 - RESERVE, "the strategy is held back where the reserve begins"
        took_s = killed(desk, broker, 30)

        assert [each for each in broker.orders() if each.is_live] == []
        assert server.counted("DELETE /orders/{id}") == RESTING and refused(desk) == 0
        assert took_s < 10
        desk.guard.close()
    counted = dict(desk.rows("SELECT endpoint, sum(request_count) FROM rate_limit_tracking GROUP BY endpoint"))
    assert counted["orders"] == sent + RESTING and counted["reads"] > 10, "the table shows both classes"


def test_without_a_reserve_the_server_answers_429(make_desk: Callable[..., Desk]) -> None:
    """Negative control: where no limit keeps anything back, the minute is full and the kill's cancels are refused."""
    desk = make_desk()
    desk.sweep()
    with account(desk) as (server, broker):
        assert flooded(desk, server, broker, 250) == 250
        killed(desk, broker, 4)

        assert refused(desk) > 0
        assert [each for each in broker.orders() if each.is_live] != []


# -- reads -------------------------------------------------------------------------------------------------------------


def test_a_look_is_counted_as_the_requests_it_is(desk: Desk, tmp_path: Path) -> None:
    """Dhan's orders come in four lists: six requests; in one at its own sandbox; and any other broker's look is three."""
    with World() as world:
        calls = len(world.server.calls)
        look(world.broker, SystemClock(), with_funds=False)
        assert look_reads(world.broker) == len(world.server.calls) - calls == 6
        assert look_reads(world.broker_with(lists=("book",))) == 3
        counted = CountedBroker(world.broker, "leader", ledger_of(desk.guard))
        assert look_reads(counted) == 6
    assert isinstance(desk.broker, PaperBroker) and look_reads(desk.broker) == look_reads(object()) == 3


def test_a_sweep_takes_six_of_the_budget_and_a_refused_read_slows_it(desk: Desk) -> None:
    """The bucket pays for what really leaves; a 429 halves its rate, and while a kill reads a sweep reads nothing."""
    with World() as world:
        budget = ReadBudget(desk.clock)
        sweeper = Sweeper(desk.guard, "leader", world.broker, budget=budget)
        calls = len(world.server.calls)
        with budget.kill_reads():
            assert not sweeper._may_read(look_reads(world.broker))
        assert len(world.server.calls) == calls
        assert sweeper._may_read(look_reads(world.broker)) and not budget.take(1), "it left a debt"

        before = budget.rate_per_s
        world.server.break_next("GET /positions", "DH-904")
        look(world.broker, desk.clock, with_funds=False, budget=budget)
        assert budget.rate_per_s == pytest.approx(before / 2, rel=0.05) and budget.refused == 1
