"""What `riskguard status` and `violations` show of an account."""

from __future__ import annotations

from riskguard.store.spelling import fixed, param, prepare, sa, tables

risk_violations = tables.control.risk_violations
decisions = tables.journal.decisions
pnl_readings = tables.runs.pnl_readings

_v = risk_violations.c
VIOLATIONS = prepare(
    sa.select(risk_violations)
    .where(
        _v.violated_at >= param("since_s"),
        sa.or_(param("account", sa.Text()).is_(None), _v.account_type == param("account")),
    )
    .order_by(_v.id.desc())
    .limit(param("most"))
)
_d = decisions.c
BY_CLIENT_ID = prepare(
    sa.select(_d.account, _d.sequence, _d.approved, _d.body)
    .where(
        _d.client_order_id == param("client_order_id"),
        sa.or_(param("account", sa.Text()).is_(None), _d.account == param("account")),
    )
    .order_by(_d.account)
)
_r = pnl_readings.c
LAST_READING = prepare(
    sa.select(_r.session_date, _r.at_us, _r.day_pnl_e4)
    .where(_r.account == param("account"))
    .order_by(_r.session_date.desc(), _r.at_us.desc())
    .limit(fixed(1))
)
