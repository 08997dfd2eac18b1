"""
Rows of super_orders, as typed models: one class a table, its columns in their order.

Generated from riskguard/store/tables/super_orders.py by `python -m riskguard.store.generate`; do not edit.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from riskguard.store.rows.base import AccountName, Row, Said, Text, Whole, one_of


class BracketOrderLegRow(Row):
    """Entry, target and stop legs of a bracket order, under its parent's id."""

    TABLE: ClassVar[str] = "bracket_order_legs"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    parent_order_id: Said = Field(description="the bracket order")
    leg_order_id: Said = Field(description="the leg's own order id; the broker sometimes repeats the parent's")
    leg_type: Annotated[Text, one_of("ENTRY", "TARGET", "SL")] = Field(description="ENTRY, TARGET, SL")
    account_type: AccountName = Field(description="account name; version 3 knew leader and follower")
    status: Text | None = Field(default="PENDING", description="an unknown word is a live leg")
    created_at: Whole = Field(lt=100000000000, description="when the row was first written")
    updated_at: Whole = Field(lt=100000000000, description="when the row last changed")
