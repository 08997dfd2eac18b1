"""
The triggers of PostgreSQL, and their functions.

Each function runs as its owner with a fixed search path, and names its tables in full. So a program may be given
rights on the version 3 tables alone and its writes still bump heads; and neither a temporary table nor a schema of
its own, both of which a role can put before ours, can stand in for `control_actions`. Nobody else may call them:
on a table of another shape they would be tools.

PostgreSQL runs triggers of one event in the order of their names; nothing here rests on it. A superuser, and who
owns the tables, can switch triggers off (`session_replication_role`, `DISABLE TRIGGER`). A plain role can do neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from riskguard.store.tables import metadata
from riskguard.store.triggers.shared import (
    APPEND_ONLY,
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

SCHEMA: Final = "public"
"""Where riskguard lies: in a database of its own there is nothing to keep it apart from."""
FUNCTION_PREFIX: Final = "riskguard_"
BODY: Final = "$body$"

_CHANGED: Final = {
    "INSERT": "REFERENCING NEW TABLE AS changed",
    "UPDATE": "REFERENCING OLD TABLE AS replaced NEW TABLE AS changed",
    "DELETE": "REFERENCING OLD TABLE AS changed",
}
# A locale's rules would make an "i" of a letter nobody meant.
_UPPER: Final = 'upper({} COLLATE "C")'


def postgresql_triggers() -> list[str]:
    """Return every CREATE FUNCTION and CREATE TRIGGER for PostgreSQL, in order of creation."""
    made = [*_heads(), *_refusals(), *_positions(), *_days(), *_memory(), *_control(), *_actions()]
    names = [each.partition("(")[0].split()[-1] for each in made if each.startswith("CREATE FUNCTION")]
    return [*made, *(f"REVOKE ALL ON FUNCTION {name}() FROM PUBLIC" for name in names)]


def _function(name: str, body: str, declared: str = "") -> str:
    """A trigger function; *body* is indented by four and ends by returning."""
    head = f"DECLARE\n{declared.rstrip()}\n" if declared else ""
    return (
        f"CREATE FUNCTION {FUNCTION_PREFIX}{name}() RETURNS trigger\n"
        f"LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS {BODY}\n"
        f"{head}BEGIN\n{body.strip(chr(10)).rstrip()}\nEND\n{BODY}"
    )


def _refuse(says: str) -> str:
    return f"RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = '{says}'"


# -- heads -----------------------------------------------------------------------------------------------------------


def _heads() -> Iterator[str]:
    """
    Bump once a statement, not once a row: ten thousand fills are one change of the head.

    Heads are taken in the order of their names, as riskguard takes them, so that two statements over several
    accounts cannot wait for each other.
    """
    for column in sorted(set(BUMPED.values())):
        yield _function(f"bumps_{column}", _bump(column), "    name text;")
    yield _function("bumps_bare", _bump("account_type", "snapshot_id = 0"), "    name text;")
    yield _function("bumps_limits", _bump(BUMPED[LIMITS_IN], drawn=True), "    name text;")
    yield _function(
        "bumps_global",
        f"""
    IF EXISTS (SELECT FROM changed) THEN
        UPDATE {SCHEMA}.account_heads SET version = version + 1 WHERE account = 'GLOBAL';
    END IF;
    RETURN NULL;""",
    )
    for table, column in BUMPED.items():
        yield from _bump_triggers(table, "bumps_limits" if table == LIMITS_IN else f"bumps_{column}")
    for table in GLOBAL_TABLES:
        yield from _bump_triggers(table, "bumps_global")
    # A position row without a header comes from a version 3 writer: it is evidence, and counts at once.
    yield from _bump_triggers("positions", "bumps_bare")


def _bump(column: str, where: str = "TRUE", *, drawn: bool = False) -> str:
    """Count on the heads of whom *column* names; *drawn* draws `controls` too, see the triggers of SQLite."""
    counted = "version = h.version + 1"
    if drawn:
        counted += ", controls = floor((random() - 0.5) * 9007199254740992)::bigint"
    changed, replaced = (f"SELECT {column} FROM {rows} WHERE {where}" for rows in ("changed", "replaced"))
    return f"""
    IF TG_OP = 'UPDATE' THEN
        FOR name IN SELECT r.name FROM ({changed} UNION {replaced}) AS r (name) ORDER BY r.name COLLATE "C" LOOP
            UPDATE {SCHEMA}.account_heads h SET {counted} WHERE h.account = name;
        END LOOP;
    ELSE
        FOR name IN SELECT r.name FROM ({changed} GROUP BY 1) AS r (name) ORDER BY r.name COLLATE "C" LOOP
            UPDATE {SCHEMA}.account_heads h SET {counted} WHERE h.account = name;
        END LOOP;
    END IF;
    RETURN NULL;"""


def _bump_triggers(table: str, function: str) -> Iterator[str]:
    for event, rows in _CHANGED.items():
        yield (
            f"CREATE TRIGGER {table}_{event.lower()}_bumps AFTER {event} ON {table}\n"
            f"{rows} FOR EACH STATEMENT EXECUTE FUNCTION {FUNCTION_PREFIX}{function}()"
        )


# -- what is refused -------------------------------------------------------------------------------------------------


def _refusals() -> Iterator[str]:
    """DELETE asks the triggers of each row and TRUNCATE asks none of them, so no table takes it."""
    yield _function(
        "refuses", "    RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = TG_ARGV[0];"
    )
    for table in APPEND_ONLY:
        yield (
            f"CREATE TRIGGER {table}_refused BEFORE UPDATE OR DELETE ON {table}\n"
            f"FOR EACH ROW EXECUTE FUNCTION {FUNCTION_PREFIX}refuses('{append_only_says(table)}')"
        )
    for table in sorted(metadata.tables):
        says = append_only_says(table) if table in APPEND_ONLY else f"{table} is not truncated: use DELETE, which asks"
        yield (
            f"CREATE TRIGGER {table}_truncate_refused BEFORE TRUNCATE ON {table}\n"
            f"FOR EACH STATEMENT EXECUTE FUNCTION {FUNCTION_PREFIX}refuses('{says}')"
        )


def _positions() -> Iterator[str]:
    """A version 3 writer says NULL for a product it does not know; SQLite's column puts the default in by itself."""
    yield _function(
        "names_product",
        """
    NEW.product := coalesce(NEW.product, '');
    RETURN NEW;""",
    )
    yield (
        "CREATE TRIGGER positions_names_product BEFORE INSERT OR UPDATE ON positions\n"
        f"FOR EACH ROW WHEN (NEW.product IS NULL) EXECUTE FUNCTION {FUNCTION_PREFIX}names_product()"
    )


