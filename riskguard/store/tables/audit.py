"""What was asked of the broker, and what went wrong."""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.tables.base import account, epoch, row_id, table, text, whole, word

audit_log = table(
    "audit_log",
    row_id(),
    text("action", nullable=False),
    account(),
    text("module"),
    text("request_data", doc="JSON, secrets taken out"),
    text("response_data", doc="JSON, secrets taken out"),
    whole("status_code"),
    text("error_message"),
    whole("duration_ms"),
    epoch("ts", nullable=False),
    sa.Index("idx_audit_action_ts", "action", "ts"),
    sa.Index("idx_audit_account", "account_type", "ts"),
    sa.Index("idx_audit_module", "module", "ts"),
    about="Calls made to the broker.",
)

error_log = table(
    "error_log",
    row_id(),
    text("error_type", nullable=False),
    text("error_code"),
    text("error_message", nullable=False),
    text("stack_trace"),
    text("context", doc="JSON"),
    word("severity", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", default="ERROR", nullable=True),
    text("account_type", doc="account name, where there is one"),
    text("order_id"),
    epoch("occurred_at", nullable=False),
    sa.Index("idx_error_log_type", "error_type", "occurred_at"),
    sa.Index("idx_error_log_severity", "severity", "occurred_at"),
    sa.Index("idx_error_log_account", "account_type", "occurred_at"),
    about="Errors and exceptions.",
)
