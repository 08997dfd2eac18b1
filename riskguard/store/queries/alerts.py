"""The outbox: an alert's row, its repeats, what waits and what was sent."""

from __future__ import annotations

from riskguard.store.spelling import fixed, insert_into, param, prepare, sa, tables

alerts = tables.alerts.alerts

_a = alerts.c
ADD = insert_into(
    alerts, "account", "severity", "code", "message", "at_us", "dedupe_key", "once", "not_to", "is_logged", "earlier",
    "said_at_us", "last_at_us", ignore=True,
)  # fmt: skip
NEWEST = prepare(
    sa.select(_a.id, _a.said_at_us, _a.untold)
    .where(_a.account == param("account"), _a.dedupe_key == param("dedupe_key"))
    .order_by(_a.id.desc())
    .limit(fixed(1))
)
COUNT = prepare(
    sa.update(alerts)
    .where(_a.id == param("of_id"))
    .values(came_again=_a.came_again + 1, untold=_a.untold + 1, last_at_us=param("now_us"))
)
TOLD_ELSEWHERE = prepare(sa.update(alerts).where(_a.id == param("of_id")).values(untold=fixed(0)))
