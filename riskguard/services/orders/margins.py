"""
Margins: asked of the broker outside any lock, kept as rows, read by the `margin_available` check.

    guard.prepare(order)            # or guard.prepare([leg, leg]) for a basket
    decision = guard.check(order)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from riskguard.core.money import to_decimal
from riskguard.core.order import Order
from riskguard.core.seen import SeenMargin
from riskguard.errors import OrderInvalidError, SettingsError
from riskguard.store import supply
from riskguard.store.queries.margins import ADD

if TYPE_CHECKING:
    from riskguard.ports import Margins
    from riskguard.services.orders.guard import RiskGuard


def prepare(guard: RiskGuard, orders: Order | Sequence[Order], margins: Margins | None = None) -> SeenMargin:
    """
    Ask the broker what *orders* need together and keep the answer; it counts for 60 seconds.

    The question goes out before any lock is taken: a slow broker delays this call alone.

    Raises:
        SettingsError: No margin calculator: give one, or open the guard with a broker that has one.
        BrokerError: As the broker says. Nothing is kept, and the check falls back to its own estimate.
        StoreUnavailableError: The answer could not be kept.
    """
    legs = (orders,) if isinstance(orders, Order) else tuple(orders)
    if not legs or len({leg.account for leg in legs}) != 1:
        raise OrderInvalidError("orders", len(legs), "wants one order, or the legs of one account")
    owner = legs[0].account
    calculator = margins or guard.margins(owner)
    if calculator is None:
        raise SettingsError(f"no margin calculator for `{owner}`: pass one, `guard.prepare(order, broker)`")
    seen = calculator.margin(legs)
    together = supply.leg_set(legs) if len(legs) > 1 else None
    first = legs[0]
    with guard.store.session(durable=False) as session:
        session.run(
            ADD, account_type=owner, security_id=first.security_id, exchange_segment=first.exchange_segment,
            quantity=first.quantity, price=_rupees(first.price_e4), product=first.product,
            total_margin=_rupees(seen.total_e4), span_margin=_rupees(seen.span_e4), side=first.side,
            exposure_margin=_rupees(seen.exposure_e4), var_margin=_rupees(seen.var_e4),
            calculated_at=guard.clock.now_us() // 1_000_000, leg_set=together,
        )  # fmt: skip
    return seen


def _rupees(money_e4: int | None) -> float | None:
    return None if money_e4 is None else float(to_decimal(money_e4))
