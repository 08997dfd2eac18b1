"""The instrument master: lot, tick and contract facts."""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.tables.base import epoch, money_real, said, since_v4, table, text, whole

instruments = table(
    "instruments",
    said("security_id", doc="unique only within the exchange segment"),
    text("exchange_segment", nullable=False),
    text("symbol", nullable=False, doc="short name"),
    text("trading_symbol"),
    text("name", doc="full name"),
    text("instrument_type", doc="EQUITY, FUTIDX, FUTSTK, OPTIDX, OPTSTK, ..."),
    text("expiry_date", doc="of a contract, year-month-day; null: none"),
    money_real("strike_price", doc="rupees; the broker sends -0.01 for none"),
    text("option_type", doc="CE, PE"),
    whole("lot_size", nullable=False, at_least=0, doc="units; 0: not known, no order can be sized by it"),
    money_real("tick_size", nullable=False, doc="rupees; 0 for indices, which do not trade"),
    text("underlying_security_id", doc="security_id of the underlying; null: none"),
    text("isin"),
    text("meta", doc="JSON"),
    epoch("updated_at", nullable=False, doc="when the master was last read"),
    since_v4(
        whole("multiplier", at_least=1, doc="rupees per point and unit; null: not known"),
        whole("freeze_quantity", at_least=0, doc="units the exchange refuses above; null: not known, 0: none"),
        text("series", doc="EQ, BE, ...; decides whether a day trade is possible"),
        text(
            "underlying_symbol", doc="what a contract hangs on, by name: ids of one index differ by use; empty: nothing"
        ),
        money_real("lower_band", doc="rupees; the day's lower circuit limit; null: none known"),
        money_real("upper_band", doc="rupees; the day's upper circuit limit; null: none known"),
        text("band_date", doc="the session the two limits are for; on any other day they mean nothing"),
    ),
    # One number is INFY in one segment and an option in another: under a key of its own the master of
    # one segment replaced the other's. security_id first, so that version 3 look-ups stay indexed.
    sa.PrimaryKeyConstraint("security_id", "exchange_segment"),
    sa.Index("idx_instruments_symbol", "symbol", "exchange_segment"),
    sa.Index("idx_instruments_underlying", "underlying_security_id", "expiry_date"),
    sa.Index("idx_instruments_type", "instrument_type", "exchange_segment"),
    sa.Index("idx_instruments_trading_symbol", "trading_symbol"),
    sa.Index("idx_instruments_isin", "isin"),
    about="Instruments, keyed by security id and exchange segment.",
)
