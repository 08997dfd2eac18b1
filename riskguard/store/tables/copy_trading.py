"""Which follower order copies which leader order."""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.tables.base import epoch, real, row_id, since_v4, table, text, whole, word

copy_mappings = table(
    "copy_mappings",
    row_id(),
    text("leader_order_id", nullable=False, doc="an order or a forever order; it may have no row yet"),
    text("follower_order_id", doc="null while nothing was placed"),
    whole("leader_quantity", nullable=False, at_least=0, doc="quantity of the leader's order"),
    whole("follower_quantity", nullable=False, at_least=0, doc="0: rounded to less than a lot, skipped"),
    text("sizing_strategy", doc="capital_proportional, fixed_ratio, risk_based"),
    real("capital_ratio", doc="follower's capital over the leader's"),
    word("status", "pending", "placed", "failed", "cancelled", doc="pending, placed, failed, cancelled"),
    text("error_message"),
    epoch("created_at", nullable=False),
    epoch("updated_at", nullable=False),
    since_v4(
        text(
            "follower_account",
            nullable=False,
            default="",
            doc="account name; empty: the one follower a version 3 program knows",
        )
    ),
    # One copy per leader order and follower. A version 3 program leaves the follower empty, and replaces
    # its own mapping as before; before this key a second follower's mapping replaced the first's.
    sa.UniqueConstraint("leader_order_id", "follower_account"),
    sa.UniqueConstraint("follower_order_id"),
    sa.Index("idx_copy_mappings_status", "status", "created_at"),
    about="Which follower order copies which leader order, and at what size.",
)
