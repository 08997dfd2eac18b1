"""The legs of bracket and super orders."""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.tables.base import account, epoch, row_id, table, text, word

bracket_order_legs = table(
    "bracket_order_legs",
    row_id(),
    text("parent_order_id", nullable=False, doc="the bracket order"),
    text("leg_order_id", nullable=False, doc="the leg's own order id; the broker sometimes repeats the parent's"),
    word("leg_type", "ENTRY", "TARGET", "SL", doc="ENTRY, TARGET, SL"),
    account(),
    text("status", default="PENDING", doc="an unknown word is a live leg"),
    epoch("created_at", nullable=False),
    epoch("updated_at", nullable=False),
    # Its index also answers "legs of this parent", for which version 3 had a second one. The account comes
    # second, or SQLite prefers `idx_bo_legs_account` and reads all legs of the account for each parent.
    sa.UniqueConstraint("parent_order_id", "account_type", "leg_order_id"),
    sa.Index("idx_bo_legs_leg", "leg_order_id"),
    sa.Index("idx_bo_legs_account", "account_type"),
    sa.Index("idx_bo_legs_type", "leg_type", "status"),
    about="Entry, target and stop legs of a bracket order, under its parent's id.",
)
