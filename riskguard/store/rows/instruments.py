"""
Rows of instruments, as typed models: one class a table, its columns in their order.

Generated from riskguard/store/tables/instruments.py by `python -m riskguard.store.generate`; do not edit.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from riskguard.store.rows.base import Money, Row, Said, Text, Whole


class InstrumentRow(Row):
    """Instruments, keyed by security id and exchange segment."""

    TABLE: ClassVar[str] = "instruments"

    security_id: Said = Field(description="unique only within the exchange segment")
    exchange_segment: Said = Field(
        description="where it trades: NSE_EQ, NSE_FNO, BSE_EQ, BSE_FNO, MCX_COMM, and the words the broker adds"
    )
    symbol: Text = Field(description="short name")
    trading_symbol: Text | None = Field(default=None, description="the broker's name of the instrument")
    name: Text | None = Field(default=None, description="full name")
    instrument_type: Text | None = Field(default=None, description="EQUITY, FUTIDX, FUTSTK, OPTIDX, OPTSTK, ...")
    expiry_date: Text | None = Field(default=None, description="of a contract, year-month-day; null: none")
    strike_price: Money | None = Field(default=None, description="rupees; the broker sends -0.01 for none")
    option_type: Text | None = Field(default=None, description="CE, PE")
    lot_size: Whole = Field(ge=0, description="units; 0: not known, no order can be sized by it")
    tick_size: Money = Field(description="rupees; 0 for indices, which do not trade")
    underlying_security_id: Text | None = Field(default=None, description="security_id of the underlying; null: none")
    isin: Text | None = Field(default=None, description="the security's international number")
    meta: Text | None = Field(default=None, description="JSON")
    updated_at: Whole = Field(lt=100000000000, description="when the master was last read")
    multiplier: Whole | None = Field(default=None, ge=1, description="rupees per point and unit; null: not known")
    freeze_quantity: Whole | None = Field(
        default=None, ge=0, description="units the exchange refuses above; null: not known, 0: none"
    )
    series: Text | None = Field(default=None, description="EQ, BE, ...; decides whether a day trade is possible")
    underlying_symbol: Text | None = Field(
        default=None, description="what a contract hangs on, by name: ids of one index differ by use; empty: nothing"
    )
    lower_band: Money | None = Field(
        default=None, description="rupees; the day's lower circuit limit; null: none known"
    )
    upper_band: Money | None = Field(
        default=None, description="rupees; the day's upper circuit limit; null: none known"
    )
    band_date: Text | None = Field(
        default=None, description="the session the two limits are for; on any other day they mean nothing"
    )
