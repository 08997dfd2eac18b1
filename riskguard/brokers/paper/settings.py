"""How the paper market behaves for one account; kept in the file, so that every process plays by the same."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final

from riskguard.errors import SettingsError

WAIT_S_MAX: Final = 60
"""The longest lag, transit or hang: beyond it a forgotten setting looks like a dead program."""

SLIPPAGE_BPS_MAX: Final = 5_000
MILLION: Final = 1_000_000


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

    def __post_init__(self) -> None:
        _whole("opening_funds_e4", self.opening_funds_e4, 0, 10**17)
        _whole("slippage_bps", self.slippage_bps, 0, SLIPPAGE_BPS_MAX)
        if self.fill_quantity_max is not None:
            _whole("fill_quantity_max", self.fill_quantity_max, 1, 10**9)
        for name in ("position_lag_s", "transit_s", "hang_s"):
            seconds = getattr(self, name)
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= WAIT_S_MAX:
                raise SettingsError(f"`{name}` = {seconds!r}: wants seconds from 0 to {WAIT_S_MAX}")
        if not isinstance(self.hang_acts, bool):
            raise SettingsError(f"`hang_acts` = {self.hang_acts!r}: wants True or False")

    @property
    def position_lag_us(self) -> int:
        return round(self.position_lag_s * MILLION)

    @property
    def transit_us(self) -> int:
        return round(self.transit_s * MILLION)

    def text(self) -> str:
        """Return the settings as the file keeps them."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def read(cls, text: str) -> PaperSettings:
        """Read what `text` wrote; raises SettingsError where another version wrote it."""
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError) as e:
            raise SettingsError(f"the paper market's settings are not readable ({e}): start a new file") from None


def _whole(name: str, value: object, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise SettingsError(f"`{name}` = {value!r}: wants a whole number from {least} to {most}")
