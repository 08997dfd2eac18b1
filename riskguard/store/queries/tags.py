"""A program's own tags beside the correlation ids the broker knows."""

from __future__ import annotations

from riskguard.store.spelling import fixed, param, prepare, sa, tables

permits = tables.journal.permits

_p = permits.c
NEWEST_OF_TAG = prepare(
    sa.select(_p.correlation_id)
    .where(_p.account == param("account"), _p.client_order_id >= param("low"), _p.client_order_id < param("high"))
    .order_by(_p.sequence.desc())
    .limit(fixed(1))
)
OF_CORRELATION = prepare(
    sa.select(_p.client_order_id).where(_p.account == param("account"), _p.correlation_id == param("correlation_id"))
)
