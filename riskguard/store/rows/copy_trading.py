"""
Rows of copy_trading, as typed models: one class a table, its columns in their order.

Generated from riskguard/store/tables/copy_trading.py by `python -m riskguard.store.generate`; do not edit.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from riskguard.store.rows.base import Ratio, Row, Said, Text, Whole, one_of


class CopyMappingRow(Row):
    """Which follower order copies which leader order, and at what size."""

    TABLE: ClassVar[str] = "copy_mappings"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    leader_order_id: Said = Field(description="an order or a forever order; it may have no row yet")
    follower_order_id: Text | None = Field(default=None, description="null while nothing was placed")
    leader_quantity: Whole = Field(ge=0, description="quantity of the leader's order")
    follower_quantity: Whole = Field(ge=0, description="0: rounded to less than a lot, skipped")
    sizing_strategy: Text | None = Field(default=None, description="capital_proportional, fixed_ratio, risk_based")
    capital_ratio: Ratio | None = Field(default=None, description="follower's capital over the leader's")
    status: Annotated[Text, one_of("pending", "placed", "failed", "cancelled")] = Field(
        description="pending, placed, failed, cancelled"
    )
    error_message: Text | None = Field(
        default=None, description="what went wrong, in the words of whoever said so; null: nothing"
    )
    created_at: Whole = Field(lt=100000000000, description="when the row was first written")
    updated_at: Whole = Field(lt=100000000000, description="when the row last changed")
    follower_account: Text = Field(
        default="", description="account name; empty: the one follower a version 3 program knows"
    )
