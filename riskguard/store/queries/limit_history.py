"""What orders, refusals and days say of a limit's size."""

from __future__ import annotations

from typing import Final

from riskguard.store.spelling import fixed, param, prepare, sa, tables

risk_violations = tables.control.risk_violations
decisions = tables.journal.decisions
limit_days, pnl_readings = tables.runs.limit_days, tables.runs.pnl_readings
trades = tables.statements.trades

CHUNK: Final = 500
_d, _v, _n, _r = decisions.c, risk_violations.c, limit_days.c, pnl_readings.c
OLDER = prepare(
    sa.select(_d.sequence, _d.kind, _d.approved, _d.decided_at_us, _d.body)
    .where(_d.account == param("account"), _d.sequence < param("before"))
    .order_by(_d.sequence.desc())
    .limit(fixed(CHUNK))
)
REFUSED = prepare(
    sa.select(_v.limit_id, sa.func.count())
    .where(_v.account_type == param("account"), _v.violated_at >= param("since_s"), _v.limit_id.is_not(None))
    .group_by(_v.limit_id)
)
NEAR = prepare(
    sa.select(_n.limit_id, sa.func.sum(_n.near_misses))
    .where(_n.account == param("account"), _n.session_date >= param("since_date"))
    .group_by(_n.limit_id)
)
LOWEST = prepare(
    sa.select(_r.session_date, sa.func.min(_r.day_pnl_e4))
    .where(
        _r.account == param("account"), _r.session_date >= param("since_date"), _r.day_pnl_e4.is_not(None),
        _r.fresh_marks == fixed(1),
    )
    .group_by(_r.session_date)
)  # fmt: skip
TRADES = prepare(
    sa.select(sa.func.count())
    .select_from(trades)
    .where(trades.c.account_type == param("account"), trades.c.trade_ts >= param("since_s"))
)
