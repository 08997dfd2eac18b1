"""
Writes the data dictionary, `schema/README.md`, from the declaration: `python -m riskguard.store.dictionary`.

Tables, columns and indexes say themselves what they are; this module adds what SQLAlchemy has no place for: what an
index, a trigger and a view are for, and which columns of two tables name the same thing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import visitors

from riskguard.locate import folder
from riskguard.store import tables
from riskguard.store.bounds import REAL_ABS_MAX
from riskguard.store.tables import history
from riskguard.store.tables.base import EPOCH_S_MAX, SCHEMA_VERSION, Stored, metadata, v3_columns
from riskguard.store.views import VIEWS

AREAS: Final = {
    "control": "Trader's Control",
    "journal": "Accounts, journal and permits",
    "runs": "Books, sweeps and kill runs",
    "live": "Live checks",
    "settlement": "Settlement prices, charges and cash flows",
    "reconciliation": "Reconciliation",
    "snapshots": "Snapshots",
    "orders": "Orders",
    "super_orders": "Super orders",
    "forever_orders": "Forever orders",
    "portfolio": "Portfolio",
    "funds": "Funds and margin",
    "statements": "Statements",
    "instruments": "Instruments",
    "copy_trading": "Copy trading",
    "live_updates": "Live order updates",
    "postback": "Postback",
    "edis": "eDIS",
    "authentication": "Authentication and settings",
    "alerts": "Alerts",
    "audit": "Audit and errors",
    "quarantine": "Quarantine",
}
"""In the order a reader meets them; an area that is not named here comes last, under its own name."""

RELATIONS: Final = (
    # child, its column, parent, the parent's column
    ("risk_violations", "control_id", "traders_control", "id"),
    ("risk_violations", "sequence", "decisions", "sequence"),
    ("risk_violations", "order_id", "orders", "id"),
    ("traders_control", "action_id", "control_actions", "id"),
    ("traders_control", "account_type", "accounts", "account"),
    ("control_changes", "control_id", "traders_control", "id"),
    ("control_actions", "sequence", "decisions", "sequence"),
    ("account_heads", "account", "accounts", "account"),
    ("decisions", "account", "account_heads", "account"),
    ("permits", "sequence", "decisions", "sequence"),
    ("permits", "order_id", "orders", "id"),
    ("order_messages", "client_order_id", "permits", "client_order_id"),
    ("refusal_repeats", "violation_id", "risk_violations", "id"),
    ("state_causes", "action_id", "control_actions", "id"),
    ("kill_runs", "account", "accounts", "account"),
    ("kill_steps", "run_id", "kill_runs", "id"),
    ("backstops", "account", "accounts", "account"),
    ("unsolicited_orders", "order_id", "orders", "id"),
    ("book_differences", "security_id", "day_books", "security_id"),
    ("day_books", "account", "day_baselines", "account"),
    ("live_watches", "account", "accounts", "account"),
    ("pnl_readings", "account", "day_baselines", "account"),
    ("order_events", "order_id", "orders", "id"),
    ("order_modifications", "order_id", "orders", "id"),
    ("bracket_order_legs", "parent_order_id", "orders", "id"),
    ("bracket_order_legs", "leg_order_id", "orders", "id"),
    ("forever_orders", "triggered_order_id", "orders", "id"),
    ("positions", "snapshot_id", "snapshots", "id"),
    ("holdings", "snapshot_id", "snapshots", "id"),
    ("funds", "snapshot_id", "snapshots", "id"),
    ("positions", "security_id", "instruments", "security_id"),
    ("holdings", "security_id", "instruments", "security_id"),
    ("orders", "security_id", "instruments", "security_id"),
    ("margin_requirements", "order_id", "orders", "id"),
    ("trades", "order_id", "orders", "id"),
    ("instruments", "underlying_security_id", "instruments", "security_id"),
    ("copy_mappings", "leader_order_id", "orders", "id"),
    ("copy_mappings", "follower_order_id", "orders", "id"),
    ("websocket_messages", "connection_id", "websocket_connections", "connection_id"),
    ("websocket_messages", "order_id", "orders", "id"),
    ("postback_events", "order_id", "orders", "id"),
    ("error_log", "order_id", "orders", "id"),
)
"""Columns that name the same thing. None is a foreign key: the other row may come later, or never."""

PURPOSES: Final = {
    "uq_traders_control_active": "one row in force per limit and scope, and one latch per account: nobody asks which holds",
    "uq_control_actions_open": "one act that loosens at a time; none is ever seen open from outside",
    "idx_control_changes_open": "what plain SQL changed and the journal does not have yet",
    "uq_decisions_client_order_id": "one answer per client order id, for ever",
    "idx_permits_live": "what holds quantity now",
    "idx_permits_filled": "how often a loop of one strategy, instrument and side was filled",
    "idx_day_books_open": "the lines of a day that are not flat",
    "idx_permits_basket": "the permits that were granted together",
    "idx_permits_order": "the permit of an order the broker names",
    "idx_state_causes_standing": "what stops or slows an account now",
    "idx_kill_runs_open": "kill runs that are not done",
    "idx_kill_runs_watched": "finished kills that are watched to the session's end",
    "idx_cash_flows_day": "the money that came in and went out on a day",
    "idx_unsolicited_orders_day": "what the day brought that nobody asked about",
    "idx_snapshots_latest": "the newest whole list of a kind",
    "idx_orders_live": "the handful of live orders out of years of them",
    "idx_orders_client": "the orders of one client order id",
    "uq_order_events_digest": "the same event once; events without a digest are not compared",
    "uq_trades_fill": "one fill told by trade book and stream counts once",
    "idx_trades_unbooked": "fills not yet in the day book",
    "uq_ledger_entries_digest": "the same line of a statement once",
    "uq_auth_tokens_active": "one active token per account: two logins end each other",
    "uq_rate_limit_tracking_window": "one counter per window: two would each count half",
    "uq_websocket_connections_connection_id": "one row per connection: a forgotten double still says CONNECTED",
    "uq_websocket_messages_digest": "the same message once",
    "uq_postback_events_digest": "the same message once",
    "idx_positions_snapshot": "the rows of one list; the newest list without a header",
    "idx_holdings_snapshot": "the rows of one list; the newest list without a header",
    "idx_funds_snapshot": "the rows of one answer; the newest one without a header",
    "uq_kill_runs_kill_id_account": "a kill is followed once per account",
    "uq_kill_steps_run_id_step_round_target": "a broker write is done once per round",
    "uq_permits_correlation_id": "the broker's answer names one permit",
    "uq_order_events_order_id_sequence": "an event's number once per order",
    "uq_bracket_order_legs_parent_order_id_account_type_leg_order_id": "a leg once; also finds the legs of a parent",
    "uq_copy_mappings_leader_order_id_follower_account": "one copy per leader order and follower",
    "uq_copy_mappings_follower_order_id": "a follower order copies one order",
    "uq_alerts_once": "an event that is told once is told once, whoever notices it",
    "idx_alerts_open": "what has not been handed to the channels yet",
    "idx_alerts_untold": "repeats nobody was told of yet",
    "uq_alert_deliveries_alert_id_part_channel": "one message on one channel once",
    "idx_alert_deliveries_due": "what is still to be sent",
    "uq_upkeep_runs_kind_slot": "one run a day and kind: a second daemon finds it done",
}
"""What each unique index is for, and others where it is not plain; the rest are for look-ups by their columns."""

TRIGGERS: Final = {
    "latch_holds": "aborts an UPDATE that lowers a kill in force, unless a release is open in the same transaction",
    "limit_holds": "aborts an UPDATE that loosens a limit in force, unless an apply is open in the same transaction",
    "place_is_taken": "aborts an UPDATE that would take the place of another row in force: an INSERT supersedes it",
    "id_counts": "aborts a row numbered below 1, which each later row would seem to replace",
    "id_stays": "aborts a row numbered below 1, which each later row would seem to replace",
    "row_stays": "aborts a DELETE of a limit or kill in force",
    "supersedes": "a second row takes the first one's place; one that would lower a kill or change a limit's nature is "
    "refused, also as a REPLACE",
    "keeps_tighter": "a second row keeps the tighter of what both say, column by column",
    "insert_kept": "keeps what plain SQL wrote in `control_changes`",
    "update_kept": "keeps what plain SQL changed in `control_changes`, old values and new",
    "keeps_ours": "a version 3 program's REPLACE becomes an update of the columns it knows: ours are not lost",
    "refused": "aborts: the table is append-only",
    "stays": "aborts a DELETE: a day is not forgotten",
    "stay": "aborts a DELETE of a fill that is booked in the running session",
    "once": "passes over a second row of the same key, also a REPLACE",
    "holds": "aborts an UPDATE that re-bases a day or lets a sum fall",
    "memory_kept": "aborts a DELETE of what a limit remembers, until 32 days after its period, unless an act is open",
    "memory_counts": "aborts an UPDATE that moves a row or does not count `written` on, unless an act is open",
    "memory_replaced": "aborts a REPLACE that does not count `written` on, unless an act is open",
    "bumps": "moves the account's head, so that every process looks again before its next answer",
}
"""By the end of a trigger's name."""

