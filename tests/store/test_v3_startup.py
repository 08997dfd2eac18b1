"""
A program of version 1, 2 or 3 starts beside riskguard, as it does every morning: nothing that protects is lost.

Its start-up script creates what is missing and overwrites settings; here it runs on halted databases of version 4.
"""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from riskguard.core.state import TradingState
from riskguard.services.orders.guard import RiskGuard
from riskguard.services.upgrade import upgrade
from riskguard.store import controls
from riskguard.store.inspect import V3_DOUBLES, drift, identify, integrity
from tests.services.desk import ACCOUNT, Desk, rulebook
from tests.store import v3_files
from tests.store.rows import Row, ask, put, refuses

PRAGMAS = ("PRAGMA foreign_keys = ON", "PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL")
V2_COLUMNS = (
    "co_stop_loss_value REAL",
    "co_trigger_price REAL",
    "bo_profit_value REAL",
    "bo_stop_loss_value REAL",
    "bo_order_type TEXT",
    "parent_order_id TEXT",
    "leg_type TEXT",
)
T = 1_748_840_400
KILL: Row = {
    "account_type": ACCOUNT,
    "control_type": "KILL_SWITCH",
    "kill_switch_status": "INACTIVE",
    "is_active": 1,
    "created_at": T,
    "updated_at": T,
}
LIMIT: Row = {"account_type": ACCOUNT, "control_type": "RISK_LIMIT", "is_active": 1, "created_at": T, "updated_at": T}


