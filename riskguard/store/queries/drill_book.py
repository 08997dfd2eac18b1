"""The book a drill begins from: what rests, what is held, at what it was last priced."""

from __future__ import annotations

from riskguard.store.spelling import fixed, param, prepare, sa, tables

live, orders = tables.orders.live, tables.orders.orders
holdings, positions = tables.portfolio.holdings, tables.portfolio.positions

_o, _h, _p = orders.c, holdings.c, positions.c
RESTING = prepare(
    sa.select(
        _o.id, _o.exchange_segment, _o.security_id, _o.side, _o.product, _o.order_type, _o.validity, _o.quantity,
        _o.traded_qty, _o.remaining_qty, _o.price, _o.trigger_price, _o.exit_group, _o.leg_type, _o.created_at,
    ).where(_o.account_type == param("account"), live(_o.status))
)  # fmt: skip
HELD = prepare(
    sa.select(
        _h.exchange_segment, _h.security_id, _h.isin, _h.total_qty, _h.available_qty, _h.avg_cost_price, _h.ltp
    ).where(_h.snapshot_id == param("snapshot_id"))
)
LAST_KNOWN = prepare(
    sa.select(_p.ltp, _p.close_price, _p.buy_avg, _p.sell_avg)
    .where(
        _p.account_type == param("account"), _p.exchange_segment == param("segment"), _p.security_id == param("security")
    )
    .order_by(_p.snapshot_ts.desc())
    .limit(fixed(1))
)  # fmt: skip