VIEW_WORDS: Final = {
    "v_active_orders": "Every order that is not known to be done, one row each, with its first copy",
    "v_latest_positions": "The positions of each account's newest complete list; no rows: flat, or nobody looked "
    "(ask `snapshots`)",
    "v_latest_holdings": "The holdings of each account's newest complete list",
    "v_latest_funds": "Each account's newest funds",
    "v_active_forever_orders": "Forever orders that still rest at the broker, one row each, with their first copy",
    "v_active_bracket_orders": "Bracket orders whose entry, target or stop is live, with the newest leg of each kind",
    "v_cover_orders": "Orders with a cover order's stop value, live or not",
    "v_recent_trades": "The newest 100 fills with their order's status; `net_price` is what a unit really cost or brought in",
    "v_active_websocket_connections": "Connections that say CONNECTED, and how long they have been silent",
    "v_recent_errors": "Errors of the last day by type and severity",
    "v_sliced_orders": "Orders that were cut up, one row for the whole, their parts counted by what became of them",
}
"""What a view shows; `v3_<view>` shows what version 3 did, mistakes included."""

INTRODUCTION: Final = """\
# Data dictionary

Generated from `riskguard/store/tables`, `views.py` and the triggers by `python -m riskguard.store.dictionary`; do not
edit. The SQL itself is in [sqlite.sql](sqlite.sql). What differs from version 3 is in
[DIFFERENCES.md](DIFFERENCES.md), everyday queries in [QUICK_REFERENCE.md](QUICK_REFERENCE.md).

The tables of versions 1 to 3 keep their names and columns, for the programs that read and write them; columns
and tables marked 4 are riskguard's.

## How to read it

- **NULL** means unknown, or that the thing does not exist; the meaning says which. It is never zero.
- **Money** is rupees in REAL columns, rounded to four places by writers of ours, and whole 1/10000 rupee in columns
  that end in `_e4`. **Times** are whole seconds since 1970 UTC, or microseconds in columns that end in `_us`. A unit
  of quantity is a share, or one of what a contract's lot holds.
- SQLite's **type** of a column is what it prefers, not what it demands. `STRICT` tables demand it; in the others
  CHECKs do, because their writers of version 3 must go on working.

| constraint | refuses | because |
|---|---|---|
| whole | text and fractions, on SQLite; PostgreSQL's type does | a sum takes text for 0 |
| finite | text, NaN, infinity, and {real_max:,} and more | beyond it sums do not fit 1/10000 rupee in 63 bits |
| seconds | {epoch_max:,} and more | milliseconds taken for seconds would be the newest row for ever |
| microseconds | less than {micro_min:,} | seconds or milliseconds by mistake |
| not empty | empty text and blanks | an id or a word that says nothing cannot be found again |
| 1 to 64 characters | an account without a name, or with a novel for one | it stands in every message |
| a list of words | every other word | words of our own side; the broker's are never listed, it adds to them |
| ≥ 0, ≥ 1, > 0 | what is less | a negative quantity turns a buy into a sale; a limit of 0 refuses everything or nothing |

No table has a foreign key: the broker's messages overtake our own writes, orders of other front ends never get a
row, and a version 3 program saves by replacing. Lines in the diagrams say which columns name the same thing.

On SQLite the file is marked by `application_id` (`RGD3`) and `user_version` ({version}): that, and never the setting
`schema_version`, is what riskguard goes by.
"""


