"""What the doctor counts of limits: breaches, use, and what feeds them."""

from __future__ import annotations

from riskguard.store.spelling import fixed, param, prepare, sa, tables

risk_violations = tables.control.risk_violations
funds, margin_requirements = tables.funds.funds, tables.funds.margin_requirements
permits = tables.journal.permits
day_baselines, limit_days, marks = tables.runs.day_baselines, tables.runs.limit_days, tables.runs.marks
trades = tables.statements.trades

_n, _v, _m, _f, _q = limit_days.c, risk_violations.c, marks.c, funds.c, margin_requirements.c
USED = prepare(
    sa.select(_n.limit_id, _n.session_date, _n.approved, _n.peak_pct_e2, _n.peak).where(
        _n.account == param("account"), _n.session_date >= param("since_date")
    )
)
BREACHES = prepare(
    sa.select(_v.limit_id, _v.violated_at).where(
        _v.account_type == param("account"), _v.violated_at >= param("since_s"), _v.limit_id.is_not(None)
    )
)
NEWEST_MARK = prepare(sa.select(sa.func.max(_m.at_us)))
NEWEST_FUNDS = prepare(sa.select(sa.func.max(_f.snapshot_ts)).where(_f.account_type == param("account")))
NEWEST_MARGIN = prepare(sa.select(sa.func.max(_q.calculated_at)).where(_q.account_type == param("account")))
EQUITY = prepare(
    sa.select(day_baselines.c.opening_equity_e4)
    .where(day_baselines.c.account == param("account"))
    .order_by(day_baselines.c.session_date.desc())
    .limit(fixed(1))
)
SENT = prepare(
    sa.select(sa.func.count())
    .select_from(permits)
    .where(
        permits.c.account == param("account"), permits.c.granted_at_us >= param("since_us"), permits.c.sent_at_us.is_not(None)
    )
)  # fmt: skip
TRADED = prepare(
    sa.select(sa.func.count())
    .select_from(trades)
    .where(trades.c.account_type == param("account"), trades.c.trade_ts >= param("since_s"))
)
