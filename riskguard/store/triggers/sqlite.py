"""
The triggers of SQLite.

Three ways in which SQLite writes without asking are met here. A REPLACE deletes rows without asking a DELETE
trigger: what it would take the place of is looked at first. An IGNORE passes over a row after its BEFORE
trigger has run: a row that would be passed over must have changed nothing. And several triggers of one event
run in no promised order: what depends on order is one trigger.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from riskguard.store.tables.base import v3_columns
from riskguard.store.tables.control import traders_control
from riskguard.store.tables.instruments import instruments
from riskguard.store.tables.orders import orders
from riskguard.store.tables.statements import trades
from riskguard.store.triggers.shared import (
    BASE_SAYS,
    BUMPED,
    DAY_ROWS,
    DAY_SAYS,
    FALLS,
    FILL_SAYS,
    GLOBAL_TABLES,
    KEPT_COLUMNS,
    LATCH_SAYS,
    LIMIT_COLUMNS,
    LIMIT_SAYS,
    LIMITS_IN,
    MEMORY,
    MEMORY_COUNTS,
    MEMORY_DAYS,
    MEMORY_KEY,
    MEMORY_SAYS,
    POLICY_COLUMNS,
    PROVISIONAL,
    ROW_SAYS,
    append_only_says,
    halting,
)

_NOW_US: Final = "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"


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
    made += _day_triggers()
    made += _memory_triggers()
    return made


def _bumps(table: str, account: str) -> list[str]:
    made = []
    # Drawn and not counted: of two histories of one database (a restored copy, a commit that was lost) neither may
    # come to a number the other had.
    counted = "version = version + 1" + (", controls = random()" if table == LIMITS_IN else "")
    for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
        named = account.format(row=row)
        body = f"UPDATE account_heads SET {counted} WHERE account = {named};"
        if event == "UPDATE" and "{row}" in account:
            body += (
                f" UPDATE account_heads SET {counted} WHERE account = OLD.{account.rpartition('.')[2]}"
                f" AND OLD.{account.rpartition('.')[2]} <> {named};"
            )
        made.append(f"CREATE TRIGGER {table}_{event.lower()}_bumps AFTER {event} ON {table} BEGIN {body} END")
    return made


def _snapshot_rows_bump() -> list[str]:
    """A position row without a header comes from a version 3 writer: it is evidence, and counts at once."""
    rows = {"INSERT": ("NEW",), "UPDATE": ("NEW", "OLD"), "DELETE": ("OLD",)}
    return [
        f"CREATE TRIGGER positions_{event.lower()}_bumps AFTER {event} ON positions "
        f"WHEN {' OR '.join(f'{row}.snapshot_id = 0' for row in named)} BEGIN "
        f"UPDATE account_heads SET version = version + 1 "
        f"WHERE account IN ({', '.join(f'{row}.account_type' for row in named)}); END"
        for event, named in rows.items()
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


def _day_triggers() -> list[str]:
    """
    Keep what a day's loss is computed from. A second row for the same key is passed over: a REPLACE would forget the first.
    """
    made = []
    for table, key in DAY_ROWS.items():
        same = " AND ".join(f"was.{column} = NEW.{column}" for column in key)
        moved = " OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in key)
        made.append(
            f"CREATE TRIGGER {table}_stays BEFORE DELETE ON {table} BEGIN SELECT RAISE(ABORT, '{DAY_SAYS}'); END"
        )
        made.append(
            f"CREATE TRIGGER {table}_once BEFORE INSERT ON {table} "
            f"WHEN EXISTS (SELECT 1 FROM {table} was WHERE {same}) BEGIN SELECT RAISE(IGNORE); END"
        )
        if table == "day_baselines":
            wrong = (
                f"{moved} OR NEW.adjustment_e4 > OLD.adjustment_e4 OR NEW.source IS NOT OLD.source "
                "OR (OLD.opening_equity_e4 IS NOT NULL AND (NEW.opening_equity_e4 IS NULL "
                "OR NEW.opening_equity_e4 > OLD.opening_equity_e4))"
            )
        else:
            wrong = f"{moved} OR {FALLS[table]}"
        if table == "day_books":
            # Once the day has its baseline a line begins where it began; only a close nobody knew may be put in.
            wrong += (
                " OR (EXISTS (SELECT 1 FROM day_baselines b WHERE b.account = OLD.account "
                "AND b.session_date = OLD.session_date) AND (NEW.start_quantity IS NOT OLD.start_quantity "
                "OR (OLD.previous_close_e4 IS NOT NULL AND NEW.previous_close_e4 IS NOT OLD.previous_close_e4)))"
            )
        made.append(
            f"CREATE TRIGGER {table}_holds BEFORE UPDATE ON {table} WHEN {wrong} "
            f"BEGIN SELECT RAISE(ABORT, '{BASE_SAYS}'); END"
        )
    # Without its row the same fill, listed by the broker once more, would be booked a second time.
    made.append(
        "CREATE TRIGGER trades_stay BEFORE DELETE ON trades WHEN OLD.booked_at_us IS NOT NULL "
        f"AND OLD.id NOT LIKE '{PROVISIONAL}' AND OLD.session_date >= "
        "(SELECT max(b.session_date) FROM day_baselines b WHERE b.account = OLD.account_type) "
        f"BEGIN SELECT RAISE(ABORT, '{FILL_SAYS}'); END"
    )
    return made


def _memory_triggers() -> list[str]:
    """Keep what the live checks remember: see `shared.MEMORY`. Inside an open act it may be set back."""
    no_action = (
        "NOT EXISTS (SELECT 1 FROM control_actions a WHERE a.is_open = 1 AND a.account IN ({row}.account, 'GLOBAL'))"
    )
    same = " AND ".join(f"was.{column} = NEW.{column}" for column in MEMORY_KEY)
    moved = " OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in MEMORY_KEY)
    young = f"OLD.updated_at_us > {_NOW_US} - {MEMORY_DAYS} * 86400000000"
    return [
        f"CREATE TRIGGER {MEMORY}_memory_kept BEFORE DELETE ON {MEMORY} "
        f"WHEN (OLD.period = '' OR {young}) AND {no_action.format(row='OLD')} "
        f"BEGIN SELECT RAISE(ABORT, '{MEMORY_SAYS}'); END",
        f"CREATE TRIGGER {MEMORY}_memory_counts BEFORE UPDATE ON {MEMORY} "
        f"WHEN ({moved} OR NEW.written <= OLD.written) AND {no_action.format(row='OLD')} "
        f"BEGIN SELECT RAISE(ABORT, '{MEMORY_COUNTS}'); END",
        # A REPLACE deletes without asking a DELETE trigger; an upsert of ours says beforehand what it counts to.
        f"CREATE TRIGGER {MEMORY}_memory_replaced BEFORE INSERT ON {MEMORY} "
        f"WHEN EXISTS (SELECT 1 FROM {MEMORY} was WHERE {same} AND coalesce(NEW.written, 0) <= was.written) "
        f"AND {no_action.format(row='NEW')} BEGIN SELECT RAISE(ABORT, '{MEMORY_COUNTS}'); END",
    ]


def _append_only(table: str, *in_place_of: str) -> list[str]:
    """A REPLACE deletes without asking a DELETE trigger, so what it would take the place of is looked at first."""
    says = f"SELECT RAISE(ABORT, '{append_only_says(table)}')"
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


def _malformed() -> str:
    """
    Return the condition under which SQLite itself will refuse NEW, or pass over it where the writer said IGNORE.

    By then a BEFORE trigger has run, and what it did stands: a limit would be superseded by a row that never came.
    """
    dialect = sqlite.dialect()
    checks = [each for each in traders_control.constraints if isinstance(each, sa.CheckConstraint)]
    refused = [
        f"NOT ({each.sqltext.compile(dialect=dialect, compile_kwargs={'literal_binds': True})})" for each in checks
    ]
    columns = [each for each in traders_control.columns if not each.primary_key]
    missing = [f"{each.name} IS NULL" for each in columns if not each.nullable]
    values = ", ".join(f"NEW.{each.name} AS {each.name}" for each in columns)
    return f"EXISTS (SELECT 1 FROM (SELECT {values}) WHERE {' OR '.join((*missing, *sorted(refused)))})"


def _control_triggers() -> list[str]:
    no_action = "NOT EXISTS (SELECT 1 FROM control_actions a WHERE a.is_open = 1 AND a.account IN ({row}.account_type, 'GLOBAL'))"
    latched = "{row}.is_active = 1 AND {row}.control_type = 'KILL_SWITCH' AND " + halting("{row}")
    limit = "{row}.is_active = 1 AND {row}.control_type <> 'KILL_SWITCH'"
    # "IS NOT TRUE" and not "NOT": of a row that says NULL nobody knows that it holds.
    stays = f"({latched.format(row='NEW')} AND NEW.account_type = {{old}}.account_type)"
    lowers = f"({latched.format(row='{old}')} AND {stays} IS NOT TRUE)"
    loosens = f"({limit.format(row='{old}')} AND (NEW.is_active IS NOT 1"
    loosens += "".join(
        f" OR ({{old}}.{c} IS NOT NULL AND (NEW.{c} IS NULL OR NEW.{c} > {{old}}.{c}))" for c in LIMIT_COLUMNS
    )
    loosens += "".join(f" OR NEW.{c} IS NOT {{old}}.{c}" for c in POLICY_COLUMNS) + "))"
    standing = (
        "{row}is_active = 1 AND {row}account_type = NEW.account_type AND {row}control_type = NEW.control_type "
        "AND coalesce({row}limit_id, '') = coalesce(NEW.limit_id, '') AND coalesce({row}scope, '') = coalesce(NEW.scope, '')"
    )
    is_standing = standing.format(row="")
    values = ", ".join(f"'{c}', {{row}}.{c}" for c in KEPT_COLUMNS)
    log = "INSERT INTO control_changes (account, what, control_id, control_type, limit_id, scope, old_values, new_values) "
    return [
        # -- the latch and the limits do not go down ----------------------------------------------------------
        f"CREATE TRIGGER traders_control_latch_holds BEFORE UPDATE ON traders_control "
        f"WHEN {lowers.format(old='OLD')} AND {no_action.format(row='OLD')} "
        f"BEGIN SELECT RAISE(ABORT, '{LATCH_SAYS}'); END",
        f"CREATE TRIGGER traders_control_limit_holds BEFORE UPDATE ON traders_control "
        f"WHEN {loosens.format(old='OLD')} AND {no_action.format(row='OLD')} "
        f"BEGIN SELECT RAISE(ABORT, '{LIMIT_SAYS}'); END",
        # An UPDATE OR REPLACE deletes the row whose place it takes, also a kill in force, and asks nobody.
        "CREATE TRIGGER traders_control_place_is_taken BEFORE UPDATE ON traders_control WHEN EXISTS (SELECT 1 FROM "
        "traders_control was WHERE was.id <> OLD.id AND (was.id = NEW.id OR (NEW.is_active = 1 "
        f"AND {standing.format(row='was.')}))) "
        "BEGIN SELECT RAISE(ABORT, 'another row is in force in this place: write a new row, it supersedes'); END",
        f"CREATE TRIGGER traders_control_row_stays BEFORE DELETE ON traders_control "
        f"WHEN OLD.is_active = 1 AND {no_action.format(row='OLD')} BEGIN SELECT RAISE(ABORT, '{ROW_SAYS}'); END",
        # Before an insert an id that is still to be given reads -1: a row of that number would seem to be replaced
        # by each new one, and a kill would be refused.
        "CREATE TRIGGER traders_control_id_counts AFTER INSERT ON traders_control WHEN NEW.id < 1 "
        "BEGIN SELECT RAISE(ABORT, 'ids of traders_control count from 1: leave the id out'); END",
        "CREATE TRIGGER traders_control_id_stays BEFORE UPDATE ON traders_control WHEN NEW.id < 1 "
        "BEGIN SELECT RAISE(ABORT, 'ids of traders_control count from 1: leave the id alone'); END",
        # One trigger, because SQLite runs several in no promised order. A REPLACE deletes without asking a
        # DELETE trigger, so the row it would delete is looked at first. The action opened around the UPDATE is
        # what lets a superseded row step down; it is gone before the statement ends.
        "CREATE TRIGGER traders_control_supersedes BEFORE INSERT ON traders_control BEGIN "
        f"SELECT RAISE(ABORT, '{LATCH_SAYS}') FROM traders_control was WHERE (was.id = NEW.id OR (NEW.is_active = 1 "
        "AND NEW.control_type = 'KILL_SWITCH' AND was.account_type = NEW.account_type)) "
        f"AND {lowers.format(old='was')} AND {no_action.format(row='NEW')}; "
        f"SELECT RAISE(ABORT, '{LIMIT_SAYS}') FROM traders_control was WHERE was.id = NEW.id "
        f"AND {loosens.format(old='was')} AND {no_action.format(row='NEW')}; "
        f"SELECT RAISE(ABORT, '{LIMIT_SAYS}') FROM traders_control was WHERE NEW.is_active = 1 "
        f"AND {limit.format(row='was')} AND was.account_type = NEW.account_type AND was.control_type = NEW.control_type "
        "AND coalesce(was.limit_id, '') = coalesce(NEW.limit_id, '') AND coalesce(was.scope, '') = coalesce(NEW.scope, '') "
        f"AND ({' OR '.join(f'NEW.{c} IS NOT was.{c}' for c in POLICY_COLUMNS)}) AND {no_action.format(row='NEW')}; "
        # What SQLite would refuse after this trigger it would, under OR IGNORE, only pass over: the row that stands
        # would have stepped down for one that never came. Under its own id it need not step down to be replaced.
        "SELECT RAISE(ABORT, 'a row that supersedes another must be whole and new: see the checks of traders_control') "
        f"FROM traders_control was WHERE NEW.is_active = 1 AND {standing.format(row='was.')} AND was.id <> NEW.id "
        f"AND (EXISTS (SELECT 1 FROM traders_control c WHERE c.id = NEW.id) OR {_malformed()}); "
        f"{log} SELECT account_type, 'SUPERSEDED', id, control_type, coalesce(limit_id, ''), "
        f"coalesce(scope, ''), json_object({values.format(row='traders_control')}), NULL "
        f"FROM traders_control WHERE NEW.is_active = 1 AND {is_standing}; "
        "INSERT INTO control_actions (account, kind, by_whom, at_us) SELECT NEW.account_type, 'SUPERSEDE', 'trigger', "
        f"{_NOW_US} WHERE NEW.is_active = 1 AND {no_action.format(row='NEW')}; "
        "UPDATE traders_control SET is_active = 0, deactivated_at = NEW.created_at, updated_at = NEW.updated_at "
        f"WHERE NEW.is_active = 1 AND id <> NEW.id AND {is_standing}; "
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
