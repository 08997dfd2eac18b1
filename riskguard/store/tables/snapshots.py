"""
Headers of what was fetched from the broker.

The header is what lets a reader tell "the account is flat" from "nobody looked": a complete snapshot
without rows is flat, no snapshot is unknown.
"""

from __future__ import annotations

from riskguard.store.tables.base import (
    account,
    epoch_us,
    flag,
    partial_index,
    row_id,
    said,
    since_v4,
    table,
    whole,
    word,
)

SNAPSHOT_KINDS = ("positions", "holdings", "funds", "orders", "trades")

snapshots = table(
    "snapshots",
    since_v4(
        row_id(),
        account("account"),
        word("kind", *SNAPSHOT_KINDS, doc="positions, holdings, funds, orders, trades"),
        epoch_us("fetched_at_us", nullable=False, doc="when the broker was asked, microseconds UTC"),
        # Rows go in first, in chunks; a reader must never take half a list for the whole.
        flag("complete", nullable=False, doc="1: every row is in"),
        whole("row_count", nullable=False, at_least=0, doc="rows in the broker's answer"),
        said("source", doc="who asked whom"),
    ),
    partial_index("idx_snapshots_latest", "account", "kind", "fetched_at_us", "id", where="complete = 1"),
    about="One row for each list fetched from the broker; positions, holdings and funds point to it.",
    strict=True,
)
