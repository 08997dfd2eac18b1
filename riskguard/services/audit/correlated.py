"""Correlation ids of many permits, compared as one number: to make each anew would cost more than to read its permit."""

from __future__ import annotations

import string
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

_WIDTH: Final = 23
"""Characters of an id with the comma behind it: `rg`, 20 digits of base 32, the comma."""
_DIGITS: Final = 20
_HEX: Final = 25
"""Hexadecimal digits that say what 20 of base 32 do: 100 bits."""
_OURS, _PYTHONS = string.ascii_uppercase + "234567", string.digits + string.ascii_lowercase[:22]
# What is no digit of ours becomes one of nobody: `int` would take others, blanks and underscores for good.
_NONE: Final = "!"
_TO_PYTHONS: Final = "".join(
    _PYTHONS[_OURS.index(chr(each))] if chr(each) in _OURS else _NONE for each in range(256)
).encode()


def are_correlated(account: str, names: Sequence[str], ids: str) -> bool:
    """
    Say whether *ids*, with commas between, are those `store.permits.correlation_id` makes of *names*, in their order.

    Raises ValueError for a name that is no text.
    """
    count = len(names)
    if not count or not ids.isascii():
        return not count and not ids
    text = f"{ids},"
    if len(text) != count * _WIDTH or any(
        text[at::_WIDTH] != each * count for at, each in ((0, "r"), (1, "g"), (22, ","))
    ):
        return False
    digits = text.encode().translate(_TO_PYTHONS, b"rg,")
    if len(digits) != count * _DIGITS:  # one of these stands where a digit should
        return False
    hashes = [sha256(f"{account}\0{name}".encode()).hexdigest()[:_HEX] for name in names]
    try:
        return int(digits, 32) == int("".join(hashes), 16)
    except ValueError:  # no digit of ours
        return False
