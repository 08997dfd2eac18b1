"""
Each line of `schema/DIFFERENCES.md` is true: shown on a version 3 file and on one of version 4, one test a line.

A line without a proof here fails, and so does a proof without a line.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from riskguard.locate import folder
from riskguard.store.tables import metadata
from riskguard.store.tables.base import REAL_ABS_MAX
from riskguard.store.views import VIEWS
from tests.store import v3_files, v4_files
from tests.store.rows import (
    AUDIT,
    EVENT,
    FOREVER,
    FUNDS,
    HOLDING,
    INSTRUMENT,
    LEG,
    MAPPING,
    MESSAGE,
    ORDER,
    POSITION,
    POSTBACK,
    TRADE,
    File,
    Row,
    T,
    ask,
    count,
    header,
    put,
    refuses,
)

BORN: Row = {"account_type": "leader", "created_at": T, "updated_at": T}
LIMIT: Row = {**BORN, "control_type": "RISK_LIMIT", "order_value_limit": 1000.0}
KILL: Row = {**BORN, "control_type": "KILL_SWITCH", "kill_switch_status": "ACTIVE", "is_active": 1}
VIOLATION: Row = {
    "account_type": "leader",
    "violation_type": "ORDER_VALUE",
    "limit_value": 1.0,
    "actual_value": 2.0,
    "violated_at": T,
}
MARGIN: Row = {
    "account_type": "leader",
    "security_id": "1594",
    "exchange_segment": "NSE_EQ",
    "quantity": 10,
    "product": "INTRADAY",
    "total_margin": 1.0,
    "calculated_at": T,
}
MODIFICATION: Row = {"order_id": "A1", "modification_type": "PRICE", "modified_at": T}
EDIS: Row = {**BORN, "isin": "INE009A01021", "qty": 1, "exchange": "NSE", "segment": "EQ", "status": "PENDING"}
TOKEN: Row = {**BORN, "access_token": "enc:1"}
WINDOW: Row = {"account_type": "leader", "endpoint": "/orders", "window_start": T, "window_end": T + 1, "created_at": T}
CONNECTION: Row = {**BORN, "connection_id": "ws-1", "ws_url": "wss://stream.example", "status": "CONNECTED"}
LEDGER: Row = {"account_type": "leader", "entry_date": "2025-11-21", "created_at": T}
SETTING: Row = {"key": "k", "value": "v", "updated_at": T}
ERROR: Row = {"error_type": "E", "error_message": "m", "occurred_at": T}

ROWS: dict[str, Row] = {
    "auth_tokens": TOKEN,
    "rate_limit_tracking": WINDOW,
    "config": SETTING,
    "orders": ORDER,
    "order_events": EVENT,
    "order_modifications": MODIFICATION,
    "bracket_order_legs": LEG,
    "forever_orders": FOREVER,
    "positions": POSITION,
    "holdings": HOLDING,
    "edis_transactions": EDIS,
    "traders_control": LIMIT,
    "risk_violations": VIOLATION,
    "funds": FUNDS,
    "margin_requirements": MARGIN,
    "ledger_entries": LEDGER,
    "trades": TRADE,
    "postback_events": POSTBACK,
    "websocket_connections": CONNECTION,
    "websocket_messages": MESSAGE,
    "instruments": INSTRUMENT,
    "copy_mappings": MAPPING,
    "audit_log": AUDIT,
    "error_log": ERROR,
}
"""A row of each table as a version 3 program writes it."""

Proof = Callable[[File, File], None]


@pytest.fixture
def old(tmp_path: Path) -> Iterator[File]:
    connection = v3_files.build(tmp_path / "v3.db", 3)
    yield connection
    connection.close()


@pytest.fixture
def new(tmp_path: Path) -> Iterator[File]:
    connection = v4_files.build(tmp_path / "v4.db")
    yield connection
    connection.close()


def columns(file: File, table: str) -> dict[str, sqlite3.Row]:
    return {row["name"]: row for row in file.execute(f"PRAGMA table_info({table})")}


def takes(file: File, table: str, *rows: Row, verb: str = "INSERT") -> bool:
    """Say whether the file takes the rows, and take them back."""
    file.execute("SAVEPOINT here")
    taken = not refuses(file, table, *rows, verb=verb)
    file.execute("ROLLBACK TO here")
    file.execute("RELEASE here")
    return taken


# -- the page -----------------------------------------------------------------------------------------------------


def lines() -> list[tuple[str, str]]:
    """Every line of every table of the page, as (heading, first cell)."""
    page = (folder("schema") / "DIFFERENCES.md").read_text("utf-8")
    found = []
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        heading = section.split("\n", 1)[0]
        rows = re.findall(r"^\| (.+?) \|", section, flags=re.MULTILINE)
        found += [(heading, row.replace("`", "")) for row in rows[1:]]
    return found


LINES = lines()


def test_the_page_is_all_tables() -> None:
    """A line outside a table would have no test; each stands once and gives a reason in its last cell."""
    page = (folder("schema") / "DIFFERENCES.md").read_text("utf-8")

    assert re.findall(r"^- ", page, flags=re.MULTILINE) == []
    assert len(LINES) == len(set(LINES)) > 150
    assert [line for line in page.splitlines() if re.search(r"\|\s*\|$", line)] == []


@pytest.mark.parametrize(("heading", "key"), LINES, ids=[f"{heading}: {key}" for heading, key in LINES])
def test_each_line_is_true(heading: str, key: str, old: File, new: File) -> None:
    """The proof of the line, on both files."""
    PROOFS[heading](key)(old, new)


def test_each_proof_has_its_line() -> None:
    """What is proven here and not said on the page would be a difference nobody is told of."""
    said: dict[str, set[str]] = {}
    for heading, key in LINES:
        said.setdefault(heading, set()).add(key)

    assert set(PROOFS) == set(said)
    assert said["Views kept as they were"] == {
        name for name in VIEWS if f"v3_{name}" not in VIEWS and name[:3] != "v3_"
    }
    for heading, table in TABLES_OF_PROOFS.items():
        assert set(table) == said[heading], heading


# -- columns and keys ---------------------------------------------------------------------------------------------

# column -> a value version 4 refuses besides NULL, or None
NULLS: dict[str, Any] = {
    "config.key": "",
    "orders.id": "",
    "forever_orders.id": "",
    "trades.id": "",
    "instruments.security_id": " ",
    "positions.product": None,
    "forever_orders.trigger_type": None,
    "forever_orders.order_type_after_trigger": None,
    "*.id": None,
}


def nulls(key: str) -> Proof:
    def numbers_itself(old: File, new: File) -> None:
        for file in (old, new):
            put(file, "audit_log", {**AUDIT, "id": None}, {**AUDIT, "id": None})
            assert ask(file, "SELECT id FROM audit_log ORDER BY id") == [(1,), (2,)]
        assert [columns(file, "audit_log")["id"]["notnull"] for file in (old, new)] == [0, 1]

    def takes_its_default(old: File, new: File) -> None:
        row = {**POSITION, "product": None}
        assert takes(old, "positions", row, row)
        put(new, "positions", row)
        assert ask(new, "SELECT product FROM positions") == [("",)]
        assert refuses(new, "positions", row)

    def is_free_now(old: File, new: File) -> None:
        table, column = key.split(".")
        assert refuses(old, table, {**ROWS[table], column: None})
        put(new, table, {**ROWS[table], column: None})

    def is_refused(old: File, new: File) -> None:
        table, column = key.split(".")
        put(old, "orders", {**ORDER, "id": "A0"})  # a trade of version 3 wants its order
        row = {**ROWS[table], "order_id": "A0"} if table == "trades" else ROWS[table]
        put(old, table, {**row, column: None}, {**row, column: NULLS[key]})
        assert not takes(new, table, {**row, column: None})
        assert not takes(new, table, {**row, column: NULLS[key]})
        assert takes(new, table, row)

    if key == "*.id":
        return numbers_itself
    if key == "positions.product":
        return takes_its_default
    return is_free_now if NULLS[key] is None else is_refused


# table -> what tells two rows apart now
KEYS: dict[str, Row] = {
    "positions": {"snapshot_id": 7},
    "holdings": {"snapshot_id": 7},
    "funds": {"snapshot_id": 7},
    "instruments": {"exchange_segment": "IDX_I"},
}


def keys(table: str) -> Proof:
    def proof(old: File, new: File) -> None:
        other = {**ROWS[table], **KEYS[table]}
        known = {name: value for name, value in other.items() if name in columns(old, table)}
        put(old, table, ROWS[table])
        assert refuses(old, table, known)
        put(new, table, ROWS[table], other)
        assert refuses(new, table, other)
        if table == "holdings":
            put(new, table, {**HOLDING, "exchange_segment": "BSE_EQ"})

    return proof


def new_column(key: str) -> Proof:
    """It is not there in version 3, and a version 3 program that does not name it writes its rows all the same."""

    def proof(old: File, new: File) -> None:
        table, column = key.split(".")
        assert column not in columns(old, table)
        put(new, table, ROWS[table])
        [(value,)] = ask(new, "SELECT", column, "FROM", table)
        declared = metadata.tables[table].c[column]
        assert value is None or str(value) == str(declared.server_default.arg.text).strip("'")  # type: ignore[union-attr]
        assert declared.doc

    return proof


# -- values -------------------------------------------------------------------------------------------------------

ALLOWED: dict[str, tuple[Any, ...]] = {
    "*.account_type": ("follower-2", "operator", "n" * 64),
    "orders.status": ("TRADED", "EXPIRED", "TRIGGERED", "CLOSED", "MODIFIED", "INACTIVE", "CONFIRM", "SOMETHING"),
    "orders.order_type": ("SL", "SL-M"),
    "orders.validity": ("GTC",),
    "forever_orders.status": ("CONFIRM", "TRANSIT", "REJECTED", "TRADED"),
    "forever_orders.trigger_type": ("PRICE", None),
    "edis_transactions.status": ("SUCCESS",),
    "risk_violations.violation_type": ("ORDER_RATE_ABOVE_LIMIT", "SNAPSHOT_STALE", "TRADING_HALTED", "MARGIN_SHORT"),
}


def allowed(key: str) -> Proof:
    def proof(old: File, new: File) -> None:
        table, column = key.split(".")
        tables = [name for name in ROWS if "account_type" in columns(old, name)] if table == "*" else [table]
        put(old, "orders", ORDER, {**ORDER, "id": "B1"})
        for name in tables:
            if name == "error_log":
                continue  # its account was free text already
            for value in ALLOWED[key]:
                row = {**ROWS[name], column: value}
                row = {**row, "id": "A2"} if name in ("orders", "trades", "forever_orders") else row
                assert not takes(old, name, row), (name, value)
                assert takes(new, name, row), (name, value)
            assert not takes(new, name, {**ROWS[name], column: ""}) or column == "trigger_type"

    return proof


MILLISECONDS = T * 1000
REFUSED: dict[str, list[tuple[str, str, Any]]] = {
    "INTEGER columns": [
        ("orders", "quantity", "many"),
        ("orders", "quantity", 1.5),
        ("audit_log", "duration_ms", "long"),
    ],
    "REAL columns": [
        ("orders", "price", "market"),
        ("orders", "price", float("inf")),
        ("orders", "price", float("-inf")),
        ("orders", "price", float(REAL_ABS_MAX)),
        ("copy_mappings", "capital_ratio", "half"),
    ],
    "times": [("orders", "created_at", MILLISECONDS), ("positions", "snapshot_ts", 100_000_000_000)],
    "quantity of orders, forever orders, trades, margins, qty of eDIS": [
        (table, column, value)
        for table, column in (
            ("orders", "quantity"),
            ("forever_orders", "quantity"),
            ("trades", "quantity"),
            ("margin_requirements", "quantity"),
            ("edis_transactions", "qty"),
        )
        for value in (0, -5)
    ],
    "bought, sold, held, traded, remaining, disclosed and copied quantities, counters, lots": [
        ("positions", "buy_qty", -1),
        ("positions", "sell_qty", -1),
        ("holdings", "total_qty", -1),
        ("orders", "traded_qty", -1),
        ("orders", "remaining_qty", -1),
        ("orders", "disclosed_qty", -1),
        ("forever_orders", "disclosed_qty", -1),
        ("copy_mappings", "leader_quantity", -1),
        ("copy_mappings", "follower_quantity", -1),
        ("rate_limit_tracking", "request_count", -1),
        ("websocket_connections", "connect_attempts", -1),
        ("instruments", "lot_size", -1),
    ],
    "orders.status, order_type, validity, forever_orders.status, edis_transactions.status, text keys": [
        ("config", "key", ""),
        ("instruments", "security_id", ""),
    ],
    "the three limits of traders_control": [
        ("traders_control", column, value)
        for column in ("daily_loss_limit", "position_size_limit", "order_value_limit")
        for value in (0, -5.0)
    ],
    "traders_control.id": [("traders_control", "id", 0), ("traders_control", "id", -1)],
}
WORDS_NEVER_EMPTY = (
    ("orders", "status"),
    ("orders", "order_type"),
    ("orders", "validity"),
    ("forever_orders", "status"),
    ("edis_transactions", "status"),
)
"""Version 3 had a list of words for each: what version 4 opened, it did not open to nothing."""
JUST_RIGHT: dict[str, list[tuple[str, str, Any]]] = {
    "times": [("orders", "created_at", 99_999_999_999)],
    "REAL columns": [("orders", "price", float(REAL_ABS_MAX - 1)), ("orders", "price", -1.0)],
    "quantity of orders, forever orders, trades, margins, qty of eDIS": [("orders", "quantity", 1)],
    "bought, sold, held, traded, remaining, disclosed and copied quantities, counters, lots": [
        ("positions", "buy_qty", 0)
    ],
    "the three limits of traders_control": [("traders_control", "daily_loss_limit", 0.01)],
    "traders_control.id": [("traders_control", "id", 1)],
}


def refused(key: str) -> Proof:
    def proof(old: File, new: File) -> None:
        put(old, "orders", ORDER, {**ORDER, "id": "B1"})
        for table, column, value in REFUSED[key]:
            row = {**ROWS[table], column: value}
            again = {**row, "id": "A2"} if table in ("orders", "trades", "forever_orders") else row
            assert takes(old, table, again), (table, column, value)
            assert not takes(new, table, again), (table, column, value)
            assert not takes(new, table, again, verb="INSERT OR REPLACE"), (table, column, value)
        for table, column, value in JUST_RIGHT.get(key, []):
            assert takes(new, table, {**ROWS[table], column: value}), (table, column, value)
        if "status" in key:
            for table, column in WORDS_NEVER_EMPTY:
                assert not takes(new, table, {**ROWS[table], column: " "})
        if key == "REAL columns":
            put(new, "orders", {**ORDER, "avg_price": float("nan")})
            assert ask(new, "SELECT avg_price FROM orders") == [(None,)]
            assert refuses(new, "funds", {**FUNDS, "available_balance": float("nan")})

    return proof


def dropped_key(key: str) -> Proof:
    def proof(old: File, new: File) -> None:
        table, column = key.split(".")
        row = {**ROWS[table], column: "nowhere"}
        if key == "copy_mappings.follower_order_id":
            put(old, "orders", ORDER)  # only the follower's order is missing
        assert refuses(old, table, row)
        put(new, table, row)
        assert count(new, table) == 1
        assert new.execute(f"PRAGMA foreign_key_list({table})").fetchall() == []

    return proof


# -- uniqueness and indexes ---------------------------------------------------------------------------------------


def several_followers(old: File, new: File) -> None:
    put(old, "orders", ORDER, {**ORDER, "id": "B1"}, {**ORDER, "id": "C1"})
    second = {**MAPPING, "follower_order_id": "C1"}
    put(old, "copy_mappings", MAPPING)
    assert refuses(old, "copy_mappings", second)
    put(new, "copy_mappings", MAPPING, {**second, "follower_account": "second"})
    assert refuses(new, "copy_mappings", {**MAPPING, "follower_order_id": "D1"})
    put(new, "copy_mappings", {**MAPPING, "follower_order_id": "D1"}, verb="INSERT OR REPLACE")
    assert count(new, "copy_mappings") == 2


def same_leg(old: File, new: File) -> None:
    for file in (old, new):
        put(file, "bracket_order_legs", LEG, {**LEG, "account_type": "follower"})
        assert refuses(file, "bracket_order_legs", LEG)
    asked = "EXPLAIN QUERY PLAN SELECT * FROM bracket_order_legs WHERE parent_order_id = 'x' AND account_type = 'y'"
    assert "(parent_order_id=? AND account_type=?)" in ask(new, asked)[0][-1]


UNIQUE: dict[str, Proof] = {
    "copy_mappings (leader_order_id)": several_followers,
    "bracket_order_legs (parent_order_id, leg_order_id, account_type)": same_leg,
}

INDEX_GONE = {
    "idx_copy_mappings_leader": ("copy_mappings", "leader_order_id"),
    "idx_copy_mappings_follower": ("copy_mappings", "follower_order_id"),
    "idx_bo_legs_parent": ("bracket_order_legs", "parent_order_id"),
}


def index_names(file: File) -> set[str]:
    return {name for (name,) in ask(file, "SELECT name FROM sqlite_master WHERE type = 'index'")}


def index_gone(key: str) -> Proof:
    def proof(old: File, new: File) -> None:
        assert key in index_names(old) - index_names(new)
        table, column = INDEX_GONE[key]
        plan = ask(new, "EXPLAIN QUERY PLAN SELECT * FROM", table, "WHERE", column, "= 'x'")[0][-1]
        assert plan.startswith("SEARCH") and "autoindex" in plan

    return proof


# index -> the same row told twice, and what makes a third one another
DOUBLES: dict[str, tuple[str, Row, Row]] = {
    "uq_auth_tokens_active": ("auth_tokens", {"is_active": 1}, {"is_active": 0}),
    "uq_rate_limit_tracking_window": ("rate_limit_tracking", {}, {"superseded": 1}),
    "uq_order_events_digest": ("order_events", {"digest": "d"}, {"digest": "e"}),
    "uq_ledger_entries_digest": ("ledger_entries", {"digest": "d"}, {"digest": None}),
    "uq_trades_fill": (
        "trades",
        {"session_date": "2025-11-21", "exchange_trade_id": "77"},
        {"session_date": "2025-11-24"},
    ),
    "uq_postback_events_digest": ("postback_events", {"digest": "d"}, {"digest": None}),
    "uq_websocket_connections_connection_id": ("websocket_connections", {}, {"superseded": 1}),
    "uq_websocket_messages_digest": ("websocket_messages", {"digest": "d"}, {"digest": None}),
}
QUESTIONS = {
    "idx_orders_live": "SELECT id FROM v_active_orders",
    "idx_orders_client": "SELECT id FROM orders WHERE account_type = 'leader' AND client_order_id = 'o-1'",
    "idx_positions_snapshot": "SELECT * FROM positions WHERE snapshot_id = 7",
    "idx_holdings_snapshot": "SELECT * FROM holdings WHERE snapshot_id = 7",
    "idx_funds_snapshot": "SELECT * FROM funds WHERE snapshot_id = 7",
    "idx_trades_unbooked": "SELECT id FROM trades WHERE account_type = 'leader' AND booked_at_us IS NULL ORDER BY trade_ts",
    "idx_margin_requirements_leg": "SELECT total_margin FROM margin_requirements WHERE account_type = 'leader' "
    "AND security_id = '1594' ORDER BY calculated_at DESC LIMIT 1",
}


def index_added(key: str) -> Proof:
    def once(old: File, new: File) -> None:
        table, same, other = DOUBLES[key]
        known = {name: value for name, value in {**ROWS[table], **same}.items() if name in columns(old, table)}
        put(old, "orders", ORDER)
        put(old, table, known, {**known, "id": "T2"} if table == "trades" else known)
        row = {**ROWS[table], **same}
        numbered = [{**row, "id": f"T{n}"} for n in (1, 2, 3)] if table == "trades" else [row] * 3
        put(new, table, numbered[0])
        assert refuses(new, table, numbered[1])
        put(new, table, {**numbered[2], **other})

    def one_in_force(old: File, new: File) -> None:
        put(old, "traders_control", LIMIT, LIMIT)
        assert ask(old, "SELECT count(*) FROM traders_control WHERE is_active = 1") == [(2,)]
        new.execute("DROP TRIGGER traders_control_supersedes")  # without it the second would take the first one's place
        put(new, "traders_control", LIMIT)
        assert refuses(new, "traders_control", LIMIT)
        put(new, "traders_control", {**LIMIT, "limit_id": "another"}, {**LIMIT, "is_active": 0})

    def answers(old: File, new: File) -> None:
        assert key not in index_names(old)
        plans = [row[-1] for row in ask(new, "EXPLAIN QUERY PLAN", QUESTIONS[key])]
        assert any(key in plan for plan in plans), plans

    if key == "uq_traders_control_active":
        return one_in_force
    return answers if key in QUESTIONS else once


# -- views --------------------------------------------------------------------------------------------------------


def active_orders(old: File, new: File) -> None:
    put(old, "orders", {**ORDER, "status": "PART_TRADED"})
    assert ask(old, "SELECT id FROM v_active_orders") == []
    ended = ("EXECUTED", "TRADED", "CANCELLED", "REJECTED", "EXPIRED", "CLOSED")
    put(new, "orders", *({**ORDER, "id": word, "status": word} for word in ended))
    put(new, "orders", {**ORDER, "status": "PART_TRADED"}, {**ORDER, "id": "B1", "status": "WHO_KNOWS"})
    put(new, "copy_mappings", MAPPING, {**MAPPING, "follower_order_id": "C1", "follower_account": "c"})
    put(new, "copy_mappings", {**MAPPING, "leader_order_id": "Z", "follower_order_id": "Z1"})
    found = ask(new, "SELECT id, follower_order_id FROM v_active_orders ORDER BY id")
    assert found == [("A1", "B1"), ("B1", "B1")]
    assert ask(new, "SELECT id FROM v3_v_active_orders") == []


def latest(table: str, row: Row) -> Proof:
    def proof(old: File, new: File) -> None:
        view = f"v_latest_{table}"
        other = {**row, "security_id": "2885", "snapshot_ts": T + 60}
        for file, expected in ((old, 2), (new, 1)):
            put(file, table, row, other)
            assert count(file, view) == expected
        assert count(new, f"v3_{view}") == 2
        header(new, T + 61, kind=table)
        assert count(new, view) == 0
        put(new, table, {**row, "snapshot_ts": T + 62})
        assert ask(new, "SELECT security_id FROM", view) == [("1594",)]
        if table == "holdings":
            put(new, table, {**row, "snapshot_ts": T + 62, "exchange_segment": "BSE_EQ"})
            assert count(new, view) == 2

    return proof


def active_forever_orders(old: File, new: File) -> None:
    assert refuses(old, "forever_orders", {**FOREVER, "status": "CONFIRM"})
    words = ("CONFIRM", "PENDING", "TRIGGERED", "TRADED", "CANCELLED", "REJECTED", "EXPIRED", "CLOSED", "EXECUTED")
    put(new, "forever_orders", *({**FOREVER, "id": word, "status": word} for word in words))
    mapping = {**MAPPING, "leader_order_id": "CONFIRM"}
    put(new, "copy_mappings", mapping, {**mapping, "follower_order_id": "C1", "follower_account": "c"})
    assert sorted(ask(new, "SELECT id FROM v_active_forever_orders")) == [("CONFIRM",), ("PENDING",)]
    assert ask(new, "SELECT id FROM v3_v_active_forever_orders") == [("PENDING",)]


def active_bracket_orders(old: File, new: File) -> None:
    bracket = {**ORDER, "bo_profit_value": 8.0}
    for file, expected in ((old, []), (new, [("A1", None), ("A2", "newer")])):
        put(file, "orders", {**bracket, "status": "PART_TRADED"}, {**bracket, "id": "A2", "status": "EXECUTED"})
        exit_leg = {**LEG, "parent_order_id": "A2", "leg_order_id": "older"}
        put(file, "bracket_order_legs", exit_leg, {**exit_leg, "leg_order_id": "newer", "created_at": T + 1})
        assert ask(file, "SELECT parent_order_id, sl_leg_id FROM v_active_bracket_orders ORDER BY 1") == expected
    new.execute("UPDATE bracket_order_legs SET status = 'CANCELLED'")
    assert ask(new, "SELECT parent_order_id FROM v_active_bracket_orders") == [("A1",)]


def recent_trades(old: File, new: File) -> None:
    charged = {**TRADE, "brokerage": 20.0, "total_charges": 35.0}
    for file in (old, new):
        put(file, "orders", ORDER)
        put(file, "trades", charged, {**charged, "id": "T2", "side": "SELL"})
    assert ask(old, "SELECT net_price FROM v_recent_trades") == [(45.0,), (45.0,)]
    assert ask(new, "SELECT side, net_price FROM v_recent_trades ORDER BY 1") == [("BUY", 103.5), ("SELL", 96.5)]
    assert "product:1" in columns(old, "v_recent_trades") and "order_product" in columns(new, "v_recent_trades")


def active_connections(old: File, new: File) -> None:
    for file, expected in ((old, None), (new, 1)):
        put(file, "websocket_connections", {**CONNECTION, "connected_at": T})
        [(silent,)] = ask(file, "SELECT seconds_since_heartbeat > 60 FROM v_active_websocket_connections")
        assert silent == expected


def sliced_orders(old: File, new: File) -> None:
    part = {**ORDER, "is_sliced_order": 1, "slice_order_id": "S"}
    words = ("EXECUTED", "PARTIAL", "PART_TRADED", "PENDING", "CANCELLED")
    for file, expected in ((old, 3), (new, 5)):
        put(file, "orders", *({**part, "id": word, "status": word} for word in words))
        assert ask(file, "SELECT executed_count + pending_count + failed_count FROM v_sliced_orders") == [(expected,)]


VIEW_PROOFS: dict[str, Proof] = {
    "v_active_orders": active_orders,
    "v_latest_positions": latest("positions", POSITION),
    "v_latest_holdings": latest("holdings", HOLDING),
    "v_active_forever_orders": active_forever_orders,
    "v_active_bracket_orders": active_bracket_orders,
    "v_recent_trades": recent_trades,
    "v_active_websocket_connections": active_connections,
    "v_sliced_orders": sliced_orders,
}


def view_kept(key: str) -> Proof:
    """The same version 3 content gives the same answer."""

    def proof(old: File, new: File) -> None:
        for file in (old, new):
            v3_files.fill(file, orders=60)
            put(file, "error_log", {**ERROR, "occurred_at": v3_now(file), "account_type": "leader"})
        answers = [sorted(ask(file, "SELECT * FROM", key), key=repr) for file in (old, new)]
        assert answers[0] == answers[1] != []
        assert f"v3_{key}" not in VIEWS

    return proof


def v3_now(file: File) -> int:
    found: int = file.execute("SELECT strftime('%s', 'now') / 1000 * 1000").fetchone()[0]
    return found


# -- Trader's Control -----------------------------------------------------------------------------------------------


def second_limit(old: File, new: File) -> None:
    first, second = (
        {**LIMIT, "daily_loss_limit": 700.0},
        {**LIMIT, "order_value_limit": 2000.0, "daily_loss_limit": 500.0},
    )
    for file in (old, new):
        put(file, "traders_control", first, second)
    assert ask(old, "SELECT count(*) FROM traders_control WHERE is_active = 1") == [(2,)]
    assert ask(new, "SELECT is_active, order_value_limit, daily_loss_limit FROM traders_control ORDER BY id") == [
        (0, 1000.0, 700.0),
        (1, 1000.0, 500.0),
    ]


def second_kill(old: File, new: File) -> None:
    for file in (old, new):
        put(file, "traders_control", {**KILL, "kill_switch_status": "INACTIVE"}, KILL, {**KILL, "reason": "again"})
    standing = "SELECT kill_switch_status, reason FROM traders_control WHERE is_active = 1"
    assert len(ask(old, standing)) == 3
    assert ask(new, standing) == [("ACTIVE", "again")]


def inactive_over_a_kill(old: File, new: File) -> None:
    lifted = {**KILL, "kill_switch_status": "INACTIVE"}
    for file in (old, new):
        put(file, "traders_control", KILL)
    assert takes(old, "traders_control", lifted)
    assert takes(old, "traders_control", {**lifted, "id": 1}, verb="INSERT OR REPLACE")
    for word in ("INACTIVE", "deactivate", "DEACTIVATED", "Off"):
        for verb, row in (("INSERT", lifted), ("INSERT OR REPLACE", {**lifted, "id": 1})):
            assert not takes(new, "traders_control", {**row, "kill_switch_status": word}, verb=verb)
    assert ask(new, "SELECT kill_switch_status, is_active FROM traders_control") == [("ACTIVE", 1)]


def does(file: File, *statement: str) -> bool:
    try:
        file.execute(" ".join(statement))
    except sqlite3.IntegrityError:
        return False
    return True


def update_of_a_kill(old: File, new: File) -> None:
    for file in (old, new):
        put(file, "traders_control", KILL)
    for change in ("kill_switch_status = 'INACTIVE'", "is_active = 0", "account_type = 'follower'"):
        assert not does(new, "UPDATE traders_control SET", change)
    assert does(new, "UPDATE traders_control SET reason = 'read again'")
    assert does(old, "UPDATE traders_control SET kill_switch_status = 'INACTIVE'")


def update_of_a_limit(old: File, new: File) -> None:
    for file, taken in ((old, True), (new, False)):
        put(file, "traders_control", LIMIT)
        for change in ("order_value_limit = 1000.01", "order_value_limit = NULL", "is_active = 0"):
            file.execute("SAVEPOINT here")
            assert does(file, "UPDATE traders_control SET", change) is taken
            file.execute("ROLLBACK TO here")
        assert does(file, "UPDATE traders_control SET order_value_limit = 999.99")


def delete_in_force(old: File, new: File) -> None:
    for file, taken in ((old, True), (new, False)):
        put(file, "traders_control", LIMIT, {**LIMIT, "is_active": 0}, KILL)
        assert does(file, "DELETE FROM traders_control WHERE is_active = 0")
        assert does(file, "DELETE FROM traders_control WHERE control_type = 'KILL_SWITCH'") is taken
        assert does(file, "DELETE FROM traders_control") is taken


def taken_out_by_another(old: File, new: File) -> None:
    """In version 4 the earlier row has stepped down already; bringing it back must not take the kill out."""
    for file in (old, new):
        put(file, "traders_control", {**KILL, "kill_switch_status": "INACTIVE", "is_active": 0}, KILL)
    assert not does(new, "UPDATE OR REPLACE traders_control SET is_active = 1 WHERE kill_switch_status = 'INACTIVE'")
    assert not does(new, "UPDATE OR REPLACE traders_control SET id = 2 WHERE id = 1")
    assert not does(new, "UPDATE traders_control SET is_active = NULL WHERE id = 2")
    assert ask(new, "SELECT kill_switch_status FROM traders_control WHERE is_active = 1") == [("ACTIVE",)]
    assert does(old, "UPDATE OR REPLACE traders_control SET id = 2 WHERE id = 1")
    assert ask(old, "SELECT kill_switch_status FROM traders_control") == [("INACTIVE",)]


def number_below_one(old: File, new: File) -> None:
    for number in (0, -1):
        assert takes(old, "traders_control", {**LIMIT, "id": number})
        assert not takes(new, "traders_control", {**LIMIT, "id": number})
    assert takes(new, "traders_control", {**LIMIT, "id": 1})


def change_by_sql(old: File, new: File) -> None:
    put(new, "traders_control", LIMIT)
    new.execute("UPDATE traders_control SET order_value_limit = 900")
    assert ask(
        new,
        "SELECT what, json_extract(old_values, '$.order_value_limit'), json_extract(new_values, '$.order_value_limit') "
        "FROM control_changes WHERE what = 'UPDATED'",
    ) == [("UPDATED", 1000.0, 900.0)]
    assert "control_changes" not in {name for (name,) in ask(old, "SELECT name FROM sqlite_master")}


def inactive_without_release(old: File, new: File) -> None:
    """The database takes the first row of an account; what it says counts only with its release behind it."""
    from contextlib import closing

    from riskguard.core.state import TradingState, severest
    from riskguard.store import controls
    from riskguard.store.session import Store

    for file in (old, new):
        put(file, "traders_control", {**KILL, "kill_switch_status": "INACTIVE"})
        put(file, "traders_control", {**KILL, "kill_switch_status": "INACTIVE", "account_type": "follower"})
    new.commit()
    path = ask(new, "PRAGMA database_list")[0][2]
    with closing(Store(f"sqlite:///{path}")) as store, store.session(durable=False, wait_s=2) as session:
        causes = controls.kill_causes(session, "leader", "")
    assert severest(tuple(causes)) is TradingState.HALTED
    assert "UNRELEASED" in {cause.code for cause in causes}


CONTROL_PROOFS: dict[str, Proof] = {
    "a second limit row": second_limit,
    "a second kill row": second_kill,
    "an INACTIVE row over a kill": inactive_over_a_kill,
    "UPDATE of a kill in force": update_of_a_kill,
    "UPDATE of a limit in force": update_of_a_limit,
    "DELETE of a row in force": delete_in_force,
    "a row taken out by another": taken_out_by_another,
    "a row number below 1": number_below_one,
    "a change by SQL": change_by_sql,
    "INACTIVE without a release": inactive_without_release,
}


# -- start-up and what a version 3 program notices --------------------------------------------------------------------


def start_again(file: File) -> None:
    for statement in v3_files.script(3, again=True):
        file.execute(statement)


def setting(file: File, key: str) -> str:
    found: str = file.execute("SELECT value FROM config WHERE key = ?", (key,)).fetchone()[0]
    return found


def settings_that_stand(old: File, new: File) -> None:
    import sqlalchemy as sa

    from riskguard.store.tables.authentication import seed_config

    for file in (old, new):
        file.execute("UPDATE config SET value = 'false' WHERE key = 'copy_enabled'")
        file.execute("DELETE FROM config WHERE key = 'co_enabled'")
        file.commit()
    path = ask(new, "PRAGMA database_list")[0][2]
    with sa.create_engine(f"sqlite:///{path}").begin() as connection:
        seed_config(connection, T)
    assert (setting(new, "copy_enabled"), setting(new, "co_enabled")) == ("false", "true")
    for file in (old, new):
        start_again(file)
        assert setting(file, "copy_enabled") == "true"


def schema_version(old: File, new: File) -> None:
    from riskguard.store.inspect import identify

    path = ask(new, "PRAGMA database_list")[0][2]
    assert setting(new, "schema_version") == "4"
    start_again(new)
    new.commit()
    assert setting(new, "schema_version") == setting(old, "schema_version") == "3"
    assert (identify(f"sqlite:///{path}").kind, identify(f"sqlite:///{path}").version) == ("riskguard", 4)


def kill_switch_enabled(old: File, new: File) -> None:
    """Only the upgrade reads it; nothing else in the package names it but its first value and these words."""
    import riskguard

    root = Path(riskguard.__file__).parent
    found = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if re.search(r"""["']kill_switch_enabled["']""", path.read_text("utf-8"))
    }
    assert found == {"store/migration/control.py", "store/tables/authentication.py"}
    for file in (old, new):
        file.execute("UPDATE config SET value = 'true' WHERE key = 'kill_switch_enabled'")
        start_again(file)
        assert setting(file, "kill_switch_enabled") == "false"


