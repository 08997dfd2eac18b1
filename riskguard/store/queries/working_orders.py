"""Orders nobody asked riskguard about, as they work at the broker."""

from __future__ import annotations

from riskguard.store.spelling import param, prepare, sa, tables

orders = tables.orders.orders

_o = orders.c
FOREIGN = prepare(
    sa.select(
        _o.status, _o.exchange_segment, _o.security_id, _o.side, _o.product, _o.order_type, _o.quantity, _o.traded_qty,
        _o.price, _o.trigger_price, _o.validity,
    ).where(_o.account_type == param("account"), _o.id == param("order_id"))
)  # fmt: skip
