"""
The views of version 3, repaired: one query each.

Two rules run through all of them. An order is live until a word is known that ends it, so a kill that
cancels what a view lists forgets none. And "latest" is one list as fetched, never rows of several lists
side by side: what is absent from it is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from riskguard.store.tables.audit import error_log
from riskguard.store.tables.base import v3_columns
from riskguard.store.tables.copy_trading import copy_mappings
from riskguard.store.tables.forever_orders import forever_orders
from riskguard.store.tables.forever_orders import live as live_forever
from riskguard.store.tables.live_updates import websocket_connections
from riskguard.store.tables.orders import live, orders
from riskguard.store.tables.snapshots import snapshots
from riskguard.store.tables.statements import trades
from riskguard.store.tables.super_orders import bracket_order_legs

RECENT_TRADES_MAX: Final = 100
RECENT_ERRORS_S: Final = 86_400
EXIT_LEGS: Final = ("TARGET", "SL")

Query = sa.Select[Any] | sa.CompoundSelect[Any]


class now_s(sa.sql.functions.FunctionElement[int]):
    """The database's own clock, whole seconds since 1970 UTC: a view has no caller to ask."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(now_s, "sqlite")
def _now_sqlite(element: now_s, compiler: SQLCompiler, **kw: Any) -> str:
    return "CAST(strftime('%s', 'now') AS INTEGER)"


@compiles(now_s, "postgresql")
def _now_postgresql(element: now_s, compiler: SQLCompiler, **kw: Any) -> str:
    # Not now(), which stands still within a transaction: a reader that never ends its own would see no silence grow.
    return "CAST(floor(extract(epoch FROM statement_timestamp())) AS BIGINT)"


class joined(sa.sql.functions.FunctionElement[str]):
    """The values of an expression, joined by commas."""

    type = sa.Text()
    inherit_cache = True
    which = ""


class joined_once(joined):
    """The different values of an expression, joined by commas."""

    inherit_cache = True
    which = "DISTINCT "


@compiles(joined, "sqlite")
def _joined_sqlite(element: joined, compiler: SQLCompiler, **kw: Any) -> str:
    return f"group_concat({element.which}{compiler.process(element.clauses, **kw)})"


@compiles(joined, "postgresql")
def _joined_postgresql(element: joined, compiler: SQLCompiler, **kw: Any) -> str:
    return f"string_agg({element.which}{compiler.process(element.clauses, **kw)}, ',')"


def v3_part(source: sa.FromClause, declared: sa.Table) -> list[sa.ColumnElement[Any]]:
    """The columns a version 3 reader expects: it builds its records from all columns a view has."""
    return [source.c[name] for name in v3_columns(declared)]


def active_orders() -> Query:
    """
    Every order that is not known to be done, one row each.

    A leader order with several followers shows its first; the others are in `copy_mappings`. Joining all
    of them would show the order several times, and sums over the view would be wrong.
    """
    o, m, copy = orders.alias("o"), copy_mappings.alias("m"), copy_mappings.alias("c")
    as_leader = sa.select(sa.func.min(m.c.id)).where(m.c.leader_order_id == o.c.id).scalar_subquery()
    as_follower = sa.select(sa.func.min(m.c.id)).where(m.c.follower_order_id == o.c.id).scalar_subquery()
    return (
        sa.select(*v3_part(o, orders), copy.c.follower_order_id, copy.c.sizing_strategy)
        .select_from(o.outerjoin(copy, copy.c.id == sa.func.coalesce(as_leader, as_follower)))
        .where(live(o.c.status))
        .order_by(o.c.created_at.desc())
    )


def newest_headers(kind: str) -> sa.CTE:
    """Each account's newest complete snapshot of *kind*; of two fetched in one microsecond, the later row."""
    head, same = snapshots.alias("s"), snapshots.alias("n")
    newest = (
        sa.select(head.c.account, sa.func.max(head.c.fetched_at_us).label("fetched_at_us"))
        .where(head.c.kind == kind, head.c.complete == 1)
        .group_by(head.c.account)
        .subquery("newest")
    )
    number = sa.select(sa.func.max(same.c.id)).where(
        same.c.account == newest.c.account,
        same.c.kind == kind,
        same.c.complete == 1,
        same.c.fetched_at_us == newest.c.fetched_at_us,
    )
    return sa.select(newest.c.account, newest.c.fetched_at_us, number.scalar_subquery().label("id")).cte("header")


def newest_bare(declared: sa.Table) -> sa.CTE:
    """The newest time of each account's rows that have no header."""
    return (
        sa.select(declared.c.account_type, sa.func.max(declared.c.snapshot_ts).label("snapshot_ts"))
        .where(declared.c.snapshot_id == 0)
        .group_by(declared.c.account_type)
        .cte("bare")
    )


