"""deadlatch: its engine with all twelve rules, without the audit file its guard appends to."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.deciding import PRICES
from benchmarks.peers.asking import PASSES, REFUSED, Ask, Settle, unsettled


def prepare(directory: Path) -> tuple[Ask, Settle]:
    from deadlatch.engine import GuardEngine
    from deadlatch.model import Order, Policy, Portfolio
    from deadlatch.rules.registry import standard_rule_registry

    now = datetime.now(UTC)
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    policy = Policy(
        version="1.0.0", mode="enforce", base_currency="USD", kill_switch="off", acknowledged_disabled=[],
        limits={
            "max_order_quantity": 1_000, "max_order_value": 100_000, "max_symbol_exposure_ratio": 1,
            "max_total_exposure_ratio": 1, "min_cash": 0, "max_options_margin_ratio": 1, "max_daily_loss_ratio": 0.05,
            "max_drawdown_ratio": 0.5, "max_order_age_seconds": 3_600, "max_snapshot_age_seconds": 3_600,
        },
    )  # fmt: skip
    portfolio = Portfolio(
        equity=10**7, cash=10**7, day_start_equity=10**7, peak_equity=10**7, daily_pnl=0, drawdown_ratio=0,
        snapshot_at=stamp, base_currency="USD", positions=[],
    )  # fmt: skip
    engine: Any = GuardEngine(policy, rules=standard_rule_registry())
    prices = [float(each) for each in PRICES]

    def ask(quantity: int) -> Any:
        result = None
        for price in prices:
            asked = Order(
                symbol="1333", instrument_type="stock", side="buy", quantity=quantity, price=price, order_type="limit",
                currency="USD", created_at=stamp,
            )  # fmt: skip
            result = engine.check(asked, portfolio, now=now)
        return result

    passed, refused = ask(PASSES), ask(REFUSED)
    assert passed.decision == "PASS", passed
    assert [each["rule_id"] for each in refused.violations] == ["max_order_value"], refused
    return ask, unsettled
