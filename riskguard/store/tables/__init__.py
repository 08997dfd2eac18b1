"""
Every table of the database, one file per area; importing this package declares them all.

This is the single declaration: migrations, snapshots and the data dictionary are held against it.
"""

from __future__ import annotations

from riskguard.store.tables import (
    alerts,
    audit,
    authentication,
    control,
    copy_trading,
    edis,
    forever_orders,
    funds,
    instruments,
    journal,
    live,
    live_updates,
    orders,
    portfolio,
    postback,
    quarantine,
    reconciliation,
    runs,
    settlement,
    snapshots,
    statements,
    super_orders,
    upkeep,
)
from riskguard.store.tables.base import SCHEMA_VERSION, metadata

__all__ = [
    "SCHEMA_VERSION",
    "alerts",
    "audit",
    "authentication",
    "control",
    "copy_trading",
    "edis",
    "forever_orders",
    "funds",
    "instruments",
    "journal",
    "live",
    "live_updates",
    "metadata",
    "orders",
    "portfolio",
    "postback",
    "quarantine",
    "reconciliation",
    "runs",
    "settlement",
    "snapshots",
    "statements",
    "super_orders",
    "upkeep",
]
