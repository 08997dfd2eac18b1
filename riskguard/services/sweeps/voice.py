"""How a sweep tells people: with an outbox in the transaction of what it is about, else after the commit."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from riskguard.core.assess import Finding
from riskguard.ports import Alerts, Outbox
from riskguard.store.session import Session

log = logging.getLogger("riskguard")


class LogAlerts:
    """Alerts as log lines; never blocks, never raises."""

    def tell(self, account: str, severity: str, message: str) -> None:
        level = {"critical": logging.CRITICAL, "warning": logging.WARNING}.get(severity, logging.INFO)
        log.log(level, "%s: %s", account, message)


class Voice:
    """What one account's sweeps tell; each finding is told once, whichever kind of alerts there is."""

    def __init__(self, account: str, alerts: Alerts) -> None:
        self.account = account
        self._alerts = alerts
        self._outbox = alerts if isinstance(alerts, Outbox) else None

    def keep(self, session: Session, findings: Iterable[Finding], now_us: int) -> None:
        """Write what was found with the judgement itself: a crash after the commit loses none."""
        if self._outbox is not None:
            for each in findings:
                self._outbox.keep(session, self.account, each.severity, each.message, now_us, code=each.code)

    def tell(self, findings: Iterable[Finding]) -> None:
        """Tell what was kept, after the commit, where there is no outbox to send it."""
        if self._outbox is None:
            for each in findings:
                self._alerts.tell(self.account, each.severity, each.message)

    def say(self, severity: str, message: str, code: str) -> None:
        """Say what no transaction of a sweep stands behind."""
        if self._outbox is not None:
            self._outbox.tell(self.account, severity, message, code=code)
        else:
            self._alerts.tell(self.account, severity, message)
