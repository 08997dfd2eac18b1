"""
When a paper order fills, and at what price: the whole market model, as pure functions of one order and a quote.

A market order takes the touch (the other side's best price; the last price where that side is not shown), moved
against us by the slippage and rounded to the tick against us. A limit order that can trade when it arrives does
the same, never past its limit; one that rested fills at its limit once the touch reaches it. A stop is triggered
by the last price, and is from then on a market or limit order that has just arrived.
"""

from __future__ import annotations

from dataclasses import dataclass

from riskguard.core.quote import Quote

BPS = 10_000


@dataclass(frozen=True, slots=True)
class Resting:
    """What matching needs to know of a working order."""

    side: str
    price_e4: int | None
    trigger_price_e4: int | None
    triggered: bool
    arriving: bool  # it has just been placed, or has just left TRANSIT


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a quote does to an order: whether its stop is triggered now, and the price it trades at (None: not)."""

    triggered: bool
    price_e4: int | None


def meet(order: Resting, quote: Quote, tick_e4: int, slippage_bps: int) -> Outcome:
    """Return what *quote* does to *order*."""
    stop = order.trigger_price_e4 is not None
    triggered = order.triggered or (stop and _reaches(order, quote.ltp_e4))
    if stop and not triggered:
        return Outcome(False, None)
    arriving = order.arriving or (stop and not order.triggered)
    return Outcome(triggered, _price_e4(order, quote, tick_e4, slippage_bps, arriving))


def _reaches(order: Resting, ltp_e4: int | None) -> bool:
    """Say whether the last price triggers the stop; on the trigger it does."""
    trigger_e4 = order.trigger_price_e4
    if ltp_e4 is None or trigger_e4 is None:
        return False
    return ltp_e4 >= trigger_e4 if order.side == "BUY" else ltp_e4 <= trigger_e4


def _price_e4(order: Resting, quote: Quote, tick_e4: int, slippage_bps: int, arriving: bool) -> int | None:
    buys = order.side == "BUY"
    shown_e4 = quote.ask_e4 if buys else quote.bid_e4
    touch_e4 = quote.ltp_e4 if shown_e4 is None else shown_e4
    if touch_e4 is None:
        return None
    market_e4 = slipped_e4(touch_e4, buys, tick_e4, slippage_bps)
    limit_e4 = order.price_e4
    if limit_e4 is None:
        return market_e4
    if touch_e4 > limit_e4 if buys else touch_e4 < limit_e4:
        return None
    if not arriving:
        return limit_e4
    return min(limit_e4, market_e4) if buys else max(limit_e4, market_e4)


def slipped_e4(touch_e4: int, buys: bool, tick_e4: int, slippage_bps: int) -> int:
    """Return *touch_e4* moved against us and rounded to the tick against us; a sale never below one tick."""
    tick_e4 = max(1, tick_e4)
    if buys:
        scaled = touch_e4 * (BPS + slippage_bps)
        return -(scaled // (-BPS * tick_e4)) * tick_e4
    scaled = touch_e4 * (BPS - slippage_bps)
    return max(tick_e4, scaled // (BPS * tick_e4) * tick_e4)
