"""Orders that rest at the broker for days until a price triggers them."""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.repositories import answers
from riskguard.store.repositories.answers import Answer
from riskguard.store.repositories.base import Repository
from riskguard.store.rows.forever_orders import ForeverOrderRow
from riskguard.store.tables.forever_orders import forever_orders, live

_f = forever_orders.c


class ForeverOrderRepository(Repository):
    """Good-till-triggered orders, keyed by the broker's id; prices in rupees, quantities in units."""

    def save_forever_order(self, order: ForeverOrderRow) -> None:
        """Write *order*, or bring the one of its id up to date; columns it does not set stay. Raises RowInvalidError."""
        self._upsert(order, keep=("created_at", "correlation_id", "raw_request"), owner="account_type")

    def save_from_broker(self, account_type: str, answer: Answer) -> ForeverOrderRow:
        """
        Write one entry of Dhan's list and return the row as it stands.

        Both legs of an OCO share one id and come as two entries: the stop leg fills `price1`, `trigger_price1` and
        `quantity1` of the row the other leg began, and begins it when it comes first.
        """
        now_s = self._now_s()
        leg = answers.text(answer, "legName")
        price = answers.money("forever_orders.price", answer, "price")
        trigger = answers.money("forever_orders.trigger_price", answer, "triggerPrice")
        quantity = answers.whole("forever_orders.quantity", answer, "quantity")
        flag = answers.text(answer, "orderType", "orderFlag")
        with self._writing():
            standing = self.get_forever_order(answers.text(answer, "orderId") or "")
            is_second = flag == "OCO" and leg == "STOP_LOSS_LEG"
            prices = (
                answers.given(price1=price, trigger_price1=trigger, quantity1=quantity)
                if is_second
                else answers.given(price=price, trigger_price=trigger, leg_name=leg)
            )
            if is_second and standing is None:
                # Until the first leg is told the row must hold some quantity; both legs of an OCO close one position.
                prices["leg_name"] = leg
            row = ForeverOrderRow(
                **answers.given(
                    id=answers.text(answer, "orderId"), account_type=account_type, status=answers.status(answer)[1],
                    order_type=flag, correlation_id=answers.text(answer, "correlationId"),
                    security_id=answers.text(answer, "securityId"),
                    exchange_segment=answers.text(answer, "exchangeSegment"),
                    trading_symbol=answers.text(answer, "tradingSymbol"),
                    transaction_type=(answers.text(answer, "transactionType") or "").upper(),
                    product=answers.text(answer, "productType") or "",
                    quantity=standing.quantity if is_second and standing is not None else quantity,
                    created_at=answers.epoch_s(answer, "createTime") or now_s,
                    updated_at=answers.epoch_s(answer, "updateTime", "createTime") or now_s,
                    raw_response=answers.raw(answer), **prices,
                )
            )  # fmt: skip
            self.save_forever_order(row)
            found = self.get_forever_order(row.id)
        assert found is not None
        return found

    def get_forever_order(self, order_id: str) -> ForeverOrderRow | None:
        """Return the forever order of *order_id*, or None."""
        return self._row(ForeverOrderRow, sa.select(forever_orders).where(_f.id == order_id))

    def get_forever_orders(self, account_type: str, limit: int = 100) -> list[ForeverOrderRow]:
        """Return the account's forever orders, newest first, at most *limit*."""
        statement = sa.select(forever_orders).where(_f.account_type == account_type)
        return self._rows(ForeverOrderRow, statement.order_by(_f.created_at.desc(), _f.id.desc()), limit)

    def get_active_forever_orders(self, account_type: str | None = None) -> list[ForeverOrderRow]:
        """Return those that may still trigger: CONFIRM and unknown words too."""
        statement = sa.select(forever_orders).where(live(_f.status))
        if account_type is not None:
            statement = statement.where(_f.account_type == account_type)
        return self._rows(ForeverOrderRow, statement.order_by(_f.created_at.desc(), _f.id.desc()))

    def update_forever_order_status(self, order_id: str, status: str, triggered_order_id: str | None = None) -> bool:
        """Set the status, and the order that came of it; False when there is no such forever order."""
        now_s = self._now_s()
        changes = answers.given(triggered_order_id=triggered_order_id)
        if triggered_order_id is not None or status.upper() == "TRIGGERED":
            changes["triggered_at"] = now_s
        return self._update(ForeverOrderRow, _f.id == order_id, status=status, updated_at=now_s, **changes) > 0
