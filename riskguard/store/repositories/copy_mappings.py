"""Which follower order copies which leader order."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from riskguard.errors import RowInvalidError
from riskguard.store.repositories.base import Repository
from riskguard.store.rows.copy_trading import CopyMappingRow
from riskguard.store.tables.copy_trading import copy_mappings

_KEY = ("leader_order_id", "follower_account")
_c = copy_mappings.c


class CopyMappingRepository(Repository):
    """One mapping per leader order and follower account; the orders themselves need no row."""

    def save_copy_mapping(self, mapping: CopyMappingRow) -> int:
        """
        Write *mapping*, or bring the one of its leader order and follower up to date, and return its number.

        Raises RowInvalidError, RowRefusedError (the follower order copies another order already).
        """
        values = {name: getattr(mapping, name) for name in mapping.model_fields_set - {"id"}}
        mapping = CopyMappingRow(**{**values, "follower_account": mapping.follower_account})
        with self._writing():
            self._upsert(mapping, key=_KEY, keep=("created_at",))
            which = sa.and_(*(_c[name] == getattr(mapping, name) for name in _KEY))
            return int(self._value(sa.select(_c.id).where(which)))

    def get_copy_mapping_by_leader(
        self, leader_order_id: str, follower_account: str | None = None
    ) -> CopyMappingRow | None:
        """
        Return the mapping of a leader order to *follower_account*, or None.

        Raises RowInvalidError when the follower is left out and there are several: the caller would take one
        follower's copy for another's.
        """
        found = self.get_copy_mappings(leader_order_id)
        if follower_account is not None:
            found = [row for row in found if row.follower_account == follower_account]
        if len(found) > 1:
            raise self._several(leader_order_id, found)
        return found[0] if found else None

    def get_copy_mappings(self, leader_order_id: str) -> list[CopyMappingRow]:
        """Return the mappings of a leader order to all its followers, oldest first."""
        return self._rows(
            CopyMappingRow, sa.select(copy_mappings).where(_c.leader_order_id == leader_order_id).order_by(_c.id)
        )

    def get_copy_mapping_by_follower(self, follower_order_id: str) -> CopyMappingRow | None:
        """Return the mapping whose copy is *follower_order_id*, or None."""
        return self._row(CopyMappingRow, sa.select(copy_mappings).where(_c.follower_order_id == follower_order_id))

    def update_copy_mapping_status(
        self, leader_order_id: str, status: str, follower_order_id: str | None = None, error_message: str | None = None,
        *, follower_account: str | None = None,
    ) -> bool:  # fmt: skip
        """
        Set how far a copy has come: pending, placed, failed, cancelled. False when there is no such mapping.

        What is None stays as it was. Raises RowInvalidError when *follower_account* is left out and there are
        several followers.
        """
        changes: dict[str, Any] = {"status": status, "updated_at": self._now_s()}
        if follower_order_id is not None:
            changes["follower_order_id"] = follower_order_id
        if error_message is not None:
            changes["error_message"] = error_message
        with self._writing():
            found = self.get_copy_mapping_by_leader(leader_order_id, follower_account)
            return found is not None and self._update(CopyMappingRow, _c.id == found.id, **changes) > 0

    @staticmethod
    def _several(leader_order_id: str, found: list[CopyMappingRow]) -> RowInvalidError:
        named = ", ".join(row.follower_account or "(none)" for row in found)
        return RowInvalidError(
            "copy_mappings.leader_order_id", f"has followers {named}: name follower_account", value=leader_order_id
        )
