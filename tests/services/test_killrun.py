"""
What follows a kill: cancel, flatten if the plan says so, verify; whatever the broker does, and whoever dies meanwhile.

Every order is the paper broker's own: what counts is what rests and what was traded there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from riskguard.brokers.paper import PaperSettings
from riskguard.core.state import TradingState
from riskguard.errors import BrokerUnconfirmedError
from riskguard.services.kill.killrun import DOUBT_US, LEASE_US, KillRunner
from riskguard.store import runs
from riskguard.store.engines.postgresql_session import PostgresSession
from riskguard.store.runs import KillRun
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, CALL, COVER, FUTURE, SECOND, SHARE, Desk, EachDesk, e4


def follow(desk: Desk, rounds: int = 12, runner: KillRunner | None = None, pause_s: float = 2) -> list[KillRun]:
    """Advance until nothing is OPEN, at most *rounds* times, two seconds apart."""
    runner = runner or KillRunner(desk.guard, ACCOUNT, desk.broker)
    standing: list[KillRun] = []
    for _ in range(rounds):
        desk.clock.advance(pause_s)
        standing = runner.advance()
        if all(run.state != "OPEN" for run in standing):
            break
    return standing


def nets(desk: Desk, broker: Any = None) -> dict[str, int]:
    """Return what is held, by `security:product`, from the fills: the list may lag."""
    held: Counter[str] = Counter()
    for trade in (broker or desk.broker).trades():
        held[f"{trade.security_id}:{trade.product}"] += trade.quantity if trade.side == "BUY" else -trade.quantity
    return {name: net for name, net in held.items() if net}


def resting(desk: Desk) -> list[str]:
    return [order.order_id for order in desk.broker.orders() if order.is_live]


def never_across_zero(desk: Desk) -> bool:
    """Say whether every position went to zero and no further, fill by fill, after the kill's first exit."""
    net = 0
    for trade in desk.broker.trades():
        after = net + (trade.quantity if trade.side == "BUY" else -trade.quantity)
        if net and after and (net > 0) != (after > 0):
            return False
        net = after
    return True


# -- cancel -----------------------------------------------------------------------------------------------------------

CANCELS = table("""
    held  side  quantity  type       price  trigger  outcome    rests
    0     BUY   10        LIMIT      90     -        CANCELLED  0
    0     SELL  10        LIMIT      110    -        CANCELLED  0
    10    BUY   10        LIMIT      90     -        CANCELLED  0
    10    SELL  10        STOP_LOSS  89     90       PENDING    10
    10    SELL  4         STOP_LOSS  89     90       PENDING    4
    10    SELL  10        LIMIT      110    -        PENDING    10
    10    SELL  11        LIMIT      110    -        CANCELLED  0
    10    SELL  11        STOP_LOSS  89     90       PENDING    10
    -10   BUY   10        STOP_LOSS  111    110      PENDING    10
    -10   BUY   11        STOP_LOSS  111    110      PENDING    10
    -10   SELL  1         LIMIT      110    -        CANCELLED  0
""")


@pytest.mark.parametrize("row", CANCELS, ids=str)
def test_plan_cancel_takes_what_adds_risk_and_keeps_protective_exits(desk: Desk, row: Row) -> None:
    """
    By what the order can still do to the position, whoever sent it; the position itself is kept. A stop larger than the
    position would open another: it is made as large as what is held.
    """
    desk.quote("100")
    if row.number("held"):
        desk.hold(row.number("held"))
    order_id = desk.past(
        desk.order(row.side, row.number("quantity"), row.price, order_type=row.type, trigger_price=row.opt("trigger"))
    )
    desk.kill()
    (run,) = follow(desk)

    assert (run.state, run.step) == ("DONE", "WATCH")
    orders = {order.order_id: order for order in desk.broker.orders()}
    assert orders[order_id].status == row.outcome
    left = [(order.side, order.remaining, order.order_type) for order in orders.values() if order.is_live]
    assert left == [(row.side, row.number("rests"), row.type)] * bool(row.number("rests"))
    assert nets(desk).get("1333:INTRADAY", 0) == row.number("held")
    assert desk.guard.state(ACCOUNT).state is TradingState.HALTED


