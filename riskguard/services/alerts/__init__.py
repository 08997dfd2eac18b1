"""
Alerts: what people are told, within seconds, whatever else happens.

    alerts.write(session, account, "warning", "…", now_us)   # in the caller's transaction: a crash loses none
    OutboxAlerts(url).tell(account, "critical", "…")         # from anywhere: never blocks, never raises

Either way a row of `alerts` comes first; the dispatcher of `riskguard run` sends from the rows.
"""

from __future__ import annotations

from riskguard.services.alerts.outbox import OutboxAlerts, write

__all__ = ["OutboxAlerts", "write"]
