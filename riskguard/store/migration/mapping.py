"""Which column of an old table becomes which of the new one, and what is changed on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from riskguard.errors import UpgradeError
from riskguard.store.migration.source import Column, Source, has_row_numbers, quoted, spelled
from riskguard.store.tables import metadata
from riskguard.store.tables.base import v3_columns

# Riskguard's own tables are STRICT; those of the copying program cannot be, its writers would break.
V3_TABLES: Final = tuple(each for each in metadata.sorted_tables if not each.dialect_options["sqlite"]["strict"])
BY_HAND: Final = ("traders_control",)
"""Carried over by `migration.control`: what is in force is not simply copied."""

RENAMED: Final = {"positions": {"net_qty": "quantity"}}
"""Versions 1 and 2, and half-migrated files: the old column stands in where the new one is not there."""

AVERAGE: Final = "avg_price"
"""Of a version 1 position: what it was bought at when long, sold at when short."""

STANDS_IN: Final = {"net_qty": "quantity", "buy_avg": AVERAGE, "sell_avg": AVERAGE}

FLAT_AVERAGE: Final = "avg_price (the position is flat: neither bought nor sold at it)"

FROM_ORDER: Final = ("side", "product", "security_id", "exchange_segment")
"""What a version 1 trade does not say but its order does."""

_LEGS: Final = {"ENTRY_LEG": "ENTRY", "TARGET_LEG": "TARGET", "STOP_LOSS_LEG": "SL"}

Value = sa.ColumnElement[Any]
_ZERO: Final[Value] = sa.literal_column("0")
Stored = Callable[[Any], Any]


@dataclass(slots=True)
class Plan:
    """
    How one table is read and written.

    Attributes:
        select: Gives the row's number, the values of `columns`, then those of `unknown`.
        back: Gives the same `columns` from the new table, in the same order of rows.
        unknown: What the old table says and the new one has no place for: columns, or a value of some rows.
        stored: Place among `columns` to how SQLite will store what an oddly declared old column holds.
    """

    table: sa.Table
    columns: list[str]
    unknown: list[str]
    select: str
    insert: str
    back: str
    stored: dict[int, Stored] = field(default_factory=dict)


def plans(source: Source) -> list[Plan]:
    """Return the plan of every known table the file has; raises UpgradeError when one cannot be what it is called."""
    return [_plan(source, each) for each in V3_TABLES if each.name in source.tables and each.name not in BY_HAND]


def strange(source: Source) -> list[str]:
    """Name the tables of the file that schema 4 does not know, also those that bear the name of riskguard's own."""
    known = {each.name for each in V3_TABLES}
    return [name for name in source.tables if name not in known]


def require(source: Source) -> None:
    """Raise UpgradeError when a table lacks a column no row can be without, or its rows have no numbers."""
    for name in source.tables:
        if not has_row_numbers(source, name):
            raise UpgradeError(
                f"`{source.path}`: table `{name}` is WITHOUT ROWID: no schema riskguard knows; untouched"
            )
    for declared in V3_TABLES:
        if declared.name not in source.tables:
            continue
        there, _tables = _values(source, declared)
        for column in declared.columns:
            needed = not column.nullable and column.server_default is None and column.name != "id"
            if needed and column.name not in there:
                raise UpgradeError(
                    f"`{source.path}`: table `{declared.name}` has no column `{column.name}`: no schema riskguard knows; "
                    "it is untouched"
                )


def _plan(source: Source, declared: sa.Table) -> Plan:
    old = source.tables[declared.name]
    values, tables = _values(source, declared)
    columns = [column.name for column in declared.columns if column.name in values]
    renamed = {was for new, was in RENAMED.get(declared.name, {}).items() if new not in old}
    apart: dict[str, Value] = {
        name: sa.literal_column(f"t.{quoted(name)}") for name in old if name not in values and name not in renamed
    }
    if declared.name == "positions" and _has_one_average(old):
        average = apart.pop(AVERAGE)
        apart[FLAT_AVERAGE] = sa.case((values["net_qty"] == _ZERO, sa.func.nullif(average, _ZERO)), else_=sa.null())
    unknown = list(apart)
    number: Value = sa.literal_column("t.rowid")
    shown = [number, *(values[name] for name in columns), *apart.values()]
    select = sa.select(*shown).select_from(tables).order_by(number)
    back = sa.select(*(declared.c[name] for name in columns)).order_by(sa.literal_column("rowid"))
    plan = Plan(
        declared, columns, unknown, spelled(select), spelled(sa.insert(declared).inline(), columns), spelled(back)
    )
    for place, name in enumerate(columns):
        wanted = declared.c[name].type.compile(dialect=sqlite.dialect())
        from_column = old.get(name) or old.get(STANDS_IN.get(name, ""))
        if from_column is not None and from_column.type != wanted and wanted in _STORED:
            plan.stored[place] = _STORED[wanted]
    return plan


def _joins_orders(source: Source) -> bool:
    trades = source.tables["trades"]
    return any(name not in trades or trades[name].nullable for name in FROM_ORDER)