def test_orders_of_other_lines_are_judged_by_their_own_line(desk: Desk) -> None:
    """A sell of the same share under another product opens a short: it goes, the real exit stays."""
    desk.hold(10)
    desk.past(desk.order("SELL", 10, "110", product="MARGIN"))
    kept = desk.past(desk.order("SELL", 10, "110"))
    desk.past(desk.order("SELL", 10, "110", security_id="2885"))
    desk.kill()
    follow(desk)

    assert resting(desk) == [kept]


def test_plan_halt_touches_no_order(desk: Desk) -> None:
    desk.quote("100")
    desk.place(desk.order(price="90"))
    desk.kill(plan="halt")
    (run,) = follow(desk)

    assert run.state == "DONE" and len(resting(desk)) == 1


def test_every_cancel_is_a_message_and_a_step(desk: Desk) -> None:
    """Intent before, answer after, counted in the throttle the strategies share."""
    desk.quote("100")
    for price in ("90", "91", "92"):
        desk.place(desk.order(price=price))
    desk.kill()
    follow(desk)

    assert desk.rows("SELECT kind, count(*) FROM order_messages GROUP BY kind ORDER BY kind") == [
        ("CANCEL", 3),
        ("NEW", 3),
    ]
    assert desk.rows("SELECT DISTINCT step, state FROM kill_steps") == [("CANCEL", "DONE")]
    assert [desk.permit(f"o-{number}") for number in (1, 2, 3)] == ["CANCELLED"] * 3


CLEAN = table("""
    apart_s    rounds
    1.9        5
    2          3
    30         3
""")


@pytest.mark.parametrize("row", CLEAN, ids=str)
def test_each_step_ends_with_two_clean_reads_two_seconds_apart(desk: Desk, row: Row) -> None:
    """Closer together the broker's lists may both be old: the third read of 1.9 s is the first that counts."""
    desk.kill()
    runner, needed = KillRunner(desk.guard, ACCOUNT, desk.broker), 0
    while True:
        needed += 1
        (run,) = runner.advance()
        if run.state == "DONE":
            break
        desk.clock.advance(float(row.apart_s))
        assert needed < 20

    assert needed - 1 == row.number("rounds")


def test_an_order_in_transit_is_waited_for(desk: Desk) -> None:
    """It cannot be cancelled there: no request is wasted on it, and it goes once it has landed."""
    desk.join_market(settings=PaperSettings(transit_s=5))
    desk.quote("100")
    order_id = desk.past(desk.order(price="90"))
    desk.kill()
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker)
    for _ in range(2):
        desk.clock.advance(2)
        (run,) = runner.advance()
        assert run.state == "OPEN" and desk.one("SELECT count(*) FROM kill_steps") == 0
    (run,) = follow(desk, runner=runner)

    assert run.state == "DONE" and resting(desk) == []
    assert desk.rows("SELECT target, state FROM kill_steps") == [(order_id, "DONE")]


def test_an_order_that_appears_later_is_cancelled_too(desk: Desk) -> None:
    """While the run verifies, an order comes up that nobody asked about: back to cancelling."""
    desk.quote("100")
    desk.kill()
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker)
    for _ in range(3):
        desk.clock.advance(2)
        (run,) = runner.advance()
    assert run.step == "VERIFY"
    desk.past(desk.order(price="90"))
    (run,) = follow(desk, runner=runner)

    assert run.state == "DONE" and resting(desk) == []


IN_DOUBT = table("""
    age_s    done
    14       no
    16       yes
""")


