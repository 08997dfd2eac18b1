"""Fills and the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, TypedDict

import sqlalchemy as sa

from riskguard.core.money import SCALE
from riskguard.errors import RowInvalidError, RowRefusedError
from riskguard.store.repositories import answers
from riskguard.store.repositories.answers import Answer
from riskguard.store.repositories.base import Repository, digest_of
from riskguard.store.rows.statements import LedgerEntryRow, TradeRow
from riskguard.store.tables.base import INTEGER
from riskguard.store.tables.statements import ledger_entries, trades

_t, _l = trades.c, ledger_entries.c
_CHARGES = {
    "brokerage": "brokerageCharges", "exchange_charges": "exchangeTransactionCharges", "stt": "stt",
    "stamp_duty": "stampDuty", "gst": "serviceTax",
}  # fmt: skip
_FILL = ("account_type", "security_id", "exchange_segment", "side", "quantity", "price")
_SWEEPS_OWN = frozenset({"booked_at_us"})


class TradesSummary(TypedDict):
    """What fills add up to: units, rupees to four places; `avg_price` is rupees a unit, None without a fill."""

    total_trades: int
    total_buy_qty: int
    total_sell_qty: int
    total_value: Decimal
    avg_price: Decimal | None


class TradeRepository(Repository):
    """Fills, in units, rupees and epoch seconds. A fill may be stored before its order's row."""

    def save_trade(self, trade: TradeRow) -> bool:
        """
        Write a fill, or bring the one of its id up to date; False when another row tells the same fill already.

        When the fill went into the day's book (`booked_at_us`) is the sweep's to write: what *trade* says of it is
        left out. A booked fill keeps its instrument, side, quantity and price: RowRefusedError.
        """
        values = {name: getattr(trade, name) for name in trade.model_fields_set - _SWEEPS_OWN}
        trade = TradeRow(**values)
        with self._writing():
            standing = self.get_trade_by_id(trade.id)
            if standing is None and self._told_as_another(trade):
                return False
            if standing is not None and standing.booked_at_us is not None:
                moved = [name for name in _FILL if getattr(trade, name) != getattr(standing, name)]
                if moved:
                    raise RowRefusedError(f"trades: `{trade.id}` is in the day's book; {', '.join(moved)} stays")
            self._upsert(trade, keep=("created_at", "client_order_id", "session_date"), owner="account_type")
        return True

    def _told_as_another(self, trade: TradeRow) -> bool:
        """The trade book and the stream tell the same fill, perhaps under two ids; twice it would count twice."""
        if trade.session_date is None or trade.exchange_trade_id is None:
            return False
        same = sa.and_(
            _t.account_type == trade.account_type, _t.exchange_segment == trade.exchange_segment,
            _t.session_date == trade.session_date, _t.exchange_trade_id == trade.exchange_trade_id,
            _t.order_id == trade.order_id,
        )  # fmt: skip
        return self._value(sa.select(_t.id).where(same)) is not None

    def save_from_broker(self, account_type: str, answer: Answer) -> TradeRow:
        """
        Write one entry of Dhan's trade book or trade history, and return the row as it stands.

        Its id names segment, day, order and exchange trade id, so telling it twice, or after a sweep did, is
        telling it once. Charges are in the history only; `total_charges` is their sum. Raises RowInvalidError.
        """
        trade = trade_from_answer(account_type, answer, self._now_s())
        with self._writing():
            self.save_trade(trade)
            found = self.get_trade_by_id(trade.id)
            if found is None:  # told before under another id
                statement = sa.select(trades).where(
                    _t.order_id == trade.order_id, _t.exchange_trade_id == trade.exchange_trade_id
                )
                found = self._row(TradeRow, statement)
        assert found is not None
        return found

    def get_trade_by_id(self, trade_id: str) -> TradeRow | None:
        """Return the fill of *trade_id*, or None."""
        return self._row(TradeRow, sa.select(trades).where(_t.id == trade_id))

    def get_trades_by_order_id(self, order_id: str) -> list[TradeRow]:
        """Return the fills of an order, oldest first."""
        statement = sa.select(trades).where(_t.order_id == order_id)
        return self._rows(TradeRow, statement.order_by(_t.trade_ts, _t.id))

    def get_trades(
        self, account_type: str | None = None, from_ts: int | None = None, to_ts: int | None = None,
        security_id: str | None = None, exchange_segment: str | None = None, limit: int | None = None,
    ) -> list[TradeRow]:  # fmt: skip
        """Return fills, newest first; *from_ts* and *to_ts* are epoch seconds, both included."""
        wanted = _conditions(account_type, from_ts, to_ts)
        if security_id is not None:
            wanted.append(_t.security_id == security_id)
        if exchange_segment is not None:
            wanted.append(_t.exchange_segment == exchange_segment)
        statement = sa.select(trades).where(sa.true(), *wanted).order_by(_t.trade_ts.desc(), _t.id.desc())
        return self._rows(TradeRow, statement, limit)

    def get_trades_summary(
        self, account_type: str, from_ts: int | None = None, to_ts: int | None = None
    ) -> TradesSummary:
        """
        Add up the account's fills between two times, both included; buys and sells both count in the value.

        A fill without a stored value counts as quantity times price. Exact: each fill is rounded to four places,
        then added as a whole number.
        """

        def e4(column: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
            return sa.cast(sa.func.round(column * SCALE), INTEGER)

        value = sa.func.coalesce(e4(_t.trade_value), _t.quantity * e4(_t.price))
        bought, sold = (sa.func.sum(sa.case((_t.side == side, _t.quantity), else_=0)) for side in ("BUY", "SELL"))
        statement = sa.select(sa.func.count(), bought, sold, sa.func.sum(value)).where(
            *_conditions(account_type, from_ts, to_ts)
        )
        with self._reading() as connection:
            count, buys, sells, total_e4 = connection.execute(statement).one()
        total = Decimal(int(total_e4 or 0)) / SCALE
        units = int(buys or 0) + int(sells or 0)
        return TradesSummary(
            total_trades=int(count),
            total_buy_qty=int(buys or 0),
            total_sell_qty=int(sells or 0),
            total_value=total.quantize(Decimal("0.0001")),
            avg_price=(total / units).quantize(Decimal("0.0001")) if units else None,
        )


def _conditions(account_type: str | None, from_ts: int | None, to_ts: int | None) -> list[sa.ColumnElement[bool]]:
    wanted: list[sa.ColumnElement[bool]] = []
    if account_type is not None:
        wanted.append(_t.account_type == account_type)
    if from_ts is not None:
        wanted.append(_t.trade_ts >= TradeRow.checked_value("trade_ts", from_ts))
    if to_ts is not None:
        wanted.append(_t.trade_ts <= TradeRow.checked_value("trade_ts", to_ts))
    return wanted


def trade_from_answer(account_type: str, answer: Answer, now_s: int) -> TradeRow:
    """Return one entry of Dhan's trade book or history as a row; only what it says is set. Raises RowInvalidError."""
    at_s = answers.epoch_s(answer, "exchangeTime", "createTime", "updateTime")
    if at_s is None:
        raise RowInvalidError("trades.trade_ts", "the broker's answer has no time: ask for the trade again")
    date = answers.session_date(at_s)
    segment, order_id = answers.text(answer, "exchangeSegment"), answers.text(answer, "orderId")
    number = answers.text(answer, "exchangeTradeId")
    quantity, price = (
        answers.whole("trades.quantity", answer, "tradedQuantity"),
        answers.money("trades.price", answer, "tradedPrice"),
    )
    charges = answers.given(
        **{column: answers.money(f"trades.{column}", answer, key) for column, key in _CHARGES.items()}
    )
    if charges:
        sebi = answers.money("trades.total_charges", answer, "sebiTax") or Decimal(0)
        charges["total_charges"] = sum(charges.values(), sebi)
    values = answers.given(
        # Without the exchange's number the fill is known by all it says.
        id=f"{segment}:{date}:{order_id}:{number or digest_of(quantity, str(price), at_s)[:16]}",
        order_id=order_id,
        account_type=account_type,
        exchange_order_id=answers.text(answer, "exchangeOrderId"),
        exchange_trade_id=number,
        security_id=answers.text(answer, "securityId"),
        exchange_segment=segment,
        trading_symbol=answers.text(answer, "tradingSymbol", "customSymbol"),
        side=(answers.text(answer, "transactionType") or "").upper(),
        product=answers.text(answer, "productType") or "",
        order_type=answers.text(answer, "orderType"),
        quantity=quantity,
        price=price,
        trade_value=None if quantity is None or price is None else quantity * price,
        trade_ts=at_s,
        created_at=now_s,
        updated_at=now_s,
        exchange_time=answers.epoch_s(answer, "exchangeTime"),
        drv_expiry_date=answers.epoch_s(answer, "drvExpiryDate"),
        drv_option_type=answers.option_type(answer),
        drv_strike_price=answers.strike("trades.drv_strike_price", answer),
        raw_data=answers.raw(answer),
        session_date=date,
        **charges,
    )
    return TradeRow(**values)


class LedgerRepository(Repository):
    """Lines of the broker's ledger statement, in rupees."""

    def save_ledger_entries(self, entries: Iterable[LedgerEntryRow]) -> int:
        """
        Write the lines of one statement and return how many are new; the same statement twice is one set of rows.

        Lines that say the same within one statement are all kept: two equal charges of a day are two.
        """
        told: Counter[str] = Counter()
        added = 0
        with self._writing():
            for entry in entries:
                said = digest_of(*(str(getattr(entry, name)) for name in _LINE))
                told[said] += 1
                values = {name: getattr(entry, name) for name in entry.model_fields_set - {"id", "digest"}}
                row = LedgerEntryRow(**values, digest=digest_of(said, told[said]))
                added += self._insert(row, once="digest")[1]
        return added

    def save_from_broker(self, account_type: str, answer: Iterable[Answer]) -> int:
        """Write Dhan's ledger answer and return how many lines are new. Raises RowInvalidError."""
        now_s = self._now_s()
        rows = []
        for line in answer:
            at_s = answers.epoch_s(line, "voucherdate")
            if at_s is None:
                raise RowInvalidError(
                    "ledger_entries.entry_date", "the broker's line has no voucherdate: import it again"
                )
            values = answers.given(
                account_type=account_type,
                entry_date=answers.session_date(at_s),
                particulars=answers.text(line, "narration"),
                voucherNo=answers.text(line, "vouchernumber"),
                voucherDate=answers.text(line, "voucherdate"),
                debit=answers.money("ledger_entries.debit", line, "debit"),
                credit=answers.money("ledger_entries.credit", line, "credit"),
                balance=answers.money("ledger_entries.balance", line, "runbal"),
                created_at=now_s,
            )
            rows.append(LedgerEntryRow(**values))
        return self.save_ledger_entries(rows)

    def get_ledger_entries(
        self, account_type: str, from_date: str | None = None, to_date: str | None = None, limit: int | None = None
    ) -> list[LedgerEntryRow]:
        """Return the account's lines, oldest first; the dates are year-month-day text, both included."""
        statement = sa.select(ledger_entries).where(_l.account_type == account_type)
        if from_date is not None:
            statement = statement.where(_l.entry_date >= from_date)
        if to_date is not None:
            statement = statement.where(_l.entry_date <= to_date)
        return self._rows(LedgerEntryRow, statement.order_by(_l.entry_date, _l.id), limit)


_LINE = ("account_type", "entry_date", "particulars", "voucherNo", "voucherDate", "debit", "credit", "balance")
