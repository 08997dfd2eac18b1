"""
The views: the eleven of version 3 under their own names, repaired, and beside them the old meanings.

Each keeps its name and its columns. Where a repair gives other rows for what a version 3 program wrote,
the old meaning stays as `v3_<view>`; `schema/DIFFERENCES.md` lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import sqlalchemy as sa

from riskguard.store import repaired_views as repaired
from riskguard.store import v3_views as v3
from riskguard.store.repaired_views import Query
from riskguard.store.tables.funds import funds
from riskguard.store.tables.portfolio import holdings, positions

_INSTRUMENT: Final = ("account_type", "security_id", "exchange_segment", "product")

VIEWS: Final[Mapping[str, Query]] = MappingProxyType(
    {
        "v_active_orders": repaired.active_orders(),
        "v_latest_positions": repaired.latest(positions, "positions"),
        "v_latest_holdings": repaired.latest(holdings, "holdings"),
        "v_latest_funds": repaired.latest(funds, "funds"),
        "v_active_forever_orders": repaired.active_forever_orders(),
        "v_active_bracket_orders": repaired.active_bracket_orders(),
        "v_cover_orders": repaired.cover_orders(),
        "v_recent_trades": repaired.recent_trades(),
        "v_active_websocket_connections": repaired.active_websocket_connections(),
        "v_recent_errors": repaired.recent_errors(),
        "v_sliced_orders": repaired.sliced_orders(),
        "v3_v_active_orders": v3.active_orders(),
        "v3_v_latest_positions": v3.latest(positions, *_INSTRUMENT),
        "v3_v_latest_holdings": v3.latest(holdings, "account_type", "security_id"),
        "v3_v_active_forever_orders": v3.active_forever_orders(),
        "v3_v_active_bracket_orders": v3.active_bracket_orders(),
        "v3_v_recent_trades": v3.recent_trades(),
        "v3_v_active_websocket_connections": v3.active_websocket_connections(),
        "v3_v_sliced_orders": v3.sliced_orders(),
    }
)


def create_statement(name: str, dialect: sa.Dialect) -> str:
    """Return the CREATE VIEW of the view *name*, its columns named one by one, in *dialect*."""
    query = VIEWS[name]
    quote = dialect.identifier_preparer.quote
    columns = ", ".join(quote(str(column.key)) for column in query.selected_columns)
    body = query.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    return f"CREATE VIEW {name} ({columns}) AS\n{body}"


def drop_views(connection: sa.Connection) -> None:
    """Drop every view; a table cannot be rebuilt under a view that reads it."""
    for name in VIEWS:
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")


def create_views(connection: sa.Connection) -> None:
    """Create every view anew, inside the caller's transaction; one of the same name is replaced."""
    drop_views(connection)
    for name in VIEWS:
        connection.exec_driver_sql(create_statement(name, connection.dialect))
