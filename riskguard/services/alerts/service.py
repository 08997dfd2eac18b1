"""What `riskguard run` starts: the outbox to tell into, the dispatcher that sends, and the watch over other processes."""

from __future__ import annotations

from riskguard.clock import SystemClock
from riskguard.ports import Clock
from riskguard.services.alerts.dispatcher import Dispatcher
from riskguard.services.alerts.heartbeat import heartbeat
from riskguard.services.alerts.outbox import OutboxAlerts
from riskguard.services.alerts.watch import Watch

LAST_MOMENT_S = 2.0
"""How long the channels may take for what was said last, when the daemon leaves."""


class AlertService:
    """
    Alerts of one database: give `alerts` to whoever has something to say, `start` before and `stop` after them.

    Stopping writes what waits, gives the channels a last moment, and leaves the rest in the outbox for the next start.
    """

    def __init__(self, url: str, *, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self.dispatcher = Dispatcher(url, clock=self.clock, watch=Watch(heartbeat=lambda: heartbeat(url, self.clock)))
        self.alerts = OutboxAlerts(url, clock=self.clock, directly=self.dispatcher.directly)

    def start(self) -> None:
        self.dispatcher.start()

    def is_alive(self) -> bool:
        return self.dispatcher.is_alive()

    def stop(self, wait_s_max: float = 5.0) -> None:
        self.alerts.close(wait_s_max)
        self.dispatcher.tick()
        self.dispatcher.wait(LAST_MOMENT_S)
        self.dispatcher.stop(wait_s_max)