def _values(source: Source, declared: sa.Table) -> tuple[dict[str, Value], sa.FromClause]:
    """
    Return where each column of *declared* comes from, and the tables that takes.

    What the old file does not say is NULL, unknown, wherever the column may be NULL: a default would claim that
    nothing was traded, or that no charges were paid. Only settings keep their defaults: theirs are true of old ones.
    """
    old, renamed = source.tables[declared.name], RENAMED.get(declared.name, {})
    here = source.table(declared.name, "t")
    tables = here
    found: dict[str, Value] = {}
    for name in v3_columns(declared):
        stand_in = renamed.get(name, "")
        if name in old:
            both = old[name].nullable and stand_in in old
            found[name] = sa.func.coalesce(here.c[name], here.c[stand_in]) if both else here.c[name]
        elif stand_in in old:
            found[name] = here.c[stand_in]
        elif declared.c[name].nullable and declared.c[name].server_default is not None and declared.name != "config":
            found[name] = sa.null()
    if declared.name == "trades":
        tables = _complete_trade(source, found, here)
    elif declared.name == "orders":
        _documented_words(found)
    elif declared.name == "positions":
        _complete_position(old, found, here)
    _doubles(declared.name, found, here)
    return found, tables


def _complete_position(old: dict[str, Column], found: dict[str, Value], here: sa.FromClause) -> None:
    """Fill the empty product, and let the one average price of version 1 stand on the side it was traded on."""
    if "product" in found:
        found["product"] = sa.func.coalesce(found["product"], sa.literal("", sa.Text()))
    if _has_one_average(old) and "net_qty" in found:
        net, average = found["net_qty"], here.c[AVERAGE]
        found["buy_avg"] = sa.case((net > _ZERO, average), else_=sa.null())
        found["sell_avg"] = sa.case((net < _ZERO, average), else_=sa.null())


def _has_one_average(old: dict[str, Column]) -> bool:
    return AVERAGE in old and not {"buy_avg", "sell_avg"} & old.keys()


def _complete_trade(source: Source, found: dict[str, Value], here: sa.FromClause) -> sa.FromClause:
    """Take from its order what a version 1 trade leaves unsaid; return the tables to read."""
    # A version 1 trade was written when it happened: it has no other time.
    at = here.c.trade_ts if "trade_ts" in here.c else sa.null()
    found["created_at"] = sa.func.coalesce(found["created_at"], at) if "created_at" in found else at
    if not _joins_orders(source):
        return here
    order = source.table("orders", "o")
    for name in FROM_ORDER:
        if name in order.c:
            of_order: Value = sa.func.upper(order.c[name]) if name == "side" else order.c[name]
            found[name] = sa.func.coalesce(found[name], of_order) if name in found else of_order
    return here.outerjoin(order, order.c.id == here.c.order_id)


def _documented_words(found: dict[str, Value]) -> None:
    """Sides without regard to case, and the broker's words for legs and options; every other word stays as it is."""
    if "side" in found:
        found["side"] = sa.func.upper(found["side"])
    if "leg_type" in found:
        leg = found["leg_type"]
        found["leg_type"] = sa.case(
            *((leg == sa.literal(was, sa.Text()), sa.literal(new, sa.Text())) for was, new in _LEGS.items()), else_=leg
        )
    if "drv_option_type" in found:
        found["drv_option_type"] = sa.func.nullif(found["drv_option_type"], sa.literal("NA", sa.Text()))


def _doubles(table: str, found: dict[str, Value], here: sa.FromClause) -> None:
    """Of rows that say the same thing twice the newest counts; the others are kept and marked."""

    def place(*same: str, newest: tuple[str, ...]) -> Value:
        return sa.func.row_number().over(
            partition_by=[here.c[name] for name in same], order_by=[here.c[name].desc() for name in newest]
        )

    one: Value = sa.literal_column("1")
    zero: Value = sa.literal_column("0")
    if table == "auth_tokens" and "is_active" in here.c:
        nth, active = place("account_type", "is_active", newest=("created_at", "id")), here.c.is_active
        found["is_active"] = sa.case((sa.and_(active == one, nth > one), zero), else_=active)
    elif table == "rate_limit_tracking":
        nth = place("account_type", "endpoint", "window_start", newest=("id",))
        found["superseded"] = sa.case((nth > one, one), else_=zero)
    elif table == "websocket_connections":
        found["superseded"] = sa.case((place("connection_id", newest=("id",)) > one, one), else_=zero)


# -- what SQLite makes of a value in a column of another type ---------------------------------------------------


def _real(value: Any) -> Any:
    return float(value) if type(value) is int else _number(value, float)


def _integer(value: Any) -> Any:
    if type(value) is float and value.is_integer():
        return int(value)
    return _number(value, int)


def _text(value: Any) -> Any:
    return str(value) if type(value) is int else value


def _number(value: Any, kind: type[int] | type[float]) -> Any:
    if type(value) is not str:
        return value
    try:
        return kind(value)
    except ValueError:
        return value


_STORED: Final[dict[str, Stored]] = {"REAL": _real, "INTEGER": _integer, "TEXT": _text}
