"""
Single values of Dhan's messages, read without guessing: '' and 'NA' are "not said", never zero.

Keys come in PascalCase, camelCase and both in one message; numbers come as numbers and as text. What is there and
cannot be read raises: a quantity that was guessed is a position that is wrong.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any, Final

from riskguard.core.money import AMOUNT_MAX_E4, PRICE_MAX_E4, SCALE
from riskguard.errors import shown

Fields = Mapping[str, Any]
"""A message's keys in small letters, without underscores."""

NOT_SAID: Final = frozenset({"", "NA", "N/A", "NULL", "NONE"})
TEXT_MAX: Final = 128
QUANTITY_MAX: Final = 10**9
IST: Final = dt.timezone(dt.timedelta(hours=5, minutes=30))
FORMATS: Final = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%d-%m-%Y %H:%M:%S", "%Y-%m-%d")
YEAR_MIN: Final = 2000
"""Dhan's "not set" is the year 1."""


class EventInvalidError(ValueError):
    """A message holds something that cannot be read; the text names the key, and never more of it than 60 characters."""


def fields_of(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of *message* in one spelling; of two that become the same, the one that says something."""
    found: dict[str, Any] = {}
    for key, value in message.items():
        name = str(key).replace("_", "").lower()
        if name not in found or not is_said(found[name]):
            found[name] = value
    return found


def is_said(value: object) -> bool:
    """Say whether *value* means anything; zero does."""
    return value is not None and str(value).strip().upper() not in NOT_SAID


def text(fields: Fields, *names: str) -> str:
    """
    Return the first of *names* that says something, as text; "" when none does.

    A number that came as a float (an id, in one key of the stream) loses its `.0`. Raises EventInvalidError for
    something that is no text and no number, or longer than any id.
    """
    for name in names:
        value = fields.get(name)
        if not is_said(value):
            continue
        if isinstance(value, Mapping | list | tuple | bool):
            raise EventInvalidError(f"`{name}` = {shown(value)}: wants text")
        said = str(value).strip()
        if isinstance(value, float | Decimal) and said.endswith(".0"):
            said = said[:-2]
        if len(said) > TEXT_MAX:
            raise EventInvalidError(f"`{name}` = {shown(said)}: longer than {TEXT_MAX} characters")
        if not said.isprintable():
            raise EventInvalidError(f"`{name}` = {shown(said)}: holds what cannot be printed")
        return said
    return ""


def number(fields: Fields, *names: str) -> Decimal | None:
    """Return the first of *names* that says something as a number, or None. Raises EventInvalidError, for NaN too."""
    for name in names:
        value = fields.get(name)
        if not is_said(value):
            continue
        try:
            found = Decimal(str(value).strip())
        except InvalidOperation:
            found = Decimal("NaN")
        if isinstance(value, bool) or not found.is_finite() or abs(found.adjusted()) > 30:
            raise EventInvalidError(f"`{name}` = {shown(value)}: wants a number")
        return found
    return None


def whole(fields: Fields, *names: str) -> int | None:
    """Return the first of *names* as a whole number from 0, or None; "75" and 75.0 are 75. Raises EventInvalidError."""
    found = number(fields, *names)
    if found is None:
        return None
    if found != found.to_integral_value() or not 0 <= found <= QUANTITY_MAX:
        raise EventInvalidError(f"`{names[0]}` = {shown(str(found))}: wants a whole number from 0")
    return int(found)


def price_e4(fields: Fields, *names: str) -> int | None:
    """
    Return the first of *names* as a price in 1/10000 rupee; None when it is not said or 0, which means "none".

    More than four decimals (an average has them) are rounded to the nearest, half to even. Raises EventInvalidError.
    """
    found = number(fields, *names)
    if found is None or found == 0:
        return None
    scaled = int((found * SCALE).to_integral_value(ROUND_HALF_EVEN)) if abs(found) < AMOUNT_MAX_E4 else -1
    if not 0 < scaled <= PRICE_MAX_E4:
        raise EventInvalidError(f"`{names[0]}` = {shown(str(found))}: no price of anything")
    return scaled


def time_us(fields: Fields, *names: str) -> int | None:
    """
    Return the latest of *names* in microseconds UTC; text without a zone is India's.

    None when none says a time, or only ones that are not set. A time that cannot be read is not said: it orders
    messages, and nothing is counted by it.
    """
    found = [when for when in (_when(text(fields, name)) for name in names) if when is not None]
    return max(found, default=None)


def _when(said: str) -> int | None:
    for pattern in FORMATS:
        try:
            when = dt.datetime.strptime(said.partition(".")[0], pattern).replace(tzinfo=IST)
        except ValueError:
            continue
        if when.year < YEAR_MIN:
            return None
        return int(when.timestamp()) * 1_000_000
    return None
