"""Legs of bracket and super orders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from riskguard.store.repositories import answers
from riskguard.store.repositories.answers import Answer
from riskguard.store.repositories.base import Repository
from riskguard.store.rows.super_orders import BracketOrderLegRow
from riskguard.store.tables.orders import live
from riskguard.store.tables.super_orders import bracket_order_legs

_KEY = ("parent_order_id", "account_type", "leg_order_id")
_l = bracket_order_legs.c


class SuperOrderRepository(Repository):
    """Entry, target and stop legs under their parent's order id. An unknown status is a live leg."""

    def save_bracket_order_leg(self, leg_data: BracketOrderLegRow | Mapping[str, Any]) -> int:
        """
        Write a leg, or bring it up to date, and return its number; times left out of a mapping are now.

        Raises RowInvalidError (a key that is no column, a leg type other than ENTRY, TARGET, SL).
        """
        leg = leg_data if isinstance(leg_data, BracketOrderLegRow) else self._row_of(leg_data)
        with self._writing():
            self._upsert(leg, key=_KEY, keep=("created_at",))
            which = sa.and_(*(_l[name] == getattr(leg, name) for name in _KEY))
            return int(self._value(sa.select(_l.id).where(which)))

    def _row_of(self, data: Mapping[str, Any]) -> BracketOrderLegRow:
        now_s = self._now_s()
        return BracketOrderLegRow(**{"created_at": now_s, "updated_at": now_s, **data})

    def save_from_broker(self, account_type: str, answer: Answer) -> list[BracketOrderLegRow]:
        """
        Write the legs of one entry of Dhan's super order list and return them.

        The entry is a leg of itself. Where the broker gives every leg the parent's id, the later leg would
        replace the earlier: such a leg is kept as `<parent>:<leg>`, so that none is lost.
        """
        parent = answers.text(answer, "orderId") or ""
        now_s = self._now_s()
        legs = [answer, *(answer.get("legDetails") or ())]
        with self._writing():
            for leg in legs:
                kind = answers.leg_type(leg) or ("ENTRY" if leg is answer else "")
                own = answers.text(leg, "orderId") or parent
                row = BracketOrderLegRow(
                    parent_order_id=parent, account_type=account_type, leg_type=kind,
                    leg_order_id=f"{parent}:{kind}" if own == parent and leg is not answer else own,
                    status=answers.status(leg)[0], created_at=answers.epoch_s(answer, "createTime") or now_s,
                    updated_at=answers.epoch_s(answer, "updateTime") or now_s,
                )  # fmt: skip
                self.save_bracket_order_leg(row)
            mine = sa.and_(_l.parent_order_id == parent, _l.account_type == account_type)
            return self._rows(
                BracketOrderLegRow, sa.select(bracket_order_legs).where(mine).order_by(_l.created_at, _l.id)
            )

    def get_bracket_order_legs(self, parent_order_id: str) -> list[BracketOrderLegRow]:
        """Return the legs of a parent order, oldest first."""
        statement = sa.select(bracket_order_legs).where(_l.parent_order_id == parent_order_id)
        return self._rows(BracketOrderLegRow, statement.order_by(_l.created_at, _l.id))

    def get_live_legs(self, account_type: str) -> list[BracketOrderLegRow]:
        """Return every leg of the account whose own status is not known to be terminal."""
        mine = sa.and_(_l.account_type == account_type, live(sa.func.coalesce(_l.status, "")))
        return self._rows(BracketOrderLegRow, sa.select(bracket_order_legs).where(mine).order_by(_l.created_at, _l.id))

    def update_bracket_order_leg_status(self, leg_id: int | str, status: str) -> bool:
        """Set a leg's status; *leg_id* is its number, or the leg's order id. False when there is no such leg."""
        which = _l.leg_order_id == leg_id if isinstance(leg_id, str) else _l.id == leg_id
        return self._update(BracketOrderLegRow, which, status=status, updated_at=self._now_s()) > 0
