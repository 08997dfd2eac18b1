"""Alerts and deliveries as a person reads them."""

from __future__ import annotations

from typing import Final

from riskguard.store.spelling import fixed, param, prepare, sa, tables

alert_channels = tables.alerts.alert_channels
alert_deliveries = tables.alerts.alert_deliveries
alerts = tables.alerts.alerts

_a, _d, _c = alerts.c, alert_deliveries.c, alert_channels.c
FIELDS: Final = ("id", "account", "severity", "code", "message", "at_us", "came_again", "last_at_us", "queued_at_us")
_WANTED = sa.and_(
    _a.at_us >= param("since_us"), _a.at_us < param("until_us"),
    sa.or_(param("account", sa.Text()).is_(None), _a.account == param("account"), _a.account == fixed("GLOBAL")),
)  # fmt: skip
COUNT = prepare(sa.select(sa.func.count()).where(_WANTED))
ALERTS = prepare(
    sa.select(*(_a[name] for name in FIELDS))
    .where(_WANTED)
    .order_by(_a.id.desc())
    .limit(param("most"))
)  # fmt: skip
DELIVERIES = prepare(
    sa.select(_d.alert_id, _d.channel, _d.part, _d.state, _d.attempts, _d.sent_at_us, _d.last_error)
    .where(_d.alert_id >= param("low"), _d.alert_id <= param("high"))
    .order_by(_d.id)
)
CHANNELS = prepare(sa.select(_c.name).order_by(_c.name))
LAST_SENT = prepare(sa.select(_d.channel, sa.func.max(_d.sent_at_us)).group_by(_d.channel))
STUCK = prepare(
    sa.select(_d.channel, _d.state, sa.func.count(), sa.func.max(_d.last_error))
    .join(alerts, _a.id == _d.alert_id)
    .where(
        sa.or_(
            sa.and_(_d.state.in_((fixed("WAITING"), fixed("SENDING"))), _a.at_us < param("late_us")),
            sa.and_(_d.state == fixed("GIVEN_UP"), _d.next_at_us >= param("day_us")),
        )
    )
    .group_by(_d.channel, _d.state)
)
UNSENT = prepare(sa.select(sa.func.count()).where(_a.queued_at_us.is_(None), _a.at_us < param("late_us")))