def _days() -> Iterator[str]:
    """What a day's loss is computed from stays: see the triggers of SQLite."""
    for table, key in DAY_ROWS.items():
        same = " AND ".join(f"was.{column} = NEW.{column}" for column in key)
        yield _function(
            f"{table}_once",
            f"""
    IF EXISTS (SELECT FROM {SCHEMA}.{table} was WHERE {same}) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;""",
        )
        wrong = [f"NEW.{column} IS DISTINCT FROM OLD.{column}" for column in key]
        if table == "day_baselines":
            wrong += [
                "NEW.adjustment_e4 > OLD.adjustment_e4",
                "NEW.source IS DISTINCT FROM OLD.source",
                "(OLD.opening_equity_e4 IS NOT NULL AND (NEW.opening_equity_e4 <= OLD.opening_equity_e4) IS NOT TRUE)",
            ]
        else:
            wrong.append(FALLS[table])
        if table == "day_books":
            wrong.append(
                f"(EXISTS (SELECT FROM {SCHEMA}.day_baselines b WHERE b.account = OLD.account "
                "AND b.session_date = OLD.session_date) AND (NEW.start_quantity IS DISTINCT FROM OLD.start_quantity "
                "OR (OLD.previous_close_e4 IS NOT NULL AND NEW.previous_close_e4 IS DISTINCT FROM OLD.previous_close_e4)))"
            )
        condition = "\n        OR ".join(wrong)
        yield _function(
            f"{table}_holds",
            f"""
    IF {condition} THEN
        {_refuse(BASE_SAYS)};
    END IF;
    RETURN NEW;""",
        )
        for name, event, function in (
            ("once", "BEFORE INSERT", f"{table}_once()"),
            ("holds", "BEFORE UPDATE", f"{table}_holds()"),
            ("stays", "BEFORE DELETE", f"refuses('{DAY_SAYS}')"),
        ):
            yield (
                f"CREATE TRIGGER {table}_{name} {event} ON {table}\n"
                f"FOR EACH ROW EXECUTE FUNCTION {FUNCTION_PREFIX}{function}"
            )
    yield _function(
        "trades_stay",
        f"""
    IF OLD.booked_at_us IS NOT NULL AND OLD.id NOT LIKE '{PROVISIONAL}' AND OLD.session_date >= (
        SELECT max(b.session_date) FROM {SCHEMA}.day_baselines b WHERE b.account = OLD.account_type) THEN
        {_refuse(FILL_SAYS)};
    END IF;
    RETURN OLD;""",
    )
    yield (
        "CREATE TRIGGER trades_stay BEFORE DELETE ON trades\n"
        f"FOR EACH ROW EXECUTE FUNCTION {FUNCTION_PREFIX}trades_stay()"
    )


