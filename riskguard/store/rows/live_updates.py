"""
Rows of live_updates, as typed models: one class a table, its columns in their order.

Generated from riskguard/store/tables/live_updates.py by `python -m riskguard.store.generate`; do not edit.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from riskguard.store.rows.base import AccountName, Flag, Row, Said, Text, Whole, one_of


class WebsocketConnectionRow(Row):
    """State of each connection to the order update stream."""

    TABLE: ClassVar[str] = "websocket_connections"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    account_type: AccountName = Field(description="account name; version 3 knew leader and follower")
    connection_id: Said = Field(description="name of the connection")
    ws_url: Text = Field(description="address, without its token")
    status: Annotated[Text, one_of("CONNECTING", "CONNECTED", "DISCONNECTED", "ERROR")] = Field(
        description="CONNECTING, CONNECTED, DISCONNECTED, ERROR"
    )
    subscribed_events: Text | None = Field(default=None, description="JSON array")
    connect_attempts: Whole | None = Field(default=0, ge=0, description="tries so far")
    last_heartbeat_at: Whole | None = Field(
        default=None, lt=100000000000, description="when it was last heard; null: never"
    )
    connected_at: Whole | None = Field(default=None, lt=100000000000, description="when it came up")
    disconnected_at: Whole | None = Field(default=None, lt=100000000000, description="when it went down")
    created_at: Whole = Field(lt=100000000000, description="when the row was first written")
    updated_at: Whole = Field(lt=100000000000, description="when the row last changed")
    superseded: Flag = Field(default=False, description="1: an older double, kept, not counted")


class WebsocketMessageRow(Row):
    """Messages of the order update stream as they came, before anything is made of them."""

    TABLE: ClassVar[str] = "websocket_messages"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    connection_id: Said = Field(description="as in websocket_connections, by convention only")
    account_type: AccountName = Field(description="account name; version 3 knew leader and follower")
    message_type: Text = Field(description="order_alert, …")
    order_id: Text | None = Field(default=None, description="as sent; the order may have no row yet")
    payload: Text = Field(description="JSON", repr=False)
    sequence_number: Whole | None = Field(default=None, description="the sender's number, where it sends one")
    is_processed: Flag | None = Field(default=False, description="1: something was made of it")
    processed_at: Whole | None = Field(default=None, lt=100000000000, description="when something was made of it")
    received_at: Whole = Field(lt=100000000000, description="when it reached us")
    digest: Text | None = Field(
        default=None, description="SHA-256 of account and payload; a message sent again is one row"
    )
    error_message: Text | None = Field(
        default=None, description="why nothing was made of it, or what it waits for; null: nothing"
    )
