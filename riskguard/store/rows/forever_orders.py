"""
Rows of forever_orders, as typed models: one class a table, its columns in their order.

Generated from riskguard/store/tables/forever_orders.py by `python -m riskguard.store.generate`; do not edit.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from riskguard.store.rows.base import AccountName, Money, Row, Said, Text, Whole, one_of


class ForeverOrderRow(Row):
    """Good-till-triggered orders resting at the broker."""

    TABLE: ClassVar[str] = "forever_orders"

    id: Said = Field(description="broker's forever order id")
    account_type: AccountName = Field(description="account name; version 3 knew leader and follower")
    correlation_id: Text | None = Field(default=None, description="the id we told the broker")
    status: Said = Field(description="the broker's word; CONFIRM rests; an unknown word is a live order")
    order_type: Annotated[Text, one_of("SINGLE", "OCO")] = Field(description="the flag; OCO: one leg cancels the other")
    security_id: Said = Field(description="the broker's number of the instrument, unique only within its segment")
    exchange_segment: Said = Field(
        description="where it trades: NSE_EQ, NSE_FNO, BSE_EQ, BSE_FNO, MCX_COMM, and the words the broker adds"
    )
    trading_symbol: Text | None = Field(default=None, description="the broker's name of the instrument")
    trigger_type: Text | None = Field(
        default=None, description="LTP_ABOVE, LTP_BELOW, LTP_RANGE in version 3; the broker has no such field"
    )
    trigger_price_above: Money | None = Field(
        default=None, description="triggers when the price rises to it (version 3)"
    )
    trigger_price_below: Money | None = Field(
        default=None, description="triggers when the price falls to it (version 3)"
    )
    transaction_type: Annotated[Text, one_of("BUY", "SELL")] = Field(description="BUY, SELL")
    product: Text = Field(description="CNC, INTRADAY, MARGIN, MTF, CO, BO")
    order_type_after_trigger: Text | None = Field(
        default=None, description="MARKET, LIMIT, ...; null: the broker's list does not say"
    )
    quantity: Whole = Field(ge=1, description="quantity of the first leg")
    price: Money | None = Field(default=None, description="limit price of the first leg")
    disclosed_qty: Whole | None = Field(default=None, ge=0, description="part of the quantity shown to the market")
    validity: Text | None = Field(default="DAY", description="DAY, IOC: of the order that comes of it")
    oco_leg_id: Text | None = Field(
        default=None, description="id of the row with the other leg, where a program wrote two rows"
    )
    created_at: Whole = Field(lt=100000000000, description="when the row was first written")
    updated_at: Whole = Field(lt=100000000000, description="when the row last changed")
    triggered_at: Whole | None = Field(default=None, lt=100000000000, description="when a trigger fired")
    expires_at: Whole | None = Field(default=None, lt=100000000000, description="when it ends by itself")
    triggered_order_id: Text | None = Field(
        default=None, description="the order that came of it; may arrive before that order's row"
    )
    raw_request: Text | None = Field(default=None, description="JSON", repr=False)
    raw_response: Text | None = Field(default=None, description="JSON", repr=False)
    leg_name: Text | None = Field(default=None, description="leg the row's first price belongs to, as the broker says")
    trigger_price: Money | None = Field(
        default=None, description="rupees; first leg, on whichever side of the market it lies"
    )
    price1: Money | None = Field(default=None, description="rupees; second leg of an OCO")
    trigger_price1: Money | None = Field(default=None, description="rupees; second leg of an OCO")
    quantity1: Whole | None = Field(
        default=None, ge=0, description="second leg of an OCO; the broker sends 0 for SINGLE"
    )
