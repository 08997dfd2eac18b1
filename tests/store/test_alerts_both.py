"""Goal: the rows behind alerts do on PostgreSQL what they do on SQLite: handed out, claimed once, marked, watched."""

from __future__ import annotations

import threading
from typing import Any

import sqlalchemy as sa

from riskguard.clock import SystemClock
from riskguard.services.alerts import channels, deliveries
from riskguard.services.alerts.dispatcher import Dispatcher
from riskguard.services.alerts.message import notice
from riskguard.services.alerts.senders import NotSentError
from riskguard.services.alerts.watch import Watch
from riskguard.store import Database
from riskguard.store.tables.alerts import alert_deliveries, alerts
from riskguard.store.tables.runs import kill_runs
from tests.store.rows import T

NOW_US = T * 1_000_000
PATIENCE_S = 60


def raised(database: Database, count: int, now_us: int = NOW_US) -> None:
    with database.transaction() as connection:
        for number in range(count):
            deliveries.raise_once(connection, notice("leader", "warning", "m", now_us, once=f"o{number}"))


def states(database: Database) -> list[str]:
    with database.reading() as connection:
        return list(connection.execute(sa.select(alert_deliveries.c.state).order_by(alert_deliveries.c.id)).scalars())


def test_from_the_row_to_the_mark(database: Database) -> None:
    """Handed out once, claimed once, failed, tried again, sent; a claim that ran out marks nothing."""
    made = channels.add(database, "pager", argv=["x"])
    raised(database, 1)
    assert [each.message for each in deliveries.hand_out(database, [made], NOW_US)] == ["m"]
    assert deliveries.hand_out(database, [made], NOW_US) == []
    first = deliveries.claim(database, made, NOW_US)
    assert first is not None and deliveries.claim(database, made, NOW_US) is None
    assert not deliveries.failed(database, made, first, "no line", NOW_US)
    second = deliveries.claim(database, made, NOW_US + deliveries.back_off_us(1))
    assert second is not None and second.payload["id"] == first.payload["id"]
    deliveries.sent(database, made, first, NOW_US, was_down=False)
    assert states(database) == ["SENDING"]
    deliveries.sent(database, made, second, NOW_US, was_down=True)
    assert states(database) == ["SENT"]


def test_a_count_becomes_a_message(database: Database) -> None:
    """After the minute, once."""
    made = channels.add(database, "pager", argv=["x"])
    raised(database, 1)
    deliveries.hand_out(database, [made], NOW_US)
    with database.transaction() as connection:
        connection.execute(sa.update(alerts).values(untold=4, came_again=4, last_at_us=NOW_US + 5))
    for _ in range(2):
        deliveries.hand_out(database, [made], NOW_US + 61_000_000)
    assert len(states(database)) == 2


def test_two_daemons_send_once(url: str) -> None:
    """Threads of two dispatchers on one outbox."""
    clock = SystemClock()
    got: list[str] = []
    meet = threading.Barrier(2, timeout=PATIENCE_S)

    def keep(_channel: Any, message: dict[str, Any], **_: Any) -> None:
        got.append(message["id"])
        if message["id"].startswith("1-") and got.count(message["id"]) == 1:
            raise NotSentError("once")

    with Database(url, clock=clock) as database:
        channels.add(database, "pager", argv=["x"])
        raised(database, 20, clock.now_us())
    both = [Dispatcher(url, clock=clock, send=keep) for _ in range(2)]

    def work(made: Dispatcher) -> None:
        meet.wait()
        for _ in range(4):
            made.tick()
            assert made.wait(PATIENCE_S)

    threads = [threading.Thread(target=work, args=(made,)) for made in both]
    for each in threads:
        each.start()
    for each in threads:
        each.join(PATIENCE_S)
    for made in both:
        made.stop()

    assert sorted(set(got)) == sorted(f"{number}-1" for number in range(1, 21))
    assert len([each for each in got if each != "1-1"]) == 19


def test_the_watch_looks(database: Database) -> None:
    """A kill run somebody else opened, blocked: told once as a kill, and that it is blocked."""
    with database.transaction() as connection:
        connection.execute(
            sa.insert(kill_runs).values(
                kill_id="k1", account="leader", scope="ACCOUNT:leader", kill_plan="flatten", state="BLOCKED",
                reason="fat finger", started_at_us=NOW_US, deadline_us=NOW_US + 1,
            )
        )  # fmt: skip
    for _ in range(2):
        Watch()(database, NOW_US)
    with database.reading() as connection:
        codes = list(connection.execute(sa.select(alerts.c.code).order_by(alerts.c.id)).scalars())
    assert [each for each in codes if each != "SWEEP_LATE"] == ["KILLED", "KILL_RUN_BLOCKED"]