def start_up(old: File, new: File) -> None:
    from riskguard.store.inspect import V3_DOUBLES, drift

    objects = "SELECT type || ' ' || name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
    before = dict(ask(new, objects))
    start_again(new)
    after = dict(ask(new, objects))
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() == set(V3_DOUBLES)
    assert drift(new) == []
    new.execute("CREATE INDEX idx_somebodys ON orders (status)")
    assert drift(new) == ["schema: index idx_somebodys is not declared"]


START_UP: dict[str, Proof] = {
    "settings that stand": settings_that_stand,
    "schema_version": schema_version,
    "kill_switch_enabled": kill_switch_enabled,
    "the start-up script": start_up,
}


def select_all(old: File, new: File) -> None:
    for spec in v3_files.tables(3):
        before, after = list(columns(old, spec["name"])), list(columns(new, spec["name"]))
        assert after[: len(before)] == before
    assert len(columns(new, "orders")) > len(columns(old, "orders"))
    assert list(columns(new, "v_active_orders")) == list(columns(old, "v_active_orders"))


def insert_or_replace(old: File, new: File) -> None:
    put(new, "orders", {**ORDER, "client_order_id": "o-1"})
    put(new, "trades", {**TRADE, "booked_at_us": T * 1_000_000})
    put(new, "instruments", {**INSTRUMENT, "multiplier": 100})
    put(new, "positions", {**POSITION, "snapshot_id": 0})
    put(new, "copy_mappings", {**MAPPING, "follower_account": ""})
    for table in ("orders", "trades", "instruments", "positions", "copy_mappings"):
        put(new, table, ROWS[table], verb="INSERT OR REPLACE")
        assert count(new, table) == 1
    assert ask(new, "SELECT client_order_id FROM orders") == [("o-1",)]
    assert ask(new, "SELECT booked_at_us FROM trades") == [(T * 1_000_000,)]
    assert ask(new, "SELECT multiplier FROM instruments") == [(100,)]
    put(new, "websocket_connections", {**CONNECTION, "id": 1, "superseded": 1})
    put(new, "websocket_connections", {**CONNECTION, "id": 1}, verb="INSERT OR REPLACE")
    assert ask(new, "SELECT superseded FROM websocket_connections") == [(0,)]


