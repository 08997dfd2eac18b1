"""
What the broker showed that our own book does not explain.

Both are written by the sweep that looked, in the transaction that takes the look over; nothing is deleted but a
difference that was explained.
"""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.tables.base import account, epoch_us, said, table, text, whole, word

ORIGINS = ("OTHER", "CHILD", "SQUARE_OFF")

unsolicited_orders = table(
    "unsolicited_orders",
    account("account"),
    said("order_id", doc="broker's order id"),
    text("session_date", nullable=False, doc="trading day in India, year-month-day"),
    word(
        "origin",
        *ORIGINS,
        doc="OTHER: the app or another program; CHILD: of a parent we know; SQUARE_OFF: the broker's",
    ),
    text("correlation_id", nullable=False, default="", doc="what whoever sent it called it; empty: nothing"),
    text("parent", nullable=False, default="", doc="what a child belongs to: its group; empty: none"),
    text("detail", nullable=False, default="", doc="side, quantity, instrument and status when it was found"),
    epoch_us("found_at_us", nullable=False, doc="when a sweep first saw it"),
    sa.PrimaryKeyConstraint("account", "order_id"),
    sa.Index("idx_unsolicited_orders_day", "account", "session_date", "found_at_us"),
    about="Orders nobody asked riskguard about. They count as working and their fills are in the book.",
    strict=True,
)

book_differences = table(
    "book_differences",
    account("account"),
    text("exchange_segment", nullable=False),
    text("security_id", nullable=False),
    text("product", nullable=False),
    text("session_date", nullable=False, doc="trading day in India, year-month-day"),
    whole("ours", nullable=False, doc="signed, by day start and fills"),
    whole("theirs", nullable=False, doc="signed, in the broker's complete list"),
    whole("reads", nullable=False, default=1, at_least=1, doc="looks in a row that showed a difference"),
    epoch_us("first_at_us", nullable=False, doc="fetched when it was first seen"),
    epoch_us("last_at_us", nullable=False, doc="fetched when it was counted last"),
    sa.PrimaryKeyConstraint("account", "exchange_segment", "security_id", "product"),
    about="Lines of the book the broker's list contradicts, and nothing explains; gone once both agree again.",
    strict=True,
)
