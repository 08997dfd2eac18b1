"""Goal: fills count once, sums are exact and right about what is missing, and a statement imported twice is one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from riskguard.errors import RowInvalidError, RowRefusedError
from riskguard.store import Database
from riskguard.store.rows import LedgerEntryRow, TradeRow
from riskguard.store.tables.statements import trades
from tests.store.rows import TRADE, Row, T
from tests.store.test_repo_orders import row

ANSWER: Row = {
    "orderId": "822", "exchangeOrderId": "1300", "exchangeTradeId": "5001", "transactionType": "BUY",
    "exchangeSegment": "NSE_EQ", "productType": "INTRADAY", "orderType": "LIMIT", "tradingSymbol": "HDFCBANK",
    "securityId": "1333", "tradedQuantity": 10, "tradedPrice": 1650.05, "createTime": "2025-11-21 10:30:00",
    "updateTime": "NA", "exchangeTime": "2025-11-21 10:30:01", "drvExpiryDate": None, "drvOptionType": "NA",
    "drvStrikePrice": 0.0,
}  # fmt: skip


def trade(**changes: Any) -> TradeRow:
    return TradeRow(**row(TRADE, **changes))


def test_a_trade_is_kept_and_found(database: Database) -> None:
    """Before its order has a row; by id, by order oldest first, by filters newest first, with both edges."""
    for number in range(3):
        assert database.trades.save_trade(trade(id=f"T{number}", trade_ts=T + number, security_id=str(number)))

    assert database.trades.get_trade_by_id("T1") == database.trades.get_trades(security_id="1")[0]
    assert database.trades.get_trade_by_id("none") is None
    assert [each.id for each in database.trades.get_trades_by_order_id("A1")] == ["T0", "T1", "T2"]
    assert [each.id for each in database.trades.get_trades(from_ts=T + 1)] == ["T2", "T1"]
    assert [each.id for each in database.trades.get_trades(to_ts=T + 1)] == ["T1", "T0"]
    assert [each.id for each in database.trades.get_trades("leader", T, T + 9, exchange_segment="NSE_EQ", limit=1)] == [
        "T2"
    ]
    assert database.trades.get_trades("follower") == []


def test_the_summary_is_exact_and_right_about_nulls(database: Database) -> None:
    """A fill without a value counts as quantity times price; 0.1 + 0.2 is 0.3; nothing is zero, and no average."""
    empty = database.trades.get_trades_summary("leader")
    assert empty == {
        "total_trades": 0, "total_buy_qty": 0, "total_sell_qty": 0, "total_value": Decimal(0), "avg_price": None,
    }  # fmt: skip
    database.trades.save_trade(trade(id="a", quantity=1, price="0.1"))
    database.trades.save_trade(trade(id="b", quantity=1, price="0.2"))
    database.trades.save_trade(trade(id="c", quantity=3, price="5", side="SELL", trade_value="16"))
    database.trades.save_trade(trade(id="d", account_type="follower"))
    database.trades.save_trade(trade(id="e", trade_ts=T + 100))

    found = database.trades.get_trades_summary("leader", T, T + 99)
    assert found["total_value"] == Decimal("16.3") and found["avg_price"] == Decimal("3.26")
    assert (found["total_trades"], found["total_buy_qty"], found["total_sell_qty"]) == (3, 2, 3)
    assert database.trades.get_trades_summary("leader")["total_trades"] == 4


def test_the_sweeps_mark_is_not_the_callers(database: Database) -> None:
    """A caller who said "booked" would hide a fill from the day's book; what a sweep wrote is not taken back."""
    database.trades.save_trade(trade(booked_at_us=T * 1_000_000))
    assert database.trades.get_trade_by_id("T1").booked_at_us is None  # type: ignore[union-attr]

    with database.transaction() as connection:
        connection.execute(sa.update(trades).values(booked_at_us=T * 1_000_000))
    database.trades.save_trade(trade(brokerage="20"))
    found = database.trades.get_trade_by_id("T1")
    assert found is not None and (found.booked_at_us, found.brokerage) == (T * 1_000_000, Decimal(20))
    with pytest.raises(RowRefusedError, match="quantity"):
        database.trades.save_trade(trade(quantity=11))