def update_of_a_mapping(old: File, new: File) -> None:
    put(old, "orders", ORDER, {**ORDER, "id": "B1"})
    put(old, "copy_mappings", MAPPING)
    put(new, "copy_mappings", MAPPING, {**MAPPING, "follower_order_id": "C1", "follower_account": "c"})
    for file, touched in ((old, 1), (new, 2)):
        assert (
            file.execute("UPDATE copy_mappings SET status = 'failed' WHERE leader_order_id = 'A1'").rowcount == touched
        )


def text_for_a_number(old: File, new: File) -> None:
    row = {**ORDER, "exchange_time": "2025-11-21 09:15:00"}
    assert takes(old, "orders", row)
    assert not takes(new, "orders", row)
    put(new, "orders", {**ORDER, "quantity": "100"})
    assert ask(new, "SELECT quantity FROM orders") == [(100,)]


def unknown_is_null(old: File, new: File) -> None:
    """Every default of version 3 is one here too, and a NULL in its place is taken, as it was."""
    for file in (old, new):
        put(file, "orders", {**ORDER, "traded_qty": None}, {**ORDER, "id": "A2"})
        assert ask(file, "SELECT traded_qty FROM orders ORDER BY id") == [(None,), (0,)]


NOTICED: dict[str, Proof] = {
    "SELECT *": select_all,
    "INSERT OR REPLACE": insert_or_replace,
    "UPDATE of a mapping": update_of_a_mapping,
    "text in a number column": text_for_a_number,
    "NULL": unknown_is_null,
}


