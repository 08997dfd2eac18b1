"""
Tokens, request counters and settings.

Tokens and sensitive settings are kept encrypted by the repository that writes them; a column can only
promise to hold text. `config` never holds the kill state: `kill_switch_enabled` is a switch of the
copying program, and its start-up script sets it back to false.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from riskguard.store.tables.base import (
    SCHEMA_VERSION,
    account,
    epoch,
    flag,
    partial_index,
    row_id,
    said,
    since_v4,
    table,
    text,
    whole,
    word,
)

auth_tokens = table(
    "auth_tokens",
    row_id(),
    account(),
    text("access_token", nullable=False, doc="encrypted; never the token itself"),
    text("token_type", default="Bearer", doc="how the token is presented"),
    epoch("expires_at"),
    text("refresh_token", doc="encrypted"),
    text("scope", doc="what the token may be used for"),
    flag("is_active", default=1, doc="1: the one in use"),
    epoch("last_used_at", doc="when it was last presented"),
    epoch("created_at", nullable=False),
    epoch("updated_at", nullable=False),
    sa.Index("idx_auth_tokens_account", "account_type", "is_active"),
    sa.Index("idx_auth_tokens_expiry", "expires_at"),
    # With two active tokens two programs sign in against each other, and each login ends the other's.
    partial_index("uq_auth_tokens_active", "account_type", where="is_active = 1", unique=True),
    about="One row per access token of an account; at most one of them active.",
)

rate_limit_tracking = table(
    "rate_limit_tracking",
    row_id(),
    account(),
    text("endpoint", nullable=False, doc="path at the broker"),
    whole("request_count", default=0, at_least=0, doc="sent within the window"),
    epoch("window_start", nullable=False, doc="first second of the window"),
    epoch("window_end", nullable=False, doc="end of the window"),
    epoch("last_request_at", doc="when the newest request was sent"),
    epoch("created_at", nullable=False),
    since_v4(flag("superseded", nullable=False, default=0, doc="1: an older double, kept, not counted")),
    sa.Index("idx_rate_limit_account_endpoint", "account_type", "endpoint", "window_end"),
    # Two rows for one window each count half of the requests, and the limit is passed unseen.
    partial_index(
        "uq_rate_limit_tracking_window",
        "account_type",
        "endpoint",
        "window_start",
        where="superseded = 0",
        unique=True,
    ),
    about="Requests sent to the broker, counted per account, endpoint and window.",
)

config = table(
    "config",
    said("key", key=True, doc="name of the setting; `riskguard.…` are riskguard's own"),
    text("value", nullable=False, doc="text; its type is in data_type"),
    word(
        "data_type",
        "string",
        "integer",
        "boolean",
        "json",
        default="string",
        nullable=True,
        doc="what value is: string, integer, boolean, json",
    ),
    text("category", doc="area it belongs to: auth, orders, risk, system, …"),
    text("description", doc="what it does, for people"),
    flag("is_sensitive", default=0, doc="1: the value is encrypted"),
    epoch("updated_at", nullable=False),
    sa.Index("idx_config_category", "category"),
    about="Settings, watermarks and switches of the copying program.",
)

# key, value, data_type, category, description
CONFIG_ROWS: tuple[tuple[str, str, str, str, str], ...] = (
    ("schema_version", str(SCHEMA_VERSION), "integer", "system", "Version of this database's schema"),
    ("copy_enabled", "true", "boolean", "copy_trading", "Copy the leader's orders"),
    ("last_leader_event_ts", "0", "integer", "copy_trading", "Newest leader event taken, epoch seconds"),
    ("last_position_snapshot_ts", "0", "integer", "portfolio", "Newest positions taken, epoch seconds"),
    ("last_funds_snapshot_ts", "0", "integer", "funds", "Newest funds taken, epoch seconds"),
    ("last_holdings_snapshot_ts", "0", "integer", "portfolio", "Newest holdings taken, epoch seconds"),
    ("co_enabled", "true", "boolean", "orders", "Copy cover orders"),
    ("bo_enabled", "true", "boolean", "orders", "Copy bracket orders"),
    ("forever_enabled", "true", "boolean", "orders", "Copy forever orders"),
    (
        "kill_switch_enabled",
        "false",
        "boolean",
        "risk",
        "The copier's own switch; not the kill state",
    ),
    ("daily_loss_limit_enabled", "true", "boolean", "risk", "Enforce daily loss limits"),
    ("position_size_limit_enabled", "true", "boolean", "risk", "Enforce position size limits"),
    ("ws_reconnect_enabled", "true", "boolean", "websocket", "Reconnect the order update stream"),
    ("ws_max_reconnect_attempts", "10", "integer", "websocket", "Attempts before the stream is given up"),
    ("postback_enabled", "false", "boolean", "postback", "Take the broker's webhook messages"),
)


def seed_config(connection: sa.Connection, now_s: int) -> None:
    """
    Write the first value of each setting that is absent.

    A row that stands is never touched: the start-up script of version 3 overwrote all of them, and a
    restart switched copying on again.
    """
    rows = [
        {
            "key": key,
            "value": value,
            "data_type": data_type,
            "category": category,
            "description": description,
            "is_sensitive": 0,
            "updated_at": now_s,
        }
        for key, value, data_type, category, description in CONFIG_ROWS
    ]
    # The one statement both databases have and SQLAlchemy spells twice; the second is loaded only where it is met.
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        connection.execute(postgresql.insert(config).on_conflict_do_nothing(), rows)
    else:
        connection.execute(sqlite.insert(config).on_conflict_do_nothing(), rows)
