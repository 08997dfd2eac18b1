"""
Day P&L, from own fills and marks, against the day's baseline. Unknown is None, never zero.

Per line: sales − purchases + net × mark − carried × previous close, times the multiplier; charges come off. Closed
quantity is realised at the average of each side of the day, what was carried in counting as bought (or sold) at the
previous close; the rest of the line is unrealised, so that the two always add up to the line.

Shares sold out of holdings of earlier days are outside: a negative net of CNC or MTF is a delivery, not a short.
Source: checks.md §2 "Day P&L, exactly".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from riskguard.core.book import Line
from riskguard.core.instrument import Instrument
from riskguard.core.marking import Mark, Phase, mark, mark_e4
from riskguard.core.pnl_parts import InstrumentKey, LinePnl, Part, summed
from riskguard.core.quote import Quote
from riskguard.core.terms import DELIVERY_PRODUCTS

__all__ = ["DayPnl", "day_pnl", "mark_e4"]


@dataclass(frozen=True, slots=True)
class DayPnl:
    """
    The day's profit (> 0) or loss (< 0) in 1/10000 rupee, charges taken off; None when unknown.

    `fresh` is False when a line had to be valued without a fresh mark. `detail` names what was missing. Realised and
    unrealised are before charges and before what a person said (`adjustment_e4` ≤ 0): the four add up to the total.
    `exit_cost_e4`: the charges closing everything now would cause on top; None where no limit asks, or unknown.
    `holdings_e4`: what holdings of earlier days made today; outside the total, for limits that include them.
    Two readings are equal when they say the same of the day; their parts are how they came to it.
    """

    total_e4: int | None
    charges_e4: int | None
    fresh: bool
    detail: str = ""
    realised_e4: int | None = field(default=None, compare=False)
    unrealised_e4: int | None = field(default=None, compare=False)
    adjustment_e4: int = field(default=0, compare=False)
    exit_cost_e4: int | None = field(default=None, compare=False)
    holdings_e4: int | None = field(default=None, compare=False)
    lines: tuple[LinePnl, ...] = field(default=(), repr=False, compare=False)
    segments: tuple[Part, ...] = field(default=(), repr=False, compare=False)
    strategies: tuple[Part, ...] = field(default=(), repr=False, compare=False)

    @property
    def net_realised_e4(self) -> int | None:
        """What closed quantity made, charges and what a person said taken off; None where either is unknown."""
        if self.realised_e4 is None or self.charges_e4 is None:
            return None
        return self.realised_e4 - self.charges_e4 + self.adjustment_e4


def day_pnl(
    positions: Mapping[InstrumentKey, Mapping[str, Line]],
    instruments: Mapping[InstrumentKey, Instrument],
    quotes: Mapping[InstrumentKey, Quote],
    charges_e4: int | None,
    now_us: int,
    adjustment_e4: int = 0,
    *,
    phase_of: Callable[[InstrumentKey], Phase] | None = None,
    settlements_e4: Mapping[InstrumentKey, int] | None = None,
) -> DayPnl:
    """
    Value the day. *adjustment_e4* is what a person said the day had already lost (≤ 0); charges that are unknown make
    the day unknown.

    Args:
        phase_of: What the calendar says of an instrument; None: its market is open.
        settlements_e4: Settlement prices of contracts that have expired.
    """
    lines: list[LinePnl] = []
    for key, products in positions.items():
        at = Phase(now_us) if phase_of is None else phase_of(key)
        for line in products.values():
            if line.net or line.start or line.buy_value_e4 or line.sell_value_e4:
                settled_e4 = None if settlements_e4 is None else settlements_e4.get(key)
                lines.append(_line(key, line, instruments.get(key), quotes.get(key), at, now_us, settled_e4))
    whole = summed("", lines)
    total_e4 = None
    if whole.total_e4 is not None and charges_e4 is not None:
        total_e4 = whole.total_e4 + adjustment_e4 - charges_e4
    fresh = whole.fresh and charges_e4 is not None
    return DayPnl(
        total_e4, charges_e4, fresh, whole.reason, whole.realised_e4, whole.unrealised_e4, adjustment_e4,
        lines=tuple(lines),
    )  # fmt: skip


def _line(
    key: InstrumentKey, line: Line, instrument: Instrument | None, quote: Quote | None, at: Phase, now_us: int,
    settled_e4: int | None,
) -> LinePnl:  # fmt: skip
    name = instrument.symbol if instrument is not None else f"{key[0]}:{key[1]}"
    multiplier = 1 if instrument is None else instrument.multiplier

    def unknown(why: str) -> LinePnl:
        return LinePnl(
            *key, line.product, name, line.net, None, None, None, None, None, multiplier, False, f"{name}: {why}"
        )

    if multiplier is None:
        return unknown("multiplier unknown")
    (bought, sold), sell_e4 = _quantities(line), line.sell_value_e4
    start = max(0, line.start) if line.product in DELIVERY_PRODUCTS else line.start
    net = start + bought - sold
    if net < 0 and line.product in DELIVERY_PRODUCTS:
        # What was delivered out of holdings is neither gain nor loss of today: nothing of its sale counts here.
        sell_e4 += sell_e4 * -net // -sold
        sold, net = sold + net, 0
    if start and line.previous_close_e4 is None:
        return unknown("carried in without a previous close")
    carried_e4 = start * (line.previous_close_e4 or 0)
    found = Mark(0)
    if net:
        valued = mark(net, quote, instrument, at, now_us, settled_e4)
        if valued is None:
            return unknown("no mark" if not at.expired else "expired, and its settlement price is not known")
        found = valued
    value_e4 = (sell_e4 - line.buy_value_e4 - carried_e4 + net * found.price_e4) * multiplier
    realised_e4 = _realised_e4(start, carried_e4, bought, line.buy_value_e4, sold, sell_e4) * multiplier
    reason = f"{name} ({found.why})" if found.why else ""
    return LinePnl(
        *key, line.product, name, net, value_e4, realised_e4, value_e4 - realised_e4,
        found.price_e4 if net else None, found.price_e4 if net else _average_e4(line), multiplier, found.fresh, reason,
    )  # fmt: skip


def _realised_e4(start: int, carried_e4: int, bought: int, buy_e4: int, sold: int, sell_e4: int) -> int:
    """
    Return what the closed quantity made: at the average sale less the average purchase, rounded down.

    *carried_e4* is start × previous close, signed; what was carried long counts as bought at it, short as sold.
    """
    longs, paid_e4 = bought + max(start, 0), buy_e4 + max(carried_e4, 0)
    shorts, got_e4 = sold + max(-start, 0), sell_e4 + max(-carried_e4, 0)
    closed = min(longs, shorts)
    return (got_e4 * closed * longs - paid_e4 * closed * shorts) // (longs * shorts) if closed else 0


def _quantities(line: Line) -> tuple[int, int]:
    """Return (bought, sold) today; of a line that was not told, what its net says at the least."""
    if line.bought - line.sold == line.filled:
        return line.bought, line.sold
    return max(line.filled, 0), max(-line.filled, 0)


def _average_e4(line: Line) -> int:
    """Return the average of all prices dealt at today; of a delivery, of its sales."""
    if line.product in DELIVERY_PRODUCTS and line.net < 0:
        return line.sell_value_e4 // line.sold if line.sold else 0
    dealt = line.bought + line.sold
    return (line.buy_value_e4 + line.sell_value_e4) // dealt if dealt else line.previous_close_e4 or 0
