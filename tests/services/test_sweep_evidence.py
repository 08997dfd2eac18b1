"""
What a sweep judged outlives the sweep: one violation per trip, one alert per finding, and the kill itself, whoever dies.

Also: a limit over all accounts adds them up.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from riskguard.admin import release
from riskguard.services.alerts import OutboxAlerts
from riskguard.services.kill import killswitch
from riskguard.services.sweeps.sweeper import Sweeper
from riskguard.services.sweeps.voice import Voice
from riskguard.store import runs
from tests.core.tables import Row, table
from tests.services.desk import Desk, Heard, rulebook
from tests.services.test_sweeper import look, state

KILLS = "SELECT count(*) FROM risk_violations WHERE action_taken = 'KILL_SWITCH_ACTIVATED'"
TOLD = "SELECT code, severity, came_again FROM alerts WHERE code LIKE 'DAILY_LOSS%' ORDER BY id"


@contextlib.contextmanager
def dying(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever sweeps dies between its commit and the switch."""

    def dies(*args: Any, **more: Any) -> None:
        raise SystemExit(9)

    with monkeypatch.context() as context, pytest.raises(SystemExit):
        context.setattr(killswitch, "engage", dies)
        yield


AFTER = table("""
    goal                            price  after_s
    the loss still stands           240    2
    it stands a minute later        240    60
    it is half of what it was       740    2
    it is gone                      1000   2
    nobody knows the price          -      60
""")


@pytest.mark.parametrize("row", AFTER, ids=str)
def test_a_kill_that_was_judged_is_carried_out_once(desk: Desk, monkeypatch: pytest.MonkeyPatch, row: Row) -> None:
    """The proof was given and committed: the next sweep halts whatever the market did, and writes no second violation."""
    desk.hold(10, "1000")
    with dying(monkeypatch):
        look(desk, "240")
    assert (desk.one(KILLS), desk.one("SELECT count(*) FROM kill_runs"), state(desk)) == (1, 0, "REDUCE_ONLY")
    assert look(desk, row.opt("price"), float(row.after_s)).killed

    assert (desk.one(KILLS), desk.one("SELECT count(*) FROM kill_runs"), state(desk)) == (1, 1, "HALTED")
    ((reason,),) = desk.rows("SELECT reason FROM kill_runs")
    assert "₹7,6" in reason and "`daily-loss`" in reason  # as it was judged


