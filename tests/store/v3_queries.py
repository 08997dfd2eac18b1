"""
The SQL of a version 3 access layer, method by method: what programs beside riskguard send to its file.

Each function is one method of the original's list, written from what it takes and answers. Saves are INSERT OR
REPLACE over the columns of version 3, reads name what they want or read a view, and each write is committed alone.
"""

from __future__ import annotations

import sqlite3
from typing import Any

Row = dict[str, Any]
Answer = list[tuple[Any, ...]]
File = sqlite3.Connection


def _save(file: File, table: str, row: Row, *, verb: str = "INSERT OR REPLACE") -> None:
    marks = ", ".join(f":{name}" for name in row)
    with file:
        file.execute(" ".join((verb, "INTO", table, f"({', '.join(row)})", f"VALUES ({marks})")), row)


def _ask(file: File, query: str, *values: Any) -> Answer:
    return [tuple(row) for row in file.execute(query, values)]


def _do(file: File, statement: str, *values: Any) -> int:
    with file:
        return file.execute(statement, values).rowcount


# -- orders -------------------------------------------------------------------------------------------------------

ORDER = (
    "id, account_type, correlation_id, status, order_status, side, product, order_type, validity, security_id, "
    "exchange_segment, trading_symbol, quantity, disclosed_qty, price, trigger_price, traded_qty, remaining_qty, "
    "avg_price, co_stop_loss_value, co_trigger_price, bo_profit_value, bo_stop_loss_value, bo_order_type, "
    "parent_order_id, leg_type, is_sliced_order, slice_order_id, slice_index, total_slice_quantity, "
    "after_market_order, amo_time, exchange_order_id, exchange_time, algo_id, drv_expiry_date, drv_option_type, "
    "drv_strike_price, oms_error_code, oms_error_description, created_at, updated_at, completed_at, raw_request, "
    "raw_response"
)
"""All 45, in the order of the table: a record is built from them by position."""


def save_order(file: File, order: Row) -> None:
    """Every column is named; what the record does not say is NULL, as a record's unset fields are."""
    _save(file, "orders", {name: order.get(name) for name in ORDER.split(", ")})


def get_order(file: File, order_id: str) -> Answer:
    return _ask(file, f"SELECT {ORDER} FROM orders WHERE id = ?", order_id)  # noqa: S608


def get_orders_by_account(file: File, account_type: str, limit: int = 100) -> Answer:
    return _ask(
        file,
        f"SELECT {ORDER} FROM orders WHERE account_type = ? ORDER BY created_at DESC LIMIT ?",  # noqa: S608
        account_type,
        limit,
    )


def get_order_by_correlation_id(file: File, correlation_id: str) -> Answer:
    return _ask(
        file,
        f"SELECT {ORDER} FROM orders WHERE correlation_id = ? ORDER BY created_at DESC LIMIT 1",  # noqa: S608
        correlation_id,
    )


def update_order_status(file: File, order_id: str, status: str, now_s: int) -> int:
    return _do(file, "UPDATE orders SET status = ?, updated_at = ? WHERE id = ?", status, now_s, order_id)


def save_order_modification(file: File, order_id: str, kind: str, old: str, new: str, now_s: int) -> None:
    row = {"order_id": order_id, "modification_type": kind, "old_value": old, "new_value": new, "status": "PENDING",
           "error_message": None, "modified_at": now_s}  # fmt: skip
    _save(file, "order_modifications", row, verb="INSERT")


def get_order_modifications(file: File, order_id: str) -> Answer:
    return _ask(
        file,
        "SELECT id, order_id, modification_type, old_value, new_value, status, error_message, modified_at "
        "FROM order_modifications WHERE order_id = ? ORDER BY modified_at DESC",
        order_id,
    )


def save_order_event(file: File, event: Row) -> None:
    _save(file, "order_events", event, verb="INSERT OR IGNORE")