def text() -> str:
    """Return the whole dictionary; raises LookupError naming what has no meaning or purpose yet."""
    introduction = INTRODUCTION.format(
        real_max=REAL_ABS_MAX, epoch_max=EPOCH_S_MAX, micro_min=EPOCH_S_MAX * 1000, version=SCHEMA_VERSION
    )
    parts = [introduction, _contents()]
    triggers = _triggers()
    for area, declared in areas().items():
        parts.append(f"## {title(area)}\n\n{_about(area)}\n")
        parts.append(_diagram(declared))
        parts += [_table(each, triggers.get(each.name, [])) for each in declared]
    parts.append(_views())
    return "\n".join(parts)


def areas() -> dict[str, list[sa.Table]]:
    """Return the declared tables by area, areas in reading order."""
    found: dict[str, list[sa.Table]] = {}
    names = [name for name, value in vars(tables).items() if isinstance(value, ModuleType)]
    places = list(AREAS)
    names.sort(key=lambda name: (places.index(name) if name in AREAS else len(places), name))
    seen: set[str] = set()
    for name in names:
        own = [each for each in vars(getattr(tables, name)).values() if isinstance(each, sa.Table)]
        own = [each for each in own if each.name not in seen and metadata.tables.get(each.name) is each]
        if own:
            found[name] = own
            seen |= {each.name for each in own}
    return found


