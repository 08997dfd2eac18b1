"""What the doctor asks of the database's own tables."""

from __future__ import annotations

from riskguard.core.terms import CASH_SEGMENTS
from riskguard.store.spelling import param, prepare, sa, tables

instruments = tables.instruments.instruments
positions = tables.portfolio.positions
day_books, sweeps = tables.runs.day_books, tables.runs.sweeps
snapshots = tables.snapshots.snapshots

HAS_DERIVATIVES = prepare(
    sa.select(sa.literal_column("1"))
    .where(instruments.c.exchange_segment.not_in([*sorted(CASH_SEGMENTS), "IDX_I"]))
    .limit(1)
)
TRADED = prepare(sa.select(day_books.c.exchange_segment).where(day_books.c.session_date >= param("since")).distinct())
_i = instruments.c
NEWEST = prepare(sa.select(_i.exchange_segment, sa.func.max(_i.updated_at)).group_by(_i.exchange_segment))
_b, _p, _s = day_books.c, positions.c, snapshots.c
_newest_list = (
    sa.select(_s.id)
    .where(_s.account == param("account"), _s.kind == sa.literal_column("'positions'"))
    .order_by(_s.fetched_at_us.desc(), _s.id.desc())
    .limit(1)
    .scalar_subquery()
)
HELD = prepare(
    sa.union(
        sa.select(_b.exchange_segment, _b.security_id).where(
            _b.account == param("account"),
            _b.session_date == param("today"),
            _b.start_quantity + _b.filled_quantity != 0,
        ),
        sa.select(_p.exchange_segment, _p.security_id).where(_p.snapshot_id == _newest_list, _p.net_qty != 0),
    )
)
ROW = prepare(
    sa.select(_i.trading_symbol, _i.expiry_date, _i.updated_at, _i.lot_size).where(
        _i.exchange_segment == param("exchange_segment"), _i.security_id == param("security_id")
    )
)
_w = sweeps.c
LAST_SWEEP = prepare(
    sa.select(_w.finished_at_us, _w.interval_us)
    .where(_w.account == param("account"), _w.kind == sa.literal_column("'daily_loss'"), _w.finished_at_us.is_not(None))
    .order_by(_w.finished_at_us.desc())
    .limit(1)
)
