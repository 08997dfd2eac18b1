"""
Since which version a table, column or view of the copying program is there; all others are riskguard's, version 4.

Versions 1 to 3 are history: nothing is added here.
"""

from __future__ import annotations

from typing import Final

TABLES: Final = {
    1: (
        "audit_log",
        "config",
        "copy_mappings",
        "funds",
        "instruments",
        "order_events",
        "orders",
        "positions",
        "trades",
    ),
    2: ("bracket_order_legs",),
    3: (
        "auth_tokens",
        "edis_transactions",
        "error_log",
        "forever_orders",
        "holdings",
        "ledger_entries",
        "margin_requirements",
        "order_modifications",
        "postback_configs",
        "postback_events",
        "rate_limit_tracking",
        "risk_violations",
        "traders_control",
        "websocket_connections",
        "websocket_messages",
    ),
}

COLUMNS: Final = {
    "audit_log": {
        3: "module",
    },
    "config": {
        3: "data_type category is_sensitive",
    },
    "funds": {
        3: "sodLimit margin_available withdrawable_balance blocked_margin",
    },
    "instruments": {
        3: "trading_symbol isin",
    },
    "order_events": {
        3: "event_source",
    },
    "orders": {
        2: (
            "co_stop_loss_value co_trigger_price bo_profit_value bo_stop_loss_value bo_order_type "
            "parent_order_id leg_type"
        ),
        3: (
            "order_status trading_symbol traded_qty remaining_qty avg_price is_sliced_order slice_order_id "
            "slice_index total_slice_quantity after_market_order amo_time exchange_order_id exchange_time "
            "algo_id drv_expiry_date drv_option_type drv_strike_price oms_error_code oms_error_description "
            "completed_at"
        ),
    },
    "positions": {
        3: (
            "position_type buy_qty sell_qty net_qty buy_avg sell_avg total_pl ltp close_price multiplier "
            "margin_required"
        ),
    },
    "trades": {
        3: (
            "exchange_order_id exchange_trade_id trading_symbol side product order_type trade_value "
            "brokerage exchange_charges clearing_charges stt stamp_duty transaction_charges gst "
            "total_charges net_amount created_at updated_at exchange_time drv_expiry_date drv_option_type "
            "drv_strike_price"
        ),
    },
}
"""Columns younger than their table, separated by blanks."""

VIEWS: Final = {
    1: (
        "v_active_orders",
        "v_latest_funds",
        "v_latest_positions",
    ),
    2: (
        "v_active_bracket_orders",
        "v_cover_orders",
    ),
    3: (
        "v_active_forever_orders",
        "v_active_websocket_connections",
        "v_latest_holdings",
        "v_recent_errors",
        "v_recent_trades",
        "v_sliced_orders",
    ),
}

OURS: Final = 4


def table_since(table: str) -> int:
    """Return the version that brought the table."""
    return next((version for version, names in TABLES.items() if table in names), OURS)


def column_since(table: str, column: str, *, is_ours: bool) -> int:
    """Return the version that brought the column; *is_ours* for those marked `since_v4`."""
    if is_ours:
        return OURS
    for version, names in COLUMNS.get(table, {}).items():
        if column in names.split():
            return version
    return table_since(table)


def view_since(view: str) -> int:
    """Return the version that brought the view."""
    return next((version for version, names in VIEWS.items() if view in names), OURS)
