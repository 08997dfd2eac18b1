"""What a sweep sees of an account besides its book: fills, legs, peers, copies."""

from __future__ import annotations

from riskguard.store.spelling import fixed, param, prepare, sa, tables

copy_mappings = tables.copy_trading.copy_mappings
accounts, permits = tables.journal.accounts, tables.journal.permits
orders = tables.orders.orders
day_books, pnl_readings = tables.runs.day_books, tables.runs.pnl_readings
trades = tables.statements.trades

_t, _o, _p, _b, _r, _c = trades.c, orders.c, permits.c, day_books.c, pnl_readings.c, copy_mappings.c
FILLS_COUNT = prepare(
    sa.select(sa.func.coalesce(sa.func.sum(_b.fills), fixed(0))).where(
        _b.account == param("account"), _b.session_date == param("session_date")
    )
)
FILLS = prepare(
    sa.select(
        _t.exchange_segment, _t.security_id, _t.product, _t.side, _t.quantity, _t.price, _t.trade_ts, _t.order_id,
        _t.client_order_id, _o.order_type, _p.order_type, _p.strategy,
    )
    .select_from(
        trades.outerjoin(orders, sa.and_(_o.id == _t.order_id, _o.account_type == _t.account_type)).outerjoin(
            permits, sa.and_(_p.account == _t.account_type, _p.client_order_id == _t.client_order_id)
        )
    )
    .where(
        _t.account_type == param("account"), _t.session_date == param("session_date"), _t.trade_ts >= param("since_s")
    )
    .order_by(_t.trade_ts, _t.id)
)  # fmt: skip
LAST_KNOWN = prepare(
    sa.select(_r.day_pnl_e4)
    .where(_r.account == param("account"), _r.session_date == param("session_date"), _r.day_pnl_e4.is_not(None))
    .order_by(_r.at_us.desc(), _r.id.desc())
    .limit(fixed(1))
)
IN_GROUP = prepare(sa.select(accounts.c.account, accounts.c.role).where(accounts.c.group_name == param("group_name")))
LEGS = prepare(
    sa.select(
        _p.basket, _p.exchange_segment, _p.security_id, _p.product, _p.side, _p.quantity, _p.filled_quantity, _p.state,
        _p.granted_at_us,
    )
    .where(_p.account == param("account"), _p.basket != fixed(""), _p.granted_at_us >= param("since_us"))
    .order_by(_p.granted_at_us, _p.basket, _p.leg)
)  # fmt: skip
COPIED = prepare(
    sa.select(_t.exchange_segment, _t.security_id)
    .select_from(trades.join(copy_mappings, _c.follower_order_id == _t.order_id))
    .where(
        _t.account_type == param("account"), _t.session_date == param("session_date"), _t.trade_ts >= param("since_s"),
        _c.follower_account == param("account"),
    )
    .distinct()
)  # fmt: skip
