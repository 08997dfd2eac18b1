"""deadman-kit: kill file, day's limits and order sanity, without its ledger and without sending."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.deciding import PRICES
from benchmarks.peers.asking import PASSES, REFUSED, Ask, Settle, unsettled


def prepare(directory: Path) -> tuple[Ask, Settle]:
    from deadman.clock import SystemClock
    from deadman.daily_limits import DailyLimits, Limits
    from deadman.intent import Intent, resolve_units, spot_long_only_is_exit
    from deadman.kill_switch import KillSwitch
    from deadman.order_sanity import OrderSanity
    from deadman.paths import Paths
    from deadman.statefile import WriterIdentity

    clock, paths = SystemClock(), Paths(directory / "deadman")
    kill = KillSwitch(paths)
    limits: Any = Limits(max_trades_per_day=10**6, max_daily_loss_usd=5_000.0, max_notional_usd_per_order=100_000.0)
    day = DailyLimits(paths, limits, spot_long_only_is_exit, clock, WriterIdentity(clock))
    day.record_fill(Intent("1333", "buy", "BASE", 1.0, "ENTRY", "first"), 1.0, 0.0)  # a day that has begun
    sanity = OrderSanity(frozenset({"1333"}), 1_000.0, 100.0, max_notional_usd=100_000.0, max_ref_deviation_bps=1_000.0)

    def ask(quantity: int) -> bool:
        allowed = False
        for number, text in enumerate(PRICES):
            price = float(text)
            intent = Intent("1333", "buy", "BASE", float(quantity), "ENTRY", f"d{number}")
            resolved = resolve_units(intent, price)
            allowed = (
                kill.check().allowed
                and day.check(intent, resolved).allowed
                and sanity.check(
                    intent, resolved, broker_status="connected", latency_ms=1.0, bid=price - 0.05, ask=price,
                    size_available=10.0**9, is_exit=False, ref_price=price,
                ).allowed
            )  # fmt: skip
        return allowed

    assert ask(PASSES) and not ask(REFUSED)
    return ask, unsettled