@contextlib.contextmanager
def program(path: Path) -> Iterator[sqlite3.Connection]:
    """Connect as the original does: its pragmas, each statement committed by itself."""
    with contextlib.closing(sqlite3.connect(path, timeout=5, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        for pragma in PRAGMAS:
            connection.execute(pragma)
        yield connection


def start(path: Path, version: int) -> None:
    """Run the start-up script of *version*."""
    with program(path) as connection:
        for statement in v3_files.script(version, again=True):
            connection.execute(statement)


def command(*words: str, path: Path) -> tuple[int, str]:
    """Run the command in a process of its own, as a person does after that start."""
    done = subprocess.run(
        [sys.executable, "-m", "riskguard", *words, "--db", f"sqlite:///{path}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def in_force(desk: Desk) -> tuple[str, list[tuple[object, ...]]]:
    with desk.store.session() as session:
        digest = controls.limits(session, ACCOUNT, "").digest
    return digest, desk.rows("SELECT * FROM traders_control ORDER BY id")


def defined(desk: Desk) -> dict[str, str]:
    return dict(desk.rows("SELECT type || ' ' || name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"))


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_start_on_a_halted_database_changes_nothing_that_protects(desk: Desk, version: int) -> None:
    """HALTED stays HALTED in an open guard and a new one; limits, triggers and views are as they were."""
    desk.kill()
    limits, objects = in_force(desk), defined(desk)
    assert desk.guard.state(ACCOUNT).state is TradingState.HALTED

    start(desk.path, version)

    for guard in (desk.guard, desk.another_guard(), RiskGuard.open(desk.url, sweep=False, clock=desk.clock)):
        with guard:
            assert guard.state(ACCOUNT).state is TradingState.HALTED
            assert [each.code.value for each in guard.check(desk.order()).rejects] == ["TRADING_HALTED"]
    after = defined(desk)
    assert {name: after[name] for name in objects} == objects
    assert after.keys() - objects.keys() <= set(V3_DOUBLES)
    assert desk.rows("SELECT * FROM traders_control ORDER BY id") == limits[1]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_the_limits_of_a_running_account_stand_after_a_start(make_desk: Callable[..., Desk], version: int) -> None:
    """The same set of limits, by its digest; on the edge approved, above it refused."""
    desk = make_desk(text=rulebook(order_value='check = "order_value"\norder_value_inr_max = "1000"'))
    desk.sweep()
    before = in_force(desk)

    start(desk.path, version)

    assert in_force(desk) == before
    assert desk.guard.check(desk.order(quantity=10, price="100")).approved
    assert not desk.guard.check(desk.order(quantity=10, price="100.05")).approved


@pytest.mark.parametrize("version", [1, 2, 3])
def test_the_file_is_known_by_what_it_is_not_by_a_setting(desk: Desk, version: int) -> None:
    """`config.schema_version` says the old number now; nobody goes by it, and no upgrade is tried."""
    desk.kill()
    desk.guard.close()
    start(desk.path, version)

    assert desk.one("SELECT value FROM config WHERE key = 'schema_version'") == str(version)
    assert (identify(desk.url).kind, identify(desk.url).version) == ("riskguard", 4)
    status, said = command("db", "version", path=desk.path)
    assert status == 0 and "riskguard, schema 4" in said
    status, said = command("db", "check", path=desk.path)
    assert status == 0, said
    assert upgrade(desk.url).already
    assert list(desk.path.parent.glob("*back*")) == []
    assert "HALTED" in command("status", path=desk.path)[1]
    with contextlib.closing(sqlite3.connect(desk.path)) as connection:
        assert (integrity(connection), drift(connection)) == ([], [])


def test_a_start_overwrites_the_kill_setting_and_the_kill_stands(desk: Desk) -> None:
    """Version 3 kept the kill in three places, and its own start-up reset one of them; here it is none of them."""
    desk.kill()
    desk.sql("UPDATE config SET value = 'true' WHERE key = 'kill_switch_enabled'")
    start(desk.path, 3)

    assert desk.one("SELECT value FROM config WHERE key = 'kill_switch_enabled'") == "false"
    assert desk.guard.state(ACCOUNT).state is TradingState.HALTED


def test_the_columns_of_version_2_are_not_added_twice(desk: Desk) -> None:
    """Its script is for a version 1 file: each ALTER fails on its own, and no table has changed after it."""
    objects = defined(desk)
    with program(desk.path) as connection:
        for column in V2_COLUMNS:
            with pytest.raises(sqlite3.OperationalError, match="duplicate column"):
                connection.execute(f"ALTER TABLE orders ADD COLUMN {column}")

    assert defined(desk) == objects


def test_the_script_without_its_guards_stops_at_the_first_table(desk: Desk) -> None:
    """CREATE TABLE without IF NOT EXISTS: refused, the halt and the limits as they were."""
    desk.kill()
    before = in_force(desk)
    with program(desk.path) as connection, pytest.raises(sqlite3.OperationalError, match="already exists"):
        for statement in v3_files.script(1):
            connection.execute(statement)

    assert in_force(desk) == before


# -- what its program writes after the start ----------------------------------------------------------------------


@pytest.mark.parametrize("word", ["INACTIVE", "DEACTIVATE", "off"])
@pytest.mark.parametrize("verb", ["INSERT", "INSERT OR REPLACE", "REPLACE"])
def test_a_kill_row_that_says_inactive_over_a_kill_is_refused(desk: Desk, verb: str, word: str) -> None:
    """By a number of its own and by the number of the kill itself."""
    desk.kill()
    start(desk.path, 3)
    row = {**KILL, "kill_switch_status": word}
    number = desk.one("SELECT id FROM traders_control WHERE control_type = 'KILL_SWITCH' AND account_type = ? AND "
                      "is_active = 1", ACCOUNT)  # fmt: skip

    with program(desk.path) as connection:
        assert refuses(connection, "traders_control", row, verb=verb)
        assert refuses(connection, "traders_control", {**row, "id": number}, verb=verb)
        assert refuses(connection, "traders_control", {**row, "id": number, "is_active": 0}, verb=verb)
    assert desk.guard.state(ACCOUNT).state is TradingState.HALTED


def test_a_second_kill_row_is_taken_and_there_is_one_latch(desk: Desk) -> None:
    start(desk.path, 3)
    with program(desk.path) as connection:
        for reason in ("first", "second"):
            put(connection, "traders_control", {**KILL, "kill_switch_status": "ACTIVE", "reason": reason})

    standing = desk.rows(
        "SELECT reason FROM traders_control WHERE control_type = 'KILL_SWITCH' AND account_type = 'leader' AND is_active = 1"
    )
    assert standing == [("second",)]
    assert desk.guard.state(ACCOUNT).state is TradingState.HALTED


def test_three_limits_in_one_row_all_bind(desk: Desk) -> None:
    """
    As a version 3 program writes them; each refuses from the next check on.

    The row names no unit for its position: the tighter reading counts, which is rupees here.
    """
    start(desk.path, 3)
    three = {"daily_loss_limit": 25_000.0, "position_size_limit": 900.0, "order_value_limit": 900.0}
    with program(desk.path) as connection:
        put(connection, "traders_control", {**LIMIT, **three})
        assert ask(connection, "SELECT", ", ".join(three), "FROM traders_control ORDER BY id DESC LIMIT 1") == [
            (25_000.0, 900.0, 900.0)
        ]

    assert desk.guard.check(desk.order(quantity=9, price="100")).approved
    codes = [each.code.value for each in desk.guard.check(desk.order(quantity=11, price="100")).rejects]
    assert codes == ["ORDER_VALUE_ABOVE_LIMIT", "NET_POSITION_ABOVE_LIMIT"]
    with desk.store.session() as session:
        limits = controls.limits(session, ACCOUNT, "")
    row = desk.one("SELECT max(id) FROM traders_control")
    assert {limit.check.name for limit in limits.limits if limit.row_id == row} == {
        "daily_loss", "net_position", "order_value",
    }  # fmt: skip


def test_a_list_of_positions_without_header_is_evidence_and_never_flat(desk: Desk) -> None:
    """It shows what is held; an empty list of such a program writes nothing and says nothing."""
    start(desk.path, 3)
    row = {
        "snapshot_ts": desk.clock.now_us() // 1_000_000 + 1,
        "account_type": ACCOUNT,
        "security_id": "1333",
        "exchange_segment": "NSE_EQ",
        "product": "INTRADAY",
        "net_qty": 45,
    }
    with program(desk.path) as connection:
        put(connection, "positions", row)
        found = ask(connection, "SELECT security_id, net_qty FROM v_latest_positions WHERE account_type = 'leader'")

    assert found == [("1333", 45)]
    assert desk.one("SELECT snapshot_id FROM positions WHERE net_qty = 45") == 0
