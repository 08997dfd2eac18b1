"""Sweeps, readings, the day's book, standing causes and kill runs; to read. The services write them."""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.repositories.base import Repository
from riskguard.store.rows.live import LiveWatchRow
from riskguard.store.rows.runs import (
    DayBaselineRow,
    DayBookRow,
    KillRunRow,
    KillStepRow,
    LeaseRow,
    MarkRow,
    PnlReadingRow,
    StateCauseRow,
    SweepRow,
)
from riskguard.store.tables.live import live_watches
from riskguard.store.tables.runs import (
    day_baselines,
    day_books,
    kill_runs,
    kill_steps,
    leases,
    marks,
    pnl_readings,
    state_causes,
    sweeps,
)

_base, _book, _read, _watch = day_baselines.c, day_books.c, pnl_readings.c, live_watches.c


class RunRepository(Repository):
    """Money ending in `_e4` is whole 1/10000 rupees, times ending in `_us` microseconds UTC, dates are India's."""

    def get_day_baseline(self, account: str, session_date: str) -> DayBaselineRow | None:
        """Return where the day began, or None when no baseline was written."""
        mine = sa.and_(_base.account == account, _base.session_date == session_date)
        return self._row(DayBaselineRow, sa.select(day_baselines).where(mine))

    def get_day_book(self, account: str, session_date: str) -> list[DayBookRow]:
        """Return the day's running sums, one row per line of the book; net is start plus filled quantity."""
        mine = sa.and_(_book.account == account, _book.session_date == session_date)
        order = (_book.exchange_segment, _book.security_id, _book.product)
        return self._rows(DayBookRow, sa.select(day_books).where(mine).order_by(*order))

    def get_mark(self, exchange_segment: str, security_id: str) -> MarkRow | None:
        """Return the last quote of an instrument, however old, or None."""
        which = sa.and_(marks.c.exchange_segment == exchange_segment, marks.c.security_id == security_id)
        return self._row(MarkRow, sa.select(marks).where(which))

    def get_pnl_readings(self, account: str, session_date: str, limit: int = 100) -> list[PnlReadingRow]:
        """Return day P&L as sweeps measured it, newest first; None is unknown, never zero."""
        statement = sa.select(pnl_readings).where(_read.account == account, _read.session_date == session_date)
        return self._rows(PnlReadingRow, statement.order_by(_read.at_us.desc(), _read.id.desc()), limit)

    def get_live_watches(self, account: str) -> list[LiveWatchRow]:
        """Return what each live limit remembers, the newest period of each limit last."""
        statement = sa.select(live_watches).where(_watch.account == account)
        return self._rows(LiveWatchRow, statement.order_by(_watch.limit_id, _watch.period))

    def get_state_causes(self, account: str, *, standing_only: bool = True) -> list[StateCauseRow]:
        """Return why a scope is not ACTIVE, apart from the kill latch itself, oldest first."""
        statement = sa.select(state_causes).where(state_causes.c.account == account)
        if standing_only:
            statement = statement.where(state_causes.c.cleared_at_us.is_(None))
        return self._rows(StateCauseRow, statement.order_by(state_causes.c.id))

    def get_sweeps(self, account: str, kind: str | None = None, limit: int = 100) -> list[SweepRow]:
        """Return the account's sweeps, newest slot first."""
        statement = sa.select(sweeps).where(sweeps.c.account == account)
        if kind is not None:
            statement = statement.where(sweeps.c.kind == kind)
        return self._rows(SweepRow, statement.order_by(sweeps.c.started_at_us.desc(), sweeps.c.slot.desc()), limit)

    def get_leases(self) -> list[LeaseRow]:
        """Return who may run what, until when."""
        return self._rows(LeaseRow, sa.select(leases).order_by(leases.c.name))

    def get_kill_runs(
        self, account: str | None = None, *, open_only: bool = False, limit: int = 100
    ) -> list[KillRunRow]:
        """Return what followed each kill, newest first; *open_only*: those not DONE, the BLOCKED ones too."""
        statement = sa.select(kill_runs)
        if account is not None:
            statement = statement.where(kill_runs.c.account == account)
        if open_only:
            statement = statement.where(kill_runs.c.state != "DONE")
        return self._rows(KillRunRow, statement.order_by(kill_runs.c.id.desc()), limit)

    def get_kill_steps(self, run_id: int) -> list[KillStepRow]:
        """Return each broker write of a kill run, in its order."""
        return self._rows(
            KillStepRow, sa.select(kill_steps).where(kill_steps.c.run_id == run_id).order_by(kill_steps.c.id)
        )
