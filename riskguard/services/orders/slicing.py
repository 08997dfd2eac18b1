"""An exit at market in as many orders as the exchange wants: none above its freeze quantity or its ceiling of value."""

from __future__ import annotations

import secrets

from riskguard.core.instrument import Instrument
from riskguard.core.order import Order
from riskguard.core.pricing import quote_ttl_us, reference_price_e4, risk_price_e4
from riskguard.core.sizing import largest_order, slices
from riskguard.services.orders.guard import RiskGuard

SLICES_AT_ONCE_MAX = 8
"""Messages of a second are few, and cancels want theirs; what is left is closed by the next round, or asked again."""
WAIT_S = 2.0


def sliced(guard: RiskGuard, order: Order, instrument: Instrument | None) -> tuple[list[Order], int]:
    """
    Return (*order* in the orders to send now, units left over for later); ids of slices end in `.1`, `.2` and so on.

    One order and none left over where nothing is known to bind. The last slice takes an odd lot along.
    """
    most = largest_order(instrument, _risk_price_e4(guard, order, instrument))
    if most is None or order.quantity <= most:
        return [order], 0
    name, made, left = str(order.client_order_id), list[Order](), order.quantity
    while left and len(made) < min(SLICES_AT_ONCE_MAX, slices(order.quantity, most)):
        quantity = min(most, left)
        made.append(order.replaced(client_order_id=f"{name}.{len(made) + 1}", quantity=quantity, slice_of=name))
        left -= quantity
    return made, left


def parts_of(order: Order, most: int | None) -> list[Order]:
    """Return *order* in parts of *most* units at most, all of them; the order itself where None or nothing binds."""
    if most is None or order.quantity <= most:
        return [order]
    name = order.client_order_id or f"rg-{secrets.token_hex(12)}"
    count = slices(order.quantity, most)
    return [
        order.replaced(
            client_order_id=f"{name}.{place + 1}", quantity=min(most, order.quantity - place * most), slice_of=name
        )
        for place in range(count)
    ]


def _risk_price_e4(guard: RiskGuard, order: Order, instrument: Instrument | None) -> int | None:
    """What the check will value a unit of it at; None where no fresh price is known: then it does not."""
    with guard.store.session(durable=False, wait_s=WAIT_S) as session:
        quote = guard.newest_quote(session, order.instrument)
        guard.store.roll_back(session)
    reference_e4 = reference_price_e4(quote, order.sign, guard.clock.now_us(), quote_ttl_us(instrument))
    ask_e4, upper_e4 = (None, None) if quote is None else (quote.ask_e4, quote.upper_band_e4)
    return risk_price_e4(order, reference_e4, ask_e4, instrument, upper_e4)
