"""
Every check the sweep asks, one file each, in order of precedence: what halts for good before what clears itself.

`daily_loss` is asked of orders too, so that its parameters stand in `core/checks`; its live half is here, and
`core.checks.LIVE_CHECKS` puts it in front. To add one: write its file (parameters, `judge`, `CHECK`), put it in
`LIVE_ONLY` where it belongs, give it table tests on both sides of its edge, and name it in the rulebooks.
"""

from __future__ import annotations

from typing import Final

from riskguard.core.limits import Check
from riskguard.core.live import (
    broker_health,
    bypass_after_kill,
    cooldown,
    drawdown,
    expiry_day,
    feed_health,
    group_loss,
    ip_allowed,
    leader_halt,
    loss_streak,
    margin_utilisation,
    monthly_loss,
    orphan_follower,
    orphan_leg,
    pnl_divergence,
    position_loss,
    profit_lock,
    profit_target,
    protective_order_missing,
    reconciliation,
    square_off_time,
    token_expiry,
    trades_per_day,
    unsolicited_order,
    weekly_loss,
)

LIVE_ONLY: Final[tuple[Check, ...]] = (
    bypass_after_kill.CHECK,
    weekly_loss.CHECK,
    monthly_loss.CHECK,
    drawdown.CHECK,
    group_loss.CHECK,
    profit_lock.CHECK,
    profit_target.CHECK,
    position_loss.CHECK,
    reconciliation.CHECK,
    unsolicited_order.CHECK,
    pnl_divergence.CHECK,
    ip_allowed.CHECK,
    token_expiry.CHECK,
    broker_health.CHECK,
    feed_health.CHECK,
    margin_utilisation.CHECK,
    square_off_time.CHECK,
    expiry_day.CHECK,
    orphan_leg.CHECK,
    orphan_follower.CHECK,
    leader_halt.CHECK,
    protective_order_missing.CHECK,
    loss_streak.CHECK,
    cooldown.CHECK,
    trades_per_day.CHECK,
)
