"""Webhooks: where the broker posts, and what it posted."""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.tables.base import (
    account,
    epoch,
    epoch_us,
    flag,
    partial_index,
    row_id,
    said,
    since_v4,
    table,
    text,
)

postback_configs = table(
    "postback_configs",
    row_id(),
    account(),
    text("webhook_url", nullable=False, doc="where the broker posts to"),
    text("webhook_secret", doc="encrypted; our own shared secret, the broker documents none"),
    text("event_types", doc="JSON array"),
    flag("is_active", default=1),
    epoch("created_at", nullable=False),
    epoch("updated_at", nullable=False),
    epoch("last_triggered_at", doc="when it last did"),
    sa.Index("idx_postback_configs_account", "account_type", "is_active"),
    about="Webhook registrations.",
)

postback_events = table(
    "postback_events",
    row_id(),
    account(),
    text("event_type", nullable=False, doc="what the message says it is"),
    text("order_id", doc="as posted; the order may have no row yet"),
    text("payload", nullable=False, doc="JSON"),
    text("signature", doc="the sender's signature as it came; never shown"),
    flag("is_verified", doc="1: the shared secret was right; null: not looked at"),
    flag("is_processed", default=0),
    epoch("processed_at"),
    text("error_message"),
    epoch("received_at", nullable=False),
    since_v4(text("digest", doc="SHA-256 of account and payload; a message posted again is one row")),
    sa.Index("idx_postback_events_account", "account_type", "received_at"),
    sa.Index("idx_postback_events_order", "order_id"),
    sa.Index("idx_postback_events_processed", "is_processed", "received_at"),
    partial_index("uq_postback_events_digest", "digest", where="digest IS NOT NULL", unique=True),
    about="Webhook messages as they came, before anything is made of them.",
)

postback_ids = table(
    "postback_ids",
    account("account"),
    said("message_id", doc="the sender's own number of a signed message"),
    epoch_us(
        "seen_at_us", nullable=False, doc="when it was first seen; forgotten after twice the window of time stamps"
    ),
    # A signed message that was overheard and sent again is the same message.
    sa.PrimaryKeyConstraint("account", "message_id"),
    sa.Index("idx_postback_ids_seen", "seen_at_us"),
    about="Numbers of signed webhook messages of the last minutes: each counts once.",
    strict=True,
)
