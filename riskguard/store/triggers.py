"""
Triggers: what the database itself holds, whoever writes.

1. Every table an account reads bumps that account's head, so any writer is honoured by the very next check.
2. Plain SQL may tighten, never loosen: a looser limit or a lowered latch is refused, or merged to the tighter,
   unless a `control_actions` row is open in the same transaction (which no other connection can see).
3. What plain SQL did change is kept in `control_changes`.
4. The journal is append-only.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from riskguard.store.tables.base import v3_columns
from riskguard.store.tables.instruments import instruments
from riskguard.store.tables.orders import orders
from riskguard.store.tables.statements import trades

HALTING: Final = "upper(coalesce({row}.kill_switch_status, '')) NOT IN ('INACTIVE', 'DEACTIVATE', 'DEACTIVATED', 'OFF')"

BUMPED: Final = {  # table -> the column that names the account
    "accounts": "account",
    "traders_control": "account_type",
    "permits": "account",
    "order_messages": "account",
    "refusal_repeats": "account",
    "day_baselines": "account",
    "day_books": "account",
    "snapshots": "account",
    "orders": "account_type",
    "trades": "account_type",
    "pnl_readings": "account",
    "state_causes": "account",
    "sweeps": "account",
    "control_actions": "account",
}
GLOBAL_TABLES: Final = ("instruments",)

_NOW_US: Final = "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"

LIMIT_COLUMNS: Final = ("daily_loss_limit", "position_size_limit", "order_value_limit")
POLICY_COLUMNS: Final = (
    "control_type", "account_type", "limit_id", "check_name", "parameters", "scope", "on_breach", "mode", "kill_plan",
)  # fmt: skip


def sqlite_triggers() -> list[str]:
    """Return every CREATE TRIGGER for SQLite, in order of creation."""
    made: list[str] = []
    for table, column in BUMPED.items():
        made += _bumps(table, f"{{row}}.{column}")
    for table in GLOBAL_TABLES:
        made += _bumps(table, "'GLOBAL'")
    made += _snapshot_rows_bump()
    for declared in (orders, trades, instruments):
        made.append(_keeps_ours(declared))
    mine = "was.account = NEW.account AND "
    made += _append_only(
        "decisions", f"{mine}was.sequence = NEW.sequence", f"{mine}was.client_order_id = NEW.client_order_id"
    )
    # Keeping a set that is kept already says the same again, and is no change.
    made += _append_only("limit_sets", "was.digest = NEW.digest AND was.body IS NOT NEW.body")
    made += _control_triggers()
    return made


def _bumps(table: str, account: str) -> list[str]:
    made = []
    for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
        named = account.format(row=row)
        body = f"UPDATE account_heads SET version = version + 1 WHERE account = {named};"
        if event == "UPDATE" and "{row}" in account:
            body += (
                f" UPDATE account_heads SET version = version + 1 WHERE account = OLD.{account.rpartition('.')[2]}"
                f" AND OLD.{account.rpartition('.')[2]} <> {named};"
            )
        made.append(f"CREATE TRIGGER {table}_{event.lower()}_bumps AFTER {event} ON {table} BEGIN {body} END")
    return made


def _snapshot_rows_bump() -> list[str]:
    """A position row without a header comes from a version 3 writer: it is evidence, and counts at once."""
    return [
        "CREATE TRIGGER positions_insert_bumps AFTER INSERT ON positions WHEN NEW.snapshot_id = 0 BEGIN "
        "UPDATE account_heads SET version = version + 1 WHERE account = NEW.account_type; END"
    ]


def _keeps_ours(declared: sa.Table) -> str:
    """
    A version 3 writer saves a row by replacing it, and would clear the columns it does not know: a fill would
    be booked twice, an order would lose its permit. Its REPLACE becomes an update of the columns it has.
    """
    known = v3_columns(declared)
    ours = [column.name for column in declared.columns if column.name not in known]
    keys = [column.name for column in declared.primary_key.columns]
    same = " AND ".join(f"{key} = NEW.{key}" for key in keys)
    return (
        f"CREATE TRIGGER {declared.name}_keeps_ours BEFORE INSERT ON {declared.name} "
        f"WHEN {' AND '.join(f'NEW.{name} IS NULL' for name in ours)} AND EXISTS (SELECT 1 FROM {declared.name} "
        f"WHERE {same} AND ({' OR '.join(f'{name} IS NOT NULL' for name in ours)})) BEGIN "
        f"UPDATE {declared.name} SET {', '.join(f'{name} = NEW.{name}' for name in known)} WHERE {same}; "
        "SELECT RAISE(IGNORE); END"
    )


def _append_only(table: str, *in_place_of: str) -> list[str]:
    """A REPLACE deletes without asking a DELETE trigger, so what it would take the place of is looked at first."""
    says = f"SELECT RAISE(ABORT, '{table} is append-only: it is the evidence')"
    made = [
        f"CREATE TRIGGER {table}_{event.lower()}_refused BEFORE {event} ON {table} BEGIN {says}; END"
        for event in ("UPDATE", "DELETE")
    ]
    made.append(
        f"CREATE TRIGGER {table}_replace_refused BEFORE INSERT ON {table} "
        # One EXISTS each: joined by OR they would scan what a key finds at once.
        f"WHEN {' OR '.join(f'EXISTS (SELECT 1 FROM {table} was WHERE {each})' for each in in_place_of)} BEGIN {says}; END"
    )
    return made


def _control_triggers() -> list[str]:
    no_action = "NOT EXISTS (SELECT 1 FROM control_actions a WHERE a.is_open = 1 AND a.account IN ({row}.account_type, 'GLOBAL'))"
    latched = "{row}.is_active = 1 AND {row}.control_type = 'KILL_SWITCH' AND " + HALTING
    limit = "{row}.is_active = 1 AND {row}.control_type <> 'KILL_SWITCH'"
    lowers = f"({latched.format(row='{old}')} AND NOT ({latched.format(row='NEW')} AND NEW.account_type = {{old}}.account_type))"
    loosens = f"({limit.format(row='{old}')} AND (NEW.is_active IS NOT 1"
    loosens += "".join(
        f" OR ({{old}}.{c} IS NOT NULL AND (NEW.{c} IS NULL OR NEW.{c} > {{old}}.{c}))" for c in LIMIT_COLUMNS
    )
    loosens += "".join(f" OR NEW.{c} IS NOT {{old}}.{c}" for c in POLICY_COLUMNS) + "))"
    standing = (
        "is_active = 1 AND account_type = NEW.account_type AND control_type = NEW.control_type "
        "AND coalesce(limit_id, '') = coalesce(NEW.limit_id, '') AND coalesce(scope, '') = coalesce(NEW.scope, '')"
    )
    values = ", ".join(f"'{c}', {{row}}.{c}" for c in (*LIMIT_COLUMNS, "kill_switch_status", "parameters", "is_active"))
    log = "INSERT INTO control_changes (account, what, control_id, control_type, limit_id, scope, old_values, new_values) "
    latch_says = "the kill switch is released with `riskguard release`, not with SQL"
    limit_says = "SQL may tighten a limit, not loosen it: use `riskguard limits apply`"
    return [
        # -- the latch and the limits do not go down ----------------------------------------------------------
        f"CREATE TRIGGER traders_control_latch_holds BEFORE UPDATE ON traders_control "
        f"WHEN {lowers.format(old='OLD')} AND {no_action.format(row='OLD')} "
        f"BEGIN SELECT RAISE(ABORT, '{latch_says}'); END",
        f"CREATE TRIGGER traders_control_limit_holds BEFORE UPDATE ON traders_control "
        f"WHEN {loosens.format(old='OLD')} AND {no_action.format(row='OLD')} "
        f"BEGIN SELECT RAISE(ABORT, '{limit_says}'); END",
        f"CREATE TRIGGER traders_control_row_stays BEFORE DELETE ON traders_control "
        f"WHEN OLD.is_active = 1 AND {no_action.format(row='OLD')} "
        "BEGIN SELECT RAISE(ABORT, 'a limit or kill in force is not deleted: use `riskguard limits apply` "
        "or `riskguard release`'); END",
        # One trigger, because SQLite runs several in no promised order. A REPLACE deletes without asking a
        # DELETE trigger, so the row it would delete is looked at first. The action opened around the UPDATE is
        # what lets a superseded row step down; it is gone before the statement ends.
        "CREATE TRIGGER traders_control_supersedes BEFORE INSERT ON traders_control BEGIN "
        f"SELECT RAISE(ABORT, '{latch_says}') FROM traders_control was WHERE (was.id = NEW.id OR (NEW.is_active = 1 "
        "AND NEW.control_type = 'KILL_SWITCH' AND was.account_type = NEW.account_type)) "
        f"AND {lowers.format(old='was')} AND {no_action.format(row='NEW')}; "
        f"SELECT RAISE(ABORT, '{limit_says}') FROM traders_control was WHERE was.id = NEW.id "
        f"AND {loosens.format(old='was')} AND {no_action.format(row='NEW')}; "
        f"SELECT RAISE(ABORT, '{limit_says}') FROM traders_control was WHERE NEW.is_active = 1 "
        f"AND {limit.format(row='was')} AND was.account_type = NEW.account_type AND was.control_type = NEW.control_type "
        "AND coalesce(was.limit_id, '') = coalesce(NEW.limit_id, '') AND coalesce(was.scope, '') = coalesce(NEW.scope, '') "
        f"AND ({' OR '.join(f'NEW.{c} IS NOT was.{c}' for c in POLICY_COLUMNS)}) AND {no_action.format(row='NEW')}; "
        f"{log} SELECT account_type, 'SUPERSEDED', id, control_type, coalesce(limit_id, ''), "
        f"coalesce(scope, ''), json_object({values.format(row='traders_control')}), NULL "
        f"FROM traders_control WHERE NEW.is_active = 1 AND {standing}; "
        "INSERT INTO control_actions (account, kind, by_whom, at_us) SELECT NEW.account_type, 'SUPERSEDE', 'trigger', "
        f"{_NOW_US} WHERE NEW.is_active = 1 AND {no_action.format(row='NEW')}; "
        "UPDATE traders_control SET is_active = 0, deactivated_at = NEW.created_at, updated_at = NEW.updated_at "
        f"WHERE NEW.is_active = 1 AND {standing}; "
        "DELETE FROM control_actions WHERE kind = 'SUPERSEDE' AND account = NEW.account_type; END",
        # -- a second row keeps the tighter of what both say -----------------------------------------------------
        "CREATE TRIGGER traders_control_keeps_tighter AFTER INSERT ON traders_control "
        f"WHEN NEW.is_active = 1 AND NEW.control_type <> 'KILL_SWITCH' AND {no_action.format(row='NEW')} "
        "AND EXISTS (SELECT 1 FROM control_changes c WHERE c.what = 'SUPERSEDED' AND c.is_adopted = 0 "
        "AND c.account = NEW.account_type AND c.control_type = NEW.control_type "
        "AND c.limit_id = coalesce(NEW.limit_id, '') AND c.scope = coalesce(NEW.scope, '')) BEGIN "
        "UPDATE traders_control SET "
        + ", ".join(
            f"{c} = (SELECT min(v) FROM (SELECT NEW.{c} AS v UNION ALL SELECT json_extract(ch.old_values, '$.{c}') "
            "FROM control_changes ch WHERE ch.what = 'SUPERSEDED' AND ch.is_adopted = 0 AND ch.account = NEW.account_type "
            "AND ch.control_type = NEW.control_type AND ch.limit_id = coalesce(NEW.limit_id, '') "
            "AND ch.scope = coalesce(NEW.scope, '')) WHERE v IS NOT NULL)"
            for c in LIMIT_COLUMNS
        )
        + " WHERE id = NEW.id; END",
        # -- what was done is kept --------------------------------------------------------------------------------
        f"CREATE TRIGGER traders_control_insert_kept AFTER INSERT ON traders_control "
        f"WHEN {no_action.format(row='NEW')} BEGIN {log} VALUES (NEW.account_type, 'INSERTED', "
        f"NEW.id, NEW.control_type, coalesce(NEW.limit_id, ''), coalesce(NEW.scope, ''), NULL, "
        f"json_object({values.format(row='NEW')})); END",
        f"CREATE TRIGGER traders_control_update_kept AFTER UPDATE ON traders_control "
        f"WHEN {no_action.format(row='NEW')} "
        f"BEGIN {log} VALUES (NEW.account_type, 'UPDATED', NEW.id, "
        f"NEW.control_type, coalesce(NEW.limit_id, ''), coalesce(NEW.scope, ''), json_object({values.format(row='OLD')}), "
        f"json_object({values.format(row='NEW')})); END",
    ]