def _memory() -> Iterator[str]:
    """What the live checks remember stays: see the triggers of SQLite. An upsert asks as the UPDATE it becomes."""
    acting = (
        f"EXISTS (SELECT FROM {SCHEMA}.control_actions a WHERE a.is_open = 1 AND a.account IN (OLD.account, 'GLOBAL'))"
    )
    moved = " OR ".join(f"NEW.{column} IS DISTINCT FROM OLD.{column}" for column in MEMORY_KEY)
    now_us = "floor(extract(epoch FROM clock_timestamp()) * 1000000)"
    yield _function(
        "memory_kept",
        f"""
    IF (OLD.period = '' OR OLD.updated_at_us > {now_us} - {MEMORY_DAYS} * 86400000000::bigint) AND NOT {acting} THEN
        {_refuse(MEMORY_SAYS)};
    END IF;
    RETURN OLD;""",
    )
    yield _function(
        "memory_counts",
        f"""
    IF ({moved} OR NEW.written <= OLD.written) AND NOT {acting} THEN
        {_refuse(MEMORY_COUNTS)};
    END IF;
    RETURN NEW;""",
    )
    for name, event in (("kept", "DELETE"), ("counts", "UPDATE")):
        yield (
            f"CREATE TRIGGER {MEMORY}_memory_{name} BEFORE {event} ON {MEMORY}\n"
            f"FOR EACH ROW EXECUTE FUNCTION {FUNCTION_PREFIX}memory_{name}()"
        )


# -- Trader's Control ------------------------------------------------------------------------------------------------


def _acting(row: str) -> str:
    return f"EXISTS (SELECT FROM {SCHEMA}.control_actions a WHERE a.is_open = 1 AND a.account IN ({row}.account_type, 'GLOBAL'))"


def _latched(row: str) -> str:
    return f"{row}.is_active = 1 AND {row}.control_type = 'KILL_SWITCH' AND {halting(row, _UPPER)}"


def _lowers(old: str) -> str:
    return f"({_latched(old)}) AND ({_latched('NEW')} AND NEW.account_type = {old}.account_type) IS NOT TRUE"


def _other_policy(old: str) -> str:
    return " OR ".join(f"NEW.{c} IS DISTINCT FROM {old}.{c}" for c in POLICY_COLUMNS)


def _loosens(old: str) -> str:
    looser = " OR ".join(f"{old}.{c} IS NOT NULL AND (NEW.{c} <= {old}.{c}) IS NOT TRUE" for c in LIMIT_COLUMNS)
    return (
        f"({old}.is_active = 1 AND {old}.control_type <> 'KILL_SWITCH')\n"
        f"        AND (NEW.is_active IS DISTINCT FROM 1\n            OR {looser}\n            OR {_other_policy(old)})"
    )


def _kept(row: str) -> str:
    return "json_build_object(" + ", ".join(f"'{c}', {row}.{c}" for c in KEPT_COLUMNS) + ")::text"


def _log(row: str, what: str, old: str, new: str) -> str:
    return (
        f"INSERT INTO {SCHEMA}.control_changes\n"
        f"        (account, what, control_id, control_type, limit_id, scope, old_values, new_values)\n"
        f"    VALUES ({row}.account_type, {what}, {row}.id, {row}.control_type, coalesce({row}.limit_id, ''),\n"
        f"        coalesce({row}.scope, ''), {old}, {new});"
    )


