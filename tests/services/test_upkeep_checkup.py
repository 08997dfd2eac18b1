"""The checkup: each thing that can be wrong is found, with its way out; and nothing is found where nothing is wrong."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from riskguard.services.upkeep import archive, backup, checkup, files
from riskguard.services.upkeep.checkup import Finding, findings
from tests.services import aged
from tests.services.desk import Desk
from tests.services.test_upkeep_backup import _break_page, _cut_journal
from tests.store import rows as made

pytestmark = pytest.mark.sqlite_only(
    "looks at a file and what lies beside it; a server's check is in tests/cli/test_commands.py"
)


@pytest.fixture
def well(desk: Desk) -> Desk:
    """A desk with nothing to say about it."""
    backup.back_up(desk.url, clock=desk.clock)
    return desk


def codes(desk: Desk, **how: bool) -> list[tuple[str, str]]:
    return [(each.severity, each.code) for each in findings(desk.store, clock=desk.clock, **how)]


def test_nothing_is_found_where_nothing_is_wrong(well: Desk) -> None:
    """Quick or not."""
    assert findings(well.store, clock=well.clock) == []
    assert findings(well.store, clock=well.clock, quick=True) == []


def _orphan(desk: Desk) -> None:
    aged.put(desk.path, "positions", {**made.POSITION, "snapshot_id": 999_999})


def _failed(desk: Desk) -> None:
    desk.sql(
        "INSERT INTO upkeep_runs (kind, slot, started_at_us, outcome, detail) "
        "VALUES ('archive', '2025-06-02', 1748840400000000, 'FAILED', '{\"error\": \"no room\"}')"
    )


def _in_quarantine(desk: Desk) -> None:
    desk.sql(
        "INSERT INTO quarantine (source_table, source_version, reason, raw, at_us) "
        "VALUES ('orders', 3, 'r', '{}', 1748840400000000)"
    )


def _large_wal(desk: Desk) -> None:
    os.truncate(f"{desk.path}-wal", checkup.WAL_BYTES_WORRY + 1)


def _ahead(desk: Desk) -> None:
    path = desk.path.with_name(f"{desk.path.name}.GENERATION")
    path.write_text("7\n")
    path.chmod(0o600)


def _no_archive(desk: Desk) -> None:
    path = files.archive_path(desk.path, 2020)
    path.write_text("no archive")
    path.chmod(0o600)


def _nonsense(desk: Desk) -> None:
    desk.sql("UPDATE config SET value = 'sometimes' WHERE key = 'riskguard.upkeep_backup'")


FOUND: dict[str, tuple[Callable[[Desk], object], tuple[str, str], bool]] = {
    # what is done: how, what is found, whether a quick look finds it too
    "a page is broken": (lambda desk: _break_page(desk.path), ("error", "integrity"), False),
    "the journal was changed": (lambda desk: _cut_journal(desk.path), ("error", "journal"), False),
    "an index was added": (lambda desk: desk.sql("CREATE INDEX mine ON orders (amo_time)"), ("error", "drift"), True),
    "the GENERATION file is ahead": (_ahead, ("error", "generation"), True),
    "a setting is nonsense": (_nonsense, ("error", "settings"), True),
    "others may read the file": (lambda desk: desk.path.chmod(0o644), ("warning", "permissions"), True),
    "others may list the halts": (
        lambda desk: (desk.path.parent / "halt").chmod(0o755), ("warning", "permissions"), True,
    ),
    "the halt directory is gone": (lambda desk: shutil.rmtree(desk.path.parent / "halt"), ("warning", "halt-directory"), True),
    "the spares are gone": (lambda desk: shutil.rmtree(desk.path.parent / "armed"), ("warning", "halt-directory"), True),
    "a list has lost its header": (_orphan, ("warning", "orphans"), False),
    "an event has no order": (
        lambda desk: aged.put(desk.path, "order_events", aged.event("nowhere", aged.NOW_S)), ("info", "orphans"), False,
    ),
    "rows are in quarantine": (_in_quarantine, ("info", "quarantine"), True),
    "the last archiving failed": (_failed, ("warning", "upkeep"), True),
    "the WAL only grows": (_large_wal, ("warning", "wal"), True),
    "an archive is none": (_no_archive, ("warning", "archive"), True),
}  # fmt: skip


@pytest.mark.parametrize("what", FOUND)
def test_each_thing_is_found_with_its_way_out(well: Desk, what: str) -> None:
    """It is found, with a way out, and nothing else is; a quick look leaves out what reads the whole file."""
    act, expected, quickly = FOUND[what]
    well.guard.close()
    keeps_open = well.store.session(durable=False)
    if "WAL" in what:
        keeps_open.__enter__()
    act(well)

    found = findings(well.store, clock=well.clock)

    assert {(each.severity, each.code) for each in found} == {expected}
    assert all(each.way_out and each.what for each in found)
    assert (expected in codes(well, quick=True)) is quickly


def test_the_age_of_the_newest_backup(desk: Desk) -> None:
    """None was made; one of three days is fine; older is told. A file of ours beside the database counts too."""
    assert codes(desk) == [("warning", "backup")]
    done = backup.back_up(desk.url, clock=desk.clock)
    now_s = desk.clock.now_us() / 1_000_000
    os.utime(done.path, (now_s, now_s))
    desk.clock.advance(3 * 86_400)
    assert codes(desk) == []
    desk.clock.advance(1)
    assert codes(desk) == [("warning", "backup")]
    os.utime(done.path, (now_s + 1, now_s + 1))
    assert codes(desk) == []


def test_it_takes_no_lock(well: Desk) -> None:
    """While somebody holds the write lock the checkup answers."""
    with well.store.session(durable=False):
        assert findings(well.store, clock=well.clock) == []


def test_an_archive_with_its_database_is_well(well: Desk) -> None:
    """After an archive run only what it may leave is told, and nothing worse than `info`."""
    aged.fill(well.path)
    archive.archive(well.url, clock=well.clock)

    found: list[Finding] = findings(well.store, clock=well.clock)

    assert {each.severity for each in found} <= {"info"}, found
    assert Path(files.archive_path(well.path, 2024)).exists()
