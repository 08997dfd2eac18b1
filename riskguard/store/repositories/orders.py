"""Orders, what happened to them, and what was asked to change."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from riskguard.errors import RowInvalidError, RowRefusedError
from riskguard.store.bounds import TERMINAL_STATUSES
from riskguard.store.repositories import answers
from riskguard.store.repositories.answers import Answer
from riskguard.store.repositories.base import Repository, digest_of
from riskguard.store.rows.orders import OrderEventRow, OrderModificationRow, OrderRow
from riskguard.store.tables.orders import live, order_events, order_modifications, orders

_PROGRESS = ("status", "order_status", "traded_qty", "remaining_qty", "avg_price", "updated_at")
_FIRST_STAYS = ("created_at", "client_order_id", "source", "exit_group", "correlation_id", "raw_request")


class OrderRepository(Repository):
    """
    Orders as the broker knows them, keyed by its order id; quantities in units, money in rupees, times epoch seconds.

    Saving an order is not placing one, and frees nothing that a permit holds: riskguard believes the broker.
    """

    def save_order(self, order: OrderRow) -> None:
        """
        Write *order*, or bring the one of its id up to date.

        Columns it does not set stay as they are, and so do its events, trades and modifications. `created_at`,
        `client_order_id`, `correlation_id`, `source`, `exit_group` and `raw_request` keep what they said first.
        Raises RowInvalidError, RowRefusedError, StoreUnavailableError.
        """
        self._upsert(order, keep=_FIRST_STAYS, owner="account_type")

    def save_from_broker(
        self, account_type: str, answer: Answer, *, source: str = "sync", client_order_id: str | None = None
    ) -> OrderRow:
        """
        Write one entry of Dhan's order book and return the row as it stands.

        TRADED is stored as EXECUTED, every other word as it is; "NA" and year-1 dates as None; times in India as
        epoch seconds. An answer that is not newer does not bring a finished order back to life.

        Raises RowInvalidError when it has no id, status, quantity or instrument.
        """
        order = order_from_answer(account_type, answer, self._now_s())
        extra = answers.given(client_order_id=client_order_id, source=source)
        order = OrderRow(**{name: getattr(order, name) for name in order.model_fields_set}, **extra)
        with self._writing():
            standing = self.get_order(order.id)
            if standing is not None and _is_late(order, standing):
                told = order.model_fields_set - {*_PROGRESS}
                kept = {name: getattr(order if name in told else standing, name) for name in {*told, *_REQUIRED}}
                order = OrderRow(**kept)
            self._upsert(order, keep=_FIRST_STAYS, owner="account_type")
            found = self.get_order(order.id)
        assert found is not None
        return found

    def get_order(self, order_id: str) -> OrderRow | None:
        """Return the order of the broker's *order_id*, or None."""
        return self._row(OrderRow, sa.select(orders).where(orders.c.id == order_id))

    def get_orders_by_account(self, account_type: str, limit: int = 100) -> list[OrderRow]:
        """Return the account's orders, newest first, at most *limit*."""
        statement = sa.select(orders).where(orders.c.account_type == account_type)
        return self._rows(OrderRow, statement.order_by(orders.c.created_at.desc(), orders.c.id.desc()), limit)

    def get_order_by_correlation_id(self, correlation_id: str) -> OrderRow | None:
        """Return the newest order under *correlation_id*, or None: several orders can carry the same."""
        statement = sa.select(orders).where(orders.c.correlation_id == correlation_id)
        return self._row(OrderRow, statement.order_by(orders.c.created_at.desc(), orders.c.id.desc()))

    def get_orders_by_client_order_id(self, account_type: str, client_order_id: str) -> list[OrderRow]:
        """Return the orders that came of one decision, oldest first."""
        mine = sa.and_(orders.c.account_type == account_type, orders.c.client_order_id == client_order_id)
        return self._rows(OrderRow, sa.select(orders).where(mine).order_by(orders.c.created_at, orders.c.id))

    def get_active_orders(self, account_type: str | None = None) -> list[OrderRow]:
        """Return every order not known to be done, newest first: PART_TRADED and unknown words are live too."""
        statement = sa.select(orders).where(live(orders.c.status))
        if account_type is not None:
            statement = statement.where(orders.c.account_type == account_type)
        return self._rows(OrderRow, statement.order_by(orders.c.created_at.desc(), orders.c.id.desc()))

    def update_order_status(self, order_id: str, status: str) -> bool:
        """
        Set the internal status of one order; False when there is no such order.

        A word that ends the order sets `completed_at`, once.
        """
        now_s = self._now_s()
        with self._writing():
            found = self._update(OrderRow, orders.c.id == order_id, status=status, updated_at=now_s)
            if found and status.upper() in TERMINAL_STATUSES:
                undated = sa.and_(orders.c.id == order_id, orders.c.completed_at.is_(None))
                self._update(OrderRow, undated, completed_at=now_s)
        return found > 0

    # -- modifications ----------------------------------------------------------------------------------------

    def save_order_modification(
        self, order_id: str, modification_type: str, old_value: Any = None, new_value: Any = None,
        status: str = "PENDING", error_message: str | None = None,
    ) -> int:  # fmt: skip
        """
        Write that a change was asked for, and return its number; the order needs no row.

        *modification_type*: QUANTITY, PRICE, TRIGGER_PRICE, VALIDITY. Values that are no text are kept as JSON.
        """
        row = OrderModificationRow(
            order_id=order_id, modification_type=modification_type, old_value=_as_text(old_value),
            new_value=_as_text(new_value), status=status, error_message=error_message, modified_at=self._now_s(),
        )  # fmt: skip
        return self._insert(row)[0]

    def update_order_modification(self, modification_id: int, status: str, error_message: str | None = None) -> bool:
        """Write how the broker answered a change: SUCCESS or FAILED. False when there is no such change."""
        which = order_modifications.c.id == modification_id
        return self._update(OrderModificationRow, which, status=status, error_message=error_message) > 0

    def get_order_modifications(self, order_id: str) -> list[OrderModificationRow]:
        """Return the changes asked for an order, newest first."""
        m = order_modifications.c
        statement = sa.select(order_modifications).where(m.order_id == order_id)
        return self._rows(OrderModificationRow, statement.order_by(m.modified_at.desc(), m.id.desc()))

    # -- events -------------------------------------------------------------------------------------------------

    def save_order_event(self, event: OrderEventRow) -> bool:
        """
        Write what happened to an order, which needs no row; False when the same was told before.

        The same means the same order, kind, source, time, number and data. Another event under a number
        (`sequence`) that is taken raises RowRefusedError.
        """
        e = order_events.c
        digest = digest_of(
            event.order_id, event.event_type, event.event_source, event.event_ts, event.sequence, event.event_data
        )
        values = {name: getattr(event, name) for name in event.model_fields_set - {"id"}}
        with self._writing():
            if event.sequence is not None:
                taken = sa.and_(e.order_id == event.order_id, e.sequence == event.sequence)
                first = self._row(OrderEventRow, sa.select(order_events).where(taken))
                if first is not None:
                    # A version 3 program writes no digest, so what it wrote is compared by what it says.
                    if (first.event_type, first.event_ts, first.event_data) == (
                        event.event_type, event.event_ts, event.event_data,
                    ):  # fmt: skip
                        return False
                    raise RowRefusedError(
                        f"order_events: number {event.sequence} of `{event.order_id}` is another event"
                    )
            return self._insert(OrderEventRow(**{**values, "digest": digest}), once="digest")[1]

    def get_order_events(self, order_id: str) -> list[OrderEventRow]:
        """Return the events of an order, oldest first; of one second, in the order they were told."""
        e = order_events.c
        return self._rows(
            OrderEventRow, sa.select(order_events).where(e.order_id == order_id).order_by(e.event_ts, e.id)
        )


