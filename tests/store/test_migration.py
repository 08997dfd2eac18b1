"""Files of schema 1, 2 and 3 become files of schema 4: every row, the kill state, the limits, or nothing at all."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from riskguard.core.checks import CHECKS
from riskguard.core.limits import LimitSet
from riskguard.core.order import Order
from riskguard.core.seen import SeenOrder
from riskguard.core.state import TradingState, severest
from riskguard.errors import StoreUnavailableError, UpgradeError
from riskguard.services.orders.guard import RiskGuard
from riskguard.services.setup import initialise
from riskguard.services.upgrade import Upgraded, upgrade
from riskguard.store import books, controls, inspect, journal
from riskguard.store.migration import rows as migration
from riskguard.store.migration.mapping import V3_TABLES
from riskguard.store.session import Store
from tests.store import v3_files

NOW_S = 1_759_462_200
KILL = {"account_type": "leader", "control_type": "KILL_SWITCH", "created_at": NOW_S, "updated_at": NOW_S}
LIMIT = {**KILL, "control_type": "RISK_LIMIT"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISKGUARD_HOME", str(tmp_path / "home"))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    directory = tmp_path / "db"
    directory.mkdir()
    return directory / "copy.db"


def build(path: Path, version: int, orders: int = 120, *rows: dict[str, Any], kill: str | None = "INACTIVE") -> Path:
    """Write a file with content; *rows* go into traders_control instead of the content's own."""
    with closing(v3_files.build(path, version)) as connection:
        v3_files.fill(connection, orders, kill=kill)
        if rows:
            with connection:
                connection.execute("DELETE FROM traders_control")
                for row in rows:
                    put(connection, "traders_control", row)
    return path


