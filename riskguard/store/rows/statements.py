"""
Rows of statements, as typed models: one class a table, its columns in their order.

Generated from riskguard/store/tables/statements.py by `python -m riskguard.store.generate`; do not edit.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import Field

from riskguard.store.rows.base import AccountName, Money, Row, Said, Text, Whole, one_of


class LedgerEntryRow(Row):
    """Lines of the broker's ledger statement."""

    TABLE: ClassVar[str] = "ledger_entries"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    account_type: AccountName = Field(description="account name; version 3 knew leader and follower")
    entry_date: Text = Field(description="calendar date, year-month-day")
    particulars: Text | None = Field(default=None, description="what the line is for")
    voucherNo: Text | None = Field(default=None, description="the broker's voucher number")
    voucherDate: Text | None = Field(default=None, description="its date, year-month-day")
    debit: Money | None = Field(default=Decimal("0"), description="taken off the account")
    credit: Money | None = Field(default=Decimal("0"), description="put onto it")
    balance: Money | None = Field(default=None, description="after the line")
    created_at: Whole = Field(lt=100000000000, description="when the row was first written")
    digest: Text | None = Field(
        default=None, description="SHA-256 of the line; the same statement imported twice is one set of rows"
    )
    kind: Text | None = Field(
        default=None, description="DEPOSIT, PAYOUT, CHARGE, SETTLEMENT, OTHER; null: not looked at"
    )


class TradeRow(Row):
    """Fills of orders, with the charges on each."""

    TABLE: ClassVar[str] = "trades"

    id: Said = Field(description="exchange trade id in version 3; ours name segment, day and order too")
    order_id: Said = Field(description="may arrive before the order's row")
    account_type: AccountName = Field(description="account name; version 3 knew leader and follower")
    exchange_order_id: Text | None = Field(default=None, description="the exchange's number of the order")
    exchange_trade_id: Text | None = Field(default=None, description="unique only within exchange and day")
    security_id: Said = Field(description="the broker's number of the instrument, unique only within its segment")
    exchange_segment: Said = Field(
        description="where it trades: NSE_EQ, NSE_FNO, BSE_EQ, BSE_FNO, MCX_COMM, and the words the broker adds"
    )
    trading_symbol: Text | None = Field(default=None, description="the broker's name of the instrument")
    side: Annotated[Text, one_of("BUY", "SELL")] = Field(description="BUY, SELL")
    product: Text = Field(description="CNC, INTRADAY, MARGIN, MTF, CO, BO")
    order_type: Text | None = Field(default=None, description="MARKET, LIMIT, STOP_LOSS, STOP_LOSS_MARKET")
    quantity: Whole = Field(ge=1, description="traded")
    price: Money = Field(description="rupees a unit")
    trade_value: Money | None = Field(default=None, description="quantity times price")
    brokerage: Money | None = Field(default=Decimal("0"), description="the broker's fee")
    exchange_charges: Money | None = Field(default=Decimal("0"), description="the exchange's fee")
    clearing_charges: Money | None = Field(default=Decimal("0"), description="the clearing house's fee")
    stt: Money | None = Field(default=Decimal("0"), description="securities transaction tax")
    stamp_duty: Money | None = Field(default=Decimal("0"), description="stamp duty")
    transaction_charges: Money | None = Field(default=Decimal("0"), description="turnover fee")
    gst: Money | None = Field(default=Decimal("0"), description="tax on the fees")
    total_charges: Money | None = Field(
        default=Decimal("0"), description="rupees for the whole fill, brokerage included"
    )
    net_amount: Money | None = Field(default=None, description="value with charges, as the broker reports it")
    trade_ts: Whole = Field(lt=100000000000, description="when it traded")
    created_at: Whole = Field(lt=100000000000, description="when the row was first written")
    updated_at: Whole | None = Field(default=None, lt=100000000000, description="when the row last changed")
    exchange_time: Whole | None = Field(default=None, lt=100000000000, description="when the exchange had it")
    drv_expiry_date: Whole | None = Field(default=None, lt=100000000000, description="contract expiry, epoch seconds")
    drv_option_type: Annotated[Text, one_of("CALL", "PUT")] | None = Field(
        default=None, description="CALL or PUT; null: no option"
    )
    drv_strike_price: Money | None = Field(default=None, description="strike price; null: no option")
    raw_data: Text | None = Field(default=None, description="JSON", repr=False)
    client_order_id: Text | None = Field(
        default=None, description="the id the decision was asked under; null for orders of others"
    )
    booked_at_us: Whole | None = Field(
        default=None, ge=100000000000000, description="when the fill went into the day book; null: not yet"
    )
    session_date: Text | None = Field(default=None, description="trading day in India, year-month-day")
