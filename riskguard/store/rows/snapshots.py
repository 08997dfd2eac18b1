"""
Rows of snapshots, as typed models: one class a table, its columns in their order.

Generated from riskguard/store/tables/snapshots.py by `python -m riskguard.store.generate`; do not edit.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from riskguard.store.rows.base import AccountName, Flag, Row, Said, Text, Whole, one_of


class SnapshotRow(Row):
    """One row for each list fetched from the broker; positions, holdings and funds point to it."""

    TABLE: ClassVar[str] = "snapshots"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    account: AccountName = Field(description="account name; GLOBAL where the row is for all")
    kind: Annotated[Text, one_of("positions", "holdings", "funds", "orders", "trades")] = Field(
        description="positions, holdings, funds, orders, trades"
    )
    fetched_at_us: Whole = Field(ge=100000000000000, description="when the broker was asked, microseconds UTC")
    complete: Flag = Field(description="1: every row is in")
    row_count: Whole = Field(ge=0, description="rows in the broker's answer")
    source: Said = Field(description="who asked whom")
