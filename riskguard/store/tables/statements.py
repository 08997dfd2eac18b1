"""Fills and the ledger."""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.tables.base import (
    account,
    epoch,
    epoch_us,
    money_real,
    partial_index,
    row_id,
    said,
    since_v4,
    table,
    text,
    whole,
    word,
)

ledger_entries = table(
    "ledger_entries",
    row_id(),
    account(),
    text("entry_date", nullable=False, doc="calendar date, year-month-day"),
    text("particulars", doc="what the line is for"),
    text("voucherNo", doc="the broker's voucher number"),
    text("voucherDate", doc="its date, year-month-day"),
    money_real("debit", default=0, doc="taken off the account"),
    money_real("credit", default=0, doc="put onto it"),
    money_real("balance", doc="after the line"),
    epoch("created_at", nullable=False),
    since_v4(
        text("digest", doc="SHA-256 of the line; the same statement imported twice is one set of rows"),
        text("kind", doc="DEPOSIT, PAYOUT, CHARGE, SETTLEMENT, OTHER; null: not looked at"),
    ),
    sa.Index("idx_ledger_account_date", "account_type", "entry_date"),
    sa.Index("idx_ledger_date", "entry_date"),
    partial_index("uq_ledger_entries_digest", "digest", where="digest IS NOT NULL", unique=True),
    about="Lines of the broker's ledger statement.",
)

trades = table(
    "trades",
    said("id", key=True, doc="exchange trade id in version 3; ours name segment, day and order too"),
    text("order_id", nullable=False, doc="may arrive before the order's row"),
    account(),
    text("exchange_order_id"),
    text("exchange_trade_id", doc="unique only within exchange and day"),
    text("security_id", nullable=False),
    text("exchange_segment", nullable=False),
    text("trading_symbol"),
    word("side", "BUY", "SELL"),
    text("product", nullable=False),
    text("order_type"),
    # A fill of zero or less would undo a fill that happened.
    whole("quantity", nullable=False, at_least=1, doc="traded"),
    money_real("price", nullable=False, doc="rupees a unit"),
    money_real("trade_value", doc="quantity times price"),
    money_real("brokerage", default=0, doc="the broker's fee"),
    money_real("exchange_charges", default=0, doc="the exchange's fee"),
    money_real("clearing_charges", default=0, doc="the clearing house's fee"),
    money_real("stt", default=0, doc="securities transaction tax"),
    money_real("stamp_duty", default=0, doc="stamp duty"),
    money_real("transaction_charges", default=0, doc="turnover fee"),
    money_real("gst", default=0, doc="tax on the fees"),
    money_real("total_charges", default=0, doc="rupees for the whole fill, brokerage included"),
    money_real("net_amount", doc="value with charges, as the broker reports it"),
    epoch("trade_ts", nullable=False, doc="when it traded"),
    epoch("created_at", nullable=False),
    epoch("updated_at"),
    epoch("exchange_time"),
    epoch("drv_expiry_date", doc="contract expiry, epoch seconds"),
    word("drv_option_type", "CALL", "PUT", nullable=True),
    money_real("drv_strike_price"),
    text("raw_data", doc="JSON"),
    since_v4(
        text("client_order_id", doc="the id the decision was asked under; null for orders of others"),
        epoch_us("booked_at_us", doc="when the fill went into the day book; null: not yet"),
        text("session_date", doc="trading day in India, year-month-day"),
    ),
    sa.Index("idx_trades_order", "order_id"),
    sa.Index("idx_trades_account_ts", "account_type", "trade_ts"),
    sa.Index("idx_trades_security", "security_id", "exchange_segment"),
    sa.Index("idx_trades_exchange", "exchange_order_id"),
    sa.Index("idx_trades_exchange_trade", "exchange_trade_id"),
    partial_index("idx_trades_unbooked", "account_type", "trade_ts", where="booked_at_us IS NULL"),
    # The trade book and the stream tell the same fill; under two ids it would count twice. The order is
    # part of it because two accounts, or two orders, can be the two sides of one exchange trade.
    partial_index(
        "uq_trades_fill",
        "account_type",
        "exchange_segment",
        "session_date",
        "exchange_trade_id",
        "order_id",
        where="session_date IS NOT NULL AND exchange_trade_id IS NOT NULL",
        unique=True,
    ),
    about="Fills of orders, with the charges on each.",
)
