"""What a kill asks for a name, and the connection it asked on: the row goes the same way, and only into the file that is there."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from riskguard.services.kill import killswitch
from riskguard.services.kill.lookup import Lookup
from riskguard.store.session import Store
from tests.services.desk import ACCOUNT, Desk

FILE = "what is handed over is a connection to a file; nothing is kept of a server asked"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[sqlite3.Connection]:
    """Every connection of this process from now on."""
    made: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def noted(*how: Any, **more: Any) -> sqlite3.Connection:
        made.append(connect(*how, **more))
        return made[-1]

    monkeypatch.setattr(sqlite3, "connect", noted)
    return made


@pytest.mark.sqlite_only(FILE)
@pytest.mark.parametrize("kept", [True, False], ids=["as it is", "control: nothing is handed over"])
def test_the_row_is_written_where_the_name_was_asked(
    desk: Desk, opened: list[sqlite3.Connection], monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    """Opening reads the whole schema, which is the larger part of a kill: once is enough. Nothing stays open."""
    desk.guard.close()
    if not kept:
        monkeypatch.setattr(Lookup, "hand_over", lambda _self: None)
    outcome = killswitch.engage(desk.url, ACCOUNT, by="desk", reason="test")

    assert (outcome.exit_status, len(opened)) == (killswitch.HALTED, 1 if kept else 2)
    with pytest.raises(sqlite3.ProgrammingError):
        opened[-1].execute("SELECT 1")


@pytest.mark.sqlite_only(FILE)
def test_a_file_that_came_in_between_gets_the_row(desk: Desk, opened: list[sqlite3.Connection]) -> None:
    """Asked on the one that was there before, which is not where anybody looks any more."""
    desk.guard.close()
    lookup = Lookup(desk.url)
    assert lookup.is_known(ACCOUNT) is True
    shutil.copy(desk.path, desk.path.with_name("copy"))
    for name in ("-wal", "-shm"):
        Path(f"{desk.path}{name}").unlink(missing_ok=True)
    desk.path.with_name("copy").rename(desk.path)
    outcome = killswitch.engage(desk.url, ACCOUNT, by="desk", reason="test", lookup=lookup)

    assert (outcome.exit_status, len(opened)) == (killswitch.HALTED, 2)
    with sqlite3.connect(desk.path) as there:
        assert there.execute("SELECT count(*) FROM kill_runs").fetchone() == (1,)


@pytest.mark.sqlite_only(FILE)
def test_a_connection_that_is_adopted_waits_as_any_other(desk: Desk) -> None:
    """Opened for half a second's patience; how long a session waits for the lock is the session's own."""
    lookup = Lookup(desk.url)
    assert lookup.is_known("nobody") is False
    given, store = lookup.hand_over(), Store(desk.url)
    assert given is not None and lookup.hand_over() is None
    store.adopt(*given)
    with store.session() as session:
        assert session.connection is given.connection  # type: ignore[attr-defined]
        assert given.connection.execute("PRAGMA busy_timeout").fetchone() == (0,)
    store.close()
    lookup.close()


def test_what_cannot_be_asked_is_unknown(tmp_path: Path) -> None:
    """No file, one that is no database, and a server nobody runs: each is said within its time, and nothing is made."""
    (tmp_path / "nonsense.db").write_bytes(b"no database" * 100)
    for url in (
        f"sqlite:///{tmp_path / 'none.db'}", f"sqlite:///{tmp_path / 'nonsense.db'}", "postgresql://127.0.0.1:1/risk"
    ):  # fmt: skip
        lookup = Lookup(url)
        assert (lookup.is_known(ACCOUNT), lookup.accounts_of("family")) == (None, ())
        lookup.close()
    assert [path.name for path in tmp_path.iterdir()] == ["nonsense.db"]