@pytest.mark.parametrize("row", IN_DOUBT, ids=str)
def test_it_is_not_over_while_an_order_may_still_turn_up(desk: Desk, row: Row) -> None:
    """Sent and never answered: for 15 s it may still appear at the broker, where nothing can be seen of it yet."""
    desk.quote("100")
    desk.broker.behave("place", "lost", 1)
    with pytest.raises(BrokerUnconfirmedError):
        desk.guard.place(desk.order(), desk.broker.place)
    desk.kill()
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker)
    states = []
    for _ in range(row.number("age_s") // 2):
        desk.clock.advance(2)
        (run,) = runner.advance()
        states.append(run.step)
    assert ("VERIFY" in states or run.clean_at_us is not None) == row.has("done")
    assert DOUBT_US == 15 * SECOND


def test_the_stop_of_a_position_just_opened_is_kept(desk: Desk) -> None:
    """Its fill is known, the broker's list still says flat: until both agree the stop is neither taken nor forgotten."""
    desk.join_market(settings=PaperSettings(position_lag_s=8))
    desk.sweep()
    desk.quote("100")
    desk.place(desk.order())
    desk.sweep()
    stop = desk.past(desk.order("SELL", 10, "89", order_type="STOP_LOSS", trigger_price="90"))
    adding = desk.past(desk.order("BUY", 10, "90"))
    desk.kill()
    (run,) = follow(desk, rounds=20)

    assert run.state == "DONE" and resting(desk) == [stop]
    assert adding not in resting(desk)


# -- flatten ----------------------------------------------------------------------------------------------------------


def test_flatten_closes_intraday_and_todays_derivatives_and_keeps_the_rest(desk: Desk) -> None:
    """Carried futures, delivery and MTF stay: nobody decided to give up what was held overnight."""
    desk.broker.carry("NSE_FNO", "50001", "MARGIN", 25, e4("10"))
    desk.broker.carry("NSE_EQ", "2885", "CNC", 5, e4("100"))
    desk.clock.advance(86_400)
    for instrument, price in ((SHARE, "100"), (FUTURE, "100"), (CALL, "10")):
        desk.quote(price, instrument)
    desk.guard.quote("NSE_EQ", "2885", ltp="100")
    desk.sweep()
    desk.hold(10, "100")
    desk.hold(-20, "100", product="MARGIN")
    desk.hold(25, "100", FUTURE, product="MARGIN")
    desk.hold(4, "100", product="CNC")
    desk.hold(3, "100", product="MTF")
    desk.kill(plan="flatten")
    (run,) = follow(desk)

    assert (run.state, run.detail) == ("DONE", "flat, nothing pending")
    assert nets(desk) == {"1333:MARGIN": -20, "1333:CNC": 4, "1333:MTF": 3}
    held = {f"{each.security_id}:{each.product}": each.net for each in desk.broker.positions() if each.net}
    assert held == {"1333:MARGIN": -20, "1333:CNC": 4, "1333:MTF": 3, "50001:MARGIN": 25, "2885:CNC": 5}


BOTH_SIDES = table("""
    held   fill_max
    10     -
    -10    -
    10     3
    -10    3
    10     1
    37     10
""")


@pytest.mark.parametrize("row", BOTH_SIDES, ids=str)
def test_it_closes_what_is_held_and_never_crosses_zero(desk: Desk, row: Row) -> None:
    """Partial fills, several rounds: each exit is what is left after those that still work."""
    desk.hold(row.number("held"))
    desk.join_market(settings=PaperSettings(fill_quantity_max=row.opt_number("fill_max")))
    desk.kill(plan="flatten")
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker)
    for _ in range(60):
        desk.clock.advance(2)
        desk.quote("100")  # each quote lets the market fill another part
        (run,) = runner.advance()
        if run.state != "OPEN":
            break

    assert run.state == "DONE" and nets(desk) == {} and never_across_zero(desk)
    assert sum(trade.quantity for trade in desk.broker.trades()) == 2 * abs(row.number("held"))


