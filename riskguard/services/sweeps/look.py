"""One look at a broker: each list complete, or unknown with the reason. Outside any lock."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from riskguard.core.seen import Seen
from riskguard.ports import Broker, Clock
from riskguard.redaction import redacted

log = logging.getLogger("riskguard")
Read = TypeVar("Read")


def look(broker: Broker, clock: Clock, *, with_funds: bool = True) -> Seen:
    """
    Read positions, orders, trades and funds. A read that fails is None with its reason: unknown, not empty.

    Fills are read before positions, so that a list can never show less than the fills it is compared with.
    """
    failures: list[str] = []

    def read(name: str, ask: Callable[[], Read]) -> Read | None:
        try:
            return ask()
        except Exception as e:  # an adapter may break in any way: that is a finding, not our end
            said = redacted(str(e))  # it may hold the request, and the token with it
            failures.append(f"{name}: {type(e).__name__}: {said}"[:200])
            log.warning("%s could not read %s: %s", broker.name, name, said)
            return None

    orders = read("orders", broker.orders)
    trades = read("trades", broker.trades)
    fetched_us = clock.now_us()
    positions = read("positions", broker.positions)
    funds = read("funds", broker.funds) if with_funds else None
    return Seen(fetched_us, positions, orders, trades, funds, tuple(failures))