def get_order_events(file: File, order_id: str) -> Answer:
    return _ask(
        file,
        "SELECT id, order_id, event_type, event_source, event_data, event_ts, sequence FROM order_events "
        "WHERE order_id = ? ORDER BY event_ts, sequence",
        order_id,
    )


# -- copies and bracket legs --------------------------------------------------------------------------------------

MAPPING = (
    "leader_order_id, follower_order_id, leader_quantity, follower_quantity, sizing_strategy, capital_ratio, status, "
    "error_message, created_at, updated_at"
)


def save_copy_mapping(file: File, mapping: Row) -> None:
    _save(file, "copy_mappings", {name: mapping.get(name) for name in MAPPING.split(", ")})


def get_copy_mapping_by_leader(file: File, leader_order_id: str) -> Answer:
    return _ask(file, f"SELECT {MAPPING} FROM copy_mappings WHERE leader_order_id = ?", leader_order_id)  # noqa: S608


def update_copy_mapping_status(
    file: File, leader_order_id: str, status: str, now_s: int, follower_order_id: str | None = None
) -> int:
    return _do(
        file,
        "UPDATE copy_mappings SET status = ?, follower_order_id = coalesce(?, follower_order_id), updated_at = ? "
        "WHERE leader_order_id = ?",
        status,
        follower_order_id,
        now_s,
        leader_order_id,
    )


def save_bracket_order_leg(file: File, leg: Row) -> None:
    _save(file, "bracket_order_legs", leg)


def get_bracket_order_legs(file: File, parent_order_id: str) -> Answer:
    return _ask(
        file,
        "SELECT id, parent_order_id, leg_order_id, leg_type, account_type, status, created_at, updated_at "
        "FROM bracket_order_legs WHERE parent_order_id = ? ORDER BY id",
        parent_order_id,
    )


def update_bracket_order_leg_status(file: File, leg_order_id: str, status: str, now_s: int) -> int:
    return _do(
        file,
        "UPDATE bracket_order_legs SET status = ?, updated_at = ? WHERE leg_order_id = ?",
        status,
        now_s,
        leg_order_id,
    )


# -- trades -------------------------------------------------------------------------------------------------------

TRADE = (
    "id, order_id, account_type, exchange_order_id, exchange_trade_id, security_id, exchange_segment, trading_symbol, "
    "side, product, order_type, quantity, price, trade_value, brokerage, exchange_charges, clearing_charges, stt, "
    "stamp_duty, transaction_charges, gst, total_charges, net_amount, trade_ts, created_at, updated_at, exchange_time, "
    "drv_expiry_date, drv_option_type, drv_strike_price, raw_data"
)


def save_trade(file: File, trade: Row) -> None:
    _save(file, "trades", {name: trade.get(name) for name in TRADE.split(", ")})


def get_trade_by_id(file: File, trade_id: str) -> Answer:
    return _ask(file, f"SELECT {TRADE} FROM trades WHERE id = ?", trade_id)  # noqa: S608


def get_trades_by_order_id(file: File, order_id: str) -> Answer:
    return _ask(file, f"SELECT {TRADE} FROM trades WHERE order_id = ? ORDER BY trade_ts, id", order_id)  # noqa: S608


def get_trades(
    file: File, account_type: str | None = None, from_ts: int | None = None, to_ts: int | None = None,
    security_id: str | None = None, exchange_segment: str | None = None, limit: int = -1,
) -> Answer:  # fmt: skip
    """Each filter that is None lets everything through."""
    return _ask(
        file,
        f"SELECT {TRADE} FROM trades WHERE account_type = coalesce(?, account_type) AND trade_ts >= coalesce(?, trade_ts) "  # noqa: S608
        "AND trade_ts <= coalesce(?, trade_ts) AND security_id = coalesce(?, security_id) "
        "AND exchange_segment = coalesce(?, exchange_segment) ORDER BY trade_ts DESC, id LIMIT ?",
        account_type,
        from_ts,
        to_ts,
        security_id,
        exchange_segment,
        limit,
    )


