"""
Rows of postback, as typed models: one class a table, its columns in their order.

Generated from riskguard/store/tables/postback.py by `python -m riskguard.store.generate`; do not edit.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from riskguard.store.rows.base import AccountName, Flag, Row, Said, Secret, Text, Whole


class PostbackConfigRow(Row):
    """Webhook registrations."""

    TABLE: ClassVar[str] = "postback_configs"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    account_type: AccountName = Field(description="account name; version 3 knew leader and follower")
    webhook_url: Text = Field(description="where the broker posts to")
    webhook_secret: Secret | None = Field(
        default=None, description="encrypted; our own shared secret, the broker documents none"
    )
    event_types: Text | None = Field(default=None, description="JSON array")
    is_active: Flag | None = Field(default=True, description="1: in force")
    created_at: Whole = Field(lt=100000000000, description="when the row was first written")
    updated_at: Whole = Field(lt=100000000000, description="when the row last changed")
    last_triggered_at: Whole | None = Field(default=None, lt=100000000000, description="when it last did")


class PostbackEventRow(Row):
    """Webhook messages as they came, before anything is made of them."""

    TABLE: ClassVar[str] = "postback_events"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    account_type: AccountName = Field(description="account name; version 3 knew leader and follower")
    event_type: Text = Field(description="what the message says it is")
    order_id: Text | None = Field(default=None, description="as posted; the order may have no row yet")
    payload: Text = Field(description="JSON", repr=False)
    signature: Secret | None = Field(default=None, description="the sender's signature as it came; never shown")
    is_verified: Flag | None = Field(default=None, description="1: the shared secret was right; null: not looked at")
    is_processed: Flag | None = Field(default=False, description="1: something was made of it")
    processed_at: Whole | None = Field(default=None, lt=100000000000, description="when something was made of it")
    error_message: Text | None = Field(
        default=None, description="what went wrong, in the words of whoever said so; null: nothing"
    )
    received_at: Whole = Field(lt=100000000000, description="when it reached us")
    digest: Text | None = Field(
        default=None, description="SHA-256 of account and payload; a message posted again is one row"
    )


class PostbackIdRow(Row):
    """Numbers of signed webhook messages of the last minutes: each counts once."""

    TABLE: ClassVar[str] = "postback_ids"

    account: AccountName = Field(description="account name; GLOBAL where the row is for all")
    message_id: Said = Field(description="the sender's own number of a signed message")
    seen_at_us: Whole = Field(
        ge=100000000000000, description="when it was first seen; forgotten after twice the window of time stamps"
    )
