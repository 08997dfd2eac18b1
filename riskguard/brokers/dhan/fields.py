"""Reads fields of an answer, typed. A field of the wrong type fails the whole read: half a list is no list."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any, Final

from riskguard.core.money import AMOUNT_MAX_E4, SCALE
from riskguard.errors import BrokerUnconfirmedError, shown

IST: Final = dt.timezone(dt.timedelta(hours=5, minutes=30))
UNSET: Final = frozenset({"", "NA", "0001-01-01", "0001-01-01 00:00:00"})
ROWS_MAX: Final = 50_000
UNITS_MAX: Final = 10**12
DIGITS_MAX: Final = 40
"""Orders of magnitude either way: looked at before any arithmetic, which a number like 1E+999999 would stop."""


class Row:
    """One object of an answer to *what*."""

    def __init__(self, what: str, value: Any, client_id: str = "") -> None:
        if not isinstance(value, dict):
            raise BrokerUnconfirmedError(f"`{what}`: {shown(value)} where an object belongs; nothing is known")
        self.what, self.value = what, value
        owner = value.get("dhanClientId") or value.get("clientId")
        if client_id and owner and str(owner) != client_id:
            # A token of the other account: everything in it would be taken for this one's.
            raise BrokerUnconfirmedError(
                f"`{what}`: Dhan answered for another client than `{client_id}`: set the right token for the account"
            )

    def text(self, *names: str) -> str:
        """Return the first field of *names* that is set, as text; "" for the words that mean not set."""
        for name in names:
            value = self.value.get(name)
            if value is None:
                continue
            if isinstance(value, int) and not isinstance(value, bool):
                value = str(value)  # an id that was sent as a number is the same id
            if not isinstance(value, str):
                raise self.wrong(name)
            if value.strip() not in UNSET:
                return value.strip()
        return ""

    def word(self, *names: str) -> str:
        """Return a text that must be there."""
        found = self.text(*names)
        if not found:
            raise self.wrong(names[0])
        return found

    def whole(self, *names: str) -> int | None:
        """Return the first field of *names* that is set, as a whole number; None where none is."""
        name, number = self._number(names)
        if number is None:
            return None
        if number != number.to_integral_value() or abs(number) > UNITS_MAX:
            raise self.wrong(name)
        return int(number)

    def units(self, *names: str) -> int:
        """Return a quantity that must be there, zero or more."""
        found = self.whole(*names)
        if found is None or found < 0:
            raise self.wrong(names[0])
        return found

    def e4(self, *names: str) -> int | None:
        """Return rupees in 1/10000, half to even beyond the fourth place; None where none of *names* is set."""
        name, number = self._number(names)
        if number is None:
            return None
        if abs(number) * SCALE > AMOUNT_MAX_E4:
            raise self.wrong(name)
        return int((number * SCALE).to_integral_value(ROUND_HALF_EVEN))

    def price_e4(self, *names: str) -> int | None:
        """Return a price; None for zero and for the negative numbers that mean "none"."""
        found = self.e4(*names)
        return found if found is not None and found > 0 else None

    def at_us(self, *names: str) -> int | None:
        """Return the first time of *names* that is set (India, no zone); None where none is."""
        for name in names:
            text = self.text(name)
            if text:
                try:
                    read = dt.datetime.fromisoformat(text)
                except ValueError:
                    raise self.wrong(name) from None
                read = read.replace(tzinfo=IST) if read.tzinfo is None else read
                return round(read.timestamp()) * 1_000_000
        return None

    def rows(self, name: str) -> list[Row]:
        """Return the objects of a list; [] where it is not set."""
        value = self.value.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(name)
        return [Row(self.what, each) for each in value]

    def wrong(self, name: str) -> BrokerUnconfirmedError:
        said = shown(self.value[name]) if name in self.value else "missing"
        return BrokerUnconfirmedError(
            f"`{self.what}`: `{name}` is {said}; the whole answer is worth nothing: read again"
        )

    def _number(self, names: Iterable[str]) -> tuple[str, Decimal | None]:
        name = ""
        for name in names:
            value = self.value.get(name)
            if value is None or value == "":
                continue
            if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
                raise self.wrong(name)
            if isinstance(value, str) and len(value) > 40:
                raise self.wrong(name)
            try:
                number = Decimal(value)
            except InvalidOperation:
                raise self.wrong(name) from None
            if not number.is_finite() or (number and abs(number.adjusted()) > DIGITS_MAX):
                raise self.wrong(name)
            return name, number
        return name, None


def rows_of(what: str, value: Any, client_id: str) -> list[Row]:
    """Return the objects of a list answer; raises BrokerUnconfirmedError for anything but a list of objects."""
    if not isinstance(value, list) or len(value) > ROWS_MAX:
        raise BrokerUnconfirmedError(f"`{what}`: no list came: what is there is not known, and it is not nothing")
    return [Row(what, each, client_id) for each in value]
