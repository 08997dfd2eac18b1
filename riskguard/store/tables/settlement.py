"""What a day's P&L is measured from and what comes off it: settlement prices, charges of the day, money in and out."""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.tables.base import INTEGER, account, epoch_us, flag, said, table, text, whole, word


def _e4(name: str, *, nullable: bool = True, default: int | None = None, doc: str = "") -> sa.Column[int]:
    server_default = None if default is None else sa.text(str(default))
    return sa.Column(name, INTEGER, nullable=nullable, server_default=server_default, doc=doc)


settlement_prices = table(
    "settlement_prices",
    text("exchange_segment", nullable=False),
    text("security_id", nullable=False),
    text("session_date", nullable=False, doc="the day it closes, year-month-day"),
    _e4(
        "price_e4", nullable=False, doc="closing price of a share, settlement price of a contract, worth of one expired"
    ),
    _e4("underlying_e4", doc="what its underlying closed at; null: not said"),
    said("source", doc="the exchange's file, by name"),
    epoch_us("imported_at_us", nullable=False, doc="when the file was read"),
    sa.PrimaryKeyConstraint("exchange_segment", "security_id", "session_date"),
    about="Official closing and settlement prices by day, from the exchanges' own files.",
    strict=True,
)

day_charges = table(
    "day_charges",
    account("account"),
    text("session_date", nullable=False, doc="trading day in India, year-month-day"),
    text("exchange_segment", nullable=False),
    whole("fills", nullable=False, at_least=0, doc="fills of the whole day these charges were computed from"),
    _e4("turnover_e4", nullable=False, doc="bought and sold in all segments when they were computed"),
    _e4("total_e4", nullable=False, doc="what the contract note of the segment will say"),
    _e4("brokerage_e4", nullable=False, doc="of which the broker's fee"),
    _e4("exchange_txn_e4", nullable=False, doc="of which the exchange's fee"),
    _e4("sebi_e4", nullable=False, doc="of which the regulator's fee"),
    _e4("ipft_e4", nullable=False, doc="of which the investor protection fund"),
    _e4("stt_e4", nullable=False, doc="of which securities or commodities transaction tax"),
    _e4("stamp_e4", nullable=False, doc="of which stamp duty"),
    _e4("gst_e4", nullable=False, doc="of which tax on the fees"),
    _e4("dp_e4", nullable=False, default=0, doc="depository charges booked a day later; not in the total"),
    flag("is_known", nullable=False, doc="0: a rate was missing and the dearest stands in"),
    text("doubts", nullable=False, default="[]", doc="JSON: what is not surely known, in words"),
    epoch_us("at_us", nullable=False, doc="when it was computed"),
    sa.PrimaryKeyConstraint("account", "session_date", "exchange_segment"),
    about="Charges of a day by exchange segment, kept so that fills that are lost later forget none of them.",
    strict=True,
)

cash_flows = table(
    "cash_flows",
    account("account"),
    text("entry_id", nullable=False, doc="the broker's number of the ledger line"),
    text("session_date", nullable=False, doc="day it was booked, year-month-day"),
    word("kind", "DEPOSIT", "PAYOUT", doc="DEPOSIT, PAYOUT"),
    _e4("amount_e4", nullable=False, doc="came in > 0, went out < 0"),
    text("particulars", nullable=False, default="", doc="the ledger line in words"),
    epoch_us("at_us", nullable=False, doc="when a sweep first saw it"),
    sa.PrimaryKeyConstraint("account", "entry_id"),
    sa.Index("idx_cash_flows_day", "account", "session_date"),
    about="Deposits and payouts: the change of equity is counted without them.",
    strict=True,
)
