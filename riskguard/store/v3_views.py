"""
What the repaired views meant in version 3: one query each, kept as `v3_<view>`.

They give the old answers, mistakes included, to a program that counted on them.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from riskguard.store.repaired_views import Query, brackets, connected, slices, trades_with_orders, v3_part
from riskguard.store.tables.base import v3_columns
from riskguard.store.tables.copy_trading import copy_mappings
from riskguard.store.tables.forever_orders import forever_orders
from riskguard.store.tables.orders import orders
from riskguard.store.tables.statements import trades

V3_LIVE: Final = ("PENDING", "TRANSIT", "OPEN", "PARTIAL")


def active_orders() -> Query:
    o, m = orders.alias("o"), copy_mappings.alias("m")
    return (
        sa.select(*v3_part(o, orders), m.c.follower_order_id, m.c.sizing_strategy)
        .select_from(o.outerjoin(m, m.c.leader_order_id == o.c.id))
        .where(o.c.status.in_(V3_LIVE))
        .order_by(o.c.created_at.desc())
    )


def latest(declared: sa.Table, *keys: str) -> Query:
    newest_first = (declared.c.snapshot_ts.desc(), declared.c.snapshot_id.desc())
    place = sa.func.row_number().over(partition_by=[declared.c[key] for key in keys], order_by=newest_first)
    ranked = sa.select(declared, place.label("place")).subquery("ranked")
    return sa.select(*(ranked.c[name] for name in v3_columns(declared))).where(ranked.c.place == 1)


def active_forever_orders() -> Query:
    f, m = forever_orders.alias("f"), copy_mappings.alias("m")
    return (
        sa.select(*v3_part(f, forever_orders), m.c.follower_order_id.label("replicated_forever_order_id"))
        .select_from(f.outerjoin(m, m.c.leader_order_id == f.c.id))
        .where(f.c.status.in_(("PENDING", "ACTIVE")))
        .order_by(f.c.created_at.desc())
    )


def active_bracket_orders() -> Query:
    o = orders.alias("o")
    return brackets(o, newest_leg=False).where(o.c.status.in_(V3_LIVE))


def recent_trades() -> Query:
    t, o = trades.alias("t"), orders.alias("o")
    # SQLite had given the second product this name.
    return trades_with_orders(t, o, "product:1", t.c.price - t.c.brokerage - t.c.total_charges)


def active_websocket_connections() -> Query:
    return connected(lambda w: w.c.last_heartbeat_at)


def sliced_orders() -> Query:
    o = orders.alias("o")
    return slices(
        o,
        o.c.status == "EXECUTED",
        o.c.status.in_(("PENDING", "TRANSIT", "OPEN")),
        o.c.status.in_(("CANCELLED", "REJECTED")),
    )
