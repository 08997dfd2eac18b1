"""
Rows of edis, as typed models: one class a table, its columns in their order.

Generated from riskguard/store/tables/edis.py by `python -m riskguard.store.generate`; do not edit.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from riskguard.store.rows.base import AccountName, Row, Said, Secret, Text, Whole


class EdisTransactionRow(Row):
    """Demat debit authorisations and how far each has come."""

    TABLE: ClassVar[str] = "edis_transactions"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    account_type: AccountName = Field(description="account name; version 3 knew leader and follower")
    isin: Text = Field(description="the security's international number")
    qty: Whole = Field(ge=1, description="shares that may be debited")
    exchange: Text = Field(description="NSE, BSE")
    segment: Text = Field(description="segment of the exchange: EQ")
    bulk: Whole | None = Field(default=0, description="1: for all holdings at once")
    tpin: Secret | None = Field(default=None, description="encrypted; better never stored")
    status: Said = Field(description="PENDING, AUTHORIZED, REJECTED, EXPIRED, or the broker's own word")
    request_id: Text | None = Field(default=None, description="the depository's id of the request")
    created_at: Whole = Field(lt=100000000000, description="when the row was first written")
    updated_at: Whole = Field(lt=100000000000, description="when the row last changed")
    authorized_at: Whole | None = Field(default=None, lt=100000000000, description="when the holder agreed")
    expires_at: Whole | None = Field(default=None, lt=100000000000, description="when it ends by itself")
    raw_request: Text | None = Field(default=None, description="JSON", repr=False)
    raw_response: Text | None = Field(default=None, description="JSON", repr=False)
    error_message: Text | None = Field(
        default=None, description="what went wrong, in the words of whoever said so; null: nothing"
    )
