"""
Rows of portfolio, as typed models: one class a table, its columns in their order.

Generated from riskguard/store/tables/portfolio.py by `python -m riskguard.store.generate`; do not edit.
"""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from pydantic import Field

from riskguard.store.rows.base import AccountName, Money, Ratio, Row, Said, Text, Whole


class PositionRow(Row):
    """Copies of the broker's list of positions."""

    TABLE: ClassVar[str] = "positions"

    snapshot_ts: Whole = Field(lt=100000000000, description="when the broker was asked")
    account_type: AccountName = Field(description="account name; version 3 knew leader and follower")
    security_id: Said = Field(description="the broker's number of the instrument, unique only within its segment")
    exchange_segment: Said = Field(
        description="where it trades: NSE_EQ, NSE_FNO, BSE_EQ, BSE_FNO, MCX_COMM, and the words the broker adds"
    )
    product: Text = Field(default="", description="CNC, INTRADAY, MARGIN, MTF; empty: not known")
    position_type: Text | None = Field(
        default=None, description="LONG, SHORT, CLOSED at the broker; version 3 meant DAY, NET"
    )
    buy_qty: Whole | None = Field(default=0, ge=0, description="bought today and carried long")
    sell_qty: Whole | None = Field(default=0, ge=0, description="sold today and carried short")
    net_qty: Whole = Field(description="buy minus sell: long > 0, short < 0")
    buy_avg: Money | None = Field(default=Decimal("0"), description="average price bought at; null: not known")
    sell_avg: Money | None = Field(default=Decimal("0"), description="average price sold at; null: not known")
    realized_pl: Money | None = Field(
        default=Decimal("0"), description="profit, loss below zero, on what was closed, as the broker reports it"
    )
    unrealized_pl: Money | None = Field(
        default=Decimal("0"), description="profit, loss below zero, on what is open, as the broker reports it"
    )
    total_pl: Money | None = Field(
        default=Decimal("0"), description="realised and unrealised; the broker does not send it"
    )
    ltp: Money | None = Field(default=None, description="rupees; not in the broker's positions, must come from a quote")
    close_price: Money | None = Field(default=None, description="previous close")
    multiplier: Ratio | None = Field(default=None, description="rupees per point and unit")
    margin_required: Money | None = Field(default=None, description="margin the position blocks")
    raw_data: Text | None = Field(default=None, description="JSON", repr=False)
    snapshot_id: Whole = Field(
        default=0, ge=0, description="snapshots.id; 0: written by a version 3 program, without a header"
    )


class HoldingRow(Row):
    """Copies of the broker's list of delivery holdings."""

    TABLE: ClassVar[str] = "holdings"

    snapshot_ts: Whole = Field(lt=100000000000, description="when the broker was asked")
    account_type: AccountName = Field(description="account name; version 3 knew leader and follower")
    security_id: Said = Field(description="the broker's number of the instrument, unique only within its segment")
    exchange_segment: Said = Field(
        description="where it trades: NSE_EQ, NSE_FNO, BSE_EQ, BSE_FNO, MCX_COMM, and the words the broker adds"
    )
    trading_symbol: Text | None = Field(default=None, description="the broker's name of the instrument")
    isin: Text | None = Field(default=None, description="the security's international number")
    total_qty: Whole = Field(ge=0, description="all shares held")
    dpqty: Whole | None = Field(default=0, description="delivered to the demat account")
    t1qty: Whole | None = Field(default=0, description="bought, not delivered yet")
    available_qty: Whole = Field(description="may be sold now")
    collateral_qty: Whole | None = Field(default=0, description="pledged")
    collateral_update_qty: Whole | None = Field(default=0, description="pledge under way; the broker does not send it")
    avg_cost_price: Money | None = Field(default=None, description="average price paid")
    ltp: Money | None = Field(default=None, description="last traded price")
    realized_pl: Money | None = Field(
        default=Decimal("0"), description="profit, loss below zero, on what was closed, as the broker reports it"
    )
    unrealized_pl: Money | None = Field(
        default=Decimal("0"), description="profit, loss below zero, on what is open, as the broker reports it"
    )
    raw_data: Text | None = Field(default=None, description="JSON", repr=False)
    snapshot_id: Whole = Field(
        default=0, ge=0, description="snapshots.id; 0: written by a version 3 program, without a header"
    )
