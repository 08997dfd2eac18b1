"""How near orders came to their limits, day by day."""

from __future__ import annotations

from riskguard.store.spelling import fixed, insert_into, param, prepare, sa, tables

decisions = tables.journal.decisions
limit_days = tables.runs.limit_days

_d, _n = decisions.c, limit_days.c
APPROVED = prepare(
    sa.select(_d.sequence, _d.decided_at_us, _d.body)
    .where(
        _d.account == param("account"), _d.sequence > param("after"), _d.approved == fixed(1),
        _d.decided_at_us >= param("since_us"), _d.kind.in_([fixed("ORDER"), fixed("MODIFY")]),
    )
    .order_by(_d.sequence)
    .limit(param("most"))
)  # fmt: skip
COUNTED = prepare(
    sa.select(sa.func.max(_n.to_sequence)).where(
        _n.account == param("account"), _n.session_date == param("session_date")
    )
)
DAY = prepare(
    sa.select(_n.limit_id, _n.approved, _n.near_misses, _n.peak_pct_e2, _n.peak, _n.warned_pct).where(
        _n.account == param("account"), _n.session_date == param("session_date")
    )
)
SAVE = insert_into(
    limit_days, "account", "session_date", "limit_id", "check_name", "approved", "near_misses", "peak_pct_e2", "peak",
    "warned_pct", "to_sequence", replace=True,
)  # fmt: skip