def test_short_options_go_before_what_covers_them(desk: Desk) -> None:
    """Selling the cover first would leave a naked short for a moment: short options, futures, long options, shares."""
    for instrument, price in ((COVER, "20"), (CALL, "10"), (FUTURE, "100"), (SHARE, "100")):
        desk.quote(price, instrument)
    desk.hold(25, "20", COVER, product="MARGIN")
    desk.hold(-25, "10", CALL, product="MARGIN")
    desk.hold(25, "100", FUTURE, product="MARGIN")
    desk.hold(10, "100")
    before = len(desk.broker.orders())
    desk.kill(plan="flatten")
    (run,) = follow(desk, rounds=30)

    assert run.state == "DONE" and nets(desk) == {}
    exits = [(order.security_id, order.side) for order in desk.broker.orders()[before:]]
    assert exits.index(("50001", "BUY")) < exits.index(("35001", "SELL")) < exits.index(("50002", "SELL"))
    assert exits.index(("50001", "BUY")) == 0


def test_a_stop_goes_only_to_make_room_for_the_exit_of_its_line(desk: Desk) -> None:
    """The stop holds the whole position: it is cancelled, the exit follows, and nothing is sold twice."""
    desk.hold(10)
    desk.place(desk.order("SELL", 10, "89", order_type="STOP_LOSS", trigger_price="90"))
    desk.hold(5, "100", security_id="2885")
    desk.sweep()
    desk.kill(plan="flatten")
    (run,) = follow(desk, rounds=20)

    assert run.state == "DONE" and nets(desk) == {} and resting(desk) == []
    sold = [trade.quantity for trade in desk.broker.trades() if trade.side == "SELL" and trade.security_id == "1333"]
    assert sold == [10]


def test_a_position_the_list_does_not_show_yet_is_not_flat(desk: Desk) -> None:
    """The fill is known, the broker's list lags by ten seconds: the run may not say "flat" before both agree."""
    desk.join_market(settings=PaperSettings(position_lag_s=10))
    desk.sweep()
    desk.quote("100")
    desk.place(desk.order())
    desk.kill(plan="flatten")
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker)
    for _ in range(30):
        desk.clock.advance(2)
        desk.quote("100")
        (run,) = runner.advance()
        if run.state == "DONE":
            break
        assert nets(desk) or run.step in ("FLATTEN", "VERIFY")

    assert run.state == "DONE" and nets(desk) == {}
    assert [trade.side for trade in desk.broker.trades()] == ["BUY", "SELL"]


def test_plan_broker_says_that_there_is_no_switch(desk: Desk) -> None:
    desk.hold(10)
    desk.kill(plan="broker")
    (run,) = follow(desk)

    assert run.state == "DONE" and "LOCKED_LOCALLY" in run.detail and nets(desk) == {}


def test_exits_of_the_run_are_orders_like_any_other(desk: Desk) -> None:
    """Journaled, reserved, sent once, with the run's name behind them; a strategy gets nothing out meanwhile."""
    desk.hold(10)
    desk.kill(plan="flatten")
    assert not desk.guard.check(desk.order("SELL", 10)).approved
    follow(desk)

    ((client_id, state, by, direction),) = desk.rows(
        "SELECT client_order_id, state, emergency_by, direction FROM permits WHERE strategy = 'kill-run'"
    )
    assert (state, by, direction) == ("FILLED", "kill-run:1", "REDUCING") and client_id.startswith("kill-1-")
    assert desk.rows("SELECT step, state FROM kill_steps") == [("FLATTEN", "DONE")]


# -- a broker that does not behave ------------------------------------------------------------------------------------

FAULTS = table("""
    operation  how     times  ends     sold  cancelled
    place      refuse  1      DONE     10    yes
    place      fail    1      DONE     10    yes
    place      silent  1      DONE     10    yes
    place      reject  1      DONE     10    yes
    place      lost    1      BLOCKED  0     yes
    place      hang    1      BLOCKED  0     yes
    cancel     refuse  1      DONE     10    yes
    cancel     fail    1      DONE     10    yes
    cancel     silent  1      DONE     10    yes
    cancel     lost    1      DONE     10    yes
    cancel     hang    1      DONE     10    yes
    orders     fail    2      DONE     10    yes
    orders     hang    1      DONE     10    yes
    orders     empty   1      DONE     10    yes
    positions  fail    2      DONE     10    yes
    positions  empty   1      DONE     10    yes
    positions  empty   6      DONE     10    yes
    trades     fail    2      DONE     10    yes
    trades     empty   1      DONE     10    yes
    all        fail    3      DONE     10    yes
    all        hang    2      DONE     10    yes
""")


