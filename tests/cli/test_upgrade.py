"""`riskguard db upgrade`, as a person runs it: what it says, what it leaves alone, and its exit status."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from riskguard.errors import UpgradeError
from riskguard.services.upgrade import upgrade
from tests.cli.shell import COMMAND, Shell
from tests.store import v3_files

NOBODY = 65_534


def old_file(shell: Shell, version: int, orders: int = 60) -> Path:
    with closing(v3_files.build(shell.database, version)) as connection:
        v3_files.fill(connection, orders)
    return shell.database


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("version", [1, 2, 3])
def test_upgrade_reports_and_everything_works_after_it(empty: Shell, version: int) -> None:
    old_file(empty, version)

    done = empty("db", "upgrade", "--position-size-unit", "inr")

    assert (done.status, done.err) == (0, "")
    assert f"schema {version} → 4" in done.out
    assert "Backup: " in done.out and "Accounts: follower, leader" in done.out
    assert empty("db", "check").status == 0
    assert empty("status").status == 0
    assert empty("audit", "verify").status == 0
    again = empty("db", "upgrade")
    assert again.status == 0
    assert "already at schema 4" in again.out


def test_the_file_can_be_named_and_the_report_be_json(empty: Shell) -> None:
    path = old_file(empty, 2).rename(empty.directory / "other.db")

    done = empty("db", "upgrade", str(path), "--json")

    assert done.status == 0
    assert done.document["version"] == 2
    assert {each["table"] for each in done.document["tables"]} == {spec["name"] for spec in v3_files.tables(2)}


def test_a_unit_is_demanded_in_one_line(empty: Shell) -> None:
    path = old_file(empty, 3)
    before = digest(path)

    answer = empty("db", "upgrade")

    assert answer.status == 1 and answer.is_one_line_error()
    assert "--position-size-unit" in answer.err
    assert digest(path) == before
    assert empty("db", "upgrade", "--position-size-unit", "bags").status == 2


def test_a_file_that_is_no_database(empty: Shell) -> None:
    empty.database.write_text("a page of text, long enough to be looked at. " * 100)
    before = digest(empty.database)

    answer = empty("db", "upgrade")

    assert answer.status == 1 and answer.is_one_line_error()
    assert digest(empty.database) == before


def test_a_newer_schema(shell: Shell) -> None:
    """Made by a riskguard of later: refused in one line, whichever way the store keeps its version."""
    if shell.server_url:
        shell.write("UPDATE alembic_version SET version_num = '0009_v9'")
    else:
        shell.write("PRAGMA user_version = 9")

    answer = shell("db", "upgrade")

    assert answer.status == 1 and answer.is_one_line_error()
    assert "newer than this riskguard" in answer.err


def test_a_database_another_program_writes(empty: Shell) -> None:
    path = old_file(empty, 3)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        answer = empty("db", "upgrade", "--position-size-unit", "units")

    assert answer.status == 1 and answer.is_one_line_error()
    assert "open in another program" in answer.err


@pytest.mark.parametrize("room", [0.5, 1.01], ids=["for half a backup", "for the backup and most of the new file"])
def test_a_disk_that_is_full_in_the_middle(empty: Shell, room: float) -> None:
    """No file may grow beyond *room* times the old one: the write fails, the old file stands, nothing lies about."""
    path = old_file(empty, 3, 600)
    before = digest(path)
    most = int(path.stat().st_size * room)

    done = subprocess.run(
        [COMMAND, "db", "upgrade", "--position-size-unit", "units"], capture_output=True, text=True, check=False,
        env={**empty.environment(), "PYTHONDONTWRITEBYTECODE": "1"},  # the limit would cut compiled modules off
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )  # fmt: skip

    assert done.returncode == 1, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "untouched" in done.stderr
    assert digest(path) == before
    assert list(path.parent.glob("*.upgrading*")) == []
    assert list(path.parent.glob("*back*")) == []
    assert empty("db", "upgrade", "--position-size-unit", "units").status == 0


@contextmanager
def as_nobody() -> Iterator[None]:
    """A user who may read and not write; root may everything, so root steps down."""
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if was_root:
            os.seteuid(0)


def test_a_directory_nothing_can_be_written_to() -> None:
    directory = Path(tempfile.mkdtemp(dir="/tmp"))  # pytest's own directories let no other user in
    try:
        path = directory / "copy.db"
        with closing(v3_files.build(path, 3)) as connection:
            v3_files.fill(connection, 10)
        before = digest(path)
        directory.chmod(0o555)

        with as_nobody(), pytest.raises(UpgradeError, match="is read-only"):
            upgrade(f"sqlite:///{path}", position_size_unit="units")

        directory.chmod(0o755)
        assert digest(path) == before
        assert [each.name for each in directory.iterdir()] == ["copy.db"]
    finally:
        directory.chmod(0o755)
        shutil.rmtree(directory)


def test_a_kill_of_the_old_file_holds_after_it(empty: Shell) -> None:
    with closing(v3_files.build(empty.database, 3)) as connection:
        v3_files.fill(connection, 20, kill="ACTIVE")

    done = empty("db", "upgrade", "--position-size-unit", "units")

    assert "Kill switch: ACCOUNT:leader is HALTED" in done.out
    accounts = json.loads(empty("status", "--json").out)["accounts"]
    assert {each["account"]: each["state"] for each in accounts} == {"leader": "HALTED", "follower": "ACTIVE"}
