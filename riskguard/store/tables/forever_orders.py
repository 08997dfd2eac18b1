"""Orders that rest at the broker for days until a price triggers them."""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store import bounds
from riskguard.store.tables.base import account, epoch, money_real, said, since_v4, table, text, whole, word

# After TRIGGERED the order that came of it is in `orders`; the forever order itself rests no more.
TERMINAL_STATUSES = (*bounds.TERMINAL_STATUSES, "TRIGGERED")


def live(status: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """True when *status* is not known to be terminal."""
    return sa.func.upper(status).not_in(TERMINAL_STATUSES)


forever_orders = table(
    "forever_orders",
    said("id", key=True, doc="broker's forever order id"),
    account(),
    text("correlation_id", doc="the id we told the broker"),
    said("status", doc="the broker's word; CONFIRM rests; an unknown word is a live order"),
    word("order_type", "SINGLE", "OCO", doc="the flag; OCO: one leg cancels the other"),
    text("security_id", nullable=False),
    text("exchange_segment", nullable=False),
    text("trading_symbol"),
    text("trigger_type", doc="LTP_ABOVE, LTP_BELOW, LTP_RANGE in version 3; the broker has no such field"),
    money_real("trigger_price_above", doc="triggers when the price rises to it (version 3)"),
    money_real("trigger_price_below", doc="triggers when the price falls to it (version 3)"),
    word("transaction_type", "BUY", "SELL", doc="BUY, SELL"),
    text("product", nullable=False),
    text("order_type_after_trigger", doc="MARKET, LIMIT, ...; null: the broker's list does not say"),
    whole("quantity", nullable=False, at_least=1, doc="quantity of the first leg"),
    money_real("price", doc="limit price of the first leg"),
    whole("disclosed_qty", at_least=0),
    text("validity", default="DAY", doc="DAY, IOC: of the order that comes of it"),
    text("oco_leg_id", doc="id of the row with the other leg, where a program wrote two rows"),
    epoch("created_at", nullable=False),
    epoch("updated_at", nullable=False),
    epoch("triggered_at", doc="when a trigger fired"),
    epoch("expires_at"),
    text("triggered_order_id", doc="the order that came of it; may arrive before that order's row"),
    text("raw_request", doc="JSON"),
    text("raw_response", doc="JSON"),
    since_v4(
        text("leg_name", doc="leg the row's first price belongs to, as the broker says"),
        money_real("trigger_price", doc="rupees; first leg, on whichever side of the market it lies"),
        # Both legs of an OCO share one id at the broker, so the second has to fit into the same row.
        money_real("price1", doc="rupees; second leg of an OCO"),
        money_real("trigger_price1", doc="rupees; second leg of an OCO"),
        whole("quantity1", at_least=0, doc="second leg of an OCO; the broker sends 0 for SINGLE"),
    ),
    sa.Index("idx_forever_orders_account", "account_type", "status"),
    sa.Index("idx_forever_orders_security", "security_id", "exchange_segment"),
    sa.Index("idx_forever_orders_status", "status"),
    sa.Index("idx_forever_orders_correlation", "correlation_id"),
    about="Good-till-triggered orders resting at the broker.",
)
