"""What proves the journal: its entries by their ends, what hangs on them, and what they claim of other tables."""

from __future__ import annotations

from typing import Final

from riskguard.store import permits as granted
from riskguard.store import violations as broken
from riskguard.store.journal import ACT_COLUMNS
from riskguard.store.spelling import Prepared, fixed, param, prepare, sa, tables

control_actions = tables.control.control_actions
control_changes = tables.control.control_changes
risk_violations = tables.control.risk_violations
traders_control = tables.control.traders_control
account_heads = tables.journal.account_heads
decisions = tables.journal.decisions
limit_sets = tables.journal.limit_sets
permits = tables.journal.permits
kill_runs = tables.runs.kill_runs

_a, _g, _t, _v = control_actions.c, control_changes.c, traders_control.c, risk_violations.c
_h, _d, _l, _p, _k = account_heads.c, decisions.c, limit_sets.c, permits.c, kill_runs.c

# -- chains and their ends --------------------------------------------------------------------------------------

HEADS = prepare(sa.select(_h.account, _h.sequence).order_by(_h.account))
NEXT_ACCOUNT = prepare(sa.select(sa.func.min(_d.account)).where(_d.account > param("after")))
ENDS = prepare(sa.select(sa.func.max(_d.sequence)).where(_d.account == param("account")))
TIME_AT = prepare(
    sa.select(_d.decided_at_us)
    .where(_d.account == param("account"), _d.sequence >= param("sequence"))
    .order_by(_d.sequence)
    .limit(fixed(1))
)
HASH_AT = prepare(sa.select(_d.hash).where(_d.account == param("account"), _d.sequence == param("sequence")))
SEALS = prepare(
    sa.select(_d.sequence, _d.hash, _d.mac, _d.body)
    .where(_d.account == param("account"), _d.sequence > param("after"), _d.kind == fixed("OVERRIDE"))
    .order_by(_d.sequence)
)

# -- what hangs on an entry -------------------------------------------------------------------------------------

FROM_ORDER: Final = ("exchange_segment", "security_id", "side", "product", "order_type", "strategy", "exit_group")
"""Columns of a permit that are what the order says, as it was approved."""
PERMIT_COLUMNS: Final = (
    "sequence", "client_order_id", "correlation_id", *FROM_ORDER, *granted.SAID, "granted_at_us", "expires_at_us",
)  # fmt: skip
"""Columns of a permit that an entry claims: all that the grant wrote."""

_COLUMNS = [_p[name] for name in PERMIT_COLUMNS]
_IN_PART = (
    _p.account == param("account"), _p.granted_at_us >= param("from_us"), _p.granted_at_us <= param("to_us"),
    _p.sequence >= param("first"), _p.sequence <= param("last"),
)  # fmt: skip
# As one text: to hand over a column takes a driver longer than the database takes to find it.
PERMITS = Prepared(
    sa.select(sa.func.json_group_array(sa.func.json_array(*_COLUMNS)), sa.func.group_concat(_p.correlation_id)).where(
        *_IN_PART
    ),
    sa.select(
        sa.cast(sa.func.json_agg(sa.func.json_build_array(*_COLUMNS)), sa.Text()),
        sa.func.string_agg(_p.correlation_id, fixed(",")),
    ).where(*_IN_PART),
)
PERMIT = prepare(
    sa.select(*_COLUMNS).where(_p.account == param("account"), _p.client_order_id == param("client_order_id"))
)
CHANGES = prepare(
    sa.select(_d.client_order_id, _d.body)
    .where(
        _d.account == param("account"), _d.sequence > param("after"), _d.kind == fixed("MODIFY"), _d.approved == fixed(1)
    )
    .order_by(_d.sequence)
)  # fmt: skip
FILLED = prepare(
    sa.select(_p.filled_quantity).where(_p.account == param("account"), _p.client_order_id == param("client_order_id"))
)
_VIOLATIONS = sa.select(_v.sequence, _v.id, *[_v[name] for name in broken.CLAIMED]).where(
    _v.account_type == param("account")
)
VIOLATIONS = prepare(
    _VIOLATIONS.where(
        _v.violated_at >= param("from_s"), _v.violated_at <= param("to_s"), _v.sequence >= param("first"),
        _v.sequence <= param("last"),
    )
)  # fmt: skip
OF_ENTRY = prepare(_VIOLATIONS.where(_v.sequence == param("sequence")).order_by(_v.id))

# -- what entries claim of other tables -------------------------------------------------------------------------

CHANGE_COLUMNS: Final = {
    "row": "id", "account": "account", "what": "what", "id": "control_id", "type": "control_type", "old": "old_values",
    "new": "new_values", "limit": "limit_id", "scope": "scope",
}  # fmt: skip
"""What an ADOPTED entry calls each column of `control_changes`."""
RUN_COLUMNS: Final = {
    "scope": "scope", "plan": "kill_plan", "cause": "cause", "by": "by_whom", "reason": "reason",
    "at_us": "started_at_us",
}  # fmt: skip
"""What a KILL entry calls each column of `kill_runs` it claims."""

ALL_ACTS = prepare(sa.select(_a.account, _a.sequence, *[_a[name] for name in ACT_COLUMNS]).order_by(_a.id))
ALL_CHANGES = prepare(sa.select(_g.is_adopted, *[_g[name] for name in CHANGE_COLUMNS.values()]).order_by(_g.id))
ALL_RUNS = prepare(
    sa.select(_k.id, _k.account, _k.kill_id, *[_k[name] for name in RUN_COLUMNS.values()])
    .where(_k.halts == fixed(1))
    .order_by(_k.id)
)
ALL_SETS = prepare(sa.select(_l.digest, _l.body).order_by(_l.digest))
LATCHES = prepare(
    sa.select(_t.account_type, _t.id, _t.kill_switch_status, _t.activated_by, _t.reason)
    .where(_t.is_active == fixed(1), _t.control_type == fixed("KILL_SWITCH"))
    .order_by(_t.id)
)
WAITING = prepare(sa.select(sa.func.count()).select_from(control_changes).where(_g.is_adopted == fixed(0)))

# -- what no entry stands behind --------------------------------------------------------------------------------

PERMITS_COUNTED = prepare(sa.select(sa.func.count()).select_from(permits).where(_p.account == param("account")))
_APPROVES = (
    _d.account == _p.account,
    _d.sequence == _p.sequence,
    _d.client_order_id == _p.client_order_id,
    _d.approved == fixed(1),
)
PERMIT_OF_NOBODY = prepare(
    sa.select(_p.sequence, _p.client_order_id)
    .where(_p.account == param("account"), sa.not_(sa.exists().where(*_APPROVES)))
    .order_by(_p.granted_at_us)
    .limit(fixed(1))
)
_OURS = (_v.account_type == param("account"), _v.sequence.is_not(None))
VIOLATIONS_COUNTED = prepare(sa.select(sa.func.count()).select_from(risk_violations).where(*_OURS))
UNCLAIMED = prepare(
    sa.select(sa.func.count())
    .select_from(risk_violations)
    .where(_v.account_type == param("account"), _v.sequence.is_(None))
)
VIOLATIONS_OF_ENTRIES = prepare(
    sa.select(_v.sequence, sa.func.count(), sa.func.max(_v.id))
    .where(*_OURS)
    .group_by(_v.sequence)
    .order_by(_v.sequence)
)