def money_is_real(old: File, new: File) -> None:
    for file in (old, new):
        put(file, "orders", {**ORDER, "price": 0.1 + 0.2})
        assert ask(file, "SELECT price = 0.3, typeof(price), typeof(created_at) FROM orders") == [
            (0, "real", "integer")
        ]
    ours = [each for each in metadata.tables.values() if each.dialect_options["sqlite"]["strict"]]
    assert {column.type.compile() for each in ours for column in each.columns} <= {"TEXT", "BIGINT", "INTEGER"}


def capitals(old: File, new: File) -> None:
    for file in (old, new):
        put(file, "funds", {**FUNDS, "sodLimit": 5.0})
        put(file, "ledger_entries", {**LEDGER, "voucherNo": "JV1", "voucherDate": "2025-11-21"})
    for table in ("funds", "ledger_entries"):
        written = [name for name in columns(new, table) if name != name.lower()]
        assert written == [name for name in columns(old, table) if name != name.lower()] != []


def free_text(old: File, new: File) -> None:
    for file in (old, new):
        put(file, "orders", {**ORDER, "product": "banana", "exchange_segment": "IDX_I"})


def events_without_a_number(old: File, new: File) -> None:
    put(old, "orders", ORDER)
    for file in (old, new):
        put(file, "order_events", EVENT, EVENT)
        assert count(file, "order_events") == 2


