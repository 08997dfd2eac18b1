"""
Rows of authentication, as typed models: one class a table, its columns in their order.

Generated from riskguard/store/tables/authentication.py by `python -m riskguard.store.generate`; do not edit.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from riskguard.store.rows.base import AccountName, Flag, Row, Said, Secret, Text, Whole, one_of


class AuthTokenRow(Row):
    """One row per access token of an account; at most one of them active."""

    TABLE: ClassVar[str] = "auth_tokens"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    account_type: AccountName = Field(description="account name; version 3 knew leader and follower")
    access_token: Secret = Field(description="encrypted; never the token itself")
    token_type: Text | None = Field(default="Bearer", description="how the token is presented")
    expires_at: Whole | None = Field(default=None, lt=100000000000, description="when it ends by itself")
    refresh_token: Secret | None = Field(default=None, description="encrypted")
    scope: Text | None = Field(default=None, description="what the token may be used for")
    is_active: Flag | None = Field(default=True, description="1: the one in use")
    last_used_at: Whole | None = Field(default=None, lt=100000000000, description="when it was last presented")
    created_at: Whole = Field(lt=100000000000, description="when the row was first written")
    updated_at: Whole = Field(lt=100000000000, description="when the row last changed")


class RateLimitTrackingRow(Row):
    """Requests sent to the broker, counted per account, endpoint and window."""

    TABLE: ClassVar[str] = "rate_limit_tracking"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    account_type: AccountName = Field(description="account name; version 3 knew leader and follower")
    endpoint: Text = Field(description="path at the broker")
    request_count: Whole | None = Field(default=0, ge=0, description="sent within the window")
    window_start: Whole = Field(lt=100000000000, description="first second of the window")
    window_end: Whole = Field(lt=100000000000, description="end of the window")
    last_request_at: Whole | None = Field(default=None, lt=100000000000, description="when the newest request was sent")
    created_at: Whole = Field(lt=100000000000, description="when the row was first written")
    superseded: Flag = Field(default=False, description="1: an older double, kept, not counted")


class ConfigRow(Row):
    """Settings, watermarks and switches of the copying program."""

    TABLE: ClassVar[str] = "config"

    key: Said = Field(description="name of the setting; `riskguard.…` are riskguard's own")
    value: Text = Field(description="text; its type is in data_type")
    data_type: Annotated[Text, one_of("string", "integer", "boolean", "json")] | None = Field(
        default="string", description="what value is: string, integer, boolean, json"
    )
    category: Text | None = Field(default=None, description="area it belongs to: auth, orders, risk, system, …")
    description: Text | None = Field(default=None, description="what it does, for people")
    is_sensitive: Flag | None = Field(default=False, description="1: the value is encrypted")
    updated_at: Whole = Field(lt=100000000000, description="when the row last changed")
