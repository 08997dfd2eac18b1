"""Vacuum: space comes back in short steps, or in one VACUUM that asks first; the file stays what it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riskguard.errors import UpkeepError
from riskguard.services.upkeep import files
from riskguard.services.upkeep import vacuum as service
from riskguard.services.upkeep.vacuum import Vacuumed, can_step, vacuum
from riskguard.store import inspect
from riskguard.store.engines.sqlite import APPLICATION_ID, SCHEMA_VERSION, WAL_BYTES_MAX
from tests.services import aged
from tests.services.desk import Desk, locked

pytestmark = pytest.mark.sqlite_only("gives a file's pages back; a server has autovacuum, and the command says so")

CLOSED_S = 6 * 3600
"""From the desk's 10:30 to 16:30: the market has closed."""


def run(desk: Desk, **how: Any) -> Vacuumed:
    return vacuum(desk.url, clock=desk.clock, **how)


def waste(desk: Desk, megabytes: int = 6) -> None:
    """Write and delete, so that pages are free."""
    with aged.open_file(desk.path) as file:
        file.execute("BEGIN IMMEDIATE")
        file.executemany(
            "INSERT INTO audit_log (action, account_type, request_data, ts) VALUES ('a', 'leader', ?, 1)",
            [("x" * 1_000_000,)] * megabytes,
        )
        file.execute("DELETE FROM audit_log")
        file.execute("COMMIT")


def without_steps(desk: Desk) -> None:
    """Make the file as an older riskguard made it."""
    desk.guard.close()
    with aged.open_file(desk.path) as file:
        file.execute("PRAGMA auto_vacuum = NONE")
        file.execute("VACUUM")
    assert not can_step(desk.url)


def test_steps_give_back_everything_at_any_hour(desk: Desk) -> None:
    """While the market trades: short transactions, the file is smaller, its stamps and rows are the same."""
    waste(desk)
    before = aged.untouched(desk.path)

    done = run(desk)

    assert (done.way, done.bytes_after + done.freed) == ("steps", done.bytes_before)
    assert done.freed > 5_000_000
    desk.store.tidy()
    assert aged.untouched(desk.path) == before
    with aged.open_file(desk.path) as file:
        assert file.execute("PRAGMA freelist_count").fetchone()[0] == 0
        assert (inspect.integrity(file), inspect.drift(file)) == ([], [])
    assert run(desk).way == "nothing"
    assert desk.rows("SELECT kind, outcome FROM upkeep_runs") == [("vacuum", "DONE")]


def test_a_whole_one_waits_for_the_close(desk: Desk) -> None:
    """10:30 on a Monday it is refused, with `now` it is done; after the close it needs no word. Then steps do."""
    without_steps(desk)
    waste(desk)
    with pytest.raises(UpkeepError, match="NSE_EQ, NSE_FNO trades now"):
        run(desk)
    with aged.open_file(desk.path) as file:
        assert file.execute("PRAGMA freelist_count").fetchone()[0] > 1_000
    desk.clock.advance(CLOSED_S)

    done = run(desk)

    assert done.way == "whole" and done.freed > 5_000_000
    assert can_step(desk.url)
    with aged.open_file(desk.path) as file:
        assert file.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
        assert file.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION
        assert inspect.integrity(file) == []
    desk.clock.advance(-CLOSED_S)
    assert run(desk, whole=True, now=True).way == "whole"


def test_a_whole_one_waits_for_orders_that_are_not_done(desk: Desk) -> None:
    """After the close, with an approved order that still lives, it is refused; without one it is done."""
    desk.clock.advance(CLOSED_S)
    desk.sweep()
    decision = desk.guard.check(desk.order())
    assert decision.approved
    with pytest.raises(UpkeepError, match="1 approved orders are not done"):
        run(desk, whole=True)
    desk.sweep(11)

    assert run(desk, whole=True).way == "whole"


def test_the_wal_is_small_again(desk: Desk) -> None:
    """A whole VACUUM passes through the WAL; afterwards it is cut to its usual size, with others connected."""
    with aged.open_file(desk.path) as file:
        file.executemany(
            "INSERT INTO error_log (error_type, error_message, occurred_at) VALUES ('e', ?, 1)",
            [("x" * 1_000_000,)] * 12,
        )
    another = desk.another_guard()
    assert another.check(desk.order()).approved

    run(desk, whole=True, now=True)

    assert Path(f"{desk.path}-wal").stat().st_size <= WAL_BYTES_MAX
    assert another.check(desk.order()).approved


def test_a_dry_run_says_and_changes_nothing(desk: Desk) -> None:
    """What would be freed is what is then freed; what a whole one needs is twice what stays."""
    waste(desk)
    desk.store.tidy()
    planned, whole = run(desk, dry_run=True), run(desk, dry_run=True, whole=True)

    assert planned.way == "steps" and whole.needs == 2 * whole.bytes_after
    done = run(desk)
    assert abs(done.freed - planned.freed) <= 40_960


def test_whoever_holds_the_lock_is_not_waited_for_long(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A holder is named in one line, and the file is as it was; when the lock is free it works."""
    monkeypatch.setattr(service, "MOMENT_S", 0.2)
    with locked(desk.path), pytest.raises(UpkeepError, match="kept busy by others"):
        run(desk, whole=True, now=True)

    assert run(desk, whole=True, now=True).way == "whole"


def test_room_is_looked_for_first(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """With less than twice the file's size free nothing is begun; with exactly that it is."""
    needs = run(desk, dry_run=True, whole=True).needs
    for room, done in ((needs - 1, False), (needs, True)):
        monkeypatch.setattr(files, "free_bytes", _always(room))
        if done:
            run(desk, whole=True, now=True)
        else:
            with pytest.raises(UpkeepError, match="bytes free"):
                run(desk, whole=True, now=True)


def _always(room: int) -> Callable[[Path], int]:
    return lambda _directory: room