def any_kill_word(old: File, new: File) -> None:
    for file in (old, new):
        for word in ("ACTIVE", "on hold", "", None):
            put(file, "traders_control", {**KILL, "kill_switch_status": word})


def three_limits(old: File, new: File) -> None:
    limits = {"daily_loss_limit": 25_000.0, "position_size_limit": 1_800.0, "order_value_limit": 500_000.0}
    for file in (old, new):
        put(file, "traders_control", {**LIMIT, **limits})
        assert ask(file, "SELECT", ", ".join(limits), "FROM traders_control") == [tuple(limits.values())]


KEPT: dict[str, Proof] = {
    "money is REAL, times are whole seconds": money_is_real,
    "sodLimit, voucherNo, voucherDate": capitals,
    "product and segment are free text": free_text,
    "events without sequence and digest": events_without_a_number,
    "kill_switch_status is free text": any_kill_word,
    "three limits in one row": three_limits,
}


def answered_in_code(key: str) -> Proof:
    """The line names tests that answer it, and they are there."""

    def proof(old: File, new: File) -> None:
        page = (folder("schema") / "DIFFERENCES.md").read_text("utf-8")
        [line] = [line for line in page.splitlines() if line.startswith(f"| `{key}` |")]
        named = re.findall(r"`(tests/[\w/.]+)`", line)
        assert named
        for name in named:
            assert (Path(__file__).parents[2] / name).exists(), name

    return proof


