"""What trades in a replay. Each strategy sees the minute that just ended, and knows no guard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from riskguard.core.instrument import Instrument
from riskguard.core.seen import SeenTrade
from riskguard.feeds.bars import Bar


@dataclass(slots=True)
class Wish:
    """What a strategy wants to send."""

    instrument: Instrument
    side: str
    quantity: int
    price_e4: int


class DipBuyer:
    """
    Keeps buying the dip: one lot at the market and one resting below it for each 0.4 % of fall since the last
    buy; sells all it has in an index 0.5 % above its average. It never gives up: that is what the guard is for.
    """

    name = "dip-buyer"

    def __init__(self) -> None:
        self.last_e4: dict[str, int] = {}

    def wishes(self, instrument: Instrument, bar: Bar, held: int, average_e4: int | None) -> Iterator[Wish]:
        last_e4 = self.last_e4.setdefault(instrument.symbol, bar.open_e4)
        price_e4 = _on_tick(bar.close_e4, instrument)
        if held > 0 and average_e4 is not None and bar.close_e4 * 1000 >= average_e4 * 1005:
            self.last_e4[instrument.symbol] = bar.close_e4
            yield Wish(instrument, "SELL", held, price_e4)
        elif bar.close_e4 * 1000 <= last_e4 * 996:
            self.last_e4[instrument.symbol] = bar.close_e4
            yield Wish(instrument, "BUY", instrument.lot_size, price_e4)
            yield Wish(instrument, "BUY", instrument.lot_size, _on_tick(bar.close_e4 * 997 // 1000, instrument))
        elif bar.close_e4 > last_e4:
            self.last_e4[instrument.symbol] = bar.close_e4  # the dip is measured from the last high


class Breakout:
    """Buys a lot whenever the index makes a new high of the last 30 minutes, and sells all 0.4 % below it."""

    name = "breakout"

    def __init__(self) -> None:
        self.closes: dict[str, list[int]] = {}

    def wishes(self, instrument: Instrument, bar: Bar, held: int, average_e4: int | None) -> Iterator[Wish]:
        closes = self.closes.setdefault(instrument.symbol, [])
        window = closes[-30:]
        closes.append(bar.close_e4)
        price_e4 = _on_tick(bar.close_e4, instrument)
        if len(window) == 30 and bar.close_e4 > max(window):
            yield Wish(instrument, "BUY", instrument.lot_size, price_e4)
        elif held > 0 and window and bar.close_e4 * 1000 < max(window) * 996:
            yield Wish(instrument, "SELL", held, price_e4)


class Strategy(Protocol):
    """What wants to trade, given the minute that just ended."""

    def wishes(self, instrument: Instrument, bar: Bar, held: int, average_e4: int | None) -> Iterator[Wish]: ...


STRATEGIES: dict[str, Callable[[], Strategy]] = {"dip": DipBuyer, "breakout": Breakout}


def held(trades: tuple[SeenTrade, ...], instrument: Instrument) -> tuple[int, int | None]:
    """Return what is held of the contract, and the average price it was bought at since it was last flat."""
    bought = sold = cost_e4 = 0
    for trade in trades:
        if trade.security_id != instrument.security_id:
            continue
        if trade.side == "BUY":
            bought += trade.quantity
            cost_e4 += trade.quantity * trade.price_e4
        else:
            sold += trade.quantity
            if bought == sold:
                bought = sold = cost_e4 = 0
    return bought - sold, cost_e4 // bought if bought > sold else None


def _on_tick(price_e4: int, instrument: Instrument) -> int:
    return price_e4 - price_e4 % instrument.tick_e4
