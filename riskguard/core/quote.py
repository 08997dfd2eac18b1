"""A quote: what the market shows for one instrument, and when it was true."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from riskguard.core.money import PRICE_MAX_E4, to_decimal, to_e4
from riskguard.errors import QuoteInvalidError, shown

AT_US_MAX = 10**17  # the year 5138: a stamp in nanoseconds is not one in microseconds
Rupees = str | int | Decimal | None


class Quote(NamedTuple):
    """Last, best bid and best ask in 1/10000 rupee; None is "not known", never zero."""

    ltp_e4: int | None
    bid_e4: int | None
    ask_e4: int | None
    at_us: int
    lower_band_e4: int | None = None  # the day's circuit limits, where the feed says them
    upper_band_e4: int | None = None
    ltp_at_us: int | None = None  # when the last trade was, where the feed says it: a quote may outlive its trade
    is_indicative: bool = False  # a call auction's price: nobody has traded at it, and nobody may

    @classmethod
    def of(
        cls, *, ltp: Rupees = None, bid: Rupees = None, ask: Rupees = None, at_us: int, lower_band: Rupees = None,
        upper_band: Rupees = None, ltp_at_us: int | None = None, is_indicative: bool = False,
    ) -> Quote:  # fmt: skip
        """
        Build a quote from rupees as text, int or Decimal.

        Raises:
            QuoteInvalidError: No price at all, a price of 0 or less, not finite, bid above ask, or the lower band
            above the upper.
        """
        prices = [_price(name, value) for name, value in (("ltp", ltp), ("bid", bid), ("ask", ask))]
        if not any(prices):
            raise QuoteInvalidError("a quote wants at least one of `ltp`, `bid`, `ask`")
        bid_e4, ask_e4 = prices[1], prices[2]
        if bid_e4 is not None and ask_e4 is not None and bid_e4 > ask_e4:
            raise QuoteInvalidError(f"`bid` {to_decimal(bid_e4)} is above `ask` {to_decimal(ask_e4)}: a crossed quote")
        if type(at_us) is not int or not 0 < at_us < AT_US_MAX:
            raise QuoteInvalidError(f"`at` = {shown(at_us)}: wants the time the quote was true")
        if ltp_at_us is not None and (type(ltp_at_us) is not int or not 0 < ltp_at_us < AT_US_MAX):
            raise QuoteInvalidError(f"`ltp_at_us` = {shown(ltp_at_us)}: wants the time of the last trade")
        if lower_band is None and upper_band is None:
            return cls(prices[0], bid_e4, ask_e4, at_us, None, None, ltp_at_us, is_indicative)
        lower_e4, upper_e4 = _price("lower_band", lower_band), _price("upper_band", upper_band)
        if lower_e4 is not None and upper_e4 is not None and lower_e4 > upper_e4:
            raise QuoteInvalidError(f"`lower_band` {to_decimal(lower_e4)} is above `upper_band` {to_decimal(upper_e4)}")
        return cls(prices[0], bid_e4, ask_e4, at_us, lower_e4, upper_e4, ltp_at_us, is_indicative)

    def is_whole(self) -> bool:
        """Say whether every field is what `of` would have made: built by hand, a quote may hold anything."""
        prices = (self.ltp_e4, self.bid_e4, self.ask_e4, self.lower_band_e4, self.upper_band_e4)
        times = (self.at_us,) if self.ltp_at_us is None else (self.at_us, self.ltp_at_us)
        return all(map(_whole, prices)) and all(type(each) is int and 0 < each < AT_US_MAX for each in times)


def _whole(value: object) -> bool:
    return value is None or (type(value) is int and 0 < value <= PRICE_MAX_E4)


def _price(name: str, value: Rupees) -> int | None:
    if value is None:
        return None
    try:
        price_e4 = to_e4(value, most=PRICE_MAX_E4)
    except ValueError as e:
        raise QuoteInvalidError(f"`{name}` = {shown(value)}: {e}") from None
    if price_e4 <= 0:
        raise QuoteInvalidError(f"`{name}` = {shown(value)}: wants a price above 0")
    return price_e4
