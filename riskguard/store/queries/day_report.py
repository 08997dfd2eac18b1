"""What a report reads: one statement per section, each over one account's session."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from riskguard.store.session import GLOBAL
from riskguard.store.statements import fixed, param, prepare
from riskguard.store.tables.control import control_actions, risk_violations
from riskguard.store.tables.instruments import instruments
from riskguard.store.tables.journal import decisions, permits, refusal_repeats
from riskguard.store.tables.orders import orders
from riskguard.store.tables.runs import day_baselines, day_books, kill_runs, kill_steps, limit_days, pnl_readings
from riskguard.store.tables.settlement import day_charges

_r, _l, _d, _p, _v = pnl_readings.c, limit_days.c, decisions.c, permits.c, risk_violations.c
_rep, _o, _k, _s, _c, _b, _i = (
    refusal_repeats.c, orders.c, kill_runs.c, kill_steps.c, control_actions.c, day_books.c, instruments.c,
)  # fmt: skip


def _of_day(column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    return sa.and_(column >= param("from_us"), column < param("to_us"))


READINGS = prepare(
    sa.select(_r.at_us, _r.day_pnl_e4, _r.charges_e4, _r.fresh_marks, _r.detail)
    .where(_r.account == param("account"), _r.session_date == param("session_date"))
    .order_by(_r.at_us, _r.id)
)
LIMIT_DAYS = prepare(
    sa.select(
        _l.limit_id, _l.check_name, _l.peak_pct_e2, _l.peak, _l.approved, _l.near_misses, _l.warned_pct
    )
    .where(_l.account == param("account"), _l.session_date == param("session_date"))
    .order_by(_l.peak_pct_e2.desc(), _l.limit_id)
)  # fmt: skip
DECIDED = prepare(
    sa.select(_d.approved, sa.func.count())
    .where(_d.account == param("account"), _d.kind.in_((fixed("ORDER"), fixed("MODIFY"))), _of_day(_d.decided_at_us))
    .group_by(_d.approved)
)
LAST_ORDER = prepare(
    sa.select(_d.body)
    .where(_d.account == param("account"), _d.kind == fixed("ORDER"), _of_day(_d.decided_at_us))
    .order_by(_d.sequence.desc())
    .limit(fixed(1))
)
OUTCOMES = prepare(
    sa.select(_p.state, sa.func.count())
    .where(_p.account == param("account"), _of_day(_p.granted_at_us))
    .group_by(_p.state)
    .order_by(sa.func.count().desc(), _p.state)
)
AT_BROKER = prepare(
    sa.select(_o.status, sa.func.count())
    .where(_o.account_type == param("account"), _o.created_at >= param("from_s"), _o.created_at < param("to_s"))
    .group_by(_o.status)
    .order_by(sa.func.count().desc(), _o.status)
)
_MINE = (
    _v.account_type == param("account"), _v.violated_at >= param("from_s"), _v.violated_at < param("to_s"),
)  # fmt: skip
VIOLATIONS = prepare(
    sa.select(
        _v.id, sa.func.coalesce(_v.violated_at_us, _v.violated_at * fixed(1_000_000)),
        sa.func.coalesce(_v.code, _v.violation_type), _v.limit_id, _v.measured, _v.limit_text, _v.unit, _v.action_taken,
        _v.detail, _v.strategy,
    )
    .where(*_MINE)
    .order_by(_v.id)
)  # fmt: skip
REPEATS = prepare(
    sa.select(_rep.violation_id, sa.func.sum(_rep.repeats))
    .where(_rep.account == param("account"), _of_day(_rep.at_us))
    .group_by(_rep.violation_id)
)
KILLS = prepare(
    sa.select(
        _k.id, _k.kill_id, _k.scope, _k.halts, _k.kill_plan, _k.cause, _k.by_whom, _k.reason, _k.started_at_us,
        _k.ended_at_us, _k.state, _k.step, _k.detail,
    )
    .where(_k.account == param("account"), _of_day(_k.started_at_us))
    .order_by(_k.id)
)  # fmt: skip
STEPS = prepare(
    sa.select(_s.at_us, _s.step, _s.round, _s.target, _s.state, _s.detail, _s.read_back)
    .where(_s.run_id == param("run_id"))
    .order_by(_s.id)
)
RELEASES = prepare(
    sa.select(_c.at_us, _c.kind, _c.by_whom, _c.reason)
    .where(
        sa.or_(_c.account == param("account"), _c.account == fixed(GLOBAL)),
        _c.kind.in_((fixed("RELEASE"), fixed("OVERRIDE"), fixed("APPLY"))), _of_day(_c.at_us),
    )
    .order_by(_c.id)
)  # fmt: skip
BOOK = prepare(
    sa.select(
        _b.exchange_segment, _b.security_id, sa.func.coalesce(_i.trading_symbol, _i.symbol, fixed("")), _b.product,
        _b.start_quantity, _b.bought, _b.sold, _b.start_quantity + _b.filled_quantity, _b.buy_value_e4, _b.sell_value_e4,
        _b.fills,
    )
    .join(
        instruments,
        sa.and_(_i.exchange_segment == _b.exchange_segment, _i.security_id == _b.security_id),
        isouter=True,
    )
    .where(_b.account == param("account"), _b.session_date == param("session_date"))
    .order_by(_b.exchange_segment, _b.security_id, _b.product)
)  # fmt: skip
EQUITY = prepare(
    sa.select(day_baselines.c.opening_equity_e4).where(
        day_baselines.c.account == param("account"), day_baselines.c.session_date == param("session_date")
    )
)
CHARGE_LINES: Final = tuple(
    name
    for name in [each.name for each in day_charges.columns]
    if name.endswith("_e4") and name not in ("turnover_e4", "total_e4", "dp_e4")
)
CHARGES = prepare(
    sa.select(day_charges.c.exchange_segment, day_charges.c.doubts, *(day_charges.c[name] for name in CHARGE_LINES))
    .where(day_charges.c.account == param("account"), day_charges.c.session_date == param("session_date"))
    .order_by(day_charges.c.exchange_segment)
)
