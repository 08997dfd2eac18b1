"""The daily run: once a day after the close, whoever asks; a failure is recorded and told, and holds nothing up."""

from __future__ import annotations

import datetime as dt
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from riskguard.core.calendar import ist_us
from riskguard.services.settings import DatabaseSettings
from riskguard.services.sweeps.schedule import Schedule
from riskguard.services.upkeep import archive, daily
from riskguard.services.upkeep.daily import Upkeep, is_time
from riskguard.services.upkeep.lock import alone
from tests.core.tables import Row, table
from tests.services import aged
from tests.services.desk import Desk, eventually
from tests.services.test_upkeep_archive import die, in_child

EVENING_S = 8 * 3600 + 60
"""From the desk's 10:30 to 18:31."""
KEPT_BY_US = "the daily backup, archive and vacuum are of a file: a server keeps itself, as its own test here shows"


def upkeep(desk: Desk) -> Upkeep:
    return Upkeep(desk.url, clock=desk.clock, alerts=desk.alerts)


def records(desk: Desk) -> list[tuple[Any, ...]]:
    return desk.rows("SELECT kind, slot, attempts, outcome FROM upkeep_runs ORDER BY id")


TIMES = table("""
    goal                              day         at     setting  due
    before the hour                   2025-06-02  18:29  18:30    no
    at the hour                       2025-06-02  18:30  18:30    yes
    to the end of the day             2025-06-02  23:59  18:30    yes
    after midnight it is another day  2025-06-03  00:01  18:30    no
    never while the market trades     2025-06-02  15:29  09:00    no
    at the close                      2025-06-02  15:30  09:00    yes
    before the open                   2025-06-02  09:10  09:00    yes
    on a Sunday                       2025-06-01  10:30  09:00    yes
    Muhurat trading                   2025-10-21  14:30  09:00    no
""")


@pytest.mark.parametrize("row", TIMES, ids=str)
def test_when_it_is_time(row: Row) -> None:
    """Past its hour in India, and no market of the calendar trades."""
    hours, minutes = map(int, row.at.split(":"))
    now_us = ist_us(dt.date.fromisoformat(row.day), hours * 3600 + minutes * 60)

    assert is_time(DatabaseSettings(upkeep_time=row.setting), now_us) is (row.due == "yes")


@pytest.mark.sqlite_only(KEPT_BY_US)
def test_once_a_day_whoever_asks(desk: Desk) -> None:
    """Two daemons and many minutes make one backup and one archiving a day; the next day makes the next."""
    aged.fill(desk.path)
    first, second = upkeep(desk), upkeep(desk)
    assert first.tick() == []
    desk.clock.advance(EVENING_S)

    assert first.tick() == ["backup", "archive", "vacuum"]
    for _ in range(3):
        assert first.tick() == second.tick() == []

    assert records(desk) == [(kind, "2025-06-02", 1, "DONE") for kind in ("backup", "archive", "vacuum")]
    desk.clock.advance(86_400)
    assert second.tick() == ["backup", "archive", "vacuum"]
    assert len(list(desk.path.parent.glob("*-backup-*.db"))) == 2
    assert archive.plan(desk.url, clock=desk.clock).rows == 0


@pytest.mark.sqlite_only(KEPT_BY_US)
def test_what_is_switched_off_is_not_done(desk: Desk, tmp_path: Path) -> None:
    """Each has its switch; a backup goes where the setting says, and so many are kept."""
    desk.configure("upkeep_archive", "off")
    desk.configure("upkeep_vacuum", "off")
    desk.configure("backup_keep", "1")
    desk.configure("backup_directory", str(tmp_path))
    desk.clock.advance(EVENING_S)

    assert upkeep(desk).tick() == ["backup"]
    desk.clock.advance(86_400)
    assert upkeep(desk).tick() == ["backup"]

    assert len(list(tmp_path.glob("*-backup-*.db"))) == 1


@pytest.mark.sqlite_only(KEPT_BY_US)
def test_a_failure_is_recorded_told_and_tried_three_times(desk: Desk) -> None:
    """A directory that is not there: one record, three attempts, three alerts; archive and vacuum are done all the same."""
    desk.configure("backup_directory", "/nowhere/at/all/backups")
    desk.clock.advance(EVENING_S)
    runs = upkeep(desk)

    assert [runs.tick() for _ in range(5)] == [["archive", "vacuum"], [], [], [], []]

    assert records(desk)[0] == ("backup", "2025-06-02", 3, "FAILED")
    told = [message for _account, severity, message in desk.alerts.said if severity == "warning"]
    assert len(told) == 3 and all("no directory" in message for message in told)