TABLES_OF_PROOFS: dict[str, dict[str, Any]] = {
    "Columns: NOT NULL and defaults": NULLS,
    "Primary keys": KEYS,
    "Values allowed that version 3 refused": ALLOWED,
    "Values refused that version 3 took": REFUSED,
    "Uniqueness": UNIQUE,
    "Indexes dropped": INDEX_GONE,
    "Indexes added": {**DOUBLES, **QUESTIONS, "uq_traders_control_active": None},
    "Views": VIEW_PROOFS,
    "Trader's Control": CONTROL_PROOFS,
    "Settings and start-up": START_UP,
    "What a version 3 program notices": NOTICED,
    "Kept as it was": KEPT,
}
"""The sections whose lines are proven one by one; of the others the lists are held by `test_v3_tables`."""

PROOFS: dict[str, Callable[[str], Proof]] = {
    "Columns: NOT NULL and defaults": nulls,
    "Primary keys": keys,
    "New columns": new_column,
    "Values allowed that version 3 refused": allowed,
    "Values refused that version 3 took": refused,
    "Foreign keys dropped": dropped_key,
    "Uniqueness": UNIQUE.__getitem__,
    "Indexes dropped": index_gone,
    "Indexes added": index_added,
    "Views": VIEW_PROOFS.__getitem__,
    "Views kept as they were": view_kept,
    "Trader's Control": CONTROL_PROOFS.__getitem__,
    "Settings and start-up": START_UP.__getitem__,
    "What a version 3 program notices": NOTICED.__getitem__,
    "Kept as it was": KEPT.__getitem__,
    "Defects that were code": answered_in_code,
}