def test_one_fill_under_two_ids_is_one(database: Database) -> None:
    """The trade book and the stream name it differently; without the exchange's number they cannot be compared."""
    told = {"exchange_trade_id": "5001", "session_date": "2025-11-22"}
    assert database.trades.save_trade(trade(**told))
    assert not database.trades.save_trade(trade(id="other", **told))
    assert database.trades.save_trade(trade(id="another day", **{**told, "session_date": "2025-11-23"}))
    assert database.trades.save_trade(trade(id="no number", session_date="2025-11-22"))
    assert len(database.trades.get_trades()) == 3


def test_the_brokers_trade(database: Database) -> None:
    """Told twice it is one; the history adds the charges, and a later trade book does not take them away."""
    found = database.trades.save_from_broker("leader", ANSWER)
    assert found.id == "NSE_EQ:2025-11-21:822:5001"
    assert (found.price, found.quantity, found.trade_value) == (Decimal("1650.05"), 10, Decimal("16500.5"))
    assert (found.trade_ts, found.session_date, found.booked_at_us) == (1_763_701_201, "2025-11-21", None)
    assert found.total_charges == 0  # the column's default: the trade book says none

    charged = database.trades.save_from_broker(
        "leader", {**ANSWER, "sebiTax": "0.01", "stt": 16.5, "brokerageCharges": 20.0, "stampDuty": 1.0}
    )
    again = database.trades.save_from_broker("leader", ANSWER)
    assert charged.total_charges == again.total_charges == Decimal("37.51")
    assert len(database.trades.get_trades()) == 1


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"createTime": "NA", "exchangeTime": "0001-01-01 00:00:00"}, "trade_ts"), ({"tradedQuantity": 0}, "quantity"),
        ({"tradedPrice": None}, "price"), ({"transactionType": None}, "side"), ({"orderId": None}, "order_id"),
        ({"tradedPrice": float("inf")}, "price"),
    ],
)  # fmt: skip
def test_half_a_trade_is_refused(database: Database, changes: Row, column: str) -> None:
    """A fill that cannot be counted must be asked for again."""
    with pytest.raises(RowInvalidError, match=rf"trades\.{column}"):
        database.trades.save_from_broker("leader", {**ANSWER, **changes})
    assert database.trades.get_trades() == []


LINE: Row = {"narration": "Funds", "voucherdate": "Sep 04, 2026", "vouchernumber": "V1", "debit": "0.00",
             "credit": "1,000.50", "runbal": "5000.50"}  # fmt: skip


def test_a_statement_twice_is_one_set_of_rows(database: Database) -> None:
    """Also in parts; two lines that say the same in one statement are two."""
    equal = {**LINE, "narration": "Charge", "runbal": ""}

    assert database.ledger.save_from_broker("leader", [LINE, equal, equal]) == 3
    assert database.ledger.save_from_broker("leader", [LINE, equal, equal]) == 0
    assert database.ledger.save_from_broker("leader", [LINE, {**LINE, "vouchernumber": "V2"}]) == 1
    assert database.ledger.save_from_broker("follower", [LINE]) == 1
    found = database.ledger.get_ledger_entries("leader", "2026-09-04", "2026-09-04")
    assert len(found) == 4 and (found[0].entry_date, found[0].credit) == ("2026-09-04", Decimal("1000.5"))
    assert database.ledger.get_ledger_entries("leader", from_date="2026-09-05") == []


def test_a_broken_line_undoes_the_import(database: Database) -> None:
    """All lines or none, or the next import would not know where it stands."""
    with pytest.raises(RowInvalidError, match="entry_date"):
        database.ledger.save_from_broker("leader", [LINE, {**LINE, "voucherdate": "soon"}])
    good = LedgerEntryRow(account_type="leader", entry_date="2026-09-04", created_at=T)
    with pytest.raises(RowInvalidError, match="created_at"):
        database.ledger.save_ledger_entries([good, good.model_copy(update={"created_at": T * 1000})])
    assert database.ledger.get_ledger_entries("leader") == []