@pytest.mark.parametrize("row", FAULTS, ids=str)
def test_whatever_the_broker_does_nothing_is_done_twice(desk: Desk, row: Row) -> None:
    """
    Long 10 with a buy resting, plan flatten. An answer that never came is looked for, not repeated: where the broker
    shows nothing of it, the run ends BLOCKED and halted rather than selling what may have been sold.
    """
    desk.join_market(settings=PaperSettings(hang_s=0))
    desk.hold(10)
    desk.place(desk.order("BUY", 10, "90"))
    desk.sweep()
    desk.kill(plan="flatten")
    desk.broker.behave(row.operation, row.how, row.number("times"))
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker)
    runs_ = follow(desk, rounds=20, runner=runner)
    if runs_[0].state == "OPEN":
        desk.clock.advance(15 * 60)
        runs_ = follow(desk, rounds=5, runner=runner)

    assert runs_[0].state == row.ends, runs_[0].detail
    assert (resting(desk) == []) == row.has("cancelled")
    assert sum(trade.quantity for trade in desk.broker.trades() if trade.side == "SELL") == row.number("sold")
    assert len([order for order in desk.broker.orders() if order.side == "SELL" and order.status != "REJECTED"]) <= 1
    assert desk.guard.state(ACCOUNT).state is TradingState.HALTED


def test_a_broker_that_stays_away_blocks_the_run_and_its_return_ends_it(desk: Desk) -> None:
    """BLOCKED names the reason and stays halted; the run goes on by itself when the broker is back."""
    desk.hold(10)
    desk.broker.behave("all", "fail")
    desk.kill(plan="flatten")
    (run,) = follow(desk, rounds=3)
    assert run.state == "OPEN"
    (run,) = follow(desk, rounds=2, pause_s=900)
    assert run.state == "BLOCKED" and "BrokerUnavailableError" in run.detail
    assert not desk.guard.check(desk.order()).approved
    desk.broker.behave("all", "ok")
    desk.quote("100")
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker)
    for _ in range(12):
        desk.clock.advance(2)
        (run,) = runner.advance() or [run]
        if run.state == "DONE":
            break

    assert run.state == "DONE" and nets(desk) == {}


def test_without_a_broker_it_says_so(desk: Desk) -> None:
    """Positions are pushed by the program: nobody here can cancel, and the run does not claim it."""
    desk.kill()
    (run,) = follow(desk, runner=KillRunner(desk.guard, ACCOUNT, None))

    assert run.state == "BLOCKED" and "by hand" in run.detail
    assert desk.guard.state(ACCOUNT).state is TradingState.HALTED


# -- whoever dies -----------------------------------------------------------------------------------------------------


class Death(BaseException):
    """The process is gone: nothing of it runs any more."""


class Mortal:
    """Counts what a runner does to the world, and dies at the *last* of it, before or after it took effect."""

    def __init__(self, last: int | None, before: bool) -> None:
        self.last, self.before = last, before
        self.done = 0
        self.dead = False

    def act(self, what: Callable[[], Any]) -> Any:
        if self.dead:
            raise Death
        self.done += 1
        if self.done == self.last:
            self.dead = True
            if not self.before:
                what()
            raise Death
        return what()


class MortalBroker:
    """The paper broker as a process that may die uses it."""

    name = "paper"

    def __init__(self, broker: Any, life: Mortal) -> None:
        self.broker, self.life = broker, life
        self.orders, self.positions, self.trades, self.funds = (
            broker.orders,
            broker.positions,
            broker.trades,
            broker.funds,
        )

    def place(self, approved: Any) -> Any:
        return self.life.act(lambda: self.broker.place(approved))

    def cancel(self, order_id: str) -> Any:
        return self.life.act(lambda: self.broker.cancel(order_id))


