"""Goal: what other processes did is told of once, by whoever dispatches: kills, their runs, releases, runaways, silence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from riskguard.clock import SystemClock
from riskguard.errors import StoreError
from riskguard.services.alerts.heartbeat import heartbeat
from riskguard.services.alerts.watch import AGAIN_US, FLOOD_A_MINUTE, SWEEP_LATE_US, Watch
from riskguard.store.database import Database
from tests.services.desk import SECOND, START, Desk, rulebook

OPEN_US = START - 4_500 * SECOND
"""09:15 in India that day."""


def look(desk: Desk, *watches: Watch) -> None:
    """Look as daemons do: each with its own memory, later than the last time."""
    for watch in watches or (Watch(),):
        with Database(desk.url, clock=desk.clock) as database:
            watch(database, desk.clock.now_us())


def told(desk: Desk) -> list[tuple[Any, ...]]:
    return desk.rows("SELECT code, severity, account FROM alerts ORDER BY id")


def message(desk: Desk, code: str) -> str:
    return str(desk.one("SELECT message FROM alerts WHERE code = ?", code))


def test_a_kill_from_anywhere_is_told_once_with_the_way_out(desk: Desk) -> None:
    """What, why, what still works, how to release; a second daemon and a restart tell nothing new."""
    look(desk)
    assert told(desk) == []  # nothing happened: nothing is told
    desk.kill(plan="cancel")
    look(desk, Watch(), Watch())
    desk.clock.advance(5)
    look(desk)

    assert [row for row in told(desk) if row[0] == "KILLED"] == [("KILLED", "critical", "leader")]
    said = message(desk, "KILLED")
    for part in (
        "account leader",
        "fat finger",
        "plan `cancel`",
        "by desk",
        "riskguard exit leader",
        "riskguard release leader",
    ):
        assert part in said, part


def test_a_kill_of_everything_names_everything(make_desk: Callable[..., Desk]) -> None:
    """One kill is one message, however many accounts it stops; it says so."""
    desk = make_desk(accounts=("leader", "follower"))
    desk.kill(None)
    look(desk)

    assert [row[2] for row in told(desk) if row[0] == "KILLED"] == ["GLOBAL"]
    assert "everything" in desk.rows("SELECT message FROM alerts")[0][0]


def test_a_blocked_run_is_told_again_and_again(desk: Desk) -> None:
    """At once, then every five minutes: a microsecond before it is not; two daemons tell it once."""
    desk.kill(plan="flatten")
    desk.sql("UPDATE kill_runs SET state = 'BLOCKED', step = 'FLATTEN', detail = 'market closed'")

    def count() -> int:
        return sum(row[0] == "KILL_RUN_BLOCKED" for row in told(desk))

    look(desk, Watch(), Watch())
    assert count() == 1 and "market closed" in message(desk, "KILL_RUN_BLOCKED")
    desk.clock.at_us += AGAIN_US - 1
    look(desk)
    assert count() == 1
    desk.clock.at_us += 1
    look(desk)
    assert count() == 2


def test_a_late_run_is_told(desk: Desk) -> None:
    """An open run at its deadline; before it nobody is told of lateness."""
    desk.kill(plan="flatten")
    deadline_us = desk.one("SELECT deadline_us FROM kill_runs")
    desk.clock.at_us = deadline_us - 1
    look(desk)
    assert "KILL_RUN_BLOCKED" not in {row[0] for row in told(desk)}
    desk.clock.at_us = deadline_us
    look(desk)
    assert "is late" in message(desk, "KILL_RUN_BLOCKED")


def test_a_finished_run_is_told(desk: Desk) -> None:
    """That it is done, and what is proven."""
    desk.kill(plan="cancel")
    desk.sql("UPDATE kill_runs SET state = 'DONE', step = 'WATCH', detail = 'nothing pending that adds risk'")
    look(desk, Watch(), Watch())

    assert sum(row[0] == "KILL_RUN_DONE" for row in told(desk)) == 1
    assert "the kill is done: nothing pending that adds risk" in message(desk, "KILL_RUN_DONE")


def test_a_run_that_a_release_ended_is_not_told_as_done(make_desk: Callable[..., Desk]) -> None:
    """A position a plan was to close is still there: nobody may read that what followed the kill is done."""
    from riskguard import admin

    desk = make_desk(hold_s=0)
    desk.sweep()
    desk.hold(10)
    desk.kill(plan="flatten")
    desk.sweep()
    admin.release(desk.store, "leader", by="asha", reason="looked at it", clock=desk.clock)
    look(desk)

    assert desk.rows("SELECT state, step FROM kill_runs") == [("DONE", "CANCEL")]
    assert [each.net for each in desk.broker.positions()] == [10]
    assert "ended at CANCEL, not finished: released by asha" in message(desk, "KILL_RUN_DONE")


def test_a_release_is_told(make_desk: Callable[..., Desk]) -> None:
    """Who let go and why: whoever did not do it must hear of it."""
    from riskguard import admin

    desk = make_desk(hold_s=0)
    desk.sweep()
    desk.kill()
    desk.sweep()
    desk.sweep(6)
    desk.sweep(6)
    admin.release(desk.store, "leader", by="asha", reason="looked at it", clock=desk.clock)
    look(desk, Watch(), Watch())

    assert sum(row[0] == "RELEASE" for row in told(desk)) == 1
    assert "asha" in message(desk, "RELEASE") and "looked at it" in message(desk, "RELEASE")


@pytest.mark.parametrize(("repeats", "is_told"), [(FLOOD_A_MINUTE - 1, False), (FLOOD_A_MINUTE, True)])
def test_a_flood_of_refusals_is_told_and_a_refusal_is_not(desk: Desk, repeats: int, is_told: bool) -> None:
    """Five a second over a minute is a program that does not stop."""
    desk.sql(
        "INSERT INTO refusal_repeats (account, violation_id, strategy, repeats, at_us) VALUES ('leader', 1, 'dip', ?, ?)",
        repeats, desk.clock.now_us(),
    )  # fmt: skip
    look(desk, Watch(), Watch())

    assert [row[0] for row in told(desk)] == (["REFUSAL_FLOOD"] if is_told else [])


def test_a_runaway_is_told(make_desk: Callable[..., Desk]) -> None:
    """The refusal of the check that stops it; the refusals before it are no alert."""
    desk = make_desk(
        text=rulebook(
            repeated_execution='check = "repeated_execution"\ntrip_at_fills = 1000\ntrip_at_refusals = 3\nper_s = 60',
            order_value='check = "order_value"\norder_value_inr_max = "500"',
        )
    )
    desk.sweep()
    desk.quote("100")
    for _ in range(3):
        desk.guard.check(desk.order(strategy="dip"))
        desk.clock.advance(1.5)
    desk.guard.flush_repeats()
    look(desk)
    assert told(desk) == []
    desk.guard.check(desk.order(quantity=1, strategy="dip"))
    desk.clock.advance(3)
    look(desk)

    assert told(desk) == [("RUNAWAY", "critical", "leader")] and "`dip`" in message(desk, "RUNAWAY")


def test_a_sweep_that_stopped_is_told(desk: Desk) -> None:
    """After two minutes without a look at losses, not before."""
    desk.clock.at_us = desk.one("SELECT max(finished_at_us) FROM sweeps") + SWEEP_LATE_US - 1
    look(desk)
    assert told(desk) == []
    desk.clock.at_us += 1
    look(desk, Watch(), Watch())

    assert told(desk) == [("SWEEP_LATE", "critical", "leader")]


def test_the_message_at_the_open(desk: Desk) -> None:
    """Once a trading day, from the open on; not before, not at night, not twice by two daemons."""
    desk.clock.at_us = OPEN_US - 1

    def greeting() -> tuple[str, str]:
        return "info", "OK at the open"

    look(desk, Watch(greeting))
    assert "HEARTBEAT" not in {row[0] for row in told(desk)}
    desk.clock.at_us = OPEN_US
    watch = Watch(greeting)
    look(desk, watch, Watch(greeting))
    desk.clock.at_us += 60 * SECOND
    look(desk, watch)
    assert sum(row[0] == "HEARTBEAT" for row in told(desk)) == 1
    desk.clock.at_us = OPEN_US + 86_400 * SECOND
    look(desk, watch)
    assert sum(row[0] == "HEARTBEAT" for row in told(desk)) == 2


def test_a_heartbeat_that_could_not_be_written_is_not_forgotten(desk: Desk) -> None:
    """The database is locked at the open: the next look writes it."""
    watch = Watch(lambda: ("info", "OK at the open"))
    with Database(desk.url, clock=desk.clock) as database:
        database.deadline_s = 0.05
        with desk.unwritable(), pytest.raises(StoreError):
            watch(database, desk.clock.now_us())
        assert told(desk) == []
        desk.clock.advance(3)
        watch(database, desk.clock.now_us())

    assert [row[0] for row in told(desk)] == ["HEARTBEAT"]


def test_the_heartbeat_says_how_all_stand(desk: Desk) -> None:
    """OK only where nothing wants a person; a halted account is no OK, and neither is a database that is gone."""
    assert "leader is ACTIVE" in heartbeat(desk.url, desk.clock)[1]
    desk.kill()
    severity, said = heartbeat(desk.url, desk.clock)
    assert severity == "warning" and "leader is HALTED" in said
    severity, said = heartbeat(f"sqlite:///{desk.path.parent}/none.db", SystemClock())
    assert severity == "critical" and "cannot be read" in said
