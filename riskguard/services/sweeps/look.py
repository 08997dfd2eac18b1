"""One look at a broker: each list complete, or unknown with the reason. Outside any lock."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from riskguard.core.seen import Seen
from riskguard.ports import Broker, Clock
from riskguard.redaction import redacted
from riskguard.services.budget import ReadBudget, is_too_many
from riskguard.services.sweeps.health import Health

log = logging.getLogger("riskguard")
Read = TypeVar("Read")


class Reader:
    """Reads one broker, keeps why a read failed, and tells the budget and the health figures."""

    def __init__(
        self, name: str, clock: Clock, *, budget: ReadBudget | None = None, health: Health | None = None
    ) -> None:
        self._name, self._clock, self._budget, self._health = name, clock, budget, health
        self.failures: list[str] = []

    def read(self, what: str, ask: Callable[[], Read]) -> Read | None:
        """Return the answer; None when there is none, with the reason in `failures`: unknown is not empty."""
        began_us = self._clock.elapsed_us()
        try:
            found = ask()
        except Exception as e:  # an adapter may break in any way: that is a finding, not our end
            self._answered(began_us, ok=False)
            if self._budget is not None and is_too_many(e):
                self._budget.too_many()
            said = redacted(str(e))  # it may hold the request, and the token with it
            self.failures.append(f"{what}: {type(e).__name__}: {said}"[:200])
            log.warning("%s could not read %s: %s", self._name, what, said)
            return None
        self._answered(began_us, ok=True)
        return found

    def _answered(self, began_us: int, *, ok: bool) -> None:
        if self._health is not None:
            now_us = self._clock.elapsed_us()
            self._health.note(elapsed_us=now_us, now_us=self._clock.now_us(), took_us=now_us - began_us, ok=ok)


def look(
    broker: Broker, clock: Clock, *, with_funds: bool = True, budget: ReadBudget | None = None,
    health: Health | None = None,
) -> Seen:  # fmt: skip
    """
    Read positions, orders, trades and funds. A read that fails is None with its reason: unknown, not empty.

    Fills are read before positions, so that a list can never show less than the fills it is compared with.
    """
    reader = Reader(broker.name, clock, budget=budget, health=health)
    orders = reader.read("orders", broker.orders)
    trades = reader.read("trades", broker.trades)
    fetched_us = clock.now_us()
    positions = reader.read("positions", broker.positions)
    funds = reader.read("funds", broker.funds) if with_funds else None
    return Seen(fetched_us, positions, orders, trades, funds, tuple(reader.failures))