def is_under_way(store: Any, session: Any = None) -> bool:
    """Say whether a commit has something to commit; on PostgreSQL the store keeps the session itself."""
    if session is None:
        return isinstance(store._session, PostgresSession)
    return bool(session.connection.in_transaction)


def crashed(desk: Desk, life: Mortal, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Let a first runner work until it dies; True if it did."""
    mine = desk.another_guard()
    kind: Any = type(mine.store)
    plain = kind._commit
    runner = KillRunner(mine, ACCOUNT, MortalBroker(desk.broker, life))  # type: ignore[arg-type]

    def commit(store: Any, *session: Any) -> None:
        if store is mine.store and is_under_way(store, *session):
            life.act(lambda: plain(store, *session))
        else:
            plain(store, *session)

    with monkeypatch.context() as context:
        context.setattr(kind, "_commit", commit)
        try:
            follow(desk, rounds=20, runner=runner)
        except Death:
            mine.store.close()  # what a dead process held is free
            return True
    return False


@pytest.mark.parametrize("before", [True, False], ids=["before it took effect", "after it took effect"])
def test_another_runner_finishes_after_a_crash_at_every_step(
    each_desk: EachDesk, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    """
    Long 10 with a stop, a buy resting, plan flatten. The first runner dies at its n-th write, for every n; a second one
    takes over when the lease is over. It ends flat and halted, with one sale of 10 and every correlation id used once;
    only where the exit was marked SENT and nobody can say whether it left, it waits for a person instead of selling twice.
    """
    last, died, unclear = 0, True, 0
    while died:
        last += 1
        assert last < 200
        with each_desk() as desk:
            desk.sweep()
            desk.hold(10)
            desk.place(desk.order("SELL", 10, "89", order_type="STOP_LOSS", trigger_price="90"))
            desk.place(desk.order("BUY", 10, "90"))
            desk.sweep()
            desk.kill(plan="flatten")
            died = crashed(desk, Mortal(last, before), monkeypatch)
            desk.clock.advance(LEASE_US / SECOND + 1)
            desk.quote("100")
            standing = follow(desk, rounds=25)
            sold = [trade.quantity for trade in desk.broker.trades() if trade.side == "SELL"]
            marked = desk.rows(
                "SELECT count(*) FROM permits WHERE strategy = 'kill-run' AND state IN ('SENT', 'UNKNOWN')"
            )
            if marked != [(0,)]:
                unclear += 1
                assert sold == [] and standing[0].state == "BLOCKED", last
                assert standing[0].blocked_by == "EXIT_UNANSWERED"
            else:
                assert all(run.state == "DONE" for run in standing), (last, standing)
                assert desk.one("SELECT state FROM kill_runs") == "DONE"
                assert (nets(desk), sold) == ({}, [10]), last
            assert resting(desk) == []
            names = Counter(order.correlation_id for order in desk.broker.orders())
            assert max(names.values()) == 1
            assert desk.guard.state(ACCOUNT).state is TradingState.HALTED

    assert last > 15  # there was something to die at
    assert unclear == 1


def test_the_lease_is_taken_by_one_and_passed_on(desk: Desk) -> None:
    """Until it is over a second runner does nothing; afterwards the first one is fenced."""
    desk.kill()
    first, second = (KillRunner(desk.another_guard(), ACCOUNT, desk.broker) for _ in range(2))
    first.advance()
    ((holder, token),) = desk.rows("SELECT holder, token FROM kill_runs")
    assert holder == first.holder
    desk.clock.advance(LEASE_US / SECOND - 0.000001)
    second.advance()
    assert desk.rows("SELECT holder, token FROM kill_runs") == [(holder, token)]
    desk.clock.advance(0.000001)
    second.advance()

    assert desk.rows("SELECT holder, token FROM kill_runs") == [(second.holder, token + 1)]


FENCED = table("""
    overtaken_at  sold
    orders        10
    positions     10
    cancel        10
    place         0
""")


@pytest.mark.parametrize("row", FENCED, ids=str)
def test_a_holder_that_slept_through_its_lease_sends_nothing_more(desk: Desk, row: Row) -> None:
    """
    It stops for half a minute in the middle of a round; another runner goes on meanwhile; then it wakes up.

    Asleep right before the wire its mark is too old to be used: the order does not leave, and nobody else may guess
    that it did not.
    """
    desk.hold(10)
    desk.place(desk.order("BUY", 10, "90"))
    desk.sweep()
    desk.kill(plan="flatten")
    woken: list[int] = []

    class Sleepy:
        name = "paper"

        def __getattr__(self, operation: str) -> Any:
            def call(*args: Any) -> Any:
                found = (
                    getattr(desk.broker, operation)(*args) if operation in ("orders", "positions", "trades") else None
                )
                if operation == row.overtaken_at and not woken:
                    desk.clock.advance(LEASE_US / SECOND + 1)
                    desk.clock.skipped_us += LEASE_US + SECOND
                    desk.quote("100")
                    follow(desk, rounds=25)
                    woken.append(len(desk.broker.orders()))
                return found if found is not None else getattr(desk.broker, operation)(*args)

            return call

    runner = KillRunner(desk.another_guard(), ACCOUNT, Sleepy())  # type: ignore[arg-type]
    for _ in range(10):
        desk.clock.advance(2)
        runner.advance()
        if woken:
            break

    assert woken and resting(desk) == []
    assert sum(trade.quantity for trade in desk.broker.trades() if trade.side == "SELL") == row.number("sold")
    assert desk.one("SELECT state FROM kill_runs") == ("DONE" if row.number("sold") else "BLOCKED")


def test_a_step_is_written_by_the_holder_alone(desk: Desk) -> None:
    """Intent and answer are compare-and-set on the token: the run's row decides who is the holder."""
    desk.kill()
    with desk.store.session() as opened:
        (run,) = runs.open_kill_runs(opened, ACCOUNT)
        now_us = desk.clock.now_us()
        first = runs.take_run(opened, run.id, "first", now_us, LEASE_US)
        assert first is not None and runs.take_run(opened, run.id, "second", now_us, LEASE_US) is None
        step = runs.intend(opened, first, "FLATTEN", 1, "x", "c1", "", now_us)
        assert step is not None
        assert runs.intend(opened, first, "FLATTEN", 1, "x", "c1", "", now_us) is None  # begun before
        second = runs.take_run(opened, run.id, "second", now_us + LEASE_US, LEASE_US)
        assert second is not None and second.token == first.token + 1
        assert runs.intend(opened, first, "FLATTEN", 2, "x", "c2", "", now_us) is None
        assert not runs.set_step(opened, first, step, "INTENDED", "SENT", "", now_us)
        assert not runs.move_run(
            opened, first, state="DONE", step="WATCH", detail="", clean_at_us=None, now_us=now_us, lease_us=LEASE_US
        )
        assert runs.set_step(opened, second, step, "INTENDED", "SENT", "", now_us)
        assert not runs.set_step(opened, second, step, "INTENDED", "SENT", "", now_us)


def test_several_kills_are_followed_side_by_side(desk: Desk) -> None:
    """A `cancel` and then a `flatten`: both runs end, the position is closed once."""
    desk.hold(10)
    desk.kill(plan="cancel")
    desk.kill(plan="flatten")
    standing = follow(desk, rounds=20)

    assert {run.state for run in standing} <= {"DONE"}
    assert desk.rows("SELECT DISTINCT state FROM kill_runs") == [("DONE",)]
    assert nets(desk) == {} and never_across_zero(desk)


def test_finish_waits_as_long_as_it_is_told(desk: Desk) -> None:
    """The command line follows a kill to its end, or to the end of a person's patience."""
    desk.hold(10)
    desk.kill(plan="flatten")
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker)
    standing = runner.finish(wait_s_max=20, pause=lambda: desk.clock.advance(2) and None)
    assert [run.state for run in standing] == ["DONE"]
    desk.broker.behave("all", "fail")
    desk.kill(plan="flatten")
    standing = runner.finish(wait_s_max=0, pause=lambda: None)

    assert [run.state for run in standing] == ["OPEN"]