def title(area: str) -> str:
    return AREAS.get(area, area.replace("_", " ").capitalize())


def _about(area: str) -> str:
    said = getattr(tables, area).__doc__ or ""
    return str(said).strip()


def _contents() -> str:
    lines = ["## Contents\n"]
    for area, declared in areas().items():
        names = ", ".join(f"[{each.name}](#{each.name})" for each in declared)
        lines.append(f"- {title(area)}: {names}")
    return "\n".join([*lines, "- [Views](#views)", ""])


# -- one table --------------------------------------------------------------------------------------------------


def _table(declared: sa.Table, triggers: list[tuple[str, str]]) -> str:
    since = history.table_since(declared.name)
    strict = " STRICT on SQLite." if declared.dialect_options["sqlite"]["strict"] else ""
    head = f"### {declared.name}\n\n{declared.info['about']} Since version {since}.{strict}\n"
    rows = [_column(declared, column) for column in declared.columns]
    names = ("column", "SQLite", "PostgreSQL", "unit", "NULL", "default", "constraint", "since", "meaning")
    parts = [head, _grid(names, rows), _keys(declared)]
    if triggers:
        parts.append(_grid(("trigger", "when", "what"), _grouped(triggers)))
    return "\n".join(parts)


def _column(declared: sa.Table, column: sa.Column[Any]) -> list[str]:
    if not column.doc:
        raise LookupError(f"`{declared.name}.{column.name}` has no meaning: give it a `doc`")
    is_ours = column.name not in v3_columns(declared)
    unit = str(column.info.get("unit", ""))
    meaning = column.doc.removeprefix(f"{unit}; ") if unit else column.doc
    default = "" if column.server_default is None else str(column.server_default.arg.text)  # type: ignore[attr-defined]
    return [
        f"`{column.name}`",
        column.type.compile(dialect=sqlite.dialect()),
        column.type.compile(dialect=postgresql.dialect()),  # type: ignore[no-untyped-call]
        unit,
        "" if column.nullable else "never",
        f"`{default}`" if default else "",
        "; ".join(_constraints(declared, column.name)),
        str(history.column_since(declared.name, column.name, is_ours=is_ours)),
        meaning,
    ]


def _constraints(declared: sa.Table, column: str) -> Iterator[str]:
    checks = [each for each in declared.constraints if isinstance(each, sa.CheckConstraint)]
    for check in sorted(checks, key=lambda each: str(each.name)):
        if column in _columns_of(check):
            yield from _in_words(check.sqltext, column)


def _columns_of(check: sa.CheckConstraint) -> set[str]:
    names = set()
    for element in visitors.iterate(check.sqltext):
        if isinstance(element, Stored):
            names.add(element.column.name)
        elif isinstance(element, sa.ColumnClause):
            names.add(element.name)
        elif isinstance(element, sa.TextClause):
            names |= set(re.findall(r"\w+", element.text))
    return names


