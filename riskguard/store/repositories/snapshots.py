"""Headers of the lists fetched from the broker, and rows an upgrade could not carry over; to read."""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.repositories.base import Repository
from riskguard.store.rows.quarantine import QuarantineRow
from riskguard.store.rows.snapshots import SnapshotRow
from riskguard.store.tables.quarantine import quarantine
from riskguard.store.tables.snapshots import snapshots

_s = snapshots.c


class SnapshotRepository(Repository):
    """A complete header without rows means "nothing there"; no header means "nobody looked"."""

    def get_latest_snapshot(self, account: str, kind: str) -> SnapshotRow | None:
        """Return the newest complete header of *kind* (positions, holdings, funds, orders, trades), or None."""
        wanted = sa.and_(_s.account == account, _s.kind == kind, _s.complete == 1)
        statement = sa.select(snapshots).where(wanted)
        return self._row(SnapshotRow, statement.order_by(_s.fetched_at_us.desc(), _s.id.desc()))

    def get_snapshots(self, account: str, kind: str, limit: int = 100) -> list[SnapshotRow]:
        """Return headers of *kind*, newest first, incomplete ones too."""
        statement = sa.select(snapshots).where(_s.account == account, _s.kind == kind)
        return self._rows(SnapshotRow, statement.order_by(_s.fetched_at_us.desc(), _s.id.desc()), limit)

    def get_quarantined(self, source_table: str | None = None, limit: int = 1000) -> list[QuarantineRow]:
        """Return what an upgrade could not carry over as it was, oldest first; `in_table` rows came over changed."""
        statement = sa.select(quarantine)
        if source_table is not None:
            statement = statement.where(quarantine.c.source_table == source_table)
        return self._rows(QuarantineRow, statement.order_by(quarantine.c.id), limit)
