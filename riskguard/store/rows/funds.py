"""
Rows of funds, as typed models: one class a table, its columns in their order.

Generated from riskguard/store/tables/funds.py by `python -m riskguard.store.generate`; do not edit.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from riskguard.store.rows.base import AccountName, Money, Row, Said, Text, Whole


class FundsRow(Row):
    """Copies of the broker's fund limits."""

    TABLE: ClassVar[str] = "funds"

    snapshot_ts: Whole = Field(lt=100000000000, description="when the broker was asked")
    account_type: AccountName = Field(description="account name; version 3 knew leader and follower")
    available_balance: Money = Field(description="rupees; the broker spells it availabelBalance")
    sodLimit: Money | None = Field(default=None, description="rupees at the start of the day")
    collateral: Money | None = Field(default=None, description="value of pledged securities")
    margin_used: Money | None = Field(default=None, description="blocked by positions and orders")
    margin_available: Money | None = Field(default=None, description="left for new orders; the broker does not send it")
    withdrawable_balance: Money | None = Field(default=None, description="what could be paid out")
    blocked_margin: Money | None = Field(default=None, description="blocked otherwise; the broker does not send it")
    raw_data: Text | None = Field(default=None, description="JSON", repr=False)
    snapshot_id: Whole = Field(
        default=0, ge=0, description="snapshots.id; 0: written by a version 3 program, without a header"
    )


class MarginRequirementRow(Row):
    """Margins the broker computed for an order, placed or only asked about."""

    TABLE: ClassVar[str] = "margin_requirements"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    account_type: AccountName = Field(description="account name; version 3 knew leader and follower")
    order_id: Text | None = Field(
        default=None, description="null for a question without an order; the order may have no row"
    )
    security_id: Said = Field(description="the broker's number of the instrument, unique only within its segment")
    exchange_segment: Said = Field(
        description="where it trades: NSE_EQ, NSE_FNO, BSE_EQ, BSE_FNO, MCX_COMM, and the words the broker adds"
    )
    quantity: Whole = Field(ge=1, description="quantity that was asked about")
    price: Money | None = Field(default=None, description="price that was asked about")
    product: Text = Field(description="CNC, INTRADAY, MARGIN, MTF, CO, BO")
    total_margin: Money = Field(description="all that is needed")
    span_margin: Money | None = Field(default=None, description="of which SPAN")
    exposure_margin: Money | None = Field(default=None, description="of which exposure")
    var_margin: Money | None = Field(default=None, description="of which value at risk")
    calculated_at: Whole = Field(lt=100000000000, description="when the broker computed it")
    side: Text | None = Field(default=None, description="BUY, SELL; null: a version 3 program did not say")
    leg_set: Text | None = Field(default=None, description="which legs it was asked for together; null: this one alone")
