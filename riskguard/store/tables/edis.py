"""Authorisations to debit shares from a demat account, needed before holdings can be sold."""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.tables.base import account, epoch, row_id, said, table, text, whole

edis_transactions = table(
    "edis_transactions",
    row_id(),
    account(),
    text("isin", nullable=False),
    whole("qty", nullable=False, at_least=1, doc="shares that may be debited"),
    text("exchange", nullable=False, doc="NSE, BSE"),
    text("segment", nullable=False, doc="segment of the exchange: EQ"),
    whole("bulk", default=0, doc="1: for all holdings at once"),
    text("tpin", doc="encrypted; better never stored"),
    said("status", doc="PENDING, AUTHORIZED, REJECTED, EXPIRED, or the broker's own word"),
    text("request_id", doc="the depository's id of the request"),
    epoch("created_at", nullable=False),
    epoch("updated_at", nullable=False),
    epoch("authorized_at", doc="when the holder agreed"),
    epoch("expires_at"),
    text("raw_request", doc="JSON"),
    text("raw_response", doc="JSON"),
    text("error_message"),
    sa.Index("idx_edis_account", "account_type", "status"),
    sa.Index("idx_edis_isin", "isin"),
    sa.Index("idx_edis_request", "request_id"),
    about="Demat debit authorisations and how far each has come.",
)