def _control() -> Iterator[str]:
    yield _function(
        "control_holds",
        f"""
    IF {_acting("OLD")} THEN
        RETURN NEW;
    END IF;
    IF {_lowers("OLD")} THEN
        {_refuse(LATCH_SAYS)};
    END IF;
    IF {_loosens("OLD")} THEN
        {_refuse(LIMIT_SAYS)};
    END IF;
    RETURN NEW;""",
    )
    yield _function(
        "control_row_stays",
        f"""
    IF OLD.is_active = 1 AND NOT {_acting("OLD")} THEN
        {_refuse(ROW_SAYS)};
    END IF;
    RETURN OLD;""",
    )
    yield _function("control_supersedes", _SUPERSEDES, "    was record;\n    acting boolean;\n    act bigint;")
    yield _function(
        "control_kept",
        f"""
    -- Whoever listens looks now and not at the next look; nothing rests on it.
    PERFORM pg_notify('riskguard', NEW.account_type);
    IF {_acting("NEW")} THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'INSERT' THEN
    {_log("NEW", "'INSERTED'", "NULL", _kept("NEW"))}
    ELSE
    {_log("NEW", "'UPDATED'", _kept("OLD"), _kept("NEW"))}
    END IF;
    RETURN NULL;""",
    )
    for name, event, function in (
        ("holds", "BEFORE UPDATE", "holds"),
        ("row_stays", "BEFORE DELETE", "row_stays"),
        ("supersedes", "BEFORE INSERT", "supersedes"),
        ("kept", "AFTER INSERT OR UPDATE", "kept"),
    ):
        yield (
            f"CREATE TRIGGER traders_control_{name} {event} ON traders_control\n"
            f"FOR EACH ROW EXECUTE FUNCTION {FUNCTION_PREFIX}control_{function}()"
        )


_SUPERSEDES: Final = f"""
    IF NEW.is_active IS DISTINCT FROM 1 THEN
        RETURN NEW;
    END IF;
    -- Who writes a second row of the same account at the same time waits here, and then sees the first.
    PERFORM FROM {SCHEMA}.account_heads h WHERE h.account = NEW.account_type FOR UPDATE;
    -- A row whose id is taken does not come in: refused, passed over, or an UPDATE that is judged as one. Nothing
    -- may step down for it. The lock is for two that bring the same number at once.
    PERFORM pg_advisory_xact_lock(hashtextextended('riskguard traders_control ' || NEW.id, 0));
    IF EXISTS (SELECT FROM {SCHEMA}.traders_control c WHERE c.id = NEW.id) THEN
        RETURN NEW;
    END IF;
    acting := {_acting("NEW")};
    FOR was IN
        SELECT * FROM {SCHEMA}.traders_control c
        WHERE c.is_active = 1 AND c.account_type = NEW.account_type ORDER BY c.id
    LOOP
        IF NOT acting AND NEW.control_type = 'KILL_SWITCH' AND {_lowers("was")} THEN
            {_refuse(LATCH_SAYS)};
        END IF;
        CONTINUE WHEN was.control_type <> NEW.control_type
            OR coalesce(was.limit_id, '') <> coalesce(NEW.limit_id, '')
            OR coalesce(was.scope, '') <> coalesce(NEW.scope, '');
        IF NOT acting AND was.control_type <> 'KILL_SWITCH' THEN
            IF {_other_policy("was")} THEN
                {_refuse(LIMIT_SAYS)};
            END IF;
            -- The tighter of what both say; `least` passes over what is not said.
{chr(10).join(f"            NEW.{c} := least(NEW.{c}, was.{c});" for c in LIMIT_COLUMNS)}
        END IF;
    {_log("was", "'SUPERSEDED'", _kept("was"), "NULL").replace(chr(10), chr(10) + "    ")}
        -- The act is what lets the row step down; it is gone before the statement ends.
        IF NOT acting THEN
            INSERT INTO {SCHEMA}.control_actions (account, kind, by_whom, at_us)
            VALUES (NEW.account_type, 'SUPERSEDE', 'trigger', floor(extract(epoch FROM clock_timestamp()) * 1000000))
            RETURNING id INTO act;
        END IF;
        UPDATE {SCHEMA}.traders_control c
        SET is_active = 0, deactivated_at = NEW.created_at, updated_at = NEW.updated_at WHERE c.id = was.id;
        IF NOT acting THEN
            DELETE FROM {SCHEMA}.control_actions a WHERE a.id = act;
        END IF;
    END LOOP;
    RETURN NEW;"""


def _actions() -> Iterator[str]:
    """An act left open would be committed, seen by all, and let everything through from then on."""
    yield _function(
        "action_is_closed",
        f"""
    IF EXISTS (SELECT FROM {SCHEMA}.control_actions a WHERE a.id = NEW.id AND a.is_open = 1) THEN
        {_refuse("an act is closed before its transaction ends: set is_open to 0")};
    END IF;
    RETURN NULL;""",
    )
    yield (
        "CREATE CONSTRAINT TRIGGER control_actions_closed AFTER INSERT OR UPDATE ON control_actions\n"
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.is_open = 1) "
        f"EXECUTE FUNCTION {FUNCTION_PREFIX}action_is_closed()"
    )