def latest(declared: sa.Table, kind: str) -> Query:
    """
    The rows of each account's newest list.

    That is the newest complete snapshot, which may have no rows: flat. Only where rows without a header
    are newer, or no header exists, the newest of those stand: a version 3 program wrote them, and from
    such a program "flat" cannot be heard.
    """
    row, header, bare = declared.alias("r"), newest_headers(kind), newest_bare(declared)
    bare_us = bare.c.snapshot_ts * 1_000_000
    bare_is_newer = sa.exists().where(bare.c.account_type == header.c.account, bare_us > header.c.fetched_at_us)
    header_is_newer = sa.exists().where(header.c.account == bare.c.account_type, header.c.fetched_at_us >= bare_us)
    of_header = sa.and_(row.c.snapshot_id == header.c.id, row.c.account_type == header.c.account)
    of_bare = sa.and_(
        row.c.snapshot_id == 0,
        row.c.account_type == bare.c.account_type,
        row.c.snapshot_ts == bare.c.snapshot_ts,
    )
    columns = v3_part(row, declared)
    return sa.union_all(
        sa.select(*columns).join(header, of_header).where(~bare_is_newer),
        sa.select(*columns).join(bare, of_bare).where(~header_is_newer),
    )


def active_forever_orders() -> Query:
    """Every forever order that still rests; one row each, as in `v_active_orders`."""
    f, m, copy = forever_orders.alias("f"), copy_mappings.alias("m"), copy_mappings.alias("c")
    first = sa.select(sa.func.min(m.c.id)).where(m.c.leader_order_id == f.c.id).scalar_subquery()
    return (
        sa.select(*v3_part(f, forever_orders), copy.c.follower_order_id.label("replicated_forever_order_id"))
        .select_from(f.outerjoin(copy, copy.c.id == first))
        .where(live_forever(f.c.status))
        .order_by(f.c.created_at.desc())
    )


def brackets(o: sa.FromClause, newest_leg: bool) -> sa.Select[Any]:
    """Orders with a bracket's values, each with one id for every kind of leg."""

    def leg(kind: str) -> sa.Label[Any]:
        found = bracket_order_legs.alias(f"leg_{kind.lower()}")
        # By time first: in the order of its key alone, SQLite would walk all legs of the account.
        times = (found.c.created_at, found.c.id)
        order = [time.desc() for time in times] if newest_leg else times
        of_parent = sa.and_(
            found.c.parent_order_id == o.c.id,
            found.c.account_type == o.c.account_type,
            found.c.leg_type == kind,
        )
        one = sa.select(found.c.leg_order_id).where(of_parent).order_by(*order).limit(1)
        return one.scalar_subquery().label(f"{kind.lower()}_leg_id")

    return (
        sa.select(
            o.c.id.label("parent_order_id"),
            o.c.account_type,
            o.c.security_id,
            o.c.exchange_segment,
            o.c.bo_profit_value,
            o.c.bo_stop_loss_value,
            leg("ENTRY"),
            leg("TARGET"),
            leg("SL"),
            o.c.status,
            o.c.created_at,
        )
        .where(sa.or_(o.c.bo_profit_value.is_not(None), o.c.bo_stop_loss_value.is_not(None)))
        .order_by(o.c.created_at.desc())
    )


def active_bracket_orders() -> Query:
    """
    Bracket orders whose entry or whose target or stop is live; of several legs of one kind, the newest.

    A filled entry is done, its exits are not. A leg's own order row knows better than the leg's row,
    unless it is the parent's: the broker sometimes gives all legs the parent's id.
    """
    o, leg, leg_order, child = (
        orders.alias("o"),
        bracket_order_legs.alias("l"),
        orders.alias("lo"),
        orders.alias("child"),
    )
    own_order = sa.and_(leg_order.c.id == leg.c.leg_order_id, leg_order.c.id != o.c.id)
    leg_is_live = (
        sa.exists()
        .select_from(leg.outerjoin(leg_order, own_order))
        .where(
            leg.c.parent_order_id == o.c.id,
            leg.c.account_type == o.c.account_type,
            leg.c.leg_type.in_(EXIT_LEGS),
            live(sa.func.coalesce(leg_order.c.status, leg.c.status, "")),
        )
    )
    child_is_live = sa.exists().where(
        child.c.parent_order_id == o.c.id, child.c.leg_type.in_(EXIT_LEGS), live(child.c.status)
    )
    # A refused entry never had exits and a closed bracket has none left, whatever the legs' rows say.
    has_exits = sa.and_(sa.func.upper(o.c.status).not_in(("REJECTED", "CLOSED")), sa.or_(leg_is_live, child_is_live))
    return brackets(o, newest_leg=True).where(sa.or_(live(o.c.status), has_exits))


