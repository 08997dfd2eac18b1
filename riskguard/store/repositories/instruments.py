"""The instrument master: lot, tick and contract facts."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from riskguard.errors import RowInvalidError
from riskguard.store.repositories.base import Repository
from riskguard.store.rows.instruments import InstrumentRow
from riskguard.store.tables.instruments import instruments

_i = instruments.c


class InstrumentRepository(Repository):
    """Instruments, keyed by security id and exchange segment: one number is two securities in two segments."""

    def save_instrument(self, instrument: InstrumentRow) -> None:
        """Write *instrument*, or bring it up to date; columns it does not set stay. Raises RowInvalidError."""
        self._upsert(instrument)

    def save_instruments(self, rows: Iterable[InstrumentRow]) -> int:
        """Write many, all or none, and return how many. It holds the write lock: give a master in parts of 1,000."""
        count = 0
        with self._writing():
            for row in rows:
                self._upsert(row)
                count += 1
        return count

    def get_instrument(self, security_id: str, exchange_segment: str | None = None) -> InstrumentRow | None:
        """
        Return the instrument, or None.

        Raises RowInvalidError when *exchange_segment* is left out and several segments have that number.
        """
        statement = sa.select(instruments).where(_i.security_id == security_id)
        if exchange_segment is not None:
            return self._row(InstrumentRow, statement.where(_i.exchange_segment == exchange_segment))
        found = self._rows(InstrumentRow, statement.order_by(_i.exchange_segment), 10)
        if len(found) > 1:
            segments = ", ".join(row.exchange_segment for row in found)
            raise RowInvalidError("instruments.security_id", f"is in {segments}: name the segment", value=security_id)
        return found[0] if found else None

    def find_instruments(
        self, symbol: str, exchange_segment: str | None = None, limit: int = 100
    ) -> list[InstrumentRow]:
        """Return instruments whose symbol or trading symbol is *symbol*, nearest expiry first."""
        statement = sa.select(instruments).where(sa.or_(_i.symbol == symbol, _i.trading_symbol == symbol))
        if exchange_segment is not None:
            statement = statement.where(_i.exchange_segment == exchange_segment)
        return self._rows(InstrumentRow, statement.order_by(_i.expiry_date, _i.security_id, _i.exchange_segment), limit)
