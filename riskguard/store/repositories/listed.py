"""Lists as the broker gave them at one moment: written whole with a header, read whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from riskguard.errors import RowInvalidError, StoreError
from riskguard.store.repositories.base import Repository
from riskguard.store.rows.funds import FundsRow
from riskguard.store.rows.portfolio import HoldingRow, PositionRow
from riskguard.store.rows.snapshots import SnapshotRow
from riskguard.store.tables import metadata
from riskguard.store.tables.snapshots import snapshots

Listed = TypeVar("Listed", PositionRow, HoldingRow, FundsRow)
AHEAD_S_MAX = 300
"""A list from the future would be the newest until then, and hide every true one."""
_s = snapshots.c


class ListRepository(Repository):
    """What positions, holdings and funds have in common."""

    def _save_list(
        self, kind: str, rows: Sequence[Listed], account: str | None, fetched_at_us: int | None, source: str
    ) -> int:
        """Write *rows* under a header of their own and return its number; all of it or nothing."""
        account = self._account_of(kind, rows, account)
        now_us = self._database.clock.now_us()
        if fetched_at_us is None:
            times = {row.snapshot_ts for row in rows}
            if len(times) > 1:
                raise RowInvalidError(f"{kind}.snapshot_ts", "differs within one list: give each list its own call")
            fetched_at_us = times.pop() * 1_000_000 if times else now_us
        if fetched_at_us > now_us + AHEAD_S_MAX * 1_000_000:
            raise RowInvalidError(
                f"{kind}.snapshot_ts", "lies in the future: microseconds UTC of the answer", value=fetched_at_us
            )
        header = SnapshotRow(
            account=account, kind=kind, fetched_at_us=fetched_at_us, complete=True, row_count=len(rows), source=source
        )
        with self._writing():
            number, _ = self._insert(header)
            ours = {"snapshot_id": number, "snapshot_ts": fetched_at_us // 1_000_000}
            self._add_all([row.model_copy(update=ours) for row in rows])
        return number

    @staticmethod
    def _account_of(kind: str, rows: Sequence[Listed], account: str | None) -> str:
        named = {row.account_type for row in rows} | ({account} if account is not None else set())
        if not named:
            raise RowInvalidError(f"{kind}.account_type", "an empty list says somebody has nothing: name the account")
        if len(named) > 1:
            raise RowInvalidError(f"{kind}.account_type", "one list is of one account", value=sorted(named))
        return named.pop()

    def _latest_list(self, made_of: type[Listed], kind: str, account: str) -> list[Listed] | None:
        """
        Return the account's newest list, or None when nobody looked.

        Rows without a header, of a version 3 program, stand only where they are newer than every header.
        Raises StoreError when rows of the newest list are missing: what is left of it would be a wrong answer.
        """
        table = metadata.tables[made_of.TABLE]
        c = table.c
        newest = sa.select(_s.id, _s.fetched_at_us, _s.row_count).where(
            _s.account == account, _s.kind == kind, _s.complete == 1
        )
        bare = sa.select(sa.func.max(c.snapshot_ts)).where(c.snapshot_id == 0, c.account_type == account)
        order = list(table.primary_key.columns)
        with self._reading() as connection:
            header = connection.execute(newest.order_by(_s.fetched_at_us.desc(), _s.id.desc()).limit(1)).first()
            bare_ts: Any = connection.execute(bare).scalar()
            if bare_ts is not None and (header is None or bare_ts * 1_000_000 > header.fetched_at_us):
                header, which = None, sa.and_(c.snapshot_id == 0, c.snapshot_ts == bare_ts)
            elif header is not None:
                which = c.snapshot_id == header.id
            else:
                return None
            found = self._rows(made_of, sa.select(table).where(which, c.account_type == account).order_by(*order))
            if header is not None and len(found) < header.row_count:
                raise StoreError(
                    f"{kind} list {header.id} of `{account}` has {len(found)} of {header.row_count} rows: fetch it again"
                )
        return found
