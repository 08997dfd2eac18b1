"""Exact money: integers of 1/10000 rupee inside, `Decimal` at the door."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from functools import lru_cache

SCALE = 10_000
"""One rupee in our unit: `price_e4 = rupees * SCALE`."""

PRICE_MAX_E4 = 10**7 * SCALE
"""₹1 crore per unit: forty times the dearest listed price. Above it, the number is a slip."""

AMOUNT_MAX_E4 = 10**13 * SCALE
"""Ten lakh crore rupees: no account of any user comes near, and it fits a 64-bit column."""

_TEXT_MAX = 32
_DIGITS = frozenset("0123456789.+-")


def to_e4(value: object, *, most: int = AMOUNT_MAX_E4) -> int:
    """
    Return *value* rupees as an integer of 1/10000 rupee, exactly.

    Takes `str`, `int` or `Decimal`. Raises ValueError, with the reason, for anything else: float (it has
    already lost what was meant), bool, NaN, infinity, more than four decimals, or beyond *most*.
    """
    if type(value) is str:
        scaled = _text_to_e4(value)
    elif type(value) is int:
        scaled = value * SCALE
    elif isinstance(value, Decimal):
        scaled = _decimal_to_e4(value)
    elif isinstance(value, float):
        raise ValueError("a float has lost its last digits; give text, int or Decimal")
    else:
        raise ValueError(f"wants text, int or Decimal, not {type(value).__name__}")
    if not -most <= scaled <= most:
        raise ValueError(f"is beyond ±{most // SCALE}")
    return scaled


@lru_cache(maxsize=65_536)
def _text_to_e4(text: str) -> int:
    """Parse plain decimal text; cached because a day quotes the same few thousand ticks again and again."""
    if not text or len(text) > _TEXT_MAX or not _DIGITS.issuperset(text):
        raise ValueError("is not a plain decimal number like `1650.05`")
    try:
        return _decimal_to_e4(Decimal(text))
    except InvalidOperation:
        raise ValueError("is not a plain decimal number like `1650.05`") from None


def _decimal_to_e4(value: Decimal) -> int:
    if not value.is_finite():
        raise ValueError("is not a finite number")
    _sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    # Bounded before any arithmetic: Decimal("1E+999999") would otherwise build a million-digit integer.
    if len(digits) > _TEXT_MAX or exponent > _TEXT_MAX or exponent < -_TEXT_MAX:
        raise ValueError("has more digits than any price")
    numerator, denominator = value.as_integer_ratio()
    scaled, rest = divmod(numerator * SCALE, denominator)
    if rest:
        raise ValueError("has more than four decimals")
    return scaled


def to_decimal(e4: int) -> Decimal:
    """Return rupees as a Decimal without trailing zeros beyond the paisa: 16500000 -> Decimal("1650.00")."""
    rupees = Decimal(e4) / SCALE
    return rupees.quantize(Decimal("0.01")) if e4 % 100 == 0 else rupees


def to_text(e4: int) -> str:
    """Return rupees as plain text, two to four decimals: 16500050 -> "1650.005"."""
    sign, whole = ("-", -e4) if e4 < 0 else ("", e4)
    rupees, rest = divmod(whole, SCALE)
    decimals = f"{rest:04d}"
    if decimals.endswith("00"):
        decimals = decimals[:2]
    elif decimals.endswith("0"):
        decimals = decimals[:3]
    return f"{sign}{rupees}.{decimals}"


def rupees(e4: int) -> str:
    """Return rupees as people in India read them: -123456700 -> "-₹12,345.67"; lakh grouping above that."""
    text = to_text(abs(e4))
    whole, _, decimals = text.partition(".")
    head, tail = whole[:-3], whole[-3:]
    groups: list[str] = []
    while head:
        groups.insert(0, head[-2:])
        head = head[:-2]
    return f"{'-' if e4 < 0 else ''}₹{','.join([*groups, tail])}.{decimals}"
