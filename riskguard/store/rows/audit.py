"""
Rows of audit, as typed models: one class a table, its columns in their order.

Generated from riskguard/store/tables/audit.py by `python -m riskguard.store.generate`; do not edit.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from riskguard.store.rows.base import AccountName, Row, Text, Whole, one_of


class AuditLogRow(Row):
    """Calls made to the broker."""

    TABLE: ClassVar[str] = "audit_log"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    action: Text = Field(description="what was asked: place_order, cancel_order, …")
    account_type: AccountName = Field(description="account name; version 3 knew leader and follower")
    module: Text | None = Field(default=None, description="part of the program that asked")
    request_data: Text | None = Field(default=None, description="JSON, secrets taken out", repr=False)
    response_data: Text | None = Field(default=None, description="JSON, secrets taken out", repr=False)
    status_code: Whole | None = Field(default=None, description="the broker's HTTP status; null: no answer")
    error_message: Text | None = Field(
        default=None, description="what went wrong, in the words of whoever said so; null: nothing"
    )
    duration_ms: Whole | None = Field(default=None, description="from the request to its answer")
    ts: Whole = Field(lt=100000000000, description="when it was asked")


class ErrorLogRow(Row):
    """Errors and exceptions."""

    TABLE: ClassVar[str] = "error_log"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    error_type: Text = Field(description="class of the error")
    error_code: Text | None = Field(default=None, description="the code the error came with")
    error_message: Text = Field(description="what it said, secrets taken out")
    stack_trace: Text | None = Field(default=None, description="where it happened, secrets taken out", repr=False)
    context: Text | None = Field(default=None, description="JSON", repr=False)
    severity: Annotated[Text, one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")] | None = Field(
        default="ERROR", description="DEBUG, INFO, WARNING, ERROR, CRITICAL"
    )
    account_type: Text | None = Field(default=None, description="account name, where there is one")
    order_id: Text | None = Field(default=None, description="the order it was about, where there is one")
    occurred_at: Whole = Field(lt=100000000000, description="when it happened")