def get_trades_summary(file: File, account_type: str, from_ts: int = 0, to_ts: int = 1 << 40) -> Answer:
    return _ask(
        file,
        "SELECT count(*), sum(CASE WHEN side = 'BUY' THEN quantity ELSE 0 END), "
        "sum(CASE WHEN side = 'SELL' THEN quantity ELSE 0 END), sum(trade_value), avg(price) FROM trades "
        "WHERE account_type = ? AND trade_ts BETWEEN ? AND ?",
        account_type,
        from_ts,
        to_ts,
    )


# -- portfolio, funds, instruments ----------------------------------------------------------------------------------

POSITION = (
    "snapshot_ts, account_type, security_id, exchange_segment, product, position_type, buy_qty, sell_qty, net_qty, "
    "buy_avg, sell_avg, realized_pl, unrealized_pl, total_pl, ltp, close_price, multiplier, margin_required, raw_data"
)
FUNDS = (
    "snapshot_ts, account_type, available_balance, sodLimit, collateral, margin_used, margin_available, "
    "withdrawable_balance, blocked_margin, raw_data"
)
INSTRUMENT = (
    "security_id, exchange_segment, symbol, trading_symbol, name, instrument_type, expiry_date, strike_price, "
    "option_type, lot_size, tick_size, underlying_security_id, isin, meta, updated_at"
)


def save_positions_snapshot(file: File, positions: list[Row]) -> None:
    """An empty list writes nothing."""
    for position in positions:
        _save(file, "positions", {name: position.get(name) for name in POSITION.split(", ")})


def get_latest_positions(file: File, account_type: str) -> Answer:
    return _ask(
        file,
        f"SELECT {POSITION} FROM v_latest_positions WHERE account_type = ? ORDER BY security_id, product",  # noqa: S608
        account_type,
    )


def save_funds_snapshot(file: File, funds: Row) -> None:
    _save(file, "funds", {name: funds.get(name) for name in FUNDS.split(", ")})


def get_latest_funds(file: File, account_type: str) -> Answer:
    return _ask(file, f"SELECT {FUNDS} FROM v_latest_funds WHERE account_type = ?", account_type)  # noqa: S608


def save_instrument(file: File, instrument: Row) -> None:
    _save(file, "instruments", {name: instrument.get(name) for name in INSTRUMENT.split(", ")})


def get_instrument(file: File, security_id: str) -> Answer:
    return _ask(file, f"SELECT {INSTRUMENT} FROM instruments WHERE security_id = ?", security_id)  # noqa: S608


# -- audit and settings -------------------------------------------------------------------------------------------


def log_audit(file: File, action: str, account_type: str, now_s: int, **more: Any) -> None:
    names = ("request_data", "response_data", "status_code", "error_message", "duration_ms")
    row = {"action": action, "account_type": account_type, "ts": now_s, **{name: more.get(name) for name in names}}
    _save(file, "audit_log", row, verb="INSERT")


def audit(file: File, account_type: str) -> Answer:
    return _ask(
        file,
        "SELECT id, action, account_type, module, request_data, response_data, status_code, error_message, "
        "duration_ms, ts FROM audit_log WHERE account_type = ? ORDER BY id",
        account_type,
    )


def get_config_value(file: File, key: str) -> Answer:
    return _ask(file, "SELECT value FROM config WHERE key = ?", key)


def set_config_value(file: File, key: str, value: str, now_s: int, description: str | None = None) -> None:
    """The row is replaced: type and category go back to their defaults, as they did."""
    _save(file, "config", {"key": key, "value": value, "description": description, "updated_at": now_s})


def config(file: File) -> Answer:
    return _ask(file, "SELECT key, value, data_type, category, description, is_sensitive FROM config ORDER BY key")
