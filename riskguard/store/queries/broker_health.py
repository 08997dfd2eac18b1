"""What the doctor asks of an account's last day at its broker."""

from __future__ import annotations

from riskguard.store.spelling import param, prepare, sa, tables

day_books = tables.runs.day_books

_b = day_books.c
TRADED = prepare(
    sa.select(_b.exchange_segment)
    .where(_b.account == param("account"), _b.session_date >= param("since"))
    .distinct()
    .order_by(_b.exchange_segment)
)
