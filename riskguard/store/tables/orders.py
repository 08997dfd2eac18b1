"""
Orders, what happened to them, and what was asked to change.

Nothing here refers to `orders` by a foreign key. The broker's messages overtake our own writes, orders
of other front ends never get a row, and version 3 programs save an order by replacing it: with a
cascading key each save deleted the order's events, changes and trades.
"""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.bounds import TERMINAL_STATUSES
from riskguard.store.tables.base import (
    account,
    epoch,
    flag,
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


def live(status: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """True when *status* is not known to be terminal. The order stream writes its words in title case."""
    return sa.func.upper(status).not_in(TERMINAL_STATUSES)


orders = table(
    "orders",
    said("id", key=True, doc="broker's order id"),
    account(),
    text("correlation_id", doc="ties a leader order to its follower order; not unique"),
    said("status", doc="internal status; an unknown word is a live order"),
    text("order_status", doc="status word exactly as the broker sent it"),
    word("side", "BUY", "SELL"),
    text("product", nullable=False, doc="CNC, INTRADAY, MARGIN, MTF, CO, BO"),
    said("order_type", doc="MARKET, LIMIT, STOP_LOSS, STOP_LOSS_MARKET; version 1 wrote SL and SL-M"),
    said("validity", doc="DAY, IOC"),
    text("security_id", nullable=False, doc="unique only within the exchange segment"),
    text("exchange_segment", nullable=False),
    text("trading_symbol"),
    # A negative quantity turns a buy into a sale in every sum; a zero one hides an order.
    whole("quantity", nullable=False, at_least=1, doc="whole ordered quantity, units"),
    whole("disclosed_qty", at_least=0),
    money_real("price", doc="rupees a unit; 0 or null for a market order"),
    money_real("trigger_price", doc="price a stop order wakes at; 0 or null: none"),
    whole("traded_qty", default=0, at_least=0, doc="of which traded; null: not known"),
    whole("remaining_qty", at_least=0, doc="of which still open; null: not known"),
    money_real("avg_price", doc="average price of what traded; null: nothing, or not known"),
    money_real("co_stop_loss_value", doc="stop of a cover order; null: no cover order"),
    money_real("co_trigger_price", doc="its trigger"),
    money_real("bo_profit_value", doc="target of a bracket order, distance from the entry; null: no bracket order"),
    money_real("bo_stop_loss_value", doc="its stop, distance from the entry"),
    text("bo_order_type", doc="type of its entry: MARKET, LIMIT"),
    text("parent_order_id", doc="the bracket order this is a leg of"),
    word("leg_type", "ENTRY", "TARGET", "SL", nullable=True, doc="ENTRY, TARGET, SL; null: no leg"),
    flag("is_sliced_order", default=0, doc="1: one part of an order that was cut up"),
    text("slice_order_id", doc="common id of all parts of one sliced order"),
    whole("slice_index", doc="position inside the slice, from 1"),
    whole("total_slice_quantity", at_least=0, doc="quantity before slicing"),
    flag("after_market_order", default=0, doc="1: placed while the market was closed"),
    text("amo_time", doc="PRE_OPEN, OPEN, OPEN_30, OPEN_60"),
    text("exchange_order_id"),
    epoch("exchange_time"),
    text("algo_id", doc="the exchange's id of the algorithm"),
    epoch("drv_expiry_date", doc="contract expiry, epoch seconds"),
    word("drv_option_type", "CALL", "PUT", nullable=True),
    money_real("drv_strike_price"),
    text("oms_error_code", doc="the broker's code for a rejection"),
    text("oms_error_description", doc="what the broker said of it"),
    epoch("created_at", nullable=False),
    epoch("updated_at", nullable=False),
    epoch("completed_at", doc="when it reached its last status"),
    text("raw_request", doc="JSON"),
    text("raw_response", doc="JSON"),
    since_v4(
        text("client_order_id", doc="the id the decision was asked under; null for orders of others"),
        text("source", doc="who first wrote the row: guard, sync, stream, postback; null: version 3"),
        text("exit_group", doc="orders of which at most one can still fill, such as target and stop"),
    ),
    sa.Index("idx_orders_correlation", "correlation_id"),
    sa.Index("idx_orders_account", "account_type", "created_at"),
    sa.Index("idx_orders_status", "status"),
    sa.Index("idx_orders_security", "security_id", "exchange_segment"),
    sa.Index("idx_orders_parent", "parent_order_id"),
    sa.Index("idx_orders_leg_type", "leg_type"),
    sa.Index("idx_orders_slice", "slice_order_id", "slice_index"),
    sa.Index("idx_orders_exchange", "exchange_order_id"),
    # What is live is asked all day, and is a handful out of years of orders.
    partial_index("idx_orders_live", "account_type", "created_at", where=live(sa.column("status", sa.Text()))),
    partial_index("idx_orders_client", "account_type", "client_order_id", where="client_order_id IS NOT NULL"),
    about="Every order seen for an account, keyed by the broker's order id.",
)

order_events = table(
    "order_events",
    row_id(),
    text("order_id", nullable=False, doc="may arrive before the order's row"),
    text("event_type", nullable=False, doc="PLACED, MODIFIED, EXECUTED, CANCELLED, …"),
    text("event_source", doc="REST_API, WEBSOCKET, POSTBACK"),
    text("event_data", doc="JSON"),
    epoch("event_ts", nullable=False, doc="when it happened"),
    whole("sequence", doc="number within the order; two events without one are both kept"),
    since_v4(text("digest", doc="SHA-256 of the event; the same event told twice is one row")),
    sa.UniqueConstraint("order_id", "sequence"),
    sa.Index("idx_order_events_order_ts", "order_id", "event_ts"),
    sa.Index("idx_order_events_type", "event_type", "event_ts"),
    sa.Index("idx_order_events_source", "event_source", "event_ts"),
    # A null sequence is never equal to another, so the constraint above lets repeats through.
    partial_index("uq_order_events_digest", "digest", where="digest IS NOT NULL", unique=True),
    about="What happened to an order, in the words of whoever told us.",
)

order_modifications = table(
    "order_modifications",
    row_id(),
    text("order_id", nullable=False),
    text("modification_type", nullable=False, doc="QUANTITY, PRICE, TRIGGER_PRICE, VALIDITY"),
    text("old_value", doc="JSON"),
    text("new_value", doc="JSON"),
    text("status", doc="PENDING, SUCCESS, FAILED"),
    text("error_message"),
    epoch("modified_at", nullable=False, doc="when it was asked"),
    sa.Index("idx_order_modifications_order", "order_id", "modified_at"),
    about="Changes asked of the broker for an order, and how it answered.",
)
