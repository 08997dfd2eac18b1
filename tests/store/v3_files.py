"""
Files as versions 1, 2 and 3 of the copy-trading schema made them, built from their inventory.

The original scripts are not part of this repository: the tables come from `data/schema-v3.json`, which
was read out of SQLite's own catalogue, and the views are written from their description there. A file is
faithful in names, types, defaults, keys, CHECKs, foreign keys and indexes, mistakes included.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tests.store.v3_content import CREATED_AT, fill

__all__ = ["INVENTORY", "build", "config_rows", "fill", "script", "spec", "tables", "views"]

INVENTORY: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "schema-v3.json").read_text("utf-8"))

Spec = dict[str, Any]


def tables(version: int) -> list[Spec]:
    """The inventory's tables of *version*, in the order of its script."""
    found: list[Spec] = INVENTORY["tables"] if version == 3 else INVENTORY["versions"][str(version)]["tables"]
    return found


def spec(table: str, version: int = 3) -> Spec:
    """The inventory's entry for *table*."""
    return next(found for found in tables(version) if found["name"] == table)


def config_rows(version: int) -> list[Spec]:
    """The settings a fresh file of *version* starts with."""
    found: list[Spec] = INVENTORY["config_rows"] if version == 3 else INVENTORY["versions"][str(version)]["config_rows"]
    return found


def build(path: Path | str, version: int) -> sqlite3.Connection:
    """
    Create a file of *version* at *path* and return a connection set up as the original sets up its own.

    Foreign keys are on and the connection commits by itself; a `with` block groups what `fill` writes.
    """
    connection = sqlite3.connect(path)
    _empty(version).backup(connection)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


@cache
def _empty(version: int) -> sqlite3.Connection:
    template = sqlite3.connect(":memory:", check_same_thread=False)
    with template:
        for statement in script(version):
            template.execute(statement)
    return template


def script(version: int, *, again: bool = False) -> Iterator[str]:
    """
    The statements of the start-up script of *version*.

    With *again* they are in the form that is harmless on a file that has the tables, as the original's
    version 3 script is; its settings are not harmless, they overwrite what stands.
    """
    guard = "IF NOT EXISTS " if again else ""
    for table in tables(version):
        yield _create_table(table, guard)
        for index in table["indexes"]:
            unique = "UNIQUE " if index["unique"] else ""
            columns = ", ".join(index["columns"])
            yield f"CREATE {unique}INDEX {guard}{index['name']} ON {table['name']} ({columns})"
    for name, query in views(version).items():
        yield f"CREATE VIEW {guard}{name} AS {query}"
    for row in config_rows(version):
        named = {**row, "updated_at": CREATED_AT}
        values = ", ".join(str(value) if isinstance(value, int) else f"'{value}'" for value in named.values())
        yield " ".join(("INSERT OR REPLACE INTO config", f"({', '.join(named)})", f"VALUES ({values})"))


def _create_table(table: Spec, guard: str) -> str:
    checks = {check["column"]: check["allowed"] for check in table["checks"]}
    numbered = table["autoincrement"]
    lines = []
    for column in table["columns"]:
        words = [column["name"], column["type"]]
        if len(table["primary_key"]) == 1 and column["pk_part"]:
            words.append("PRIMARY KEY AUTOINCREMENT" if numbered else "PRIMARY KEY")
        if column["not_null"]:
            words.append("NOT NULL")
        if column["default"] is not None:
            words.append(f"DEFAULT {_literal(column['default'])}")
        if column["name"] in checks:
            allowed = ", ".join(_literal(value) for value in checks[column["name"]])
            words.append(f"CHECK ({column['name']} IN ({allowed}))")
        lines.append(" ".join(words))
    if len(table["primary_key"]) > 1:
        lines.append(f"PRIMARY KEY ({', '.join(table['primary_key'])})")
    lines += [f"UNIQUE ({', '.join(columns)})" for columns in table["unique"]]
    for key in table["foreign_keys"]:
        target = f"{key['references_table']} ({', '.join(key['references_columns'])})"
        lines.append(f"FOREIGN KEY ({', '.join(key['columns'])}) REFERENCES {target} ON DELETE {key['on_delete']}")
    return f"CREATE TABLE {guard}{table['name']} (\n  " + ",\n  ".join(lines) + "\n)"


def _literal(value: str | int) -> str:
    return str(value) if isinstance(value, int) else f"'{value}'"


def views(version: int) -> dict[str, str]:
    """The queries of the views of *version*, written from their description."""
    live = "('PENDING', 'OPEN')" if version < 3 else "('PENDING', 'TRANSIT', 'OPEN', 'PARTIAL')"
    found = dict(_VIEWS) | {"v_latest_positions": _LATEST_POSITIONS[version == 3]}
    if version >= 2:
        found |= _BRACKET_VIEWS
    if version == 2:
        found["v_active_bracket_orders"] = found["v_active_bracket_orders"].replace("AND o.status IN $live", "")
    if version == 3:
        found |= _V3_VIEWS
    return {name: query.replace("$live", live) for name, query in found.items()}


