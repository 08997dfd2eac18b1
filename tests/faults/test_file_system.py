"""
A file system whose locks cannot be relied on: refused when the database is opened, told by `riskguard doctor`.

A real network mount cannot be made in a test; the host's list of mounts is replaced by one that says there is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from riskguard.errors import StoreUnavailableError
from riskguard.services.doctor import file_systems
from riskguard.services.kill.killswitch import HALTED_HERE
from riskguard.services.wiring import open_guard
from riskguard.store.engines import mounts
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, Desk

KINDS = table("""
    kind        opened  told
    ext4        yes     -
    tmpfs       yes     -
    btrfs       yes     -
    9p          yes     warning
    virtiofs    yes     warning
    nfs         no      error
    nfs4        no      error
    cifs        no      error
    smb3        no      error
    fuse.sshfs  no      error
""")


@pytest.fixture(autouse=True)
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A list of mounts of our own; forgotten with the test."""
    path = tmp_path / "mountinfo"
    monkeypatch.setattr(mounts, "MOUNTINFO", path)
    mounts.forget()
    yield path
    mounts.forget()


def line(path: Path, kind: str) -> str:
    device = os.stat(path).st_dev
    place = f"{os.major(device)}:{os.minor(device)}"
    return f"36 35 98:0 / /other rw - ext3 /dev/root rw\n37 35 {place} / /data rw,noatime shared:1 - {kind} server:/data rw\n"


@pytest.mark.parametrize("row", KINDS, ids=str)
def test_a_database_on_a_network_is_refused(desk: Desk, mounted: Path, row: Row) -> None:
    """By an open guard's next opening, by a new one, and not by a kill, whose flag needs no lock."""
    mounted.write_text(line(desk.path, row.kind))
    desk.store.close()
    mounts.forget()
    decision = desk.guard.check(desk.order())
    told = {each.severity.value for each in file_systems(desk.store, 0)}

    assert decision.approved == row.has("opened")
    assert told == ({row.told} if row.opt("told") else set())
    if not row.has("opened"):
        assert [each.code for each in decision.rejects] == ["STORE_UNAVAILABLE"]
        with pytest.raises(StoreUnavailableError, match=f"`{row.kind}`, a network file system"):
            open_guard(desk.url, sweep=False)
        outcome = desk.guard.kill(ACCOUNT, by="desk", reason="over there")
        assert outcome.exit_status == HALTED_HERE and outcome.flags


def test_where_the_host_tells_nothing_nothing_is_refused(desk: Desk, mounted: Path) -> None:
    """No /proc, no Linux, or a device the list does not have: unknown is not a reason to stop trading."""
    desk.store.close()
    assert not mounted.exists() and mounts.kind_of(desk.path) is None
    assert desk.guard.check(desk.order()).approved
    mounted.write_text("not a mount\n\n1 2 999:999 / / rw - nfs x rw\n")
    mounts.forget()
    desk.store.close()

    assert mounts.kind_of(desk.path) is None and desk.guard.check(desk.order()).approved
    assert mounts.kind_of(desk.path.with_name("absent")) is None


def test_this_host_tells(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The real list: whatever lies under a test's directory is a local file system."""
    monkeypatch.setattr(mounts, "MOUNTINFO", Path("/proc/self/mountinfo"))
    mounts.forget()

    assert mounts.kind_of("/proc") == "proc" and mounts.kind_of(tmp_path) not in mounts.NETWORK
