"""Funds, as the broker reported them at one moment, and margins it computed."""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.tables.base import account, epoch, money_real, row_id, since_v4, table, text, whole

funds = table(
    "funds",
    epoch("snapshot_ts", nullable=False),
    account(),
    money_real("available_balance", nullable=False, doc="rupees; the broker spells it availabelBalance"),
    money_real("sodLimit", doc="rupees at the start of the day"),
    money_real("collateral", doc="value of pledged securities"),
    money_real("margin_used", doc="blocked by positions and orders"),
    money_real("margin_available", doc="left for new orders; the broker does not send it"),
    money_real("withdrawable_balance", doc="what could be paid out"),
    money_real("blocked_margin", doc="blocked otherwise; the broker does not send it"),
    text("raw_data", doc="JSON"),
    since_v4(
        whole(
            "snapshot_id",
            nullable=False,
            default=0,
            at_least=0,
            doc="snapshots.id; 0: written by a version 3 program, without a header",
        )
    ),
    # With the snapshot's number in the key two answers of one second do not replace each other.
    sa.PrimaryKeyConstraint("snapshot_ts", "account_type", "snapshot_id"),
    sa.Index("idx_funds_account_ts", "account_type", "snapshot_ts"),
    sa.Index("idx_funds_snapshot", "snapshot_id", "account_type", "snapshot_ts"),
    about="Copies of the broker's fund limits.",
)

margin_requirements = table(
    "margin_requirements",
    row_id(),
    account(),
    text("order_id", doc="null for a question without an order; the order may have no row"),
    text("security_id", nullable=False),
    text("exchange_segment", nullable=False),
    whole("quantity", nullable=False, at_least=1, doc="quantity that was asked about"),
    money_real("price", doc="price that was asked about"),
    text("product", nullable=False),
    money_real("total_margin", nullable=False, doc="all that is needed"),
    money_real("span_margin", doc="of which SPAN"),
    money_real("exposure_margin", doc="of which exposure"),
    money_real("var_margin", doc="of which value at risk"),
    epoch("calculated_at", nullable=False, doc="when the broker computed it"),
    since_v4(
        text("side", doc="BUY, SELL; null: a version 3 program did not say"),
        text("leg_set", doc="which legs it was asked for together; null: this one alone"),
    ),
    sa.Index("idx_margin_requirements_account", "account_type"),
    sa.Index("idx_margin_requirements_leg", "account_type", "security_id", "calculated_at"),
    sa.Index("idx_margin_requirements_order", "order_id"),
    about="Margins the broker computed for an order, placed or only asked about.",
)
