"""What was asked of the broker, and what went wrong."""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.tables.base import account, epoch, row_id, table, text, whole, word

audit_log = table(
    "audit_log",
    row_id(),
    text("action", nullable=False, doc="what was asked: place_order, cancel_order, …"),
    account(),
    text("module", doc="part of the program that asked"),
    text("request_data", doc="JSON, secrets taken out"),
    text("response_data", doc="JSON, secrets taken out"),
    whole("status_code", doc="the broker's HTTP status; null: no answer"),
    text("error_message"),
    whole("duration_ms", doc="from the request to its answer"),
    epoch("ts", nullable=False, doc="when it was asked"),
    sa.Index("idx_audit_action_ts", "action", "ts"),
    sa.Index("idx_audit_account", "account_type", "ts"),
    sa.Index("idx_audit_module", "module", "ts"),
    about="Calls made to the broker.",
)

error_log = table(
    "error_log",
    row_id(),
    text("error_type", nullable=False, doc="class of the error"),
    text("error_code", doc="the code the error came with"),
    text("error_message", nullable=False, doc="what it said, secrets taken out"),
    text("stack_trace", doc="where it happened, secrets taken out"),
    text("context", doc="JSON"),
    word(
        "severity",
        "DEBUG",
        "INFO",
        "WARNING",
        "ERROR",
        "CRITICAL",
        default="ERROR",
        nullable=True,
        doc="DEBUG, INFO, WARNING, ERROR, CRITICAL",
    ),
    text("account_type", doc="account name, where there is one"),
    text("order_id", doc="the order it was about, where there is one"),
    epoch("occurred_at", nullable=False, doc="when it happened"),
    sa.Index("idx_error_log_type", "error_type", "occurred_at"),
    sa.Index("idx_error_log_severity", "severity", "occurred_at"),
    sa.Index("idx_error_log_account", "account_type", "occurred_at"),
    about="Errors and exceptions.",
)
