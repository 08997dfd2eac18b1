"""
I14: processes of two versions at one database. Whoever does not know the schema it finds refuses, and writes nothing.

A file migrated by replacing it is another inode, which every transaction sees; one migrated in place is asked for its
version once a second.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable

import pytest

from riskguard.errors import SchemaMismatchError
from riskguard.services.kill.killswitch import HALTED_HERE, engage
from riskguard.services.wiring import open_guard
from riskguard.store.engines import sqlite as lite
from riskguard.store.session import Store
from tests.core.tables import Row, table
from tests.reliability.actors import acting
from tests.services.desk import ACCOUNT, Desk, eventually

VERSIONS = table("""
    version  works
    3        no
    4        yes
    5        no
""")


def migrate(desk: Desk, version: int) -> None:
    """Another program changes the schema in place, under everybody."""
    with contextlib.closing(sqlite3.connect(desk.path, timeout=10, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE of_another_version (x)")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("COMMIT")


@pytest.mark.parametrize("row", VERSIONS, ids=str)
def test_an_open_guard_refuses_a_schema_it_does_not_know(desk: Desk, row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older and newer alike; whoever opens it anew gets the typed error, and a kill halts this host."""
    monkeypatch.setattr(lite, "VERSION_LOOK_S", 0.0)
    assert desk.guard.check(desk.order()).approved
    migrate(desk, row.number("version"))
    before = desk.one("SELECT count(*) FROM decisions")
    decision = desk.guard.check(desk.order())

    assert decision.approved == row.has("works")
    if row.has("works"):
        return
    assert [each.code for each in decision.rejects] == ["STORE_UNAVAILABLE"]
    assert desk.one("SELECT count(*) FROM decisions") == before
    with pytest.raises(SchemaMismatchError):
        open_guard(desk.url, sweep=False)
    with contextlib.closing(Store(desk.url)) as store, pytest.raises(SchemaMismatchError), store.session():
        pass
    assert engage(desk.url, ACCOUNT, by="desk", reason="skew", clock=desk.clock).exit_status == HALTED_HERE


def test_running_processes_notice_within_a_second_or_two(desk: Desk) -> None:
    """Three of them, each with everything open, at the pace they really look."""
    with acting(3, "asker", desk.url, at_us=desk.clock.now_us()) as askers:
        assert all(asker.ask()["approved"] for asker in askers)
        migrate(desk, 5)
        for asker in askers:
            eventually(lambda asker=asker: not asker.ask()["approved"])


def test_the_control_a_guard_that_does_not_look_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, make_desk: Callable[..., Desk]
) -> None:
    """Never asked again, old code approves and writes in a schema it does not know."""
    monkeypatch.setattr(lite, "VERSION_LOOK_S", 1e9)
    assert desk.guard.check(desk.order()).approved
    migrate(desk, 5)

    assert desk.guard.check(desk.order()).approved
