"""
Rows of settlement, as typed models: one class a table, its columns in their order.

Generated from riskguard/store/tables/settlement.py by `python -m riskguard.store.generate`; do not edit.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from riskguard.store.rows.base import AccountName, Flag, Row, Said, Text, Whole, one_of


class SettlementPriceRow(Row):
    """Official closing and settlement prices by day, from the exchanges' own files."""

    TABLE: ClassVar[str] = "settlement_prices"

    exchange_segment: Said = Field(
        description="where it trades: NSE_EQ, NSE_FNO, BSE_EQ, BSE_FNO, MCX_COMM, and the words the broker adds"
    )
    security_id: Said = Field(description="the broker's number of the instrument, unique only within its segment")
    session_date: Said = Field(description="the day it closes, year-month-day")
    price_e4: Whole = Field(
        description="closing price of a share, settlement price of a contract, worth of one expired"
    )
    underlying_e4: Whole | None = Field(default=None, description="what its underlying closed at; null: not said")
    source: Said = Field(description="the exchange's file, by name")
    imported_at_us: Whole = Field(ge=100000000000000, description="when the file was read")


class DayChargeRow(Row):
    """Charges of a day by exchange segment, kept so that fills that are lost later forget none of them."""

    TABLE: ClassVar[str] = "day_charges"

    account: AccountName = Field(description="account name; GLOBAL where the row is for all")
    session_date: Said = Field(description="trading day in India, year-month-day")
    exchange_segment: Said = Field(
        description="where it trades: NSE_EQ, NSE_FNO, BSE_EQ, BSE_FNO, MCX_COMM, and the words the broker adds"
    )
    fills: Whole = Field(ge=0, description="fills of the whole day these charges were computed from")
    turnover_e4: Whole = Field(description="bought and sold in all segments when they were computed")
    total_e4: Whole = Field(description="what the contract note of the segment will say")
    brokerage_e4: Whole = Field(description="of which the broker's fee")
    exchange_txn_e4: Whole = Field(description="of which the exchange's fee")
    sebi_e4: Whole = Field(description="of which the regulator's fee")
    ipft_e4: Whole = Field(description="of which the investor protection fund")
    stt_e4: Whole = Field(description="of which securities or commodities transaction tax")
    stamp_e4: Whole = Field(description="of which stamp duty")
    gst_e4: Whole = Field(description="of which tax on the fees")
    dp_e4: Whole = Field(default=0, description="depository charges booked a day later; not in the total")
    is_known: Flag = Field(description="0: a rate was missing and the dearest stands in")
    doubts: Text = Field(default="[]", description="JSON: what is not surely known, in words")
    at_us: Whole = Field(ge=100000000000000, description="when it was computed")


class CashFlowRow(Row):
    """Deposits and payouts: the change of equity is counted without them."""

    TABLE: ClassVar[str] = "cash_flows"

    account: AccountName = Field(description="account name; GLOBAL where the row is for all")
    entry_id: Said = Field(description="the broker's number of the ledger line")
    session_date: Text = Field(description="day it was booked, year-month-day")
    kind: Annotated[Text, one_of("DEPOSIT", "PAYOUT")] = Field(description="DEPOSIT, PAYOUT")
    amount_e4: Whole = Field(description="came in > 0, went out < 0")
    particulars: Text = Field(default="", description="the ledger line in words")
    at_us: Whole = Field(ge=100000000000000, description="when a sweep first saw it")