def put(connection: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    marks = ", ".join("?" for _ in row)
    connection.execute(" ".join(("INSERT INTO", table, f"({', '.join(row)}) VALUES ({marks})")), list(row.values()))


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def run(path: Path, **options: Any) -> Upgraded:
    return upgrade(f"sqlite:///{path}", **{"position_size_unit": "lots", **options})


def ask(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def beside(path: Path) -> list[str]:
    """Return what an attempt left next to the file, apart from backups and halt directories."""
    return sorted(each.name for each in path.parent.iterdir() if each.is_file() and "backup" not in each.name)


def column_sums(path: Path, table: str, columns: list[str]) -> dict[str, str]:
    """Checksum each column on its own, by a way that shares nothing with the upgrade's."""
    found = {}
    for column in columns:
        values = sorted(repr(row[0]) for row in ask(path, " ".join(("SELECT", f'"{column}"', "FROM", table))))
        found[column] = hashlib.sha256("\n".join(values).encode()).hexdigest()
    return found


def state(path: Path, account: str) -> TradingState:
    with closing(Store(f"sqlite:///{path}")) as store, store.session(durable=False, wait_s=2) as session:
        return severest(tuple(controls.kill_causes(session, account, "")))


def limits(path: Path, account: str) -> LimitSet:
    with closing(Store(f"sqlite:///{path}")) as store, store.session(durable=False, wait_s=2) as session:
        return controls.limits(session, account, "")


AVERAGES = """
    SELECT snapshot_ts, account_type, security_id, coalesce(buy_avg, sell_avg) FROM positions WHERE net_qty <> 0
    UNION ALL SELECT json_extract(raw, '$.snapshot_ts'), json_extract(raw, '$.account_type'),
    json_extract(raw, '$.security_id'), json_extract(raw, '$.avg_price') FROM quarantine WHERE source_table = 'positions'
"""
"""Where the average prices of version 1 are: on one side, or, of flat positions, in the quarantine."""

# -- rows -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2, 3])
def test_every_row_and_every_value_survives(old: Path, version: int) -> None:
    """Counts and per-column checksums are the same, for every table and column the old file has."""
    build(old, version)
    before: dict[str, tuple[int, dict[str, str]]] = {}
    renamed = {"quantity": "net_qty"} if version < 3 else {}
    averages = (
        ask(old, "SELECT snapshot_ts, account_type, security_id, avg_price FROM positions") if version < 3 else []
    )
    for spec in v3_files.tables(version):
        name = spec["name"]
        if name in ("config", "traders_control"):
            continue
        columns = [column["name"] for column in spec["columns"] if (name, column["name"]) != ("positions", "avg_price")]
        before[name] = (ask(old, " ".join(("SELECT count(*) FROM", name)))[0][0], column_sums(old, name, columns))
    settings = dict(ask(old, "SELECT key, value FROM config"))

    done = run(old)

    for name, (count, sums) in before.items():
        assert ask(old, " ".join(("SELECT count(*) FROM", name))) == [(count,)], name
        after = {column: renamed.get(column, column) if name == "positions" else column for column in sums}
        now = column_sums(old, name, list(after.values()))
        assert {column: now[after[column]] for column in sums} == sums, name
    assert ask(old, "SELECT count(*) FROM quarantine WHERE in_table = 0") == [(0,)]
    if version < 3:
        assert sorted(ask(old, AVERAGES)) == sorted(averages)
    assert dict(ask(old, "SELECT key, value FROM config")).items() >= (settings | {"schema_version": "4"}).items()
    assert all(
        each.before == each.after and each.rows == each.copied + each.refused for each in done.tables if each.before
    )
    assert {each.table for each in done.tables} == {spec["name"] for spec in v3_files.tables(version)}
    assert set(done.accounts) == {"leader", "follower"}
    with closing(sqlite3.connect(old)) as connection:
        assert (inspect.integrity(connection), inspect.drift(connection)) == ([], [])


def test_the_tables_of_version_3_are_all_known() -> None:
    assert {each.name for each in V3_TABLES} == {spec["name"] for spec in v3_files.tables(3)}


def test_version_1_trades_take_side_and_product_from_their_order(old: Path) -> None:
    """A trade whose order is not there has no side: it is kept aside, whole, and not guessed."""
    build(old, 1)
    orphan = {"id": "T9", "order_id": "none", "account_type": "leader", "trade_ts": 5, "quantity": 3, "price": 1.5}
    with closing(sqlite3.connect(old)) as connection, connection:
        put(connection, "trades", orphan)

    run(old)

    assert ask(old, "SELECT count(*) FROM trades t JOIN orders o ON o.id = t.order_id AND o.side <> t.side") == [(0,)]
    assert ask(old, "SELECT count(*) FROM trades WHERE id = 'T9'") == [(0,)]
    [(table, reason, raw)] = ask(old, "SELECT source_table, reason, raw FROM quarantine WHERE in_table = 0")
    assert table == "trades" and "NOT NULL" in reason
    assert json.loads(raw).items() >= orphan.items()


@pytest.mark.parametrize(
    ("quantity", "avg_price", "expected", "kept"),
    [
        (50, 101.5, (101.5, None), 0),
        (-50, 101.5, (None, 101.5), 0),
        (50, 0.0, (0.0, None), 0),
        # Of a flat position nobody knows which side the price was of.
        (0, 101.5, (None, None), 1),
        (0, 0.0, (None, None), 0),
    ],
)
def test_the_average_price_of_version_1_stands_on_the_side_it_was_traded_on(
    old: Path, quantity: int, avg_price: float, expected: tuple[float | None, ...], kept: int
) -> None:
    """A short position sold at its average; version 1 said no side, and a made-up one would turn a loss round."""
    build(old, 1, 20)
    change(old, "DELETE FROM positions")
    row = {
        "snapshot_ts": 7,
        "account_type": "leader",
        "security_id": "1",
        "exchange_segment": "NSE_EQ",
        "product": "MIS",
    }
    with closing(sqlite3.connect(old)) as connection, connection:
        put(connection, "positions", {**row, "quantity": quantity, "avg_price": avg_price})

    run(old)

    assert ask(old, "SELECT buy_avg, sell_avg FROM positions WHERE snapshot_ts = 7") == [expected]
    quarantined = ask(old, "SELECT json_extract(raw, '$.avg_price'), in_table FROM quarantine")
    assert quarantined == [(avg_price, 1)] * kept


UNKNOWN = {
    "orders": ("traded_qty", "remaining_qty", "avg_price", "is_sliced_order", "after_market_order", "order_status"),
    "positions": ("buy_qty", "sell_qty", "total_pl", "ltp"),
    "trades": ("brokerage", "stt", "gst", "total_charges", "net_amount"),
    "funds": ("sodLimit",),
}


@pytest.mark.parametrize("version", [1, 2])
def test_what_an_old_file_does_not_say_is_unknown(old: Path, version: int) -> None:
    """No row claims that nothing was traded or no charges were paid; what the old file says is as it was."""
    build(old, version)

    run(old)

    for table, columns in UNKNOWN.items():
        found = ask(old, " ".join(("SELECT DISTINCT", ", ".join(columns), "FROM", table)))
        assert found == [(None,) * len(columns)], table
    assert ask(old, "SELECT count(*) FROM positions WHERE realized_pl IS NULL OR unrealized_pl IS NULL") == [(0,)]
    # Of settings the default is the truth: none of an old file is encrypted.
    assert ask(old, "SELECT DISTINCT is_sensitive FROM config WHERE key = 'copy_enabled'") == [(0,)]


def test_a_live_order_of_version_1_follows_the_broker_again(old: Path) -> None:
    """Its status word and traded quantity are unknown; the first list that says CANCELLED ends it all the same."""
    build(old, 1)
    change(old, "UPDATE orders SET account_type = 'leader' WHERE status = 'OPEN'")
    run(old)
    [(order_id,)] = ask(old, "SELECT id FROM orders WHERE status = 'OPEN'")
    seen = SeenOrder(
        order_id, "", "NSE_EQ", "1594", "BUY", "INTRADAY", "LIMIT", 10, 0, None, None, "CANCELLED", is_live=False
    )

    with closing(Store(f"sqlite:///{old}")) as store, store.session(durable=True, wait_s=2) as session:
        books.save_order(session, "leader", seen, None, "sync", 1_763_786_700_000_000)

    assert ask(old, f"SELECT status, traded_qty FROM orders WHERE id = '{order_id}'") == [("CANCELLED", 0)]  # noqa: S608


def test_words_of_version_1_are_kept_as_sent(old: Path) -> None:
    build(old, 1)
    change(old, "UPDATE orders SET product = 'MIS', order_type = 'SL-M', side = 'buy' WHERE id = '82250000000003'")

    run(old)

    found = ask(old, "SELECT product, order_type, side FROM orders WHERE id = '82250000000003'")
    assert found == [("MIS", "SL-M", "BUY")]


def test_a_row_the_new_table_refuses_is_kept_with_its_reason(old: Path) -> None:
    """Text for a quantity, a negative one, bytes that are no text, a null id: each is there, as it was, with why."""
    build(old, 3)
    change(
        old,
        "UPDATE orders SET quantity = 'many' WHERE id = '82250000000003'",
        "UPDATE orders SET quantity = -5 WHERE id = '82250000000119'",
        "UPDATE orders SET trading_symbol = CAST(x'ff41' AS TEXT) WHERE id = '82250000000005'",
        "INSERT INTO config (key, value, updated_at) VALUES (NULL, 'x', 1), ('riskguard.profile', 'dhan', 1)",
    )

    done = run(old)

    kept = dict(ask(old, "SELECT json_extract(raw, '$.id'), json_extract(raw, '$.quantity') FROM quarantine LIMIT 99"))
    assert kept["82250000000003"] == "many"
    assert kept["82250000000119"] == -5
    assert ask(old, "SELECT count(*) FROM orders")[0][0] + 3 == 120
    assert ask(old, "SELECT value FROM config WHERE key = 'riskguard.profile'") == [("library",)]
    assert any("may be LIVE" in note for note in done.notes)


def test_what_schema_4_has_no_place_for_is_kept(old: Path) -> None:
    """A table and a column of somebody's own, and a table that bears the name of one of ours."""
    build(old, 3)
    change(
        old,
        "ALTER TABLE orders ADD COLUMN mood TEXT",
        "UPDATE orders SET mood = 'good' WHERE id = '82250000000003'",
        "CREATE TABLE notes (at INTEGER, what TEXT)",
        "INSERT INTO notes VALUES (1, 'sold too early')",
        "CREATE TABLE permits (id INTEGER)",
        "INSERT INTO permits VALUES (1)",
    )

    run(old)

    kept = ask(
        old,
        "SELECT source_table, in_table, raw FROM quarantine WHERE source_table <> 'traders_control' ORDER BY source_table",
    )
    assert [(table, inside) for table, inside, _raw in kept] == [("notes", 0), ("orders", 1), ("permits", 0)]
    assert json.loads(kept[0][2]) == {"at": 1, "what": "sold too early"}
    assert json.loads(kept[1][2])["mood"] == "good"
    assert ask(old, "SELECT count(*) FROM permits") == [(0,)]


def test_doubles_are_kept_and_marked(old: Path) -> None:
    build(old, 3)
    change(
        old,
        "INSERT INTO rate_limit_tracking (account_type, endpoint, request_count, window_start, window_end, created_at) "
        "SELECT account_type, endpoint, 3, window_start, window_end, created_at FROM rate_limit_tracking",
        "INSERT INTO auth_tokens (account_type, access_token, created_at, updated_at) VALUES ('leader', 'n', 2e9, 2e9)",
        "INSERT INTO websocket_connections (account_type, connection_id, ws_url, status, created_at, updated_at) "
        "VALUES ('leader', 'ws-1', 'u', 'DISCONNECTED', 1, 1)",
    )

    done = run(old)

    assert ask(old, "SELECT request_count, superseded FROM rate_limit_tracking ORDER BY id") == [(12, 1), (3, 0)]
    assert ask(old, "SELECT superseded FROM websocket_connections ORDER BY id") == [(1,), (0,)]
    assert ask(old, "SELECT access_token FROM auth_tokens WHERE is_active = 1 AND account_type = 'leader'") == [("n",)]
    assert len([note for note in done.notes if "lie in clear" not in note]) == 3


def test_a_half_migrated_file_is_read_as_it_is(old: Path) -> None:
    """Version 2 tables with the control tables of version 3 beside them: positions still say quantity."""
    build(old, 2)
    with closing(sqlite3.connect(old)) as connection, connection:
        for statement in v3_files.script(3, again=True):
            if statement.startswith("CREATE TABLE IF NOT EXISTS traders_control"):
                connection.execute(statement)
        put(connection, "traders_control", {**LIMIT, "daily_loss_limit": 9_000.0})
        wanted = sorted(connection.execute("SELECT quantity, avg_price FROM positions WHERE quantity <> 0"))

    done = run(old)

    found = ask(old, "SELECT net_qty, coalesce(buy_avg, sell_avg) FROM positions WHERE net_qty <> 0")
    assert (done.version, sorted(found)) == (3, wanted)
    assert [str(each.params.daily_loss_inr_max) for each in limits(old, "leader").of("daily_loss")] == ["90000000"]


# -- kill state -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "switch", "halted"),
    [
        ([], "false", False),
        ([{"kill_switch_status": "INACTIVE", "is_active": 1}], "false", False),
        ([{"kill_switch_status": "deactivated", "is_active": 1}], "false", False),
        ([{"kill_switch_status": "OFF", "is_active": 1}], "false", False),
        ([{"kill_switch_status": "ACTIVE", "is_active": 1}], "false", True),
        ([{"kill_switch_status": "on hold", "is_active": 1}], "false", True),
        ([{"kill_switch_status": None, "is_active": 1}], "false", True),
        ([{"kill_switch_status": "ACTIVE", "is_active": None}], "false", True),
        # several rows that disagree
        ([{"kill_switch_status": "ACTIVE", "is_active": 1}, {"kill_switch_status": "INACTIVE", "is_active": 1}], "false", True),
        # says ACTIVE, is not in force, and nobody says when it ended
        ([{"kill_switch_status": "ACTIVE", "is_active": 0}], "false", True),
        ([{"kill_switch_status": "ACTIVE", "is_active": 0, "deactivated_at": NOW_S}], "false", False),
        ([{"kill_switch_status": "ACTIVE", "is_active": 0}, {"kill_switch_status": "INACTIVE", "is_active": 1}], "false", False),
        ([{"kill_switch_status": "INACTIVE", "is_active": 1}], "true", True),
        ([], "TRUE", True),
        ([], "perhaps", True),
    ],
)  # fmt: skip
def test_kill_state_is_the_safer_of_what_is_found(
    old: Path, rows: list[dict[str, Any]], switch: str, halted: bool
) -> None:
    build(old, 3, 20, *({**KILL, **row} for row in rows), {**LIMIT, "daily_loss_limit": 5_000.0})
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("UPDATE config SET value = ? WHERE key = 'kill_switch_enabled'", (switch,))
    ids = ask(old, "SELECT id, kill_switch_status FROM traders_control")

    done = run(old)

    assert (state(old, "leader") is TradingState.HALTED) is halted
    everyone = switch != "false"
    assert (state(old, "follower") is TradingState.HALTED) is everyone
    assert bool(done.kills) is halted
    runs = ask(old, "SELECT DISTINCT kill_plan FROM kill_runs")
    assert runs == ([("halt",)] if halted else [])
    assert ask(old, "SELECT value FROM config WHERE key = 'kill_switch_enabled'") == [(switch,)]
    assert set(ids) <= set(ask(old, "SELECT id, kill_switch_status FROM traders_control"))
    with closing(Store(f"sqlite:///{old}")) as store, store.session(durable=False, wait_s=2) as session:
        for owner in ("GLOBAL", "leader", "follower"):
            count, wrong = journal.verify(session, owner)
            assert count >= 2 and wrong is None


# -- limits -----------------------------------------------------------------------------------------------------


def test_limits_stay_in_their_columns(old: Path) -> None:
    """One row with three limits stays one row; what the file has not comes from the rulebook, account by account."""
    build(old, 3)

    done = run(old)

    found = limits(old, "leader")
    assert [(each.check.name, each.params.model_dump(mode="json")["unit"]) for each in found.of("net_position")] == [
        ("net_position", "lots")
    ]
    assert found.of("net_position")[0].params.position_max == 18_000_000  # type: ignore[attr-defined]
    assert found.of("daily_loss")[0].params.daily_loss_inr_max == 250_000_000  # type: ignore[attr-defined]
    assert found.of("order_value")[0].params.order_value_inr_max == 5_000_000_000  # type: ignore[attr-defined]
    assert {limit.row_id for name in ("net_position", "daily_loss", "order_value") for limit in found.of(name)} == {1}
    assert any(line.startswith("follower: daily-loss added") for line in done.limits)
    assert not any(line.startswith("leader: daily-loss added") for line in done.limits)
    assert limits(old, "follower").of("order_value")


def test_a_version_3_program_goes_on_tightening(old: Path) -> None:
    """A second row with three limits is taken as before, and the tightest of all binds."""
    build(old, 3)
    run(old)

    with closing(sqlite3.connect(old)) as connection, connection:
        put(
            connection,
            "traders_control",
            {**LIMIT, "daily_loss_limit": 1_000.0, "position_size_limit": 5.0, "is_active": 1},
        )

    assert min(each.params.daily_loss_inr_max for each in limits(old, "leader").of("daily_loss")) == 10_000_000  # type: ignore[attr-defined]


def test_a_position_limit_wants_its_unit(old: Path) -> None:
    build(old, 3)
    before = digest(old)

    with pytest.raises(UpgradeError, match="--position-size-unit"):
        run(old, position_size_unit=None)

    assert digest(old) == before
    assert beside(old) == ["copy.db"]
    assert list(old.parent.glob("*backup*")) == []
    change(old, "UPDATE traders_control SET position_size_limit = 0, is_active = 0")
    with pytest.raises(UpgradeError, match="--position-size-unit"):
        run(old, position_size_unit=None)
    change(old, "UPDATE traders_control SET position_size_limit = NULL")
    assert run(old, position_size_unit=None).version == 3


@pytest.mark.parametrize("value", [0, -5.0, "text", 1e-9, 9e999])
def test_what_is_no_limit_is_listed_and_counts_as_missing(old: Path, value: object) -> None:
    build(old, 3, 20, {**LIMIT, "daily_loss_limit": value, "order_value_limit": 7_000.0})

    done = run(old)

    assert any("daily_loss_limit" in line and "not taken over" in line for line in done.limits)
    assert any(line.startswith("leader: daily-loss added") for line in done.limits)
    assert len(limits(old, "leader").of("order_value")) == 1
    [(raw, in_table)] = ask(old, "SELECT raw, in_table FROM quarantine")
    assert "daily_loss_limit" in json.loads(raw) and in_table == 1


def test_limits_that_were_switched_off_are_watched(old: Path) -> None:
    """The switched-off one goes into shadow; its neighbour in the same row stays in force."""
    build(old, 3)
    change(old, "UPDATE config SET value = 'false' WHERE key = 'daily_loss_limit_enabled'")

    done = run(old)

    found = limits(old, "leader")
    assert [each.mode for each in found.of("daily_loss")] == ["shadow"]
    assert [each.mode for each in found.of("order_value")] == ["enforce"]
    assert any("in shadow" in line and "acknowledgement to fill in" in line for line in done.limits)
    assert "NOT ACKNOWLEDGED: `daily_loss_limit_enabled` was off" in found.of("daily_loss")[0].source
    assert found.of("order_value")[0].source == ""


def test_the_columns_of_version_3_are_the_only_store_of_their_numbers(old: Path) -> None:
    """A number kept twice can differ from itself: `parameters` holds what the columns cannot, and never the number."""
    build(old, 3)
    run(old)

    stored = ask(
        old,
        "SELECT check_name, parameters, daily_loss_limit, position_size_limit, order_value_limit FROM traders_control "
        "WHERE is_active = 1 AND control_type <> 'KILL_SWITCH'",
    )
    held = {check.name: check for check in CHECKS if check.v3_column}
    assert len(stored) > 5 and any(row[0] == "daily_loss" and row[2] is not None for row in stored)
    for name, parameters, *_numbers in stored:
        if name in held:
            assert held[name].v3_field not in json.loads(parameters), name


def test_an_account_without_a_kill_row_gets_one_that_says_inactive(old: Path) -> None:
    """Journaled, with its act: without the row, and without the journal, it would read as halted."""
    build(old, 3, 20, {**LIMIT, "daily_loss_limit": 5_000.0})
    assert ask(old, "SELECT count(*) FROM traders_control WHERE control_type = 'KILL_SWITCH'") == [(0,)]

    run(old)

    rows = ask(
        old,
        "SELECT t.account_type, t.kill_switch_status, a.kind, a.is_open, a.sequence IS NOT NULL FROM traders_control t "
        "JOIN control_actions a ON a.id = t.action_id WHERE t.control_type = 'KILL_SWITCH' AND t.is_active = 1 ORDER BY 1",
    )
    assert rows == [(owner, "INACTIVE", "INIT", 0, 1) for owner in ("GLOBAL", "follower", "leader")]
    assert {state(old, owner) for owner in ("leader", "follower")} == {TradingState.ACTIVE}


def test_a_refusal_without_a_number_says_zero_where_version_3_wants_one(old: Path) -> None:
    """`limit_value` and `actual_value` are NOT NULL for readers of version 3; `measured` and `limit_text` say unknown."""
    build(old, 3, 20, kill="ACTIVE")
    run(old)
    fields = {
        "account": "leader",
        "exchange_segment": "NSE_EQ",
        "security_id": "1594",
        "side": "BUY",
        "product": "INTRADAY",
    }
    with RiskGuard.open(f"sqlite:///{old}", sweep=False, deadline_ms=5_000) as guard:
        decision = guard.check(Order(**fields, order_type="LIMIT", quantity=1, price="1480"))

    assert not decision.approved and decision.recorded
    rows = ask(
        old,
        "SELECT limit_value, actual_value, measured, limit_text FROM risk_violations WHERE code = 'TRADING_HALTED'",
    )
    assert rows == [(0.0, 0.0, None, None)]


def test_several_rows_in_force_all_bind(old: Path) -> None:
    build(old, 3, 20, *({**LIMIT, "daily_loss_limit": value} for value in (9_000.0, 4_000.0, 6_000.0)))

    run(old)

    found = [each.params.daily_loss_inr_max // 10_000 for each in limits(old, "leader").of("daily_loss")]  # type: ignore[attr-defined]
    assert sorted(found) == [4_000, 6_000, 9_000]


# -- twice, backups, crashes ------------------------------------------------------------------------------------


def test_twice_is_once(old: Path) -> None:
    build(old, 2)
    first = run(old)
    before = digest(old)

    second = run(old)

    assert (first.already, second.already) == (False, True)
    assert digest(old) == before
    assert len(list(old.parent.glob("*backup*"))) == 1


def test_the_backup_is_the_old_file(old: Path) -> None:
    build(old, 3)
    rows = ask(old, "SELECT * FROM orders ORDER BY id")

    done = run(old)

    assert done.backup is not None and done.backup.name.startswith("copy.db.v3-backup-")
    assert done.backup.stat().st_mode & 0o777 == 0o600
    assert ask(done.backup, "SELECT * FROM orders ORDER BY id") == rows
    assert inspect.identify(f"sqlite:///{done.backup}").version == 3


STAGES = (
    "backup",
    "create",
    "copy config",
    "copy orders",
    "copy trades",
    "verify",
    "control",
    "check",
    "stamp",
    "swap",
)


def fails_at(stage: str) -> Callable[[str], None]:
    def on_stage(name: str) -> None:
        if name == stage:
            raise RuntimeError(stage)

    return on_stage


@pytest.mark.parametrize("stage", STAGES)
def test_a_crash_leaves_the_old_file_and_the_next_attempt_succeeds(old: Path, stage: str) -> None:
    build(old, 3)
    before = digest(old)

    with pytest.raises(RuntimeError, match=stage):
        run(old, on_stage=fails_at(stage))

    assert digest(old) == before
    assert [each.name for each in old.parent.iterdir() if each.is_file()] == ["copy.db"], "attempts pile up"
    assert inspect.identify(f"sqlite:///{old}").version == 3
    assert run(old).version == 3
    assert inspect.identify(f"sqlite:///{old}").kind == "riskguard"


@pytest.mark.parametrize("fault", ["a row less", "a price changed"])
def test_a_faulty_copy_is_noticed(old: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """What is read back decides, not what was meant to be written."""
    build(old, 3)
    before = digest(old)
    pour = migration._pour

    def faulty(rows: list[Any], new: sqlite3.Connection, plan: Any) -> None:
        pour(rows[1:] if fault == "a row less" and plan.table.name == "orders" else rows, new, plan)
        if fault == "a price changed" and plan.table.name == "orders":
            new.execute("UPDATE orders SET price = price + 0.05 WHERE id = '82250000000007'")

    monkeypatch.setattr(migration, "_pour", faulty)

    with pytest.raises(UpgradeError, match="`orders`"):
        run(old)

    assert digest(old) == before


def test_what_a_killed_attempt_left_is_begun_anew(old: Path) -> None:
    build(old, 3)
    Path(f"{old}.upgrading").write_text("half")
    Path(f"{old}.upgrading-journal").write_text("half")
    Path(f"{old}.backing-up").write_text("half")

    run(old)

    assert beside(old) == ["copy.db"]
    [backup] = old.parent.glob("*backup*")
    assert inspect.identify(f"sqlite:///{backup}").version == 3


def test_rows_still_in_the_wal_come_along(old: Path) -> None:
    """A program that died left its last commits in the WAL; they are not lost, nor replayed into the new file."""
    build(old, 3)
    aside = old.with_name("aside.db")
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("UPDATE orders SET correlation_id = 'last' WHERE id = '82250000000003'")
        connection.commit()
        aside.write_bytes(old.read_bytes())
        aside.with_name("aside.db-wal").write_bytes(Path(f"{old}-wal").read_bytes())

    run(aside)

    assert ask(aside, "SELECT correlation_id FROM orders WHERE id = '82250000000003'") == [("last",)]


@pytest.mark.parametrize("mode", ["DELETE", "PERSIST"])
def test_a_file_that_was_never_in_wal_mode(old: Path, mode: str) -> None:
    build(old, 1)
    change(old, f"PRAGMA journal_mode = {mode}")

    run(old)

    assert [name for name in beside(old) if name != "copy.db-journal"] == ["copy.db"]
    assert ask(old, "SELECT count(*) FROM orders") == [(120,)]
    assert ask(old, "PRAGMA journal_mode") == [("wal",)]


def test_a_link_stays_a_link(old: Path, tmp_path: Path) -> None:
    build(old, 2)
    link = tmp_path / "link.db"
    link.symlink_to(old)

    run(link)

    assert link.is_symlink()
    assert inspect.identify(f"sqlite:///{old}").kind == "riskguard"


def test_numbers_of_deleted_rows_are_not_given_again(old: Path) -> None:
    build(old, 3)
    change(old, "DELETE FROM audit_log WHERE id > 50", "DELETE FROM traders_control WHERE id = 2")
    put_audit = "INSERT INTO audit_log (action, account_type, ts) VALUES ('x', 'leader', 1)"

    run(old)

    change(old, put_audit)
    assert ask(old, "SELECT max(id) FROM audit_log") == [(121,)]
    assert ask(old, "SELECT min(id) FROM traders_control WHERE id > 1")[0][0] > 2


def test_who_could_read_the_file_still_can(old: Path) -> None:
    build(old, 3)
    old.chmod(0o640)

    run(old)

    assert old.stat().st_mode & 0o777 == 0o640


# -- bad input --------------------------------------------------------------------------------------------------


def not_sqlite(path: Path) -> None:
    path.write_text("not a database at all, but a page of text long enough to look at" * 20)


def truncated(path: Path) -> None:
    build(path, 3)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def somebodys(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE shop (id INTEGER)")


def lookalike(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE orders (id TEXT)")
        connection.execute("CREATE TABLE copy_mappings (id INTEGER)")


def newer(path: Path) -> None:
    initialise(f"sqlite:///{path}", profile="library")
    change(path, "PRAGMA user_version = 5")


def empty(path: Path) -> None:
    path.touch()


@pytest.mark.parametrize("spoil", [not_sqlite, truncated, somebodys, lookalike, newer, empty])
def test_bad_input_is_refused_in_one_line(old: Path, spoil: Callable[[Path], None]) -> None:
    spoil(old)
    before = digest(old)

    with pytest.raises(StoreUnavailableError) as raised:
        run(old)

    assert "\n" not in str(raised.value) and str(old) in str(raised.value)
    assert digest(old) == before
    assert list(old.parent.glob("*.upgrading*")) == []


@pytest.fixture(params=["writing", "idle"])
def other_program(old: Path, request: pytest.FixtureRequest) -> Iterator[None]:
    """Another program has the database open, in a transaction or just so."""
    build(old, 3)
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("SELECT count(*) FROM orders").fetchone()
        if request.param == "writing":
            connection.execute("BEGIN IMMEDIATE")
        yield


@pytest.mark.usefixtures("other_program")
def test_a_file_in_use_is_left_alone(old: Path) -> None:
    """What a program that is still running writes would go into the file that was swapped out."""
    before = digest(old)

    with pytest.raises(UpgradeError, match="open in another program"):
        run(old)

    assert digest(old) == before


# -- size -------------------------------------------------------------------------------------------------------


UPGRADE_AND_MEASURE = """
import json, resource, sys, time
from riskguard.services.upgrade import upgrade
began = time.process_time()
upgrade("sqlite:///" + sys.argv[1], position_size_unit="lots")
print(json.dumps([time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""


def measured(path: Path) -> tuple[float, float]:
    """Upgrade in a process of its own; return its processor seconds and its largest memory in MiB."""
    words = [sys.executable, "-c", UPGRADE_AND_MEASURE, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    seconds, peak = json.loads(done.stdout)
    return seconds, peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def test_ten_thousand_orders_take_ten_times_one_thousand_and_no_more_memory(tmp_path: Path) -> None:
    """
    Processor time, which busy neighbours do not lengthen, grows with the rows; memory does not.

    At a square of the rows ten times as many would take a hundred times as long. The new file lies in SQLite's page
    cache, which is bounded at 64 MiB and not yet full here, and half as much again is what one chunk of rows costs;
    the rows of one table at once would be three times the file.
    """
    found = {}
    for orders in (1_000, 10_000):
        path = tmp_path / str(orders) / "copy.db"
        path.parent.mkdir()
        build(path, 3, orders)
        found[orders] = (*measured(path), path.stat().st_size / 2**20)
    (quick, small, _), (slow, large, size) = found[1_000], found[10_000]

    assert slow < 20 * quick
    assert large - small < 2.2 * size


@pytest.mark.soak
@pytest.mark.alone
def test_a_hundred_thousand_orders_in_a_minute(old: Path) -> None:
    with closing(v3_files.build(old, 3)) as connection:
        written = v3_files.fill(connection, 100_000)
    began = time.monotonic()

    done = run(old)

    assert time.monotonic() - began < 60
    assert {each.table: each.copied for each in done.tables} == written