def test_a_second_trip_is_a_second_violation(make_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    """The other side: after a release the loss that stands trips anew, dies anew, and leaves one row of its own."""
    desk = make_desk(hold_s=0)
    desk.sweep()
    desk.hold(10, "1000")
    with dying(monkeypatch):
        look(desk, "240")
    look(desk, "240")
    assert (desk.one(KILLS), state(desk)) == (1, "HALTED")
    for _ in range(3):
        look(desk, "240")
    desk.clock.advance(1801)
    look(desk, "240")
    release(
        desk.store, "leader", by="asha", reason="the loss was looked at", approver="ravi", typed_scope="leader",
        clock=desk.clock,
    )  # fmt: skip
    with dying(monkeypatch):
        look(desk, "240")
    look(desk, "240")

    assert (desk.one(KILLS), desk.one("SELECT count(*) FROM kill_runs"), state(desk)) == (2, 2, "HALTED")


# -- alerts ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def outbox(desk: Desk) -> Iterator[OutboxAlerts]:
    made = OutboxAlerts(desk.url, clock=desk.clock)
    yield made
    made.close()


def test_what_was_found_is_in_the_outbox_with_the_judgement(
    desk: Desk, outbox: OutboxAlerts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweeper dies at its commit: each finding stands there once, by its code, and is not written again."""
    desk.hold(10, "1000")
    desk.sweeper.voice = Voice(desk.account, outbox)
    with dying(monkeypatch):
        look(desk, "240")
    found = desk.rows(TOLD)
    assert found == [
        ("DAILY_LOSS_WARNING", "warning", 0), ("DAILY_LOSS_NEAR", "warning", 0), ("DAILY_LOSS_REACHED", "critical", 0),
    ]  # fmt: skip
    other = Sweeper(desk.another_guard(), "leader", desk.join_market(), alerts=outbox)
    desk.clock.advance(70)  # past the minute in which repeats are only counted
    desk.quote("240")
    other.sweep(now=True)
    assert outbox.flush()

    assert state(desk) == "HALTED" and desk.rows(TOLD) == found


def test_a_sweep_that_is_taken_back_tells_nobody(
    desk: Desk, outbox: OutboxAlerts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other side: what was not committed was not judged; the next sweep finds it and tells it, once."""
    desk.hold(10, "1000")
    desk.sweeper.voice = Voice(desk.account, outbox)
    with monkeypatch.context() as context, pytest.raises(SystemExit):

        def dies(*args: Any, **more: Any) -> None:
            raise SystemExit(9)

        context.setattr(runs, "finish_slot", dies)  # after the alerts are written, before the commit
        look(desk, "240")
    assert outbox.flush() and desk.rows(TOLD) == []
    look(desk, "240")

    assert [code for code, *_ in desk.rows(TOLD)] == ["DAILY_LOSS_WARNING", "DAILY_LOSS_NEAR", "DAILY_LOSS_REACHED"]


def test_without_an_outbox_people_are_told_after_the_commit(desk: Desk) -> None:
    """A small bot's own alerts hear the same, and no row is written for a dispatcher that does not run."""
    desk.hold(10, "1000")
    desk.alerts.said.clear()
    look(desk, "240")

    assert isinstance(desk.sweeper.alerts, Heard)
    assert [severity for _, severity, _ in desk.alerts.said] == ["warning", "warning", "critical"]
    assert desk.one("SELECT count(*) FROM alerts") == 0


# -- all accounts together ----------------------------------------------------------------------------------------------

# Ten shares each, bought at ₹1,000; brokerage and the rest are below ₹100 an account. The limit is ₹10,000 over all.
WIDE = table("""
    goal                                     scope   leader  follower  state
    each is below, together they are above   GLOBAL  -6000   -6000     HALTED
    together they are below                  GLOBAL  -6000   -1000     ACTIVE
    one's gain covers the other's loss       GLOBAL  -9500   5000      ACTIVE
    at 80 % only exits pass                  GLOBAL  -5000   -3500     REDUCE_ONLY
    the same over a group                    GROUP   -6000   -6000     HALTED
    a group's gain covers it                 GROUP   -9500   5000      ACTIVE
    while the other is not measured, alone   GLOBAL  -10500  -         HALTED
    and alone it may be below                GLOBAL  -6000   -         ACTIVE
""")


@pytest.mark.parametrize("row", WIDE, ids=str)
def test_a_loss_over_all_accounts_adds_them_up(make_desk: Callable[..., Desk], row: Row) -> None:
    """Every account's own sweep adds its reading to the others' last ones and acts on its own account."""
    scope = "GLOBAL" if row.scope == "GLOBAL" else "GROUP:family"
    text = rulebook(
        daily_loss=f'check = "daily_loss"\nscope = "{scope}"\ndaily_loss_inr_max = "10000"\nwarn_at_pct = [50]\n'
        'reduce_only_at_pct = 80\nat_once_pct = 150\non_breach = "kill"'
    )
    desk = make_desk(text=text, accounts=("leader", "follower"), group="family")
    sweepers = [Sweeper(desk.guard, "leader", desk.broker)]
    desk.quote("1000")
    if row.opt("follower") is not None:
        sweepers.append(Sweeper(desk.guard, "follower", desk.join_market("follower")))

    def sweep(after_s: float, price: str) -> None:
        desk.clock.advance(after_s)
        desk.quote(price)
        for each in sweepers:
            each.sweep(now=True)

    sweep(2, "1000")
    for each in sweepers:
        figure = row.number(each.account)
        # A fall of ₹100 a share makes of each what the table says of it.
        order = desk.order("BUY" if figure < 0 else "SELL", abs(figure) // 100, "1000", account=each.account)
        assert each.broker is not None and desk.guard.place(order, each.broker.place).approved
    # By steps: of another account only its last sweep is known, a step behind.
    for price in ("1000", "1000", "1000", "980", "960", "940", "920", "900", "900", "900"):
        sweep(2.5, price)

    assert {desk.guard.state(each.account).state.name for each in sweepers} == {row.state}