@pytest.mark.sqlite_only(KEPT_BY_US)
def test_an_error_nobody_thought_of_ends_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is recorded as such, and the next work is done."""

    def broken(*_args: Any, **_how: Any) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(daily.backup, "back_up", broken)
    desk.clock.advance(EVENING_S)

    assert upkeep(desk).tick() == ["archive", "vacuum"]
    assert records(desk)[0][3] == "FAILED" and "a bug" in desk.alerts.said[0][2]


@pytest.mark.sqlite_only(KEPT_BY_US)
def test_a_run_whose_process_died_is_taken_over(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at work it leaves a record without an end; the next to ask does it, once."""
    desk.clock.advance(EVENING_S)
    with monkeypatch.context() as patch:
        patch.setattr(daily.backup, "back_up", lambda *_args, **_how: die())
        assert in_child(lambda: upkeep(desk).tick()) == signal.SIGKILL
    assert records(desk) == [("backup", "2025-06-02", 1, None)]

    assert upkeep(desk).tick()[0] == "backup"
    assert records(desk)[0] == ("backup", "2025-06-02", 2, "DONE")


@pytest.mark.sqlite_only(KEPT_BY_US)
def test_while_another_is_at_it_nothing_is_claimed(desk: Desk) -> None:
    """A run in progress belongs to whoever holds the lock, however long it takes."""
    desk.clock.advance(EVENING_S)
    with alone(desk.path):
        assert upkeep(desk).tick() == []
    assert records(desk) == []


@pytest.mark.sqlite_only(KEPT_BY_US)
def test_stopping_ends_it_soon_and_tomorrow_goes_on(desk: Desk) -> None:
    """What is stopped is recorded as not done."""
    aged.fill(desk.path)
    desk.clock.advance(EVENING_S)
    stopped = upkeep(desk)
    stopped.stop()

    stopped.tick()

    assert {row[3] for row in records(desk) if row[0] in ("backup", "archive")} == {"FAILED"}
    desk.clock.advance(86_400)
    assert upkeep(desk).tick() == ["backup", "archive", "vacuum"]


def test_a_long_run_holds_no_sweep_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """While upkeep hangs, sweeps go on; without an executor of its own it would stand in their way."""
    inside, release = threading.Event(), threading.Event()

    def hang(self: Upkeep) -> list[str]:
        inside.set()
        release.wait(30)
        return []

    monkeypatch.setattr(Upkeep, "tick", hang)
    monkeypatch.setattr("riskguard.services.sweeps.schedule.UPKEEP_LOOKED_AT_S", 0.1)
    schedule = Schedule(desk.guard, [desk.sweeper], every_s=0.1, upkeep=upkeep(desk))
    schedule.start()
    try:
        assert inside.wait(20)

        def swept(slot: int) -> bool:
            return bool(desk.rows("SELECT 1 FROM sweeps WHERE slot = ? AND finished_at_us > 0", slot))

        interval_us = desk.sweeper.slots.interval_us
        eventually(lambda: swept(desk.clock.now_us() // interval_us))  # the first one opens the day, too
        before = desk.one("SELECT count(*) FROM sweeps")
        for _ in range(3):
            desk.clock.advance(2)
            eventually(lambda: swept(desk.clock.now_us() // interval_us))
        assert desk.one("SELECT count(*) FROM sweeps") == before + 3
    finally:
        release.set()
        schedule.stop()


def test_it_never_raises_for_a_database_it_cannot_use(desk: Desk) -> None:
    """A database that is gone is a line in the log, not the end of a thread."""
    desk.guard.close()
    desk.lose()
    desk.clock.advance(EVENING_S)

    assert upkeep(desk).tick() == []


def test_only_a_file_is_kept_by_us(desk: Desk, store_kind: str) -> None:
    """Of a server nothing is copied, moved or given back, and no run of it is claimed: its own programs do that."""
    desk.clock.advance(EVENING_S)
    kept = ["backup", "archive", "vacuum"] if store_kind == "sqlite" else []

    assert upkeep(desk).tick() == kept
    assert [kind for kind, *_ in records(desk)] == kept