def _in_words(condition: sa.ColumnElement[bool] | sa.TextClause, column: str) -> Iterator[str]:
    bound: Any = condition
    if isinstance(condition, Stored):
        bound = condition.bound
        if "real" not in condition.kinds:
            yield "whole"
    if bound is None:
        return
    said = str(bound.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
    name = re.escape(column)
    known = (
        (rf"abs\({name}\) < {REAL_ABS_MAX}", "finite"),
        (rf"{name} < {EPOCH_S_MAX}", "seconds"),
        (rf"{name} >= {EPOCH_S_MAX * 1000}", "microseconds"),
        (rf"trim\({name}\) != ''", "not empty"),
        (rf"trim\({name}\) != '' AND length\({name}\) <= (\d+)", r"1 to \1 characters"),
        (rf"{name} >= (\d+)", r"≥ \1"),
        (rf"{name} > (\d+)", r"> \1"),
        (rf"{name} IN \((.*)\)", r"\1"),
    )
    for pattern, words in known:
        if re.fullmatch(pattern, said):
            yield re.sub(pattern, words, said).replace("'", "")
            return
    yield f"`{said}`"


def _keys(declared: sa.Table) -> str:
    rows = [["primary key", _names(declared.primary_key.columns), "names the row"]]
    unique = [each for each in declared.constraints if isinstance(each, sa.UniqueConstraint)]
    for each in sorted(unique, key=lambda found: [column.name for column in found.columns]):
        columns = [column.name for column in each.columns]
        rows.append(
            ["unique", _names(each.columns), _purpose(f"uq_{declared.name}_{'_'.join(columns)}", True, columns)]
        )
    for index in sorted(declared.indexes, key=lambda found: str(found.name)):
        where = index.dialect_options["sqlite"]["where"]
        listed = ", ".join(_spelled(part) for part in index.expressions)
        columns = [_spelled(part) for part in index.expressions]
        only = f" where `{_spelled(where)}`" if where is not None else ""
        said = f"`{listed}`{only}" + (", unique" if index.unique else "")
        rows.append([f"`{index.name}`", said, _purpose(str(index.name), bool(index.unique), columns)])
    return _grid(("key or index", "columns", "for"), rows)


def _names(columns: Any) -> str:
    return f"`{', '.join(column.name for column in columns)}`"


def _spelled(part: Any) -> str:
    if isinstance(part, sa.Column):
        return part.name
    said = str(part.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
    return re.sub(r"\b\w+\.(\w+)", r"\1", said)


def _purpose(name: str, wants_one: bool, columns: list[str]) -> str:
    if name in PURPOSES:
        return PURPOSES[name]
    if wants_one:
        raise LookupError(f"`{name}` has no purpose: say in riskguard/store/dictionary.py what it is for")
    first, *others = columns
    return f"look-ups by `{first}`" + (f", then `{', '.join(others)}`" if others else "")


def _triggers() -> dict[str, list[tuple[str, str]]]:
    """Return each table's triggers on SQLite as (name, event), from the generated schema."""
    sql = (folder("schema") / "sqlite.sql").read_text(encoding="utf-8")
    found: dict[str, list[tuple[str, str]]] = {}
    for name, when, event, table in re.findall(r"CREATE TRIGGER (\w+)\s+(\w+) (\w+)(?: OF [\w, ]+)? ON (\w+)", sql):
        found.setdefault(table, []).append((name, f"{when} {event}"))
    return found


def _grouped(triggers: list[tuple[str, str]]) -> list[list[str]]:
    """One row for triggers that do the same at different events."""
    rows: dict[str, tuple[list[str], list[str]]] = {}
    for name, event in triggers:
        end = next((end for end in TRIGGERS if name.endswith(f"_{end}")), None)
        if end is None:
            raise LookupError(f"trigger `{name}` has no words: say in riskguard/store/dictionary.py what it does")
        names, events = rows.setdefault(TRIGGERS[end], ([], []))
        names.append(f"`{name}`")
        events.append(event)
    return [[", ".join(names), ", ".join(events), what] for what, (names, events) in rows.items()]


# -- diagrams and views -------------------------------------------------------------------------------------------


def _diagram(declared: list[sa.Table]) -> str:
    """The area's tables with their keys, and what they point to."""
    names = {each.name for each in declared}
    lines = ["```mermaid", "erDiagram"]
    for child, name, parent, _key in RELATIONS:
        if child in names:
            lines.append(f'    {parent} |o--o{{ {child} : "{name}"')
    for each in declared:
        linked = {name for child, name, _parent, _key in RELATIONS if child == each.name}
        lines.append(f"    {each.name} {{")
        for column in each.columns:
            marks = ["PK"] * column.primary_key + ["FK"] * (column.name in linked)
            if marks:
                lines.append(
                    f"        {column.type.compile(dialect=sqlite.dialect())} {column.name} {', '.join(marks)}"
                )
        lines.append("    }")
    return "\n".join([*lines, "```", ""])


def _views() -> str:
    rows = []
    for name, query in VIEWS.items():
        of = name.removeprefix("v3_")
        if of not in VIEW_WORDS:
            raise LookupError(f"view `{name}` has no words: say in riskguard/store/dictionary.py what it shows")
        said = VIEW_WORDS[of] if of == name else f"What `{of}` showed in version 3, mistakes included"
        columns = ", ".join(str(column.key) for column in query.selected_columns)
        rows.append([f"`{name}`", str(history.view_since(name)), said, f"`{columns}`"])
    head = (
        "## Views\n\nReaders of version 3 find their columns in their order; columns of ours are in the tables only.\n"
    )
    return f"{head}\n{_grid(('view', 'since', 'shows', 'columns'), rows)}"


def _grid(names: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    (folder("schema") / "README.md").write_text(text(), encoding="utf-8")