def cover_orders() -> Query:
    """Orders with a cover order's stop value, live or not."""
    o = orders.alias("o")
    return sa.select(*v3_part(o, orders)).where(o.c.co_stop_loss_value.is_not(None)).order_by(o.c.created_at.desc())


def trades_with_orders(t: sa.FromClause, o: sa.FromClause, product: str, net_price: sa.ColumnElement[Any]) -> Query:
    """The newest trades with the status and product of their order, which may have no row."""
    return (
        sa.select(
            *v3_part(t, trades),
            o.c.status.label("order_status"),
            o.c.product.label(product),
            net_price.label("net_price"),
        )
        .select_from(t.outerjoin(o, o.c.id == t.c.order_id))
        .order_by(t.c.trade_ts.desc(), t.c.id.desc())
        .limit(RECENT_TRADES_MAX)
    )


def recent_trades() -> Query:
    """
    The newest trades; net_price is what a unit really cost, or brought in, in rupees.

    Charges are rupees for the whole fill: spread over its units, added to a buy, taken off a sale. The
    total contains the brokerage; where no total was written it is the sum of its parts.
    """
    t, o = trades.alias("t"), orders.alias("o")
    parts = ("brokerage", "exchange_charges", "clearing_charges", "stt", "stamp_duty")
    summed: sa.ColumnElement[float] = sa.literal(0.0)
    for part in (*parts, "transaction_charges", "gst"):
        summed = summed + sa.func.coalesce(t.c[part], 0.0)
    charges = sa.func.coalesce(sa.func.nullif(t.c.total_charges, 0.0), summed)
    sign = sa.case((t.c.side == "BUY", 1.0), else_=-1.0)
    return trades_with_orders(t, o, "order_product", t.c.price + sign * charges / t.c.quantity)


def connected(heard_at: Callable[[sa.FromClause], sa.ColumnElement[Any]]) -> sa.Select[Any]:
    """Connections that say CONNECTED, and the seconds since *heard_at*."""
    w = websocket_connections.alias("w")
    return (
        sa.select(*v3_part(w, websocket_connections), (now_s() - heard_at(w)).label("seconds_since_heartbeat"))
        .where(w.c.status == "CONNECTED", w.c.superseded == 0)
        .order_by(w.c.connected_at.desc())
    )


def active_websocket_connections() -> Query:
    """A connection that never sent a heartbeat is as old as itself: silence must not look like nothing."""
    return connected(lambda w: sa.func.coalesce(w.c.last_heartbeat_at, w.c.connected_at, w.c.created_at))


def recent_errors() -> Query:
    """Errors of the last day by type and severity, newest first."""
    e = error_log.alias("e")
    last = sa.func.max(e.c.occurred_at)
    return (
        sa.select(
            e.c.error_type,
            e.c.severity,
            sa.func.count().label("error_count"),
            last.label("last_occurred"),
            joined_once(e.c.account_type).label("affected_accounts"),
        )
        .where(e.c.occurred_at > now_s() - RECENT_ERRORS_S)
        .group_by(e.c.error_type, e.c.severity)
        .order_by(last.desc())
    )


def slices(
    o: sa.FromClause,
    executed: sa.ColumnElement[bool],
    pending: sa.ColumnElement[bool],
    failed: sa.ColumnElement[bool],
) -> Query:
    """Orders cut into parts, one row for the whole, with the parts counted by what became of them."""

    def count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        return sa.func.sum(sa.case((condition, 1), else_=0))

    pair = o.c.id + ":" + sa.cast(o.c.quantity, sa.Text)
    shared = ("security_id", "exchange_segment", "side", "product", "order_type")
    return (
        sa.select(
            o.c.slice_order_id,
            sa.func.count().label("slice_count"),
            sa.func.sum(o.c.quantity).label("total_quantity"),
            sa.func.max(o.c.total_slice_quantity).label("original_quantity"),
            *(sa.func.min(o.c[name]).label(name) for name in shared),
            sa.func.min(o.c.created_at).label("first_order_time"),
            sa.func.max(o.c.created_at).label("last_order_time"),
            joined(pair).label("order_details"),
            count(executed).label("executed_count"),
            count(pending).label("pending_count"),
            count(failed).label("failed_count"),
        )
        .where(o.c.is_sliced_order == 1)
        .group_by(o.c.slice_order_id)
    )


def sliced_orders() -> Query:
    """Orders cut into parts; the three counts add up to all parts, a partly filled one is pending."""
    o = orders.alias("o")
    status = sa.func.upper(o.c.status)
    failed = status.in_(("CANCELLED", "REJECTED", "EXPIRED"))
    return slices(o, sa.and_(~live(o.c.status), ~failed), live(o.c.status), failed)
