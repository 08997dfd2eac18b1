"""A quote: what the market shows for one instrument, and when it was true."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from riskguard.core.money import PRICE_MAX_E4, to_decimal, to_e4
from riskguard.errors import QuoteInvalidError, shown

Rupees = str | int | Decimal | None


class Quote(NamedTuple):
    """Last, best bid and best ask in 1/10000 rupee; None is "not known", never zero."""

    ltp_e4: int | None
    bid_e4: int | None
    ask_e4: int | None
    at_us: int

    @classmethod
    def of(cls, *, ltp: Rupees = None, bid: Rupees = None, ask: Rupees = None, at_us: int) -> Quote:
        """
        Build a quote from rupees as text, int or Decimal.

        Raises:
            QuoteInvalidError: No price at all, a price of 0 or less, not finite, or bid above ask.
        """
        prices = [_price(name, value) for name, value in (("ltp", ltp), ("bid", bid), ("ask", ask))]
        if not any(prices):
            raise QuoteInvalidError("a quote wants at least one of `ltp`, `bid`, `ask`")
        bid_e4, ask_e4 = prices[1], prices[2]
        if bid_e4 is not None and ask_e4 is not None and bid_e4 > ask_e4:
            raise QuoteInvalidError(f"`bid` {to_decimal(bid_e4)} is above `ask` {to_decimal(ask_e4)}: a crossed quote")
        if type(at_us) is not int or at_us <= 0:
            raise QuoteInvalidError(f"`at` = {shown(at_us)}: wants the time the quote was true")
        return cls(prices[0], bid_e4, ask_e4, at_us)


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