_REQUIRED = tuple(name for name, each in OrderRow.model_fields.items() if each.is_required())


def order_from_answer(account_type: str, answer: Answer, now_s: int) -> OrderRow:
    """Return one entry of Dhan's order book as a row; only what the answer says is set. Raises RowInvalidError."""
    internal, word = answers.status(answer)
    created_s = answers.epoch_s(answer, "createTime")
    updated_s = answers.epoch_s(answer, "updateTime", "exchangeTime", "createTime")
    quantity = answers.whole("orders.quantity", answer, "quantity")
    if quantity is None:
        raise RowInvalidError("orders.quantity", "the broker's answer has no quantity: ask for the order again")
    values = answers.given(
        id=answers.text(answer, "orderId"),
        account_type=account_type,
        correlation_id=answers.text(answer, "correlationId"),
        status=internal,
        order_status=word,
        side=(answers.text(answer, "transactionType") or "").upper(),
        product=answers.text(answer, "productType") or "",
        order_type=answers.text(answer, "orderType"),
        validity=answers.text(answer, "validity") or "DAY",
        security_id=answers.text(answer, "securityId"),
        exchange_segment=answers.text(answer, "exchangeSegment"),
        trading_symbol=answers.text(answer, "tradingSymbol"),
        quantity=quantity,
        disclosed_qty=answers.whole("orders.disclosed_qty", answer, "disclosedQuantity"),
        price=answers.money("orders.price", answer, "price"),
        trigger_price=answers.money("orders.trigger_price", answer, "triggerPrice"),
        traded_qty=answers.whole("orders.traded_qty", answer, "filledQty", "filled_qty"),
        remaining_qty=answers.whole("orders.remaining_qty", answer, "remainingQuantity"),
        avg_price=answers.money("orders.avg_price", answer, "averageTradedPrice"),
        bo_profit_value=_above_zero(answers.money("orders.bo_profit_value", answer, "boProfitValue")),
        bo_stop_loss_value=_above_zero(answers.money("orders.bo_stop_loss_value", answer, "boStopLossValue")),
        leg_type=answers.leg_type(answer),
        after_market_order=_flag(answer, "afterMarketOrder"),
        exchange_order_id=answers.text(answer, "exchangeOrderId"),
        exchange_time=answers.epoch_s(answer, "exchangeTime"),
        algo_id=answers.text(answer, "algoId"),
        drv_expiry_date=answers.epoch_s(answer, "drvExpiryDate"),
        drv_option_type=answers.option_type(answer),
        drv_strike_price=answers.strike("orders.drv_strike_price", answer),
        oms_error_code=answers.text(answer, "omsErrorCode"),
        oms_error_description=answers.text(answer, "omsErrorDescription"),
        created_at=created_s or updated_s or now_s,
        updated_at=updated_s or now_s,
        completed_at=(updated_s or now_s) if internal in TERMINAL_STATUSES else None,
        raw_response=answers.raw(answer),
    )
    return OrderRow(**values)


def _is_late(order: OrderRow, standing: OrderRow) -> bool:
    """An older message, overtaken on its way, must not make a finished order live again."""
    ended = standing.status.upper() in TERMINAL_STATUSES
    return ended and order.status not in TERMINAL_STATUSES and order.updated_at <= standing.updated_at


def _above_zero(value: Any) -> Any:
    # Zero means "no bracket" at the broker; as a number it would make a bracket order of every order.
    return value if value else None


def _flag(answer: Answer, key: str) -> bool | None:
    said = (answers.text(answer, key) or "").lower()
    return {"true": True, "1": True, "false": False, "0": False}.get(said)


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, default=str)
