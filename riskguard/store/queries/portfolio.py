"""Holdings and ledger entries as the broker tells them, row by row."""

from __future__ import annotations

from riskguard.store.spelling import insert_into, tables

holdings = tables.portfolio.holdings
ledger_entries = tables.statements.ledger_entries

ADD_HOLDING = insert_into(
    holdings, "snapshot_ts", "account_type", "security_id", "exchange_segment", "isin", "total_qty", "available_qty",
    "avg_cost_price", "realized_pl", "unrealized_pl", "snapshot_id",
)  # fmt: skip
ADD_ENTRY = insert_into(
    ledger_entries, "account_type", "entry_date", "particulars", "voucherNo", "voucherDate", "debit", "credit", "balance",
    "created_at", "digest", "kind", ignore=True,
)  # fmt: skip
