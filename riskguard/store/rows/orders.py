"""
Rows of orders, as typed models: one class a table, its columns in their order.

Generated from riskguard/store/tables/orders.py by `python -m riskguard.store.generate`; do not edit.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from riskguard.store.rows.base import AccountName, Flag, Money, Row, Said, Text, Whole, one_of


class OrderRow(Row):
    """Every order seen for an account, keyed by the broker's order id."""

    TABLE: ClassVar[str] = "orders"

    id: Said = Field(description="broker's order id")
    account_type: AccountName = Field(description="account name; version 3 knew leader and follower")
    correlation_id: Text | None = Field(
        default=None, description="ties a leader order to its follower order; not unique"
    )
    status: Said = Field(description="internal status; an unknown word is a live order")
    order_status: Text | None = Field(default=None, description="status word exactly as the broker sent it")
    side: Annotated[Text, one_of("BUY", "SELL")] = Field(description="BUY, SELL")
    product: Text = Field(description="CNC, INTRADAY, MARGIN, MTF, CO, BO")
    order_type: Said = Field(description="MARKET, LIMIT, STOP_LOSS, STOP_LOSS_MARKET; version 1 wrote SL and SL-M")
    validity: Said = Field(description="DAY, IOC")
    security_id: Said = Field(description="unique only within the exchange segment")
    exchange_segment: Said = Field(
        description="where it trades: NSE_EQ, NSE_FNO, BSE_EQ, BSE_FNO, MCX_COMM, and the words the broker adds"
    )
    trading_symbol: Text | None = Field(default=None, description="the broker's name of the instrument")
    quantity: Whole = Field(ge=1, description="whole ordered quantity, units")
    disclosed_qty: Whole | None = Field(default=None, ge=0, description="part of the quantity shown to the market")
    price: Money | None = Field(default=None, description="rupees a unit; 0 or null for a market order")
    trigger_price: Money | None = Field(default=None, description="price a stop order wakes at; 0 or null: none")
    traded_qty: Whole | None = Field(default=0, ge=0, description="of which traded; null: not known")
    remaining_qty: Whole | None = Field(default=None, ge=0, description="of which still open; null: not known")
    avg_price: Money | None = Field(
        default=None, description="average price of what traded; null: nothing, or not known"
    )
    co_stop_loss_value: Money | None = Field(default=None, description="stop of a cover order; null: no cover order")
    co_trigger_price: Money | None = Field(default=None, description="its trigger")
    bo_profit_value: Money | None = Field(
        default=None, description="target of a bracket order, distance from the entry; null: no bracket order"
    )
    bo_stop_loss_value: Money | None = Field(default=None, description="its stop, distance from the entry")
    bo_order_type: Text | None = Field(default=None, description="type of its entry: MARKET, LIMIT")
    parent_order_id: Text | None = Field(default=None, description="the bracket order this is a leg of")
    leg_type: Annotated[Text, one_of("ENTRY", "TARGET", "SL")] | None = Field(
        default=None, description="ENTRY, TARGET, SL; null: no leg"
    )
    is_sliced_order: Flag | None = Field(default=False, description="1: one part of an order that was cut up")
    slice_order_id: Text | None = Field(default=None, description="common id of all parts of one sliced order")
    slice_index: Whole | None = Field(default=None, description="position inside the slice, from 1")
    total_slice_quantity: Whole | None = Field(default=None, ge=0, description="quantity before slicing")
    after_market_order: Flag | None = Field(default=False, description="1: placed while the market was closed")
    amo_time: Text | None = Field(default=None, description="PRE_OPEN, OPEN, OPEN_30, OPEN_60")
    exchange_order_id: Text | None = Field(default=None, description="the exchange's number of the order")
    exchange_time: Whole | None = Field(default=None, lt=100000000000, description="when the exchange had it")
    algo_id: Text | None = Field(default=None, description="the exchange's id of the algorithm")
    drv_expiry_date: Whole | None = Field(default=None, lt=100000000000, description="contract expiry, epoch seconds")
    drv_option_type: Annotated[Text, one_of("CALL", "PUT")] | None = Field(
        default=None, description="CALL or PUT; null: no option"
    )
    drv_strike_price: Money | None = Field(default=None, description="strike price; null: no option")
    oms_error_code: Text | None = Field(default=None, description="the broker's code for a rejection")
    oms_error_description: Text | None = Field(default=None, description="what the broker said of it")
    created_at: Whole = Field(lt=100000000000, description="when the row was first written")
    updated_at: Whole = Field(lt=100000000000, description="when the row last changed")
    completed_at: Whole | None = Field(default=None, lt=100000000000, description="when it reached its last status")
    raw_request: Text | None = Field(default=None, description="JSON", repr=False)
    raw_response: Text | None = Field(default=None, description="JSON", repr=False)
    client_order_id: Text | None = Field(
        default=None, description="the id the decision was asked under; null for orders of others"
    )
    source: Text | None = Field(
        default=None, description="who first wrote the row: guard, sync, stream, postback; null: version 3"
    )
    exit_group: Text | None = Field(
        default=None, description="orders of which at most one can still fill, such as target and stop"
    )


class OrderEventRow(Row):
    """What happened to an order, in the words of whoever told us."""

    TABLE: ClassVar[str] = "order_events"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    order_id: Said = Field(description="may arrive before the order's row")
    event_type: Text = Field(description="PLACED, MODIFIED, EXECUTED, CANCELLED, …")
    event_source: Text | None = Field(default=None, description="REST_API, WEBSOCKET, POSTBACK")
    event_data: Text | None = Field(default=None, description="JSON", repr=False)
    event_ts: Whole = Field(lt=100000000000, description="when it happened")
    sequence: Whole | None = Field(
        default=None, description="number within the order; two events without one are both kept"
    )
    digest: Text | None = Field(default=None, description="SHA-256 of the event; the same event told twice is one row")


class OrderModificationRow(Row):
    """Changes asked of the broker for an order, and how it answered."""

    TABLE: ClassVar[str] = "order_modifications"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    order_id: Said = Field(description="the broker's order id")
    modification_type: Text = Field(description="QUANTITY, PRICE, TRIGGER_PRICE, VALIDITY")
    old_value: Text | None = Field(default=None, description="JSON")
    new_value: Text | None = Field(default=None, description="JSON")
    status: Text | None = Field(default=None, description="PENDING, SUCCESS, FAILED")
    error_message: Text | None = Field(
        default=None, description="what went wrong, in the words of whoever said so; null: nothing"
    )
    modified_at: Whole = Field(lt=100000000000, description="when it was asked")