_VIEWS = {
    "v_active_orders": """
        SELECT o.*, m.follower_order_id, m.sizing_strategy
        FROM orders o LEFT JOIN copy_mappings m ON m.leader_order_id = o.id
        WHERE o.status IN $live ORDER BY o.created_at DESC""",
    "v_latest_funds": """
        SELECT f.* FROM funds f JOIN (
            SELECT account_type, MAX(snapshot_ts) AS ts FROM funds GROUP BY account_type
        ) n ON f.account_type = n.account_type AND f.snapshot_ts = n.ts""",
}

# Before version 3 (False) the product was no part of a position's name.
_LATEST_POSITIONS = {
    False: """
        SELECT p.* FROM positions p JOIN (
            SELECT account_type, security_id, exchange_segment, MAX(snapshot_ts) AS ts
            FROM positions GROUP BY account_type, security_id, exchange_segment
        ) n ON p.account_type = n.account_type AND p.security_id = n.security_id
           AND p.exchange_segment = n.exchange_segment AND p.snapshot_ts = n.ts""",
    True: """
        SELECT p.* FROM positions p JOIN (
            SELECT account_type, security_id, exchange_segment, product, MAX(snapshot_ts) AS ts
            FROM positions GROUP BY account_type, security_id, exchange_segment, product
        ) n ON p.account_type = n.account_type AND p.security_id = n.security_id
           AND p.exchange_segment = n.exchange_segment AND p.product = n.product AND p.snapshot_ts = n.ts""",
}

_BRACKET_VIEWS = {
    "v_active_bracket_orders": """
        SELECT o.id AS parent_order_id, o.account_type, o.security_id, o.exchange_segment,
            o.bo_profit_value, o.bo_stop_loss_value,
            (SELECT leg_order_id FROM bracket_order_legs l WHERE l.parent_order_id = o.id
                AND l.account_type = o.account_type AND l.leg_type = 'ENTRY' LIMIT 1) AS entry_leg_id,
            (SELECT leg_order_id FROM bracket_order_legs l WHERE l.parent_order_id = o.id
                AND l.account_type = o.account_type AND l.leg_type = 'TARGET' LIMIT 1) AS target_leg_id,
            (SELECT leg_order_id FROM bracket_order_legs l WHERE l.parent_order_id = o.id
                AND l.account_type = o.account_type AND l.leg_type = 'SL' LIMIT 1) AS sl_leg_id,
            o.status, o.created_at
        FROM orders o
        WHERE (o.bo_profit_value IS NOT NULL OR o.bo_stop_loss_value IS NOT NULL) AND o.status IN $live
        ORDER BY o.created_at DESC""",
    "v_cover_orders": """
        SELECT o.* FROM orders o WHERE o.co_stop_loss_value IS NOT NULL ORDER BY o.created_at DESC""",
}

_V3_VIEWS = {
    "v_latest_holdings": """
        SELECT h.* FROM holdings h JOIN (
            SELECT account_type, security_id, MAX(snapshot_ts) AS ts FROM holdings
            GROUP BY account_type, security_id
        ) n ON h.account_type = n.account_type AND h.security_id = n.security_id AND h.snapshot_ts = n.ts""",
    "v_active_forever_orders": """
        SELECT f.*, m.follower_order_id AS replicated_forever_order_id
        FROM forever_orders f LEFT JOIN copy_mappings m ON m.leader_order_id = f.id
        WHERE f.status IN ('PENDING', 'ACTIVE') ORDER BY f.created_at DESC""",
    "v_recent_trades": """
        SELECT t.*, o.status AS order_status, o.product,
            t.price - t.brokerage - t.total_charges AS net_price
        FROM trades t LEFT JOIN orders o ON t.order_id = o.id ORDER BY t.trade_ts DESC LIMIT 100""",
    "v_active_websocket_connections": """
        SELECT w.*, CAST(strftime('%s', 'now') AS INTEGER) - w.last_heartbeat_at AS seconds_since_heartbeat
        FROM websocket_connections w WHERE w.status = 'CONNECTED' ORDER BY w.connected_at DESC""",
    "v_recent_errors": """
        SELECT error_type, severity, COUNT(*) AS error_count, MAX(occurred_at) AS last_occurred,
            GROUP_CONCAT(DISTINCT account_type) AS affected_accounts
        FROM error_log WHERE occurred_at > CAST(strftime('%s', 'now') AS INTEGER) - 86400
        GROUP BY error_type, severity ORDER BY last_occurred DESC""",
    "v_sliced_orders": """
        SELECT slice_order_id, COUNT(*) AS slice_count, SUM(quantity) AS total_quantity,
            MAX(total_slice_quantity) AS original_quantity, security_id, exchange_segment, side, product,
            order_type, MIN(created_at) AS first_order_time, MAX(created_at) AS last_order_time,
            GROUP_CONCAT(id || ':' || quantity) AS order_details,
            SUM(CASE WHEN status = 'EXECUTED' THEN 1 ELSE 0 END) AS executed_count,
            SUM(CASE WHEN status IN ('PENDING', 'TRANSIT', 'OPEN') THEN 1 ELSE 0 END) AS pending_count,
            SUM(CASE WHEN status IN ('CANCELLED', 'REJECTED') THEN 1 ELSE 0 END) AS failed_count
        FROM orders WHERE is_sliced_order = 1 GROUP BY slice_order_id""",
}
