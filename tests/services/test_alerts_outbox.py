"""Goal: an alert is a row before anything else, in whatever trouble it is raised, and a flood is a number."""

from __future__ import annotations

import logging
import os
import time

import pytest

from riskguard.services import alerts
from riskguard.services.alerts import OutboxAlerts
from riskguard.services.alerts.message import Notice, notice, same_event
from tests.services.desk import START, Desk

SECOND = 1_000_000


def written(desk: Desk) -> list[tuple[object, ...]]:
    return desk.rows("SELECT account, severity, code, message, came_again, untold, earlier FROM alerts ORDER BY id")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("marks are 12 s old", "marks are 3,400.5 s old", True),
        ("loss 4,312.50 of 5,000.00: 80 % reached", "loss 4,400.00 of 5,000.00: 80 % reached", True),
        ("loss 4,312.50 of 5,000.00: 80 % reached", "loss 4,400.00 of 5,000.00: 90 % reached", False),
        ("limit `a`: 50% reached", "limit `b`: 50% reached", False),
    ],
)
def test_what_is_the_same_event(one: str, other: str, same: bool) -> None:
    """Measurements differ each time and do not count; a tier somebody asked for does."""
    assert (same_event(one) == same_event(other)) is same


def test_written_in_the_callers_transaction(desk: Desk) -> None:
    """It stands with what it is about, or not at all."""
    with desk.store.session() as session:
        assert alerts.write(session, "leader", "critical", "loss reached", START, code="DAILY_LOSS")
    with pytest.raises(ZeroDivisionError), desk.store.session() as session:
        alerts.write(session, "leader", "critical", "never", START)
        1 / 0  # noqa: B018  (the crash)

    assert written(desk) == [("leader", "critical", "DAILY_LOSS", "loss reached", 0, 0, 0)]


def test_repeats_within_a_minute_are_counted(desk: Desk) -> None:
    """On the last microsecond of the minute it is counted; after it a new row takes the count along."""
    at = [0, 1, 59 * SECOND, 60 * SECOND - 1, 60 * SECOND, 61 * SECOND]
    with desk.store.session() as session:
        new = [alerts.write(session, "leader", "warning", f"marks {each} s old", START + each) for each in at]

    assert new == [True, False, False, False, True, False]
    assert [row[4:] for row in written(desk)] == [(3, 0, 0), (1, 1, 3)]


def test_a_clock_set_back_silences_nobody(desk: Desk) -> None:
    """An event before the last one by the clock is written anew."""
    with desk.store.session() as session:
        assert alerts.write(session, "leader", "warning", "x", START)
        assert alerts.write(session, "leader", "warning", "x", START - 1)


def test_what_is_told_once_is_told_once(desk: Desk) -> None:
    """Whoever notices it, however often, with other words and a day later."""
    with desk.store.session() as session:
        assert alerts.write(session, "leader", "critical", "killed", START, once="kill:a")
        assert not alerts.write(session, "leader", "critical", "killed again", START + 86_400 * SECOND, once="kill:a")
        assert alerts.write(session, "leader", "critical", "killed", START, once="kill:b")


@pytest.mark.parametrize(
    "message", ["", " ", "a\x00b", "lone \ud800 surrogate", "x" * 50_000, 7, None, "eyJ" + "abcdefgh.ijklmnop.qrst"]
)
def test_any_words_are_taken(desk: Desk, message: object) -> None:
    """Who raises an alert is in trouble already: nothing it says is refused, and no secret passes."""
    with desk.store.session() as session:
        assert alerts.write(session, "\x00", "loud", message, START)  # type: ignore[arg-type]

    ((account, severity, code, said, *_),) = written(desk)
    assert (account, severity, code) == ("GLOBAL", "critical", "NOTICE")
    assert 1 <= len(str(said)) <= 2_000 and "eyJ" not in str(said)


def test_tell_comes_back_at_once_while_the_database_is_locked(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """Three hundred alerts cost their caller no lock; what the database then does not take goes the other way."""
    caplog.set_level(logging.INFO, "riskguard")
    elsewhere: list[Notice] = []
    told = OutboxAlerts(desk.url, clock=desk.clock, directly=elsewhere.append, write_wait_s=0.05)
    with desk.unwritable():
        began = time.monotonic()
        for number in range(300):
            told.tell("leader", "warning", f"message of kind {'x' * number}")
        took_s = time.monotonic() - began
        assert told.flush(60)
    told.close()

    assert took_s < 5  # each waited for alone would be three quarters of a minute
    assert len(elsewhere) == 300 and written(desk) == []
    assert "message of kind" in caplog.text and "does not take an alert" in caplog.text


def test_tell_is_written_when_the_database_is_free(desk: Desk) -> None:
    """Negative control of the above: nothing goes elsewhere, and the row says that it is logged."""
    elsewhere: list[Notice] = []
    told = OutboxAlerts(desk.url, clock=desk.clock, directly=elsewhere.append)
    told.tell("leader", "critical", "broker unreachable", code="BROKER", key="broker")
    told.tell("leader", "critical", "broker still unreachable", code="BROKER", key="broker")
    assert told.flush()
    told.close()

    assert written(desk) == [("leader", "critical", "BROKER", "broker unreachable", 1, 1, 0)] and elsewhere == []
    assert desk.one("SELECT is_logged FROM alerts") == 1


def test_a_full_queue_drops_the_newest_and_says_so(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """Memory is bounded; the log still has it."""
    told = OutboxAlerts(desk.url, clock=desk.clock, waiting_max=5, write_wait_s=0.2)
    with desk.unwritable():
        for number in range(200):
            told.tell("leader", "warning", "x" * (number + 1))
    assert told.flush()
    told.close()

    assert told.dropped > 0 and "one stays in the log only" in caplog.text


def test_tell_never_raises(desk: Desk) -> None:
    """Not for a database that is gone, not for words that are none."""
    told = OutboxAlerts(f"sqlite:///{desk.path.parent}/nowhere.db", clock=desk.clock, write_wait_s=0.01)
    told.tell("leader", "critical", "x")
    told.tell(None, None, None)  # type: ignore[arg-type]
    assert told.flush()
    told.close()
    told.tell("leader", "critical", "after the end")
    told.close()


def test_a_forked_child_tells_by_itself(desk: Desk) -> None:
    """The thread stayed in the parent: the child starts its own."""
    told = OutboxAlerts(desk.url, clock=desk.clock)
    told.tell("leader", "info", "parent")
    assert told.flush()
    pid = os.fork()
    if pid == 0:
        told.tell("leader", "info", "child")
        os._exit(0 if told.flush(30) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    told.close()

    assert sorted(str(row[3]) for row in written(desk)) == ["child", "parent"]


def test_a_notice_of_another_severity_is_critical() -> None:
    """A word we do not know is heard, not swallowed."""
    assert notice("a", "warning", "m", 1).severity == "warning"
    assert notice("a", "WARNING", "m", 1).severity == "critical"
