"""
Positions and holdings, as the broker listed them at one moment.

A row belongs to the snapshot whose number it carries. Rows of version 3 writers carry 0: they have no
header, so they prove what was there and never that nothing was.
"""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.tables.base import (
    account,
    epoch,
    money_real,
    real,
    since_v4,
    table,
    text,
    whole,
)

_SNAPSHOT = "snapshots.id; 0: written by a version 3 program, without a header"

positions = table(
    "positions",
    epoch("snapshot_ts", nullable=False),
    account(),
    text("security_id", nullable=False),
    text("exchange_segment", nullable=False),
    # Null in a key is never equal to null: version 3 took the same position twice and then hid both.
    # SQLite puts the default in for a writer that still says NULL.
    sa.Column(
        "product",
        sa.Text,
        nullable=False,
        server_default=sa.text("''"),
        sqlite_on_conflict_not_null="REPLACE",
        doc="CNC, INTRADAY, MARGIN, MTF; empty: not known",
    ),
    text("position_type", doc="LONG, SHORT, CLOSED at the broker; version 3 meant DAY, NET"),
    whole("buy_qty", default=0, at_least=0, doc="bought today and carried long"),
    whole("sell_qty", default=0, at_least=0, doc="sold today and carried short"),
    whole("net_qty", nullable=False, doc="buy minus sell: long > 0, short < 0"),
    money_real("buy_avg", default=0, doc="average price bought at; null: not known"),
    money_real("sell_avg", default=0, doc="average price sold at; null: not known"),
    money_real("realized_pl", default=0),
    money_real("unrealized_pl", default=0),
    money_real("total_pl", default=0, doc="realised and unrealised; the broker does not send it"),
    money_real("ltp", doc="rupees; not in the broker's positions, must come from a quote"),
    money_real("close_price", doc="previous close"),
    real("multiplier", doc="rupees per point and unit"),
    money_real("margin_required", doc="margin the position blocks"),
    text("raw_data", doc="JSON"),
    since_v4(whole("snapshot_id", nullable=False, default=0, at_least=0, doc=_SNAPSHOT)),
    # With the snapshot's number in the key two lists fetched in one second do not mix.
    sa.PrimaryKeyConstraint("snapshot_ts", "account_type", "security_id", "exchange_segment", "product", "snapshot_id"),
    sa.Index("idx_positions_ts", "snapshot_ts"),
    sa.Index("idx_positions_account", "account_type", "snapshot_ts"),
    sa.Index("idx_positions_security", "security_id"),
    sa.Index("idx_positions_snapshot", "snapshot_id", "account_type", "snapshot_ts"),
    about="Copies of the broker's list of positions.",
)

holdings = table(
    "holdings",
    epoch("snapshot_ts", nullable=False),
    account(),
    text("security_id", nullable=False),
    text("exchange_segment", nullable=False),
    text("trading_symbol"),
    text("isin"),
    whole("total_qty", nullable=False, at_least=0, doc="all shares held"),
    whole("dpqty", default=0, doc="delivered to the demat account"),
    whole("t1qty", default=0, doc="bought, not delivered yet"),
    whole("available_qty", nullable=False, doc="may be sold now"),
    whole("collateral_qty", default=0, doc="pledged"),
    whole("collateral_update_qty", default=0, doc="pledge under way; the broker does not send it"),
    money_real("avg_cost_price", doc="average price paid"),
    money_real("ltp"),
    money_real("realized_pl", default=0),
    money_real("unrealized_pl", default=0),
    text("raw_data", doc="JSON"),
    since_v4(whole("snapshot_id", nullable=False, default=0, at_least=0, doc=_SNAPSHOT)),
    # The same number is another security in another segment; without it one row replaced the other.
    sa.PrimaryKeyConstraint("snapshot_ts", "account_type", "security_id", "exchange_segment", "snapshot_id"),
    sa.Index("idx_holdings_account", "account_type", "snapshot_ts"),
    sa.Index("idx_holdings_security", "security_id"),
    sa.Index("idx_holdings_isin", "isin"),
    sa.Index("idx_holdings_snapshot", "snapshot_id", "account_type", "snapshot_ts"),
    about="Copies of the broker's list of delivery holdings.",
)
