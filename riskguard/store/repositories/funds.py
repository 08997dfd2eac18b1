"""Funds, as the broker reported them at one moment, and margins it computed."""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.errors import RowInvalidError
from riskguard.store.repositories import answers
from riskguard.store.repositories.answers import Answer
from riskguard.store.repositories.listed import ListRepository
from riskguard.store.rows.funds import FundsRow, MarginRequirementRow
from riskguard.store.tables.funds import margin_requirements

_m = margin_requirements.c


class FundsRepository(ListRepository):
    """Funds and margins, in rupees."""

    def save_funds_snapshot(self, funds: FundsRow, *, fetched_at_us: int | None = None, source: str = "program") -> int:
        """
        Write one funds answer with its header and return its number in `snapshots`; it replaces no other.

        *fetched_at_us* is when the broker was asked; left out, the row's own `snapshot_ts`. Raises RowInvalidError.
        """
        return self._save_list("funds", [funds], None, fetched_at_us, source)

    def save_funds_from_broker(
        self, account_type: str, answer: Answer, *, fetched_at_us: int | None = None, source: str = "sync"
    ) -> FundsRow:
        """Write Dhan's funds answer and return the row. Raises RowInvalidError without a balance: it is never 0."""
        now_us = self._database.clock.now_us() if fetched_at_us is None else fetched_at_us
        row = funds_from_answer(account_type, answer, now_us // 1_000_000)
        number = self.save_funds_snapshot(row, fetched_at_us=now_us, source=source)
        return row.model_copy(update={"snapshot_id": number})

    def get_latest_funds(self, account_type: str) -> FundsRow | None:
        """
        Return the newest funds of the account, or None; `snapshot_ts` says how old they are.

        Raises StoreError when the newest answer's row is missing.
        """
        found = self._latest_list(FundsRow, "funds", account_type)
        return found[-1] if found else None

    def save_margin_requirement(self, margin: MarginRequirementRow) -> int:
        """Write the margin computed for an order, placed or only asked about, and return its number."""
        return self._insert(margin)[0]

    def get_margin_requirements(
        self, account_type: str, order_id: str | None = None, limit: int = 100
    ) -> list[MarginRequirementRow]:
        """Return the account's margins, newest first; of one order, where *order_id* is given."""
        statement = sa.select(margin_requirements).where(_m.account_type == account_type)
        if order_id is not None:
            statement = statement.where(_m.order_id == order_id)
        statement = statement.order_by(_m.calculated_at.desc(), _m.id.desc())
        return self._rows(MarginRequirementRow, statement, limit)


def funds_from_answer(account_type: str, answer: Answer, at_s: int) -> FundsRow:
    """Return Dhan's funds answer as a row; the broker spells it `availabelBalance`. Raises RowInvalidError."""
    balance = answers.money("funds.available_balance", answer, "availabelBalance", "availableBalance")
    if balance is None:
        raise RowInvalidError("funds.available_balance", "the broker's answer has no balance: unknown is not zero")
    values = answers.given(
        sodLimit=answers.money("funds.sodLimit", answer, "sodLimit"),
        collateral=answers.money("funds.collateral", answer, "collateralAmount"),
        margin_used=answers.money("funds.margin_used", answer, "utilizedAmount"),
        withdrawable_balance=answers.money("funds.withdrawable_balance", answer, "withdrawableBalance"),
        raw_data=answers.raw(answer),
    )
    return FundsRow(snapshot_ts=at_s, account_type=account_type, available_balance=balance, **values)
