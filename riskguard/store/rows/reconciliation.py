"""
Rows of reconciliation, as typed models: one class a table, its columns in their order.

Generated from riskguard/store/tables/reconciliation.py by `python -m riskguard.store.generate`; do not edit.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from riskguard.store.rows.base import AccountName, Row, Said, Text, Whole, one_of


class UnsolicitedOrderRow(Row):
    """Orders nobody asked riskguard about. They count as working and their fills are in the book."""

    TABLE: ClassVar[str] = "unsolicited_orders"

    account: AccountName = Field(description="account name; GLOBAL where the row is for all")
    order_id: Said = Field(description="broker's order id")
    session_date: Text = Field(description="trading day in India, year-month-day")
    origin: Annotated[Text, one_of("OTHER", "CHILD", "SQUARE_OFF")] = Field(
        description="OTHER: the app or another program; CHILD: of a parent we know; SQUARE_OFF: the broker's"
    )
    correlation_id: Text = Field(default="", description="what whoever sent it called it; empty: nothing")
    parent: Text = Field(default="", description="what a child belongs to: its group; empty: none")
    detail: Text = Field(default="", description="side, quantity, instrument and status when it was found")
    found_at_us: Whole = Field(ge=100000000000000, description="when a sweep first saw it")


class BookDifferenceRow(Row):
    """Lines of the book the broker's list contradicts, and nothing explains; gone once both agree again."""

    TABLE: ClassVar[str] = "book_differences"

    account: AccountName = Field(description="account name; GLOBAL where the row is for all")
    exchange_segment: Said = Field(
        description="where it trades: NSE_EQ, NSE_FNO, BSE_EQ, BSE_FNO, MCX_COMM, and the words the broker adds"
    )
    security_id: Said = Field(description="the broker's number of the instrument, unique only within its segment")
    product: Said = Field(description="CNC, INTRADAY, MARGIN, MTF, CO, BO")
    session_date: Text = Field(description="trading day in India, year-month-day")
    ours: Whole = Field(description="signed, by day start and fills")
    theirs: Whole = Field(description="signed, in the broker's complete list")
    reads: Whole = Field(default=1, ge=1, description="looks in a row that showed a difference")
    first_at_us: Whole = Field(ge=100000000000000, description="fetched when it was first seen")
    last_at_us: Whole = Field(ge=100000000000000, description="fetched when it was counted last")
