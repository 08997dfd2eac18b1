"""The order update stream: its connections and its messages."""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.tables.base import (
    account,
    epoch,
    flag,
    partial_index,
    row_id,
    since_v4,
    table,
    text,
    whole,
    word,
)

websocket_connections = table(
    "websocket_connections",
    row_id(),
    account(),
    text("connection_id", nullable=False, doc="name of the connection"),
    text("ws_url", nullable=False, doc="address, without its token"),
    word(
        "status", "CONNECTING", "CONNECTED", "DISCONNECTED", "ERROR", doc="CONNECTING, CONNECTED, DISCONNECTED, ERROR"
    ),
    text("subscribed_events", doc="JSON array"),
    whole("connect_attempts", default=0, at_least=0, doc="tries so far"),
    epoch("last_heartbeat_at", doc="when it was last heard; null: never"),
    epoch("connected_at", doc="when it came up"),
    epoch("disconnected_at", doc="when it went down"),
    epoch("created_at", nullable=False),
    epoch("updated_at", nullable=False),
    since_v4(flag("superseded", nullable=False, default=0, doc="1: an older double, kept, not counted")),
    sa.Index("idx_ws_connections_account", "account_type", "status"),
    sa.Index("idx_ws_connections_status", "status"),
    # A forgotten second row still says CONNECTED after the connection it names is gone.
    partial_index("uq_websocket_connections_connection_id", "connection_id", where="superseded = 0", unique=True),
    about="State of each connection to the order update stream.",
)

websocket_messages = table(
    "websocket_messages",
    row_id(),
    text("connection_id", nullable=False, doc="as in websocket_connections, by convention only"),
    account(),
    text("message_type", nullable=False, doc="order_alert, …"),
    text("order_id", doc="as sent; the order may have no row yet"),
    text("payload", nullable=False, doc="JSON"),
    whole("sequence_number", doc="the sender's number, where it sends one"),
    flag("is_processed", default=0),
    epoch("processed_at"),
    epoch("received_at", nullable=False),
    since_v4(
        text("digest", doc="SHA-256 of account and payload; a message sent again is one row"),
        text("error_message", doc="why nothing was made of it, or what it waits for; null: nothing"),
    ),
    sa.Index("idx_ws_messages_connection", "connection_id", "received_at"),
    sa.Index("idx_ws_messages_account", "account_type", "received_at"),
    sa.Index("idx_ws_messages_order", "order_id"),
    sa.Index("idx_ws_messages_processed", "is_processed", "received_at"),
    sa.Index("idx_ws_messages_sequence", "connection_id", "sequence_number"),
    partial_index("uq_websocket_messages_digest", "digest", where="digest IS NOT NULL", unique=True),
    about="Messages of the order update stream as they came, before anything is made of them.",
)
