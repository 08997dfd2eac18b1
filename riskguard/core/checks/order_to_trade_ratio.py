"""
Order-to-trade ratio of the day: orders that were never near the market cost a penalty, and are a strategy gone wrong.

Orders let out further than the exempt band from what the market showed then count, this one among them, against r
times the trades. On it is allowed, and so is any order inside the band: it does not worsen the ratio. The first few
of a day are free, because no trade can come before an order. An order whose reference was not known counts; one
without a price is at the market. Exits are exempt. Source: checks.md §1.
"""

from __future__ import annotations

from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Count, FinePercent, Params
from riskguard.core.reject import Reject, RejectCode


class Parameters(Params):
    orders_per_trade_max: Count
    exempt_band_pct_max: FinePercent
    orders_free: Count


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse an order outside the band that is one too many for the day's trades."""
    order = facts.order
    price_e4 = order.trigger_price_e4 if order.price_e4 is None else order.price_e4
    if price_e4 is None:
        return None
    reference_e4 = facts.reference_e4()
    if reference_e4 is not None and is_inside(price_e4, reference_e4, params.exempt_band_pct_max):
        return None
    sent, trades = facts.day_counts(params.exempt_band_pct_max)
    orders, limit = sent + 1, max(params.orders_free, params.orders_per_trade_max * trades)
    if orders <= limit:
        return None
    return Reject(
        RejectCode.ORDER_TO_TRADE_RATIO_ABOVE_LIMIT,
        measured=orders,
        limit=limit,
        unit="orders",
        max_quantity=0,
        detail=f"orders away from the market today, with {trades} trades",
        hint="an order nearer to the market passes",
    )


def is_inside(price_e4: int, reference_e4: int, band_pct_e2: int) -> bool:
    """Say whether a price is within the band around its reference; on its edge it is."""
    return abs(price_e4 - reference_e4) * 10_000 <= reference_e4 * band_pct_e2


CHECK = Check("order_to_trade_ratio", Parameters, check, exits=False, needs=("day",))
