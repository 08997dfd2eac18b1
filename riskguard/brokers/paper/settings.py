"""How the paper market behaves for one account; kept in the file, so that every process plays by the same."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Final

from riskguard.errors import SettingsError

WAIT_S_MAX: Final = 60
"""The longest lag, transit or hang: beyond it a forgotten setting looks like a dead program."""

SLIPPAGE_BPS_MAX: Final = 5_000
MILLION: Final = 1_000_000
POWERS: Final = ("lock", "exit_all", "backstop")
READ_MAX: Final = 64
"""Texts whose settings are kept: every operation of the market asks for them."""


@dataclass(frozen=True, slots=True)
class PaperSettings:
    """
    Args:
        opening_funds_e4: Money before the first trade, 1/10000 rupee; ₹10 lakh unless said otherwise.
        slippage_bps: How far past the touch a market order fills, basis points, rounded to the tick against us.
        fill_quantity_max: Units one order gets per quote (and at placement); None: all of it at once.
        position_lag_s: How old the position list is; orders and trades are always current.
        transit_s: How long a new order is TRANSIT: it neither fills nor can be cancelled.
        hang_s: How long a hanging call takes before it gives up.
        hang_acts: Whether a hanging call did what was asked.
        order_lag_s: How long a new order is missing from the order list: a list that lies by omission.
        cancel_s: How long a cancellation takes once it was taken; the order may still fill meanwhile.
        market_protection_bps: A market order rests as a limit this far past the touch, as brokers make of them; None: it
            fills at whatever there is.
        keeps_hours: Whether this market has hours, so that a kill waits for its opening; it trades all the same.
        powers: What this broker can besides orders and lists: `lock`, `exit_all`, `backstop`. None by default.

    Raises:
        SettingsError: A figure is of the wrong type or out of its range.
    """

    opening_funds_e4: int = MILLION * 10_000
    slippage_bps: int = 0
    fill_quantity_max: int | None = None
    position_lag_s: float = 0
    transit_s: float = 0
    hang_s: float = 0.2
    hang_acts: bool = False
    order_lag_s: float = 0
    cancel_s: float = 0
    market_protection_bps: int | None = None
    powers: tuple[str, ...] = ()
    keeps_hours: bool = False

    def __post_init__(self) -> None:
        _whole("opening_funds_e4", self.opening_funds_e4, 0, 10**17)
        _whole("slippage_bps", self.slippage_bps, 0, SLIPPAGE_BPS_MAX)
        if self.fill_quantity_max is not None:
            _whole("fill_quantity_max", self.fill_quantity_max, 1, 10**9)
        if self.market_protection_bps is not None:
            _whole("market_protection_bps", self.market_protection_bps, 0, SLIPPAGE_BPS_MAX)
        if not set(self.powers) <= set(POWERS):
            raise SettingsError(f"`powers` = {self.powers!r}: wants some of {', '.join(POWERS)}")
        for name in ("position_lag_s", "transit_s", "hang_s", "order_lag_s", "cancel_s"):
            seconds = getattr(self, name)
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= WAIT_S_MAX:
                raise SettingsError(f"`{name}` = {seconds!r}: wants seconds from 0 to {WAIT_S_MAX}")
        for name in ("hang_acts", "keeps_hours"):
            if not isinstance(getattr(self, name), bool):
                raise SettingsError(f"`{name}` = {getattr(self, name)!r}: wants True or False")

    @property
    def position_lag_us(self) -> int:
        return round(self.position_lag_s * MILLION)

    @property
    def transit_us(self) -> int:
        return round(self.transit_s * MILLION)

    @property
    def order_lag_us(self) -> int:
        return round(self.order_lag_s * MILLION)

    @property
    def cancel_us(self) -> int:
        return round(self.cancel_s * MILLION)

    def text(self) -> str:
        """Return the settings as the file keeps them."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def read(cls, text: str) -> PaperSettings:
        """Read what `text` wrote; raises SettingsError where another version wrote it."""
        return _read(text)


@lru_cache(maxsize=READ_MAX)
def _read(text: str) -> PaperSettings:
    try:
        given = json.loads(text)
        return PaperSettings(**{**given, "powers": tuple(given.get("powers", ()))})
    except (TypeError, ValueError, AttributeError) as e:
        raise SettingsError(f"the paper market's settings are not readable ({e}): start a new file") from None


def _whole(name: str, value: object, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise SettingsError(f"`{name}` = {value!r}: wants a whole number from {least} to {most}")
